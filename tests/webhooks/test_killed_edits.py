"""A bulk override that is killed twenty times: each write is sent at most once, or told as in flight."""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from wa_phone_async import EditState
from wa_phone_async.sandbox import Sandbox

pytestmark = [pytest.mark.unmeasured, pytest.mark.timeout(180)]

WABA, NUMBERS, KILLS = "100200300400777", 1_000, 20
URL = "https://shop.example/new"
EDIT = """
import asyncio, sys
from wa_phone_async import PhoneNumberClient

async def main(base_url, waba_id, url, journal):
    async with PhoneNumberClient("any", base_url=base_url) as client:
        edits = client.set_webhooks([waba_id], url, verify_token="t", on="members", journal=journal, concurrency=16)
        async with edits:
            async for edit in edits:
                print(edit.number, edit.state.value, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def run(sandbox: Sandbox, journal: Path, writes: int | None) -> list[tuple[int, EditState]]:
    """Run the edit, and kill it once the sandbox got so many more writes. Returns what it told until then."""
    before = len(sandbox.requests)
    command = [sys.executable, "-c", EDIT, sandbox.url, WABA, URL, str(journal)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while writes is not None and process.poll() is None:
            if sum(request.method == "POST" for request in sandbox.requests[before:]) >= writes:
                process.kill()
            time.sleep(0.001)
        lines, _ = process.communicate()
        assert writes is not None or process.returncode == 0
    whole = [line.split(maxsplit=1) for line in lines.splitlines(keepends=True) if line.endswith("\n")]
    return [(int(number), EditState(state.strip())) for number, state in whole]


def test_a_bulk_override_that_is_killed_twenty_times_sends_each_write_at_most_once(tmp_path: Path) -> None:
    draw, journal = random.Random(21), tmp_path / "set.jsonl"
    told = list[tuple[int, EditState]]()
    with Sandbox(quota=None, latency=0.002) as sandbox:
        sandbox.add_waba(WABA, NUMBERS)
        for _ in range(KILLS):
            told += run(sandbox, journal, draw.randint(0, 2 * NUMBERS // KILLS - 10))
        told += run(sandbox, journal, None)
        writes = Counter(request.node for request in sandbox.requests if request.method == "POST")
        reads = Counter(
            request.node for request in sandbox.requests if request.method == "GET" and request.node != WABA
        )
        applied = {row["id"] for row in sandbox.numbers(WABA) if URL in str(row["webhook_configuration"])}

    entries = [json.loads(line) for line in journal.read_bytes().splitlines()]
    targets = [entry["edit"]["target"] for entry in entries if "edit" in entry]
    sent = Counter(entry["of"] for entry in entries if entry.get("state") == "sent")
    states = dict.fromkeys(range(NUMBERS), "planned") | {e["of"]: e["state"] for e in entries if "state" in e}

    assert len(targets) == len({*targets}) == NUMBERS
    assert max(writes.values()) == 1, "a write was sent twice"
    assert max(sent.values()) == 1
    assert {*writes} <= {targets[number] for number in sent}, "a write was sent before it was in the journal"
    # Whatever was in flight at a kill was read back, and told.
    in_flight = {number for number in sent if reads[targets[number]]}
    assert {states[number] for number in range(NUMBERS)} <= {"done", "not applied"}
    assert {number for number, state in states.items() if state == "not applied"} <= in_flight
    assert {number for number, state in told if state is EditState.NOT_APPLIED} == {
        number for number, state in states.items() if state == "not applied"
    }
    assert {targets[number] for number, state in states.items() if state == "done"} <= applied
    assert len(applied) >= NUMBERS - len(in_flight)
    assert len(in_flight) >= KILLS // 2  # the kills did hit writes in flight
