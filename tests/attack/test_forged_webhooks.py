"""Webhooks that are forged, odd or large: none is read unsigned, none raises what is not ours, and time is linear."""

import hashlib
import hmac
import json
import time
from random import Random
from typing import Any

import pytest
from attack import Attack

from wa_phone_async import (
    DecodeError,
    PhoneNumberCache,
    PhoneNumberClient,
    WebhookNotice,
    WebhookSignatureError,
    answer_challenge,
    parse_webhook,
    verify_webhook,
)
from wa_phone_async.sandbox import Sandbox

pytestmark = pytest.mark.unmeasured

SECRET = "an-invented-app-secret"
FIELDS = ["account_alerts", "account_update", "phone_number_name_update", "phone_number_quality_update", "security"]
FIELDS += ["messages", "business_capability_update", "business_username_updates", "tomorrows_update", ""]
NAMES = ["object", "entry", "id", "time", "changes", "field", "value", "waba_info", "waba_id", "metadata", "old_limit"]
NAMES += [
    "display_phone_number",
    "phone_number",
    "phone_number_id",
    "entity_type",
    "entity_id",
    "phone_number_settings",
]
ATOMS: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**20,
    10**400,
    float("nan"),
    "",
    "1234",
    "16315551000",
    "+1 (631)",
    "\ud800",
]
ATOMS += ["whatsapp_business_account", "page", "PHONE_NUMBER", "\u0661\u0662", "9" * 5000, "\0", *FIELDS]


def signature_of(body: bytes, app_secret: str = SECRET) -> str:
    return f"sha256={hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()}"


def value(draw: Random, depth: int = 0) -> Any:
    kind = draw.randrange(10)
    if kind < 3 or depth > 5:
        return draw.choice(ATOMS)
    if kind < 5:
        return [value(draw, depth + 1) for _ in range(draw.randrange(4))]
    return {draw.choice(NAMES): value(draw, depth + 1) for _ in range(draw.randrange(5))}


def webhook(draw: Random) -> Any:
    """A webhook in its usual form, with a few odd values, or anything at all."""
    if draw.random() < 0.3:
        return value(draw)
    odd = draw.choice([0.0, 0.1, 0.4])

    def some(usual: Any) -> Any:
        return value(draw, 2) if draw.random() < odd else usual

    def change() -> Any:
        return some({"field": some(draw.choice(FIELDS)), "value": some({some_name(): value(draw, 3)})})

    def some_name() -> str:
        return draw.choice(NAMES)

    entries = [
        some(
            {
                "id": some("1234"),
                "time": some(1738690807),
                "changes": some([change() for _ in range(draw.randrange(3))]),
            }
        )
        for _ in range(draw.randrange(1, 4))
    ]
    return {"object": some("whatsapp_business_account"), "entry": some(entries)}


def damaged(data: bytes, draw: Random) -> bytes:
    for _ in range(draw.choice([0, 0, 1, 3])):
        start = draw.randrange(len(data) + 1)
        piece = draw.choice([b"", b"\xff", b"[" * 2000, b'"', b"}", b"NaN", b"\0", b",", b"9" * 5000, data[:7]])
        data = data[:start] + piece + data[start + draw.choice([0, 1, 5]) :]
    return data


def forged(signature: str, body: bytes, draw: Random) -> str | None:
    """Any signature but the right one."""
    digits = signature.removeprefix("sha256=")
    place = draw.randrange(len(digits))
    swapped = digits[:place] + draw.choice("0123456789abcdef") + digits[place + 1 :]
    found = draw.choice(
        [
            *(None, "", "sha256=", digits, signature.upper(), signature[:-1], f"{signature}0", f" {signature}"),
            *(f"{signature}\n", f"sha256={swapped}", f"sha1={digits}", f"sha256={digits[::-1]}", f"SHA256={digits}"),
            *(signature_of(body, f"{SECRET} "), signature_of(body, ""), signature_of(body + b"\0"), signature_of(b"")),
            *(f"sha256={hashlib.sha256(body).hexdigest()}", f"{signature},{signature}", signature.replace("a", "а")),  # noqa: RUF001 - a Cyrillic letter
            f"sha1={hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()}",
        ]
    )
    return None if found == signature else found


def test_no_forged_webhook_is_accepted(attack: Attack) -> None:
    for draw in attack.rounds(short=500, seconds=5):
        body = json.dumps(webhook(draw)).encode()
        signature = signature_of(body)
        with pytest.raises(WebhookSignatureError):
            verify_webhook(body, forged(signature, body, draw), SECRET)
        if (other := damaged(body, draw)) != body:
            with pytest.raises(WebhookSignatureError):
                verify_webhook(other, signature, SECRET)
        verify_webhook(body, signature, SECRET)
        token = draw.choice([None, "", SECRET[:-1], f"{SECRET}0", SECRET.upper(), [SECRET, SECRET], {"a": SECRET}, 0])
        query = {"hub.mode": "subscribe", "hub.challenge": "7", "hub.verify_token": token}
        with pytest.raises(WebhookSignatureError):
            answer_challenge(query, SECRET)
        attack.count("forgeries", 2 + (other != body))


async def test_a_signed_webhook_of_any_form_is_read_or_is_an_error_of_ours(attack: Attack) -> None:
    with Sandbox() as sandbox:
        async with PhoneNumberClient("any", base_url=sandbox.url) as client, PhoneNumberCache(client) as cache:
            for draw in attack.rounds(short=500, seconds=10):
                body = damaged(json.dumps(webhook(draw)).encode(), draw)
                attack.count("webhooks")
                try:
                    notices = parse_webhook(body)
                    cache.invalidate_from_webhook(body, signature_of(body), SECRET)
                except DecodeError:
                    attack.count("of them invalid")
                else:
                    assert all(isinstance(notice, WebhookNotice) for notice in notices)
                    [*map(repr, notices), *map(hash, notices), *(notice.may_change_numbers for notice in notices)]


@pytest.mark.parametrize("names", ["digits", "an account", "nothing"])
async def test_the_time_for_a_webhook_grows_with_its_entries_alone(attack: Attack, names: str) -> None:
    value = {"digits": {"display_phone_number": "16315559999"}, "an account": {"waba_id": "77"}, "nothing": {}}[names]

    def body_of(entries: int) -> bytes:
        changes = [{"field": "account_update", "value": value}]
        return json.dumps({"entry": [{"id": "1", "time": 1, "changes": changes} for _ in range(entries)]}).encode()

    def seconds(cache: PhoneNumberCache, body: bytes) -> float:
        began = time.process_time()
        cache.invalidate_from_notices(parse_webhook(body))
        return time.process_time() - began

    ratios = list[float]()
    with Sandbox(quota=None) as sandbox:
        for waba_id in range(100):
            sandbox.add_waba(str(5550 + waba_id), 20)
        async with PhoneNumberClient("any", base_url=sandbox.url) as client, PhoneNumberCache(client, ttl=600) as cache:
            small, large = body_of(500), body_of(4000)
            while len(ratios) < 4 and (not ratios or min(ratios) > 2):
                times = list[float]()
                for body in (small, large):
                    for waba_id in range(100):
                        await cache.phone_numbers(str(5550 + waba_id))
                    times.append(seconds(cache, body))
                ratios.append(times[1] / times[0] / 8)
    attack.measure("times as long for each entry if there are 8 times as many", min(ratios))
    assert min(ratios) <= 2
