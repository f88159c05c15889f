"""Spans and metrics of a client's calls and lists, by OpenTelemetry: the extra `otel`.

    undo = instrument(client)

It needs opentelemetry-api alone; the SDK, which exports, is the application's. All is made of events, when a call has
ended: so nothing is nested in the span of a call, no header is added to a request, and no token, query or body can come
into an attribute.

Names are those of OpenTelemetry's semantic conventions for HTTP clients (read 2026-11-22) where they mean the same: the
span is the whole call, with its attempts and waits, and `url.template` has `{id}` for each id. The rest is ours.

    span `GET /v23.0/{id}/phone_numbers`    a call: http.request.method, http.request.resend_count,
                                            http.response.status_code, url.full, url.template, server.address,
                                            server.port, error.type; wa_phone.waba_id, .attempts, .seconds_waited,
                                            .error_code (Meta's), .fbtrace_id
    span `list /v23.0/{id}/phone_numbers`   a list, its calls below it: url.template, error.type; wa_phone.waba_id,
                                            .complete, .pages, .rows

    wa_phone.calls           counter        calls: http.request.method, url.template, http.response.status_code,
                                            error.type, which is there where one failed
    wa_phone.call.duration   histogram, s   how long they took: the same
    wa_phone.retries            counter       attempts that were retried: http.request.method, url.template, error.type
    wa_phone.rejections         counter       attempts that the API rejected: wa_phone.error_code, error.type
    wa_phone.cooldown.duration  histogram, s  cooldowns that began, and their length: wa_phone.error_code
    wa_phone.usage              gauge, %      use of a quota: wa_phone.quota (`waba` or `app`), wa_phone.waba_id

Each account is a series of `wa_phone.usage`. Where they are many thousands, leave the account out, in the SDK:
`View(instrument_name="wa_phone.usage", attribute_keys={"wa_phone.quota"})`.
"""

from __future__ import annotations

import re
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import attrs

from wa_phone_async import (
    CallFinished,
    Event,
    GraphSession,
    InvalidArgumentError,
    ListFinished,
    PhoneNumberClient,
    RetryPlanned,
    ThrottleStarted,
    UsageMetric,
    __version__,
)
from wa_phone_async._optional import Extra

with Extra("otel"):
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind, StatusCode

_Attributes: TypeAlias = Mapping[str, str | int | float]
_Facts: TypeAlias = Mapping[str, str | int | float | None]

_SCOPE: Final = "wa_phone_async"
_WITH_DIGITS: Final = re.compile(r"[^/]*[0-9][^/]*")
# The conventions' own boundaries for requests, and beyond them the waits for a budget.
_CALL_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 600, 3600)
_HOLD_SECONDS: Final = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 21600, 86400)

_instrumented: Final[weakref.WeakKeyDictionary[GraphSession, _Spans]] = weakref.WeakKeyDictionary()
"""What makes the spans of each session that is instrumented."""


def instrument(
    client: PhoneNumberClient | GraphSession,
    *,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
    attributes: Mapping[str, str] | None = None,
) -> Callable[[], None]:
    """Make spans and metrics of what a client does from now on.

    A span is the child of the span that is current where the call is made, or where the list is walked; the calls of a
    list are children of the list's span. `list_many` has the one that is current where its block begins. The span of a
    list that was left early ends with its last call, and is exported when nobody has its paginator any more.

    Args:
        client: The client. Of clients that share a `GraphSession`, one is enough.
        tracer_provider: Where spans go; OpenTelemetry's global provider unless told.
        meter_provider: Where metrics go; OpenTelemetry's global provider unless told.
        attributes: Added to all spans and metrics, such as the name of the app, to tell clients apart.

    Returns:
        What ends it. Lists that are under way end there for OpenTelemetry.

    Raises:
        InvalidArgumentError: It is instrumented already, so that everything would count twice.
    """
    session = client if isinstance(client, GraphSession) else client.session
    if session in _instrumented:
        raise InvalidArgumentError(
            "this client, or one with the same GraphSession, is instrumented already: "
            "first call what that instrument() returned, which ends it"
        )
    place = _Place(session, attributes or {})
    spans = _Spans(trace.get_tracer(_SCOPE, __version__, tracer_provider), place)
    instruments = _Metrics(metrics.get_meter(_SCOPE, __version__, meter_provider), place)
    unsubscribe = session.subscribe(spans.hear, lists=True), session.subscribe(instruments.hear)
    _instrumented[session] = spans

    def undo() -> None:
        if _instrumented.get(session) is spans:
            del _instrumented[session]
        for step in (*unsubscribe, spans.end):
            step()

    return undo


class _Place:
    """Where a session's calls go, in the names of the conventions, and what all that it does has in common."""

    def __init__(self, session: GraphSession, attributes: Mapping[str, str]) -> None:
        address = urlsplit(session.base_url)
        self.common: _Attributes = dict(attributes)
        self.server: _Attributes = {
            "server.address": address.hostname or "",
            "server.port": address.port or (443 if address.scheme == "https" else 80),
        }
        self._root = f"{session.base_url}/{session.api_version}"
        self._root_path = f"{address.path}/{session.api_version}"

    def url(self, path: str) -> str:
        """The address of a path, without a query."""
        return f"{self._root}/{path}"

    def template(self, path: str) -> str:
        """What is the same for all ids. A part with a digit is taken for an id, since no edge of the API has one."""
        return f"{self._root_path}/{_WITH_DIGITS.sub('{id}', path)}"


@attrs.define
class _OpenList:
    """The span of a list that is under way."""

    span: trace.Span
    context: Context
    """Where that span is the current one."""
    ended: int
    """When its last call ended, in nanoseconds since 1970."""


class _Spans:
    """Makes the spans. That of a list begins with its first call, and is known from that call's end on."""

    def __init__(self, tracer: trace.Tracer, place: _Place) -> None:
        self._tracer = tracer
        self._place = place
        self._open: dict[int, _OpenList] = {}

    def hear(self, event: Event) -> None:
        """Make the span of what has ended; the running task is the one that asked for it."""
        if isinstance(event, CallFinished):
            self._end_call(event, time.time_ns())
        elif isinstance(event, ListFinished):
            self._end_list(event)

    def end(self) -> None:
        """End what is under way."""
        while self._open:
            _, its_list = self._open.popitem()
            its_list.span.end(its_list.ended)

    def _end_call(self, event: CallFinished, ended: int) -> None:
        began = ended - round(event.seconds * 1e9)
        template = self._place.template(event.path)
        context = None if event.list_id is None else self._list_of(event.list_id, event, template, began, ended)
        span = self._tracer.start_span(
            f"{event.method} {template}",
            context,  # None is the caller's
            SpanKind.CLIENT,
            {**self._place.common, **self._place.server, **self._attributes(event, template)},
            start_time=began,
        )
        _end(span, event.error, ended)

    def _attributes(self, event: CallFinished, template: str) -> _Attributes:
        return _known(
            {
                **_outcome(event, template),
                "url.full": self._place.url(event.path),
                "http.request.resend_count": event.attempts - 1 if event.attempts > 1 else None,
                "wa_phone.waba_id": event.waba_id,
                "wa_phone.attempts": event.attempts,
                "wa_phone.seconds_waited": event.seconds_waited,
                "wa_phone.error_code": event.code,
                "wa_phone.fbtrace_id": event.trace_id,
            }
        )

    def _list_of(self, list_id: int, event: CallFinished, template: str, began: int, ended: int) -> Context:
        """The context of a call that is a page of a list."""
        if list_id not in self._open:
            known = _known({"url.template": template, "wa_phone.waba_id": event.waba_id})
            span = self._tracer.start_span(
                f"list {template}", attributes={**self._place.common, **known}, start_time=began
            )
            self._open[list_id] = _OpenList(span, trace.set_span_in_context(span), ended)
        self._open[list_id].ended = ended
        return self._open[list_id].context

    def _end_list(self, event: ListFinished) -> None:
        its_list = self._open.pop(event.list_id, None)
        if its_list is not None:
            its_list.span.set_attributes(
                {"wa_phone.complete": event.complete, "wa_phone.pages": event.pages, "wa_phone.rows": event.rows}
            )
            if event.error is not None:
                its_list.span.set_attribute("error.type", event.error)
            _end(its_list.span, event.error, its_list.ended)


class _Metrics:
    """Counts, and measures."""

    def __init__(self, meter: metrics.Meter, place: _Place) -> None:
        self._place = place
        self._calls = meter.create_counter("wa_phone.calls", "{call}", "Calls that have ended.")
        self._seconds = meter.create_histogram(
            "wa_phone.call.duration",
            "s",
            "How long calls took, with all their attempts and waits.",
            explicit_bucket_boundaries_advisory=_CALL_SECONDS,
        )
        self._retries = meter.create_counter("wa_phone.retries", "{attempt}", "Attempts that were made again.")
        self._refusals = meter.create_counter("wa_phone.rejections", "{attempt}", "Attempts that the API refused.")
        self._holds = meter.create_histogram(
            "wa_phone.cooldown.duration",
            "s",
            "How long the holds that began were to last.",
            explicit_bucket_boundaries_advisory=_HOLD_SECONDS,
        )
        self._usage = meter.create_gauge("wa_phone.usage", "%", "How full a budget is, by Meta's own count.")

    def hear(self, event: Event) -> None:
        """Count an event."""
        match event:
            case CallFinished():
                self._count_call(event)
                self._count_refusal(event)
            case RetryPlanned():
                template = self._place.template(event.path)
                self._retries.add(
                    1,
                    self._with(
                        {"http.request.method": event.method, "url.template": template, "error.type": event.error}
                    ),
                )
                self._count_refusal(event)
            case ThrottleStarted():
                self._holds.record(event.seconds, self._with({"wa_phone.error_code": event.code}))
            case _:
                pass

    def _count_call(self, event: CallFinished) -> None:
        attributes = self._with(_outcome(event, self._place.template(event.path)))
        self._calls.add(1, attributes)
        self._seconds.record(event.seconds, attributes)
        for budget, waba_id in (("waba", event.waba_id), ("app", None)):
            reading: UsageMetric | None = getattr(event.usage, budget, None)
            if reading is not None:
                self._usage.set(reading.percent, self._with({"wa_phone.quota": budget, "wa_phone.waba_id": waba_id}))

    def _count_refusal(self, event: CallFinished | RetryPlanned) -> None:
        if event.code is not None:
            self._refusals.add(1, self._with({"wa_phone.error_code": event.code, "error.type": event.error}))

    def _with(self, attributes: _Facts) -> _Attributes:
        return {**self._place.common, **_known(attributes)}


def _outcome(event: CallFinished, template: str) -> _Facts:
    """What calls are told apart by, in few different values."""
    return {
        "http.request.method": event.method,
        "url.template": template,
        "http.response.status_code": event.http_status,
        "error.type": event.error,
    }


def _known(facts: _Facts) -> _Attributes:
    return {name: value for name, value in facts.items() if value is not None}


def _end(span: trace.Span, error: str | None, ended: int) -> None:
    if error is not None:
        span.set_status(StatusCode.ERROR)
    span.end(ended)
