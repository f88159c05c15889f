"""An event loop whose clock jumps over every wait: hours pass at once, and timers keep their order.

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())  # `asyncio.sleep(3600)` takes no time

The clock stands still while there is work to do. When there is none, it jumps to the next timer. Sockets inside this
process work as usual, so a client and a `Sandbox` in the same loop can live through a whole day in seconds.
"""

import asyncio
import selectors
from typing import Any

_GRACE_SECONDS = 0.002
"""Real seconds that sockets and threads get before the clock jumps."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A selector event loop with a virtual clock that begins at 0 seconds."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Return the time of the virtual clock in seconds."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Advance the clock by this many seconds."""
        self._now += seconds

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - asyncio's
        """Wait for the threads of `asyncio.to_thread`, as long as they take: the clock would jump over a timeout."""
        await super().shutdown_default_executor()


class _JumpingSelector(selectors.DefaultSelector):
    """Waits a moment of real time for sockets, and then advances the loop's clock instead of sleeping."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:  # no timer is set, so only a socket or a thread can wake the loop
            return super().select(None)
        # Data may be on its way between two local sockets, or a thread may be about to wake the loop. Without this
        # moment the clock would jump over their time-outs.
        ready = super().select(min(timeout, _GRACE_SECONDS))
        if not ready and timeout > 0:
            self._loop.jump(timeout)
        return ready
