"""`PhoneNumberCache`: complete listings, kept for a short time, and forgotten as soon as they may have changed.

The law: after an invalidation has returned, no read returns a listing that was requested before it, not even one that
was in flight. It holds because a listing is only in `_reads`, from its first request until it is dropped. So an
invalidation finds them all there. It drops the listings that nobody waits for, and restarts the others.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from functools import partial
from typing import Final, NamedTuple, NoReturn, Self, TypedDict, Unpack

from wa_phone_async.checks import MAX_PAGE_SIZE, check_at_least_one, check_seconds, read_node_id
from wa_phone_async.client import PhoneNumberClient
from wa_phone_async.concurrency import MAX_OF_A_CACHE
from wa_phone_async.errors import DecodeError, InvalidArgumentError
from wa_phone_async.events import CallFinished, Event
from wa_phone_async.models import PhoneNumber
from wa_phone_async.phone_digits import shortest_form
from wa_phone_async.query import Fields, Filter, Follow, ListQuery, Sort, split_fields
from wa_phone_async.readiness import is_pending
from wa_phone_async.redaction import conceal

from .shared_read import SharedRead
from .webhooks import WebhookNotice, parse_webhook, verify_webhook

_CLOSED: Final = "this cache is closed: make a new one"
_OTHER_LOOP: Final = (
    "this cache belongs to another running event loop: give each loop its own client and cache, and from other threads "
    "call its methods with loop.call_soon_threadsafe()"
)


class ListOptions(TypedDict, total=False):
    """The options of `PhoneNumberClient.list_phone_numbers` that make sense for a complete listing."""

    fields: Fields
    filtering: Filter | Iterable[Filter] | None
    sort: Sort | str | None
    limit: int
    follow: Follow


class _Key(NamedTuple):
    """What a listing is of, and how it is read. Reads with equal keys share one listing."""

    waba_id: str
    fields: frozenset[str] | None
    filtering: str | None
    sort: tuple[bool, str] | None
    follow: str


class PhoneNumberCache:
    """The phone numbers of accounts: read once for all callers, and kept for a short time.

        async with PhoneNumberCache(client) as cache:
            numbers = await cache.phone_numbers(waba_id)

    After an invalidation has returned, no read returns a listing that was requested before it. A listing in flight is
    read again for those who wait.

    Writes of the client invalidate by themselves when they end, unless it is certain that nothing was written. A write
    that names an account, in its path or by `waba_id=`, invalidates this account. A write on a number invalidates the
    accounts that list the number. If the account is not known, all accounts are invalidated. After a lost response, a
    write may take effect later than that. Then the cache shows it when `ttl` has passed.

    The cache belongs to one event loop and its thread. After that loop has ended, it starts empty in the next one. At
    most 32 of its requests are in flight at once.

    Args:
        client: The client that lists. It stays open when the cache closes.
        ttl: Seconds that a listing may be old when you request it. Its age counts from the request for its first page.
        pending_ttl: The same for a listing with a number that is not verified yet or in review (`is_pending`). It is
            never more than `ttl`.
        max_numbers: How many phone numbers are kept, each about a kilobyte. A listing counts as one more than it has.
            The listings that were requested least recently go first. A single larger listing is returned, but not kept.

    Raises:
        InvalidArgumentError: A setting is invalid. The text says which one, and what is allowed.
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
        self._reads: OrderedDict[_Key, SharedRead] = OrderedDict()  # the most recently requested last
        self._size = 0  # the weight of the reads that count: a read counts as soon as nobody waits for it
        self._listed: OrderedDict[str, None] = OrderedDict()  # accounts that were listed, the most recent last
        self._slots = asyncio.Semaphore(MAX_OF_A_CACHE)
        # No `LoopLocal`: the cache belongs to one loop at a time. You may invalidate while that loop does not run.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self._unsubscribe = client.subscribe(self._on_event)

    def __repr__(self) -> str:
        if "_reads" not in vars(self):  # a traceback shows the cache while it is made
            return f"{type(self).__name__}()"
        return f"{type(self).__name__}({self._client!r}, ttl={self._ttl:g}, listings={len(self._reads)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a cache holds a client with its token and cannot be pickled or copied: make one from a client")

    async def __aenter__(self) -> Self:
        self._enter_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Forget everything, cancel what is in flight, and unsubscribe from the client. All calls then raise."""
        if not self._is_closed:
            self._enter_loop()
        self._is_closed = True
        self._unsubscribe()
        tasks = {task for read in self._reads.values() for task in read.cancel()}
        self._reads.clear()
        if tasks:
            await asyncio.wait(tasks)

    async def phone_numbers(self, waba_id: str | int, **list_options: Unpack[ListOptions]) -> tuple[PhoneNumber, ...]:
        """Return all phone numbers of an account, at most `ttl` seconds old at the time of this call.

        Concurrent calls with the same options share one read. Cancelling one of them does not affect the others; when
        all are cancelled, so is the read. An error is raised to all of them, and is not kept. The numbers are shared
        too, so do not change what is nested in their `extra`.

        Args:
            waba_id: Meta's id of the account, digits.
            **list_options: `fields`, `filtering`, `sort`, `limit` and `follow` of `list_phone_numbers`. Options that
                mean the same share a listing: the order of `fields` does not matter, and neither does `limit`.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            StaleListingError: The account was invalidated during the read, and during each of five further reads.
            RuntimeError: The cache is closed, or belongs to another loop.
            WaPhoneError: The account could not be listed.
        """
        self._enter_loop()
        key, query = _key_and_query(waba_id, list_options)
        requested_at = asyncio.get_running_loop().time()
        while True:
            read = self._reads.get(key)
            if read is None or not read.serves(requested_at):
                read = self._start_read(key, query)
            self._reads.move_to_end(key)
            is_current = await self._wait(key, read)
            if self._is_closed:
                raise RuntimeError(_CLOSED)
            numbers = read.result()
            self._remember(key.waba_id)
            # Between the end of the read and this line, other tasks have run. An invalidation or another caller may
            # have dropped the read, or the listing was too old already when a late caller joined: then read again.
            if is_current and read.serves(requested_at):
                return numbers

    def invalidate(self, waba_id: str | int) -> None:
        """Forget all listings of an account, also those in flight.

        Args:
            waba_id: Meta's id of the account, digits.

        Raises:
            InvalidArgumentError: The id is invalid.
            RuntimeError: The cache is closed, or belongs to another running loop.
        """
        self._enter_loop()
        self._forget({read_node_id("waba_id", waba_id)})

    def clear(self) -> None:
        """Forget the listings of all accounts, also those in flight.

        Raises:
            RuntimeError: The cache is closed, or belongs to another running loop.
        """
        self._enter_loop()
        self._forget(self._known_accounts())

    def invalidate_from_webhook(self, body: bytes, signature: str | None, app_secret: str) -> tuple[str, ...]:
        """Check the signature of a webhook of Meta's, and forget what it says has changed.

        Each change invalidates the accounts that it names, and those that list a number that it names, by its digits or
        its id. It invalidates all accounts if it names no account and no number that the cache has listed, or if it
        tells of a limit that a whole business shares. Changes of messages, calls and templates are ignored. A change
        with an unknown field invalidates too.

        No webhook tells of a changed `quality_rating` (Meta's webhook references, read 2026-11-28). The cache shows it
        when `ttl` has passed.

        Args:
            body: The raw body, unchanged.
            signature: The value of the header `X-Hub-Signature-256`, or `None` if it is missing.
            app_secret: The app's secret.

        Returns:
            The ids of the invalidated accounts, for a log. It includes accounts without a kept listing.

        Raises:
            WebhookSignatureError: The signature is missing or wrong, and nothing was read. Respond with HTTP 403.
            DecodeError: The webhook is signed, but invalid. So all accounts were invalidated.
            InvalidArgumentError: The body is not bytes, or the secret is invalid.
            RuntimeError: The cache is closed, or belongs to another running loop.
        """
        app_secret, signature = conceal(app_secret), conceal(signature)  # no traceback shows them
        self._enter_loop()
        verify_webhook(body, signature, app_secret)
        try:
            notices = parse_webhook(body)
        except DecodeError:
            self.clear()
            raise
        return self.invalidate_from_notices(notices)

    def invalidate_from_notices(self, notices: Iterable[WebhookNotice]) -> tuple[str, ...]:
        """Forget what a webhook says has changed, as `invalidate_from_webhook` does, after you have read it yourself.

        Args:
            notices: What `parse_webhook` returned, after `verify_webhook`. If it raised a `DecodeError`, call `clear`.

        Returns:
            The ids of the invalidated accounts, for a log. It includes accounts without a kept listing.

        Raises:
            RuntimeError: The cache is closed, or belongs to another running loop.
        """
        self._enter_loop()
        waba_ids = self._accounts_of_notices([notice for notice in notices if notice.may_change_numbers])
        self._forget(waba_ids)
        return tuple(sorted(waba_ids))

    # Reads

    def _start_read(self, key: _Key, query: ListQuery) -> SharedRead:
        """Start to read a listing, in place of one that is too old."""
        start_list = partial(self._client.start_list, key.waba_id, query)
        if key in self._reads:
            self._drop(key, self._reads[key])
        read = self._reads[key] = SharedRead(key.waba_id, start_list, self._lifetime, self._slots)
        return read

    def _lifetime(self, numbers: Iterable[PhoneNumber]) -> float:
        return self._pending_ttl if any(map(is_pending, numbers)) else self._ttl

    async def _wait(self, key: _Key, read: SharedRead) -> bool:
        """Wait for the end of a read. Returns whether it is still in `_reads`, where every invalidation finds it."""
        try:
            await read.wait()
            return self._reads.get(key) is read
        finally:
            if not read.waiters:
                self._settle(key, read)

    def _settle(self, key: _Key, read: SharedRead) -> None:
        """Keep or drop a read that nobody waits for any more. It has ended, or was cancelled."""
        if read.serves(asyncio.get_running_loop().time()) and read.weight <= self._max_numbers:
            self._keep(key, read)
        else:
            self._drop(key, read)

    def _keep(self, key: _Key, read: SharedRead) -> None:
        # A read is counted once, although each later caller releases it again.
        if self._reads.get(key) is read and not read.is_counted:
            read.is_counted = True
            self._size += read.weight
        while self._size > self._max_numbers:
            self._drop(*next(item for item in self._reads.items() if item[1].is_counted))

    def _remember(self, waba_id: str) -> None:
        """Remember that an id is an account's, even after its listing was forgotten.

        A webhook about an account concerns this account only. Without its id, the second webhook in a row would name
        nothing known, and empty the cache.
        """
        self._listed[waba_id] = None
        self._listed.move_to_end(waba_id)
        if len(self._listed) > self._max_numbers:  # an id is a tenth of a kilobyte
            self._listed.popitem(last=False)

    def _drop(self, key: _Key, read: SharedRead) -> None:
        if self._reads.get(key) is read:  # another read may have its key by now
            del self._reads[key]
            self._size -= read.weight if read.is_counted else 0

    # Invalidations

    def _forget(self, waba_ids: set[str]) -> None:
        """Drop the listings of these accounts, but restart those that somebody waits for."""
        for key, read in [item for item in self._reads.items() if item[0].waba_id in waba_ids]:
            if read.waiters:
                read.restart()
            else:
                self._drop(key, read)

    def _known_accounts(self) -> set[str]:
        """Return the accounts with a listing that is kept or in flight."""
        return {key.waba_id for key in self._reads}

    def _on_event(self, event: Event) -> None:
        """Forget what a write has changed. It runs before the caller gets the result of the write."""
        if isinstance(event, CallFinished) and event.may_have_written:
            self._enter_loop()
            self._forget(self._accounts_of_write(event))

    def _accounts_of_write(self, event: CallFinished) -> set[str]:
        """Return the accounts that a write may have changed: all, if its account is not known."""
        known = self._known_accounts()
        touched = known & {event.node_id, event.waba_id}
        for key, read in self._reads.items():
            if any(number.id == event.node_id for number in read.numbers):
                touched.add(key.waba_id)
        # If the write names an account without a listing, there is nothing to forget. If it names none, any listing may
        # have the number, for example one in flight.
        names_account = event.path == f"{event.node_id}/phone_numbers" or event.waba_id not in {None, event.node_id}
        return touched if touched or names_account else known

    def _accounts_of_notices(self, notices: list[WebhookNotice]) -> set[str]:
        """Return the accounts that the changes of a webhook concern."""
        # One pass over all listings for all changes: a webhook may have thousands of changes, and comes often.
        known = self._known_accounts()
        homes: dict[str, set[str]] = {name: set() for notice in notices for name in _names(notice)}
        names = frozenset(homes)
        for key, read in self._reads.items() if names else ():
            for name in read.names & names:
                homes[name].add(key.waba_id)
        concerned = set[str]().union(*homes.values())
        concerns_all = False
        for notice in notices:
            concerned |= notice.waba_ids
            is_known = any(waba_id in known or waba_id in self._listed for waba_id in notice.waba_ids)
            is_known = is_known or any(homes[name] for name in _names(notice))
            concerns_all = concerns_all or notice.is_business_wide or not is_known
        return concerned | known if concerns_all else concerned

    def _enter_loop(self) -> None:
        """Check that the cache is open and called in its own loop. Start empty in a new loop if its own has ended."""
        if self._is_closed:
            raise RuntimeError(_CLOSED)
        here = _running_loop()
        if here is self._loop:
            return
        if self._loop is not None and self._loop.is_running():
            raise RuntimeError(_OTHER_LOOP)
        # Between two steps of its loop, no loop is running. Then the cache stays as it is, unless its loop is closed.
        if here is not None or self._loop is None or self._loop.is_closed():
            self._reads.clear()
            self._size = 0
            self._listed.clear()
            self._slots = asyncio.Semaphore(MAX_OF_A_CACHE)
            self._loop = here


def _names(notice: WebhookNotice) -> set[str]:
    """Return by what a webhook names numbers, in the form of `SharedRead.names`."""
    return {*map(shortest_form, notice.digits), *notice.phone_number_ids}


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _key_and_query(waba_id: str | int, options: ListOptions) -> tuple[_Key, ListQuery]:
    """Return the key of a listing, and what its list is asked for."""
    if others := options.keys() - ListOptions.__annotations__.keys():
        names = ", ".join(ListOptions.__annotations__)
        raise InvalidArgumentError(
            min(others), "left out", hint=f"a cache keeps whole listings, so its options are only {names}"
        )
    account_id, sort = read_node_id("waba_id", waba_id), options.get("sort")
    options.setdefault("limit", MAX_PAGE_SIZE)
    query = ListQuery.of_numbers(**options)
    fields = query.params.get("fields")
    key = _Key(
        account_id,
        None if fields is None else frozenset(split_fields(fields)) | {"id"},  # the API always sends the id
        query.params.get("filtering"),
        # A `Sort` is equal to its text, but is sent in another spelling.
        None if sort is None else (isinstance(sort, Sort), query.params["sort"]),
        query.follow,
    )
    return key, query
