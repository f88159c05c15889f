"""The accounts and their numbers."""

import copy
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from .business import AccountRows, WabaIds
from .data import (
    NUMBERS_PER_ACCOUNT,
    SEEDED,
    Row,
    account_ordinal,
    account_row,
    created_row,
    digits_of,
    index_in_account,
    number_id,
    seeded_row,
    seeded_rows,
)

AccountKind: TypeAlias = Literal["owned", "client"]
"""How an account belongs to the business: owned by it, or shared with it by a client."""


@attrs.frozen
class Created:
    """One number that a POST created."""

    waba_id: str
    """The id of its account."""
    id: str
    """The id of the new number."""
    phone_number: str
    """Its digits, with the country code."""


class StoredAccount:
    """One WABA. Its rows are computed until the first change, and stored from then on."""

    __slots__ = ("_digits", "_is_registered", "_rows", "_seeded", "_serial", "id", "ordinal", "version")

    def __init__(self, waba_id: str, ordinal: int, numbers: int | Iterable[Mapping[str, Any]]) -> None:
        self.id: str = waba_id
        self.ordinal: int = ordinal
        self.version: int = 0
        self._seeded = numbers if isinstance(numbers, int) else 0
        self._serial = self._seeded
        self._rows: list[Row] | None = None
        # Two caches, since every call needs both values. A change of a row clears them.
        self._is_registered: bool | None = None
        self._digits: set[str] | None = None
        if not isinstance(numbers, int):
            self._rows = [{"id": self._next_id(), **row} for row in numbers]

    def rows(self) -> Iterator[Row]:
        """Return the rows, oldest first."""
        return seeded_rows(self.ordinal, self._seeded) if self._rows is None else iter(self._rows)

    @property
    def is_registered(self) -> bool:
        """Whether it has a registered number, which gives it the larger quota (Meta's guide to rate limits)."""
        if self._is_registered is None:
            self._is_registered = any(row.get("status") == "CONNECTED" for row in self.rows())
        return self._is_registered

    def has(self, digits: str) -> bool:
        """Return whether the account has a number with these digits."""
        return digits in self._known_digits()

    def row(self, number: str) -> Row | None:
        """Return the row of a number, or `None`."""
        if self._rows is not None:
            return next((row for row in self._rows if row["id"] == number), None)
        index = index_in_account(self.ordinal, number)
        return seeded_row(self.ordinal, index) if 0 <= index < self._seeded else None

    def create(self, digits: str, verified_name: str, *, preverified: bool) -> str:
        """Create a number and return its id."""
        row = created_row(self._next_id(), digits, verified_name, preverified=preverified)
        self._stored().append(row)
        self._known_digits().add(digits)
        return str(row["id"])

    def add(self, members: Row) -> Row:
        """Add a number with these members, and return it."""
        row = {"id": self._next_id(), **members}
        self._stored().append(row)
        self._is_registered = self._digits = None
        return row

    def update(self, number: str, changes: Row) -> None:
        """Change members of a number.

        Raises:
            KeyError: The number is not here.
        """
        self._find(number).update(changes)

    def remove(self, number: str) -> None:
        """Remove a number.

        Raises:
            KeyError: The number is not here.
        """
        row = self._find(number)
        self._stored().remove(row)

    def _find(self, number: str) -> Row:
        """Return a row that is about to change."""
        self._is_registered = self._digits = None
        for row in self._stored():
            if row["id"] == number:
                return row
        raise KeyError(number)

    def _known_digits(self) -> set[str]:
        if self._digits is None:
            self._digits = {digits_of(row.get("display_phone_number") or "") for row in self.rows()}
        return self._digits

    def _stored(self) -> list[Row]:
        """Return the rows for a change."""
        self.version += 1  # part of the key of each cached page
        if self._rows is None:
            self._rows = list(self.rows())
        return self._rows

    def _next_id(self) -> str:
        self._serial += 1
        return number_id(self.ordinal, self._serial - 1)


class Store:
    """All accounts by id: three seeded ones, generated ones, and those that were added.

    Only an account that was added or changed is stored. A generated one is generated again when it is needed.

    Args:
        accounts: How many accounts are generated as owned by the business; the seeded ones are then shared with it.
            `None` generates none, and the business owns the seeded ones.
        numbers_per_account: How many numbers each generated account has, or a function from its position to that.

    Raises:
        ValueError: A number of numbers is out of range.
    """

    def __init__(self, accounts: int | None = None, numbers_per_account: int | Callable[[int], int] = 0) -> None:
        self.created: list[Created] = []
        self.version: int = 0
        self._business: dict[AccountKind, WabaIds] = {
            "owned": WabaIds(accounts or 0, SEEDED if accounts is None else ()),
            "client": WabaIds(0, () if accounts is None else SEEDED),
        }
        self._generated_count = accounts or 0
        if isinstance(numbers_per_account, int):
            _check_count(numbers_per_account)
        self._numbers_per_account = numbers_per_account
        self._accounts = {
            waba_id: StoredAccount(waba_id, ordinal, count) for ordinal, (waba_id, count) in enumerate(SEEDED.items())
        }
        self._by_ordinal = dict(enumerate(SEEDED))
        self._account_members: dict[str, Row] = {}  # what differs from the computed rows of accounts
        # A dict as an ordered set: the accounts with given numbers. Their ids may not tell the account.
        self._with_own_ids: dict[str, None] = {}
        self._next_ordinal = len(SEEDED) + (accounts or 0)
        # Requests for one account often follow each other. The account is also part of the key of its cached pages.
        self._generated = functools.lru_cache(maxsize=1024)(self._generate)

    @property
    def waba_ids(self) -> WabaIds:
        """The ids of the accounts that the business owns."""
        return self._business["owned"]

    def accounts(self, kind: AccountKind, more: Callable[[str], Row] = lambda _: {}) -> AccountRows:
        """Return the accounts of the business as the rows of a list.

        Args:
            kind: Which accounts.
            more: Returns further members of the row of an account.
        """
        return AccountRows(self._business[kind], lambda waba_id: self.row(waba_id) | more(waba_id))

    def row(self, waba_id: str) -> Row:
        """Return the row of an account, which is its node too."""
        return {**account_row(waba_id, self._ordinal(waba_id)), **self._account_members.get(waba_id, {})}

    def update_account(self, waba_id: str, changes: Row) -> None:
        """Change members of the row of an account.

        Raises:
            KeyError: There is no such account.
        """
        self.version += 1
        self._account_members.setdefault(self.existing(waba_id).id, {}).update(changes)

    def add(
        self, waba_id: str, numbers: int | Iterable[Mapping[str, Any]], kinds: Iterable[AccountKind] = ("owned",)
    ) -> None:
        """Add an account, or replace the one with this id. It joins the lists of these kinds, and leaves none."""
        self.version += 1
        is_new = self.account(waba_id) is None
        account = StoredAccount(waba_id, self._ordinal(waba_id), numbers)
        self._next_ordinal += is_new
        for kind in kinds:
            if waba_id not in self._business[kind]:
                self._business[kind].add(waba_id)
        self._accounts[waba_id] = account
        self._by_ordinal[account.ordinal] = waba_id
        self._with_own_ids.pop(waba_id, None)
        if not isinstance(numbers, int):
            self._with_own_ids[waba_id] = None

    def account(self, waba_id: str) -> StoredAccount | None:
        """Return an account, or `None`."""
        if waba_id in self._accounts or self.waba_ids.generated_position(waba_id) is None:
            return self._accounts.get(waba_id)
        return self._generated(waba_id)

    def is_number(self, node: str) -> bool:
        """Return whether an id is that of a phone number."""
        return 0 <= account_ordinal(node) < self._next_ordinal

    def find_owner(self, number: str) -> StoredAccount | None:
        """Return the account of a number, or `None` if there is no such number."""
        candidates = map(self.account, self._candidates(account_ordinal(number)))
        return next((account for account in candidates if account and account.row(number)), None)

    def _candidates(self, ordinal: int) -> Iterator[str]:
        """Generate the ids of the accounts that may have a number with this ordinal in its id."""
        if ordinal in self._by_ordinal:
            yield self._by_ordinal[ordinal]
        elif 0 <= ordinal - len(SEEDED) < self._generated_count:
            yield self.waba_ids[ordinal - len(SEEDED)]
        yield from self._with_own_ids

    def create(self, account: StoredAccount, digits: str, verified_name: str, *, preverified: bool) -> str:
        """Create a number in an account and return its id."""
        self.version += 1
        self._accounts[account.id] = account
        number = account.create(digits, verified_name, preverified=preverified)
        self.created.append(Created(account.id, number, digits))
        return number

    def numbers(self, waba_id: str) -> list[dict[str, Any]]:
        """Return copies of the rows of an account, oldest first.

        Raises:
            KeyError: There is no such account.
        """
        return [copy.deepcopy(row) for row in self.existing(waba_id).rows()]

    def add_number(self, waba_id: str, members: Row) -> dict[str, Any]:
        """Add a number with these members to an account, and return a copy of it.

        Raises:
            KeyError: There is no such account.
        """
        account = self._stored(waba_id)
        if "id" in members:
            self._with_own_ids[waba_id] = None
        return copy.deepcopy(account.add(members))

    def update(self, waba_id: str, number: str, changes: Row) -> None:
        """Change members of a number.

        Raises:
            KeyError: There is no such account or number.
        """
        self._stored(waba_id).update(number, changes)

    def remove(self, waba_id: str, number: str) -> None:
        """Remove a number from an account.

        Raises:
            KeyError: There is no such account or number.
        """
        self._stored(waba_id).remove(number)

    def existing(self, waba_id: str) -> StoredAccount:
        """Return an account.

        Raises:
            KeyError: There is no such account.
        """
        account = self.account(waba_id)
        if account is None:
            raise KeyError(waba_id)
        return account

    def _stored(self, waba_id: str) -> StoredAccount:
        """Return an account that is about to change, and store it from now on."""
        self.version += 1  # part of the key of each cached page of accounts
        return self._accounts.setdefault(waba_id, self.existing(waba_id))

    def _generate(self, waba_id: str) -> StoredAccount:
        ordinal, count = self._ordinal(waba_id), self._numbers_per_account
        if not isinstance(count, int):
            count = count(ordinal - len(SEEDED))
            _check_count(count)
        return StoredAccount(waba_id, ordinal, count)

    def _ordinal(self, waba_id: str) -> int:
        """Return the ordinal of an account, or the next free one for an account that is not here yet."""
        if waba_id in self._accounts:
            return self._accounts[waba_id].ordinal
        position = self.waba_ids.generated_position(waba_id)
        return self._next_ordinal if position is None else len(SEEDED) + position


def _check_count(count: int) -> None:
    if not 0 <= count < NUMBERS_PER_ACCOUNT:
        raise ValueError(f"numbers_per_account must be from 0 to {NUMBERS_PER_ACCOUNT - 1}, not {count}")
