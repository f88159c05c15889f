"""`wa-phone report`: which page it writes, where, and with which status it ends."""

import os
import stat
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest

from wa_phone_async.sandbox import BUSINESS_ID, EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app
from wa_phone_async.sandbox.demo import MISSING_WABA, change_overnight

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    monkeypatch.setenv("WA_ACCESS_TOKEN", "an-invented-token")

    def run(*arguments: str, command: str = "report") -> tuple[int, str, str]:
        return app.run((command, *arguments)), *capsys.readouterr()

    return run


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "report.html"


def test_the_sandbox_shows_every_part(run: Run, page: Path) -> None:
    status, out, err = run("--sandbox", "--out", str(page))
    html = page.read_text(encoding="utf-8")
    assert (status, out) == (0, "")
    assert f"the page has {page.stat().st_size:,} bytes" in err
    for part in ("status.banned", "Changes since an older list", "Names in review", "the sandbox", "Quota used"):
        assert part in html
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(page.stat().st_mode) == 0o666 & ~umask


def test_an_exported_file_needs_no_token(
    run: Run, page: Path, tmp_path: Path, graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "old.csv", tmp_path / "new.jsonl"
    wabas = tmp_path / "wabas.txt"
    wabas.write_text(f"{SMALL_WABA}\n{LARGE_WABA}\n", encoding="utf-8")
    assert run("--wabas", str(wabas), "--out", str(old), command="export")[0] == 0
    change_overnight(graph_sandbox)
    assert run("--wabas", str(wabas), "--out", str(new), command="export")[0] == 0
    sent = len(graph_sandbox.requests)
    monkeypatch.delenv("WA_ACCESS_TOKEN")
    status, out, err = run(str(new), "--since", str(old), "--out", str(page), "--title", "<Our> shops")
    html = page.read_text(encoding="utf-8")
    assert (status, out, len(graph_sandbox.requests)) == (0, "", sent)
    assert "0 calls" in err
    for part in ("<title>&lt;Our&gt; shops</title>", "new.jsonl", "Changes since old.csv", "no call of Meta"):
        assert part in html
    status, out, _ = run(str(new))
    assert (status, out[:15]) == (0, "<!doctype html>")


def test_accounts_are_listed_each_once(run: Run, page: Path, graph_sandbox: Sandbox) -> None:
    status, _, err = run(SMALL_WABA, EMPTY_WABA, SMALL_WABA, "--out", str(page))
    assert status == 0
    assert f"3 numbers of 2 accounts, {len(graph_sandbox.requests)} calls" in err
    assert "2 accounts" in page.read_text(encoding="utf-8")


def test_a_business_is_listed_many_accounts_in_a_call(run: Run, page: Path, graph_sandbox: Sandbox) -> None:
    status, _, err = run("--business", BUSINESS_ID, "--out", str(page))
    html = page.read_text(encoding="utf-8")
    assert (status, f"business {BUSINESS_ID}" in html) == (0, True)
    assert "account.review_rejected" in err
    assert not [request for request in graph_sandbox.requests if "account_review_status" in str(request.query)]
    assert run("--business", BUSINESS_ID, "--kind", "client", "--out", str(page))[0] == 0


def test_an_account_that_cannot_be_listed_is_in_the_page(run: Run, page: Path) -> None:
    status, _, _ = run(SMALL_WABA, MISSING_WABA, "--out", str(page))
    html = page.read_text(encoding="utf-8")
    assert status == 3
    assert "1 could not be listed" in html
    assert "account.not_listed" in html


def test_a_rejected_token_leaves_the_older_page(run: Run, page: Path, graph_sandbox: Sandbox) -> None:
    page.write_text("older", encoding="utf-8")
    graph_sandbox.plan(Fault.error(190))
    status, _, err = run(SMALL_WABA, "--out", str(page))
    assert (status, page.read_text(encoding="utf-8")) == (1, "older")
    assert "give another token" in err
    assert list(page.parent.iterdir()) == [page]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "FILE, WABA_ID or --business ID must be given, or --sandbox to try it"),
        (("1", "--business", "2"), "WABA_ID or FILE must be left out where --business is given"),
        (("1", "here.csv", "--out", "x.html"), "WABA_ID or FILE must be ids of accounts, or one file alone"),
        (("old.csv", "here.csv", "--out", "x.html"), "or one file alone, not 'old.csv'"),
        (("nowhere.csv", "--out", "x.html"), "FILE must be a file that an export has written, not 'nowhere.csv'"),
        (("1", "--since", "nowhere.csv", "--out", "x.html"), "--since must be a file that an export has written"),
        (("1", "--since", "old.txt", "--out", "x.html"), "ends in neither .jsonl, .csv nor .parquet"),
        (("numbers.csv", "--out", "./numbers.csv"), "--out must be another file than FILE and --since"),
        (("1", "--since", "old.csv", "--out", "old.csv"), "--out must be another file than FILE and --since"),
        (("1", "--out", "."), "--out must be a file"),
        (("--business", "me", "--out", "x.html"), "--business must be"),
    ],
)
def test_a_wrong_command_sends_nothing(
    run: Run, graph_sandbox: Sandbox, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    with chdir(tmp_path):
        status, out, err = run(*arguments)
    assert (status, out, graph_sandbox.requests) == (2, "", [])
    assert sentence in err
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_missing_is_said_before_anything_is_sent(
    run: Run, graph_sandbox: Sandbox, tmp_path: Path
) -> None:
    status, _, err = run(SMALL_WABA, "--out", str(tmp_path / "no" / "report.html"))
    assert (status, graph_sandbox.requests) == (1, [])
    assert "cannot write" in err


def test_a_terminal_gets_no_page(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    status, out, err = run("--sandbox")
    assert (status, out) == (2, "")
    assert "--out must be given, such as --out report.html" in err
