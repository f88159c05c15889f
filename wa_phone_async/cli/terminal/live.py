"""Changes on a terminal: the state of each account and the newest changes, drawn again in their place."""

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

from .changes import Account, what_changed
from .output import printable, spell_out_unknown, tell
from .table import STYLES

_KEPT: Final = 200
_GAP: Final = 2
_SEEN_WIDTH: Final = 8 + _GAP
_WABA_WIDTH: Final = 15 + _GAP
_NUMBER_WIDTH: Final = 16 + _GAP
_LEAST_CHANGE_WIDTH: Final = 28  # that of the longest names of fields


class LiveTable:
    """A view that fills the terminal: the accounts, and under them the changes, newest first.

    Args:
        accounts: The accounts that are watched.
    """

    def __init__(self, accounts: Sequence[Account]) -> None:
        self._accounts = accounts
        self._changes: deque[Change] = deque(maxlen=_KEPT)
        self._console = Console(file=sys.stdout, force_terminal=True, highlight=False, markup=False, emoji=False)
        self._live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
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

    def change(self, change: Change) -> None:
        """Show a change at the top."""
        self._changes.appendleft(change)
        self.draw()

    def draw(self) -> None:
        """Draw it as it is now."""
        self._live.refresh()

    def _view(self) -> Group:
        room = max(1, self._console.height - len(self._accounts) - 4)
        return screen(self._accounts, list(self._changes)[:room], width=self._console.width)


def screen(accounts: Sequence[Account], changes: Sequence[Change], *, width: int) -> Group:
    """What stands on a terminal of this width."""
    if not changes:
        return Group(_accounts_table(accounts))
    with_waba_id = len(accounts) > 1
    is_narrow = width - _SEEN_WIDTH - _NUMBER_WIDTH - _WABA_WIDTH * with_waba_id < _LEAST_CHANGE_WIDTH
    table = (_narrow_changes_table if is_narrow else _changes_table)(changes, with_waba_id=with_waba_id)
    return Group(_accounts_table(accounts), Text(), table)


def _accounts_table(accounts: Iterable[Account]) -> Table:
    table = _table(("WABA", False), ("NUMBERS", False), ("STATE", True))
    table.columns[1].justify = "right"
    for account in accounts:
        known = account.watch.known
        table.add_row(account.waba_id, "" if known is None else f"{len(known):,}", _state(account))
    return table


def _state(account: Account) -> Text:
    watch = account.watch
    if account.refusal:
        return Text(f"refused: {printable(account.refusal)}", style="red")
    if watch.error is not None:
        return Text(f"{printable(sentence(watch.error))}; {_next(account)}", style="yellow")
    if watch.seen_at is None:
        return Text("looking for the first time")
    return Text(f"seen {watch.seen_at:%H:%M:%S} UTC; {_next(account)}")


def _next(account: Account) -> str:
    seconds = account.watch.seconds_left
    return f"again in {math.ceil(seconds)} s" if seconds else "looking"


def _changes_table(changes: Iterable[Change], *, with_waba_id: bool) -> Table:
    waba = (("WABA", False),) if with_waba_id else ()
    table = _table(("SEEN", False), *waba, ("NUMBER", False), ("CHANGE", True))
    for change in changes:
        place = [change.waba_id] if with_waba_id else []
        table.add_row(_time(change), *place, _number(change), _coloured(change))
    return table


def _narrow_changes_table(changes: Iterable[Change], *, with_waba_id: bool) -> Table:
    """The same with what changed on a line of its own, where its column would break every word."""
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
    """What changed, the new value in its colour."""
    words = what_changed(change)
    new = words.rpartition(" ")[2]
    style = {"gone": "red", "new": "green"}.get(words) or STYLES.get(new, "")
    return Text.assemble(words.removesuffix(new), (new, style))


def _table(*columns: tuple[str, bool]) -> Table:
    """A table without lines, of columns of which some are folded."""
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for title, is_folded in columns:
        table.add_column(title, header_style="bold", vertical="top", overflow="fold", no_wrap=not is_folded)
    return table
