"""Changes on a terminal: a view of the accounts and the newest changes that fills the screen."""

from __future__ import annotations

import io
import math
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, redirect_stderr
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from wa_phone_async import Change
from wa_phone_async.cli.errors import sentence
from wa_phone_async.redaction import printable

from .changes import WatchedAccount, what_changed
from .output import spell_out_unknown, tell
from .table import STYLES

_KEPT: Final = 200  # changes, more than any screen has lines
_GAP: Final = 2
_SEEN_WIDTH: Final = 8 + _GAP
_WABA_WIDTH: Final = 15 + _GAP
_NUMBER_WIDTH: Final = 16 + _GAP
_LEAST_CHANGE_WIDTH: Final = 28  # the longest names of fields


class LiveTable:
    """A view that fills the terminal: the accounts, and under them the changes, newest first.

    Args:
        accounts: The accounts that are watched.
    """

    def __init__(self, accounts: Sequence[WatchedAccount]) -> None:
        self._accounts = accounts
        self._changes: deque[Change] = deque(maxlen=_KEPT)
        self._console = Console(file=sys.stdout, force_terminal=True, highlight=False, markup=False, emoji=False)
        self._live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,  # its thread would read the accounts while the event loop changes them
            redirect_stdout=False,
            redirect_stderr=False,  # see `__exit__`
            get_renderable=self._view,
        )
        self._messages = io.StringIO()
        self._redirection = ExitStack()

    def __enter__(self) -> Self:
        spell_out_unknown()
        self._redirection.enter_context(redirect_stderr(self._messages))
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        # The view is on the terminal's second screen, which is gone now. So its last state is written to the first
        # one, and so are the messages of the meantime: on the second screen the next drawing would have hidden them.
        with self._redirection:
            self._live.stop()
        self._console.print(self._view())
        for message in self._messages.getvalue().splitlines():
            tell(message)

    def show(self, change: Change) -> None:
        """Show a change, above the earlier ones."""
        self._changes.appendleft(change)
        self.refresh()

    def refresh(self) -> None:
        """Draw the present state."""
        self._live.refresh()

    def _view(self) -> Group:
        # rich cuts off what is too high. The number of changes still matters when the view ends: its last state is
        # written outside the screen, where nothing is cut off.
        lines_left = max(1, self._console.height - len(self._accounts) - 4)
        return screen(self._accounts, list(self._changes)[:lines_left], width=self._console.width)


def screen(accounts: Sequence[WatchedAccount], changes: Sequence[Change], *, width: int) -> Group:
    """The content of the view.

    Args:
        accounts: The accounts.
        changes: The changes, newest first.
        width: The columns of the terminal.
    """
    if not changes:
        return Group(_accounts_table(accounts))
    with_waba_id = len(accounts) > 1
    is_narrow = width - _SEEN_WIDTH - _NUMBER_WIDTH - _WABA_WIDTH * with_waba_id < _LEAST_CHANGE_WIDTH
    table = (_narrow_changes_table if is_narrow else _changes_table)(changes, with_waba_id=with_waba_id)
    return Group(_accounts_table(accounts), Text(), table)


def _accounts_table(accounts: Iterable[WatchedAccount]) -> Table:
    table = _table(("WABA", False), ("NUMBERS", False), ("STATE", True))
    table.columns[1].justify = "right"
    for account in accounts:
        known = account.watch.known
        table.add_row(account.waba_id, "" if known is None else f"{len(known):,}", _state(account))
    return table


def _state(account: WatchedAccount) -> Text:
    watch = account.watch
    if account.rejection:
        return Text(f"rejected: {printable(account.rejection)}", style="red")
    if watch.error is not None:
        return Text(f"{printable(sentence(watch.error))}; {_next_poll(account)}", style="yellow")
    if watch.seen_at is None:
        return Text("first poll")
    return Text(f"seen {watch.seen_at:%H:%M:%S} UTC; {_next_poll(account)}")


def _next_poll(account: WatchedAccount) -> str:
    seconds = account.watch.seconds_left
    return f"next in {math.ceil(seconds)} s" if seconds else "polling"


def _changes_table(changes: Iterable[Change], *, with_waba_id: bool) -> Table:
    waba = (("WABA", False),) if with_waba_id else ()
    table = _table(("SEEN", False), *waba, ("NUMBER", False), ("CHANGE", True))
    for change in changes:
        place = [change.waba_id] if with_waba_id else []
        table.add_row(_time(change), *place, _number(change), _coloured(change))
    return table


def _narrow_changes_table(changes: Iterable[Change], *, with_waba_id: bool) -> Table:
    """The same for a narrow terminal: what changed has a line of its own, since a column would break its words."""
    table = _table(("SEEN", False), ("NUMBER AND CHANGE", True))
    for change in changes:
        place = f"{change.waba_id}  " if with_waba_id else ""
        table.add_row(_time(change), Group(Text(f"{place}{_number(change)}", no_wrap=True), _coloured(change)))
    return table


def _time(change: Change) -> str:
    return f"{change.seen_at:%H:%M:%S}"


def _number(change: Change) -> str:
    return printable(change.display_phone_number or change.phone_number_id)


def _coloured(change: Change) -> Text:
    """What changed, with the new value in its colour."""
    words = what_changed(change)
    new = words.rpartition(" ")[2]
    style = {"gone": "red", "new": "green"}.get(words) or STYLES.get(new, "")
    return Text.assemble(words.removesuffix(new), (new, style))


def _table(*columns: tuple[str, bool]) -> Table:
    """A table without lines.

    Args:
        columns: The title of each column, and whether its values may be folded.
    """
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for title, is_folded in columns:
        table.add_column(title, header_style="bold", vertical="top", overflow="fold", no_wrap=not is_folded)
    return table
