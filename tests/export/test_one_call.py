"""`export` in one call: many accounts to a file, by a job that can be stopped and resumed."""

import csv
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import wa_phone_async
from wa_phone_async import (
    META_DEFAULT,
    AuthenticationError,
    BusinessAccount,
    Filter,
    InvalidArgumentError,
    NotFoundError,
    PhoneNumber,
    PhoneNumberClient,
    RetryPolicy,
)
from wa_phone_async.export import COLUMNS, Summary, export
from wa_phone_async.sandbox import BUSINESS_ID, EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox


@pytest.fixture
async def client(graph_sandbox: Sandbox) -> AsyncIterator[PhoneNumberClient]:
    async with PhoneNumberClient("any", base_url=graph_sandbox.url, retry=RetryPolicy(max_attempts=1)) as client:
        yield client


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "numbers.csv"


def rows(out: Path) -> list[dict[str, str]]:
    with out.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def names(out: Path) -> set[str]:
    return {file.name for file in out.parent.iterdir()}


async def test_accounts_become_one_file_with_the_fields_that_are_named_once(
    client: PhoneNumberClient, out: Path
) -> None:
    summary = await export(client, out, [SMALL_WABA, LARGE_WABA, SMALL_WABA], fields="status,verified_name")
    assert summary == Summary(accounts=2, phone_numbers=253)
    assert names(out) == {out.name}
    assert list(rows(out)[0]) == ["waba_id", "id", "also_in", "status", "verified_name", "extra"]
    assert {row["waba_id"] for row in rows(out)} == {SMALL_WABA, LARGE_WABA}


@pytest.mark.parametrize("kind", ["owned", "all"])
async def test_the_accounts_of_a_business_become_one_file(client: PhoneNumberClient, out: Path, kind: Any) -> None:
    assert await export(client, out, business_id=int(BUSINESS_ID), kind=kind) == Summary(accounts=3, phone_numbers=253)
    assert {row["status"] != "" for row in rows(out)} == {True}  # one of the default fields
    await export(client, out, business_id=BUSINESS_ID, fields=META_DEFAULT, filtering=Filter("account_mode", "LIVE"))
    assert list(rows(out)[0]) == list(COLUMNS)


async def test_accounts_come_from_any_iterable(client: PhoneNumberClient, out: Path) -> None:
    closed = []

    async def accounts() -> AsyncIterator[BusinessAccount | str]:
        try:
            yield BusinessAccount(SMALL_WABA)
            yield EMPTY_WABA
        finally:
            closed.append(True)

    assert await export(client, out, accounts()) == Summary(accounts=2, phone_numbers=3)
    assert closed


async def test_failed_accounts_are_named_and_tried_again_when_it_is_resumed(
    client: PhoneNumberClient, out: Path, graph_sandbox: Sandbox
) -> None:
    failed = out.with_name("failed.jsonl")
    summary = await export(client, out, [SMALL_WABA, "404"], errors=failed)
    assert (summary.accounts, summary.failed) == (1, 1)
    [failure] = summary.failures
    assert failure.waba_id == "404"
    assert isinstance(failure.error, NotFoundError)
    assert json.loads(failed.read_text())["waba_id"] == "404"

    graph_sandbox.add_waba("404", numbers=2)
    graph_sandbox.requests.clear()
    assert await export(client, out, [SMALL_WABA, "404"], resume=True) == Summary(accounts=2, phone_numbers=5)
    assert [request.path for request in graph_sandbox.requests] == ["/v23.0/404/phone_numbers"]
    assert names(out) == {out.name, failed.name}


async def test_what_is_no_id_fails_alone(client: PhoneNumberClient, out: Path) -> None:
    summary = await export(client, out, [None, SMALL_WABA, "x y", PhoneNumber("1"), 5.5])  # type: ignore[list-item]  # it is rejected
    assert (summary.accounts, summary.failed) == (1, 4)
    assert {type(failure.error) for failure in summary.failures} == {InvalidArgumentError}


async def test_what_is_complete_is_kept_if_the_run_ends_in_an_error(
    client: PhoneNumberClient, out: Path, graph_sandbox: Sandbox
) -> None:
    graph_sandbox.plan(Fault.error(190), node=LARGE_WABA)
    with pytest.raises(AuthenticationError) as caught:
        await export(client, out, [SMALL_WABA, LARGE_WABA], concurrency=1)
    assert caught.value.__notes__ == ["what is complete is kept: to continue, export to the same file with resume=True"]
    with pytest.raises(InvalidArgumentError, match=r"^resume must be True: an unfinished export is in"):
        await export(client, out, [SMALL_WABA, LARGE_WABA])
    assert await export(client, out, [SMALL_WABA, LARGE_WABA], resume=True) == Summary(accounts=2, phone_numbers=253)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"fields": "status"}, "query must be"),
        ({"filtering": Filter("account_mode", "LIVE")}, "query must be"),
        ({"waba_ids": None, "business_id": BUSINESS_ID}, "accounts must be 'those that were given', as when"),
    ],
)
async def test_a_resumed_export_has_the_same_arguments(
    client: PhoneNumberClient, out: Path, changed: dict[str, Any], text: str
) -> None:
    first: dict[str, Any] = {"waba_ids": [SMALL_WABA, "404"]}
    await export(client, out, **first)
    with pytest.raises(InvalidArgumentError, match=text):
        await export(client, out, **{**first, **changed}, resume=True)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({}, "waba_ids or business_id must be given, and not both"),
        ({"waba_ids": ["1"], "business_id": "2"}, "waba_ids or business_id must be given, and not both"),
        ({"waba_ids": SMALL_WABA}, "waba_ids must be an iterable of ids"),
        ({"waba_ids": ["1"], "fields": "statu"}, "did you mean status"),
        ({"waba_ids": ["1"], "concurrency": 0}, "concurrency must be"),
        ({"business_id": "x"}, "business_id must be"),
        ({"business_id": "2", "kind": "mine"}, "kind must be"),
    ],
)
async def test_a_wrong_argument_leaves_nothing(
    client: PhoneNumberClient, out: Path, graph_sandbox: Sandbox, wrong: dict[str, Any], text: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=text):
        await export(client, out, **wrong)
    assert names(out) == set()
    assert graph_sandbox.requests == []


async def test_it_needs_a_client(out: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^client must be a PhoneNumberClient, not "):
        await export("a-token", out, [SMALL_WABA])  # type: ignore[arg-type]  # it is rejected


def test_the_packages_below_open_on_first_use() -> None:
    code = "import wa_phone_async as wa\nprint(wa.export.export.__name__, wa.sandbox.Sandbox.__name__)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "export Sandbox\n"
    assert {"export", "sandbox"} <= set(dir(wa_phone_async))


async def test_an_account_that_always_fails_does_not_keep_a_nightly_export_from_its_numbers(
    client: PhoneNumberClient, graph_sandbox: Sandbox, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000_000
    monkeypatch.setattr(time, "time", lambda: now)

    async def run(new_name: str) -> tuple[int, set[str]]:
        for number in graph_sandbox.numbers(SMALL_WABA):
            graph_sandbox.update_number(SMALL_WABA, number["id"], verified_name=new_name)
        summary = await export(client, out, [SMALL_WABA, "404"], resume=True)
        assert (summary.accounts, summary.phone_numbers, summary.failed) == (1, 3, 1)
        return len(graph_sandbox.requests), {row["verified_name"] for row in rows(out)}

    assert await run("Monday") == (2, {"Monday"})
    now += 12 * 3600
    assert await run("Monday evening") == (3, {"Monday"})  # only what failed
    now += 12 * 3600
    assert await run("Tuesday") == (5, {"Tuesday"})
    now += 24 * 3600
    assert await run("Wednesday") == (7, {"Wednesday"})


async def test_an_export_of_many_hours_keeps_its_work_for_an_hour(
    client: PhoneNumberClient, graph_sandbox: Sandbox, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)

    async def accounts() -> AsyncIterator[str]:
        nonlocal now
        yield SMALL_WABA
        yield "404"
        now += 20 * 3600

    async def run() -> int:
        await export(client, out, accounts(), resume=True)
        return len(graph_sandbox.requests)

    assert await run() == 2
    now += 3600
    assert await run() == 3  # only what failed
    now += 3601
    assert await run() == 5
