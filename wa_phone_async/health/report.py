"""`HealthReport`: all that a health check has found, with an overview of the accounts and numbers that it has read.

Its memory is bounded: beyond a bound, what needs attention least is counted only. `wa_phone_async.report` shows it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Generic, TypeVar

import attrs

from wa_phone_async._version import __version__
from wa_phone_async.errors import WaPhoneError
from wa_phone_async.models import PhoneNumber
from wa_phone_async.usage import Usage, UsageMetric
from wa_phone_async.workflows.differences import DiffSummary
from wa_phone_async.workflows.watch import Change

from .findings import Finding, HealthSummary, Severity
from .rules import is_in_review

T = TypeVar("T")

MAX_NUMBERS: Final = 100_000
"""Numbers of a report that have a line of their own. Each takes about 0.5 kB of memory."""
MAX_ACCOUNTS: Final = 20_000
"""Accounts of a report that have a line of their own. Each takes about 2 kB of memory."""
MAX_CHANGES: Final = 5_000
"""Changes of a report that have a line of their own. Each takes about 3 kB of memory."""

UsageReader = Callable[[str], Usage | None]
"""A function that returns the last usage of an account's quota."""


@attrs.frozen(kw_only=True)
class ReportedNumber:
    """What a report says of one number. Texts are as they came, so escape them where you show them."""

    id: str
    """Meta's id of the number."""
    waba_id: str
    """Its account, the first one if it has several. Empty: the file does not name it."""
    display_phone_number: str | None = None
    """The phone number as Meta shows it."""
    verified_name: str | None = None
    """The name of the business, as customers see it."""
    status: str | None = None
    """Whether it works."""
    quality_rating: str | None = None
    """How people rate its messages."""
    limit: str | None = None
    """The messaging limit: that of the portfolio, or else that of the number."""
    name_status: str | None = None
    """The state of the review of `verified_name`."""
    new_display_name: str | None = None
    """A newer name that was requested."""
    new_name_status: str | None = None
    """The state of the review of the newer name."""
    is_in_review: bool = False
    """Whether one of its names is in review."""
    severity: Severity | None = None
    """The severity of the worst finding that concerns it, also one about its account; `None`: there is none."""
    codes: tuple[str, ...] = ()
    """The codes of the findings that concern it."""


@attrs.frozen(kw_only=True)
class ReportedAccount:
    """What a report says of one account, with its numbers counted."""

    waba_id: str
    """Meta's id of the account. Empty: the numbers whose account the file does not name."""
    name: str | None = None
    """Its name, if the check has read its node. It is as it came, so escape it where you show it."""
    error: str | None = None
    """Why it could not be listed; `None`: it was."""
    numbers: int = 0
    """How many numbers it has."""
    status: Mapping[str, int] = attrs.field(factory=dict[str, int])
    """How many of them have each status. Empty: how many have none."""
    quality: Mapping[str, int] = attrs.field(factory=dict[str, int])
    """How many of them have each quality rating, likewise."""
    limits: Mapping[str, int] = attrs.field(factory=dict[str, int])
    """How many of them have each messaging limit, likewise."""
    names_in_review: int = 0
    """How many of them have a name in review."""
    findings: Mapping[Severity, int] = attrs.field(factory=dict[Severity, int])
    """How many findings are about it or one of its numbers, by severity."""
    usage: UsageMetric | None = None
    """How full its quota was after its last response; `None`: that was not recorded, as in a file."""

    @property
    def severity(self) -> Severity | None:
        """The severity of the worst finding; `None`: there is none."""
        return max(self.findings, key=list(Severity).index, default=None)


@attrs.frozen(kw_only=True)
class HealthOverview:
    """The numbers and accounts that a check has read: totals of all, and a line for each up to a bound."""

    status: Mapping[str, int] = attrs.field(factory=dict[str, int])
    """How many numbers have each status. The empty text counts those that have none, or whose status did not come."""
    quality: Mapping[str, int] = attrs.field(factory=dict[str, int])
    """How many numbers have each quality rating, likewise."""
    limits: Mapping[str, int] = attrs.field(factory=dict[str, int])
    """How many numbers have each messaging limit, likewise."""
    names_in_review: int = 0
    """How many numbers have a name in review."""
    accounts: tuple[ReportedAccount, ...] = ()
    """The accounts in the order in which they came, 20,000 at most."""
    numbers: tuple[ReportedNumber, ...] = ()
    """The numbers in the order in which they came, 100,000 at most: if there are more, those that need attention."""
    app_usage: UsageMetric | None = None
    """How full the quota of the app was after the last response that said so."""


@attrs.frozen(kw_only=True)
class ReportedChanges:
    """What has changed since an older list."""

    since: str
    """The older list: the name of its file."""
    since_time: datetime | None = None
    """When that file was written; `None`: it is no file."""
    summary: DiffSummary
    """How many numbers came, went, moved and changed."""
    changes: tuple[Change, ...]
    """The changes, 5,000 at most: if there are more, those that cause findings."""


@attrs.frozen(kw_only=True)
class HealthReport(HealthSummary):
    """All that a health check has found. `to_html` makes a page of it, and a notebook shows that page."""

    findings: tuple[Finding, ...] = attrs.field(repr=lambda findings: f"<{len(findings)}>")
    """The findings, in the order in which they came. With `max_findings`, the worst of them."""
    overview: HealthOverview = attrs.field(factory=HealthOverview, repr=False)
    """The accounts and numbers that were read."""
    changes: ReportedChanges | None = attrs.field(default=None, repr=False)
    """What has changed since an older list; `None`: there was none to compare with."""
    source: str = ""
    """What was checked: the name of a file, or the accounts in words."""
    source_time: datetime | None = None
    """When the file that was checked was written; `None`: it was no file."""
    made_at: datetime = attrs.field(factory=lambda: datetime.now().astimezone())
    """When the check was complete, with the time zone of this machine."""
    version: str = __version__
    """The version of this package that made it."""


class Worst(Generic[T]):
    """Keeps items, and drops those that need attention least where there are too many.

    Args:
        most: How many to keep; `None`: all.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._count = 0
        self._kept = 0
        # From the least to the worst: the items of each severity, with their places among all.
        self._items: Mapping[Severity | None, deque[tuple[int, T]]] = {level: deque() for level in (None, *Severity)}

    def add(self, item: T, severity: Severity | None) -> None:
        """Add an item."""
        self._items[severity].append((self._count, item))
        self._count += 1
        self._kept += 1
        if self._most is not None and self._kept > self._most:
            next(filter(None, self._items.values())).pop()
            self._kept -= 1

    def all(self) -> tuple[T, ...]:
        """Return the items that were kept, in the order in which they came."""
        places = sorted((place for items in self._items.values() for place in items), key=lambda place: place[0])
        return tuple(item for _, item in places)


def worst_of(findings: Iterable[Finding]) -> Severity | None:
    """Return the severity of the worst finding."""
    return max((finding.severity for finding in findings), key=list(Severity).index, default=None)


@attrs.define
class _Account:
    """An account that is being counted."""

    name: str | None = None
    error: str | None = None
    numbers: int = 0
    status: Counter[str] = attrs.field(factory=Counter[str])
    quality: Counter[str] = attrs.field(factory=Counter[str])
    limits: Counter[str] = attrs.field(factory=Counter[str])
    names_in_review: int = 0
    findings: Counter[Severity] = attrs.field(factory=Counter[Severity])
    counted: set[str] = attrs.field(factory=set[str])
    """The codes of the findings about the account itself, which come with each of its numbers."""

    def count_findings(self, findings: Iterable[Finding]) -> None:
        """Count findings. One about the account, its business or the app counts once."""
        for finding in findings:
            if finding.subject.kind == "number" or finding.code not in self.counted:
                self.findings[finding.severity] += 1
                self.counted.add(finding.code)

    def count_number(self, number: ReportedNumber) -> None:
        """Count a number."""
        self.numbers += 1
        self.status[number.status or ""] += 1
        self.quality[number.quality_rating or ""] += 1
        self.limits[number.limit or ""] += 1
        self.names_in_review += number.is_in_review


class OverviewBuilder:
    """Counts what a check reads.

    Args:
        usage: Returns the last usage of an account's quota.
    """

    def __init__(self, usage: UsageReader) -> None:
        self._usage = usage
        self._all = _Account()
        self._accounts = dict[str, _Account]()
        self._numbers = Worst[ReportedNumber](MAX_NUMBERS)
        self._texts = dict[str, str]()

    def add_account(
        self, waba_id: str | None, name: str | None, error: WaPhoneError | None, findings: Iterable[Finding]
    ) -> None:
        """Add an account, before its numbers."""
        if (account := self._account(waba_id)) is not None:
            account.name, account.error = name, None if error is None else str(error)
            account.count_findings(findings)

    def add_number(
        self, number: PhoneNumber, waba_id: str | None, findings: Iterable[Finding], *, is_known: bool
    ) -> None:
        """Add a number of an account.

        Args:
            number: The number.
            waba_id: Its account.
            findings: What concerns it.
            is_known: Whether it came before, in another account.
        """
        findings = tuple(findings)
        line = ReportedNumber(
            id=str(number.id),
            waba_id=waba_id or "",
            display_phone_number=_text(number.display_phone_number),
            verified_name=_text(number.verified_name),
            status=self._shared(number.status),
            quality_rating=self._shared(number.quality_rating),
            limit=self._shared(number.whatsapp_business_manager_messaging_limit or number.messaging_limit_tier),
            name_status=self._shared(number.name_status or number.unified_cert_status),
            new_display_name=_text(number.new_display_name),
            new_name_status=self._shared(number.new_name_status),
            is_in_review=is_in_review(number),
            severity=worst_of(findings),
            codes=tuple(dict.fromkeys(finding.code for finding in findings)),
        )
        if not is_known:
            self._all.count_number(line)
            self._numbers.add(line, line.severity)
        if (account := self._account(waba_id)) is not None:
            account.count_number(line)
            account.count_findings(findings)

    def build(self) -> HealthOverview:
        """Return the overview of what was added."""
        usages = {waba_id: self._usage(waba_id) for waba_id in self._accounts}
        of_app = [usage.app for usage in usages.values() if usage is not None and usage.app is not None]
        return HealthOverview(
            status=dict(self._all.status),
            quality=dict(self._all.quality),
            limits=dict(self._all.limits),
            names_in_review=self._all.names_in_review,
            accounts=tuple(self._lines(usages)),
            numbers=self._numbers.all(),
            app_usage=max(of_app, key=lambda metric: metric.percent, default=None),
        )

    def _lines(self, usages: Mapping[str, Usage | None]) -> Iterator[ReportedAccount]:
        for waba_id, account in self._accounts.items():
            usage = usages[waba_id]
            yield ReportedAccount(
                waba_id=waba_id,
                name=account.name,
                error=account.error,
                numbers=account.numbers,
                status=dict(account.status),
                quality=dict(account.quality),
                limits=dict(account.limits),
                names_in_review=account.names_in_review,
                findings=dict(account.findings),
                usage=None if usage is None else usage.waba,
            )

    def _account(self, waba_id: str | None) -> _Account | None:
        """Return the counts of an account; `None`: there are too many accounts."""
        account = self._accounts.get(waba_id or "")
        if account is None and len(self._accounts) < MAX_ACCOUNTS:
            account = self._accounts[waba_id or ""] = _Account()
        return account

    def _shared(self, value: object) -> str | None:
        """The text of a field with few values, one object for all numbers."""
        text = _text(value)
        return None if text is None else self._texts.setdefault(text, text)


def _text(value: object) -> str | None:
    """A text, as a plain one. Values of another type stand in `extra`, and have a finding."""
    return str(value) if isinstance(value, str) and value else None


def written_at(path: Path) -> datetime | None:
    """Return when a file was written, with the time zone of this machine; `None`: it is gone."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).astimezone()
    except OSError:
        return None
