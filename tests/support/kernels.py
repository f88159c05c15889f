"""A real Jupyter kernel for tests, spoken to as a notebook's page does."""

import os
import re
from pathlib import Path
from typing import Any, Self

import attrs
import pytest

TIMEOUT = 50.0
"""Seconds of silence after which a kernel counts as hanging."""


@attrs.define
class Cell:
    """The outcome of a cell."""

    text: str = ""
    """What it printed."""
    shown: list[dict[str, Any]] = attrs.field(factory=list)
    """What it displayed, by MIME type."""
    error: str | None = None
    """The name of the class of the error that ended it; `None` if there was none."""
    traceback: str = ""
    """What it shows of that error, without colours."""
    is_done: bool = False
    """Whether it has ended."""


class Kernel:
    """A kernel in a process of its own, as long as its `with` block. Without ipykernel the test is skipped."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        pytest.importorskip("ipykernel", reason="the dependency group `notebook` is not installed")
        self._manager = pytest.importorskip("jupyter_client.manager").KernelManager(kernel_name="python3")
        self._client = self._manager.client()
        self._cells: dict[str, Cell] = {}
        self._noise = ""

    def __enter__(self) -> Self:
        environment = {**os.environ, "IPYTHONDIR": str(self._directory)}  # no start-up files of a user
        environment.pop("PYTHONWARNINGS", None)
        with (self._directory / "stderr").open("wb") as stderr:
            self._manager.start_kernel(env=environment, stderr=stderr, extra_arguments=["--log-level=ERROR"])
        self._client.load_connection_info(self._manager.get_connection_info())
        self._client.start_channels()
        self._client.wait_for_ready(timeout=TIMEOUT)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel()
        self._noise += (self._directory / "stderr").read_text(encoding="utf-8")

    def take_noise(self) -> str:
        """Return the output on stderr since the last call of this, by cells and, once it has ended, by the process."""
        noise, self._noise = self._noise, ""
        return noise

    def run(self, code: str) -> Cell:
        """Run a cell to its end."""
        return self.end(self.begin(code))

    def begin(self, code: str) -> Cell:
        """Begin a cell."""
        return self._cells.setdefault(self._client.execute(code), Cell())

    def end(self, cell: Cell) -> Cell:
        """Wait for the end of a cell."""
        while not cell.is_done:
            self._listen()
        return cell

    def read(self, cell: Cell, text: str) -> None:
        """Wait until a cell has printed a text."""
        while text not in cell.text:
            assert not cell.is_done, cell
            self._listen()

    def interrupt(self) -> None:
        """Interrupt the cell that runs, as the button of a notebook does."""
        self._manager.interrupt_kernel()  # by SIGINT

    def request(self, method: str, code: str) -> dict[str, Any]:
        """Send an `inspect` or a `complete` for the end of some code, and return the reply."""
        sent = getattr(self._client, method)(code, len(code))
        while (reply := self._client.get_shell_msg(timeout=TIMEOUT))["parent_header"]["msg_id"] != sent:
            pass
        return dict(reply["content"])

    def _listen(self) -> None:
        """Receive the next message of the kernel, for any cell."""
        message = self._client.get_iopub_msg(timeout=TIMEOUT)
        content, cell = message["content"], self._cells.get(message["parent_header"].get("msg_id"), Cell())
        match message["msg_type"]:
            case "stream" if content["name"] == "stderr":
                self._noise += content["text"]
            case "stream":
                cell.text += content["text"]
            case "execute_result" | "display_data":
                cell.shown.append(content["data"])
            case "error":
                cell.error = content["ename"]
                cell.traceback = re.sub("\x1b\\[[0-9;]*m", "", "\n".join(content["traceback"]))
            case "status":
                cell.is_done = content["execution_state"] == "idle"
