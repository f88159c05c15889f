"""The parameters of a GET, read and checked. One bad parameter rejects the whole request, as Graph does."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from .messages import RejectedError, is_array, is_object, rejected
from .modes import LIVE_FIELDS, NEWEST_FIRST, REFERENCE_FIELDS, Mode, SortOrder

LARGEST_PAGE = 100
DEFAULT_PAGE = 25
ACCOUNT_DEFAULT_FIELDS = ("id", "name", "currency", "timezone_id", "message_template_namespace")
"""The fields of an account in a response by default. They were not checked against Meta's reference."""

SUBSCRIPTIONS_EDGE = "subscribed_apps"
"""The edge of an account with the apps that are subscribed to its webhooks."""

PROFILE_FIELDS = ("about", "address", "description", "email", "profile_picture_url", "websites", "vertical")
"""The fields of a business profile, beside `messaging_product` (Meta's page "Business profiles", read 2026-11-28)."""

NUMBERS_EDGE = "phone_numbers"
"""The edge of an account's numbers. As a field of an account, it nests the list of its numbers in its row."""

ACCOUNT_FIELDS = frozenset(
    {
        *ACCOUNT_DEFAULT_FIELDS,
        "account_review_status",
        "business_verification_status",
        "health_status",
        "owner_business_info",
        "ownership_type",
        NUMBERS_EDGE,
    }
)
"""The fields of an account, in both modes (Meta's business SDK for Python 26.0.3, read 2026-11-28)."""

BUSINESS_FIELDS = ("id", "name")
"""The fields of a business, all of them in a response by default."""

NUMBER_TYPE = "WhatsAppBusinessPhoneNumber"
"""Graph\'s name for the type of a phone number."""

ACCOUNT_TYPE = "WhatsAppBusinessAccount"
"""Graph\'s name for the type of a WABA."""

BUSINESS_TYPE = "Business"
"""Graph\'s name for the type of a business."""

_OF_NUMBERS = {
    *(*LIVE_FIELDS, *REFERENCE_FIELDS),
    *("request_code", "verify_code", "register", "deregister", "whatsapp_business_profile"),
}.difference({"status", "owner", "health_status", "whatsapp_business_manager_messaging_limit"})
_LACKING = {
    ACCOUNT_TYPE: {*_OF_NUMBERS, "owned_whatsapp_business_accounts", "client_whatsapp_business_accounts"},
    BUSINESS_TYPE: {*_OF_NUMBERS, NUMBERS_EDGE, SUBSCRIPTIONS_EDGE},
}
"""What an account or a business has neither here nor at Meta."""

_MOST_BRACES = 20  # one inside the other; Graph's own limit is not known
_MOST_DIGITS = 9

FILTER_FIELDS = ("account_mode", "messaging_limit_tier", "is_official_business_account")


NESTED_CURSOR = "TkVT"
"""Begins a cursor that only nested lists accept. Base64 comes four characters at a time, so it still is Base64."""

MODIFIERS = frozenset({"limit", "after", "before"})
"""What may follow the name of a nested list. Graph has more modifiers, and the sandbox serves none of them."""


@attrs.frozen
class Field:
    """One name in `fields`, with its modifiers and the names in its braces: `name.limit(5){id}`."""

    name: str
    inner: "tuple[Field, ...] | None" = None
    modifiers: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class Condition:
    """One member of `filtering`: the value that a field must have."""

    field: str
    value: Any


@attrs.frozen
class ListParams:
    """The parameters of one list."""

    fields: tuple[Field, ...]
    limit: int
    after: str | None
    before: str | None
    conditions: tuple[Condition, ...] = ()
    sort: SortOrder = NEWEST_FIRST
    nested: "NestedList | None" = None
    """The list of numbers that each row of an account has."""


@attrs.frozen
class NestedList:
    """The list of an account's numbers inside the row of the account."""

    query: Mapping[str, str]
    """The parameters that the account's own edge takes for the same page."""
    params: ListParams


def read_query(query: Mapping[str, str], mode: Mode) -> ListParams:
    """Read the parameters of a list of numbers."""
    _check_cursors(query)
    return ListParams(
        fields=_read_known_fields(query.get("fields"), mode.fields, mode.default_fields),
        conditions=_read_filtering(query.get("filtering"), mode),
        sort=mode.read_sort(query.get("sort")),
        limit=_read_limit(query.get("limit"), mode),
        after=query.get("after"),
        before=query.get("before"),
    )


def read_account_query(query: Mapping[str, str], mode: Mode) -> ListParams:
    """Read the parameters of a list of accounts. It has one order and no filter."""
    _check_cursors(query)
    fields, nested = read_account_fields(query, mode, of=None)
    return ListParams(
        fields=fields,
        nested=nested,
        limit=_read_limit(query.get("limit"), mode),
        after=query.get("after"),
        before=query.get("before"),
    )


def read_node_fields(query: Mapping[str, str], mode: Mode) -> tuple[Field, ...]:
    """Read the requested fields of one number."""
    known = mode.fields.union(mode.node_fields)
    return _read_known_fields(query.get("fields"), known, mode.default_fields, of=NUMBER_TYPE)


def read_account_fields(
    query: Mapping[str, str], mode: Mode, *, of: str | None = ACCOUNT_TYPE
) -> tuple[tuple[Field, ...], NestedList | None]:
    """Read the requested fields of accounts, and the list that is nested in each of them."""
    fields = _read_known_fields(query.get("fields"), ACCOUNT_FIELDS, ACCOUNT_DEFAULT_FIELDS, of=of)
    nested = next((_read_nested(field, mode) for field in fields if field.name == NUMBERS_EDGE), None)
    return tuple(Field(NUMBERS_EDGE) if field.name == NUMBERS_EDGE else field for field in fields), nested


def read_other_fields(query: Mapping[str, str], of: str) -> tuple[Field, ...]:
    """Read the requested fields of a user or of an app."""
    return _read_known_fields(query.get("fields"), frozenset(BUSINESS_FIELDS), BUSINESS_FIELDS, of=of)


def read_business_fields(query: Mapping[str, str]) -> tuple[Field, ...]:
    """Read the requested fields of the business."""
    return _read_known_fields(query.get("fields"), frozenset(BUSINESS_FIELDS), BUSINESS_FIELDS, of=BUSINESS_TYPE)


def read_profile_fields(query: Mapping[str, str], known: Iterable[str]) -> tuple[Field, ...]:
    """Read the requested fields of a business profile; by default none but `messaging_product`."""
    names = frozenset({*PROFILE_FIELDS, "messaging_product", *known})
    return _read_known_fields(query.get("fields"), names, ("messaging_product",))


def no_such_member(name: str, of: str | None) -> RejectedError:
    """Make Graph's error for an unknown field or edge."""
    message = f"Tried accessing nonexisting field ({name})" + (f" on node type ({of})" if of else "")
    # An account or a business has more members than the sandbox knows. The message says so, or you would blame Meta.
    is_ours = of in _LACKING and name not in _LACKING[of]
    return rejected(f"{message}; the sandbox does not serve it" if is_ours else message)


def read_fields(text: str) -> tuple[Field, ...]:
    """Parse `a,b{c,d},e.limit(5){f}`.

    Raises:
        RejectedError: The text is invalid. The code is then 2500.
    """
    fields, rest = _read_names(text, text, _MOST_BRACES)
    if rest:
        raise _syntax_error(text)
    return fields


def write_fields(fields: Sequence[Field]) -> str:
    """Write parsed fields as `read_fields` takes them."""
    return ",".join(
        field.name
        + "".join(f".{name}({value})" for name, value in field.modifiers)
        + ("" if field.inner is None else f"{{{write_fields(field.inner)}}}")
        for field in fields
    )


def _read_nested(field: Field, mode: Mode) -> NestedList:
    """Read a nested list. Its modifiers and the names in its braces are the parameters of its own edge."""
    query = {name: value.removeprefix(NESTED_CURSOR) for name, value in field.modifiers}
    if field.inner is not None:
        query["fields"] = write_fields(field.inner)
    return NestedList(query, read_query(query, mode))


def _check_cursors(query: Mapping[str, str]) -> None:
    if "after" in query and "before" in query:
        raise rejected("Use either the after or the before cursor, not both")


def _read_known_fields(
    text: str | None, known: frozenset[str], default: Sequence[str], *, of: str | None = None
) -> tuple[Field, ...]:
    """Parse and check fields. The error for an unknown field names the type of a node; for an edge `of` is `None`."""
    if text is None:
        return tuple(Field(name) for name in default)
    fields = read_fields(text)
    for field in fields:
        if field.name not in known:
            raise no_such_member(field.name, of)
        if field.modifiers and field.name != NUMBERS_EDGE:
            raise rejected(f"The field {field.name} is no list and takes no modifier")  # a guess, as is the code
    return fields if Field("id") in fields else (*fields, Field("id"))  # Graph always adds the id


def _read_names(text: str, whole: str, depth: int) -> tuple[tuple[Field, ...], str]:
    """Parse names up to a closing brace or the end, with at most so many braces one inside the other.

    Return them and the rest of the text.
    """
    fields: list[Field] = []
    while True:
        name, text, inner = *_split_name(text, whole), None
        modifiers, text = _read_modifiers(text, whole)
        if text.startswith("{") and depth:
            inner, text = _read_names(text[1:], whole, depth - 1)
            if not text.startswith("}"):
                raise _syntax_error(whole)
            text = text[1:]
        fields.append(Field(name, inner, modifiers))
        if not text.startswith(","):
            return tuple(fields), text
        text = text[1:]


def _read_modifiers(text: str, whole: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """Parse `.limit(5).after(CURSOR)`, in any order. Return the modifiers and the rest of the text."""
    modifiers = dict[str, str]()
    while text.startswith("."):
        name, text = _split_name(text[1:], whole)
        value, end, rest = text.removeprefix("(").partition(")")
        # That these are errors of the syntax is known, and the code of such errors. What Graph says of an unknown or a
        # repeated modifier is a guess.
        if not (text.startswith("(") and end):
            raise _syntax_error(whole)
        if name not in MODIFIERS:
            raise rejected(f"Unknown modifier {name}; the sandbox does not serve it", code=2500)
        if name in modifiers:
            raise rejected(f"Modifier {name} specified more than once in fields: {whole}", code=2500)
        modifiers[name], text = value, rest
    return tuple(modifiers.items()), text


def _split_name(text: str, whole: str) -> tuple[str, str]:
    length = next((i for i, char in enumerate(text) if not (char.isalnum() or char == "_")), len(text))
    if not length:
        raise _syntax_error(whole)
    return text[:length], text[length:]


def _syntax_error(text: str) -> RejectedError:
    return rejected(f'Syntax error "Expected name." in fields: {text}', code=2500)


def _read_filtering(text: str | None, mode: Mode) -> tuple[Condition, ...]:
    if text is None:
        return ()
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        members = None
    if not is_array(members):
        raise rejected("Invalid parameter: filtering must be a JSON array")
    return tuple(_read_condition(member, mode) for member in members)


def _read_condition(member: object, mode: Mode) -> Condition:
    if not is_object(member) or not {"field", "operator", "value"} <= set(member):
        raise rejected("Invalid parameter: each filter needs a field, an operator and a value")
    field, operator, value = str(member["field"]), str(member["operator"]), member["value"]
    if field not in FILTER_FIELDS:
        raise rejected(f"Filtering field {field} is invalid")
    if field == "is_official_business_account":
        value = _read_boolean(value, mode)
    if operator != "EQUAL" or value is None:
        # The live service says this for a boolean sent as text too, though nothing is wrong with the operator.
        raise rejected(f"Filtering field '{field}' with operation '{operator.lower()}' is not supported")
    return Condition(field, value)


def _read_boolean(value: object, mode: Mode) -> bool | None:
    words = {"true": True, "false": False} if mode.accepts_boolean_words else {}
    return value if isinstance(value, bool) else words.get(str(value))


def _read_limit(text: str | None, mode: Mode) -> int:
    if text is None:
        return DEFAULT_PAGE
    # Only the first digits count, since `int` rejects texts of thousands of them.
    limit = int(text.lstrip("0")[:_MOST_DIGITS] or "0") if text.isascii() and text.isdigit() else 0
    if limit < 1 or (limit > LARGEST_PAGE and mode.rejects_large_limits):
        raise rejected(f"Param limit must be a whole number from 1 to {LARGEST_PAGE}")
    return min(limit, LARGEST_PAGE)  # what the live service does above 100 is not known
