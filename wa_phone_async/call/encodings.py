"""Encodings of answers: those that can be read, of those that aiohttp asks for.

aiohttp 3.14 bounds what a piece of an answer may become when decompressed, which needs Brotli (or brotlicffi) 1.2. It
asks for `br` with an older one too, and then cannot read any such answer: no list would come, and each create would
have an unknown outcome. Seen with 1.1.0 of both, 2026-11-22.
"""

from __future__ import annotations

import sys
from typing import Any


def readable(encodings: str) -> str:
    """Those of the encodings of an `Accept-Encoding` that can be read."""
    names = encodings.split(", ")
    return ", ".join(name for name in names if name != "br" or _reads_brotli())


def _reads_brotli() -> bool:
    library: Any = sys.modules.get("brotlicffi") or sys.modules.get("brotli")  # as aiohttp chose it
    decompressor = library.Decompressor()
    try:
        getattr(decompressor, "decompress", decompressor.process)(b"", 1)
    except TypeError:  # it takes no bound
        return False
    return True
