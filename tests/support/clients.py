"""A server and a client of it for the length of a block: `serving` has the sandbox, `against` a raw server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Unpack

from misbehaving import Play, RawServer

from wa_phone_async import Event, PhoneNumberClient, RetryPlanned, RetryPolicy, TokenProvider
from wa_phone_async.client import Settings
from wa_phone_async.sandbox import Sandbox
from wa_phone_async.sandbox.modes import ModeName
from wa_phone_async.sandbox.quotas import Quota

TOKEN = "an-invented-token"
QUICK = RetryPolicy(first_wait=0.001)


@asynccontextmanager
async def serving(
    mode: ModeName = "live",
    *,
    quota: Quota = "meta",
    access_token: str | TokenProvider = TOKEN,
    **settings: Unpack[Settings],
) -> AsyncIterator[tuple[Sandbox, PhoneNumberClient]]:
    """A sandbox, and a client of it that retries quickly."""
    async with Sandbox(mode=mode, quota=quota) as sandbox:
        settings = {"base_url": sandbox.url, "retry": QUICK, **settings}
        async with PhoneNumberClient(access_token, **settings) as client:
            yield sandbox, client


def next_retry(client: PhoneNumberClient) -> asyncio.Event:
    """An event that is set when a call begins to wait for its retry."""
    planned = asyncio.Event()

    def note(event: Event) -> None:
        if isinstance(event, RetryPlanned):
            planned.set()

    client.subscribe(note)
    return planned


@asynccontextmanager
async def against(*plays: Play, **settings: Unpack[Settings]) -> AsyncIterator[tuple[RawServer, PhoneNumberClient]]:
    """A raw server with its plays, and a client of it that retries quickly."""
    async with RawServer(plays) as server:
        settings = {"base_url": server.url, "retry": QUICK, **settings}
        async with PhoneNumberClient(TOKEN, **settings) as client:
            yield server, client
