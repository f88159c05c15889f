"""Exports that are killed at random moments and resumed: each number is in the file once, and nothing else is left."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from attack import Attack
from exports import FORMATS, read

from wa_phone_async.sandbox import Sandbox

pytestmark = pytest.mark.unmeasured

pytest.importorskip("arro3.io", reason="the extra `parquet` is not installed")

ACCOUNTS, NUMBERS = 60, 7
EXPORT = """
import asyncio, sys
from wa_phone_async import PhoneNumberClient
from wa_phone_async.export import Job, parquet

async def main(url, out, accounts):
    async with PhoneNumberClient("any", base_url=url) as client:
        print("begins", flush=True)
        with Job(out, resume=True, part_accounts=5, errors=f"{out}.failed") as job:
            async with client.list_many(job.remaining(accounts), concurrency=4) as listings:
                async for listing in listings:
                    await job.add(listing)
            await job.finish()

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3].split(",")))
"""


def killed(sandbox: Sandbox, out: Path, after: float | None) -> float | None:
    """Run the export, and kill it so many seconds after it has begun. Returns how long it took, or `None`."""
    command = [sys.executable, "-c", EXPORT, sandbox.url, str(out), ",".join(sandbox.waba_ids[-ACCOUNTS:])]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begins\n"
        began = time.monotonic()
        try:
            status = process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            return None
        assert status == 0
        return time.monotonic() - began


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_that_is_killed_at_any_moment_can_be_resumed_and_is_exact(
    attack: Attack, tmp_path: Path, form: str
) -> None:
    with Sandbox(quota=None, accounts=ACCOUNTS, numbers_per_account=NUMBERS) as sandbox:
        waba_ids = sandbox.waba_ids[-ACCOUNTS:]
        expected = sorted((waba_id, each["id"]) for waba_id in waba_ids for each in sandbox.numbers(waba_id))
        duration = killed(sandbox, tmp_path / f"first.{form}", None)
        assert duration is not None
        for number, draw in enumerate(attack.rounds(short=1, seconds=20)):
            out = tmp_path / f"{number}.{form}"
            # Few moments are near the end, where the parts are merged: half of the kills aim there.
            moments = (draw.uniform(0, duration), draw.uniform(0.5 * duration, duration))
            for _ in range(6):
                if killed(sandbox, out, draw.choice(moments)) is not None:
                    break
                attack.count("kills")
            else:
                assert killed(sandbox, out, None) is not None
            found = sorted((row["waba_id"], row["id"]) for row in read(out))
            expected = [
                (waba_id, number["id"])
                for waba_id in sandbox.waba_ids[-ACCOUNTS:]
                for number in sandbox.numbers(waba_id)
            ]
            assert found == sorted(expected)
            assert {file.name for file in tmp_path.glob(f"*{out.name}*")} == {out.name, f"{out.name}.failed"}
            attack.count("exports")
