"""`wa-phone list`: the numbers of accounts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import attrs
from cyclopts import Parameter

from wa_phone_async.checks import read_node_id
from wa_phone_async.cli.commands import new_command
from wa_phone_async.cli.connection import HERE, Connection, connect
from wa_phone_async.cli.errors import sentence
from wa_phone_async.cli.options import NoCheck, accounts_to_read, parse_fields, parse_filter, parse_sort
from wa_phone_async.cli.terminal.formats import ExportedRows, JsonArray, PageWriter
from wa_phone_async.cli.terminal.output import complain, counted, tell
from wa_phone_async.errors import AuthenticationError, GraphAPIError, MissingTokenError
from wa_phone_async.models import PhoneNumber
from wa_phone_async.query import ListQuery, field_names

Format = Literal["table", "json", "jsonl", "csv"]

USAGE: Final = "wa-phone list [WABA_ID...] [OPTIONS]"
EXAMPLES: Final = """\
wa-phone list --sandbox
wa-phone list $WABA_ID --sort creation_time.desc
wa-phone list $WABA_ID --filter account_mode=LIVE
wa-phone list $WABA_ID --fields id,status --max-items 10
wa-phone list $WABA_ID $OTHER_ID --format csv > all.csv
wa-phone list $WABA_ID --format json --fields all | jq
"""

command: Final = new_command("list", USAGE, EXAMPLES)


@command.default
async def list_numbers(
    *waba_ids: Annotated[str, Parameter(name="WABA_ID")],
    fields: Annotated[str | None, Parameter(metavar="NAMES")] = None,
    filters: Annotated[
        tuple[str, ...], Parameter(name="--filter", negative=(), show_default=False, metavar="FIELD=VALUE")
    ] = (),
    sort: Annotated[str | None, Parameter(metavar="ORDER")] = None,
    no_check: NoCheck = False,
    limit: Annotated[int, Parameter(metavar="N")] = 100,
    max_items: Annotated[int | None, Parameter(metavar="N")] = None,
    form: Annotated[Format, Parameter(name="--format", metavar="FORMAT")] = "table",
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
        fields: Fields to request, separated by commas, or "all". Default: the columns of the table.
        filters: Only numbers that match, such as account_mode=LIVE. Give it again for a further condition.
        sort: creation_time or last_onboarded_time, with .asc or .desc. Any other text is sent as it is.
        no_check: Send fields, filters and orders as they are. Without it, one that is almost a known one is an error.
        limit: Numbers per page, 1 to 100. Each page is a call, and Meta limits the calls of an hour.
        max_items: The most numbers to list, of all accounts together. Default: all.
        form: The output format.
        connection: Where to run.
    """
    accounts = [str(read_node_id("waba_id", text)) for text in accounts_to_read(waba_ids, connection, sample="large")]
    asked = parse_fields(fields, check=not no_check)
    conditions = [parse_filter(text, check=not no_check) for text in filters]
    order = parse_sort(sort, check=not no_check)

    query = ListQuery.of_numbers(
        fields=asked, filtering=conditions or None, sort=order, limit=limit, max_items=max_items
    )
    count = rejected = 0
    async with connect(connection) as link:
        writer = _writer(form, asked, with_waba_id=len(accounts) > 1, may_drop=fields is None)
        for account in accounts:
            try:
                left = attrs.evolve(query, max_items=max_items and max_items - count)
                async for page in link.client.start_list(account, left).pages():
                    writer.page(account, page.data)
                    count += len(page)
            except (GraphAPIError, MissingTokenError) as error:
                # Where the accounts share the token, the others fail as well.
                if len(accounts) == 1 or (isinstance(error, AuthenticationError) and error.is_shared):
                    raise
                rejected += 1
                complain(f"{account}: {sentence(error)}")
        if not rejected:
            writer.end()
        if form == "table" or sys.stderr.isatty():
            tell(_summary(count, link.calls, len(accounts), writer.left_out))
    return 1 if rejected else 0


def _writer(form: Format, fields: str, *, with_waba_id: bool, may_drop: bool) -> PageWriter[PhoneNumber]:
    if form == "json":
        return JsonArray(with_waba_id=with_waba_id)
    if form == "table":
        from wa_phone_async.cli.terminal.table import PlainTable  # noqa: PLC0415 - rich, which nothing else here needs

        return PlainTable(field_names(fields), with_waba_id=with_waba_id, may_drop=may_drop)
    return ExportedRows(form, fields)


def _summary(numbers: int, calls: int, accounts: int, left_out: Sequence[str]) -> str:
    of_accounts = f" of {accounts:,} accounts" if accounts > 1 else ""
    text = f"{counted(numbers, 'number')}{of_accounts}, {counted(calls, 'call')}"
    if left_out:
        text += f"; a wider terminal shows {', '.join(left_out)} too"
    return text
