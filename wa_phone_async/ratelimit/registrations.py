"""The ledger of registrations: what Meta may have counted for each number, and when the next registration is possible.

`RegistrationLedger` is what a client needs. Implement it to bring your own. `FileRegistrationLedger` is the ledger of
one machine, `ratelimit.redis.RedisRegistrationLedger` that of many. Both keep `LedgerEntry`s, and decide by the
functions in this module, which know neither a clock nor a store.

Meta's rule has two sentences: 10 requests to register a number in a moving window of 72 hours, and 10 to deregister it.
The next one gets error 133016, and the number is blocked for the next 72 hours (Meta's "Register a business phone
number" of 26 June 2026, read 2026-11-28). The page does not say if the two share the ten. Their error code is the same,
"Account register deregister rate limit exceeded" (Meta's error-code page of 18 June 2026, read 2026-11-28). So here
they share it. That is a guess, and the careful one: a ledger never lets one too many be sent.
"""

from __future__ import annotations

import asyncio
import json
import math
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast, runtime_checkable

import attrs

from wa_phone_async.checks import read_node_id
from wa_phone_async.errors import LedgerError

T = TypeVar("T")

MAX_REGISTRATIONS: Final = 10
"""How many requests to register or deregister a number Meta allows within `REGISTRATION_WINDOW`."""
REGISTRATION_WINDOW: Final = 72 * 3600.0
"""Seconds."""


class DamagedError(ValueError):
    """What a ledger has stored makes no sense."""

    def __init__(self) -> None:
        super().__init__("is damaged, or is no ledger")


@attrs.frozen
class Reservation:
    """The right to send one request to register or deregister a number. It counts as used unless it is released."""

    phone_number_id: str
    """Meta's id of the number."""
    id: str
    """A name that no other reservation has."""


@attrs.frozen
class RegistrationUsage:
    """How much of its ten registrations a number has used, as far as a ledger knows."""

    phone_number_id: str
    """Meta's id of the number."""
    used: int
    """Registrations and deregistrations of the last 72 hours that Meta may have counted: 0 to 10. It is 10 while Meta
    blocks the number."""
    limit: int
    """How many there can be in 72 hours: 10."""
    wait: float
    """Seconds until the next one is possible; 0.0 if it is possible now."""


@runtime_checkable
class RegistrationLedger(Protocol):
    """Counts the requests that register or deregister a number. None is sent that would block the number.

    A client awaits `reserve` before each attempt, also before a retry. Afterwards it awaits `release` if Meta certainly
    did not count the attempt, and `block` if Meta says that the number is blocked. If neither comes, the reservation
    stays used: the response was lost, the process was killed, or Meta may have counted the attempt.

    A client never closes a ledger. So clients can share it.
    """

    async def reserve(self, phone_number_id: str) -> Reservation | float:
        """Reserve one request. The reservation must be durable when this returns.

        Args:
            phone_number_id: Meta's id of the number.

        Returns:
            A reservation. If all are used: the seconds until the next one is possible. Then nothing is reserved.

        Raises:
            LedgerError: The ledger failed. Whatever this raises, the request is not sent.
        """
        ...

    async def release(self, reservation: Reservation) -> None:
        """Give a reservation back: its request was certainly not sent, or not counted.

        If this raises, the client logs a warning, and the reservation stays used.
        """
        ...

    async def block(self, phone_number_id: str, seconds: float) -> None:
        """Note that Meta blocks a number for so long from now on, whatever the ledger has counted.

        If this raises, the client logs a warning.
        """
        ...


# --- the rule


@attrs.frozen
class LedgerEntry:
    """One request that may have been counted, or one block."""

    id: str
    """The name of the reservation."""
    at: float
    """When it was made, in seconds of the ledger's clock: the latest time that it can have been."""
    seen: float
    """The earliest time that the clock has shown since then. It is less than `at` if the clock was set back."""
    seconds: float = REGISTRATION_WINDOW
    """How long it counts."""
    uses: int = 1
    """How many registrations it uses: 1, or all of them for a block."""

    def ends(self, now: float) -> float:
        """When it no longer counts.

        The clock may be set back. Perhaps it was wrong before, perhaps it is wrong now: nobody can tell. So an entry
        from the future counts for 72 hours from the moment at which it is found, and no longer. And once the clock
        passes `at` again, `at` is right, and counts as it did before. So a clock that jumps back frees nothing that
        counted before the jump, and never blocks for more than 72 hours.
        """
        return (self.at if self.at <= now else min(self.seen, now)) + self.seconds


Entries: TypeAlias = tuple[LedgerEntry, ...]
"""What a ledger has about one number."""


def kept(entries: Iterable[LedgerEntry], now: float) -> Entries:
    """The entries that a ledger still has to keep, with what they tell about the clock.

    They are kept for 72 hours after they have ended. Otherwise a clock that runs ahead, and is then set back, would
    have made the ledger forget what counts again.
    """
    return tuple(
        attrs.evolve(entry, seen=entry.at if entry.at <= now else min(entry.seen, now))
        for entry in entries
        if entry.ends(now) + REGISTRATION_WINDOW > now
    )


def seconds_to_wait(entries: Iterable[LedgerEntry], now: float) -> float:
    """Seconds until one more request is possible; 0.0 if it is possible now."""
    ends = sorted((entry.ends(now), entry.uses) for entry in entries if entry.ends(now) > now)
    used, free_at = sum(uses for _, uses in ends), now
    for end, uses in ends:
        if used < MAX_REGISTRATIONS:
            break
        used, free_at = used - uses, end
    return free_at - now


def add(entries: Entries, now: float, name: str) -> tuple[Entries, float]:
    """Add a request if one is possible.

    Returns:
        The entries to keep, and the seconds to wait. The request is among the entries if these are 0.0.
    """
    entries = kept(entries, now)
    wait = seconds_to_wait(entries, now)
    return (entries if wait else (*entries, _made(entries, now, name))), wait


def add_block(entries: Entries, now: float, name: str, seconds: float) -> tuple[Entries, None]:
    """Add a block, which uses all registrations. Returns the entries to keep."""
    entries = kept(entries, now)
    block = attrs.evolve(_made(entries, now, name), seconds=seconds, uses=MAX_REGISTRATIONS)
    return (*entries, block), None


def remove(entries: Entries, now: float, name: str) -> tuple[Entries, None]:
    """Remove a request. Returns the entries to keep."""
    return tuple(entry for entry in kept(entries, now) if entry.id != name), None


def usage_of(phone_number_id: str, entries: Entries, now: float) -> RegistrationUsage:
    """The usage of one number."""
    used = sum(entry.uses for entry in entries if entry.ends(now) > now)
    wait = seconds_to_wait(entries, now)
    return RegistrationUsage(phone_number_id, min(used, MAX_REGISTRATIONS), MAX_REGISTRATIONS, wait)


def _made(entries: Entries, now: float, name: str) -> LedgerEntry:
    """A new entry. While the clock is set back, it is as late as the latest one, or it would end too early later."""
    return LedgerEntry(name, max([now, *(entry.at for entry in entries)]), now)


# --- what is stored


def encode(entries: Entries) -> str:
    """The text of entries in a store."""
    return json.dumps([attrs.asdict(entry) for entry in entries], separators=(",", ":"))


def decode(text: str | None) -> Entries:
    """The entries of a text; none of `None`.

    Raises:
        DamagedError: The text is damaged.
    """
    try:
        rows = cast("list[Mapping[str, Any]]", [] if text is None else json.loads(text))
        entries = tuple(
            LedgerEntry(
                id=str(row["id"]),
                at=float(row["at"]),
                seen=float(row["seen"]),
                seconds=float(row["seconds"]),
                uses=int(row["uses"]),
            )
            for row in rows
        )
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedError from error
    if not all(math.isfinite(entry.at + entry.seen + entry.seconds) and entry.uses > 0 for entry in entries):
        raise DamagedError  # infinite times would block for ever, and NaN would never block
    return entries


def forget_at(entries: Entries) -> float:
    """When a store may forget them, on the ledger's clock. 0.0 if there are none: at once."""
    # By `at`, and not by `ends`: a clock that is set back says nothing about the time when it is right again.
    return max((entry.at + entry.seconds + REGISTRATION_WINDOW for entry in entries), default=0.0)


Change: TypeAlias = Callable[[Entries, float], tuple[Entries, T]]
"""Turns the entries of one number, and the time, into the entries to store and what the caller gets. It may be called
again, if somebody else was faster."""


class StoredLedger(ABC):
    """What `FileRegistrationLedger` and `RedisRegistrationLedger` do. They differ in their stores alone.

    It is a `RegistrationLedger` that can also be read.
    """

    async def reserve(self, phone_number_id: str) -> Reservation | float:
        """Reserve one request: see `RegistrationLedger.reserve`."""
        reservation = Reservation(read_node_id("phone_number_id", phone_number_id), secrets.token_hex(8))
        try:
            wait = await self._change(phone_number_id, partial(add, name=reservation.id))
        except asyncio.CancelledError:
            with suppress(LedgerError):
                await self.release(reservation)  # it may be stored, and nobody will send its request
            raise
        return wait or reservation

    async def release(self, reservation: Reservation) -> None:
        """Give a reservation back: see `RegistrationLedger.release`."""
        await self._change(reservation.phone_number_id, partial(remove, name=reservation.id))

    async def block(self, phone_number_id: str, seconds: float) -> None:
        """Note that Meta blocks a number: see `RegistrationLedger.block`."""
        await self._change(phone_number_id, partial(add_block, name=secrets.token_hex(8), seconds=seconds))

    async def forget(self, phone_number_id: str | int) -> None:
        """Forget what was counted for a number, and each block of it.

        Do so only if you know that Meta counts less than the ledger.

        Raises:
            LedgerError: The ledger failed.
        """
        await self._change(read_node_id("phone_number_id", phone_number_id), lambda _entries, _now: ((), None))

    async def usage(self, phone_number_id: str | int) -> RegistrationUsage:
        """Read how many registrations a number has used. It changes nothing, and makes no call.

        Raises:
            LedgerError: The ledger failed.
        """
        phone_number_id = read_node_id("phone_number_id", phone_number_id)
        return usage_of(phone_number_id, *await self._read(phone_number_id))

    async def usages(self) -> list[RegistrationUsage]:
        """Read the usage of each number that has used any registration, by the size of its id.

        Raises:
            LedgerError: The ledger failed.
        """
        entries, now = await self._read_all()
        usages = [usage_of(phone_number_id, its_own, now) for phone_number_id, its_own in entries.items()]
        by_size = sorted(usages, key=lambda usage: (len(usage.phone_number_id), usage.phone_number_id))
        return [usage for usage in by_size if usage.used]

    @abstractmethod
    async def _read_all(self) -> tuple[Mapping[str, Entries], float]:
        """Read the entries of all numbers, and the clock."""

    @abstractmethod
    async def _read(self, phone_number_id: str) -> tuple[Entries, float]:
        """Read the entries of a number, and the clock."""

    @abstractmethod
    async def _change(self, phone_number_id: str, change: Change[T]) -> T:
        """Change the entries of a number, durably. Where it stores none, it drops the number."""
