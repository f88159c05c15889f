"""One edit as a value: a setting of an object, its old and its new value, and how far it has come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias

import attrs

from wa_phone_async.redaction import hide_queries

TargetKind: TypeAlias = Literal["number", "account"]
"""What an edit changes: a phone number or an account."""


class EditState(StrEnum):
    """How far an edit has come."""

    PLANNED = "planned"
    """It was not sent yet."""
    UNCHANGED = "unchanged"
    """Nothing is to do: the setting has the new value already."""
    SENT = "sent"
    """It is in flight. After a kill: it was in flight then, and it is not read back yet."""
    DONE = "done"
    """The setting has the new value: the API said so, or it was read back."""
    REJECTED = "rejected"
    """It certainly did not happen: the API rejected it, it could not be sent, or the setting could not be read."""
    UNKNOWN = "unknown"
    """It was sent and may have happened: the response was lost, and the setting was not read back."""
    NOT_APPLIED = "not applied"
    """It was sent, its response was lost, and the setting still has the old value."""
    CHANGED = "changed"
    """It was sent or is to be undone, and the setting has neither the old nor the new value: somebody changed it."""


OPEN_STATES: Final = frozenset({EditState.PLANNED, EditState.REJECTED})
"""The states in which an edit may be sent: it has certainly not happened."""
IN_FLIGHT: Final = frozenset({EditState.SENT, EditState.UNKNOWN})
"""The states in which only the setting itself shows what happened."""

SENT_STATES: Final = frozenset({*IN_FLIGHT, EditState.DONE, EditState.NOT_APPLIED, EditState.CHANGED})
"""The states of an edit that may have happened."""


def _without_queries(value: Any) -> str:
    """A value for people. The query of a URL in it may hold a secret."""
    return repr(hide_queries(value))


@attrs.frozen(kw_only=True)
class Edit:
    """One change of one setting."""

    kind: TargetKind
    """What it changes."""
    target: str
    """Meta's id of the number or the account."""
    label: str | None = None
    """The phone number as Meta shows it, or the name of the account. Escape it where you show it."""
    waba_id: str | None = None
    """The account of a number, if it is known."""
    old: Any = attrs.field(default=None, hash=False, repr=_without_queries)
    """The value before, as plain JSON."""
    new: Any = attrs.field(default=None, hash=False, repr=_without_queries)
    """The value to set, as plain JSON."""
    state: EditState = EditState.PLANNED
    """How far it has come."""
    why: str | None = None
    """Why it was rejected, or why nobody knows, in a sentence. `None`: there is nothing to say."""
    number: int = -1
    """Its place in the journal. -1: it is in none."""

    def to_json(self) -> dict[str, Any]:
        """Return what a journal keeps of it, as plain JSON. Its state comes in entries of its own."""
        kept = {"kind": self.kind, "target": self.target, "label": self.label, "waba_id": self.waba_id}
        return {**{name: value for name, value in kept.items() if value is not None}, "old": self.old, "new": self.new}

    def settled_by(self, value: Any) -> Edit:
        """Return it with the state that a value of its setting shows, which was read after it was sent."""
        if value == self.new:
            return attrs.evolve(self, state=EditState.DONE, why="it was in flight, and was read back")
        if value == self.old:
            why = "it was in flight, and has the old value now that it was read back"
            return attrs.evolve(self, state=EditState.NOT_APPLIED, why=why)
        return attrs.evolve(self, state=EditState.CHANGED, why="it was in flight, and somebody has changed it since")


Needs: TypeAlias = Callable[[str], bool]
"""Says for the id of a target whether it still has to be planned."""


@attrs.frozen(kw_only=True)
class EditPlan:
    """What a bulk edit does, and how. The functions raise a `WaPhoneError` for what fails."""

    call: str
    """The call that makes it, for errors: `client.set_webhooks`."""
    options: Mapping[str, Any]
    """What makes this plan another one than any other, as plain JSON without secrets: what is set, and where. A journal
    belongs to one plan, and shows these options to people."""
    edits: Callable[[Needs], AsyncGenerator[Edit]]
    """Reads the old values, and yields the edits. One whose old value cannot be read is `REJECTED`."""
    send: Callable[[Edit], Awaitable[object]]
    """Sends an edit. An `OutcomeUnknownError` says that it may have happened, any other error that it did not."""
    read: Callable[[Edit], Awaitable[Any]]
    """Reads the present value of an edit's setting."""


@attrs.frozen(kw_only=True)
class EditSummary:
    """What a bulk edit has come to, with what earlier runs did."""

    by_state: Mapping[EditState, int]
    """How many edits are in each state, also where it is 0."""
    resumed: int
    """How many of them earlier runs had sent."""

    @property
    def total(self) -> int:
        """How many edits there are."""
        return sum(self.by_state.values())

    @property
    def is_done(self) -> bool:
        """Whether each setting has its new value."""
        return self.by_state[EditState.DONE] + self.by_state[EditState.UNCHANGED] == self.total


@attrs.frozen(kw_only=True)
class EditReport(EditSummary):
    """What a bulk edit has come to, with its edits."""

    edits: tuple[Edit, ...]
    """The edits of this run. Those that earlier runs completed are only in `by_state`."""
