"""An aiohttp service with one client: pages, whole accounts as JSON Lines, and a cache that webhooks keep fresh.

    pip install .
    export WA_ACCESS_TOKEN=… WA_APP_SECRET=… WA_VERIFY_TOKEN=…
    python examples/aiohttp_app.py

To try it, paste the lines of `wa-phone sandbox --webhook-url http://127.0.0.1:8000/webhook` in place of the `export`.

    GET  /wabas/{waba_id}/phone_numbers?limit=&after=   a page; `next` is the `after` of the next one, null at the end
    GET  /wabas/{waba_id}/phone_numbers.jsonl?after=    all numbers, a line each
    GET  /wabas/{waba_id}/phone_numbers/cached          all numbers, at most 30 s old and never older than a webhook
    GET  /webhook and POST /webhook                     for Meta
    GET  /health?waba_id=                               the usage of the account's and the app's quota

If a page after the first one fails, the last line of the stream is `{"error": …, "after": …}`: go on from that cursor.
If the service stops, the stream is cut off, and an HTTP client reports an error.
"""

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
    wa.BadRequestError: 400,  # such as an invalid cursor
    wa.NotFoundError: 404,
    wa.WebhookSignatureError: 403,
    wa.RateLimitError: 503,  # not 429: all callers together have used the quota
    wa.StaleListingError: 503,
    wa.RequestTimeoutError: 504,
}  # all else is 502, and so is a rejected token: it is ours, and a 401 would tell the caller to log in

log = logging.getLogger("aiohttp_app")
routes = web.RouteTableDef()

CLIENT = web.AppKey("client", wa.PhoneNumberClient)
CACHE = web.AppKey("cache", wa.PhoneNumberCache)
APP_SECRET = web.AppKey("app_secret", str)
VERIFY_TOKEN = web.AppKey("verify_token", str)


async def lifetime(app: web.Application) -> AsyncIterator[None]:
    """Keep one client, with its connections, quotas and cache, as long as the application lives."""
    app[APP_SECRET], app[VERIFY_TOKEN] = os.environ["WA_APP_SECRET"], os.environ["WA_VERIFY_TOKEN"]
    app[CLIENT] = wa.PhoneNumberClient.from_env(retry=wa.RetryPolicy.interactive())
    async with app[CLIENT], wa.PhoneNumberCache(app[CLIENT]) as app[CACHE]:
        yield


def response_to(error: wa.WaPhoneError) -> tuple[int, dict[str, Any]]:
    """The status and the JSON for an error. They have the error's text only if the caller can fix it."""
    status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 502)
    body: dict[str, Any] = {"error": str(error) if status < 500 else type(error).__name__}
    if error.retry_after is not None:
        body["retry_after"] = math.ceil(error.retry_after)
    log.log(logging.ERROR if status >= 500 else logging.INFO, "%s: %s: %s", status, type(error).__name__, error)
    return status, body


@web.middleware
async def handle_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Respond to a request whose call failed."""
    try:
        return await handler(request)
    except wa.WaPhoneError as error:
        status, body = response_to(error)
    headers = {"Retry-After": str(body["retry_after"])} if "retry_after" in body else None
    return web.json_response(body, status=status, headers=headers)


@routes.get("/wabas/{waba_id}/phone_numbers")
async def list_page(request: web.Request) -> web.Response:
    """Respond with one page, which costs one call."""
    limit, after = request.query.get("limit", "100"), request.query.get("after")
    if not limit.isdecimal() or len(limit) > 3:
        raise wa.InvalidArgumentError("limit", "a whole number from 1 to 100", limit)
    numbers = request.app[CLIENT].list_phone_numbers(
        request.match_info["waba_id"], fields=FIELDS, limit=int(limit), after=after
    )
    page = await numbers.first_page()
    return web.json_response({"data": list(map(wa.to_dict, page)), "next": page.next_cursor})


@routes.get("/wabas/{waba_id}/phone_numbers.jsonl")
async def stream_all(request: web.Request) -> web.StreamResponse:
    """Stream a whole account, page by page, as fast as the caller reads. It ends when the caller leaves."""
    numbers = request.app[CLIENT].list_phone_numbers(
        request.match_info["waba_id"], fields=FIELDS, after=request.query.get("after")
    )
    page = await numbers.next_page()  # an error of the first page still has its own status
    response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
    await response.prepare(request)
    try:
        while page is not None:
            await response.write("".join(f"{json.dumps(wa.to_dict(number))}\n" for number in page).encode())
            page = await numbers.next_page()
    except wa.WaPhoneError as error:
        await response.write(f"{json.dumps({**response_to(error)[1], 'after': numbers.cursor})}\n".encode())
    return response


@routes.get("/wabas/{waba_id}/phone_numbers/cached")
async def list_cached(request: web.Request) -> web.Response:
    """Respond with a whole account from the cache. Concurrent requests share one listing, which ends when all leave."""
    numbers = await request.app[CACHE].phone_numbers(request.match_info["waba_id"], fields=FIELDS)
    return web.json_response({"data": list(map(wa.to_dict, numbers))})


@routes.get("/webhook")
async def agree_to_webhooks(request: web.Request) -> web.Response:
    """Confirm the subscription to webhooks. Meta requests this once."""
    return web.Response(text=wa.answer_challenge(request.query, request.app[VERIFY_TOKEN]))


@routes.post("/webhook")
async def receive_webhook(request: web.Request) -> web.Response:
    """Invalidate the accounts that a webhook names."""
    cache, body = request.app[CACHE], await request.read()
    wa.verify_webhook(body, request.headers.get("X-Hub-Signature-256"), request.app[APP_SECRET])
    try:
        notices = wa.parse_webhook(body)
    except wa.DecodeError as error:  # it is signed: for any status but 200, Meta would send it again
        log.warning("%s", error)
        cache.clear()
        return web.json_response([])
    return web.json_response(cache.invalidate_from_notices(notices))


@routes.get("/health")
async def check_health(request: web.Request) -> web.Response:
    """Respond that the service is up, with the usage of an account's quota and the app's."""
    usage = request.app[CLIENT].last_usage(request.query.get("waba_id"))
    return web.json_response({"usage": usage and attrs.asdict(usage)})


def make_app() -> web.Application:
    """Make the application. It opens its client when it starts."""
    app = web.Application(middlewares=[handle_errors], client_max_size=4 * 2**20)  # bytes: a webhook can have 3 MB
    app.cleanup_ctx.append(lifetime)
    app.add_routes(routes)
    return app


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    port = int(os.environ.get("PORT", "8000"))
    # The access log would show `hub.verify_token`. Nothing here writes, so a request may end when its caller leaves.
    # Calls in flight have 5 s to end when the service stops: aiohttp waits twice for the time-out.
    web.run_app(
        make_app(), host="127.0.0.1", port=port, access_log=None, handler_cancellation=True, shutdown_timeout=2.5
    )
