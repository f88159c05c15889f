"""The examples, run as they are: against the sandbox in them, and by the environment as against the live service."""

import asyncio
import subprocess
import sys
from collections.abc import Callable

import pytest
from scripts import EXAMPLES, load_example

from wa_phone_async.sandbox import EMPTY_WABA, Fault, Sandbox

PIN = "271828"
ID = "300000000000000"


def test_the_whole_way_in_a_program() -> None:
    command = [sys.executable, "-W", "error", str(EXAMPLES / "onboard.py")]
    done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        f"{ID}: created",
        f"{ID}: verified and registered; waiting for the name",
        f"{ID}: 16315551000 is ready, as Acme Shoes",
    ]
    assert done.stderr == ""


@pytest.fixture
def onboard(graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Run it as against the live service, with a person who knows the code and the PIN."""
    example = load_example("onboard")
    environment = {
        "WA_ACCESS_TOKEN": "any-token",
        "WA_BASE_URL": graph_sandbox.url,
        "WABA_ID": EMPTY_WABA,
        "PHONE_NUMBER": "16315551000",
        "CC": "1",
        "VERIFIED_NAME": "Acme Shoes",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    answers = {"Code: ": lambda: graph_sandbox.inbox[-1].code, "PIN: ": lambda: PIN}
    monkeypatch.setattr(example, "getpass", lambda question: answers[question]())

    def run() -> None:
        if graph_sandbox.created:
            graph_sandbox.approve_name(ID)
        asyncio.run(example.main())

    return run


def test_a_run_that_was_left_is_gone_on_with(
    onboard: Callable[[], None], graph_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    lost: list[tuple[str, list[Fault]]] = [
        ("A code may have been sent to", [Fault.drop_after()]),
        ("The code may have been accepted", [Fault(), Fault.drop_after()]),
        ("may be registered, or may be so soon", [Fault.drop_after()]),
    ]
    for said, faults in lost:
        for fault in faults:
            graph_sandbox.plan(fault, method="POST", node=ID)
        with pytest.raises(SystemExit, match=said):
            onboard()
    onboard()
    assert capsys.readouterr().out.endswith(f"{ID}: 16315551000 is ready, as Acme Shoes\n")
    edges = [request.path.rpartition("/")[2] for request in graph_sandbox.requests if request.method == "POST"]
    assert edges == ["phone_numbers", "request_code", "request_code", "verify_code", "register"]
