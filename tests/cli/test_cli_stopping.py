"""What a kill does."""

import os
import signal
from collections.abc import Iterator

import pytest

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli.terminal.stopping import ending_when_killed


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_kill_is_a_ctrl_c_and_known_as_a_kill() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with ending_when_killed() as kill:
        assert not kill.is_set
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        assert kill.is_set
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_where_ctrl_c_is_ignored_a_kill_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    raised = list[signal.Signals]()
    monkeypatch.setattr(signal, "raise_signal", raised.append)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with ending_when_killed() as kill:
        os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert (raised, kill.is_set) == ([signal.SIGTERM], False)


def test_a_handler_that_is_there_is_kept() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with ending_when_killed() as kill:
        os.kill(os.getpid(), signal.SIGTERM)
    assert not kill.is_set
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
