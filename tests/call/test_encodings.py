"""Accept-Encoding names br only with a Brotli that can limit what it decompresses."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest

from wa_phone_async.call.encodings import readable_encodings

ALL = "gzip, deflate, br, zstd"
WITHOUT = "gzip, deflate, zstd"


class New:
    """The decompressor of Brotli 1.2 and later."""

    def process(self, data: bytes, output_buffer_limit: int = -1) -> bytes:
        del output_buffer_limit
        return data


class Old:
    """The decompressor of Brotli before 1.2."""

    def process(self, data: bytes) -> bytes:
        return data


class NewCffi(Old):
    """The decompressor of brotlicffi 1.2 and later, whose old method is there beside the new one."""

    def decompress(self, data: bytes, output_buffer_limit: int = -1) -> bytes:
        del output_buffer_limit
        return data


class OldCffi(New):
    def decompress(self, data: bytes) -> bytes:
        return data


@pytest.mark.parametrize(
    ("brotlicffi", "brotli", "expected"),
    [
        (None, New, ALL),
        (None, Old, WITHOUT),
        (NewCffi, None, ALL),
        (OldCffi, None, WITHOUT),
        (NewCffi, Old, ALL),
        (OldCffi, New, WITHOUT),
    ],
)
def test_br_is_accepted_if_its_library_can_limit_what_it_decompresses(
    brotlicffi: type | None, brotli: type | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, decompressor in (("brotlicffi", brotlicffi), ("brotli", brotli)):
        monkeypatch.setitem(sys.modules, name, decompressor and SimpleNamespace(Decompressor=decompressor))
    assert readable_encodings(ALL) == expected


@pytest.mark.parametrize("encodings", ["gzip, deflate", "gzip, deflate, zstd", "gzip"])
def test_other_encodings_stay_as_they_are(encodings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brotlicffi", None)
    monkeypatch.setitem(sys.modules, "brotli", None)
    assert readable_encodings(encodings) == encodings


def test_all_that_aiohttp_accepts_here_can_be_read() -> None:
    accepted = aiohttp.ClientRequest.DEFAULT_HEADERS[aiohttp.hdrs.ACCEPT_ENCODING]
    assert accepted.startswith("gzip, deflate")
    assert readable_encodings(accepted) == accepted


PROGRAM = """
import asyncio
from wa_phone_async import OutcomeUnknownError, PhoneNumberClient, TransportError
from wa_phone_async.sandbox import EMPTY_WABA, SMALL_WABA, Fault, Sandbox

async def main():
    async with Sandbox(compress=True) as sandbox, PhoneNumberClient("any", base_url=sandbox.url) as client:
        assert len(await client.list_phone_numbers(SMALL_WABA)) == 3
        print(sandbox.requests[0].headers["Accept-Encoding"])
        sandbox.plan(Fault.raw("{}", headers={"Content-Encoding": "br"}, takes_effect=True))
        try:
            await client.create_phone_number(EMPTY_WABA, phone_number="16315551000", verified_name="Acme")
        except OutcomeUnknownError:
            print(len(sandbox.created))

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "brotli", ["class Decompressor:\n    def process(self, data): return data", "raise ImportError"]
)
def test_with_an_old_brotli_or_none_lists_come_without_br(brotli: str, tmp_path: Path) -> None:
    (tmp_path / "brotli.py").write_text(brotli, encoding="utf-8")
    (tmp_path / "brotlicffi.py").write_text("raise ImportError", encoding="utf-8")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}){PROGRAM}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    encodings, created = done.stdout.splitlines()
    assert "gzip" in encodings
    assert "br" not in encodings
    assert created == "1"  # br that was not accepted cannot be read: the response is lost
