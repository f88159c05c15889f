"""A line that is drawn again in its place on a terminal, also on one whose width changes meanwhile."""

import io
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from rich.table import Table
from rich.text import Text

from wa_phone_async.cli.terminal.redraw import RedrawnLine, lines_more

BEFORE = "$ wa-phone"


class Terminal(io.StringIO):
    """A terminal that breaks its lines again when its width changes, as most do; it has as many lines as it needs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
        super().__init__()
        self._monkeypatch = monkeypatch
        self.resize(width)
        self.rows: list[tuple[str, bool]] = [("", False)]  # and whether the line goes on in the next one
        self.row = self.column = 0

    def resize(self, width: int) -> None:
        self.width = width
        self._monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((width, 30)))

    def reflow(self, width: int) -> None:
        """Become that wide, and break the lines again; the cursor stays at the end of the last one."""
        self.resize(width)
        above = self.rows[: self.row + 1]  # what is below is empty
        text = "".join(row if goes_on else f"{row}\n" for row, goes_on in above).removesuffix("\n")
        self.rows, self.row, self.column = [("", False)], 0, 0
        self.write(text.replace("\n", "\r\n"))

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for code, number, letter, other in re.findall(r"(\x1b\[[?]?([\d;]*)([A-Za-z]))|(\r\n|\n|\r|.)", text):
            if code:
                self._control(letter, number)
            elif other == "\r":
                self.column = 0
            elif other.endswith("\n"):
                self._line(goes_on=False)
            else:
                self._put(other)
        return len(text)

    def _control(self, letter: str, number: str) -> None:
        if letter == "A":
            self.row = max(0, self.row - int(number))
        elif letter == "B":
            self.row = min(len(self.rows) - 1, self.row + int(number))
        elif letter == "H":
            self.row = self.column = 0
        elif letter == "K":
            assert number == "2"
            self.rows[self.row] = ("", False)
        else:
            assert letter in "hlm"

    def _line(self, *, goes_on: bool) -> None:
        self.rows[self.row] = (self.rows[self.row][0], goes_on)
        self.row, self.column = self.row + 1, 0
        if self.row == len(self.rows):
            self.rows.append(("", False))

    def _put(self, character: str) -> None:
        if self.column == self.width:
            self._line(goes_on=True)
        row, goes_on = self.rows[self.row]
        row = row.ljust(self.column)
        self.rows[self.row] = (f"{row[: self.column]}{character}{row[self.column + 1 :]}", goes_on)
        self.column += 1

    @property
    def screen(self) -> list[str]:
        """What is to be seen, but for empty lines."""
        return [row.rstrip() for row, _ in self.rows if row.strip()]


LONG = "four four four four four four four four"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal(monkeypatch, 60)
    terminal.write(f"{BEFORE}\r\n")
    return terminal


def test_each_drawing_replaces_the_one_before_and_the_last_is_gone_at_the_end(terminal: Terminal) -> None:
    with RedrawnLine(terminal) as line:
        for text in ("12 of 100 accounts", "", LONG, "13 of 100 accounts"):
            line.draw(Text(text))
            assert terminal.screen == [BEFORE, *filter(None, [text])]
    assert terminal.screen == [BEFORE]


@pytest.mark.parametrize("width", [59, 40, 20, 10, 7])
def test_nothing_of_a_bar_stays_behind_where_the_terminal_was_made_narrower(terminal: Terminal, width: int) -> None:
    with RedrawnLine(terminal) as line:
        for _ in range(3):
            line.draw(Text(LONG, no_wrap=True, overflow="ellipsis"))
            terminal.reflow(width)
            line.draw(Text("12345"))
            assert "".join(terminal.screen) == f"{BEFORE}12345"
            terminal.reflow(60)
        terminal.reflow(width)
        line.draw(Text("the end"))
    assert "".join(terminal.screen) == BEFORE


def test_blanks_at_the_end_of_a_line_are_not_written(terminal: Terminal) -> None:
    content = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    content.add_column(width=40)
    content.add_row("one")
    with RedrawnLine(terminal) as line:
        line.draw(content)
        assert [row for row, _ in terminal.rows] == [BEFORE, "one"]


def test_a_ctrl_c_that_the_terminal_shows_leaves_nothing_behind(terminal: Terminal) -> None:
    with RedrawnLine(terminal) as line:
        line.draw(Text("x" * 100, no_wrap=True, overflow="ellipsis"))
        terminal.write("^C")
        line.draw(Text("12 of 100 accounts"))
        assert terminal.screen == [BEFORE, "12 of 100 accounts"]


def test_only_the_first_line_is_drawn(terminal: Terminal) -> None:
    with RedrawnLine(terminal) as line:
        assert line.width == 58
        line.draw(Text("one\ntwo"))
        assert terminal.screen == [BEFORE, "one"]


@given(st.integers(0, 1000), st.integers(1, 200))
def test_a_text_takes_no_more_and_no_fewer_lines_than_the_pieces_it_is_broken_into(columns: int, width: int) -> None:
    assert lines_more(columns, width) == len(range(0, max(1, columns), width)) - 1
