"""Lines that are read while other work goes on."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli.terminal.stdin import LineReader


async def all_lines(reader: LineReader) -> list[bytes]:
    lines = []
    while (line := await reader.line()) is not None:
        lines.append(line)
    return lines


@given(st.lists(st.text("ab\n", min_size=1).map(str.encode)))
def test_a_pipe_gives_its_lines_whatever_the_pieces_in_which_it_is_written(pieces: Sequence[bytes]) -> None:
    async def main() -> list[bytes]:
        reading, writing = os.pipe()
        reader = LineReader(reading, longest=1000)
        task = asyncio.create_task(all_lines(reader))
        for piece in pieces:
            await asyncio.sleep(0)
            os.write(writing, piece)
        os.close(writing)
        lines = await task
        os.close(reading)
        return lines

    whole = b"".join(pieces)
    assert asyncio.run(main()) == whole.removesuffix(b"\n").split(b"\n")[: None if whole else 0]


async def test_a_file_needs_no_waiting_and_a_long_line_comes_in_pieces(tmp_path: Path) -> None:
    (tmp_path / "ids").write_bytes(b"12\n" + b"5" * 25 + b"\n34")
    with (tmp_path / "ids").open("rb") as file:
        assert await all_lines(LineReader(file.fileno(), longest=10)) == [b"12", b"5" * 17, b"5" * 8, b"34"]


async def test_after_an_end_there_is_no_line_and_nobody_waits_for_one() -> None:
    reading, writing = os.pipe()
    reader = LineReader(reading, longest=1000)
    os.write(writing, b"1\n2\n")
    assert await reader.line() == b"1"
    reader.end()
    assert await reader.line() is None
    waiting = LineReader(reading, longest=1000)
    task = asyncio.create_task(waiting.line())
    await asyncio.sleep(0)
    waiting.end()
    assert await task is None
    os.close(reading)
    os.close(writing)
