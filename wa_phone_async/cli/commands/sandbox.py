"""`wa-phone sandbox`: the embedded Graph API for other programs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from wa_phone_async.cli.terminal.output import say, tell, write
from wa_phone_async.cli.terminal.progress import repeating

if TYPE_CHECKING:
    from wa_phone_async.sandbox import Code

_SECONDS_PER_LOOK: Final = 0.2

USAGE: Final = "wa-phone sandbox [OPTIONS]"
EXAMPLES: Final = """\
wa-phone sandbox
wa-phone sandbox --port 8080 --mode reference
wa-phone sandbox --accounts 1000 --numbers-per-account 20
wa-phone sandbox --review-after 60
"""


async def serve_sandbox(
    *,
    port: Annotated[int, Parameter(metavar="PORT", validator=Number(gte=0, lte=65535))] = 0,
    mode: Annotated[Literal["live", "reference"], Parameter(metavar="TEMPER")] = "live",
    accounts: Annotated[int | None, Parameter(metavar="N", validator=Number(gte=0))] = None,
    numbers_per_account: Annotated[int, Parameter(metavar="N", validator=Number(gte=0, lt=1_000_000))] = 3,
    review_after: Annotated[float | None, Parameter(metavar="SECONDS", validator=Number(gte=0))] = None,
    debug: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> None:
    """Serve an embedded Graph API with invented accounts, on this machine only, until Ctrl-C.

    It prints what to export so that other programs, wa-phone itself too, talk to it; any token will do. What is created
    there is gone when it ends. Codes that are asked for arrive here: they are shown as they come.

    Args:
        port: The port to listen on; 0 takes a free one.
        mode: Answer as the live service is reported to, or as Meta's reference says.
        accounts: Accounts that the business owns, made up when they are asked for; unless told, the three with which
            every sandbox begins.
        numbers_per_account: Numbers that each of these --accounts has.
        review_after: Seconds after which the name of a new number is approved; unless told, it stays in review.
        debug: Show a traceback with an error.
    """
    del debug  # the whole run heeds it
    # A web server, which no other command needs.
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
        say("serving until Ctrl-C; run the lines above in another shell")
        async with repeating(lambda: _show_codes(sandbox.inbox), _SECONDS_PER_LOOK):
            await asyncio.Event().wait()


def _show_codes(inbox: list[Code]) -> None:
    """Show the codes that have arrived, as the phones would, and take them out."""
    while inbox:
        code = inbox.pop(0)
        tell(f"a code for {code.phone_number} has arrived by {code.code_method}: {code.code}")
