"""The budget: what it admits, beside a server that counts for itself, and what no report may break."""

import math
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wa_phone_async.ratelimit.budget import MAX_KEYS, Budget, BudgetBook
from wa_phone_async.ratelimit.call_log import CallLog
from wa_phone_async.ratelimit.limiter import CallResult, Lease, Report, Scope
from wa_phone_async.usage import Usage, UsageMetric

HOUR = 3600.0
READ = UsageMetric(0.0)


class Server:
    """A rolling hour that counts every attempt, with exact headers."""

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.times: deque[float] = deque()
        self.throttled = 0

    def call(self, now: float) -> tuple[bool, UsageMetric]:
        while self.times and self.times[0] <= now - HOUR:
            self.times.popleft()
        self.times.append(now)
        count = len(self.times)
        self.throttled += count > self.quota
        return count <= self.quota, UsageMetric(float(100 * count // self.quota))


def call(budget: Budget, now: float, metric: UsageMetric | None = READ, seconds: float = 0.3) -> float:
    """Make one call that is accepted; returns the time of its response."""
    assert budget.admit(now) == now
    budget.accepted(now + seconds, metric, now)
    return now + seconds


def filled(calls: int, metric: UsageMetric | None = READ, quota: float | None = None) -> tuple[Budget, float]:
    budget, now = Budget(fixed=quota), 0.0
    for _ in range(calls):
        now = call(budget, now, metric, 0.01)
    return budget, now


def counted_by_the_server(calls: int) -> tuple[Budget, float]:
    server, budget, now = Server(200), Budget(), 0.0
    for _ in range(calls):
        now = call(budget, now, server.call(now)[1], 0.01)
    return budget, now


# The log


@given(st.lists(st.tuples(st.floats(0.0, 1e5), st.floats(0.0, 1e5)), max_size=60))
def test_the_log_counts_what_a_list_would(steps: list[tuple[float, float]]) -> None:
    log, kept = CallLog(), list[float]()
    for at, until in steps:
        log.add(at)
        kept.append(max([at, *kept[-1:]]))
        log.drop(until)
        kept = [time for time in kept if time > until]

        assert log.size == len(kept)
        assert log.oldest == min(kept, default=math.inf)
        assert [log.nth(index) for index in range(log.size)] == kept
        assert log.count(at, until) == sum(at < time < until for time in kept)


def test_the_log_gives_its_memory_back() -> None:
    log = CallLog()
    for at in range(100_000):
        log.add(float(at))
        log.drop(at - 200.0)

    assert len(log._times) <= 402


# One budget


def test_the_first_calls_go_one_two_four_at_once_until_usage_comes() -> None:
    budget = Budget()

    assert budget.admit(0.0) == 0.0
    assert budget.admit(0.0) == 1.0

    budget.accepted(0.3, None, 0.0)
    assert [budget.admit(0.3) for _ in range(3)] == [0.3, 0.3, 1.3]

    budget.accepted(0.6, READ, 0.3)
    assert all(budget.admit(0.6) == 0.6 for _ in range(100))


def test_all_200_go_and_the_next_waits_until_the_first_is_forgotten() -> None:
    budget, now = counted_by_the_server(200)

    when = budget.admit(now)

    assert when == pytest.approx(0.01 + 3660.0)
    assert budget.peek(now, ahead=10) == pytest.approx(0.11 + 3660.0)
    assert budget.peek(now, ahead=300) == now + 3660.0
    assert budget.admit(when) == when


def test_a_hundred_percent_at_199_of_200_stops_nobody() -> None:
    budget, now = counted_by_the_server(198)
    now = call(budget, now, UsageMetric(100.0))

    assert budget.others == 0
    assert budget.admit(now) == now
    assert budget.admit(now) > now


def test_5000_are_found_within_two_minutes() -> None:
    server, budget, now, sent = Server(5000), Budget(), 0.0, 0
    while now < 120.0:
        now = max(now, budget.admit(now))
        if budget._in_flight:
            budget.accepted(now, server.call(now)[1], now)
            sent, now = sent + 1, now + 0.05

    assert (budget.quota, server.throttled) == (5000, 0)
    assert sent > 1000


def test_a_quota_that_is_given_wins() -> None:
    budget, now = filled(50, UsageMetric(1.0), quota=50)

    assert budget.quota == 50
    assert budget.admit(now) == pytest.approx(0.01 + 3660.0)

    with pytest.raises(ValueError, match=">="):
        Budget(fixed=0)


def test_an_endless_quota_is_never_full() -> None:
    assert filled(300, UsageMetric(100.0), quota=math.inf)[0].others == 0


def test_without_headers_one_good_call_beyond_200_finds_5000() -> None:
    budget, now = filled(200, None)

    when = budget.admit(now)
    assert when == pytest.approx(now + 10.0, abs=0.1)

    call(budget, when, None)
    assert budget.quota == 5000


def test_without_headers_one_throttled_probe_beyond_200_ends_the_search_for_an_hour() -> None:
    budget, now = filled(200, None)
    sent = budget.admit(now)
    budget.admit(sent)

    budget.throttled(sent + 0.3, None, sent)

    assert budget.quota == 200
    assert budget.admit(sent + 61.0) > sent + 3600.0


def test_calls_of_others_are_seen_and_quota_is_left_for_them() -> None:
    budget = Budget()
    now = call(budget, 0.0, UsageMetric(60.0))

    assert 119 <= budget.others <= 121
    allowed = 0
    while budget.admit(now) == now:
        allowed += 1
    assert allowed + budget.others <= 194


def test_a_probe_beside_others_goes_sooner_where_they_left_quota() -> None:
    full, spare = Budget(), Budget()
    call(full, 0.0, UsageMetric(99.0))
    now = call(spare, 0.0, UsageMetric(88.0))
    while spare.admit(now) == now:
        now += 0.01
        spare.counted(now, UsageMetric(88.0), now - 0.01)

    assert full.admit(1.0) == pytest.approx(300.0)
    assert spare.admit(now + 0.5) == pytest.approx(now + 60.0, abs=1.0)


def test_others_are_gone_when_usage_counts_none() -> None:
    budget = Budget()
    now = call(budget, 0.0, UsageMetric(60.0))
    assert budget.others

    call(budget, now + 300.0, UsageMetric(1.0))
    assert budget.others == 0


def test_others_are_forgotten_after_an_hour_without_headers() -> None:
    budget = Budget()
    call(budget, 0.0, UsageMetric(60.0))

    call(budget, 3700.0, None)

    assert budget.others == 0


def test_beside_others_and_with_old_usage_calls_go_one_by_one() -> None:
    budget = Budget()
    call(budget, 0.0, UsageMetric(60.0))

    assert budget.admit(100.0) == 100.0
    assert budget.admit(100.0) == 101.0


def test_nothing_goes_beyond_a_full_budget_while_a_call_may_tell_more() -> None:
    budget = Budget()
    now = call(budget, 0.0, UsageMetric(99.0))

    assert budget.admit(now + 300.0) == now + 300.0
    assert budget.admit(now + 300.0) == now + 301.0


def test_a_throttled_call_with_usage_restarts_the_proof_of_the_quota() -> None:
    budget, _ = filled(60, UsageMetric(1.0))
    budget.accepted(120.0, UsageMetric(1.0), 119.0)
    assert budget.quota == 5000

    budget.throttled(121.0, UsageMetric(2000.0), 120.0)

    assert budget.quota == 200


def test_a_throttled_call_without_usage_says_nothing_of_the_quota() -> None:
    budget, _ = filled(60, UsageMetric(1.0))
    budget.accepted(120.0, UsageMetric(1.0), 119.0)

    budget.throttled(121.0, None, 120.0)

    assert budget.quota == 5000


def test_cooldowns_that_nobody_named_double_up_to_32_minutes_and_start_again_after_a_success() -> None:
    budget, now, minutes = Budget(), 0.0, []
    for _ in range(7):
        sent = now
        assert budget.admit(sent) == sent
        budget.throttled(sent + 0.5, None, sent)
        now = budget.admit(sent + 0.5)
        minutes.append((now - sent - 0.5) / 60.0)
    assert minutes == pytest.approx([1, 2, 4, 8, 16, 32, 32])

    now = call(budget, now)
    budget.admit(now)
    budget.throttled(now + 0.1, None, now)
    assert budget.cooldown_until == pytest.approx(now + 60.1)


@pytest.mark.parametrize(
    ("seconds", "metric", "cooldown"),
    [
        pytest.param(None, None, 60.0, id="the server says nothing"),
        pytest.param(None, UsageMetric(100.0), 60.0, id="no estimate"),
        pytest.param(0.0, None, 0.0, id="go on at once"),
        pytest.param(0.0, UsageMetric(100.0, 0.0, 120.0), 120.0, id="the estimate is longer"),
        pytest.param(7.0, None, 7.0, id="a wait"),
    ],
)
def test_a_cooldown_is_as_long_as_the_server_says(
    seconds: float | None, metric: UsageMetric | None, cooldown: float
) -> None:
    budget = Budget()
    budget.admit(1.0)

    budget.throttled(1.5, metric, 1.0, seconds)

    assert budget.cooldown_until == 1.5 + cooldown


def test_a_wait_that_the_server_named_ends_in_a_probe_though_the_log_is_full() -> None:
    budget, sent, starts = Budget(), 0.0, list[float]()
    for _ in range(6):
        assert budget.admit(sent) == sent
        starts.append(sent)
        budget.throttled(sent + 0.5, UsageMetric(150.0), sent, 7.0)
        sent = budget.peek(budget.cooldown_until)

    assert starts[:5] == pytest.approx([0.0, 7.5, 15.0, 22.5, 30.0])
    assert starts[5] > 300.0  # the server was wrong again and again, and is believed no more


def test_throttled_calls_of_one_burst_are_one_cooldown() -> None:
    budget = Budget()
    call(budget, 0.0)
    for _ in range(64):
        assert budget.admit(1.0) == 1.0
    for number in range(64):
        budget.throttled(1.5 + number / 1000.0, None, 1.0)

    assert budget.cooldown_until == pytest.approx(61.5)


def test_after_a_cooldown_one_call_goes_first() -> None:
    budget = Budget()
    call(budget, 0.0)
    budget.admit(1.0)
    budget.throttled(1.5, None, 1.0)

    assert budget.admit(61.5) == 61.5
    assert budget.admit(61.5) == 62.5

    budget.accepted(62.0, READ, 61.5)
    assert [budget.admit(62.0) for _ in range(9)] == [62.0] * 9


def test_an_accepted_call_from_before_the_cooldown_does_not_end_it() -> None:
    budget = Budget()
    call(budget, 0.0)
    budget.admit(1.0)
    budget.admit(1.0)
    budget.throttled(1.5, None, 1.0)
    budget.accepted(1.6, READ, 1.0)

    assert budget.admit(1.7) == 61.5
    assert budget.admit(61.5) == 61.5
    assert budget.admit(61.5) == 62.5


def test_a_load_of_a_hundred_begins_a_cooldown_though_calls_are_left() -> None:
    budget = Budget()
    call(budget, 0.0, UsageMetric(3.0, 100.0, 120.0))
    assert budget.admit(1.0) == pytest.approx(120.3)

    call(budget, 120.3, UsageMetric(None, 100.0))
    assert budget.admit(121.0) == pytest.approx(180.6)


def test_usage_that_comes_late_changes_nothing_backwards() -> None:
    budget = Budget()
    call(budget, 0.0)
    for at in (1.0, 1.1):
        budget.admit(at)
    budget.accepted(1.5, UsageMetric(50.0), 1.1)
    others = budget.others

    budget.accepted(1.6, UsageMetric(0.0), 1.0)

    assert budget.others == others > 0


def test_coarse_percentages_are_noticed() -> None:
    budget, now = filled(190, UsageMetric(0.0))
    for percent in (85.0, 90.0, 95.0, 100.0):
        now = call(budget, now, UsageMetric(percent))

    assert (budget._percent_step, budget.others, budget.quota) == (5, 0, 200)

    call(budget, now, UsageMetric(97.5))
    assert budget._percent_step == 1


def test_an_unknown_limit_limits_nothing_until_it_is_shown() -> None:
    budget = Budget((200,), certain=False)
    for _ in range(500):
        assert budget.admit(0.0) == 0.0

    budget.accepted(1.0, UsageMetric(40.0), 0.0)
    assert budget.quota == 200
    assert budget.admit(1.0) > 1.0


def test_beyond_the_known_quotas_usage_alone_proves_how_many() -> None:
    budget = Budget((200,), certain=False)
    for _ in range(300):
        budget.admit(0.0)
    for _ in range(300):
        budget.accepted(1.0, UsageMetric(2.0), 0.0)

    # They were sent at once, so no response surely counts the others. The one a minute later does.
    assert budget.quota == 200
    call(budget, budget.admit(1.0), UsageMetric(2.0))

    assert budget.quota == pytest.approx(100.0 * 301 / 4.0)  # all percentages were even, so each may be off by 2


def test_a_probe_whose_response_has_no_usage_is_soon_followed_by_another() -> None:
    server, budget, now = Server(50_000), Budget(), 0.0
    for _ in range(200):
        now = call(budget, now, server.call(now)[1], 0.01)

    probe = budget.peek(now)
    assert probe == pytest.approx(now + 10.0)  # a percentage of 0 may be late
    now = call(budget, probe, None)

    assert budget.peek(now) == probe + 10.0
    now = call(budget, probe + 10.0, server.call(now)[1])
    assert budget.peek(now) == now
    assert budget.quota == 5000


@pytest.mark.parametrize("seconds", [0.01, 0.2])
def test_a_percentage_that_is_far_too_small_for_200_disproves_it_at_once(seconds: float) -> None:
    server, budget, now = Server(5000), Budget(), 0.0
    for _ in range(1000):
        assert budget.peek(now) == now
        now = call(budget, now, server.call(now)[1], seconds)
    assert budget.quota == 5000


def test_a_percentage_of_half_of_what_was_called_may_only_be_late() -> None:
    budget, now = Budget(), 0.0
    for number in range(200):
        now = call(budget, now, UsageMetric(float(number // 4)), 0.01)
    assert budget.quota == 200
    assert budget.peek(now) == pytest.approx(now + 60.0)


@pytest.mark.parametrize(("percent", "wait"), [(4.0, 10.0), (99.0, 3660.0)])
def test_after_a_burst_of_200_a_probe_goes_only_where_the_percentages_are_far_too_small(
    percent: float, wait: float
) -> None:
    budget = Budget()
    now = call(budget, 0.0)
    for _ in range(199):
        assert budget.admit(now) == now
    for _ in range(199):
        budget.accepted(now + 1.0, UsageMetric(percent), now)

    assert budget.admit(now + 1.0) == pytest.approx(wait, abs=2.0)


def test_a_call_that_was_never_sent_uses_no_quota() -> None:
    budget = Budget(fixed=1)
    budget.admit(0.0)
    budget.unsent()
    budget.unsent()

    assert budget.used(0.0) == 0
    assert budget.admit(0.0) == 0.0


# Properties

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["admit", "accepted", "throttled", "counted", "unsent", "wait"]),
        st.floats(0.0, 2000.0),
        st.none()
        | st.builds(UsageMetric, st.none() | st.floats(0.0, 150.0), st.floats(0.0, 120.0), st.floats(0.0, 3600.0)),
    ),
    max_size=80,
)


def report(budget: Budget, what: str, now: float, *, seconds: float, metric: UsageMetric | None, sent: float) -> None:
    if what == "accepted":
        budget.accepted(now, metric, sent)
    elif what == "throttled":
        budget.throttled(now, metric, sent, seconds)
        assert budget.peek(now) >= now + max(seconds, metric.regain_seconds if metric else 0.0)
    elif what == "counted":
        budget.counted(now, metric, sent)
    else:
        budget.unsent()


@given(steps=STEPS, quota=st.none() | st.sampled_from([1.0, 30.0, 200.0]), certain=st.booleans())
def test_any_reports_in_any_order_leave_it_usable(
    steps: list[tuple[str, float, UsageMetric | None]], quota: float | None, *, certain: bool
) -> None:
    budget, now, in_flight = Budget(fixed=quota, certain=certain), 0.0, deque[float]()
    for what, seconds, metric in steps:
        if what == "wait":
            now += seconds
        elif what == "admit":
            when = budget.admit(now)
            assert when == now or now < when <= max(now + 3660.0, budget.cooldown_until)
            in_flight.extend([now] if when == now else [])
        elif in_flight:
            sent = in_flight.pop() if seconds > 1000.0 else in_flight.popleft()
            report(budget, what, now, seconds=seconds, metric=metric, sent=sent)
    while in_flight:
        budget.counted(now, None, in_flight.popleft())

    for _ in range(3):
        now = max(now, budget.peek(now))
    assert budget.admit(now) == now


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([200, 5000]),
    st.integers(1, 64),
    st.lists(st.floats(0.0, 900.0), min_size=1, max_size=10),
    st.lists(st.floats(0.01, 5.0), min_size=1, max_size=7),
)
def test_exact_headers_never_let_more_than_the_quota_through(
    quota: int, workers: int, pauses: list[float], delays: list[float]
) -> None:
    server, budget, now, in_flight = Server(quota), Budget(), 0.0, list[tuple[float, float, UsageMetric]]()
    for step in range(900):
        while len(in_flight) < workers and (when := budget.admit(now)) <= now:
            _, metric = server.call(now)
            in_flight.append((now + delays[step % len(delays)], now, metric))
        if in_flight:
            in_flight.sort(key=lambda call: call[0])
            now, sent, metric = in_flight.pop(0)
            budget.accepted(now, metric, sent)
        else:
            now = when
        if step % 100 == 99:
            now = max([now, *(at for at, _, _ in in_flight)])
            for _, sent, metric in in_flight:
                budget.accepted(now, metric, sent)
            in_flight.clear()
            now += pauses[step // 100 % len(pauses)]

    assert server.throttled == 0


# The book


def usage(percent: float, app: float | None = None, **more: float) -> Usage:
    return Usage(UsageMetric(percent), None if app is None else UsageMetric(app), **more)


def report_of(
    book: BudgetBook,
    key: str | None,
    now: float,
    report: Report | CallResult,
    *,
    sent: float | None = None,
    token: str = "t",
) -> float:
    """Report a call; default: it was sent `now`. Returns when it may be retried."""
    lease = Lease(key, token, now if sent is None else sent)
    return book.report(lease, report if isinstance(report, Report) else Report(report), now)


def book_call(book: BudgetBook, key: str | None, now: float, said: Usage | None = None) -> None:
    assert book.admit(key, now, "t") == now
    assert report_of(book, key, now, Report("accepted", said)) == now


def throttle(book: BudgetBook, key: str | None, now: float, scope: Scope | None, said: Usage | None = None) -> float:
    assert book.admit(key, now, "t") == now
    return report_of(book, key, now, Report("throttled", said, scope))


@pytest.mark.parametrize(
    ("scope", "same", "other_waba", "other_token"),
    [
        ("app", 60.0, 60.0, 60.0),
        ("token", 60.0, 60.0, 0.0),
        ("waba", 60.0, 0.0, 60.0),
        (None, 60.0, 0.0, 60.0),
    ],
)
@pytest.mark.parametrize("keys", [("a", "b"), ("a", None), (None, "b")], ids=str)
def test_the_scope_says_what_has_a_cooldown(
    keys: tuple[str | None, str | None], scope: Scope | None, same: float, other_waba: float, other_token: float
) -> None:
    book, (key, other) = BudgetBook(), keys

    assert throttle(book, key, 0.0, scope) == 60.0

    assert book.peek(key, 0.0, "t") == same
    assert book.peek(other, 0.0, "t") == other_waba
    assert book.peek(key, 0.0, "new") == other_token


def test_waits_do_not_add_up() -> None:
    book = BudgetBook()
    throttle(book, "b", 0.0, "app", usage(1.0, retry_after_seconds=500.0))
    assert book.peek("a", 0.0) == 500.0

    book.admit("a", 500.0, "t")
    assert report_of(book, "a", 500.0, Report("throttled", scope="waba")) == 560.0


def test_a_call_that_the_app_throttled_cools_down_a_waba_that_is_full_as_well() -> None:
    book = BudgetBook()

    when = throttle(book, "a", 0.0, "app", Usage(UsageMetric(100.0, 0.0, 900.0), UsageMetric(100.0)))

    assert when == 900.0
    assert book.peek("b", 300.0) == 300.0


def test_a_token_that_was_throttled_is_tried_by_one_call() -> None:
    book = BudgetBook()
    book_call(book, "a", 0.0, usage(1.0))
    throttle(book, "a", 0.0, "token")

    assert book.admit("a", 60.0, "t") == 60.0
    assert book.admit("a", 60.0, "t") == 61.0
    assert book.admit("a", 60.0, "new") == 60.0

    report_of(book, "a", 60.5, "accepted", sent=60.0)
    assert book.admit("a", 60.5, "t") == 60.5

    report_of(book, "a", 61.0, "lost")
    report_of(book, "a", 61.0, "unsent", token="new")
    book.peek("a", 9000.0)
    assert not book._tokens


def test_a_call_that_was_admitted_elsewhere_is_in_flight_too() -> None:
    book = BudgetBook(quota=1)
    book.take("a", 0.0)

    assert book.admit("a", 0.0) == 1.0
    report_of(book, "a", 0.5, "unsent")
    assert book.admit("a", 0.5) == 0.5


def test_a_token_cools_down_for_as_long_as_the_server_said() -> None:
    book = BudgetBook()
    throttle(book, "a", 0.0, "token", usage(1.0, retry_after_seconds=20_000.0))

    assert book.peek("a", 10_000.0, "t") == 20_000.0
    assert book.peek("a", 20_000.0, "t") == 20_000.0
    assert not book._tokens


def test_the_app_limits_all_its_wabas() -> None:
    book = BudgetBook(app_quota=3)
    for key in "abc":
        book_call(book, key, 0.0)

    assert book.peek("d", 0.0) == 3660.0
    assert book.app.used(0.0) == 3


def test_the_quota_of_each_waba_can_be_given() -> None:
    book = BudgetBook(quota=1)
    book_call(book, "a", 0.0)

    assert book.peek("a", 0.0) == 3660.0
    assert book.peek("b", 0.0) == 0.0


def test_what_is_no_waba_has_no_quota_but_the_apps() -> None:
    book = BudgetBook(quota=1, app_quota=10_000)
    for _ in range(10_000):
        book_call(book, None, 0.0)

    assert book.app.used(0.0) == 10_000
    assert book.peek(None, 0.0) == book.peek("a", 0.0) == 3660.0
    assert book.waba("a") is not None
    assert len(book) == 1  # it is none of the WABAs


def test_of_what_is_no_waba_only_the_apps_usage_counts() -> None:
    book = BudgetBook()
    for now in range(100):
        book_call(book, None, float(now), Usage(UsageMetric(100.0, 100.0, 900.0), UsageMetric(50.0)))

    assert book.peek(None, 100.0) == 100.0
    assert book.app.quota < 1000
    assert book.last_usage(None) == Usage(UsageMetric(100.0, 100.0, 900.0), UsageMetric(50.0))


def test_calls_on_what_is_no_waba_are_lost_or_unsent_as_any_other() -> None:
    book = BudgetBook()
    results: list[CallResult] = ["lost", "unsent"]
    for result in results:
        assert book.admit(None, 0.0) == 0.0
        assert report_of(book, None, 0.0, result) == 0.0

    assert book.app.used(0.0) == 1


def test_a_lost_call_counts_and_an_unsent_one_does_not() -> None:
    book = BudgetBook()
    book.admit("a", 0.0)
    report_of(book, "a", 0.0, "lost")
    book.admit("a", 1.0)
    report_of(book, "a", 1.0, "unsent")

    waba = book.waba("a")
    assert waba is not None
    assert (waba.used(1.0), book.app.used(1.0)) == (1, 1)


def test_the_last_usage_is_kept() -> None:
    book = BudgetBook()
    assert book.last_usage("a") is None

    book_call(book, "a", 0.0, usage(3.0))
    book_call(book, "a", 1.0, None)

    assert book.last_usage("a") == usage(3.0)


def test_a_report_for_a_waba_that_was_forgotten_is_no_error() -> None:
    book = BudgetBook()
    report_of(book, "a", 0.0, "accepted")

    assert book.waba("a") is not None
    assert book.waba("b") is None


def test_idle_wabas_are_forgotten_after_a_day() -> None:
    book = BudgetBook()
    book_call(book, "a", 0.0, usage(3.0))
    book_call(book, "b", 80_000.0)

    book.peek("b", 90_000.0)

    assert len(book) == 1
    assert book.last_usage("a") is None


def test_the_emptiest_are_forgotten_beyond_the_most() -> None:
    book = BudgetBook(max_keys=20)
    for number in range(20):
        for _ in range(number + 1):
            book_call(book, f"{number}", 0.0, usage(0.0))
    book.admit("0", 0.0)
    throttle(book, "1", 0.0, "waba")

    book_call(book, "new", 0.0)

    assert len(book) == 19
    assert [key for key in map(str, range(20)) if book.waba(key) is None] == ["2", "3"]


def test_what_cools_down_or_is_half_full_is_never_forgotten() -> None:
    book = BudgetBook(quota=2, max_keys=4)
    for number in range(40):
        book_call(book, f"{number}", 0.0, usage(50.0))
        book_call(book, f"{number}", 0.0, usage(100.0))

    assert len(book) == 40


def test_accounts_that_cannot_be_forgotten_cost_each_call_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = 0

    def disposable(_: Budget, now: float) -> bool:
        nonlocal checks
        checks += 1
        return now < 0.0

    monkeypatch.setattr(Budget, "disposable", disposable)

    def checked(calls: int) -> int:
        before, book = checks, BudgetBook(max_keys=10)
        for number in range(calls):
            book.admit(f"{number}", 0.0)
        return checks - before

    assert checked(8_000) <= 2.2 * checked(4_000) <= 2.2 * 12 * 4_000


def test_ten_thousand_are_remembered() -> None:
    book = BudgetBook()
    for number in range(MAX_KEYS + 500):
        book_call(book, f"{number}", 0.0)

    assert MAX_KEYS * 0.9 <= len(book) <= MAX_KEYS


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.0, 100.0), st.booleans(), st.floats(0.0, 120.0))))
def test_two_wabas_never_delay_each_other(steps: list[tuple[str, float, bool, float]]) -> None:
    both, alone, now = BudgetBook(), BudgetBook(), 0.0
    for key, seconds, good, percent in steps:
        now += seconds
        books = [both, alone] if key == "a" else [both]
        times = [book.admit(key, now) for book in books]
        assert times == [times[0]] * len(books)
        for book in books if times[0] <= now else ():
            result: CallResult = "accepted" if good else "throttled"
            report_of(book, key, now + 0.1, Report(result, usage(percent), None if good else "waba"), sent=now)


# Headers that are broken

WAITS = st.sampled_from([0.0, 1.0, 3600.0, 86_400.0, 100_000.0, 9e8, 1e300, math.inf])
METRICS = st.builds(UsageMetric, st.none() | st.floats(0.0, 1e9), st.sampled_from([0.0, 99.0, 100.0, 9e8]), WAITS)
USAGES = st.builds(Usage, st.none() | METRICS, st.none() | METRICS, st.none() | WAITS)
SCOPES: st.SearchStrategy[Scope | None] = st.sampled_from([None, "app", "token", "waba"])


@given(st.lists(st.tuples(USAGES, SCOPES, st.floats(0.0, 1e5)), min_size=1, max_size=12), st.sampled_from([None, 5]))
def test_after_a_day_one_call_probes_whatever_the_headers_say(
    reports: list[tuple[Usage, Scope | None, float]], quota: int | None
) -> None:
    book, now = BudgetBook(quota, quota), 0.0
    for said, scope, seconds in reports:
        now = max(now + seconds, 0.0)
        when = book.admit("a", now, "t")
        if when <= now:
            report = Report("throttled" if scope else "accepted", said, scope)
            book.report(Lease("a", "t", now), report, now)
    assert book.admit("a", now + 86_400.0, "t") == now + 86_400.0
