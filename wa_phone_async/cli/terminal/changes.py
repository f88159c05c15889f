"""Changes as lines, for people and for programs, and what is said of an account that cannot be looked at for now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol, Self

import attrs

from wa_phone_async import Change, Throughput, Watch, to_dict
from wa_phone_async.cli.errors import sentence

from .formats import to_json
from .output import printable, spell_out_unknown, tell, use_utf8, write


@attrs.define
class Account:
    """An account that is watched, and what came of it so far."""

    watch: Watch
    changes: int = 0
    """How many changes were seen."""
    refusal: str = ""
    """Why it is watched no longer, if it was refused."""

    @property
    def waba_id(self) -> str:
        """Its id."""
        return self.watch.waba_id


class Board(Protocol):
    """Where changes are shown."""

    def change(self, change: Change) -> None:
        """Show a change."""
        ...

    def draw(self) -> None:
        """Show how things are, once a second."""
        ...


class TextLines:
    """A line for each change: when, which account, which number, what, from what and to what.

    Args:
        accounts: The accounts that are watched.
    """

    def __init__(self, accounts: Sequence[Account]) -> None:
        self._accounts = accounts
        self._troubled = set[str]()

    def __enter__(self) -> Self:
        self.begin()
        tell(f"watching {len(self._accounts):,} account{'s' * (len(self._accounts) > 1)}; Ctrl-C ends it")
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing ends lines."""

    def begin(self) -> None:
        """Make stdout ready for what will be written."""
        spell_out_unknown()

    def change(self, change: Change) -> None:
        """Write a change at once."""
        write(f"{self.line(change)}\n")

    def line(self, change: Change) -> str:
        """A change on a line of its own."""
        number = f" ({change.display_phone_number})" if change.display_phone_number else ""
        place = f"{_time(change.seen_at)} {change.waba_id} {change.phone_number_id}"
        return printable(f"{place} {what_changed(change)}{number}")

    def draw(self) -> None:
        """Say of which accounts nothing is known for now, and of which it is again."""
        for account in self._accounts:
            error = account.watch.error
            if error is not None and account.waba_id not in self._troubled:
                self._troubled.add(account.waba_id)
                tell(f"wa-phone: {account.waba_id}: {sentence(error)}; it goes on")
            elif error is None and account.waba_id in self._troubled:
                self._troubled.discard(account.waba_id)
                tell(f"{account.waba_id}: seen again")


class JsonLines(TextLines):
    """A JSON object for each change, on a line of its own; one of a number that came or went has all of the number."""

    def begin(self) -> None:
        """Make stdout ready for JSON."""
        use_utf8()

    def line(self, change: Change) -> str:
        """A change as one line of JSON."""
        members: dict[str, Any] = {
            "seen_at": _time(change.seen_at),
            "waba_id": change.waba_id,
            "phone_number_id": change.phone_number_id,
            "display_phone_number": change.display_phone_number,
            "field": change.field,
            "old": _plain(change.old),
            "new": _plain(change.new),
        }
        return to_json({**members, **({"number": to_dict(change.number)} if change.field == "id" else {})})


def what_changed(change: Change) -> str:
    """What changed, in words."""
    if change.field == "id":
        return "gone" if change.new is None else "new"
    return f"{change.field} {shown(change.old)} -> {shown(change.new)}"


def shown(value: Any) -> str:
    """A value as people read it; `-` where the API said nothing."""
    if value is None:
        return "-"
    plain = _plain(value)
    return printable(plain) if isinstance(plain, str) and plain else to_json(plain)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return to_dict(value) if isinstance(value, Throughput) else value


def _time(seen_at: datetime) -> str:
    return f"{seen_at:%Y-%m-%dT%H:%M:%SZ}"
