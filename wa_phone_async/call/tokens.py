"""Whose access token a call carries: one string for all, or a provider that is asked for each attempt."""

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

from wa_phone_async.checks import check_secret
from wa_phone_async.errors import AuthenticationError
from wa_phone_async.redaction import Secret, conceal

TokenProvider = Callable[[str, str | None], str | Awaitable[str]]
"""Called positionally as `provider(node_id, rejected)`: the id at the head of the path, and the token that the API has
just rejected in this call, or `None`. It gives the token, or an awaitable of it."""

K = TypeVar("K")
T = TypeVar("T")

_MAX_REMEMBERED: Final = 10_000

_Question = tuple[asyncio.AbstractEventLoop, str]


class _Rejection(NamedTuple):
    """Why a token was rejected last: the how-manieth rejection it was, for which node, and whether for others too."""

    number: int
    error: AuthenticationError
    node_id: str
    is_shared: bool


class TokenSource:
    """Gives the token of a call, and remembers which were rejected.

    A provider is asked one question at a time for each id. Of many calls for an id whose token was rejected, the
    first asks for another, and all get its answer.

    Raises:
        InvalidArgumentError: The access token is neither a callable nor a string that could be one.
    """

    def __init__(self, access_token: Secret | TokenProvider) -> None:
        if isinstance(access_token, Secret):
            check_secret("access_token", access_token)
        self._access_token = access_token
        self._questions: weakref.WeakValueDictionary[_Question, asyncio.Lock] = weakref.WeakValueDictionary()
        self._successors: dict[str, tuple[str, Secret]] = {}  # of an id: what was rejected, and what came for it
        self._rejections: dict[Secret, _Rejection] = {}
        self.rejections_so_far: int = 0
        """How many rejections have been told."""

    async def token(self, node_id: str, rejected: str | None) -> Secret:
        """The token for calls on a node.

        Raises:
            InvalidArgumentError: The provider gave something that is no token.
        """
        if isinstance(self._access_token, Secret):
            return self._access_token
        question = (asyncio.get_running_loop(), node_id)  # a loop that ended may have left one open
        lock = self._questions.setdefault(question, asyncio.Lock())  # it lives as long as somebody asks
        async with lock:
            known, successor = self._successors.get(node_id, (None, None))
            if rejected is not None and rejected == known and successor is not None:
                return successor
            answer = self._access_token(node_id, rejected)
            token = conceal(await answer if inspect.isawaitable(answer) else answer)
            del answer  # it may be the token, and no traceback shows that
            check_secret("access_token()", token)
            if rejected is not None:
                _remember(self._successors, node_id, (rejected, token))
            elif token == known:
                del self._successors[node_id]  # given again, it is asked about again
            return token

    def reject(self, token: Secret, error: AuthenticationError, node_id: str) -> None:
        """Tell that the API has rejected a token in a call on a node."""
        self.rejections_so_far += 1
        is_shared = self.is_shared(token, node_id)
        rejection = _Rejection(self.rejections_so_far, _bare(error), node_id, is_shared)
        _remember(self._rejections, token, rejection)

    def rejection(self, token: Secret, *, after: int) -> AuthenticationError | None:
        """Why a token is of no use any more to a call that began `after` so many rejections, if it is not.

        A call that begins later tries again: what was rejected may be accepted by then.
        """
        last = self._rejections.get(token)
        return _bare(last.error) if last and last.number > after else None  # each call raises its own

    def is_shared(self, token: Secret | None, node_id: str) -> bool:
        """Whether a token is known to be that of other nodes too: the only one, or rejected for another already."""
        last = None if token is None else self._rejections.get(token)
        return isinstance(self._access_token, Secret) or (
            last is not None and (last.is_shared or last.node_id != node_id)
        )


def _bare(error: AuthenticationError) -> AuthenticationError:
    """A copy without a traceback: where tblib is installed, as Dask does, a copy would have it too."""
    return copy.copy(error).with_traceback(None)


def _remember(memory: dict[K, T], key: K, value: T) -> None:
    """Write down what is newest, and forget what is oldest when there is too much."""
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > _MAX_REMEMBERED:
        del memory[next(iter(memory))]


def appsecret_proof(token: str, app_secret: str) -> Secret:
    """The proof that a call comes from the app itself: hex HMAC-SHA256 of the token under the app secret.

    Meta's guide to secure Graph calls, read 2026-11-22.
    """
    return Secret(hmac.new(app_secret.encode(), token.encode(), hashlib.sha256).hexdigest())


@functools.lru_cache
def token_digest(token: str) -> str:
    """A short name for a token, for a `RateLimiter`. The token cannot be read from it."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]
