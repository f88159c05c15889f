"""What is drawn in its place on a terminal, also on one whose width changes meanwhile."""

import io
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from rich.table import Table
from rich.text import Text

from wa_phone_async.cli.terminal.redraw import Drawing, lines_more

BEFORE = "$ wa-phone"


class Terminal(io.StringIO):
    """A terminal that breaks its lines anew when its width changes, as most do; it is as high as it has to be."""

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
        """Become that wide, and break the lines anew; the cursor stays at the end of the last one."""
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


def table(*rows: str) -> Table:
    content = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    content.add_column(width=40)
    for row in rows:
        content.add_row(row)
    return content


ROWS = ("one", "two two two two two two two", "three", "four four four four four four four four")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    terminal = Terminal(monkeypatch, 60)
    terminal.write(f"{BEFORE}\r\n")
    return terminal


def test_one_thing_stands_after_the_other_and_the_last_one_stays(terminal: Terminal) -> None:
    with Drawing(terminal, is_screen=True) as drawing:
        for count in (1, 4, 2, 0, 3):
            drawing.draw(table(*ROWS[:count]))
            assert terminal.screen == [BEFORE, *ROWS[:count]]
    assert terminal.screen == [BEFORE, *ROWS[:3]]


def test_what_is_no_screen_is_gone_at_the_end(terminal: Terminal) -> None:
    with Drawing(terminal, is_screen=False) as drawing:
        drawing.draw(Text("12 of 100 accounts"))
        assert terminal.screen == [BEFORE, "12 of 100 accounts"]
    assert terminal.screen == [BEFORE]


@pytest.mark.parametrize("width", [59, 40, 20, 10, 7])
def test_nothing_of_a_bar_stays_behind_where_the_terminal_was_made_narrower(terminal: Terminal, width: int) -> None:
    with Drawing(terminal, is_screen=False) as drawing:
        for _ in range(3):
            drawing.draw(Text(ROWS[3], no_wrap=True, overflow="ellipsis"))
            terminal.reflow(width)
            drawing.draw(Text("12345"))
            assert "".join(terminal.screen) == f"{BEFORE}12345"
            terminal.reflow(60)
        terminal.reflow(width)
        drawing.draw(Text("the end"))
    assert "".join(terminal.screen) == BEFORE


@pytest.mark.parametrize("width", [59, 30, 20])
def test_a_screen_begins_at_the_top_where_the_terminal_was_made_narrower(terminal: Terminal, width: int) -> None:
    with Drawing(terminal, is_screen=True) as drawing:
        drawing.draw(table(*ROWS))
        terminal.reflow(width)
        drawing.draw(table("one", "two"))
        assert terminal.screen == ["one", "two"]
        terminal.reflow(100)
        drawing.draw(table(*ROWS[:3]))
        assert terminal.screen == [*ROWS[:3]]


def test_blanks_at_the_end_of_a_line_are_not_written(terminal: Terminal) -> None:
    with Drawing(terminal, is_screen=True) as drawing:
        drawing.draw(table("one", "", "three"))
    assert [row for row, _ in terminal.rows] == [BEFORE, "one", "", "three", ""]


def test_what_is_higher_than_the_terminal_is_cut_at_its_end(terminal: Terminal) -> None:
    with Drawing(terminal, is_screen=True) as drawing:
        assert (drawing.width, drawing.height) == (60, 30)
        drawing.draw(table(*map(str, range(50))))
        drawing.draw(table(*map(str, range(50))))
        assert terminal.screen == [BEFORE, *map(str, range(30))]


@given(st.lists(st.integers(0, 200)), st.integers(1, 200))
def test_lines_take_no_more_and_no_less_than_what_they_are_broken_into(widths: list[int], width: int) -> None:
    pieces = [range(0, max(1, cells), width) for cells in widths]
    assert lines_more(widths, width) == sum(len(piece) - 1 for piece in pieces)
