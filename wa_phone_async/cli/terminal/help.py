"""How --help looks: cyclopts lays it out, as this module sets it up."""

from __future__ import annotations

import io
import re
import sys
from typing import Final

from cyclopts.help import ColumnSpec, DefaultFormatter, DescriptionRenderer, NameRenderer, PanelSpec
from rich.box import Box
from rich.console import Console
from rich.theme import Theme

from .output import takes_escapes, terminal_width, write

_WIDEST: Final = 100

_HEADING: Final = Box(" -- \n" + "    \n" * 7, ascii=True)
"""A rule with the heading in it above each group of options, and nothing at its other sides."""

_COLUMNS: Final = (
    # By default names have a third of the width, which breaks some of them at 60 columns.
    ColumnSpec(renderer=NameRenderer(max_width=25), style="cyclopts.name"),
    ColumnSpec(renderer=DescriptionRenderer(), overflow="fold"),
)

FORMATTER: Final = DefaultFormatter(panel_spec=PanelSpec(box=_HEADING, padding=(0, 0, 0, 1)), column_specs=_COLUMNS)


class HelpPage:
    """Collects what cyclopts prints.

    rich would end the process at a broken pipe, with status 1. So rich writes here, and `show` writes to stdout.
    """

    def __init__(self) -> None:
        self._text = io.StringIO()
        self.console: Console = Console(
            file=self._text,
            force_terminal=takes_escapes(sys.stdout),
            no_color=True,  # bold is enough
            theme=Theme({"cyclopts.name": "bold"}),
            width=min(terminal_width(sys.stdout) or 80, _WIDEST),
            highlight=False,
            markup=False,
            emoji=False,
        )
        """Where cyclopts prints."""

    def show(self) -> None:
        """Write it, without the blanks and blank lines with which rich fills up its blocks.

        Raises:
            BrokenPipeError: The reader of stdout has left.
        """
        text = re.sub(r" +$", "", self._text.getvalue(), flags=re.MULTILINE)
        write(re.sub(r"\n{3,}", "\n\n", text))
