"""Quotas: the calls of the last hour, counted exactly, and the headers that report their usage.

The figures and the form of the headers are from Meta's guide to rate limits and its OpenAPI description, read
2026-11-22.
"""

import math
from collections import deque
from collections.abc import Mapping
from typing import Literal, TypeAlias

import attrs

from .durations import HOUR
from .messages import dumps

UNREGISTERED_QUOTA = 200
"""Calls an hour for each app and WABA (Meta's guide to rate limits)."""

REGISTERED_QUOTA = 5000
"""Calls an hour where the WABA has a registered number (the same guide)."""

Quota: TypeAlias = int | Mapping[str, int] | Literal["meta"] | None
"""Calls an hour: one figure for all WABAs, figures by id, Meta's rule (`"meta"`), or no limit (`None`)."""

Rounding: TypeAlias = Literal["floor", "round"]
"""How a share becomes a whole percentage."""


@attrs.frozen
class QuotaUsage:
    """The usage of a quota right after one call."""

    used: int
    """Calls of the last hour, this one included."""
    quota: int
    """Calls an hour."""
    wait: float
    """Seconds until the next call would be admitted; 0 unless this one was throttled."""

    @property
    def is_throttled(self) -> bool:
        """Whether this call was above the quota."""
        return self.used > self.quota

    def percent(self, rounding: Rounding, step: int = 1) -> int:
        """Return the usage in percent, as a multiple of `step`. Throttled calls count, so it can exceed 100."""
        steps = 100 * self.used / self.quota / step
        return step * (math.floor(steps) if rounding == "floor" else round(steps))


class RollingHour:
    """The times of the calls of the last hour, in seconds of one clock that never goes back."""

    def __init__(self) -> None:
        self._times = deque[float]()

    def count(self, now: float, quota: int, calls: int = 1) -> QuotaUsage:
        """Count a call, which may count as several, and return the usage. A throttled call counts too."""
        self.spend(now, calls)
        used = len(self._times)
        if used <= quota:
            return QuotaUsage(used, quota, 0.0)
        # The next call is admitted when so many calls are over an hour old that it makes exactly `quota` again.
        return QuotaUsage(used, quota, self._times[used - quota] + HOUR - now)

    def spend(self, now: float, calls: int) -> None:
        """Count calls made by others, and forget calls that are an hour old."""
        self._times.extend([now] * calls)
        while self._times and self._times[0] <= now - HOUR:
            self._times.popleft()


class Quotas:
    """The quotas of all WABAs and of the app, and the headers that report their usage.

    Args:
        quota: Calls an hour for each WABA.
        app_quota: Calls an hour for the app; `None` sets no limit.
        usage_every: Usage headers come with every `usage_every`-th response; 0 sends none.
        rounding: How a share becomes a whole percentage in the headers.
        step: Percentages in the headers are multiples of this.

    Raises:
        ValueError: A quota or the step is below 1.
    """

    def __init__(
        self, quota: Quota, app_quota: int | None, usage_every: int, rounding: Rounding, step: int = 1
    ) -> None:
        given = [("quota", each) for each in (quota.values() if isinstance(quota, Mapping) else [quota])]
        for name, calls in [*given, ("app_quota", app_quota)]:
            if isinstance(calls, int) and calls < 1:
                raise ValueError(f"{name} must be 1 or more calls an hour, or None for no limit, not {calls}")
        if step < 1:
            raise ValueError(f"usage_step must be 1 percent or more, not {step}")
        self._quota = quota
        self._app_quota = app_quota
        self._usage_every = usage_every
        self._rounding: Rounding = rounding
        self._step = step
        self._hours: dict[str, RollingHour] = {}
        self._app = RollingHour()
        self._responses = 0

    def count_for_app(self, now: float, calls: int = 1) -> QuotaUsage | None:
        """Count a call for the app as `calls` calls, and return the usage, or `None` without a limit."""
        return None if self._app_quota is None else self._app.count(now, self._app_quota, calls)

    def count(self, waba_id: str, now: float, *, is_registered: bool) -> QuotaUsage | None:
        """Count a call for a WABA and return the usage, or `None` without a limit."""
        quota = self._quota_of(waba_id, is_registered=is_registered)
        return None if quota is None else self._hour(waba_id).count(now, quota)

    def spend(self, waba_id: str, now: float, calls: int) -> None:
        """Count calls that others made, for the WABA and for the app."""
        self._hour(waba_id).spend(now, calls)
        self._app.spend(now, calls)

    def headers(self, waba_id: str, usage: QuotaUsage | None, app_usage: QuotaUsage | None) -> dict[str, str]:
        """Return the usage headers of one response."""
        self._responses += 1
        if not self._usage_every or self._responses % self._usage_every:
            return {}
        headers: dict[str, str] = {}
        if usage is not None:
            headers["X-Business-Use-Case-Usage"] = self._business_usage(waba_id, usage)
        if app_usage is not None:
            percent = app_usage.percent(self._rounding, self._step)
            metrics = {"call_count": percent, "total_time": percent // 2, "total_cputime": percent // 2}
            headers["X-App-Usage"] = dumps(metrics).decode()
        return headers

    def _business_usage(self, waba_id: str, usage: QuotaUsage) -> str:
        # Two entries under one id, as in Meta's own example. The one that limits comes second on purpose: a client that
        # reads the first entry alone sees a tenth of the usage.
        percent = usage.percent(self._rounding, self._step)
        minutes = math.ceil(usage.wait / 60)
        entries = [
            _entry("whatsapp", percent // 10, 0),
            _entry("whatsapp_business_management", percent, minutes),
        ]
        return dumps({waba_id: entries}).decode()

    def _quota_of(self, waba_id: str, *, is_registered: bool) -> int | None:
        by_rule = REGISTERED_QUOTA if is_registered else UNREGISTERED_QUOTA
        if self._quota is None or isinstance(self._quota, int):
            return self._quota
        return by_rule if isinstance(self._quota, str) else self._quota.get(waba_id, by_rule)

    def _hour(self, waba_id: str) -> RollingHour:
        return self._hours.setdefault(waba_id, RollingHour())


def _entry(kind: str, percent: int, minutes: int) -> dict[str, object]:
    return {
        "type": kind,
        "call_count": percent,
        "total_cputime": percent // 2,
        "total_time": percent // 2,
        "estimated_time_to_regain_access": minutes,
    }
