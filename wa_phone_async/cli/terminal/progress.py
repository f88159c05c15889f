"""The progress of an export: a bar on a terminal, a line every ten seconds in a pipe, and a summary at the end."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, Final

from wa_phone_async import (
    CallFinished,
    FleetPageFinished,
    QuotaWaitEnded,
    QuotaWaitStarted,
    ThrottleEnded,
    ThrottleStarted,
    WabaListing,
)
from wa_phone_async.export import Summary

from .output import counted, takes_escapes, tell
from .timer import every

_SECONDS_PER_LINE: Final = 10.0
_SECONDS_PER_DRAWING: Final = 0.2
_WIDTH: Final = 20  # columns of the bar
_LEAST_WIDTH: Final = 6  # with fewer columns beside the text, there is no bar


class Progress:
    """Counts what an export does.

    Args:
        total: How many accounts there are; `None` if that is unknown.
        resumed: What earlier runs have completed.
        clock: Returns the time in seconds.
    """

    def __init__(self, total: int | None, resumed: Summary, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.accounts: int = resumed.accounts
        """The accounts that are done: listed or failed."""
        self._resumed = resumed.accounts
        self._clock = clock
        self._began = clock()
        self._numbers = resumed.phone_numbers
        self._calls = 0
        self._calls_saved = 0
        self._failures = Counter[str]()
        self._waits = set[str | None]()  # the throttled accounts, and `None` for a quota wait
        self._waits_since = 0.0
        self._seconds_waited = 0.0

    def listed(self, listing: WabaListing) -> None:
        """Count an account that is listed or has failed."""
        self.accounts += 1
        self._numbers += len({number.id for number in listing.phone_numbers})  # as `Job` counts them
        if listing.error is not None:
            self._failures[type(listing.error).__name__] += 1

    def listed_elsewhere(self, accounts: int, numbers: int, calls: int) -> None:
        """Count accounts that other processes have listed."""
        self.accounts += accounts
        self._numbers += numbers
        self._calls += calls

    def count(self, event: Any) -> None:
        """Count the requests and the waits of an event. Subscribe it to a client."""
        if isinstance(event, CallFinished):
            self._calls += event.attempts
        elif isinstance(event, FleetPageFinished):
            self._calls_saved = event.calls_saved
        elif isinstance(event, ThrottleStarted | QuotaWaitStarted):
            self._add_wait()
            self._waits.add(event.node_id if isinstance(event, ThrottleStarted) else None)
        elif isinstance(event, ThrottleEnded | QuotaWaitEnded):
            self._add_wait()
            self._waits.discard(event.node_id if isinstance(event, ThrottleEnded) else None)

    def _add_wait(self) -> None:
        # All waits count once: an hour in which a hundred accounts are throttled is one hour. So the clock runs from
        # the first wait to the end of the last, and this is called before each change of their number.
        now = self._clock()
        self._seconds_waited += now - self._waits_since if self._waits else 0.0
        self._waits_since = now

    def line(self) -> str:
        """Say how far it is."""
        accounts = counted(self.accounts, "account")
        if self.total is not None:
            accounts = f"{self.accounts:,} of {counted(self.total, 'account')}"
        parts = [accounts, counted(self._numbers, "number"), counted(self._calls, "call")]
        if throttled := len(self._waits - {None}):
            parts.append(f"{throttled:,} throttled")
        if None in self._waits:
            parts.append("waiting for the hourly quota")
        if (left := self._seconds_left()) is not None:
            parts.append(f"{_duration(left)} left")
        return ", ".join(parts)

    def _seconds_left(self) -> float | None:
        done = self.accounts - self._resumed  # by this run: earlier ones say nothing about its speed
        if self.total is None or not done:
            return None
        return (self._clock() - self._began) / done * max(0, self.total - self.accounts)

    def summary(self, summary: Summary) -> str:
        """Say what the whole export has done."""
        text = f"{counted(summary.accounts, 'account')}, {counted(summary.phone_numbers, 'number')}"
        if summary.failed:
            kinds = ", ".join(f"{count:,} {name}" for name, count in self._failures.most_common())
            text += f"; {counted(summary.failed, 'account')} failed: {kinds}"
        text += f"; {counted(self._calls, 'call')}"
        if self._calls_saved > 0:
            text += f" ({self._calls_saved:,} saved)"
        self._add_wait()
        waited = round(self._seconds_waited)
        return f"{text}, waited for {_duration(waited)}" if waited else text


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


@asynccontextmanager
async def showing(progress: Progress) -> AsyncGenerator[None]:
    """Show the progress on stderr while the block runs."""
    with _bar(progress) if takes_escapes(sys.stderr) else _lines(progress) as (show, seconds):
        async with every(seconds, show):
            yield


_Display = tuple[Callable[[], object], float]
"""What shows the progress once, and the seconds until it is shown again."""


@contextmanager
def _lines(progress: Progress) -> Generator[_Display]:
    yield lambda: tell(progress.line()), _SECONDS_PER_LINE


@contextmanager
def _bar(progress: Progress) -> Generator[_Display]:
    from rich.progress_bar import ProgressBar  # noqa: PLC0415 - rich, which only a terminal needs
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    from .redraw import RedrawnLine  # noqa: PLC0415 - which needs it too

    with RedrawnLine(sys.stderr) as line:

        def show() -> None:
            text, table = progress.line(), Table.grid(padding=(0, 1))
            cells: list[ProgressBar | Text] = [Text(text, no_wrap=True, overflow="ellipsis")]
            if (room := line.width - len(text) - 1) >= _LEAST_WIDTH:
                cells.insert(0, ProgressBar(progress.total, progress.accounts, width=min(room, _WIDTH)))
            table.add_row(*cells)
            line.draw(table)

        yield show, _SECONDS_PER_DRAWING
