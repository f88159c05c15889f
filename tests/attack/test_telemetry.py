"""OpenTelemetry with its SDK: no secret reaches it, and no failure of an exporter or a listener reaches a call."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import quote

import attrs
import pytest
from attack import Attack

from wa_phone_async import Event, PhoneNumberClient, RetryPolicy, WaPhoneError
from wa_phone_async.call.tokens import appsecret_proof
from wa_phone_async.redaction import conceal
from wa_phone_async.sandbox import LARGE_WABA, SMALL_WABA, Fault, Sandbox, VirtualTimeLoop

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

from wa_phone_async.integrations.otel import instrument

pytestmark = pytest.mark.unmeasured

TOKEN, SECRET, PIN, CODE = "EAAcanary+/token==", "canary&app?secret", "482913", "719204"
PROOF = str(appsecret_proof(conceal(TOKEN), conceal(SECRET)))
CANARIES = [TOKEN, quote(TOKEN, safe=""), SECRET, quote(SECRET, safe=""), PROOF, PIN, CODE]
ECHO = " ".join(CANARIES)
FAULTS = [
    None,
    *(Fault.error(code, ECHO, type=ECHO, user_msg=ECHO, data={ECHO: ECHO}) for code in (1, 4, 100, 190, 80008, 10**9)),
    *(Fault.drop_before(), Fault.drop_after(reset=True), Fault.cut(), Fault.cut(clean=True), Fault.html(502)),
    Fault.raw(f'{{"data":[{{"id":["{TOKEN}"]}}],"paging":{{"next":"https://x?access_token={TOKEN}"}}}}'),
    Fault.raw("{}", status=429, headers={"Retry-After": "5", "X-App-Usage": f'{{"{TOKEN}":1,"call_count":7}}'}),
]
NUMBER = "106540352242922"


class TelemetryError(Exception):
    """An error of the telemetry's own. It shall reach nobody."""


def fail(*_: object, **__: object) -> Any:
    raise TelemetryError(ECHO)


class FailingExporter(SpanExporter):
    export = fail


class FailingStart(SpanProcessor):
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        fail(span, parent_context)


class FailingEnd(SpanProcessor):
    def on_end(self, span: ReadableSpan) -> None:
        fail(span)


class FailingSampler(Sampler):
    should_sample = fail

    def get_description(self) -> str:
        return "fails"


class FailingMetrics(MetricExporter):
    export = fail

    def shutdown(self, timeout_millis: float = 0, **_: Any) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: float = 0) -> bool:
        return timeout_millis >= 0


async def fail_later(_: Event) -> None:
    await asyncio.sleep(0)
    fail()


Listener = Callable[[Event], Any]
FAILURES: dict[str, Callable[[TracerProvider], Listener | None]] = {
    "nothing": lambda _: None,
    "an exporter": lambda tracing: tracing.add_span_processor(SimpleSpanProcessor(FailingExporter())),
    "a batch of exports": lambda tracing: tracing.add_span_processor(BatchSpanProcessor(FailingExporter())),
    "the start of a span": lambda tracing: tracing.add_span_processor(FailingStart()),
    "the end of a span": lambda tracing: tracing.add_span_processor(FailingEnd()),
    "the sampler": lambda tracing: setattr(tracing, "sampler", FailingSampler()),
    "a listener": lambda _: fail,
    "an async listener": lambda _: fail_later,
}


@attrs.frozen
class Work:
    """Calls, and the faults that they meet."""

    calls: list[Callable[[PhoneNumberClient], Any]]
    faults: list[Fault | None]

    @classmethod
    def drawn(cls, draw: Random) -> "Work":
        calls: list[Callable[[PhoneNumberClient], Any]] = [
            lambda client: client.list_phone_numbers(LARGE_WABA, limit=100).collect(),
            lambda client: client.list_many([SMALL_WABA, LARGE_WABA]),
            lambda client: client.create_phone_number(SMALL_WABA, phone_number="16315551000", verified_name="Acme"),
            lambda client: client.register(NUMBER, pin=PIN),
            lambda client: client.verify_code(NUMBER, CODE, waba_id=SMALL_WABA),
            lambda client: client.ensure_phone_number(SMALL_WABA, phone_number="16315552000", verified_name="Acme"),
        ]
        return cls(draw.choices(calls, k=3), draw.choices(FAULTS, k=4))

    async def results(self, sandbox: Sandbox, client: PhoneNumberClient) -> list[str]:
        """The value or the error of each call, without what differs from run to run."""
        for fault in self.faults:
            sandbox.plan(fault or Fault())
        found = list[str]()
        for call in self.calls:
            try:
                value = await call(client)
            except WaPhoneError as error:
                found.append(f"{type(error).__name__}: {error}")
            else:
                found.append(f"{type(value).__name__} of {len(value) if isinstance(value, list) else 1}")
        return found


@pytest.mark.parametrize("failing", FAILURES)
def test_telemetry_that_fails_changes_no_result_and_gets_no_secret(attack: Attack, failing: str) -> None:
    async def results(work: Work, *, with_telemetry: bool) -> list[str]:
        spans, metrics = InMemorySpanExporter(), InMemoryMetricReader()
        tracing = TracerProvider(shutdown_on_exit=False)
        metering = MeterProvider(
            [metrics, PeriodicExportingMetricReader(FailingMetrics())] if failing == "nothing" else [metrics],
            shutdown_on_exit=False,
        )
        listener = FAILURES[failing](tracing)
        tracing.add_span_processor(SimpleSpanProcessor(spans))
        policy = RetryPolicy(max_attempts=3, max_wait=100)
        async with (
            Sandbox(quota=20) as sandbox,
            PhoneNumberClient(TOKEN, base_url=sandbox.url, app_secret=SECRET, retry=policy) as client,
        ):
            if with_telemetry:
                instrument(client, tracer_provider=tracing, meter_provider=metering)
                if listener is not None:
                    client.subscribe(listener, lists=True)
            found = [
                result.replace(sandbox.url.removeprefix("http://"), "")
                for result in await work.results(sandbox, client)
            ]
        data = metrics.get_metrics_data()
        exported = [span.to_json() for span in spans.get_finished_spans()] + ([data.to_json()] if data else [])
        attack.count("spans", len(spans.get_finished_spans()))
        for text in exported:
            assert not [canary for canary in CANARIES if canary in text]
        await asyncio.to_thread(tracing.shutdown)
        await asyncio.to_thread(metering.shutdown)
        return found

    for draw in attack.rounds(short=3, seconds=4):
        work, outcomes = Work.drawn(draw), list[list[str]]()
        for with_telemetry in (False, True):
            with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
                outcomes.append(runner.run(results(work, with_telemetry=with_telemetry)))
        assert outcomes[0] == outcomes[1]
        attack.count("calls", len(work.calls))
