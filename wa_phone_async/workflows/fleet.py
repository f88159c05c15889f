"""List the numbers of all accounts of a business, many accounts in each call.

`FleetPlan` decides what each call asks for. `FleetWalk` makes the calls. Each call begins where the one before ended,
so they come one after the other. An account is complete if its numbers came whole. Any other account gets calls of its
own, beside the walk:

- Its numbers have a further page. Then they go on from there.
- It came without numbers, or with none. Graph leaves out an edge without rows, and maybe one that the token may not
  read (Graph practice, an inference of 2026-11-28). So absence is no proof.
- Its numbers are invalid, or each call with its numbers fails.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from itertools import groupby
from typing import Final, Literal, TypeAlias, cast

import attrs

from wa_phone_async.call.retry import may_help_to_divide
from wa_phone_async.checks import MAX_PAGE_SIZE
from wa_phone_async.concurrency import Slot
from wa_phone_async.errors import (
    BadRequestError,
    GraphAPIError,
    NotFoundError,
    PaginationError,
    RequestTimeoutError,
    UnprocessableEntityError,
    WaPhoneError,
)
from wa_phone_async.events import FleetPageFinished
from wa_phone_async.models import PhoneNumber
from wa_phone_async.pagination.expanded import ExpandedAccount, ExpandedPage, expanded_page_reader
from wa_phone_async.pagination.page import PageCursor, RawPage
from wa_phone_async.pagination.paginator import AsyncPaginator, PageFetcher
from wa_phone_async.query import ListQuery, expanded_fields, optional_fields
from wa_phone_async.session import GraphSession

from .bulk import Unlisted
from .fleet_plan import TARGET_SECONDS, FleetLimits, FleetPlan, FleetRequest
from .id_set import IdSet
from .listing import WabaListing

Wanted: TypeAlias = Callable[[str], bool]
"""Says for the id of an account whether to list it."""

NumbersLister: TypeAlias = Callable[[str, ListQuery], AsyncPaginator[PhoneNumber]]
"""Lists the numbers of one account, as `PhoneNumberClient.start_list` does."""

_IDS_ALONE: Final = FleetRequest(MAX_PAGE_SIZE, is_nested=False)
_OF_CURSOR: Final = (BadRequestError, NotFoundError, PaginationError, UnprocessableEntityError)
"""The errors that may mean that a cursor is invalid. No source says which one the API sends (searched 2026-11-28)."""


@attrs.frozen(kw_only=True)
class FleetWalk:
    """How the accounts of a business are listed."""

    session: GraphSession
    list_numbers: NumbersLister
    query: ListQuery
    """What the numbers of each account are asked for."""
    accounts: ListQuery
    """Which accounts: where their list begins, and how many."""
    verify_empty: bool
    """Whether an account without numbers gets a call of its own."""
    wanted: Wanted | None
    """Says for an id whether to list the account; `None`: all."""
    edges: Sequence[tuple[str, FleetLimits]]
    """The paths of the lists of accounts, with what is known of each."""

    @property
    def nests(self) -> bool:
        """Whether accounts are asked for with their numbers. If not, each gets calls of its own."""
        query = self.query
        return query.params.keys() <= {"fields"} and query.follow == "next" and query.after is None is query.before

    async def entries(self, slot: Slot) -> AsyncGenerator[Unlisted | Sequence[WabaListing]]:
        """Yield the accounts of each edge, in the order of the API. An account of several edges comes once.

        Args:
            slot: The slot for the calls of the walk.

        Raises:
            WaPhoneError: The accounts cannot be listed.
        """
        slot.bind()
        seen = IdSet() if len(self.edges) > 1 else None
        page_size = self.query.limit or MAX_PAGE_SIZE
        accounts = complete = spared = 0
        for path, limits in self.edges:
            async with aclosing(self._pages(path, limits, slot)) as pages:
                async for page, is_nested in pages:
                    new = [account for account in page if seen is None or seen.add(account.id)]
                    wanted = new if self.wanted is None else [each for each in new if self.wanted(each.id)]
                    entries = [self._entry(each) if is_nested else self._unlisted(each) for each in wanted]
                    whole = [entry for entry in entries if isinstance(entry, WabaListing)]
                    accounts += len(new)
                    complete += len(whole)
                    spared += sum(max(1, math.ceil(len(each.phone_numbers) / page_size)) for each in whole)
                    self.session.dispatch(
                        FleetPageFinished(
                            path=path,
                            node_id=path.partition("/")[0],
                            accounts=accounts,
                            complete=complete,
                            calls=slot.calls,
                            calls_saved=spared + math.ceil(accounts / MAX_PAGE_SIZE) - slot.calls,
                        )
                    )
                    for is_whole, group in groupby(entries, lambda entry: isinstance(entry, WabaListing)):
                        if is_whole:
                            yield cast("list[WabaListing]", list(group))
                        else:
                            for entry in group:
                                yield cast("Unlisted", entry)

    async def _pages(
        self, path: str, limits: FleetLimits, slot: Slot
    ) -> AsyncGenerator[tuple[Sequence[ExpandedAccount], bool]]:
        """Yield the accounts of a list, page by page, and whether they were asked for with their numbers."""
        fields, limit = self.query.params.get("fields"), min(self.query.limit or MAX_PAGE_SIZE, MAX_PAGE_SIZE)
        if self.query.max_items:
            limit = min(limit, self.query.max_items)
        cursor = PageCursor[ExpandedAccount](self.accounts)
        calls, reader = self.session.calls, expanded_page_reader()
        optional = optional_fields("/phone_numbers", fields)
        ids = PageFetcher(calls, path, self.accounts, reader, cursor, waba_id=None)
        nested = PageFetcher(
            calls, path, self.accounts, reader, cursor, waba_id=None, optional=optional, is_divisible=True
        )
        timeout = self.session.shortest_timeout(self.query.total_timeout)
        plan = FleetPlan(limits, seconds=min(TARGET_SECONDS, timeout / 4))
        while True:
            request = plan.next_request() if self.nests else _IDS_ALONE
            cursor.limit = request.limit
            params = cursor.next_params()
            if params is None:
                return
            request = attrs.evolve(request, limit=int(params["limit"]))  # `max_accounts` may want fewer
            params["fields"] = expanded_fields(fields, min(limit, limits.numbers)) if request.is_nested else "id,name"
            fetch = nested if request.is_nested else ids
            await slot.reserve()  # now, or the wait for a slot would count for a slow response
            try:
                page = cast("ExpandedPage", await fetch(params))
            except WaPhoneError as error:
                if not (request.is_nested and may_help_to_divide(error)):
                    raise
                plan.failed(request, _cause_of(error, is_first=cursor.cursor is None))
                continue
            finally:
                slot.release()
            if self.nests:
                plan.took(request, len(page.rows), size=page.size, seconds=fetch.seconds)
            for account in page.rows:
                account.seconds = fetch.seconds
            yield cursor.take(page).data, request.is_nested

    def _entry(self, account: ExpandedAccount) -> WabaListing | Unlisted:
        """Return the listing of an account, if a nested call brought all of it, or what is still to be listed."""
        numbers, most = account.numbers, self.query.max_items
        rows = [] if numbers is None else numbers.rows
        goes_on = numbers is not None and numbers.paging.has_next and not (most is not None and len(rows) >= most)
        if account.is_invalid or goes_on or (self.verify_empty and not rows):
            return self._unlisted(account)
        return WabaListing(waba_id=account.id, phone_numbers=tuple(rows[:most]), elapsed_seconds=account.seconds)

    def _unlisted(self, account: ExpandedAccount) -> Unlisted:
        return Unlisted(account.id, partial(self._list_account, account.numbers))

    async def _list_account(self, first: RawPage[PhoneNumber] | None, waba_id: str) -> list[PhoneNumber]:
        """List an account at its own edge: after the numbers that came, or from its beginning."""
        cursor = None if first is None else first.paging.cursors.after
        if first is not None and first.rows and cursor is not None:
            most = self.query.max_items
            left = None if most is None else most - len(first.rows)
            try:
                return first.rows + await self.list_numbers(
                    waba_id, attrs.evolve(self.query, after=cursor, max_items=left)
                )
            except _OF_CURSOR:
                pass  # perhaps the cursor of a nested page is not one of the edge: the whole list will tell
        return await self.list_numbers(waba_id, self.query)


def _cause_of(error: WaPhoneError, *, is_first: bool) -> Literal["size", "time", "account", "id"]:
    if isinstance(error, GraphAPIError) and error.needs_smaller_page:
        return "size"
    if isinstance(error, RequestTimeoutError):
        return "time"
    return "id" if is_first and isinstance(error, NotFoundError) else "account"
