"""The accounts and their numbers: the one part of the sandbox that remembers."""

import copy
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from .business import AccountRows, WabaIds
from .data import (
    SEEDED,
    Row,
    account_ordinal,
    account_row,
    created_row,
    digits_of,
    number_id,
    place_in_account,
    seeded_row,
    seeded_rows,
)

AccountKind: TypeAlias = Literal["owned", "client"]
"""How an account belongs to the business: it is its own, or shared with it."""


@attrs.frozen
class Created:
    """One number that a POST made."""

    waba_id: str
    """The account that it was made in."""
    id: str
    """The id of the new number."""
    phone_number: str
    """Its digits, country code included."""


class Account:
    """One WABA: a recipe for its rows until something changes them, and the rows from then on."""

    __slots__ = ("_digits", "_is_registered", "_rows", "_seeded", "_serial", "id", "ordinal", "version")

    def __init__(self, waba_id: str, ordinal: int, numbers: int | Iterable[Mapping[str, Any]]) -> None:
        self.id: str = waba_id
        self.ordinal: int = ordinal
        self.version: int = 0
        self._seeded = numbers if isinstance(numbers, int) else 0
        self._serial = self._seeded
        self._rows: list[Row] | None = None
        # Known once asked for, until a row changes: both are asked at every call.
        self._is_registered: bool | None = None
        self._digits: set[str] | None = None
        if not isinstance(numbers, int):
            self._rows = [{"id": self._next_id(), **row} for row in numbers]

    def rows(self) -> Iterator[Row]:
        """Give the rows in the order in which they were made."""
        return seeded_rows(self.ordinal, self._seeded) if self._rows is None else iter(self._rows)

    @property
    def is_registered(self) -> bool:
        """Whether it has a registered number, and so the larger budget (RL)."""
        if self._is_registered is None:
            self._is_registered = any(row.get("status") == "CONNECTED" for row in self.rows())
        return self._is_registered

    def has(self, digits: str) -> bool:
        """Say whether a number of these digits is here."""
        return digits in self._known_digits()

    def row(self, number: str) -> Row | None:
        """Find the row of a number."""
        if self._rows is not None:
            return next((row for row in self._rows if row["id"] == number), None)
        index = place_in_account(self.ordinal, number)
        return seeded_row(self.ordinal, index) if 0 <= index < self._seeded else None

    def create(self, digits: str, verified_name: str, *, preverified: bool) -> str:
        """Add a number and give its id."""
        row = created_row(self._next_id(), digits, verified_name, preverified=preverified)
        self._changeable().append(row)
        self._known_digits().add(digits)
        return str(row["id"])

    def update(self, number: str, changes: Row) -> None:
        """Change members of a number, `KeyError` if it is not here."""
        self._find(number).update(changes)

    def remove(self, number: str) -> None:
        """Take a number out, `KeyError` if it is not here."""
        row = self._find(number)
        self._changeable().remove(row)

    def _find(self, number: str) -> Row:
        """Find a row that is about to change."""
        self._is_registered = self._digits = None
        for row in self._changeable():
            if row["id"] == number:
                return row
        raise KeyError(number)

    def _known_digits(self) -> set[str]:
        if self._digits is None:
            self._digits = {digits_of(row.get("display_phone_number") or "") for row in self.rows()}
        return self._digits

    def _changeable(self) -> list[Row]:
        self.version += 1
        if self._rows is None:
            self._rows = list(self.rows())
        return self._rows

    def _next_id(self) -> str:
        self._serial += 1
        return number_id(self.ordinal, self._serial - 1)


class Store:
    """All accounts by id: three seeded ones, generated ones, and those that are added.

    Only what was added or changed is kept; a generated account is made anew when it is asked for again.

    Args:
        accounts: How many accounts are generated for the business, in the place of the seeded ones, which then are
            shared with it; none if `None`.
        numbers_per_account: How many numbers each of them has.
    """

    def __init__(self, accounts: int | None = None, numbers_per_account: int = 0) -> None:
        self.created: list[Created] = []
        self._business: dict[AccountKind, WabaIds] = {
            "owned": WabaIds(accounts or 0, SEEDED if accounts is None else ()),
            "client": WabaIds(0, () if accounts is None else SEEDED),
        }
        self._generated_count = accounts or 0
        self._numbers_per_account = numbers_per_account
        self._kept = {
            waba_id: Account(waba_id, ordinal, count) for ordinal, (waba_id, count) in enumerate(SEEDED.items())
        }
        self._by_ordinal = dict(enumerate(SEEDED))
        self._with_own_ids: dict[str, None] = {}
        self._next_ordinal = len(SEEDED) + (accounts or 0)
        # An account that is asked for again soon is the same one, so that its pages are known.
        self._generated = functools.lru_cache(maxsize=1024)(self._generate)

    @property
    def waba_ids(self) -> WabaIds:
        """The ids of the accounts that the business owns."""
        return self._business["owned"]

    def accounts(self, kind: AccountKind) -> AccountRows:
        """Give the accounts of the business as the rows of a list."""
        return AccountRows(self._business[kind], lambda waba_id: account_row(waba_id, self._ordinal(waba_id)))

    def add(self, waba_id: str, numbers: int | Iterable[Mapping[str, Any]]) -> None:
        """Add an account, or put another in the place of one."""
        account = Account(waba_id, self._ordinal(waba_id), numbers)
        if account.ordinal == self._next_ordinal:
            self._next_ordinal += 1
            self.waba_ids.add(waba_id)
        self._kept[waba_id] = account
        self._by_ordinal[account.ordinal] = waba_id
        self._with_own_ids.pop(waba_id, None)
        if not isinstance(numbers, int):
            self._with_own_ids[waba_id] = None

    def account(self, waba_id: str) -> Account | None:
        """Find an account."""
        if waba_id in self._kept or self.waba_ids.generated_place(waba_id) is None:
            return self._kept.get(waba_id)
        return self._generated(waba_id)

    def is_number(self, node: str) -> bool:
        """Say whether an id is that of a phone number, which no list hangs on."""
        return 0 <= account_ordinal(node) < self._next_ordinal

    def find(self, number: str) -> Account | None:
        """Find the account that has a number, by the number's id."""
        candidates = map(self.account, self._ids_with(account_ordinal(number)))
        return next((account for account in candidates if account and account.row(number)), None)

    def _ids_with(self, ordinal: int) -> Iterator[str]:
        """Generate the ids of the accounts that may have a number: the one of its ordinal, and those with own ids."""
        if ordinal in self._by_ordinal:
            yield self._by_ordinal[ordinal]
        elif 0 <= ordinal - len(SEEDED) < self._generated_count:
            yield self.waba_ids[ordinal - len(SEEDED)]
        yield from self._with_own_ids

    def create(self, account: Account, digits: str, verified_name: str, *, preverified: bool) -> str:
        """Add a number to an account and give its id."""
        self._kept[account.id] = account
        number = account.create(digits, verified_name, preverified=preverified)
        self.created.append(Created(account.id, number, digits))
        return number

    def numbers(self, waba_id: str) -> list[dict[str, Any]]:
        """Copy the rows of an account out, in the order in which they were made."""
        return [copy.deepcopy(row) for row in self._found(waba_id).rows()]

    def update(self, waba_id: str, number: str, changes: Row) -> None:
        """Change members of a number."""
        self._changing(waba_id).update(number, changes)

    def remove(self, waba_id: str, number: str) -> None:
        """Take a number out of an account."""
        self._changing(waba_id).remove(number)

    def _found(self, waba_id: str) -> Account:
        account = self.account(waba_id)
        if account is None:
            raise KeyError(waba_id)
        return account

    def _changing(self, waba_id: str) -> Account:
        """Find an account, and keep it from now on."""
        return self._kept.setdefault(waba_id, self._found(waba_id))

    def _generate(self, waba_id: str) -> Account:
        return Account(waba_id, self._ordinal(waba_id), self._numbers_per_account)

    def _ordinal(self, waba_id: str) -> int:
        """Give the ordinal of an account: the one that it has, or the next one that is free."""
        if waba_id in self._kept:
            return self._kept[waba_id].ordinal
        place = self.waba_ids.generated_place(waba_id)
        return self._next_ordinal if place is None else len(SEEDED) + place
