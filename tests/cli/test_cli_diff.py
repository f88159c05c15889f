"""`wa-phone diff`: what it compares, in which form it tells, and with which status it ends."""

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

from wa_phone_async import PhoneNumber, WabaListing
from wa_phone_async.export import Writer
from wa_phone_async.sandbox import SMALL_WABA, Fault, Sandbox

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app
from wa_phone_async.cli.terminal.differences import as_code, as_text

Run = Callable[..., tuple[int, str, str]]

EVIL = "Sale | <b>=1+1</b> `now` \x1b]0;Hi\x07"


@pytest.fixture
def run(
    graph_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    monkeypatch.setenv("WA_ACCESS_TOKEN", "an-invented-token")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        return app.run(("diff", *arguments)), *capsys.readouterr()

    return run


def write(name: str, *numbers: PhoneNumber, waba_id: str = SMALL_WABA) -> None:
    with Writer(name) as writer:
        writer.write([WabaListing(waba_id=waba_id, phone_numbers=numbers)])


def test_the_sandbox_shows_changes_of_every_kind(run: Run) -> None:
    status, out, err = run("--sandbox", "--fail-on", "error")
    assert status == 4
    kinds = {line.split()[2] for line in out.splitlines() if not line.startswith(" ")}
    assert kinds >= {"new", "gone", "waba_id", "also_in", "status", "verified_name"}
    assert "    error status.banned: Number +1 203-555-0157 is banned. Appeal" in out
    assert "5 numbers changed, 2 of them moved, 1 new, 1 gone; 253 before, 253 now, " in err


@pytest.mark.parametrize(("width", "most"), [("40", 45), ("120", 120)])
def test_lines_fit_a_terminal(width: str, most: int, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", width)
    assert max(map(len, run("--sandbox")[1].splitlines())) <= most


@pytest.mark.parametrize("form", ["table", "jsonl", "markdown"])
def test_names_of_shops_harm_no_reader(form: str, run: Run) -> None:
    write("old.csv", PhoneNumber("7", verified_name="Acme"))
    write("new.csv", PhoneNumber("7", verified_name=EVIL))
    status, out, _ = run("old.csv", "new.csv", "--format", form)
    assert status == 0
    assert all(line.isprintable() for line in out.splitlines())
    if form == "jsonl":
        assert json.loads(out)["new"] == EVIL
    elif form == "markdown":
        head, rule, row = out.splitlines()
        assert head.count("|") == rule.count("|") == row.count("|")
        assert re.sub("<code>[^<`|]*</code>", "", row).count("<") == 0
        assert unescape(row).count(r"Sale | <b>=1+1</b> `now` \x1b]0;Hi\x07") == 2


OUTSIDE = ["a", "**a**", "[a](b)", "a|b", "`", "``a", "<b>", "@you", "$x$", "\\|", "\u202e", "a\nb", "|`"]


@pytest.mark.parametrize("text", OUTSIDE)
def test_what_comes_from_outside_is_code(text: str) -> None:
    code = as_code(text)
    assert re.fullmatch(r"`[^`|]+`|<code>[\w &#;]+</code>", code)
    assert as_text(f"see www.a.example, http://b.example and {text}").count("&#46;") == 3
    assert (as_code(""), as_code(" ")) == ("", "")


def test_json_lines_are_those_of_watch_with_findings(run: Run) -> None:
    write("old.jsonl", PhoneNumber("7", status="CONNECTED"))
    write("new.jsonl", PhoneNumber("7", status="BANNED"), PhoneNumber("8", status="CONNECTED"))
    first, second = map(json.loads, run("old.jsonl", "new.jsonl", "--format", "jsonl")[1].splitlines())
    values = [first[name] for name in ("waba_id", "field", "old", "new")]
    assert values == [SMALL_WABA, "status", "CONNECTED", "BANNED"]
    assert [(each["severity"], each["code"]) for each in first["findings"]] == [("error", "status.banned")]
    assert (second["field"], second["number"], second["findings"]) == ("id", {"id": "8", "status": "CONNECTED"}, [])


def test_two_files_cost_no_call_and_need_no_token(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WA_ACCESS_TOKEN")
    write("old.csv", PhoneNumber("7", status="CONNECTED", quality_rating="GREEN"))
    write("new.jsonl", PhoneNumber("7", status="BANNED", quality_rating="YELLOW"))
    nothing = "0 changes: 0 numbers changed, 0 of them moved, 0 new, 0 gone; 1 before, 1 now\n"
    assert run("old.csv", "old.csv") == (0, "", nothing)
    assert run("old.csv", "old.csv", "--format", "markdown")[1] == "No differences.\n"
    assert run("old.csv", "new.jsonl")[0] == 0
    assert run("old.csv", "new.jsonl", "--fail-on", "error")[0] == 4
    assert run("new.jsonl", "old.csv", "--fail-on", "warning")[0] == 0
    status, out, _ = run("old.csv", "new.jsonl", "--fields", "Quality_Rating", "--fail-on", "error")
    assert (status, out.split()[2:6]) == (0, ["quality_rating", "GREEN", "->", "YELLOW"])


def test_an_export_and_now(run: Run, graph_sandbox: Sandbox) -> None:
    of_business = ("--business", graph_sandbox.business_id)
    assert app.run(("export", *of_business, "--out", "old.jsonl", "--fields", "status,owner")) == 0
    number = graph_sandbox.numbers(SMALL_WABA)[0]["id"]
    graph_sandbox.update_number(SMALL_WABA, number, status="BANNED", quality_rating="RED")
    graph_sandbox.requests.clear()
    status, out, err = run("old.jsonl", *of_business, "--fail-on", "warning")
    assert status == 4
    assert out.startswith(f"{SMALL_WABA} {number} status CONNECTED -> BANNED\n    error status.banned: ")
    assert out.count("\n") == 2
    assert "253 before, 253 now, 4 calls" in err
    listed = [request.query for request in graph_sandbox.requests if "phone_numbers" in request.path]
    assert {query["fields"] for query in listed} == {"id,status"}
    assert run("old.jsonl", *of_business, "--fields", "name_status")[:2] == (0, "")


def test_accounts_of_a_file_of_which_one_fails(run: Run, graph_sandbox: Sandbox) -> None:
    Path("wabas.txt").write_text(f"{SMALL_WABA}\n12345\n", encoding="utf-8")
    write("old.csv", *(PhoneNumber(number["id"]) for number in graph_sandbox.numbers(SMALL_WABA)))
    status, out, err = run("old.csv", "--wabas", "wabas.txt", "--fields", "id")
    assert (status, out) == (3, "")
    assert "wa-phone: 12345: " in err
    assert err.endswith("; not compared: 1 account\n")
    graph_sandbox.plan(Fault.error(code=190, status=401))
    assert run("old.csv", "--wabas", "wabas.txt")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "OLD must be given, or --sandbox to try it"),
        (("--business", "1"), "OLD must be given, or --sandbox to try it"),
        (("old.csv",), "NEW, --wabas FILE or --business ID must be given"),
        (("old.csv", "new.csv", "--sandbox"), "--sandbox must be left out where NEW is given"),
        (("old.csv", "new.csv", "--wabas", "w.txt"), "--wabas must be left out where NEW is given"),
        (("old.csv", "--wabas", "w.txt", "--business", "1"), "--wabas must be left out where --business is given"),
        (("old.csv", "--wabas", "w.txt"), "--wabas must be"),
        (("old.csv", "--business", "x"), "--business must be"),
        (("old.csv", "old.csv", "--fields", "statsu"), "--fields must be"),
        (("old.csv", "new.csv"), "NEW must be a file that an export has written, not 'new.csv': No such file"),
        (("cut.jsonl", "old.csv"), "OLD must be a file that an export has written, not 'cut.jsonl': line 2: it is not"),
        (("bad.jsonl", "--business", "1"), "OLD must be a file that an export has written, not 'bad.jsonl': line 1"),
        (("old.csv", "shop.csv"), "NEW must be a file that an export has written, not 'shop.csv': line 1: it names no"),
        (("old.csv", "old.xlsx"), "NEW must be a file that an export has written, not 'old.xlsx': its name ends in"),
    ],
)
def test_a_wrong_argument_is_an_error(arguments: tuple[str, ...], problem: str, run: Run) -> None:
    write("old.csv", PhoneNumber("7"))
    Path("shop.csv").write_text("name,age\nAcme,5\n", encoding="utf-8")
    Path("cut.jsonl").write_text('{"id": "7"}\n{"id": ', encoding="utf-8")
    Path("bad.jsonl").write_text('{"id": "7"\n', encoding="utf-8")
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"wa-phone: {problem}"), err
    assert err.count("\n") == 1


def test_the_examples_of_its_help_work(run: Run, graph_sandbox: Sandbox) -> None:
    from wa_phone_async.cli.commands.diff import EXAMPLES  # noqa: PLC0415 - beside its use

    for name in ("monday.csv", "tuesday.parquet", "old.csv", "new.csv", "old.jsonl"):
        if name.endswith("parquet"):
            pytest.importorskip("arro3.io", reason="the extra `parquet` is not installed")
        write(name, PhoneNumber("7"))
    Path("wabas.txt").write_text(SMALL_WABA, encoding="utf-8")
    for line in EXAMPLES.replace("$BUSINESS_ID", graph_sandbox.business_id).splitlines():
        command, diff, *arguments = line.split()
        assert (command, diff) == ("wa-phone", "diff")
        assert run(*arguments)[0] == 0
