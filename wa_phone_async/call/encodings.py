"""The encodings of a response that this installation can decompress.

aiohttp 3.14 limits how large a piece of a response may become, and for that it needs Brotli (or brotlicffi) 1.2. It
accepts `br` with an older one too, and then fails to read the response: no list would come, and each create would have
an unknown outcome. Seen with 1.1.0 of both, 2026-11-22.
"""

from __future__ import annotations

import sys
from typing import Any


def readable_encodings(accept_encoding: str) -> str:
    """The header `Accept-Encoding` without those encodings that aiohttp cannot read here."""
    names = accept_encoding.split(", ")
    return ", ".join(name for name in names if name != "br" or _reads_brotli())


def _reads_brotli() -> bool:
    library: Any = sys.modules.get("brotlicffi") or sys.modules.get("brotli")  # in the order of aiohttp's choice
    decompressor = library.Decompressor()
    try:
        getattr(decompressor, "decompress", decompressor.process)(b"", 1)
    except TypeError:  # before 1.2, it takes no limit
        return False
    return True
