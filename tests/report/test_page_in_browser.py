"""The page in a real browser: it fits phones, desks and paper, takes a keyboard, and does what names say never.

Facts about the layout are asserted. Pictures are kept for people: in `REPORT_PICTURES`, or where pytest has its files.
"""

import asyncio
import base64
import itertools
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
from look import DESK, PHONE, Tab, open_tab
from reports import HOSTILE, fleet, report_of, some_usage

from wa_phone_async import Change, DiffSummary, HealthReport, ReportedChanges, to_html
from wa_phone_async.redaction import printable
from wa_phone_async.report.html import to_frame

T = TypeVar("T")

pytestmark = [
    pytest.mark.unmeasured,  # a browser starts
    pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium on the PATH"),
]

WATCH = """
window.troubles = [];
addEventListener("error", event => troubles.push(event.message));
addEventListener("unhandledrejection", event => troubles.push(String(event.reason)));
document.addEventListener("securitypolicyviolation", event => troubles.push(event.violatedDirective));
for (const name of ["alert", "print", "open"]) window[name] = () => troubles.push(name);
"""
"""Notes what should not happen, from before the page is read."""

LINES = "[...document.querySelectorAll('#{table} tbody tr')]"
RANGE = "document.querySelector('#{table} .range').textContent"


@attrs.frozen
class Browser:
    """A tab of a browser that has looked at nothing yet."""

    tab: Tab
    run: Callable[[Awaitable[Any]], Any]
    pictures: Path

    def open(self, file: Path, *, size: tuple[int, int] = DESK, scheme: str = "light", hash_: str = "") -> None:
        """Open a page, also the one that is open."""
        self.run(self.tab.open(Path("/dev/null")))  # the same address with another hash would load nothing
        self.run(self.tab.resize(size))
        self.run(self.tab.choose(scheme))
        self.run(self.tab.open(file, hash_))

    def value(self, script: str) -> Any:
        """Return the value of some JavaScript, or of its promise."""
        sent = self.tab.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        result = self.run(sent)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key: str, code: int, **more: Any) -> None:
        """Press a key and let it go."""
        for kind in ("keyDown", "keyUp"):
            self.run(self.tab.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **more))

    def search(self, table: str, text: str) -> float:
        """Type into the search of a table. Returns the milliseconds until the rows are laid out."""
        script = f"""(() => {{
            const input = document.querySelector('#{table} input'), begin = performance.now();
            input.value = {text!r};
            input.dispatchEvent(new Event('input'));
            document.body.offsetHeight;
            return performance.now() - begin;
        }})()"""
        return float(self.value(script))

    def picture(self, name: str) -> None:
        """Keep a picture for people."""
        self.run(self.tab.picture(self.pictures / f"{name}.png"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    pictures = Path(os.environ.get("REPORT_PICTURES") or tmp_path_factory.mktemp("pictures"))
    pictures.mkdir(parents=True, exist_ok=True)
    with asyncio.Runner() as runner:
        opened = open_tab("chromium")
        tab = runner.run(_entered(opened.__aenter__()))
        try:
            runner.run(_entered(tab.send("Page.addScriptToEvaluateOnNewDocument", source=WATCH)))
            yield Browser(tab, lambda sent: runner.run(_entered(sent)), pictures)
        finally:
            runner.run(_entered(opened.__aexit__(None, None, None)))


async def _entered(sent: Awaitable[T]) -> T:
    async with asyncio.timeout(50):
        return await sent


def all_parts() -> HealthReport:
    """A report that has all parts, with hostile names."""
    listings = fleet(300)
    numbers = [number for listing in listings for number in listing.phone_numbers]
    changes = tuple(
        Change(
            waba_id=listings[0].waba_id,
            number=number,
            field="verified_name",
            old="Corner Shop",
            new=number.verified_name,
            seen_at=report_of([]).made_at,
        )
        for number in numbers[:20]
    )
    since = ReportedChanges(since="monday.csv", summary=DiffSummary(changed=20, changes=20), changes=changes)
    return report_of(listings, some_usage, changes=since, source="numbers.parquet")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(to_html(all_parts(), title=HOSTILE[1]), encoding="utf-8")
    return file


@pytest.mark.parametrize(("size", "scheme"), [*itertools.product((PHONE, DESK), ("light", "dark"))])
def test_it_fits_the_window_and_axe_finds_nothing(
    browser: Browser, page: Path, size: tuple[int, int], scheme: str
) -> None:
    browser.open(page, size=size, scheme=scheme)
    assert browser.value("document.documentElement.scrollWidth") == size[0]
    for part in ("summary", "checks", "findings", "changes", "accounts", "names", "numbers"):
        browser.value(f"document.getElementById('{part}').scrollIntoView()")
        browser.picture(f"{size[0]}-{scheme}-{part}")
    is_dark = browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 29)"
    assert is_dark == (scheme == "dark")
    assert browser.value("troubles") == []
    if (size == PHONE) == is_dark:
        return  # the layout has no part in the colours, so two runs see all
    pytest.importorskip("axe_playwright_python", reason="the dependency group `browser` is not installed")
    axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    browser.value(f"{axe};0")
    found = browser.value("axe.run().then(found => found.violations.map(v => [v.impact, v.id, v.nodes[0].html]))")
    assert found == []


def test_names_show_as_they_are_and_do_nothing(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.value("document.querySelectorAll('#numbers thead button')[1].click()")  # by number
    shown = browser.value(f"{LINES.format(table='numbers')}.map(line => line.cells[2].textContent)")
    assert [name for name in shown[: len(HOSTILE)] if "W" not in name] == [
        printable(name) for name in HOSTILE if "W" not in name
    ]
    assert browser.value("document.querySelectorAll('img, iframe, link, object, form, [onerror], [style]').length") == 0
    assert browser.value("document.scripts.length") == 2
    assert browser.value("performance.getEntriesByType('resource').length") == 0
    assert browser.value("document.title") == HOSTILE[1]
    assert browser.value("troubles") == []
    # The policy itself holds, whatever a page would let in.
    browser.value("document.body.append(Object.assign(document.createElement('script'), {textContent: 'alert(1)'}))")
    browser.value("document.body.append(Object.assign(new Image(), {src: 'https://shop.example/x.png'}))")
    browser.value("fetch('https://shop.example/').catch(() => 0)")
    assert sorted(set(browser.value("troubles"))) == ["connect-src", "img-src", "script-src-elem"]


def test_tables_are_sorted_and_searched_by_keyboard_alone(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.press("Tab", 9)
    assert browser.value("document.activeElement.textContent") == "Skip to the summary"
    browser.press("Enter", 13, text="\r")
    assert browser.value("document.activeElement.id") == "summary"
    for _ in range(200):
        browser.press("Tab", 9)
        if browser.value("document.activeElement.matches('#accounts thead button')"):
            break
    outline = browser.value("getComputedStyle(document.activeElement).outlineStyle")
    assert (outline, browser.value("document.activeElement.textContent")) == ("solid", "Attention")
    for wanted in ("ascending", "descending"):
        browser.press("Enter", 13, text="\r")
        assert browser.value("document.activeElement.closest('th').ariaSort") == wanted
    browser.value("document.querySelectorAll('#numbers thead button')[1].click()")
    numbers = browser.value(f"{LINES.format(table='numbers')}.map(line => line.cells[1].innerText.split('\\n')[0])")
    assert numbers == sorted(numbers)
    assert browser.value(RANGE.format(table="numbers")) == "Rows 1 to 50 of 300"
    browser.value("document.querySelector('#numbers input').focus()")
    browser.run(browser.tab.send("Input.insertText", text="16310000217 CONNECTED"))
    assert browser.value(RANGE.format(table="numbers")) == "Nothing found in 300 rows"
    browser.search("numbers", "16310000216")
    assert browser.value(RANGE.format(table="numbers")) == "Rows 1 to 1 of 1 found in 300"
    browser.search("numbers", "status.banned")
    browser.value("document.querySelector('#numbers .pager button:nth-child(4)').click()")
    assert browser.value(RANGE.format(table="numbers")) == "Rows 51 to 60 of 60 found in 300"
    assert browser.value("troubles") == []


def test_links_lead_to_rows_on_other_pages_of_a_table(browser: Browser, page: Path) -> None:
    browser.open(page, hash_="#number-300000000000283")
    focused = "[document.activeElement.id, document.activeElement.className]"
    assert browser.value(focused) == ["number-300000000000283", "found"]
    top = browser.value("document.activeElement.getBoundingClientRect().top")
    assert 0 < top < DESK[1]
    browser.search("accounts", "nothing like it")
    browser.value("document.activeElement.querySelector(\"a[href^='#account-']\").click()")
    assert browser.value(focused) == ["account-100200300400280", "found"]
    assert browser.value("location.hash") == "#account-100200300400280"
    browser.value("document.querySelector(\"#checks a[data-find='status.banned']\").click()")
    assert browser.value("document.querySelector('#findings input').value") == "status.banned"
    assert browser.value(RANGE.format(table="findings")) == "Rows 1 to 50 of 60 found in " + str(
        len(all_parts().findings)
    )
    browser.open(page, hash_="#%E0%A4%A")
    browser.open(page, hash_="#number-1")
    assert browser.value("troubles") == []


def test_paper_shows_rows_and_says_how_many(browser: Browser, page: Path) -> None:
    browser.open(page)
    paper = browser.run(browser.tab.send("Page.printToPDF", preferCSSPageSize=True, printBackground=True))
    (browser.pictures / "paper.pdf").write_bytes(base64.b64decode(paper["data"]))
    browser.value("dispatchEvent(new Event('beforeprint'))")
    assert browser.value(f"{LINES.format(table='numbers')}.length") == 100
    assert browser.value(RANGE.format(table="numbers")) == "Rows 1 to 100 of 300"
    browser.run(browser.tab.resize((1040, 720)))  # A4, on its side, without its margins
    browser.run(browser.tab.send("Emulation.setEmulatedMedia", media="print"))
    assert browser.value("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.value("getComputedStyle(document.querySelector('#numbers .pager')).display") == "none"
    head = "document.querySelector('#numbers th')"  # a heading that has a button would be on the first page only
    assert browser.value(f"getComputedStyle({head}.firstChild).display") == "none"
    assert browser.value(f"getComputedStyle({head}, '::before').content") == '"Attention"'
    assert browser.value("document.documentElement.scrollWidth") == 1040
    assert browser.value("getComputedStyle(document.querySelector('#numbers tbody tr')).display") == "table-row"
    browser.run(browser.tab.send("Emulation.setEmulatedMedia", media=""))
    browser.value("dispatchEvent(new Event('afterprint'))")
    assert browser.value(f"{LINES.format(table='numbers')}.length") == 50


def test_without_its_script_it_shows_totals_findings_and_the_first_rows(browser: Browser, page: Path) -> None:
    browser.run(browser.tab.send("Emulation.setScriptExecutionDisabled", value=True))
    try:
        browser.open(page, size=PHONE)
        browser.picture("without-script")
        assert browser.value("document.documentElement.scrollWidth") == PHONE[0]
        assert browser.value(f"{LINES.format(table='numbers')}.length") == 25
        assert browser.value(RANGE.format(table="numbers")) == "Rows 1 to 25 of 300"
        assert browser.value("document.querySelectorAll('button, input').length") == 0
    finally:
        browser.run(browser.tab.send("Emulation.setScriptExecutionDisabled", value=False))


def test_a_notebook_frame_runs_its_script_and_follows_its_links(browser: Browser, tmp_path: Path) -> None:
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!doctype html><p>cell</p>{to_frame(all_parts())}", encoding="utf-8")
    browser.open(notebook)
    browser.picture("frame")
    # The same frame, but this test may look inside.
    inside = to_frame(all_parts()).replace("allow-scripts", "allow-scripts allow-same-origin")
    notebook.write_text(f"<!doctype html><p>cell</p>{inside}", encoding="utf-8")
    browser.open(notebook)

    def value(script: str) -> Any:
        return browser.value(f"(document => {script})(document.querySelector('iframe').contentDocument)")

    assert value(RANGE.format(table="numbers")) == "Rows 1 to 50 of 300"
    value("document.querySelector(\"#numbers a[href^='#account-']\").click()")
    assert value("document.activeElement.id.startsWith('account-')") is True
    assert value("document.querySelectorAll('#accounts tbody tr').length") == 30
    assert browser.value("document.querySelector('p').textContent") == "cell"
    assert browser.value("troubles") == []


def test_a_hundred_thousand_numbers_stay_usable(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "large.html"
    report = report_of(fleet(1_000))
    numbers = tuple(
        attrs.evolve(
            number, id=f"{number.id[:-5]}{place:02}{number.id[-3:]}", verified_name=f"Shop {place} {number.id}"
        )
        for place in range(100)
        for number in report.overview.numbers
    )
    overview = attrs.evolve(report.overview, numbers=numbers)
    file.write_text(to_html(attrs.evolve(report, numbers=100_000, overview=overview)), encoding="utf-8")
    assert file.stat().st_size < 15_000_000
    browser.open(file)
    assert browser.value("performance.getEntriesByName('first-contentful-paint')[0].startTime") < 2_000
    browser.search("numbers", "x")  # it makes the texts, if the browser was never idle
    assert min(browser.search("numbers", text) for text in ("shop 77 300000000077777", "300000000077777")) < 200
    assert browser.value(RANGE.format(table="numbers")) == "Rows 1 to 1 of 1 found in 100,000"
    browser.open(file, hash_="#number-300000000077777")
    assert browser.value("document.activeElement.id") == "number-300000000077777"


def test_a_report_of_nothing_is_whole(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "empty.html"
    file.write_text(to_html(report_of([])), encoding="utf-8")
    browser.open(file, size=PHONE)
    assert browser.value("troubles") == []
    assert browser.value("document.documentElement.scrollWidth") == PHONE[0]
