"""`wa-phone profile`: what is shown and written, and how it ends."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wa_phone_async.sandbox import SMALL_WABA, Fault, Sandbox

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app

Run = Callable[..., tuple[int, str, str]]
FULL, SOME, BARE = "300000001000000", "300000001000001", "300000001000002"


@pytest.fixture
def run(
    graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    monkeypatch.setenv("WA_ACCESS_TOKEN", "an-invented-token")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        return app.run(("profile", *arguments)), *capsys.readouterr()

    return run


def writes(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [request.json() for request in sandbox.requests if request.method == "POST"]


def rows(form: str, out: str) -> list[dict[str, Any]]:
    if form == "csv":
        return list(csv.DictReader(io.StringIO(out)))
    return json.loads(out) if form == "json" else [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("get",), "3 profiles, 3 calls"),
        (("get", "--on", "members"), "3 profiles, 4 calls"),
        (
            ("set",),
            "3 planned; 3 calls\ndry run: nothing was changed. --yes --journal FILE makes 3 writes, a call each",
        ),
        (("set", "--email", "shop1@example.com"), "2 planned, 1 unchanged; 3 calls\n"),
        (("set", "--on", "members", "--yes", "--journal", "j"), "3 done; 7 calls"),
        (("undo",), "3 planned; 9 calls\ndry run: nothing was changed. --yes makes 3 writes, a call each"),
        (("undo", "--yes"), "3 done; 12 calls"),
    ],
)
def test_the_sandbox_shows_each_command(arguments: tuple[str, ...], shown: str, run: Run) -> None:
    status, out, err = run(*arguments, "--sandbox")
    assert (status, len(out.splitlines())) == (0, 3)
    assert shown in err


def test_a_profile_that_has_all_values_is_named_alone(run: Run) -> None:
    assert run("set", FULL, "--vertical", "RETAIL")[1] == f"unchanged  number {FULL}\n"


def test_people_get_a_line_for_each_profile(run: Run, graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    graph_sandbox.update_profile(SOME, about="a\x1b[2Jb\nc", address="", email="", vertical="")
    graph_sandbox.update_profile(BARE, about="")
    _, out, _ = run("get", FULL, SOME, BARE)
    rest = ("description We sell what we invent.", "email shop0@example.com", "websites https://shop0.example.com/")
    assert sorted(line.removesuffix(", vertical RETAIL") for line in out.splitlines()) == [
        ", ".join([f"{FULL}: about Made by hand since 1950", "address 1 Invented Lane, Sampleton", *rest]),
        rf"{SOME}: about a\x1b[2Jb c",
        f"{BARE}: nothing is set",
    ]
    monkeypatch.setenv("COLUMNS", "60")
    _, out, _ = run("get", FULL)
    assert out.count("\n") > 1
    assert max(map(len, out.splitlines())) <= 60


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_programs_get_rows_that_name_targets(form: str, run: Run, graph_sandbox: Sandbox, tmp_path: Path) -> None:
    graph_sandbox.update_profile(BARE, about="=1+1", websites=["https://a.example/"])
    status, out, _ = run("get", SMALL_WABA, "--on", "members", "--format", form)
    assert status == 0
    by_id = {row["id"]: row for row in rows(form, out)}
    assert by_id.keys() == {FULL, SOME, BARE}
    assert by_id[BARE]["waba_id"] == SMALL_WABA
    assert by_id[BARE]["about"] == ("'=1+1" if form == "csv" else "=1+1")
    websites = by_id[BARE]["websites"]
    assert (json.loads(websites) if form == "csv" else websites) == ["https://a.example/"]
    file = tmp_path / f"profiles.{form}"
    file.write_text(out)
    if form != "json":
        named = ("--ids", str(file)) if form == "csv" else (str(file),)
        assert run("set", *named, "--address", "Here")[2].startswith("3 planned; 3 calls")


def test_a_profile_that_cannot_be_read_hides_no_other(run: Run, graph_sandbox: Sandbox) -> None:
    graph_sandbox.plan(Fault.error(100), node=FULL)
    status, out, err = run("get", FULL, SOME, "--format", "json")
    assert status == 1
    assert json.loads(f"{out}]")[0]["id"] == SOME
    assert f"wa-phone: {FULL}: (#100) A planned error" in err
    status, out, err = run("get", "7", "--on", "members", "--format", "csv")
    assert (status, out) == (1, "")
    assert "wa-phone: 7: " in err


def test_an_edit_is_made_and_undone(run: Run, graph_sandbox: Sandbox, tmp_path: Path) -> None:
    before = sorted(run("get", FULL, SOME)[1].splitlines())
    given = ("set", FULL, SOME, "--address", "", "--website", "https://a.example", "--website", "https://b.example")
    assert run(*given)[0] == 0
    assert not writes(graph_sandbox)
    assert run(*given, "--yes", "--journal", "set.jsonl")[0] == 0
    assert {tuple(write["websites"]) for write in writes(graph_sandbox)} == {
        ("https://a.example/", "https://b.example/")
    }
    again = run(*given, "--yes", "--journal", "set.jsonl")
    assert "set.jsonl was complete before" in again[2]
    status, out, _ = run("undo", "set.jsonl", "--yes", "--format", "jsonl")
    assert (status, [row["state"] for row in rows("jsonl", out)]) == (0, ["done", "done"])
    assert sorted(run("get", FULL, SOME)[1].splitlines()) == before
    assert Path(tmp_path, "set.jsonl.undo").exists()


def test_what_cannot_be_undone_is_told(run: Run, graph_sandbox: Sandbox) -> None:
    graph_sandbox.update_profile(FULL, vertical="")
    assert run("set", FULL, "--vertical", "retail", "--yes", "--journal", "set.jsonl")[0] == 0
    status, out, _ = run("undo", "set.jsonl", "--yes")
    assert status == 1
    assert f"rejected  number {FULL}: " in out
    assert "vertical: it was empty, and Meta does not let it be cleared" in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "wa-phone profile must be followed by get, set or undo"),
        (("undo",), "FILE must be given, or --sandbox to try it"),
        (("get",), "ID, FILE or --ids FILE must be given, or --sandbox to try it"),
        (("get", "1", "--ids", "-"), "--ids must be left out where ID or FILE is given"),
        (("set", FULL), "--about must be given, or another member of the profile"),
        (("set", FULL, "--about", ""), "--about must be 1 to 139 characters long: it can be replaced, and not cleared"),
        (("set", FULL, "--website", "shop"), "--website must be URLs that begin with http:// or https://"),
        (
            ("set", FULL, "--about", "x", "--yes"),
            "--journal FILE must be given with --yes: it keeps the old values, for",
        ),
        (("undo", "none.jsonl"), " must be the journal of an edit, not none.jsonl: there is no such file"),
    ],
)
def test_a_wrong_command_sends_nothing(arguments: tuple[str, ...], text: str, run: Run, graph_sandbox: Sandbox) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert text in err
    assert not graph_sandbox.requests
