"""What a response without a token says of the way to the API: its host, a proxy, its version, and the clock."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.request import getproxies_environment

import attrs
from yarl import URL

from wa_phone_async.call.transport import HttpResponse
from wa_phone_async.errors import FailedAt, RequestTimeoutError, TransportError, WaPhoneError

from .report import Check

_CLOCK_TOLERANCE: Final = 60.0
_VERSION: Final = re.compile(r"v([0-9]{1,3})\.([0-9]{1,2})")
_PROXY_AUTHENTICATION: Final = 407


@attrs.frozen
class Destination:
    """Where a client sends its requests."""

    base_url: URL
    """The address of the API."""
    api_version: str
    """The version of the API that it requests."""
    proxy: URL | None
    """The proxy, without user and password; `None` for the direct way."""
    is_borrowed: bool
    """Whether it sends over a borrowed aiohttp session, which may have a proxy of its own."""

    @property
    def host(self) -> str:
        """The host of the API, with its port if that is not the usual one."""
        return str(self.base_url.raw_host if self.base_url.is_default_port() else self.base_url.raw_authority)

    @property
    def via(self) -> str:
        """The proxy as the end of a phrase."""
        return "" if self.proxy is None else f" through the proxy {self.proxy}"


def check_host(to: Destination, result: HttpResponse | WaPhoneError) -> Check:
    """Judge the response to a request without a token, or the error that came instead."""
    if isinstance(result, WaPhoneError):
        finding, remedy = _failure(to, result)
    elif result.http_status == _PROXY_AUTHENTICATION:
        finding = f"{to.host} cannot be reached{to.via}: the proxy wants a user name and a password."
        remedy = _CREDENTIALS
    elif not _is_graph(result):
        finding = f"{to.host} responds{to.via} with HTTP {result.http_status}, but not as the Graph API does."
        remedy = "Check base_url (WA_BASE_URL): a proxy or another server may have responded."
    else:
        trusted = ", and its certificate is trusted" if to.base_url.scheme == "https" else ""
        return Check(name="host", status="ok", finding=f"{to.host} responds{to.via}{trusted}.")
    return Check(name="host", status="problem", finding=finding, remedy=remedy)


_CREDENTIALS: Final = "Put them into the address of the proxy: http://user:password@proxy.example:3128."


def _failure(to: Destination, error: WaPhoneError) -> tuple[str, str]:
    """What failed, and what to do."""
    if isinstance(error, RequestTimeoutError):
        finding = f"{to.host} does not respond in time{to.via}."
        stage: FailedAt = "connection"
    else:
        text = str(error)
        reason = text.partition(": ")[2] or text
        finding = f"{to.host} cannot be reached{to.via}: {reason}."
        stage = error.failed_at if isinstance(error, TransportError) else "response"
    remedy = {
        "dns": f"Check the network, and the name {to.base_url.host} in base_url (WA_BASE_URL).",
        "connection": f"Check the network: a firewall must let connections to {to.host} through.",
        "tls": "Check the clock of this machine and its trusted certificates. If a firewall replaces certificates, "
        "name the file with its own in SSL_CERT_FILE.",
        "proxy": _CREDENTIALS if "password" in finding else _of_proxy(to),
        "response": "Check base_url (WA_BASE_URL), and try again.",
    }[stage]
    unused = getproxies_environment().get(to.base_url.scheme)
    if unused and to.proxy is None and not to.is_borrowed:
        # Its value is not shown: it may hold a password.
        variable = f"{to.base_url.scheme.upper()}_PROXY"
        remedy += f" {variable} names a proxy that this client does not use: pass trust_env=True."
    return finding, remedy


def _of_proxy(to: Destination) -> str:
    return f"Check the address of the proxy (HTTPS_PROXY), and whether it allows {to.host}. NO_PROXY names exceptions."


def _is_graph(response: HttpResponse) -> bool:
    """Whether a response comes from the Graph API: it names its version, or has an error with a code."""
    if "facebook-api-version" in response.headers:
        return True
    try:
        payload = json.loads(response.body)
        return isinstance(payload["error"]["code"], int)
    except (ValueError, LookupError, TypeError, RecursionError):
        return False


def checks_of_headers(to: Destination, headers: Mapping[str, str], now: datetime) -> Iterator[Check]:
    """Yield the checks of the version of the API, and of the clock. What the headers do not say has no check."""
    served, requested = _VERSION.fullmatch(headers.get("facebook-api-version", "")), _VERSION.fullmatch(to.api_version)
    if served and requested:
        yield _check_version(requested, served)
    if (date := date_of(headers)) is not None:
        yield _check_clock((now - date).total_seconds())


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """The time of the server; `None` if it does not say."""
    try:
        date = parsedate_to_datetime(headers["Date"])
    except (KeyError, ValueError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _check_version(requested: re.Match[str], served: re.Match[str]) -> Check:
    wanted, used = requested[0], served[0]
    if wanted == used:
        return Check(name="api_version", status="ok", finding=f"The API serves the version {wanted}.")
    return Check(
        name="api_version",
        status="warning",
        finding=f"The version {wanted} was requested, and the API serves {used}.",
        remedy=f"Set api_version (WA_API_VERSION) to a version that Meta supports, such as {used}.",
    )


def _check_clock(seconds: float) -> Check:
    """Judge how far the clock of this machine is ahead of the API's."""
    if abs(seconds) <= _CLOCK_TOLERANCE:
        return Check(name="clock", status="ok", finding="The clock of this machine is right.")
    direction = "ahead of" if seconds > 0 else "behind"
    return Check(
        name="clock",
        status="warning",
        finding=f"The clock of this machine is {span(abs(seconds))} {direction} that of the API.",
        remedy="Set it, best by NTP: certificates, times of expiry and your logs depend on it.",
    )


def span(seconds: float) -> str:
    """A length of time for people, in its largest unit: `3 hours`."""
    units = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
    size, unit = next((each for each in units if seconds >= each[0]), units[-1])
    count = int(seconds // size)
    return f"{count:,} {unit}" if count == 1 else f"{count:,} {unit}s"
