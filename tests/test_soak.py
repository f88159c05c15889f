"""The soak of `benchmarks/soak.py`, for a few seconds: it passes, and it notices what is wrong."""

import argparse
import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scripts import BENCHMARKS, load_benchmark

from wa_phone_async import OutcomeUnknownError, TransportError

pytestmark = pytest.mark.unmeasured

soak = load_benchmark("soak")
UNKNOWN = OutcomeUnknownError("", waba_id="5551", phone_number="1", reason="lost")


def started(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "soak.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def test_a_soak_of_a_few_seconds_passes() -> None:
    ended = started("--minutes", "0.03", "--in-flight", "20")
    assert ended.returncode == 0, ended.stderr
    assert "| most calls in flight | 20 |" in ended.stdout
    assert "| creates: made |" in ended.stdout
    assert "| lists, all exact |" in ended.stdout


@pytest.mark.parametrize("wrong", [["--minutes", "0"], ["--in-flight", "none"]], ids=" ".join)
def test_invalid_options_are_rejected(
    wrong: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["soak.py", *wrong])
    with pytest.raises(SystemExit) as ended:
        soak.main()
    assert ended.value.code == 2
    assert f"argument {wrong[0]}: invalid" in capsys.readouterr().err


def test_it_ends_with_the_sentence_that_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(*_: object) -> None:
        raise soak.BrokenPromiseError("a number was missed")

    monkeypatch.setattr(soak.Worker, "work", work)
    monkeypatch.setattr(sys, "argv", ["soak.py", "--minutes", "0.01", "--seed", "7"])
    with pytest.raises(SystemExit) as ended:
        soak.main()
    assert ended.value.code == "With seed 7: a number was missed."


def test_what_is_left_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    left = list[Any]()

    async def work(*_: object) -> None:
        left.append(asyncio.create_task(asyncio.sleep(60)))
        left.append((tmp_path / "left").open("w"))
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)

    monkeypatch.setattr(soak.Worker, "work", work)
    wrong = soak.run(argparse.Namespace(minutes=0.01, in_flight=2, seed=0), soak.Tally())
    for thing in left[1::2]:
        thing.close()
    assert wrong[:2] == ["2 tasks were left", "2 files or sockets were left open"]
    assert wrong[2].startswith("2 complaints were left, the first of them: ")
    assert "division by zero" in wrong[2]


def test_memory_that_grows_is_noticed() -> None:
    tally = soak.Tally(samples=[(float(second), 10 * second, 1_000_000 + 900 * second) for second in range(600)])
    wrong = soak.broken(tally, argparse.Namespace(minutes=10), [], tasks=0, files=0)
    assert list(wrong) == ["memory grows by 90 bytes with each call, and may by 64"]


class Record:
    """The sandbox's record of the numbers that were made in one account."""

    def __init__(self, *made: tuple[str, str]) -> None:
        self.made = list(made)

    def of(self, _: str) -> list[tuple[str, str]]:
        return self.made


@pytest.mark.parametrize(
    ("made", "outcome", "holds"),
    [
        ([("1", "a")], "a", True),
        ([("1", "b")], "a", False),
        ([], "a", False),
        ([("1", "a"), ("1", "b")], "a", False),
        ([], UNKNOWN, True),
        ([("1", "a")], UNKNOWN, True),
        ([("1", "a"), ("1", "b")], UNKNOWN, False),
        ([], TransportError(""), True),
        ([("1", "a")], TransportError(""), False),
        ([("2", "a")], UNKNOWN, False),
    ],
)
def test_a_create_that_happened_wrongly_is_noticed(
    made: list[tuple[str, str]], outcome: object, *, holds: bool
) -> None:
    worker = object.__new__(soak.Worker)
    worker.effects = Record(*made)
    if holds:
        worker.check_creates("5551", {"1": outcome})
    else:
        with pytest.raises(soak.BrokenPromiseError, match=r"^a create |^1 numbers of 5551 were created"):
            worker.check_creates("5551", {"1": outcome})
