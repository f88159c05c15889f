"""Where Redis is: the checks of its address, and the pool of connections to it."""

from __future__ import annotations

import re
from typing import Final

from wa_phone_async._optional import requires
from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.redaction import Secret

with requires("redis"):
    from redis.asyncio import ConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

_REASONS: Final = {
    "AuthenticationError": "it rejects the password",
    "ConnectionError": "there is no connection",
    "NoPermissionError": "its user may not do this",
}


def open_pool(url: Secret) -> ConnectionPool:
    """Make a connection pool, for one event loop. It opens no connection yet."""
    # Its options have no types. It must not retry: that is for the caller to decide.
    return ConnectionPool.from_url(url, decode_responses=True, retry=Retry(NoBackoff(), 0))  # pyright: ignore[reportUnknownMemberType]


def reason_of(error: Exception) -> str:
    """Say in a few words why Redis failed. The error's own text is not shown: it can hold the address."""
    return _REASONS.get(type(error).__name__, type(error).__name__)


def check_address(url: Secret) -> None:
    """Require the address of a Redis. No error shows it."""
    try:
        open_pool(url).make_connection()  # type: ignore[no-untyped-call]  # redis-py's own
    except (TypeError, ValueError):  # their texts may have the password in them
        is_address = False
    else:
        is_address = True
    if not is_address:  # out of the `except`, or the error would have the other one as context
        raise InvalidArgumentError("url", "the address of a Redis, such as 'redis://127.0.0.1:6379/0'")


def check_prefix(prefix: object) -> None:
    """Require what keys may begin with."""
    if not isinstance(prefix, str) or not re.fullmatch(r"[^\s{}]+", prefix):
        raise InvalidArgumentError("prefix", "a word without braces, such as 'wa_phone_async'", prefix)
