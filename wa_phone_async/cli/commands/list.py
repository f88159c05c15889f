"""`wa-phone list`: the numbers of accounts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import attrs
from cyclopts import Parameter

from wa_phone_async.checks import read_node_id
from wa_phone_async.cli.commands import new_command
from wa_phone_async.cli.connection import HERE, Connection, Link, connect
from wa_phone_async.cli.errors import sentence
from wa_phone_async.cli.options import Form, NoCheck, accounts_to_read, parse_fields, parse_filter, parse_sort
from wa_phone_async.cli.terminal.formats import ExportedRows, JsonArray, PageWriter
from wa_phone_async.cli.terminal.output import complain, counted, tell
from wa_phone_async.cli.terminal.writers import Format
from wa_phone_async.errors import (
    GraphAPIError,
    InvalidArgumentError,
    MissingTokenError,
    WaPhoneError,
    concerns_all,
)
from wa_phone_async.models import PhoneNumber
from wa_phone_async.query import ListQuery, field_names

Kind = Literal["owned", "client", "all"]

USAGE: Final = "wa-phone list [WABA_ID...] [OPTIONS]"
EXAMPLES: Final = """\
wa-phone list --sandbox
wa-phone list $WABA_ID --sort creation_time.desc
wa-phone list $WABA_ID --filter account_mode=LIVE
wa-phone list $WABA_ID --fields id,status --max-items 10
wa-phone list $WABA_ID $OTHER_ID --format csv > all.csv
wa-phone list --business $BUSINESS_ID
wa-phone list $WABA_ID --format json --fields all | jq
"""

command: Final = new_command("list", USAGE, EXAMPLES)


@command.default
async def list_numbers(
    *waba_ids: Annotated[str, Parameter(name="WABA_ID")],
    business: Annotated[str | None, Parameter(metavar="ID")] = None,
    kind: Annotated[Kind, Parameter(metavar="KIND")] = "owned",
    fields: Annotated[str | None, Parameter(metavar="NAMES")] = None,
    filters: Annotated[
        tuple[str, ...], Parameter(name="--filter", negative=(), show_default=False, metavar="FIELD=VALUE")
    ] = (),
    sort: Annotated[str | None, Parameter(metavar="ORDER")] = None,
    no_check: NoCheck = False,
    limit: Annotated[int, Parameter(metavar="N")] = 100,
    max_items: Annotated[int | None, Parameter(metavar="N")] = None,
    form: Form = "table",
    connection: Connection = HERE,
) -> int:
    """List the phone numbers of WhatsApp Business Accounts.

    A terminal gets a table that fits its width. Names are folded first, then the last columns are left out, and at
    last each field gets a line of its own. Ids and numbers are never cut. A pipe gets one line for each number.

    json is one array of what the API sent, without nulls. It is closed only when the list is complete. jsonl has an
    object a line. jsonl and csv have the columns waba_id, id, the other fields that you request, and extra with the
    rest. export writes the same lines. With several accounts, each row of the table and each object of json begins with
    waba_id.

    If the API rejects one of several accounts, a message says so, and the others are listed. The exit status is then 1.

    Args:
        waba_ids: Ids of the accounts. Default with --sandbox: the sandbox's account of 250 numbers.
        business: Business whose accounts are listed, many in each call.
        kind: With --business: "owned" accounts, those that a "client" shares with the business, or "all".
        fields: Fields to request, separated by commas, or "all". Default: the columns of the table.
        filters: Only numbers that match, such as account_mode=LIVE. Give it again for a further condition.
        sort: creation_time or last_onboarded_time, with .asc or .desc. Any other text is sent as it is.
        no_check: Send fields, filters and orders as they are. Without it, one that is almost a known one is an error.
        limit: Numbers per page, 1 to 100. Each page is a call, and Meta limits the calls of an hour.
        max_items: The most numbers to list, of all accounts together. Default: all.
        form: The output format.
        connection: Where to run.
    """
    if business is not None and waba_ids:
        raise InvalidArgumentError("WABA_ID", "left out where --business is given")
    accounts: list[str] = []
    if business is None:
        texts = accounts_to_read(waba_ids, connection, sample="large")
        accounts = [str(read_node_id("waba_id", text)) for text in texts]
    asked = parse_fields(fields, check=not no_check)
    conditions = [parse_filter(text, check=not no_check) for text in filters]
    order = parse_sort(sort, check=not no_check)

    query = ListQuery.of_numbers(
        fields=asked, filtering=conditions or None, sort=order, limit=limit, max_items=max_items
    )
    async with connect(connection) as link:
        writer = _writer(form, asked, with_waba_id=len(accounts) != 1, may_drop=fields is None)
        if business is None:
            listed = await _list_accounts(link, accounts, query, writer)
        else:
            listed = await _list_fleet(link, business, kind, query, writer)
        if not listed.rejected:
            writer.end()
        if form == "table" or sys.stderr.isatty():
            tell(_summary(listed, link.calls, writer.left_out))
    return 1 if listed.rejected else 0


@attrs.define
class Listed:
    """What was listed."""

    accounts: int
    numbers: int = 0
    rejected: int = 0
    """Accounts that the API rejected."""

    def reject(self, waba_id: str, error: WaPhoneError) -> None:
        """Say that an account was rejected."""
        self.rejected += 1
        complain(f"{waba_id}: {sentence(error)}")


async def _list_accounts(
    link: Link, accounts: Sequence[str], query: ListQuery, writer: PageWriter[PhoneNumber]
) -> Listed:
    listed = Listed(len(accounts))
    for account in accounts:
        try:
            left = attrs.evolve(query, max_items=query.max_items and query.max_items - listed.numbers)
            async for page in link.client.start_list(account, left).pages():
                writer.page(account, page.data)
                listed.numbers += len(page)
        except (GraphAPIError, MissingTokenError) as error:
            # Where the accounts share the token, the others fail as well.
            if len(accounts) == 1 or concerns_all(error):
                raise
            listed.reject(account, error)
    return listed


async def _list_fleet(
    link: Link, business: str, kind: Kind, query: ListQuery, writer: PageWriter[PhoneNumber]
) -> Listed:
    listed, most = Listed(0), query.max_items
    async with link.client.start_fleet(business, query, kind=kind, ordered=True) as listings:
        async for listing in listings:
            if most is not None and listed.numbers >= most:
                break
            listed.accounts += 1
            if listing.error is not None:
                listed.reject(listing.waba_id, listing.error)
            numbers = listing.phone_numbers[: None if most is None else most - listed.numbers]
            writer.page(listing.waba_id, numbers)
            listed.numbers += len(numbers)
    return listed


def _writer(form: Format, fields: str, *, with_waba_id: bool, may_drop: bool) -> PageWriter[PhoneNumber]:
    if form == "json":
        return JsonArray(with_waba_id=with_waba_id)
    if form == "table":
        from wa_phone_async.cli.terminal.table import PlainTable  # noqa: PLC0415 - rich, which nothing else here needs

        return PlainTable(field_names(fields), with_waba_id=with_waba_id, may_drop=may_drop)
    return ExportedRows(form, fields)


def _summary(listed: Listed, calls: int, left_out: Sequence[str]) -> str:
    of_accounts = "" if listed.accounts == 1 else f" of {counted(listed.accounts, 'account')}"
    text = f"{counted(listed.numbers, 'number')}{of_accounts}, {counted(calls, 'call')}"
    if left_out:
        text += f"; a wider terminal shows {', '.join(left_out)} too"
    return text
