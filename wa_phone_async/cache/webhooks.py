"""Webhooks: whether Meta signed one, and which accounts and numbers it concerns. Pure: bytes in, values out.

What holds was read in Meta's guides to webhooks, 2026-11-22. A delivery is `{"object": …, "entry": [{"id": …,
"time": …, "changes": [{"field": …, "value": …}]}]}`, where `id` is the account's, and numbers are named by digits. It
has up to 1000 entries, and may come twice and out of order: so it says that something has changed, and never what is
true by now. Printed samples misplace `field` and `object`, so members are looked for on every level, and `object` is
not looked at: what another product sends names ids that are no account's.
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

_OF_THE_BUSINESS: Final = frozenset({"business_capability_update"})
"""Fields about the limits that all accounts of a business share, of which the webhook names one."""
_NOT_OF_NUMBERS: Final = frozenset(
    {
        "messages",
        "message_template_components_update",
        "message_template_quality_update",
        "message_template_status_update",
        "template_category_update",
    }
)
"""Fields about other things than numbers, which come by the thousand."""


@attrs.frozen
class Notice:
    """What one change of a webhook concerns."""

    field: str | None
    """The name of what has changed, such as `phone_number_quality_update`, or `None` where it has none."""
    waba_ids: frozenset[str]
    """The accounts that it names: one, as a rule."""
    digits: frozenset[str]
    """The numbers that it names, as digits alone."""

    @property
    def concerns_numbers(self) -> bool:
        """Whether it may change what is said of phone numbers. A field that is not known may."""
        return self.field not in _NOT_OF_NUMBERS

    @property
    def concerns_all(self) -> bool:
        """Whether other accounts than those that it names may have changed as well."""
        return self.field in _OF_THE_BUSINESS


def check_signature(body: bytes, signature: str | None, app_secret: str) -> None:
    """Check that Meta sent a webhook, in a time that tells nothing of the signature that would be right.

    Args:
        body: The raw body, as it came. One that was parsed and written again has another signature.
        signature: The value of the header `X-Hub-Signature-256`, or `None` where there is none.
        app_secret: The app's secret.

    Raises:
        WebhookSignatureError: There is no signature, or it is not that of the body under this secret.
        InvalidArgumentError: The body is no bytes, or the secret cannot be one.
    """
    app_secret, signature = conceal(app_secret), conceal(signature)  # no traceback shows them
    if not isinstance(body, bytes | bytearray | memoryview):
        raise InvalidArgumentError("body", "the webhook's raw bytes, as they came", type(body))
    check_secret("app_secret", app_secret)
    if not signature:
        raise WebhookSignatureError("the webhook has no signature: X-Hub-Signature-256 is missing, or is no text")
    if not hmac.compare_digest(_signature(body, app_secret), signature.encode("utf-8", "surrogatepass")):
        raise WebhookSignatureError("X-Hub-Signature-256 is not the signature of this body under this app secret")


def _signature(body: bytes, app_secret: str) -> bytes:
    return b"sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest().encode()


def read_notices(body: bytes) -> list[Notice]:
    """What the changes of a webhook concern, in the order in which they stand.

    Raises:
        DecodeError: It is no JSON object, or its entries are none.
    """
    payload = _read_json(body)
    entries: list[Any] = _items(payload.get("entry", payload)) if _is_object(payload) else [None]
    if not all(map(_is_object, entries)):
        raise DecodeError('the webhook has another shape than {"entry": [{"id": …, "changes": […]}]}')
    return [_read_notice((*inner, entry, payload)) for entry in entries for inner in _changes(entry)]


def _read_json(body: bytes) -> Any:
    try:
        return json.loads(bytes(body))
    except RecursionError:
        why = "nested too deep to be read"
    except ValueError:
        why = "not JSON"
    raise DecodeError(f"the webhook is {why} ({len(body)} bytes)", garbled=True)


def _changes(entry: _Object) -> Iterator[tuple[_Object, ...]]:
    """Each change of an entry, as the objects that may have its members; an entry may have them itself."""
    for change in _items(entry.get("changes")) or [None]:
        objects = (change,) if _is_object(change) else ()
        value = next(_members((*objects, entry), "value"), None)
        yield (*objects, value) if _is_object(value) else objects


def _read_notice(levels: tuple[_Object, ...]) -> Notice:
    fields = filter(None, map(_text, _members(levels, "field")))
    # An account that was shared with a partner is named in `waba_info`, under an entry of the business.
    partners = filter(_is_object, _members(levels, "waba_info"))
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
    """What is listed; something that is no list is the one item of it."""
    return value if _is_list(value) else [value]


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _text(value: object) -> str:
    """A name or a number as text, also where it came as a JSON number; anything else is none."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
