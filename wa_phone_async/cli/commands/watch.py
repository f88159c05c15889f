"""`wa-phone watch`: changes to the numbers of accounts."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from wa_phone_async import InvalidArgumentError, Watch, Watches
from wa_phone_async.alerts.alerting import Alerting
from wa_phone_async.alerts.outbox import Receiver
from wa_phone_async.alerts.receivers import AppriseReceiver, CommandReceiver
from wa_phone_async.alerts.webhook import WebhookReceiver
from wa_phone_async.checks import read_node_id
from wa_phone_async.cli.commands import new_command
from wa_phone_async.cli.connection import HERE, Connection, Link, connect, read_secret_file
from wa_phone_async.cli.errors import sentence
from wa_phone_async.cli.options import NoCheck, accounts_to_read, parse_fields
from wa_phone_async.cli.terminal.changes import ChangeView, JsonChanges, TextChanges, WatchedAccount
from wa_phone_async.cli.terminal.output import complain, counted, takes_escapes, tell
from wa_phone_async.cli.terminal.timer import every
from wa_phone_async.redaction import conceal

if TYPE_CHECKING:
    from wa_phone_async.sandbox import Sandbox

Format = Literal["table", "text", "jsonl"]

_SECONDS_PER_REFRESH: Final = 1.0

USAGE: Final = "wa-phone watch [WABA_ID...] [OPTIONS]"
EXAMPLES: Final = """\
wa-phone watch --sandbox --interval 2
wa-phone watch $WABA_ID
wa-phone watch $WABA_ID --fields id,status,name_status
wa-phone watch $WABA_ID $OTHER_ID --format jsonl >> seen
wa-phone watch $WABA_ID --interval 300 --timeout 86400
"""

command: Final = new_command("watch", USAGE, EXAMPLES)


@command.default
async def watch_numbers(
    *waba_ids: Annotated[str, Parameter(name="WABA_ID")],
    interval: Annotated[float, Parameter(metavar="SECONDS")] = 60.0,
    total_timeout: Annotated[float | None, Parameter(name=("--total-timeout", "--timeout"), metavar="SECONDS")] = None,
    fields: Annotated[str, Parameter(metavar="NAMES")] = "all",
    no_check: NoCheck = False,
    on_change: Annotated[str | None, Parameter(metavar="COMMAND")] = None,
    webhook_url: Annotated[str | None, Parameter(metavar="URL", env_var="WA_WEBHOOK_URL")] = None,
    webhook_secret_file: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    notify: Annotated[str | None, Parameter(metavar="URL", env_var="WA_NOTIFY")] = None,
    form: Annotated[Format, Parameter(name="--format", metavar="FORMAT")] = "table",
    connection: Connection = HERE,
) -> int:
    """Show changes to the phone numbers of WhatsApp Business Accounts, until Ctrl-C.

    It polls the list of each account, and shows how it differs from the list before. New and missing numbers are
    changes, too. A terminal shows the state of each account, and below it the changes, newest first. A pipe gets a line
    for each change.

    The next poll comes after a quarter of --interval if something has changed, and after up to four times --interval if
    nothing changes. Polls are also rarer when more than a quarter of the hourly quota is used.

    When an account is throttled, or the API does not respond, it says so and stays. If the API rejects one of several
    accounts, it says so and watches the others. The exit status is then 1; after Ctrl-C it is 130.

    Args:
        waba_ids: Ids of the accounts. Default with --sandbox: the sandbox's account of 3 numbers; one of them changes.
        interval: Seconds between two polls of an account. A poll costs a call for each 100 numbers.
        total_timeout: Seconds after which it ends. Default: it ends with Ctrl-C.
        fields: Fields to request, separated by commas, or "all".
        no_check: Send fields as they are. Without it, one that is almost a known one is an error.
        on_change: Command to run for each alert, without a shell. The alert is in WA_FIELD, WA_OLD, WA_NEW, WA_SENTENCE
            and so on, and as JSON on stdin.
        webhook_url: URL to which each alert is posted as JSON, signed as Meta signs its webhooks.
        webhook_secret_file: File with the secret for the signature. Default: the secret in WA_WEBHOOK_SECRET.
        notify: URL of a service that apprise knows, such as mailto:// or slack://. It needs the extra "alerts".
        form: The output format. The table is for terminals: a pipe gets text instead.
        connection: Where to run.
    """
    wanted = accounts_to_read(waba_ids, connection, sample="small")
    given = list(dict.fromkeys(read_node_id("waba_id", waba_id) for waba_id in wanted))
    asked = parse_fields(fields, check=not no_check)
    async with connect(connection, shows_waits=True) as link, AsyncExitStack() as stack:
        receivers = _receivers(on_change, webhook_url, webhook_secret_file, notify)
        alerting = await stack.enter_async_context(Alerting(receivers, complain))
        changes: Watch | Watches
        if len(given) == 1:  # its polls follow the changes more closely, and its rejection ends the command
            changes = link.client.watch(given[0], interval=interval, total_timeout=total_timeout, fields=asked)
            accounts = [WatchedAccount(changes)]
        else:
            watches = link.client.watch(given, interval=interval, total_timeout=total_timeout, fields=asked)
            changes = await stack.enter_async_context(watches)
            accounts = [WatchedAccount(account) for account in changes.accounts.values()]
        try:
            with _view(form, accounts) as view:
                async with every(_SECONDS_PER_REFRESH, view.refresh), _living(link.sandbox, accounts, interval):
                    await _watch(changes, accounts, view, alerting)
        except asyncio.CancelledError:
            tell(_summary(accounts, link))
            raise
        tell(_summary(accounts, link))
    return 1 if any(account.rejection for account in accounts) else 0


def _view(form: Format, accounts: Sequence[WatchedAccount]) -> AbstractContextManager[ChangeView]:
    if form == "jsonl":
        return JsonChanges(accounts)
    if form == "text" or not takes_escapes(sys.stdout):
        return TextChanges(accounts)
    from wa_phone_async.cli.terminal.live import LiveTable  # noqa: PLC0415 - rich, which nothing else here needs

    return LiveTable(accounts)


def _receivers(
    on_change: str | None, webhook_url: str | None, webhook_secret_file: Path | None, notify: str | None
) -> Iterator[Receiver]:
    """Make what gets alerts."""
    if on_change is not None:
        yield CommandReceiver(on_change)
    if notify is not None:
        yield AppriseReceiver(notify)
    if webhook_url is not None:
        if webhook_secret_file is not None:
            secret = read_secret_file("--webhook-secret-file", webhook_secret_file)
        elif not (secret := conceal(os.environ.get("WA_WEBHOOK_SECRET"))):
            hint = "or give --webhook-secret-file FILE: the receiver checks the signature with it"
            raise InvalidArgumentError("WA_WEBHOOK_SECRET", "set, and not empty", hint=hint)
        yield WebhookReceiver(webhook_url, secret)


async def _watch(
    changes: Watch | Watches, accounts: Sequence[WatchedAccount], view: ChangeView, alerting: Alerting
) -> None:
    """Show the changes of all accounts, and which accounts are rejected."""
    by_id = {account.waba_id: account for account in accounts}

    def tell_rejections() -> None:
        for waba_id, error in changes.rejected.items() if isinstance(changes, Watches) else ():
            if not by_id[waba_id].rejection:
                by_id[waba_id].rejection = sentence(error)
                complain(f"{waba_id}: {by_id[waba_id].rejection}")

    async with every(_SECONDS_PER_REFRESH, tell_rejections):
        async for change in changes:
            by_id[change.waba_id].changes += 1
            view.show(change)
            await alerting.take(change)
    tell_rejections()


@asynccontextmanager
async def _living(sandbox: Sandbox | None, accounts: Sequence[WatchedAccount], seconds: float) -> AsyncGenerator[None]:
    """Change a number in the first account of a sandbox while the block runs."""
    if sandbox is None:
        yield
        return
    from wa_phone_async.sandbox.demo import number_stages  # noqa: PLC0415 - a web server, which few commands need

    async with every(seconds, number_stages(sandbox, accounts[0].waba_id)):
        yield


def _summary(accounts: Sequence[WatchedAccount], link: Link) -> str:
    changes = sum(account.changes for account in accounts)
    of_accounts = f" of {len(accounts):,} accounts" if len(accounts) > 1 else ""
    return f"{counted(changes, 'change')}{of_accounts}, {counted(link.calls, 'call')}"
