"""A webhook: a POST of the alert's JSON, signed as Meta signs its webhooks."""

from __future__ import annotations

import aiohttp
from yarl import URL

from wa_phone_async.cache.webhooks import sign_body
from wa_phone_async.call.proxy import choose_route
from wa_phone_async.checks import read_secret, split_url
from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.redaction import Secret, conceal

from .alert import Alert
from .outbox import DeliveryError


class WebhookReceiver:
    """Posts each alert. Only a status from 200 to 299 counts as delivered, and no redirection is followed.

    `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name the proxy, as for the API. netrc is never read.

    Args:
        url: The URL, which may hold secrets. It is never shown.
        secret: The secret for the signature.

    Raises:
        InvalidArgumentError: It is no such URL, or no such secret, or the address of the proxy is invalid.
    """

    name = "--webhook-url"
    workers = 1
    retries = True

    def __init__(self, url: str, secret: Secret) -> None:
        self._url = conceal(url)
        del url
        if split_url(self._url) is None:
            raise InvalidArgumentError(self.name, "an http:// or https:// URL")
        self._secret = read_secret("the webhook's secret", secret)
        self._route = choose_route(None, trust_env=True, root=URL(self._url))
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())

    async def deliver(self, alert: Alert) -> None:
        """Post it."""
        body = alert.to_json().encode()
        headers = {
            "Content-Type": "application/json",
            "X-Hub-Signature-256": sign_body(body, self._secret).decode(),
            **self._route.request_headers,
        }
        try:
            async with self._session.post(
                self._url,
                data=body,
                headers=headers,
                proxy=self._route.proxy,
                proxy_headers=self._route.connect_headers,
                allow_redirects=False,
            ) as response:
                status = response.status
        except (aiohttp.ClientError, OSError) as error:
            raise DeliveryError(f"not reached ({type(error).__name__})") from None  # its text would have the URL
        if not 200 <= status < 300:
            raise DeliveryError(f"HTTP {status}")

    async def close(self) -> None:
        """Close its connections."""
        await self._session.close()
