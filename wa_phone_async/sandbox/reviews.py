"""What Meta decides about numbers: how a number changes, and the webhook that reports it.

From Meta's references of the WhatsApp webhook fields, read 2026-11-22 and 2026-11-28. None of them tells of a changed
quality rating. `phone_number_quality_update` has only the events `ONBOARDING` and `THROUGHPUT_UPGRADE`.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from .data import Row, digits_of
from .schedule import Schedule
from .store import Store, StoredAccount
from .webhooks import EPOCH, Webhooks

REJECTION_REASONS = (
    "NAME_EMPLOYEE_ISSUE",
    "NAME_ENDCLIENT_NOTRELATED",
    "NAME_FORMAT_UNACCEPTABLE",
    "NAME_INDIVIDUAL_ISSUE",
    "NAME_NOT_CONSISTENT",
    "UNKNOWN",
)
"""The reasons for which a name may be declined."""

WEEK = 7 * 86_400
"""Seconds for which an account is restricted."""


@attrs.frozen
class NumberEvent:
    """Something that happens to a number: its changes and its webhook."""

    changes: Row
    """The members that change."""

    field: str
    """The field of its webhook."""

    value: Mapping[str, Any]
    """The value of its webhook."""


NO_NEWER_NAME: Mapping[str, None] = {"new_display_name": None, "new_name_status": None}
"""The members of a number without a newer name."""


def name_approved(row: Row, *, renames: bool = False) -> NumberEvent:
    """The requested name of a number is approved, or else the one that it has.

    Args:
        row: The number.
        renames: Whether a requested name becomes the name of the number now.
    """
    update = _name_update(row, "APPROVED", None)
    if not row.get("new_display_name"):
        return NumberEvent(_name_status("APPROVED"), "phone_number_name_update", update)
    if not renames:
        return NumberEvent({"new_name_status": "APPROVED"}, "phone_number_name_update", update)
    changes = {**_name_status("APPROVED"), "verified_name": row["new_display_name"], **NO_NEWER_NAME}
    return NumberEvent(changes, "phone_number_name_update", update)


def name_declined(row: Row, reason: str) -> NumberEvent:
    """The requested name of a number is declined, or else the one that it has."""
    changes = {"new_name_status": "DECLINED"} if row.get("new_display_name") else _name_status("DECLINED")
    return NumberEvent(changes, "phone_number_name_update", _name_update(row, "REJECTED", reason))


def name_deferred(row: Row) -> NumberEvent:
    """The name of a number may be used, and is reviewed later. That the decision is DEFERRED then is a guess."""
    status = "AVAILABLE_WITHOUT_REVIEW"
    changes = {"new_name_status": status} if row.get("new_display_name") else {"name_status": status}
    return NumberEvent(changes, "phone_number_name_update", _name_update(row, "DEFERRED", None))


def onboarded(row: Row, changes: Row) -> NumberEvent:
    """A number is registered."""
    # That ONBOARDING has a limit, and this one, is a guess: no sample of it is printed.
    return NumberEvent(changes, "phone_number_quality_update", _quality_update(row, "ONBOARDING", "TIER_NOT_SET"))


def throughput_upgraded(row: Row) -> NumberEvent:
    """A number may send faster than before."""
    changes = {"throughput": {"level": "HIGH"}}
    value = _quality_update(row, "THROUGHPUT_UPGRADE", "TIER_UNLIMITED")
    return NumberEvent(changes, "phone_number_quality_update", value)


def username_set(row: Row, username: str) -> NumberEvent:
    """The username of a number is approved."""
    value = {**_named(row), "username": username, "status": "approved"}
    return NumberEvent({"username": username}, "business_username_updates", value)


def username_reserved(row: Row, username: str) -> NumberEvent:
    """A username is reserved for a number. The number shows it once it is approved."""
    value = {**_named(row), "username": username, "status": "reserved"}
    return NumberEvent({"username": ""}, "business_username_updates", value)


def username_deleted(row: Row, **more: str) -> NumberEvent:
    """The username of a number is deleted. The webhook leaves it out."""
    return NumberEvent({"username": ""}, "business_username_updates", {**_named(row), "status": "deleted", **more})


def badge_decided(row: Row, *, is_approved: bool) -> NumberEvent:
    """A number gets Meta's badge for official business accounts, or is denied it."""
    status = "APPROVED" if is_approved else "REJECTED"
    changes = {"is_official_business_account": is_approved, "official_business_account": {"oba_status": status}}
    alert = {
        "alert_severity": "INFORMATIONAL" if is_approved else "CRITICAL",
        "alert_status": "ACTIVE",
        "alert_type": f"OBA_{status}",
        "alert_description": f"The request for an official business account was {status.lower()}.",
    }
    value = {"entity_type": "PHONE_NUMBER", "entity_id": row["id"], "alert_info": alert}
    return NumberEvent(changes, "account_alerts", value)


def calling_set(row: Row, *, is_enabled: bool, now: float) -> NumberEvent:
    """A number may be called from now on, or not any more. This is a setting, and no member of the number."""
    settings = {"phone_number_id": row["id"], "calling": {"status": "ENABLED" if is_enabled else "DISABLED"}}
    value = {
        "messaging_product": "whatsapp",
        "timestamp": str(EPOCH + int(now)),
        "type": "PHONE_NUMBER_SETTINGS",
        "phone_number_settings": settings,
    }
    return NumberEvent({}, "account_settings_update", value)


def pin_changed(row: Row) -> NumberEvent:
    """Two-step verification gets another PIN."""
    return NumberEvent({"is_pin_enabled": True}, "security", _security(row, "PIN_CHANGED"))


def pin_reset_requested(row: Row, requester: str) -> NumberEvent:
    """Somebody requests to switch two-step verification off."""
    return NumberEvent({}, "security", {**_security(row, "PIN_RESET_REQUEST"), "requester": requester})


def pin_reset(row: Row) -> NumberEvent:
    """Two-step verification is switched off, as requested."""
    return NumberEvent({"is_pin_enabled": False}, "security", _security(row, "PIN_REQUEST_SUCCESS"))


def _name_status(status: str) -> Row:
    """Return the state of the name that a number has, in the words of the live service and of the reference."""
    return {"name_status": status, "unified_cert_status": "APPROVED" if status == "APPROVED" else "NAME_NOT_APPROVED"}


def _name_update(row: Row, decision: str, reason: str | None) -> Row:
    return {
        **_named(row),
        "decision": decision,
        "requested_verified_name": row.get("new_display_name") or row.get("verified_name"),
        "rejection_reason": reason,
    }


def _quality_update(row: Row, event: str, limit: str) -> Row:
    return {**_named(row), "event": event, "max_daily_conversations_per_business": limit}


def _security(row: Row, event: str) -> Row:
    return {**_named(row), "event": event}


def _named(row: Row) -> Row:
    return {"display_phone_number": digits_of(row.get("display_phone_number") or "")}


class Reviews:
    """Changes the numbers of a store, at once or later, and makes the webhooks.

    Args:
        store: The accounts and their numbers.
        webhooks: Makes and sends the webhooks.
        review_after: Seconds after which a name is approved; `None` leaves it in review.
        renames: Whether a requested name becomes the name of its number with the approval.
    """

    def __init__(self, store: Store, webhooks: Webhooks, review_after: float | None, *, renames: bool = False) -> None:
        self.schedule: Schedule = Schedule()
        self.webhooks = webhooks
        self._store = store
        self._review_after = review_after
        self._renames = renames

    def start(self, number: str, now: float) -> None:
        """Start the review of the name of a new number, or of one that was requested."""
        if self._review_after is not None:
            at = now + self._review_after
            self.schedule.add(at, functools.partial(self._approve, number, at))

    def _approve(self, number: str, at: float) -> None:
        """Approve a name if it is still in review."""
        row = self.row(number)  # `None` if the number was removed meanwhile
        if row and row["new_name_status" if row.get("new_display_name") else "name_status"] == "PENDING_REVIEW":
            self.approve(number, at)

    def approve(self, number: str, now: float) -> None:
        """Approve the requested name of a number, or else the one that it has.

        Raises:
            KeyError: There is no such number.
        """
        self.apply(number, functools.partial(name_approved, renames=self._renames), now)

    def run_due(self, now: float) -> None:
        """Run the scheduled actions that are due by now."""
        # One at a time: an action may schedule another one that is due as well, or raise and leave the rest for later.
        while action := self.schedule.pop_due(now):
            action()

    def apply(self, number: str, event: Callable[[Row], NumberEvent], now: float) -> None:
        """Change a number as an event says, and make its webhook.

        Raises:
            KeyError: There is no such number.
        """
        account = self._owner(number)
        happened = event(account.row(number) or {})
        self._store.update(account.id, number, happened.changes)
        self.webhooks.add(account.id, happened.field, happened.value, now)

    def update(self, number: str, changes: Row) -> None:
        """Change members of a number without a webhook.

        Raises:
            KeyError: There is no such number.
        """
        self._store.update(self._owner(number).id, number, changes)

    def row(self, number: str) -> Row | None:
        """Return the current row of a number."""
        account = self._store.find_owner(number)
        return None if account is None else account.row(number)

    def neighbours(self, number: str) -> Iterator[Row]:
        """Return the rows of a number's account, this number included."""
        return self._owner(number).rows()

    def _owner(self, number: str) -> StoredAccount:
        account = self._store.find_owner(number)
        if account is None:
            raise KeyError(number)
        return account

    def restrict(self, waba_id: str, now: float) -> None:
        """Restrict an account: its connected numbers become `RESTRICTED`, which is a guess.

        Raises:
            KeyError: There is no such account.
        """
        for row in self._store.numbers(waba_id):
            if row.get("status") == "CONNECTED":
                self._store.update(waba_id, row["id"], {"status": "RESTRICTED"})
        restriction = {"restriction_type": "RESTRICTED_ADD_PHONE_NUMBER_ACTION", "expiration": EPOCH + int(now) + WEEK}
        value = {"event": "ACCOUNT_RESTRICTION", "restriction_info": [restriction]}
        self.webhooks.add(waba_id, "account_update", value, now)
