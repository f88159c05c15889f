"""Webhooks: check that they are Meta's, and read which accounts and numbers they concern. Pure: bytes in, values out.

From Meta's webhook references and its guides to webhooks, read 2026-11-22 and 2026-11-28. A webhook is
`{"object": …, "entry": [{"id": …, "time": …, "changes": [{"field": …, "value": …}]}]}`. The `id` is the account's. For
some changes that a partner is told, it is that of the partner's business instead. A webhook has up to 3 MB and many
entries. It may come twice, and in any order. So it shows that something has changed, but not what is true now.

    field                         what it may change in a list of numbers    names the number by
    phone_number_name_update      its name, and the review of its name       digits
    phone_number_quality_update   its registration and throughput, and       digits
                                  the limit that all accounts of the
                                  business share
    business_capability_update    that limit                                 -
    business_username_updates     its username                               digits
    security                      whether it has a PIN                       digits
    account_alerts                its badge, and the limit                   id
    account_settings_update       settings that this library does not know   id
    account_update                anything, and which numbers there are      digits, or not at all
    account_review_update         anything                                   -

No documented webhook tells of a changed `quality_rating`, nor of a changed `code_verification_status`. No field tells
of each changed `status`.

Printed samples have `field` and `object` in wrong places, so members are searched on every level.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

import attrs

from wa_phone_async.checks import read_secret
from wa_phone_async.errors import DecodeError, InvalidArgumentError, WebhookSignatureError
from wa_phone_async.phone_digits import read_digits
from wa_phone_async.redaction import Secret, SecretBytes, conceal

_Object = dict[str, Any]

_LIMITS: Final = frozenset({"messaging_limit_tier", "whatsapp_business_manager_messaging_limit"})
_BUSINESS_LIMITS: Final = frozenset({"max_daily_conversations_per_business", "old_limit"})
"""Members of a `phone_number_quality_update` that tell of the limit of a whole business.

`old_limit` is only there when the limit has changed. `current_limit` may be the throughput instead, and so is it in
Meta's printed sample. Meta's reference of the field, read 2026-11-28.
"""
_TRAFFIC: Final = (
    "automatic_events",
    "calls",
    "consumer_profile",
    "flows",
    "group_lifecycle_update",
    "group_participants_update",
    "group_settings_update",
    "group_status_update",
    "history",
    "message_echoes",
    "message_template_components_update",
    "message_template_quality_update",
    "message_template_status_update",
    "messages",
    "messaging_handovers",
    "partner_solutions",
    "payment_configuration_update",
    "smb_app_state_sync",
    "smb_message_echoes",
    "standby",
    "template_category_update",
    "template_correct_category_detection",
    "tracking_events",
    "user_id_update",
    "user_preferences",
)
"""Fields of messages, calls, templates and the like. Meta documents for none of them that it changes a phone number.

Their webhooks come by the thousand. From a list of the fields in Meta's dashboard and the references of the fields,
read 2026-11-28.
"""

_MEMBERS: Final = {
    "account_alerts": frozenset({"is_official_business_account", "official_business_account"}) | _LIMITS,
    "business_capability_update": _LIMITS,
    "business_username_updates": frozenset({"username"}),
    "phone_number_name_update": frozenset(
        {"verified_name", "name_status", "new_display_name", "new_name_status", "unified_cert_status"}
    ),
    # The event ONBOARDING comes with a registration.
    "phone_number_quality_update": frozenset(
        {"throughput", "status", "host_platform", "platform_type", "is_pin_enabled", "last_onboarded_time"}
    )
    | _LIMITS,
    "security": frozenset({"is_pin_enabled"}),
    **dict.fromkeys(_TRAFFIC, frozenset[str]()),
}
"""Which members of a phone number each field may change. A field that is not here may change any."""


_EDGES: Final = "\ufeff \t\r\n"
"""What editors and files leave around a token."""
_YEAR_10000: Final = 253_402_300_800  # a Unix time; no `datetime` can be so late


@attrs.frozen
class WebhookNotice:
    """One change that a webhook tells of. It shows that something has changed, but not what is true now.

    Meta's webhook references, read 2026-11-28. A webhook may come twice, and in any order.
    """

    field: str | None
    """The name of the change, such as `phone_number_name_update`, or `None` if it has none."""
    waba_ids: frozenset[str] = frozenset()
    """The ids of the accounts that it names, which is usually one. One of them may be the id of a business."""
    digits: frozenset[str] = frozenset()
    """The phone numbers that it names, as digits only."""
    phone_number_ids: frozenset[str] = frozenset()
    """Meta's ids of the phone numbers that it names. Most webhooks name the digits instead."""
    is_business_wide: bool = False
    """Whether it tells of a limit that all accounts of the business share. It names only one of these accounts."""
    time: datetime | None = None
    """When it happened, in UTC, to the second. `None`: the webhook does not say."""
    value: Mapping[str, Any] = attrs.field(factory=dict[str, Any], hash=False, repr=False)
    """What Meta says about the change, such as `{"decision": "APPROVED", …}`, as it came. It may hold messages of
    customers, so `repr` leaves it out. Do not change it."""

    @property
    def members(self) -> frozenset[str] | None:
        """The fields of `PhoneNumber` that it may change. `None`: any, as for an unknown `field`. Empty: none."""
        return _MEMBERS.get(self.field or "")

    @property
    def may_change_numbers(self) -> bool:
        """Whether it may change a list of phone numbers. It is `False` for messages, calls, templates and the like."""
        return self.members is None or bool(self.members)


def verify_webhook(body: bytes, signature: str | None, app_secret: str) -> None:
    """Check that Meta signed a webhook. Do so before you read it.

    The comparison takes constant time, so its duration reveals nothing. Meta's guide to webhooks, read 2026-11-22.

    Args:
        body: The raw body, unchanged. If you parse it and write it again, the signature no longer fits.
        signature: The value of the header `X-Hub-Signature-256`, or `None` if it is missing.
        app_secret: The app's secret.

    Raises:
        WebhookSignatureError: The signature is missing or wrong. Respond with HTTP 403.
        InvalidArgumentError: The body is not bytes, or the secret is invalid.
    """
    app_secret, signature = conceal(app_secret), conceal(signature)  # no traceback shows them
    _check_body(body)
    app_secret = read_secret("app_secret", app_secret)
    if not signature:
        raise WebhookSignatureError("the webhook is not signed: X-Hub-Signature-256 is missing, empty or not a string")
    if not hmac.compare_digest(sign_body(body, app_secret), signature.encode("utf-8", "surrogatepass")):
        raise WebhookSignatureError(
            "X-Hub-Signature-256 does not fit this body and app secret: Meta did not sign this body, or the secret is "
            "another app's"
        )


def sign_body(body: bytes, app_secret: str) -> bytes:
    """Return the value of `X-Hub-Signature-256` for a body."""
    return b"sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest().encode()


def _check_body(body: object) -> None:
    if not isinstance(body, bytes | bytearray | memoryview):
        raise InvalidArgumentError("body", "the webhook's raw bytes, as they came", type(body))


def answer_challenge(query: Mapping[str, object], verify_token: str) -> str:
    """Return the challenge of the request that Meta sends when you enter the URL of your webhooks.

    Respond with HTTP 200 and the challenge as plain text, not as HTML. Meta sends this request as a GET to the same
    URL (Meta's guide to webhooks, read 2026-11-28).

    Args:
        query: The query of the URL, as your framework gives it: `request.query` of aiohttp, `request.query_params` of
            FastAPI and Starlette, `request.args` of Flask, `request.GET` of Django, or the result of `parse_qs`.
        verify_token: The verify token that you entered beside the URL. Keep it secret. The comparison takes constant
            time. It ignores blanks and line breaks around the token.

    Raises:
        WebhookSignatureError: The request has another token or none, or it is not such a request. Respond with HTTP
            403.
        InvalidArgumentError: `query` is no mapping, or `verify_token` is empty.
    """
    verify_token = conceal(verify_token)  # no traceback shows it
    kind, members = type(query), _challenge_members(query)
    del query  # it holds the token too
    if members is None:
        raise InvalidArgumentError("query", "a mapping of the names in the URL's query to their values", kind)
    if not verify_token.strip(_EDGES):
        raise InvalidArgumentError("verify_token", "a string that is not empty", hint="give the one that you entered")
    if not hmac.compare_digest(_plain(members["hub.verify_token"]), _plain(verify_token)):
        raise WebhookSignatureError(
            "hub.verify_token is missing or not yours: Meta did not send this request, or another token was entered "
            "beside the URL"
        )
    if members["hub.mode"] != "subscribe":
        raise WebhookSignatureError("hub.mode is not 'subscribe': this is no request for a challenge")
    if not members["hub.challenge"]:
        raise WebhookSignatureError("hub.challenge is missing or empty: there is nothing to respond")
    return str(members["hub.challenge"])


def _challenge_members(query: object) -> dict[str, Secret] | None:
    """Return the members of a request for a challenge, or `None` if the query is no mapping."""
    if not _is_mapping(query):
        return None
    found = dict[str, Secret]()
    for name in ("hub.mode", "hub.challenge", "hub.verify_token"):
        values = _items(query.get(name))  # `parse_qs` gives lists
        found[name] = conceal(values[0] if len(values) == 1 else None)
    return found


def _is_mapping(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping)


def _plain(token: str) -> bytes:
    return SecretBytes(token.strip(_EDGES).encode("utf-8", "surrogatepass"))


def parse_webhook(body: bytes) -> list[WebhookNotice]:
    """Read what a webhook tells of: a notice for each change, in their order. Call `verify_webhook` first.

    It finds members in wrong places too, since Meta's samples have some. The list is empty for a webhook of another
    product. Its `object` says so, `page` for example.

    Args:
        body: The raw body.

    Raises:
        DecodeError: The webhook is not a JSON object, or one of its entries is not.
        InvalidArgumentError: The body is not bytes.
    """
    _check_body(body)
    payload = _read_json(body)
    topic = payload.get("object") if _is_object(payload) else None
    if isinstance(topic, str) and not topic.startswith("whatsapp"):
        return []
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
        yield (*objects, value if _is_object(value) else {})


def _read_notice(levels: tuple[_Object, ...]) -> WebhookNotice:
    fields = filter(None, map(_text, _members(levels, "field")))
    field = next(fields, None)
    # An account that was shared with a partner is in `waba_info`. The entry around it is that of the business.
    partners = filter(_is_object, _members(levels, "waba_info"))
    # The last two levels are the entry and the payload. Further in, an `id` may be that of anything.
    waba_ids = (*_members(levels[-2:], "id"), *_members((*levels, *partners), "waba_id"))
    inner = filter(_is_object, (*_members(levels, "phone_number_settings"), *_members(levels, "metadata")))
    places = (*levels, *inner)
    alerted = (level for level in levels if level.get("entity_type") == "PHONE_NUMBER")
    times = filter(None, map(_time, _members(levels[-2:], "time")))
    numbers = (*_members(places, "display_phone_number"), *_members(places, "phone_number"))
    return WebhookNotice(
        field=field,
        waba_ids=_ids(waba_ids),
        digits=frozenset(filter(None, (read_digits(_text(number)) for number in numbers))),
        phone_number_ids=_ids((*_members(places, "phone_number_id"), *_members(alerted, "entity_id"))),
        is_business_wide=field == "business_capability_update"
        or (field == "phone_number_quality_update" and any(_BUSINESS_LIMITS & level.keys() for level in levels)),
        time=next(times, None),
        value=levels[-3],
    )


def _time(value: object) -> datetime | None:
    text = _text(value)
    seconds = int(text) if re.fullmatch("[0-9]{1,12}", text) else _YEAR_10000
    return datetime.fromtimestamp(seconds, UTC) if seconds < _YEAR_10000 else None


def _ids(values: Iterable[Any]) -> frozenset[str]:
    return frozenset(text for text in map(_text, values) if re.fullmatch("[0-9]+", text))


def _members(levels: Iterable[_Object], name: str) -> Iterator[Any]:
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
