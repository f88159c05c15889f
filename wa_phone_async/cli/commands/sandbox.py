"""`wa-phone sandbox`: the sandbox for other programs."""

from __future__ import annotations

import asyncio
import re
import shlex
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from wa_phone_async.checks import read_secret, split_url
from wa_phone_async.cli.commands import new_command
from wa_phone_async.cli.terminal.output import tell, write
from wa_phone_async.cli.terminal.timer import every
from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.redaction import Secret, conceal

if TYPE_CHECKING:
    from wa_phone_async.sandbox import Code, Delivery, Sandbox

_POLL_SECONDS: Final = 0.2
_LIKE_METAS: Final = re.compile("EAA[A-Za-z0-9]{17,}|[0-9a-f]{32}")
"""How Meta's access tokens begin, and its app secrets."""

USAGE: Final = "wa-phone sandbox [OPTIONS]"
EXAMPLES: Final = """\
wa-phone sandbox
wa-phone sandbox --port 8080 --mode reference
wa-phone sandbox --accounts 1000 --numbers-per-account 20
wa-phone sandbox --review-after 60
wa-phone sandbox --quota 3 --latency 0.2 --token mine
wa-phone sandbox --app-secret mine --review-after 10 \\
    --webhook-url http://127.0.0.1:8000/webhook
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
    webhook_url: Annotated[str | None, Parameter(metavar="URL")] = None,
    app_secret: Annotated[str | None, Parameter(metavar="SECRET")] = None,
    token: Annotated[str | None, Parameter(metavar="TOKEN")] = None,
    quota: Annotated[int | None, Parameter(metavar="N", validator=Number(gte=1))] = None,
    latency: Annotated[float, Parameter(metavar="SECONDS", validator=Number(gte=0))] = 0.0,
    debug: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> None:
    """Serve the Graph API with invented accounts, on this machine only, until Ctrl-C.

    The command prints what to export: all that wa-phone, the examples and the manual read. Then their requests come
    here. Verification codes are shown as soon as they are sent, and so is how each webhook was received. All data is
    gone when the command ends.

    The token and the secrets of the sandbox are invented. They protect nothing, so they are printed. Never give a real
    one: other users of this machine can read arguments.

    Args:
        port: The port to listen on. 0 chooses a free one.
        mode: Behave as people report of the live service, or as Meta's reference says.
        accounts: How many generated accounts the business owns. Default: the three accounts of every sandbox.
        numbers_per_account: How many numbers each of these --accounts has.
        review_after: Seconds until the name of a new number is approved. Default: it stays in review.
        webhook_url: Where webhooks are sent, such as http://127.0.0.1:8000/webhook. Default: nowhere.
        app_secret: An invented app secret. Each request must then carry the appsecret_proof of its token. Default: a
            secret that only signs webhooks.
        token: An invented token, the only one that is accepted. Default: any token is.
        quota: Calls an hour for each account. Default: Meta's rule, which is 200, or 5,000 with a registered number.
        latency: Seconds that each response takes.
        debug: Show the traceback of an error.
    """
    del debug  # the app reads it for every command
    if webhook_url is not None and split_url(webhook_url) is None:  # not shown: its query may hold a secret
        raise InvalidArgumentError("--webhook-url", "an http:// or https:// URL, such as http://127.0.0.1:8000/webhook")
    app_secret = None if app_secret is None else _read_invented("--app-secret", conceal(app_secret))
    token = None if token is None else _read_invented("--token", conceal(token))
    # Imported here, since it brings a web server that few commands need.
    from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Sandbox  # noqa: PLC0415 - see above

    async with Sandbox(
        mode=mode,
        port=port,
        accounts=accounts,
        numbers_per_account=numbers_per_account,
        review_after=review_after,
        webhook_url=webhook_url,
        app_secret=app_secret,
        tokens=None if token is None else [token],
        quota="meta" if quota is None else quota,
        latency=latency,
    ) as sandbox:
        settings = {
            "WA_BASE_URL": sandbox.url,
            "WA_ACCESS_TOKEN": token or "any-token",
            "WA_APP_SECRET": sandbox.app_secret,
            "WA_VERIFY_TOKEN": "any-verify-token",
            "WABA_ID": LARGE_WABA,
            "OTHER_ID": SMALL_WABA,
            "BUSINESS_ID": sandbox.business_id,
            "PHONE_NUMBER": "16315551000",
            "CC": "1",
            "VERIFIED_NAME": "Acme Shoes",
        }
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())
        seeded = "".join(
            f"# WABA {waba_id}: {len(sandbox.numbers(waba_id))} numbers\n"
            for waba_id in (EMPTY_WABA, SMALL_WABA, LARGE_WABA)
        )
        owned = f"# business {sandbox.business_id}: {len(sandbox.waba_ids)} accounts"
        if accounts:
            owned += f" of {numbers_per_account} numbers, WABA {sandbox.waba_ids[0]} to {sandbox.waba_ids[-1]}"
        write(f"{exports}{seeded}{owned}\n")
        tell("serving until Ctrl-C; run the lines above in another shell")
        async with every(_POLL_SECONDS, lambda: _poll(sandbox)):
            await asyncio.Event().wait()


def _read_invented(option: str, secret: Secret) -> Secret:
    if _LIKE_METAS.match(secret):
        hint = "this one looks real, and other users of this machine can read arguments"
        raise InvalidArgumentError(option, "an invented one", hint=hint)
    return read_secret(option, secret)


def _poll(sandbox: Sandbox) -> None:
    _show_codes(sandbox.inbox)
    _show_deliveries(sandbox.deliveries)
    # Nobody reads these records here, and a request takes 1.5 kB: a server of days would fill the memory.
    sandbox.requests.clear()
    sandbox.webhooks.clear()


def _show_codes(inbox: list[Code]) -> None:
    """Show the codes that have arrived, and remove them from the inbox."""
    while inbox:
        code = inbox.pop(0)
        tell(f"a code for {code.phone_number} has arrived by {code.code_method}: {code.code}")


def _show_deliveries(deliveries: list[Delivery]) -> None:
    """Show how the receiver of webhooks has responded, and remove these attempts from the list."""
    while deliveries:
        delivery = deliveries.pop(0)
        status = "no response" if delivery.status is None else f"HTTP {delivery.status}"
        again = "" if delivery.status == 200 else "; it is sent again later"
        tell(f"webhook {delivery.webhook.field}: {status}{again}")
