"""`wa-phone profile`: business profiles, and bulk edits of them that can be undone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from wa_phone_async import BulkEdit, InvalidArgumentError
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
from wa_phone_async.cli.connection import HERE, Connection, Link
from wa_phone_async.cli.errors import FAILED
from wa_phone_async.cli.options import Form
from wa_phone_async.cli.terminal.output import counted, tell
from wa_phone_async.cli.terminal.profiles import say_failed, view_of
from wa_phone_async.profiles.many import ProfileLevel
from wa_phone_async.profiles.profile import ProfileChanges, read_changes

USAGE: Final = "wa-phone profile get|set|undo [OPTIONS]"
EXAMPLES: Final = """\
wa-phone profile get --sandbox
wa-phone profile get $PHONE_NUMBER_ID --format json
wa-phone profile set --help
wa-phone profile undo --help
"""
_GET: Final = """\
wa-phone profile get --sandbox
wa-phone profile get $PHONE_NUMBER_ID
wa-phone profile get $WABA_ID --on members \\
    --format csv > profiles.csv
"""
_SET: Final = """\
wa-phone profile set --sandbox
wa-phone profile set $PHONE_NUMBER_ID --about "Hand-made"
wa-phone profile set numbers.csv --address "" --website ""
wa-phone profile set $WABA_ID --on members \\
    --email shop@example.com --journal set.jsonl --yes
"""
_UNDO: Final = """\
wa-phone profile undo --sandbox
wa-phone profile undo set.jsonl
wa-phone profile undo set.jsonl --yes
"""

command: Final[App] = new_command("profile", USAGE, EXAMPLES)
_get = new_subcommand(command, "get", "wa-phone profile get [ID... | FILE] [OPTIONS]", _GET)
_set = new_subcommand(command, "set", "wa-phone profile set [ID... | FILE] [OPTIONS]", _SET)
_undo = new_subcommand(command, "undo", "wa-phone profile undo FILE [OPTIONS]", _UNDO)

On = Annotated[ProfileLevel, Parameter(name="--on", metavar="WHAT")]
Text = Annotated[str | None, Parameter(metavar="TEXT")]
_SAMPLE: Final[ProfileChanges] = {"about": "Open all day", "websites": "https://shop.example"}
"""What `set` and `undo` change in the sandbox if they are given nothing."""


@command.default
async def profile(*_: Annotated[str, Parameter(show=False)]) -> None:
    """Show the business profiles of numbers, and set or restore them.

    Each number has a profile of its own: what customers see when they open it. Each command has a page of its own:
    wa-phone profile set --help.

    set and undo are a dry run unless --yes is given. With it, each write is in a journal before it is sent.
    """
    raise InvalidArgumentError("wa-phone profile", "followed by get, set or undo")


@_get.default
async def get_profiles(
    *targets: Targets,
    ids: IdsFile = None,
    on: On = "numbers",
    concurrency: Annotated[int, Parameter(metavar="N")] = 32,
    form: Form = "table",
    connection: Connection = HERE,
) -> int:
    """Show the business profiles of numbers: about, address, description, email, websites and vertical.

    Each number costs a call. With --on members, a call more lists 100 numbers of an account.

    If a profile cannot be read, a message says so, and the others are shown. The exit status is then 1. What is not set
    is left out; in csv, it is empty.

    Args:
        targets: Ids, or one file: an export (.jsonl, .csv, .parquet), or the findings of wa-phone health (.jsonl,
            .csv). Default with --sandbox: the numbers of its small account.
        ids: File with an id in each line, instead of the ids. A single - reads standard input.
        on: "numbers": the ids are those of numbers. "members": they are those of accounts, and each of their numbers is
            read.
        concurrency: How many requests may be in flight at once.
        form: The output format: table, json, jsonl or csv.
        connection: Where to run.
    """
    found = failed = 0
    async with with_targets(targets, ids, on=on, sample=_sample(on), connection=connection) as (link, named):
        view = view_of(form)
        async with link.client.get_business_profiles(named, on=on, concurrency=concurrency) as profiles:
            async for each in profiles:
                if each.error is not None:
                    failed += 1
                    say_failed(each)
                else:
                    found += 1
                    view.show(each)
        if not failed:
            view.end()
        tell(f"{counted(found, 'profile')}, {counted(link.calls, 'call')}")
    return FAILED if failed else 0


@_set.default
async def set_profiles(
    *targets: Targets,
    about: Text = None,
    address: Text = None,
    description: Text = None,
    email: Annotated[str | None, Parameter(metavar="ADDRESS")] = None,
    websites: Annotated[
        tuple[str, ...] | None, Parameter(name="--website", negative=(), show_default=False, metavar="URL")
    ] = None,
    vertical: Annotated[str | None, Parameter(metavar="NAME")] = None,
    ids: IdsFile = None,
    on: On = "numbers",
    journal: JournalFile = None,
    yes: Flag = False,
    resend: Flag = False,
    concurrency: Annotated[int, Parameter(metavar="N")] = 32,
    form: Form = "table",
    connection: Connection = HERE,
) -> int:
    """Change the business profiles of numbers. What you do not name stays as it is.

    Without --yes it is a dry run: it reads the old values, and says what would change and what that costs. With --yes
    it needs --journal FILE. The old values are kept there for wa-phone profile undo, and each write is there before it
    is sent. FILE is private.

    An empty text clears the address, the description, the email and the websites. An about text cannot be cleared, only
    replaced. The picture cannot be set here, since Meta gives no old one back.

    After Ctrl-C or a kill, run the same command again: it goes on with FILE. What is done is skipped, and what the API
    rejected is sent again. What was in flight is read back and shown. It is not sent again, except with --resend.

    Each number costs a call to read it and one to change it. What has the values already costs no write.

    The exit status is 1 if something was rejected, is unknown or was not applied.

    Args:
        targets: Ids, or one file: an export (.jsonl, .csv, .parquet), or the findings of wa-phone health (.jsonl,
            .csv). Default with --sandbox: the numbers of its small account.
        about: The text beneath the picture, 1 to 139 characters.
        address: The address, up to 256 characters.
        description: What the business does, up to 512 characters.
        email: The address for mail, up to 128 characters.
        websites: A URL with http:// or https://, up to 256 characters. Give it again for a second one. All old ones are
            replaced.
        vertical: The category, such as RETAIL or RESTAURANT.
        ids: File with an id in each line, instead of the ids. A single - reads standard input.
        on: "numbers": the ids are those of numbers. "members": they are those of accounts, and each of their numbers
            changes.
        journal: The file of the journal. It is made, or gone on with.
        yes: Change it. Without this, it is a dry run.
        resend: Send again what was in flight at a kill, and had the old value when it was read back.
        concurrency: How many requests may be in flight at once.
        form: The output format: table, json, jsonl or csv.
        connection: Where to run.
    """
    path = journal_to_write(journal, yes=yes, undo="wa-phone profile undo")
    changes: ProfileChanges = {
        "about": about,
        "address": address,
        "description": description,
        "email": email,
        "websites": websites,
        "vertical": vertical,
    }
    if not read_changes(changes) and connection.sandbox:
        changes = _SAMPLE
    async with with_targets(targets, ids, on=on, sample=_sample(on), connection=connection) as (link, named):
        edits = link.client.update_business_profiles(
            named, on=on, journal=path, resend=resend, concurrency=concurrency, **changes
        )
        return await run_edit(edits, link, path, form)


@_undo.default
async def undo_profiles(
    file: Annotated[Path | None, Parameter(name="FILE", show_default=False)] = None,
    /,
    *,
    journal: JournalFile = None,
    yes: Flag = False,
    resend: Flag = False,
    concurrency: Annotated[int, Parameter(metavar="N")] = 32,
    form: Form = "table",
    connection: Connection = HERE,
) -> int:
    """Restore the values that were there before wa-phone profile set, from the journal of that.

    It reads each profile that may have changed, and restores what the journal's edit has set. What has another value
    was changed by somebody else since: it stays. So does an about text or a vertical that was empty before, since Meta
    does not let these be cleared. Then the exit status is 1. Each profile costs a call to read it, and one to restore
    it.

    Without --yes it is a dry run. An undo has a journal of its own, FILE.undo. Run the same command again after Ctrl-C
    or a kill: it goes on. To undo the undo, give FILE.undo as FILE.

    Args:
        file: The journal of the edit. Default with --sandbox: that of an edit which is made first.
        journal: The file of the undo's own journal. Default: FILE.undo.
        yes: Change it. Without this, it is a dry run.
        resend: Send again what was in flight at a kill, and had the old value when it was read back.
        concurrency: How many requests may be in flight at once.
        form: The output format: table, json, jsonl or csv.
        connection: Where to run.
    """

    def edit(link: Link, journal: Path) -> BulkEdit:
        return link.client.update_business_profiles(_sample("numbers")(link), journal=journal, **_SAMPLE)

    async with with_past_edit(file, journal, yes=yes, connection=connection, sample=edit) as (link, past, path):
        edits = link.client.undo_business_profiles(past, journal=path, resend=resend, concurrency=concurrency)
        return await run_edit(edits, link, path, form, how="--yes")


def _sample(on: ProfileLevel) -> Sample:
    """Return what names the numbers of the sandbox's small account, or the account."""

    def name(link: Link) -> list[str]:
        from wa_phone_async.sandbox import SMALL_WABA  # noqa: PLC0415 - a web server, which few commands need

        sandbox: Any = link.sandbox
        return [number["id"] for number in sandbox.numbers(SMALL_WABA)] if on == "numbers" else [SMALL_WABA]

    return name
