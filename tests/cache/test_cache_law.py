"""The law of the cache, in any order of reads, changes, invalidations, writes, webhooks, faults and cancellations.

Each row of a read was true at some moment after the last invalidation that had returned when the read returned. It was
also true at some moment that is at most a time to live before the read was requested.
"""

import asyncio
import hashlib
import hmac
import json
import math
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar

import aiohttp
import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from unthrottled import Unthrottled

from wa_phone_async import (
    CallFinished,
    Event,
    PhoneNumber,
    PhoneNumberCache,
    PhoneNumberClient,
    RetryPolicy,
    Throttle,
    WaPhoneError,
    Write,
)
from wa_phone_async.readiness import is_pending
from wa_phone_async.sandbox import Fault, Sandbox, VirtualTimeLoop

T = TypeVar("T")

SECRET = "an-invented-app-secret"
SHOPS = {
    "100200300400777": ("555000000000001", "555000000000002", "555000000000003"),
    "100200300400778": ("555000000000004",),
}
HOME = {number_id: waba_id for waba_id, ids in SHOPS.items() for number_id in ids}
TTL, PENDING_TTL = 30.0, 5.0

shops = st.sampled_from(sorted(SHOPS))
numbers = st.sampled_from(sorted(HOME))
steps = st.sampled_from([0, 0.01, 0.1, 0.25, 0.3, 1, 2.5])
fields = st.sampled_from(
    [
        "phone_number_name_update",
        "security",
        "something_new",
        "business_capability_update",
        "account_update",
        "account_alerts",
    ]
)
FIELDS = "id,verified_name,status,name_status,display_phone_number"
queries = st.sampled_from([{"fields": FIELDS}, {"fields": FIELDS, "follow": "after", "limit": 1}])
FAULTS = [
    Fault.drop_before(),
    Fault.drop_after(),
    Fault.delay(3),
    Fault.delay_response(3),
    Fault.delay_response(40),
    Fault.cut(),
    Fault.status(500),
    Fault.error(2, status=500),
    Fault.error(80008, headers={"Retry-After": "2"}),
    Fault.error(200, status=403),
]


def digits(number_id: str) -> str:
    return f"1631555100{number_id[-1]}"


def named_by_digits(number_id: str) -> dict[str, str]:
    return {"display_phone_number": digits(number_id)}


class Moment(NamedTuple):
    """When something happened: in order, and on the clock."""

    order: int
    seconds: float


NEVER = Moment(2**60, math.inf)


@attrs.define
class World:
    """What is true of the accounts, and what a read may still return."""

    clock: asyncio.AbstractEventLoop
    order: int = 0
    ends: dict[str, Moment] = attrs.field(factory=dict)
    """When each name was replaced by the next one. No name is used twice."""
    named: dict[str, str] = attrs.field(factory=dict)
    """The present name of each number."""
    forgotten: dict[str, int] = attrs.field(factory=lambda: dict.fromkeys(SHOPS, 0))
    """When each account was last invalidated."""
    created: list[tuple[str, str, int]] = attrs.field(factory=list)
    """The account and id of each number that was created, and when the client got to know it."""

    def now(self) -> Moment:
        self.order += 1
        return Moment(self.order, self.clock.time())

    def rename(self, number_id: str) -> str:
        moment = self.now()
        if number_id in self.named:
            self.ends[self.named[number_id]] = moment
        self.named[number_id] = name = f"Shop {moment.order}"
        self.ends[name] = NEVER
        return name

    def forget(self, *waba_ids: str) -> None:
        for waba_id in waba_ids:
            self.forgotten[waba_id] = self.now().order

    def check(self, waba_id: str, requested_at: float, rows: tuple[PhoneNumber, ...]) -> None:
        """Check a read that returns at this moment."""
        since = self.forgotten[waba_id]
        oldest = requested_at - (PENDING_TTL if any(map(is_pending, rows)) else TTL)
        for row in rows:
            end = self.ends.get(row.verified_name or "", NEVER)  # a number that was created here keeps its name
            assert end.order > since, f"{row} was read before an invalidation"
            assert end.seconds >= oldest, f"{row} is {requested_at - end.seconds} s old"
        ids = {row.id for row in rows}
        assert ids.issuperset(SHOPS[waba_id])
        assert ids.issuperset(created for home, created, known in self.created if home == waba_id and known <= since)


class Law(RuleBasedStateMachine):
    """A cache, a sandbox and a client in virtual time, and all that may happen to them."""

    throttle_options: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.world = World(self.runner.get_loop())
        self.sandbox = Sandbox(quota=None, latency=0.25)
        for waba_id, ids in SHOPS.items():
            rows = [{"id": number, "display_phone_number": digits(number), "status": "CONNECTED"} for number in ids]
            self.sandbox.add_waba(waba_id, rows)
            for number in ids:
                self.change(number, review=False)
        self.readers = list[asyncio.Task[None]]()
        self.writes = list[asyncio.Task[None]]()
        self.in_flight = Counter[str]()
        self.phone_numbers = iter(range(16315552000, 16315553000))
        self.stack = AsyncExitStack()
        self.runner.run(self.open())

    async def open(self) -> None:
        await self.stack.enter_async_context(self.sandbox)
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self.began)
        for signal in (trace.on_request_end, trace.on_request_exception):
            signal.append(self.ended)  # type: ignore[arg-type]  # both have the URL
        self.client = PhoneNumberClient(
            "an-invented-token",
            base_url=self.sandbox.url,
            retry=RetryPolicy(max_attempts=2, first_wait=0.5),
            throttle=Unthrottled() if self.throttle_options is None else Throttle(**self.throttle_options),
            trace_configs=[trace],
            timeout=30,
        )
        await self.stack.enter_async_context(self.client)
        self.cache = await self.stack.enter_async_context(
            PhoneNumberCache(self.client, TTL, pending_ttl=PENDING_TTL, max_numbers=12)
        )
        self.client.subscribe(self.on_event)

    async def began(self, _: object, __: object, params: aiohttp.TraceRequestStartParams) -> None:
        if params.method == "GET":
            query = f"{params.url.path} {params.url.query.get('limit')}"
            self.in_flight[query] += 1
            assert self.in_flight[query] == 1, "two requests are in flight for one listing"

    async def ended(self, _: object, __: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        if params.method == "GET":
            self.in_flight[f"{params.url.path} {params.url.query.get('limit')}"] -= 1

    def on_event(self, event: Event) -> None:
        """Note a write that has ended. It is an invalidation that has returned, since the cache got the event first."""
        if isinstance(event, CallFinished) and event.method == "POST" and event.attempts:
            changed = [HOME.get(event.node_id, event.node_id)]
            self.world.forget(*(changed if event.error in {None, "OutcomeUnknownError", "CancelledError"} else ()))

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(main)

    def teardown(self) -> None:
        async def close() -> None:
            tasks = [*self.readers, *self.writes]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert not any(read.waiters for read in self.cache._reads.values())
            await self.stack.aclose()
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        self.run(close())
        self.runner.close()

    # What happens

    async def read(self, waba_id: str, query: dict[str, Any]) -> None:
        requested_at = self.world.clock.time()
        with suppress(WaPhoneError):
            rows = await self.cache.phone_numbers(waba_id, **query)
            self.world.check(waba_id, requested_at, rows)

    @rule(waba_id=shops, query=queries)
    def read_to_its_end(self, waba_id: str, query: dict[str, Any]) -> None:
        self.run(self.read(waba_id, query))

    @rule(waba_id=shops, query=queries, many=st.integers(1, 3), then=steps)
    def start_reads(self, waba_id: str, query: dict[str, Any], many: int, then: float) -> None:
        async def begin() -> None:
            self.readers += [asyncio.create_task(self.read(waba_id, query)) for _ in range(many)]
            await asyncio.sleep(then)

        self.run(begin())

    @rule(index=st.integers(0, 3))
    def cancel(self, index: int) -> None:
        for reader in self.readers[index : index + 1]:
            reader.cancel()

    @rule(seconds=steps | st.sampled_from([4.8, 5.1, 15, 29, 31]))
    def pass_time(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(fault=st.sampled_from(FAULTS), method=st.sampled_from(["GET", "GET", "POST"]))
    def plan(self, fault: Fault, method: str) -> None:
        self.sandbox.plan(fault, method=method)

    @rule(number=numbers, review=st.booleans())
    def change(self, number: str, *, review: bool) -> None:
        """Change a number without any invalidation."""
        status = "PENDING_REVIEW" if review else "APPROVED"
        name = self.world.rename(number)
        self.sandbox.update_number(HOME[number], number, verified_name=name, name_status=status)

    def touch(self, number: str, *, warm: bool) -> None:
        """Change a number whose listing is kept (`warm`) or in flight. The caller then invalidates it."""
        if warm:
            self.run(self.read(HOME[number], {"fields": FIELDS}))
        else:
            self.sandbox.plan(Fault.delay_response(1), method="GET", node=HOME[number])
            self.run(self.begin_to_read(HOME[number]))
        self.change(number, review=False)

    async def begin_to_read(self, waba_id: str) -> None:
        self.readers.append(asyncio.create_task(self.read(waba_id, {"fields": FIELDS})))
        await asyncio.sleep(0.3)  # the response may come later

    @rule(number=numbers, all_accounts=st.booleans(), warm=st.booleans())
    def invalidate_between_steps(self, number: str, *, all_accounts: bool, warm: bool) -> None:
        self.touch(number, warm=warm)
        if all_accounts:
            self.cache.clear()
        else:
            self.cache.invalidate(HOME[number])
        self.world.forget(*(SHOPS if all_accounts else [HOME[number]]))
        self.run(self.begin_to_read(HOME[number]))

    @rule(number=numbers, times=st.integers(1, 8), apart=st.sampled_from([0, 0.1, 0.3]))
    def invalidate(self, number: str, times: int, apart: float) -> None:
        async def main() -> None:
            for _ in range(times):
                self.change(number, review=False)
                self.cache.invalidate(HOME[number])
                self.world.forget(HOME[number])
                await asyncio.sleep(apart)

        self.run(main())

    @rule(number=numbers)
    def invalidate_when_it_has_come(self, number: str) -> None:
        """Invalidate between the end of a read and the moment at which its callers go on."""

        def invalidate(_: object) -> None:
            self.change(number, review=False)
            self.cache.invalidate(HOME[number])
            self.world.forget(HOME[number])

        async def main() -> None:
            await self.begin_to_read(HOME[number])
            for key, read in self.cache._reads.items():
                if key.waba_id == HOME[number] and not read.task.done():
                    read.task.add_done_callback(invalidate)

        self.run(main())

    @rule(number=numbers, field=fields, account=st.sampled_from(["named", "missing", "unknown"]), warm=st.booleans())
    def webhook(self, number: str, field: str, account: str, *, warm: bool) -> None:
        self.touch(number, warm=warm)
        concerned = list(SHOPS) if field == "business_capability_update" else [HOME[number]]
        for waba_id in concerned:
            self.change(SHOPS[waba_id][0], review=False)
        named = {"named": HOME[number], "missing": None, "unknown": "100200300400999"}[account]
        by_id = {"entity_type": "PHONE_NUMBER", "entity_id": number}
        changes = [{"field": field, "value": by_id if field == "account_alerts" else named_by_digits(number)}]
        body = json.dumps({"entry": [{"id": named, "time": 1, "changes": changes}]}).encode()
        signature = f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}"
        self.cache.invalidate_from_webhook(body, signature, SECRET)
        self.world.forget(*concerned)
        self.run(self.begin_to_read(concerned[-1]))

    @rule(waba_id=shops, then=steps)
    def create(self, waba_id: str, then: float) -> None:
        async def write() -> None:
            with suppress(WaPhoneError):
                created = await self.client.create_phone_number(
                    waba_id, phone_number=str(next(self.phone_numbers)), verified_name="Created here", cc="1"
                )
                self.world.created.append((waba_id, created.id, self.world.forgotten[waba_id]))

        self.begin_write(write(), then)

    @rule(number=numbers, says_whose=st.booleans(), lost=st.booleans(), warm=st.booleans())
    def write_to_number(self, number: str, *, says_whose: bool, lost: bool, warm: bool) -> None:
        """Write to a number. The change is true before the write ends, even if the response is lost."""

        async def write() -> None:
            waba_id = HOME[number] if says_whose else None
            with suppress(WaPhoneError):
                await self.client.session.post(Write(path=f"{number}/register", body={}), dict, waba_id=waba_id)
            await self.read(HOME[number], {"fields": FIELDS})

        self.touch(number, warm=warm)
        response = Fault.raw('{"success": true}')
        self.sandbox.plan(attrs.evolve(response, drop="after") if lost else response, method="POST", node=number)
        self.begin_write(write(), 0)

    def begin_write(self, write: Coroutine[Any, Any, None], then: float) -> None:
        async def begin() -> None:
            self.writes.append(asyncio.create_task(write))
            await asyncio.sleep(then)

        self.run(begin())

    # What is always true

    @invariant()
    def every_read_obeys(self) -> None:
        for task in (*self.readers, *self.writes):
            if task.done() and not task.cancelled():
                task.result()
        self.readers = [task for task in self.readers if not task.done()]
        self.writes = [task for task in self.writes if not task.done()]

    @invariant()
    def the_size_is_bounded_and_right(self) -> None:
        counted = [read.weight for read in self.cache._reads.values() if read.is_counted]
        assert sum(counted) == self.cache._size <= 12


class ThrottledLaw(Law):
    """The same with a real throttle, in which the calls of an account wait for each other."""

    throttle_options = {"quota": 5_000}  # noqa: RUF012 - read only


TestLaw = Law.TestCase
TestLaw.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
TestThrottledLaw = ThrottledLaw.TestCase
TestThrottledLaw.settings = settings(max_examples=5, stateful_step_count=30, deadline=None)
