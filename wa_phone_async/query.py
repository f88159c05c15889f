"""The options of a list, checked and turned into request parameters. This costs no call.

Patterns and ranges are those of Meta's v23.0 OpenAPI description of this edge, read on 2026-11-22.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final, Literal

import attrs

from .errors import InvalidArgumentError
from .models import ALL_FIELDS

DEFAULT_PAGE_SIZE: Final = 25
"""Rows of a page, if you send no `limit`."""


AccountKind = Literal["owned", "client"]
"""How an account belongs to a business: the business owns it, or a client shares it."""


class Sort(StrEnum):
    """The order of a list, in the spelling of Meta's v23.0 reference, read 2026-11-22.

    The live service rejects these four spellings and takes others (measured by a third party, 2026-09-09). The
    client sends the spelling that works, and remembers it. A plain string is sent as it is.
    """

    CREATION_TIME_ASC = "creation_time.asc"
    """The number that was created first comes first."""
    CREATION_TIME_DESC = "creation_time.desc"
    """The number that was created last comes first."""
    LAST_ONBOARDED_TIME_ASC = "last_onboarded_time.asc"
    """The number that was onboarded first comes first."""
    LAST_ONBOARDED_TIME_DESC = "last_onboarded_time.desc"
    """The number that was onboarded last comes first. This is the API's default."""


@attrs.frozen
class Filter:
    """One condition on a list, such as `Filter("account_mode", AccountMode.LIVE)`.

    The reference names the fields `account_mode`, `messaging_limit_tier` and `is_official_business_account`; only
    the operator `EQUAL` is known to work on this edge.

    Raises:
        InvalidArgumentError: The field is not a name, the operator is not a word, the value is not JSON, or a field
            that needs a boolean has another value.
    """

    field: str
    """The field's name."""
    value: bool | int | float | str | list[Any]
    """The value to compare with. A field that begins with `is_` needs a `bool`: the API misreads a text."""
    operator: str = "EQUAL"
    """How to compare."""

    def __attrs_post_init__(self) -> None:
        if not (isinstance(self.field, str) and re.fullmatch(r"[a-z_]+", self.field)):
            raise InvalidArgumentError("Filter.field", "the name of a field", self.field)
        if not (isinstance(self.operator, str) and re.fullmatch(r"[A-Z_]+", self.operator)):
            raise InvalidArgumentError("Filter.operator", "a word such as 'EQUAL'", self.operator)
        if not (isinstance(self.value, bool | int | float | str | list) and _is_json(self.value)):
            raise InvalidArgumentError("Filter.value", "plain JSON", self.value)
        if self.field.startswith("is_") and not isinstance(self.value, bool):
            raise InvalidArgumentError("Filter.value", f"True or False for {self.field}", self.value)


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def list_params(
    *,
    fields: Iterable[str] | str | None,
    filtering: Filter | Iterable[Filter] | None,
    sort: Sort | str | None,
) -> dict[str, str]:
    """Return a list's query parameters, without limit and cursor. A `Sort` stays a `Sort`, which is spelled later."""
    params: dict[str, str] = {}
    if fields is not None:
        params["fields"] = read_fields(fields)
    if filtering is not None:
        params["filtering"] = _read_filters(filtering)
    if sort is not None:
        if not (isinstance(sort, str) and sort):
            raise InvalidArgumentError("sort", "an order such as 'creation_time.desc'", sort)
        params["sort"] = sort
    return params


# A field of Graph: a name, with modifiers such as `.limit(5)`. `read_fields` removes nested `{…}` before it matches.
_FIELD = r"[A-Za-z_]\w*(?:\.\w+\([^(){}]*\))*"
_FIELDS = re.compile(rf"{_FIELD}(?:,{_FIELD})*", re.ASCII)
_NESTED = re.compile(rf"\{{{_FIELD}(?:,{_FIELD})*\}}", re.ASCII)


def read_fields(fields: Iterable[str] | str) -> str:
    """Return `fields` as the API takes them. Only the syntax is checked: the API knows which fields exist."""
    names = [fields] if isinstance(fields, str) else list(fields) if isinstance(fields, Iterable) else [fields]
    if names == ["all"]:
        raise InvalidArgumentError("fields", "ALL_FIELDS for all that a number has", "all")
    if names and all(isinstance(name, str) for name in names):
        text = re.sub(r"\s*,\s*", ",", ",".join(names).strip())
        bare, nested = text, 1
        while nested:
            bare, nested = _NESTED.subn("", bare)
        if _FIELDS.fullmatch(bare):
            return ChosenFields(text) if isinstance(fields, ChosenFields) else text
    raise InvalidArgumentError("fields", "names such as 'id,status'", fields)


def fields_with(name: str, fields: Iterable[str] | str) -> str:
    """Return `fields` as the API takes them, with one field added if it is missing."""
    text = read_fields(fields)
    return text if name in split_fields(text) else f"{text},{name}"


class ChosenFields(str):
    """Names of fields, separated by commas, that this package chose by itself, and nobody named."""

    __slots__ = ()


def optional_fields(path: str, fields: str | None) -> frozenset[str]:
    """Return the fields that a request can go without, if the API does not know them.

    They are `ChosenFields`, or those of `ALL_FIELDS` if all of them are requested. A caller who names single fields
    needs each of them. Only a phone number and the list of an account's numbers have these fields. On any other path
    an unknown field shows that the path is wrong.
    """
    if not fields or path.partition("/")[2] not in {"", "phone_numbers"}:
        return frozenset()
    return frozenset(split_fields(fields)) - {"id"} if isinstance(fields, ChosenFields) else _optional_of_all(fields)


@functools.lru_cache  # the same for each page of a list, and mostly for each list
def _optional_of_all(fields: str) -> frozenset[str]:
    has_all = frozenset(split_fields(fields)).issuperset(ALL_FIELDS)
    return frozenset(ALL_FIELDS) - {"id"} if has_all else frozenset()


@functools.lru_cache
def without_fields(fields: str, left_out: frozenset[str]) -> str:
    """Return `fields` as the API takes them, without some of them."""
    return ",".join(name for name in split_fields(fields) if name not in left_out)


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
