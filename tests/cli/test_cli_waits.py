"""What is said while a command waits."""

import logging

import attrs
import pytest

from wa_phone_async import CallFinished, PhoneNumberClient, QuotaWaitStarted, RetryPlanned

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli.terminal.waits import tell_wait, telling_waits
from wa_phone_async.ratelimit.long_waits import LongWaits


def planned(error: str, seconds: float) -> RetryPlanned:
    path = "100200300400003/phone_numbers"
    return RetryPlanned(method="GET", path=path, node_id=path[:15], error=error, attempt=1, seconds=seconds)


@pytest.mark.parametrize(
    ("error", "seconds", "line"),
    [
        ("RateLimitError", 59.998, "throttled: next try in 60 s (Ctrl-C ends it)"),
        ("TransportError", 1.3, "no response: next try in 2 s"),
        ("RequestTimeoutError", 9.9, "no response in time: next try in 10 s"),
        ("ServerError", 3600, "the API is in trouble: next try in 3,600 s (Ctrl-C ends it)"),
        ("BadRequestError", 2, "rejected for now: next try in 2 s"),
        ("DecodeError", 2, "invalid response: next try in 2 s"),
    ],
)
def test_a_wait_is_a_line(capsys: pytest.CaptureFixture[str], error: str, seconds: float, line: str) -> None:
    tell_wait(planned(error, seconds))
    assert capsys.readouterr() == ("", f"{line}\n")


def test_the_cause_is_part_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    reason = "cannot connect to graph.facebook.com:443 (Name or service not known)"
    tell_wait(attrs.evolve(planned("TransportError", 1.3), reason=reason))
    assert capsys.readouterr() == ("", f"no response ({reason}): next try in 2 s\n")


async def test_no_wait_is_told_twice(caplog: pytest.LogCaptureFixture) -> None:
    def wait() -> None:
        LongWaits().tell(60.0, "waba", "1", "t", is_throttled=True)
        logging.getLogger("wa_phone_async").warning("Another one.")

    with telling_waits(PhoneNumberClient("any-token")):
        wait()
    assert caplog.messages == ["Another one."]
    wait()
    assert len(caplog.messages) == 3


@pytest.mark.parametrize(("seconds", "more"), [(2.0, ""), (3899.0, " (Ctrl-C ends it)")])
def test_a_wait_for_the_quota_is_a_line(capsys: pytest.CaptureFixture[str], seconds: float, more: str) -> None:
    tell_wait(QuotaWaitStarted(node_id="1", seconds=seconds))
    said = f"the hourly quota is used: waiting, {seconds:,.0f} s at most{more}\n"
    assert capsys.readouterr() == ("", said)


def test_a_moment_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    tell_wait(planned("TransportError", 1.0))
    tell_wait(
        CallFinished(
            method="GET",
            path="1",
            node_id="1",
            error=None,
            http_status=200,
            trace_id=None,
            attempts=1,
            seconds=60.0,
            seconds_waited=60.0,
            usage=None,
        )
    )
    assert capsys.readouterr() == ("", "")
