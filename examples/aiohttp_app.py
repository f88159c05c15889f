"""An aiohttp service with one client: pages, whole accounts as JSON Lines, and a cache that webhooks keep fresh.

    pip install .
    export WA_ACCESS_TOKEN=… WA_APP_SECRET=… WA_VERIFY_TOKEN=…
    python examples/aiohttp_app.py

    GET  /wabas/{waba_id}/phone_numbers?limit=&after=   a page; `next` is the `after` of the next one, null at the end
    GET  /wabas/{waba_id}/phone_numbers.jsonl?after=    all numbers, a line each
    GET  /wabas/{waba_id}/phone_numbers/cached          all numbers, at most 30 s old and never older than a webhook
    GET  /webhook and POST /webhook                     for Meta
    GET  /health?waba_id=                               what the account's last answer said about the budgets

When a page fails after the first, the stream's last line is `{"error": …, "after": …}`: go on from that cursor. The end
of the service cuts it, which HTTP clients take for the error that it is.
"""

import hmac
import json
import logging
import math
import os
from collections.abc import AsyncIterator
from typing import Any

import attrs
from aiohttp import web
from aiohttp.typedefs import Handler

import wa_phone_async as wa

FIELDS = "display_phone_number,verified_name,status,quality_rating"
STATUSES = {
    wa.InvalidArgumentError: 422,
    wa.BadRequestError: 400,  # such as a cursor that is none
    wa.NotFoundError: 404,
    wa.WebhookSignatureError: 403,
    wa.RateLimitError: 503,  # not 429: the budget is used up by all callers together
    wa.StaleListingError: 503,
    wa.RequestTimeoutError: 504,
}  # all else is 502, a rejected token too: it is ours, and 401 would send the caller to log in

log = logging.getLogger("aiohttp_app")
routes = web.RouteTableDef()

CLIENT = web.AppKey("client", wa.PhoneNumberClient)
CACHE = web.AppKey("cache", wa.PhoneNumberCache)
APP_SECRET = web.AppKey("app_secret", str)
VERIFY_TOKEN = web.AppKey("verify_token", str)


async def lifetime(app: web.Application) -> AsyncIterator[None]:
    """Keep one client, with its connections, budgets and cache, as long as the application lives."""
    app[APP_SECRET], app[VERIFY_TOKEN] = os.environ["WA_APP_SECRET"], os.environ["WA_VERIFY_TOKEN"]
    app[CLIENT] = wa.PhoneNumberClient.from_env(retry=wa.RetryPolicy.interactive())
    async with app[CLIENT], wa.PhoneNumberCache(app[CLIENT]) as app[CACHE]:
        yield


def read_refusal(error: wa.WaPhoneError) -> tuple[int, dict[str, Any]]:
    """The status of an error and what a caller is told: the whole sentence only where it is theirs to mend."""
    status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 502)
    refusal: dict[str, Any] = {"error": str(error) if status < 500 else type(error).__name__}
    if error.retry_after is not None:
        refusal["retry_after"] = math.ceil(error.retry_after)
    log.log(logging.ERROR if status >= 500 else logging.INFO, "%s: %s: %s", status, type(error).__name__, error)
    return status, refusal


@web.middleware
async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a call that failed."""
    try:
        return await handler(request)
    except wa.WaPhoneError as error:
        status, refusal = read_refusal(error)
    headers = {"Retry-After": str(refusal["retry_after"])} if "retry_after" in refusal else None
    return web.json_response(refusal, status=status, headers=headers)


@routes.get("/wabas/{waba_id}/phone_numbers")
async def list_page(request: web.Request) -> web.Response:
    """Give a page, by one call."""
    limit, after = request.query.get("limit", "100"), request.query.get("after")
    if not limit.isdecimal() or len(limit) > 3:
        raise wa.InvalidArgumentError("limit", "a whole number from 1 to 100", limit)
    numbers = request.app[CLIENT].list_phone_numbers(
        request.match_info["waba_id"], fields=FIELDS, limit=int(limit), after=after
    )
    page = await numbers.first_page()
    following = page.cursors.after if page.has_next else None
    return web.json_response({"data": list(map(wa.to_dict, page)), "next": following})


@routes.get("/wabas/{waba_id}/phone_numbers.jsonl")
async def stream_all(request: web.Request) -> web.StreamResponse:
    """Give a whole account, page by page, as fast as the caller reads. Whoever leaves ends it."""
    numbers = request.app[CLIENT].list_phone_numbers(
        request.match_info["waba_id"], fields=FIELDS, after=request.query.get("after")
    )
    page = await numbers.next_page()  # as long as nothing was sent, a refusal has its own status
    response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
    await response.prepare(request)
    try:
        while page is not None:
            await response.write("".join(f"{json.dumps(wa.to_dict(number))}\n" for number in page).encode())
            page = await numbers.next_page()
    except wa.WaPhoneError as error:
        await response.write(f"{json.dumps({**read_refusal(error)[1], 'after': numbers.cursor})}\n".encode())
    return response


@routes.get("/wabas/{waba_id}/phone_numbers/cached")
async def list_cached(request: web.Request) -> web.Response:
    """Give a whole account from the cache: one listing for all who ask, which ends when all of them leave."""
    numbers = await request.app[CACHE].phone_numbers(request.match_info["waba_id"], fields=FIELDS)
    return web.json_response({"data": list(map(wa.to_dict, numbers))})


@routes.get("/webhook")
async def agree_to_webhooks(request: web.Request) -> web.Response:
    """Agree to get webhooks, which Meta asks once."""
    token = request.query.get("hub.verify_token", "")
    if not hmac.compare_digest(token.encode(), request.app[VERIFY_TOKEN].encode()):
        raise web.HTTPForbidden
    return web.Response(text=request.query.get("hub.challenge", ""))


@routes.post("/webhook")
async def hear_webhook(request: web.Request) -> web.Response:
    """Forget what a webhook says has changed."""
    body, signature = await request.read(), request.headers.get("X-Hub-Signature-256")
    try:
        waba_ids = request.app[CACHE].invalidate_from_webhook(body, signature, request.app[APP_SECRET])
    except wa.DecodeError as error:  # signed, and all was forgotten: any other status than 200 brings it again for days
        log.warning("%s", error)
        waba_ids = ()
    return web.json_response(waba_ids)


@routes.get("/health")
async def check_health(request: web.Request) -> web.Response:
    """Say that it is up, and what the last answer for an account said about its budget and the app's."""
    usage = request.app[CLIENT].last_usage(request.query.get("waba_id"))
    return web.json_response({"usage": usage and attrs.asdict(usage)})


def make_app() -> web.Application:
    """The application, which opens its client when it starts."""
    app = web.Application(middlewares=[refuse], client_max_size=4 * 2**20)  # bytes: a webhook can have 1000 entries
    app.cleanup_ctx.append(lifetime)
    app.add_routes(routes)
    return app


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    port = int(os.environ.get("PORT", "8000"))
    # The access log would show `hub.verify_token`. Nothing here writes, so whoever leaves ends what was asked for.
    # Calls in flight have 5 s to end when the service has to: aiohttp waits twice for the time-out.
    web.run_app(
        make_app(), host="127.0.0.1", port=port, access_log=None, handler_cancellation=True, shutdown_timeout=2.5
    )
