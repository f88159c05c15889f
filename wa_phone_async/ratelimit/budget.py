"""How many calls an hourly quota has left. This is pure: it reads no clock and waits for nothing.

A budget keeps an exact log of our own calls, and calibrates it by the usage headers of the responses:

    admit  ⇔  now ≥ cooldown_until  and  own + others + 1 ≤ quota · (0.97 if others > 0 else 1)

- `own` are our calls in flight, and those that ended within the last 61 minutes. Throttled calls count too.
- `others` are the calls that the headers count and our log does not know.
- `quota` is the smallest possible quota that the headers have not disproved. `p` percent after `n` calls of ours prove
  that it is larger than `100·n/(p+1)`.

When the log is full, single probes may look for a larger quota. There is one a minute where the headers hint at more.
There is one in ten seconds where they hint at far more, and until one of the probes has usage in its response.

Facts, from Meta's Graph guide "Rate limiting" and its WhatsApp pages, read 2026-11-22: a WABA has 200 calls an hour for
each app, or 5,000 once it has a registered number. An app as a whole has 200 for each of its users. The hour rolls, and
throttled calls count too. Codes 4, 17, 80007 and 80008 mean throttled. Two more things are caution, and no documented
fact: a percentage may lag behind the calls, and it may be rounded or come in steps of five.

All times are seconds on one monotonic clock. The caller reads it and passes it as `now`.
"""

import heapq
import math
from collections.abc import Hashable
from typing import Final, cast

import attrs

from wa_phone_async.usage import LONGEST_WAIT_SECONDS, Usage, UsageMetric

from .call_log import CallLog
from .limiter import Lease, Report, Scope

WABA_QUOTAS: Final = (200, 5000)
"""The quotas that a WABA can have, in calls an hour, ascending."""

APP_QUOTAS: Final = (200,)
"""The least quota that an app can have: 200 calls an hour for each user, and one user. Usage has to prove more."""

MAX_KEYS: Final = 10_000
"""How many WABAs are remembered before the emptiest are forgotten."""

# Meta forgets a call an hour after it came. Our log has the time of its end, which is later. The extra minute is for a
# server that counts in whole minutes. Calls that are a minute younger than an hour are surely counted.
_KEPT_SECONDS: Final = 3660.0
_SURE_SECONDS: Final = 3540.0
# A percentage may lag behind the calls, so a small difference proves nothing while the calls are younger than this. A
# great difference proves at once where the percentage counts anything, and after the shorter time where it is 0.
_LAG_SECONDS: Final = 60.0
_BURST_LAG_SECONDS: Final = 10.0
# While others use the quota too, usage that is older than this says too little for many calls at once.
_STALE_SECONDS: Final = 60.0
# The others may call while our own call is on its way.
_SHARED_FRACTION: Final = 0.97
# A quota is disproved when the calls prove so many times as much. The first margin is for rounded percentages. The
# second is for a burst: the headers may not count all its calls yet.
_DISPROOF: Final = 1.05
_BURST_DISPROOF: Final = 4.0
# The time from the last call to a probe: where others left some quota, where they left none, and without usage.
_PROBE_SECONDS: Final = 60.0
_PROBE_OTHERS_SECONDS: Final = 300.0
_PROBE_BLIND_SECONDS: Final = 10.0
# Without usage, only a throttled probe says that there is no more. It is believed for an hour.
_PROBE_AGAIN_SECONDS: Final = 3600.0
# A call that waits for another one's end has no time of its own. This is when to try again without that end.
_SOON_SECONDS: Final = 1.0
_COOLDOWN_SECONDS: Final = 60.0
_COOLDOWN_DOUBLINGS: Final = 5
# After so many responses without usage, there seem to be no headers at all.
_RESPONSES_WITHOUT_USAGE: Final = 100
_SPARE_PERCENT: Final = 90.0
_FULL_PERCENT: Final = 100.0
_COARSEST_STEP: Final = 10
_SWEEP_SECONDS: Final = 600.0
_FORGET_SECONDS: Final = 86_400.0


@attrs.define(eq=False, on_setattr=attrs.setters.NO_OP)
class Budget:
    """How many calls are left of one quota.

    `admit` and `take` count a call as in flight, which uses quota. The caller owes one report for each: `accepted`,
    `throttled`, `throttled_elsewhere`, `counted` or `unsent`.
    """

    quotas: tuple[int, ...] = WABA_QUOTAS
    """The possible quotas, in calls an hour, ascending. Above the last, the quota is what usage has proved."""

    fixed: float | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1.0)))
    """The quota, in calls an hour, as the caller knows it; `None` to find out. It wins over all usage."""

    certain: bool = True
    """Whether there surely is a limit. If not, nothing is limited until usage or a throttled call shows one."""

    # The log: our own calls.

    _log: CallLog = attrs.field(init=False, factory=CallLog)
    _in_flight: int = attrs.field(init=False, default=0)
    # One at first, and one more for each response: others may have used the quota up, and a burst would be throttled
    # as a whole. The first usage says how full the quota is. From then on the count is what limits.
    _max_in_flight: float = attrs.field(init=False, default=1)
    _last_sent: float = attrs.field(init=False, default=-math.inf)

    # The estimate: what the headers of all responses so far tell of the quota.

    _proven: float = attrs.field(init=False, default=-1.0)  # the quota is at least this; -1 until `_set_quota` ran
    _quota: float = attrs.field(init=False)
    # `_proven` has to exceed this to change the quota. It saves counting the log where the result could not matter.
    _proof_needed: float = attrs.field(init=False, default=0.0)
    _others: int = attrs.field(init=False, default=0)
    # One more call may go while at most so many are ours. Kept and not derived each time: every call needs it, and the
    # quota and the others change rarely.
    _max_own: float = attrs.field(init=False)

    # The last usage, by the time of its request: responses may overtake each other.

    _percent: float | None = attrs.field(init=False, default=None)
    _usage_at: float = attrs.field(init=False, default=-math.inf)  # when its response came
    _usage_sent: float = attrs.field(init=False, default=-math.inf)  # when its request was sent
    _without_usage: int = attrs.field(init=False, default=0)  # responses since then
    # All percentages so far are multiples of this, which tells whole percents from steps of five; 0 before the first.
    _percent_step: int = attrs.field(init=False, default=0)
    # A percentage may be off by the first, and by no more than the second. While the step is unknown, others are seen
    # by the smaller error, and the quota is disproved by the larger one: both err on the side of fewer calls.
    _percent_error: int = attrs.field(init=False, default=1)
    _max_percent_error: int = attrs.field(init=False, default=_COARSEST_STEP)

    # The gate: the cooldown after a throttled call.

    _cooldown_until: float = attrs.field(init=False, default=-math.inf)
    _cooldown_from: float = attrs.field(init=False, default=-math.inf)
    _server_cooldown_until: float = attrs.field(init=False, default=-math.inf)  # the end that the server itself named
    _cooldowns: int = attrs.field(init=False, default=0)  # in a row, without an accepted call between them

    def __attrs_post_init__(self) -> None:
        """Begin with the smallest possible quota, or with none."""
        self._set_quota(0.0)
        if not self.certain:
            # One at a time would be slow for nothing where there may be no limit.
            self._max_in_flight = math.inf

    # State

    @property
    def quota(self) -> float:
        """The quota that is believed in, in calls an hour."""
        return self._quota

    @property
    def others(self) -> int:
        """The most calls that others made within the last hour; 0 while usage shows none."""
        return self._others

    @property
    def cooldown_until(self) -> float:
        """When the cooldown ends. Without one, a time in the past or minus infinity."""
        return self._cooldown_until

    def used(self, now: float) -> int:
        """Count our own calls that Meta may still count: in flight, or ended within the last 61 minutes."""
        self._log.drop(now - _KEPT_SECONDS)
        return self._log.size + self._in_flight

    def disposable(self, now: float) -> bool:
        """Whether this budget can be forgotten safely: nothing in flight, no cooldown, and half the quota left."""
        return not self._in_flight and self._cooldown_until <= now and 2 * self.used(now) <= self._quota

    def idle(self, now: float) -> bool:
        """Whether it had neither a call nor a cooldown for a day. What it knows is out of date then."""
        return self.disposable(now) and max(self._last_sent, self._cooldown_until) + _FORGET_SECONDS < now

    # Admission

    def admit(self, now: float) -> float:
        """Let one call go, if there is quota for it.

        Returns:
            `now` if the call may go; it is in flight then. Otherwise a later time at which to try again. Where that
            depends on a call in flight, it is a second from now; try also as soon as any call ends.
        """
        when = self.peek(now)
        if when <= now:
            self.take(now)
        return when

    def peek(self, now: float, ahead: int = 0) -> float:
        """Return what `admit` would if `ahead` more calls went first, and change nothing."""
        if now < self._cooldown_until:
            return self._cooldown_until
        log, in_flight = self._log, self._in_flight
        if log.oldest <= now - _KEPT_SECONDS:
            log.drop(now - _KEPT_SECONDS)
        if in_flight >= self._max_in_flight:
            return now + _SOON_SECONDS
        used = log.size + in_flight + ahead
        if used > self._max_own:
            return self._when_full(now, used)
        if self._others and in_flight and now > self._usage_at + _STALE_SECONDS:
            # Nobody knows what the others did since. One call at a time finds out at the cost of one.
            return now + _SOON_SECONDS
        return now

    def take(self, now: float) -> None:
        """Count one call as in flight."""
        self._in_flight += 1
        self._last_sent = now

    def _when_full(self, now: float, used: int) -> float:
        """When the next call may go though the log is full: as a probe, or when enough calls have left the hour."""
        probe_at = self._next_probe()
        if self._in_flight and probe_at < math.inf:
            # The response to a call in flight may tell as much as a probe, and costs nothing more.
            return now + _SOON_SECONDS
        if probe_at <= now:
            return now
        return min(probe_at, self._free_at(now, used))

    def _free_at(self, now: float, used: int) -> float:
        """When so many calls have left the hour that one more may go."""
        expiries = math.ceil(used - self._max_own)
        return (self._log.nth(expiries - 1) if expiries <= self._log.size else now) + _KEPT_SECONDS

    def free_at(self, now: float, ahead: int = 0) -> float:
        """Return when a call can go at the latest: `peek` may name a probe, and that may find that no quota is left."""
        used = self._log.size + self._in_flight + ahead
        if now < self._cooldown_until or used <= self._max_own:
            return self.peek(now, ahead)
        return self._free_at(now, used)

    def opens_at(self, now: float) -> float:
        """Return when the passing of time alone lets a call go that may not go `now`.

        It is infinity if only the end of a call in flight can let it go.
        """
        if now < self._cooldown_until:
            return self._cooldown_until
        used = self._log.size + self._in_flight
        if self._in_flight >= self._max_in_flight or used <= self._max_own:
            return math.inf
        return self._free_at(now, used) if self._in_flight else self._when_full(now, used)

    def _next_probe(self) -> float:
        """When one call beyond the full log may find out whether the quota is larger than we think."""
        is_told = self._server_cooldown_until >= self._cooldown_until > self._last_sent
        if is_told and self._cooldowns < _COOLDOWN_DOUBLINGS:
            # The server knows better than our log. But if it throttles at its own time again and again, it is wrong.
            return self._server_cooldown_until
        if self._others:
            # The others' calls leave the hour at times that our log does not know. Where some quota was left, a probe
            # risks little. Where none was, a throttled probe would count as well, so it waits longer.
            is_spare = (self._percent or 0.0) <= _SPARE_PERCENT
            return self._last_sent + (_PROBE_SECONDS if is_spare else _PROBE_OTHERS_SECONDS)
        if self.fixed is not None:
            return math.inf
        if self._without_usage >= _RESPONSES_WITHOUT_USAGE:
            # Without headers only a probe tells 5,000 from 200. If it is throttled, others may be the reason.
            return max(self._last_sent + _PROBE_BLIND_SECONDS, self._cooldown_from + _PROBE_AGAIN_SECONDS)
        if self._hints_at_more():
            # A probe whose response had no usage has told nothing, so the next one need not wait as long.
            wait = _BURST_LAG_SECONDS if self._hints_at_much_more() else _PROBE_SECONDS
            return max(self._last_sent + _PROBE_BLIND_SECONDS, self._usage_at + wait)
        return math.inf

    def _hints_at_more(self) -> bool:
        """Whether the last percentage is too small for the quota, though it does not disprove it yet."""
        sure = self._surely_counted(self._usage_at, self._usage_sent)
        return self._least_quota(self._percent or 0.0, sure) > _DISPROOF * self._quota or self._hints_at_much_more()

    def _hints_at_much_more(self) -> bool:
        """Whether the last percentage is far too small for the quota."""
        # Of a burst that left at once, no call is surely counted when another one's response is made. So all count.
        calls = self._log.count(self._usage_at - _SURE_SECONDS, math.inf)
        return self._least_quota(self._percent or 0.0, calls) > _BURST_DISPROOF * self._quota

    # Reports

    def accepted(self, now: float, metric: UsageMetric | None, sent: float) -> None:
        """Report a call that was not throttled, even if it was an API error of another kind.

        Args:
            now: When its response came.
            metric: What the headers of the response say of this quota.
            sent: When the call was admitted.
        """
        if sent > self._cooldown_from:
            # Only a call that was sent after the cooldown began shows that it is over.
            self._cooldowns = 0
            self._max_in_flight += 1
        self._count(now)
        self._learn(now, metric, sent)
        if metric is None or metric.calls_percent is None:
            self._without_usage += 1
            self._learn_from_success(now, sent)
        elif sent > self._cooldown_from:
            self._max_in_flight = math.inf
        if metric is not None and metric.load_percent >= _FULL_PERCENT:
            # Calls are left, but the server's time is used up: the next call would be throttled.
            self._cool_down(now, max(_COOLDOWN_SECONDS, metric.regain_seconds))

    def throttled(self, now: float, metric: UsageMetric | None, sent: float, seconds: float | None = None) -> None:
        """Report a call that was throttled for this quota. It counts as well.

        Args:
            now: When its response came.
            metric: What the headers of the response say of this quota.
            sent: When the call was admitted.
            seconds: How long the server said to wait, up to a day; `None` for cooldowns of 1, 2, 4 … 32 minutes.
        """
        regain = metric.regain_seconds if metric else 0.0
        told = min(max(seconds or 0.0, regain), LONGEST_WAIT_SECONDS)
        if sent > self._cooldown_from:
            # The other calls that were in flight when the cooldown began are no new reason for a longer one.
            is_told = seconds is not None or regain > 0.0  # `Retry-After: 0` says to go on at once
            self._cool_down(now, told if is_told else _COOLDOWN_SECONDS * 2**self._cooldowns)
            self._cooldowns = min(self._cooldowns + 1, _COOLDOWN_DOUBLINGS)
        self._cooldown_until = max(self._cooldown_until, now + told)
        if told:
            self._server_cooldown_until = self._cooldown_until
        if metric is not None and metric.calls_percent is not None:
            # The quota that was proven has allowed this call, so the proof was wrong. This percentage begins it again.
            self._proven = self._proof_needed = 0.0
        self.counted(now, metric, sent)

    def throttled_elsewhere(self, now: float, metric: UsageMetric | None, sent: float) -> None:
        """Report a call that was throttled for another quota. It counts, and this quota may be used up as well."""
        self.counted(now, metric, sent)
        if metric is not None and metric.percent >= _FULL_PERCENT and metric.regain_seconds:
            self._cool_down(now, metric.regain_seconds)

    def counted(self, now: float, metric: UsageMetric | None, sent: float) -> None:
        """Report a call that Meta may have counted, such as a lost one. Nothing follows but what `metric` says."""
        self._count(now)
        self._learn(now, metric, sent)

    def _count(self, now: float) -> None:
        """Move a call that was in flight to the log."""
        if self._in_flight:
            self._in_flight -= 1
        self._log.add(now)

    def unsent(self) -> None:
        """Report a call that provably never reached Meta. It uses no quota."""
        self._in_flight = max(0, self._in_flight - 1)

    def _cool_down(self, now: float, seconds: float) -> None:
        self._cooldown_from = now
        self._cooldown_until = max(self._cooldown_until, now + min(seconds, LONGEST_WAIT_SECONDS))
        self._max_in_flight = 1  # one probe at its end: if that is throttled too, it is the only one

    # Calibration

    def _learn(self, now: float, metric: UsageMetric | None, sent: float) -> None:
        """Take in the percentage of one response, if it has one."""
        percent = None if metric is None else metric.calls_percent
        if percent is None:
            return
        self._without_usage = 0
        if percent != self._percent and self._percent_step != 1:
            self._set_step(percent)
        # Of two requests that were sent at the same time, the server counted the fuller one later.
        is_newest = (sent, percent) >= (self._usage_sent, self._percent or 0.0)
        if is_newest:
            self._percent, self._usage_at, self._usage_sent = percent, now, sent
        # Counting the log costs time. It can change nothing unless all of our calls together would prove more.
        calls = self._log.size
        if 100.0 * calls > self._proof_needed * (percent + self._max_percent_error):
            sure = self._surely_counted(now, min(sent, now - _LAG_SECONDS))
            self._set_quota(self._least_quota(percent, sure))
            sure = self._surely_counted(now, sent if percent else min(sent, now - _BURST_LAG_SECONDS))
            burst = self._least_quota(percent, sure)
            if burst > _BURST_DISPROOF * self._quota:
                self._set_quota(burst)
        if is_newest and (
            self._others or (percent - self._percent_error) * self._quota > 100.0 * (calls + self._in_flight)
        ):
            self._set_others(now, percent, sent)

    def _set_step(self, percent: float) -> None:
        """Find out how coarse the percentages are, such as whole ones or only every fifth."""
        self._percent_step = math.gcd(self._percent_step, int(percent)) if percent.is_integer() else 1
        self._max_percent_error = min(self._percent_step or _COARSEST_STEP, _COARSEST_STEP)
        self._percent_error = self._percent_step if 0 < self._percent_step <= _COARSEST_STEP else 1

    def _least_quota(self, percent: float, calls: int) -> float:
        """The quota that so many calls prove, if they are no more than `percent` percent of it."""
        return 100.0 * calls / (percent + self._max_percent_error)

    def _surely_counted(self, now: float, before: float) -> int:
        """Count the calls that the server surely counted when it made a response at `now`, that call included."""
        return self._log.count(now - _SURE_SECONDS, before) + 1

    def _learn_from_success(self, now: float, sent: float) -> None:
        """Take in a response without usage: it tells only that the quota is larger than the calls so far."""
        if self._others and now > self._usage_at + _KEPT_SECONDS:
            # All calls that the last usage counted have left the hour.
            self._others = 0
            self._set_max_own()
        if self._without_usage >= _RESPONSES_WITHOUT_USAGE and self._log.size > self._quota:
            self._set_quota(_DISPROOF * self._surely_counted(now, sent))

    def _set_quota(self, proven: float) -> None:
        """Derive the quota: the caller's, or the smallest possible one that is not disproved.

        Args:
            proven: The quota is at least this, in calls an hour. It changes nothing if more is proven already.
        """
        if proven <= self._proven:
            return
        self._proven = self._proof_needed = proven
        self._quota = self.fixed or self._proven
        if self.fixed is not None:
            self._proof_needed = math.inf
        elif not self.certain and not self._proven:
            self._quota = math.inf
        else:
            for quota in self.quotas:
                if self._proven <= quota * _DISPROOF:
                    self._quota, self._proof_needed = quota, quota * _DISPROOF
                    break
        self._set_max_own()

    def _set_others(self, now: float, percent: float, sent: float) -> None:
        """Derive the calls of others: what the percentage counts beyond our own."""
        sure = self._surely_counted(now, min(sent, now - _LAG_SECONDS))
        # A percentage may count a call in flight or not. It is taken to, until there is proof of others. From then on
        # it is taken not to, or the more calls are in flight, the fewer others there would seem to be.
        mine = sure if self._others else self._log.size + self._in_flight
        others = 0
        if self._quota < math.inf and (percent - self._percent_error) * self._quota > 100.0 * mine:
            most = (percent + max(1.0, self._percent_error / 2.0)) * self._quota / 100.0
            others = max(0, math.ceil(most) - 1 - sure)
        if others != self._others:
            self._others = others
            self._set_max_own()

    def _set_max_own(self) -> None:
        self._max_own = self._quota * (_SHARED_FRACTION if self._others else 1.0) - self._others - 1.0


_SCOPES: Final[tuple[Scope, ...]] = ("waba", "app", "token")
"""Whose budgets a call is charged to, in the order of `BudgetBook`."""


@attrs.frozen
class WaitCause:
    """Why a call waits."""

    until: float
    """When to try again, on the clock of the book."""
    free_at: float
    """When it can go at the latest, if nobody else uses the quota: see `Budget.free_at`."""
    scope: Scope
    """Whose quota or cooldown it is."""
    is_throttled: bool
    """Whether it is a cooldown."""


def _cooldown_only() -> Budget:
    """A budget without a quota. Only a cooldown can stop its calls."""
    return Budget((), math.inf, certain=False)


@attrs.define(eq=False)
class BudgetBook:
    """All budgets of one app: one for each WABA, one for the app, and one for each token that was ever throttled.

    A call needs quota in all budgets that it is charged to, and waits for the latest of their times. So waits never add
    up. Each admitted call needs one report.

    The key `None` is for calls on something that is no WABA, such as a business. Only the app's quota counts for them,
    and usage of any other is ignored. If they are throttled, and neither the app nor the token is, all calls under
    `None` cool down.
    """

    quota: float | None = None
    """The quota of each WABA, in calls an hour; `None` to find out."""

    app_quota: float | None = None
    """The quota of the app as a whole, in calls an hour; `None` to find out."""

    max_keys: int = MAX_KEYS
    """How many WABAs are remembered. Beyond that the emptiest are forgotten, and never one that cools down or has used
    more than half its quota."""

    app: Budget = attrs.field(init=False)
    """The budget of the app as a whole."""

    _wabas: dict[str, Budget] = attrs.field(init=False, factory=dict[str, Budget])
    # Most tokens are never throttled, so only those that were have a budget, and pay for one.
    _tokens: dict[Hashable, Budget] = attrs.field(init=False, factory=dict[Hashable, Budget])
    _unassigned: Budget = attrs.field(init=False, factory=_cooldown_only)
    _usages: dict[str | None, Usage] = attrs.field(init=False, factory=dict[str | None, Usage])
    _crowded_at: int = attrs.field(init=False)  # so many WABAs are too many: more than `max_keys` where few may go
    _sweep_at: float = attrs.field(init=False, default=-math.inf)

    def __attrs_post_init__(self) -> None:
        """Begin with an app of unknown quota: only usage or a throttled call can limit it."""
        self.app = Budget(APP_QUOTAS, self.app_quota, certain=False)
        self._crowded_at = self.max_keys

    def __len__(self) -> int:
        """How many WABAs are remembered."""
        return len(self._wabas)

    def waba(self, key: str) -> Budget | None:
        """The budget of one WABA, or `None` if it is not remembered."""
        return self._wabas.get(key)

    def last_usage(self, key: str | None) -> Usage | None:
        """The usage in the last response under this key, or `None` if none had any."""
        return self._usages.get(key)

    def admit(self, key: str | None, now: float, token: Hashable = None) -> float:
        """Let one call go, if all its budgets have quota for it. Returns what `Budget.admit` does.

        Args:
            key: The WABA that is called, or `None` where it is none.
            now: The present time.
            token: Stands for the access token. A digest does; it need not be the token itself.
        """
        if now >= self._sweep_at:
            self._sweep(now)
        charged = self._charged(key, now, token)
        when = now
        for budget in charged:
            when = max(when, budget.peek(now))
        if when <= now:
            # No budget counts the call until all of them admit it.
            for budget in charged:
                budget.take(now)
        return when

    def take(self, key: str | None, now: float, token: Hashable = None) -> None:
        """Count one call as in flight that another process's rule has admitted."""
        for budget in self._charged(key, now, token):
            budget.take(now)

    def peek(self, key: str | None, now: float, token: Hashable = None, ahead: int = 0) -> float:
        """Return what `admit` would if `ahead` more calls of this WABA went first, and change nothing."""
        if now >= self._sweep_at:
            self._sweep(now)
        return max([budget.peek(now, ahead) for budget in self._charged(key, now, token)])

    def blocker(self, key: str | None, now: float, token: Hashable = None) -> tuple[Scope | None, float]:
        """Say what stops a call now, and when the passing of time alone ends that: see `Budget.opens_at`.

        Returns:
            The first that stops it of its WABA, the app and its token, and the time; `None` and `now` if none does.
        """
        for scope, budget in zip(_SCOPES, self._charged(key, now, token), strict=False):
            if budget.peek(now) > now:
                return scope, budget.opens_at(now)
        return None, now

    def cause(self, key: str | None, now: float, token: Hashable = None, ahead: int = 0) -> WaitCause:
        """Say what a call waits for longest, if `ahead` more calls of its WABA go first."""
        budgets = zip(_SCOPES, self._charged(key, now, token), strict=False)
        causes = [
            WaitCause(budget.peek(now, ahead), budget.free_at(now, ahead), scope, now < budget.cooldown_until)
            for scope, budget in budgets
        ]
        return max(causes, key=lambda cause: cause.until)

    def report(self, lease: Lease, report: Report, now: float) -> float:
        """Report what happened to a call. A throttled call begins a cooldown of the app, the token or the WABA.

        Returns:
            The time before which a throttled call must not be retried; `now` for all others.
        """
        key, token, sent, result = lease.waba_id, lease.token, lease.since, report.result
        scope, usage = report.scope or "waba", report.usage or _NO_USAGE
        if result == "throttled" and scope == "token":
            self._tokens.setdefault(token, _cooldown_only())
        if report.usage is not None and result in {"accepted", "throttled"}:
            self._usages[key] = report.usage
        # Without a WABA, the usage of a WABA in the headers is that of some other call.
        waba = None if key is None and result == "accepted" else usage.waba
        charged = self._charged(key, now, token)
        for budget, name, metric in zip(charged, _SCOPES, (waba, usage.app, None), strict=False):
            match result:
                case "accepted":
                    budget.accepted(now, metric, sent)
                case "throttled" if name == scope:
                    budget.throttled(now, metric, sent, usage.retry_after_seconds)
                case "throttled":
                    budget.throttled_elsewhere(now, metric, sent)
                case "lost":
                    budget.counted(now, None, sent)
                case _:  # unsent
                    budget.unsent()
        return max(now, *(budget.cooldown_until for budget in charged)) if result == "throttled" else now

    def _charged(self, key: str | None, now: float, token: Hashable) -> tuple[Budget, ...]:
        """The budgets that a call is charged to: the WABA's, the app's, and the token's if it was ever throttled."""
        waba = self._unassigned if key is None else self._wabas.get(key)
        if waba is None:
            if len(self._wabas) >= self._crowded_at:
                self._forget_emptiest(now)
            waba = self._wabas[cast("str", key)] = Budget(WABA_QUOTAS, self.quota)
        return (waba, self.app, self._tokens[token]) if token in self._tokens else (waba, self.app)

    def _forget_emptiest(self, now: float) -> None:
        """Forget a tenth of the WABAs at once, which makes a stream of new ones cost little for each."""
        spare = max(1, self.max_keys // 10)
        fill = {key: budget.used(now) for key, budget in self._wabas.items() if budget.disposable(now)}
        for key in heapq.nsmallest(spare, fill, key=fill.__getitem__):
            self._forget(key)
        # Where few could go, the next search waits until there are a tenth more. It would find nothing before that.
        self._crowded_at = max(self.max_keys, len(self._wabas) + max(spare, len(self._wabas) // 10))

    def _forget(self, key: str) -> None:
        del self._wabas[key]
        self._usages.pop(key, None)

    def _sweep(self, now: float) -> None:
        """Forget idle WABAs and tokens, every ten minutes: nothing else would notice that they are idle."""
        self._sweep_at = now + _SWEEP_SECONDS
        for key in [key for key, budget in self._wabas.items() if budget.idle(now)]:
            self._forget(key)
        tokens = self._tokens.items()
        for token in [token for token, budget in tokens if not budget.used(now) and budget.cooldown_until <= now]:
            del self._tokens[token]


_NO_USAGE: Final = Usage()
