"""`ListQuery`: what a list is asked for, checked and turned into request parameters. This costs no call.

Patterns and ranges are those of Meta's v23.0 OpenAPI description of this edge, read on 2026-11-22.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, StrEnum
from typing import Any, Final, Literal, TypeAlias, TypedDict, Unpack, get_args

import attrs

from .checks import check_page, check_read_ahead, check_seconds, is_json
from .errors import InvalidArgumentError
from .models import ALL_FIELDS, DEFAULT_FIELDS, PhoneNumber
from .spelling import known_spelling

DEFAULT_PAGE_SIZE: Final = 25
"""Rows of a page, if you send no `limit`."""


Follow = Literal["next", "after"]
"""How to see that a list goes on: by the `next` link of a page, or by its rows and its cursor."""

AccountKind = Literal["owned", "client"]
"""How an account belongs to a business: the business owns it, or a client shares it."""


NUMBER_FIELDS: Final = (
    *ALL_FIELDS,
    "platform_type",
    "certificate",
    "conversational_automation",
    "creation_time",
    "eligibility_for_api_business_global_search",
    "health_status",
    "is_on_biz_app",
    "is_preverified_number",
    "new_certificate",
    "new_display_name",
    "official_business_account",
    "owner",
    "quality_score",
    "search_visibility",
    "webhook_configuration",
)
"""The fields of a number that are known by name. `creation_time` can be sorted by, and not be read.

Meta's v23.0 reference of this edge and published captures, read 2026-11-22.
"""

ACCOUNT_FIELDS: Final = (
    "account_review_status",
    "analytics",
    "auth_international_rate_eligibility",
    "business_verification_status",
    "country",
    "creation_time",
    "currency",
    "disable_marketing_messages_on_cloud_api",
    "health_status",
    "id",
    "is_enabled_for_insights",
    "is_shared_with_partners",
    "linked_commerce_account",
    "marketing_messages_ad_account",
    "marketing_messages_lite_api_status",
    "marketing_messages_onboarding_status",
    "message_template_namespace",
    "name",
    "on_behalf_of_business_info",
    "owner_business",
    "owner_business_info",
    "ownership_type",
    "primary_business_location",
    "primary_funding_id",
    "purchase_order_number",
    "service_pricing_policy",
    "status",
    "template_auto_archival_enabled",
    "timezone_id",
    "whatsapp_business_manager_messaging_limit",
    "whatsapp_manager_marketing_messages_max_price_enroll_status",
)
"""The fields of an account that are known by name. Meta's business SDK for Python, 26.0.3, read 2026-11-28."""


def _values_of(annotation: Any) -> tuple[str, ...]:
    """Return the known values of a field: those of its enum, if it has one."""
    kinds = [kind for kind in get_args(annotation) if isinstance(kind, type) and issubclass(kind, StrEnum)]
    return tuple(str(value) for kind in kinds for value in kind)


KNOWN_VALUES: Final = {field.name: _values_of(field.type) for field in attrs.fields(PhoneNumber)}
KNOWN_VALUES["platform_type"] = KNOWN_VALUES["host_platform"]
_OF_PARTS: Final = frozenset({"CONTAIN", "NOT_CONTAIN", "STARTS_WITH", "ENDS_WITH"})
"""The operators of Graph that compare with a part of a value."""


class Sort(StrEnum):
    """The order of a list, in the spelling of Meta's v23.0 reference, read 2026-11-22.

    The live service rejects these four spellings and takes others (measured by a third party, 2026-09-09). The
    client sends the spelling that works, and remembers it. A plain string is sent as it is, but for a typing error.
    """

    CREATION_TIME_ASC = "creation_time.asc"
    """The number that was created first comes first."""
    CREATION_TIME_DESC = "creation_time.desc"
    """The number that was created last comes first."""
    LAST_ONBOARDED_TIME_ASC = "last_onboarded_time.asc"
    """The number that was onboarded first comes first."""
    LAST_ONBOARDED_TIME_DESC = "last_onboarded_time.desc"
    """The number that was onboarded last comes first. This is the API's default."""


class Verbatim(str):
    """A field, or an order, that is sent as it is: `fields=["id", Verbatim("statsu")]`.

    Its spelling is not checked. Use it for a name of Meta's that is almost the same as a known one. A `Filter` has
    `check=False` for that.
    """

    __slots__ = ()


class MetaDefault(Enum):
    """The type of `META_DEFAULT`, which is its only value."""

    META_DEFAULT = "META_DEFAULT"
    """The fields that Meta sends if a request names none."""

    def __repr__(self) -> str:
        return self.value


META_DEFAULT: Final = MetaDefault.META_DEFAULT
"""Pass it as `fields=` to leave the choice of the fields to Meta. The live service then sends no `status`.

Then it sends `id`, `display_phone_number`, `verified_name`, `quality_rating`, `code_verification_status`,
`platform_type`, `throughput`, `webhook_configuration` and `last_onboarded_time` (published captures, read 2026-11-22).
"""

Fields: TypeAlias = Iterable[str] | str | MetaDefault | None
"""The fields of a number to request: names, a comma-separated text, or `META_DEFAULT`. `None`: `DEFAULT_FIELDS`."""


@attrs.frozen
class Filter:
    """One condition on a list, such as `Filter("account_mode", AccountMode.LIVE)`.

    The reference names the fields `account_mode`, `messaging_limit_tier` and `is_official_business_account`; only
    the operator `EQUAL` is known to work on this edge.

    A wrong value may be no API error, but an empty list. That is a guess: no source says what the API does. So a field
    or a value that is almost a known one is an error here. If only the case differs, it becomes the known one. Any
    other one is sent as it is.

    Raises:
        InvalidArgumentError: The field is not a name, the operator is not a word, the value is not JSON, a field that
            needs a boolean has another value, or the field or the value has one letter too many or too few, a wrong
            letter, or two letters swapped.
    """

    field: str
    """The field's name."""
    value: bool | int | float | str | list[Any]
    """The value to compare with. A field that begins with `is_` needs a `bool`: the API misreads a text."""
    operator: str = "EQUAL"
    """How to compare."""
    check: bool = attrs.field(default=True, kw_only=True, eq=False, repr=False)
    """Whether to check the spelling of the field and the value, and that a field such as `is_…` has a `bool`; default:
    yes. `False` sends them as they are."""

    def __attrs_post_init__(self) -> None:
        if not (isinstance(self.field, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.field)):
            raise InvalidArgumentError("Filter.field", "the name of a field", self.field)
        if not (isinstance(self.operator, str) and re.fullmatch(r"[A-Z_]+", self.operator)):
            raise InvalidArgumentError("Filter.operator", "a word such as 'EQUAL'", self.operator)
        if not (isinstance(self.value, bool | int | float | str | list) and is_json(self.value)):
            raise InvalidArgumentError("Filter.value", "plain JSON", self.value)
        if self.check:
            self._check_spelling()

    def _check_spelling(self) -> None:
        field = known_spelling(self.field, NUMBER_FIELDS, argument="Filter.field", expected="the name of a field")
        if field.startswith("is_") and not isinstance(self.value, bool):
            raise InvalidArgumentError("Filter.value", f"True or False for {field}", self.value)
        object.__setattr__(self, "field", field)
        known = KNOWN_VALUES.get(field, ())
        if not known or self.operator in _OF_PARTS:
            return

        def spelled(value: Any) -> Any:
            if not isinstance(value, str):
                return value
            return known_spelling(value, known, argument="Filter.value", expected=f"a value of {field}")

        value = [spelled(part) for part in self.value] if isinstance(self.value, list) else spelled(self.value)
        object.__setattr__(self, "value", value)


class PageOptions(TypedDict, total=False):
    """The options of a `ListQuery` beside its parameters."""

    limit: int | None
    after: str | None
    before: str | None
    max_items: int | None
    follow: Follow
    read_ahead: int
    total_timeout: float | None


@attrs.frozen(kw_only=True)
class ListQuery:
    """What a list is asked for. It is checked once, and then serves any number of lists.

    Raises:
        InvalidArgumentError: An option is invalid. The text says which one, and what is allowed.
    """

    params: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """The query parameters of each page, without `limit` and cursor. A `Sort` among them is spelled later."""
    limit: int | None = None
    """Rows of a page, 1 to 100; `None` leaves it to the API."""
    after: str | None = None
    """The cursor to begin after; `None` begins at the first page."""
    before: str | None = None
    """The cursor to go back from; `None` goes forward."""
    max_items: int | None = None
    """Rows in all; `None` for all."""
    follow: Follow = "next"
    """When the list goes on: `"next"` while there is a `next` link, `"after"` while pages have rows and a cursor."""
    read_ahead: int = 0
    """Pages to request before they are needed, 0 to 100."""
    total_timeout: float | None = None
    """Seconds for all attempts and waits of each page; `None` takes that of the retry policy."""

    def __attrs_post_init__(self) -> None:
        check_page(limit=self.limit, after=self.after, before=self.before, max_items=self.max_items)
        if self.follow not in ("next", "after"):
            raise InvalidArgumentError("follow", "'next' or 'after'", self.follow)
        if self.read_ahead != 0:
            check_read_ahead(self.read_ahead)
        if self.total_timeout is not None:
            check_seconds("total_timeout", self.total_timeout)

    @classmethod
    def of_numbers(
        cls,
        *,
        fields: Fields = None,
        filtering: Filter | Iterable[Filter] | None = None,
        sort: Sort | str | None = None,
        **options: Unpack[PageOptions],
    ) -> ListQuery:
        """Return the query of a list of phone numbers; see `PhoneNumberClient.list_phone_numbers`."""
        return cls(params=list_params(fields=fields_of_number(fields), filtering=filtering, sort=sort), **options)


def list_params(
    *,
    fields: Iterable[str] | str | None,
    filtering: Filter | Iterable[Filter] | None,
    sort: Sort | str | None,
    known_fields: Sequence[str] = NUMBER_FIELDS,
) -> dict[str, str]:
    """Return a list's query parameters, without limit and cursor. A `Sort` stays a `Sort`, which is spelled later."""
    params: dict[str, str] = {}
    if fields is not None:
        params["fields"] = read_fields(fields, known_fields)
    if filtering is not None:
        params["filtering"] = _read_filters(filtering)
    if sort is not None:
        params["sort"] = _read_sort(sort)
    return params


_ORDER: Final = "an order such as 'creation_time.desc'"
_SORT_FIELDS: Final = ("creation_time", "last_onboarded_time")
_SORTS: Final = (
    *Sort,
    *(f"{field}{ending}" for field in _SORT_FIELDS for ending in ("", "_ascending", "_descending")),
)
"""The spellings of the reference, and those of the live service."""


def _read_sort(sort: Sort | str) -> str:
    if not (isinstance(sort, str) and sort):
        raise InvalidArgumentError("sort", _ORDER, sort)
    if isinstance(sort, Sort | Verbatim):
        return sort
    # The live service takes a list of one order too, such as `['creation_time_ascending']`.
    spelled = re.sub(r"[\w.]+", lambda word: known_spelling(word[0], _SORTS, argument="sort", expected=_ORDER), sort)
    return sort if spelled == sort else spelled


# A field of Graph: a name, with modifiers such as `.limit(5)`. `read_fields` removes nested `{…}` before it matches.
_FIELD = r"[A-Za-z_]\w*(?:\.\w+\([^(){}]*\))*"
_FIELDS = re.compile(rf"{_FIELD}(?:,{_FIELD})*", re.ASCII)
_NESTED = re.compile(rf"\{{{_FIELD}(?:,{_FIELD})*\}}", re.ASCII)


def read_fields(fields: Iterable[str] | str, known: Sequence[str] = NUMBER_FIELDS) -> str:
    """Return `fields` as the API takes them.

    The syntax is checked, and the spelling of names that are almost known. The API says which fields exist.

    Args:
        fields: The names, or one text with commas.
        known: The known names of the node. They are not those of the nodes in braces.

    Returns:
        A text that needs no further check: `read_fields` returns it as it is.
    """
    names = [fields] if isinstance(fields, str) else list(fields) if isinstance(fields, Iterable) else [fields]
    if len(names) == 1 and type(names[0]) is str and names[0].strip().lower() == "all":
        raise InvalidArgumentError("fields", "ALL_FIELDS for all that a number has", names[0])
    spelled = list[str]()
    for name in names:
        if not isinstance(name, str):
            raise InvalidArgumentError("fields", _NAMES, fields)
        spelled.append(name if isinstance(name, Verbatim) else _spell_fields(name, known))
    text = re.sub(r"\s*,\s*", ",", ",".join(spelled).strip())
    bare, nested = text, 1
    while nested:
        bare, nested = _NESTED.subn("", bare)
    if not _FIELDS.fullmatch(bare):
        raise InvalidArgumentError("fields", _NAMES, fields)
    return type(fields)(text) if isinstance(fields, Verbatim) else Verbatim(text)


_NAMES: Final = "names such as 'id,status'"
_DEFAULT: Final = Verbatim(",".join(DEFAULT_FIELDS))


def fields_of_number(fields: Fields) -> str | None:
    """Return the fields of a number to request, as the API takes them; `None` if the choice is Meta's."""
    if fields is META_DEFAULT:
        return None
    return _DEFAULT if fields is None else read_fields(fields)


def _spell_fields(text: str, known: Sequence[str]) -> str:
    """Spell the names at the top level of a text as the API does, and leave the rest of it as it is."""

    def spell(name: re.Match[str]) -> str:
        return known_spelling(name[0], known, argument="fields", expected=_NAMES)

    return ",".join(re.sub(r"\w+", spell, field, count=1) for field in split_fields(text))


def fields_with(name: str, fields: Iterable[str] | str) -> str:
    """Return `fields` as the API takes them, with one field added if it is missing."""
    text = read_fields(fields)
    return text if name in split_fields(text) else Verbatim(f"{text},{name}")


class ChosenFields(Verbatim):
    """Names of fields, separated by commas, that this package chose by itself, and nobody named."""

    __slots__ = ()


def optional_fields(path: str, fields: str | None) -> frozenset[str]:
    """Return the fields that a request can go without, if the API does not know them.

    They are those of `ALL_FIELDS` or of `DEFAULT_FIELDS`, if all of them are requested, and those of `ChosenFields`. A
    caller who names single fields needs each of them. Only a phone number and the list of an account's numbers have
    these fields. On any other path an unknown field shows that the path is wrong.
    """
    if not fields or path.partition("/")[2] not in {"", "phone_numbers"}:
        return frozenset()
    if isinstance(fields, ChosenFields):  # not in the cache, where it would be the same as any other text
        return frozenset(split_fields(fields)) - ESSENTIAL_FIELDS
    return _optional_of(fields)


ESSENTIAL_FIELDS: Final = frozenset({"id", "display_phone_number"})
"""What each number has on each server. An object without it is no number, so no request goes without it."""


@functools.lru_cache  # the same for each page of a list, and mostly for each list
def _optional_of(fields: str) -> frozenset[str]:
    named = frozenset(split_fields(fields))
    known = next((known for known in (ALL_FIELDS, DEFAULT_FIELDS) if named.issuperset(known)), ())
    return frozenset(known) - ESSENTIAL_FIELDS


@functools.lru_cache
def without_fields(fields: str, left_out: frozenset[str]) -> str:
    """Return `fields` as the API takes them, without some of them. They are left out of an account's numbers, too."""
    return ",".join(_without_inner(name, left_out) for name in split_fields(fields) if name not in left_out)


def _without_inner(field: str, left_out: frozenset[str]) -> str:
    nested = re.fullmatch(r"(phone_numbers[^{]*\{)(.*)\}", field)
    return field if nested is None else f"{nested[1]}{without_fields(nested[2], left_out)}}}"


def expanded_fields(fields: str | None, limit: int) -> str:
    """Return the fields of an account that bring its first numbers with it: Graph's field expansion.

    Args:
        fields: The fields of a number, as `read_fields` returns them; `None` for the API's default.
        limit: The numbers of each account, 1 to 100.
    """
    return f"id,name,phone_numbers.limit({limit})" + ("" if fields is None else f"{{{fields}}}")


def split_fields(fields: str) -> list[str]:
    """Split `fields` at the top level: `a,b{c,d}` has two."""
    names, depth = [""], 0
    for character in fields:
        depth += (character in "({") - (character in ")}")
        if character == "," and not depth:
            names.append("")
        else:
            names[-1] += character
    return names


def field_names(fields: Iterable[str] | str) -> list[str]:
    """The names under which fields arrive: `id,owner{id,name}` arrives as `id` and `owner`."""
    return [re.split(r"[.{]", field, maxsplit=1)[0] for field in split_fields(read_fields(fields))]


def _read_filters(filtering: Filter | Iterable[Filter]) -> str:
    filters = (
        [filtering] if isinstance(filtering, Filter) else list(filtering) if isinstance(filtering, Iterable) else []
    )
    if not filters or not all(isinstance(condition, Filter) for condition in filters):
        raise InvalidArgumentError("filtering", "one Filter or several", filtering)
    conditions = [{"field": f.field, "operator": f.operator, "value": f.value} for f in filters]
    return json.dumps(conditions, separators=(",", ":"))


_ACCOUNTS_EDGES: Final = {
    "owned": "owned_whatsapp_business_accounts",
    "client": "client_whatsapp_business_accounts",
}


def accounts_edge(kind: object) -> str:
    """Return the edge that lists a business's accounts of one kind."""
    if isinstance(kind, str) and kind in _ACCOUNTS_EDGES:
        return _ACCOUNTS_EDGES[kind]
    raise InvalidArgumentError("kind", "'owned' or 'client'", kind)


def accounts_edges(kind: object) -> tuple[str, ...]:
    """Return the edges that list a business's accounts: the one of a kind, or with `"all"` each of them."""
    if kind == "all":
        return tuple(_ACCOUNTS_EDGES.values())
    if isinstance(kind, str) and kind in _ACCOUNTS_EDGES:
        return (_ACCOUNTS_EDGES[kind],)
    raise InvalidArgumentError("kind", "'owned', 'client' or 'all'", kind)
