"""What a health check finds, as values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Any, Literal, TypeAlias

import attrs

SubjectKind: TypeAlias = Literal["number", "account", "business", "app"]
"""What a finding is about."""


class Severity(StrEnum):
    """How bad a finding is. The levels are those of this package, and not Meta's."""

    INFO = "info"
    """Good to know. Nobody has to act."""
    WARNING = "warning"
    """It works within limits, or may stop working."""
    ERROR = "error"
    """It cannot send messages, cannot be registered, or cannot be read. Somebody has to act."""

    def reaches(self, level: Severity) -> bool:
        """Whether it is as bad as another level, or worse."""
        levels = list(Severity)
        return levels.index(self) >= levels.index(level)


@attrs.frozen
class Subject:
    """What a finding is about: a number, an account, a business, or the app."""

    kind: SubjectKind
    """Which of the four it is."""
    id: str
    """Meta's id."""
    name: str | None = None
    """The name of a number or an account, as it came. Anybody may have written it, so escape it where you show it."""
    display_phone_number: str | None = None
    """The phone number as Meta shows it; `None` for all but numbers."""
    waba_id: str | None = None
    """The account. `None`: it is not known, or the subject is above accounts."""


@attrs.frozen
class Evidence:
    """A field, and its value that led to a finding."""

    field: str
    """The name of the field. `health_status.entities[0]` is a part of one."""
    value: Any = attrs.field(hash=False)
    """Its value as plain JSON, without the queries of URLs."""


@attrs.frozen
class FactSource:
    """Where a fact about the API comes from."""

    text: str
    """The source."""
    day: date
    """The day on which the source was read."""
    is_guess: bool = False
    """Whether the source does not say it, and this package guesses."""

    def __str__(self) -> str:
        return f"{'A guess. ' if self.is_guess else ''}{self.text}, read {self.day}"


@attrs.frozen(kw_only=True)
class Finding:
    """One thing that is wrong, or good to know, with what to do about it."""

    subject: Subject
    """What it is about."""
    severity: Severity
    """How bad it is."""
    code: str
    """Which rule found it, such as `status.banned`. Codes are stable. The part before the dot is the group."""
    sentence: str
    """What is wrong, in one sentence. It is safe to show: it has no names, and no control characters."""
    remedy: str
    """What to do. Meta's own `possible_solution`, if there is one."""
    evidence: tuple[Evidence, ...]
    """The fields and values that led to it. For a cause of many numbers, those of the first one."""
    source: FactSource
    """Where the meaning of these values comes from."""
    numbers: int = 1
    """How many numbers it concerns. An account that has no number, or that cannot be listed, has 0."""


@attrs.frozen(kw_only=True)
class HealthTotals:
    """How many findings there are."""

    by_severity: Mapping[Severity, int]
    """Findings of each severity, also where it is 0."""
    by_code: Mapping[str, int]
    """Findings of each code that was found."""


@attrs.frozen(kw_only=True)
class HealthSummary:
    """What a health check has done so far, without its findings."""

    totals: HealthTotals
    """How many findings there are, by severity and by code."""
    accounts: int
    """How many accounts were checked, with those that could not be listed."""
    numbers: int
    """How many numbers were checked."""
    calls: int
    """How many requests the check has sent, retries included. It is 0 for lists that you pass."""
    not_checked: Mapping[str, int]
    """The rules that lacked evidence, by code: for how many numbers or accounts the fields did not come."""
