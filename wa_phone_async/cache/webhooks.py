"""Webhooks: check that Meta signed one, and read which accounts and numbers it concerns. Pure: bytes in, values out.

The facts are from Meta's guides to webhooks, read 2026-11-22. A webhook is `{"object": …, "entry": [{"id": …,
"time": …, "changes": [{"field": …, "value": …}]}]}`. The `id` is the account's, and numbers are named by their digits.
A webhook has up to 3 MB (Meta's page on WhatsApp webhooks, read 2026-11-28). It may come twice, and in any order. So it
shows that something has changed, but not what is true now.

Printed samples have `field` and `object` in wrong places, so members are searched on every level. `object` is ignored:
a webhook of another product does no harm, since its ids are not ids of accounts.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from typing import Any, Final, TypeGuard

import attrs

from wa_phone_async.checks import check_secret
from wa_phone_async.errors import DecodeError, InvalidArgumentError, WebhookSignatureError
from wa_phone_async.phone_digits import read_digits
from wa_phone_async.redaction import conceal

_Object = dict[str, Any]

_BUSINESS_FIELDS: Final = frozenset({"business_capability_update"})
"""Fields about limits that all accounts of a business share. The webhook names only one of these accounts."""
_OTHER_FIELDS: Final = frozenset(
    {
        "messages",
        "message_template_components_update",
        "message_template_quality_update",
        "message_template_status_update",
        "template_category_update",
    }
)
"""Fields that say nothing about numbers. Their webhooks come by the thousand."""


@attrs.frozen
class Notice:
    """What one change in a webhook concerns."""

    field: str | None
    """The name of the change, such as `phone_number_quality_update`, or `None` if it has none."""
    waba_ids: frozenset[str]
    """The ids of the accounts that it names, which is usually one."""
    digits: frozenset[str]
    """The numbers that it names, as digits only."""

    @property
    def concerns_numbers(self) -> bool:
        """Whether it may concern phone numbers. An unknown field may."""
        return self.field not in _OTHER_FIELDS

    @property
    def concerns_all(self) -> bool:
        """Whether accounts that it does not name may have changed too."""
        return self.field in _BUSINESS_FIELDS


def check_signature(body: bytes, signature: str | None, app_secret: str) -> None:
    """Check that Meta signed a webhook. The comparison takes constant time, so its duration reveals nothing.

    Args:
        body: The raw body, unchanged. If you parse it and write it again, the signature no longer fits.
        signature: The value of the header `X-Hub-Signature-256`, or `None` if it is missing.
        app_secret: The app's secret.

    Raises:
        WebhookSignatureError: The signature is missing or wrong.
        InvalidArgumentError: The body is not bytes, or the secret is invalid.
    """
    app_secret, signature = conceal(app_secret), conceal(signature)  # no traceback shows them
    if not isinstance(body, bytes | bytearray | memoryview):
        raise InvalidArgumentError("body", "the webhook's raw bytes, as they came", type(body))
    check_secret("app_secret", app_secret)
    if not signature:
        raise WebhookSignatureError("the webhook is not signed: X-Hub-Signature-256 is missing, empty or not a string")
    if not hmac.compare_digest(_signature(body, app_secret), signature.encode("utf-8", "surrogatepass")):
        raise WebhookSignatureError(
            "X-Hub-Signature-256 does not fit this body and app secret: Meta did not sign this body, or the secret is "
            "another app's"
        )


def _signature(body: bytes, app_secret: str) -> bytes:
    return b"sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest().encode()


def read_notices(body: bytes) -> list[Notice]:
    """Read what each change in a webhook concerns, in its order.

    Raises:
        DecodeError: The webhook is not a JSON object, or one of its entries is not.
    """
    payload = _read_json(body)
    # A payload without a list of entries counts as one entry: it is better to invalidate too much than too little.
    entries: list[Any] = _items(payload.get("entry", payload)) if _is_object(payload) else [None]
    if not all(map(_is_object, entries)):
        raise DecodeError('the webhook is invalid: it must be like {"entry": [{"id": …, "changes": […]}]}')
    return [_read_notice((*inner, entry, payload)) for entry in entries for inner in _changes(entry)]


def _read_json(body: bytes) -> Any:
    try:
        return json.loads(bytes(body))
    except RecursionError:
        why = "nested too deeply"
    except ValueError:
        why = "not JSON"
    raise DecodeError(f"the webhook is {why} ({len(body)} bytes)", garbled=True)


def _changes(entry: _Object) -> Iterator[tuple[_Object, ...]]:
    """Yield for each change of an entry the objects that may have its members. The entry itself may have them too."""
    for change in _items(entry.get("changes")) or [None]:
        objects = (change,) if _is_object(change) else ()
        value = next(_members((*objects, entry), "value"), None)
        yield (*objects, value) if _is_object(value) else objects


def _read_notice(levels: tuple[_Object, ...]) -> Notice:
    fields = filter(None, map(_text, _members(levels, "field")))
    # An account that was shared with a partner is in `waba_info`. The entry around it is that of the business.
    partners = filter(_is_object, _members(levels, "waba_info"))
    # The last two levels are the entry and the payload. Further in, an `id` may be that of anything.
    ids = map(_text, (*_members(levels[-2:], "id"), *_members((*levels, *partners), "waba_id")))
    numbers = (*_members(levels, "display_phone_number"), *_members(levels, "phone_number"))
    return Notice(
        field=next(fields, None),
        waba_ids=frozenset(text for text in ids if re.fullmatch("[0-9]+", text)),
        digits=frozenset(filter(None, (read_digits(_text(number)) for number in numbers))),
    )


def _members(levels: tuple[_Object, ...], name: str) -> Iterator[Any]:
    return (level[name] for level in levels if name in level)


def _is_object(value: object) -> TypeGuard[_Object]:
    return isinstance(value, dict)


def _items(value: Any) -> list[Any]:
    """Return the items of a list. Any other value counts as a list with this one item."""
    return value if _is_list(value) else [value]


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _text(value: object) -> str:
    """Return a name or a number as text, even if it is a JSON number. Any other value is empty text."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
