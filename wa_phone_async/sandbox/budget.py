"""The calls of the last hour, counted exactly, and the headers that tell of them.

The numbers and the shape of the headers: Meta's guide to rate limits and its OpenAPI description, read 2026-11-22.
"""

import math
from collections import deque
from collections.abc import Mapping
from typing import Literal, TypeAlias

import attrs

from .messages import dumps

HOUR = 3600.0
"""The window, in seconds."""

UNREGISTERED_QUOTA = 200
"""Calls an hour for each app and WABA (RL)."""

REGISTERED_QUOTA = 5000
"""The same, where the WABA has a registered number (RL)."""

Quota: TypeAlias = int | Mapping[str, int] | Literal["meta"] | None
"""Calls an hour: for all WABAs, for some by id, by Meta's rule (`"meta"`), or without end (`None`)."""

Rounding: TypeAlias = Literal["floor", "round"]
"""How a share becomes a whole percentage."""


@attrs.frozen
class Charge:
    """What one call found: the count of the hour with itself in it, against the quota."""

    used: int
    quota: int
    wait: float
    """Seconds until a call would be admitted; 0 unless this one was refused."""

    @property
    def is_refused(self) -> bool:
        """Whether the call was one too many."""
        return self.used > self.quota

    def percent(self, rounding: Rounding, step: int = 1) -> int:
        """Give the share used in percent, a multiple of `step`; above 100 where refused calls were counted."""
        steps = 100 * self.used / self.quota / step
        return step * (math.floor(steps) if rounding == "floor" else round(steps))


class RollingHour:
    """The times of the calls of the last hour. Times are seconds of one clock that never goes back."""

    def __init__(self) -> None:
        self._times = deque[float]()

    def charge(self, now: float, quota: int) -> Charge:
        """Count a call, one that is refused too, since those count as well."""
        self.spend(now, 1)
        used = len(self._times)
        if used <= quota:
            return Charge(used, quota, 0.0)
        return Charge(used, quota, self._times[used - quota] + HOUR - now)

    def spend(self, now: float, calls: int) -> None:
        """Count calls that somebody made, and forget those that an hour has passed over."""
        self._times.extend([now] * calls)
        while self._times and self._times[0] <= now - HOUR:
            self._times.popleft()


class Meter:
    """The budgets of all WABAs and of the app, and the headers that say how full they are.

    Headers come with every `usage_every`-th answer; 0 sends none. Percentages in them are multiples of `step`.

    Raises:
        ValueError: A quota or the step is below 1.
    """

    def __init__(
        self, quota: Quota, app_quota: int | None, usage_every: int, rounding: Rounding, step: int = 1
    ) -> None:
        given = quota.values() if isinstance(quota, Mapping) else (quota,)
        if any(isinstance(each, int) and each < 1 for each in (*given, app_quota)):
            raise ValueError("a quota is 1 call an hour or more, or None for no limit")
        if step < 1:
            raise ValueError("percentages come in steps of 1 or more")
        self._quota = quota
        self._app_quota = app_quota
        self._usage_every = usage_every
        self._rounding: Rounding = rounding
        self._step = step
        self._hours: dict[str, RollingHour] = {}
        self._app = RollingHour()
        self._answers = 0

    def charge_app(self, now: float) -> Charge | None:
        """Count a call against the app, `None` if it has no limit."""
        return None if self._app_quota is None else self._app.charge(now, self._app_quota)

    def charge(self, waba_id: str, now: float, *, is_registered: bool) -> Charge | None:
        """Count a call against a WABA, `None` if it has no limit."""
        quota = self._quota_of(waba_id, is_registered=is_registered)
        return None if quota is None else self._hour(waba_id).charge(now, quota)

    def spend(self, waba_id: str, now: float, calls: int) -> None:
        """Count calls that somebody else made on a WABA, for the app too."""
        self._hour(waba_id).spend(now, calls)
        self._app.spend(now, calls)

    def headers(self, waba_id: str, charge: Charge | None, app: Charge | None) -> dict[str, str]:
        """Write the usage headers of one answer."""
        self._answers += 1
        if not self._usage_every or self._answers % self._usage_every:
            return {}
        headers: dict[str, str] = {}
        if charge is not None:
            headers["X-Business-Use-Case-Usage"] = self._business_usage(waba_id, charge)
        if app is not None:
            percent = app.percent(self._rounding, self._step)
            usage = {"call_count": percent, "total_time": percent // 2, "total_cputime": percent // 2}
            headers["X-App-Usage"] = dumps(usage).decode()
        return headers

    def _business_usage(self, waba_id: str, charge: Charge) -> str:
        """Write two entries under one id, as in Meta's example; the first is not the one that counts."""
        percent = charge.percent(self._rounding, self._step)
        minutes = math.ceil(charge.wait / 60)
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
