"""OpenTelemetry: spans and metrics of calls, lists, rejections, cooldowns and quotas, in the SDK's own exporters."""

import asyncio
import base64
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar, Unpack
from urllib.parse import quote

import pytest

from wa_phone_async import (
    AsyncPaginator,
    BadRequestError,
    Filter,
    GraphSession,
    InvalidArgumentError,
    NotFoundError,
    OutcomeUnknownError,
    PaginationError,
    PhoneNumber,
    PhoneNumberClient,
    RateLimitError,
    RetryPolicy,
)
from wa_phone_async.client import Settings
from wa_phone_async.sandbox import BUSINESS_ID, LARGE_WABA, SMALL_WABA, Fault, Sandbox, VirtualTimeLoop

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from wa_phone_async.integrations.otel import _Target, instrument

T = TypeVar("T")

TOKEN = "EAAG+invented/token="
PATH = f"{SMALL_WABA}/phone_numbers"
CALL = "GET /v23.0/{id}/phone_numbers"
LIST = "list /v23.0/{id}/phone_numbers"
EDGE = "/v23.0/{id}/phone_numbers"
THROTTLED = Fault.error(80008, headers={"Retry-After": "90"})
REJECTED = Fault.error(100, status=400)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run in virtual time, which begins at 0."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


class Telemetry:
    """An application's own SDK, which keeps everything here."""

    def __init__(self, *views: View) -> None:
        self._spans = InMemorySpanExporter()
        self._metrics = InMemoryMetricReader()
        self.tracer_provider = TracerProvider(shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meter_provider = MeterProvider([self._metrics], shutdown_on_exit=False, views=views)
        self.tracer = self.tracer_provider.get_tracer("the application")

    def watch(self, client: PhoneNumberClient | GraphSession, **attributes: str) -> Callable[[], None]:
        return instrument(
            client,
            tracer_provider=self.tracer_provider,
            meter_provider=self.meter_provider,
            attributes=attributes,
        )

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """All that have ended, in that order."""
        return self._spans.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def points(self) -> Iterator[tuple[str, Mapping[str, Any], float]]:
        """Each metric's name, attributes and value so far: of a histogram, the sum of what it measured."""
        data = self._metrics.get_metrics_data()
        for resource in [] if data is None else data.resource_metrics:
            for metric in itertools.chain.from_iterable(scope.metrics for scope in resource.scope_metrics):
                for point in metric.data.data_points:
                    assert isinstance(point, NumberDataPoint | HistogramDataPoint)
                    value = point.sum if isinstance(point, HistogramDataPoint) else point.value
                    yield metric.name, dict(point.attributes or {}), value

    def metric(self, name: str) -> list[tuple[Mapping[str, Any], float]]:
        return [(attributes, value) for found, attributes, value in self.points() if found == name]


@asynccontextmanager
async def watched(**settings: Unpack[Settings]) -> AsyncIterator[tuple[Sandbox, PhoneNumberClient, Telemetry]]:
    """An instrumented client. Each response takes 0.25 s."""
    telemetry = Telemetry()
    async with Sandbox(quota=10, latency=0.25) as sandbox:
        settings = {"base_url": sandbox.url, "retry": RetryPolicy(max_wait=100), **settings}
        async with PhoneNumberClient(TOKEN, **settings) as client:
            telemetry.watch(client)
            yield sandbox, client, telemetry


async def create(client: PhoneNumberClient) -> None:
    await client.create_phone_number(SMALL_WABA, phone_number="16315551000", verified_name="Acme")


def of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


def is_child(span: ReadableSpan, other: ReadableSpan) -> bool:
    return span.parent is not None and span.parent == other.get_span_context()


# Spans of calls


def test_a_call_that_went_well() -> None:
    async def main() -> None:
        async with watched() as (sandbox, client, telemetry):
            await client.session.get(PATH, dict, {"fields": "id"})
            [span] = telemetry.spans
            assert (span.name, span.kind, span.parent) == (CALL, SpanKind.CLIENT, None)
            assert span.status.status_code is StatusCode.UNSET
            assert seconds(span) == 0.25
            host, _, port = sandbox.url.removeprefix("http://").partition(":")
            assert of(span) == {
                "http.request.method": "GET",
                "http.response.status_code": 200,
                "server.address": host,
                "server.port": int(port),
                "url.full": f"{sandbox.url}/v23.0/{PATH}",
                "url.template": EDGE,
                "wa_phone.attempts": 1,
                "wa_phone.seconds_waited": 0.0,
                "wa_phone.waba_id": SMALL_WABA,
            }
            scope = span.instrumentation_scope
            assert scope is not None
            assert scope.name == "wa_phone_async"

    run(main())


def test_a_call_is_the_child_of_the_span_that_is_current_where_it_is_made() -> None:
    async def main() -> None:
        async with watched() as (_, client, telemetry):
            with telemetry.tracer.start_as_current_span("the application's"):
                await client.session.get(PATH, dict)
        call, own = telemetry.spans
        assert is_child(call, own)

    run(main())


def test_a_call_that_was_throttled_and_retried() -> None:
    async def main() -> None:
        async with watched() as (sandbox, client, telemetry):
            sandbox.plan(THROTTLED)
            await create(client)
        [span] = telemetry.spans
        assert span.status.status_code is StatusCode.UNSET
        assert seconds(span) == 90.5
        assert of(span)["wa_phone.attempts"] == 2
        assert of(span)["wa_phone.seconds_waited"] == 90
        assert of(span)["http.request.resend_count"] == 1
        assert not {"error.type", "wa_phone.error_code"} & set(of(span))

    run(main())


def test_a_call_that_was_rejected() -> None:
    async def main() -> None:
        async with watched() as (sandbox, client, telemetry):
            sandbox.plan(REJECTED)
            with pytest.raises(BadRequestError) as caught:
                await create(client)
        [span] = telemetry.spans
        assert (span.name, span.status.status_code) == ("POST /v23.0/{id}/phone_numbers", StatusCode.ERROR)
        assert caught.value.fbtrace_id is not None
        assert of(span)["error.type"] == "BadRequestError"
        assert of(span)["http.response.status_code"] == 400
        assert of(span)["wa_phone.error_code"] == 100
        assert of(span)["wa_phone.fbtrace_id"] == caught.value.fbtrace_id

    run(main())


def test_a_call_whose_response_was_lost() -> None:
    async def main() -> None:
        async with watched() as (sandbox, client, telemetry):
            sandbox.plan(Fault.drop_after())
            with pytest.raises(OutcomeUnknownError):
                await create(client)
        [span] = telemetry.spans
        assert of(span)["error.type"] == "OutcomeUnknownError"
        assert "http.response.status_code" not in of(span)

    run(main())


def test_a_call_that_was_not_sent() -> None:
    async def main() -> None:
        async with watched(retry=RetryPolicy.interactive()) as (sandbox, client, telemetry):
            sandbox.plan(THROTTLED)
            for _ in range(2):
                with pytest.raises(RateLimitError):
                    await create(client)
        span = telemetry.spans[-1]
        assert (seconds(span), of(span)["wa_phone.attempts"], of(span)["error.type"]) == (0, 0, "RateLimitError")
        assert "http.request.resend_count" not in of(span)

    run(main())


def test_a_call_that_was_cancelled() -> None:
    async def main() -> None:
        async with watched() as (sandbox, client, telemetry):
            sandbox.plan(Fault.delay(60))
            with telemetry.tracer.start_as_current_span("the application's"):
                task = asyncio.create_task(create(client))
            await asyncio.sleep(10)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        own, call = telemetry.spans
        assert is_child(call, own)
        assert (seconds(call), of(call)["error.type"], call.status.status_code) == (
            10,
            "CancelledError",
            StatusCode.ERROR,
        )

    run(main())


def test_a_call_that_belongs_to_no_account_names_none() -> None:
    async def main() -> None:
        async with watched() as (_, client, telemetry):
            await client.list_business_accounts(BUSINESS_ID)
        call, its_list = telemetry.spans
        assert call.name == "GET /v23.0/{id}/owned_whatsapp_business_accounts"
        assert "wa_phone.waba_id" not in {**of(call), **of(its_list)}

    run(main())


# Spans of lists


async def by_rows(paginator: AsyncPaginator[PhoneNumber]) -> None:
    async for _ in paginator:
        await asyncio.sleep(0)


async def by_pages(paginator: AsyncPaginator[PhoneNumber]) -> None:
    async for _ in paginator.pages():
        await asyncio.sleep(0)


async def at_once(paginator: AsyncPaginator[PhoneNumber]) -> None:
    await paginator


@pytest.mark.parametrize("read", [by_rows, by_pages, at_once])
def test_the_calls_of_a_list_are_children_of_its_span(
    read: Callable[[AsyncPaginator[PhoneNumber]], Coroutine[Any, Any, None]],
) -> None:
    async def main() -> None:
        async with watched() as (_, client, telemetry):
            with telemetry.tracer.start_as_current_span("the application's"):
                await read(client.list_phone_numbers(LARGE_WABA))
        *calls, its_list, own = telemetry.spans
        assert [call.name for call in calls] == [CALL] * 3
        assert all(is_child(call, its_list) for call in calls)
        assert is_child(its_list, own)
        assert (its_list.name, its_list.kind, its_list.status.status_code) == (
            LIST,
            SpanKind.INTERNAL,
            StatusCode.UNSET,
        )
        assert of(its_list) == {
            "url.template": EDGE,
            "wa_phone.complete": True,
            "wa_phone.pages": 3,
            "wa_phone.rows": 250,
            "wa_phone.waba_id": LARGE_WABA,
        }
        assert (its_list.start_time, its_list.end_time) == (calls[0].start_time, calls[-1].end_time)

    run(main())


def test_prefetched_calls_are_children_of_the_list_too() -> None:
    async def main() -> None:
        async with watched() as (_, client, telemetry):
            with telemetry.tracer.start_as_current_span("the application's"):
                async with client.list_phone_numbers(LARGE_WABA, read_ahead=1) as paginator:
                    async for _number in paginator:
                        with telemetry.tracer.start_as_current_span("a row's"):
                            await asyncio.sleep(0)
        [its_list], [own] = telemetry.named(LIST), telemetry.named("the application's")
        assert is_child(its_list, own)
        assert [is_child(call, its_list) for call in telemetry.named(CALL)] == [True] * 3

    run(main())


def test_a_list_that_is_left_early_ends_with_its_last_call() -> None:
    async def main() -> None:
        async with watched() as (_, client, telemetry):
            async for _number in client.list_phone_numbers(LARGE_WABA):
                break
            await asyncio.sleep(60)
        call, its_list = telemetry.spans
        assert is_child(call, its_list)
        assert its_list.end_time == call.end_time
        assert (of(its_list)["wa_phone.complete"], of(its_list)["wa_phone.pages"]) == (False, 1)
        assert its_list.status.status_code is StatusCode.UNSET

    run(main())


def test_a_list_that_goes_on_after_an_error_has_two_spans() -> None:
    async def main() -> None:
        async with watched() as (sandbox, client, telemetry):
            paginator = client.list_phone_numbers(LARGE_WABA)
            await anext(paginator)
            sandbox.plan(REJECTED)
            with pytest.raises(BadRequestError):
                await paginator
            await paginator
        first, second = telemetry.named(LIST)
        assert (of(first)["error.type"], first.status.status_code) == ("BadRequestError", StatusCode.ERROR)
        assert [is_child(call, first) for call in telemetry.named(CALL)] == [True, True, False, False]
        assert [is_child(call, second) for call in telemetry.named(CALL)] == [False, False, True, True]
        assert of(second)["wa_phone.complete"] is True

    run(main())


def test_a_list_without_its_next_cursor() -> None:
    async def main() -> None:
        async with watched() as (sandbox, client, telemetry):
            sandbox.plan(Fault.raw('{"data": [], "paging": {"next": "https://graph.facebook.com/"}}'))
            with pytest.raises(PaginationError):
                await client.list_phone_numbers(LARGE_WABA)
        call, its_list = telemetry.spans
        assert (of(its_list)["error.type"], call.status.status_code) == ("PaginationError", StatusCode.UNSET)

    run(main())


def test_many_lists_are_children_of_the_span_in_which_their_block_began() -> None:
    async def main() -> None:
        async with watched() as (_, client, telemetry):
            with telemetry.tracer.start_as_current_span("the application's"):
                listings = await client.list_many([SMALL_WABA, LARGE_WABA, "12345"])
        assert len(listings) == 3
        [own] = telemetry.named("the application's")
        lists = {of(span)["wa_phone.waba_id"]: span for span in telemetry.named(LIST)}
        assert all(is_child(span, own) for span in lists.values())
        assert all(is_child(call, lists[of(call)["wa_phone.waba_id"]]) for call in telemetry.named(CALL))
        assert {waba_id: of(span).get("error.type") for waba_id, span in lists.items()} == {
            SMALL_WABA: None,
            LARGE_WABA: None,
            "12345": NotFoundError.__name__,
        }
        assert len(telemetry.spans) == 1 + 3 + 5

    run(main())


# Metrics


def test_calls_are_counted_and_timed_by_method_edge_and_outcome() -> None:
    async def main() -> None:
        async with watched() as (sandbox, client, telemetry):
            await client.list_phone_numbers(LARGE_WABA)
            sandbox.plan(Fault.raw("{}", status=201))
            await client.session.get(SMALL_WABA, dict)
            sandbox.plan(REJECTED)
            with pytest.raises(BadRequestError):
                await create(client)
        edge = {"http.request.method": "GET", "url.template": EDGE, "http.response.status_code": 200}
        node = {"http.request.method": "GET", "url.template": "/v23.0/{id}", "http.response.status_code": 201}
        rejected = {
            "http.request.method": "POST",
            "url.template": EDGE,
            "http.response.status_code": 400,
            "error.type": "BadRequestError",
        }
        assert telemetry.metric("wa_phone.calls") == [(edge, 3), (node, 1), (rejected, 1)]
        assert telemetry.metric("wa_phone.call.duration") == [(edge, 0.75), (node, 0.25), (rejected, 0.25)]

    run(main())


def test_rejections_retries_and_cooldowns() -> None:
    async def main() -> None:
        async with watched() as (sandbox, client, telemetry):
            await client.list_phone_numbers(SMALL_WABA)
            sandbox.plan(THROTTLED, times=3)
            await asyncio.gather(*(client.list_phone_numbers(SMALL_WABA).collect() for _ in range(3)))
            sandbox.plan(Fault.status(503))
            await client.list_phone_numbers(SMALL_WABA)
            sandbox.plan(Fault.error(100, status=400))
            with pytest.raises(BadRequestError):
                await client.list_phone_numbers(SMALL_WABA)
        retried = {"http.request.method": "GET", "url.template": EDGE}
        assert telemetry.metric("wa_phone.retries") == [
            ({**retried, "error.type": "RateLimitError"}, 3),
            ({**retried, "error.type": "ServerError"}, 1),
        ]
        assert telemetry.metric("wa_phone.rejections") == [
            ({"wa_phone.error_code": 80008, "error.type": "RateLimitError"}, 3),
            ({"wa_phone.error_code": 100, "error.type": "BadRequestError"}, 1),
        ]
        assert telemetry.metric("wa_phone.cooldown.duration") == [({"wa_phone.error_code": 80008}, 90)]

    run(main())


def test_a_cooldown_without_a_code() -> None:
    async def main() -> None:
        async with watched() as (sandbox, client, telemetry):
            sandbox.plan(Fault.status(429, headers={"Retry-After": "7"}))
            await client.list_phone_numbers(SMALL_WABA)
        assert telemetry.metric("wa_phone.cooldown.duration") == [({}, 7)]
        assert telemetry.metric("wa_phone.rejections") == []

    run(main())


def test_the_usage_of_quotas() -> None:
    async def main() -> None:
        telemetry = Telemetry()
        sandbox = Sandbox(quota=10, app_quota=100)
        async with sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
            telemetry.watch(client)
            await client.list_phone_numbers(LARGE_WABA)
            await client.list_phone_numbers(SMALL_WABA)
            await client.list_business_accounts(BUSINESS_ID)
        usage = telemetry.metric("wa_phone.usage")
        assert [value for attributes, value in usage if attributes.get("wa_phone.waba_id") == LARGE_WABA] == [30]
        assert [value for attributes, value in usage if attributes.get("wa_phone.waba_id") == SMALL_WABA] == [10]
        assert [value for attributes, value in usage if attributes == {"wa_phone.quota": "app"}] == [5]
        assert len(usage) == 3

    run(main())


def test_a_view_removes_the_accounts() -> None:
    async def main() -> None:
        telemetry = Telemetry(View(instrument_name="wa_phone.usage", attribute_keys={"wa_phone.quota"}))
        async with Sandbox(quota=10) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
            telemetry.watch(client)
            await client.list_phone_numbers(LARGE_WABA)
            await client.list_phone_numbers(SMALL_WABA)
        assert telemetry.metric("wa_phone.usage") == [({"wa_phone.quota": "waba"}, 10)]

    run(main())


# What no attribute holds, and what instrumenting never does


def test_no_secret_and_no_query_is_in_any_attribute() -> None:
    async def main() -> str:
        async with watched(app_secret="an+invented/secret") as (sandbox, client, telemetry):
            await client.list_phone_numbers(SMALL_WABA, filtering=Filter("account_mode", "LIVE"), after=None)
            sandbox.plan(THROTTLED)
            await create(client)
            sandbox.plan(Fault.error(190, f"Malformed access token {TOKEN}"))
            for _ in range(2):
                await asyncio.gather(create(client), return_exceptions=True)
            sandbox.plan(
                Fault.raw(f'{{"error": {{"message": "No", "code": 100, "fbtrace_id": "{TOKEN}"}}}}', status=400)
            )
            await asyncio.gather(client.session.get(SMALL_WABA, dict), return_exceptions=True)
        return "".join([*(span.to_json() for span in telemetry.spans), *map(repr, telemetry.points())])

    exported = run(main())
    assert "AuthenticationError" in exported
    assert '"wa_phone.error_code": 100' in exported
    for text in (TOKEN, "an+invented/secret", "appsecret_proof", "account_mode", "16315551000", "Acme", "?"):
        for shape in (text, quote(text, safe=""), base64.b64encode(text.encode()).decode()):
            assert shape not in exported


class Failing(SpanProcessor):
    """A span processor of the application that fails."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        del span, parent_context
        raise RuntimeError("the application's own mistake")


def test_what_fails_in_the_sdk_never_reaches_a_call(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with watched() as (_, client, telemetry):
            telemetry.tracer_provider.add_span_processor(Failing())
            assert len(await client.list_phone_numbers(LARGE_WABA)) == 250
            await create(client)
        assert telemetry.spans == ()
        assert sum(value for _, value in telemetry.metric("wa_phone.calls")) == 4

    run(main())
    assert {(record.name, record.levelno) for record in caplog.records} == {("wa_phone_async", logging.ERROR)}
    assert TOKEN not in caplog.text


def test_a_client_is_not_instrumented_twice() -> None:
    async def main() -> None:
        async with watched() as (_, client, telemetry), PhoneNumberClient(session=client.session) as other:
            for again in (client, other, client.session):
                with pytest.raises(
                    InvalidArgumentError,
                    match=r"^client must be one that is not instrumented yet: first call what instrument\(\) returned",
                ):
                    telemetry.watch(again)
            await client.list_phone_numbers(SMALL_WABA)
        assert len(telemetry.named(CALL)) == 1

    run(main())


def test_a_client_can_be_instrumented_again_after_the_first_has_ended() -> None:
    async def main() -> None:
        telemetry = Telemetry()
        client = PhoneNumberClient(TOKEN)
        first = telemetry.watch(client)
        first()
        telemetry.watch(client)
        first()  # once more, which does nothing
        with pytest.raises(InvalidArgumentError):
            telemetry.watch(client)

    run(main())


def test_ending_it_ends_open_spans_and_exports_nothing_more() -> None:
    async def main() -> None:
        telemetry = Telemetry()
        async with Sandbox() as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
            uninstrument = telemetry.watch(client)
            paginator = client.list_phone_numbers(LARGE_WABA)
            await anext(paginator)
            uninstrument()
            uninstrument()
            assert len(await paginator) == 249
            await create(client)
        call, its_list = telemetry.spans
        assert is_child(call, its_list)
        assert its_list.end_time == call.end_time
        assert sum(value for _, value in telemetry.metric("wa_phone.calls")) == 1

    run(main())


def test_instrumented_in_the_middle_of_a_list_it_exports_the_calls_alone() -> None:
    async def main() -> None:
        telemetry = Telemetry()
        async with Sandbox() as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
            paginator = client.list_phone_numbers(LARGE_WABA)
            await anext(paginator)
            telemetry.watch(client)
            await paginator
        assert [span.name for span in telemetry.spans] == [CALL] * 2

    run(main())


def test_instrumented_after_the_last_call_of_a_list_it_exports_nothing_of_it() -> None:
    async def main() -> None:
        telemetry = Telemetry()
        async with Sandbox() as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
            client.subscribe(lambda _: None, lists=True)
            paginator = client.list_phone_numbers(LARGE_WABA)
            await anext(paginator)
            telemetry.watch(client)
            del paginator
            await asyncio.sleep(0)
        assert telemetry.spans == ()

    run(main())


def test_attributes_tell_several_clients_apart() -> None:
    async def main() -> None:
        telemetry = Telemetry()
        async with (
            Sandbox() as sandbox,
            PhoneNumberClient("one-token", base_url=sandbox.url) as one,
            PhoneNumberClient("other-token", base_url=sandbox.url) as other,
        ):
            uninstrument = telemetry.watch(one, app="one")
            telemetry.watch(other, app="other")
            await asyncio.gather(one.list_many([LARGE_WABA] * 5), other.list_many([LARGE_WABA] * 5))
            uninstrument()
            await asyncio.gather(*(client.session.get(PATH, dict) for client in (one, other)))
        lists = telemetry.named(LIST)
        assert sorted(of(span)["app"] for span in lists) == ["one"] * 5 + ["other"] * 5
        *calls, last = telemetry.named(CALL)
        assert len(calls) == 30
        for call in calls:
            [its_list] = [span for span in lists if is_child(call, span)]
            assert of(call)["app"] == of(its_list)["app"]
        assert (of(last)["app"], last.parent) == ("other", None)
        by_app = [(attributes["app"], value) for attributes, value in telemetry.metric("wa_phone.calls")]
        assert sorted(by_app) == [("one", 15), ("other", 16)]

    run(main())


def test_a_graph_session_is_a_client_too() -> None:
    async def main() -> None:
        telemetry = Telemetry()
        async with Sandbox() as sandbox, GraphSession(TOKEN, base_url=sandbox.url) as session:
            telemetry.watch(session)
            await session.paginate(f"{LARGE_WABA}/phone_numbers", dict, limit=100)
        assert [span.name for span in telemetry.spans] == [CALL, CALL, CALL, LIST]

    run(main())


async def test_without_an_sdk_nothing_is_exported_and_nothing_fails(caplog: pytest.LogCaptureFixture) -> None:
    with Sandbox() as sandbox:
        async with PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
            uninstrument = instrument(client)
            assert len(await client.list_phone_numbers(LARGE_WABA)) == 250
            uninstrument()
    assert not caplog.records


@pytest.mark.parametrize(
    ("base_url", "address", "port", "root"),
    [
        ("https://graph.facebook.com", "graph.facebook.com", 443, "/v23.0"),
        ("http://proxy.example.com", "proxy.example.com", 80, "/v23.0"),
        ("https://[::1]:8443/meta/", "::1", 8443, "/meta/v23.0"),
    ],
)
async def test_where_calls_go(base_url: str, address: str, port: int, root: str) -> None:
    target = _Target(GraphSession(TOKEN, base_url=base_url), {})
    assert target.server == {"server.address": address, "server.port": port}
    assert target.template("1234/phone_numbers") == f"{root}/{{id}}/phone_numbers"
    assert target.url("1234/phone_numbers") == f"{base_url.rstrip('/')}/v23.0/1234/phone_numbers"


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("1234", "{id}"),
        ("1234/message_templates", "{id}/message_templates"),
        ("me/accounts", "me/accounts"),
        ("12_34/edge/a1-b2", "{id}/edge/{id}"),
    ],
)
async def test_ids_are_in_no_template(path: str, template: str) -> None:
    assert _Target(GraphSession(TOKEN), {}).template(path) == f"/v23.0/{template}"
