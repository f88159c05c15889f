"""`wa-phone sandbox`: the embedded Graph API for other programs."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from .output import say, write

USAGE: Final = "wa-phone sandbox [OPTIONS]"
EXAMPLES: Final = """\
wa-phone sandbox
wa-phone sandbox --port 8080 --temper reference
"""


async def serve_sandbox(
    *,
    port: Annotated[int, Parameter(metavar="PORT", validator=Number(gte=0, lte=65535))] = 0,
    temper: Annotated[Literal["live", "reference"], Parameter(metavar="TEMPER")] = "live",
    debug: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> None:
    """Serve an embedded Graph API with invented accounts, on this machine only, until Ctrl-C.

    It prints what to export so that other programs, wa-phone itself too, talk to it; any token will do. What is created
    there is gone when it ends.

    Args:
        port: The port to listen on; 0 takes a free one.
        temper: Answer as the live service is reported to, or as Meta's reference says.
        debug: Show a traceback with an error.
    """
    del debug  # the whole run heeds it
    # A web server, which no other command needs.
    from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Sandbox  # noqa: PLC0415 - see above

    async with Sandbox(temper=temper, port=port) as sandbox:
        accounts = "".join(
            f"# WABA {waba_id}: {len(sandbox.numbers(waba_id))} numbers\n"
            for waba_id in (EMPTY_WABA, SMALL_WABA, LARGE_WABA)
        )
        write(f"export WA_BASE_URL={sandbox.url}\nexport WA_ACCESS_TOKEN=any-token\n{accounts}")
        say("serving until Ctrl-C; run the lines above in another shell")
        await asyncio.Event().wait()
