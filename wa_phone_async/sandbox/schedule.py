"""What is to happen later, by the sandbox's clock."""

import heapq
import itertools
from collections.abc import Callable
from typing import Any

Action = Callable[[], Any]


class Agenda:
    """Actions and their times. Those of one time happen in the order in which they were written down."""

    def __init__(self) -> None:
        self._planned: list[tuple[float, int, Action]] = []
        self._order = itertools.count()

    def add(self, at: float, action: Action) -> None:
        """Write down an action for a time."""
        heapq.heappush(self._planned, (at, next(self._order), action))

    @property
    def next_at(self) -> float | None:
        """The time of the next action, `None` if there is none."""
        return self._planned[0][0] if self._planned else None

    def take(self, now: float) -> Action | None:
        """Take out the next action whose time has come."""
        return heapq.heappop(self._planned)[2] if self._planned and self._planned[0][0] <= now else None
