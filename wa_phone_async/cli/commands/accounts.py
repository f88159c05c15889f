"""`wa-phone accounts`: the accounts of a token or of a business."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Annotated, Final

import attrs
from cyclopts import Parameter

from wa_phone_async import BadRequestError, BusinessAccount, InvalidArgumentError, PermissionDeniedError
from wa_phone_async.checks import read_node_id
from wa_phone_async.cli.commands import new_command
from wa_phone_async.cli.connection import HERE, Connection, Link, connect
from wa_phone_async.cli.errors import FAILED, sentence
from wa_phone_async.cli.terminal.output import complain, counted, tell
from wa_phone_async.cli.terminal.writers import Format, writer_of
from wa_phone_async.diagnosis.token import WHERE_BUSINESS_ID
from wa_phone_async.models import Extra
from wa_phone_async.query import AccountKind

_KINDS: Final[Mapping[AccountKind, str]] = {"owned": "owned", "client": "shared"}
"""The lists of a business, and the kind that people see."""

USAGE: Final = "wa-phone accounts [BUSINESS_ID] [OPTIONS]"
EXAMPLES: Final = """\
wa-phone accounts --sandbox
wa-phone accounts
wa-phone accounts $BUSINESS_ID
wa-phone accounts $BUSINESS_ID --format csv > accounts.csv
"""

command: Final = new_command("accounts", USAGE, EXAMPLES)


@command.default
async def list_accounts(
    business_id: Annotated[str | None, Parameter(name="BUSINESS_ID")] = None,
    /,
    *,
    form: Annotated[Format, Parameter(name="--format", metavar="FORMAT")] = "table",
    connection: Connection = HERE,
) -> int:
    """List the WhatsApp Business Accounts of a token or of a business.

    Without BUSINESS_ID, it lists the accounts that your token names. Some tokens name none: then give the id of your
    business. It stands at https://business.facebook.com/settings, under Business info.

    With BUSINESS_ID, it lists the accounts that the business owns, and those that clients share with it. Each has its
    kind. For the owned ones, the token needs the permission business_management. If the API rejects one of the two
    lists, a message says so, and the exit status is 1.

    The formats are those of wa-phone list.

    Args:
        business_id: Id of your business. Default: the accounts that the token names.
        form: The output format.
        connection: Where to run.
    """
    if business_id is not None:
        try:
            business_id = read_node_id("business_id", business_id)
        except InvalidArgumentError as error:
            error.argument = "BUSINESS_ID"  # elsewhere it is the value of --business
            raise
    count, first = 0, None
    failures = dict[str, PermissionDeniedError]()
    async with connect(connection) as link:
        writer = writer_of(form, ("id", "name") if business_id is None else ("id", "name", "kind"))
        pages = _of_token(link) if business_id is None else _of_business(link, business_id, failures)
        async for page in pages:
            writer.page("", page)
            count += len(page)
            first = first or next((account.id for account in page), None)
        if business_id is None and not count:
            return FAILED
        if not failures:
            writer.end()
        if form == "table" or sys.stderr.isatty():
            option = " --sandbox" if connection.sandbox else ""
            example = "" if first is None else f"; wa-phone list {first}{option} lists the numbers of the first"
            tell(f"{counted(count, 'account')}, {counted(link.calls, 'call')}{example}")
    return FAILED if failures else 0


async def _of_token(link: Link) -> AsyncGenerator[Sequence[BusinessAccount]]:
    """Yield the accounts that the token names. If there are none, a message says what to do."""
    problem = "the token names no accounts"
    try:
        if found := await link.client.list_token_accounts():
            yield found
            return
    except (BadRequestError, PermissionDeniedError) as error:
        if "appsecret_proof" in error.message:
            raise
        problem = "Meta does not say which accounts this token names"
    complain(f"{problem}: give the id of your business, as in wa-phone accounts BUSINESS_ID. {WHERE_BUSINESS_ID}")


async def _of_business(
    link: Link, business_id: str, failures: dict[str, PermissionDeniedError]
) -> AsyncGenerator[Sequence[BusinessAccount]]:
    """Yield the accounts of a business, page by page: its own, and then those that are shared with it.

    A list that the token may not see is one of the `failures`. Without any list, its error is raised.
    """
    for kind, shown in _KINDS.items():
        try:
            async for page in link.client.list_business_accounts(business_id, kind, fields="id,name").pages():
                yield [attrs.evolve(account, extra=Extra({**account.extra, "kind": shown})) for account in page]
        except PermissionDeniedError as error:
            failures[shown] = error
    if len(failures) == len(_KINDS):
        raise next(iter(failures.values()))
    for shown, failure in failures.items():
        complain(f"{shown} accounts: {sentence(failure)}")
