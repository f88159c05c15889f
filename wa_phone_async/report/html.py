"""`to_html`: a health report as HTML, whole or in a frame. The page is imported when the first one is made."""

from __future__ import annotations

from typing import Any, Final

from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.health.report import HealthReport

MAX_BYTES: Final = 14_000_000
"""Bytes of the rows of a page. Those that do not fit are left out, and the page says so."""
MAX_FRAME_BYTES: Final = 600_000
"""Bytes of the rows in a notebook. Jupyter shows no output that sends more than a megabyte in a second."""


def to_html(report: HealthReport, *, title: str | None = None) -> str:
    """Return a report as a page of HTML that needs no other file and no network.

        report = await client.check_health(waba_ids)
        Path("report.html").write_text(to_html(report), encoding="utf-8")

    The page has at most 15 MB. Rows that do not fit are left out, those that need attention last, and the page says so.
    A report of 100,000 numbers has about 10 MB. `#number-ID` and `#account-ID` behind the address lead to a row.

    Args:
        report: The report, from `await client.check_health(…)` or from `check_health(…).report(…)`.
        title: The heading; default: "WhatsApp phone numbers".

    Raises:
        InvalidArgumentError: `report` is no `HealthReport`.
    """
    from .page import page_of  # noqa: PLC0415 - few programs make a page, and it takes longer to import

    if not isinstance(report, HealthReport):
        raise InvalidArgumentError("report", "a HealthReport", type(report))
    return page_of(report, title, MAX_BYTES)


def to_frame(report: HealthReport) -> str:
    """Return a report as a frame for a notebook. It is the same page, in a box that reaches nothing around it."""
    from .page import page_of  # noqa: PLC0415 - as above

    page = page_of(report, None, MAX_FRAME_BYTES).replace("&", "&amp;").replace("'", "&#x27;")
    style = "width:100%;height:640px;border:1px solid #8888;border-radius:6px;resize:vertical"
    return f"<iframe title='Health report' sandbox='allow-scripts' style='{style}' srcdoc='{page}'></iframe>"


def show_in_notebooks() -> None:
    """Let notebooks show a report as its page."""
    kind: Any = HealthReport  # type checkers know no such method
    kind._repr_html_ = to_frame
