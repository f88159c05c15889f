"""Findings for people and for programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from wa_phone_async import Finding, HealthSummary, Severity
from wa_phone_async.export.rows import Columns
from wa_phone_async.redaction import printable

from .output import broken, counted, spell_out_unknown, takes_escapes, terminal_width, write
from .rows import INDENT, RowView, rows_in
from .writers import Format

COLUMNS: Final[Columns] = {
    "severity": str,
    "code": str,
    "subject_kind": str,
    "subject_id": str,
    "waba_id": str,
    "display_phone_number": str,
    "name": str,
    "numbers": int,
    "sentence": str,
    "remedy": str,
    "evidence": dict,
    "source": str,
    "source_day": str,
    "is_guess": bool,
}
"""The members of a finding as an object or a row."""

_COLOURS: Final[Mapping[Severity, str]] = {Severity.ERROR: "\x1b[31m", Severity.WARNING: "\x1b[33m", Severity.INFO: ""}
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"


class TextFindings:
    """Findings for people: a line each in a pipe, and some lines that fit the width on a terminal."""

    def __init__(self) -> None:
        self._width = terminal_width(sys.stdout)
        self._is_coloured = takes_escapes(sys.stdout)
        spell_out_unknown()

    def show(self, finding: Finding) -> None:
        """Write a finding."""
        subject = finding.subject
        names = [subject.kind, subject.id, subject.display_phone_number, subject.name]
        if finding.numbers > 1:
            names.append(f"({counted(finding.numbers, 'number')})")
        where = printable(" ".join(filter(None, names)))
        sentence, remedy = printable(finding.sentence), printable(finding.remedy)
        if self._width is None:
            write(f"{finding.severity} {finding.code} {where}: {sentence} {remedy}\n")
            return
        lines = [
            *broken(f"{finding.severity:7} {finding.code}  {where}", self._width, later=INDENT),
            *broken(sentence, self._width, first=INDENT, later=INDENT),
            *broken(remedy, self._width, first=f"{INDENT}-> ", later=f"{INDENT}   "),
        ]
        if self._is_coloured:
            head = f"{finding.severity:7}"
            lines[0] = f"{_BOLD}{_COLOURS[finding.severity]}{head}{_PLAIN}{lines[0][len(head) :]}"
        write("".join(f"{line}\n" for line in lines))

    def end(self) -> None:
        """Do nothing: lines have no end."""


def view_of(form: Format) -> RowView[Finding]:
    """Make what writes findings in a format."""
    return TextFindings() if form == "table" else rows_in(form, COLUMNS, _row)


def what_was_done(summary: HealthSummary) -> str:
    """Say what a check has found, what it has read, and what it could not check."""
    counts = [counted(summary.totals.by_severity[level], level.value) for level in reversed(Severity)]
    text = (
        f"{', '.join(counts)}; {counted(summary.numbers, 'number')} of {counted(summary.accounts, 'account')}, "
        f"{counted(summary.calls, 'call')}"
    )
    missing = ", ".join(f"{code} ({count:,})" for code, count in summary.not_checked.items())
    return f"{text}; not checked, since their fields did not come: {missing}" if missing else text


def _row(finding: Finding) -> dict[str, Any]:
    subject, source = finding.subject, finding.source
    day: date = source.day
    return {
        "severity": finding.severity.value,
        "code": finding.code,
        "subject_kind": subject.kind,
        "subject_id": subject.id,
        "waba_id": subject.waba_id,
        "display_phone_number": subject.display_phone_number,
        "name": subject.name,
        "numbers": finding.numbers,
        "sentence": finding.sentence,
        "remedy": finding.remedy,
        "evidence": [{"field": part.field, "value": part.value} for part in finding.evidence],
        "source": source.text,
        "source_day": day.isoformat(),
        "is_guess": source.is_guess,
    }
