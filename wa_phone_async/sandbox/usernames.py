"""Usernames: who has which one.

From Kapso's, Vonage's, YCloud's and Alibaba Cloud's pages on Meta's usernames, and from a changelog of Meta's entries
of June 2026, read 2026-11-28:

    GET     {"username": …, "status": "approved" | "reserved"}, and nothing if the number has none
    POST    {"status": …}: `username`, and `transfer_action` as "none" or "force_transfer"
    DELETE  {"success": true}

In the live mode a claimed username is only reserved, and `DELETE` leaves a reserved one alone, as YCloud reports. In
the reference mode it is approved at once. The texts of the errors, and the webhooks after a transfer, are guesses.
"""

import re
from collections.abc import Mapping
from typing import Any

import attrs

from .data import Row
from .messages import rejected
from .modes import Mode
from .reviews import Reviews, username_deleted, username_reserved, username_set

_FORM = r"(?!www)(?!\.)(?=.*[a-z])(?!.*\.\.)(?!.*\.(?:com|org|net|io|ai|edu|gov|html)$)[a-z0-9._]{3,35}(?<!\.)"


@attrs.frozen
class _Claim:
    username: str
    status: str


class Usernames:
    """The usernames of all numbers. One that a number has from the beginning is approved.

    Args:
        mode: Decides whether a claimed username is approved at once.
        reviews: Changes numbers and makes webhooks.
    """

    def __init__(self, mode: Mode, reviews: Reviews) -> None:
        self._mode = mode
        self._reviews = reviews
        self._claims: dict[str, _Claim | None] = {}
        self._taken = set[str]()

    def take(self, username: str) -> None:
        """Give a username to somebody outside of the business."""
        self._taken.add(username.lower())

    def set(self, number: str, username: str | None, now: float) -> None:
        """Approve a username of a number; `None` deletes the one that it has.

        Raises:
            KeyError: There is no such number.
        """
        if username is None:
            self._reviews.apply(number, username_deleted, now)
        else:
            self._reviews.apply(number, lambda row: username_set(row, username), now)
        self._claims[number] = None if username is None else _Claim(username, "approved")

    def revoke(self, number: str, now: float) -> None:
        """Take a username away from its number, as Meta does.

        Raises:
            KeyError: There is no such number.
        """
        self._reviews.apply(number, lambda row: username_deleted(row, context="revoked"), now)
        self._claims[number] = None

    def get(self, row: Row) -> Row:
        """Return the members of a GET."""
        claim = self._claim(row)
        return {} if claim is None else {"username": claim.username, "status": claim.status}

    def suggest(self, row: Row) -> Row:
        """Return usernames that are free, made from the name of a number."""
        words = re.findall("[a-z0-9]+", str(row.get("verified_name") or "").lower())
        forms = ["".join(words), ".".join(words), "_".join(words), "".join([*words, "shop"])]
        free = [form for form in dict.fromkeys(forms) if re.fullmatch(_FORM, form) and not self._is_taken(form, row)]
        return {"data": [{"username_suggestions": free}]}

    def claim(self, row: Row, members: Mapping[str, Any], now: float) -> Row:
        """Claim a username, and return the members of the response.

        Raises:
            RejectedError: The username is invalid or taken, or the number is not registered.
        """
        username, action = str(members.get("username", "")), str(members.get("transfer_action", "none"))
        if not re.fullmatch(_FORM, username.lower()):
            raise rejected("Param username is not a valid username")
        if action not in {"none", "force_transfer"}:
            raise rejected("Param transfer_action must be one of {none, force_transfer}")
        if row.get("platform_type") != "CLOUD_API":
            raise rejected("Phone number is not registered", code=133010)
        if username.lower() in self._taken:
            raise rejected("The username is not available", code=147001)
        holder = self._holder(username, row)
        if holder is not None:
            if action == "none":
                raise rejected("Another phone number of this business portfolio uses the username", code=147005)
            self.set(holder, None, now)
        status = "approved" if self._mode.approves_usernames else "reserved"
        event = username_set if status == "approved" else username_reserved
        self._reviews.apply(row["id"], lambda current: event(current, username), now)
        self._claims[row["id"]] = _Claim(username, status)
        return {"status": status}

    def release(self, row: Row, now: float) -> Row:
        """Release the username of a number, and return the members of the response."""
        claim = self._claim(row)
        if claim is not None and (claim.status == "approved" or self._mode.approves_usernames):
            self.set(row["id"], None, now)
        return {"success": True}

    def _claim(self, row: Row) -> _Claim | None:
        if row["id"] in self._claims:
            return self._claims[row["id"]]
        return _Claim(row["username"], "approved") if row.get("username") else None

    def _is_taken(self, username: str, row: Row) -> bool:
        return username in self._taken or self._holder(username, row) is not None

    def _holder(self, username: str, row: Row) -> str | None:
        """Return another number that has a username: one that claimed it, or one of the same account."""
        for other in self._reviews.neighbours(row["id"]):
            claim = self._claim(other)
            if claim is not None and claim.username.lower() == username.lower() and other["id"] != row["id"]:
                return str(other["id"])
        claims = ((number, claim) for number, claim in self._claims.items() if claim is not None)
        return next((n for n, c in claims if c.username.lower() == username.lower() and n != row["id"]), None)
