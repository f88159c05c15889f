"""`to_html`: a page of fixed markup in which all that came from the API is text."""

import json
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import HOSTILE, fleet, report_of, some_usage

from wa_phone_async import (
    Change,
    DiffSummary,
    Extra,
    HealthReport,
    InvalidArgumentError,
    PhoneNumber,
    ReportedChanges,
    Severity,
    Throughput,
    WabaListing,
    to_html,
)
from wa_phone_async.errors import NotFoundError
from wa_phone_async.integrations.notebook import show_tables
from wa_phone_async.redaction import printable
from wa_phone_async.report.page import _file, page_of
from wa_phone_async.report.tables import NOTHING

TAGS = set(
    re.findall(
        "[a-z0-9]+",
        "html head meta title style body a header h1 bdi p span dl dt dd time nav ul li main section h2 h3 div small "
        "svg defs pattern line path table caption tbody thead tr th td rect strong br footer script",
    )
)
ATTRIBUTES = set(
    re.findall(
        "[a-z0-9-]+",
        "lang charset http-equiv content name class href id tabindex datetime aria-label aria-hidden aria-labelledby "
        "role scope data-name data-table data-find width height rx x y x1 y1 x2 y2 d fill stroke-width patternunits "
        "patterntransform type",
    )
)
ANY_TEXT = st.text(st.characters(), max_size=40) | st.sampled_from(HOSTILE)
EMPTY = report_of([])


class Parsed(HTMLParser):
    """What a page consists of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self._open = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._open = tag
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attributes]

    def handle_data(self, data: str) -> None:
        into = {"script": self.scripts, "style": self.styles}.get(self._open, self.texts)
        into.append(data)

    def handle_endtag(self, _: str) -> None:
        self._open = ""

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    @property
    def tables(self) -> dict[str, Any]:
        """The tables that the script shows."""
        return {table["key"]: table for table in json.loads(self.scripts[0])}


def check_is_inert(page: str) -> Parsed:
    """Check that a page has nothing but the markup, the script and the style of this package."""
    parsed = Parsed(page)
    assert set(parsed.tags) <= TAGS
    assert {name for name, _ in parsed.attributes} <= ATTRIBUTES
    assert all(value.startswith("#") for name, value in parsed.attributes if name == "href")
    assert parsed.tags.count("script") == 2
    assert (parsed.scripts[1], parsed.styles) == (_file("page.js"), [_file("page.css")])
    [policy] = [value for name, value in parsed.attributes if value.startswith("default-src")]
    for content in (parsed.scripts[1], parsed.styles[0]):
        assert f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    ours = page.replace(parsed.scripts[1], "").replace(parsed.styles[0], "").replace("\n", "")
    assert [c for c in ours if not c.isprintable() and c not in "\u200c\u200d"] == []
    page.encode()
    return parsed


def hostile_report(text: str) -> HealthReport:
    number = PhoneNumber(
        id=text or "0",
        display_phone_number=text,
        verified_name=text,
        status=text,
        quality_rating=text,
        name_status="PENDING_REVIEW",
        new_display_name=text,
        new_name_status=text,
        whatsapp_business_manager_messaging_limit=text,
        health_status=Extra(
            {
                "can_send_message": "BLOCKED",
                "entities": [
                    {
                        "entity_type": "BUSINESS",
                        "id": text,
                        "can_send_message": "BLOCKED",
                        "errors": [{"error_description": text, "possible_solution": text}],
                    }
                ],
            }
        ),
    )
    listings = [
        WabaListing(waba_id=text, phone_numbers=(number,)),
        WabaListing(waba_id="7", error=NotFoundError(text, http_status=404)),
    ]
    now = datetime(2026, 11, 28, 12, tzinfo=UTC)
    change = Change(waba_id=text, number=number, field=text or "x", old=Extra({text: text}), new=text, seen_at=now)
    changes = ReportedChanges(since=text, summary=DiffSummary(changes=1, not_compared=1), changes=(change,))
    return report_of(listings, source=text, version=text, changes=changes, made_at=now)


@given(ANY_TEXT)
def test_all_text_is_data(text: str) -> None:
    report = hostile_report(text)
    parsed = check_is_inert(to_html(report, title=text))
    [row] = parsed.tables["numbers"]["rows"]
    shown = printable(text)
    if len(shown) <= 500:
        assert row[3] == (shown or NOTHING)
        assert shown in "".join(parsed.texts)


@pytest.mark.parametrize("text", HOSTILE)
def test_names_show_as_they_are_and_do_nothing(text: str) -> None:
    parsed = check_is_inert(to_html(hostile_report(text), title=text))
    shown = printable(text)
    expected = shown if len(shown) <= 500 else f"{shown[:500]}… ({len(shown):,} characters)"
    assert parsed.tables["numbers"]["rows"][0][3] == expected
    assert parsed.texts.count(expected) > 3


def test_a_report_says_when_and_from_what_it_was_made() -> None:
    made_at, written_at = datetime(2026, 11, 28, 20, 5, tzinfo=UTC), datetime(2026, 11, 27, 1, tzinfo=UTC)
    report = report_of(fleet(3), made_at=made_at, source="numbers.csv", source_time=written_at, version="7.8")
    text = " ".join(Parsed(to_html(report, title="Our shops")).texts)
    for part in ("Our shops", "numbers.csv", "2026-11-28 20:05 UTC", "2026-11-27 01:00 UTC", "7.8"):
        assert part in text
    assert "UTC+00:00" not in text
    in_delhi = attrs.evolve(report, made_at=made_at.astimezone(timezone(timedelta(hours=5, minutes=30))))
    assert "2026-11-29 01:35 UTC+05:30" in to_html(in_delhi)
    naive = attrs.evolve(report, made_at=datetime(2026, 11, 28, 20, 5))  # noqa: DTZ001 - that is the point
    assert "2026-11-28 20:05 UTC" in to_html(naive)


def test_a_report_has_totals_quota_and_what_each_account_has() -> None:
    report = report_of(fleet(60), some_usage)
    parsed = Parsed(to_html(report))
    text = " ".join(parsed.texts)
    for part in ("Quota of the app", "3.5 %", "Names in review", "60 numbers of 6 accounts", "Somebody has to act"):
        assert part in text
    accounts = parsed.tables["accounts"]
    columns = {column["name"]: place + 1 for place, column in enumerate(accounts["columns"])}
    quality = accounts["columns"][columns["Quality"] - 1]["values"]
    assert {sum(map(int, re.findall(r"(\d+) [A-Zn]", value))) for value in quality} == {10}
    assert [row[columns["Numbers"]] for row in accounts["rows"]] == [10] * 6
    assert accounts["columns"][columns["Quota used"] - 1]["values"] == ["1 %", "3 %", "5 %", "not recorded"]


@pytest.mark.parametrize(
    ("numbers", "lead"),
    [
        ([], "All is well: no error and no warning, in 0 numbers of 0 accounts."),
        ([{"status": "RATE_LIMITED"}], "Worth a look: 1 warning, and no error, in 1 number of 1 account."),
        ([{"status": "BANNED"}], "Somebody has to act: 1 error, in 1 number of 1 account."),
        (
            [{"status": "BANNED"}, {"quality_rating": "RED"}],
            "Somebody has to act: 1 error and 1 warning, in 2 numbers of 1 account.",
        ),
    ],
)
def test_the_first_sentence_says_how_bad_it_is(numbers: list[dict[str, Any]], lead: str) -> None:
    rows = tuple(PhoneNumber(id=str(place + 1), **members) for place, members in enumerate(numbers))
    report = report_of([WabaListing(waba_id="5", phone_numbers=rows)] if rows else [])
    assert lead in "".join(Parsed(to_html(report)).texts)


def test_an_empty_report_says_so() -> None:
    texts = "".join(Parsed(to_html(EMPTY)).texts)
    for sentence in (
        "Nothing was found.",
        "No account was checked.",
        "No number was checked.",
        "No name is in review.",
    ):
        assert sentence in texts


def test_an_account_that_failed_is_named() -> None:
    failed = WabaListing(waba_id="7", error=NotFoundError("nobody there", http_status=404))
    report = report_of([failed, WabaListing(waba_id="", phone_numbers=(PhoneNumber("1"),))])
    texts = "".join(Parsed(to_html(report)).texts)
    assert "1 could not be listed" in texts
    assert "nobody there" in texts


def test_findings_of_one_kind_have_one_remedy_and_a_common_sentence() -> None:
    report = report_of(fleet(60))
    text = "".join(Parsed(to_html(report)).texts)
    assert "A number is bannedFor example: Number +1 631-000-0002 is banned." in text
    assert "What to do: Appeal" in text
    of_nobody = [attrs.evolve(finding, code="shop.closed", sentence="It is closed.") for finding in report.findings[:2]]
    other = attrs.evolve(report, findings=(of_nobody[0], attrs.evolve(of_nobody[1], remedy="Open it.")))
    assert "The table has 1 other remedy." in to_html(other)
    assert "It is closed" in to_html(other)


def test_what_a_bound_has_dropped_is_counted_and_said() -> None:
    report = report_of(fleet(60))
    bounded = attrs.evolve(report, findings=())
    text = "".join(Parsed(to_html(bounded)).texts)
    assert "A number is banned" in text
    assert f"12 findings{'status.banned'}" in text
    unknown = attrs.evolve(report, totals=attrs.evolve(report.totals, by_code={"shop.closed": 1}), findings=())
    assert "shop.closed" not in to_html(unknown)


def test_rows_that_do_not_fit_are_left_out_and_said() -> None:
    page = page_of(report_of(fleet(3_000)), None, 200_000)
    parsed = check_is_inert(page)
    rows = len(parsed.tables["numbers"]["rows"])
    assert 0 < rows < 3_000
    assert f"{rows:,} of 3,000 have a row." in "".join(parsed.texts)
    assert len(page.encode()) < 400_000


def test_one_of_many_is_more_than_nothing_and_a_field_that_did_not_come_has_no_value() -> None:
    numbers = [PhoneNumber("1"), *(PhoneNumber(str(place), quality_rating="GREEN") for place in range(2, 300))]
    parsed = Parsed(to_html(report_of([WabaListing(waba_id="5", phone_numbers=tuple(numbers))])))
    shown = " ".join(" ".join(parsed.texts).split())
    assert "no value 1 (< 1 %)" in shown
    assert "GREEN 298 (100 %)" in shown
    assert "298 GREEN, 1 no value" in shown


def test_changes_are_in_words() -> None:
    number = PhoneNumber("1", display_phone_number="+1 631-555-1000", verified_name="Shop")
    moment = datetime(2026, 11, 28, tzinfo=UTC)
    values: list[tuple[str, Any, Any]] = [
        ("id", None, "1"),
        ("id", "1", None),
        ("throughput", Throughput(level="HIGH"), None),
        ("last_onboarded_time", None, moment),
        ("also_in", None, ("5", "6")),
        ("is_pin_enabled", False, True),
    ]
    changes = tuple(
        Change(waba_id="5", number=number, field=field, old=old, new=new, seen_at=moment) for field, old, new in values
    )
    summary = DiffSummary(came=1, gone=1, changed=1, changes=6)
    since = ReportedChanges(since="old.csv", since_time=moment, summary=summary, changes=changes)
    parsed = Parsed(to_html(report_of(fleet(3), changes=since)))
    table = parsed.tables["changes"]
    fields = table["columns"][4]["values"]
    assert [(fields[row[5]], row[6], row[7]) for row in table["rows"]] == [
        ("the number", NOTHING, "new"),
        ("the number", "there", "gone"),
        ("throughput", '{"level": "HIGH"}', NOTHING),
        ("last_onboarded_time", NOTHING, "2026-11-28 00:00:00+00:00"),
        ("also_in", NOTHING, '["5", "6"]'),
        ("is_pin_enabled", "false", "true"),
    ]
    assert "Changes since old.csv" in parsed.texts
    assert {mark for mark, _ in table["columns"][0]["values"]} == {NOTHING}  # a number that is gone is not fine
    assert "3" in parsed.texts


def test_something_else_than_a_report_is_an_error() -> None:
    with pytest.raises(InvalidArgumentError, match="report must be a HealthReport"):
        to_html({"findings": []})  # type: ignore[arg-type]


def test_a_notebook_shows_the_page_in_a_frame_that_reaches_nothing() -> None:
    show_tables()
    report: Any = hostile_report("it's </iframe> & <b>")
    frame = Parsed(report._repr_html_())
    assert frame.tags == ["iframe"]
    attributes = dict(frame.attributes)
    assert attributes["sandbox"] == "allow-scripts"
    assert attributes["srcdoc"] == to_html(report)
    check_is_inert(attributes["srcdoc"])


def test_the_severity_of_an_account_is_its_worst() -> None:
    accounts = report_of(fleet(60)).overview.accounts
    assert {account.severity for account in accounts} == {Severity.ERROR}
    assert report_of([WabaListing(waba_id="1")]).overview.accounts[0].severity is None
