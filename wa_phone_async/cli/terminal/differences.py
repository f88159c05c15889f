"""The differences of two lists, for people, for programs and for pages."""

from __future__ import annotations

import re
import sys
from typing import Final, Literal, Protocol

from wa_phone_async import Change, DiffSummary, Finding
from wa_phone_async.redaction import printable

from .changes import members_of, shown, what_changed
from .formats import to_json
from .output import broken, counted, spell_out_unknown, terminal_width, use_utf8, write

_COLUMNS: Final = ("Account", "Number", "Name", "Change", "Findings")
_INDENT: Final = " " * 4


class DifferenceView(Protocol):
    """Writes changes as they come."""

    def show(self, change: Change) -> None:
        """Write a change."""
        ...

    def end(self) -> None:
        """Write what ends a complete comparison."""
        ...


class TextDifferences:
    """A line for each change, and one for each of its findings."""

    def __init__(self) -> None:
        self._width = terminal_width(sys.stdout)
        spell_out_unknown()

    def show(self, change: Change) -> None:
        """Write a change."""
        place = " ".join(filter(None, (change.waba_id, change.phone_number_id)))
        number = f" ({change.display_phone_number})" if change.display_phone_number else ""
        self._write(f"{place} {what_changed(change)}{number}", "")
        for finding in change.findings:
            self._write(f"{finding.severity} {finding.code}: {finding.sentence} {finding.remedy}", _INDENT)

    def end(self) -> None:
        """Do nothing: lines have no end."""

    def _write(self, text: str, indent: str) -> None:
        line = printable(text)
        lines = [f"{indent}{line}"] if self._width is None else broken(line, self._width, first=indent, later=_INDENT)
        write("".join(f"{each}\n" for each in lines))


class JsonDifferences:
    """A line of JSON for each change, with its findings."""

    def __init__(self) -> None:
        use_utf8()

    def show(self, change: Change) -> None:
        """Write a change."""
        findings = [
            {"severity": each.severity.value, "code": each.code, "sentence": each.sentence, "remedy": each.remedy}
            for each in change.findings
        ]
        write(f"{to_json({**members_of(change), 'findings': findings})}\n")

    def end(self) -> None:
        """Do nothing: JSON Lines have no end mark."""


class MarkdownDifferences:
    """A table of all changes. What came from somewhere else is code, so it is no markup."""

    def __init__(self) -> None:
        self._is_begun = False
        use_utf8()

    def show(self, change: Change) -> None:
        """Write a change."""
        if not self._is_begun:
            self._is_begun = True
            self._row(_COLUMNS)
            self._row(["---"] * len(_COLUMNS))
        number, name = change.display_phone_number or change.phone_number_id, change.number.verified_name
        cells = [change.waba_id, number, name or "", *_change_cells(change)]
        self._row([*map(as_code, cells[:3]), *cells[3:], "; ".join(map(_finding_cell, change.findings))])

    def end(self) -> None:
        """Say it if there was no change."""
        if not self._is_begun:
            write("No differences.\n")

    def _row(self, cells: list[str] | tuple[str, ...]) -> None:
        write(f"| {' | '.join(cells)} |\n")


def view_of(form: Literal["table", "jsonl", "markdown"]) -> DifferenceView:
    """Make what writes changes in a format."""
    if form == "table":
        return TextDifferences()
    return JsonDifferences() if form == "jsonl" else MarkdownDifferences()


def what_was_compared(summary: DiffSummary, calls: int | None) -> str:
    """Say how many numbers were compared and have changed.

    Args:
        summary: What was done.
        calls: How many requests were sent; `None`: it was not about that.
    """
    text = (
        f"{counted(summary.changes, 'change')}: {counted(summary.changed, 'number')} changed, "
        f"{summary.moved:,} of them moved, {summary.came:,} new, {summary.gone:,} gone; "
        f"{summary.old_numbers:,} before, {summary.new_numbers:,} now"
    )
    text += "" if calls is None else f", {counted(calls, 'call')}"
    return f"{text}; not compared: {counted(summary.not_compared, 'account')}" if summary.not_compared else text


def as_code(text: str) -> str:
    """A text as code in a cell of a Markdown table, which no reader takes for markup.

    A code span cannot have the sign that ends it, and in a table no `|`. Such a text becomes HTML without any markup.
    """
    text = printable(text)
    if not text.strip():
        return ""
    if "`" not in text and "|" not in text:
        return f"`{text}`"
    return f"<code>{re.sub('[^0-9A-Za-z ]', _entity, text)}</code>"


def as_text(text: str) -> str:
    """A text in a cell of a Markdown table, with an entity for each sign that could be markup or part of a link."""
    return re.sub(r"[^0-9A-Za-z .,:;+()'-]|(?<=\w)[.:](?=\w)", _entity, printable(text))


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"


def _change_cells(change: Change) -> list[str]:
    if change.field == "id":
        return [what_changed(change)]
    return [f"{as_code(change.field)}: {as_code(shown(change.old))} → {as_code(shown(change.new))}"]


def _finding_cell(finding: Finding) -> str:
    return f"{finding.severity} {as_code(finding.code)}: {as_text(finding.sentence)}"
