"""`wa-phone export`: what it writes, how it ends, and how it continues after it was stopped."""

import asyncio
import codecs
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts import load_benchmark

from wa_phone_async import (
    CallFinished,
    InvalidArgumentError,
    NotFoundError,
    PhoneNumber,
    PhoneNumberClient,
    QuotaWaitEnded,
    QuotaWaitStarted,
    RetryPlanned,
    RetryPolicy,
    ThrottleEnded,
    ThrottleStarted,
    WabaListing,
)
from wa_phone_async.sandbox import LARGE_WABA, SMALL_WABA, Fault, Sandbox, VirtualTimeLoop

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app
from wa_phone_async.cli.commands import export as exporting
from wa_phone_async.cli.connection import Link
from wa_phone_async.cli.terminal.ids import STDIN, IdReader, count_ids, read_ids, transcoder
from wa_phone_async.cli.terminal.progress import Progress, showing
from wa_phone_async.cli.terminal.stopping import Stop
from wa_phone_async.export import Job, Summary

pytestmark = pytest.mark.heavy  # processes and disks, for many seconds

COMMAND = (sys.executable, "-W", "error", "-m", "wa_phone_async")
WITHOUT_CTRL_C = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
WITHOUT_HANG_UP = ("sh", "-c", 'trap "" HUP; exec "$@"', "sh")
"""Start a command as a script does with `&`, and as `nohup` does."""
PATIENCE = 30.0  # seconds; nothing here takes a tenth of it


class Done(NamedTuple):
    status: int
    err: str


Run = Callable[..., Done]


@pytest.fixture(autouse=True)
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """A hundred accounts of three numbers, and an empty directory to work in."""
    with Sandbox(accounts=100, numbers_per_account=3) as sandbox:
        monkeypatch.setenv("WA_BASE_URL", sandbox.url)
        monkeypatch.setenv("WA_ACCESS_TOKEN", "a-secret-token")
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.chdir(tmp_path)
        yield sandbox


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `wa-phone export` in this process, with parts of ten accounts, and retries that take no time."""
    monkeypatch.setattr(exporting, "Job", lambda *given, **more: Job(*given, part_accounts=10, **more))
    quick = RetryPolicy(max_attempts=2, first_wait=0.001, max_wait=5)
    monkeypatch.setattr(RetryPolicy, "batch", classmethod(lambda _: quick))

    def run(*arguments: object) -> Done:
        status = app.run(["export", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert out == ""
        return Done(status, err)

    return run


@pytest.fixture
def wabas(sandbox: Sandbox) -> Path:
    return write_ids(*sandbox.waba_ids)


def write_ids(*ids: str) -> Path:
    Path("wabas.txt").write_text("".join(f"{waba_id}\n" for waba_id in ids))
    return Path("wabas.txt")


def rows(file: str) -> list[tuple[str, str]]:
    if file.endswith(".csv"):
        with Path(file).open(newline="") as text:
            return sorted((row["waba_id"], row["id"]) for row in csv.DictReader(text))
    return sorted((row["waba_id"], row["id"]) for row in map(json.loads, Path(file).read_text().splitlines()))


def numbers_of(sandbox: Sandbox, *ids: str) -> list[tuple[str, str]]:
    return sorted((waba_id, row["id"]) for waba_id in ids for row in sandbox.numbers(waba_id))


def all_numbers(sandbox: Sandbox) -> list[tuple[str, str]]:
    return numbers_of(sandbox, *sandbox.waba_ids)


def complete(out: str) -> set[str]:
    lines = Path(f"{out}.parts/journal.jsonl").read_text().splitlines()
    return {waba_id for line in lines for waba_id in json.loads(line).get("accounts", ())}


def requested(sandbox: Sandbox) -> Counter[str]:
    return Counter(request.node for request in sandbox.requests)


def names() -> set[str]:
    return {file.name for file in Path().iterdir()}


# --- what it writes


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_the_accounts_of_a_file(run: Run, sandbox: Sandbox, wabas: Path, suffix: str) -> None:
    done = run("--wabas", wabas, "--out", f"n.{suffix}")
    assert done == (0, "100 accounts, 300 numbers; 100 calls\n")
    assert rows(f"n.{suffix}") == all_numbers(sandbox)
    assert names() == {"wabas.txt", f"n.{suffix}"}


def test_parquet(run: Run, sandbox: Sandbox, wabas: Path) -> None:
    io = pytest.importorskip("arro3.io", reason="the extra `parquet` is not installed")
    assert run("--wabas", wabas, "--out", "n.parquet").status == 0
    found = io.read_parquet("n.parquet").read_all().column("id")
    assert sorted(value.as_py() for value in found) == sorted(number for _, number in all_numbers(sandbox))


def test_the_accounts_of_a_business(run: Run, sandbox: Sandbox) -> None:
    done = run("--business", sandbox.business_id, "--out", "owned.csv")
    assert done == (0, "100 accounts, 300 numbers; 3 calls (98 saved)\n")
    assert rows("owned.csv") == all_numbers(sandbox)
    sandbox.set_nested("client", "usual")
    done = run("--business", sandbox.business_id, "--kind", "client", "--out", "shared.csv")
    assert done == (0, "3 accounts, 253 numbers; 4 calls (1 saved)\n")
    assert rows("shared.csv") == numbers_of(sandbox, SMALL_WABA, LARGE_WABA)


def test_the_accounts_of_clients_that_nest_nothing(run: Run, sandbox: Sandbox) -> None:
    sandbox.add_waba(sandbox.waba_ids[0], 3, kind="all")
    done = run("--business", sandbox.business_id, "--kind", "all", "--out", "all.csv")
    assert done.status == 0
    assert done.err.startswith("103 accounts, 553 numbers; ")
    assert rows("all.csv") == sorted(all_numbers(sandbox) + numbers_of(sandbox, SMALL_WABA, LARGE_WABA))


def test_the_first_export_of_a_newcomer(run: Run, sandbox: Sandbox) -> None:
    assert run("--sandbox", "--out", "n.csv") == (0, "3 accounts, 253 numbers; 4 calls (1 saved)\n")
    assert not sandbox.requests


def test_an_id_that_is_given_twice_is_listed_once(run: Run, sandbox: Sandbox) -> None:
    Path("wabas.txt").write_bytes("\ufeff100200300400003\r\n\n  100200300400003 \n100200300400250".encode())
    done = run("--wabas", "wabas.txt", "--out", "n.csv")
    assert done == (0, "2 accounts, 253 numbers; 4 calls\n")
    assert rows("n.csv") == numbers_of(sandbox, SMALL_WABA, LARGE_WABA)


def test_comments_are_no_accounts(run: Run, sandbox: Sandbox) -> None:
    Path("wabas.txt").write_bytes("\ufeff# shops\n100200300400003\n  # cafés\n#\n".encode())
    assert count_ids(Path("wabas.txt")) == 1
    assert run("--wabas", "wabas.txt", "--out", "n.csv").status == 0
    assert rows("n.csv") == numbers_of(sandbox, SMALL_WABA)


def test_fields_and_filters_are_requested(run: Run, sandbox: Sandbox, wabas: Path) -> None:
    options = ("--fields", "id,account_mode", "--filter", "account_mode=LIVE", "--limit", "2")
    assert run("--wabas", wabas, "--out", "n.csv", *options).status == 0
    query = sandbox.requests[0].query
    assert (query["fields"], query["limit"]) == ("id,account_mode", "2")
    assert json.loads(query["filtering"])[0]["value"] == "LIVE"


@pytest.mark.parametrize(
    ("options", "query"),
    [
        (("--fields", "ID,Account_Mode", "--filter", "account_mode=live"), ("id,account_mode", "LIVE")),
        (("--no-check", "--fields", "id,statsu", "--filter", "account_mode=liv"), ("id,statsu", "liv")),
    ],
)
def test_known_names_are_spelled_unless_there_is_no_check(
    run: Run, sandbox: Sandbox, options: tuple[str, ...], query: tuple[str, str]
) -> None:
    Path("one.txt").write_text(SMALL_WABA, encoding="utf-8")
    sandbox.plan(Fault.raw('{"data": []}'))
    assert run("--wabas", "one.txt", "--out", "n.csv", *options).status == 0
    sent = sandbox.requests[0].query
    assert (sent["fields"], json.loads(sent["filtering"])[0]["value"]) == query
    [header] = Path("n.csv").read_text(encoding="utf-8").splitlines()
    assert header.split(",") == ["waba_id", "id", "also_in", *query[0].split(",")[1:], "extra"]


def test_the_examples_of_its_help_work(run: Run, sandbox: Sandbox, wabas: Path, pipe: int) -> None:
    pytest.importorskip("arro3.io", reason="the extra `parquet` is not installed")
    os.write(pipe, wabas.read_bytes())
    os.close(pipe)
    examples = exporting.EXAMPLES.replace("\\\n", " ").replace("$BUSINESS_ID", sandbox.business_id)
    for line in examples.splitlines():
        command, export, *arguments = line.partition("<")[0].split()
        assert (command, export) == ("wa-phone", "export")
        assert run(*arguments).status == 0


# --- failures


WAYS = (
    Fault.error(10),
    Fault.error(200),
    Fault.error(1),
    Fault.error(2, is_transient=True),
    Fault.error(4, headers={"Retry-After": "0"}),
    Fault.error(80008, headers={"Retry-After": "0"}),
    Fault.error(None),
    Fault.error(100, status=200),
    Fault.status(404),
    Fault.status(500),
    Fault.status(302, headers={"Location": "http://127.0.0.1:1/"}),
    Fault.html(),
    Fault.raw("[]"),
    Fault.raw('{"data": [{}]}'),
    Fault.raw('{"data": [], "paging": {"next": "http://x/"}}'),
    Fault.drop_before(),
    Fault.drop_before(reset=True),
    Fault.drop_after(),
    Fault.cut(),
    Fault.cut(clean=True),
)


def test_whatever_happens_to_some_accounts_the_others_are_exact(run: Run, sandbox: Sandbox) -> None:
    for number, fault in enumerate(WAYS):
        sandbox.add_waba(f"555{number:03}", 3)
        sandbox.plan(fault, times=1_000, node=f"555{number:03}")
    bad = [f"555{number:03}" for number in range(len(WAYS))]
    good = [waba_id for waba_id in sandbox.waba_ids if waba_id not in bad]
    mixed = [waba_id for pair in zip(good, bad * 5, strict=True) for waba_id in pair]
    wabas = write_ids(*mixed)

    done = run("--wabas", wabas, "--out", "n.jsonl", "--errors", "failed.jsonl")
    assert done.status == 3
    assert rows("n.jsonl") == numbers_of(sandbox, *good)
    failed = [json.loads(line) for line in Path("failed.jsonl").read_text().splitlines()]
    assert sorted(row["waba_id"] for row in failed) == bad
    kinds = Counter(row["error"] for row in failed)
    said = re.search(r"100 accounts, 300 numbers; 20 accounts failed: (.*); \d+ calls", done.err)
    assert said
    assert {name: int(count) for count, name in re.findall(r"(\d+) (\w+)", said[1])} == kinds

    sandbox._api.plan._planned.clear()  # all is well again
    sandbox.requests.clear()
    assert run("--wabas", wabas, "--out", "n.jsonl", "--errors", "failed.jsonl", "--resume").status == 0
    assert set(requested(sandbox)) == set(bad)
    assert rows("n.jsonl") == numbers_of(sandbox, *mixed[:2], *good[1:], *bad[1:])
    assert Path("failed.jsonl").read_text() == ""
    assert names() == {"wabas.txt", "n.jsonl", "failed.jsonl"}


def test_a_later_line_of_a_pipe_that_is_no_id_fails_for_itself(run: Run, sandbox: Sandbox, pipe: int) -> None:
    many = "".join(f"# {number:060}\n" for number in range(1_100))  # more than one piece
    writer = threading.Thread(target=write_all, args=(pipe, f"{many}../me\n{SMALL_WABA}\n".encode()))
    writer.start()
    done = run("--wabas", "-", "--out", "n.csv")
    writer.join()
    assert done.status == 3
    assert "1 account, 3 numbers; 1 account failed: 1 InvalidArgumentError; 1 call\n" in done.err
    assert rows("n.csv") == numbers_of(sandbox, SMALL_WABA)


def write_all(file: int, content: bytes) -> None:
    with os.fdopen(file, "wb") as pipe:
        pipe.write(content)


# Files of spreadsheets

ID, OTHER = SMALL_WABA, LARGE_WABA
SPREADSHEETS = {
    "plain": f"{ID}\n{OTHER}\n",
    "header": f"waba_id\n{ID}\n{OTHER}\n",
    "header in words": f"WhatsApp Business Account ID\n{ID}\n{OTHER}\n",
    "header behind a comment": f"# shops\n\nWABA-ID\n{ID}\n{OTHER}\n",
    "quotes": f'"waba_id"\n"{ID}"\n"{OTHER}"\n',
    "single quotes": f"'{ID}'\n'{OTHER}\n",
    "formula": f'="{ID}"\n"=""{OTHER}"""\n',
    "semicolons": f"name;waba_id\nShop 1;{ID}\n;{OTHER}\n;\n",
    "commas": f'name,waba_id\n"Shoes, Hats",{ID}\nShop,{OTHER}\n',
    "tabs": f"waba_id\tname\n{ID}\tShop\n{OTHER}\t\n",
    "tabs ahead": f"name\twaba_id\n\t{ID}\n\t{OTHER}\n",
    "semicolons behind": f"{ID};\n{OTHER};\n;;\n",
    "a line for Excel": f"sep=;\nid;name\n{ID};Shop, the first\n{OTHER};\n",
    "two ids": f"id;account_id;name\n1;{ID};a\n2;{OTHER};b\n",
    "an export": f"waba_id,id,display_phone_number\n{ID},7,+1 631\n{OTHER},8,\n",
    "no-break blanks": f"{ID}\xa0\n\xa0{OTHER}\n",
    "short": f"id;name\n{ID}\n{OTHER};b",
}
ENCODINGS = {
    "utf-8": lambda text: text.encode(),
    "utf-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16 little": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "utf-16 big": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "utf-16 without a mark": lambda text: text.encode("utf-16-le"),
    "utf-16 big without a mark": lambda text: text.encode("utf-16-be"),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "cr": lambda text: text.replace("\n", "\r").encode(),
    "utf-16 crlf": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
}


async def ids_in(file: Path) -> list[str]:
    return [waba_id async for waba_id in read_ids(file, Stop())]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("text", SPREADSHEETS)
async def test_a_file_is_read_as_spreadsheets_write_it(text: str, encoding: str, pipe: int) -> None:
    content = ENCODINGS[encoding](SPREADSHEETS[text])
    file = Path("ids.csv")
    file.write_bytes(content)
    assert count_ids(file) == 2
    assert await ids_in(file) == [ID, OTHER]
    os.write(pipe, content)
    os.close(pipe)
    assert await ids_in(STDIN) == [ID, OTHER]


@given(st.sampled_from(list(SPREADSHEETS)), st.sampled_from(list(ENCODINGS)), st.integers(1, 5))
def test_the_pieces_of_a_pipe_make_no_difference(text: str, encoding: str, size: int) -> None:
    content = ENCODINGS[encoding](SPREADSHEETS[text])
    transcode, reader = transcoder(), IdReader("ids.csv")
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    lines = b"".join(map(transcode, [*pieces, b""])).decode().split("\n")
    assert [waba_id for waba_id in map(reader.read, lines) if waba_id] == [ID, OTHER]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("shop", "is no id: an id has only digits"),
        ("../me", "is no id: an id has only digits"),
        ("1.0E+14", "was rounded by a spreadsheet: format the column as text"),
        ('"1,0E+14"', "was rounded by a spreadsheet: format the column as text"),
        ("1002003.0", "has a decimal point: format the column as text"),
        ("+1 631 555 1000", "is no id: an id has only digits"),
        ("7;8", "has 2 values, and no header says which is the id: name it waba_id"),
        ("7,Shop", "has 2 values, and no header says which is the id: name it waba_id"),
        ('"7', "has a quote that is not closed in the line"),
        ("\u0667", "is no id: an id has only digits"),
        ("waba_id", "is no id: an id has only digits"),
    ],
)
def test_a_line_without_a_certain_id_is_named_before_anything_is_sent(
    run: Run, sandbox: Sandbox, line: str, problem: str, pipe: int
) -> None:
    found = line.strip('"') if line.endswith('"') else line
    content = f"# shops\n{ID}\n{line}\nworse\n"
    Path("ids.csv").write_text(content)
    os.write(pipe, content.encode())
    os.close(pipe)
    for file, name in (("ids.csv", "ids.csv"), ("-", "standard input")):
        done = run("--wabas", file, "--out", "n.csv")
        expected = f"--wabas must be a file with an id in each line, not {found!r}: line 3 of {name} {problem}"
        assert done == (2, f"wa-phone: {expected}\n")
    assert not sandbox.requests
    assert names() == {"ids.csv"}


@pytest.mark.parametrize(
    ("header", "line", "problem"),
    [
        ("id;phone_number", "7;1", "line 1 of ids.csv does not say for certain which ids are those of accounts"),
        ("waba_id;WABA ID", "7;8", "line 1 of ids.csv does not say for certain which ids are those of accounts"),
        ("name;waba_id", "Shop;", "line 2 of ids.csv has no id in the column that the header names"),
        ("name;waba_id", "Shop", "line 2 of ids.csv has no id in the column that the header names"),
        ("name;waba_id", "7;Shop", "line 2 of ids.csv is no id: an id has only digits"),
        ("Konto", "7", "line 1 of ids.csv is no id: an id has only digits"),
    ],
)
def test_a_header_that_leaves_a_doubt_is_an_error(header: str, line: str, problem: str) -> None:
    Path("ids.csv").write_text(f"{header}\n{line}\n")
    with pytest.raises(InvalidArgumentError, match=re.escape(problem)):
        count_ids(Path("ids.csv"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_the_ids_of_a_named_pipe_are_not_counted(tmp_path: Path) -> None:
    pipe = tmp_path / "ids"
    os.mkfifo(pipe)
    assert count_ids(pipe) is None  # at once, although nobody writes


def test_a_file_on_standard_input_is_checked_too_and_read_from_its_beginning(
    run: Run, sandbox: Sandbox, pipe: int
) -> None:
    os.close(pipe)
    for content, status in ((f"{ID}\nshop\n", 2), (f"{ID}\n", 0)):
        Path("ids.csv").write_text(content)
        with Path("ids.csv").open("rb") as file:
            os.dup2(file.fileno(), 0)
            assert run("--wabas", "-", "--out", "n.csv").status == status
    assert requested(sandbox) == {ID: 1}


def test_a_rejected_token_stops_it_and_another_one_goes_on(
    run: Run, sandbox: Sandbox, wabas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with after_listings(35, lambda: sandbox.revoke("a-secret-token"), monkeypatch):
        done = run("--wabas", wabas, "--out", "n.csv", "--concurrency", "4")
    assert done.status == 1
    assert done.err.endswith("\nwhat is complete is kept: to continue, run the same command with --resume\n")
    assert re.match(r"wa-phone: .*access token", done.err)
    assert "a-secret-token" not in done.err
    before = complete("n.csv")
    assert 30 < len(before) < 100

    monkeypatch.setenv("WA_ACCESS_TOKEN", "another-token")
    sandbox.requests.clear()
    done = run("--wabas", wabas, "--out", "n.csv", "--resume", "--concurrency", "8")
    assert done.status == 0
    assert done.err.startswith("100 accounts, 300 numbers; ")
    assert not before & set(requested(sandbox))
    assert rows("n.csv") == all_numbers(sandbox)


@contextmanager
def after_listings(count: int, act: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Do something when so many accounts are listed."""
    listed = Progress.listed

    def listed_and_then(progress: Progress, listing: Any) -> None:
        listed(progress, listing)
        if progress.accounts == count:
            act()

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "listed", listed_and_then)
        yield


def test_where_nothing_was_complete_nothing_is_left(run: Run, sandbox: Sandbox, wabas: Path) -> None:
    sandbox.revoke("a-secret-token")
    done = run("--wabas", wabas, "--out", "n.csv")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert names() == {"wabas.txt"}


def test_a_business_that_is_not_there(run: Run) -> None:
    done = run("--business", "7", "--out", "n.csv")
    assert done.status == 1
    assert done.err.startswith("wa-phone: Unsupported get request. Object with ID '7' does not exist")
    assert names() == set()


def test_a_full_disk_is_one_sentence_and_no_loss(
    run: Run, sandbox: Sandbox, wabas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_: int) -> None:
        raise OSError(28, os.strerror(28))

    with after_listings(50, lambda: monkeypatch.setattr(os, "fsync", no_space), monkeypatch), monkeypatch.context():
        fsync = os.fsync
        done = run("--wabas", wabas, "--out", "n.csv")
    monkeypatch.setattr(os, "fsync", fsync)
    assert done.status == 1
    assert re.fullmatch(
        r"wa-phone: cannot write .*\.csv: the disk is full; no file was left\n"
        r"what is complete is kept: to continue, run the same command with --resume\n",
        done.err,
    )
    before = complete("n.csv")
    assert before
    sandbox.requests.clear()
    assert run("--wabas", wabas, "--out", "n.csv", "--resume").status == 0
    assert not before & set(requested(sandbox))
    assert rows("n.csv") == all_numbers(sandbox)


@pytest.mark.parametrize("damage", [b"", b"waba_id", None], ids=["empty", "cut", "another"])
def test_a_damaged_export_is_one_sentence_without_the_advice_to_resume(
    run: Run, sandbox: Sandbox, unfinished: Path, damage: bytes | None
) -> None:
    part = Path("n.csv.parts/000001.csv")
    part.write_bytes(part.read_bytes().swapcase() if damage is None else damage)
    sandbox.requests.clear()
    done = run("--wabas", unfinished, "--out", "n.csv", "--resume")
    assert (done.status, len(done.err.splitlines())) == (1, 1)
    assert done.err.startswith(f"wa-phone: the export is damaged: {part.absolute()} has ")
    assert done.err.endswith(f"restore it from a copy, or remove {part.parent.absolute()} to begin again\n")
    # A wrong size is known before anything is requested.
    assert bool(sandbox.requests) == (damage is None)
    assert not Path("n.csv").exists()


# --- misuse


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--out n.csv", "--wabas FILE or --business ID must be given, or --sandbox to try it"),
        ("--out n.csv --wabas - --business 7", "--wabas must be left out where --business is given"),
        ("--out n.csv --wabas - --business 7 --sandbox", "--wabas must be left out where --business is given"),
        ("--wabas wabas.txt", "export needs --out: wa-phone export --help has examples"),
        ("--wabas wabas.txt --out n.xml", "--out must be a file that ends in .jsonl, .csv or .parquet, not 'n.xml'"),
        ("--wabas wabas.txt --out /dev/null", "--out must be a file, not /dev/null: it is a device"),
        (
            "--wabas wabas.txt --out n.csv --errors /dev/stderr",
            "--errors must be a file, not /dev/stderr: it is a standard stream;",
        ),
        ("--wabas wabas.txt --out n.csv --errors n.csv", "--errors must be another file than"),
        (
            "--wabas wabas.txt --out n.csv --errors wabas.txt",
            "--wabas must be another file than --out and --errors, not wabas.txt",
        ),
        (
            "--wabas nowhere.txt --out n.csv",
            "--wabas must be a file with an id in each line, not nowhere.txt: No such file or directory",
        ),
        ("--wabas . --out n.csv", "--wabas must be a file with an id in each line, not .: Is a directory"),
        ("--wabas wabas.txt --out n.csv --limit 0", "--limit must be a whole number from 1 to 100, not 0"),
        ("--wabas wabas.txt --out n.csv --concurrency 0", "--concurrency must be a whole number from 1 up, not 0"),
        ("--wabas wabas.txt --out n.csv --fields a,,b", "--fields must be names such as"),
        ("--wabas wabas.txt --out n.csv --filter x", "--filter must be FIELD=VALUE"),
        ("--wabas wabas.txt --out n.csv --filter account_mode=LVIE", "the VALUE of --filter must be a value of"),
        ("--wabas wabas.txt --out n.csv --fields id,statsu", "--fields must be names such as"),
        ("--business me --out n.csv", "--business must be the id of the business, a string of digits, not 'me'"),
        ("--wabas wabas.txt --out n.csv --kind mine", 'Invalid value "mine" for --kind.'),
    ],
)
def test_misuse_costs_no_call_and_leaves_nothing(
    run: Run, sandbox: Sandbox, wabas: Path, arguments: str, said: str
) -> None:
    done = run(*arguments.split())
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert done.err.startswith(f"wa-phone: {said}")
    assert not sandbox.requests
    assert names() == {wabas.name}


def test_a_number_on_two_pages_is_written_once(run: Run, sandbox: Sandbox) -> None:
    paging = {"cursors": {"after": "MTAw"}, "next": f"{sandbox.url}/next"}
    for page in ({"data": [{"id": "7"}, {"id": "8"}], "paging": paging}, {"data": [{"id": "8"}, {"id": "9"}]}):
        sandbox.plan(Fault.raw(json.dumps(page)))
    done = run("--wabas", write_ids("1234"), "--out", "n.jsonl", "--resume")
    assert (done.status, done.err) == (0, "1 account, 3 numbers; 2 calls\n")
    assert rows("n.jsonl") == [("1234", "7"), ("1234", "8"), ("1234", "9")]


@pytest.fixture
def unfinished(run: Run, wabas: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with after_listings(35, interrupt, monkeypatch):
        assert run("--wabas", wabas, "--out", "n.csv", "--concurrency", "4").status == 130
    return wabas


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_an_unfinished_export_is_not_overwritten(run: Run, unfinished: Path) -> None:
    done = run("--wabas", unfinished, "--out", "n.csv")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert re.search(
        r"--resume must be given: an unfinished export is in .*n\.csv\.parts; remove it to begin again", done.err
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--fields", "id"), "--fields must be 'id,display.*', as when the export began, not 'id': give the same"),
        (
            ("--filter", "account_mode=LIVE"),
            r"--filter must be \[\], as when the export began, not \['account_mode=LIVE'\]",
        ),
        (("--api-version", "v24.0"), "--api-version must be 'v23.0', as when the export began, not 'v24.0'"),
        (
            ("--wabas", "-"),
            "--wabas or --business must be 'in .*wabas.txt', as when the export began, not 'in standard input'",
        ),
        (
            ("--base-url", "http://127.0.0.1:1"),
            "--base-url must be 'http://.*', as when the export began, not 'http://127.0.0.1:1'",
        ),
    ],
)
def test_another_export_is_not_the_same_one(run: Run, unfinished: Path, options: tuple[str, str], said: str) -> None:
    source = () if "--wabas" in options else ("--wabas", unfinished)
    done = run(*source, "--out", "n.csv", "--resume", *options)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert re.search(said, done.err)


# --- Ctrl-C


def test_ctrl_c_finishes_what_is_in_flight_and_says_how_to_go_on(run: Run, sandbox: Sandbox, unfinished: Path) -> None:
    before = complete("n.csv")
    assert 35 <= len(before) < 60
    assert before == set(requested(sandbox))  # what was begun was finished and written
    assert not Path("n.csv").exists()

    sandbox.requests.clear()
    assert run("--wabas", unfinished, "--out", "n.csv", "--resume").status == 0
    assert requested(sandbox) == Counter(set(sandbox.waba_ids) - before)
    assert rows("n.csv") == all_numbers(sandbox)


def test_what_ctrl_c_says(run: Run, wabas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with after_listings(99, interrupt, monkeypatch):
        done = run("--wabas", wabas, "--out", "n.csv")
    assert done.status == 130
    assert re.fullmatch(
        r"wa-phone: finishing the requests in flight; Ctrl-C again stops at once\n"
        r"stopped after 100 of 100 accounts, 300 numbers, 100 calls, 0:00:00 left; "
        r"to continue, run the same command with --resume\n",
        done.err,
    )


def test_ctrl_c_waits_for_what_is_in_flight_only_so_long(
    run: Run, sandbox: Sandbox, wabas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wa_phone_async.cli.terminal.stopping._GRACE_SECONDS", 0.05)
    sandbox.plan(Fault.delay(PATIENCE), times=9, node=sandbox.waba_ids[7])
    with after_listings(20, interrupt, monkeypatch):
        done = run("--wabas", wabas, "--out", "n.csv", "--concurrency", "4")
    assert done.status == 130
    assert sandbox.waba_ids[7] not in complete("n.csv")
    assert len(complete("n.csv")) >= 20


def test_a_second_ctrl_c_stops_at_once(
    run: Run, sandbox: Sandbox, wabas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt_twice() -> None:
        interrupt()
        asyncio.get_running_loop().call_later(0.05, interrupt)

    sandbox.plan(Fault.delay(PATIENCE), node=sandbox.waba_ids[7])
    with after_listings(20, interrupt_twice, monkeypatch):
        done = run("--wabas", wabas, "--out", "n.csv", "--concurrency", "4")
    assert done.status == 130
    assert done.err.endswith("stopped at once; to continue, run the same command with --resume\n")
    assert run("--wabas", wabas, "--out", "n.csv", "--resume").status == 0
    assert rows("n.csv") == all_numbers(sandbox)


def test_ctrl_c_while_the_parts_are_merged_says_how_to_continue(
    run: Run, sandbox: Sandbox, wabas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def merge_for_ever(*_: object, **__: object) -> None:
        interrupt()
        await asyncio.sleep(PATIENCE)

    with monkeypatch.context() as patched:
        patched.setattr("wa_phone_async.export.job.merge_parts", merge_for_ever)
        done = run("--wabas", wabas, "--out", "n.csv")
    assert done == (130, "stopped at once; to continue, run the same command with --resume\n")
    sandbox.requests.clear()
    assert run("--wabas", wabas, "--out", "n.csv", "--resume").status == 0
    assert not sandbox.requests
    assert rows("n.csv") == all_numbers(sandbox)


def test_ctrl_c_while_the_accounts_of_a_business_are_read(
    run: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(700, 1_100):
        sandbox.add_waba(str(number), 1)
    first, last = sandbox.waba_ids[2], sandbox.waba_ids[-1]
    sandbox.set_nested(first, "absent")
    sandbox.set_nested(last, "absent")
    options = ("--business", sandbox.business_id, "--kind", "all", "--out", "n.csv")
    with after_listings(10, interrupt, monkeypatch):
        done = run(*options, "--concurrency", "2")
    assert done.status == 130
    assert 10 <= len(complete("n.csv")) < 500
    sandbox.requests.clear()
    assert run(*options, "--resume").status == 0
    assert rows("n.csv") == sorted(all_numbers(sandbox) + numbers_of(sandbox, SMALL_WABA, LARGE_WABA))
    assert (requested(sandbox)[first], requested(sandbox)[last]) == (0, 1)


def test_a_timeout_of_somebody_else_is_no_end(run: Run, wabas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def time_out() -> None:
        raise TimeoutError("somebody else's")

    with after_listings(10, time_out, monkeypatch):
        done = run("--wabas", wabas, "--out", "n.csv")
    assert done.status == 1
    assert done.err.startswith("wa-phone: cannot go on: TimeoutError")


async def test_an_action_is_called_when_the_flag_is_set_and_at_once_if_it_is_set() -> None:
    stop, heard = Stop(), list[str]()
    stop.then(lambda: heard.append("early"))
    stop.set()
    stop.then(lambda: heard.append("late"))
    assert heard == ["early", "late"]


# --- standard input


@pytest.fixture
def pipe() -> Iterator[int]:
    """A pipe whose reading end is standard input; gives its writing end."""
    reading, writing = os.pipe()
    saved = os.dup(0)
    os.dup2(reading, 0)
    os.close(reading)
    yield writing
    os.dup2(saved, 0)
    os.close(saved)


def test_a_pipe(run: Run, sandbox: Sandbox, pipe: int) -> None:
    os.write(pipe, "\n".join([*sandbox.waba_ids, *sandbox.waba_ids[:5], ""]).encode() + SMALL_WABA.encode())
    os.close(pipe)
    assert run("--wabas", "-", "--out", "n.csv").err.startswith("101 accounts, 303 numbers;")
    assert rows("n.csv") == numbers_of(sandbox, *sandbox.waba_ids, SMALL_WABA)


def test_a_pipe_or_a_file_without_lines_is_invalid(run: Run, pipe: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wa_phone_async.cli.terminal.ids._LONGEST", 100)
    os.write(pipe, b"5" * 300)
    os.close(pipe)
    done = run("--wabas", "-", "--out", "n.csv")
    invalid = "wa-phone: --wabas must be a file with an id in each line: a line of {} is too long for an id\n"
    assert done == (2, invalid.format("standard input"))
    Path("one-line.txt").write_text("5" * 300)
    assert run("--wabas", "one-line.txt", "--out", "n.csv") == (2, invalid.format("one-line.txt"))


async def test_a_stop_before_the_first_id_reads_nothing(pipe: int, wabas: Path) -> None:
    stop = Stop()
    stop.set()
    for source in (Path("-"), wabas):
        assert [waba_id async for waba_id in read_ids(source, stop)] == []
    os.close(pipe)


async def test_a_stop_ends_the_chunks_for_a_cluster(sandbox: Sandbox) -> None:
    stop = Stop()
    async with PhoneNumberClient.from_env() as client:
        accounts = exporting._accounts_of(Link(client), sandbox.business_id, "all", {})
        with Job("n.csv") as job:
            chunks = accounts.chunks(stop, job)
            assert len((await anext(chunks)).waba_ids) == 100
            stop.set()
            assert [chunk async for chunk in chunks] == []


async def test_a_stop_ends_the_waiting_for_a_pipe(pipe: int) -> None:
    stop = Stop()
    os.write(pipe, b"1\n")
    ids = read_ids(Path("-"), stop)
    assert await anext(ids) == "1"
    asyncio.get_running_loop().call_later(0.01, stop.set)
    assert [waba_id async for waba_id in ids] == []
    os.close(pipe)


def test_a_file_on_standard_input(run: Run, sandbox: Sandbox, pipe: int, wabas: Path) -> None:
    os.close(pipe)
    with wabas.open("rb") as file:
        os.dup2(file.fileno(), 0)
    assert run("--wabas", "-", "--out", "n.csv").status == 0
    assert rows("n.csv") == all_numbers(sandbox)


def test_no_standard_input_at_all(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    done = run("--wabas", "-", "--out", "n.csv")
    assert done == (2, "wa-phone: --wabas must be a file: standard input is closed\n")


# --- progress


def event(kind: Any, **more: Any) -> Any:
    facts = {field.name: None for field in attrs.fields(kind)}
    return kind(**{**facts, **more})


def test_what_progress_says() -> None:
    now = 100.0
    progress = Progress(10, Summary(accounts=2, phone_numbers=5), clock=lambda: now)
    assert progress.line() == "2 of 10 accounts, 5 numbers, 0 calls"
    progress.count(event(ThrottleStarted, node_id="1", seconds=60.0))
    now = 110.0
    progress.count(event(ThrottleStarted, node_id="2", seconds=60.0))
    progress.count(event(CallFinished, attempts=3))
    progress.listed(WabaListing(waba_id="1", phone_numbers=(PhoneNumber(id="1"),)))
    assert progress.line() == "3 of 10 accounts, 6 numbers, 3 calls, 2 throttled, 0:01:10 left"
    now = 130.0
    progress.count(event(ThrottleEnded, node_id="1"))
    progress.count(event(RetryPlanned))
    progress.listed(WabaListing(waba_id="2", error=NotFoundError("gone", http_status=400)))
    summary = Summary(accounts=3, phone_numbers=6, failed=1)
    said = "3 accounts, 6 numbers; 1 account failed: 1 NotFoundError; 3 calls, waited for 0:00:30"
    assert progress.summary(summary) == said
    now = 140.0
    assert progress.summary(summary).endswith("waited for 0:00:40")
    progress.count(event(ThrottleEnded, node_id="2"))
    now = 200.0
    assert progress.summary(summary).endswith("waited for 0:00:40")
    assert "throttled" not in progress.line()
    progress.count(event(QuotaWaitStarted, node_id="3", seconds=60.0))
    now = 210.0
    assert "3 calls, waiting for the hourly quota, " in progress.line()
    progress.count(event(QuotaWaitEnded, node_id="4"))
    now = 300.0
    assert "waiting" not in progress.line()
    assert progress.summary(summary).endswith("waited for 0:00:50")


def test_a_total_that_is_not_known_is_not_said() -> None:
    progress = Progress(None, Summary())
    progress.listed(WabaListing(waba_id="1"))
    assert progress.line() == "1 account, 0 numbers, 0 calls"


def test_a_pipe_gets_a_line_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        async with showing(Progress(None, Summary())):
            await asyncio.sleep(35)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
    assert capsys.readouterr().err == "0 accounts, 0 numbers, 0 calls\n" * 3


# --- as a process


def start(*arguments: object, before: Sequence[str] = (), **more: Any) -> subprocess.Popen[str]:
    pipes = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, **more}
    command = (*before, *COMMAND, "export", *map(str, arguments))
    return subprocess.Popen(command, text=True, env=dict(os.environ), **pipes)


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.001)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_killed_at_random_moments_it_is_exact(tmp_path: Path) -> None:
    suffixes = (".jsonl", ".parquet") if find_spec("arro3") else (".jsonl",)
    done = load_benchmark("killed").run(8, 20261122, tmp_path, suffixes)
    assert len(done) == 8


def test_ctrl_c_on_a_pipe_where_nothing_comes_ends_promptly(sandbox: Sandbox) -> None:
    with start("--wabas", "-", "--out", "n.csv", stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(f"{SMALL_WABA}\n")
        process.stdin.flush()
        wait_for(lambda: sandbox.requests, process)  # it begins before the pipe ends
        process.send_signal(signal.SIGINT)
        assert process.stderr
        assert process.stderr.read().endswith("; to continue, run the same command with --resume\n")
        assert process.wait(PATIENCE) == 130
    assert complete("n.csv") == {SMALL_WABA}


def test_ctrl_c_that_is_ignored_at_the_start_stays_ignored(sandbox: Sandbox) -> None:
    with start("--wabas", "-", "--out", "n.csv", before=WITHOUT_CTRL_C, stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(f"{SMALL_WABA}\n")
        process.stdin.flush()
        wait_for(lambda: sandbox.requests, process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(f"{LARGE_WABA}\n", PATIENCE)  # it reads on
    assert (process.returncode, err) == (0, "2 accounts, 253 numbers; 4 calls\n")


def test_a_kill_ends_in_order_where_ctrl_c_is_ignored(sandbox: Sandbox) -> None:
    with start("--wabas", "-", "--out", "n.csv", before=WITHOUT_CTRL_C, stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(f"{SMALL_WABA}\n")
        process.stdin.flush()
        wait_for(lambda: sandbox.requests, process)
        process.send_signal(signal.SIGINT)
        process.terminate()
        assert process.stderr
        first, last = process.stderr.read().splitlines()
        assert process.wait(PATIENCE) == 143
    assert first == "wa-phone: finishing the requests in flight; Ctrl-C again stops at once"
    assert last.endswith("; to continue, run the same command with --resume")
    assert complete("n.csv") == {SMALL_WABA}


def test_two_exports_to_one_file_at_once(sandbox: Sandbox, wabas: Path) -> None:
    with start("--wabas", "-", "--out", "n.csv", stdin=subprocess.PIPE) as first:
        wait_for(Path("n.csv.parts/journal.jsonl").exists, first)
        with start("--wabas", wabas, "--out", "n.csv") as second:
            assert second.stderr
            said = second.stderr.read()
        assert re.fullmatch(
            r"wa-phone: --out must be free: another export writes to .*n\.csv\.parts; let it end first\n", said
        )
        assert second.returncode == 2
        first.communicate(SMALL_WABA)
    assert first.returncode == 0
    assert rows("n.csv") == numbers_of(sandbox, SMALL_WABA)


LIMITED = """
import atexit, resource, sys
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
atexit.register(resource.setrlimit, resource.RLIMIT_FSIZE, before)  # what measures coverage writes a file of its own
sys.argv[0] = "wa-phone"
from wa_phone_async.__main__ import main
sys.exit(main())
"""


def test_a_file_system_that_takes_no_more(sandbox: Sandbox, wabas: Path) -> None:
    pytest.importorskip("resource", reason="there are no such limits here")
    # -B, since a compiled module that is cut short would be taken for a whole one ever after.
    command = [sys.executable, "-B", "-c", LIMITED, "export", "--wabas", str(wabas), "--out", "n.jsonl"]
    limited = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert limited.returncode == 1
    assert re.match(r"wa-phone: cannot write .*; no file was left\n", limited.stderr)
    assert "n.jsonl" not in names()
    with start("--wabas", wabas, "--out", "n.jsonl", "--resume") as process:
        process.communicate()
    assert process.returncode == 0
    assert rows("n.jsonl") == all_numbers(sandbox)
    assert names() == {"wabas.txt", "n.jsonl"}


def test_when_nobody_reads_what_it_says_it_goes_on(sandbox: Sandbox) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with start("--wabas", write_ids("5", SMALL_WABA), "--out", "n.csv", stderr=writing) as process:
        os.close(writing)
    assert process.returncode == 3
    assert rows("n.csv") == numbers_of(sandbox, SMALL_WABA)


def test_when_its_terminal_is_closed_it_goes_on(sandbox: Sandbox) -> None:
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    master, slave = pty.openpty()
    arguments = ("--wabas", "-", "--out", "n.csv")
    with start(*arguments, before=WITHOUT_HANG_UP, stdin=subprocess.PIPE, stderr=slave) as process:
        os.close(slave)
        os.read(master, 1)  # the progress bar begins
        os.close(master)
        process.communicate(f"{SMALL_WABA}\n", PATIENCE)
    assert process.returncode == 0
    assert rows("n.csv") == numbers_of(sandbox, SMALL_WABA)


def on_terminal(*arguments: object, width: int = 80) -> tuple[str, int]:
    """What a terminal gets, and the exit status."""
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    master, slave = pty.openpty()
    pytest.importorskip("termios").tcsetwinsize(slave, (24, width))
    with start(*arguments, stderr=slave) as process:
        os.close(slave)
        seen = b""
        try:
            while chunk := os.read(master, 65536):
                seen += chunk
        except OSError:  # how Linux says that the other side was closed
            pass
    os.close(master)
    return seen.decode(), process.returncode


@pytest.mark.parametrize("width", [50, 100])
def test_a_terminal_gets_a_bar_on_one_line(wabas: Path, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(accounts=100, latency=0.03) as sandbox:
        monkeypatch.setenv("WA_BASE_URL", sandbox.url)
        screen, status = on_terminal("--wabas", wabas, "--out", "n.csv", "--concurrency", "4", width=width)
    assert status == 0
    *lines, _ = screen.split("\n")
    drawn = {int(count) for count in re.findall(r"(\d+) of 100 acc", screen)}
    assert len(drawn) > 2
    assert len(lines) == 2  # the bar was drawn on one line, and then erased
    assert lines[0].count("\r\x1b[2K") > 2
    summary = " ".join(line.rstrip("\r") for line in lines[1:])
    assert summary.endswith("\x1b[2K100 accounts, 300 numbers; 100 calls")
    assert bool(re.search(r"\x1b\[[\d;]*3\d", screen)) == (width == 100)  # for a bar there is no room beside the text
    assert "a-secret-token" not in screen


def test_the_bar_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)

    async def main() -> None:
        progress = Progress(7, Summary())
        async with showing(progress):
            progress.accounts = 3
            await asyncio.sleep(1)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
    assert "3 of 7 accounts" in screen.getvalue()
