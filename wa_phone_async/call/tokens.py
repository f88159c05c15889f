"""The access token of each call: one token for all, or that of a provider, which is called for each attempt.

Many calls may carry the same token when the API rejects it. `TokenSource` then calls the provider once for each id, and
gives the new token to all calls for that id.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import hashlib
import hmac
import inspect
import weakref
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeVar

from wa_phone_async.checks import read_secret
from wa_phone_async.concurrency import LoopLocal
from wa_phone_async.errors import AuthenticationError
from wa_phone_async.redaction import Secret, conceal

from .token_map import TokenMap

TokenProvider = Callable[[str, str | None], str | Awaitable[str]]
"""A function that returns the token, or an awaitable of it: `provider(node_id, rejected)`, called positionally.

`node_id` is the id at the head of the path, or the account that the call names. `rejected` is the token that the API
has just rejected in this call, or `None`.
"""

K = TypeVar("K")
T = TypeVar("T")

_MAX_REMEMBERED: Final = 10_000


class _Rejection(NamedTuple):
    """The last time that the API rejected a token."""

    number: int
    """Its serial number among all rejections."""
    error: AuthenticationError
    node_id: str
    is_shared: bool
    """Whether the token is known to be that of other nodes too."""


class TokenSource:
    """Gives the token of each call, and remembers which tokens the API rejected.

    It calls a provider once at a time for each id. When many calls for an id have the same rejected token, the first
    one calls the provider, and all get its new token.

    Raises:
        InvalidArgumentError: The access token is neither a function nor a string that could be a token.
    """

    def __init__(self, access_token: Secret | TokenProvider) -> None:
        if isinstance(access_token, Secret):
            access_token = read_secret("access_token", access_token)
        self._access_token = access_token
        self.only_token: Secret | None = access_token if isinstance(access_token, Secret) else None
        """The token of all calls; `None` if a provider gives one for each attempt."""
        # By id, in each loop: a loop that ended within a provider's call may have left its lock locked.
        self._locks = LoopLocal(weakref.WeakValueDictionary[str, asyncio.Lock])
        self._successors: dict[str, tuple[str, Secret]] = {}  # by id: the rejected token, and the one that came for it
        self._rejections: dict[Secret, _Rejection] = {}
        self.rejections_so_far: int = 0
        """Number of rejections so far."""

    async def token(self, node_id: str, rejected: str | None) -> Secret:
        """The token for calls on a node.

        Raises:
            InvalidArgumentError: The provider returned something that is no token.
        """
        if isinstance(self._access_token, Secret):
            return self._access_token
        # The dictionary keeps a lock only while a call refers to it.
        lock = self._locks.get().setdefault(node_id, asyncio.Lock())
        async with lock:
            known, successor = self._successors.get(node_id, (None, None))
            if rejected is not None and rejected == known and successor is not None:
                return successor
            provided = self._access_token(node_id, rejected)
            token = conceal(await provided if inspect.isawaitable(provided) else provided)
            del provided  # it may be the bare token, and a traceback would show it among the local variables
            token = read_secret("access_token()", token)
            if rejected is not None:
                _remember(self._successors, node_id, (rejected, token))
            elif token == known:
                del self._successors[node_id]  # valid again: its next rejection calls the provider again
            return token

    def reject(self, token: Secret, error: AuthenticationError, node_id: str) -> None:
        """Note that the API rejected a token in a call on a node."""
        self.rejections_so_far += 1
        is_shared = self.is_shared(token, node_id)
        rejection = _Rejection(self.rejections_so_far, _without_traceback(error), node_id, is_shared)
        _remember(self._rejections, token, rejection)

    def rejection(self, token: Secret, *, after: int) -> AuthenticationError | None:
        """The error of a token, if the API rejected it later than the given number of rejections; otherwise `None`.

        A call passes the number from its start. An older rejection does not count: the API may accept the token by now.
        """
        last = self._rejections.get(token)
        return _without_traceback(last.error) if last and last.number > after else None  # each call raises its own copy

    def is_shared(self, token: Secret | None, node_id: str) -> bool:
        """Whether a token is known to be that of other nodes too: the only one, or rejected for another node.

        With a `TokenMap` it is not enough that some share it: the other accounts of the map have tokens of their own.
        """
        if isinstance(self._access_token, TokenMap):
            return len(self._access_token) == 0
        last = None if token is None else self._rejections.get(token)
        return isinstance(self._access_token, Secret) or (
            last is not None and (last.is_shared or last.node_id != node_id)
        )


def _without_traceback(error: AuthenticationError) -> AuthenticationError:
    """A copy without a traceback. If tblib is installed, as with Dask, a plain copy would keep it."""
    return copy.copy(error).with_traceback(None)


def _remember(memory: dict[K, T], key: K, value: T) -> None:
    """Keep the newest entries: put this one last, and delete the first one if there are too many."""
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > _MAX_REMEMBERED:
        del memory[next(iter(memory))]


def appsecret_proof(token: str, app_secret: str) -> Secret:
    """The proof that a request comes from the app itself: hex HMAC-SHA256 of the token by the app secret.

    Meta's guide to secure Graph calls, read 2026-11-22.
    """
    return Secret(hmac.new(app_secret.encode(), token.encode(), hashlib.sha256).hexdigest())


@functools.lru_cache
def token_digest(token: str) -> str:
    """A short name for a token, for a `RateLimiter`. The token cannot be read from it."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]
