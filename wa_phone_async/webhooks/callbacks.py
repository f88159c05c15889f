"""Callback URLs as values, and the writes that set them.

Meta looks for a callback URL in this order: that of the number, that of its account, that of the app. So the first two
are overrides. Meta verifies a URL when it is set: it requests it with the verify token. It never gives a verify token
back. Sources: Meta's page "Webhook overrides" (copies of June and September 2026) and its reference of
`subscribed_apps`, read 2026-11-28.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from wa_phone_async.call.writes import Write
from wa_phone_async.checks import is_loopback, plain_id, split_url
from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.health.facts import is_object
from wa_phone_async.models import PhoneNumber
from wa_phone_async.redaction import Secret

LONGEST_URL: Final = 200
"""Characters of a callback URL."""
_NOT_VERIFIED: Final = "Meta requests it before it accepts it"


def read_callback_url(url: object) -> str:
    """Return a callback URL that Meta may accept, without blanks around it. No error shows it: a query may be secret.

    Raises:
        InvalidArgumentError: It is no https:// URL of 200 characters at most, or no host that Meta can reach.
    """
    text = plain_id(url)
    parts = split_url(text) if isinstance(text, str) and text.isascii() and text.isprintable() else None
    expected, hint = f"an https:// URL of at most {LONGEST_URL} characters, with a host and no blanks", None
    if not isinstance(text, str) or parts is None or " " in text:
        hint = "it must begin with https://, and have characters of ASCII only"
    elif parts.scheme != "https":
        hint = "Meta sends webhooks to https:// only"
    elif "@" in parts.netloc or "#" in text:
        hint = "it may have no user, no password and no #"
    elif len(text) > LONGEST_URL:
        hint = f"it has {len(text)}"
    elif is_loopback(parts.hostname or ""):
        hint = "Meta cannot reach this machine by that name"
    else:
        return text
    raise InvalidArgumentError("url", expected, hint=hint)


def read_verify_token(token: Secret) -> Secret:
    """Return a verify token without blanks around it. No error shows it.

    Raises:
        InvalidArgumentError: It is empty, or no text on one line.
    """
    token = Secret(token.strip())
    if not token or not token.isprintable():
        hint = "your endpoint compares it when Meta verifies the URL"
        raise InvalidArgumentError("verify_token", "a text on one line that is not empty", hint=hint)
    return token


def override_number(phone_number_id: str, url: str | None, verify_token: Secret | None = None) -> Write:
    """Set the callback URL of a number. `None` removes it."""
    urls: dict[str, str] = {"override_callback_uri": url or ""}
    if verify_token is not None:
        urls["verify_token"] = verify_token
    return Write(
        path=phone_number_id,
        body={"webhook_configuration": urls},
        operation="set_webhooks",
        advice=f"The callback URL of {phone_number_id} may have changed: webhook_configuration shows it.",
        field="webhook_configuration",
        phone_number_id=phone_number_id,
    )


def subscribe_account(waba_id: str, url: str | None = None, verify_token: Secret | None = None) -> Write:
    """Subscribe the app to an account, and set its callback URL there. `None` removes that URL."""
    body = {} if url is None else {"override_callback_uri": url, "verify_token": verify_token}
    return Write(path=f"{waba_id}/subscribed_apps", body=body, operation="set_webhooks", advice=_advice(waba_id))


def unsubscribe_account(waba_id: str) -> Write:
    """End the subscription of the app to an account."""
    path = f"{waba_id}/subscribed_apps"
    return Write(path=path, body={}, method="DELETE", operation="undo_webhooks", advice=_advice(waba_id))


def _advice(waba_id: str) -> str:
    return f"The subscription of the app to {waba_id} may have changed: its subscribed_apps shows it."


def url_of_number(number: PhoneNumber) -> str | None:
    """The callback URL that a number has itself. `None`: it has none."""
    urls: object = number.webhook_configuration  # anything may come
    url = urls.get("phone_number") if is_object(urls) else None
    return url if isinstance(url, str) and url else None


def subscription_in(rows: Iterable[Mapping[str, Any]], app_id: str) -> dict[str, Any]:
    """Whether an app is subscribed, and the callback URL that it has there, in the rows of `subscribed_apps`."""
    for row in rows:
        if app_in(row) == app_id:
            return {"subscribed": True, "url": row.get("override_callback_uri") or None}
    return {"subscribed": False, "url": None}


def app_in(row: Mapping[str, Any]) -> str | None:
    """The id of the app in a row of `subscribed_apps`."""
    app = row.get("whatsapp_business_api_data")
    app_id = plain_id(app.get("id")) if is_object(app) else None
    return app_id if isinstance(app_id, str) else None
