"""Accounts in chunks, one for each task of a cluster."""

from collections.abc import AsyncIterator

from wa_phone_async import PhoneNumberClient
from wa_phone_async.export.chunks import Chunk, FleetStretch, split_in_chunks, stretches_of
from wa_phone_async.sandbox import Sandbox

TOKEN = "an-invented-token"


async def ids() -> AsyncIterator[str]:
    for number in range(5):
        yield str(number)


async def test_ids_are_split_in_chunks() -> None:
    assert [chunk async for chunk in split_in_chunks(ids(), 2)] == [
        Chunk(("0", "1")),
        Chunk(("2", "3")),
        Chunk(("4",)),
    ]
    assert [len(chunk.waba_ids) async for chunk in split_in_chunks(ids(), 5)] == [5]


async def test_the_accounts_of_a_business_are_stretches_that_a_worker_can_list() -> None:
    async with Sandbox(accounts=250) as sandbox, PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
        business, needed = sandbox.business_id, {*sandbox.waba_ids[90:100], *sandbox.waba_ids[240:]}
        chunks = [chunk async for chunk in stretches_of(client, business, "owned", needed.__contains__)]
        assert [chunk.waba_ids for chunk in chunks] == [
            tuple(sandbox.waba_ids[90:100]),
            tuple(sandbox.waba_ids[240:]),
        ]  # a page without needed accounts is no chunk
        assert [chunk.fleet and chunk.fleet.accounts for chunk in chunks] == [100, 50]
        for chunk in chunks:
            stretch = chunk.fleet
            assert isinstance(stretch, FleetStretch)
            listings = await client.list_fleet(
                stretch.business_id, kind=stretch.kind, after=stretch.after, max_accounts=stretch.accounts, fields="id"
            )
            assert {listing.waba_id for listing in listings} >= set(chunk.waba_ids)
            assert len(listings) == stretch.accounts
