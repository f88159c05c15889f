"""OpenTelemetry: spans and metrics of the calls and lists of a client (extra: `otel`).

    uninstrument = instrument(client)

It needs only opentelemetry-api. Your application brings the SDK, which exports. All data come from events when a call
has ended. So no span is nested in the span of a call, and no request gets another header. No token, query or body can
get into an attribute.

Names are those of OpenTelemetry's semantic conventions for HTTP clients (read 2026-11-22), where one means the same.
The span of a call covers all its attempts and waits. `url.template` has `{id}` for each id. The names that begin with
`wa_phone.` are this package's own.

    span `GET /v23.0/{id}/phone_numbers`    a call: http.request.method, http.request.resend_count,
                                            http.response.status_code, url.full, url.template, server.address,
                                            server.port, error.type; wa_phone.waba_id, .attempts, .seconds_waited,
                                            .error_code (Meta's), .fbtrace_id
    span `list /v23.0/{id}/phone_numbers`   a list, the parent of its calls: url.template, error.type; wa_phone.waba_id,
                                            .complete, .pages, .rows

    wa_phone.calls              counter       calls: http.request.method, url.template, http.response.status_code;
                                              error.type, if a call failed
    wa_phone.call.duration      histogram, s  how long calls took: the same attributes
    wa_phone.retries            counter       attempts that were retried: http.request.method, url.template, error.type
    wa_phone.rejections         counter       attempts that the API rejected: wa_phone.error_code, error.type
    wa_phone.cooldown.duration  histogram, s  cooldowns that began, and their length: wa_phone.error_code
    wa_phone.usage              gauge, %      use of a quota: wa_phone.quota (`waba` or `app`), wa_phone.waba_id

Each account is a series of `wa_phone.usage`. With thousands of accounts, remove the account in the SDK:
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
from wa_phone_async._optional import requires

with requires("otel"):
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind, StatusCode

_Attributes: TypeAlias = Mapping[str, str | int | float]
_Facts: TypeAlias = Mapping[str, str | int | float | None]

_SCOPE: Final = "wa_phone_async"
_WITH_DIGITS: Final = re.compile(r"[^/]*[0-9][^/]*")
# Up to 10 s the boundaries are those of the conventions. Those above are for calls with a cooldown or a quota wait.
_CALL_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 600, 3600)
_COOLDOWN_SECONDS: Final = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 21600, 86400)

_instrumented: Final[weakref.WeakKeyDictionary[GraphSession, _Spans]] = weakref.WeakKeyDictionary()
"""The spans of each session that is instrumented."""


def instrument(
    client: PhoneNumberClient | GraphSession,
    *,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
    attributes: Mapping[str, str] | None = None,
) -> Callable[[], None]:
    """Make spans and metrics of all that a client does from now on.

    The span of a call is a child of the span that is current where you make the call. So is the span of a list, where
    you read the list; the calls of a list are children of its span. Lists of `list_many` are children of the span that
    is current where its block begins. If you leave a list early, its span ends with its last call. It is exported when
    nobody holds the paginator any more.

    Args:
        client: The client. If several clients share a `GraphSession`, instrument one of them.
        tracer_provider: Where spans go; default: OpenTelemetry's global provider.
        meter_provider: Where metrics go; default: OpenTelemetry's global provider.
        attributes: Attributes for all spans and metrics, such as the name of the app, to tell clients apart.

    Returns:
        A function that ends this. The spans of open lists end there, too.

    Raises:
        InvalidArgumentError: The client is instrumented already. Everything would count twice.
    """
    session = client if isinstance(client, GraphSession) else client.session
    if session in _instrumented:
        raise InvalidArgumentError(
            "client",
            "one that is not instrumented yet",
            hint="first call what instrument() returned for it, or for another client of its GraphSession",
        )
    target = _Target(session, attributes or {})
    spans = _Spans(trace.get_tracer(_SCOPE, __version__, tracer_provider), target)
    instruments = _Metrics(metrics.get_meter(_SCOPE, __version__, meter_provider), target)
    unsubscribe = session.subscribe(spans.on_event, lists=True), session.subscribe(instruments.on_event)
    _instrumented[session] = spans

    def uninstrument() -> None:
        if _instrumented.get(session) is spans:
            del _instrumented[session]
        for end in (*unsubscribe, spans.end):
            end()

    return uninstrument


class _Target:
    """Where the calls of a session go, in the names of the conventions, and the attributes that they all have."""

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
        """Return the address of a path, without a query."""
        return f"{self._root}/{path}"

    def template(self, path: str) -> str:
        """Return a path with `{id}` for each id. A part with a digit counts as an id, since no edge has a digit."""
        return f"{self._root_path}/{_WITH_DIGITS.sub('{id}', path)}"


@attrs.define
class _OpenList:
    """The span of a list that has not ended."""

    span: trace.Span
    context: Context
    """In it that span is the current one."""
    ended: int
    """When its last call ended, in nanoseconds since 1970."""


class _Spans:
    """Makes the spans.

    An event comes only when a call has ended. So the span of a list is made at the end of its first call, and starts
    where that call has started.
    """

    def __init__(self, tracer: trace.Tracer, target: _Target) -> None:
        self._tracer = tracer
        self._target = target
        self._open: dict[int, _OpenList] = {}

    def on_event(self, event: Event) -> None:
        """Make or end a span. It runs in the task that made the call, so the current span is the caller's."""
        if isinstance(event, CallFinished):
            self._end_call(event, time.time_ns())
        elif isinstance(event, ListFinished):
            self._end_list(event)

    def end(self) -> None:
        """End the spans of all open lists."""
        while self._open:
            _, its_list = self._open.popitem()
            its_list.span.end(its_list.ended)

    def _end_call(self, event: CallFinished, ended: int) -> None:
        began = ended - round(event.seconds * 1e9)
        template = self._target.template(event.path)
        context = None if event.list_id is None else self._list_of(event.list_id, event, template, began, ended)
        span = self._tracer.start_span(
            f"{event.method} {template}",
            context,  # None stands for the caller's
            SpanKind.CLIENT,
            {**self._target.common, **self._target.server, **self._attributes(event, template)},
            start_time=began,
        )
        _end(span, event.error, ended)

    def _attributes(self, event: CallFinished, template: str) -> _Attributes:
        return _known(
            {
                **_outcome(event, template),
                "url.full": self._target.url(event.path),
                "http.request.resend_count": event.attempts - 1 if event.attempts > 1 else None,
                "wa_phone.waba_id": event.waba_id,
                "wa_phone.attempts": event.attempts,
                "wa_phone.seconds_waited": event.seconds_waited,
                "wa_phone.error_code": event.code,
                "wa_phone.fbtrace_id": event.trace_id,
            }
        )

    def _list_of(self, list_id: int, event: CallFinished, template: str, began: int, ended: int) -> Context:
        """Return the context of a call that requested a page of a list."""
        if list_id not in self._open:
            known = _known({"url.template": template, "wa_phone.waba_id": event.waba_id})
            span = self._tracer.start_span(
                f"list {template}", attributes={**self._target.common, **known}, start_time=began
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
    """Makes the metrics."""

    def __init__(self, meter: metrics.Meter, target: _Target) -> None:
        self._target = target
        self._calls = meter.create_counter("wa_phone.calls", "{call}", "Calls that have ended.")
        self._seconds = meter.create_histogram(
            "wa_phone.call.duration",
            "s",
            "How long calls took, with all their attempts and waits.",
            explicit_bucket_boundaries_advisory=_CALL_SECONDS,
        )
        self._retries = meter.create_counter("wa_phone.retries", "{attempt}", "Attempts that were retried.")
        self._rejections = meter.create_counter("wa_phone.rejections", "{attempt}", "Attempts that the API rejected.")
        self._cooldowns = meter.create_histogram(
            "wa_phone.cooldown.duration",
            "s",
            "How long cooldowns were to last when they began.",
            explicit_bucket_boundaries_advisory=_COOLDOWN_SECONDS,
        )
        self._usage = meter.create_gauge("wa_phone.usage", "%", "How much of a quota is used, by Meta's own count.")

    def on_event(self, event: Event) -> None:
        """Count an event."""
        match event:
            case CallFinished():
                self._count_call(event)
                self._count_rejection(event)
            case RetryPlanned():
                template = self._target.template(event.path)
                self._retries.add(
                    1,
                    self._with(
                        {"http.request.method": event.method, "url.template": template, "error.type": event.error}
                    ),
                )
                self._count_rejection(event)
            case ThrottleStarted():
                self._cooldowns.record(event.seconds, self._with({"wa_phone.error_code": event.code}))
            case _:
                pass

    def _count_call(self, event: CallFinished) -> None:
        attributes = self._with(_outcome(event, self._target.template(event.path)))
        self._calls.add(1, attributes)
        self._seconds.record(event.seconds, attributes)
        for quota, waba_id in (("waba", event.waba_id), ("app", None)):
            usage: UsageMetric | None = getattr(event.usage, quota, None)
            if usage is not None:
                self._usage.set(usage.percent, self._with({"wa_phone.quota": quota, "wa_phone.waba_id": waba_id}))

    def _count_rejection(self, event: CallFinished | RetryPlanned) -> None:
        if event.code is not None:
            self._rejections.add(1, self._with({"wa_phone.error_code": event.code, "error.type": event.error}))

    def _with(self, attributes: _Facts) -> _Attributes:
        return {**self._target.common, **_known(attributes)}


def _outcome(event: CallFinished, template: str) -> _Facts:
    """The attributes by which calls are counted. They have few different values."""
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
