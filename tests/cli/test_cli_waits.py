"""What is said while a command waits."""

import pytest

from wa_phone_async import CallFinished, QuotaWaitStarted, RetryPlanned

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli.terminal.waits import tell_wait


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
