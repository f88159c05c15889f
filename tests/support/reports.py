"""Health reports of any numbers, made without a client."""

from collections.abc import Callable, Iterable
from typing import Any

from wa_phone_async import HealthReport, PhoneNumber, Usage, UsageMetric, WabaListing
from wa_phone_async.health.diagnosis import Diagnosis
from wa_phone_async.health.report import OverviewBuilder
from wa_phone_async.health.rules import ChosenRules

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "</style><style>*{display:none}",
    "<!-- <script>",
    "]]>&lt;b&gt;&amp;&#60;",
    "\"onmouseover='alert(1)'`",
    "\u202egnp.exe\u2066\u200f",
    "\x00\x07\x1b[31m\r\nred",
    "\ud800 half \udfff",
    '=HYPERLINK("https://shop.example","x")',
    "@SUM(1)",
    "javascript:alert(1)",
    "W" * 3_000,
    "\u2028\u2029{{7*7}}${alert(1)}",
    "שלום עולם",
    "👩‍🍳 Café",
)
"""Names that must harm nobody who opens a report."""


def report_of(
    listings: Iterable[WabaListing], usage: Callable[[str], Usage | None] = lambda _: None, **members: Any
) -> HealthReport:
    """Return the report of a check of these listings."""
    diagnosis, found = Diagnosis(ChosenRules(), has_all_fields=True), list[Any]()
    diagnosis.overview = overview = OverviewBuilder(usage)
    for listing in listings:
        found += diagnosis.add(listing)
    found += diagnosis.end()
    summary = diagnosis.summary(0)
    return HealthReport(
        **{name: getattr(summary, name) for name in ("totals", "accounts", "numbers", "calls", "not_checked")},
        **{"findings": tuple(found), "overview": overview.build(), **members},
    )


def fleet(numbers: int, *, of_account: int = 10) -> list[WabaListing]:
    """Return accounts with numbers of every kind. The names of the first ones are hostile."""
    states = ("CONNECTED", "CONNECTED", "BANNED", "PENDING", "CONNECTED")
    ratings = ("GREEN", "GREEN", "GREEN", "YELLOW", "RED", None)
    rows = [
        PhoneNumber(
            id=str(300_000_000_000_000 + place),
            display_phone_number=f"+1 631-{place // 10_000:03}-{place % 10_000:04}",
            verified_name=HOSTILE[place] if place < len(HOSTILE) else f"Corner Shop {place}",
            status=states[place % len(states)],
            quality_rating=ratings[place % len(ratings)],
            name_status="PENDING_REVIEW" if place % 7 == 0 else "APPROVED",
            host_platform="CLOUD_API",
            whatsapp_business_manager_messaging_limit=("TIER_250", "TIER_2K", "TIER_10K")[place % 3],
        )
        for place in range(numbers)
    ]
    return [
        WabaListing(waba_id=str(100_200_300_400_000 + begin), phone_numbers=tuple(rows[begin : begin + of_account]))
        for begin in range(0, numbers, of_account)
    ]


def some_usage(waba_id: str) -> Usage | None:
    """Return a usage for every other account."""
    percent = float(int(waba_id) // 10 % 100)
    return Usage(waba=UsageMetric(calls_percent=percent), app=UsageMetric(calls_percent=3.5)) if percent % 2 else None
