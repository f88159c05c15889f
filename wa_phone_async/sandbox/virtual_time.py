"""An event loop whose clock jumps: hours of waiting pass at once, in the order in which they would.

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())  # `asyncio.sleep(3600)` takes no time

Time stands still while anything can be done, and jumps to the next timer when nothing can. Sockets of this process
work as ever, so a client and a `Sandbox` in the same loop live a whole day together in seconds.
"""

import asyncio
import selectors
from typing import Any

_GRACE_SECONDS = 0.002
"""Real seconds that sockets and threads get to answer before the clock jumps over them."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A selector event loop with a clock of its own, which begins at 0 seconds."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """The seconds that have passed by its own clock."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for sockets a moment in real time, and then lets the loop's clock jump."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:  # no timer is set: only a socket can wake the loop
            return super().select(None)
        ready = super().select(min(timeout, _GRACE_SECONDS))
        if not ready and timeout > 0:
            self._loop.jump(timeout)
        return ready
