"""Delivery of webhooks: posted to a URL, in order or shuffled, once or several times, and again until accepted."""

import asyncio
import contextlib
import random
from collections.abc import Iterable

import aiohttp
import attrs

from .messages import JSON_TYPE
from .webhooks import Webhook

RESPONSE_TIMEOUT = 10.0
"""Seconds that a receiver may take to respond."""

MAX_WAIT = 3600.0
"""The longest wait before a retry, in seconds. The first wait is 1 s, and each further one is twice as long."""

RETRY_WINDOW = 7 * 86_400.0
"""Seconds after which a webhook is not sent again: 7 days (Meta's guide to webhooks, read 2026-11-22)."""

SHUFFLE_WINDOW = 60.0
"""Seconds over which shuffled webhooks are spread."""


@attrs.frozen
class Delivery:
    """One attempt to deliver a webhook."""

    webhook: Webhook
    """The webhook that was sent."""

    status: int | None
    """The HTTP status of the receiver; `None` if it did not respond. Only 200 accepts a webhook."""

    at: float
    """When the attempt ended, in seconds of the clock of the serving loop."""


@attrs.define
class _Pending:
    """A webhook that is still to be delivered."""

    webhook: Webhook
    until: float
    """No retry begins after this time, in seconds of the loop's clock."""
    wait: float = 1.0
    """Seconds before the next retry."""


class WebhookSender:
    """Sends webhooks one after the other, from the loop in which it was started."""

    def __init__(self) -> None:
        self.url: str | None = None
        self.deliveries: list[Delivery] = []
        self._copies = 1
        self._random: random.Random | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: asyncio.Queue[_Pending] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None

    def configure(self, url: str | None, *, copies: int, seed: int | None) -> None:
        """Set the URL, the number of copies, and with a seed the shuffling of all further webhooks."""
        self.url, self._copies = url, copies
        self._random = None if seed is None else random.Random(seed)  # noqa: S311 - reproducible, not secret

    def start(self) -> None:
        """Send from the running loop."""
        self._loop = asyncio.get_running_loop()
        self._queue = asyncio.Queue()

    async def close(self) -> None:
        """Stop sending. Webhooks that were not accepted are dropped."""
        self._loop = None
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.wait([worker])

    def send(self, webhooks: Iterable[Webhook]) -> None:
        """Send webhooks soon, from any thread. Without a URL or a serving loop, do nothing."""
        if self._loop is not None and self.url is not None:
            self._loop.call_soon_threadsafe(self._enqueue, tuple(webhooks))

    def _enqueue(self, webhooks: tuple[Webhook, ...]) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # the sender was closed before this callback ran
            return
        if self._worker is None:
            self._worker = loop.create_task(self._work(self._queue))
        for webhook in webhooks * self._copies:
            pending = _Pending(webhook, loop.time() + RETRY_WINDOW)
            if self._random is None:
                self._queue.put_nowait(pending)
            else:
                loop.call_later(self._random.uniform(0, SHUFFLE_WINDOW), self._queue.put_nowait, pending)

    async def _work(self, queue: asyncio.Queue[_Pending]) -> None:
        loop = asyncio.get_running_loop()
        # An idle connection would set a timer every few seconds, which slows down days of virtual time.
        connector = aiohttp.TCPConnector(force_close=True)
        timeout = aiohttp.ClientTimeout(total=RESPONSE_TIMEOUT)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar) as http:
            while True:
                pending = await queue.get()
                status = await self._post(http, pending.webhook)
                self.deliveries.append(Delivery(pending.webhook, status, loop.time()))
                if status != 200 and loop.time() + pending.wait <= pending.until:
                    # A timer, not a sleep: the webhooks behind this one do not wait for its retry.
                    loop.call_later(pending.wait, queue.put_nowait, pending)
                    pending.wait = min(2 * pending.wait, MAX_WAIT)

    async def _post(self, http: aiohttp.ClientSession, webhook: Webhook) -> int | None:
        headers = {"Content-Type": JSON_TYPE, "X-Hub-Signature-256": webhook.signature}
        # The URL is read here, since it may have changed or gone since the webhook was made.
        if self.url is not None:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with http.post(self.url, data=webhook.body, headers=headers, allow_redirects=False) as response:
                    return response.status
        return None
