"""The budget: what it admits against a server that counts for itself, and what no report may break."""

import math
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wa_phone_async.ratelimit.budget import MAX_KEYS, Budget, BudgetBook, CallLog, Scope
from wa_phone_async.usage import Usage, UsageMetric

HOUR = 3600.0
READ = UsageMetric(0.0)


class Server:
    """A rolling hour that counts every attempt, with exact headers."""

    def __init__(self, quota: int, lost: int = 0) -> None:
        self.quota = quota
        self.times: deque[float] = deque()
        self.refused = 0
        self.lost = lost

    def call(self, now: float) -> tuple[bool, UsageMetric]:
        while self.times and self.times[0] <= now - HOUR:
            self.times.popleft()
        self.times.append(now)
        count = len(self.times)
        self.refused += count > self.quota
        return count <= self.quota, UsageMetric(float(100 * count // self.quota))


def call(budget: Budget, now: float, reading: UsageMetric | None = READ, seconds: float = 0.3) -> float:
    """Make one good call, and give the time of its answer."""
    assert budget.admit(now) == now
    budget.answered(now + seconds, reading, now)
    return now + seconds


def filled(calls: int, reading: UsageMetric | None = READ, quota: float | None = None) -> tuple[Budget, float]:
    budget, now = Budget(fixed=quota), 0.0
    for _ in range(calls):
        now = call(budget, now, reading, 0.01)
    return budget, now


def counted_by_the_server(calls: int) -> tuple[Budget, float]:
    server, budget, now = Server(200), Budget(), 0.0
    for _ in range(calls):
        now = call(budget, now, server.call(now)[1], 0.01)
    return budget, now


# ---- the log ----


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


# ---- one budget ----


def test_the_first_calls_go_one_two_four_at_once_until_a_header_comes() -> None:
    budget = Budget()

    assert budget.admit(0.0) == 0.0
    assert budget.admit(0.0) == 1.0

    budget.answered(0.3, None, 0.0)
    assert [budget.admit(0.3) for _ in range(3)] == [0.3, 0.3, 1.3]

    budget.answered(0.6, READ, 0.3)
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
            budget.answered(now, server.call(now)[1], now)
            sent, now = sent + 1, now + 0.05

    assert (budget.quota, server.refused) == (5000, 0)
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


def test_without_headers_one_refusal_beyond_200_ends_the_search_for_an_hour() -> None:
    budget, now = filled(200, None)
    sent = budget.admit(now)
    budget.admit(sent)

    budget.refused(sent + 0.3, None, sent)

    assert budget.quota == 200
    assert budget.admit(sent + 61.0) > sent + 3600.0


def test_a_call_of_somebody_else_is_seen_and_left_room_for() -> None:
    budget = Budget()
    now = call(budget, 0.0, UsageMetric(60.0))

    assert 119 <= budget.others <= 121
    allowed = 0
    while budget.admit(now) == now:
        allowed += 1
    assert allowed + budget.others <= 194


def test_others_are_asked_about_again_sooner_where_there_was_room() -> None:
    full, roomy = Budget(), Budget()
    call(full, 0.0, UsageMetric(99.0))
    now = call(roomy, 0.0, UsageMetric(88.0))
    while roomy.admit(now) == now:
        now += 0.01
        roomy.counted(now, UsageMetric(88.0), now - 0.01)

    assert full.admit(1.0) == pytest.approx(300.0)
    assert roomy.admit(now + 0.5) == pytest.approx(now + 60.0, abs=1.0)


def test_others_go_when_the_readings_know_of_none() -> None:
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


def test_with_others_and_an_old_reading_calls_go_one_by_one() -> None:
    budget = Budget()
    call(budget, 0.0, UsageMetric(60.0))

    assert budget.admit(100.0) == 100.0
    assert budget.admit(100.0) == 101.0


def test_nothing_goes_beyond_a_full_budget_while_a_call_may_tell_more() -> None:
    budget = Budget()
    now = call(budget, 0.0, UsageMetric(99.0))

    assert budget.admit(now + 300.0) == now + 300.0
    assert budget.admit(now + 300.0) == now + 301.0


def test_a_refusal_restarts_what_is_known_of_the_quota() -> None:
    budget, _ = filled(60, UsageMetric(1.0))
    budget.answered(120.0, UsageMetric(1.0), 119.0)
    assert budget.quota == 5000

    budget.refused(121.0, UsageMetric(2000.0), 120.0)

    assert budget.quota == 200


def test_a_refusal_without_header_says_nothing_of_the_quota() -> None:
    budget, _ = filled(60, UsageMetric(1.0))
    budget.answered(120.0, UsageMetric(1.0), 119.0)

    budget.refused(121.0, None, 120.0)

    assert budget.quota == 5000


def test_holds_without_a_hint_double_up_to_32_minutes_and_start_again_after_a_success() -> None:
    budget, now, holds = Budget(), 0.0, []
    for _ in range(7):
        sent = now
        assert budget.admit(sent) == sent
        budget.refused(sent + 0.5, None, sent)
        now = budget.admit(sent + 0.5)
        holds.append((now - sent - 0.5) / 60.0)
    assert holds == pytest.approx([1, 2, 4, 8, 16, 32, 32])

    now = call(budget, now)
    budget.admit(now)
    budget.refused(now + 0.1, None, now)
    assert budget.held_until == pytest.approx(now + 60.1)


@pytest.mark.parametrize(
    ("seconds", "reading", "hold"),
    [
        pytest.param(None, None, 60.0, id="nothing is said"),
        pytest.param(None, UsageMetric(100.0), 60.0, id="no estimate"),
        pytest.param(0.0, None, 0.0, id="go on at once"),
        pytest.param(0.0, UsageMetric(100.0, 0.0, 120.0), 120.0, id="the estimate is longer"),
        pytest.param(7.0, None, 7.0, id="a wait"),
    ],
)
def test_a_hold_is_as_long_as_the_server_says(seconds: float | None, reading: UsageMetric | None, hold: float) -> None:
    budget = Budget()
    budget.admit(1.0)

    budget.refused(1.5, reading, 1.0, seconds)

    assert budget.held_until == 1.5 + hold


def test_a_wait_that_the_server_named_ends_in_a_probe_though_the_log_is_full() -> None:
    budget, sent, starts = Budget(), 0.0, list[float]()
    for _ in range(6):
        assert budget.admit(sent) == sent
        starts.append(sent)
        budget.refused(sent + 0.5, UsageMetric(150.0), sent, 7.0)
        sent = budget.peek(budget.held_until)

    assert starts[:5] == pytest.approx([0.0, 7.5, 15.0, 22.5, 30.0])
    assert starts[5] > 300.0  # said again and again, it is believed no more


def test_refusals_of_one_burst_are_one_hold() -> None:
    budget = Budget()
    call(budget, 0.0)
    for _ in range(64):
        assert budget.admit(1.0) == 1.0
    for number in range(64):
        budget.refused(1.5 + number / 1000.0, None, 1.0)

    assert budget.held_until == pytest.approx(61.5)


def test_after_a_hold_one_call_goes_first() -> None:
    budget = Budget()
    call(budget, 0.0)
    budget.admit(1.0)
    budget.refused(1.5, None, 1.0)

    assert budget.admit(61.5) == 61.5
    assert budget.admit(61.5) == 62.5

    budget.answered(62.0, READ, 61.5)
    assert [budget.admit(62.0) for _ in range(9)] == [62.0] * 9


def test_a_good_answer_from_before_the_hold_does_not_end_it() -> None:
    budget = Budget()
    call(budget, 0.0)
    budget.admit(1.0)
    budget.admit(1.0)
    budget.refused(1.5, None, 1.0)
    budget.answered(1.6, READ, 1.0)

    assert budget.admit(1.7) == 61.5
    assert budget.admit(61.5) == 61.5
    assert budget.admit(61.5) == 62.5


def test_a_load_of_a_hundred_holds_though_calls_are_left() -> None:
    budget = Budget()
    call(budget, 0.0, UsageMetric(3.0, 100.0, 120.0))
    assert budget.admit(1.0) == pytest.approx(120.3)

    call(budget, 120.3, UsageMetric(None, 100.0))
    assert budget.admit(121.0) == pytest.approx(180.6)


def test_readings_out_of_order_change_nothing_backwards() -> None:
    budget = Budget()
    call(budget, 0.0)
    for at in (1.0, 1.1):
        budget.admit(at)
    budget.answered(1.5, UsageMetric(50.0), 1.1)
    others = budget.others

    budget.answered(1.6, UsageMetric(0.0), 1.0)

    assert budget.others == others > 0


def test_coarse_percentages_are_noticed() -> None:
    budget, now = filled(190, UsageMetric(0.0))
    for percent in (85.0, 90.0, 95.0, 100.0):
        now = call(budget, now, UsageMetric(percent))

    assert (budget._step, budget.others, budget.quota) == (5, 0, 200)

    call(budget, now, UsageMetric(97.5))
    assert budget._step == 1


def test_an_unknown_limit_limits_nothing_until_it_is_shown() -> None:
    budget = Budget((200,), certain=False)
    for _ in range(500):
        assert budget.admit(0.0) == 0.0

    budget.answered(1.0, UsageMetric(40.0), 0.0)
    assert budget.quota == 200
    assert budget.admit(1.0) > 1.0


def test_beyond_the_known_quotas_the_readings_alone_say_how_many() -> None:
    budget = Budget((200,), certain=False)
    for _ in range(300):
        budget.admit(0.0)
    for _ in range(300):
        budget.answered(1.0, UsageMetric(2.0), 0.0)

    # They left at once, so that none of them is sure of another: one more a minute later is.
    assert budget.quota == 200
    call(budget, budget.admit(1.0), UsageMetric(2.0))

    assert budget.quota == pytest.approx(100.0 * 301 / 4.0)  # all were even, so by 2 at most


def test_a_probe_that_is_answered_without_a_reading_is_soon_followed_by_another() -> None:
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
def test_a_burst_of_200_looks_for_more_only_where_the_readings_are_far_too_small(percent: float, wait: float) -> None:
    budget = Budget()
    now = call(budget, 0.0)
    for _ in range(199):
        assert budget.admit(now) == now
    for _ in range(199):
        budget.answered(now + 1.0, UsageMetric(percent), now)

    assert budget.admit(now + 1.0) == pytest.approx(wait, abs=2.0)


def test_a_call_that_was_never_sent_gives_its_place_back() -> None:
    budget = Budget(fixed=1)
    budget.admit(0.0)
    budget.unsent()
    budget.unsent()

    assert budget.used(0.0) == 0
    assert budget.admit(0.0) == 0.0


# ---- properties ----

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["admit", "answered", "refused", "counted", "unsent", "wait"]),
        st.floats(0.0, 2000.0),
        st.none()
        | st.builds(UsageMetric, st.none() | st.floats(0.0, 150.0), st.floats(0.0, 120.0), st.floats(0.0, 3600.0)),
    ),
    max_size=80,
)


def report(budget: Budget, what: str, now: float, *, seconds: float, reading: UsageMetric | None, sent: float) -> None:
    if what == "answered":
        budget.answered(now, reading, sent)
    elif what == "refused":
        budget.refused(now, reading, sent, seconds)
        assert budget.peek(now) >= now + max(seconds, reading.regain_seconds if reading else 0.0)
    elif what == "counted":
        budget.counted(now, reading, sent)
    else:
        budget.unsent()


@given(steps=STEPS, quota=st.none() | st.sampled_from([1.0, 30.0, 200.0]), certain=st.booleans())
def test_any_reports_in_any_order_leave_it_usable(
    steps: list[tuple[str, float, UsageMetric | None]], quota: float | None, *, certain: bool
) -> None:
    budget, now, flying = Budget(fixed=quota, certain=certain), 0.0, deque[float]()
    for what, seconds, reading in steps:
        if what == "wait":
            now += seconds
        elif what == "admit":
            when = budget.admit(now)
            assert when == now or now < when <= max(now + 3660.0, budget.held_until)
            flying.extend([now] if when == now else [])
        elif flying:
            sent = flying.pop() if seconds > 1000.0 else flying.popleft()
            report(budget, what, now, seconds=seconds, reading=reading, sent=sent)
    while flying:
        budget.counted(now, None, flying.popleft())

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
    quota: int, workers: int, pauses: list[float], trips: list[float]
) -> None:
    server, budget, now, flying = Server(quota), Budget(), 0.0, list[tuple[float, float, UsageMetric]]()
    for turn in range(900):
        while len(flying) < workers and (when := budget.admit(now)) <= now:
            _, reading = server.call(now)
            flying.append((now + trips[turn % len(trips)], now, reading))
        if flying:
            flying.sort(key=lambda call: call[0])
            now, sent, reading = flying.pop(0)
            budget.answered(now, reading, sent)
        else:
            now = when
        if turn % 100 == 99:
            now = max([now, *(at for at, _, _ in flying)])
            for _, sent, reading in flying:
                budget.answered(now, reading, sent)
            flying.clear()
            now += pauses[turn // 100 % len(pauses)]

    assert server.refused == 0


# ---- the book ----


def usage(percent: float, app: float | None = None, **more: float) -> Usage:
    return Usage(UsageMetric(percent), None if app is None else UsageMetric(app), **more)


def book_call(book: BudgetBook, key: str | None, now: float, said: Usage | None = None, token: str = "t") -> None:
    assert book.admit(key, now, token) == now
    book.answered(key, now, said, sent=now, token=token)


def refuse(book: BudgetBook, key: str | None, now: float, scope: Scope | None, said: Usage | None = None) -> float:
    assert book.admit(key, now, "t") == now
    return book.refused(key, now, said, scope=scope, sent=now, token="t")


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

    assert refuse(book, key, 0.0, scope) == 60.0

    assert book.peek(key, 0.0, "t") == same
    assert book.peek(other, 0.0, "t") == other_waba
    assert book.peek(key, 0.0, "new") == other_token


def test_waits_do_not_add_up() -> None:
    book = BudgetBook()
    refuse(book, "b", 0.0, "app", usage(1.0, retry_after_seconds=500.0))
    assert book.peek("a", 0.0) == 500.0

    book.admit("a", 500.0, "t")
    assert book.refused("a", 500.0, None, scope="waba", sent=500.0, token="t") == 560.0


def test_a_refusal_elsewhere_holds_a_waba_that_is_full_as_well() -> None:
    book = BudgetBook()

    when = refuse(book, "a", 0.0, "app", Usage(UsageMetric(100.0, 0.0, 900.0), UsageMetric(100.0)))

    assert when == 900.0
    assert book.peek("b", 300.0) == 300.0


def test_a_token_that_was_refused_is_tried_by_one_call() -> None:
    book = BudgetBook()
    book_call(book, "a", 0.0, usage(1.0))
    refuse(book, "a", 0.0, "token")

    assert book.admit("a", 60.0, "t") == 60.0
    assert book.admit("a", 60.0, "t") == 61.0
    assert book.admit("a", 60.0, "new") == 60.0

    book.answered("a", 60.5, None, sent=60.0, token="t")
    assert book.admit("a", 60.5, "t") == 60.5

    book.abandoned("a", 61.0, token="t")
    book.unsent("a", 61.0, token="new")
    book.peek("a", 9000.0)
    assert not book._tokens


def test_a_call_that_was_admitted_elsewhere_is_in_flight_too() -> None:
    book = BudgetBook(quota=1)
    book.take("a", 0.0)

    assert book.admit("a", 0.0) == 1.0
    book.unsent("a", 0.5)
    assert book.admit("a", 0.5) == 0.5


def test_a_token_is_held_for_as_long_as_was_said() -> None:
    book = BudgetBook()
    refuse(book, "a", 0.0, "token", usage(1.0, retry_after_seconds=20_000.0))

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


def test_of_what_is_no_waba_only_readings_of_the_app_are_heeded() -> None:
    book = BudgetBook()
    for now in range(100):
        book_call(book, None, float(now), Usage(UsageMetric(100.0, 100.0, 900.0), UsageMetric(50.0)))

    assert book.peek(None, 100.0) == 100.0
    assert book.app.quota < 1000
    assert book.last_usage(None) == Usage(UsageMetric(100.0, 100.0, 900.0), UsageMetric(50.0))


def test_calls_on_what_is_no_waba_are_abandoned_or_not_sent_as_any_other() -> None:
    book = BudgetBook()
    for report in (book.abandoned, book.unsent):
        assert book.admit(None, 0.0) == 0.0
        report(None, 0.0)

    assert book.app.used(0.0) == 1


def test_an_abandoned_call_counts_and_one_never_sent_does_not() -> None:
    book = BudgetBook()
    book.admit("a", 0.0)
    book.abandoned("a", 0.0)
    book.admit("a", 1.0)
    book.unsent("a", 1.0)

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
    book.answered("a", 0.0, None, sent=0.0)

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
    refuse(book, "1", 0.0, "waba")

    book_call(book, "new", 0.0)

    assert len(book) == 19
    assert [key for key in map(str, range(20)) if book.waba(key) is None] == ["2", "3"]


def test_what_is_held_or_half_full_is_never_forgotten() -> None:
    book = BudgetBook(quota=2, max_keys=4)
    for number in range(40):
        book_call(book, f"{number}", 0.0, usage(50.0))
        book_call(book, f"{number}", 0.0, usage(100.0))

    assert len(book) == 40


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
            if good:
                book.answered(key, now + 0.1, usage(percent), sent=now)
            else:
                book.refused(key, now + 0.1, usage(percent), scope="waba", sent=now)
