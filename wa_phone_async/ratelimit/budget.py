"""How many calls are left in the rolling hour: the pure core of the throttle, without clock, wait or socket.

A budget is an exact log of our own calls, calibrated by what the server's headers say:

    admit  ⇔  now ≥ hold  and  own + others + 1 ≤ quota · (0.97 if others > 0 else 1)

`own` are the calls in flight and those answered within the last 61 minutes, refused ones included. `others`
are the calls that the headers count and our log does not know. `quota` is the least possible one that the
readings have not disproved: `p` percent after `n` calls of ours prove more than `100·n/(p+1)`. Beyond a full
log, one call a minute looks for more where the readings hint at it, and one in ten seconds where they are far too
small, or until an answer has one.

Facts, from Meta's Graph guide "Rate limiting" and its WhatsApp pages, read 2026-11-22: a WABA has 200 calls
an hour for each app, or 5,000 once it has a registered number; an app as a whole has 200 for each of its
users; the hour rolls; calls made while throttled count too. Codes 4, 17, 80007 and 80008 mean throttled. That
a percentage may lag, and may be rounded or in steps of five, is caution and no documented fact.

All times are seconds on one monotonic clock, which the caller reads and passes as `now`.
"""

import heapq
import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Hashable
from typing import Final, Literal

import attrs

from wa_phone_async.usage import Usage, UsageMetric

WABA_QUOTAS: Final = (200, 5000)
"""Calls an hour that a WABA can have, ascending."""

APP_QUOTAS: Final = (200,)
"""The least that an app can have: 200 calls an hour for each user, and one user. More has to be shown."""

MAX_KEYS: Final = 10_000
"""How many WABAs are remembered before the emptiest are forgotten."""

Scope = Literal["app", "token", "waba"]
"""Whose rate limit throttled a call, and so what the cooldown is for: the app, the access token, or the WABA."""

# The server forgets a call an hour after it came, which is before its answer reached us. The minute more is
# for a server that counts in whole minutes; the minute less is for calls that it must surely still count.
_KEPT_SECONDS: Final = 3660.0
_SURE_SECONDS: Final = 3540.0
# A percentage may lag behind the calls, so calls younger than this prove nothing by a little. A great difference is
# believed sooner: at once where the percentage counts anything, and after the shorter time where it is 0.
_LAG_SECONDS: Final = 60.0
_BURST_LAG_SECONDS: Final = 10.0
_STALE_SECONDS: Final = 60.0
_SHARED_FRACTION: Final = 0.97
_DISPROOF: Final = 1.05
_DISPROOF_OF_BURST: Final = 4.0
_PROBE_SECONDS: Final = 60.0
_PROBE_OTHERS_SECONDS: Final = 300.0
_PROBE_BLIND_SECONDS: Final = 10.0
_PROBE_AGAIN_SECONDS: Final = 3600.0
_SOON_SECONDS: Final = 1.0
_HOLD_SECONDS: Final = 60.0
_HOLD_DOUBLINGS: Final = 5
_SILENT_ANSWERS: Final = 100
_ROOM_PERCENT: Final = 90.0
_FULL_PERCENT: Final = 100.0
_COARSEST_STEP: Final = 10
_SWEEP_SECONDS: Final = 600.0
_FORGET_SECONDS: Final = 86_400.0


class CallLog:
    """When our calls were answered, oldest first: 8 bytes a call, and constant time for all but `count`."""

    __slots__ = ("_head", "_times", "oldest", "size")

    def __init__(self) -> None:
        self._times = array("d")
        self._head = 0
        self.oldest: float = math.inf
        """When the oldest call that is kept was answered; infinity when there is none."""
        self.size: int = 0
        """How many calls are kept."""

    def nth(self, index: int) -> float:
        """Give the time of a call that is kept, counted from the oldest."""
        return self._times[self._head + index]

    def add(self, now: float) -> None:
        """Write down a call that was answered `now`, or with the one before if the clock went back."""
        if not self.size:
            self.oldest = now
        elif now < self._times[-1]:
            now = self._times[-1]
        self._times.append(now)
        self.size += 1

    def drop(self, until: float) -> None:
        """Forget the calls answered at `until` or before."""
        if self.oldest > until:
            return
        times = self._times
        self._head = bisect_right(times, until, self._head)
        if self._head > len(times) // 2:
            # Only when most is waste, so that each call is moved about once in its life.
            del times[: self._head]
            self._head = 0
        self.size = len(times) - self._head
        self.oldest = times[self._head] if self.size else math.inf

    def count(self, after: float, before: float) -> int:
        """Count the calls answered later than `after` and earlier than `before`."""
        head = bisect_right(self._times, after, self._head)
        return max(0, bisect_left(self._times, before, head) - head)


@attrs.define(eq=False, on_setattr=attrs.setters.NO_OP)
class Budget:
    """What may still be sent within one quota.

    Whoever is told to go owes one report of how it went: `answered`, `refused`, `counted` or `unsent`. Until
    then the call is in flight, and in flight is used.
    """

    quotas: tuple[int, ...] = WABA_QUOTAS
    """Calls an hour that are possible, ascending; above the last, the quota is what the readings show."""

    fixed: float | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1.0)))
    """Calls an hour by the caller's own knowledge, which then wins over every reading."""

    certain: bool = True
    """Whether there surely is a limit. If not, there is none until a reading or a refusal shows it."""

    _log: CallLog = attrs.field(init=False, factory=CallLog)
    _in_flight: int = attrs.field(init=False, default=0)
    # Calls that may be in flight until a reading says how full it is: one more for each good answer.
    _abreast: float = attrs.field(init=False, default=1)
    _last_sent: float = attrs.field(init=False, default=-math.inf)

    _proven: float = attrs.field(init=False, default=0.0)
    _quota: float = attrs.field(init=False)
    _news: float = attrs.field(init=False, default=0.0)  # what has to be proven to change the quota
    _others: int = attrs.field(init=False, default=0)
    _most: float = attrs.field(init=False)  # own calls that may be used when one more is asked for

    _percent: float | None = attrs.field(init=False, default=None)  # the last reading: what, when, sent when
    _silent: int = attrs.field(init=False, default=0)  # answers since
    _step: int = attrs.field(init=False, default=0)  # what all percentages can be divided by
    _error: int = attrs.field(init=False, default=1)  # by how much a percentage is wrong, and at most
    _most_error: int = attrs.field(init=False, default=_COARSEST_STEP)
    _read_at: float = attrs.field(init=False, default=-math.inf)
    _read_sent: float = attrs.field(init=False, default=-math.inf)

    _held_until: float = attrs.field(init=False, default=-math.inf)
    _held_from: float = attrs.field(init=False, default=-math.inf)
    _told_until: float = attrs.field(init=False, default=-math.inf)  # the end of a hold that the server itself named
    _holds: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        """Begin with the smallest quota that is possible, or with none."""
        self._set_quota()
        if not self.certain:
            # One at a time would be slow for nothing where there may be no limit.
            self._abreast = math.inf

    # ---- being looked at ----

    @property
    def quota(self) -> float:
        """Calls an hour that are believed to be allowed."""
        return self._quota

    @property
    def others(self) -> int:
        """Calls of the last hour that somebody else made, at most; 0 while the readings show none."""
        return self._others

    @property
    def held_until(self) -> float:
        """The time before which nothing is admitted; in the past, or minus infinity, where nothing holds."""
        return self._held_until

    def used(self, now: float) -> int:
        """Count our own calls that may still count: in flight, or answered within the last 61 minutes."""
        self._log.drop(now - _KEPT_SECONDS)
        return self._log.size + self._in_flight

    def disposable(self, now: float) -> bool:
        """Whether forgetting this budget could hardly do harm: not held, not in use, half of it left."""
        return not self._in_flight and self._held_until <= now and 2 * self.used(now) <= self._quota

    def idle(self, now: float) -> bool:
        """Whether it was neither used nor held for a day, so that what it knows is old."""
        return self.disposable(now) and max(self._last_sent, self._held_until) + _FORGET_SECONDS < now

    # ---- asking ----

    def admit(self, now: float) -> float:
        """Ask to send one call.

        Returns:
            `now` to go, and the call is then in flight; else a later time at which to ask again. Where it
            hangs on a call in flight, that is a second from now: better ask again when any call is answered.
        """
        when = self.peek(now)
        if when <= now:
            self.take(now)
        return when

    def peek(self, now: float, ahead: int = 0) -> float:
        """Say what `admit` would if `ahead` more calls were to go before this one, and take nothing."""
        if now < self._held_until:
            return self._held_until
        log, flying = self._log, self._in_flight
        if log.oldest <= now - _KEPT_SECONDS:
            log.drop(now - _KEPT_SECONDS)
        if flying >= self._abreast:
            return now + _SOON_SECONDS
        used = log.size + flying + ahead
        if used > self._most:
            return self._when_full(now, used)
        if self._others and flying and now > self._read_at + _STALE_SECONDS:
            return now + _SOON_SECONDS
        return now

    def take(self, now: float) -> None:
        """Count one call as in flight, as `admit` does."""
        self._in_flight += 1
        self._last_sent = now

    def _when_full(self, now: float, used: int) -> float:
        probe_at = self._next_probe()
        if self._in_flight and probe_at < math.inf:
            return now + _SOON_SECONDS
        if probe_at <= now:
            return now
        expiries = math.ceil(used - self._most)
        free_at = self._log.nth(expiries - 1) if expiries <= self._log.size else now
        return min(probe_at, free_at + _KEPT_SECONDS)

    def _next_probe(self) -> float:
        """Say when one call beyond the budget may find out whether there is more than we think."""
        if self._told_until >= self._held_until > self._last_sent and self._holds < _HOLD_DOUBLINGS:
            return self._told_until  # the server said when, whatever our log says; not when it said so again and again
        if self._others:
            # Room was seen, so that asking again is no risk; or none was, and a refusal would count as well.
            room = (self._percent or 0.0) <= _ROOM_PERCENT
            return self._last_sent + (_PROBE_SECONDS if room else _PROBE_OTHERS_SECONDS)
        if self.fixed is not None:
            return math.inf
        if self._silent >= _SILENT_ANSWERS:
            # Without headers only trying tells 5,000 from 200; a refusal may be somebody else's doing.
            return max(self._last_sent + _PROBE_BLIND_SECONDS, self._held_from + _PROBE_AGAIN_SECONDS)
        if self._hints_at_more():
            # A call that was answered without a reading has told nothing: the next one need not wait as long.
            wait = _BURST_LAG_SECONDS if self._hints_at_much_more() else _PROBE_SECONDS
            return max(self._last_sent + _PROBE_BLIND_SECONDS, self._read_at + wait)
        return math.inf

    def _hints_at_more(self) -> bool:
        """Whether the last reading is too small for the quota believed in, though it proves nothing."""
        percent = self._percent or 0.0
        surely = self._shown(percent, self._sure(self._read_at, self._read_sent))
        return surely > _DISPROOF * self._quota or self._hints_at_much_more()

    def _hints_at_much_more(self) -> bool:
        """Whether it is far too small. Of a burst that left at once no call is sure of another: only this counts."""
        calls = self._log.count(self._read_at - _SURE_SECONDS, math.inf)
        return self._shown(self._percent or 0.0, calls) > _DISPROOF_OF_BURST * self._quota

    # ---- being told ----

    def answered(self, now: float, reading: UsageMetric | None, sent: float) -> None:
        """Report a call that was not throttled, whatever else came of it.

        Args:
            now: When its answer came.
            reading: What its headers said of this budget.
            sent: When it was admitted.
        """
        if sent > self._held_from:
            self._holds = 0
            self._abreast += 1
        self.counted(now, reading, sent)
        if reading is None or reading.calls_percent is None:
            self._silent += 1
            self._learn_from_success(now, sent)
        elif sent > self._held_from:
            self._abreast = math.inf
        if reading is not None and reading.load_percent >= _FULL_PERCENT:
            # Calls are left, time is not: the next one would be refused.
            self._hold(now, max(_HOLD_SECONDS, reading.regain_seconds))

    def refused(self, now: float, reading: UsageMetric | None, sent: float, seconds: float | None = None) -> None:
        """Report a call that this budget's server refused; such calls count as well.

        Args:
            now: When the refusal came.
            reading: What its headers said of this budget.
            sent: When it was admitted.
            seconds: How long the server said to wait; without it, holds last 1, 2, 4 … 32 minutes.
        """
        regain = reading.regain_seconds if reading else 0.0
        told = max(seconds or 0.0, regain)
        if sent > self._held_from:
            # The other calls that were in flight when the hold began only tell the same again.
            is_told = seconds is not None or regain > 0.0  # `Retry-After: 0` says to go on at once
            self._hold(now, told if is_told else _HOLD_SECONDS * 2**self._holds)
            self._holds = min(self._holds + 1, _HOLD_DOUBLINGS)
        self._held_until = max(self._held_until, now + told)
        if told:
            self._told_until = self._held_until
        if reading is not None and reading.calls_percent is not None:
            self._proven = self._news = 0.0
        self.counted(now, reading, sent)

    def counted(self, now: float, reading: UsageMetric | None, sent: float) -> None:
        """Report a call that the server may have counted, and that says nothing of this budget but `reading`.

        A call that was cancelled or lost, for example.
        """
        if self._in_flight:
            self._in_flight -= 1
        self._log.add(now)
        if reading is not None and reading.calls_percent is not None:
            self._silent = 0
            self._learn(now, reading.calls_percent, sent)

    def refused_elsewhere(self, now: float, reading: UsageMetric | None, sent: float) -> None:
        """Report a call that another budget's limit refused: it counts, and this one may be full as well."""
        self.counted(now, reading, sent)
        if reading is not None and reading.percent >= _FULL_PERCENT and reading.regain_seconds:
            self._hold(now, reading.regain_seconds)

    def unsent(self) -> None:
        """Report a call that provably never reached the server: it gives its place back."""
        self._in_flight = max(0, self._in_flight - 1)

    def _hold(self, now: float, seconds: float) -> None:
        self._held_from = now
        self._held_until = max(self._held_until, now + seconds)
        self._abreast = 1

    # ---- calibration ----

    def _learn(self, now: float, percent: float, sent: float) -> None:
        if percent != self._percent and self._step != 1:
            self._set_step(percent)
        # Of two that left at the same time, the fuller was counted later.
        in_order = (sent, percent) >= (self._read_sent, self._percent or 0.0)
        if in_order:
            self._percent, self._read_at, self._read_sent = percent, now, sent
        # Only what could change anything is counted: at best, all calls of ours are sure, or known to it.
        calls = self._log.size
        if 100.0 * calls > self._news * (percent + self._most_error):
            self._prove(self._shown(percent, self._sure(now, min(sent, now - _LAG_SECONDS))))
            burst = self._shown(percent, self._sure(now, sent if percent else min(sent, now - _BURST_LAG_SECONDS)))
            if burst > _DISPROOF_OF_BURST * self._quota:
                self._prove(burst)
        if in_order and (self._others or (percent - self._error) * self._quota > 100.0 * (calls + self._in_flight)):
            self._set_others(now, percent, sent)

    def _set_step(self, percent: float) -> None:
        """Find out how coarse the percentages are: whole ones, or only every fifth."""
        self._step = math.gcd(self._step, int(percent)) if percent.is_integer() else 1
        self._most_error = min(self._step or _COARSEST_STEP, _COARSEST_STEP)
        self._error = self._step if 0 < self._step <= _COARSEST_STEP else 1

    def _shown(self, percent: float, calls: int) -> float:
        """Say which quota is disproved by so many sure calls of ours under a percentage."""
        return 100.0 * calls / (percent + self._most_error)

    def _sure(self, now: float, before: float) -> int:
        """Count the calls that the server surely counted when it answered `now`, this one included."""
        return self._log.count(now - _SURE_SECONDS, before) + 1

    def _learn_from_success(self, now: float, sent: float) -> None:
        """Where there are no headers, more good answers than a quota allows disprove it."""
        if self._others and now > self._read_at + _KEPT_SECONDS:
            # All that the last reading counted has left the hour.
            self._others = 0
            self._set_most()
        if self._silent >= _SILENT_ANSWERS and self._log.size > self._quota:
            self._prove(_DISPROOF * self._sure(now, sent))

    def _prove(self, quota: float) -> None:
        if quota > self._proven:
            self._proven = quota
            self._set_quota()

    def _set_quota(self) -> None:
        self._news = self._proven
        self._quota = self.fixed or self._proven
        if self.fixed is not None:
            self._news = math.inf
        elif not self.certain and not self._proven:
            self._quota = math.inf
        else:
            for quota in self.quotas:
                if self._proven <= quota * _DISPROOF:
                    self._quota, self._news = quota, quota * _DISPROOF
                    break
        self._set_most()

    def _set_others(self, now: float, percent: float, sent: float) -> None:
        sure = self._sure(now, min(sent, now - _LAG_SECONDS))
        # A call in flight may be in the reading or not. It is, until there is proof of somebody else; from
        # then on it is not, or the more there were in flight the fewer others there would seem to be.
        mine = sure if self._others else self._log.size + self._in_flight
        others = 0
        if self._quota < math.inf and (percent - self._error) * self._quota > 100.0 * mine:
            most = (percent + max(1.0, self._error / 2.0)) * self._quota / 100.0
            others = max(0, math.ceil(most) - 1 - sure)
        if others != self._others:
            self._others = others
            self._set_most()

    def _set_most(self) -> None:
        self._most = self._quota * (_SHARED_FRACTION if self._others else 1.0) - self._others - 1.0


def _holds_only() -> Budget:
    """Make a budget without a limit, which a refusal can hold all the same."""
    return Budget((), math.inf, certain=False)


@attrs.define(eq=False)
class BudgetBook:
    """Every budget of one app: one for each WABA, one for the app, and one for each token that was refused.

    A call goes when all that it is charged to have room, and so waits until the latest of their times: waits
    never add up. Each call that was told to go is owed one report under the same key and token.

    The key `None` is for calls on what is no WABA, such as a business: only the app's budget counts for them, and
    readings of any other are left alone. A refusal that is not of the app or the token holds all calls of this key.
    """

    quota: float | None = None
    """Calls an hour of each WABA, where the caller knows; `None` to find out."""

    app_quota: float | None = None
    """Calls an hour of the app as a whole, where the caller knows; `None` to find out."""

    max_keys: int = MAX_KEYS
    """Beyond so many WABAs the emptiest are forgotten, but never one that is held or over half its quota."""

    app: Budget = attrs.field(init=False)
    """The budget of the app as a whole."""

    _wabas: dict[str, Budget] = attrs.field(init=False, factory=dict[str, Budget])
    _tokens: dict[Hashable, Budget] = attrs.field(init=False, factory=dict[Hashable, Budget])
    _unassigned: Budget = attrs.field(init=False, factory=_holds_only)
    _usages: dict[str | None, Usage] = attrs.field(init=False, factory=dict[str | None, Usage])
    _crowded_at: int = attrs.field(init=False)
    _sweep_at: float = attrs.field(init=False, default=-math.inf)

    def __attrs_post_init__(self) -> None:
        """Begin with an app of which nothing is known: only a reading or a refusal can limit it."""
        self.app = Budget(APP_QUOTAS, self.app_quota, certain=False)
        self._crowded_at = self.max_keys

    def __len__(self) -> int:
        """How many WABAs are remembered."""
        return len(self._wabas)

    def waba(self, key: str) -> Budget | None:
        """Give the budget of one WABA, or `None` if it is not remembered."""
        return self._wabas.get(key)

    def last_usage(self, key: str | None) -> Usage | None:
        """Give the last usage that an answer under this key said, or `None`."""
        return self._usages.get(key)

    def admit(self, key: str | None, now: float, token: Hashable = None) -> float:
        """Ask to send one call; `now` means go, else the time at which to ask again (see `Budget.admit`).

        Args:
            key: The WABA that is called, or `None` where it is none.
            now: The present time.
            token: What stands for the access token, such as a digest; it need not be the token itself.
        """
        if now >= self._sweep_at:
            self._sweep(now)
        charged = self._charged(key, now, token)
        when = max([budget.peek(now) for budget in charged])
        if when <= now:
            for budget in charged:
                budget.take(now)
        return when

    def take(self, key: str | None, now: float, token: Hashable = None) -> None:
        """Count one call as in flight: `admit` does so, or another process admitted it."""
        for budget in self._charged(key, now, token):
            budget.take(now)

    def peek(self, key: str | None, now: float, token: Hashable = None, ahead: int = 0) -> float:
        """Say what `admit` would, if `ahead` more calls of this WABA were to go before this one."""
        if now >= self._sweep_at:
            self._sweep(now)
        return max([budget.peek(now, ahead) for budget in self._charged(key, now, token)])

    def answered(
        self, key: str | None, now: float, usage: Usage | None, *, sent: float, token: Hashable = None
    ) -> None:
        """Report a call that was not throttled, whatever else came of it: see `Budget.answered`."""
        waba = app = None
        if usage is not None:
            waba, app = None if key is None else usage.waba, usage.app
            self._usages[key] = usage
        self._waba(key, now).answered(now, waba, sent)
        self.app.answered(now, app, sent)
        if token in self._tokens:
            self._tokens[token].answered(now, None, sent)

    def refused(
        self,
        key: str | None,
        now: float,
        usage: Usage | None,
        *,
        scope: Scope | None,
        sent: float,
        token: Hashable = None,
    ) -> float:
        """Report a call that was throttled, and begin the cooldown of its scope; `None` counts as the WABA.

        Returns:
            The time until which the call that was refused has to wait.
        """
        if scope == "token":
            self._tokens.setdefault(token, _holds_only())
        if usage is not None:
            self._usages[key] = usage
        said = usage or _UNSAID
        charged = self._charged(key, now, token)
        readings: dict[Scope, UsageMetric | None] = {"waba": said.waba, "app": said.app, "token": None}
        for budget, (name, reading) in zip(charged, readings.items(), strict=False):
            if name == (scope or "waba"):
                budget.refused(now, reading, sent, said.retry_after_seconds)
            else:
                budget.refused_elsewhere(now, reading, sent)
        return max(now, *(budget.held_until for budget in charged))

    def abandoned(self, key: str | None, now: float, *, token: Hashable = None) -> None:
        """Report a call whose answer never came, or was not waited for: it counts as used."""
        for budget in self._charged(key, now, token):
            budget.counted(now, None, now)

    def unsent(self, key: str | None, now: float, *, token: Hashable = None) -> None:
        """Report a call that provably never reached the server: it gives its places back."""
        for budget in self._charged(key, now, token):
            budget.unsent()

    def _charged(self, key: str | None, now: float, token: Hashable) -> tuple[Budget, ...]:
        """The budgets that a call is charged to: the WABA's, the app's, and the token's if it was refused once."""
        waba = self._waba(key, now)
        return (waba, self.app, self._tokens[token]) if token in self._tokens else (waba, self.app)

    def _waba(self, key: str | None, now: float) -> Budget:
        if key is None:
            return self._unassigned
        return self._wabas.get(key) or self._open(key, now)

    def _open(self, key: str, now: float) -> Budget:
        if len(self._wabas) >= self._crowded_at:
            self._forget_emptiest(now)
        budget = self._wabas[key] = Budget(WABA_QUOTAS, self.quota)
        return budget

    def _forget_emptiest(self, now: float) -> None:
        """Make room for a tenth more at once, so that a stream of new WABAs costs each of them little."""
        spare = max(1, self.max_keys // 10)
        fill = {key: budget.used(now) for key, budget in self._wabas.items() if budget.disposable(now)}
        for key in heapq.nsmallest(spare, fill, key=fill.__getitem__):
            self._forget(key)
        # Where too few could go, look again only when it has grown by a tenth.
        self._crowded_at = max(self.max_keys, len(self._wabas) + spare)

    def _forget(self, key: str) -> None:
        del self._wabas[key]
        self._usages.pop(key, None)

    def _sweep(self, now: float) -> None:
        self._sweep_at = now + _SWEEP_SECONDS
        for key in [key for key, budget in self._wabas.items() if budget.idle(now)]:
            self._forget(key)
        idle = (token for token, budget in self._tokens.items() if not budget.used(now) and budget.held_until <= now)
        for token in tuple(idle):
            del self._tokens[token]


_UNSAID: Final = Usage()
