"""Draw the picture of the README from a real run at a terminal: `python docs/picture.py [FILE]`.

It needs the extra `cli`, and writes `docs/_static/terminal.svg` without another name. The picture loads nothing.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import subprocess
import sys
import termios
from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

COMMAND: Final = "wa-phone list --sandbox --max-items 12"
PICTURE: Final = Path(__file__).parent / "_static" / "terminal.svg"
COLUMNS: Final = 116
OVERRIDES: Final = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"}
"""Variables of your shell that would change the picture."""
FONT_FACE: Final = re.compile(r"@font-face \{.*?\}", re.DOTALL)


def run_at_a_terminal(command: str) -> str:
    """Return what a command of `wa-phone` shows at a terminal, with its colours."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (40, COLUMNS))
    environment = {name: value for name, value in os.environ.items() if name not in OVERRIDES}
    process = subprocess.Popen(  # noqa: S603 - the one command above
        [sys.executable, "-m", "wa_phone_async", *command.split()[1:]],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**environment, "TERM": "xterm-256color"},
    )
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 65536):
            shown += piece
    except OSError:  # how Linux says that the other side was closed
        pass
    os.close(master)
    if process.wait():
        sys.exit(shown.decode())
    return shown.decode().replace("\r\n", "\n")


def draw(command: str, shown: str) -> str:
    """Return the picture of a terminal as SVG, without the fonts that rich would load from the network."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
    console.print(Text.from_ansi(shown.rstrip()))
    drawn = console.export_svg(title="wa-phone", unique_id="terminal")
    return FONT_FACE.sub("", drawn).replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")


def main() -> None:
    """Run the command, and write its picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("file", nargs="?", type=Path, default=PICTURE)
    file = parser.parse_args().file
    lines = [line.rstrip() for line in draw(COMMAND, run_at_a_terminal(COMMAND)).splitlines()]
    file.write_text("\n".join(line for line in lines if line) + "\n", encoding="utf-8")
    print(f"{file}: {COMMAND}")


if __name__ == "__main__":
    main()
