"""`wa-phone webhooks`: whose webhooks get lost, and bulk edits of callback URLs that can be undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from wa_phone_async import BulkEdit, InvalidArgumentError, Severity
from wa_phone_async.checks import read_node_id
from wa_phone_async.cli.bulk_edits import (
    Flag,
    IdsFile,
    JournalFile,
    Sample,
    Targets,
    journal_to_write,
    run_edit,
    with_past_edit,
    with_targets,
)
from wa_phone_async.cli.commands import new_command, new_subcommand
from wa_phone_async.cli.connection import HERE, Connection, Link, connect
from wa_phone_async.cli.errors import FOUND
from wa_phone_async.cli.options import Form
from wa_phone_async.cli.terminal.findings import view_of, what_was_done
from wa_phone_async.cli.terminal.output import tell
from wa_phone_async.cli.verify_tokens import SANDBOX_VERIFY_TOKEN, read_verify_token, read_verify_tokens
from wa_phone_async.edits.targets import EditLevel
from wa_phone_async.redaction import Secret

FailOn = Literal["warning", "error"]

USAGE: Final = "wa-phone webhooks audit|set|clear|undo [OPTIONS]"
EXAMPLES: Final = """\
wa-phone webhooks audit --sandbox
wa-phone webhooks audit $WABA_ID \\
    --url https://shop.example
wa-phone webhooks set --help
wa-phone webhooks undo --help
"""
_AUDIT: Final = """\
wa-phone webhooks audit --sandbox
wa-phone webhooks audit $WABA_ID --fail-on error
wa-phone webhooks audit numbers.csv --format csv
wa-phone webhooks audit $WABA_ID \\
    --url https://shop.example \\
    --format jsonl > found.jsonl
"""
_SET: Final = """\
wa-phone webhooks set --sandbox
wa-phone webhooks set found.jsonl \\
    --url https://shop.example
wa-phone webhooks set found.jsonl \\
    --url https://shop.example \\
    --verify-token-file token.txt \\
    --journal set.jsonl --yes
wa-phone webhooks set $WABA_ID --on members \\
    --url https://shop.example
wa-phone webhooks set $WABA_ID --on accounts
"""
_CLEAR: Final = """\
wa-phone webhooks clear --sandbox
wa-phone webhooks clear $PHONE_NUMBER_ID
wa-phone webhooks clear $WABA_ID --on members \\
    --journal clear.jsonl --yes
"""
_UNDO: Final = """\
wa-phone webhooks undo --sandbox
wa-phone webhooks undo set.jsonl
wa-phone webhooks undo set.jsonl --yes
wa-phone webhooks undo set.jsonl --yes \\
    --verify-tokens tokens.csv
"""

command: Final[App] = new_command("webhooks", USAGE, EXAMPLES)
_audit = new_subcommand(command, "audit", "wa-phone webhooks audit [WABA_ID... | FILE] [OPTIONS]", _AUDIT)
_set = new_subcommand(command, "set", "wa-phone webhooks set [ID... | FILE] --url URL [OPTIONS]", _SET)
_clear = new_subcommand(command, "clear", "wa-phone webhooks clear [ID... | FILE] [OPTIONS]", _CLEAR)
_undo = new_subcommand(command, "undo", "wa-phone webhooks undo FILE [OPTIONS]", _UNDO)

On = Annotated[EditLevel, Parameter(name="--on", metavar="WHAT")]
TokenFile = Annotated[Path | None, Parameter(metavar="FILE")]
AppId = Annotated[str | None, Parameter(name="--app-id", metavar="ID")]
_SANDBOX_URL: Final = "https://shop.example/new"
"""What `set` and `undo` set in the sandbox if they are given no URL."""


@command.default
async def webhooks(*_: Annotated[str, Parameter(show=False)]) -> None:
    """Find numbers whose webhooks get lost, and set, clear or restore callback URLs.

    Meta sends the webhooks of a number to the callback URL of the number, or else of its account, or else of the app,
    and only to apps that are subscribed to the account. Each command has a page of its own: wa-phone webhooks set
    --help.

    set, clear and undo are a dry run unless --yes is given. With it, each write is in a journal before it is sent.
    """
    raise InvalidArgumentError("wa-phone webhooks", "followed by audit, set, clear or undo")


@_audit.default
async def audit_webhooks(
    *sources: Annotated[str, Parameter(name="WABA_ID")],
    url: Annotated[str | None, Parameter(metavar="URL")] = None,
    app_id: AppId = None,
    fail_on: Annotated[FailOn | None, Parameter(metavar="SEVERITY")] = None,
    form: Form = "table",
    connection: Connection = HERE,
) -> int:
    """Say whose webhooks nobody gets, and whose go to another app or to another URL.

    It lists the numbers of accounts, with their callback URLs, and reads which apps are subscribed to each account. Or
    it reads a file that wa-phone export has written with the field webhook_configuration: that says nothing of apps.

    An account costs a call for each 100 numbers, and one for its apps. One more call finds the app of the token. A file
    costs none, and needs no token. A line on stderr says what could not be checked.

    The formats are those of wa-phone health. With jsonl or csv, the output is a file that webhooks set and clear take:
    they change the numbers that were found, or with --on accounts the accounts.

    The exit status is 4 if there is a finding that --fail-on names.

    Args:
        sources: Ids of the accounts, or one file: .jsonl, .csv or .parquet. Default with --sandbox: accounts that have
            every kind of trouble.
        url: The callback URL that the webhooks of all numbers should go to. Without it, overrides are findings
            for information.
        app_id: Your app. Default: that of the token, which costs a call.
        fail_on: Exit with status 4 if something is at least as bad: warning or error.
        form: The output format: table, json, jsonl or csv.
        connection: Where to run.
    """
    is_file = len(sources) == 1 and not sources[0].isdecimal()
    accounts = [] if is_file else [str(read_node_id("waba_id", source)) for source in sources]
    if not sources and not connection.sandbox:
        raise InvalidArgumentError("WABA_ID or FILE", "given, or --sandbox to try it")
    async with connect(connection, needs_token=not is_file) as link:
        if not sources and link.sandbox is not None:
            from wa_phone_async.sandbox.demo import add_webhook_troubles  # noqa: PLC0415 - a web server

            accounts = add_webhook_troubles(link.sandbox)
        source: Path | Sequence[str] = Path(sources[0]) if is_file else list(dict.fromkeys(accounts))
        levels = set[Severity]()
        async with link.client.audit_webhooks(source, url=url, app_id=app_id) as audit:
            view = view_of(form)
            async for finding in audit:
                levels.add(finding.severity)
                view.show(finding)
            view.end()
            tell(what_was_done(audit.summary))
    return FOUND if fail_on and any(level.reaches(Severity(fail_on)) for level in levels) else 0


@_set.default
async def set_webhooks(
    *targets: Targets,
    url: Annotated[str | None, Parameter(metavar="URL")] = None,
    verify_token_file: TokenFile = None,
    ids: IdsFile = None,
    on: On = "numbers",
    journal: JournalFile = None,
    yes: Flag = False,
    resend: Flag = False,
    app_id: AppId = None,
    concurrency: Annotated[int, Parameter(metavar="N")] = 32,
    form: Form = "table",
    connection: Connection = HERE,
) -> int:
    """Let the webhooks of numbers or accounts go to another callback URL: an override.

    Without --yes it is a dry run: it reads the old values, and says what would change and what that costs. With --yes
    it needs --journal FILE. The old values are kept there for wa-phone webhooks undo, and each write is there before it
    is sent. FILE is private, and never has the verify token.

    Meta requests the URL with the verify token before it accepts it. The token is read from --verify-token-file, from
    WA_VERIFY_TOKEN, or typed. Overrides concern messages and calls: other webhooks go to the app's own URL.

    After Ctrl-C or a kill, run the same command again: it goes on with FILE. What is done is skipped, and what the API
    rejected is sent again. What was in flight is read back and shown. It is not sent again, except with --resend.

    Each number costs a call to read it and one to change it. With --on members, a call reads 100 numbers. An account
    whose app is not subscribed takes two calls to change. What has the URL already costs no write.

    The exit status is 1 if something was rejected, is unknown or was not applied.

    Args:
        targets: Ids, or one file: an export (.jsonl, .csv, .parquet), or the output of webhooks audit (.jsonl, .csv).
            Default with --sandbox: the numbers of its small account.
        url: The callback URL: https:// and at most 200 characters. With --on accounts it may be left out: then the app
            is subscribed where it is not, and callback URLs stay as they are.
        verify_token_file: File with the verify token of the URL. Default: the one in WA_VERIFY_TOKEN, or you type it.
        ids: File with an id in each line, instead of the ids. A single - reads standard input.
        on: "numbers": the ids are those of numbers. "accounts": they are those of accounts, which get the URL
            themselves. "members": they are those of accounts, and each of their numbers gets it.
        journal: The file of the journal. It is made, or gone on with.
        yes: Change it. Without this, it is a dry run.
        resend: Send again what was in flight at a kill, and had the old value when it was read back.
        app_id: Your app, for --on accounts. Default: that of the token, which costs a call.
        concurrency: How many requests may be in flight at once.
        form: The output format: table, json, jsonl or csv.
        connection: Where to run.
    """
    path = journal_to_write(journal, yes=yes, undo="wa-phone webhooks undo")
    if url is None and connection.sandbox and on != "accounts":
        url = _SANDBOX_URL
    token: Secret | None = None
    if url is not None:
        is_needed = yes and not connection.sandbox
        token = await read_verify_token(verify_token_file, url) if is_needed else SANDBOX_VERIFY_TOKEN

    async with with_targets(targets, ids, on=on, sample=_sample(on), connection=connection) as (link, named):
        edits = link.client.set_webhooks(
            named,
            url,
            verify_token=token,
            on=on,
            journal=path,
            resend=resend,
            app_id=app_id,
            concurrency=concurrency,
        )
        return await run_edit(edits, link, path, form)


@_clear.default
async def clear_webhooks(
    *targets: Targets,
    ids: IdsFile = None,
    on: On = "numbers",
    journal: JournalFile = None,
    yes: Flag = False,
    resend: Flag = False,
    app_id: AppId = None,
    concurrency: Annotated[int, Parameter(metavar="N")] = 32,
    form: Form = "table",
    connection: Connection = HERE,
) -> int:
    """Remove the callback URLs of numbers or accounts, so their webhooks go to the next one that there is.

    After the callback URL of a number comes that of its account, and then that of the app. No app is subscribed or
    unsubscribed.

    The dry run, --yes, the journal, the costs and the exit status are those of wa-phone webhooks set.

    Args:
        targets: Ids, or one file, as for wa-phone webhooks set. Default with --sandbox: the numbers of its small
            account, one of which has an override.
        ids: File with an id in each line, instead of the ids. A single - reads standard input.
        on: What the ids are: "numbers", "accounts" or "members", as for wa-phone webhooks set.
        journal: The file of the journal. It is made, or gone on with.
        yes: Change it. Without this, it is a dry run.
        resend: Send again what was in flight at a kill, and had the old value when it was read back.
        app_id: Your app, for --on accounts. Default: that of the token, which costs a call.
        concurrency: How many requests may be in flight at once.
        form: The output format: table, json, jsonl or csv.
        connection: Where to run.
    """
    path = journal_to_write(journal, yes=yes, undo="wa-phone webhooks undo")

    async with with_targets(targets, ids, on=on, sample=_sample(on), connection=connection) as (link, named):
        edits = link.client.clear_webhooks(
            named, on=on, journal=path, resend=resend, app_id=app_id, concurrency=concurrency
        )
        return await run_edit(edits, link, path, form)


@_undo.default
async def undo_webhooks(
    file: Annotated[Path | None, Parameter(name="FILE", show_default=False)] = None,
    /,
    *,
    journal: JournalFile = None,
    verify_token_file: TokenFile = None,
    verify_tokens: TokenFile = None,
    yes: Flag = False,
    resend: Flag = False,
    app_id: AppId = None,
    concurrency: Annotated[int, Parameter(metavar="N")] = 32,
    form: Form = "table",
    connection: Connection = HERE,
) -> int:
    """Restore the callback URLs that were there before wa-phone webhooks set or clear, from the journal of that.

    It reads each value that may have changed, and restores those that the journal's edit has set. What has another
    value was changed by somebody else since: it stays, and the exit status is 1. Each value costs a call to read it,
    and one to restore it.

    Meta does not give verify tokens back. Where an older callback URL has to be set again, its verify token is needed:
    one for all by --verify-token-file or WA_VERIFY_TOKEN, or one for each URL by --verify-tokens. If one is missing,
    nothing is sent, and the message names the URL.

    Without --yes it is a dry run. An undo has a journal of its own, FILE.undo. Run the same command again after Ctrl-C
    or a kill: it goes on. To undo the undo, give FILE.undo as FILE.

    Args:
        file: The journal of the edit. Default with --sandbox: that of an edit which is made first.
        journal: The file of the undo's own journal. Default: FILE.undo.
        verify_token_file: File with the verify token of all URLs to set again. Default: the one in WA_VERIFY_TOKEN.
        verify_tokens: File with the verify token of each URL, CSV or JSON: a URL and its token in each line.
        yes: Change it. Without this, it is a dry run.
        resend: Send again what was in flight at a kill, and had the old value when it was read back.
        app_id: Your app, for accounts. Default: that of the token, which costs a call.
        concurrency: How many requests may be in flight at once.
        form: The output format: table, json, jsonl or csv.
        connection: Where to run.
    """
    tokens: Secret | Mapping[str, Secret] | None = read_verify_tokens(verify_token_file, verify_tokens)

    def edit(link: Link, journal: Path) -> BulkEdit:
        ids = _sample("numbers")(link)
        return link.client.set_webhooks(ids, _SANDBOX_URL, verify_token=SANDBOX_VERIFY_TOKEN, journal=journal)

    async with with_past_edit(file, journal, yes=yes, connection=connection, sample=edit) as (link, past, path):
        edits = link.client.undo_webhooks(
            past,
            verify_tokens=SANDBOX_VERIFY_TOKEN if connection.sandbox else tokens,
            journal=path,
            resend=resend,
            app_id=app_id,
            concurrency=concurrency,
        )
        return await run_edit(edits, link, path, form, how="--yes")


def _sample(on: EditLevel) -> Sample:
    """Return what names the numbers of the sandbox's small account, or the account."""

    def name(link: Link) -> list[str]:
        from wa_phone_async.sandbox import SMALL_WABA  # noqa: PLC0415 - a web server, which few commands need
        from wa_phone_async.sandbox.demo import add_overrides  # noqa: PLC0415 - as above

        sandbox: Any = link.sandbox
        return add_overrides(sandbox) if on == "numbers" else [SMALL_WABA]

    return name
