"""Watching many accounts: spread polls, a quarter of each quota, no account that stops another."""

import asyncio
import itertools
import pickle
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import (
    AuthenticationError,
    BusinessAccount,
    InvalidArgumentError,
    PhoneNumber,
    PhoneNumberClient,
    RetryPolicy,
    ServerError,
    Usage,
    UsageMetric,
    Watches,
)
from wa_phone_async.concurrency import current_slot
from wa_phone_async.sandbox import SMALL_WABA, Sandbox, VirtualTimeLoop
from wa_phone_async.workflows.watch_many import QuotaShare, first_polls, gap_between_starts

T = TypeVar("T")

ACME = PhoneNumber("1", status="PENDING")
CONNECTED = PhoneNumber("1", status="CONNECTED")


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


class Fleet:
    """Accounts as a client reads them. A quota is what a server would count."""

    def __init__(self, **results: Any) -> None:
        self.results = results
        self.polls: list[tuple[float, str]] = []
        self.usage: Usage | None = None

    async def read(self, waba_id: str) -> list[PhoneNumber]:
        self.polls.append((now(), waba_id))
        results = self.results.get(waba_id, [[ACME]])
        result = results.pop(0) if len(results) > 1 else results[0]
        if isinstance(result, float):
            await asyncio.sleep(result)
            return [ACME]
        if isinstance(result, BaseException):
            raise result
        return list(result)

    def watch(self, accounts: Any, *, total_timeout: float | None = 600, interval: float = 60, **more: Any) -> Watches:
        return Watches(
            accounts,
            self.read,
            interval=interval,
            total_timeout=total_timeout,
            known=more.get("known"),
            usage=lambda _: self.usage,
            concurrency=more.get("concurrency", 4),
        )

    def times(self, waba_id: str) -> list[float]:
        return [round(time, 3) for time, polled in self.polls if polled == waba_id]


async def seen(watches: Watches) -> list[tuple[str, str, Any, Any]]:
    async with watches:
        return [(change.waba_id, change.field, change.old, change.new) async for change in watches]


class TestShare:
    @given(
        st.integers(200, 5000),
        st.integers(0, 60),
        st.lists(st.tuples(st.floats(0, 900), st.integers(1, 40)), min_size=1, max_size=120),
    )
    def test_never_more_than_a_quarter_of_any_quota(
        self, quota: int, by_others: int, polls: list[tuple[float, int]]
    ) -> None:
        share, time, calls = QuotaShare(), 0.0, list[tuple[float, int]]()
        for pause, count in polls:
            time += pause
            time += share.delay(time, count)
            share.spend(time, count)
            calls.append((time, count))
            used = sum(n for at, n in calls if at > time - 3600)
            assert used <= max(quota / 4, count)
            share.learn(time, int(100 * used / quota) + by_others)
            assert share.quota <= max(quota, 200)

    def test_memory_is_bounded(self) -> None:
        share = QuotaShare()
        for second in range(20_000):
            share.spend(float(second), 1)
        assert len(share._minutes) <= 62
        assert share.delay(100_000, 1) == 0
        assert share.recent == 0

    @given(st.floats(1, 3600), st.integers(1, 10_000))
    def test_second_polls_are_spread_evenly(self, interval: float, accounts: int) -> None:
        index = accounts // 2
        first, later = first_polls(interval, accounts, index)
        assert first <= index
        assert first + later == pytest.approx(index * interval / accounts)
        assert gap_between_starts(interval, accounts) * accounts <= interval


class TestWatches:
    def test_changes_of_all_accounts_come_and_polls_are_spread(self) -> None:
        fleet = Fleet(**{"7": [[ACME], [CONNECTED]]})
        ids = [str(number) for number in range(10)]
        assert run(seen(fleet.watch(ids))) == [("7", "status", "PENDING", "CONNECTED")]
        assert [time for time, _ in fleet.polls[:10]] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
        assert fleet.times("3")[:3] == [3, 78, 168]  # its place, six seconds after that of the account before it
        assert fleet.times("2")[:3] == [2, 72, 162]
        starts = [time for time, _ in fleet.polls]
        assert min(after - before for before, after in itertools.pairwise(starts)) >= 0.99

    def test_after_an_outage_there_is_no_burst(self) -> None:
        fleet = Fleet(**{str(number): [[ACME], ServerError("down", http_status=500), [ACME]] for number in range(40)})
        run(seen(fleet.watch(range(40), total_timeout=400, interval=4)))
        starts = sorted(time for time, _ in fleet.polls)
        assert min(after - before for before, after in itertools.pairwise(starts)) >= 4 / 160 - 1e-6

    def test_a_failing_account_stops_no_other(self) -> None:
        fleet = Fleet(
            **{
                "1": [ServerError("down", http_status=500)],
                "2": [InvalidArgumentError("waba_id", "an id", "2")],
                "3": [1e9],
                "4": [[ACME], [CONNECTED]],
            }
        )

        async def main() -> None:
            async with fleet.watch(["1", "2", "3", "4", "4"], concurrency=2) as watches:
                assert await anext(watches)
                assert list(watches.accounts) == ["1", "2", "3", "4"]
                assert (set(watches.errors), set(watches.rejected)) == ({"1"}, {"2"})
                assert watches.known == {"4": (CONNECTED,)}
                assert watches.accounts["1"].seconds_left is not None
                assert repr(watches.accounts["1"]) == "<WatchedWaba 1>"
                with pytest.raises(StopAsyncIteration):
                    await anext(watches)
            assert len(fleet.times("2")) == 1

        run(main())

    def test_it_ends_when_every_account_is_rejected(self) -> None:
        wrong = InvalidArgumentError("waba_id", "an id", "x")
        assert run(seen(Fleet(x=[wrong], y=[wrong]).watch(["x", "y"], total_timeout=None))) == []
        assert run(seen(Fleet().watch([], total_timeout=None))) == []

    def test_a_token_of_all_and_a_bug_end_it_after_what_was_seen(self) -> None:
        class BugError(Exception):
            pass

        async def main(error: Exception) -> None:
            watches = Fleet(**{"1": [[ACME], [CONNECTED]], "2": [[ACME], error]}).watch(["1", "2"], known={"1": []})
            async with watches:
                assert [(await anext(watches)).field] == ["id"]
                await asyncio.sleep(200)
                assert (await anext(watches)).field == "status"
                with pytest.raises(type(error)):
                    await anext(watches)

        rejected = AuthenticationError("no", http_status=401, code=190)
        rejected.is_shared = True
        run(main(rejected))
        run(main(BugError()))

    def test_an_account_is_polled_again_when_its_changes_were_read(self) -> None:
        fleet = Fleet(**{"1": [[ACME], [CONNECTED, PhoneNumber("2")]]})

        async def main() -> None:
            async with fleet.watch(["1"], total_timeout=None) as watches:
                await anext(watches)
                await asyncio.sleep(3600)
                assert len(fleet.polls) == 2
                assert watches.known == {"1": (ACME,)}
                assert watches.accounts["1"].unread == 1
                await anext(watches)
                await asyncio.sleep(3600)
                assert len(fleet.polls) > 10

        run(main())

    def test_leaving_the_block_cancels_what_is_under_way(self) -> None:
        fleet = Fleet(**{"1": [1e9]})

        async def main() -> None:
            watches = fleet.watch(["1", "2"], total_timeout=None)
            async with watches:
                waiting = asyncio.create_task(anext(watches))
                await asyncio.sleep(10)
                with pytest.raises(RuntimeError, match="two consumers"):
                    await anext(watches)
            with pytest.raises(RuntimeError, match="iterate inside"):
                await waiting
            assert len(asyncio.all_tasks()) == 1
            with pytest.raises(RuntimeError, match="used already"):
                await watches.__aenter__()
            with pytest.raises(RuntimeError, match="iterate inside"):
                aiter(watches)

        run(main())

    def test_the_app_keeps_three_quarters_of_its_quota(self) -> None:
        class App(Fleet):
            async def read(self, waba_id: str) -> list[PhoneNumber]:
                slot = current_slot.get()
                assert slot is not None
                await slot.acquire()
                numbers = await super().read(waba_id)
                calls = sum(time > now() - 3600 for time, _ in self.polls)
                metric = UsageMetric(100 * calls // 400)
                self.usage = Usage(waba=metric, app=metric)
                return numbers

        app = App()
        run(seen(app.watch(range(60), total_timeout=10_000)))
        times = [time for time, _ in app.polls]
        busiest = max(sum(start <= time < start + 3600 for time in times) for start in times)
        assert 50 <= busiest <= 100
        assert {polled for _, polled in app.polls} == {str(number) for number in range(60)}

    async def test_many_accounts_of_a_client(self) -> None:
        async def accounts() -> AsyncIterator[BusinessAccount]:
            yield BusinessAccount(SMALL_WABA)

        async with (
            Sandbox() as sandbox,
            PhoneNumberClient("any", base_url=sandbox.url, retry=RetryPolicy(max_attempts=1)) as client,
        ):
            async with client.watch(accounts(), interval=0.01, total_timeout=5, known={SMALL_WABA: []}) as watches:
                assert (await anext(watches)).waba_id == SMALL_WABA
            async with client.watch(["x", "900"], interval=0.01, total_timeout=5) as watches:
                assert [change async for change in watches] == []
                assert set(watches.rejected) == {"x", "900"}
            one = client.watch(BusinessAccount(SMALL_WABA), interval=0.01, total_timeout=5, known=[])
            assert (await anext(one)).waba_id == SMALL_WABA
            assert one.seconds_left is not None
            with pytest.raises(TypeError, match="cannot be pickled"):
                pickle.dumps(watches)
            assert repr(watches) == "<Watches: iterate over it inside 'async with'>"

    @pytest.mark.parametrize("options", [{"known": [ACME]}, {"interval": 0}, {"total_timeout": -1}, {"concurrency": 0}])
    def test_wrong_arguments(self, options: Any) -> None:
        with pytest.raises(InvalidArgumentError, match=next(iter(options))):
            Fleet().watch(["1"], **options)
