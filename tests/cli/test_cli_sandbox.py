"""`wa-phone sandbox`: what it exports for the examples, and its webhooks, tokens, secrets and quotas."""

import ast
import asyncio
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from passing_time import settle
from scripts import EXAMPLES

from wa_phone_async import AuthenticationError, BadRequestError, PhoneNumberClient, RateLimitError, RetryPolicy
from wa_phone_async.sandbox import SMALL_WABA

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app
from wa_phone_async.cli.commands.sandbox import serve_sandbox

READ_BY_EXAMPLES = {
    node.value
    for file in EXAMPLES.glob("*.py")
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    if isinstance(node, ast.Constant) and re.fullmatch("[A-Z]+(_[A-Z]+)*", str(node.value))
}


@asynccontextmanager
async def exports_of(capsys: pytest.CaptureFixture[str], **options: Any) -> AsyncIterator[dict[str, str]]:
    """What the command exports while it serves."""
    serving, printed = asyncio.create_task(serve_sandbox(**options)), ""
    while "# business" not in printed:
        await settle()
        printed += capsys.readouterr().out
    lines = [line.removeprefix("export ") for line in printed.splitlines() if line.startswith("export ")]
    yield dict(shlex.split(line)[0].split("=", 1) for line in lines)
    serving.cancel()
    await asyncio.wait([serving])


async def test_it_exports_all_that_the_examples_read(capsys: pytest.CaptureFixture[str]) -> None:
    async with exports_of(capsys) as exports:
        assert {"WA_VERIFY_TOKEN", "WABA_ID", "CC"} <= READ_BY_EXAMPLES
        assert READ_BY_EXAMPLES - exports.keys() <= {"GET", "POST", "PORT", "ERROR", "INFO", "PIN"}
        assert exports["WA_APP_SECRET"] == "sandbox-app-secret"
        assert exports["VERIFIED_NAME"] == "Acme Shoes"


async def test_it_wants_the_token_and_the_app_secret_that_are_given(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with exports_of(capsys, token="my-token", app_secret="it's-mine") as exports:
        for name, value in exports.items():
            monkeypatch.setenv(name, value)
        assert (exports["WA_ACCESS_TOKEN"], exports["WA_APP_SECRET"]) == ("my-token", "it's-mine")
        async with PhoneNumberClient.from_env() as client:
            assert len(await client.list_phone_numbers(SMALL_WABA)) == 3
        async with PhoneNumberClient("another", base_url=exports["WA_BASE_URL"], app_secret="it's-mine") as client:
            with pytest.raises(AuthenticationError):
                await client.list_phone_numbers(SMALL_WABA)
        async with PhoneNumberClient("my-token", base_url=exports["WA_BASE_URL"]) as client:
            with pytest.raises(BadRequestError, match="appsecret_proof"):
                await client.list_phone_numbers(SMALL_WABA)


async def test_it_throttles_and_takes_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    async with (
        exports_of(capsys, quota=1, latency=0.01) as exports,
        PhoneNumberClient("t", base_url=exports["WA_BASE_URL"], retry=RetryPolicy(max_attempts=1)) as client,
    ):
        began = asyncio.get_running_loop().time()
        await client.list_phone_numbers(SMALL_WABA)
        assert asyncio.get_running_loop().time() - began >= 0.01
        with pytest.raises(RateLimitError):
            await client.list_phone_numbers(SMALL_WABA)


async def test_it_sends_webhooks_and_says_how_they_were_received(capsys: pytest.CaptureFixture[str]) -> None:
    statuses = [500, 200]

    async def receive(_: web.Request) -> web.Response:
        return web.Response(status=statuses.pop(0))

    receiver = web.Application()
    receiver.router.add_post("/webhook", receive)
    runner = web.AppRunner(receiver)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    said = list[str]()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhook"
    async with (
        exports_of(capsys, webhook_url=url, review_after=0.001) as exports,
        PhoneNumberClient("t", base_url=exports["WA_BASE_URL"]) as client,
    ):
        await client.create_phone_number(SMALL_WABA, phone_number="16315550109", verified_name="Invented Shop", cc="1")
        async with asyncio.timeout(30):
            while len(said) < 2:
                await asyncio.sleep(0.01)
                said += [line for line in capsys.readouterr().err.splitlines() if "webhook" in line]
    assert said == [
        "webhook phone_number_name_update: HTTP 500; it is sent again later",
        "webhook phone_number_name_update: HTTP 200",
    ]
    await runner.cleanup()


REAL = "EAAcanary" + "0Zk9" * 10
LOOKS_REAL = "an invented one: this one looks real, and other users of this machine can read arguments"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--token", REAL), f"--token must be {LOOKS_REAL}"),
        (("--app-secret", "0123456789abcdef" * 2), f"--app-secret must be {LOOKS_REAL}"),
        (("--token", ""), "--token must be a string that is not empty: give the one that Meta issued"),
        (
            ("--app-secret", "a b"),
            "--app-secret must be printable ASCII without blanks or line breaks: was it read whole?",
        ),
        (
            ("--webhook-url", "127.0.0.1:8000/webhook?key=canary"),
            "--webhook-url must be an http:// or https:// URL, such as http://127.0.0.1:8000/webhook",
        ),
    ],
)
def test_what_is_wrong_is_said_and_no_secret_is_shown(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["sandbox", *arguments]) == 2
    assert capsys.readouterr() == ("", f"wa-phone: {said}\n")
