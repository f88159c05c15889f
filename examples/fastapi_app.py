"""A FastAPI service with one client: pages, whole accounts as JSON Lines, and a cache that webhooks keep fresh.

    pip install . fastapi uvicorn
    export WA_ACCESS_TOKEN=… WA_APP_SECRET=… WA_VERIFY_TOKEN=…
    python examples/fastapi_app.py

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
from contextlib import asynccontextmanager
from typing import Annotated, Any

import attrs
import uvicorn
from fastapi import FastAPI, Header, Request
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

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

log = logging.getLogger("fastapi_app")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Keep one client, with its connections, quotas and cache, as long as the application lives."""
    secrets = {"app_secret": os.environ["WA_APP_SECRET"], "verify_token": os.environ["WA_VERIFY_TOKEN"]}
    client = wa.PhoneNumberClient.from_env(retry=wa.RetryPolicy.interactive())
    async with client, wa.PhoneNumberCache(client) as cache:
        yield {"client": client, "cache": cache, **secrets}


app = FastAPI(lifespan=lifespan, max_body_size=4 * 2**20)  # bytes: a webhook can have 3 MB


def response_to(error: wa.WaPhoneError) -> tuple[int, dict[str, Any]]:
    """The status and the JSON for an error. They have the error's text only if the caller can fix it."""
    status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 502)
    body: dict[str, Any] = {"error": str(error) if status < 500 else type(error).__name__}
    if error.retry_after is not None:
        body["retry_after"] = math.ceil(error.retry_after)
    log.log(logging.ERROR if status >= 500 else logging.INFO, "%s: %s: %s", status, type(error).__name__, error)
    return status, body


@app.exception_handler(wa.WaPhoneError)
async def handle_errors(_: Request, error: wa.WaPhoneError) -> JSONResponse:
    """Respond to a request whose call failed."""
    status, body = response_to(error)
    headers = {"Retry-After": str(body["retry_after"])} if "retry_after" in body else None
    return JSONResponse(body, status, headers)


@app.get("/wabas/{waba_id}/phone_numbers")
async def list_page(request: Request, waba_id: str, limit: int = 100, after: str | None = None) -> dict[str, Any]:
    """Respond with one page, which costs one call."""
    client: wa.PhoneNumberClient = request.state.client
    page = await client.list_phone_numbers(waba_id, fields=FIELDS, limit=limit, after=after).first_page()
    return {"data": list(map(wa.to_dict, page)), "next": page.next_cursor}


@app.get("/wabas/{waba_id}/phone_numbers.jsonl")
async def stream_all(request: Request, waba_id: str, after: str | None = None) -> StreamingResponse:
    """Stream a whole account, page by page, as fast as the caller reads. It ends when the caller leaves."""
    client: wa.PhoneNumberClient = request.state.client
    numbers = client.list_phone_numbers(waba_id, fields=FIELDS, after=after)
    first = await numbers.next_page()  # an error of the first page still has its own status
    return StreamingResponse(write_lines(numbers, first), media_type="application/jsonl")


async def write_lines(
    numbers: wa.AsyncPaginator[wa.PhoneNumber], page: wa.Page[wa.PhoneNumber] | None
) -> AsyncIterator[str]:
    """Write this page and the next ones, and an error as the last line."""
    try:
        while page is not None:
            yield "".join(f"{json.dumps(wa.to_dict(number))}\n" for number in page)
            page = await numbers.next_page()
    except wa.WaPhoneError as error:
        yield f"{json.dumps({**response_to(error)[1], 'after': numbers.cursor})}\n"


@app.get("/wabas/{waba_id}/phone_numbers/cached")
async def list_cached(request: Request, waba_id: str) -> dict[str, Any]:
    """Respond with a whole account from the cache. Concurrent requests share one listing, kept even if they leave."""
    cache: wa.PhoneNumberCache = request.state.cache
    return {"data": list(map(wa.to_dict, await cache.phone_numbers(waba_id, fields=FIELDS)))}


@app.get("/webhook")
async def agree_to_webhooks(request: Request) -> PlainTextResponse:
    """Confirm the subscription to webhooks. Meta requests this once."""
    return PlainTextResponse(wa.answer_challenge(request.query_params, request.state.verify_token))


@app.post("/webhook")
async def receive_webhook(request: Request, x_hub_signature_256: Annotated[str | None, Header()] = None) -> list[str]:
    """Invalidate the accounts that a webhook names."""
    cache: wa.PhoneNumberCache = request.state.cache
    body = await request.body()
    wa.verify_webhook(body, x_hub_signature_256, request.state.app_secret)
    try:
        notices = wa.parse_webhook(body)
    except wa.DecodeError as error:  # it is signed: for any status but 200, Meta would send it again
        log.warning("%s", error)
        cache.clear()
        return []
    return list(cache.invalidate_from_notices(notices))


@app.get("/health")
async def check_health(request: Request, waba_id: str | None = None) -> dict[str, Any]:
    """Respond that the service is up, with the usage of an account's quota and the app's."""
    client: wa.PhoneNumberClient = request.state.client
    usage = client.last_usage(waba_id)
    return {"usage": usage and attrs.asdict(usage)}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    # The access log would show `hub.verify_token`. Calls in flight have 5 s to end when the service stops.
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), access_log=False, timeout_graceful_shutdown=5)
