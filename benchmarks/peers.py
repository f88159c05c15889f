"""The subjects that others publish, each used as its own documentation has one use it.

pywa: a page by `get_business_phone_numbers`, the ones after it by `Result.next`, whose address is the link in the page.
Its constructor sets the address of the API on the httpx session that it is lent, so the server's is set after it.

facebook-business: `get_phone_numbers` gives a cursor that asks for pages as it is iterated over. It has no asyncio, so
several lists at once are threads, each with an API object of its own, and its address is `FacebookSession.GRAPH`.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
from facebook_business import FacebookAdsApi, FacebookSession
from facebook_business.adobjects.whatsappbusinessaccount import WhatsAppBusinessAccount
from pywa_async import WhatsApp
from pywa_async.types import Pagination
from subject import CONCURRENCY, TOKEN, Lister


@contextlib.asynccontextmanager
async def pywa(url: str) -> AsyncIterator[Lister]:
    """Lists at once, taken row by row."""
    async with httpx.AsyncClient() as session:
        client = WhatsApp(token=TOKEN, session=session, api_version="23.0")
        session.base_url = f"{url}/v23.0"

        async def walk(waba_id: str) -> tuple[int, str]:
            seen, last = 0, ""
            page = await client.get_business_phone_numbers(waba_id=waba_id, pagination=Pagination(limit=100))
            while True:
                for number in page:
                    seen, last = seen + 1, number.id
                if not page.has_next:
                    return seen, last
                page = await page.next()

        async def walk_all(waba_ids: Sequence[str]) -> tuple[int, str]:
            found = await asyncio.gather(*map(walk, waba_ids))
            return sum(seen for seen, _ in found), found[-1][1]

        yield walk_all


@contextlib.asynccontextmanager
async def facebook_business(url: str) -> AsyncIterator[Lister]:
    """Lists at once in threads, taken row by row."""
    FacebookSession.GRAPH = url
    own = threading.local()

    def opened() -> None:
        own.api = FacebookAdsApi(FacebookSession(access_token=TOKEN), api_version="v23.0")

    def walk(waba_id: str) -> tuple[int, str]:
        seen, last = 0, ""
        for number in WhatsAppBusinessAccount(waba_id, api=own.api).get_phone_numbers(params={"limit": 100}):
            seen, last = seen + 1, number["id"]
        return seen, last

    with ThreadPoolExecutor(CONCURRENCY, initializer=opened) as threads:

        async def walk_all(waba_ids: Sequence[str]) -> tuple[int, str]:
            loop = asyncio.get_running_loop()
            found = await asyncio.gather(*(loop.run_in_executor(threads, walk, waba_id) for waba_id in waba_ids))
            return sum(seen for seen, _ in found), found[-1][1]

        yield walk_all
