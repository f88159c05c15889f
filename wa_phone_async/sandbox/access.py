"""Who may call: bearer tokens, and proofs of the app secret (Meta's guide to secure calls, read 2026-11-22)."""

import hashlib
import hmac
import re
from collections.abc import Iterable

from .messages import GraphError, RejectedError, Request, rejected


class Access:
    """The accepted tokens, and the app secret that each call must prove to know.

    Args:
        tokens: The accepted tokens; `None` accepts any.
        app_secret: The app secret; `None` requires no proof.
    """

    def __init__(self, tokens: Iterable[str] | None, app_secret: str | None) -> None:
        self._accepted = None if tokens is None else set(tokens)
        self._revoked = set[str]()
        self._app_secret = app_secret

    def accept(self, token: str) -> None:
        """Accept a token from now on."""
        self._revoked.discard(token)
        if self._accepted is not None:
            self._accepted.add(token)

    def revoke(self, token: str) -> None:
        """Reject a token from now on."""
        self._revoked.add(token)

    def check(self, request: Request, no_token: GraphError) -> str:
        """Return the token of a request.

        Raises:
            RejectedError: The token is missing, revoked or unknown, or the proof is missing or wrong.
        """
        token = read_token(request)
        if not token:
            raise RejectedError(no_token)
        if token in self._revoked:
            raise _invalid_token("Error validating access token: it has expired or was revoked.", subcode=467)
        if self._accepted is not None and token not in self._accepted:
            # Graph repeats the token in its message: a client must redact messages before it prints them.
            raise _invalid_token(f"Malformed access token {token}")
        self._check_proof(request, token)
        return token

    def _check_proof(self, request: Request, token: str) -> None:
        if self._app_secret is None:
            return
        proof = request.query.get("appsecret_proof")
        if proof is None:
            raise _unproven("API calls from the server require an appsecret_proof argument")
        expected = hmac.new(self._app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(proof.encode(), expected.encode()):
            raise _unproven("Invalid appsecret_proof provided in the API argument")


def read_token(request: Request) -> str | None:
    """Return the token from the header or, as Graph allows too, from the query."""
    bearer = re.fullmatch(r"(?i:bearer|oauth) +([!-~]+)", request.headers.get("Authorization", ""))
    return bearer[1] if bearer else request.query.get("access_token")


def _invalid_token(message: str, subcode: int | None = None) -> RejectedError:
    return RejectedError(GraphError(401, 190, message, subcode=subcode))


def _unproven(message: str) -> RejectedError:
    return rejected(message, type="GraphMethodException")
