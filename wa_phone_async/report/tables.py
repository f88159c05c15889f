"""The tables of a report: columns and rows, as plain values that fit both HTML and JSON.

All texts in them are safe to show: one line, without control characters. They are no HTML yet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import attrs

from wa_phone_async.decoding.converter import to_dict
from wa_phone_async.health.findings import Finding, Severity, Subject
from wa_phone_async.health.report import HealthReport, ReportedAccount, ReportedNumber, worst_of
from wa_phone_async.health.rules import RULES
from wa_phone_async.models import Extra, Throughput
from wa_phone_async.redaction import hide_queries, printable
from wa_phone_async.workflows.watch import Change

Kind: TypeAlias = Literal["text", "count", "mark", "link", "own"]
"""What a cell shows: `text`; a `count`; a `mark`, which is a text with a tone; a `link`, which is a text with the id of
another row; or `own`, which is a text that links to its own row."""

Pair: TypeAlias = tuple[str, str]
"""A text with its tone or target."""

NOTHING: Final = "\N{EN DASH}"
"""Stands where the API has sent no value."""
NO_VALUE: Final = "no value"
"""Stands for a field that did not come. `UNKNOWN` is a value that Meta sends."""

FINE: Final = "fine"
"""Stands where a severity would, if there is no finding."""

_LONGEST: Final = 500  # characters of a cell. Names have at most a few dozen, but nothing else bounds them.
_MOST_FINDINGS: Final = 5_000
_MOST_NAMES: Final = 1_000
_LEVELS: Final[Sequence[Severity | None]] = (*reversed(Severity), None)

TONES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("error", "RED", "BANNED", "DISCONNECTED", "UNLINKED", "DELETED", "MIGRATED", "gone"), "bad"),
    **dict.fromkeys(("warning", "YELLOW", "RESTRICTED", "RATE_LIMITED", "FLAGGED", "PENDING", "UNVERIFIED"), "weak"),
    **dict.fromkeys((FINE, "GREEN", "CONNECTED", "LINKED"), "good"),
}
"""The tone of a word. All others have none."""


@attrs.frozen
class Column:
    """A column of a table."""

    name: str
    kind: Kind = "text"
    values: Sequence[Any] | None = None
    """The different values of the column, in their order. Then a cell is the place of its value."""


@attrs.frozen
class Table:
    """A table of a report."""

    key: str
    """Its id in the page."""
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    """The key of the row, and then a cell for each column."""
    total: int
    """How many rows there would be without any bound."""
    rest: str
    """What stands for the rows that are left out."""
    prefix: str = ""
    """With the key of a row, the id of the row in the page: `number-300000001000002`. Empty: no row has one."""
    empty: str = ""
    """What to say if there is no row."""

    def with_rows(self, count: int) -> Table:
        """Return the table with its first rows only."""
        return attrs.evolve(self, rows=self.rows[:count])

    def cell(self, row: Sequence[Any], place: int) -> Any:
        """Return a cell of a row: a text, a number, or a pair of a text and its tone or target."""
        value, values = row[place + 1], self.columns[place].values
        return value if values is None else values[value]


def tables_of(report: HealthReport) -> Iterator[Table]:
    """Yield the tables of a report, the most important one first."""
    yield _findings(report)
    if report.changes is not None:
        yield _changes(report)
    yield _accounts(report)
    yield _names(report)
    yield _numbers(report)


def text(value: object, *, most: int = _LONGEST) -> str:
    """A text that is safe to show. Beyond a bound it is cut, and says so."""
    shown = printable(str(value))
    return shown if len(shown) <= most else f"{shown[:most]}… ({len(shown):,} characters)"


def counts_in_words(counts: Mapping[str, int], *, most: int = 4) -> str:
    """Say how often each value occurs: `12 GREEN, 1 RED`."""
    parts = [f"{count:,} {text(value or NO_VALUE, most=60)}" for value, count in by_count(counts)]
    more = f", {len(parts) - most:,} others" if len(parts) > most else ""
    return ", ".join(parts[:most]) + more or NOTHING


def by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the values and how often they occur, the most frequent first."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def percent(usage: Any) -> str:
    """How full a quota is."""
    return "not recorded" if usage is None else f"{usage.percent:g} %"


def remedy_of(finding: Finding) -> str:
    """What to do."""
    rule = RULES.get(finding.code)
    is_own = rule is not None and rule.remedy == finding.remedy
    return text(without_marks(finding.remedy) if is_own else finding.remedy)


def without_marks(sentence: str) -> str:
    """A sentence of this package without the marks of code, which the manual needs."""
    return sentence.replace("`", "")


def _findings(report: HealthReport) -> Table:
    findings = sorted(report.findings, key=lambda finding: _rank(finding.severity))[:_MOST_FINDINGS]
    rows = [
        [
            "",
            _level(finding.severity),
            finding.code,
            _about(finding.subject),
            text(finding.sentence),
            remedy_of(finding),
            finding.numbers,
        ]
        for finding in findings
    ]
    columns = [
        Column("Severity", "mark"),
        Column("Check"),
        Column("About", "link"),
        Column("What is wrong"),
        Column("What to do"),
        Column("Numbers", "count"),
    ]
    return _table(
        "findings", "All findings", columns, rows, shared={0: _by_level, 1: None, 4: None},
        total=sum(report.totals.by_severity.values()), rest="The worst have a row here. All are counted above.",
        empty="Nothing was found.",
    )  # fmt: skip


def _changes(report: HealthReport) -> Table:
    assert report.changes is not None  # noqa: S101 - the caller has tested it
    changes = sorted(report.changes.changes, key=lambda change: _rank(worst_of(change.findings)))
    rows = [
        [
            "",
            _level(worst_of(change.findings), other=NOTHING),  # what is gone is not fine
            _number(change.display_phone_number, change.number.id),
            text(change.number.verified_name or NOTHING),
            _account(change.waba_id),
            *_what_changed(change),
            _joined(finding.code for finding in change.findings),
        ]
        for change in changes
    ]
    columns = [
        Column("Causes", "mark"),
        Column("Number", "link"),
        Column("Name"),
        Column("Account", "link"),
        Column("Field"),
        Column("Before"),
        Column("Now"),
        Column("Findings"),
    ]
    return _table(
        "changes", f"Changes since {text(report.changes.since)}", columns, rows,
        shared={0: _by_level, 3: None, 4: None, 7: None}, total=report.changes.summary.changes,
        rest="Those that cause findings have a row here. All are counted above.", empty="Nothing has changed.",
    )  # fmt: skip


def _accounts(report: HealthReport) -> Table:
    def line(account: ReportedAccount) -> list[Any]:
        name = "could not be listed" if account.error is not None and not account.name else account.name
        return [
            text(account.waba_id),
            _level(account.severity),
            text(account.waba_id or "unknown"),
            text(name or NOTHING),
            account.numbers,
            counts_in_words(account.quality),
            counts_in_words(account.status),
            counts_in_words(account.limits),
            account.names_in_review,
            account.findings.get(Severity.ERROR, 0),
            account.findings.get(Severity.WARNING, 0),
            percent(account.usage),
        ]

    def order(account: ReportedAccount) -> tuple[int, int, int]:
        found = account.findings
        return _rank(account.severity), -found.get(Severity.ERROR, 0), -found.get(Severity.WARNING, 0)

    columns = [
        Column("Attention", "mark"),
        Column("Account", "own"),
        Column("Name"),
        Column("Numbers", "count"),
        Column("Quality"),
        Column("Status"),
        Column("Messaging limit"),
        Column("Names in review", "count"),
        Column("Errors", "count"),
        Column("Warnings", "count"),
        Column("Quota used"),
    ]
    rows = [line(account) for account in sorted(report.overview.accounts, key=order)]
    return _table(
        "accounts", "Accounts", columns, rows, shared={0: _by_level, 4: None, 5: None, 6: None, 10: None},
        total=max(report.accounts, len(rows)), rest="The numbers of the others are counted above.",
        prefix="account", empty="No account was checked.",
    )  # fmt: skip


def _names(report: HealthReport) -> Table:
    rows = [
        [
            "",
            _number(number.display_phone_number, number.id),
            _account(number.waba_id),
            text(number.verified_name or NOTHING),
            text(number.name_status or NOTHING),
            text(number.new_display_name or NOTHING),
            text(number.new_name_status or NOTHING),
        ]
        for number in report.overview.numbers
        if number.is_in_review
    ]
    columns = [
        Column("Number", "link"),
        Column("Account", "link"),
        Column("Name"),
        Column("Review"),
        Column("Newer name"),
        Column("Review of the newer name"),
    ]
    return _table(
        "names", "Names in review", columns, rows[:_MOST_NAMES], shared={1: None, 3: None, 5: None},
        total=max(report.overview.names_in_review, len(rows)),
        rest="Search the table of numbers for name.in_review to find more.", empty="No name is in review.",
    )  # fmt: skip


def _numbers(report: HealthReport) -> Table:
    def line(number: ReportedNumber) -> list[Any]:
        return [
            text(number.id),
            _level(number.severity),
            _name_of(number.display_phone_number, number.id),
            text(number.verified_name or NOTHING),
            _account(number.waba_id),
            _mark(number.status),
            _mark(number.quality_rating),
            text(number.limit or NOTHING),
            text(number.name_status or NOTHING),
            _joined(number.codes),
        ]

    columns = [
        Column("Attention", "mark"),
        Column("Number", "own"),
        Column("Name"),
        Column("Account", "link"),
        Column("Status", "mark"),
        Column("Quality", "mark"),
        Column("Messaging limit"),
        Column("Name review"),
        Column("Findings"),
    ]
    rows = [line(number) for number in sorted(report.overview.numbers, key=lambda number: _rank(number.severity))]
    return _table(
        "numbers", "Numbers", columns, rows,
        shared={0: _by_level, 3: None, 4: None, 5: None, 6: None, 7: None, 8: None},
        total=max(report.numbers, len(rows)), rest="Those that need attention have a row here. All are counted above.",
        prefix="number", empty="No number was checked.",
    )  # fmt: skip


def _table(
    key: str,
    title: str,
    columns: Sequence[Column],
    rows: Sequence[list[Any]],
    *,
    shared: Mapping[int, Callable[[Any], Any] | None],
    **settings: Any,
) -> Table:
    """Make a table. In the columns that are `shared`, each value is kept once, in the order of a key."""
    columns = list(columns)
    for place, order in shared.items():
        values = sorted({row[place + 1] for row in rows}, key=order)
        places = {value: index for index, value in enumerate(values)}
        columns[place] = attrs.evolve(columns[place], values=values)
        for row in rows:
            row[place + 1] = places[row[place + 1]]
    return Table(key, title, columns, rows, **settings)


def _rank(severity: Severity | None) -> int:
    return _LEVELS.index(severity)


def _by_level(mark: Pair) -> int:
    return next(place for place, level in enumerate(_LEVELS) if mark[0] in ({level} if level else {FINE, NOTHING}))


def _level(severity: Severity | None, *, other: str = FINE) -> Pair:
    return _mark(other if severity is None else severity.value)


def _mark(word: str | None) -> Pair:
    """A word with its tone."""
    return text(word or NOTHING), TONES.get(word or "", "")


def _name_of(display_phone_number: str | None, number_id: str) -> str:
    return text(display_phone_number or number_id)


def _number(display_phone_number: str | None, number_id: str) -> Pair:
    return _name_of(display_phone_number, number_id), f"number-{text(number_id)}"


def _account(waba_id: str) -> Pair:
    return text(waba_id or "unknown"), f"account-{text(waba_id)}"


def _about(subject: Subject) -> Pair:
    """The subject of a finding, with the row that has it."""
    name = f" ({text(subject.name)})" if subject.name else ""
    shown = subject.display_phone_number if subject.kind == "number" else subject.id
    return f"{subject.kind} {_name_of(shown, subject.id)}{name}", f"{subject.kind}-{text(subject.id)}"


def _joined(codes: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(codes)) or NOTHING


def _what_changed(change: Change) -> tuple[str, str, str]:
    """The field, and its old and new value."""
    if change.field == "id":
        return "the number", "there" if change.new is None else NOTHING, "gone" if change.new is None else "new"
    return text(change.field), _value(change.old), _value(change.new)


def _value(value: Any) -> str:
    if value is None:
        return NOTHING
    plain = hide_queries(to_dict(value) if isinstance(value, Throughput | Extra) else value)
    if isinstance(plain, datetime):
        return plain.isoformat(sep=" ")
    return text(plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, default=str))


def grouped(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Return the findings by their code, the worst and most frequent first."""
    by_code = dict[str, list[Finding]]()
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    return dict(sorted(by_code.items(), key=lambda item: (_rank(item[1][0].severity), -len(item[1]), item[0])))
