"""Where a command runs: the options that all commands share, and the client that is made of them."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import attrs
from cyclopts import Group, Parameter

from wa_phone_async import CallFinished, Event, InvalidArgumentError, PhoneNumberClient, RetryPolicy, TokenProvider

from .output import reason
from .patience import tell_wait

if TYPE_CHECKING:
    from wa_phone_async.sandbox import Sandbox

GROUP: Final = Group("Connection", sort_key=2)


@Parameter(name="*", group=GROUP, negative=(), show_default=False)
@attrs.frozen(kw_only=True)
class Connection:
    """Options that say where a command runs, and as whom."""

    sandbox: Annotated[
        bool, Parameter(help="Run against an embedded Graph API with invented accounts: no token, no network.")
    ] = False
    token_file: Annotated[
        Path | None,
        Parameter(help="File that holds the access token. [env, the token itself: WA_ACCESS_TOKEN]", metavar="FILE"),
    ] = None
    app_secret_file: Annotated[
        Path | None,
        Parameter(
            help="File that holds the app secret, with which calls carry appsecret_proof. "
            "[env, the secret itself: WA_APP_SECRET]",
            metavar="FILE",
        ),
    ] = None
    api_version: Annotated[
        str | None, Parameter(help="Version of the Graph API. [env: WA_API_VERSION; default: v23.0]", metavar="vN.N")
    ] = None
    base_url: Annotated[
        str | None,
        Parameter(help="Where the API lives. [env: WA_BASE_URL; default: https://graph.facebook.com]", metavar="URL"),
    ] = None
    debug: Annotated[bool, Parameter(help="Show a traceback with an error.")] = False


HERE: Final = Connection()
"""The options as they are where none is given."""


@attrs.define
class Link:
    """A client, and the calls that it made."""

    client: PhoneNumberClient
    calls: int = 0
    """How many requests were sent, repeated ones included."""
    business_id: str = ""
    """The business whose accounts are there to be tried, in a sandbox."""
    sandbox: Sandbox | None = None
    """The sandbox itself, with `--sandbox`."""

    def hear(self, event: Event) -> None:
        """Something happened to a call."""
        if isinstance(event, CallFinished):
            self.calls += event.attempts


@asynccontextmanager
async def connect(
    connection: Connection, retry: RetryPolicy | None = None, *, others_call: bool = False, shows_waits: bool = False
) -> AsyncGenerator[Link]:
    """Open a client as the options and the environment say; with `--sandbox`, to a sandbox of its own.

    Args:
        connection: The options.
        retry: How patient it is.
        others_call: Whether it makes no calls itself, so that it needs no token.
        shows_waits: Whether the command shows by itself that calls wait; otherwise a line on stderr says so.

    Raises:
        InvalidArgumentError: There is no token, or an option is wrong.
    """
    async with AsyncExitStack() as stack:
        token: str | TokenProvider
        app_secret, business_id, sandbox = None, "", None
        if connection.sandbox:
            if connection.base_url is not None:
                raise InvalidArgumentError("--sandbox and --base-url exclude each other: give one of them")
            from wa_phone_async.sandbox import Sandbox  # noqa: PLC0415 - a web server, which few commands need

            sandbox = await stack.enter_async_context(Sandbox())
            token, base_url, business_id = "sandbox", sandbox.url, sandbox.business_id
        else:
            token = _no_token if others_call else _read_token(connection)
            app_secret = _read_app_secret(connection)
            base_url = connection.base_url or os.environ.get("WA_BASE_URL", "")
        given = {"api_version": connection.api_version or os.environ.get("WA_API_VERSION"), "base_url": base_url}
        settings: Any = {name: value for name, value in given.items() if value}  # the others are the client's to choose
        client = PhoneNumberClient(token, app_secret=app_secret, retry=retry, **settings)
        link = Link(await stack.enter_async_context(client), business_id=business_id, sandbox=sandbox)
        client.subscribe(link.hear)
        if not shows_waits:
            client.subscribe(tell_wait)
        yield link


def _read_token(connection: Connection) -> str:
    if connection.token_file is not None:
        return _read_secret("--token-file", connection.token_file)
    if token := os.environ.get("WA_ACCESS_TOKEN"):
        return token
    return _no_token()


def _no_token(*_: object) -> NoReturn:
    raise InvalidArgumentError(
        "no access token: export WA_ACCESS_TOKEN, or give --token-file FILE, or try it with --sandbox"
    )


def _read_app_secret(connection: Connection) -> str | None:
    if connection.app_secret_file is not None:
        return _read_secret("--app-secret-file", connection.app_secret_file)
    return os.environ.get("WA_APP_SECRET") or None


def _read_secret(option: str, file: Path) -> str:
    """What the file holds, without the line break at its end.

    The file's name is in no message, since it is the secret itself where someone took the option for another one.
    """
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        problem = reason(error)
    except ValueError:
        problem = "it is no text"
    raise InvalidArgumentError(f"cannot read {option}: {problem}; it wants the name of a file")
