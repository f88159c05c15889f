"""What commands for bulk edits share: their options, their targets, and how a run is shown and ends."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, TypeAlias

import attrs
from cyclopts import Parameter

from wa_phone_async import BulkEdit, InvalidArgumentError, RetryPolicy
from wa_phone_async.checks import read_node_id
from wa_phone_async.edits.targets import EditLevel, EditTargets

from .connection import Connection, Link, connect
from .errors import FAILED
from .starting import INTERRUPTED
from .terminal import edits as edit_views
from .terminal.ids import ACCOUNTS, NUMBERS, count_ids, read_ids
from .terminal.output import tell
from .terminal.stopping import Stop, stopping, until_a_moment_after
from .terminal.writers import Format

Targets = Annotated[str, Parameter(name="ID or FILE")]
IdsFile = Annotated[Path | None, Parameter(name="--ids", metavar="FILE", allow_leading_hyphen=True)]
JournalFile = Annotated[Path | None, Parameter(name="--journal", metavar="FILE")]
Flag = Annotated[bool, Parameter(negative=(), show_default=False)]

Sample: TypeAlias = Callable[[Link], list[str]]
"""Returns the targets in the sandbox for a command without ids."""


def journal_to_write(journal: Path | None, *, yes: bool, undo: str) -> Path | None:
    """The journal to write: none in a dry run.

    Args:
        journal: The option.
        yes: Whether this is no dry run.
        undo: The command that undoes the edit.
    """
    if yes and journal is None:
        raise InvalidArgumentError("--journal FILE", "given with --yes", hint=f"it keeps the old values, for {undo}")
    return journal if yes else None


@asynccontextmanager
async def with_targets(
    targets: Sequence[str], ids: Path | None, *, on: EditLevel, sample: Sample, connection: Connection
) -> AsyncGenerator[tuple[Link, EditTargets]]:
    """Open a client, and find the targets that a command names.

    Args:
        targets: Ids, or one file of an export or of findings.
        ids: A file with an id in each line.
        on: What the ids are.
        sample: Returns the targets in the sandbox, if none are named.
        connection: Where to run.
    """
    if targets and ids is not None:
        raise InvalidArgumentError("--ids", "left out where ID or FILE is given")
    if not targets and ids is None and not connection.sandbox:
        raise InvalidArgumentError("ID, FILE or --ids FILE", "given, or --sandbox to try it")
    named = _named(targets, on)
    if ids is not None:
        kind = attrs.evolve(NUMBERS if on == "numbers" else ACCOUNTS, option="--ids")
        count_ids(ids, kind)  # to check every line before anything is sent
        named = read_ids(ids, Stop(), kind)
    async with connect(connection, RetryPolicy.batch()) as link:
        if not targets and ids is None:
            named = sample(link)
        yield link, named


@asynccontextmanager
async def with_past_edit(
    file: Path | None,
    journal: Path | None,
    *,
    yes: bool,
    connection: Connection,
    sample: Callable[[Link, Path], BulkEdit],
) -> AsyncGenerator[tuple[Link, Path, Path | None]]:
    """Open a client, and find the journal of the edit to undo, and that of the undo: none in a dry run.

    Args:
        file: The journal of the edit.
        journal: The journal of the undo; `None`: `file` with the suffix `.undo`.
        yes: Whether this is no dry run.
        connection: Where to run.
        sample: Makes an edit in the sandbox with a journal, if `file` is `None`.
    """
    if file is None and not connection.sandbox:
        raise InvalidArgumentError("FILE", "given, or --sandbox to try it")
    with tempfile.TemporaryDirectory() as directory:
        past = Path(directory, "set.jsonl") if file is None else file
        async with connect(connection, RetryPolicy.batch()) as link:
            if file is None:
                await sample(link, past)
            yield link, past, (journal or past.with_name(f"{past.name}.undo")) if yes else None


def _named(targets: Sequence[str], on: EditLevel) -> EditTargets:
    """Return the ids, or the path of the file, on the command line."""
    if len(targets) == 1 and not targets[0].strip().isdecimal():
        path = Path(targets[0])
        if path.suffix.lower() in {".csv", ".jsonl", ".parquet"}:
            return path
        hint = "--ids FILE takes a file with an id in each line"
        expected = "ids, or one file that ends in .csv, .jsonl or .parquet"
        raise InvalidArgumentError("ID or FILE", expected, targets[0], hint=hint)
    try:
        return [read_node_id("phone_number_id" if on == "numbers" else "waba_id", target) for target in targets]
    except InvalidArgumentError as error:
        error.argument = "ID"
        raise


async def run_edit(
    edits: BulkEdit, link: Link, journal: Path | None, form: Format, *, how: str = "--yes --journal FILE"
) -> int:
    """Run an edit, and say how it ended.

    Args:
        edits: The edit.
        link: Counts the calls.
        journal: Its journal; `None` for a dry run.
        form: The format.
        how: The options that a dry run lacks.

    Returns:
        The exit status.
    """
    view, is_new, has_readers = edit_views.view_of(form), False, True
    with stopping() as stop:
        async with _explained(journal), edits, until_a_moment_after(stop):
            stop.then(edits.stop)
            async for edit in edits:
                try:
                    view.show(edit)
                except BrokenPipeError:
                    if journal is None:
                        raise
                    edits.stop()  # an edit that nobody follows ends in order, as after Ctrl-C
                    has_readers = False
                is_new = True
    summary = edits.summary
    if stop.is_set:
        tell(f"stopped: {edit_views.what_was_edited(summary, link.calls)}{_to_go_on(journal)}")
        return INTERRUPTED
    if not has_readers:
        done = edit_views.what_was_edited(summary, link.calls)
        tell(f"stopped, since nobody reads standard output any more: {done}{_to_go_on(journal)}")
        return FAILED
    view.end()
    tell(edit_views.what_was_edited(summary, link.calls))
    if journal is None:
        tell(edit_views.what_it_would_cost(summary, how))
    elif summary.is_done and summary.total and not is_new:
        tell(f"{journal} was complete before: to make the edit again, give another --journal")
    elif summary.by_state[edit_views.NOT_APPLIED]:
        tell("not applied: was in flight at a kill or had no response, and has the old value; --resend sends it again")
    return FAILED if edit_views.has_failed(summary) else 0


def _to_go_on(journal: Path | None) -> str:
    return "" if journal is None else f"; to go on, run the same command again with --journal {journal}"


@asynccontextmanager
async def _explained(journal: Path | None) -> AsyncGenerator[None]:
    """Say how to go on after an error."""
    try:
        yield
    except asyncio.CancelledError:
        tell(f"stopped at once: what was in flight is read back next time{_to_go_on(journal)}")
        raise
    except InvalidArgumentError:
        raise
    except Exception as error:
        _note_how_to_go_on(error, journal)
        raise


def _note_how_to_go_on(error: Exception, journal: Path | None) -> None:
    """Say that the work is in the journal, if there is one by now."""
    if journal is not None and journal.is_file():
        error.add_note(f"what is done is in the journal{_to_go_on(journal)}")
