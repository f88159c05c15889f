"""Who may call, and what: bearer tokens with their permissions, and proofs of the app secret.

Sources: Meta's guide to secure calls (read 2026-11-22), its reference of `debug_token` and its page of WhatsApp
permissions (both read 2026-11-28).
"""

import hashlib
import hmac
import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from typing import Any

import attrs

from .data import APP_ID, OTHER_NODES, SEEDED, USER_ID, Row
from .messages import GraphError, RejectedError, Request, rejected

MANAGEMENT = "whatsapp_business_management"
"""The permission for accounts and their numbers."""
PORTFOLIO = "business_management"
"""The permission for the accounts that a business owns."""
ALL_SCOPES = (MANAGEMENT, "whatsapp_business_messaging", PORTFOLIO, "public_profile")
"""The permissions of a token by default."""

_APP = {"app_id": APP_ID, "application": OTHER_NODES[APP_ID][1]["name"]}
_USER = OTHER_NODES[USER_ID][1]
_GRANULAR = frozenset({MANAGEMENT, "whatsapp_business_messaging"})


@attrs.frozen(kw_only=True)
class Grant:
    """What a token may do, and for how long."""

    scopes: tuple[str, ...] = ALL_SCOPES
    """Its permissions."""
    waba_ids: tuple[str, ...] | None = None
    """The only accounts that it may call. `None`: it names the seeded ones, newest first as Meta does, and may call
    each account. Empty: it names none, and may call each account."""
    expires_at: int = 0
    """When it expires, in Unix time; 0 for never."""
    may_inspect: bool = True
    """Whether `debug_token` accepts it as the token of the call. Public code of 2026 says of permanent tokens of system
    users that Meta does not (read 2026-11-28)."""

    @property
    def is_expired(self) -> bool:
        """Whether it has expired, by the clock of this machine."""
        return 0 < self.expires_at <= time.time()


_DEFAULT_GRANT = Grant()


class Access:
    """The accepted tokens, and the app secret that each call must prove to know.

    Args:
        tokens: The accepted tokens; `None` accepts any.
        app_secret: The app secret; `None` requires no proof.
    """

    def __init__(self, tokens: Iterable[str] | None, app_secret: str | None) -> None:
        self._accepted = None if tokens is None else set(tokens)
        self._revoked = set[str]()
        self._grants: dict[str, Grant] = {}
        self._app_secret = app_secret

    def accept(self, token: str, grant: Grant = _DEFAULT_GRANT) -> None:
        """Accept a token from now on."""
        self._revoked.discard(token)
        self._grants[token] = grant
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
        if problem := self._problem(token):
            raise RejectedError(problem)
        self._check_proof(request, token)
        return token

    def may_call(self, token: str, waba_id: str) -> bool:
        """Return whether a token may call an account, as far as that is a question of the account.

        Raises:
            RejectedError: The token lacks the permission.
        """
        grant = self._grant(token)
        self.require(token, MANAGEMENT)
        return not grant.waba_ids or waba_id in grant.waba_ids

    def require(self, token: str, scope: str) -> None:
        """Require a permission of a token.

        Raises:
            RejectedError: The token lacks it.
        """
        if scope not in self._grant(token).scopes:
            raise rejected(f"Requires {scope} permission to manage the object", status=403, code=200)

    def inspect(self, request: Request, token: str) -> Row:
        """Return what `debug_token` says of the `input_token` of a request.

        Raises:
            RejectedError: There is no `input_token`, or the token of the call may not inspect any.
        """
        inspected = request.query.get("input_token")
        if not inspected:
            raise rejected("The parameter input_token is required")
        if not self._grant(token).may_inspect:
            raise rejected(
                "You must provide an app access token, or a user access token that is an owner or developer of the app"
            )
        grant, problem = self._grant(inspected), self._problem(inspected)
        data: dict[str, Any] = {"type": "SYSTEM_USER", **_APP, "data_access_expires_at": 0}
        if problem is not None:
            facts = {"code": problem.code, "message": problem.message, "subcode": problem.subcode}
            data["error"] = {name: value for name, value in facts.items() if value is not None}
        named = [*SEEDED][::-1] if grant.waba_ids is None else list(grant.waba_ids)
        granular: list[Row] = [
            {"scope": scope, **({"target_ids": named} if named else {})} for scope in grant.scopes if scope in _GRANULAR
        ]
        data |= {"expires_at": grant.expires_at, "is_valid": problem is None, "issued_at": 1_700_000_000}
        return {"data": {**data, "scopes": list(grant.scopes), "granular_scopes": granular, "user_id": _USER["id"]}}

    def owner(self) -> Row:
        """Return the user of every token, the node `me`."""
        return dict(_USER)

    def _grant(self, token: str) -> Grant:
        return self._grants.get(token, _DEFAULT_GRANT)

    def _problem(self, token: str) -> GraphError | None:
        """Return why a token is invalid, or `None`."""
        if token in self._revoked:
            return _invalid_token("Error validating access token: it has expired or was revoked.", subcode=467)
        if self._accepted is not None and token not in self._accepted:
            # Graph repeats the token in its message: a client must redact messages before it prints them.
            return _invalid_token(f"Malformed access token {token}")
        grant = self._grant(token)
        if grant.is_expired:
            until, now = formatdate(grant.expires_at, usegmt=True), formatdate(usegmt=True)
            text = f"Error validating access token: Session has expired on {until}. The current time is {now}."
            return _invalid_token(text, subcode=463)
        return None

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


def _invalid_token(message: str, subcode: int | None = None) -> GraphError:
    return GraphError(401, 190, message, subcode=subcode)


def _unproven(message: str) -> RejectedError:
    return rejected(message, type="GraphMethodException")
