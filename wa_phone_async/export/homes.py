"""The accounts that each number is in. Since Meta's new account model, a number may be in several.

Source: Meta's pages on the evolution of the account model, in stored copies, read 2026-11-28.
"""

from __future__ import annotations

from wa_phone_async.workflows.id_set import IdMap


class Homes:
    """The accounts of each number. A million numbers take 24 to 48 MB, and as much again if all have two accounts."""

    def __init__(self) -> None:
        # Each map has one account of a number. A number with three accounts is in three maps.
        self._maps = [IdMap()]

    @property
    def has_shared(self) -> bool:
        """Whether a number is in several accounts."""
        return len(self._maps) > 1

    def add(self, waba_id: str, number_id: str) -> None:
        """Note that an account has a number."""
        for known in self._maps:
            if known.add(number_id, waba_id) in (None, waba_id):
                return
        self._maps.append(IdMap())
        self._maps[-1].add(number_id, waba_id)

    def others(self, waba_id: str, number_id: str) -> list[str] | None:
        """Return the other accounts of a number, sorted; `None` if there are none."""
        homes = (known.get(number_id) for known in self._maps)
        return sorted(home for home in homes if home not in (None, waba_id)) or None
