"""Webhooks: Meta's reports of changes, in Meta's envelope and with its signature.

From Meta's Graph guide to webhooks, read 2026-11-22, and its WhatsApp webhook references, read 2026-11-28. Most
webhooks name a number by its digits. `account_alerts` and `account_settings_update` name it by its id. Changes of
`status` and of `quality_rating` make no webhook.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from .messages import dumps

INVENTED_SECRET = "sandbox-app-secret"  # noqa: S105 - invented, for a sandbox without an app secret
"""Signs webhooks if no app secret was given."""

EPOCH = 1_767_225_600
"""The Unix time when the sandbox's clock is at 0: the first second of 2026."""


@attrs.frozen
class Webhook:
    """One webhook. Pass its `body` and `signature` to your receiver, or let the sandbox deliver it."""

    field: str
    """The subject, such as `phone_number_name_update`."""

    body: bytes
    """The raw body, which the signature covers."""

    signature: str
    """The value of the header `X-Hub-Signature-256`: `sha256=` and the HMAC-SHA256 of the body with the app secret."""

    at: float
    """When it was made, in seconds of the sandbox's clock."""


def write_webhook(waba_id: str, field: str, value: Mapping[str, Any], now: float, secret: str) -> Webhook:
    """Put a change into the envelope and sign it."""
    change = {"value": dict(value), "field": field}
    # Meta sends Unix times. The sandbox's clock may begin at 0, so its times are put on a fixed day.
    entry = {"id": waba_id, "time": EPOCH + int(now), "changes": [change]}
    body = dumps({"object": "whatsapp_business_account", "entry": [entry]})
    return Webhook(field, body, f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}", now)


class Webhooks:
    """All webhooks so far.

    Args:
        secret: The app secret that signs them.
        send: Called with each new webhook; it must not block.
    """

    def __init__(self, secret: str, send: Callable[[Webhook], None]) -> None:
        self.secret: str = secret
        self.made: list[Webhook] = []
        self._send = send

    def add(self, waba_id: str, field: str, value: Mapping[str, Any], now: float) -> Webhook:
        """Make a webhook and send it."""
        webhook = write_webhook(waba_id, field, value, now, self.secret)
        self.made.append(webhook)
        self._send(webhook)
        return webhook
