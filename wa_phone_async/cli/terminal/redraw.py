"""One line that is drawn again and again in its place, also on a terminal that changes its width meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Final, Self

from rich.console import Console, RenderableType
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment, Segments

_WHOLE_LINE: Final = 2
_ECHO: Final = len("^C")  # a terminal shows this behind the line; without room it would go to the next line


class RedrawnLine:
    """The last line of a terminal. It spares what stands above it, and it is gone at the end.

    If the terminal was closed, nothing is drawn, and no error is raised: the work matters more than its messages.

    Some terminals break the line a moment before they say that they are narrower. What is drawn in that moment stays.

    Args:
        file: The terminal.
    """

    def __init__(self, file: IO[str]) -> None:
        self._console = Console(file=file, force_terminal=True, highlight=False, markup=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._drawn = 0
        self._width = self._console.width

    @property
    def width(self) -> int:
        """How many columns the line may have now."""
        return max(1, self._console.width - _ECHO)

    def __enter__(self) -> Self:
        with suppress(OSError):
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._live.stop()

    def draw(self, content: RenderableType) -> None:
        """Draw the content in the place of what was drawn before. Only its first line is drawn."""
        width = self._console.width  # read once, since it may change at any moment
        options = self._console.options.update_width(max(1, width - _ECHO))
        line = _without_blanks_at_end(self._console.render_lines(content, options, pad=False)[0])
        with suppress(OSError):
            if width < self._width:
                # The terminal has broken the line into several. rich erases one, since it has written one.
                one_up = (ControlType.ERASE_IN_LINE, _WHOLE_LINE), (ControlType.CURSOR_UP, 1)
                self._console.control(Control(*one_up * lines_more(self._drawn, width)))
            self._live.update(Segments(line), refresh=True)
        self._drawn, self._width = Segment.get_line_length(line), width


def lines_more(columns: int, width: int) -> int:
    """How many lines more than one a terminal of this width needs for a text of so many columns."""
    return max(0, columns - 1) // width


def _without_blanks_at_end(line: Sequence[Segment]) -> list[Segment]:
    """Some terminals break blanks into further lines, and others do not: without them, all take as many lines."""
    kept = list(line)
    while kept and not kept[-1].text.strip():
        kept.pop()
    return [*kept[:-1], Segment(kept[-1].text.rstrip(), kept[-1].style)] if kept else []
