"""The accounts of the business: which ids they have, and a row for each, computed page by page.

Generated accounts have ids in a row, so a million of them are two numbers until somebody reads one.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import overload

from .data import Row

FIRST_WABA_ID = 110_000_000_000_000
"""The id of the first account that is generated; below those of the business and of all numbers."""


class WabaIds(Sequence[str]):
    """Ids of accounts in the order in which they came: the generated ones first, computed as they are read.

    Args:
        generated: How many are generated.
        others: The ids of others.
    """

    def __init__(self, generated: int = 0, others: Iterable[str] = ()) -> None:
        self._generated = range(FIRST_WABA_ID, FIRST_WABA_ID + generated)
        self._others = list(others)
        self._places = {waba_id: generated + place for place, waba_id in enumerate(self._others)}

    def __len__(self) -> int:
        return len(self._generated) + len(self._others)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        places = range(len(self))[place]
        return [self._at(each) for each in places] if isinstance(places, range) else self._at(places)

    def __contains__(self, waba_id: object) -> bool:
        return isinstance(waba_id, str) and (waba_id in self._places or self.generated_place(waba_id) is not None)

    def __repr__(self) -> str:
        return f"<{len(self)} ids of accounts>"

    def place(self, waba_id: str) -> int:
        """Give the place of an id, `KeyError` if it is not here."""
        place = self.generated_place(waba_id)
        return self._places[waba_id] if place is None else place

    def generated_place(self, waba_id: str) -> int | None:
        """Give the place of an id that is generated, `None` if it is not."""
        if len(waba_id) != len(str(FIRST_WABA_ID)) or not (waba_id.isascii() and waba_id.isdigit()):
            return None
        number = int(waba_id)
        return number - FIRST_WABA_ID if number in self._generated else None

    def add(self, waba_id: str) -> None:
        """Put an id at the end."""
        self._places[waba_id] = len(self)
        self._others.append(waba_id)

    def _at(self, place: int) -> str:
        generated = len(self._generated)
        return str(self._generated[place]) if place < generated else self._others[place - generated]


class AccountRows:
    """The accounts of one kind as the rows of a list.

    Args:
        ids: Their ids.
        row: Makes the row of one.
    """

    def __init__(self, ids: WabaIds, row: Callable[[str], Row]) -> None:
        self._ids = ids
        self._row = row

    def __len__(self) -> int:
        return len(self._ids)

    def cut(self, start: int, end: int) -> Sequence[Row]:
        """Make the rows from one place up to another."""
        return [self._row(waba_id) for waba_id in self._ids[start:end]]

    def place(self, row_id: str) -> int:
        """Give the place of a row, `KeyError` if it is not here."""
        return self._ids.place(row_id)
