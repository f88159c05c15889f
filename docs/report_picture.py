"""Take the picture of a report that the README and the manual show: `python docs/report_picture.py [FILE]`.

It needs the extra `cli` and Chromium, and writes `docs/_static/report.png` without another name.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from look import open_tab

COMMAND: Final = "report --sandbox --out"
PICTURE: Final = Path(__file__).parent / "_static" / "report.png"
SIZE: Final = (1360, 900)
"""The window, in pixels: the summary and the first findings fit."""


async def take(page: Path, file: Path, chromium: str) -> None:
    """Save a picture of the beginning of a page."""
    async with open_tab(chromium) as tab:
        await tab.resize(SIZE)
        await tab.choose("light")
        await tab.open(page)
        await tab.picture(file)


def main() -> None:
    """Run the command, and save a picture of its page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("file", nargs="?", type=Path, default=PICTURE)
    file = parser.parse_args().file
    chromium = shutil.which("chromium") or sys.exit("There is no chromium on the PATH.")
    with tempfile.TemporaryDirectory() as directory:
        page = Path(directory, "report.html")
        command = [sys.executable, "-m", "wa_phone_async", *COMMAND.split(), str(page)]
        subprocess.run(command, check=True)  # noqa: S603 - the one command above
        asyncio.run(take(page, file, chromium))
    print(f"{file}: wa-phone {COMMAND} report.html")


if __name__ == "__main__":
    main()
