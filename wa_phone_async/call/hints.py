"""What to do after an API error about a wrong id or a missing permission, as sentences for people.

Graph names the type of an id: `Tried accessing nonexisting field (display_phone_number) on node type
(WhatsAppBusinessAccount)`. It does so for reads, and not in each text. For a write it may say only that the object
"does not exist, cannot be loaded due to missing permissions, or does not support this operation", code 100/33 (both
texts in public code, read 2026-11-28).

A sentence names the command to type. Where Python has its own way, that stands in parentheses, and the command line
leaves it out: see `cli/errors.py`.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from wa_phone_async.errors import GraphAPIError, NotFoundError, PermissionDeniedError
from wa_phone_async.models import PhoneNumber
from wa_phone_async.query import ACCOUNT_FIELDS, NUMBER_FIELDS

from .error_codes import is_missing_permission, meaning_of
from .request import GraphRequest

Kind: TypeAlias = Literal["account", "number", "business", "user", "app"]
"""What an id can be of."""

_ACCOUNT_TYPE: Final = "WhatsAppBusinessAccount"
_KINDS: Final[dict[str | None, Kind]] = {
    _ACCOUNT_TYPE: "account",
    "WhatsAppBusinessPhoneNumber": "number",
    "WhatsAppBusinessAccountToNumberCurrentStatus": "number",
    "Business": "business",
    "User": "user",
    "SystemUser": "user",
    "Application": "app",
}
"""The kind of an id, by Graph's name for its type."""

_NEEDED_BY: Final[dict[str, Kind]] = {
    **dict.fromkeys(("phone_numbers", "subscribed_apps"), "account"),
    "owned_whatsapp_business_accounts": "business",
    "client_whatsapp_business_accounts": "business",
    **dict.fromkeys(("", "request_code", "verify_code", "register", "deregister"), "number"),
    **dict.fromkeys(("username", "username_suggestions", "whatsapp_business_profile"), "number"),
}
"""The kind of the id at the head of a path, by the edge that follows it. Any other edge is not known here."""

_IS: Final[dict[Kind, str]] = {
    "account": "{id} is a WhatsApp Business Account (WABA).",
    "number": "{id} is the id of a phone number.",
    "business": "{id} is a business.",
    "user": "{id} is a user.",
    "app": "{id} is an app.",
}
_NEEDED: Final[dict[Kind, str]] = {
    "account": "a WhatsApp Business Account (WABA)",
    "number": "a phone number",
    "business": "a business",
}

_TO_FIND: Final[dict[Kind, str]] = {
    "account": "Give the id of an account instead: `wa-phone accounts` lists those of your token.",
    "number": (
        "Give the id of a phone number instead: `wa-phone list WABA_ID` lists those of an account"
        " (in Python: `client.list_phone_numbers(waba_id)`)."
    ),
    "business": "Give the id of a business instead: Meta's business settings show it.",
}
"""What to do with an id that is not of the kind that is needed."""

_TO_DO: Final[dict[tuple[Kind, Kind], str]] = {
    ("account", "business"): (
        '`wa-phone accounts {id}` lists its accounts (in Python: `client.list_business_accounts("{id}")`).'
    ),
    ("account", "number"): (
        "Give the id of its account instead: `wa-phone accounts` lists the accounts of your token"
        ' (in Python: `client.get_phone_number("{id}")` reads the number).'
    ),
    ("number", "account"): (
        '`wa-phone list {id}` lists the ids of its numbers (in Python: `client.list_phone_numbers("{id}")`).'
    ),
    ("number", "business"): (
        "`wa-phone accounts {id}` lists its accounts, and `wa-phone list WABA_ID` the ids of their numbers"
        ' (in Python: `client.list_business_accounts("{id}")`).'
    ),
    ("business", "account"): (
        "Give the id of a business instead. `wa-phone list {id}` lists the numbers of this account"
        ' (in Python: `client.list_phone_numbers("{id}")`).'
    ),
}
"""The same, where the kind that is needed and the kind that it is say more."""

_NONEXISTING: Final = re.compile(r"nonexisting field \((\w+)\)")
_UNSUPPORTED: Final = re.compile(r"Unsupported post request")
_PHONE_NUMBER: Final = re.compile(r"[1-9][0-9]{7,12}")  # ids of accounts and numbers have 15 digits or more
_ONLY_OF_NUMBERS: Final = frozenset(NUMBER_FIELDS).difference(ACCOUNT_FIELDS)


def hint_of(error: GraphAPIError, request: GraphRequest) -> str | None:
    """Say what is wrong with the id or the token of a request, and what to do. `None`: the error says it all."""
    node_id, edge = request.node_id, request.path.partition("/")[2]
    needed = _NEEDED_BY.get(edge)
    if to_do := meaning_of(error.code, error.error_subcode).to_do:
        return to_do.format(id=node_id)
    if isinstance(error, PermissionDeniedError):
        return _permission_hint(error, node_id, needed)
    if needed is None or (not edge and request.write is not None and request.write.phone_number_id is None):
        return None
    if isinstance(error, NotFoundError) or (request.is_write and _UNSUPPORTED.search(error.message)):
        if _PHONE_NUMBER.fullmatch(node_id):
            return f"{node_id} looks like a phone number. That is a guess. {_TO_FIND[needed]}"
        return f"{node_id} may not be the id of {_NEEDED[needed]}. {_TO_FIND[needed]}" if request.is_write else None
    kind, field = _KINDS.get(error.node_type), _NONEXISTING.search(error.message)
    is_of_id = field is not None and kind != needed and _is_about_the_id(field[1], edge, error.node_type)
    return wrong_id_hint(node_id, needed, kind) if is_of_id else None


def not_a_number(number: PhoneNumber) -> NotFoundError:
    """Make the error for the response of an object that is no phone number, though the API accepted the request."""
    kind: Kind | None = "account" if "message_template_namespace" in number.extra else None
    error = NotFoundError(f"the object {number.id} has none of the fields of a phone number", http_status=200)
    error.node_type = _ACCOUNT_TYPE if kind else None
    error.hint = wrong_id_hint(number.id, "number", kind)
    return error


def wrong_id_hint(node_id: str, needed: Kind, kind: Kind | None) -> str:
    """Say of which kind an id is, as far as that is known, and how to find the right one."""
    if kind is None:
        return f"{node_id} is not the id of {_NEEDED[needed]}. {_TO_FIND[needed]}"
    to_do = _TO_DO.get((needed, kind), _TO_FIND[needed])
    return f"{_IS[kind]} {to_do}".format(id=node_id)


def _is_about_the_id(field: str, edge: str, node_type: str | None) -> bool:
    """Whether an object without this field, or without the edge that Graph calls a field, is of the wrong kind."""
    if edge:
        return field == edge
    return field == "display_phone_number" or (node_type is not None and field in _ONLY_OF_NUMBERS)


def _permission_hint(error: PermissionDeniedError, node_id: str, needed: Kind | None) -> str | None:
    """Say which permission to grant, and where (Meta's page on access tokens, November 2025, read 2026-11-28)."""
    if not is_missing_permission(error.code):
        return None
    where = "Business settings → Users → System users"
    if error.permission:
        return (
            f"The token lacks the permission {error.permission}. Grant it in {where} → Generate new token, and use the"
            " new token."
        )
    if needed is None:  # another edge may need another permission
        return None
    permissions = "permission whatsapp_business_management"
    if needed == "business":
        permissions = "permissions whatsapp_business_management and business_management"
    return (
        f"The token may not do this with {node_id}. It needs the {permissions} ({where} → Generate new token), and its"
        " system user needs the account (Assign assets)."
    )
