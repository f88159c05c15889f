"""Changes as lines, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol, Self

import attrs

from wa_phone_async import Change, Extra, Throughput, Watch, WatchedWaba, to_dict
from wa_phone_async.cli.errors import sentence
from wa_phone_async.redaction import hide_queries, printable

from .formats import to_json
from .output import counted, spell_out_unknown, tell, use_utf8, write


@attrs.define
class WatchedAccount:
    """An account that is watched, and what has happened so far."""

    watch: Watch | WatchedWaba
    changes: int = 0
    """How many changes were seen."""
    rejection: str = ""
    """Why it is no longer watched, if the API has rejected it; otherwise empty."""

    @property
    def waba_id(self) -> str:
        """Its id."""
        return self.watch.waba_id


class ChangeView(Protocol):
    """What shows changes."""

    def show(self, change: Change) -> None:
        """Show a change."""
        ...

    def refresh(self) -> None:
        """Show the state of the accounts. This is called every second."""
        ...


class TextChanges:
    """A line for each change: when, which account, which number, what, and the old and new value.

    Args:
        accounts: The accounts that are watched.
    """

    def __init__(self, accounts: Sequence[WatchedAccount]) -> None:
        self._accounts = accounts
        self._failing = set[str]()

    def __enter__(self) -> Self:
        self.begin()
        tell(f"watching {counted(len(self._accounts), 'account')}; Ctrl-C ends it")
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: lines have no end."""

    def begin(self) -> None:
        """Make stdout ready for text."""
        spell_out_unknown()

    def show(self, change: Change) -> None:
        """Write a change at once."""
        write(f"{self.line(change)}\n")

    def line(self, change: Change) -> str:
        """A change as a line."""
        number = f" ({change.display_phone_number})" if change.display_phone_number else ""
        place = f"{_time(change.seen_at)} {change.waba_id} {change.phone_number_id}"
        return printable(f"{place} {what_changed(change)}{number}")

    def refresh(self) -> None:
        """Say which accounts cannot be polled for now, and which can be polled again: once each."""
        for account in self._accounts:
            error = account.watch.error
            if error is not None and account.waba_id not in self._failing:
                self._failing.add(account.waba_id)
                tell(f"wa-phone: {account.waba_id}: {sentence(error)}; it stays watched")
            elif error is None and account.waba_id in self._failing:
                self._failing.discard(account.waba_id)
                tell(f"{account.waba_id}: polled again")


class JsonChanges(TextChanges):
    """A line of JSON for each change. If a number appears or disappears, it has all of the number."""

    def begin(self) -> None:
        """Make stdout ready for JSON."""
        use_utf8()

    def line(self, change: Change) -> str:
        """A change as a line of JSON."""
        return to_json(members_of(change))


def members_of(change: Change) -> dict[str, Any]:
    """A change as plain JSON. If a number appears or disappears, it has all of the number."""
    members: dict[str, Any] = {
        "seen_at": _time(change.seen_at),
        "waba_id": change.waba_id,
        "phone_number_id": change.phone_number_id,
        "display_phone_number": change.display_phone_number,
        "field": change.field,
        "old": _plain(change.old),
        "new": _plain(change.new),
    }
    return {**members, **({"number": to_dict(change.number)} if change.field == "id" else {})}


def what_changed(change: Change) -> str:
    """Say what changed."""
    if change.field == "id":
        return "gone" if change.new is None else "new"
    return f"{change.field} {shown(change.old)} -> {shown(change.new)}"


def shown(value: Any) -> str:
    """A value for people; `-` if the API left it out."""
    if value is None:
        return "-"
    plain = hide_queries(_plain(value))
    return printable(plain) if isinstance(plain, str) and plain else to_json(plain)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return to_dict(value) if isinstance(value, Throughput | Extra) else value


def _time(seen_at: datetime) -> str:
    return f"{seen_at:%Y-%m-%dT%H:%M:%SZ}"
