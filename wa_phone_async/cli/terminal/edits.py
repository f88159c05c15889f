"""Edits for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from wa_phone_async import Edit, EditState, EditSummary
from wa_phone_async.cli.errors import without_python
from wa_phone_async.export.rows import Columns
from wa_phone_async.redaction import hide_queries

from .output import counted
from .rows import RowView, view_in
from .writers import Format

COLUMNS: Final[Columns] = {
    "state": str,
    "subject_kind": str,
    "subject_id": str,
    "waba_id": str,
    "display_phone_number": str,
    "old": dict,
    "new": dict,
    "why": str,
}
"""The members of an edit as an object or a row. The subject is named as in findings, so its file names targets too."""

NOT_APPLIED: Final = EditState.NOT_APPLIED
_FAILED: Final = (EditState.REJECTED, EditState.UNKNOWN, EditState.SENT, EditState.NOT_APPLIED, EditState.CHANGED)


def view_of(form: Format) -> RowView[Edit]:
    """Make what writes edits in a format."""
    return view_in(form, COLUMNS, _row, _text)


def _text(edit: Edit) -> str:
    subject = " ".join(filter(None, (edit.kind, edit.target, edit.label)))
    what = f": {shown(edit.old)}" if edit.old == edit.new else f": {shown(edit.old)} -> {shown(edit.new)}"
    if edit.old == edit.new == {}:  # of a profile that has all values
        what = ""
    if edit.state is EditState.REJECTED and edit.number < 0:  # its value is not known
        what = ""
    why = "" if edit.why is None else f": {without_python(edit.why)}"
    return f"{edit.state}  {subject}{what}{why}"


def shown(value: Any) -> str:
    """A value of a setting for people, without the queries of URLs."""
    if isinstance(value, dict):
        return ", ".join(_named(name, each) for name, each in cast("dict[str, Any]", value).items())
    if isinstance(value, list):
        return " ".join(map(shown, cast("Iterable[Any]", value))) or "none"
    return "none" if value in (None, "") else str(hide_queries(value))


def _named(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return name if value else f"not {name}"
    return f"{name} {shown(value)}"


def what_was_edited(summary: EditSummary, calls: int) -> str:
    """Say what a bulk edit has come to."""
    counts = [f"{count:,} {state}" for state, count in summary.by_state.items() if count]
    earlier = f" ({summary.resumed:,} of them sent by earlier runs)" if summary.resumed else ""
    return f"{', '.join(counts) or 'nothing to edit'}{earlier}; {counted(calls, 'call')}"


def what_it_would_cost(summary: EditSummary, how: str) -> str:
    """Say what a dry run would do with some options, and what that costs."""
    planned = summary.by_state[EditState.PLANNED]
    if not planned:
        return "dry run: nothing was changed, and nothing would be"
    return f"dry run: nothing was changed. {how} makes {counted(planned, 'write')}, a call each"


def has_failed(summary: EditSummary) -> bool:
    """Whether an edit did not come to its end."""
    return any(summary.by_state[state] for state in _FAILED)


def _row(edit: Edit) -> dict[str, Any]:
    return {
        "state": edit.state.value,
        "subject_kind": edit.kind,
        "subject_id": edit.target,
        "waba_id": edit.waba_id,
        "display_phone_number": edit.label,
        "old": hide_queries(edit.old),
        "new": hide_queries(edit.new),
        "why": None if edit.why is None else without_python(edit.why),
    }
