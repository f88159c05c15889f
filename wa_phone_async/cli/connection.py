"""Where a command runs: the options that commands share, and the client for them."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import attrs
from cyclopts import Group, Parameter

from wa_phone_async.call.retry import RetryPolicy
from wa_phone_async.call.token_map import TokenMap
from wa_phone_async.call.tokens import TokenProvider
from wa_phone_async.client import PhoneNumberClient
from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.events import CallFinished, Event
from wa_phone_async.redaction import Secret, conceal

from .ledger import ledger_of
from .terminal.output import reason
from .terminal.waits import telling_waits

if TYPE_CHECKING:
    from wa_phone_async.sandbox import Sandbox

GROUP: Final = Group("Connection", sort_key=2)


@Parameter(name="*", group=GROUP, negative=(), show_default=False)
@attrs.frozen(kw_only=True)
class Connection:
    """The options that say where a command runs, and with which token."""

    sandbox: Annotated[
        bool, Parameter(help="Use an embedded Graph API with invented accounts: no token, no network.")
    ] = False
    token_file: Annotated[
        Path | None,
        Parameter(help="File with your access token. Default: the token in WA_ACCESS_TOKEN.", metavar="FILE"),
    ] = None
    tokens: Annotated[
        Path | None,
        Parameter(
            help="File with a token for each account, CSV or JSON: a WABA id and its token in each line. "
            "Only you may be able to read it: chmod 600 FILE. "
            "Ids that are not in it get the token of --token-file or WA_ACCESS_TOKEN, if there is one.",
            metavar="FILE",
        ),
    ] = None
    app_secret_file: Annotated[
        Path | None,
        Parameter(
            help="File with your app secret, for apps that require appsecret_proof. "
            "Default: the secret in WA_APP_SECRET, if it is set.",
            metavar="FILE",
        ),
    ] = None
    api_version: Annotated[
        str | None, Parameter(help="Version of the Graph API. [env: WA_API_VERSION; default: v23.0]", metavar="vN.N")
    ] = None
    base_url: Annotated[
        str | None,
        Parameter(help="Address of the API. [env: WA_BASE_URL; default: https://graph.facebook.com]", metavar="URL"),
    ] = None
    debug: Annotated[bool, Parameter(help="Show the traceback of an error.")] = False


@Parameter(name="*", group=GROUP, negative=(), show_default=False)
@attrs.frozen(kw_only=True)
class RegisteringConnection(Connection):
    """The options of a command that registers numbers."""

    registrations: Annotated[
        str | None,
        Parameter(
            help="Where registrations are counted: a file, redis://HOST, or none. Meta allows ten for each number in "
            "72 hours. If the one that you name fails, nothing is sent. If the default one fails, a message says so, "
            "and the registration is sent. [env: WA_REGISTRATIONS; default: wa-phone/registrations.db in "
            "$XDG_STATE_HOME or ~/.local/state]",
            metavar="LEDGER",
        ),
    ] = None


SANDBOX_TOKEN: Final = Secret("sandbox")
"""The token with `--sandbox`."""
HERE: Final = Connection()
"""The default: no option is given."""
REGISTERING_HERE: Final = RegisteringConnection()
"""The default of a command that registers numbers."""


@attrs.define
class Link:
    """An open client, and what is known about its other end."""

    client: PhoneNumberClient
    calls: int = 0
    """How many requests were sent, retries included."""
    business_id: str = ""
    """The business of the sandbox; empty without `--sandbox`."""
    sandbox: Sandbox | None = None
    """The sandbox; `None` without `--sandbox`."""

    def count(self, event: Event) -> None:
        """Count the requests of a call that has ended."""
        if isinstance(event, CallFinished):
            self.calls += event.attempts


@asynccontextmanager
async def connect(
    connection: Connection, retry: RetryPolicy | None = None, *, needs_token: bool = True, shows_waits: bool = False
) -> AsyncGenerator[Link]:
    """Open a client for the options and the environment. With `--sandbox`, start a sandbox for it.

    Args:
        connection: The options.
        retry: The client's retry policy; `None` is the client's default.
        needs_token: Whether the client gets a token. Without one, each of its calls raises what says so.
        shows_waits: Whether the command itself shows that calls wait. Otherwise a line on stderr says so.

    Raises:
        InvalidArgumentError: There is no token, or an option is wrong.
    """
    async with AsyncExitStack() as stack:
        token: Secret | TokenProvider
        app_secret, business_id, sandbox = None, "", None
        if connection.sandbox:
            if connection.base_url is not None:
                raise InvalidArgumentError("--base-url", "left out where --sandbox is given")
            from wa_phone_async.sandbox import Sandbox  # noqa: PLC0415 - a web server, which few commands need

            sandbox = await stack.enter_async_context(Sandbox())
            token, base_url, business_id = SANDBOX_TOKEN, sandbox.url, sandbox.business_id
        else:
            token = _read_token(connection) if needs_token else _no_token
            app_secret = _read_app_secret(connection)
            base_url = connection.base_url or os.environ.get("WA_BASE_URL", "")
        given = {"api_version": connection.api_version or os.environ.get("WA_API_VERSION"), "base_url": base_url}
        option = connection.registrations if isinstance(connection, RegisteringConnection) else None
        ledger = ledger_of(option, is_sandbox=connection.sandbox)
        settings: Any = {name: value for name, value in given.items() if value}  # the client has defaults
        with _named_by_source(connection):
            client = PhoneNumberClient(
                token, app_secret=app_secret, retry=retry, trust_env=True, registrations=ledger, **settings
            )
        link = Link(await stack.enter_async_context(client), business_id=business_id, sandbox=sandbox)
        client.subscribe(link.count)
        if not shows_waits:
            stack.enter_context(telling_waits(client))
        yield link


@contextmanager
def _named_by_source(connection: Connection) -> Generator[None]:
    """Name a wrong setting by the option or the environment variable that it came from."""
    try:
        yield
    except InvalidArgumentError as error:
        sources = {
            "path": _file_option("--tokens", connection.tokens),
            "access_token": _file_option("--token-file", connection.token_file) or "WA_ACCESS_TOKEN",
            "app_secret": _file_option("--app-secret-file", connection.app_secret_file) or "WA_APP_SECRET",
            "api_version": "--api-version" if connection.api_version else "WA_API_VERSION",
            "base_url": "--base-url" if connection.base_url else "WA_BASE_URL",
        }
        sources["default"] = sources["access_token"]  # the common token
        if error.argument == "path":
            error.given = None  # the option shows the file
        error.argument = sources.get(error.argument, error.argument)
        raise


def has_token(connection: Connection) -> bool:
    """Whether there is a token, or a file that should have one."""
    has_file = connection.token_file is not None or connection.tokens is not None
    return has_file or bool(os.environ.get("WA_ACCESS_TOKEN"))


def _read_token(connection: Connection) -> Secret | TokenMap:
    if connection.token_file is not None:
        token = read_secret_file("--token-file", connection.token_file)
    else:
        token = conceal(os.environ.get("WA_ACCESS_TOKEN"))
    if connection.tokens is None:
        return token or _no_token()
    with _named_by_source(connection):
        return TokenMap.from_file(connection.tokens, token or None)


def _no_token(*_: object) -> NoReturn:
    raise InvalidArgumentError(
        "WA_ACCESS_TOKEN",
        "set" if os.environ.get("WA_ACCESS_TOKEN") is None else "set, and not empty",
        hint="export your access token, or give --token-file FILE or --tokens FILE, or --sandbox to try it",
    )


def _read_app_secret(connection: Connection) -> Secret | None:
    if connection.app_secret_file is not None:
        return read_secret_file("--app-secret-file", connection.app_secret_file)
    return conceal(os.environ.get("WA_APP_SECRET")) or None


def read_secret_file(option: str, file: Path) -> Secret:
    """Read a secret from its file, without the line break at its end."""
    secret = Secret()
    try:
        secret = conceal(file.read_text(encoding="utf-8-sig").strip())
        problem = "it is empty"
    except OSError as error:
        problem = reason(error)
    except ValueError:
        problem = "it is not text"
    if not secret:
        expected = "a file that holds what Meta issued, and nothing else"
        raise InvalidArgumentError(_file_option(option, file), expected, hint=problem)
    return secret


def _file_option(option: str, file: Path | None) -> str:
    """Name an option and its file. Without the file if it may be the secret itself, given in the place of its file."""
    if file is None:
        return ""
    return option if re.match(r"EAA|[\w|-]{20,}$", str(file)) else f"{option} {file}"
