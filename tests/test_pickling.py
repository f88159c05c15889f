"""What holds a secret can be neither pickled nor copied, whatever it is part of. Its error is one clear sentence."""

import asyncio
import copy
import importlib.util
import inspect
import pickle
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import partial
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wa_phone_async
from wa_phone_async import (
    GraphSession,
    PhoneNumber,
    PhoneNumberCache,
    PhoneNumberClient,
    TokenMap,
    WaPhoneError,
    WatchedWaba,
    diff_listings,
)
from wa_phone_async.workflows.watch import Poller

CANARY = "canary-of-a-secret"
PHONES = PhoneNumberClient(CANARY, app_secret=CANARY, proxy=f"http://anna:{CANARY}@127.0.0.1:1")


class OfTheCaller(PhoneNumberClient):
    """A client with something of its own."""


def redis_throttle() -> Any:
    module = pytest.importorskip("wa_phone_async.ratelimit.redis", reason="the extra `redis` is not installed")
    return module.RedisThrottle(f"redis://anna:{CANARY}@127.0.0.1:1", app_id="555")


def redis_ledger() -> Any:
    module = pytest.importorskip("wa_phone_async.ratelimit.redis", reason="the extra `redis` is not installed")
    return module.RedisRegistrationLedger(f"redis://anna:{CANARY}@127.0.0.1:1")


def watched_waba() -> WatchedWaba:
    async def read_list() -> list[PhoneNumber]:
        return await PHONES.list_phone_numbers("1111")

    return WatchedWaba("1111", read_list, Poller(60.0, None, lambda: None))


HOLDERS: dict[str, Callable[[], Any]] = {
    "PhoneNumberClient": lambda: PHONES,
    "OfTheCaller": lambda: OfTheCaller(CANARY),
    "GraphSession": lambda: GraphSession(CANARY, app_secret=CANARY),
    "AsyncPaginator": lambda: PHONES.list_phone_numbers("1111"),
    "Listings": lambda: PHONES.list_many(["1111"]),
    "Differences": lambda: diff_listings([], PHONES.list_many(["1111"])),
    "HealthCheck": lambda: PHONES.check_health(["1111"]),
    "BusinessProfiles": lambda: PHONES.get_business_profiles(["1111"]),
    "BulkEdit": lambda: PHONES.set_webhooks(["1111"], "https://shop.example", verify_token=CANARY),
    "Watch": lambda: PHONES.watch("1111"),
    "Watches": lambda: PHONES.watch(["1111"]),
    "WatchedWaba": watched_waba,
    "PhoneNumberCache": lambda: PhoneNumberCache(PHONES),
    "TokenMap": lambda: TokenMap({"1111": CANARY}, CANARY),
    "a session with a throttle": lambda: GraphSession(CANARY, throttle=redis_throttle()),
    "a method": lambda: PHONES.list_phone_numbers,
}
if importlib.util.find_spec("redis"):
    HOLDERS["RedisThrottle"] = redis_throttle
    HOLDERS["RedisRegistrationLedger"] = redis_ledger
HARMLESS = {
    "Extra": "members of a response",
    "FileRegistrationLedger": "it has only the path of its file",
    "RateLimiter": "a protocol",
    "RegistrationLedger": "a protocol",
    "Rows": "a list",
    "StoredLedger": "an abstract class",
    "Throttle": "it knows only digests of tokens",
    "Verbatim": "a string of the caller",
}
"""Public classes that are no holder, no error, no enum and no plain value, and why they hold no secret."""

WAYS: dict[str, Callable[[Any], object]] = {
    **{f"pickle {number}": partial(pickle.dumps, protocol=number) for number in range(pickle.HIGHEST_PROTOCOL + 1)},
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}
WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "list": lambda value: [value],
    "dict": lambda value: {"a": {"b": value}},
    "partial": lambda value: partial(print, value),
    "namespace": lambda value: types.SimpleNamespace(value=value),
}


@contextmanager
def rejected() -> Iterator[None]:
    with pytest.raises(
        TypeError, match=r"(?s)^(a|listings) .* cannot pickle it: .*|.* cannot be pickled.*: .*$"
    ) as caught:
        yield
    assert CANARY not in repr(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("holder", sorted(HOLDERS))
def test_each_holder_says_so(holder: str) -> None:
    async def main() -> None:
        with rejected():
            pickle.dumps(HOLDERS[holder]())

    asyncio.run(main())


@given(
    holder=st.sampled_from(sorted(HOLDERS)),
    way=st.sampled_from(sorted(WAYS)),
    wrappers=st.lists(st.sampled_from(sorted(WRAPPERS)), max_size=3),
)
def test_what_holds_a_secret_is_neither_pickled_nor_copied(holder: str, way: str, wrappers: list[str]) -> None:
    async def main() -> None:
        value = HOLDERS[holder]()
        for wrapper in wrappers:
            value = WRAPPERS[wrapper](value)
        # A copy of a container, or of a method, holds the same object, and so no other secret.
        if way != "copy" or not (wrappers or holder == "a method"):
            with rejected():
                WAYS[way](value)

    asyncio.run(main())


def test_every_public_class_is_a_holder_or_can_hold_no_secret() -> None:
    for name in wa_phone_async.__all__:
        value = getattr(wa_phone_async, name)
        if inspect.isclass(value) and name not in HOLDERS and name not in HARMLESS:
            assert attrs.has(value) or issubclass(value, WaPhoneError | Enum), f"{name}: can it hold a secret?"
