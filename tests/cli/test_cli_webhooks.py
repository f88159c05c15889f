"""`wa-phone webhooks`: what is shown and written, how it ends, and how it goes on."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wa_phone_async.sandbox import SMALL_WABA, Fault, Sandbox

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app
from wa_phone_async.cli.terminal import rows
from wa_phone_async.cli.terminal.prompt import NoInputError, Prompt
from wa_phone_async.redaction import Secret
from wa_phone_async.sandbox.demo import add_overrides

Run = Callable[..., tuple[int, str, str]]
A, B, C = "300000001000000", "300000001000001", "300000001000002"
NEW, OLD = "https://shop.example/new", "https://old.example/webhooks"
TOKEN = "canary-verify-token"
SET = ("set", "--url", NEW, "--yes", "--journal")


@pytest.fixture
def run(
    graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    monkeypatch.setenv("WA_ACCESS_TOKEN", "an-invented-token")
    monkeypatch.setenv("WA_VERIFY_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = app.run(("webhooks", *arguments))
        out, err = capsys.readouterr()
        assert TOKEN not in out + err
        return status, out, err

    return run


def of_number(sandbox: Sandbox, index: int) -> Any:
    return sandbox.numbers(SMALL_WABA)[index]["webhook_configuration"].get("phone_number")


def writes(sandbox: Sandbox) -> int:
    return sum(request.method == "POST" for request in sandbox.requests)


@pytest.mark.parametrize(
    ("arguments", "status", "shown"),
    [
        (("audit",), 0, "5 errors, 0 warnings, 3 infos; 12 numbers of 5 accounts, 10 calls"),
        (("audit", "--fail-on", "error"), 4, "5 errors"),
        (("set",), 0, "3 planned; 3 calls\ndry run: nothing was changed. --yes --journal FILE makes 3 writes, a call"),
        (("set", "--yes", "--journal", "j"), 0, "3 done; 6 calls"),
        (("set", "--on", "accounts"), 0, "1 unchanged; 2 calls\ndry run: nothing was changed, and nothing would be"),
        (("set", "--on", "members"), 0, "3 planned; 1 call\n"),
        (("clear",), 0, "1 planned, 2 unchanged; 3 calls\n"),
        (("undo",), 0, "3 planned; 9 calls\ndry run: nothing was changed. --yes makes 3 writes, a call each"),
        (("undo", "--yes"), 0, "3 done; 12 calls"),
    ],
)
def test_the_sandbox_shows_each_command(arguments: tuple[str, ...], status: int, shown: str, run: Run) -> None:
    found = run(*arguments, "--sandbox")
    assert found[0] == status
    assert shown in found[2]


def test_what_the_audit_finds_is_set_and_undone(run: Run, graph_sandbox: Sandbox, tmp_path: Path) -> None:
    add_overrides(graph_sandbox)
    status, found, _ = run("audit", SMALL_WABA, "--url", "https://shop.example/webhooks", "--format", "jsonl")
    assert status == 0
    Path("found.jsonl").write_text(found)
    status, out, err = run(*SET, "set.jsonl", "found.jsonl")
    assert (status, out) == (0, f"done  number {A} +1 203-555-0157: {OLD} -> {NEW}\n")
    assert err == "1 done; 2 calls\n"
    status, out, err = run(*SET, "set.jsonl", "found.jsonl")
    assert (status, out) == (0, "")
    assert "1 done (1 of them sent by earlier runs); 0 calls" in err
    assert "set.jsonl was complete before: to make the edit again, give another --journal" in err
    tokens = Path("tokens.csv")
    tokens.write_text(f'url,token\n# of shops\n{OLD}, "{TOKEN}"\n')
    status, _, err = run("undo", "set.jsonl", "--verify-tokens", "tokens.csv", "--yes")
    assert (status, err) == (0, "1 done; 2 calls\n")
    assert of_number(graph_sandbox, 0) == OLD
    assert Path("set.jsonl.undo").is_file()
    assert all(TOKEN not in file.read_text() for file in tmp_path.iterdir() if file != tmp_path / tokens)


def test_an_undo_that_lacks_a_token_sends_nothing(
    run: Run, graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_overrides(graph_sandbox)
    run(*SET, "set.jsonl", A)
    monkeypatch.delenv("WA_VERIFY_TOKEN")
    before = writes(graph_sandbox)
    status, _, err = run("undo", "set.jsonl", "--yes")
    assert status == 2
    assert f"--verify-token-file or WA_VERIFY_TOKEN must be given for {OLD}: the undo sets this URL again" in err
    assert writes(graph_sandbox) == before
    Path("tokens.json").write_text(json.dumps({OLD: TOKEN}))
    assert run("undo", "set.jsonl", "--yes", "--verify-tokens", "tokens.json")[0] == 0


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (f"{OLD}\n", "line 1 is none"),
        (f"{OLD},{TOKEN}\n\nshop.example,{TOKEN}\n", "line 3 is none"),
        (f'{{"{OLD}": 7}}', "its JSON is none"),
        (f'{{"{OLD}": "{TOKEN}"', "it is not text"),
        (b"\xff\xfe\xff", "it is not text"),
        (None, "No such file or directory"),
    ],
)
def test_a_file_of_verify_tokens_that_is_none(content: Any, problem: str, run: Run) -> None:
    if content is not None:
        Path("tokens").write_bytes(content if isinstance(content, bytes) else content.encode())
    status, _, err = run("undo", "set.jsonl", "--verify-tokens", "tokens")
    assert status == 2
    assert "--verify-tokens tokens must be a file with a URL and its verify token in each line" in err
    assert err.endswith(f": {problem}\n")


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_rejected_edits_end_with_status_1(form: str, run: Run, graph_sandbox: Sandbox) -> None:
    graph_sandbox.set_callback(NEW, "another")
    graph_sandbox.subscribe_app(SMALL_WABA)
    status, out, err = run(*SET, "j", A, SMALL_WABA, "--format", form)
    assert (status, "2 rejected; " in err) == (1, True)
    assert "(#2200) Callback verification failed" in out
    assert "in Python" not in out
    if form == "csv":
        rows: list[Any] = list(csv.DictReader(io.StringIO(out)))
    elif form != "table":
        rows = json.loads(out) if form == "json" else [json.loads(line) for line in out.splitlines()]
    else:
        assert f"rejected  number {SMALL_WABA}: {SMALL_WABA} is a WhatsApp Business Account (WABA)" in out
        return
    assert {row["subject_id"]: row["state"] for row in rows} == {A: "rejected", SMALL_WABA: "rejected"}


def test_a_terminal_gets_lines_that_fit(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    _, out, _ = run("set", "--sandbox", "--on", "accounts", "--url", NEW)
    assert out == (f"planned  account {SMALL_WABA}: subscribed, url none ->\n        subscribed, url {NEW}\n")


def test_ids_from_a_file_and_from_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("ids.csv").write_text(f"phone_number_id,shop\n{A},x\n{B},y\n")
    assert "2 unchanged; 2 calls" in run("clear", "--ids", "ids.csv")[2]
    Path("wabas").write_text(f"{SMALL_WABA}\n")
    assert "3 unchanged; 1 call\n" in run("clear", "--ids", "wabas", "--on", "members")[2]
    with Path("wabas").open() as file:
        monkeypatch.setattr(os, "dup", lambda _, dup=os.dup: dup(file.fileno()))
        assert "1 unchanged; 2 calls" in run("clear", "--ids", "-", "--on", "accounts")[2]


def test_what_was_lost_is_told_and_sent_again_when_asked(run: Run, graph_sandbox: Sandbox) -> None:
    graph_sandbox.plan(Fault.drop_before(), method="POST")
    status, out, err = run(*SET, "j", A)
    assert status == 1
    assert out.startswith(f"not applied  number {A} ")
    assert "--resend sends it again" in err
    assert run(*SET, "j", A)[0] == 1
    assert writes(graph_sandbox) == 1
    assert run(*SET, "j", A, "--resend")[0] == 0
    assert of_number(graph_sandbox, 0) == NEW


def test_the_journal_of_another_plan(run: Run) -> None:
    assert run(*SET, "j", A)[0] == 0
    status, _, err = run("clear", A, "--yes", "--journal", "j")
    assert (status, "its edit is 'webhooks.set', and that of this plan is 'webhooks.clear'" in err) == (2, True)
    assert run("set", "--url", f"{NEW}?key=k1", "--yes", "--journal", "q", A)[0] == 0
    status, _, err = run("set", "--url", f"{NEW}?key=k2", "--yes", "--journal", "q", A)
    assert (status, "its url has another query than that of this plan" in err, "k1" in err) == (2, True, False)


def test_a_dry_run_that_fails(run: Run, graph_sandbox: Sandbox) -> None:
    graph_sandbox.revoke("an-invented-token")
    status, _, err = run("clear", A)
    assert status == 1
    assert "to go on" not in err


def test_a_journal_that_cannot_be_written(run: Run) -> None:
    status, _, err = run(*SET, "none/j", A)
    assert status == 1
    assert err.splitlines() == [
        "wa-phone: cannot keep the journal none/j: No such file or directory",
    ]


def test_an_error_that_ends_an_edit_says_where_its_work_is(run: Run, graph_sandbox: Sandbox) -> None:
    graph_sandbox.plan(Fault.error(190, status=401), method="POST", times=99)
    status, _, err = run(*SET, "j", A, B)
    assert status == 1
    assert "what is done is in the journal; to go on, run the same command again with --journal j" in err


def test_the_reader_of_the_output_leaves(run: Run, graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise BrokenPipeError

    with monkeypatch.context() as patch:
        patch.setattr(rows, "write", fail)
        assert run("clear", A, B)[0] == 0  # a dry run changes nothing
        status, _, err = run(*SET, "j", A, B, "--concurrency", "1")
    assert status == 1
    assert err.startswith("stopped, since nobody reads standard output any more: 1 planned, 1 done; 3 calls; to go on")
    assert writes(graph_sandbox) == 1
    assert run(*SET, "j", A, B)[0] == 0
    assert writes(graph_sandbox) == 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "wa-phone webhooks must be followed by audit, set, clear or undo"),
        (("audit",), "WABA_ID or FILE must be given, or --sandbox to try it"),
        (("set", "--url", NEW), "ID, FILE or --ids FILE must be given, or --sandbox to try it"),
        (("undo",), "FILE must be given, or --sandbox to try it"),
        (("clear", A, "--yes"), "--journal FILE must be given with --yes: it keeps the old values"),
        (("clear", A, "--ids", "x"), "--ids must be left out where ID or FILE is given"),
        (("clear", "--ids", "x"), "--ids must be a file with an id in each line, not x: No such file"),
        (("clear", "x"), "ID or FILE must be ids, or one file that ends in .csv, .jsonl or .parquet, not 'x': --ids"),
        (("clear", A, "x.csv"), "ID must be the id of the phone number, a string of digits, not 'x.csv'"),
        (("clear", "x.csv"), "FILE must be a file that an export has written, not 'x.csv': No such file"),
        (("set", A, "--url", "http://x.example"), "--url must be an https:// URL of at most 200 characters"),
        (("set", A), "--url must be given: only where accounts are subscribed is it left out"),
        (("set", A, "--url", NEW, "--yes", "--journal", "."), "--journal must be a file, not .: it is a folder"),
        (("undo", "/dev/null"), "must be a file, not /dev/null: it is a device or a pipe"),
        (("set", A, f"--verify-token={TOKEN}"), "there is no --verify-token: other users of this machine can read"),
        (("undo", "x", "--verify-tokens", "x", "--verify-token-file", "y"), "--verify-token-file must be left out"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], problem: str, run: Run) -> None:
    status, _, err = run(*arguments)
    assert status == 2
    assert problem in err


class Typing(Prompt):
    """A person at the terminal who types the verify token, or leaves."""

    typed: Secret | None = Secret(TOKEN)

    def __init__(self) -> None:
        super().__init__()
        self.is_terminal = True

    async def read(self, label: str) -> Secret:
        assert label == f"Verify token of {NEW}: "
        if self.typed is None:
            raise NoInputError("standard input has ended")
        return self.typed


@pytest.mark.parametrize("source", ["file", "typed", "nobody", "pipe"])
def test_where_the_verify_token_comes_from(
    source: str, run: Run, graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph_sandbox.set_callback(NEW, TOKEN)
    monkeypatch.delenv("WA_VERIFY_TOKEN")
    Path("token").write_bytes(f"\ufeff{TOKEN}\r\n".encode())  # as Notepad writes it
    if source != "pipe":
        monkeypatch.setattr("wa_phone_async.cli.verify_tokens.prompting", _prompting)
        monkeypatch.setattr(Typing, "typed", None if source == "nobody" else Secret(TOKEN))
    given = ("--verify-token-file", "token") if source == "file" else ()
    status, _, err = run(*SET, "j", A, *given)
    if source in {"file", "typed"}:
        assert (status, of_number(graph_sandbox, 0)) == (0, NEW)
    else:
        assert status == 2
        assert "--verify-token-file or WA_VERIFY_TOKEN must be given: Meta requests the URL with it" in err


class _prompting:  # noqa: N801 - it stands for a function
    def __enter__(self) -> Typing:
        return Typing()

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("interrupts", [1, 2])
def test_ctrl_c_ends_it_in_order_and_says_how_to_go_on(interrupts: int, tmp_path: Path) -> None:
    with Sandbox(quota=None, latency=0.05) as sandbox:
        sandbox.add_waba("77", 100)
        environment = {**os.environ, "WA_BASE_URL": sandbox.url, "WA_ACCESS_TOKEN": "t", "WA_VERIFY_TOKEN": TOKEN}
        command = [sys.executable, "-m", "wa_phone_async", "webhooks", *SET, "j", "77", "--on", "members"]
        how: Any = {"cwd": tmp_path, "env": environment, "text": True}
        with subprocess.Popen([*command, "--concurrency", "2"], stdout=-1, stderr=-1, **how) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            err = process.stderr.readline()
            if interrupts == 2:
                process.send_signal(signal.SIGINT)
            err += process.communicate()[1]
        assert process.returncode == 130
        assert err.startswith("wa-phone: finishing the requests in flight; Ctrl-C again stops at once\n")
        assert err.endswith("; to go on, run the same command again with --journal j\n")
        assert re.search("stopped at once: what was in flight" if interrupts == 2 else "stopped: .* planned, ", err)
        done = subprocess.run(command, check=False, capture_output=True, **how)
        assert "sent by earlier runs)" in done.stderr
        assert writes(sandbox) <= 100
        assert writes(sandbox) >= 100 - (2 if interrupts == 2 else 0)
        assert done.returncode == 0 or interrupts == 2
