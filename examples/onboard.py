"""Bring a new number to its approval, in a program: `python examples/onboard.py`.

Without WA_ACCESS_TOKEN, it runs against the sandbox, a Graph API in this process. With it, it runs against Meta's. Then
set WABA_ID, PHONE_NUMBER, CC (the country's dial code) and VERIFIED_NAME too, and type the code and the PIN.

With the lines that `wa-phone sandbox --review-after 10` prints, it runs against that sandbox, which shows the code.

You can stop it at any time. The next run goes on from the state that the API reports.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from getpass import getpass

from wa_phone_async import ALL_FIELDS, OutcomeUnknownError, PhoneNumber, PhoneNumberClient, is_ready, read_readiness
from wa_phone_async.sandbox import EMPTY_WABA, Sandbox

Ask = Callable[[str], Awaitable[str]]


async def onboard(
    client: PhoneNumberClient,
    waba_id: str,
    ask: Ask,
    *,
    phone_number: str,
    cc: str,
    verified_name: str,
    interval: float = 60.0,
) -> PhoneNumber:
    """Create, verify and register a number, and wait for its approval. `ask` gets the code and the PIN."""
    ensured = await client.ensure_phone_number(waba_id, phone_number=phone_number, cc=cc, verified_name=verified_name)
    number_id = ensured.phone_number.id
    print(f"{number_id}: {ensured.outcome}")

    number = await client.get_phone_number(number_id, fields=ALL_FIELDS, waba_id=waba_id)
    try:
        if not read_readiness(number).verified:
            await client.request_code(number_id, waba_id=waba_id)
            await client.verify_code(number_id, await ask("Code"), waba_id=waba_id)
        if not read_readiness(number).registered:
            await client.register(number_id, pin=await ask("PIN"), waba_id=waba_id)
    except OutcomeUnknownError as error:  # not retried: Meta counts codes and PINs
        raise SystemExit(f"{error} Then run this again.") from error

    print(f"{number_id}: verified and registered; waiting for the name")
    return await client.wait_until(number_id, is_ready, interval=interval, waba_id=waba_id)


async def main() -> None:
    """Onboard one number, in the sandbox or at Meta."""
    if "WA_ACCESS_TOKEN" in os.environ:
        waba_id, digits, cc, name = (os.environ[name] for name in ("WABA_ID", "PHONE_NUMBER", "CC", "VERIFIED_NAME"))
        async with PhoneNumberClient.from_env() as client:
            number = await onboard(client, waba_id, ask_the_person, phone_number=digits, cc=cc, verified_name=name)
    else:
        async with Sandbox(review_after=1.0) as sandbox, PhoneNumberClient("any", base_url=sandbox.url) as client:

            async def ask(what: str) -> str:
                return sandbox.inbox[-1].code if what == "Code" else "271828"

            number = await onboard(
                client, EMPTY_WABA, ask, phone_number="16315551000", cc="1", verified_name="Acme Shoes", interval=0.5
            )
    print(f"{number.id}: {number.display_phone_number} is ready, as {number.verified_name}")


async def ask_the_person(what: str) -> str:
    """Read a secret from the terminal without showing it. This blocks the event loop, where nothing else runs."""
    return getpass(f"{what}: ")


if __name__ == "__main__":
    asyncio.run(main())
