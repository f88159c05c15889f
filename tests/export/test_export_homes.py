"""`also_in`: a number under several accounts names the others in each of its rows, and no other number does."""

import json
from pathlib import Path

import attrs
import pytest
from exports import ACME, FORMATS, read, rows_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wa_phone_async import WabaListing
from wa_phone_async.export import Job, lines, merge, write
from wa_phone_async.export.homes import Homes

IDS = st.sampled_from(["7", "8", "9", "00", "1" * 19, '"', "é,", "-"])
FLEETS = st.dictionaries(st.sampled_from(["1", "2", "3", "01"]), st.sets(IDS, min_size=1), min_size=1)
FORGED = '\r\n1,7,,CONNECTED\r\n{"waba_id": "1", "id": "7", "also_in": null'


def listings_of(fleet: dict[str, set[str]]) -> list[WabaListing]:
    shop = attrs.evolve(ACME, verified_name=FORGED)  # it looks like the rows of another number
    return [
        WabaListing(waba_id=waba_id, phone_numbers=tuple(attrs.evolve(shop, id=each) for each in ids))
        for waba_id, ids in fleet.items()
    ]


@pytest.mark.parametrize("form", FORMATS)
@given(fleet=FLEETS, rows=st.integers(1, 3))
@example(fleet={"1": {"7", "8"}, "2": {"7"}, "3": {"7"}}, rows=1)
@settings(max_examples=25)
async def test_each_row_names_the_other_accounts(
    form: str, tmp_path_factory: pytest.TempPathFactory, fleet: dict[str, set[str]], rows: int
) -> None:
    out = tmp_path_factory.mktemp("export") / f"numbers.{form}"
    with pytest.MonkeyPatch.context() as patch, Job(out, part_accounts=rows) as job:
        patch.setattr(lines, "_COPIED_BYTES", 100)
        for listing in listings_of(fleet):
            await job.add(listing)
        await job.finish()
    for row, before in zip(read(out), [row for each in listings_of(fleet) for row in rows_of(each)], strict=True):
        others = sorted(home for home, ids in fleet.items() if row["id"] in ids and home != row["waba_id"])
        is_plain = not {"jsonl": {'"'}, "csv": {'"', ","}, "parquet": set[str]()}[form] & set(row["id"])
        assert row == {**before, "also_in": (others or None) if is_plain else None}


async def test_files_that_are_merged_keep_what_they_say(tmp_path: Path) -> None:
    one, two = listings_of({"1": {"7"}, "2": {"7"}})
    with Job(tmp_path / "job.jsonl") as job:
        await job.add(one)
        await job.add(two)
        await job.finish()
    await write([one], tmp_path / "one.jsonl")
    await merge([tmp_path / "job.jsonl", tmp_path / "one.jsonl"], tmp_path / "all.jsonl")
    found = [json.loads(line)["also_in"] for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert found == [["2"], ["1"], None]


def test_a_number_is_in_any_number_of_accounts() -> None:
    homes = Homes()
    for waba_id in ("1", "2", "1", "4", "3", "2"):
        homes.add(waba_id, "7")
    homes.add("1", "8")
    assert (homes.has_shared, homes.others("4", "7"), homes.others("1", "8")) == (True, ["1", "2", "3"], None)
