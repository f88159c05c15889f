"""`RedisRegistrationLedger`: the ledger of registrations of all processes that share a Redis.

The rule is that of `ratelimit.registrations`, in Python. Redis keeps the entries of each number under one key, and
changes it in an optimistic transaction: if somebody else changes the key meanwhile, it begins again. Registrations are
rare and slow, so a connection of its own for each change costs nothing that matters, and leaves nothing to close.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NoReturn, TypeVar, cast

from wa_phone_async._optional import requires
from wa_phone_async.checks import check_seconds
from wa_phone_async.errors import LedgerError
from wa_phone_async.ratelimit.registrations import (
    Change,
    DamagedError,
    Entries,
    StoredLedger,
    decode,
    encode,
    forget_at,
)
from wa_phone_async.redaction import conceal

from .address import check_address, check_prefix, open_pool, reason_of

with requires("redis"):
    from redis.asyncio import Redis
    from redis.exceptions import WatchError

T = TypeVar("T")

_CHECK: Final = "Check that Redis runs, and that its address and its password are right. Then try again."
_DELETE: Final = "Delete the key. It then begins at 0, so wait 72 hours if you do not know what was registered."


class RedisRegistrationLedger(StoredLedger):
    """A ledger of registrations in Redis. All processes that name the same Redis and `prefix` share it.

    It is as durable as its Redis: with `appendonly yes` and `appendfsync always`, each reservation is on the disk
    before its request is sent. A Redis that loses its memory forgets what was counted. A key has only Meta's ids and
    times: no PIN, and no token. It expires 6 days after the last registration of its number. Use the ledger in any
    event loop; there is nothing to close.

    Args:
        url: The address of Redis: `redis://`, `rediss://` or `unix://`. No log and no error shows its password.
        timeout: The longest wait for Redis, in seconds above 0.
        prefix: What the keys in Redis begin with: a word without spaces and braces.

    Raises:
        InvalidArgumentError: A setting is invalid. The text says which one, and what is valid.
    """

    def __init__(self, url: str, *, timeout: float = 5.0, prefix: str = "wa_phone_async") -> None:
        url = conceal(url)
        check_address(url)
        check_seconds("timeout", timeout)
        check_prefix(prefix)
        self._url = url
        self._timeout = timeout
        self._prefix = f"{prefix}:registrations:"

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a RedisRegistrationLedger holds the password of Redis and cannot be pickled or copied: make one in each "
            "process"
        )

    async def _read_all(self) -> tuple[Mapping[str, Entries], float]:
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", self._prefix) + "*"
        async with self._connected() as redis:
            keys: list[str] = [key async for key in redis.scan_iter(pattern, count=1000)]
            texts: list[str | None] = await redis.mget(keys) if keys else []
            entries = {key.removeprefix(self._prefix): decode(text) for key, text in zip(keys, texts, strict=True)}
            return entries, await _clock(redis)

    async def _read(self, phone_number_id: str) -> tuple[Entries, float]:
        async with self._connected() as redis:
            return decode(await redis.get(self._prefix + phone_number_id)), await _clock(redis)

    async def _change(self, phone_number_id: str, change: Change[T]) -> T:
        async with self._connected() as redis:
            while True:  # until it is out of time. Each time, somebody else has come further
                with suppress(WatchError):
                    return await _try_to_change(redis, self._prefix + phone_number_id, change)

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Any]:
        """A connection while the block runs. Whatever fails is a `LedgerError`."""
        pool = open_pool(self._url)
        try:
            async with asyncio.timeout(self._timeout), Redis(connection_pool=pool) as redis:
                yield redis
        except TimeoutError:
            raise LedgerError("Redis", f"no response within {self._timeout:g} s", _CHECK) from None
        except DamagedError as error:
            raise LedgerError("Redis", f"the key {self._prefix}… {error}", _DELETE) from error
        except Exception as error:  # noqa: BLE001 - redis-py raises errors of Python if the server is no Redis
            raise LedgerError("Redis", reason_of(error), _CHECK) from None  # its text can hold the address
        finally:
            await pool.aclose()


async def _try_to_change(redis: Any, key: str, change: Change[T]) -> T:
    """Change a key once.

    Raises:
        WatchError: Somebody else changed it meanwhile.
    """
    async with redis.pipeline() as transaction:
        await transaction.watch(key)
        stored, now = decode(await transaction.get(key)), await _clock(transaction)
        entries, result = change(stored, now)
        if entries == stored:  # none is left, mostly. Without a write, it is in nobody's way
            return result
        transaction.multi()
        if entries:
            transaction.set(key, encode(entries), px=max(1, int(1000 * (forget_at(entries) - now))))
        else:
            transaction.delete(key)
        await transaction.execute()
    return result


async def _clock(redis: Any) -> float:
    """The clock of Redis, which all machines share, in seconds."""
    seconds, microseconds = cast("tuple[int, int]", await redis.time())
    return seconds + microseconds / 1e6
