"""What Meta says of a token, read and judged. Meta's reference of `debug_token`, read 2026-11-28."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, Final, cast

from wa_phone_async.errors import (
    AuthenticationError,
    DecodeError,
    GraphAPIError,
    InvalidArgumentError,
    RateLimitError,
    ServerError,
    WaPhoneError,
)
from wa_phone_async.usage import Usage, UsageMetric

from .host import span
from .report import Check, CheckStatus, TokenInfo

MANAGEMENT: Final = "whatsapp_business_management"
"""The permission that each call of this library needs. Meta's page of WhatsApp permissions (July 2026, read 2026-11-28)
names it for numbers, and `whatsapp_business_messaging` for messages only. That registering a number needs no other one
is a guess: Meta's page of registration (June 2026) names none."""
_PORTFOLIO: Final = "business_management"
"""The permission for the accounts that a business owns: "only needed if you need to programmatically access your
business portfolio" (the same page)."""
_SOON: Final = timedelta(days=7)
_SHOWN_IDS: Final = 5
_MUCH: Final = 75.0
_FULL: Final = 100.0
_NO_PROOF: Final = "appsecret_proof"
_SYSTEM_USERS: Final = "https://business.facebook.com/settings/system-users"
WHERE_BUSINESS_ID: Final = "Its id stands at https://business.facebook.com/settings, under Business info."
"""Where people find the id of their business (read 2026-11-28)."""
_NEW_TOKEN: Final = f"Make a new token: {_SYSTEM_USERS}."
_CAUSES: Final[Mapping[int | None, str]] = {
    460: "The token is invalid: its user has changed the password.",
    463: "The token has expired.",
    467: "The token is invalid: it has expired or was revoked.",
}
"""What the subcodes of code 190 mean (Meta's guide to errors of the Graph API, read 2026-11-28)."""


def read_token_info(payload: object) -> TokenInfo:
    """Read a response of `debug_token`. A member of another type than expected counts as missing.

    Raises:
        DecodeError: It does not say whether the token is valid.
    """
    data = _object(_object(payload).get("data"))
    if not isinstance(data.get("is_valid"), bool):
        raise DecodeError("the response of debug_token does not say whether the token is valid")
    granted = (_object(item) for item in _array(data.get("granular_scopes")))
    lists = (scope.get("target_ids") for scope in granted if scope.get("scope") == MANAGEMENT)
    targets = map(_text, chain.from_iterable(map(_array, lists)))
    return TokenInfo(
        is_valid=data["is_valid"],
        error=_text(_object(data.get("error")).get("message")),
        type=_text(data.get("type")),
        app_id=_text(data.get("app_id")),
        application=_text(data.get("application")),
        user_id=_text(data.get("user_id")),
        issued_at=_time(data.get("issued_at")),
        expires_at=_time(data.get("expires_at")),
        data_access_expires_at=_time(data.get("data_access_expires_at")),
        scopes=tuple(filter(None, map(_text, _array(data.get("scopes"))))),
        waba_ids=tuple(dict.fromkeys(target for target in targets if target and target.isdecimal())),
    )


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _array(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _text(value: object) -> str | None:
    """A string; some responses have an id as a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def _time(value: object) -> datetime | None:
    """A Unix time; 0 means never."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 253_402_300_800:  # the year 10000
        return None
    return datetime.fromtimestamp(value, UTC)


def cannot_inspect(error: WaPhoneError) -> bool:
    """Whether an error says that Meta does not let this token inspect itself.

    Meta's page of permissions inspects a token by itself or another one. Public code of 2026 says that Meta rejects it
    for permanent tokens of system users: "(#100) You must provide an app access token, or a user access token that is
    an owner or developer of the app" (read 2026-11-28).
    """
    if not isinstance(error, GraphAPIError) or isinstance(error, AuthenticationError | RateLimitError | ServerError):
        return False
    return _NO_PROOF not in error.message


def check_failed(error: WaPhoneError) -> Check:
    """Judge the error of a request with the token."""
    if isinstance(error, InvalidArgumentError):
        return _token("problem", f"There is no token to send: {error}.", "Set WA_ACCESS_TOKEN, or fix your provider.")
    if isinstance(error, GraphAPIError) and _NO_PROOF in error.message:
        if "nvalid" in error.message:
            text = "The app secret is not that of the token's app."
            remedy = "Set app_secret (WA_APP_SECRET) to that of the app that made the token."
        else:
            text = "The app accepts no token without a proof of its secret."
            remedy = "Set app_secret (WA_APP_SECRET): it stands in your app, under App settings, Basic."
        return _token("problem", text, remedy)
    if isinstance(error, AuthenticationError):
        cause = _CAUSES.get(error.error_subcode, "The API does not accept the token.")
        return _token("problem", f"{cause} Meta says: {error.message.rstrip('.')}.", _NEW_TOKEN)
    return _token("warning", f"The token could not be checked: {error}.", "Try again later.")


def check_uninspected(error: WaPhoneError) -> Check:
    """Say that the API accepts the token, and that Meta does not let it inspect itself."""
    said = error.message if isinstance(error, GraphAPIError) else str(error)
    text = f"The API accepts the token, but does not say what it may do: {said.rstrip('.')}."
    remedy = "See its permissions at https://developers.facebook.com/tools/debug/accesstoken/."
    return _token("warning", text, remedy)


def checks_of_token(info: TokenInfo, now: datetime) -> Iterator[Check]:
    """Yield the checks of a token that Meta has described. An invalid one has no other check."""
    ends = min(filter(None, (info.expires_at, info.data_access_expires_at)), default=None)
    if not info.is_valid:
        has_expired = info.expires_at is not None and info.expires_at <= now
        text = f"The token expired on {_day(info.expires_at)}." if has_expired else "The token is invalid."
        said = "" if info.error is None else f" Meta says: {info.error.rstrip('.')}."
        yield _token("problem", f"{text}{said}", _NEW_TOKEN)
        return
    kind = f"The token is valid, of the type {info.type or 'unknown'}"
    app = "" if info.application is None else f', of the app "{info.application}"'
    yield _token("ok", f"{kind}{app}{'' if info.app_id is None else f' ({info.app_id})'}.")
    yield _check_expiry(ends, now, is_of_data=ends is not None and ends != info.expires_at)
    yield _check_permissions(info.scopes)


def _check_expiry(ends: datetime | None, now: datetime, *, is_of_data: bool) -> Check:
    if ends is None:
        return Check(name="token_expiry", status="ok", finding="The token does not expire.")
    what = "The token's access to data ends" if is_of_data else "The token expires"
    if ends - now > _SOON:
        return Check(name="token_expiry", status="ok", finding=f"{what} on {_day(ends)}.")
    left = (ends - now).total_seconds()
    finding = f"{what} in {span(left)}, on {_day(ends)}."
    if left <= 0:
        finding = f"{what.replace('ends', 'ended').replace('expires', 'expired')} on {_day(ends)}."
    remedy = f"Make a new token in time: {_SYSTEM_USERS}. That of a system user can stay valid."
    return Check(name="token_expiry", status="warning", finding=finding, remedy=remedy)


def _check_permissions(scopes: tuple[str, ...]) -> Check:
    if MANAGEMENT not in scopes:
        return Check(
            name="permissions",
            status="problem",
            finding=f"The token lacks the permission {MANAGEMENT}: it can neither list nor change numbers.",
            remedy=f"Generate a token with it: {_SYSTEM_USERS}, Generate new token.",
        )
    finding = f"The token has the permission {MANAGEMENT}."
    if _PORTFOLIO not in scopes:
        finding += f" It lacks {_PORTFOLIO}, which only the list of the accounts that a business owns needs."
    return Check(name="permissions", status="ok", finding=finding)


def check_accounts(info: TokenInfo | None, tried: str | None, error: WaPhoneError | None) -> Check:
    """Say which accounts a token names, and whether the one that was tried can be read.

    Args:
        info: What Meta says of the token; `None` if it says nothing.
        tried: The account that was read, if there was one.
        error: The error of that; `None` if it could be read.
    """
    waba_ids = () if info is None else info.waba_ids
    finding = "Meta does not say which accounts the token names." if info is None else _named(waba_ids)
    status: CheckStatus = "ok"
    remedy = None
    if error is not None:
        is_rejected = isinstance(error, GraphAPIError) and not isinstance(error, RateLimitError | ServerError)
        status = "problem" if is_rejected else "warning"
        finding += f" The account {tried} cannot be read: {str(error).rstrip('.')}."
        remedy = "Try again later."
        if is_rejected:
            remedy = "Check the id, and assign the account to the system user or person of the token."
    elif tried is None:
        status, remedy = "warning", f"List those of your business: wa-phone accounts BUSINESS_ID. {WHERE_BUSINESS_ID}"
    elif tried not in waba_ids:
        finding = f"The token can read the account {tried}."
    return Check(name="accounts", status=status, finding=finding, remedy=remedy)


def _named(waba_ids: tuple[str, ...]) -> str:
    count, more = len(waba_ids), len(waba_ids) - _SHOWN_IDS
    if not count:
        return "The token names no accounts."
    and_more = f" and {more:,} more" if more > 0 else ""
    shown = ", ".join(waba_ids[:_SHOWN_IDS])
    return f"The token names {count:,} account{'' if count == 1 else 's'}: {shown}{and_more}."


def check_usage(waba_id: str | None, usage: Usage | None, of_app: Usage | None) -> Check:
    """Say how much of the hourly quotas is used, by the last responses."""
    app = next((each.app for each in (usage, of_app) if each is not None and each.app is not None), None)
    quotas: list[tuple[str, UsageMetric]] = []
    if usage is not None and usage.waba is not None and waba_id is not None:
        quotas.append((f"of the account {waba_id}", usage.waba))
    if app is not None:
        quotas.append(("of the app", app))
    if not quotas:
        return Check(name="usage", status="ok", finding="The API reports no usage of the hourly quotas.")
    parts = " and ".join(f"{metric.percent:g} % of the hourly quota {whose}" for whose, metric in quotas)
    most = max(metric.percent for _, metric in quotas)
    status: CheckStatus = "ok"
    remedy = None
    if most >= _MUCH:
        status = "problem" if most >= _FULL else "warning"
        wait = max(metric.regain_seconds for _, metric in quotas)
        remedy = "Make fewer calls for an hour." if not wait else f"Wait {span(wait)}: until then calls are rejected."
    return Check(name="usage", status=status, finding=f"Used: {parts}.", remedy=remedy)


def _token(status: CheckStatus, finding: str, remedy: str | None = None) -> Check:
    return Check(name="token", status=status, finding=finding, remedy=remedy)


def _day(time: datetime | None) -> str:
    return "an unknown day" if time is None else f"{time:%Y-%m-%d}"
