"""`wa-phone username`: many numbers at once, what is asked before a username is lost, and what is sent."""

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from wa_phone_async.sandbox import SMALL_WABA, Fault, Sandbox

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app
from wa_phone_async.cli.commands import username as usernames
from wa_phone_async.cli.terminal.prompt import confirm

ID, OTHER, THIRD = IDS = ("300000001000000", "300000001000001", "300000001000002")
NOBODY = "300000001000009"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    monkeypatch.setenv("WA_ACCESS_TOKEN", "an-invented-token")
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def run(*arguments: str) -> tuple[int, str, str]:
        return app.run(("username", *arguments)), *capsys.readouterr()

    return run


def methods(sandbox: Sandbox) -> list[str]:
    return [request.method for request in sandbox.requests]


# Reading


def test_the_sandbox_shows_all_of_it(run: Run) -> None:
    assert run("get", "--sandbox") == (
        0,
        f"ID               USERNAME  STATUS\n{ID}  shop.0    approved\n{OTHER}\n{THIRD}\n",
        "3 numbers, 3 calls\n",
    )
    status, out, err = run("suggest", "--sandbox")
    assert (status, out.splitlines()[1].split(), err) == (0, [ID, "bluebakery"], "3 numbers, 3 calls\n")


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_programs_get_rows_in_the_order_of_the_ids(form: str, run: Run) -> None:
    status, out, err = run("get", THIRD, ID, "--format", form, "--waba", SMALL_WABA)
    assert (status, err) == (0, "")
    if form == "csv":
        rows = [{k: v for k, v in row.items() if v} for row in csv.DictReader(io.StringIO(out))]
    else:
        rows = json.loads(out) if form == "json" else [json.loads(line) for line in out.splitlines()]
        rows = [{k: v for k, v in row.items() if v} for row in rows]
    assert rows == [{"id": THIRD}, {"id": ID, "username": "shop.0", "username_status": "approved"}]


def test_numbers_of_a_list_are_read_as_they_come(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert app.run(["list", SMALL_WABA, "--format", "csv"]) == 0
    file = tmp_path / "numbers.csv"
    file.write_text(capsys.readouterr().out)
    status, out, _ = run("get", "--numbers", str(file), "--format", "jsonl")
    assert (status, {json.loads(line)["id"] for line in out.splitlines()}) == (0, {*IDS})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("waba_id\n1\n", "line 1 of ids.csv is no id: an id has only digits"),
        ("id,phone_number_id,phone_number_id\n", "which ids are those of phone numbers: name it phone_number_id"),
        ("1,2\n", "has 2 values, and no header says which is the id: name it phone_number_id"),
        (None, "No such file or directory"),
        ("1" * 70_000, "a line of ids.csv is too long for an id"),
    ],
)
def test_a_file_is_checked_before_anything_is_sent(  # noqa: PLR0917 - a table, and five fixtures
    text: str | None, problem: str, run: Run, graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("ids.csv").write_text(text)
    status, out, err = run("suggest", "--numbers", "ids.csv")
    assert (status, out, graph_sandbox.requests) == (2, "", [])
    assert err.startswith("wa-phone: --numbers must be a file with an id in each line")
    assert problem in err


def test_the_others_follow_a_number_that_fails(run: Run) -> None:
    status, out, err = run("get", ID, NOBODY, OTHER, "--format", "json")
    assert status == 1
    assert out.startswith("[\n")
    assert not out.endswith("]\n")  # no program takes a part for the whole
    assert err.startswith(f"wa-phone: {NOBODY}: ")
    assert run("get", NOBODY)[:2] == (1, "")


def test_a_token_that_is_rejected_ends_it(run: Run, graph_sandbox: Sandbox) -> None:
    graph_sandbox.plan(Fault.error(190), times=99)
    status, out, err = run("get", *IDS)
    assert (status, out, err.count("wa-phone: ")) == (1, "", 1)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("get",), "PHONE_NUMBER_ID or --numbers FILE must be given, or --sandbox to try it"),
        (("get", ID, "--numbers", "x"), "--numbers must be left out where PHONE_NUMBER_ID is given"),
        (("get", "+1 555 0100"), "PHONE_NUMBER_ID must be"),
        (("claim", ID), "PHONE_NUMBER_ID and USERNAME must be given, or --sandbox to try it"),
        (("claim", ID, "@acme"), "USERNAME must be 3 to 35 letters a-z, digits, dots and underscores, not '@acme'"),
        (("shoes",), "wa-phone username must be followed by get, suggest, claim or release"),
    ],
)
def test_what_is_wrong_is_named(arguments: tuple[str, ...], problem: str, run: Run, graph_sandbox: Sandbox) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"wa-phone: {problem}")
    assert "POST" not in methods(graph_sandbox)


# Claiming


def test_a_claim_is_sent_once_and_a_second_run_sends_nothing(run: Run, graph_sandbox: Sandbox) -> None:
    graph_sandbox.update_number(SMALL_WABA, OTHER, platform_type="CLOUD_API")
    meaning = "reserved: people see it once usernames are there in their region"
    assert run("claim", OTHER, "acme") == (0, "acme\n", f"{OTHER} has the username acme, {meaning}; 2 calls\n")
    assert run("claim", OTHER, "Acme") == (0, "acme\n", f"{OTHER} has the username acme already, {meaning}; 1 call\n")
    assert methods(graph_sandbox) == ["GET", "POST", "GET"]


def test_a_claim_that_replaces_a_username_wants_a_yes(
    run: Run, graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, err = run("claim", ID, "acme")
    assert (status, out) == (2, "")
    assert err == "wa-phone: --yes must be given: a username may be lost for good, and nobody is there to ask\n"
    monkeypatch.setattr(usernames, "_is_terminal", lambda: True)
    asked = list[str]()

    async def decide(question: str) -> bool:
        asked.append(question)
        return len(asked) == 2

    monkeypatch.setattr(usernames, "confirm", decide)
    assert run("claim", ID, "acme") == (1, "", "Nothing was sent.\n")
    assert "POST" not in methods(graph_sandbox)
    assert asked[0] == (
        f"{ID} has the username shop.0, and the claim replaces it. Anybody may claim it then, and it may be lost for "
        "good. Claim?"
    )
    assert run("claim", ID, "acme")[:2] == (0, "acme\n")
    assert run("claim", ID, "acme.shoes", "--yes")[:2] == (0, "acme.shoes\n")
    assert run("claim", "--sandbox")[:2] == (0, "acme.shoes\n")


def test_a_username_of_another_number_is_moved_on_request(run: Run, graph_sandbox: Sandbox) -> None:
    graph_sandbox.update_number(SMALL_WABA, OTHER, platform_type="CLOUD_API")
    status, out, err = run("claim", OTHER, "shop.0")
    assert (status, out) == (1, "")
    assert err.startswith(
        "wa-phone: Another number of your business portfolio has this username. Choose another one, or move it here: "
        f"`wa-phone username claim {OTHER} USERNAME --transfer`. The other number loses it then."
    )
    assert run("claim", OTHER, "shop.0", "--transfer")[:2] == (0, "shop.0\n")


def test_after_a_lost_response_a_command_shows_what_has_happened(run: Run, graph_sandbox: Sandbox) -> None:
    graph_sandbox.plan(Fault.drop_after(), method="POST")
    status, out, err = run("claim", ID, "acme", "--yes")
    assert (status, out) == (1, "")
    assert err.endswith(
        "since the response to claim_username was lost (the connection broke before the response): "
        f"wa-phone username get {ID} shows it\n"
    )
    assert methods(graph_sandbox).count("POST") == 1
    graph_sandbox.plan(Fault.drop_after(), method="DELETE")
    status, _, err = run("release", ID, "--yes")
    assert (status, methods(graph_sandbox).count("DELETE")) == (1, 1)
    assert err.endswith(f"wa-phone username get {ID} shows it\n")
    assert run("get", ID)[1].split()[-2:] == ["acme", "reserved"]


# Releasing


def test_a_release_wants_a_yes(run: Run, graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = "wa-phone: --yes must be given: a username may be lost for good, and nobody is there to ask\n"
    assert run("release", ID) == (2, "", problem)
    assert graph_sandbox.requests == []
    monkeypatch.setattr(usernames, "_is_terminal", lambda: True)
    asked = list[str]()

    async def decide(question: str) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr(usernames, "confirm", decide)
    assert run("release", ID, OTHER)[:2] == (0, "")
    question = f"Release the username shop.0 of {ID}? Anybody may claim it then, and it may be lost for good."
    assert asked == [question]
    assert methods(graph_sandbox) == ["GET", "GET"]


def test_released_usernames_are_printed(run: Run, graph_sandbox: Sandbox) -> None:
    graph_sandbox.update_number(SMALL_WABA, THIRD, platform_type="CLOUD_API")
    assert run("claim", THIRD, "acme")[0] == 0
    assert run("release", ID, OTHER, THIRD, NOBODY, "--yes")[:2] == (1, "shop.0\n")
    assert run("release", ID, "--yes") == (0, "", f"{ID} has no username\n1 call\n")
    assert run("release", THIRD, "--yes")[2].startswith(f"{THIRD} still has the username acme, reserved: people see it")
    graph_sandbox.set_username(THIRD, "acme")
    assert run("release", THIRD, "--yes")[1] == "acme\n"


@pytest.mark.parametrize(
    ("typed", "is_yes"), [(b"y\n", True), (b" YES \n", True), (b"\n", False), (b"no\n", False), (b"", False)]
)
async def test_only_a_yes_counts(
    typed: bytes,
    is_yes: bool,  # noqa: FBT001 - pytest passes it by name
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    reader, writer = os.pipe()
    os.write(writer, typed)
    os.close(writer)
    with os.fdopen(reader) as file:
        monkeypatch.setattr("sys.stdin", file)
        assert await confirm("Release?") is is_yes
    assert capsys.readouterr().err == "Release? [y/N] "
