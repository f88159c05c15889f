"""Usernames: the suggestions that Meta keeps for a number.

`GET /{phone_number_id}/username_suggestions` sends `{"data": [{"username_suggestions": ["acme", "acme.shoes"]}]}`
(Kapso's page on usernames, and the types of the JavaScript SDK `meta-cloud-api`, read 2026-11-28).
"""

from __future__ import annotations

import attrs

from wa_phone_async.models import NO_EXTRA, Extra


@attrs.frozen
class SuggestionRow:
    """One row of the response. It has had only one so far."""

    username_suggestions: tuple[str, ...] = ()
    """The usernames, best first."""
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)
    """Members that no field knows."""


@attrs.frozen
class Suggestions:
    """The response."""

    data: tuple[SuggestionRow, ...] = ()
    """Its rows."""
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)
    """Members that no field knows."""

    @property
    def usernames(self) -> list[str]:
        """The usernames of all rows, each once."""
        return list(dict.fromkeys(name for row in self.data for name in row.username_suggestions))
