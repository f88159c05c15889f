"""What tests do instead of waiting: let other tasks run, and let time pass at once."""

import asyncio
from collections.abc import Callable


async def settle() -> None:
    """Let all other tasks of the loop run until they wait for something."""
    for _ in range(50):
        await asyncio.sleep(0)


class _Clock:
    """The clock of a loop, which tests can put forward."""

    def __init__(self, time: Callable[[], float]) -> None:
        self.ahead = 0.0
        self._time = time

    def __call__(self) -> float:
        return self._time() + self.ahead


def movable_clock() -> _Clock:
    """Give the running loop a clock that tests can put forward. Call it first before others keep `loop.time`."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop.time, _Clock):
        loop.time = _Clock(loop.time)  # type: ignore[method-assign]  # it goes with the loop, at the test's end
    assert isinstance(loop.time, _Clock)
    return loop.time


def pass_time(seconds: float = 3600) -> None:
    """Put the clock of the loop forward. Its timers of this time are due at once.

    So a time-out is longer than a busy machine ever takes, and ends exactly when the test says.
    """
    movable_clock().ahead += seconds
