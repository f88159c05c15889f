"""Webhooks on their way: posted to a URL, in order or out of it, once or more often, and again until they are taken."""

import asyncio
import contextlib
import random
from collections.abc import Iterable

import aiohttp
import attrs

from .messages import JSON_TYPE
from .webhooks import Webhook

ANSWER_SECONDS = 10.0
"""How long a receiver may take to answer."""

LONGEST_WAIT = 3600.0
"""The longest wait before a webhook is sent again, in seconds; the first is 1 s, and each further one twice as long."""

PATIENCE = 7 * 86_400.0
"""Seconds for which a webhook is sent again: 7 days (Meta's guide to webhooks)."""

SPREAD = 60.0
"""Seconds over which webhooks out of order are spread."""


@attrs.frozen
class Delivery:
    """One time that a webhook was sent."""

    webhook: Webhook
    """What was sent."""

    status: int | None
    """The HTTP status that the receiver answered; `None` if it answered nothing. Only 200 takes the webhook."""

    at: float
    """When, in seconds of the clock of the loop that serves."""


@attrs.define
class _Parcel:
    """A webhook that is to be sent."""

    webhook: Webhook
    until: float
    wait: float = 1.0


class Courier:
    """Sends webhooks one after the other, from the loop in which it was started."""

    def __init__(self) -> None:
        self.url: str | None = None
        self.deliveries: list[Delivery] = []
        self._copies = 1
        self._random: random.Random | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._parcels: asyncio.Queue[_Parcel] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None

    def address(self, url: str | None, *, copies: int, seed: int | None) -> None:
        """Say where webhooks go from now on, how often each, and whether out of order."""
        self.url, self._copies = url, copies
        self._random = None if seed is None else random.Random(seed)  # noqa: S311 - a test repeats its disorder

    def start(self) -> None:
        """Send from the running loop."""
        self._loop = asyncio.get_running_loop()
        self._parcels = asyncio.Queue()

    async def close(self) -> None:
        """Stop sending; what was not taken is forgotten."""
        self._loop = None
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.wait([worker])

    def send(self, webhooks: Iterable[Webhook]) -> None:
        """Send webhooks, without waiting and from any thread; while nobody serves, or without a URL, not at all."""
        if self._loop is not None and self.url is not None:
            self._loop.call_soon_threadsafe(self._accept, tuple(webhooks))

    def _accept(self, webhooks: tuple[Webhook, ...]) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # closed since
            return
        if self._worker is None:
            self._worker = loop.create_task(self._work(self._parcels))
        for webhook in webhooks * self._copies:
            parcel = _Parcel(webhook, loop.time() + PATIENCE)
            if self._random is None:
                self._parcels.put_nowait(parcel)
            else:
                loop.call_later(self._random.uniform(0, SPREAD), self._parcels.put_nowait, parcel)

    async def _work(self, parcels: asyncio.Queue[_Parcel]) -> None:
        loop = asyncio.get_running_loop()
        # An idle connection would set a timer every few seconds, of which days of virtual time have a great many.
        connector = aiohttp.TCPConnector(force_close=True)
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar) as http:
            while True:
                parcel = await parcels.get()
                status = await self._post(http, parcel.webhook)
                self.deliveries.append(Delivery(parcel.webhook, status, loop.time()))
                if status != 200 and loop.time() + parcel.wait <= parcel.until:
                    loop.call_later(parcel.wait, parcels.put_nowait, parcel)
                    parcel.wait = min(2 * parcel.wait, LONGEST_WAIT)

    async def _post(self, http: aiohttp.ClientSession, webhook: Webhook) -> int | None:
        headers = {"Content-Type": JSON_TYPE, "X-Hub-Signature-256": webhook.signature}
        if self.url is not None:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with http.post(self.url, data=webhook.body, headers=headers, allow_redirects=False) as answer:
                    return answer.status
        return None
