"""The accounts of the business: their ids, and a row for each, computed page by page.

Generated accounts have consecutive ids. A million of them are two numbers until somebody reads one.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import overload

from .data import Row

FIRST_WABA_ID = 110_000_000_000_000
"""The id of the first generated account. It is below the ids of the business and of all numbers."""


class WabaIds(Sequence[str]):
    """Ids of accounts, oldest first: the generated ones, computed when they are read, then the others.

    Args:
        generated: How many ids are generated.
        others: Further ids.
    """

    def __init__(self, generated: int = 0, others: Iterable[str] = ()) -> None:
        self._generated = range(FIRST_WABA_ID, FIRST_WABA_ID + generated)
        self._others = list(others)
        self._positions = {waba_id: generated + position for position, waba_id in enumerate(self._others)}

    def __len__(self) -> int:
        return len(self._generated) + len(self._others)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        positions = range(len(self))[index]
        return [self._at(each) for each in positions] if isinstance(positions, range) else self._at(positions)

    def __contains__(self, waba_id: object) -> bool:
        # Sequence would compare all ids, a million of them.
        return isinstance(waba_id, str) and (waba_id in self._positions or self.generated_position(waba_id) is not None)

    def __repr__(self) -> str:
        return f"<{len(self)} ids of accounts>"

    def position(self, waba_id: str) -> int:
        """Return the position of an id.

        Raises:
            KeyError: The id is not here.
        """
        position = self.generated_position(waba_id)
        return self._positions[waba_id] if position is None else position

    def generated_position(self, waba_id: str) -> int | None:
        """Return the position of a generated id, or `None` for any other id."""
        # The length is checked first, since `int` rejects texts of thousands of digits.
        if len(waba_id) != len(str(FIRST_WABA_ID)) or not (waba_id.isascii() and waba_id.isdigit()):
            return None
        number = int(waba_id)
        return number - FIRST_WABA_ID if number in self._generated else None

    def add(self, waba_id: str) -> None:
        """Append an id."""
        self._positions[waba_id] = len(self)
        self._others.append(waba_id)

    def _at(self, position: int) -> str:
        generated = len(self._generated)
        return str(self._generated[position]) if position < generated else self._others[position - generated]


class AccountRows:
    """Accounts as the rows of a list.

    Args:
        ids: The ids of the accounts.
        row: Makes the row of an account from its id.
    """

    def __init__(self, ids: WabaIds, row: Callable[[str], Row]) -> None:
        self._ids = ids
        self._row = row

    def __len__(self) -> int:
        return len(self._ids)

    def slice(self, start: int, end: int) -> Sequence[Row]:
        """Make the rows from position `start` up to `end`, without `end`."""
        return [self._row(waba_id) for waba_id in self._ids[start:end]]

    def position(self, row_id: str) -> int:
        """Return the position of a row.

        Raises:
            KeyError: The row is not here.
        """
        return self._ids.position(row_id)
