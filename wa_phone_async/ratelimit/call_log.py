"""When our calls of the last hour ended."""

import math
from array import array
from bisect import bisect_left, bisect_right


class CallLog:
    """The times at which our calls ended, oldest first. 8 bytes a call; all but `count` take constant time."""

    __slots__ = ("_head", "_times", "oldest", "size")

    def __init__(self) -> None:
        self._times = array("d")
        self._head = 0  # the calls before it are dropped, and still in memory
        self.oldest: float = math.inf
        """When the oldest call in the log ended; infinity when the log is empty."""
        self.size: int = 0
        """How many calls are in the log."""

    def nth(self, index: int) -> float:
        """The time of one call, counted from the oldest, which is 0."""
        return self._times[self._head + index]

    def add(self, now: float) -> None:
        """Log a call that ended `now`, or at the time of the last one if the clock went back."""
        if not self.size:
            self.oldest = now
        elif now < self._times[-1]:
            now = self._times[-1]  # the times stay in order, or the searches would miss some
        self._times.append(now)
        self.size += 1

    def drop(self, until: float) -> None:
        """Drop the calls that ended at `until` or before."""
        if self.oldest > until:
            return
        times = self._times
        self._head = bisect_right(times, until, self._head)
        if self._head > len(times) // 2:
            # Memory is freed only when most of it is waste. So each call is moved about once in its life.
            del times[: self._head]
            self._head = 0
        self.size = len(times) - self._head
        self.oldest = times[self._head] if self.size else math.inf

    def count(self, after: float, before: float) -> int:
        """Count the calls that ended later than `after` and earlier than `before`."""
        head = bisect_right(self._times, after, self._head)
        return max(0, bisect_left(self._times, before, head) - head)
