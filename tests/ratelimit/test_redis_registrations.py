"""The ledger of registrations in Redis: beside the plain model, for many clients at once, and while Redis fails."""

import asyncio
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from ledgers import Model, play, steps
from misbehaving import RawServer, hang
from redis_server import COMMAND, RedisServer

from wa_phone_async import InvalidArgumentError, LedgerError, RegistrationLedger, Reservation
from wa_phone_async.ratelimit.registrations import MAX_REGISTRATIONS, REGISTRATION_WINDOW

redis = pytest.importorskip("redis", reason="the extra `redis` is not installed")

# They need the package that may be missing.
from wa_phone_async.ratelimit.redis import RedisRegistrationLedger  # noqa: E402
from wa_phone_async.ratelimit.redis import registrations as module  # noqa: E402

pytestmark = [pytest.mark.heavy, pytest.mark.skipif(COMMAND is None, reason="there is no redis-server")]

NUMBER, OTHER = "1234", "5678"


async def known(ledger: RedisRegistrationLedger) -> list[str]:
    return [usage.phone_number_id for usage in await ledger.usages()]


KEY = f"wa_phone_async:registrations:{NUMBER}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def store(server: RedisServer) -> Iterator[Any]:
    with redis.Redis(port=server.port, decode_responses=True) as store:
        store.flushall()
        yield store


@pytest.fixture
def ledger(server: RedisServer, store: Any) -> RedisRegistrationLedger:
    assert store.dbsize() == 0
    return RedisRegistrationLedger(server.url)


@given(steps=steps)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_two_clients_do_as_the_model_says(server: RedisServer, store: Any, steps: list[Any]) -> None:
    store.flushall()
    model = Model(1_800_000_000.0)

    async def clock(_: Any) -> float:
        return model.now

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_clock", clock)
        await play(steps, [RedisRegistrationLedger(server.url), RedisRegistrationLedger(server.url)], model)


async def test_ten_of_many_tasks_get_a_reservation(server: RedisServer, ledger: RedisRegistrationLedger) -> None:
    ledgers = [ledger, RedisRegistrationLedger(server.url)]
    assert all(isinstance(each, RegistrationLedger) for each in ledgers)
    reserved = await asyncio.gather(*[ledgers[place % 2].reserve(NUMBER) for place in range(30)])
    assert sum(isinstance(each, Reservation) for each in reserved) == MAX_REGISTRATIONS
    usage = await ledger.usage(NUMBER)
    assert usage.used == MAX_REGISTRATIONS
    assert usage.wait == pytest.approx(REGISTRATION_WINDOW, abs=60)


async def test_a_key_expires_and_is_dropped_when_nothing_is_left(ledger: RedisRegistrationLedger, store: Any) -> None:
    reservation = await ledger.reserve(NUMBER)
    assert store.ttl(KEY) == pytest.approx(2 * REGISTRATION_WINDOW, abs=2)
    await ledger.reserve(OTHER)
    store.set("wa_phone_async:another", "x")
    assert await known(ledger) == [NUMBER, OTHER]
    assert isinstance(reservation, Reservation)
    await ledger.release(reservation)
    assert await known(ledger) == [OTHER]


async def test_a_prefix_keeps_ledgers_apart(server: RedisServer, ledger: RedisRegistrationLedger) -> None:
    starred = RedisRegistrationLedger(server.url, prefix="*[")
    await ledger.reserve(NUMBER)
    assert await known(starred) == []
    await starred.reserve(OTHER)
    assert await known(starred) == [OTHER]


async def test_a_damaged_key_sends_nothing(ledger: RedisRegistrationLedger, store: Any) -> None:
    store.set(KEY, "{")
    with pytest.raises(LedgerError) as caught:
        await ledger.reserve(NUMBER)
    assert str(caught.value) == (
        "the ledger of registrations (Redis) failed: the key wa_phone_async:registrations:… is damaged, or is no "
        "ledger. Nothing was sent. Delete the key. It then begins at 0, so wait 72 hours if you do not know what was "
        "registered."
    )
    assert store.get(KEY) == "{"


async def test_without_redis_it_fails_and_shows_no_password(server: RedisServer) -> None:
    ledger = RedisRegistrationLedger("redis://anna:canary@127.0.0.1:1")
    with pytest.raises(LedgerError) as caught:
        await ledger.reserve(NUMBER)
    assert str(caught.value) == (
        "the ledger of registrations (Redis) failed: there is no connection. Nothing was sent. Check that Redis runs, "
        "and that its address and its password are right. Then try again."
    )
    assert "canary" not in "".join(traceback.format_exception(caught.value)) + repr(ledger)
    assert server.port


async def test_a_redis_that_hangs_is_not_waited_for() -> None:
    async with RawServer([hang]) as silent:
        with pytest.raises(LedgerError, match=r"no response within 0\.05 s"):
            await RedisRegistrationLedger(f"redis://127.0.0.1:{silent.port}", timeout=0.05).usage(NUMBER)


@pytest.mark.parametrize(
    ("settings", "argument"), [({"url": "http://x"}, "url"), ({"timeout": 0}, "timeout"), ({"prefix": "a b"}, "prefix")]
)
def test_settings_are_checked(settings: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{argument} must be"):
        RedisRegistrationLedger(**{"url": "redis://127.0.0.1", **settings})
