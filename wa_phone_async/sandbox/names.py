"""Requests for another display name, and what a registration does with an approved one.

From Meta's "Display names" (updated 2026-05-21) and its page on registration (June 2026), read 2026-11-28. A request
starts a review, and the number keeps its name meanwhile. Meta reviews one name of a number at a time, and a request for
the name that is in review succeeds (Twilio's page on its error 63128, read 2026-11-28). The code and the text of that
error are guesses.

After an approval the modes differ. Meta's page says that `verified_name` changes then: the reference mode does that.
People report that the name changes only with the next registration: the live mode does that. There `new_display_name`
stays until then, which is a guess.
"""

from collections.abc import Mapping
from typing import Any

from .codes import read_member
from .data import Row
from .messages import rejected
from .modes import Mode
from .reviews import NO_NEWER_NAME, Reviews

LONGEST_NAME = 512
"""Characters. Meta publishes no limit; this is the largest that a partner names."""


class DisplayNames:
    """The requested names of all numbers.

    Args:
        mode: Decides when an approved name takes the place of the old one.
        reviews: Changes numbers, and ends reviews.
    """

    def __init__(self, mode: Mode, reviews: Reviews) -> None:
        self._mode = mode
        self._reviews = reviews

    def request(self, row: Row, members: Mapping[str, Any], now: float) -> None:
        """Start the review of a name.

        Raises:
            RejectedError: The name is empty or too long, or another one is in review.
        """
        name = read_member(members, "new_display_name", rf"(?s)(?=.*\S).{{1,{LONGEST_NAME}}}")
        if row.get("new_name_status") == "PENDING_REVIEW":
            if row.get("new_display_name") == name:
                return
            raise rejected("Another display name of this phone number is in review")
        self._reviews.update(row["id"], {"new_display_name": name, "new_name_status": "PENDING_REVIEW"})
        self._reviews.start(row["id"], now)

    def after_registration(self, row: Row) -> Row:
        """Return what a registration changes: an approved name becomes the name of the number."""
        if self._mode.renames_at_approval or row.get("new_name_status") != "APPROVED":
            return {}
        return {"verified_name": row["new_display_name"], "name_status": "APPROVED", **NO_NEWER_NAME}
