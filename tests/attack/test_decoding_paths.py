"""Random and damaged pages: the fast path and the core path read the same, or fail with the same error."""

import json
from random import Random
from typing import Any

import pytest
from attack import Attack
from decoding_paths import by_both, by_core, outcome
from readers import fresh_readers, read_plain_page

from wa_phone_async import ALL_FIELDS, PhoneNumber
from wa_phone_async.decoding.converter import FAST_PATH_SWITCH
from wa_phone_async.models import CreatedPhoneNumber

pytestmark = pytest.mark.unmeasured

pytest.importorskip("msgspec", reason="msgspec is not installed")

PAGES_OF_A_ROUND = 500
NAMES = [*ALL_FIELDS, "platform_type", "extra", "level", "paging", "owner", "a-b", "ñ", "", "id ", "cursors", "error"]
TEXTS = ["", "CONNECTED", "CLOUD_API", "GREEN", "HIGH", "TOMORROW'S", "2025-02-04T17:40:07+0000", "1738690807", "true"]
TEXTS += ["\ud800", "\0", "é", "`$.data[0].id`", "https://x?access_token=t", "+1 631-555-0100"]
ATOMS: list[Any] = [None, True, False, 0, 1, -1, 1.5, 10**30, float("nan"), float("inf"), 1738690807, [], {}]
PIECES = [
    b"NaN",
    b"1e999",
    b"-0",
    b"01",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b'"',
    b"\\ud800",
    b"\x01",
    b"\xff",
    b"\xed",
]
PIECES += [b"\xef\xbb\xbf", b"9" * 5000, b"[" * 1500, b'"id":"1",', b'"data":[],', b'"paging":null,', b'"error":{},']


def value(draw: Random, depth: int = 0) -> Any:
    kind = draw.randrange(8 if depth < 3 else 5)
    if kind < 3:
        return draw.choice(TEXTS)
    if kind < 5:
        return draw.choice(ATOMS)
    if kind < 6:
        return [value(draw, depth + 1) for _ in range(draw.randrange(3))]
    return {draw.choice(NAMES): value(draw, depth + 1) for _ in range(draw.randrange(4))}


def usual(name: str, draw: Random) -> Any:
    """A value as the API sends it."""
    if name.startswith("is_"):
        return draw.random() < 0.5
    if name == "throughput":
        return {"level": draw.choice(TEXTS)}
    if name in {"health_status", "official_business_account", "webhook_configuration"}:
        return {"application": draw.choice(TEXTS), "more": [draw.choice(ATOMS[:7])]}
    return draw.choice(TEXTS[:7])


def page(draw: Random) -> bytes:
    """A page with mostly usual rows. Some of its bytes may be damaged."""
    oddity = draw.choice([0.0, 0.0, 0.02, 0.2])

    def row() -> dict[str, Any]:
        names = draw.sample(NAMES[: len(ALL_FIELDS)] if draw.random() > oddity else NAMES, draw.randrange(8))
        row = {name: usual(name, draw) if draw.random() > oddity else value(draw) for name in names}
        return {"id": str(draw.randrange(100)), **row} if draw.random() > oddity else row

    payload: dict[str, Any] = {"data": [row() for _ in range(draw.choice([0, 1, 2, 5]))]}
    if draw.random() < 0.7:
        payload["paging"] = {"cursors": {"before": "b", "after": "a"}, "next": "https://x?access_token=t"}
    if draw.random() < oddity:
        payload[draw.choice(["paging", "data", "summary", "error", "cursors"])] = value(draw)
    body = json.dumps(payload, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
    for _ in range(draw.choice([0, 0, 0, 1, 3])):
        start = draw.randrange(len(body) + 1)
        body = body[:start] + draw.choice([b"", *PIECES]) + body[start + draw.choice([0, 1, 4]) :]
    return body


def test_both_decoding_paths_read_every_page_alike(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FAST_PATH_SWITCH, raising=False)
    for draw in attack.rounds(short=2, seconds=40):
        with fresh_readers():
            for _ in range(PAGES_OF_A_ROUND):
                body = page(draw)
                model = draw.choice([PhoneNumber, PhoneNumber, PhoneNumber, CreatedPhoneNumber, dict])
                assert outcome(by_both, body, model) == outcome(by_core, body, model), body
                attack.count("pages")
                attack.count("by the fast path", read_plain_page(body, model) is not None)
