"""The numbers or accounts to change, as callers name them: by ids, or by a file of an export or of findings."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Sequence
from contextlib import aclosing
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from wa_phone_async.checks import read_node_id
from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.files.exported import read_rows
from wa_phone_async.files.thread import each_in_thread
from wa_phone_async.workflows.bulk import as_async
from wa_phone_async.workflows.id_set import IdSet

EditLevel: TypeAlias = Literal["numbers", "accounts", "members"]
"""What the ids are, and what changes: `"numbers"` are numbers. `"accounts"` are accounts, and the account itself
changes. `"members"` are accounts, and each of their numbers changes."""

LEVELS: Final[Sequence[EditLevel]] = ("numbers", "accounts", "members")

EditTargets: TypeAlias = str | int | PathLike[str] | Iterable[str | int] | AsyncIterable[str | int]
"""The numbers or accounts to change: an id, many ids, or the path of a file that an export or an audit has written."""


class Target(NamedTuple):
    """One number or account."""

    id: str
    waba_id: str | None = None
    """The account of a number, if it is known."""


def check_level(level: object, levels: Sequence[EditLevel] = LEVELS) -> None:
    """Require one of some levels."""
    if level not in levels:
        raise InvalidArgumentError("on", f"one of {', '.join(levels)}", level)


async def read_targets(targets: EditTargets, level: EditLevel) -> AsyncGenerator[Target]:
    """Yield the numbers or accounts. One may come more than once.

    Raises:
        InvalidArgumentError: An id is invalid, or the file is neither an export nor one of findings.
    """
    if isinstance(targets, PathLike) or (isinstance(targets, str) and Path(targets).suffix):
        async for target in each_in_thread(_targets_in(Path(targets), level)):
            yield target
        return
    if isinstance(targets, str | int):
        targets = [targets]
    if not isinstance(targets, Iterable | AsyncIterable):
        raise InvalidArgumentError("targets", "ids, or the path of a file", cast("type[Any]", type(targets)))
    name = "phone_number_id" if level == "numbers" else "waba_id"
    async for each in as_async(targets):
        yield Target(read_node_id(name, each))


async def read_accounts(targets: EditTargets) -> AsyncGenerator[str]:
    """Yield the accounts whose numbers are meant, each once: a file of an export names an account in many rows.

    Raises:
        InvalidArgumentError: An id is invalid, or the file is neither an export nor one of findings.
    """
    known = IdSet()
    async with aclosing(read_targets(targets, "members")) as named:
        async for target in named:
            if known.add(target.id):
                yield target.id


def _targets_in(path: Path, level: EditLevel) -> Generator[Target]:
    """Yield the numbers of a file with their accounts, or its accounts."""
    found = _findings_in(path)
    if found is not None:
        for kind, subject_id, waba_id in found:
            if level == "numbers" and kind == "number":
                yield Target(read_node_id("phone_number_id", subject_id), waba_id or None)
            elif level != "numbers" and kind == "account":
                yield Target(read_node_id("waba_id", subject_id))
        return
    for row in read_rows(path):
        waba_id = row.homes[0] if row.has_account else None
        if level == "numbers":
            yield Target(read_node_id("phone_number_id", row.number.id), waba_id)
        elif waba_id is None:
            raise InvalidArgumentError("targets", "a file with the column waba_id", path, hint="it has numbers alone")
        else:
            yield Target(read_node_id("waba_id", waba_id))


def _findings_in(path: Path) -> Generator[tuple[str, str, str | None]] | None:
    """The subjects of a file of findings. `None`: it is another file, or cannot be read, which its reader explains."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            head = file.readline()
    except (OSError, ValueError):
        return None
    is_csv = path.suffix.lower() == ".csv"
    return _subjects_in(path, is_csv=is_csv) if "subject_kind" in head and "subject_id" in head else None


def _subjects_in(path: Path, *, is_csv: bool) -> Generator[tuple[str, str, str | None]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows: Iterable[Any] = csv.DictReader(file) if is_csv else map(json.loads, file)
            for row in rows:
                yield row["subject_kind"], row["subject_id"], row.get("waba_id")
    except (KeyError, TypeError, ValueError, csv.Error):
        raise InvalidArgumentError("targets", "a whole file of findings", path) from None
