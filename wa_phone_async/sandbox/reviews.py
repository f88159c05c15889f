"""What Meta's people and machines decide about numbers: what it changes, and what a webhook says of it.

Meta's WhatsApp webhook reference, read 2026-11-22.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from .data import Row, digits_of
from .schedule import Agenda
from .store import Account, Store
from .webhooks import EPOCH, Webhooks

REJECTION_REASONS = (
    "NAME_EMPLOYEE_ISSUE",
    "NAME_ENDCLIENT_NOTRELATED",
    "NAME_FORMAT_UNACCEPTABLE",
    "NAME_INDIVIDUAL_ISSUE",
    "NAME_NOT_CONSISTENT",
    "UNKNOWN",
)
"""Why a name may be declined."""

WEEK = 7 * 86_400
"""How long an account is restricted, in seconds."""


@attrs.frozen
class Happening:
    """Something that happens to a number."""

    changes: Row
    """What it changes in its row."""

    field: str
    """The field of its webhook."""

    value: Mapping[str, Any]
    """What the webhook says."""


def name_approved(row: Row) -> Happening:
    """A number's name is good."""
    changes = {"name_status": "APPROVED", "unified_cert_status": "APPROVED"}
    return Happening(changes, "phone_number_name_update", _name_update(row, "APPROVED", None))


def name_declined(row: Row, reason: str) -> Happening:
    """A number's name is not good."""
    changes = {"name_status": "DECLINED", "unified_cert_status": "NAME_NOT_APPROVED"}
    return Happening(changes, "phone_number_name_update", _name_update(row, "REJECTED", reason))


def quality_rated(row: Row, rating: str) -> Happening:
    """Receivers rate a number otherwise than before."""
    event = "FLAGGED" if rating == "RED" else "UNFLAGGED"
    return Happening({"quality_rating": rating}, "phone_number_quality_update", _quality_update(row, event))


def onboarded(row: Row, changes: Row) -> Happening:
    """A number was registered."""
    return Happening(changes, "phone_number_quality_update", _quality_update(row, "ONBOARDING"))


def throughput_upgraded(row: Row) -> Happening:
    """A number may send faster."""
    changes = {"throughput": {"level": "HIGH"}}
    return Happening(changes, "phone_number_quality_update", _quality_update(row, "THROUGHPUT_UPGRADE"))


def pin_changed(row: Row) -> Happening:
    """Two-step verification has another PIN."""
    return Happening({"is_pin_enabled": True}, "security", _security(row, "PIN_CHANGED"))


def pin_reset_requested(row: Row, requester: str) -> Happening:
    """Somebody asks to switch two-step verification off."""
    return Happening({}, "security", {**_security(row, "PIN_RESET_REQUEST"), "requester": requester})


def pin_reset(row: Row) -> Happening:
    """Two-step verification is off, as was asked for."""
    return Happening({"is_pin_enabled": False}, "security", _security(row, "PIN_REQUEST_SUCCESS"))


def _name_update(row: Row, decision: str, reason: str | None) -> Row:
    return {
        **_named(row),
        "decision": decision,
        "requested_verified_name": row.get("verified_name"),
        "rejection_reason": reason,
    }


def _quality_update(row: Row, event: str) -> Row:
    return {**_named(row), "event": event, "max_daily_conversations_per_business": "TIER_250"}


def _security(row: Row, event: str) -> Row:
    return {**_named(row), "event": event}


def _named(row: Row) -> Row:
    return {"display_phone_number": digits_of(row.get("display_phone_number") or "")}


class Reviews:
    """What happens to the numbers of a store, at once or later, and is told by webhooks.

    Args:
        store: The accounts and their numbers.
        webhooks: Who tells.
        review_after: Seconds after which the name of a new number is approved; `None` leaves it in review.
    """

    def __init__(self, store: Store, webhooks: Webhooks, review_after: float | None) -> None:
        self.agenda: Agenda = Agenda()
        self.webhooks = webhooks
        self._store = store
        self._review_after = review_after

    def begin(self, number: str, now: float) -> None:
        """Begin the review of the name of a new number."""
        if self._review_after is not None:
            at = now + self._review_after
            self.agenda.add(at, functools.partial(self._approve, number, at))

    def _approve(self, number: str, at: float) -> None:
        """Approve a name, unless it was decided about before."""
        row = self.row(number)
        if row and row["name_status"] == "PENDING_REVIEW":
            self.happen(number, name_approved, at)

    def keep_up(self, now: float) -> None:
        """Let happen what is on the agenda up to now."""
        while action := self.agenda.take(now):
            action()

    def happen(self, number: str, event: Callable[[Row], Happening], now: float) -> None:
        """Let something happen to a number, `KeyError` if there is none."""
        account = self._owner(number)
        happening = event(account.row(number) or {})
        self._store.update(account.id, number, happening.changes)
        self.webhooks.add(account.id, happening.field, happening.value, now)

    def change(self, number: str, changes: Row) -> None:
        """Change members of a number without a word, `KeyError` if there is none."""
        self._store.update(self._owner(number).id, number, changes)

    def row(self, number: str) -> Row | None:
        """Find the row of a number, as it is now."""
        account = self._store.find(number)
        return None if account is None else account.row(number)

    def _owner(self, number: str) -> Account:
        account = self._store.find(number)
        if account is None:
            raise KeyError(number)
        return account

    def restrict(self, waba_id: str, now: float) -> None:
        """Restrict an account, `KeyError` if there is none."""
        for row in self._store.numbers(waba_id):
            if row.get("status") == "CONNECTED":
                self._store.update(waba_id, row["id"], {"status": "RESTRICTED"})
        restriction = {"restriction_type": "RESTRICTED_ADD_PHONE_NUMBER_ACTION", "expiration": EPOCH + int(now) + WEEK}
        value = {"event": "ACCOUNT_RESTRICTION", "restriction_info": [restriction]}
        self.webhooks.add(waba_id, "account_update", value, now)
