"""Whose access token a call carries: one string for all, or a provider that is asked for each attempt."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import inspect
import weakref
from collections.abc import Awaitable, Callable

from .query import check_secret
from .redaction import Secret, conceal

TokenProvider = Callable[[str, str | None], str | Awaitable[str]]
"""Called positionally as `provider(node_id, rejected)`: the id at the head of the path, and the token that the API has
just rejected in this call, or `None`. It gives the token, or an awaitable of it."""

_Question = tuple[asyncio.AbstractEventLoop, str]


class TokenSource:
    """Gives the token of a call, and asks a provider one question at a time for each id.

    Raises:
        InvalidArgumentError: The access token is neither a callable nor a string that could be one.
    """

    def __init__(self, access_token: Secret | TokenProvider) -> None:
        if isinstance(access_token, Secret):
            check_secret("access_token", access_token)
        self._access_token = access_token
        self._questions: weakref.WeakValueDictionary[_Question, asyncio.Lock] = weakref.WeakValueDictionary()

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
            answer = self._access_token(node_id, rejected)
            token = conceal(await answer if inspect.isawaitable(answer) else answer)
            del answer  # it may be the token, and no traceback shows that
        check_secret("the token that access_token() gave", token)
        return token


def appsecret_proof(token: str, app_secret: str) -> Secret:
    """The proof that a call comes from the app itself: hex HMAC-SHA256 of the token under the app secret.

    Meta's guide to secure Graph calls, read 2026-11-22.
    """
    return Secret(hmac.new(app_secret.encode(), token.encode(), hashlib.sha256).hexdigest())
