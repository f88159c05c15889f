"""How requests reach the API: directly, through a proxy that you name, or through that of the environment.

The environment has `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, in capital or small letters. aiohttp's own `trust_env`
is not used: it reads netrc too, and then raises a bare `ValueError` for each request to a host in it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import unquote, unquote_to_bytes
from urllib.request import getproxies_environment

import attrs
from yarl import URL

from wa_phone_async.checks import NOT_IN_A_URL, is_loopback, split_url
from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.redaction import Secret, conceal

_EXPECTED: Final = (
    "an http:// or https:// URL with a host and without a path, such as 'http://proxy.example:3128' "
    "or 'http://user:password@proxy.example:3128'"
)


@attrs.frozen
class Route:
    """How requests reach the API: directly, or through a proxy."""

    proxy: URL | None = None
    """The address of the proxy, without user and password; `None` for the direct way."""
    connect_headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """What the proxy gets with a CONNECT, before the tunnel to an https:// address. The API does not see it."""
    request_headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """What the proxy gets with each request to an http:// address: it reads these requests itself."""
    secrets: tuple[Secret, ...] = ()
    """What no text of an error may show, even if the proxy echoes it."""


def choose_route(proxy: Secret | None, *, trust_env: object, root: URL) -> Route:
    """Choose how requests reach the API.

    Args:
        proxy: The URL of the proxy, if you name one.
        trust_env: Whether the environment may name one. It never does for this machine itself.
        root: The address of the API.

    Raises:
        InvalidArgumentError: The URL of the proxy is invalid. The error does not hold it.
    """
    if not isinstance(trust_env, bool):
        raise InvalidArgumentError("trust_env", "True or False", trust_env)
    name = "proxy"
    if proxy is None:
        name, proxy = f"{root.scheme.upper()}_PROXY", conceal(getproxies_environment().get(root.scheme))
        host = (root.raw_host or "").removesuffix(".").lower()
        is_direct = not trust_env or is_loopback(host) or _is_excepted(host, root.port)
        if is_direct or not proxy:
            return Route()
        if "://" not in proxy:  # many environments leave the scheme out, as curl allows
            proxy = Secret(f"http://{proxy}")
    route = _read_proxy(proxy, root.scheme)
    if route is None:
        hint = "SOCKS is not supported" if proxy.lower().startswith("socks") else None
        raise InvalidArgumentError(name, _EXPECTED, hint=hint)
    return route


def _is_excepted(host: str, port: int | None) -> bool:
    """Whether `NO_PROXY` names the host: itself, its domain, its network, or `*`. An entry may end in a port."""
    for entry in re.split(r"[\s,]+", getproxies_environment().get("no", "").lower()):
        name, _, only_port = entry.removeprefix("*").removeprefix(".").partition(":")
        is_named = name != "" and f".{host}".endswith(f".{name}") and only_port in {"", str(port)}
        if entry == "*" or is_named or _is_in_network(host, entry):
            return True
    return False


def _is_in_network(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _read_proxy(url: Secret, scheme: str) -> Route | None:
    """Read the URL of a proxy for requests to http:// or https:// addresses; `None` if it is invalid.

    It raises nothing: a traceback would show the password among the local variables.
    """
    parts = None if re.search(NOT_IN_A_URL, url) else split_url(url)
    if parts is None or parts.path not in {"", "/"}:
        return None
    address = URL.build(scheme=parts.scheme, authority=parts.netloc.rpartition("@")[2], encoded=True)
    if parts.username is None:
        return Route(address)
    # Encoded here: aiohttp's `BasicAuth` raises a bare `ValueError` for some users and passwords.
    user, password = unquote_to_bytes(parts.username), unquote_to_bytes(parts.password or "")
    if not user or b":" in user:  # the first colon ends the user (RFC 7617)
        return None
    credentials = Secret(base64.b64encode(b":".join((user, password))).decode())
    secrets = (credentials, Secret(unquote(parts.password or "")))
    headers = {"Proxy-Authorization": Secret(f"Basic {credentials}")}
    if scheme == "https":
        return Route(address, connect_headers=headers, secrets=secrets)
    return Route(address, request_headers=headers, secrets=secrets)
