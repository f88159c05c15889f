"""Retries: which errors are retried, and a pure generator that decides the waits; the decorator never waits less."""

import asyncio
import inspect
import itertools
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import attrs
import pytest
from api_errors import PAYLOADS, STATUSES
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.call.response import read_api_error
from wa_phone_async.call.retry import RetryPolicy, is_retryable, retrying, unknown_outcome, waits
from wa_phone_async.decoding.converter import Json
from wa_phone_async.errors import (
    DecodeError,
    InvalidArgumentError,
    OutcomeUnknownError,
    PaginationError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    TransportError,
    WaPhoneError,
)

QUICK = RetryPolicy(max_attempts=4, first_wait=0.001, max_wait=0.01)

policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 12),
    max_wait=st.floats(0.001, 1e6),
    first_wait=st.floats(0.001, 1e6),
)
draws = st.floats(0, 1, exclude_max=True)
hints = st.none() | st.floats(0, 1e7)


def failure(
    *, retry_after: float | None = None, retryable: bool = True, seconds_left: float | None = None
) -> WaPhoneError:
    error = TransportError("the connection broke")
    error.retry_after, error.retryable, error.seconds_left = retry_after, retryable, seconds_left
    return error


def decide(policy: RetryPolicy, errors: Iterable[WaPhoneError], draw: Callable[[], float] = lambda: 0.0) -> list[float]:
    """The waits of the policy after each error, until it gives up."""
    deciding = waits(policy, draw=draw)
    next(deciding)
    decided = []
    for error in errors:
        try:
            decided.append(deciding.send(error))
        except StopIteration:
            return decided
    raise AssertionError("the policy did not give up")


def always(**facts: Any) -> Iterable[WaPhoneError]:
    return itertools.islice((failure(**facts) for _ in itertools.count()), 100)


# --- the policy


def test_the_defaults_end() -> None:
    assert attrs.asdict(RetryPolicy()) == {
        "max_attempts": 5,
        "max_wait": 60.0,
        "first_wait": 0.5,
        "total_timeout": None,
    }
    assert decide(RetryPolicy(), always()) == [0.5, 1.0, 2.0, 4.0]
    assert sum(decide(RetryPolicy(max_attempts=50), always())) < 50 * 60


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"max_attempts": 0}, "max_attempts must be a whole number from 1 up, not 0"),
        ({"max_attempts": 2.5}, "max_attempts must be a whole number from 1 up, not 2.5"),
        ({"max_wait": 0}, "max_wait must be a number of seconds above 0, not 0"),
        ({"max_wait": float("inf")}, "max_wait must be a number of seconds above 0, not inf"),
        ({"first_wait": -1}, "first_wait must be a number of seconds, 0 or more, not -1"),
        ({"total_timeout": "1"}, "total_timeout must be a number of seconds above 0, not '1'"),
    ],
    ids=str,
)
def test_a_policy_out_of_range_is_invalid(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        RetryPolicy(**wrong)
    assert str(caught.value) == text


def test_a_total_timeout_in_range_is_valid() -> None:
    assert RetryPolicy(total_timeout=90).total_timeout == 90


# --- which errors are retried


def test_a_page_that_is_too_large_is_not_retried() -> None:
    text = "Please reduce the amount of data you're asking for, then retry your request"
    for transient in (None, True, False):
        sent = {"error": {"message": text, "code": 1, "is_transient": transient}}
        error = read_api_error(sent, http_status=500, secrets=())
        assert type(error) is ServerError
        assert not is_retryable(error, is_write=False)


@pytest.mark.parametrize(
    ("error", "read", "write", "reason"),
    [
        (TransportError("cannot connect", sent=False), True, True, None),
        (TransportError("the connection broke"), True, False, "the connection broke before the response"),
        (RequestTimeoutError("no connection in time", sent=False), True, True, None),
        (RequestTimeoutError("no response in time"), True, False, "no response in time"),
        (DecodeError("cut", http_status=200, garbled=True), True, False, "an invalid response (HTTP 200)"),
        (DecodeError("no id", http_status=200), False, False, "an invalid response (HTTP 200)"),
        (DecodeError("a redirect", http_status=302), False, False, "an invalid response (HTTP 302)"),
        (InvalidArgumentError("limit", "a whole number"), False, False, None),
        (PaginationError("a circle"), False, False, None),
        (OutcomeUnknownError("?", waba_id="1", phone_number="2", reason="a time-out"), False, False, None),
        (WaPhoneError("?"), False, False, None),
    ],
    ids=[
        "no connection",
        "broken",
        "no connection in time",
        "no response in time",
        "cut",
        "invalid",
        "redirect",
        "argument",
        "list",
        "unknown outcome",
        "any",
    ],
)
def test_errors_that_are_not_the_apis(error: WaPhoneError, reason: str | None, *, read: bool, write: bool) -> None:
    assert is_retryable(error, is_write=False) is read
    assert is_retryable(error, is_write=True) is write
    assert unknown_outcome(error) == reason


@given(PAYLOADS, STATUSES)
def test_a_write_that_may_have_happened_is_never_retried(payload: Json, http_status: int) -> None:
    error = read_api_error(payload, http_status=http_status, secrets=())
    assert not (is_retryable(error, is_write=True) and unknown_outcome(error))
    assert is_retryable(error, is_write=False) or not is_retryable(error, is_write=True)


# --- the wait


@given(
    policies, st.lists(st.tuples(hints, st.none() | st.floats(-1, 1e7), st.booleans()), min_size=12, max_size=12), draws
)
def test_every_policy_ends_and_every_wait_is_in_range(
    policy: RetryPolicy, facts: list[tuple[float | None, float | None, bool]], draw: float
) -> None:
    errors = [failure(retry_after=hint, seconds_left=left, retryable=can) for hint, left, can in facts]
    decided = decide(policy, errors, lambda: draw)
    assert len(decided) < policy.max_attempts
    for wait, error in zip(decided, errors, strict=False):
        assert error.retryable
        assert (error.retry_after or 0) <= wait <= policy.max_wait
        assert error.seconds_left is None or wait < error.seconds_left


@given(policies, draws)
def test_without_a_hint_waits_follow_the_formula(policy: RetryPolicy, draw: float) -> None:
    formula = [min(policy.max_wait, policy.first_wait * 2**n * (1 + draw)) for n in range(policy.max_attempts - 1)]
    assert decide(policy, always(), lambda: draw) == pytest.approx(formula)


@given(policies, st.floats(0.001, 1e6))
def test_a_servers_wait_is_a_floor_up_to_the_longest_wait(policy: RetryPolicy, hint: float) -> None:
    decided = decide(policy, always(retry_after=hint))
    if hint > policy.max_wait:
        assert decided == []
    else:
        assert len(decided) == policy.max_attempts - 1
        assert all(wait >= hint for wait in decided)


def test_a_hint_does_not_stop_our_own_waits_from_growing() -> None:
    errors = [failure(retry_after=hint) for hint in (3.0, None, None, 1.0, None)]
    assert decide(RetryPolicy(), errors) == [3.0, 1.0, 2.0, 4.0]


@pytest.mark.parametrize(("left", "decided"), [(0.5, []), (0.4, []), (0.0, []), (-1.0, []), (0.51, [0.5])])
def test_a_wait_that_would_overrun_the_call_does_not_begin(left: float, decided: list[float]) -> None:
    assert decide(RetryPolicy(max_attempts=2), [failure(seconds_left=left)] * 2) == decided


def test_an_error_that_is_not_retryable_is_not_retried() -> None:
    assert decide(RetryPolicy(), [failure(retryable=False)]) == []
    assert decide(RetryPolicy(), [failure(), failure(retryable=False, retry_after=1.0)]) == [0.5]


def test_jitter_differs_from_call_to_call_and_only_adds() -> None:
    firsts = {decide(RetryPolicy(), always())[0]}
    for _ in range(20):
        deciding = waits(RetryPolicy())
        next(deciding)
        firsts.add(deciding.send(failure()))
    assert len(firsts) > 2
    assert all(0.5 <= wait < 1.0 for wait in firsts)


# --- the decorator


class Attempts:
    """Raises each of the errors, and then returns a value."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.times = list[float]()

    async def __call__(self) -> str:
        self.times.append(asyncio.get_running_loop().time())
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def ignore(*_: object, error: WaPhoneError, seconds: float) -> None:
    """No test here looks at the waits."""


def persistent(policy: RetryPolicy, attempt: Callable[[], Awaitable[str]]) -> Callable[[], Awaitable[str]]:
    async def call() -> str:
        return await attempt()

    return retrying(policy, ignore)(call)


async def test_failed_attempts_are_retried_until_one_succeeds() -> None:
    attempts = Attempts(failure(), failure(), failure())
    assert await persistent(QUICK, attempts)() == "done"
    assert len(attempts.times) == 4


@pytest.mark.parametrize("most", [1, 2, 5])
async def test_the_first_call_counts_and_the_last_error_is_raised_as_it_is(most: int) -> None:
    errors = [failure() for _ in range(most + 1)]
    attempts = Attempts(*errors)
    with pytest.raises(TransportError) as caught:
        await persistent(attrs.evolve(QUICK, max_attempts=most), attempts)()
    assert len(attempts.times) == most
    assert caught.value is errors[most - 1]
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


async def test_a_wait_is_never_shorter_than_the_server_asks() -> None:
    attempts = Attempts(failure(retry_after=0.05), failure(retry_after=0.02))
    await persistent(RetryPolicy(first_wait=0.001, max_wait=0.05), attempts)()
    first, second, third = attempts.times
    assert second - first >= 0.049  # clocks tick
    assert third - second >= 0.019


async def test_a_servers_longer_wait_raises_its_error_at_once() -> None:
    error = RateLimitError("Too many calls", http_status=400, code=80008, retry_after=3600.0)
    error.retryable = True
    attempts = Attempts(error)
    with pytest.raises(RateLimitError) as caught:
        await persistent(RetryPolicy(), attempts)()
    assert caught.value is error
    assert caught.value.retry_after == 3600.0
    assert len(attempts.times) == 1


async def test_an_error_that_is_not_retryable_is_raised_at_once() -> None:
    error = ServerError("No", http_status=500, code=131045)
    attempts = Attempts(error)
    with pytest.raises(ServerError) as caught:
        await persistent(RetryPolicy(), attempts)()
    assert caught.value is error
    assert len(attempts.times) == 1


@pytest.mark.parametrize("error", [ValueError("mine"), TimeoutError("mine"), asyncio.CancelledError()], ids=repr)
async def test_other_errors_pass_through(error: BaseException) -> None:
    attempts = Attempts(error)
    with pytest.raises(type(error)) as caught:
        await persistent(QUICK, attempts)()
    assert caught.value is error
    assert len(attempts.times) == 1


async def test_a_call_that_waits_can_be_cancelled() -> None:
    attempts = Attempts(failure(retry_after=30.0))
    task = asyncio.ensure_future(persistent(RetryPolicy(), attempts)())
    while not attempts.times:
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(attempts.times) == 1


async def test_calls_at_once_do_not_count_each_others_attempts() -> None:
    async def attempt(errors: list[WaPhoneError]) -> str:
        await asyncio.sleep(0)
        if errors:
            raise errors.pop()
        return "done"

    call = retrying(QUICK, ignore)(attempt)
    assert await asyncio.gather(*(call([failure() for _ in range(3)]) for _ in range(5))) == ["done"] * 5


async def test_nothing_of_an_error_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    with pytest.raises(TransportError):
        await persistent(QUICK, Attempts(*(failure() for _ in range(9))))()
    assert "the connection broke" not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("backoff")]


async def test_the_decorated_function_keeps_its_name_and_arguments() -> None:
    async def send(request: str, *, signed: bool) -> str:
        """Send a request."""
        return f"{request} {signed}"

    call = retrying(QUICK, ignore)(send)
    assert (call.__name__, call.__doc__) == ("send", "Send a request.")
    assert await call("GET", signed=True) == "GET True"


@pytest.mark.parametrize(
    ("made", "policy"),
    [
        (RetryPolicy, RetryPolicy()),
        (RetryPolicy.batch, RetryPolicy.batch()),
        (RetryPolicy.interactive, RetryPolicy.interactive()),
    ],
    ids=["plain", "batch", "interactive"],
)
def test_the_documentation_of_a_policy_has_its_numbers(made: object, policy: RetryPolicy) -> None:
    said = re.findall(r"[0-9][0-9.,]*[0-9]|[0-9]", inspect.getdoc(made) or "")
    numbers = [number for number in attrs.astuple(policy) if number is not None]
    assert {f"{number:,g}" for number in numbers} <= set(said)
