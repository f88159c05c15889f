"""What a kill does."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli.terminal.stopping import ending_when_killed


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_kill_is_a_ctrl_c_and_known_as_a_kill() -> None:
    with ending_when_killed() as kill:
        assert not kill.is_set
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        assert kill.is_set
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


IGNORING = """
import asyncio, os, signal
from wa_phone_async.cli.terminal.stopping import ending_when_killed

signal.signal(signal.SIGINT, signal.SIG_IGN)

async def work():
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(0)
    print("goes on")
    os.kill(os.getpid(), signal.SIGTERM)
    try:
        await asyncio.sleep(60)
    finally:
        print("ends in order")

for run in (lambda: asyncio.run(work()), lambda: os.kill(os.getpid(), signal.SIGTERM)):
    try:
        with ending_when_killed() as kill:
            run()
    except KeyboardInterrupt:
        print("killed", kill.is_set)
    os.kill(os.getpid(), signal.SIGINT)
    print(signal.getsignal(signal.SIGINT).name, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def test_where_ctrl_c_is_ignored_a_kill_still_ends_the_work() -> None:
    # A process of its own, since a thread of the tests would take a signal that only the main thread blocks.
    done = subprocess.run([sys.executable, "-c", IGNORING], check=True, capture_output=True, text=True)
    after = ["killed True", "SIG_IGN set()"]
    assert done.stdout.splitlines() == ["goes on", "ends in order", *after, *after]


def test_a_handler_that_is_there_is_kept() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with ending_when_killed() as kill:
        os.kill(os.getpid(), signal.SIGTERM)
    assert not kill.is_set
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
