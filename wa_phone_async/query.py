"""What the caller asks for, checked before anything is sent, as the parameters that the API takes.

Each check says in one sentence what was wrong and what would be right, and costs no call.
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

from .checks import check_match, check_node_id, shown
from .errors import InvalidArgumentError
from .models import ALL_FIELDS

DEFAULT_PAGE_SIZE: Final = 25
"""Rows of a page where no `limit` is sent."""


AccountKind = Literal["owned", "client"]
"""How an account belongs to a business: it is its own, or another's that is shared with it."""


class Sort(StrEnum):
    """The order of a list, in the spelling of Meta's v23.0 reference, read 2026-11-22.

    The live service refuses these four spellings and takes others (measured by a third party, 2026-09-09), so the
    client sends the one that works, and remembers which. A plain string is sent as it is.
    """

    CREATION_TIME_ASC = "creation_time.asc"
    """The one created first comes first."""
    CREATION_TIME_DESC = "creation_time.desc"
    """The one created last comes first."""
    LAST_ONBOARDED_TIME_ASC = "last_onboarded_time.asc"
    """The one onboarded first comes first."""
    LAST_ONBOARDED_TIME_DESC = "last_onboarded_time.desc"
    """The one onboarded last comes first, as unless told."""


@attrs.frozen
class Filter:
    """One condition on a list, such as `Filter("account_mode", AccountMode.LIVE)`.

    The reference names the fields `account_mode`, `messaging_limit_tier` and `is_official_business_account`; only
    the operator `EQUAL` is known to work on this edge.

    Raises:
        InvalidArgumentError: The field is no name, the operator is no word, or a boolean came as text.
    """

    field: str
    """The field's name."""
    value: bool | int | float | str | list[Any]
    """What it is compared with. `is_official_business_account` wants a `bool`: as text the API misreads it."""
    operator: str = "EQUAL"
    """How it is compared."""

    def __attrs_post_init__(self) -> None:
        if not (isinstance(self.field, str) and re.fullmatch(r"[a-z_]+", self.field)):
            raise InvalidArgumentError(f"Filter's field must be a field's name, not {self.field!r}")
        if not (isinstance(self.operator, str) and re.fullmatch(r"[A-Z_]+", self.operator)):
            raise InvalidArgumentError(f"Filter's operator must be a word like 'EQUAL', not {self.operator!r}")
        if not (isinstance(self.value, bool | int | float | str | list) and _is_json(self.value)):
            raise InvalidArgumentError(f"Filter's value must be plain JSON, not {self.value!r}")
        if self.field.startswith("is_") and not isinstance(self.value, bool):
            raise InvalidArgumentError(f"Filter({self.field!r}, …) wants True or False, not {self.value!r}")


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
    """The query parameters of a list, without its size and place. A `Sort` stays one, to be spelled later."""
    params: dict[str, str] = {}
    if fields is not None:
        params["fields"] = read_fields(fields)
    if filtering is not None:
        params["filtering"] = _read_filters(filtering)
    if sort is not None:
        if not (isinstance(sort, str) and sort):
            raise InvalidArgumentError(f"sort must be a Sort or the API's own text for one, not {sort!r}")
        params["sort"] = sort
    return params


# A field of Graph: a name, with modifiers such as `.limit(5)`. Nested `{…}` are taken off before it is applied.
_FIELD = r"[A-Za-z_]\w*(?:\.\w+\([^(){}]*\))*"
_FIELDS = re.compile(rf"{_FIELD}(?:,{_FIELD})*", re.ASCII)
_NESTED = re.compile(rf"\{{{_FIELD}(?:,{_FIELD})*\}}", re.ASCII)


def read_fields(fields: Iterable[str] | str) -> str:
    """The wire form of `fields`, checked for its shape only: which fields exist is the API's to say."""
    names = [fields] if isinstance(fields, str) else list(fields) if isinstance(fields, Iterable) else [fields]
    if names == ["all"]:
        raise InvalidArgumentError("fields='all' names no field: give fields=ALL_FIELDS for all that a number has")
    if names and all(isinstance(name, str) for name in names):
        text = re.sub(r"\s*,\s*", ",", ",".join(names).strip())
        bare, nested = text, 1
        while nested:
            bare, nested = _NESTED.subn("", bare)
        if _FIELDS.fullmatch(bare):
            return text
    raise InvalidArgumentError(
        f"fields must be names such as ['id', 'status'] or 'id,status', not {fields!r}; None asks for the API's default"
    )


def fields_with(name: str, fields: Iterable[str] | str) -> str:
    """The wire form of `fields` with one that is needed among them."""
    text = read_fields(fields)
    return text if name in split_fields(text) else f"{text},{name}"


@functools.lru_cache  # the same for each page of a list, and mostly for each list
def optional_fields(fields: str | None) -> frozenset[str]:
    """The fields that the API may lack without harm: those of `ALL_FIELDS`, where all of them are asked for."""
    asked = frozenset(split_fields(fields)) if fields else frozenset[str]()
    return frozenset(ALL_FIELDS) - {"id"} if asked.issuperset(ALL_FIELDS) else frozenset()


@functools.lru_cache
def without_fields(fields: str, left_out: frozenset[str]) -> str:
    """The wire form of the fields without some of them."""
    return ",".join(name for name in split_fields(fields) if name not in left_out)


def split_fields(fields: str) -> list[str]:
    """The top-level fields of the wire form: `a,b{c,d}` has two."""
    names, depth = [""], 0
    for character in fields:
        depth += (character in "({") - (character in ")}")
        if character == "," and not depth:
            names.append("")
        else:
            names[-1] += character
    return names


def _read_filters(filtering: Filter | Iterable[Filter]) -> str:
    filters = (
        [filtering] if isinstance(filtering, Filter) else list(filtering) if isinstance(filtering, Iterable) else []
    )
    if not filters or not all(isinstance(condition, Filter) for condition in filters):
        raise InvalidArgumentError(f"filtering must be one Filter or several, not {filtering!r}")
    conditions = [{"field": f.field, "operator": f.operator, "value": f.value} for f in filters]
    return json.dumps(conditions, separators=(",", ":"))


_ACCOUNTS_EDGES: Final = {
    "owned": "owned_whatsapp_business_accounts",
    "client": "client_whatsapp_business_accounts",
}


def accounts_edge(kind: object) -> str:
    """The edge of a business that lists its accounts of one kind."""
    if isinstance(kind, str) and kind in _ACCOUNTS_EDGES:
        return _ACCOUNTS_EDGES[kind]
    raise InvalidArgumentError(f"kind must be 'owned' or 'client', not {shown(kind)}")


def create_body(
    *,
    phone_number: str,
    verified_name: str | None,
    cc: str | None,
    migrate_phone_number: bool | None,
    preverified_id: str | None,
) -> dict[str, Any]:
    """The JSON body of a create, without what was not given."""
    check_match(
        "phone_number",
        phone_number,
        r"[1-9][0-9]{6,14}",
        "7 to 15 digits, the first not 0, without + or blanks",
    )
    if verified_name is None and not migrate_phone_number:
        raise InvalidArgumentError("verified_name is missing: 2 to 75 characters, unless migrate_phone_number is True")
    if verified_name is not None and not (isinstance(verified_name, str) and 2 <= len(verified_name) <= 75):
        raise InvalidArgumentError(f"verified_name must have 2 to 75 characters, not {verified_name!r}")
    if cc is not None:
        check_match("cc", cc, r"[0-9]{1,3}", "a country's dial code of 1 to 3 digits, without +")
    if migrate_phone_number is not None and not isinstance(migrate_phone_number, bool):
        raise InvalidArgumentError(f"migrate_phone_number must be True or False, not {migrate_phone_number!r}")
    if preverified_id is not None:
        check_node_id("preverified_id", preverified_id)
    body = {
        "phone_number": phone_number,
        "verified_name": verified_name,
        "cc": cc,
        "migrate_phone_number": migrate_phone_number,
        "preverified_id": preverified_id,
    }
    return {name: value for name, value in body.items() if value is not None}
