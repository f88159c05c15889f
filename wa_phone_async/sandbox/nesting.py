"""How lists of numbers come inside the rows of accounts (field expansion), and what goes wrong with them.

Meta's guide to field expansion documents nested lists with `.limit(n)` and `{fields}`, and its guide to paging their 25
rows by default. A published response shows their form. All were read on 2026-11-28.

These are guesses: a nested cursor is a cursor of the account's own edge, both have the same limits, and a nested list
uses no quota of its account.
"""

import re
from collections.abc import Iterable
from typing import Literal, TypeAlias

from .data import Row
from .faults import NO_FAULT, Fault
from .modes import Mode
from .query import NESTED_CURSOR, NUMBERS_EDGE
from .store import AccountKind

NestedForm: TypeAlias = Literal["usual", "absent", "empty", "own_cursors", "no_cursor"]
"""How the numbers of an account come inside its row; see `Sandbox.set_nested`."""

NESTED_FORMS: tuple[NestedForm, ...] = ("usual", "absent", "empty", "own_cursors", "no_cursor")


_CURSOR = re.compile(r"&(after|before)=")


class Nesting:
    """What goes wrong with nested lists: of all accounts of a kind, and of single accounts.

    Args:
        mode: Whether the lists of clients' accounts nest anything.
    """

    def __init__(self, mode: Mode) -> None:
        self._faults: dict[str, Fault] = {}
        self._forms: dict[str, NestedForm] = {}
        if mode.no_nested_clients is not None:
            self._faults["client"] = Fault(reply=mode.no_nested_clients)
        self.version: int = 0

    def set(self, waba_id_or_kind: str, form: NestedForm | Fault) -> None:
        """Decide how the numbers of an account come, or what goes wrong with all lists of a kind."""
        self.version += 1  # part of the key of each cached page
        self._faults.pop(waba_id_or_kind, None)
        self._forms.pop(waba_id_or_kind, None)
        if isinstance(form, Fault):
            self._faults[waba_id_or_kind] = form
        else:
            self._forms[waba_id_or_kind] = form

    def fault(self, kind: AccountKind | None, waba_ids: Iterable[str]) -> Fault:
        """Return the fault of a page that nests the numbers of these accounts: the first one's that has a fault."""
        return next((self._faults[name] for name in (kind or "", *waba_ids) if name in self._faults), NO_FAULT)

    def shape(self, waba_id: str, members: Row) -> Row:
        """Return the member of an account's row that nests this list of its numbers, if it comes at all."""
        form = self._forms.get(waba_id, "usual")
        if form == "absent":
            return {}
        if form == "empty":
            return {NUMBERS_EDGE: {"data": []}}
        paging = members.get("paging", {})
        if form == "own_cursors" and paging:
            cursors = {name: NESTED_CURSOR + cursor for name, cursor in paging["cursors"].items()}
            links = {name: _CURSOR.sub(rf"\g<0>{NESTED_CURSOR}", str(link)) for name, link in paging.items()}
            members = {**members, "paging": {**links, "cursors": cursors}}
        if form == "no_cursor" and "next" in paging:
            members = {**members, "paging": {"next": re.sub(r"&after=[^&]*", "", paging["next"])}}
        return {NUMBERS_EDGE: members}
