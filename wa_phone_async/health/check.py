"""`HealthCheck`: what is wrong with the numbers of many accounts, as it is found.

The shell around `diagnosis`: it gets listings from where they are, and awaits nothing else. Each step reads one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, aclosing
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from wa_phone_async.checks import check_at_least_one
from wa_phone_async.errors import InvalidArgumentError, WaPhoneError, concerns_all
from wa_phone_async.files.exported import read_accounts
from wa_phone_async.files.thread import each_in_thread
from wa_phone_async.models import BusinessAccount, PhoneNumber
from wa_phone_async.report.html import show_in_notebooks
from wa_phone_async.workflows.bulk import Accounts, Lister, Listings, as_async, each_to_list
from wa_phone_async.workflows.differences import ListingSource, diff_listings
from wa_phone_async.workflows.listing import WabaListing
from wa_phone_async.workflows.stepwise import Stepwise
from wa_phone_async.workflows.watch import Change

from .diagnosis import Diagnosis
from .facts import ACCOUNT_MEMBERS
from .findings import Finding, HealthSummary
from .report import (
    MAX_CHANGES,
    HealthReport,
    OverviewBuilder,
    ReportedChanges,
    UsageReader,
    Worst,
    worst_of,
    written_at,
)
from .rules import ChosenRules

show_in_notebooks()  # here, since each report comes from a check, and few programs make one


HealthSource: TypeAlias = (
    str
    | int
    | PathLike[str]
    | BusinessAccount
    | WabaListing
    | Listings
    | Accounts
    | Iterable[WabaListing]
    | AsyncIterable[WabaListing]
)
"""What a health check reads: accounts or their ids, listings, or the path of an exported file."""

NodeReader = Callable[[str], Awaitable[BusinessAccount]]
"""A function that reads the node of an account."""


class HealthCheck(Stepwise[Finding, HealthReport]):
    """What is wrong with numbers and their accounts. Iterate inside `async with`, or await it for a `HealthReport`.

        async with client.check_health(waba_ids) as check:
            async for finding in check:
                print(finding.severity, finding.sentence, finding.remedy)

    A finding about a number comes with its account. One about an account comes when the account is complete, and one
    about a business or the app comes at the end: then its numbers are counted. You can use the check once.

    Raises:
        AuthenticationError: The API rejected the token that all accounts share. This ends the check.
        InvalidArgumentError: The source is no such thing, or the file is no export.
        RuntimeError: You iterate outside `async with`, or enter it twice.
    """

    _listings: AsyncGenerator[WabaListing]

    def __init__(
        self,
        source: HealthSource,
        rules: ChosenRules,
        lister: Lister,
        read_node: NodeReader,
        usage: UsageReader,
        *,
        concurrency: int,
        call: str = "client.check_health",
    ) -> None:
        super().__init__()
        self._call = call
        self._source = source
        self._rules = rules
        self._lister = lister
        self._read_node = read_node
        self._usage = usage
        self._concurrency = concurrency
        self._nodes = dict[str, BusinessAccount]()  # of accounts that are listed now, or whose listing is unread
        self._diagnosis = Diagnosis(rules)
        self._calls = 0

    def __repr__(self) -> str:  # seen in a notebook after a forgotten `await`
        return f"<{type(self).__name__}: await it for a report, or iterate over it inside 'async with'>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a check holds a client with its token and cannot be pickled or copied: pickle its report")

    async def _collect(self) -> HealthReport:
        return await self.report()

    async def report(
        self, *, since: ListingSource | None = None, max_findings: int | None = None, source: str | None = None
    ) -> HealthReport:
        """Check all, and return the report. `await client.check_health(waba_ids)` does the same without arguments.

            report = await client.check_health("today.parquet").report(since="yesterday.parquet")
            Path("report.html").write_text(to_html(report), encoding="utf-8")

        The report counts all numbers and accounts, and has a line for each of up to 100,000 numbers, 20,000 accounts
        and 5,000 changes. It costs no call beside those of the check.

        Args:
            since: An older list of the same numbers, such as the path of an exported file. The report then has what has
                changed, as `diff_listings` compares it. Of accounts and listings, the fields that the checks read are
                compared; of two files, all that both have.
            max_findings: The most findings to keep, the worst; `None` keeps all. The totals count all.
            source: What is checked, in words for the reader of the report; default: the file's name, or the accounts.

        Raises:
            InvalidArgumentError: The source is no such thing, or one of the files is no export.
            AuthenticationError: The API rejected the token that all accounts share.
            RuntimeError: You have used the check already.
        """
        if max_findings is not None:
            check_at_least_one("max_findings", max_findings)
        file, found = self._file(), Worst[Finding](max_findings)
        overview = OverviewBuilder(self._usage if file is None else lambda _: None)
        async with self, aclosing(self._listings_seen(overview, found)) as listings:
            changes = await self._changes_since(since, listings, file)
        summary = self.summary
        return HealthReport(
            findings=found.all(),
            totals=summary.totals,
            accounts=summary.accounts,
            numbers=summary.numbers,
            calls=summary.calls,
            not_checked=summary.not_checked,
            overview=overview.build(),
            changes=changes,
            source=source or (_in_words(self._source, summary.accounts) if file is None else file.name),
            source_time=None if file is None else written_at(file),
        )

    async def _listings_seen(self, overview: OverviewBuilder, found: Worst[Finding]) -> AsyncGenerator[WabaListing]:
        """Diagnose each listing, and pass it on."""
        self._diagnosis.overview = overview
        async for listing in self._listings:
            for finding in self._diagnosis.add(listing, self._nodes.pop(listing.waba_id, None)):
                found.add(finding, finding.severity)
            yield listing
        for finding in self._diagnosis.end():
            found.add(finding, finding.severity)

    async def _changes_since(
        self, since: ListingSource | None, listings: AsyncIterable[WabaListing], file: Path | None
    ) -> ReportedChanges | None:
        """Read all listings, and compare an older list with them, or with the file that they come from."""
        if since is None or file is not None:
            async for _ in listings:
                pass
        if since is None:
            return None
        kept = Worst[Change](MAX_CHANGES)
        # A file is read again, since it knows which columns it has.
        now, fields = (listings, self._rules.number_fields) if file is None else (file, None)
        old_file = Path(since) if isinstance(since, str | PathLike) else None
        try:
            async with diff_listings(since, now, fields=fields) as changes:
                async for change in changes:
                    kept.add(change, worst_of(change.findings))
        except InvalidArgumentError as error:
            error.argument = {"old": "since", "new": "source"}.get(error.argument, error.argument)
            raise
        return ReportedChanges(
            since="an older list" if old_file is None else old_file.name,
            since_time=None if old_file is None else written_at(old_file),
            summary=changes.summary,
            changes=kept.all(),
        )

    @property
    def summary(self) -> HealthSummary:
        """What was done so far. It is complete when the iteration has ended."""
        return self._diagnosis.summary(self._calls)

    async def _begin(self) -> None:
        self._listings = await self._stack.enter_async_context(aclosing(self._read_source()))

    async def _take_step(self) -> bool:
        """Read and diagnose the next listing."""
        listing = await anext(self._listings, None)
        if listing is None:
            self._ready.extend(self._diagnosis.end())
            return False
        self._ready.extend(self._diagnosis.add(listing, self._nodes.pop(listing.waba_id, None)))
        return True

    def _read_source(self) -> AsyncGenerator[WabaListing]:
        """Yield the listings of the source, whatever it is."""
        source, file = self._source, self._file()
        if isinstance(source, Listings):
            return _read_listings(source)
        if file is not None:
            return _read_file(file)
        if isinstance(source, str | int | BusinessAccount | WabaListing):
            return self._read_items([source])
        return self._read_items(source)

    def _file(self) -> Path | None:
        """The exported file that is checked; `None`: the source is no file."""
        source = self._source
        if isinstance(source, PathLike) or (isinstance(source, str) and not (source.isascii() and source.isdigit())):
            return Path(source)
        return None

    async def _read_items(self, source: object) -> AsyncGenerator[WabaListing]:
        """Yield the listings in an iterable, or those of the accounts in it. Its first item says which it has."""
        async with aclosing(_each(source)) as items:
            first = await anext(items, None)
            if isinstance(first, WabaListing):
                yield first
                async for item in items:
                    yield _only_with(item, is_listing=True)
            elif first is not None:
                self._diagnosis.has_all_fields = True
                entries = each_to_list(self._accounts(first, items), self._list_account)
                async with Listings(entries, concurrency=self._concurrency, ordered=False) as listings:
                    async for listing in listings:
                        self._calls += listing.calls
                        yield listing

    async def _accounts(self, first: object, items: AsyncIterable[object]) -> AsyncGenerator[Any]:
        """Yield the accounts. What the list of accounts says of one needs no call."""
        yield self._note(first)
        async for item in items:
            yield self._note(item)

    def _note(self, item: object) -> object:
        _only_with(item, is_listing=False)
        if isinstance(item, BusinessAccount) and any(name in item.extra for name in ACCOUNT_MEMBERS):
            self._nodes[item.id] = item
        return item

    async def _list_account(self, waba_id: str) -> list[PhoneNumber]:
        """List the numbers of an account, and read its node if a rule needs it."""
        numbers = await self._lister(waba_id) if self._rules.of_numbers else []
        if self._rules.account_fields and not self._is_known(waba_id):
            try:
                self._nodes[str(waba_id)] = await self._read_node(waba_id)
            except WaPhoneError as error:
                # The numbers are worth more than the node: its rules are not checked. Without numbers, nothing is left.
                if concerns_all(error) or not self._rules.of_numbers:
                    raise
        return numbers

    def _is_known(self, waba_id: str) -> bool:
        """Whether the list of accounts had all that the rules need."""
        node = self._nodes.get(str(waba_id))  # it may be anything, as in `Listings`
        return node is not None and all(any(name in node.extra for name in rule.needs) for rule in self._rules.of_nodes)


def _only_with(item: Any, *, is_listing: bool) -> Any:
    """Return an item of an iterable, if it is of the same kind as the first one."""
    kind = _kind_of(item)
    if issubclass(kind, WabaListing) != is_listing:
        raise InvalidArgumentError("source", "listings alone, or accounts alone", kind)
    return item


def _in_words(source: Any, accounts: int) -> str:
    """Say what was checked, if it is no file."""
    if isinstance(source, str | int | BusinessAccount | WabaListing):
        return f"account {getattr(source, 'waba_id', getattr(source, 'id', source))}"
    return "1 account" if accounts == 1 else f"{accounts:,} accounts"


def _kind_of(value: object) -> type[Any]:
    return type(value)


async def _each(source: Any) -> AsyncGenerator[Any]:
    """Yield the items of an iterable of any kind."""
    kind = _kind_of(source)
    if not issubclass(kind, AsyncIterable | Iterable):
        raise InvalidArgumentError("source", "accounts, their ids, listings, or the path of an export", kind)
    async for item in as_async(source):
        yield item


async def _read_listings(listings: Listings) -> AsyncGenerator[WabaListing]:
    async with AsyncExitStack() as stack:
        if not listings.is_open:
            await stack.enter_async_context(listings)
        async for listing in listings:
            yield listing


async def _read_file(path: Path) -> AsyncGenerator[WabaListing]:
    """Yield the listings of an exported file. A thread reads it."""
    # One account at a time, since it may have all numbers of the file.
    async with aclosing(each_in_thread(read_accounts(path), at_once=1)) as accounts:
        async for waba_id, numbers in accounts:
            yield WabaListing(waba_id=waba_id or "", phone_numbers=tuple(numbers))
