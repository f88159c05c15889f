"""Callback URLs and subscriptions of apps: what the sandbox accepts, what it shows, and what it rejects."""

import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from wa_phone_async.sandbox import APP_ID, BUSINESS_ID, SMALL_WABA, Request, Sandbox
from wa_phone_async.sandbox.modes import ModeName

URL = "https://shop.example/hook"
NUMBER = "300000001000000"
APPS = f"{SMALL_WABA}/subscribed_apps"
both_modes = pytest.mark.parametrize("mode", ["live", "reference"])


class Caller:
    """Calls a sandbox over its socket."""

    def __init__(self, sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
        self._url, self._http = sandbox.url, http

    async def call(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, Any]:
        headers = {"Authorization": "Bearer t"}
        how: Any = {"json": body} if isinstance(body, dict) else {"data": body}
        url = f"{self._url}/v23.0/{path}"
        async with self._http.request(method, url, params=query, headers=headers, **how) as response:
            return response.status, await response.json()

    async def error(self, method: str, path: str, body: Any = None) -> tuple[int, int, str]:
        status, found = await self.call(method, path, body)
        return status, found["error"]["code"], found["error"]["message"]

    async def urls(self) -> Any:
        return (await self.call("GET", NUMBER, fields="webhook_configuration"))[1]["webhook_configuration"]


@both_modes
async def test_the_url_of_the_number_comes_first_then_that_of_its_account(mode: ModeName) -> None:
    async with Sandbox(mode=mode) as sandbox, aiohttp.ClientSession() as http:
        caller, app = Caller(sandbox, http), "https://shop.example/webhooks"
        assert await caller.urls() == {"application": app}
        of_account = {"override_callback_uri": f"{URL}/waba", "verify_token": "t"}
        assert await caller.call("POST", APPS, of_account) == (200, {"success": True})
        of_number = {"webhook_configuration": {"override_callback_uri": URL, "verify_token": "t"}}
        assert await caller.call("POST", NUMBER, of_number) == (200, {"success": True})
        assert await caller.urls() == {
            "application": app,
            "whatsapp_business_account": f"{URL}/waba",
            "phone_number": URL,
        }
        _, listed = await caller.call("GET", APPS)
        assert listed["data"][0]["whatsapp_business_api_data"]["id"] == APP_ID
        assert listed["data"][0]["override_callback_uri"] == f"{URL}/waba"
        in_form = {"webhook_configuration": json.dumps({"override_callback_uri": ""})}
        assert await caller.call("POST", NUMBER, aiohttp.FormData(in_form)) == (200, {"success": True})
        assert await caller.call("POST", APPS, {}) == (200, {"success": True})
        assert await caller.urls() == {"application": app}
        assert await caller.call("DELETE", APPS) == (200, {"success": True})
        assert (await caller.call("GET", APPS))[1] == {"data": []}


@both_modes
async def test_what_is_rejected(mode: ModeName) -> None:
    async with Sandbox(mode=mode) as sandbox, aiohttp.ClientSession() as http:
        caller = Caller(sandbox, http)
        sandbox.set_callback(URL, "right")

        async def rejected(url: Any, token: Any = "right") -> tuple[int, int, str]:
            of_account = await caller.error("POST", APPS, {"override_callback_uri": url, "verify_token": token})
            members = {"override_callback_uri": url, "verify_token": token}
            of_number = await caller.error("POST", NUMBER, {"webhook_configuration": members})
            assert of_number == of_account
            return of_account

        assert "(#2200) Callback verification failed" in (await rejected(URL, "wrong"))[2]
        sandbox.set_callback(URL, None)
        assert (await rejected(URL))[:2] == (400, 2200)
        assert "https URL of at most 200" in (await rejected("http://shop.example"))[2]
        assert "https URL of at most 200" in (await rejected(f"{URL}/{'x' * 200}"))[2]
        assert "verify_token is required" in (await rejected("https://a.example", None))[2]
        sandbox.unsubscribe_app(SMALL_WABA)
        assert (await rejected("https://a.example"))[2].startswith("(#100) Before override the current callback uri")
        for value in (7, "x", {}, {"override_callback_uri": None}):
            error = await caller.error("POST", NUMBER, {"webhook_configuration": value})
            assert error[1] == 100
            assert "override_callback_uri] is required" in error[2]
        assert (await caller.error("PATCH", APPS))[2] == "(#100) Unsupported patch request"
        for node in (NUMBER, BUSINESS_ID):
            assert "nonexisting field (subscribed_apps)" in (await caller.error("GET", f"{node}/subscribed_apps"))[2]


async def test_apps_of_others_and_numbers_of_odd_shapes() -> None:
    async with Sandbox() as sandbox, aiohttp.ClientSession() as http:
        caller = Caller(sandbox, http)
        sandbox.update_number(SMALL_WABA, NUMBER, webhook_configuration=[])
        sandbox.subscribe_app(SMALL_WABA, "77", override=URL)
        assert await caller.urls() == []  # the override of another app is not ours
        sandbox.subscribe_app(SMALL_WABA, override=URL)
        assert await caller.urls() == {"whatsapp_business_account": URL}
        sandbox.unsubscribe_app(SMALL_WABA, "77")
        sandbox.unsubscribe_app(SMALL_WABA, "77")
        assert len((await caller.call("GET", APPS))[1]["data"]) == 1


def test_no_account_no_subscription() -> None:
    calls: list[Callable[[str], None]] = [Sandbox().subscribe_app, Sandbox().unsubscribe_app]
    for call in calls:
        with pytest.raises(KeyError):
            call("7")


@pytest.mark.parametrize("token", ["canary", 'ca"nary', "ca\\nary"])
def test_a_verify_token_is_not_printed(token: str) -> None:
    body = json.dumps({"webhook_configuration": {"verify_token": token, "override_callback_uri": URL}}).encode()
    shown = repr(Request("POST", "/1", "1", {"verify_token": token}, {}, body, 1, 0.0))
    assert "nary" not in shown
    assert URL in shown
