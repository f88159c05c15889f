"""Events: all listeners get them in order, and no listener can harm a call."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from types import EllipsisType
from typing import Any, TypeVar, Unpack
from urllib.parse import quote

import attrs
import pytest

from wa_phone_async import (
    CallFinished,
    Event,
    Filter,
    ListFinished,
    NameStageChanged,
    OutcomeUnknownError,
    PhoneNumberClient,
    QuotaWaitEnded,
    QuotaWaitStarted,
    RateLimitError,
    RetryPlanned,
    RetryPolicy,
    Throttle,
    ThrottleEnded,
    ThrottleStarted,
    TransportError,
)
from wa_phone_async.call import attempt
from wa_phone_async.client import Settings
from wa_phone_async.events import EventDispatcher, Listener
from wa_phone_async.sandbox import LARGE_WABA, SMALL_WABA, Fault, Sandbox, VirtualTimeLoop
from wa_phone_async.usage import Usage, UsageMetric

T = TypeVar("T")

TOKEN = "EAAG+invented/token="
PATH = f"{SMALL_WABA}/phone_numbers"
ENDED = ThrottleEnded(node_id=SMALL_WABA)
THROTTLED = Fault.error(80008, headers={"Retry-After": "90"})


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run in virtual time, which begins at 0."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


@asynccontextmanager
async def serving(
    listener: Listener | None = None, **settings: Unpack[Settings]
) -> AsyncIterator[tuple[Sandbox, PhoneNumberClient]]:
    async with Sandbox(quota=10, latency=0.25) as sandbox:
        settings = {"base_url": sandbox.url, "retry": RetryPolicy(max_wait=100), "on_event": listener, **settings}
        async with PhoneNumberClient(TOKEN, **settings) as client:
            yield sandbox, client


async def create(client: PhoneNumberClient) -> None:
    await client.create_phone_number(SMALL_WABA, phone_number="16315551000", verified_name="Acme")


# Which events there are


def test_a_call_that_succeeded() -> None:
    async def main() -> None:
        events = list[Event]()
        async with serving(events.append) as (_, client):
            await client.list_phone_numbers(SMALL_WABA)
        assert events == [
            CallFinished(
                method="GET",
                path=PATH,
                node_id=SMALL_WABA,
                error=None,
                http_status=200,
                trace_id=None,
                attempts=1,
                seconds=0.25,
                seconds_waited=0.0,
                usage=Usage(UsageMetric(10.0, 5.0)),
                waba_id=SMALL_WABA,
            )
        ]

    run(main())


async def account_of(waba_id: str | EllipsisType | None) -> str | None:
    """The account that the event of a read of a number's node names."""
    events = list[Event]()
    with Sandbox() as sandbox:
        sandbox.plan(Fault.raw("{}"))
        async with PhoneNumberClient(TOKEN, base_url=sandbox.url, on_event=events.append) as client:
            await client.session.get("300000000000001", dict, waba_id=waba_id)
    [finished] = events
    assert isinstance(finished, CallFinished)
    return finished.waba_id


async def test_a_call_names_the_account_whose_quota_it_used() -> None:
    assert await account_of(SMALL_WABA) == SMALL_WABA
    assert await account_of(...) == "300000000000001"
    assert await account_of(None) is None


def test_each_page_of_a_list_is_a_call() -> None:
    async def main() -> None:
        events = list[Event]()
        async with serving(events.append) as (_, client):
            await client.list_phone_numbers(LARGE_WABA)
        assert [type(event) for event in events] == [CallFinished] * 3

    run(main())


def test_calls_that_wait_for_the_quota_have_one_event_together() -> None:
    async def main() -> None:
        events = list[Event]()
        retry, throttle = RetryPolicy.batch(), Throttle(quota=2)
        async with serving(events.append, retry=retry, throttle=throttle) as (sandbox, client):
            sandbox.add_waba("5", [])
            for _ in range(2):
                await client.list_phone_numbers(SMALL_WABA)
                await client.list_phone_numbers("5")
            events.clear()
            async with asyncio.timeout(7000):
                first, late = client.list_phone_numbers(SMALL_WABA), anext(client.list_phone_numbers("5"), None)
                await asyncio.gather(first, late)
        began, *_, ended = [event for event in events if not isinstance(event, CallFinished)]
        assert began == QuotaWaitStarted(node_id=SMALL_WABA, seconds=3899.0)
        assert isinstance(ended, QuotaWaitEnded)
        assert len(events) == 4

    run(main())


def test_a_cancelled_wait_has_ended() -> None:
    async def main() -> None:
        events = list[Event]()
        async with serving(events.append, retry=RetryPolicy.batch(), throttle=Throttle(quota=1)) as (_, client):
            await client.list_phone_numbers(SMALL_WABA)
            events.clear()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2):
                    await client.list_phone_numbers(SMALL_WABA)
        began, ended, finished = events
        assert (began, ended) == (
            QuotaWaitStarted(node_id=SMALL_WABA, seconds=3899.0),
            QuotaWaitEnded(node_id=SMALL_WABA),
        )
        assert isinstance(finished, CallFinished)

    run(main())


def test_a_wait_for_the_end_of_a_cooldown_is_no_quota_wait() -> None:
    async def main() -> None:
        events = list[Event]()
        async with serving(events.append) as (sandbox, client):
            sandbox.plan(THROTTLED)
            first = asyncio.create_task(anext(client.list_phone_numbers(SMALL_WABA)))
            await asyncio.sleep(1)
            await client.list_phone_numbers(SMALL_WABA)
            await first
        assert not any(isinstance(event, QuotaWaitStarted | QuotaWaitEnded) for event in events)
        assert sum(isinstance(event, ThrottleStarted) for event in events) == 1

    run(main())


def test_a_throttled_call_starts_a_cooldown_and_is_retried() -> None:
    async def main() -> None:
        events = list[Event]()
        async with serving(events.append) as (sandbox, client):
            sandbox.plan(THROTTLED)
            await client.list_phone_numbers(SMALL_WABA)
        assert events[:3] == [
            ThrottleStarted(node_id=SMALL_WABA, code=80008, seconds=90.0),
            RetryPlanned(
                method="GET",
                path=PATH,
                node_id=SMALL_WABA,
                error="RateLimitError",
                code=80008,
                attempt=1,
                seconds=90.0,
            ),
            ENDED,
        ]
        finished = events[3]
        assert isinstance(finished, CallFinished)
        assert (finished.attempts, finished.seconds, finished.seconds_waited) == (2, 90.5, 90.0)

    run(main())


def test_a_call_with_an_api_error() -> None:
    async def main() -> None:
        events = list[Event]()
        async with serving(events.append) as (sandbox, client):
            sandbox.plan(Fault.error(100, status=400))
            with pytest.raises(Exception, match="planned") as caught:
                await create(client)
        [finished] = events
        assert isinstance(finished, CallFinished)
        assert (finished.method, finished.error, finished.http_status) == ("POST", type(caught.value).__name__, 400)
        assert finished.trace_id is not None
        assert finished.trace_id == getattr(caught.value, "fbtrace_id", None)

    run(main())


def test_a_call_that_was_not_sent() -> None:
    async def main() -> None:
        events = list[Event]()
        async with serving(events.append, retry=RetryPolicy.interactive()) as (sandbox, client):
            sandbox.plan(THROTTLED)
            for _ in range(2):
                with pytest.raises(RateLimitError):
                    await create(client)
        began, _, finished = events
        assert isinstance(began, ThrottleStarted)
        assert isinstance(finished, CallFinished)
        assert (finished.error, finished.attempts, finished.http_status) == ("RateLimitError", 0, None)
        assert finished.seconds == 0

    run(main())


def test_an_unknown_outcome_is_a_write_that_failed() -> None:
    async def main() -> None:
        events = list[Event]()
        async with serving(events.append) as (sandbox, client):
            sandbox.plan(Fault.drop_after())
            with pytest.raises(OutcomeUnknownError):
                await create(client)
        [finished] = events
        assert isinstance(finished, CallFinished)
        assert (finished.method, finished.error, finished.attempts) == ("POST", "OutcomeUnknownError", 1)

    run(main())


@pytest.mark.parametrize(
    ("method", "error", "attempts", "may_have_written"),
    [
        ("GET", None, 1, False),
        ("POST", None, 1, True),
        ("POST", "OutcomeUnknownError", 1, True),
        ("POST", "CancelledError", 1, True),
        ("POST", "CancelledError", 0, False),
        ("POST", "ConflictError", 1, False),
    ],
)
def test_an_unknown_outcome_counts_as_a_write(
    method: str, error: str | None, attempts: int, *, may_have_written: bool
) -> None:
    event = CallFinished(
        method=method,
        path=PATH,
        node_id=SMALL_WABA,
        error=error,
        http_status=None,
        trace_id=None,
        attempts=attempts,
        seconds=0.0,
        seconds_waited=0.0,
        usage=None,
    )
    assert event.may_have_written == may_have_written


def test_a_call_that_was_cancelled_has_finished_too() -> None:
    async def main() -> None:
        events = list[Event]()
        async with serving(events.append) as (sandbox, client):
            sandbox.plan(THROTTLED)
            throttled = asyncio.create_task(client.list_phone_numbers(SMALL_WABA).collect())
            await asyncio.sleep(1)
            waiting = asyncio.create_task(client.list_phone_numbers(SMALL_WABA).collect())
            await asyncio.sleep(9)
            for call in (waiting, throttled):
                call.cancel()
            await asyncio.gather(throttled, waiting, return_exceptions=True)
        ends = [event for event in events if isinstance(event, CallFinished)]
        assert {event.error for event in ends} == {"CancelledError"}
        assert {(event.attempts, event.seconds) for event in ends} == {(0, 9.0), (1, 10.0)}
        assert {event.seconds_waited for event in ends} == {9.0, 90.0}  # the retry's wait was planned whole

    run(main())


def test_a_cooldown_has_one_event_for_any_number_of_throttled_calls() -> None:
    async def main() -> None:
        events = list[Event]()
        async with serving(events.append) as (sandbox, client):
            await client.list_phone_numbers(SMALL_WABA)
            sandbox.plan(THROTTLED, times=5)
            await asyncio.gather(*(client.list_phone_numbers(SMALL_WABA).collect() for _ in range(5)))
        kinds = [type(event) for event in events]
        assert (kinds.count(ThrottleStarted), kinds.count(ThrottleEnded), kinds.count(RetryPlanned)) == (1, 1, 5)

    run(main())


# Listeners


def test_a_listener_subscribes_and_unsubscribes() -> None:
    async def main() -> None:
        first, second = list[Event](), list[Event]()
        async with serving(first.append) as (_, client):
            unsubscribe = client.subscribe(second.append)
            await client.list_phone_numbers(SMALL_WABA)
            unsubscribe()
            unsubscribe()
            await client.list_phone_numbers(SMALL_WABA)
        assert (len(first), len(second)) == (2, 1)

    run(main())


def test_all_listeners_get_the_same_events_in_the_same_order() -> None:
    async def main() -> None:
        received = list[tuple[str, type[Event]]]()
        async with serving() as (sandbox, client):
            client.subscribe(lambda event: received.append(("first", type(event))))
            client.subscribe(lambda event: received.append(("second", type(event))))
            sandbox.plan(THROTTLED)
            await client.list_phone_numbers(SMALL_WABA)
        kinds = (ThrottleStarted, RetryPlanned, ThrottleEnded, CallFinished)
        assert received == [(who, kind) for kind in kinds for who in ("first", "second")]

    run(main())


def test_closing_waits_for_async_listeners_and_calls_do_not() -> None:
    async def main() -> None:
        received = list[Event]()

        async def listen(event: Event) -> None:
            await asyncio.sleep(60)
            received.append(event)

        async with serving(listen) as (_, client):
            await client.list_phone_numbers(SMALL_WABA)
            assert (received, asyncio.get_running_loop().time()) == ([], 0.25)
        assert len(received) == 1

    run(main())


def failing(_: Event) -> None:
    raise ValueError("a listener's own mistake")


async def failing_later(_: Event) -> None:
    await asyncio.sleep(0)
    raise ValueError("a listener's own mistake")


@pytest.mark.parametrize("listener", [failing, failing_later])
def test_a_failing_listener_is_logged_and_harms_no_call(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        events = list[Event]()
        async with serving(listener) as (_, client):
            client.subscribe(events.append)
            assert len(await client.list_phone_numbers(SMALL_WABA)) == 3
        assert len(events) == 1

    run(main())
    [record] = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == (
        "wa_phone_async",
        logging.ERROR,
        "an event listener failed",
    )


async def test_a_listener_may_close_its_dispatcher() -> None:
    dispatcher, closed = EventDispatcher(), asyncio.Event()

    async def close(_: Event) -> None:
        await dispatcher.aclose()
        closed.set()

    dispatcher.subscribe(close)
    dispatcher.dispatch(ENDED)
    await asyncio.wait_for(closed.wait(), 5)
    await dispatcher.aclose()


def test_closing_does_not_wait_for_the_listeners_of_another_loop() -> None:
    dispatcher, ended = EventDispatcher(), asyncio.new_event_loop()
    dispatcher.subscribe(lambda _: asyncio.sleep(0))

    async def dispatch() -> None:
        dispatcher.dispatch(ENDED)

    ended.run_until_complete(dispatch())
    asyncio.run(dispatcher.aclose())
    ended.run_until_complete(dispatcher.aclose())
    assert not dispatcher._tasks
    ended.close()


# The log, and the cost


def test_the_log_says_the_events_in_sentences(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "wa_phone_async")

    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.plan(THROTTLED)
            await client.list_phone_numbers(SMALL_WABA)
        ours = [record for record in caplog.records if record.name == "wa_phone_async"]
        assert [(record.levelname, record.getMessage()) for record in ours] == [
            ("INFO", f"Meta throttles calls on {SMALL_WABA} (code 80008). They wait 90 s."),
            ("WARNING", f"Waiting 90 s because Meta throttles WABA {SMALL_WABA}; cancelling is safe."),
            ("INFO", f"GET {PATH} failed with RateLimitError (code 80008). Attempt 2 follows in 90 s."),
            ("INFO", f"Meta accepts calls on {SMALL_WABA} again."),
            ("DEBUG", f"GET {PATH} succeeded after 90 s and 2 attempts."),
        ]

    run(main())
    assert logging.getLogger("wa_phone_async").handlers == []


LIST = ListFinished(
    list_id=1, path=PATH, node_id=SMALL_WABA, error=None, complete=True, pages=3, rows=2500, seconds=0.756
)
FAILED = CallFinished(
    method="GET",
    path=PATH,
    node_id=SMALL_WABA,
    error="ServerError",
    code=2,
    http_status=500,
    trace_id="AbC",
    attempts=1,
    seconds=1.25,
    seconds_waited=0.0,
    usage=None,
)
LOST = RetryPlanned(
    method="GET",
    path=PATH,
    node_id=SMALL_WABA,
    error="TransportError",
    attempt=1,
    seconds=0.756,
    reason="cannot connect",
)
SENTENCES: dict[str, Event] = {
    f"GET {PATH} failed with ServerError (HTTP 500, code 2, trace AbC) after 1.2 s and 1 attempt.": FAILED,
    f"GET {PATH} failed with TransportError: cannot connect. Attempt 2 follows in 0.76 s.": LOST,
    "A call on 7 waits for its quota, for 3,899 s at most.": QuotaWaitStarted(node_id="7", seconds=3899.0),
    "No call waits for its quota any more. The last one was on 7.": QuotaWaitEnded(node_id="7"),
    "7: Meta reviews it.": NameStageChanged(node_id="7", name="Acme", stage="in-review", sentence="Meta reviews it."),
    f"The list {PATH} is complete after 0.76 s, pages: 3, rows: 2,500.": LIST,
    f"The list {PATH} was left early after 0.76 s, pages: 3, rows: 2,500.": attrs.evolve(LIST, complete=False),
    f"The list {PATH} failed with DecodeError after 0.76 s, pages: 3, rows: 2,500.": attrs.evolve(
        LIST, error="DecodeError", complete=False
    ),
}


@pytest.mark.parametrize(
    ("sentence", "event"), SENTENCES.items(), ids=[type(each).__name__ for each in SENTENCES.values()]
)
def test_each_event_is_a_sentence_in_the_log(sentence: str, event: Event, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "wa_phone_async")
    EventDispatcher().dispatch(event)
    assert caplog.messages == [sentence]


def test_the_first_failure_without_network_says_the_cause(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "wa_phone_async")

    async def main() -> None:
        policy = RetryPolicy(max_attempts=2, first_wait=0.1)  # it waits for less than twice as long
        async with PhoneNumberClient(TOKEN, base_url="http://127.0.0.1:1", retry=policy) as client:
            with pytest.raises(TransportError) as caught:
                await client.list_phone_numbers(SMALL_WABA)
            reason = caught.value.reason
            assert str(reason).startswith("cannot connect to 127.0.0.1:1 (Connect")
            [line] = caplog.messages
            assert line.startswith(f"GET {PATH} failed with TransportError: {reason}. Attempt 2 follows in 0.")

    run(main())


def test_no_event_and_no_line_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> str:
        events = list[Event]()
        async with serving(events.append, app_secret="an+invented/secret") as (sandbox, client):
            sandbox.plan(THROTTLED)
            await client.list_phone_numbers(SMALL_WABA, filtering=Filter("account_mode", "LIVE"))
            sandbox.plan(Fault.error(190, f"Malformed access token {TOKEN}"))
            for _ in range(2):
                await asyncio.gather(create(client), return_exceptions=True)
        return "".join(map(repr, events))

    events = run(main())
    ours = "".join(str(vars(record)) for record in caplog.records if record.name.startswith("wa_phone_async"))
    assert "/phone_numbers failed with AuthenticationError (HTTP 401, code 190" in ours
    for text in (TOKEN, "an+invented/secret", "appsecret_proof", "account_mode", "16315551000", "Acme"):
        for form in (text, quote(text, safe=""), base64.b64encode(text.encode()).decode()):
            assert form not in events + ours


def test_without_a_listener_no_event_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(**_: object) -> None:
        raise AssertionError("an event was made without a listener")

    for kind in (CallFinished, RetryPlanned, ThrottleStarted, ThrottleEnded):
        monkeypatch.setattr(attempt, kind.__name__, forbidden)

    async def main() -> None:
        async with serving() as (sandbox, client):
            sandbox.plan(THROTTLED)
            assert len(await client.list_phone_numbers(SMALL_WABA)) == 3

    run(main())
