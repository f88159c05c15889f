"""Accounts in chunks: what one task of a cluster lists."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable

import attrs

from wa_phone_async import PhoneNumberClient
from wa_phone_async.query import AccountKind


@attrs.frozen
class Chunk:
    """Some accounts, for one task."""

    waba_ids: tuple[str, ...]
    fleet: FleetStretch | None = None
    """Where a business lists them, one after the other; `None`: each is listed by itself."""


@attrs.frozen
class FleetStretch:
    """A stretch of the accounts of a business, which a worker can list many in each call."""

    business_id: str
    kind: AccountKind
    after: str | None
    """The cursor that it begins after; `None`: at the start."""
    accounts: int
    """How long it is."""


async def split_in_chunks(waba_ids: AsyncIterable[str], size: int) -> AsyncGenerator[Chunk]:
    """Yield the ids in chunks of this size. The last chunk may be smaller."""
    chunk: list[str] = []
    async for waba_id in waba_ids:
        chunk.append(waba_id)
        if len(chunk) == size:
            yield Chunk(tuple(chunk))
            chunk = []
    if chunk:
        yield Chunk(tuple(chunk))


async def stretches_of(
    client: PhoneNumberClient, business_id: str, kind: AccountKind, needs: Callable[[str], bool]
) -> AsyncGenerator[Chunk]:
    """Yield the accounts of a business in chunks, one for each page of their list.

    Args:
        client: Reads the ids. This costs a call for 100 accounts.
        business_id: The business.
        kind: How they belong to it.
        needs: Whether an account is to be listed.
    """
    after = None
    async for page in client.list_business_accounts(business_id, kind, fields="id").pages():
        ids = tuple(account.id for account in page if needs(account.id))
        if ids:
            yield Chunk(ids, FleetStretch(business_id, kind, after, len(page)))
        after = page.cursors.after
