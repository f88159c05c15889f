"""The recipes of the manual for operations: structured logs and Prometheus, each a few lines on top of `on_event`."""

from collections.abc import Iterator

import attrs
import pytest

from wa_phone_async import BadRequestError, CallFinished, Event, PhoneNumberClient
from wa_phone_async.sandbox import SMALL_WABA, Fault, Sandbox

structlog = pytest.importorskip("structlog", reason="structlog is not installed")
prometheus_client = pytest.importorskip("prometheus_client", reason="prometheus_client is not installed")

REJECTED = Fault.error(100, status=400)


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The Graph API, named in the environment."""
    with Sandbox(quota=10) as sandbox:
        monkeypatch.setenv("WA_ACCESS_TOKEN", "any-token")
        monkeypatch.setenv("WA_BASE_URL", sandbox.url)
        yield sandbox


async def one_good_and_one_rejected(client: PhoneNumberClient, sandbox: Sandbox) -> None:
    async with client:
        await client.list_phone_numbers(SMALL_WABA)
        sandbox.plan(REJECTED)
        with pytest.raises(BadRequestError):
            await client.list_phone_numbers(SMALL_WABA)


async def test_structlog(sandbox: Sandbox) -> None:
    log = structlog.get_logger()

    def report(event: Event) -> None:
        log.info(type(event).__name__, **attrs.asdict(event))

    with structlog.testing.capture_logs() as lines:
        await one_good_and_one_rejected(PhoneNumberClient.from_env(on_event=report), sandbox)
    good, rejected = lines
    assert (good["event"], good["log_level"], good["waba_id"]) == ("CallFinished", "info", SMALL_WABA)
    assert good["usage"]["waba"]["calls_percent"] == 10
    assert (rejected["error"], rejected["code"], rejected["http_status"]) == ("BadRequestError", 100, 400)


async def test_structlog_writes_json(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    log = structlog.wrap_logger(structlog.PrintLogger(), processors=[structlog.processors.JSONRenderer()])
    listener = PhoneNumberClient.from_env(on_event=lambda event: log.info(type(event).__name__, **attrs.asdict(event)))
    await one_good_and_one_rejected(listener, sandbox)
    assert capsys.readouterr().out.count('"event": "CallFinished"') == 2


async def test_prometheus(sandbox: Sandbox) -> None:
    registry = prometheus_client.CollectorRegistry()
    seconds = prometheus_client.Histogram(
        "wa_phone_call_seconds", "Calls to Meta", ["method", "error"], registry=registry
    )

    def observe(event: Event) -> None:
        if isinstance(event, CallFinished):
            seconds.labels(event.method, event.error or "").observe(event.seconds)

    await one_good_and_one_rejected(PhoneNumberClient.from_env(on_event=observe), sandbox)
    for error in ("", "BadRequestError"):
        labels = {"method": "GET", "error": error}
        assert registry.get_sample_value("wa_phone_call_seconds_count", labels) == 1
