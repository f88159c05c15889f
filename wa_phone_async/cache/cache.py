"""`PhoneNumberCache`: whole listings, kept for a short time, and forgotten as soon as they may have changed.

The law: after an invalidation has returned, nobody reads a listing that was fetched before it, the one on its way
included. It holds because a listing has one place, from when it is first asked for until it is dropped, and an
invalidation needs to look nowhere else. What lies there unread is dropped, and what somebody waits for is begun anew.
"""

from __future__ import annotations

import asyncio
import copy
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, NamedTuple, Self, TypedDict, Unpack

from wa_phone_async.checks import check_at_least_one, check_node_id, check_page, check_seconds
from wa_phone_async.client import PhoneNumberClient
from wa_phone_async.errors import DecodeError, InvalidArgumentError
from wa_phone_async.events import CallFinished, Event
from wa_phone_async.models import PhoneNumber
from wa_phone_async.pagination.page import Follow
from wa_phone_async.pagination.paginator import AsyncPaginator
from wa_phone_async.query import Filter, Sort, list_params, split_fields
from wa_phone_async.readiness import is_pending
from wa_phone_async.redaction import conceal

from .shared_read import Fetch
from .webhooks import Notice, check_signature, read_notices

_ON_THE_WIRE: Final = 32  # requests of one cache at once

_CLOSED: Final = "this cache is closed: make a new one"
_ELSEWHERE: Final = (
    "this cache belongs to another running event loop: give each loop its own client and cache, and from other threads "
    "call its methods by loop.call_soon_threadsafe()"
)


class ListOptions(TypedDict, total=False):
    """The options of `PhoneNumberClient.list_phone_numbers` that a whole listing has."""

    fields: Iterable[str] | str | None
    filtering: Filter | Iterable[Filter] | None
    sort: Sort | str | None
    limit: int
    follow: Follow


class _Question(NamedTuple):
    """What is asked for: questions that are equal have the same answer."""

    waba_id: str
    fields: frozenset[str] | None
    filtering: str | None
    sort: tuple[bool, str] | None
    follow: str


class PhoneNumberCache:
    """The phone numbers of accounts, fetched once for all who ask, and never older than they may be.

        async with PhoneNumberCache(client) as cache:
            numbers = await cache.phone_numbers(waba_id)

    After an invalidation has returned, nobody reads a listing that was fetched before it. One that is on its way is
    begun anew for those who wait. Writes by the client invalidate by themselves, when they end and whatever came of
    them, unless it is certain that nothing was written: a write that names an account, by its path or by `waba_id=`,
    invalidates that; one on a number the accounts that list it; and where it is not known whose it is, all. A write
    whose answer was lost may take effect later than that, and is seen when `ttl` has passed.

    It belongs to one event loop and its thread. Used in another loop after the first has ended, it begins empty. It has
    at most 32 requests on the wire at once.

    Args:
        client: The client that lists. It stays open when the cache closes.
        ttl: Seconds that a listing may be old when it is asked for, from when its first page was sent for.
        pending_ttl: The same while a number of it is not verified yet or in review (`is_pending`); never above `ttl`.
        max_numbers: Phone numbers kept in all, each about a kilobyte. A listing counts as one more than it has. The
            listings that were asked for least recently go first, and one that is larger by itself is not kept.

    Raises:
        InvalidArgumentError: A setting is wrong; the text says which, and what would be right.
    """

    def __init__(
        self,
        client: PhoneNumberClient,
        ttl: float = 30.0,
        *,
        pending_ttl: float = 5.0,
        max_numbers: int = 50_000,
    ) -> None:
        check_seconds("ttl", ttl)
        check_seconds("pending_ttl", pending_ttl)
        check_at_least_one("max_numbers", max_numbers)
        self._client = client
        self._ttl = ttl
        self._pending_ttl = min(ttl, pending_ttl)
        self._max_numbers = max_numbers
        self._fetches: OrderedDict[_Question, Fetch] = OrderedDict()  # the ones asked for last at the end
        self._size = 0
        self._slots = asyncio.Semaphore(_ON_THE_WIRE)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self._unsubscribe = client.subscribe(self._hear)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._client!r}, ttl={self._ttl:g}, listings={len(self._fetches)})"

    async def __aenter__(self) -> Self:
        self._enter_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Forget everything, end what is on its way, and listen to the client no more. All calls then raise."""
        if not self._is_closed:
            self._enter_loop()
        self._is_closed = True
        self._unsubscribe()
        ended = {task for fetch in self._fetches.values() for task in fetch.stop()}
        self._fetches.clear()
        if ended:
            await asyncio.wait(ended)

    async def phone_numbers(self, waba_id: str, **list_options: Unpack[ListOptions]) -> tuple[PhoneNumber, ...]:
        """All phone numbers of an account, at most `ttl` seconds old at the time of asking.

        One call is in flight for a question, however many ask it. Whoever is cancelled leaves the others alone; when
        all are, so is the call. An error goes to all who wait, and nothing of it is kept. The values are shared: what
        is nested in `extra` is not to be changed.

        Args:
            waba_id: Meta's id of the account, digits.
            **list_options: `fields`, `filtering`, `sort`, `limit` and `follow` of `list_phone_numbers`. Questions that
                mean the same share an answer: the order of the fields does not matter, nor does `limit`.

        Raises:
            InvalidArgumentError: An argument is wrong; nothing was sent.
            StaleListingError: The account was invalidated five times more while it was being read.
            RuntimeError: The cache is closed, or belongs to another loop.
            WaPhoneError: The listing could not be had.
        """
        self._enter_loop()
        question, ask = self._read_question(waba_id, list_options)
        asked = asyncio.get_running_loop().time()
        while True:
            fetch = self._fetches.get(question)
            if fetch is None or not fetch.serves(asked):
                fetch = self._begin(question, ask)
            self._fetches.move_to_end(question)
            has_its_place = await self._wait(question, fetch)
            if self._is_closed:
                raise RuntimeError(_CLOSED)
            numbers = fetch.result()
            if has_its_place and fetch.serves(asked):
                return numbers

    def invalidate(self, waba_id: str) -> None:
        """Forget what was read of an account, the listings on their way included.

        Args:
            waba_id: Meta's id of the account, digits.

        Raises:
            InvalidArgumentError: The id is no id.
            RuntimeError: The cache is closed, or belongs to another running loop.
        """
        self._enter_loop()
        check_node_id("waba_id", waba_id)
        self._forget({waba_id})

    def clear(self) -> None:
        """Forget what was read of all accounts, the listings on their way included.

        Raises:
            RuntimeError: The cache is closed, or belongs to another running loop.
        """
        self._enter_loop()
        self._forget(self._known())

    def invalidate_from_webhook(self, body: bytes, signature: str | None, app_secret: str) -> tuple[str, ...]:
        """Forget what a webhook of Meta's says has changed, after its signature was checked.

        Each change invalidates the accounts that it names, and those known to list the numbers that it names. A change
        of limits that a whole business shares, or one that names nothing known, invalidates all. Only messages and
        templates are passed over: a field that is not known invalidates.

        Args:
            body: The raw body, as it came.
            signature: The value of the header `X-Hub-Signature-256`, or `None` where there is none.
            app_secret: The app's secret.

        Returns:
            The ids of the accounts that were invalidated, for a log; those of which nothing was kept included.

        Raises:
            WebhookSignatureError: The signature is missing or wrong, and nothing was read: answer with HTTP 403.
            DecodeError: It is signed and cannot be read, so that all accounts were invalidated.
            InvalidArgumentError: The body is no bytes, or the secret cannot be one.
            RuntimeError: The cache is closed, or belongs to another running loop.
        """
        app_secret, signature = conceal(app_secret), conceal(signature)  # no traceback shows them
        self._enter_loop()
        check_signature(body, signature, app_secret)
        try:
            notices = [notice for notice in read_notices(body) if notice.concerns_numbers]
        except DecodeError:
            self._forget(self._known())
            raise
        waba_ids = self._concerned(notices)
        self._forget(waba_ids)
        return tuple(sorted(waba_ids))

    # What there is

    def _read_question(
        self, waba_id: str, options: ListOptions
    ) -> tuple[_Question, Callable[[], AsyncPaginator[PhoneNumber]]]:
        """What is asked, and what asks it, as often as need be and whatever becomes of the caller's options."""
        if others := options.keys() - ListOptions.__annotations__.keys():
            names = ", ".join(ListOptions.__annotations__)
            raise InvalidArgumentError(
                min(others), "left out", hint=f"a cache keeps whole listings, so its options are only {names}"
            )
        check_node_id("waba_id", waba_id)
        check_page(limit=options.get("limit"), after=None, before=None, max_items=None)
        filtering, sort = options.get("filtering"), options.get("sort")
        if isinstance(filtering, Iterable):
            filtering = tuple(filtering)  # which may be possible once
        params = list_params(fields=options.get("fields"), filtering=filtering, sort=sort)
        fields = params.get("fields")
        question = _Question(
            waba_id,
            None if fields is None else frozenset(split_fields(fields)) | {"id"},  # which comes in any case
            params.get("filtering"),
            None if sort is None else (isinstance(sort, Sort), sort),  # only a `Sort` is spelled as the server needs it
            str(options.get("follow", "next")),
        )
        kept: ListOptions = {**options, "fields": fields, "filtering": copy.deepcopy(filtering)}  # values can be lists
        return question, partial(self._client.list_phone_numbers, waba_id, **kept)

    def _begin(self, question: _Question, ask: Callable[[], AsyncPaginator[PhoneNumber]]) -> Fetch:
        """Ask for a listing, in the place of one that serves no more."""
        ask()  # whatever is wrong with the options is said here
        if question in self._fetches:
            self._drop(question, self._fetches[question])
        fetch = self._fetches[question] = Fetch(question.waba_id, ask, self._lifetime, self._slots)
        return fetch

    def _lifetime(self, numbers: Iterable[PhoneNumber]) -> float:
        return self._pending_ttl if any(map(is_pending, numbers)) else self._ttl

    async def _wait(self, question: _Question, fetch: Fetch) -> bool:
        """Wait for a fetch, and say whether it has its place still, so that no invalidation can have missed it."""
        fetch.waiters += 1
        try:
            while not fetch.task.done():
                await asyncio.wait({fetch.task})
            return self._fetches.get(question) is fetch
        finally:
            fetch.waiters -= 1
            if not fetch.waiters:
                await self._leave(question, fetch)

    async def _leave(self, question: _Question, fetch: Fetch) -> None:
        """The last who waited for a fetch goes: what came is kept if it is of use, and what is on its way ends."""
        if not fetch.task.done():
            self._drop(question, fetch)
            await asyncio.wait(fetch.stop())
        elif fetch.serves(asyncio.get_running_loop().time()) and fetch.weight <= self._max_numbers:
            self._keep(question, fetch)
        else:
            self._drop(question, fetch)

    def _keep(self, question: _Question, fetch: Fetch) -> None:
        if self._fetches.get(question) is fetch and not fetch.is_counted:
            fetch.is_counted = True
            self._size += fetch.weight
        while self._size > self._max_numbers:
            self._drop(*next(item for item in self._fetches.items() if item[1].is_counted))

    def _drop(self, question: _Question, fetch: Fetch) -> None:
        if self._fetches.get(question) is fetch:
            del self._fetches[question]
            self._size -= fetch.weight if fetch.is_counted else 0

    # What is forgotten

    def _forget(self, waba_ids: set[str]) -> None:
        for question, fetch in [item for item in self._fetches.items() if item[0].waba_id in waba_ids]:
            if fetch.waiters:
                fetch.begin_anew()
            else:
                self._drop(question, fetch)

    def _known(self) -> set[str]:
        """The accounts of which something is kept, or on its way."""
        return {question.waba_id for question in self._fetches}

    def _hear(self, event: Event) -> None:
        """Forget what a write has changed, before the caller knows of it."""
        if isinstance(event, CallFinished) and event.may_have_written:
            self._enter_loop()
            self._forget(self._written(event))

    def _written(self, event: CallFinished) -> set[str]:
        """The accounts that a write has changed; all, where nobody says whose it is."""
        known = self._known()
        touched = known & {event.node_id, event.waba_id}
        for question, fetch in self._fetches.items():
            if any(number.id == event.node_id for number in fetch.numbers):
                touched.add(question.waba_id)
        is_told = event.path == f"{event.node_id}/phone_numbers" or event.waba_id not in {None, event.node_id}
        return touched if touched or is_told else known

    def _concerned(self, notices: list[Notice]) -> set[str]:
        """The accounts that changes concern."""
        homes: dict[str, set[str]] = {digits: set() for notice in notices for digits in notice.digits}
        for question, fetch in self._fetches.items() if homes else ():
            for digits in fetch.digits & homes.keys():
                homes[digits].add(question.waba_id)
        concerned = set[str]()
        for notice in notices:
            named = notice.waba_ids.union(*(homes[digits] for digits in notice.digits))
            concerned |= named
            if notice.concerns_all or not named:
                concerned |= self._known()
        return concerned

    def _enter_loop(self) -> None:
        """Check that it is open, and that it is called in its own loop, which is another one when that has ended."""
        if self._is_closed:
            raise RuntimeError(_CLOSED)
        here = _running_loop()
        if here is self._loop:
            return
        if self._loop is not None and self._loop.is_running():
            raise RuntimeError(_ELSEWHERE)
        if here is not None or self._loop is None or self._loop.is_closed():
            self._fetches.clear()
            self._size = 0
            self._slots = asyncio.Semaphore(_ON_THE_WIRE)
            self._loop = here


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
