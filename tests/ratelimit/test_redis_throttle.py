"""Quotas in Redis: the rule in Lua beside the rule in Python, and many processes as one caller."""

import asyncio
import json
import math
import re
import subprocess
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis_server import COMMAND, RedisServer

from wa_phone_async import CallFinished, InvalidArgumentError, PhoneNumberClient
from wa_phone_async.ratelimit.budget import BudgetBook, WaitCause
from wa_phone_async.ratelimit.limiter import Lease, RateLimiter, Report, Scope
from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox
from wa_phone_async.usage import Usage, UsageMetric

redis = pytest.importorskip("redis", reason="the extra `redis` is not installed")

# They need the package that may be missing.
from wa_phone_async.ratelimit.redis import RedisThrottle  # noqa: E402
from wa_phone_async.ratelimit.redis import batches as batches_module  # noqa: E402
from wa_phone_async.ratelimit.redis import breaker as breaker_module  # noqa: E402
from wa_phone_async.ratelimit.redis.batches import SCRIPT, BatchEncoder, LeaseReport, Ledger, RedisLease  # noqa: E402
from wa_phone_async.ratelimit.redis.breaker import Breaker  # noqa: E402
from wa_phone_async.ratelimit.redis.throttle import FIRST_POLL_SECONDS, next_poll  # noqa: E402

pytestmark = [pytest.mark.heavy, pytest.mark.skipif(COMMAND is None, reason="there is no redis-server")]

HOUR = 3600.0
BASE = "shop:{555}:"
KEYS = "wa_phone_async:{555}:"
A, B = "1111", "2222"
READ = Usage(UsageMetric(0.0))


def connect(server: RedisServer) -> Any:
    return redis.Redis(port=server.port, decode_responses=True, retry=None, single_connection_client=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def client(server: RedisServer) -> Iterator[Any]:
    with connect(server) as client:
        client.flushall()
        yield client


# The rule in Lua, on a clock of ours


class LuaRule:
    """`budget.lua`, run once for each admission. A run takes the pending reports along."""

    def __init__(
        self, client: Any, quota: int | None = None, app_quota: int | None = None, process: str = "lease"
    ) -> None:
        self.now = 0.0
        self.process = process
        self.round_trips = 0
        self.pending = list[LeaseReport]()
        self.client = client
        self._evaluate = client.register_script(SCRIPT)
        self._encoder = BatchEncoder(BASE, quota, app_quota)

    def run(self, *admissions: dict[str, Any], reports: tuple[LeaseReport, ...] = ()) -> Any:
        self.round_trips += 1
        reports, self.pending = (*self.pending, *reports), []
        message = self._encoder.message([], reports, f"{self.process}-{self.round_trips}", self.now)
        message |= {"admissions": admissions, "now": self.now}
        self.epoch, self.damaged, *decisions = self._evaluate(self._encoder.keys(message), [json.dumps(message)])
        return decisions

    def admit(self, waba_id: str | None = A, token: str = "t", ahead: int | None = None) -> RedisLease | float:
        """A lease, or the seconds to wait."""
        lease = RedisLease(waba_id, token, self.now, f"{self.process}-{self.round_trips}")
        call: dict[str, Any] = {"token": token, "lease": lease.id}
        call |= ({} if waba_id is None else {"waba": waba_id}) | ({} if ahead is None else {"ahead": ahead})
        (decision,) = self.run(call)
        poll, *more = decision.split(" ")
        self.words = dict(zip(more[::2], more[1::2], strict=True))
        self.over = self.words.get("over", "")
        return attrs.evolve(lease, epoch=self.epoch) if decision == "go" else float(poll)

    def admitted(self, waba_id: str | None = A, token: str = "t") -> RedisLease:
        lease = self.admit(waba_id, token)
        assert isinstance(lease, RedisLease)
        return lease

    def report(self, lease: RedisLease, report: Report, *, age: float = 0.0) -> None:
        self.run(reports=(LeaseReport(lease, report, self.now - age),))


def accepted(usage: Usage | None = READ) -> Report:
    return Report("accepted", usage)


METRICS = st.builds(
    UsageMetric,
    st.none() | st.integers(0, 150).map(float) | st.sampled_from([5.0, 50.0, 95.0, 12.5]),
    st.sampled_from([0.0, 0.0, 0.0, 99.0, 100.0]),
    st.sampled_from([0.0, 0.0, 60.0, 7.5, 1800.0]),
)
USAGES = st.none() | st.builds(
    Usage, st.none() | METRICS, st.none() | METRICS, st.sampled_from([None, None, 0.0, 30.0])
)
WAITS = st.sampled_from([0.0, 0.125, 1.0, 10.0, 59.5, 60.0, 61.0, 299.0, 600.0, 3480.0, 3540.0, 3600.0, 3661.0])


@attrs.frozen
class Step:
    """Something that happens to one call, or to time."""

    what: Literal["admit", "report", "burst", "wait"]
    waba_id: str | None
    token: str
    ahead: int
    calls: int
    wait: float
    percent: float | None
    report: Report


STEPS = st.lists(
    st.builds(
        Step,
        what=st.sampled_from(["admit", "admit", "report", "report", "burst", "wait"]),
        waba_id=st.sampled_from([A, A, B, None]),
        token=st.sampled_from(["t", "t", "u"]),
        ahead=st.sampled_from([0, 0, 0, 1, 7]),
        calls=st.sampled_from([1, 3, 10, 120, 210]),
        wait=WAITS,
        percent=st.sampled_from([None, 0.0, 1.0, 40.0, 99.0]),
        report=st.builds(
            Report,
            st.sampled_from(["accepted", "accepted", "accepted", "throttled", "lost", "unsent"]),
            USAGES,
            st.sampled_from(["waba", "waba", "app", "token", "waba", None]),
        ),
    ),
    min_size=5,
    max_size=40,
)


class BothRules:
    """The rule in Python and the rule in Lua, with the same calls and the same reports."""

    def __init__(self, client: Any, quota: int | None, app_quota: int | None) -> None:
        self.rule = LuaRule(client, quota, app_quota)
        self.book = BudgetBook(quota, app_quota)
        self.book._sweep_at = float("inf")
        self.in_flight = list[RedisLease]()

    def admit(self, waba_id: str | None = A, token: str = "t", ahead: int = 0) -> RedisLease | float:
        now = self.rule.now
        when = self.book.peek(waba_id, now, token, ahead) if ahead else self.book.admit(waba_id, now, token)
        lease = self.rule.admit(waba_id, token, ahead)
        if not isinstance(lease, RedisLease):
            assert (lease, when > now or ahead > 0) == (when - now, True)
            if when > now:
                self._compare_causes(self.book.cause(waba_id, now, token, ahead))
            return lease
        assert when == now
        self.in_flight.append(lease)
        return lease

    def _compare_causes(self, cause: WaitCause) -> None:
        words, wait = self.rule.words, cause.until - self.rule.now
        if wait > 30:  # only such a wait is logged
            assert (words.get("of", "waba"), "is" in words) == (cause.scope, cause.is_throttled)
            assert float(words.get("free", wait)) == pytest.approx(cause.free_at - self.rule.now)

    def report(self, lease: RedisLease, report: Report) -> None:
        if report.result == "throttled" and report.scope == "token" and lease.token not in self.book._tokens:
            # From here on the book counts the calls in flight of a token. Redis does so only for those with a lease.
            self.lose([other for other in self.in_flight if other.token == lease.token and other is not lease])
        self.in_flight.remove(lease)
        self.book.report(lease, report, self.rule.now)
        self.rule.pending.append(LeaseReport(lease, report, self.rule.now))

    def lose(self, leases: list[RedisLease]) -> None:
        for lease in leases:
            self.report(lease, Report("lost"))

    def burst(self, step: Step) -> None:
        for _ in range(step.calls):
            lease = self.admit(step.waba_id, step.token)
            if not isinstance(lease, RedisLease):
                break
            usage = None if step.percent is None else Usage(UsageMetric(step.percent))
            self.report(lease, Report("accepted", usage))
            self.wait(0.125)

    def wait(self, seconds: float) -> None:
        # Only in Redis do leases expire. So the book learns of such a call as a lost one.
        now = self.rule.now + seconds
        self.lose([lease for lease in self.in_flight if lease.since + 300 <= now])
        if any(report.lease.since + 300 <= now for report in self.rule.pending):
            self.rule.run()
        self.rule.now = now

    def go(self, step: Step) -> None:
        if step.what == "admit":
            self.admit(step.waba_id, step.token, step.ahead)
        elif step.what == "burst":
            self.burst(step)
        elif step.what == "wait":
            self.wait(step.wait)
        elif self.in_flight:
            self.report(self.in_flight[step.calls % len(self.in_flight)], step.report)

    def states(self) -> Iterator[tuple[dict[str, float], dict[str, float]]]:
        """What each rule knows of the app, of both accounts, and of calls without an account."""
        self.rule.run()
        budgets = {"app": self.book.app, "unassigned": self.book._unassigned}
        for name, budget in (budgets | {f"waba:{key}": self.book.waba(key) for key in (A, B)}).items():
            if budget is not None:
                kept = {key: float(value) for key, value in self.rule.client.hgetall(BASE + name).items()}
                known = {key: float(getattr(budget, f"_{key}")) for key in kept}
                kept["used"] = self.rule.client.zcount(f"{BASE}{name}:log", f"({self.rule.now - 3660}", "inf")
                kept["used"] += self.rule.client.zcard(f"{BASE}{name}:leases")
                yield kept, known | {"used": budget.used(self.rule.now)}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, quota=st.sampled_from([None, None, 1, 5, 30]), app_quota=st.sampled_from([None, None, 8]))
def test_redis_admits_what_the_book_admits(
    client: Any, steps: list[Step], quota: int | None, app_quota: int | None
) -> None:
    client.flushall()
    both = BothRules(client, quota, app_quota)
    for step in steps:
        both.go(step)
    for kept, known in both.states():
        assert kept == known


@attrs.frozen
class Traffic:
    """An account's calls, and a server that counts them."""

    quota: int
    is_known: bool
    workers: int
    every: int
    """Every so many-th response has headers; 0 for none."""
    step: int
    """All percentages are multiples of it."""
    strangers: int
    """Calls of others for each of ours."""
    app_quota: int | None
    cooldown: float | None
    """The `Retry-After` of a throttled call, in seconds."""
    faults: list[Scope | None]
    """Scopes that throttle a call whatever its count; `None` for none."""
    loads: list[float]
    delays: list[float]
    pauses: list[float]


TRAFFIC = st.builds(
    Traffic,
    quota=st.sampled_from([30, 200, 200, 200, 5000]),
    is_known=st.sampled_from([False, False, False, True]),
    workers=st.sampled_from([1, 8, 64, 250]),
    every=st.sampled_from([0, 1, 1, 1, 10]),
    step=st.sampled_from([1, 1, 5, 20]),
    strangers=st.sampled_from([0, 0, 0, 1, 3]),
    app_quota=st.sampled_from([None, None, 150]),
    cooldown=st.sampled_from([None, None, 0.0, 30.0]),
    faults=st.lists(st.sampled_from([None] * 30 + ["waba", "app"]), min_size=1, max_size=60),
    loads=st.lists(st.sampled_from([0.0] * 30 + [100.0]), min_size=1, max_size=60),
    delays=st.lists(st.sampled_from([0.0, 0.125, 0.25, 2.0, 45.0, 75.0]), min_size=1, max_size=4),
    pauses=st.lists(
        st.sampled_from([0.0, 0.5, 30.0, 59.5, 61.0, 250.0, 1000.0, 3550.0, 3600.0]), min_size=1, max_size=5
    ),
)


def drive(both: BothRules, traffic: Traffic, calls: int = 300) -> None:
    """Send as fast as both rules admit, and respond as the server would."""
    counted, in_flight, sent = list[float](), list[tuple[float, int, RedisLease]](), 0
    while sent < calls or in_flight:
        now, when = both.rule.now, math.inf
        if sent < calls and len(in_flight) < traffic.workers:
            lease = both.admit()
            if isinstance(lease, RedisLease):
                counted.extend([now] * (1 + traffic.strangers))
                in_flight.append((now + traffic.delays[sent % len(traffic.delays)], sent, lease))
                sent += 1
                if sent % 90:
                    continue
            else:
                when = now + lease
        landing = min(in_flight, default=None)
        if landing is None or landing[0] > when:
            both.wait(when - now)
            continue
        in_flight.remove(landing)
        both.wait(max(0.0, landing[0] - now))
        _, number, lease = landing
        counted = [at for at in counted if at > both.rule.now - HOUR]
        share = 100 * len(counted) // traffic.quota // traffic.step * traffic.step
        has_headers = traffic.every and number % traffic.every == 0
        usage = Usage(UsageMetric(float(share), traffic.loads[number % len(traffic.loads)])) if has_headers else None
        scope = "waba" if len(counted) > traffic.quota else traffic.faults[number % len(traffic.faults)]
        if scope is not None:
            said = attrs.evolve(usage or Usage(), retry_after_seconds=traffic.cooldown)
            both.report(lease, Report("throttled", said, scope))
        else:
            both.report(lease, Report("accepted", usage))
        if not in_flight:
            both.wait(traffic.pauses[number % len(traffic.pauses)] * (number % 90 == 89))


@pytest.mark.timeout(240)  # seconds, for a busy machine that measures coverage
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(traffic=TRAFFIC)
def test_the_same_calls_go_at_the_same_times_by_both_rules(client: Any, traffic: Traffic) -> None:
    client.flushall()
    both = BothRules(client, traffic.quota if traffic.is_known else None, traffic.app_quota)

    drive(both, traffic)

    assert [kept for kept, known in both.states() if kept != known] == []


def test_beside_others_and_with_old_usage_calls_go_one_by_one_by_both_rules(client: Any) -> None:
    both = BothRules(client, None, None)
    lease = both.admit()
    assert isinstance(lease, RedisLease)
    both.report(lease, accepted(Usage(UsageMetric(60.0))))
    both.wait(60.5)

    assert isinstance(both.admit(), RedisLease)
    assert both.admit() == 1.0


def throttled(seconds: float, metric: UsageMetric | None = None, scope: Scope = "waba") -> Report:
    return Report("throttled", Usage(metric, retry_after_seconds=seconds), scope)


def test_a_wait_that_the_server_named_ends_in_a_probe_by_both_rules_though_the_log_is_full(client: Any) -> None:
    both, starts = BothRules(client, None, None), list[float]()
    while len(starts) < 6:
        lease = both.admit()
        if isinstance(lease, RedisLease):
            starts.append(both.rule.now)
            both.wait(0.5)
            both.report(lease, throttled(7.0, UsageMetric(150.0)))
        else:
            both.wait(lease)

    assert starts[:5] == [0.0, 7.5, 15.0, 22.5, 30.0]
    assert starts[5] > 300.0


def test_to_go_on_at_once_is_a_cooldown_of_no_time_by_both_rules(client: Any) -> None:
    both = BothRules(client, None, None)
    lease = both.admit()
    assert isinstance(lease, RedisLease)
    both.report(lease, throttled(0.0))

    assert isinstance(both.admit(), RedisLease)


def test_a_probe_whose_response_has_no_usage_is_soon_followed_by_another_by_both_rules(client: Any) -> None:
    both = BothRules(client, None, None)
    for _ in range(200):
        lease = both.admit()
        assert isinstance(lease, RedisLease)
        both.report(lease, accepted(Usage(UsageMetric(0.0))))

    assert both.admit() == 10.0
    both.wait(10.0)
    probe = both.admit()
    assert isinstance(probe, RedisLease)
    both.report(probe, accepted(None))
    assert both.admit() == 10.0
    both.wait(10.0)
    assert isinstance(both.admit(), RedisLease)


@pytest.mark.parametrize(("scope", "throttled_ids"), [("waba", [None]), ("app", [A, None]), ("token", [A, None])])
def test_what_is_no_account_is_limited_by_the_app_and_by_cooldowns_alone(
    client: Any, scope: Scope, throttled_ids: list[str | None]
) -> None:
    both = BothRules(client, 1, 4)
    for _ in range(2):
        lease = both.admit(None)
        assert isinstance(lease, RedisLease)
        both.report(lease, accepted(Usage(UsageMetric(100.0, 100.0, 900.0))))
    lease = both.admit(None)
    assert isinstance(lease, RedisLease)
    both.report(lease, throttled(30.0, scope=scope))

    for waba_id in (A, None):
        assert isinstance(both.admit(waba_id), float) == (waba_id in throttled_ids)
    assert not client.exists(f"{BASE}waba:None")


# What only Redis has: leases that expire, reports that come late or twice, memory that is lost


@pytest.fixture
def rule(client: Any) -> LuaRule:
    return LuaRule(client, quota=1)


def test_a_call_that_nobody_reported_is_used_from_when_its_lease_expires(rule: LuaRule) -> None:
    rule.admitted()

    rule.now = 300.0
    assert rule.admit() == 3660.0

    rule.now = 3960.0
    assert isinstance(rule.admit(), RedisLease)


@pytest.mark.parametrize(("result", "used"), [("accepted", 1), ("throttled", 1), ("lost", 1), ("unsent", 0)])
def test_a_report_after_its_lease_has_expired_takes_the_place_of_the_lost_call(
    client: Any, result: Any, used: int
) -> None:
    rule = LuaRule(client)
    lease = rule.admitted()
    rule.now = 400.0
    rule.admit(B)
    rule.admit(ahead=1)  # this sees the expired lease

    for _ in range(2):
        rule.report(lease, Report(result, None, "waba"))

    for name in ("app", f"waba:{A}"):
        assert client.zcount(f"{BASE}{name}:log", "-inf", "inf") == used
    assert isinstance(rule.admit(), float) == (result == "throttled")


# Processes that die, or are silent


@pytest.fixture
def dead(client: Any) -> LuaRule:
    """A process that has called twice, has one more call in flight, and then sends nothing more."""
    dead = LuaRule(client, process="dead")
    dead.now = 100.0
    dead.admitted()
    return dead


@pytest.mark.parametrize("asked_after", [0.0, 4.0, 9.0])
def test_a_fresh_account_of_a_dead_process_is_free_in_seconds_and_a_wait_says_when(
    client: Any, dead: LuaRule, asked_after: float
) -> None:
    rule = LuaRule(client, process="alive")
    rule.now = dead.now + asked_after

    assert rule.admit() == 1.0
    over = float(rule.over or 1.0)
    assert over == 10.0 - asked_after

    rule.now += over - 0.5
    assert isinstance(rule.admit(), float)
    rule.now += 0.5
    assert isinstance(rule.admit(), RedisLease)
    assert client.zcard(f"{BASE}waba:{A}:log") == 1


def test_a_process_that_sends_messages_keeps_its_leases_for_300_s(client: Any) -> None:
    owner, rule = LuaRule(client, process="owner"), LuaRule(client, process="alive")
    owner.admitted()
    for now in range(5, 300, 5):
        owner.now = rule.now = float(now)
        owner.run()
        assert rule.admit() == 1.0

    rule.now = 300.0
    assert isinstance(rule.admit(), RedisLease)


def test_a_call_in_flight_of_the_own_process_may_end_at_any_moment(client: Any) -> None:
    rule = LuaRule(client)
    rule.admitted()

    assert (rule.admit(), rule.over) == (1.0, "")


def test_of_many_calls_in_flight_so_many_have_to_end_as_let_one_more_go(client: Any) -> None:
    rules = [LuaRule(client, process=name) for name in ("first", "second", "third")]
    for rule in rules[:2]:  # each response lets one more call be in flight
        rule.report(rule.admitted(), accepted(None))
    for now, rule in zip((0.0, 3.0, 6.0), rules, strict=True):
        rule.now = now
        rule.admitted()
    rule = LuaRule(client, process="alive")
    rule.now = 8.0

    assert (rule.admit(), rule.over) == (1.0, "2")


def test_where_others_call_too_all_calls_of_a_dead_process_have_to_end(client: Any) -> None:
    dead, rule = LuaRule(client, process="dead"), LuaRule(client, process="alive")
    dead.report(dead.admitted(), accepted(Usage(UsageMetric(60.0))))
    dead.now = 61.0
    dead.admitted()
    rule.now = 62.0

    assert (rule.admit(), rule.over) == (1.0, "9")
    rule.now = 71.0
    assert isinstance(rule.admit(), RedisLease)


def test_a_process_that_was_silent_and_is_alive_counts_its_calls_once(client: Any) -> None:
    silent, rule = LuaRule(client, quota=3, process="silent"), LuaRule(client, quota=3, process="alive")
    silent.report(silent.admitted(), accepted())
    lease = silent.admitted()
    rule.now = silent.now = 20.0
    rule.report(rule.admitted(), accepted())
    silent.report(lease, accepted())

    assert client.zcard(f"{BASE}waba:{A}:log") == 3
    assert client.zcard(f"{BASE}app:log") == 3
    assert rule.admit() == 3640.0


@pytest.mark.parametrize("result", ["accepted", "throttled", "lost", "unsent"])
def test_a_report_that_comes_twice_counts_once(client: Any, result: Any) -> None:
    rule = LuaRule(client)
    lease, report = rule.admitted(), Report(result, None, "waba")
    rule.report(lease, report)
    known = {key: client.hgetall(key) for key in client.keys("*:waba:*1")}

    rule.report(lease, report)

    assert {key: client.hgetall(key) for key in client.keys("*:waba:*1")} == known
    assert client.zcard(f"{BASE}waba:{A}:log") == (0 if result == "unsent" else 1)


def test_a_late_report_counts_from_when_the_response_came(rule: LuaRule) -> None:
    lease = rule.admitted()
    rule.now = 200.0

    rule.report(lease, accepted(), age=150.0)

    assert rule.admit() == 50.0 + 3660.0 - 200.0


def test_calls_that_redis_forgot_or_never_knew_count_when_they_are_reported(client: Any) -> None:
    rule = LuaRule(client, quota=2)
    lease = rule.admitted()
    client.flushall()
    rule.now = 100.0

    rule.report(lease, accepted())
    rule.report(RedisLease(A, "t", 90.0, "of this process alone"), accepted())

    assert rule.admit() == 3660.0


def test_calls_that_come_together_go_in_order(client: Any) -> None:
    rule = LuaRule(client, quota=2)
    calls = [{"waba": A, "token": "t", "lease": f"lease-{number}", "ahead": 0} for number in range(4)]

    assert rule.run(*calls) == ["go", "1", "1", "1"]


def test_absurd_usage_stops_nothing_but_calls(client: Any) -> None:
    rule = LuaRule(client)
    rule.report(rule.admitted(), accepted(Usage(UsageMetric(1e308, 1e308, 1e308), UsageMetric(1e308))))

    rule.now = 1.0
    assert rule.admit() == 86_400.0


def test_each_of_the_calls_that_come_together_learns_when_it_can_go_itself(client: Any) -> None:
    rule = LuaRule(client, quota=2)
    for now in (0.0, 10.0):
        rule.now = now
        rule.report(rule.admitted(), accepted())
    calls = [{"waba": A, "token": "t", "lease": f"lease-{number}", "ahead": 0} for number in range(2)]

    assert rule.run({"waba": B, "token": "t", "lease": "another", "ahead": 0}, *calls) == ["go", "3650", "3660"]


def test_a_call_of_this_process_alone_counts_once_as_well(client: Any) -> None:
    rule, lease = LuaRule(client), RedisLease(A, "t", 0.0, "of this process alone")
    for _ in range(2):
        rule.report(lease, accepted(None))

    assert client.hget(f"{BASE}waba:{A}", "without_usage") == "1"


def test_a_call_behind_others_only_learns_when_it_can_go(client: Any) -> None:
    rule = LuaRule(client)
    call = {"waba": A, "token": "t", "lease": "a-lease", "ahead": 1}

    assert rule.run(call) == ["0"]
    assert client.exists(f"{BASE}waba:{A}:leases") == 0


def test_every_key_expires_and_none_has_a_token(client: Any) -> None:
    rule = LuaRule(client)
    rule.now = 1.0
    rule.report(rule.admitted(), Report("throttled", Usage(retry_after_seconds=90_000.0), "token"))
    rule.admitted(B, "u")

    ttls = {key: client.ttl(key) for key in client.scan_iter()}

    kinds = {f"{BASE}{name}" for name in ("epoch", "app", f"waba:{A}", f"waba:{B}", "token:t")}
    assert kinds <= set(ttls)
    assert f"{BASE}token:u" not in ttls
    assert all(3600 < ttl <= 30 * 86_400 for ttl in ttls.values())
    assert ttls[f"{BASE}token:t"] > 90_000


def test_all_keys_of_an_app_are_of_one_slot_of_a_cluster(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, **{"cluster-enabled": "yes"})
    server.start()
    try:
        with connect(server) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            while "cluster_state:ok" not in str(client.execute_command("CLUSTER", "INFO")):
                time.sleep(0.01)
            rule = LuaRule(client)
            rule.report(rule.admitted(A), Report("throttled", None, "token"))
            rule.admitted(B, "u")
            assert len({client.execute_command("CLUSTER", "KEYSLOT", key) for key in client.scan_iter()}) == 1
    finally:
        server.kill()


def test_an_absurd_cooldown_is_kept_for_a_month(client: Any) -> None:
    rule = LuaRule(client)
    rule.report(rule.admitted(), Report("throttled", Usage(retry_after_seconds=1e300), "waba"))

    assert client.ttl(f"{BASE}waba:{A}") == 30 * 86_400


def test_it_goes_by_the_clock_of_redis(client: Any) -> None:
    message = BatchEncoder(BASE).message([], [], "nonce", 0.0) | {
        "admissions": [{"waba": A, "token": "t", "lease": "a-lease"}]
    }

    client.eval(SCRIPT, 0, json.dumps(message))

    seconds, micros = client.time()
    assert client.zscore(f"{BASE}waba:{A}:leases", "a-lease") == pytest.approx(seconds + micros / 1e6, abs=30.0)


# What another program writes to the same Redis


BUDGETS = ["app", f"waba:{A}", "unassigned", "token:t"]
DAMAGEABLE = ["epoch", "processes", *(f"{name}{part}" for name in BUDGETS for part in ("", ":log", ":leases"))]
ODD_NUMBERS = ["nan", "-nan", "inf", "-inf", "1e308", "-1e308", "-1", "0", "1e15", "0x10", "9" * 400, "", "1.5.", "\0"]
FIELDS = [
    *("max_in_flight", "proven", "others", "without_usage", "percent_step", "percent", "cooldowns", "last_sent"),
    *("usage_at", "usage_sent", "cooldown_from", "cooldown_until", "server_cooldown_until", "reset_at"),
    # Names that the script has for other things, and one that it does not know.
    *("log", "leases", "size", "in_flight", "quota", "quotas", "fixed", "certain", "exists", "was", "key", "unknown"),
]
SCORES = st.sampled_from([-math.inf, math.inf, -1e308, 1e308, -1.0, 0.0, 99.0, 1e9])
FOREIGN = st.one_of(
    st.text(max_size=80) | st.binary(max_size=80),
    st.lists(st.text(max_size=5), min_size=1, max_size=3),
    st.sets(st.text(max_size=5), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(ODD_NUMBERS) | st.text(max_size=9), min_size=1),
    st.dictionaries(st.text(max_size=5) | st.binary(max_size=5), SCORES, min_size=1, max_size=9).map(list),
    st.lists(st.tuples(st.text(max_size=5) | st.binary(max_size=5), SCORES), min_size=1, max_size=300),
)


def damage(client: Any, key: str, value: Any) -> None:
    """Write to a key as another program might."""
    client.delete(key)
    match value:
        case dict():
            client.hset(key, mapping=value)
        case set():
            client.sadd(key, *value)
        case [(_, _), *_]:
            client.zadd(key, dict(value))
        case list():
            client.rpush(key, *value)
        case _:
            client.set(key, value)


def use(rule: LuaRule, waba_id: str | None, seconds: float) -> float:
    """Make calls until one is admitted or a time is over; returns how long that took."""
    began = rule.now
    while rule.now <= began + seconds:
        lease = rule.admit(waba_id)
        if isinstance(lease, RedisLease):
            rule.report(lease, accepted())
            break
        assert 0.0 <= lease < math.inf
        rule.now += max(lease, 0.5)
    return rule.now - began


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(DAMAGEABLE), value=FOREIGN)
def test_whatever_another_program_writes_to_a_key_affects_that_key_alone(client: Any, name: str, value: Any) -> None:
    # given
    client.flushall()
    rule = LuaRule(client)
    rule.now = 100.0
    for waba_id in (A, B, None):
        rule.report(rule.admitted(waba_id), accepted())
    rule.report(rule.admitted(), throttled(1.0, scope="token"))
    rule.now = 102.0
    mine = {key: client.dump(key) for key in client.keys(f"{BASE}waba:{B}*")}
    # when
    damage(client, BASE + name, value)
    lease = rule.admit(B, "u")
    # then: another account goes on, if not at once then as soon as the quota of the app allows it
    assert name.startswith("app") or isinstance(lease, RedisLease)
    assert {key: client.dump(key) for key in mine if not key.endswith(B)} == {
        key: dump for key, dump in mine.items() if not key.endswith(B)
    }
    # and the account itself waits for a day at most
    assert use(rule, A, 86_400.0) <= 86_400.0 + 3660.0
    assert use(rule, None, 86_400.0) <= 86_400.0 + 3660.0
    assert set(rule.damaged) <= {BASE + name}
    rule.run()
    assert rule.damaged == []


@pytest.mark.parametrize("part", ["", ":log", ":leases"])
def test_a_damaged_key_loses_no_call_that_its_process_still_reports(client: Any, part: str) -> None:
    rule = LuaRule(client, quota=2)
    first, second = rule.admitted(), RedisLease(A, "t", 0.0, "another")
    client.set(f"{BASE}waba:{A}{part}", "what another program wrote")
    rule.now = 1.0

    rule.report(first, accepted())
    rule.report(second, accepted())

    assert rule.admit() == 3660.0


@pytest.mark.parametrize("part", ["", ":log", ":leases"])
def test_a_clock_of_redis_that_goes_back_stops_calls_for_no_longer_than_the_hour(client: Any, part: str) -> None:
    rule = LuaRule(client, quota=1)
    rule.now = 1e6
    lease = rule.admitted()
    if part != ":leases":
        rule.report(lease, accepted())

    rule.now = 1000.0

    assert use(rule, A, 3660.0) <= 3660.0 + 300.0


def test_a_budget_that_another_program_fills_up_begins_to_empty_at_once(client: Any) -> None:
    rule = LuaRule(client, quota=200)
    client.zadd(f"{BASE}waba:{A}:log", {f"call-{number}": math.inf for number in range(2500)})
    rule.now = 10.0
    for _ in range(3):
        rule.admit()

    assert client.zcount(f"{BASE}waba:{A}:log", "(10", "inf") == 0


# The throttle


@pytest.fixture
async def make(server: RedisServer, client: Any) -> AsyncIterator[Callable[..., RedisThrottle]]:
    """Makes throttles of one app, each as if in its own process, and with a long timeout for slow machines."""
    del client  # which has emptied Redis
    made = list[RedisThrottle]()

    def make(**settings: Any) -> RedisThrottle:
        made.append(RedisThrottle(server.url, app_id="555", timeout=10.0, **settings))
        return made[-1]

    yield make
    for throttle in made:
        await throttle.aclose()


async def admitted(throttle: RateLimiter, waba_id: str | None = A, *, max_wait: float = 30.0, **how: Any) -> Lease:
    lease = await throttle.admit(waba_id, "t", max_wait=max_wait, **how)
    assert isinstance(lease, Lease)
    return lease


async def call(throttle: RateLimiter, waba_id: str | None = A, report: Report | None = None) -> float:
    return throttle.report(await admitted(throttle, waba_id), report or accepted())


async def begin_cooldown(throttle: RateLimiter, seconds: float, scope: Scope = "waba") -> float:
    return await call(throttle, report=throttled(seconds, scope=scope))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def until_sent(throttle: RedisThrottle) -> None:
    """Wait until Redis has every report of this process."""
    await until(lambda: not throttle._ledger.pending and throttle._batchers.get()._task is None)


def script_runs(client: Any) -> int:
    stats = client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("eval", "evalsha"))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"url": "http://127.0.0.1"}, "url must be the address of a Redis"),
        ({"url": "redis://:pass/word@127.0.0.1"}, "url must be the address of a Redis"),
        ({"url": "redis://127.0.0.1?unknown=1"}, "url must be the address of a Redis"),
        ({"url": None}, "url must be the address of a Redis"),
        ({"app_id": "an app"}, "app_id must be the id of the app"),
        ({"quota": 0}, "quota must be a whole number from 1 up"),
        ({"app_quota": 1.5}, "app_quota must be a whole number from 1 up"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0"),
        ({"prefix": "{a}"}, "prefix must be a word without braces"),
        ({"prefix": 1}, "prefix must be a word without braces"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], text: str) -> None:
    arguments: dict[str, Any] = {"url": "redis://127.0.0.1", "app_id": "555"} | settings
    with pytest.raises(InvalidArgumentError, match=f"^{text}") as caught:
        RedisThrottle(**arguments)
    assert caught.value.__context__ is None
    assert "word@" not in "".join(traceback.format_exception(caught.value))


async def test_many_throttles_keep_one_quota(make: Callable[..., RedisThrottle]) -> None:
    throttles = [make(quota=10) for _ in range(3)]
    for number in range(10):
        await call(throttles[number % 3])
        await until_sent(throttles[number % 3])  # or the next would try again after a second

    for throttle in throttles:
        wait = await throttle.admit(A, "t", max_wait=3600.0)
        assert isinstance(wait, float)
        assert 3600.0 < wait <= 3660.0
        await call(throttle, B)
        await until_sent(throttle)


async def test_the_quota_of_the_app_is_for_all_accounts(make: Callable[..., RedisThrottle]) -> None:
    throttles = [make(app_quota=2) for _ in range(2)]
    await asyncio.gather(call(throttles[0], A), call(throttles[1], B))

    assert isinstance(await throttles[0].admit(B, "t", max_wait=0.0), float)


async def test_a_call_costs_one_round_trip_and_its_report_goes_with_the_next(
    make: Callable[..., RedisThrottle], client: Any
) -> None:
    throttle = make()
    await call(throttle)
    before = script_runs(client)

    for _ in range(20):
        await call(throttle)

    assert script_runs(client) - before <= 21  # a report goes by itself where the machine stood still
    assert client.zcard(f"{KEYS}waba:{A}:log") >= 20


async def test_many_calls_at_once_share_their_round_trips(make: Callable[..., RedisThrottle], client: Any) -> None:
    throttle = make()
    await call(throttle)
    before = script_runs(client)

    await asyncio.gather(*(call(throttle) for _ in range(50)))

    assert script_runs(client) - before < 25


async def test_a_report_goes_by_itself_where_no_call_follows(make: Callable[..., RedisThrottle], client: Any) -> None:
    throttle = make()
    lease = await admitted(throttle)

    throttle.report(lease, accepted())
    throttle.report(await admitted(throttle, B), accepted())

    await until(lambda: client.zcard(f"{KEYS}waba:{B}:log") == 1)


@pytest.mark.parametrize(
    ("scope", "same", "other_account", "other_token"),
    [("waba", True, False, True), ("app", True, True, True), ("token", True, True, False)],
)
async def test_the_scope_says_what_has_a_cooldown_everywhere(
    make: Callable[..., RedisThrottle], scope: Scope, *, same: bool, other_account: bool, other_token: bool
) -> None:
    here, there = make(), make()
    await call(there, B)
    assert await begin_cooldown(here, 900.0, scope) == pytest.approx(900.0)
    await until(lambda: not here._ledger.pending)

    for waba_id, token, is_throttled in ((A, "t", same), (B, "t", other_account), (A, "u", other_token)):
        decision = await there.admit(waba_id, token, max_wait=0.0)
        assert isinstance(decision, float) == is_throttled
        if isinstance(decision, float):
            assert 800.0 < decision <= 900.0


async def test_calls_on_what_is_no_account_share_the_apps_quota_and_a_cooldown_of_their_own(
    make: Callable[..., RedisThrottle],
) -> None:
    here, there = make(app_quota=10, quota=1), make(app_quota=10, quota=1)
    await call(there, B)
    for _ in range(3):
        await call(here, None, accepted(Usage(app=UsageMetric(30.0))))
    assert here.last_usage(None) == Usage(app=UsageMetric(30.0))
    assert await call(here, None, throttled(900.0)) == pytest.approx(900.0)
    await until_sent(here)

    wait = await there.admit(None, "t", max_wait=0.0)
    assert isinstance(wait, float)
    assert 800.0 < wait <= 900.0
    assert isinstance(await there.admit(A, "t", max_wait=0.0), Lease)


async def test_what_waits_for_one_account_goes_in_order(make: Callable[..., RedisThrottle]) -> None:
    throttle, went = make(), list[int]()

    async def go(number: int) -> None:
        await call(throttle)
        went.append(number)

    await begin_cooldown(throttle, 0.3)
    await asyncio.gather(*(go(number) for number in range(20)))

    assert went == list(range(20))


async def test_a_throttled_call_goes_first_and_alone(make: Callable[..., RedisThrottle]) -> None:
    throttle = make()
    await begin_cooldown(throttle, 1.0)  # all have begun to wait by its end, also on a busy machine
    others = [asyncio.create_task(admitted(throttle)) for _ in range(3)]
    probe = await admitted(throttle, is_probe=True)
    await asyncio.sleep(0.1)
    assert not any(other.done() for other in others)

    throttle.report(probe, accepted())

    assert len(await asyncio.gather(*others)) == 3


async def test_the_response_to_a_call_of_this_process_ends_the_wait_for_it(make: Callable[..., RedisThrottle]) -> None:
    throttle = make()
    first = await admitted(throttle)
    second = asyncio.create_task(admitted(throttle))
    await until(lambda: throttle._batchers.get().queue(A).length == 1)
    began = asyncio.get_running_loop().time()

    throttle.report(first, accepted())

    assert (await second).since - began < 0.9  # it would have tried again after a second


async def test_a_call_that_waits_ends_when_a_cooldown_makes_the_wait_too_long(
    make: Callable[..., RedisThrottle],
) -> None:
    throttle = make()
    first = await admitted(throttle)
    second = asyncio.create_task(throttle.admit(A, "t", max_wait=10.0))
    await until(lambda: throttle._batchers.get().queue(A).length == 1)

    throttle.report(first, Report("throttled", scope="waba"))

    wait = await second
    assert isinstance(wait, float)
    assert 50.0 < wait <= 60.0


async def test_a_call_that_waits_can_be_cancelled_and_the_next_goes(make: Callable[..., RedisThrottle]) -> None:
    throttle = make()
    await begin_cooldown(throttle, 0.3)
    waiting = [asyncio.create_task(admitted(throttle)) for _ in range(3)]
    await until(lambda: throttle._batchers.get().queue(A).length == 3)

    waiting[0].cancel()
    waiting[1].cancel()

    assert isinstance(await waiting[2], Lease)
    assert throttle._batchers.get().queue(A).length == 0


@pytest.mark.parametrize("passes", range(12))
async def test_a_call_that_is_cancelled_before_it_is_admitted_leaves_no_lease(
    make: Callable[..., RedisThrottle], client: Any, passes: int
) -> None:
    throttle = make()
    await call(throttle)
    admission = [asyncio.create_task(throttle.admit(A, "t", max_wait=0.0)) for _ in range(2)]
    for _ in range(passes):
        await asyncio.sleep(0)

    for task in admission:
        task.cancel()
    results = await asyncio.gather(*admission, return_exceptions=True)
    for lease in results:
        if isinstance(lease, Lease):
            throttle.report(lease, Report("unsent"))

    await throttle.aclose()
    assert client.zcard(f"{KEYS}waba:{A}:leases") == 0
    assert client.zcard(f"{KEYS}waba:{A}:log") == 1


async def test_a_lease_that_comes_for_a_call_that_has_just_been_cancelled_is_given_back(
    make: Callable[..., RedisThrottle], client: Any
) -> None:
    throttle = make()
    await call(throttle)
    batcher = throttle._batchers.get()
    settled = batcher._settle

    def settle_and_cancel(*how: Any) -> None:
        settled(*how)
        admission.cancel()

    batcher._settle = settle_and_cancel  # type: ignore[method-assign, assignment]  # to cancel at just this moment
    admission = asyncio.create_task(throttle.admit(A, "t", max_wait=0.0))
    with pytest.raises(asyncio.CancelledError):
        await admission

    await throttle.aclose()
    assert client.zcard(f"{KEYS}waba:{A}:leases") == 0


async def test_a_response_for_a_call_that_was_cancelled_changes_nothing(
    make: Callable[..., RedisThrottle], client: Any
) -> None:
    throttle = make()
    await begin_cooldown(throttle, 900.0)
    await until_sent(throttle)
    client.client_pause(200)
    admission = asyncio.create_task(throttle.admit(A, "t", max_wait=1000.0))
    await settle()

    admission.cancel()
    await until(lambda: throttle._batchers.get()._task is None)

    assert throttle._batchers.get().queue(A).length == 0


async def test_closing_sends_the_pending_reports_and_it_can_be_used_again(
    make: Callable[..., RedisThrottle], client: Any
) -> None:
    async with make() as throttle:
        assert repr(throttle) == "RedisThrottle(app_id='555')"
        for _ in range(3):
            await call(throttle)
    assert client.zcard(f"{KEYS}waba:{A}:log") == 3
    assert throttle.last_usage(A) == READ
    assert not throttle._batchers.by_loop

    await call(throttle)
    await throttle.aclose()
    await throttle.aclose()
    assert client.zcard(f"{KEYS}waba:{A}:log") == 4


def test_each_loop_has_a_connection_of_its_own(server: RedisServer, client: Any) -> None:
    throttle = RedisThrottle(server.url, app_id="555", quota=3, timeout=10.0)

    async def main(*, close: bool) -> None:
        await call(throttle)
        if close:
            await throttle.aclose()

    asyncio.run(main(close=True))
    asyncio.run(main(close=True))
    assert client.zcard(f"{KEYS}waba:{A}:log") == 2


async def test_a_call_that_waits_while_it_is_closed_opens_it_again(make: Callable[..., RedisThrottle]) -> None:
    throttle = make()
    await begin_cooldown(throttle, 0.3)
    waiting = asyncio.create_task(admitted(throttle))
    await until(lambda: throttle._batchers.get().queue(A).length == 1)

    await throttle.aclose()

    lease = await waiting
    assert isinstance(lease, RedisLease)
    assert lease.epoch


def test_what_is_due_within_a_second_is_polled_before_and_less_and_less_often() -> None:
    now, wait, polls = 100.0, FIRST_POLL_SECONDS, list[float]()
    while now < 101.0:
        now, wait = next_poll(101.0, now, wait)
        polls.append(round(now - 100.0, 2))
    assert polls == [0.02, 0.06, 0.14, 0.3, 0.62, 1.0]


def test_what_is_due_later_is_polled_when_it_is_due() -> None:
    assert next_poll(160.0, 100.0, 0.64) == (160.0, FIRST_POLL_SECONDS)


# Clocks that differ: only that of Redis counts


class SkewedLoop(asyncio.SelectorEventLoop):
    """A loop of a machine whose clock is wrong by `skew` seconds."""

    skew = 0.0

    def time(self) -> float:
        return super().time() + self.skew


@attrs.define
class Machine:
    """A process on a machine of its own."""

    throttle: RedisThrottle
    runner: asyncio.Runner

    @classmethod
    def with_clock(cls, server: RedisServer, skew: float, **settings: Any) -> "Machine":
        def make_loop() -> SkewedLoop:
            loop = SkewedLoop()
            loop.skew = skew
            return loop

        throttle = RedisThrottle(server.url, app_id="555", timeout=10.0, **settings)
        return cls(throttle, asyncio.Runner(loop_factory=make_loop))

    def admit(self, waba_id: str = A) -> Lease | float:
        return self.runner.run(self.throttle.admit(waba_id, "t", max_wait=0.0))

    def report(self, lease: Lease, report: Report) -> float:
        async def main() -> float:
            seconds = self.throttle.report(lease, report)
            await until_sent(self.throttle)
            return seconds

        return self.runner.run(main())

    def close(self) -> None:
        self.runner.run(self.throttle.aclose())
        self.runner.close()


SKEWS = [0.0, 90.0, -7200.0, 86_400.0, -3e6, 1e9]


@pytest.fixture
def machines(server: RedisServer, client: Any) -> Iterator[Callable[..., list[Machine]]]:
    """Makes one machine for each clock."""
    del client  # which has emptied Redis
    made = list[Machine]()

    def make(**settings: Any) -> list[Machine]:
        made.extend(Machine.with_clock(server, skew, **settings) for skew in SKEWS)
        return made

    yield make
    for machine in made:
        machine.close()


def test_processes_whose_clocks_differ_keep_one_quota(machines: Callable[..., list[Machine]]) -> None:
    made, admitted = machines(quota=15), 0
    for machine in made * 4:
        lease = machine.admit()
        if isinstance(lease, Lease):
            machine.report(lease, accepted())
            admitted += 1

    assert admitted == 15
    for machine in made:
        wait = machine.admit()
        assert isinstance(wait, float)
        assert 3600.0 < wait <= 3660.0


@pytest.mark.parametrize("first", range(len(SKEWS)))
def test_a_cooldown_lasts_as_long_by_every_clock(machines: Callable[..., list[Machine]], first: int) -> None:
    made = machines()
    lease = made[first].admit()
    assert isinstance(lease, Lease)
    assert made[first].report(lease, throttled(900.0)) == pytest.approx(900.0)

    for machine in made:
        wait = machine.admit()
        assert isinstance(wait, float)
        assert 800.0 < wait <= 900.1


def test_a_call_in_flight_is_one_by_every_clock(machines: Callable[..., list[Machine]]) -> None:
    owner, *others = machines()
    lease = owner.admit()
    assert isinstance(lease, Lease)

    for machine in others:
        wait = machine.admit()
        assert isinstance(wait, float)
        assert 0.0 < wait <= 10.0
    owner.report(lease, accepted())
    for machine in others:
        assert isinstance(machine.admit(), Lease)


def test_reports_of_an_outage_count_from_when_they_were_made_by_every_clock(
    machines: Callable[..., list[Machine]], client: Any
) -> None:
    made = machines(quota=len(SKEWS))
    for machine in made:
        lease = machine.admit()
        assert isinstance(lease, Lease)
        machine.report(lease, accepted())
    client.flushall()
    for machine in made:  # Redis has forgotten everything, and each process reports its hour again
        lease = machine.admit(B)
        assert isinstance(lease, Lease)
        machine.report(lease, Report("unsent"))

    seconds, _ = client.time()
    ended = client.zrange(f"{KEYS}waba:{A}:log", 0, -1, withscores=True)
    assert len(ended) == len(SKEWS)
    assert all(seconds - 60.0 < at <= seconds + 1.0 for _, at in ended)


@given(
    skew=st.floats(-1e9, 1e9),
    times=st.lists(st.floats(0.0, 3600.0), min_size=3, max_size=3).map(sorted),
    report=st.builds(Report, st.sampled_from(["accepted", "throttled", "lost", "unsent"]), USAGES, st.just("waba")),
)
def test_no_message_to_redis_depends_on_the_clock_of_its_process(
    skew: float, times: list[float], report: Report
) -> None:
    def message(skew: float) -> Any:
        since, at, now = (time + skew for time in times)
        sent = LeaseReport(RedisLease(A, "t", since, "a-lease", "an-epoch"), report, at)
        return BatchEncoder(BASE).message([], [sent], "a-nonce", now)

    here, there = message(0.0), message(skew)
    for name in ("age", "sent_age"):
        assert here["reports"][0].pop(name) == pytest.approx(there["reports"][0].pop(name), abs=1e-5)
    assert here == there


# Redis is away, or slow


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is tried again after 0.05 s, not after a second."""
    monkeypatch.setattr(breaker_module, "_FIRST_DELAY_SECONDS", 0.05)
    monkeypatch.setattr(batches_module, "_FLUSH_AGAIN_SECONDS", 0.05)


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that may be killed."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records if record.name == "wa_phone_async"]


@pytest.mark.usefixtures("soon")
async def test_calls_go_on_while_redis_is_away_and_it_gets_their_reports_when_it_is_back(
    fragile: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "wa_phone_async")
    async with RedisThrottle(fragile.url, app_id="555", quota=50, timeout=10.0) as throttle:
        for _ in range(10):
            await call(throttle)
        fragile.kill()
        for _ in range(10):
            await call(throttle)
        assert levels(caplog) == ["WARNING"]

        fragile.start()
        while throttle._breaker.is_open:
            await call(throttle, B)
            await asyncio.sleep(0.05)
        await until(lambda: not throttle._ledger.pending)

        assert levels(caplog) == ["WARNING", "INFO"]
        # Redis had forgotten everything, and got all reports again.
        with connect(fragile) as client:
            await until(lambda: client.zcard(f"{KEYS}waba:{A}:log") == 20)
            await until(lambda: client.zcard(f"{KEYS}waba:{A}:leases") == 0)


@pytest.mark.usefixtures("soon")
async def test_pending_reports_bring_redis_back_without_any_call(
    fragile: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with RedisThrottle(fragile.url, app_id="555", timeout=10.0) as throttle:
        lease = await admitted(throttle)
        fragile.kill()
        throttle.report(lease, accepted())
        await until(lambda: throttle._breaker.is_open)
        fragile.start()

        await until(lambda: not throttle._ledger.pending and not throttle._breaker.is_open)

        assert levels(caplog) == ["WARNING"]


@pytest.mark.usefixtures("soon")
@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks start eagerly from Python 3.12 on")
async def test_with_eager_tasks_redis_is_tried_again_after_a_failed_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # given: connecting to a socket that does not exist fails at once, before the task could wait for anything
    caplog.set_level("INFO", "wa_phone_async")
    asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009 - not in 3.11
    path = tmp_path / "socket"
    server = RedisServer(tmp_path, unixsocket=str(path))
    async with RedisThrottle(f"unix://{path}", app_id="555", timeout=10.0) as throttle:
        for _ in range(3):
            await call(throttle)
        assert levels(caplog) == ["WARNING"]
        # when
        server.start()
        try:
            while throttle._breaker.is_open:
                await call(throttle)
                await asyncio.sleep(0.05)
            await call(throttle)
            await until_sent(throttle)
            # then
            assert levels(caplog) == ["WARNING", "INFO"]
            with connect(server) as client:
                assert client.zcard(f"{KEYS}waba:{A}:log") >= 5
        finally:
            server.kill()


async def test_what_waits_goes_on_when_redis_dies(fragile: RedisServer) -> None:
    async with RedisThrottle(fragile.url, app_id="555", timeout=10.0) as throttle:
        await begin_cooldown(throttle, 0.5)
        waiting = [asyncio.create_task(call(throttle)) for _ in range(5)]
        await until(lambda: throttle._batchers.get().queue(A).length == 5)

        fragile.kill()

        await asyncio.gather(*waiting)
        assert await begin_cooldown(throttle, 900.0) == pytest.approx(900.0)
        assert isinstance(await throttle.admit(A, "t", max_wait=0.0), float)


async def test_without_redis_calls_that_come_later_wait_behind(caplog: pytest.LogCaptureFixture) -> None:
    throttle = RedisThrottle("redis://127.0.0.1:1", app_id="555", quota=3, timeout=10.0)
    await call(throttle)
    await call(throttle)
    last = await admitted(throttle)
    waiting = asyncio.create_task(throttle.admit(A, "t", max_wait=4000.0))
    await settle()
    assert throttle._batchers.get().queue(A).length == 1
    assert isinstance(await throttle.admit(A, "t", max_wait=3600.0), float)
    throttle.report(last, Report("lost"))
    await settle()
    assert throttle._batchers.get().queue(A).length == 1

    waiting.cancel()
    await asyncio.wait([waiting])
    await throttle.aclose()
    outage, wait = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert outage.startswith("Redis does not respond (ConnectionError).")
    assert wait.startswith("Waiting 3,6")


async def test_reports_that_could_not_be_sent_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "_FLUSH_SECONDS", 60.0)  # no report goes by itself
    throttle = RedisThrottle("redis://127.0.0.1:1", app_id="555", timeout=10.0)
    throttle.report(RedisLease(B, "t", 0.0, "a-lease"), accepted())

    await call(throttle)

    assert [report.lease.waba_id for report in throttle._ledger.pending] == [B, A]
    await throttle.aclose()


@asynccontextmanager
async def silent_server(response: bytes = b"") -> AsyncIterator[int]:
    """A server that accepts connections and sends nothing, or always the same."""
    writers = list[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while await reader.read(4096):
            writer.write(response)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.close()


async def test_a_redis_that_never_responds_costs_its_time_limit_once(caplog: pytest.LogCaptureFixture) -> None:
    async with silent_server() as port:
        throttle = RedisThrottle(f"redis://127.0.0.1:{port}", app_id="555")
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(5):
            await call(throttle)
        assert loop.time() - began >= 0.05
        assert levels(caplog) == ["WARNING"]
        assert "no response within 0.05 s" in caplog.text
        await throttle.aclose()
        assert loop.time() - began < 4.0


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"-ERR no\r\n",
        b":x\r\n",
        b"+OK\r\n",
        b"*0\r\n",
        b"*1\r\n+an-epoch\r\n",
        b"*2\r\n+an-epoch\r\n*0\r\n",
        b"*3\r\n+an-epoch\r\n+none\r\n+go\r\n",
        b"*3\r\n+an-epoch\r\n*0\r\n+never\r\n",
        b"*4\r\n+an-epoch\r\n*0\r\n+go\r\n+go\r\n",
    ],
)
async def test_a_server_that_is_no_redis_is_as_good_as_none(response: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with silent_server(response) as port:
        throttle = RedisThrottle(f"redis://127.0.0.1:{port}", app_id="555", timeout=30.0)
        for _ in range(3):
            await call(throttle)
        await throttle.aclose()
    assert levels(caplog) == ["WARNING"]


async def test_a_call_that_gave_up_before_redis_broke_off_is_left_alone() -> None:
    async with silent_server() as port:
        throttle = RedisThrottle(f"redis://127.0.0.1:{port}", app_id="555", timeout=10.0)
        admission = asyncio.create_task(throttle.admit(A, "t", max_wait=0.0))
        await settle()
        admission.cancel()
        await asyncio.wait([admission])
    await until(lambda: throttle._batchers.get()._task is None)
    await throttle.aclose()
    assert admission.cancelled()


async def test_a_password_is_shown_nowhere(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    password = "an-invented-password"
    throttle = RedisThrottle(server.url.replace("//", f"//anna:{password}@"), app_id="555", timeout=10.0)
    await call(throttle)
    batcher = throttle._batchers.get()

    assert "Redis does not respond (AuthenticationError)" in caplog.text
    for shown in (caplog.text, repr(throttle), repr(vars(throttle)), repr(batcher)):
        assert password not in shown
    await throttle.aclose()


@pytest.mark.usefixtures("soon")
async def test_a_late_response_gives_its_lease_back_and_is_no_recovery(
    server: RedisServer, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with RedisThrottle(server.url, app_id="555", timeout=0.2) as throttle:
        await call(throttle)
        await until_sent(throttle)
        client.client_pause(400)
        lease = await admitted(throttle)
        assert isinstance(lease, RedisLease)
        assert not lease.epoch
        assert throttle._breaker.is_open
        await until(lambda: throttle._batchers.get()._task is None)
        assert throttle._breaker.is_open
        throttle.report(lease, Report("unsent"))
        await until(lambda: not throttle._ledger.pending)
    assert client.zcard(f"{KEYS}waba:{A}:leases") == 0
    assert client.zcard(f"{KEYS}waba:{A}:log") == 1
    assert levels(caplog) == ["WARNING"]


async def test_closing_reports_to_a_redis_that_was_slow_a_moment_ago(
    server: RedisServer, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches_module, "_FLUSH_SECONDS", 60.0)  # no report goes by itself
    async with RedisThrottle(server.url, app_id="555") as throttle:
        client.client_pause(500)
        await call(throttle)
        await until(lambda: throttle._batchers.get()._task is None)
        assert throttle._breaker.is_open
    assert client.zcard(f"{KEYS}waba:{A}:log") == 1
    assert client.zcard(f"{KEYS}waba:{A}:leases") == 0


@pytest.mark.parametrize("name", DAMAGEABLE)
async def test_a_damaged_key_ends_sharing_for_nobody_and_is_warned_of_once(
    make: Callable[..., RedisThrottle], client: Any, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    # given
    here, there = make(quota=20), make(quota=20)
    for throttle in (here, there):
        await call(throttle)
        await call(throttle, None)
        await until_sent(throttle)
    await begin_cooldown(here, 0.0, "token")
    await until_sent(here)
    # when
    for _ in range(2):
        client.delete(KEYS + name)
        client.set(KEYS + name, "what another program wrote")
        for throttle in (here, there):
            for waba_id in (A, B, None):
                await call(throttle, waba_id)
                await until_sent(throttle)
    # then
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "wa_phone_async"]
    assert warning == (
        f"The key {KEYS}{name} in Redis was damaged and begins again, which affects no other key. Another program "
        "writes to it. Give RedisThrottle a prefix= that no other program uses."
    )
    assert not here._breaker.is_open
    assert client.zcard(f"{KEYS}waba:{B}:log") == 4


async def test_a_damaged_log_gets_the_calls_of_the_last_hour_again(
    make: Callable[..., RedisThrottle], client: Any
) -> None:
    throttle = make(quota=10)
    for waba_id in (A, B):
        for _ in range(5):
            await call(throttle, waba_id)
    await until_sent(throttle)
    client.delete(f"{KEYS}waba:{A}:log")
    client.set(f"{KEYS}waba:{A}:log", "what another program wrote")

    await call(throttle)
    await until_sent(throttle)

    assert client.zcard(f"{KEYS}waba:{A}:log") == 6
    assert client.zcard(f"{KEYS}waba:{B}:log") == 5


def test_a_breaker_waits_for_1_to_30_seconds_and_lets_one_try(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "wa_phone_async")
    breaker, now, delays = Breaker(), 0.0, list[float]()
    assert breaker.allows(now)
    assert breaker.allows(now)
    for _ in range(7):
        breaker.failed(now, "it is gone")
        breaker.failed(now, "it is gone")
        began = now
        while not breaker.allows(now):
            now += 0.5
        assert not breaker.allows(now)
        delays.append(now - began)
    assert delays == [1, 2, 4, 8, 16, 30, 30]

    breaker.release()
    assert breaker.allows(now)
    breaker.succeeded()
    breaker.succeeded()
    assert not breaker.is_open
    assert levels(caplog) == ["WARNING", "INFO"]


def test_the_ledger_keeps_an_hour() -> None:
    ledger = Ledger()
    for at in (0.0, 100.0):
        ledger.add(RedisLease(A, "t", at, str(at)), accepted(), at)
    old, new = ledger.take(200.0)
    assert not ledger.mark_sent([old, new], "first", 200.0)
    assert ledger.mark_sent([], "second", 300.0)
    assert ledger.take(3700.0) == [new]

    assert not ledger.mark_sent([new], "second", 3700.0)
    assert not ledger.mark_sent([], "second", 3800.0)
    assert not ledger.mark_sent([], "third", 3800.0)


def test_the_ledger_keeps_the_newest_of_too_many() -> None:
    ledger = Ledger()
    for number in range(10_000):
        ledger.add(RedisLease(A, "t", 0.0, str(number)), accepted(), 1.0)
    taken = ledger.take(1.0)
    ledger.add(RedisLease(A, "t", 0.0, "the newest"), accepted(), 1.0)

    ledger.put_back(taken)
    assert len(ledger.pending) == 10_000
    assert (ledger.pending[0].lease.id, ledger.pending[-1].lease.id) == ("1", "the newest")

    ledger.put_back(taken)
    assert ledger.pending[0].lease.id == "1"


# A client


async def test_a_list_of_many_accounts_goes_on_beside_one_that_is_throttled(make: Callable[..., RedisThrottle]) -> None:
    async with (
        Sandbox(quota=None) as sandbox,
        PhoneNumberClient("an-invented-token", base_url=sandbox.url, throttle=make()) as client,
    ):
        await client.list_phone_numbers(SMALL_WABA)
        sandbox.plan(Fault.error(80008, headers={"Retry-After": "1"}), node=LARGE_WABA)
        # when: one waits for its retry, one for the end of the cooldown, and one behind that
        throttled_ids = [LARGE_WABA] * 3
        async with client.list_many([*throttled_ids, SMALL_WABA, EMPTY_WABA], concurrency=1) as listings:
            went = [listing.waba_id async for listing in listings]
    # then
    assert went == [SMALL_WABA, EMPTY_WABA, *throttled_ids]


async def test_a_list_of_accounts_uses_only_the_quota_of_the_app(
    make: Callable[..., RedisThrottle], client: Any
) -> None:
    events = list[CallFinished]()
    async with (
        Sandbox(app_quota=200, accounts=30) as sandbox,
        PhoneNumberClient("an-invented-token", base_url=sandbox.url, throttle=make(quota=1)) as phones,
    ):
        phones.subscribe(lambda event: events.append(event) if isinstance(event, CallFinished) else None)
        accounts = await phones.list_business_accounts(sandbox.business_id, limit=10)

        assert (len(accounts), len(events)) == (30, 3)
        usage = phones.last_usage(None)
        assert usage is not None
        assert (usage.app is not None, usage.waba) == (True, None)
        assert phones.last_usage(sandbox.business_id) is None
    await until(lambda: client.zcard(f"{KEYS}app:log") == client.zcard(f"{KEYS}unassigned:log") == 3)
    assert client.keys("*:waba:*") == []


# Several processes

# The processes are forks of one, which has imported everything. Each prints how many responses it got.
WORKERS = """
import asyncio, os, sys
from wa_phone_async import PhoneNumberClient, RateLimitError, RetryPolicy
from wa_phone_async.ratelimit.redis import RedisThrottle

async def main(_, url, redis_url, quota, waba_id):
    async with (
        RedisThrottle(redis_url, app_id="555", quota=int(quota) or None, timeout=10.0) as throttle,
        PhoneNumberClient("a-token", base_url=url, throttle=throttle, retry=RetryPolicy(max_wait=5.0)) as client,
    ):
        responses = 0

        async def work():
            nonlocal responses
            while True:
                try:
                    await client.list_phone_numbers(waba_id)
                except RateLimitError as error:
                    assert not error.sent, "it was sent"
                    return
                responses += 1

        await asyncio.gather(*(work() for _ in range(4)))
        os.write(1, b"%d\\n" % responses)  # at once, or lines would mix

children = []
for _ in range(int(sys.argv[1]) - 1):
    if not (child := os.fork()):
        children = []
        break
    children.append(child)
asyncio.run(main(*sys.argv[1:]))
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


@pytest.mark.parametrize(("processes", "quota", "is_known"), [(4, 60, True), (3, 200, False)])
async def test_processes_share_one_quota(
    server: RedisServer, client: Any, processes: int, quota: int, *, is_known: bool
) -> None:
    client.flushall()
    async with Sandbox(quota=quota) as sandbox:
        arguments = [str(processes), sandbox.url, server.url, str(quota if is_known else 0), SMALL_WABA]
        workers = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", WORKERS, *arguments, stdout=subprocess.PIPE
        )
        printed, _ = await workers.communicate()
        responses = [int(line) for line in printed.split()]

        assert (workers.returncode, len(responses)) == (0, processes)
        assert {request.status for request in sandbox.requests} == {200}
        assert len(sandbox.requests) == sum(responses) == quota


async def test_a_process_that_is_killed_leaves_its_calls_as_used(server: RedisServer, client: Any) -> None:
    client.flushall()
    code = """
import asyncio, os, sys
from wa_phone_async.ratelimit.redis import RedisThrottle

async def main():
    await RedisThrottle(sys.argv[1], app_id="555", quota=1, timeout=10.0).admit("1111", "t", max_wait=0.0)
    os._exit(0)

asyncio.run(main())
"""
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", code, server.url)
    assert await worker.wait() == 0

    async with RedisThrottle(server.url, app_id="555", quota=1, timeout=10.0) as throttle:
        assert isinstance(await throttle.admit(A, "t", max_wait=0.0), float)
    assert client.zcard(f"{KEYS}waba:{A}:leases") == 1


def pass_time(client: Any, seconds: float) -> None:
    """Let time pass in Redis: all that it knows becomes older."""
    for key in (f"{KEYS}processes", *client.keys("*:leases"), *client.keys("*:log")):
        for member, score in client.zrange(key, 0, -1, withscores=True):
            client.zadd(key, {member: score - seconds})


async def test_a_fresh_account_of_a_killed_process_is_free_after_what_the_wait_said(
    server: RedisServer, make: Callable[..., RedisThrottle], client: Any
) -> None:
    code = """
import asyncio, os, sys
from wa_phone_async.ratelimit.redis import RedisThrottle

async def main():
    await RedisThrottle(sys.argv[1], app_id="555", timeout=10.0).admit("1111", "t", max_wait=0.0)
    os._exit(0)

asyncio.run(main())
"""
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", code, server.url)
    assert await worker.wait() == 0
    throttle = make()

    wait = await throttle.admit(A, "t", max_wait=0.0)
    assert isinstance(wait, float)
    assert 1.0 < wait <= 10.0

    pass_time(client, wait)
    assert isinstance(await throttle.admit(A, "t", max_wait=0.0), Lease)


@pytest.fixture
def quick_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process with calls in flight sends a message every 0.02 s, not every 2 s."""
    monkeypatch.setattr(batches_module, "_BEAT_SECONDS", 0.02)


@pytest.mark.usefixtures("quick_beat")
async def test_a_process_with_a_call_in_flight_lets_redis_know_that_it_is_alive(
    make: Callable[..., RedisThrottle], client: Any
) -> None:
    throttle = make()
    lease = await admitted(throttle)
    for _ in range(3):
        pass_time(client, 9.0)  # longer than three times 10 s of silence in all
        await asyncio.sleep(0.1)

    wait = await make().admit(A, "t", max_wait=0.0)
    assert wait == pytest.approx(10.0, abs=1.0)

    throttle.report(lease, accepted())
    await until_sent(throttle)
    await until(lambda: throttle._batchers.get()._beat_timer is None)


@pytest.mark.usefixtures("quick_beat")
async def test_a_call_in_flight_is_forgotten_after_the_longest_time_of_a_lease(
    make: Callable[..., RedisThrottle], monkeypatch: pytest.MonkeyPatch
) -> None:
    throttle = make()
    await admitted(throttle)
    monkeypatch.setattr(batches_module, "_LEASE_SECONDS", 0.0)

    await until(lambda: throttle._batchers.get()._beat_timer is None)
    assert not throttle._batchers.get()._leases


@pytest.mark.usefixtures("quick_beat")
async def test_no_process_lets_a_redis_that_is_away_know_that_it_is_alive(fragile: RedisServer) -> None:
    async with RedisThrottle(fragile.url, app_id="555", timeout=10.0) as throttle:
        await admitted(throttle)
        fragile.kill()
        await until(lambda: throttle._breaker.is_open)
        batcher = throttle._batchers.get()
        beats = batcher._beat_timer
        await until(lambda: batcher._beat_timer is not beats)
        assert batcher._task is None


@pytest.mark.usefixtures("soon")
async def test_a_client_goes_on_while_redis_is_killed_and_started_again(
    fragile: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        Sandbox(quota=200) as sandbox,
        RedisThrottle(fragile.url, app_id="555", timeout=10.0) as throttle,
        PhoneNumberClient("an-invented-token", base_url=sandbox.url, throttle=throttle) as client,
    ):
        for number in range(60):
            if number == 20:
                fragile.kill()
            if number == 40:
                fragile.start()
                await asyncio.sleep(0.1)
            await client.list_phone_numbers(SMALL_WABA)
        with connect(fragile) as redis_client:
            await until(lambda: redis_client.zcard(f"{KEYS}waba:{SMALL_WABA}:log") == 60)

        assert {request.status for request in sandbox.requests} == {200}
        assert levels(caplog) == ["WARNING"]


# Long waits in the log


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "wa_phone_async"]


@pytest.mark.parametrize(
    ("scope", "whom"), [("waba", f"WABA {A}"), ("app", "the app"), ("token", f"the token of WABA {A}")]
)
async def test_a_long_cooldown_is_told_once_by_each_process(
    scope: Scope, whom: str, make: Callable[..., RedisThrottle], caplog: pytest.LogCaptureFixture
) -> None:
    here, there = make(), make()
    await begin_cooldown(here, 900.0, scope)
    await until_sent(here)
    waiting = [asyncio.create_task(each.admit(A, "t", max_wait=1000.0)) for each in (here, here, there)]
    await until(lambda: len(told(caplog)) == 2)
    await end(*waiting)
    sentence = f"Waiting 900 s because Meta throttles {whom}; cancelling is safe."
    assert told(caplog) == [sentence] * 2  # by each of the two processes


@pytest.mark.parametrize("has_redis", [True, False])
async def test_a_long_wait_for_the_quota_is_told(
    make: Callable[..., RedisThrottle], caplog: pytest.LogCaptureFixture, *, has_redis: bool
) -> None:
    throttle = make(quota=2) if has_redis else RedisThrottle("redis://127.0.0.1:1", app_id="555", quota=2)
    for _ in range(2):
        await call(throttle)
    waiting = [asyncio.create_task(throttle.admit(A, "t", max_wait=5000.0)) for _ in range(2)]
    await until(lambda: any("Waiting" in line for line in told(caplog)))
    await end(*waiting)
    await throttle.aclose()
    lines = [line for line in told(caplog) if "Redis does not respond" not in line]
    assert [re.sub("3,6[56][0-9] s", "3,660 s", line) for line in lines] == [
        f"Waiting 3,660 s for the hourly quota of WABA {A}; cancelling is safe."
    ]


async def test_a_wait_that_becomes_long_is_told(
    make: Callable[..., RedisThrottle], caplog: pytest.LogCaptureFixture
) -> None:
    throttle = make(quota=1)
    lease = await admitted(throttle)
    waiting = asyncio.create_task(throttle.admit(A, "t", max_wait=5000.0))  # for a call in flight, at first
    await until(lambda: throttle._batchers.get().queue(A).length == 1)
    assert told(caplog) == []
    throttle.report(lease, accepted())
    await until(lambda: told(caplog))
    await end(waiting)
    assert len(told(caplog)) == 1


async def end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
