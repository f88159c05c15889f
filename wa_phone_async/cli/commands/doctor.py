"""`wa-phone doctor`: what is wrong with the set-up."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import attrs
from cyclopts import Parameter

from wa_phone_async import Check, Diagnosis, InvalidArgumentError, to_dict
from wa_phone_async._optional import requires
from wa_phone_async.cli.commands import new_command
from wa_phone_async.cli.connection import HERE, SANDBOX_TOKEN, Connection, connect, has_token
from wa_phone_async.cli.errors import FAILED
from wa_phone_async.cli.terminal.formats import to_json
from wa_phone_async.cli.terminal.output import broken, takes_escapes, terminal_width, use_utf8, write
from wa_phone_async.diagnosis.doctor import check_limiter
from wa_phone_async.redaction import Secret, conceal, printable

Trouble = Literal["expired", "no-permission", "no-accounts", "system-user"]

_TROUBLES: Final[Mapping[Trouble, Mapping[str, Any]]] = {
    "expired": {"expires_in": -3600},
    "no-permission": {"scopes": ["whatsapp_business_messaging"]},
    "no-accounts": {"waba_ids": ()},
    "system-user": {"may_inspect": False},
}
"""What the sandbox's token is then: arguments of `Sandbox.accept`."""
_LEAST: Final = 20  # columns for the sentences
_PING_SECONDS: Final = 2.0
_COLOURS: Final[Mapping[str, str]] = {"ok": "\x1b[32m", "warning": "\x1b[33m", "problem": "\x1b[31m"}

USAGE: Final = "wa-phone doctor [WABA_ID] [OPTIONS]"
EXAMPLES: Final = """\
wa-phone doctor --sandbox
wa-phone doctor
wa-phone doctor --redis redis://127.0.0.1:6379/0
wa-phone doctor --format json | jq .checks
wa-phone doctor --sandbox --trouble expired
"""

command: Final = new_command("doctor", USAGE, EXAMPLES)


@command.default
async def diagnose(
    waba_id: Annotated[str | None, Parameter(name="WABA_ID")] = None,
    /,
    *,
    redis: Annotated[str | None, Parameter(metavar="URL")] = None,
    trouble: Annotated[Trouble | None, Parameter(metavar="KIND")] = None,
    form: Annotated[Literal["table", "json"], Parameter(name="--format", metavar="FORMAT")] = "table",
    connection: Connection = HERE,
) -> int:
    """Check the set-up, from the network to the permissions of the token, and say what to do.

    It looks at versions and extras, the host with its certificate and proxy, the version of the API, the clock, the
    token with its expiry and permissions, the accounts that the token names, the usage of the hourly quotas, and Redis.
    Each check is a line: what is so, and what to do. It takes 17 seconds at most, and changes nothing.

    What cannot be known is left out: without the host, there is no line for the token. No line shows a secret, so you
    can send them to others. The exit status is 1 if there is a problem, and 0 if there are only warnings.

    Args:
        waba_id: Id of an account to read, too. Default: the first account that the token names.
        redis: Address of a Redis in which processes share quotas, without a password. Default: WA_REDIS_URL, if it is
            set. That one may have a password.
        trouble: A token with this trouble, for --sandbox.
        form: The output format.
        connection: Where to run.
    """
    if trouble is not None and not connection.sandbox:
        raise InvalidArgumentError("--trouble", "left out without --sandbox")
    url = _read_redis(redis)
    async with connect(connection, needs_token=connection.sandbox or has_token(connection)) as link:
        if link.sandbox is not None and trouble is not None:
            link.sandbox.accept(SANDBOX_TOKEN, **_TROUBLES[trouble])
        diagnosis = await link.client.diagnose(waba_id=waba_id)
    if url:
        diagnosis = attrs.evolve(diagnosis, checks=(*diagnosis.checks, await _check_redis(url)))
    if form == "json":
        use_utf8()
        write(f"{to_json({'is_ok': diagnosis.is_ok, **to_dict(diagnosis)})}\n")
    else:
        _write_lines(diagnosis)
    return 0 if diagnosis.is_ok else FAILED


def _read_redis(given: str | None) -> Secret:
    """The address of Redis; empty if there is none."""
    if given is not None and "@" in given:
        hint = "other users of this machine can read arguments; export WA_REDIS_URL"
        raise InvalidArgumentError("--redis", "an address without a password", hint=hint)
    return conceal(given or os.environ.get("WA_REDIS_URL"))


async def _check_redis(url: Secret) -> Check:
    try:
        with requires("redis", error=InvalidArgumentError):
            from wa_phone_async.ratelimit.redis import RedisThrottle  # noqa: PLC0415 - an optional package

        [check] = await check_limiter(RedisThrottle(url, app_id="0"), _PING_SECONDS)
    except InvalidArgumentError as error:
        return Check(name="redis", status="problem", finding="Redis cannot be checked.", remedy=f"{error}.")
    return check


def _write_lines(diagnosis: Diagnosis) -> None:
    """Write a line for each check. On a terminal it is broken between words."""
    width, is_coloured = terminal_width(sys.stdout), takes_escapes(sys.stdout)
    names = max(len(check.name) for check in diagnosis.checks)
    statuses = max(map(len, _COLOURS))
    for check in diagnosis.checks:
        head = f"{check.status:{statuses}}  {check.name:{names}}  "
        line = head + printable(" ".join(filter(None, (check.finding, check.remedy))))
        if width is not None:
            later = " " * len(head)
            line = "\n".join(broken(line[len(head) :], max(width, len(head) + _LEAST), first=head, later=later))
        if is_coloured:
            line = line.replace(check.status, f"{_COLOURS[check.status]}{check.status}\x1b[0m", 1)
        write(f"{line}\n")
