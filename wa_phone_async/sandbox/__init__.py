"""The Graph API in this process, on a real local port, for tests and for trying things out.

    import aiohttp

    from wa_phone_async.sandbox import LARGE_WABA, Fault, Sandbox

    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        sandbox.plan(Fault.error(80008), method="GET")
        url = f"{sandbox.url}/v23.0/{LARGE_WABA}/phone_numbers"
        async with session.get(url, headers={"Authorization": "Bearer any"}) as answer:
            assert answer.status == 400

It shares no code with the client, so that the two can disagree, and it is faithful where clients go wrong:
`next` carries the token and names another host, the last page keeps its cursors, filtered pages are short or
empty. What it knows comes from Meta's v23.0 OpenAPI description, guides and error pages, and from answers of the live
service that others have published, all read on 2026-11-22; nothing here was measured on the live service.
"""

from .codes import Code
from .data import BUSINESS_ID, EMPTY_WABA, LARGE_WABA, SMALL_WABA
from .delivery import Delivery
from .faults import Fault
from .messages import Answer, GraphError, Request
from .pins import SEEDED_PIN
from .sandbox import Sandbox
from .store import Created
from .virtual_time import VirtualTimeLoop
from .webhooks import Webhook

__all__ = [
    "BUSINESS_ID",
    "EMPTY_WABA",
    "LARGE_WABA",
    "SEEDED_PIN",
    "SMALL_WABA",
    "Answer",
    "Code",
    "Created",
    "Delivery",
    "Fault",
    "GraphError",
    "Request",
    "Sandbox",
    "VirtualTimeLoop",
    "Webhook",
]
