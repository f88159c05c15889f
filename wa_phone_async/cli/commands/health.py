"""`wa-phone health`: why numbers cannot send, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import Parameter

from wa_phone_async import InvalidArgumentError, Severity
from wa_phone_async.checks import read_node_id
from wa_phone_async.cli.commands import new_command
from wa_phone_async.cli.connection import HERE, Connection, connect
from wa_phone_async.cli.errors import FOUND
from wa_phone_async.cli.options import Form
from wa_phone_async.cli.terminal.findings import view_of, what_was_done
from wa_phone_async.cli.terminal.output import tell

FailOn = Literal["warning", "error"]

USAGE: Final = "wa-phone health [WABA_ID... | FILE] [OPTIONS]"
EXAMPLES: Final = """\
wa-phone health --sandbox
wa-phone health $WABA_ID
wa-phone health $WABA_ID --fail-on error
wa-phone health numbers.csv --format csv > found.csv
wa-phone health $WABA_ID --checks quality,name
"""

command: Final = new_command("health", USAGE, EXAMPLES)


@command.default
async def check_health(
    *sources: Annotated[str, Parameter(name="WABA_ID")],
    checks: Annotated[str | None, Parameter(metavar="CODES")] = None,
    fail_on: Annotated[FailOn | None, Parameter(metavar="SEVERITY")] = None,
    form: Form = "table",
    connection: Connection = HERE,
) -> int:
    """Say why phone numbers cannot send messages, and what to do.

    It lists the numbers of accounts, or reads a file that wa-phone export has written. Each finding has a severity
    (error, warning or info), a code, a sentence and a remedy. An account, a business or an app that is in trouble is
    one finding with a count of its numbers. The manual explains each code.

    An account costs a call for each 100 numbers, and one more for the checks of the account and its business. A file
    costs none, and needs no token. A line on stderr says what could not be checked, since its fields did not come.

    json is one array of findings. It is closed only when the check is complete. jsonl has an object a line. In csv, a
    text that a spreadsheet would take for a formula begins with an apostrophe.

    The exit status is 4 if there is a finding that --fail-on names.

    Args:
        sources: Ids of the accounts, or one file: .jsonl, .csv or .parquet. Default with --sandbox: accounts that have
            every kind of trouble.
        checks: Codes or groups to check, separated by commas, such as quality,name.declined. Default: all.
        fail_on: Exit with status 4 if something is at least as bad: warning or error.
        form: The output format.
        connection: Where to run.
    """
    is_file = len(sources) == 1 and not sources[0].isdecimal()
    accounts = [] if is_file else [str(read_node_id("waba_id", source)) for source in sources]
    if not sources and not connection.sandbox:
        raise InvalidArgumentError("WABA_ID or FILE", "given, or --sandbox to try it")
    async with connect(connection, needs_token=not is_file) as link:
        if not sources and link.sandbox is not None:
            from wa_phone_async.sandbox.demo import add_troubles  # noqa: PLC0415 - a web server, which few need

            accounts = add_troubles(link.sandbox)
        source: Path | Sequence[str] = Path(sources[0]) if is_file else list(dict.fromkeys(accounts))
        levels = set[Severity]()
        async with link.client.check_health(source, checks=checks) as check:
            view = view_of(form)
            async for finding in check:
                levels.add(finding.severity)
                view.show(finding)
            view.end()
            tell(what_was_done(check.summary))
    return FOUND if fail_on and any(level.reaches(Severity(fail_on)) for level in levels) else 0
