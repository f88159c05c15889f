"""`diff_listings`: what has changed between two lists of a fleet, each of them a file, listings or live.

It is asynchronous, as `check_health` is: one of the two may be live, and a file of a million rows takes a minute, which
an event loop must not wait for. Reading and comparing run in a thread. Both lists are read first, the old one before
the new one, and then compared bucket by bucket: see `SpooledRows`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, suppress
from datetime import UTC, datetime
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

import attrs

from wa_phone_async.decoding.converter import OTHER_NAMES, from_dict, to_dict
from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.files.exported import ExportedRow, read_rows
from wa_phone_async.files.thread import Run, file_thread
from wa_phone_async.health.findings import Finding
from wa_phone_async.health.rules import diagnose_number
from wa_phone_async.models import ALL_FIELDS, PhoneNumber
from wa_phone_async.query import field_names

from .bulk import Listings, as_async
from .id_set import IdSet
from .listing import WabaListing
from .spooled_rows import SpooledRow, SpooledRows, in_buckets, members_of
from .stepwise import Stepwise
from .watch import Change, members

ListingSource: TypeAlias = (
    str
    | PathLike[str]
    | WabaListing
    | Listings
    | Iterable[WabaListing | PhoneNumber]
    | AsyncIterable[WabaListing | PhoneNumber]
)
"""A list of numbers: the path of an exported file, or listings, or numbers."""

_STEP: Final = 1_000
"""Rows that are read, and changes that are found, in one step of the thread."""
_NO_ACCOUNT: Final = ""


@attrs.frozen(kw_only=True)
class DiffSummary:
    """What a comparison has seen so far, without the changes."""

    old_numbers: int = 0
    """Numbers in the old list that were compared. A number under several accounts is one."""
    new_numbers: int = 0
    """Numbers in the new list that were compared."""
    came: int = 0
    """Numbers that only the new list has."""
    gone: int = 0
    """Numbers that only the old list has."""
    moved: int = 0
    """Numbers that are under other accounts."""
    changed: int = 0
    """Numbers of both lists that have any change, with those that moved."""
    changes: int = 0
    """All changes."""
    not_compared: int = 0
    """Accounts that could not be listed. Their numbers count as unchanged."""


def diff_listings(old: ListingSource, new: ListingSource, *, fields: Iterable[str] | str | None = None) -> Differences:
    """Compare two lists of a fleet: iterate over the changes inside `async with`, or await all as a `list`.

        for change in await diff_listings("yesterday.parquet", "today.parquet"):
            print(change.display_phone_number, change.field, change.old, change.new)

    The rows may come in any order, and the files may have different formats: times, booleans, enums and JSON are
    compared as such. A column that one of the files lacks is not compared. A number under several accounts is one
    number: it moves if it has no account in common with before, and otherwise `also_in` changes. An account that could
    not be listed is no change.

    Two lists of a million rows take less than 200 MB of memory, and a temporary file with a fifth of their size.

    Args:
        old: The list before: the path of a file that `wa_phone_async.export` has written, the listings of `list_many`,
            other listings, or numbers.
        new: The list after, likewise. It is read when the old one was.
        fields: The fields to compare; `None` compares all. Listings have all fields, so list those of the file.

    Returns:
        The changes.

    Raises:
        InvalidArgumentError: `fields` holds no names of fields.
    """
    return Differences(old, new, None if fields is None else frozenset(map(_first_name, field_names(fields))))


class Differences(Stepwise[Change, list[Change]]):
    """The changes between two lists. Iterate inside `async with`, or await it for a `list` of all.

        async with diff_listings("yesterday.csv", client.list_many(waba_ids)) as changes:
            async for change in changes:
                print(change.waba_id, change.phone_number_id, change.field, change.old, change.new)

    The changes of a number come together. The numbers of small lists come in the order of their accounts and ids. Those
    of large lists come in another order, which is always the same. You can use it once.

    Raises:
        InvalidArgumentError: While iterating, a file is not what an export writes. The text says which line is wrong.
        ExportError: While iterating, a temporary file cannot be written.
        AuthenticationError: While iterating, the API rejected the token that all accounts share.
        RuntimeError: You iterate outside `async with`, or enter it twice.
    """

    _call = "diff_listings"

    def __init__(self, old: ListingSource, new: ListingSource, fields: frozenset[str] | None) -> None:
        super().__init__()
        self._sides = (_Side("old", old), _Side("new", new))
        self._fields = fields
        self._counts = Counter[str]()
        self._changes: Iterator[Change] | None = None
        self._run: Any = None  # runs a function in the thread

    def __repr__(self) -> str:  # seen in a notebook after a forgotten `await`
        return f"<{type(self).__name__}: await it for a list of all, or iterate over it inside 'async with'>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("differences hold open files and cannot be pickled or copied: pickle the changes")

    async def _collect(self) -> list[Change]:
        async with self:
            return [change async for change in self]

    @property
    def summary(self) -> DiffSummary:
        """What was seen so far. It is complete when the iteration has ended."""
        return DiffSummary(**self._counts)

    async def _begin(self) -> None:
        for side in self._sides:
            self._stack.callback(side.close)
        self._run = self._stack.enter_context(file_thread())  # it ends first, and then the files are at rest

    async def _take_step(self) -> bool:
        """Read both lists, and find some changes."""
        if self._changes is None:
            for side in self._sides:
                await side.read(self._run)
            self._changes = self._compare()
        found = await self._run(_take, self._changes)
        self._ready.extend(found)
        return len(found) == _STEP

    def _compare(self) -> Iterator[Change]:
        """Yield the changes, and count them."""
        old, new = self._sides
        self._counts["not_compared"] = len(old.failed) + len(new.failed)
        comparison = Comparison(
            _chooser(self._fields, old.columns, new.columns), not (old.is_csv or new.is_csv), new.seen_at
        )
        for old_rows, new_rows in in_buckets(old.rows, new.rows):
            before, now = _numbers_in(old_rows), _numbers_in(new_rows)
            if self._counts["not_compared"]:
                _keep(before, now, new.failed)
                _keep(now, before, old.failed)
            for number_id in sorted(before.keys() | now.keys(), key=lambda each: _order(before, now, each)):
                changes = comparison.changes(before.get(number_id), now.get(number_id))
                self._count(changes, was_there=number_id in before, is_there=number_id in now)
                yield from changes

    def _count(self, changes: list[Change], *, was_there: bool, is_there: bool) -> None:
        counts = self._counts
        counts["old_numbers"] += was_there
        counts["new_numbers"] += is_there
        if changes:
            counts["changes"] += len(changes)
            counts["came" if not was_there else "changed" if is_there else "gone"] += 1
            counts["moved"] += was_there and is_there and any(change.field in _HOME_FIELDS for change in changes)


class _Side:
    """One of the two lists: where it comes from, and its rows.

    Args:
        name: The name of the argument, for errors.
        source: What was passed.
    """

    def __init__(self, name: str, source: ListingSource) -> None:
        self.rows = SpooledRows()
        self.columns: dict[str, None] | None = None
        """The columns of a file. `None`: the list has all fields."""
        self.failed: IdSet = IdSet()
        """The accounts that could not be listed."""
        self.is_csv = False
        """Whether it is a CSV file."""
        self.seen_at = datetime.now(UTC)
        """When the list was complete."""
        self._name = name
        self._source: Any = source
        self._file: Generator[ExportedRow] | None = None

    async def read(self, run: Run) -> None:
        """Read all rows, in a thread."""
        if isinstance(self._source, str) or hasattr(self._source, "__fspath__"):
            self._open(Path(self._source))
            try:
                while await run(self._read_file):
                    pass
            except InvalidArgumentError as error:
                error.argument = self._name
                raise
            return
        items, count = list[WabaListing | PhoneNumber](), 0
        async with AsyncExitStack() as stack:
            if isinstance(self._source, Listings) and not self._source.is_open:
                await stack.enter_async_context(self._source)
            async for item in await stack.enter_async_context(aclosing(self._items())):
                items.append(item)
                count += len(item.phone_numbers) if isinstance(item, WabaListing) else 1
                if count >= _STEP:
                    await run(self._add, items)
                    items, count = [], 0
        await run(self._add, items)
        self.seen_at = datetime.now(UTC)

    def close(self) -> None:
        """Close the files."""
        if self._file is not None:
            self._file.close()
        self.rows.close()

    def _open(self, path: Path) -> None:
        self.columns, self.is_csv = {}, path.suffix.lower() == ".csv"
        self._file = read_rows(path, self.columns)
        with suppress(OSError):  # reading it will say what is wrong
            self.seen_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)

    def _read_file(self) -> bool:
        """Read some rows of the file. Returns whether there may be more."""
        row = None
        for row in islice(self._file or (), _STEP):
            homes = row.homes if row.has_account else (_NO_ACCOUNT, *row.homes)
            self.rows.add(row.number.id, homes, row.members)
        return row is not None

    async def _items(self) -> AsyncGenerator[WabaListing | PhoneNumber]:
        """Yield what is in an iterable of any kind."""
        source: Any = self._source
        kind = _kind_of(source)
        if issubclass(kind, WabaListing):
            yield source
        elif issubclass(kind, AsyncIterable | Iterable):
            async for item in as_async(source):
                yield self._checked(item)
        else:
            raise self._wrong(source)

    def _checked(self, item: object) -> WabaListing | PhoneNumber:
        if isinstance(item, WabaListing | PhoneNumber):
            return item
        raise self._wrong(item)

    def _wrong(self, value: object) -> InvalidArgumentError:
        expected = "the path of an export, or listings, or phone numbers"
        return InvalidArgumentError(self._name, expected, _kind_of(value))

    def _add(self, items: Iterable[WabaListing | PhoneNumber]) -> None:
        for item in items:
            if isinstance(item, PhoneNumber):
                self.rows.add(item.id, (_NO_ACCOUNT,), to_dict(item))
            elif item.error is not None:
                self.failed.add(item.waba_id)
            else:
                for number in item.phone_numbers:
                    self.rows.add(number.id, (item.waba_id,), to_dict(number))


@attrs.define
class KnownNumber:
    """What a list says of one number."""

    rows: dict[str, bytes] = attrs.field(factory=dict[str, bytes])
    """The encoded members of each of its rows, by the account of the row. It is empty where that is not known."""
    homes: set[str] = attrs.field(factory=set[str])
    """Its accounts, as far as they are known."""

    @property
    def home(self) -> str:
        """The first of its accounts in alphabetical order; empty if none is known."""
        return min(self.homes, default=_NO_ACCOUNT)

    def row(self, home: str) -> bytes:
        """Its row in an account. If there is none, its first row."""
        return self.rows.get(home) or self.rows[min(self.rows)]


@attrs.frozen
class Comparison:
    """Compares numbers."""

    is_compared: Callable[[str], bool] | None
    """Says whether a member is compared. `None`: all are."""
    tells_empty: bool
    """Whether an empty text is another value than nothing. Who reads a CSV cannot know."""
    seen_at: datetime
    """When the new list was complete."""
    _told: dict[tuple[str, str], IdSet] = attrs.field(factory=dict[tuple[str, str], IdSet], init=False)

    def changes(self, old: KnownNumber | None, new: KnownNumber | None) -> list[Change]:
        """Return the changes of one number. At least one of the lists has it."""
        if old is None or new is None:
            return self._came_or_went(old, new)
        homes = self._homes(old, new)
        pairs = [(home, home) for home in sorted(old.rows.keys() & new.rows.keys() - {homes.new})]
        found = list[Change]()
        for old_home, new_home in ((homes.old, homes.new), *pairs):
            is_first = (old_home, new_home) == (homes.old, homes.new)
            old_row, new_row = old.row(old_home), new.row(new_home)
            if old_row == new_row and not (is_first and homes.changes):
                continue
            old_members, new_members = self._compared(old_row), self._compared(new_row)
            if old_members == new_members and not (is_first and homes.changes):
                continue
            was, now = from_dict(PhoneNumber, old_members), from_dict(PhoneNumber, new_members)
            values = list(homes.changes) if is_first else []
            before, after = members(was), members(now)
            names = (name for name in {**after, **before} if before.get(name) != after.get(name))
            values += [(name, before.get(name), after.get(name)) for name in names]
            # What is the same in several accounts is one change of the number.
            told = [(change.field, change.old, change.new) for change in found]
            values = [value for value in values if value not in told]
            if values:
                number = from_dict(PhoneNumber, members_of(new_row))
                changes = [self._change(new_home, number, *value) for value in values]
                others = (homes.old_others, homes.new_others) if is_first else ((), ())
                known = {_key(each) for each in diagnose_number(was, old_home or None, also_in=_any(others[0]))}
                caused = diagnose_number(now, new_home or None, also_in=_any(others[1]))
                found += self._with_findings(changes, [each for each in caused if _key(each) not in known])
        return found

    def _came_or_went(self, old: KnownNumber | None, new: KnownNumber | None) -> list[Change]:
        known = new or old
        assert known is not None  # noqa: S101 - one of the lists has it
        number = from_dict(PhoneNumber, members_of(known.row(known.home)))
        if new is None:
            return [self._change(known.home, number, "id", number.id, None)]
        others = tuple(sorted(new.homes - {new.home}))
        changes = [self._change(new.home, number, "id", None, number.id)]
        if others:
            changes.append(self._change(new.home, number, "also_in", None, others))
        return self._with_findings(changes, diagnose_number(number, new.home or None, also_in=_any(others)))

    def _homes(self, old: KnownNumber, new: KnownNumber) -> _Homes:
        """Return the accounts whose rows are compared first, and how the accounts of the number have changed."""
        if not (old.homes and new.homes):  # one of the lists does not say
            home = new.home or old.home
            return _Homes(home, home)
        common = old.homes & new.homes
        old_home, new_home = (min(common), min(common)) if common else (old.home, new.home)
        old_others, new_others = tuple(sorted(old.homes - {old_home})), tuple(sorted(new.homes - {new_home}))
        changes = list[tuple[str, Any, Any]]()
        if not common:
            changes.append(("waba_id", old_home, new_home))
        if old_others != new_others:
            changes.append(("also_in", old_others or None, new_others or None))
        return _Homes(old_home, new_home, old_others, new_others, changes)

    def _compared(self, row: bytes) -> dict[str, Any]:
        found, is_compared = members_of(row), self.is_compared
        if is_compared is not None:
            found = {name: value for name, value in found.items() if is_compared(name)}
        return found if self.tells_empty else {name: value for name, value in found.items() if value != ""}

    def _change(self, waba_id: str, number: PhoneNumber, field: str, old: Any, new: Any) -> Change:
        return Change(waba_id=waba_id, number=number, field=field, old=old, new=new, seen_at=self.seen_at)

    def _with_findings(self, changes: list[Change], findings: Iterable[Finding]) -> list[Change]:
        """Return the changes, each with the findings whose evidence is its field. The first one has the others."""
        caused = defaultdict[int, list[Finding]](list)
        fields = {change.field: index for index, change in reversed([*enumerate(changes)])}
        for finding in findings:
            if self._is_new(finding):
                read = (part.field.partition(".")[0] for part in finding.evidence)
                caused[next((fields[name] for name in read if name in fields), 0)].append(finding)
        return [attrs.evolve(change, findings=tuple(caused[index])) for index, change in enumerate(changes)]

    def _is_new(self, finding: Finding) -> bool:
        """Whether a finding is told now: one about an account, a business or the app is told once."""
        subject = finding.subject
        if subject.kind == "number":
            return True
        return self._told.setdefault((finding.code, subject.kind), IdSet()).add(subject.id)


@attrs.frozen
class _Homes:
    """The accounts of a number in both lists."""

    old: str
    new: str
    old_others: tuple[str, ...] = ()
    new_others: tuple[str, ...] = ()
    changes: Iterable[tuple[str, Any, Any]] = ()
    """What has changed: the field, and its old and new value."""


def _kind_of(value: object) -> type[Any]:
    return type(value)


def _take(changes: Iterator[Change]) -> list[Change]:
    return list(islice(changes, _STEP))


def _first_name(name: str) -> str:
    """The name of a field in `PhoneNumber`."""
    return OTHER_NAMES.get(name, name)


def _chooser(
    fields: frozenset[str] | None, old: Iterable[str] | None, new: Iterable[str] | None
) -> Callable[[str], bool] | None:
    """Return what says whether a member is compared. `None`: all are.

    Args:
        fields: The fields to compare; `None`: all that both lists have.
        old: The columns of the old list; `None`: all.
        new: The columns of the new list; `None`: all.
    """
    lists = [frozenset(map(_first_name, columns)) for columns in (old, new) if columns is not None]
    named = frozenset[str]().union(_MODEL, *lists)

    def is_compared(name: str) -> bool:
        name = _first_name(name)
        if name == "id":
            return True
        # A member that is no column anywhere is one of the column `extra`.
        column = name if name in named else "extra"
        return (fields is None or name in fields) and all(column in columns for columns in lists)

    is_all = lists[0] == lists[1] if len(lists) == 2 else all(columns >= _MODEL | {"extra"} for columns in lists)
    return None if fields is None and is_all else is_compared


def _numbers_in(rows: Iterable[SpooledRow]) -> dict[str, KnownNumber]:
    numbers = defaultdict[str, KnownNumber](KnownNumber)
    for number_id, homes, encoded in rows:
        number = numbers[number_id]
        number.rows[homes[0]] = encoded
        number.homes.update(filter(None, homes))
    return dict(numbers)


def _keep(known: Mapping[str, KnownNumber], other: dict[str, KnownNumber], failed: IdSet) -> None:
    """Take what is known of accounts that another list could not read as unchanged."""
    for number_id, number in known.items():
        for home in number.homes:
            if home in failed:
                kept = other.setdefault(number_id, KnownNumber())
                kept.homes.add(home)
                kept.rows.setdefault(home, number.row(home))


def _order(before: Mapping[str, KnownNumber], now: Mapping[str, KnownNumber], number_id: str) -> tuple[str, str]:
    return (now.get(number_id) or before[number_id]).home, number_id


def _key(finding: Finding) -> tuple[str, str]:
    """What makes a finding new. The id is no part of it: a number that moves brings its trouble to another account."""
    return finding.code, finding.subject.kind


def _any(homes: tuple[str, ...]) -> str | None:
    return homes[0] if homes else None


_MODEL: Final = frozenset(ALL_FIELDS)
_HOME_FIELDS: Final = frozenset({"waba_id", "also_in"})
