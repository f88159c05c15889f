"""The benchmarks' own parts: ratios, the table, the picture, and the server that answers them."""

import asyncio
import importlib
import itertools
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts import load_benchmark

from wa_phone_async import PhoneNumber
from wa_phone_async.decoding.converter import read_json
from wa_phone_async.pagination.page import Paging, read_page

paired, chart, canned, pages = map(load_benchmark, ("paired", "chart", "canned", "pages"))
interleaved = load_benchmark("interleaved")
listing, growth, decoding, report = map(load_benchmark, ("listing", "growth", "decoding", "report"))
bulk, read_ahead, compressed = map(load_benchmark, ("bulk", "read_ahead", "compressed"))
importing, starting = map(load_benchmark, ("importing", "starting"))
against, instant, layers = map(load_benchmark, ("against", "instant", "layers"))
exporting, settings, checkouts = map(load_benchmark, ("exporting", "settings", "checkouts"))

SVG = "{http://www.w3.org/2000/svg}"
TIMES = st.lists(st.integers(1, 10**6).map(float), min_size=1, max_size=20)  # whose quarters are exact


# Rounds and ratios


def test_a_ratio_is_the_median_of_the_ratios_within_each_round() -> None:
    # given a machine that is ten times as slow in the second round, and a subject that takes 1, 2, 3 times as long
    ours, theirs = [1.0, 20.0, 3.0], [1.0, 10.0, 1.0]
    # then the slow round counts as one of three; the medians of each would say 3.0
    assert paired.ratio(ours, theirs) == paired.Spread(middle=2.0, low=1.5, high=2.5)


def test_one_round_has_no_spread() -> None:
    assert paired.ratio([3.0], [2.0]) == paired.Spread(1.5, 1.5, 1.5)


def test_rounds_of_two_subjects_are_as_many() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired.ratio([1.0, 2.0], [1.0])


@given(TIMES)
def test_a_subject_beside_itself_is_one(times: list[float]) -> None:
    assert paired.ratio(times, times) == paired.Spread(1.0, 1.0, 1.0)


@given(TIMES)
def test_quartiles_stand_around_the_median(times: list[float]) -> None:
    spread = paired.Spread.of(times)
    assert min(times) <= spread.low <= spread.middle <= spread.high <= max(times)


@pytest.mark.parametrize(
    ("figure", "text"),
    [(1.0, "1.00"), (0.874, "0.87"), (0.1, "0.10"), (1 / 80, "0.0125"), (0.00691, "0.00691"), (0, "0.00")],
)
def test_small_figures_keep_three_digits(figure: float, text: str) -> None:
    assert paired.digits(figure) == text


def test_subjects_take_turns_in_changing_order() -> None:
    order = list[str]()

    def subject(name: str) -> int:
        order.append(name)
        return len(order)

    found = paired.take_turns({name: lambda name=name: subject(name) for name in "abc"}, 12)
    rounds = ["".join(order[start : start + 3]) for start in range(0, 36, 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert len(set(rounds)) > 2
    assert sorted(itertools.chain(*found.values())) == list(range(1, 37))
    assert [len(times) for times in found.values()] == [12, 12, 12]


def test_the_conditions_name_the_interpreter_and_the_versions() -> None:
    text = paired.conditions(11)
    assert "11 rounds" in text
    assert f"CPython {sys.version_info.major}.{sys.version_info.minor}" in text
    assert f"aiohttp {importlib.import_module('aiohttp').__version__}" in text
    assert "no-such-package" not in text
    assert paired.installed("no-such-package") == ""


# The table


REACHED = paired.Row("some work", "a loop", paired.Spread(0.9, 0.85, 1.0), 1.0)
MISSED = paired.Row("`more` work", "a <loop> & others", paired.Spread(0.0145, 0.014, 0.02), 1 / 80)


def test_a_row_is_bold_where_its_goal_is_reached() -> None:
    assert paired.table([REACHED, MISSED]).splitlines() == [
        "| work | against | ratio | quartiles | goal |",
        "|---|---|---|---|---|",
        "| some work | a loop | **0.90** | 0.85-1.00 | 1.00 |",
        "| `more` work | a <loop> & others | 0.0145 | 0.014-0.02 | 0.0125 |",
    ]


def test_the_manual_gets_one_table_of_all_shapes_between_marks() -> None:
    found = [paired.Findings((REACHED,), "a"), paired.Findings((), "b"), paired.Findings((MISSED,), "c")]
    first, *table, measured, last = report.for_manual(found, "a machine").splitlines()
    assert (first, last) == report.MARKS
    assert "\n".join(table).rstrip() == paired.table([REACHED, MISSED])
    assert measured == "Measured on a machine."


@pytest.mark.parametrize("shape", report.SHAPES)
def test_a_shape_of_the_report_can_be_measured(shape: str) -> None:
    assert callable(getattr(load_benchmark(shape), report.SHAPES[shape]))


# The shapes of work


def samples(**cpu: float) -> dict[str, list[object]]:
    """Two rounds, in which all took the same, but for a second round that is twice as slow."""
    names = {"speed": listing.SPEED, "core": listing.PLAIN, "orjson": listing.ORJSON, "json": listing.JSON}
    return {
        names[name]: [listing.Sample(slow * one, 50e-6, slow * one * 2) for slow in (1, 2)] for name, one in cpu.items()
    }


def test_lists_are_compared_with_what_was_measured_and_with_nothing_else() -> None:
    found = {
        listing.ONE: samples(speed=450e-6, orjson=500e-6, json=700e-6),  # neither core, nor peers
        listing.MANY: samples(core=840e-6, json=700e-6),
    }
    rows = list(listing.rows(found))
    assert [(row.work, row.against, row.goal) for row in rows] == [
        (f"{listing.ONE}, {listing.SPEED}", listing.ORJSON, 1.2),
        (f"{listing.MANY}, {listing.PLAIN}", listing.JSON, 1.3),
    ]
    assert [row.ratio.middle for row in rows] == pytest.approx([0.9, 1.2])


def test_the_figures_of_lists_show_how_busy_the_server_was() -> None:
    found = {work: samples(speed=400e-6, orjson=500e-6) for work in (listing.ONE, listing.MANY)}
    text = "\n".join(listing.details(found, [6_000.0, 7_000.0]))
    assert f"| {listing.ONE} | {listing.SPEED} | 600 (500-700) | 93,750 | 50 | 0.0469 |" in text
    assert "get 6,000 pages a second from the server over one connection and 7,000 over 64" in text
    assert "the fastest subject gets 1,250 and 1,250" in text
    assert listing.speeds(found)[listing.ONE][listing.SPEED] == pytest.approx(100 / 600e-6)


def test_growth_is_the_most_beside_the_least() -> None:
    costs = zip(growth.LONGER | growth.WIDER | growth.BY_HAND, map(float, range(1, 10)), strict=True)
    times = {name: [cost, 2 * cost] for name, cost in costs}
    assert [(row.work, row.ratio.middle) for row in growth.rows(times)] == [
        ("a page of 1,000 pages", 3.0),
        ("a page of 256 lists at once", 1.5),
    ]
    assert "| 100 pages | 3,000,000 (2,500,000-3,500,000) | 2.00 (2.00-2.00) |" in list(growth.details(times))


def test_decoding_is_compared_with_the_usual_page_of_the_same_path_and_memory_with_dicts() -> None:
    times = {
        "core path": [2.0],
        "core path, 4 fields missing": [1.0],
        "fast path": [1.0],
        "fast path, an unknown": [1.5],
    }
    held = {decoding.JSON: [250.0], decoding.FAST: [125.0]}
    assert [(row.work, row.against, row.ratio.middle) for row in decoding.rows(times, held)] == [
        ("decoding, 4 fields missing, core", "the same page with all", 0.5),
        ("decoding, an unknown, speed", "the same page without", 1.5),
        ("200,000 numbers held, peak memory, speed", "dicts", 0.5),
    ]


def test_many_accounts_are_compared_with_the_loop_by_hand() -> None:
    times = {
        bulk.MANY: [500.0, 550.0],
        bulk.SELDOM: [400.0, 400.0],
        bulk.DROPPED: [500.0, 500.0],
        bulk.KEPT: [250.0, 275.0],
    }
    findings = bulk.found_beside_orjson(times)
    assert f"| {bulk.SELDOM} | 400 | 0.76 (0.75-0.78) |" in findings.details
    dropped, kept, *_ = findings.rows
    assert (dropped.goal, kept.goal) == (1.4, 1.1)
    assert dropped.ratio.middle == pytest.approx(1.05)
    assert dropped.is_reached
    assert kept.ratio.middle == pytest.approx(2)
    assert not kept.is_reached


def test_reading_ahead_is_compared_with_a_list_without() -> None:
    times = {(name, pages): [3.0 - pages] for name, _, numbers in read_ahead.PARTS for pages in numbers}
    (row,) = read_ahead.rows(times)
    assert row.ratio.middle == pytest.approx(2 / 3)
    assert "| 50 ms a page | 1 | 2.00 | 0.67 (0.67-0.67) |" in list(read_ahead.details(times))


def test_an_encoding_shows_the_line_below_which_it_saves_time() -> None:
    found = {
        "identity": [{"cpu": 400.0, "busy": 0.05}],
        "gzip": [{"cpu": 600.0, "busy": 0.05}],
    }
    lines = list(compressed.details(found, {"identity": 40_000.0, "gzip": 5_000.0}))
    # 35,000 bytes are 280,000 bits, in 200 µs
    assert lines[-1] == "| gzip | 5,000 | 0.12 | 600 | 1.50 (1.50-1.50) | 1,400 Mbit/s | 5% |"


def test_a_call_over_the_instant_transport_is_compared_with_the_base() -> None:
    times = {name: {"this": [30e-6, 60e-6], "other": [40e-6, 80e-6]} for name in instant.SUBJECTS}
    assert [(row.work, row.against, row.ratio.middle, row.goal) for row in instant.rows(times)] == [
        (f"own CPU of {instant.LIST}, speed", instant.BASE, pytest.approx(0.75), 0.75),
        (f"own CPU of {instant.MANY}, speed", instant.BASE, pytest.approx(0.75), 0.75),
    ]
    assert f"| {instant.CREATE} | 45.00 (37.50-52.50) | 60.00 (50.00-70.00) | 0.75 (0.75-0.75) |" in list(
        instant.details(times)
    )


def test_a_checkout_without_the_base_has_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instant.checkouts, "is_known", lambda _: False)
    findings = instant.measure(3)
    assert (findings.rows, findings.details) == ((), f"This checkout has no revision {instant.BASE}.")


@pytest.mark.parametrize("name", instant.SUBJECTS)
async def test_a_subject_of_the_instant_transport_makes_as_many_calls_as_it_is_asked_for(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, respond = list[str](), instant.respond

    async def counting(method: str, *arguments: object, **options: object) -> object:
        calls.append(method)
        return await respond(method, *arguments, **options)

    monkeypatch.setattr(instant, "respond", counting)

    async def measure(client: object) -> float:
        return float(await instant.SUBJECTS[name](client, 40))

    assert await instant.run(measure) == len(calls) == 40
    assert set(calls) == {"POST" if name == instant.CREATE else "GET"}


def test_an_export_is_compared_with_the_loop_by_hand() -> None:
    times = {
        (work, by_hand): [1e-6 * (3 - by_hand)]
        for work in (exporting.CSV, exporting.CSV + exporting.WIDE)
        for by_hand in (False, True)
    }
    assert [(row.work, row.against, row.ratio.middle, row.goal) for row in exporting.rows(times)] == [
        ("export of a row, csv", "`csv` by hand", pytest.approx(1.5), 1.3)
    ]
    assert "| csv, ALL_FIELDS | 3.00 (3.00-3.00) | 2.00 (2.00-2.00) | 1.50 (1.50-1.50) |" in list(
        exporting.details(times)
    )


@pytest.mark.parametrize("wide", [False, True])
def test_what_is_exported_by_hand_has_the_values_of_our_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, wide: bool
) -> None:
    # given two accounts, and a path of each format
    monkeypatch.setattr(exporting, "ACCOUNTS", 2)
    listings = exporting.listings(wide=wide)
    # when both write JSON Lines, then each line has the same values, but for an `extra` of no member
    pytest.importorskip("orjson")
    found = list[list[dict[str, object]]]()
    for subject in exporting.SUBJECTS[exporting.JSON]:
        subject(listings, tmp_path / "numbers.jsonl")
        lines = (tmp_path / "numbers.jsonl").read_text(encoding="utf-8").splitlines()
        found.append([{**json.loads(line), "extra": None} for line in lines])
    assert found[0] == found[1]
    assert len(found[0]) == 2 * pages.ROWS
    # and as many lines of CSV
    for subject in exporting.SUBJECTS[exporting.CSV]:
        subject(listings, tmp_path / "numbers.csv")
        assert len((tmp_path / "numbers.csv").read_text(encoding="utf-8").splitlines()) == 2 * pages.ROWS + 1


def test_settings_are_compared_with_the_first_of_them() -> None:
    def taken(cpu: float) -> list[object]:
        return [interleaved.Sample(cpu, 0.0, 0.0)]

    found = {"speed, plain": taken(2e-4), "by hand, plain": taken(1e-4), "speed, TLS": taken(3e-4)}
    found["by hand, TLS"] = taken(2e-4)
    assert list(settings.details("transport", {settings.ONE: found}))[2:] == [
        "| one list, plain | 200 | 100 | 2.00 (2.00-2.00) |  |",
        "| one list, TLS | 300 | 200 | 1.50 (1.50-1.50) | 1.50 (1.50-1.50) |",
    ]


def test_the_latest_interpreter_of_each_version_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("3.11.9", "3.11.10", "3.12.1"):
        (tmp_path / "versions" / version / "bin").mkdir(parents=True)
        (tmp_path / "versions" / version / "bin" / "python").touch()
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    assert settings.found_interpreters() == {"3.11": str(tmp_path / "versions" / "3.11.10" / "bin" / "python")}


@pytest.mark.parametrize(
    ("filename", "layer"),
    [
        ("/src/wa_phone_async/ratelimit/throttle.py", "wa_phone_async/ratelimit"),
        ("/src/wa_phone_async/session.py", "wa_phone_async/session"),
        ("/venv/site-packages/aiohttp/client.py", "aiohttp"),
        (asyncio.__file__, "asyncio"),
        (json.__file__, "other standard library"),
        ("<builder of PhoneNumber>", "wa_phone_async/decoding, generated"),
        ("<attrs generated init x>", "other generated code"),
        (str(layers.paired.HERE / "ours.py"), "the program"),
    ],
)
def test_each_file_belongs_to_a_layer(filename: str, layer: str) -> None:
    assert layers.layer_of(filename) == layer


@pytest.mark.unmeasured  # it traces, as coverage does, and then coverage would see no further test of the process
async def test_calls_and_bytecode_are_counted_for_the_layer_that_does_them() -> None:
    async def work() -> None:
        json.dumps({})
        len("")

    calls = await layers.counted(work(), bytecode=False)
    assert calls["Python calls"]["other standard library"] >= 2
    assert calls["C calls"].total() >= 1
    bytecode = await layers.counted(work(), bytecode=True)
    assert set(bytecode) == {"bytecodes"}
    assert bytecode["bytecodes"]["other standard library"] > 10


def test_instructions_belong_to_the_library_that_has_them() -> None:
    profile = """
ob=(1) /usr/lib/libpython3.11.so.1.0
fn=(1) run
16 30
+2 12
cob=(2) /usr/lib/libc.so.6
cfn=(2) copy
calls=3 0
20 500

ob=(2)
fn=(2) copy
0 500
ob=(1)
* 8
"""
    assert layers.by_library(profile) == {"Python": 50, "libc": 500}


def test_layers_of_this_package_stand_first() -> None:
    counts = {kind: {"aiohttp": 10.0, "wa_phone_async/call": 2.0, "yarl": 0.2} for kind in layers.KINDS}
    assert list(layers.details({"speed": counts}))[2:5] == [
        "| wa_phone_async/call | 2 | 2 | 2 |",
        "| aiohttp | 10 | 10 | 10 |",
        "| all | 12 | 12 | 12 |",
    ]


def test_imports_are_told_in_milliseconds() -> None:
    assert list(importing.details({"aiohttp": [0.2, 0.2]}))[-1] == "| aiohttp | 200 (200-200) |"


def test_starts_are_compared_with_an_import_of_aiohttp() -> None:
    times = {starting.OTHER: [0.2, 0.4], **{name: [0.3, 0.6] for name in starting.STARTS}}
    assert [(row.work, row.ratio.middle, row.goal) for row in starting.rows(times)] == [
        ("wa-phone --help", pytest.approx(1.5), 1.3),
        ("wa-phone list --sandbox", pytest.approx(1.5), 2.1),
    ]
    assert list(starting.details({"wa-phone --help": [0.2, 0.2]}))[-1] == "| wa-phone --help | 200 (200-200) |"


@pytest.mark.parametrize("measured", [starting.run, lambda _, path: importing.sample("import wa_phone_async", path)])
def test_what_starts_gets_the_package_from_its_path_wherever_it_is_started(
    measured: Callable[..., float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "other" / "wa_phone_async"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import pathlib; pathlib.Path(__file__).with_name('imported').touch()")
    (package / "__main__.py").touch()
    monkeypatch.chdir(Path(__file__).parent.parent)  # which has a package of this name, too
    assert measured(starting.STARTS["wa-phone --help"], str(package.parent)) > 0
    assert (package / "imported").exists()


# The picture


SPEEDS = {
    "one list": {listing.SPEED: 200_000.0, listing.ORJSON: 100_000.0, "somebody else": 1.0},
    "64": {listing.SPEED: 50_000.0},
}


@pytest.fixture
def picture() -> ET.Element:
    found = [paired.Findings((REACHED,), "", SPEEDS), paired.Findings((MISSED,), "")]
    return ET.fromstring(report.draw(found, "a machine & its versions"))


def classed(picture: ET.Element, tag: str, *kinds: str) -> Iterator[ET.Element]:
    return (shape for shape in picture.iter(f"{SVG}{tag}") if shape.get("class") in kinds)


def test_bars_are_as_long_as_what_they_show(picture: ET.Element) -> None:
    bars = list(classed(picture, "rect", "ours", "other"))
    assert [bar.get("class") for bar in bars] == ["ours", "other", "ours"]  # somebody else is not drawn
    assert [float(bar.attrib["width"]) for bar in bars] == [chart.BARS, chart.BARS / 2, chart.BARS / 4]


def test_a_dot_stands_left_of_the_line_where_the_goal_is_reached(picture: ET.Element) -> None:
    (goal,) = classed(picture, "line", "goal")
    reached, missed = classed(picture, "circle", "ours", "open")
    assert float(reached.attrib["cx"]) < float(goal.attrib["x1"]) < float(missed.attrib["cx"])
    assert (reached.get("class"), missed.get("class")) == ("ours", "open")


def test_what_is_far_beyond_its_goal_stands_at_the_end_of_the_axis() -> None:
    assert chart.place_of(17.0) == chart.place_of(chart.MOST) == chart.MARGIN + chart.WORK + chart.AXIS


def test_texts_stay_within_the_picture_and_are_not_taken_for_markup(picture: ET.Element) -> None:
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert "more work / a <loop> & others" in texts
    assert "a machine & its versions" in texts
    assert all(0 <= float(text.attrib["y"]) <= float(picture.attrib["height"]) for text in picture.iter(f"{SVG}text"))


def test_the_picture_has_colours_for_light_and_dark(picture: ET.Element) -> None:
    style = picture.findtext(f"{SVG}style")
    assert style is not None
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    for kind in (".paper", ".quiet", ".ours", ".other", ".line", ".goal", ".open", ".missed", ".spread"):
        assert kind in light
        assert kind in dark


# The server


def asked(waba_id: str, after: str | None = None) -> tuple[list[PhoneNumber], Paging, bytes]:
    """The numbers of a page, its paging, and the head of the answer."""
    query = "limit=100" if after is None else f"limit=100&after={after}"
    answer = canned.Canned.answer(f"GET /v23.0/{waba_id}/phone_numbers?{query} HTTP/1.1".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    listed = read_page(read_json(body), PhoneNumber, http_status=200)
    return listed.rows, listed.paging, head


@pytest.fixture
def two_pages(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(canned.Canned, "rows", tuple(pages.data(first, {}, ()) for first in (0, 100)))
    (waba_id,) = canned.waba_ids(1, 2, itertools.count())
    return str(waba_id)


def test_a_canned_list_leads_from_page_to_page_and_ends(two_pages: str) -> None:
    first, paging, _ = asked(two_pages)
    second, last, _ = asked(two_pages, paging.cursors.after)
    assert [number.id for number in (*first, *second)] == [str(300_000_000_000_000 + index) for index in range(200)]
    assert (paging.has_next, last.has_next) == (True, False)


def test_a_canned_answer_has_the_usage_of_its_own_account(two_pages: str) -> None:
    _, _, head = asked(two_pages)
    assert f'x-business-use-case-usage: {{"{two_pages}":[{{'.encode() in head


@given(st.integers(0, 999_999))
def test_a_cursor_names_its_page(page: int) -> None:
    cursor = canned.cursor(page)
    assert canned.page_of(cursor.encode()) == page
    assert cursor.replace("-", "").replace("_", "").isalnum()  # as it is in any URL


def test_ids_are_never_given_twice() -> None:
    serial = itertools.count()
    given_ids = canned.waba_ids(3, 20, serial) + canned.waba_ids(3, 1, serial)
    assert len(set(given_ids)) == 6
    assert all(len(waba_id) == 15 and waba_id.isdigit() for waba_id in given_ids)


def test_a_page_can_have_more_fields_and_fewer() -> None:
    body = pages.page(more={"shoe_size": 44}, missing=("status",))
    rows = read_page(read_json(body), PhoneNumber, http_status=200).rows
    assert len(rows) == pages.ROWS
    assert {(number.status, number.extra["shoe_size"]) for number in rows} == {(None, 44)}
    assert pages.page(7) == pages.page(7) != pages.page(8)


# All of it, for a moment


@pytest.mark.unmeasured
def test_subjects_of_each_kind_work_against_the_server() -> None:
    with canned.serving(3) as server:
        capacity = canned.capacity(server.url, 4, 40)
        server.took()
        subjects = {
            "ours.by_row": (),
            "ours.many": (),
            "by_hand.by_row": ("json",),
            "by_hand.many": ("json",),
            "by_hand.many_kept": ("json",),
        }
        entries = {
            name: interleaved.Entry(name, arguments, lists=2, pages=3, times=2, turns=number)
            for number, (name, arguments) in enumerate(subjects.items(), start=1)
        }
        found = interleaved.play_round(server, entries, random.Random(1))
    assert [len(samples) for samples in found.values()] == [1, 2, 3, 4, 5]
    for samples in found.values():
        for sample in samples:
            assert sample.cpu > 0
            assert min(sample.cpu, sample.server_cpu, sample.seconds) > 0
    assert capacity > 0


@pytest.mark.unmeasured
@pytest.mark.skipif(not shutil.which("openssl"), reason="it makes the certificate")
def test_a_list_comes_over_tls_and_compressed(tmp_path: Path) -> None:
    certificate = settings.self_signed(tmp_path)
    with canned.serving(2, "--gzip", "--certificate", str(certificate)) as server:
        assert server.url.startswith("https://")
        trusted = {"SSL_CERT_FILE": str(certificate)}
        entry = interleaved.Entry("ours.by_row", pages=2, environment=trusted)
        (sample,) = interleaved.play_round(server, {"": entry}, random.Random(1))[""]
    assert sample.cpu > 0


@pytest.mark.unmeasured
def test_a_subject_that_ends_early_says_so() -> None:
    with canned.serving(1) as server, pytest.raises(RuntimeError, match="ended before its turn"):
        interleaved.play_round(server, {"": interleaved.Entry("ours.no_such_subject")}, random.Random(1))


def test_the_figure_of_a_round_is_the_mean_of_its_turns() -> None:
    samples = [interleaved.Sample(1.0, 2.0, 3.0), interleaved.Sample(3.0, 4.0, 5.0)]
    assert interleaved.mean(samples) == interleaved.Sample(2.0, 3.0, 4.0)


# This checkout beside another revision


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_revision_is_unpacked_with_its_package_alone(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", *arguments], check=True, cwd=tmp_path
        )

    # given a repository whose package has changed since its first commit
    package = tmp_path / "wa_phone_async" / "__init__.py"
    package.parent.mkdir()
    git("init", "-q")
    package.write_text("first = True\n", encoding="utf-8")
    git("add", ".")
    git("commit", "-q", "-m", "First")
    package.write_text("first = False\n", encoding="utf-8")
    # when that commit is unpacked, then it has the package as it was, and is removed afterwards
    assert checkouts.is_known("HEAD", tmp_path)
    assert not checkouts.is_known("no-such-revision", tmp_path)
    with checkouts.checked_out("HEAD", tmp_path) as directory:
        assert (Path(directory) / "wa_phone_async" / "__init__.py").read_text(encoding="utf-8") == "first = True\n"
    assert not Path(directory).exists()


def test_a_row_is_slower_where_even_its_lower_quartile_is() -> None:
    noisy, slow = paired.Spread(1.1, 1.02, 1.3), paired.Spread(1.1, 1.03, 1.2)
    rows = tuple(paired.Row(work, "v1", spread, against.MOST) for work, spread in (("noisy", noisy), ("slow", slow)))
    assert against.slower(paired.Findings(rows, "")) == ["slow"]


def test_the_ratio_is_that_of_this_checkout_to_the_other() -> None:
    [row] = against.rows({"work": {"this": [1.0], "other": [2.0]}}, "v1")
    assert (row.work, row.against, row.ratio.middle) == ("work", "v1", 0.5)
