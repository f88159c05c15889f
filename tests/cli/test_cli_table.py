"""Tables as text at several widths, and what may reach a terminal."""

import io
import json
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import PhoneNumber, from_dict, to_dict
from wa_phone_async.sandbox import SMALL_WABA, Sandbox

pytest.importorskip("rich", reason="the extra `cli` is not installed")

from wa_phone_async.cli.terminal.formats import ExportedRows, JsonArray, to_json
from wa_phone_async.cli.terminal.output import tell, terminal_width, use_utf8, write
from wa_phone_async.cli.terminal.table import Column, PlainTable, fit
from wa_phone_async.models import DEFAULT_FIELDS
from wa_phone_async.redaction import printable

SCREENS = {
    "120": """\
ID               NUMBER            NAME       STATUS     QUALITY  REVIEW                    VERIFICATION  PLATFORM
300000001000000  +1 203-555-0157   Blue       CONNECTED  GREEN    APPROVED                  VERIFIED      CLOUD_API
                                   Bakery
300000001000001  +55 21 2035-5558  Café       PENDING    UNKNOWN  AVAILABLE_WITHOUT_REVIEW  NOT_VERIFIED  NOT_APPLICABLE
                                   Bakery
300000001000002  +44 7555 020359   Corner     CONNECTED  GREEN    PENDING_REVIEW            EXPIRED       CLOUD_API
                                   Bakery
""",
    "80": """\
ID               NUMBER            NAME           STATUS     QUALITY
300000001000000  +1 203-555-0157   Blue Bakery    CONNECTED  GREEN
300000001000001  +55 21 2035-5558  Café Bakery    PENDING    UNKNOWN
300000001000002  +44 7555 020359   Corner Bakery  CONNECTED  GREEN
""",
    "60": """\
ID               NUMBER            NAME           STATUS
300000001000000  +1 203-555-0157   Blue Bakery    CONNECTED
300000001000001  +55 21 2035-5558  Café Bakery    PENDING
300000001000002  +44 7555 020359   Corner Bakery  CONNECTED
""",
    "50": """\
ID               NUMBER            NAME
300000001000000  +1 203-555-0157   Blue Bakery
300000001000001  +55 21 2035-5558  Café Bakery
300000001000002  +44 7555 020359   Corner Bakery
""",
    "30": """\
ID            300000001000000
NUMBER        +1 203-555-0157
NAME          Blue Bakery
STATUS        CONNECTED
QUALITY       GREEN
REVIEW        APPROVED
VERIFICATION  VERIFIED
PLATFORM      CLOUD_API
THROUGHPUT    STANDARD
LIMIT         TIER_250
MODE          LIVE
OFFICIAL      true
ONBOARDED     2024-01-01T00:00
              :00+00:00

ID            300000001000001
NUMBER        +55 21 2035-5558
NAME          Café Bakery
STATUS        PENDING
QUALITY       UNKNOWN
REVIEW        AVAILABLE_WITHOU
              T_REVIEW
VERIFICATION  NOT_VERIFIED
PLATFORM      NOT_APPLICABLE
THROUGHPUT    NOT_APPLICABLE
LIMIT         TIER_2K
MODE          LIVE
OFFICIAL      false
ONBOARDED     2024-01-11T19:00
              :01+00:00

ID            300000001000002
NUMBER        +44 7555 020359
NAME          Corner Bakery
STATUS        CONNECTED
QUALITY       GREEN
REVIEW        PENDING_REVIEW
VERIFICATION  EXPIRED
PLATFORM      CLOUD_API
THROUGHPUT    STANDARD
LIMIT         TIER_10K
MODE          LIVE
OFFICIAL      false
ONBOARDED     2024-01-22T14:00
              :02+00:00
""",
}
SCREENS[""] = "".join(  # a pipe
    f"{line}  {end}\n"
    for line, end in zip(
        (
            "ID               NUMBER            NAME           STATUS     QUALITY  REVIEW                  ",
            "300000001000000  +1 203-555-0157   Blue Bakery    CONNECTED  GREEN    APPROVED                ",
            "300000001000001  +55 21 2035-5558  Café Bakery    PENDING    UNKNOWN  AVAILABLE_WITHOUT_REVIEW",
            "300000001000002  +44 7555 020359   Corner Bakery  CONNECTED  GREEN    PENDING_REVIEW          ",
        ),
        (
            "VERIFICATION  PLATFORM        THROUGHPUT      LIMIT     MODE  OFFICIAL  ONBOARDED",
            "VERIFIED      CLOUD_API       STANDARD        TIER_250  LIVE  true      2024-01-01T00:00:00+00:00",
            "NOT_VERIFIED  NOT_APPLICABLE  NOT_APPLICABLE  TIER_2K   LIVE  false     2024-01-11T19:00:01+00:00",
            "EXPIRED       CLOUD_API       STANDARD        TIER_10K  LIVE  false     2024-01-22T14:00:02+00:00",
        ),
        strict=True,
    )
)
FOLDED = """\
WABA             ID               NAME         REVIEW    HEALTH STATUS
100200300400003  300000001000000  Blue Bakery  APPROVED  {"level":
                                                         "AVAILABLE"}
"""
LAST = ["THROUGHPUT", "LIMIT", "MODE", "OFFICIAL", "ONBOARDED"]
LEFT_OUT = {"120": LAST, "80": ["REVIEW", "VERIFICATION", "PLATFORM", *LAST]}


def numbers(**changes: object) -> list[PhoneNumber]:
    return [from_dict(PhoneNumber, {**row, **changes}) for row in Sandbox().numbers(SMALL_WABA)]


@pytest.mark.parametrize("columns", SCREENS)
def test_screens(columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    table = PlainTable(DEFAULT_FIELDS, with_waba_id=False, may_drop=True)
    table.page(SMALL_WABA, numbers())
    table.end()
    assert capsys.readouterr().out == SCREENS[columns]
    assert columns not in LEFT_OUT or table.left_out == LEFT_OUT[columns]


def test_fields_that_were_requested_are_folded_and_not_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    table = PlainTable(["id", "verified_name", "name_status", "health_status"], with_waba_id=True, may_drop=False)
    table.page(SMALL_WABA, numbers(health_status={"level": "AVAILABLE"})[:1])
    assert capsys.readouterr().out == FOLDED
    assert not table.left_out


def test_a_table_hides_the_queries_of_urls_and_programs_get_them(capsys: pytest.CaptureFixture[str]) -> None:
    fields = ["id", "webhook_configuration"]
    [number, *_] = numbers(webhook_configuration={"application": "https://shop.example/hook?token=secret"})
    PlainTable(fields, with_waba_id=False, may_drop=False).page(SMALL_WABA, [number])
    assert '{"application": "https://shop.example/hook?[hidden]"}' in capsys.readouterr().out
    joined = ",".join(fields)
    for writer in (ExportedRows("csv", joined), ExportedRows("jsonl", joined), JsonArray(with_waba_id=True)):
        writer.page(SMALL_WABA, [number])
        assert "https://shop.example/hook?token=secret" in capsys.readouterr().out


def test_a_later_page_that_is_wider_gets_new_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    table = PlainTable(DEFAULT_FIELDS, with_waba_id=False, may_drop=True)
    table.page(SMALL_WABA, numbers())
    table.page(SMALL_WABA, numbers())
    table.page(SMALL_WABA, numbers(status="SOMETHING_MUCH_LONGER_THAN_BEFORE"))
    table.page(SMALL_WABA, numbers(id="7" * 70))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("ID  ")][1].split() == [
        "ID",
        "NUMBER",
        "NAME",
        "STATUS",
    ]
    assert "ID      " + "7" * 70 in lines
    assert max(len(line) for line in lines if "7777" not in line) <= 80
    assert table.left_out == ["QUALITY", *LEFT_OUT["80"]]


def test_an_empty_page_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    PlainTable(DEFAULT_FIELDS, with_waba_id=False, may_drop=True).page(SMALL_WABA, ())
    assert capsys.readouterr().out == ""


@given(
    st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=8),
    st.integers(1, 200),
)
def test_columns_fit_or_there_is_no_way(sizes: list[tuple[int, bool]], total: int) -> None:
    columns = [Column("name", whole, width) for width, whole in sizes]
    widths = fit(columns, total)
    gaps = 2 * (len(columns) - 1)
    if widths is None:
        assert sum(column.least for column in columns) + gaps > total
    else:
        assert sum(widths) + gaps <= max(total, 0)
        assert all(column.least <= width <= column.width for column, width in zip(columns, widths, strict=True))


@given(st.text())
def test_nothing_that_moves_the_cursor_is_printable(text: str) -> None:
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", printable(text))


def test_text_of_people_stays_as_it_is() -> None:
    family = "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"
    assert printable(f"Zürich {family} 東京 [b]") == f"Zürich {family} 東京 [b]"
    assert printable("Le Café\N{NO-BREAK SPACE}!\tTab") == "Le Café ! Tab"
    assert to_json([family, "\U000e0001"]) == f'["{family}", "\\udb40\\udc01"]'


@given(st.text())
def test_json_is_exact_and_has_no_control_character(text: str) -> None:
    number = PhoneNumber("1", verified_name=text)
    encoded = to_json(to_dict(number))
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e\ud800-\udfff]", encoded)
    assert from_dict(PhoneNumber, json_of(encoded)) == number


def json_of(text: str) -> dict[str, object]:
    value: dict[str, object] = json.loads(text)
    return value


def test_a_terminal_that_lacks_a_character_gets_its_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(screen, encoding="ascii"))
    PlainTable(["verified_name"], with_waba_id=False, may_drop=False).page(SMALL_WABA, numbers()[1:2])
    use_utf8()
    write("é\ud800")
    assert screen.getvalue() == "NAME\nCaf\\xe9 Bakery\né\\ud800".encode()


def test_any_stream_may_stand_in_the_place_of_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setenv("COLUMNS", "many")
    use_utf8()
    write("data")
    tell("more")
    assert (out.getvalue(), err.getvalue()) == ("data", "more\n")
    assert terminal_width(sys.stdout) is None
