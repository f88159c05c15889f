"""Checks of arguments. They run before anything is sent, and cost no call.

Each raises an `InvalidArgumentError` with the argument's name, and says what would be right.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Final, SupportsIndex
from urllib.parse import SplitResult, quote, urlsplit

from yarl import URL

from .errors import InvalidArgumentError
from .redaction import Secret, conceal

MAX_PAGE_SIZE: Final = 100
"""The most rows that a page can have."""
MAX_READ_AHEAD: Final = 100
"""The most pages that can be requested before you read them."""
_EDGES: Final = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u200b\u200e\u200f\u202a\u202c\u2060\ufeff"
"""What may stand around a value that was copied or read from a file: blanks, line breaks, invisible marks."""
_QUOTES: Final = "\"'`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb"
_PATH: Final = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*")
_SECRET_PARAMS: Final = {
    "access_token": "the session sends its own with each call",
    "appsecret_proof": "the session sends its own with each call",
    "input_token": "session.inspect_token() sends that of the session, and shows it nowhere",
}
"""Parameters that hold a secret, and what to do instead."""
_ID_LIMIT: Final = 10**100  # Python refuses to write integers of thousands of digits

NOT_IN_A_URL: Final = r"[\s?#\\\x00-\x1f\x7f\ud800-\udfff]"
"""A query or a fragment, and what cannot be sent or could end a line of a request."""
_LONGEST_NAME: Final = 253
"""Characters of a host's name, without the dot at its end (RFC 1035)."""


def plain_id(value: object) -> object:
    """Return an id as a string without blanks around it. Return what is neither a string nor an integer as it is."""
    if isinstance(value, str):  # first, since `isinstance` takes many times as long for a protocol
        return value.strip(_EDGES)
    if isinstance(value, SupportsIndex) and not isinstance(value, bool) and 0 <= value.__index__() < _ID_LIMIT:
        return str(value.__index__())
    return value


def read_node_id(name: str, value: object) -> str:
    """Return an id of Meta's as a string of digits. The argument's name says which object has it, as `waba_id` does.

    It may be an integer, and have blanks around it. A float is rejected: ids are longer than its precision.
    """
    node_id = plain_id(value)
    if isinstance(node_id, str) and node_id.isdecimal() and node_id.isascii():
        return node_id
    owner = "account" if name == "waba_id" else name.removesuffix("_id").replace("_", " ")
    raise InvalidArgumentError(name, f"the id of the {owner}, a string of digits", value)


def is_json(value: object) -> bool:
    """Whether a value is plain JSON, which has no `Infinity` and no `NaN`."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def check_path(path: object) -> None:
    """Require a path below the API's version, such as `"1234/phone_numbers"`: no host, no query, no `..`."""
    if not (isinstance(path, str) and _PATH.fullmatch(path)):
        raise InvalidArgumentError("path", "relative and without a query, such as '1234/phone_numbers'", path)


def conceal_params(params: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of query parameters that hides the secrets among them. `check_params` rejects these."""
    return {name: conceal(value) if name in _SECRET_PARAMS else value for name, value in params.items()}


def check_params(params: Iterable[str]) -> None:
    """Reject query parameters that hold a secret: proxies and servers log URLs."""
    for name, hint in _SECRET_PARAMS.items():
        if name in params:
            raise InvalidArgumentError("params", f"without {name}", hint=hint)


def check_page(*, limit: object, after: object, before: object, max_items: object) -> None:
    """Require a valid page size, at most one cursor, and a valid number of items."""
    if limit is not None:
        check_count("limit", limit, 1, MAX_PAGE_SIZE)
    if max_items is not None:
        check_count("max_items", max_items, 0, None)
    for name, cursor in (("after", after), ("before", before)):
        if cursor is not None and not (isinstance(cursor, str) and cursor):
            raise InvalidArgumentError(name, "a cursor of an earlier page, a string", cursor)
    if after is not None and before is not None:
        raise InvalidArgumentError("after", "left out where before is given", hint="a list goes one way")


def check_read_ahead(read_ahead: object) -> None:
    """Require a valid number of pages to request in advance."""
    check_count("read_ahead", read_ahead, 0, MAX_READ_AHEAD)


def check_api_version(api_version: object) -> None:
    """Require a version of the Graph API."""
    check_match("api_version", api_version, r"v[0-9]{1,3}\.[0-9]{1,2}", "of the form 'v23.0'")


def read_base_url(base_url: object) -> str:
    """Return the URL below which the API lives, in ASCII and without a slash at its end."""
    hint = None
    if isinstance(base_url, str) and not re.search(NOT_IN_A_URL, base_url):
        parts = split_url(base_url)
        if parts and "@" not in parts.netloc:
            _check_graph_url(parts)
            return base_url.rstrip("/") if base_url.isascii() else parts.geturl().rstrip("/")
        if re.match(r"https?://[^/@:\[\]]+(?:/|$)", base_url, re.IGNORECASE):
            hint = "the name of its host is invalid"
    # It is not shown: a user or a query may hold a secret.
    raise InvalidArgumentError(
        "base_url",
        "an http:// or https:// URL with a host and no user, query or fragment, such as 'https://graph.facebook.com'",
        hint=hint,
    )


def split_url(url: str) -> SplitResult | None:
    """Split an http:// or https:// URL. The parts are in ASCII. It is `None` if its scheme, host or port is invalid.

    An invalid host must not reach aiohttp: the codecs of the host's name raise a bare `UnicodeError`.
    """
    try:
        parts = urlsplit(url)
        address = URL.build(scheme=parts.scheme, host=parts.hostname or "", port=parts.port, path="/")
        path = quote(parts.path, safe="/%:=&;,@!$'()*+~")
    except ValueError:
        return None
    host = address.raw_host or ""
    if parts.scheme not in {"http", "https"} or parts.port == 0 or not _is_host(host):
        return None
    if ("[" in parts.netloc) != (":" in host):  # brackets are for IPv6
        return None
    if parts.netloc.isascii():
        return parts._replace(path=path)
    user, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}{at}{address.raw_authority}", path=path)


def _check_graph_url(parts: SplitResult) -> None:
    """Reject valid URLs that cannot be the API's."""
    if version := re.search(r"/(v[0-9]+(?:\.[0-9]+)?)/*$", parts.path):
        raise InvalidArgumentError(
            "base_url",
            "a URL without the API's version, such as 'https://graph.facebook.com'",
            hint=f"the version {version[1]} is a setting of its own",
        )
    if parts.scheme == "http" and re.search(r"(?:^|\.)facebook\.com\.?$", parts.hostname or ""):
        raise InvalidArgumentError(
            "base_url", "an https:// URL for facebook.com", hint="http:// would send the token unencrypted"
        )


def _is_host(host: str) -> bool:
    """Whether a host is an IP address, or a name that the DNS allows. Underscores occur in networks of containers."""
    name = host.removesuffix(".")
    last = name.rpartition(".")[2]
    if ":" not in host and not last.isdecimal():
        labels = name.split(".")
        return len(name) <= _LONGEST_NAME and all(re.fullmatch(r"[A-Za-z0-9_-]{1,63}", label) for label in labels)
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: then no proxy of the environment can reach it."""
    name = host.removesuffix(".").lower()
    try:
        address = ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def read_secret(name: str, value: Secret) -> Secret:
    """Return a token or secret without the blanks, line breaks and byte order mark around it. No error holds it."""
    value = Secret(value.strip(_EDGES))
    if not value:
        raise InvalidArgumentError(name, "a string that is not empty", hint="give the one that Meta issued")
    if len(value) > 1 and value[0] in _QUOTES and value[-1] in _QUOTES:
        raise InvalidArgumentError(name, "without quotes around it", hint="pass only what is between them")
    if scheme := re.match(r"(?:authorization *: *)?(?:bearer|oauth)(?=\s|$)", value, re.IGNORECASE):
        hint = "the client sends that word itself"
        raise InvalidArgumentError(name, f"without {scheme[0]!r} before it", hint=hint)
    if not re.fullmatch(r"[!-~]+", value):
        raise InvalidArgumentError(name, "printable ASCII without blanks or line breaks", hint="was it read whole?")
    return value


def check_seconds(name: str, value: object, *, may_be_zero: bool = False) -> None:
    """Require a length of time in seconds, finite and above 0, or 0 if it may be."""
    least = 0.0 if may_be_zero else math.ulp(0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < float("inf"):
        expected = "a number of seconds, 0 or more" if may_be_zero else "a number of seconds above 0"
        raise InvalidArgumentError(name, expected, value)


def check_at_least_one(name: str, value: object) -> None:
    """Require a whole number from 1 up."""
    check_count(name, value, 1, None)


def check_kind(name: str, value: object, kind: type, expected: str) -> None:
    """Require an instance of a class, and not the class itself."""
    if isinstance(value, type) or not isinstance(value, kind):
        raise InvalidArgumentError(name, expected, value)


def check_listener(name: str, value: object) -> None:
    """Require a function that takes an event."""
    if not callable(value):
        raise InvalidArgumentError(name, "callable with an event, plain or async", value)


def check_count(name: str, value: object, lowest: int, highest: int | None) -> None:
    """Require a whole number in a range; `None` for no upper end."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or value < lowest
        or (highest is not None and value > highest)
    ):
        span = f"from {lowest} up" if highest is None else f"from {lowest} to {highest}"
        raise InvalidArgumentError(name, f"a whole number {span}", value)


def check_match(name: str, value: object, pattern: str, expected: str) -> None:
    """Require a string that matches a pattern as a whole."""
    if not (isinstance(value, str) and _compiled(pattern).fullmatch(value)):
        raise InvalidArgumentError(name, expected, value)


_compiled: Final = functools.cache(re.compile)  # the cache of `re` itself takes longer than the match
