"""`wa-phone` where its packages are not installed, and how it starts."""

import subprocess
import sys

import pytest

from wa_phone_async import __main__

WITHOUT = """
import runpy, sys
sys.modules[{package!r}] = None  # importing it fails, as where it is not installed
sys.argv = ["wa-phone", "--help"]
runpy.run_module("wa_phone_async", run_name="__main__")
"""


@pytest.mark.parametrize("package", ["cyclopts", "rich", "rich.console"])
def test_one_line_says_what_to_install(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT.format(package=package)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "wa_phone_async[cli]" in done.stderr
    assert done.stderr.count("\n") == 1


def test_another_missing_module_is_no_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wa_phone_async.cli.app", None)
    with pytest.raises(ModuleNotFoundError, match="cli"):
        __main__.main()


def test_ctrl_c_while_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def __getattr__(self, _: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "wa_phone_async.cli.app", Interrupted())
    assert __main__.main() == 130
