"""An action that is repeated while other work goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager


@asynccontextmanager
async def every(seconds: float, action: Callable[[], object]) -> AsyncGenerator[None]:
    """Call the action again and again while the block runs.

    Args:
        seconds: The time between two calls, and before the first one.
        action: What to do.
    """
    task = asyncio.create_task(_call_for_ever(seconds, action))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _call_for_ever(seconds: float, action: Callable[[], object]) -> None:
    while True:
        await asyncio.sleep(seconds)
        action()
