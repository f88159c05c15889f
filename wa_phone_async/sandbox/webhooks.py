"""Webhooks: what Meta tells of changes, in its envelope and under its signature.

Meta's Graph guide to webhooks and its WhatsApp webhook reference, read 2026-11-22: a number is named by its digits and
never by its id, and changes of `status` are not told at all.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from .messages import dumps

INVENTED_SECRET = "sandbox-app-secret"  # noqa: S105 - for sandboxes that were given none
"""What webhooks are signed with where no app secret was given."""

EPOCH = 1_767_225_600
"""The unix time at which the sandbox's clock is at 0: the first second of 2026."""


@attrs.frozen
class Webhook:
    """One webhook, ready to be sent: feed `body` and `signature` to what receives them, or let them be delivered."""

    field: str
    """What it is about, such as `phone_number_name_update`."""

    body: bytes
    """The raw body, over which the signature is made."""

    signature: str
    """The header `X-Hub-Signature-256`: `sha256=` and the hex HMAC-SHA256 of the body under the app secret."""

    at: float
    """When it was made, in seconds of the sandbox's clock."""


def write_webhook(waba_id: str, field: str, value: Mapping[str, Any], now: float, secret: str) -> Webhook:
    """Put a change into its envelope, and sign it."""
    change = {"value": dict(value), "field": field}
    entry = {"id": waba_id, "time": EPOCH + int(now), "changes": [change]}
    body = dumps({"object": "whatsapp_business_account", "entry": [entry]})
    return Webhook(field, body, f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}", now)


class Webhooks:
    """All webhooks that were made, and who sends them.

    Args:
        secret: The app secret that signs them.
        send: Told of each; it does not wait.
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
