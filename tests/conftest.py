"""What every test has: the embedded Graph API as the fixture `graph_sandbox`, and the same surroundings everywhere."""

import asyncio
import logging
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from wa_phone_async.decoding import converter as decoding
from wa_phone_async.sandbox import Sandbox

pytest_plugins = ["pytester", "attack", "wa_phone_async.sandbox.pytest_plugin"]

# pytest-asyncio asks for the current loop, and Python 3.11 then makes one that nobody closes, unless none is wanted.
asyncio.set_event_loop(None)

# A shared machine may be slow for a moment, which is no failure. All else stays Hypothesis' own profile.
settings.register_profile("patient", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)  # where another run has more
settings.register_profile("counted", deadline=None, max_examples=40)  # where a test takes twice as long
settings.register_profile("thorough", deadline=None, max_examples=500)  # at night
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--eager", action="store_true", help="let each event loop start its tasks eagerly (Python 3.12+)")


def pytest_configure(config: pytest.Config) -> None:
    """Give each event loop the eager task factory, with `--eager`: also those that the tests themselves make."""
    if not config.getoption("eager"):
        return
    make, factory = asyncio.BaseEventLoop.__init__, getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        raise pytest.UsageError("--eager needs Python 3.12 or later")

    def make_eager(loop: asyncio.BaseEventLoop) -> None:
        make(loop)
        loop.set_task_factory(factory)

    pytest.MonkeyPatch().setattr(asyncio.BaseEventLoop, "__init__", make_eager)  # for as long as pytest runs


SETTINGS = re.compile(
    r"WA_(?!PHONE_).*|.*_PROXY|NETRC|PYTHON(ASYNCIODEBUG|DEVMODE|IOENCODING|OPTIMIZE|UNBUFFERED|UTF8|WARNINGS)"
    r"|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|COLORTERM|TERM|TTY_.*",
    re.IGNORECASE,
)
"""Variables that change what the program does, or how Python runs it."""


@pytest.fixture(scope="session", autouse=True)
def _surroundings() -> Iterator[None]:
    """Let the tests, and the processes that they start, inherit no settings, ignored signals or file modes.

    A shell ignores SIGINT for jobs that a script runs in the background, and some CI runners do too.
    """
    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGCHLD") if hasattr(signal, name)]
    handlers = {number: signal.signal(number, signal.SIG_DFL) for number in signals}
    handlers[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    mode = os.umask(0o022)
    with pytest.MonkeyPatch.context() as environment:
        for name in filter(SETTINGS.fullmatch, list(os.environ)):
            environment.delenv(name)
        environment.setenv("WA_REGISTRATIONS", "none")  # the ids of one sandbox are those of the next
        environment.setenv("NETRC", os.devnull)  # the person's own is found by its place, and may name a proxy
        yield
    os.umask(mode)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(autouse="MUTANT_UNDER_TEST" in os.environ)
def _fresh_converter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The converter keeps the hooks that it has made, which would hide a mistake put into what makes them."""
    monkeypatch.setattr(decoding, "_converter", decoding._make_converter())


@pytest.fixture
def reader(graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shell in an empty directory, with this environment's commands and the sandbox's address."""
    for logger in (logging.root, logging.getLogger("wa_phone_async")):  # the manual's code may configure them
        monkeypatch.setattr(logger, "level", logger.level)
        monkeypatch.setattr(logger, "handlers", [*logger.handlers])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setenv("WA_ACCESS_TOKEN", "any-token")
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    monkeypatch.delenv("WA_REGISTRATIONS")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "100")
