"""Checks of arguments, before anything is sent.

Each says in one sentence what was wrong and what would be right, and costs no call.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import SplitResult, urlsplit

from .errors import InvalidArgumentError
from .redaction import Secret

MAX_PAGE_SIZE: Final = 100
"""Rows that one page may have."""
MAX_READ_AHEAD: Final = 100
"""Pages that may be asked for before they are wanted."""


_OWNERS: Final = {"waba_id": "account", "preverified_id": "preverified number"}
"""What has an id, where the argument's name says it in another way."""


def check_node_id(name: str, value: object) -> None:
    """An id of Meta's: a string of digits. Its argument is named for what has it, as `waba_id` is."""
    owner = _OWNERS.get(name, name.removesuffix("_id").replace("_", " "))
    check_match(name, value, r"[0-9]+", f"the id of the {owner}, a string of digits")


def check_path(path: object) -> None:
    """A path below the API's version, such as `"1234/phone_numbers"`: no host, no query, no way up."""
    check_match(
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
    check_match("api_version", api_version, r"v[0-9]{1,3}\.[0-9]{1,2}", "of the form 'v23.0'")


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


def check_match(name: str, value: object, pattern: str, right: str) -> None:
    """A string that matches a pattern as a whole."""
    if not (isinstance(value, str) and _compiled(pattern).fullmatch(value)):
        raise InvalidArgumentError(f"{name} must be {right}, not {shown(value)}")


_compiled: Final = functools.cache(re.compile)  # the cache that `re` has itself takes longer than the match


def shown(value: object) -> str:
    """A wrong value as it may be shown: a long one could be a token in the wrong place."""
    text = repr(value)
    return text if len(text) <= 60 else f"something {len(text)} characters long"
