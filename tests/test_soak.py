"""The soak of `benchmarks/soak.py`, for a few seconds: it holds what it says, and says what does not hold."""

import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).parents[1] / "benchmarks" / "soak.py"


def soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SOAK), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def test_a_few_seconds_of_it_hold() -> None:
    ended = soak("--minutes", "0.03", "--in-flight", "20")
    assert ended.returncode == 0, ended.stderr
    assert "| most calls in flight | 20 |" in ended.stdout
    assert "| creates: made |" in ended.stdout
    assert "| lists, all exact |" in ended.stdout


def test_what_makes_no_sense_is_refused() -> None:
    for arguments in (["--minutes", "0"], ["--minutes", "-1"], ["--in-flight", "0"], ["--in-flight", "many"]):
        ended = soak(*arguments)
        assert ended.returncode == 2
        assert f"argument {arguments[0]}: invalid" in ended.stderr
