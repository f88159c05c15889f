"""The command line with odd settings, broken streams and signals: a sentence or nothing, and never a second number."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeAlias

import pytest
from attack import Attack

from wa_phone_async import RetryPolicy
from wa_phone_async.sandbox import SMALL_WABA, Fault, Sandbox

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app

pytestmark = pytest.mark.unmeasured

CANARY = "EAAcanary+token=="
COMMAND = (sys.executable, "-m", "wa_phone_async")
LIST = ("list", SMALL_WABA, "--format", "jsonl")
CREATE = ("create", SMALL_WABA, "--phone-number", "16315551000", "--verified-name", "Acme", "--cc", "1")
EXPORT = ("export", "--business", "200300400500600", "--out", "numbers.csv")
STREAMS = ["", ">&-", "2>&-", "<&-", ">/dev/full", "2>/dev/full", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full 2>&-"]
STATUSES = {0, 1, 2, 3}
AFTER_THE_END = {-signal.SIGINT, -signal.SIGTERM}
"""How a process ends if the signal comes after its work, when Python has removed all handlers."""

Process: TypeAlias = "subprocess.Popen[str]"


def check_texts(*texts: str) -> None:
    for text in texts:
        assert CANARY not in text
        assert "Traceback" not in text


# --- settings


def odd_base_url(draw: Random, url: str) -> str:
    """A URL of this machine, or of none, with something odd in it."""
    host = url.removeprefix("http://")
    places = [
        *(url, f"{url}/", f"{url}//", f"{url}/a/b", f"{url}/..", f"{url}?access_token={CANARY}", f"{url}#{CANARY}"),
        *(f"{url}/{CANARY}/\n", f"{url} ", f" {url}", f"\ufeff{url}", f"'{url}'", f"{url}:1", f"{url}\0", f"{url}%00"),
        *(f"http://{CANARY}@{host}", f"http://u:{CANARY}@{host}", f"HTTP://{host}", f"http:{host}", f"//{host}", host),
        *(f"ftp://{host}", "file:///etc/passwd", "http://", "https://", "", "javascript:1", "http://[::1", "\ud800"),
        *(f"http://127.0.0.1:{port}" for port in ("0", "1", "65536", "-1", "1e3", "", "x", "1/\u202e")),
        *("http://[::1]:1", "https://127.0.0.1:1", "http://127.1:1", "http://①27.0.0.1:1", f"{url}/{'a' * 70_000}"),
    ]
    return draw.choice(places)


def odd_token(draw: Random) -> bytes:
    """A token file with the token in it, and something odd around or within it."""
    token = CANARY.encode()
    around = [
        b"",
        b"\n",
        b"\r\nX: y",
        b"\0",
        b" \t",
        b"\xff",
        b"\xef\xbb\xbf",
        b'"',
        "é\u200b".encode(),
        b"access_token=",
    ]
    odd = [CANARY.encode("utf-16"), b"Bearer " + token, token * 9000, b"", token + b"\n" + token]
    return draw.choice([draw.choice(around) + token + draw.choice(around), draw.choice(odd)])


def test_odd_base_urls_and_tokens_end_in_a_sentence_without_the_token(
    attack: Attack,
    graph_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = RetryPolicy(max_attempts=2, first_wait=0.001, max_wait=5)
    monkeypatch.setattr(RetryPolicy, "batch", classmethod(lambda _: quick))
    monkeypatch.setattr("wa_phone_async.session.RetryPolicy", lambda: quick)
    (file := tmp_path / "token").touch()
    for draw in attack.rounds(short=60, seconds=10):
        graph_sandbox.created.clear()
        file.write_bytes(odd_token(draw))
        arguments = [*draw.choice([LIST, CREATE, EXPORT]), "--token-file", str(file)]
        arguments += ["--base-url", odd_base_url(draw, graph_sandbox.url)] * draw.choice([1, 1, 1, 2])
        arguments += draw.choice([[], ["--debug"]])
        assert app.run(arguments) in STATUSES, arguments
        out, err = capsys.readouterr()
        assert CANARY not in out + err, arguments
        if "--debug" not in arguments:
            check_texts(out, err)
        assert len(graph_sandbox.created) <= 1
        for left in tmp_path.glob("numbers*"):
            assert left.is_file()
            left.unlink()
        attack.count("commands")


# --- processes


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Process]:
    """Starts a command in a directory of its own. Its token is the canary, and it calls this sandbox."""
    monkeypatch.chdir(tmp_path)

    def start(sandbox: Sandbox, *command: str) -> Process:
        for left in tmp_path.glob("numbers*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        environment = {**os.environ, "WA_ACCESS_TOKEN": CANARY, "WA_BASE_URL": sandbox.url}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    return start


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full here")
def test_closed_and_full_streams_end_without_a_traceback_and_without_a_second_number(
    attack: Attack, run: Callable[..., Process]
) -> None:
    for draw in attack.rounds(short=4, seconds=20):
        arguments, streams = draw.choice([LIST, CREATE, EXPORT, ("--help",), ("list",)]), draw.choice(STREAMS)
        with Sandbox() as sandbox:
            sandbox.plan(draw.choice([Fault(), Fault(), Fault.error(190, CANARY), Fault.drop_after(), Fault.html()]))
            with run(sandbox, "sh", "-c", f'exec "$@" {streams}', "sh", *COMMAND, *arguments) as process:
                check_texts(*process.communicate())
            assert process.returncode in STATUSES
            assert len(sandbox.created) <= 1
        attack.count("processes")


def signal_it(process: Process, draw: Random) -> None:
    """Send Ctrl-C or a kill, sometimes twice."""
    for number in draw.choices([signal.SIGINT, signal.SIGTERM], k=draw.choice([1, 1, 2])):
        process.send_signal(number)
        time.sleep(draw.choice([0, 0.01]))


def test_a_signal_during_a_call_ends_it_in_order(attack: Attack, run: Callable[..., Process]) -> None:
    for draw in attack.rounds(short=4, seconds=20):
        with Sandbox(latency=draw.choice([0.0, 0.05])) as sandbox:
            with run(sandbox, *COMMAND, *draw.choice([LIST, CREATE, EXPORT])) as process:
                while not sandbox.requests:
                    assert process.poll() is None
                    time.sleep(0.001)
                time.sleep(draw.uniform(0, 0.2))
                signal_it(process, draw)
                check_texts(*process.communicate())
            assert process.returncode in {0, 130, 143, *AFTER_THE_END}
            assert len(sandbox.created) <= 1
        attack.count("signals")


def test_a_signal_at_any_moment_from_the_start_prints_no_traceback_of_this_package(
    attack: Attack, run: Callable[..., Process]
) -> None:
    for draw in attack.rounds(short=3, seconds=20):
        with Sandbox() as sandbox:
            with run(sandbox, *COMMAND, *draw.choice([LIST, CREATE, EXPORT])) as process:
                time.sleep(draw.uniform(0, 0.8))
                signal_it(process, draw)
                out, err = process.communicate()
            assert CANARY not in out + err
            # Python's own start, before it runs anything of this package, is Python's.
            assert "Traceback" not in err or "wa_phone_async" not in err
            assert len(sandbox.created) <= 1
        attack.count("signals")
