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

from wa_phone_async.cli.options import DEFAULT_FIELDS
from wa_phone_async.cli.terminal.formats import ExportedRows, JsonArray, to_json
from wa_phone_async.cli.terminal.output import printable, tell, terminal_width, use_utf8, write
from wa_phone_async.cli.terminal.table import Column, PlainTable, fit

SCREENS = {
    "120": """\
ID               NUMBER            NAME           STATUS     QUALITY  LIMIT     MODE  VERIFICATION
300000001000000  +1 203-555-0157   Blue Bakery    CONNECTED  GREEN    TIER_250  LIVE  VERIFIED
300000001000001  +55 21 2035-5558  Café Bakery    PENDING    UNKNOWN  TIER_1K   LIVE  NOT_VERIFIED
300000001000002  +44 7555 020359   Corner Bakery  CONNECTED  GREEN    TIER_10K  LIVE  EXPIRED
""",
    "80": """\
ID               NUMBER            NAME       STATUS     QUALITY  LIMIT     MODE
300000001000000  +1 203-555-0157   Blue       CONNECTED  GREEN    TIER_250  LIVE
                                   Bakery
300000001000001  +55 21 2035-5558  Café       PENDING    UNKNOWN  TIER_1K   LIVE
                                   Bakery
300000001000002  +44 7555 020359   Corner     CONNECTED  GREEN    TIER_10K  LIVE
                                   Bakery
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
LIMIT         TIER_250
MODE          LIVE
VERIFICATION  VERIFIED

ID            300000001000001
NUMBER        +55 21 2035-5558
NAME          Café Bakery
STATUS        PENDING
QUALITY       UNKNOWN
LIMIT         TIER_1K
MODE          LIVE
VERIFICATION  NOT_VERIFIED

ID            300000001000002
NUMBER        +44 7555 020359
NAME          Corner Bakery
STATUS        CONNECTED
QUALITY       GREEN
LIMIT         TIER_10K
MODE          LIVE
VERIFICATION  EXPIRED
""",
}
SCREENS[""] = SCREENS["120"]  # a pipe
FOLDED = """\
                                               NAME
WABA             ID               NAME         STATUS    THROUGHPUT
100200300400003  300000001000000  Blue Bakery  APPROVED  {"level":
                                                         "STANDARD"}
"""
LEFT_OUT = {"80": ["VERIFICATION"], "60": ["QUALITY", "LIMIT", "MODE", "VERIFICATION"]}


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
    table = PlainTable(["id", "verified_name", "name_status", "throughput"], with_waba_id=True, may_drop=False)
    table.page(SMALL_WABA, numbers()[:1])
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
    table.page(SMALL_WABA, numbers(status="SOMETHING_MUCH_LONGER"))
    table.page(SMALL_WABA, numbers(id="7" * 70))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("ID  ")][1].split() == [
        "ID",
        "NUMBER",
        "NAME",
        "STATUS",
        "QUALITY",
    ]
    assert "ID       " + "7" * 70 in lines
    assert max(len(line) for line in lines if "7777" not in line) <= 80
    assert table.left_out == ["LIMIT", "MODE", "VERIFICATION"]


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
