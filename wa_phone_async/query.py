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
from urllib.parse import SplitResult, urlsplit

import attrs

from .errors import InvalidArgumentError
from .models import ALL_FIELDS
from .redaction import Secret

MAX_PAGE_SIZE: Final = 100
"""Rows that one page may have."""
DEFAULT_PAGE_SIZE: Final = 25
"""Rows of a page where no `limit` is sent."""
MAX_READ_AHEAD: Final = 100
"""Pages that may be asked for before they are wanted."""


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
    _check_match(
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
        _check_match("cc", cc, r"[0-9]{1,3}", "a country's dial code of 1 to 3 digits, without +")
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


_OWNERS: Final = {"waba_id": "account", "preverified_id": "preverified number"}
"""What has an id, where the argument's name says it in another way."""


def check_node_id(name: str, value: object) -> None:
    """An id of Meta's: a string of digits. Its argument is named for what has it, as `waba_id` is."""
    owner = _OWNERS.get(name, name.removesuffix("_id").replace("_", " "))
    _check_match(name, value, r"[0-9]+", f"the id of the {owner}, a string of digits")


def check_path(path: object) -> None:
    """A path below the API's version, such as `"1234/phone_numbers"`: no host, no query, no way up."""
    _check_match(
        "path",
        path,
        r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*",
        "relative and without a query, such as '1234/phone_numbers'",
    )


def check_params(params: Iterable[str]) -> None:
    """The parameters of a URL, which is no place for secrets: whoever logs addresses logs them."""
    for name in ("access_token", "appsecret_proof"):
        if name in params:
            raise InvalidArgumentError(f"params must not have {name}: the session sends its own with each call")


def check_page(*, limit: object, after: object, before: object, max_items: object) -> None:
    """The size of a page and the place where a walk begins."""
    if limit is not None:
        _check_count("limit", limit, 1, MAX_PAGE_SIZE)
    if max_items is not None:
        _check_count("max_items", max_items, 0, None)
    for name, cursor in (("after", after), ("before", before)):
        if cursor is not None and not (isinstance(cursor, str) and cursor):
            raise InvalidArgumentError(f"{name} must be a cursor of an earlier page, a string, not {cursor!r}")
    if after is not None and before is not None:
        raise InvalidArgumentError("after and before exclude each other: a walk goes one way; give one of them")


def check_read_ahead(read_ahead: object) -> None:
    """How many pages may be asked for before they are wanted."""
    _check_count("read_ahead", read_ahead, 0, MAX_READ_AHEAD)


def check_api_version(api_version: object) -> None:
    """A version of the Graph API."""
    _check_match("api_version", api_version, r"v[0-9]{1,3}\.[0-9]{1,2}", "of the form 'v23.0'")


def read_base_url(base_url: object) -> str:
    """The address below which the API lives, without a slash at its end."""
    if isinstance(base_url, str) and not re.search(r"[\s?#]", base_url):
        parts = _split_url(base_url)
        if parts and "@" not in parts.netloc:
            _check_address(parts)
            return base_url.rstrip("/")
    raise InvalidArgumentError(
        "base_url must be http:// or https:// with a host and no user, query or fragment, such as 'https://graph.facebook.com'"
    )


def _split_url(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and host else None


def _check_address(parts: SplitResult) -> None:
    """Refuse what is an address, and surely not that of the API."""
    if version := re.search(r"/(v[0-9]+(?:\.[0-9]+)?)/*$", parts.path):
        raise InvalidArgumentError(
            "base_url must end before the version, as 'https://graph.facebook.com' does: "
            f"{version[1]} is for api_version"
        )
    if parts.scheme == "http" and re.search(r"(?:^|\.)facebook\.com\.?$", parts.hostname or ""):
        raise InvalidArgumentError("base_url must be https:// for facebook.com: http:// would send the token in clear")


def check_secret(name: str, value: Secret) -> None:
    """A token or secret: printable ASCII without blanks. What it is stands in no message."""
    if not value:
        raise InvalidArgumentError(f"{name} must be a string that is not empty: the one that Meta issued")
    if not re.fullmatch(r"[!-~]+", value):
        raise InvalidArgumentError(
            f"{name} has blanks, line breaks or characters that no token has: was it read whole?"
        )


def check_seconds(name: str, value: object) -> None:
    """A length of time in seconds, more than none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise InvalidArgumentError(f"{name} must be a number of seconds above 0, not {value!r}")


def check_at_least_one(name: str, value: object) -> None:
    """A whole number from 1 up."""
    _check_count(name, value, 1, None)


def check_kind(name: str, value: object, kind: type, right: str) -> None:
    """A value of a class, and not the class itself."""
    if isinstance(value, type) or not isinstance(value, kind):
        raise InvalidArgumentError(f"{name} must be {right}, not {shown(value)}")


def check_listener(name: str, value: object) -> None:
    """Something that can be told what happens."""
    if not callable(value):
        raise InvalidArgumentError(f"{name} must be callable with an event, plain or async, not {shown(value)}")


def _check_count(name: str, value: object, lowest: int, highest: int | None) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or value < lowest
        or (highest is not None and value > highest)
    ):
        span = f"from {lowest} up" if highest is None else f"from {lowest} to {highest}"
        raise InvalidArgumentError(f"{name} must be a whole number {span}, not {value!r}")


def _check_match(name: str, value: object, pattern: str, right: str) -> None:
    if not (isinstance(value, str) and _compiled(pattern).fullmatch(value)):
        raise InvalidArgumentError(f"{name} must be {right}, not {shown(value)}")


_compiled: Final = functools.cache(re.compile)  # the cache that `re` has itself takes longer than the match


def shown(value: object) -> str:
    """A wrong value as it may be shown: a long one could be a token in the wrong place."""
    text = repr(value)
    return text if len(text) <= 60 else f"something {len(text)} characters long"
