"""`wa-phone sandbox`: the sandbox for other programs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from wa_phone_async.cli.commands import new_command
from wa_phone_async.cli.terminal.output import tell, write
from wa_phone_async.cli.terminal.timer import every

if TYPE_CHECKING:
    from wa_phone_async.sandbox import Code, Sandbox

_POLL_SECONDS: Final = 0.2

USAGE: Final = "wa-phone sandbox [OPTIONS]"
EXAMPLES: Final = """\
wa-phone sandbox
wa-phone sandbox --port 8080 --mode reference
wa-phone sandbox --accounts 1000 --numbers-per-account 20
wa-phone sandbox --review-after 60
"""

command: Final = new_command("sandbox", USAGE, EXAMPLES)


@command.default
async def serve_sandbox(
    *,
    port: Annotated[int, Parameter(metavar="PORT", validator=Number(gte=0, lte=65535))] = 0,
    mode: Annotated[Literal["live", "reference"], Parameter(metavar="MODE")] = "live",
    accounts: Annotated[int | None, Parameter(metavar="N", validator=Number(gte=0))] = None,
    numbers_per_account: Annotated[int, Parameter(metavar="N", validator=Number(gte=0, lt=1_000_000))] = 3,
    review_after: Annotated[float | None, Parameter(metavar="SECONDS", validator=Number(gte=0))] = None,
    debug: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> None:
    """Serve the Graph API with invented accounts, on this machine only, until Ctrl-C.

    The command prints what to export. Then other programs, and wa-phone too, send their requests here, with any token.
    Verification codes are shown as soon as they are sent. All data is gone when the command ends.

    Args:
        port: The port to listen on. 0 chooses a free one.
        mode: Behave as people report of the live service, or as Meta's reference says.
        accounts: How many generated accounts the business owns. Default: the three accounts of every sandbox.
        numbers_per_account: How many numbers each of these --accounts has.
        review_after: Seconds until the name of a new number is approved. Default: it stays in review.
        debug: Show the traceback of an error.
    """
    del debug  # the app reads it for every command
    # Imported here, since it brings a web server that few commands need.
    from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Sandbox  # noqa: PLC0415 - see above

    async with Sandbox(
        mode=mode,
        port=port,
        accounts=accounts,
        numbers_per_account=numbers_per_account,
        review_after=review_after,
    ) as sandbox:
        seeded = "".join(
            f"# WABA {waba_id}: {len(sandbox.numbers(waba_id))} numbers\n"
            for waba_id in (EMPTY_WABA, SMALL_WABA, LARGE_WABA)
        )
        owned = f"# business {sandbox.business_id}: {len(sandbox.waba_ids)} accounts"
        if accounts:
            owned += f" of {numbers_per_account} numbers, WABA {sandbox.waba_ids[0]} to {sandbox.waba_ids[-1]}"
        write(f"export WA_BASE_URL={sandbox.url}\nexport WA_ACCESS_TOKEN=any-token\n{seeded}{owned}\n")
        tell("serving until Ctrl-C; run the lines above in another shell")
        async with every(_POLL_SECONDS, lambda: _poll(sandbox)):
            await asyncio.Event().wait()


def _poll(sandbox: Sandbox) -> None:
    _show_codes(sandbox.inbox)
    # Nobody reads these records here, and a request takes 1.5 kB: a server of days would fill the memory.
    sandbox.requests.clear()
    sandbox.webhooks.clear()


def _show_codes(inbox: list[Code]) -> None:
    """Show the codes that have arrived, and remove them from the inbox."""
    while inbox:
        code = inbox.pop(0)
        tell(f"a code for {code.phone_number} has arrived by {code.code_method}: {code.code}")
