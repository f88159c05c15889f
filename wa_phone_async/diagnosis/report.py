"""The result of a diagnosis. It holds no secret."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import attrs

CheckStatus: TypeAlias = Literal["ok", "warning", "problem"]
"""`problem`: something does not work. `warning`: it works, or nobody can know, and you should look at it."""


@attrs.frozen(kw_only=True)
class Check:
    """One thing that can be wrong, and what is so."""

    name: str
    """What was checked: `versions`, `extras`, `host`, `api_version`, `clock`, `token`, `token_expiry`, `permissions`,
    `accounts`, `usage` or `redis`. These names stay as they are; further ones may come."""
    status: CheckStatus
    """How it is: `ok`, `warning` or `problem`."""
    finding: str
    """What is so, as a sentence."""
    remedy: str | None = None
    """What to do, as a sentence. `None` if there is nothing to do."""

    def __str__(self) -> str:
        return f"{self.status}: {self.name}: {self.finding}{'' if self.remedy is None else f' {self.remedy}'}"


@attrs.frozen(kw_only=True)
class TokenInfo:
    """What Meta says of an access token, and not the token itself.

    `GET /debug_token`, Meta's reference and its page of WhatsApp permissions, both read 2026-11-28.
    """

    is_valid: bool
    """Whether the token is valid now."""
    error: str | None = None
    """Why it is invalid, in Meta's words; `None` if Meta does not say."""
    type: str | None = None
    """The type, such as `USER` or `SYSTEM_USER`."""
    app_id: str | None = None
    """The id of the app that the token belongs to."""
    application: str | None = None
    """The name of that app."""
    user_id: str | None = None
    """The id of the user or system user."""
    issued_at: datetime | None = None
    """When it was issued; `None` if Meta does not say."""
    expires_at: datetime | None = None
    """When it expires; `None` for never, or if Meta does not say."""
    data_access_expires_at: datetime | None = None
    """When the app's access to the data of the user ends; `None` for never, or if Meta does not say."""
    scopes: tuple[str, ...] = ()
    """The permissions that were granted, such as `whatsapp_business_management`."""
    waba_ids: tuple[str, ...] = ()
    """The accounts that it names for `whatsapp_business_management` (the `target_ids` of `granular_scopes`), newest
    first. Empty if it names none. It may see accounts all the same, such as those of its business."""


@attrs.frozen(kw_only=True)
class Diagnosis:
    """What `client.diagnose()` found. Print it for a line for each check."""

    checks: tuple[Check, ...]
    """The checks, in the order in which you should read them. A check that was not possible is missing: without the
    host, nothing is known of the token."""
    token: TokenInfo | None = None
    """What Meta says of the token; `None` if Meta did not say it."""

    @property
    def is_ok(self) -> bool:
        """Whether no check found a problem. There may be warnings."""
        return all(check.status != "problem" for check in self.checks)

    def __str__(self) -> str:
        return "\n".join(map(str, self.checks))
