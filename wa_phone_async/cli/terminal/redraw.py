"""What is drawn again and again in its place on a terminal, whatever becomes of the terminal's width meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO, Final, Self

from rich.console import Console, RenderableType
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment, Segments

_ERASE_LINE: Final = 2


class Drawing:
    """A place on a terminal, where one thing stands after the other.

    A terminal that is made narrower breaks the lines that stand there, so that more of them are to be erased than were
    written. Some do so a moment before they say that they are narrower: what is drawn meanwhile stays behind.

    Args:
        file: The terminal.
        is_screen: Whether it takes most of the terminal, and its last state stays at the end. All that is to be seen is
            erased where the terminal is made narrower, and it begins at the top then. Anything smaller spares what
            stands above it, and is gone at the end.
    """

    def __init__(self, file: IO[str], *, is_screen: bool) -> None:
        self._console = Console(file=file, force_terminal=True, highlight=False, markup=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=not is_screen, vertical_overflow="crop")
        self._is_screen = is_screen
        self._widths: Sequence[int] = ()
        self._width = self.width

    @property
    def width(self) -> int:
        """How many columns there are now."""
        return self._console.width

    @property
    def height(self) -> int:
        """How many lines there are now."""
        return self._console.height

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def draw(self, content: RenderableType) -> None:
        """Let this stand there. What does not fit is cut at its end."""
        width = self.width  # asked once, since it may change at any moment
        options = self._console.options.update_width(width)
        # Blanks at the end of a line would be broken too, by some terminals, and by others not.
        lines = [_without_blanks_at_end(line) for line in self._console.render_lines(content, options, pad=False)]
        lines = lines[: self.height]
        if width < self._width:
            self._erase_more(width)
        self._live.update(Segments(_joined(lines)), refresh=True)
        self._widths = [Segment.get_line_length(line) for line in lines]
        self._width = width

    def _erase_more(self, width: int) -> None:
        """Erase what rich does not know to be there."""
        erased = ControlType.ERASE_IN_LINE, _ERASE_LINE
        if self._is_screen:  # line by line: terminals keep a screen that is erased at once, to be scrolled back to
            down = (erased, (ControlType.CURSOR_DOWN, 1)) * self.height
            self._console.control(Control(ControlType.HOME, *down, ControlType.HOME))
        else:
            up = (erased, (ControlType.CURSOR_UP, 1)) * lines_more(self._widths, width)
            self._console.control(Control(*up))


def lines_more(widths: Iterable[int], width: int) -> int:
    """How many lines more it takes to show lines of these widths on a terminal of this width."""
    return sum(max(0, cells - 1) // width for cells in widths)


def _without_blanks_at_end(line: Sequence[Segment]) -> list[Segment]:
    kept = list(line)
    while kept and not kept[-1].text.strip():
        kept.pop()
    return [*kept[:-1], Segment(kept[-1].text.rstrip(), kept[-1].style)] if kept else []


def _joined(lines: Sequence[Sequence[Segment]]) -> list[Segment]:
    return [segment for line in lines for segment in (*line, Segment.line())]
