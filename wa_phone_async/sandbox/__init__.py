"""The Graph API in this process, on a real local port. Use it in tests, and to try things out.

    import aiohttp

    from wa_phone_async.sandbox import LARGE_WABA, Fault, Sandbox

    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        sandbox.plan(Fault.error(80008), method="GET")
        url = f"{sandbox.url}/v23.0/{LARGE_WABA}/phone_numbers"
        async with session.get(url, headers={"Authorization": "Bearer any"}) as response:
            assert response.status == 400

The sandbox shares no code with the client, so a mistake in one does not hide in the other. It imitates what clients get
wrong: `next` holds the token and names another host, the last page has cursors, and a filtered page is short or empty.

Sources: Meta's v23.0 OpenAPI description, guides and error pages, and published responses of the live service. All were
read on 2026-11-22. This project measured nothing on the live service.
"""

from .codes import Code
from .data import APP_ID, BUSINESS_ID, EMPTY_WABA, LARGE_WABA, SMALL_WABA, USER_ID
from .delivery import Delivery
from .faults import Fault
from .messages import GraphError, Request, Response
from .pins import SEEDED_PIN
from .sandbox import Sandbox
from .store import Created
from .virtual_time import VirtualTimeLoop
from .webhooks import Webhook

__all__ = [
    "APP_ID",
    "BUSINESS_ID",
    "EMPTY_WABA",
    "LARGE_WABA",
    "SEEDED_PIN",
    "SMALL_WABA",
    "USER_ID",
    "Code",
    "Created",
    "Delivery",
    "Fault",
    "GraphError",
    "Request",
    "Response",
    "Sandbox",
    "VirtualTimeLoop",
    "Webhook",
]
