"""What happens later, by the sandbox's clock."""

import heapq
import itertools
from collections.abc import Callable
from typing import Any

Action = Callable[[], Any]


class Schedule:
    """Actions and their times. Actions of one time run in the order in which they were added."""

    def __init__(self) -> None:
        self._planned: list[tuple[float, int, Action]] = []
        # Breaks ties in the heap, which otherwise would compare two functions.
        self._order = itertools.count()

    def add(self, at: float, action: Action) -> None:
        """Schedule an action for a time in seconds."""
        heapq.heappush(self._planned, (at, next(self._order), action))

    @property
    def next_at(self) -> float | None:
        """The time of the next action in seconds; `None` if there is none."""
        return self._planned[0][0] if self._planned else None

    def pop_due(self, now: float) -> Action | None:
        """Remove and return the next action that is due by `now`, or `None`."""
        return heapq.heappop(self._planned)[2] if self._planned and self._planned[0][0] <= now else None
