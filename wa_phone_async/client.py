"""`PhoneNumberClient`: one short method for each call of the API."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, TypedDict, TypeVar, Unpack, cast, overload

import aiohttp
import attrs

from .call import writes
from .call.hints import not_a_number
from .call.retry import RetryPolicy
from .call.tokens import TokenProvider
from .call.writes import REGISTER_SECONDS, CodeMethod, TransferAction, Write
from .checks import MAX_PAGE_SIZE, check_at_least_one, check_count, check_match, check_seconds, read_node_id
from .concurrency import DEFAULT_CONCURRENCY, map_bounded
from .errors import CLOSED, BadRequestError, InvalidArgumentError, NotFoundError, PermissionDeniedError
from .events import Listener
from .models import (
    ALL_FIELDS,
    BusinessAccount,
    BusinessProfile,
    BusinessUsername,
    CreatedPhoneNumber,
    PhoneNumber,
    SuccessResponse,
)
from .pagination.paginator import AsyncPaginator
from .pagination.rows import Rows, rows_of
from .phone_digits import read_phone_number
from .query import (
    ACCOUNT_FIELDS,
    META_DEFAULT,
    AccountKind,
    ChosenFields,
    Fields,
    Filter,
    Follow,
    ListQuery,
    Sort,
    accounts_edge,
    accounts_edges,
    fields_of_number,
    fields_with,
    list_params,
)
from .ratelimit.limiter import RateLimiter
from .ratelimit.registrations import RegistrationLedger
from .redaction import conceal, conceal_each
from .session import DIAGNOSIS_SECONDS, GraphSession
from .usage import Usage
from .workflows.bulk import Accounts, Listings, each_to_list
from .workflows.ensure import RECHECK_DELAYS, EnsuredPhoneNumber, EnsurePlan, Ensurer, read_recheck_delays

if TYPE_CHECKING:
    # A method imports what it alone needs: to import all of it takes as long as the rest, and few programs call all.
    from .diagnosis.report import Diagnosis
    from .edits.bulk import BulkEdit
    from .edits.targets import EditLevel, EditTargets
    from .health.check import HealthCheck, HealthSource
    from .profiles.bulk import ProfileEditor
    from .profiles.many import BusinessProfiles, NumberProfile, ProfileLevel
    from .profiles.profile import ProfileChanges
    from .webhooks.bulk import WebhookEditor
    from .workflows.display_name import DisplayName
    from .workflows.fleet_plan import FleetLimits
    from .workflows.watch import Predicate, Watch
    from .workflows.watch_many import Watches

F = TypeVar("F", bound=Callable[..., Any])


def _as_coroutine_function(method: F) -> F:
    """Mark a method that returns a coroutine, so `create_autospec` and the like let tests await it.

    Such a method is no coroutine function where it gets a code or a PIN: it hides that before the coroutine is made. A
    coroutine that is cancelled or closed before its first step shows its arguments as they were passed.
    """
    if sys.version_info >= (3, 12):  # pragma: no cover - each interpreter takes one of the two
        return inspect.markcoroutinefunction(method)
    vars(method)["_is_coroutine"] = vars(asyncio.coroutines)["_is_coroutine"]  # pragma: no cover - as above
    return method  # pragma: no cover - as above


class Settings(TypedDict, total=False):
    """The settings that a client passes on to its `GraphSession`."""

    api_version: str
    base_url: str
    app_secret: str | None
    retry: RetryPolicy | None
    timeout: float | aiohttp.ClientTimeout
    proxy: str | None
    trust_env: bool
    trace_configs: Sequence[aiohttp.TraceConfig]
    max_body: int
    throttle: RateLimiter | None
    registrations: RegistrationLedger | None
    on_event: Listener | None


class PhoneNumberClient:
    """A client for the phone numbers of WhatsApp Business Accounts (WABAs).

        async with PhoneNumberClient(access_token) as client:
            async for number in client.list_phone_numbers(waba_id):
                print(number.display_phone_number, number.verified_name)

    It opens on first use. Without `async with`, call `aclose()` when done. You can enter it again after closing.

    Args:
        access_token: The token, or a function that returns it for each attempt: `provider(node_id, rejected)`, plain
            or async. `node_id` is the id at the head of the path, or the account that the call names. `rejected` is
            the token that the API has just rejected in this call, or `None`.
            Leave it out with a `GraphSession`, which has its own.
        api_version: The version of the Graph API; default: `v23.0`.
        base_url: The address of the API without the version; default: `https://graph.facebook.com`. With `http://` the
            token travels unencrypted: that is for tests, and not allowed for facebook.com.
        app_secret: The app's secret. With it, every request carries `appsecret_proof`; `None` sends none.
        retry: When calls are retried, and how long they wait; default: `RetryPolicy()`.
        timeout: Seconds of one attempt, or an `aiohttp.ClientTimeout`; default: 30 s. On a borrowed aiohttp session,
            the wait for one of its connections counts too.
        session: An `aiohttp.ClientSession` or a `GraphSession` to borrow. It stays open when the client closes.
        proxy: The URL of the proxy for every request, with its user and password if it wants them:
            `http://user:password@proxy.example:3128`. `None`: no proxy, but for `trust_env`.
        trust_env: Whether `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name the proxy. They are read when the client is
            made. No address of this machine goes through such a proxy, and netrc is never read.
        trace_configs: The `aiohttp.TraceConfig`s of the sessions that are opened here.
        max_body: The bytes that a response may have after decompression; default: 64 MiB.
        throttle: What keeps calls within the quotas of the app and its accounts; default: a `Throttle` of its own.
            Clients of one app should share one.
        registrations: The ledger that counts the registrations of each number, such as a `FileRegistrationLedger`.
            Nothing is sent that would be more than Meta's ten in 72 hours. `None` counts none.
        on_event: A function that gets each event of `wa_phone_async.events`; plain or async.

    Raises:
        InvalidArgumentError: A setting is invalid. The text says which one, and what is allowed.
    """

    session: GraphSession
    """The session that sends every request. It reads and writes any edge of the Graph API under the same rules."""

    def __init__(
        self,
        access_token: str | TokenProvider | None = None,
        *,
        session: aiohttp.ClientSession | GraphSession | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        # Replaced before anything can fail: a traceback would show the bare secrets among the local variables.
        access_token = access_token if callable(access_token) or access_token is None else conceal(access_token)
        if settings.get("app_secret") is not None:
            settings["app_secret"] = conceal(settings.get("app_secret"))
        if settings.get("proxy") is not None:
            settings["proxy"] = conceal(settings.get("proxy"))
        if unknown := settings.keys() - Settings.__optional_keys__:
            known = ", ".join(sorted(Settings.__optional_keys__))
            raise TypeError(f"{type(self).__name__} has no setting {', '.join(sorted(unknown))}; it has {known}")
        if not isinstance(session, aiohttp.ClientSession | GraphSession | None):
            raise InvalidArgumentError("session", "an aiohttp.ClientSession or a GraphSession", type(session))
        self._owns_session = not isinstance(session, GraphSession)
        self._is_closed = False
        self._ensurer = Ensurer()
        self._fleet_limits: dict[str, FleetLimits] = {}
        if not isinstance(session, GraphSession):
            # Not `access_token or …`: a `TokenMap` without accounts is false.
            given = conceal(None) if access_token is None else access_token
            self.session = GraphSession(given, session=session, **settings)
        elif access_token is None and not settings:
            self.session = session
        else:
            raise InvalidArgumentError("session", "given alone", hint="a GraphSession has its own token and settings")

    @classmethod
    def from_env(cls, *, session: aiohttp.ClientSession | None = None, **settings: Unpack[Settings]) -> Self:
        """Make a client with the settings of the environment. The settings that you pass come first.

        It reads `WA_ACCESS_TOKEN`, `WA_API_VERSION`, `WA_BASE_URL` and `WA_APP_SECRET`. An empty variable counts as not
        set.

        Args:
            session: An `aiohttp.ClientSession` to borrow.
            **settings: Any other setting of the client.

        Raises:
            InvalidArgumentError: `WA_ACCESS_TOKEN` is not set, or a setting is invalid.
        """
        if settings.get("app_secret") is not None:
            settings["app_secret"] = conceal(settings.get("app_secret"))
        if settings.get("proxy") is not None:
            settings["proxy"] = conceal(settings.get("proxy"))
        if not os.environ.get("WA_ACCESS_TOKEN"):
            raise InvalidArgumentError("WA_ACCESS_TOKEN", "set in the environment", hint="export your access token")
        found: Settings = {}
        if version := os.environ.get("WA_API_VERSION"):
            found["api_version"] = version
        if base_url := os.environ.get("WA_BASE_URL"):
            found["base_url"] = base_url
        if os.environ.get("WA_APP_SECRET"):
            found["app_secret"] = conceal(os.environ["WA_APP_SECRET"])
        found.update(settings)
        return cls(conceal(os.environ["WA_ACCESS_TOKEN"]), session=session, **found)

    def __repr__(self) -> str:
        session = vars(self).get("session")  # missing if a traceback shows the client while it is made
        return f"{type(self).__name__}(session={session!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a client holds a token and cannot be pickled: send a function that makes a client where it is needed"
        )

    async def __aenter__(self) -> Self:
        self._is_closed = False
        if self._owns_session:
            await self.session.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what the client has opened. Calls raise a `RuntimeError` until you enter the client again."""
        self._is_closed = True
        try:
            await self._ensurer.aclose()
        finally:
            if self._owns_session:
                await self.session.aclose()

    def last_usage(self, waba_id: str | int | None) -> Usage | None:
        """The usage of an account's quota and the app's, in percent, from the last response; `None` if none had any.

        Args:
            waba_id: The account. `None`: the calls that belong to no account, such as those on a business.
        """
        return self.session.last_usage(waba_id)

    def subscribe(self, listener: Listener, *, lists: bool = False) -> Callable[[], None]:
        """Subscribe a listener to the events of calls, as `on_event=` does. Returns a function that unsubscribes it.

        Args:
            listener: A function that gets each event of `wa_phone_async.events`; plain or async.
            lists: Whether it also gets a `ListFinished` when a list ends. The event of each page then has a `list_id`.

        Raises:
            InvalidArgumentError: The listener is not callable.
        """
        return self.session.subscribe(listener, lists=lists)

    def list_phone_numbers(
        self,
        waba_id: str | int,
        *,
        fields: Fields = None,
        filtering: Filter | Iterable[Filter] | None = None,
        sort: Sort | str | None = None,
        limit: int = MAX_PAGE_SIZE,
        after: str | None = None,
        before: str | None = None,
        max_items: int | None = None,
        follow: Follow = "next",
        read_ahead: int = 0,
        total_timeout: float | None = None,
    ) -> AsyncPaginator[PhoneNumber]:
        """List the phone numbers of an account: iterate over them, or await them all as a list.

        `GET /{waba_id}/phone_numbers`, Meta's v23.0 reference, read 2026-11-22.

        Args:
            waba_id: Meta's id of the account, digits.
            fields: The fields of each number: names, or one comma-separated text. `None` requests `DEFAULT_FIELDS`, and
                `META_DEFAULT` leaves the choice to Meta. `ALL_FIELDS` are all that `PhoneNumber` knows. A typing error
                in a known name is an error; `Verbatim` is not checked.
            filtering: The conditions that a number must meet; `None` for all numbers.
            sort: The order; default: the number that was onboarded last comes first. A text is checked as `fields` is.
            limit: Numbers of a page, 1 to 100. Each page is a call, and the quota counts calls.
            after: The cursor to begin after, such as an earlier paginator's `cursor`; `None` begins at the first page.
            before: The cursor to go back from; `None` goes forward.
            max_items: Numbers in all; `None` for all.
            follow: When the list goes on: `"next"` while there is a `next` link. `"after"` is for servers that never
                send one.
            read_ahead: Pages to request while you work on one, 0 to 100. With any, use the list in its block,
                `async with client.list_phone_numbers(…) as paginator:`. Stopping early may waste up to `read_ahead`
                requests.
            total_timeout: Seconds for all attempts and waits of each page; `None` takes that of the retry policy.

        Returns:
            The numbers. The first request is sent when you iterate or await.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            WaPhoneError: While iterating, no page came. The same paginator can go on with that page.
        """
        query = ListQuery.of_numbers(
            fields=fields,
            filtering=filtering,
            sort=sort,
            limit=limit,
            after=after,
            before=before,
            max_items=max_items,
            follow=follow,
            read_ahead=read_ahead,
            total_timeout=total_timeout,
        )
        return self.start_list(waba_id, query)

    def start_list(self, waba_id: str | int, query: ListQuery) -> AsyncPaginator[PhoneNumber]:
        """List the phone numbers of an account as a `ListQuery` says. One query serves any number of accounts.

        Args:
            waba_id: Meta's id of the account, digits.
            query: What the list is asked for: `ListQuery.of_numbers(…)`.

        Returns:
            The numbers. The first request is sent when you iterate or await.

        Raises:
            InvalidArgumentError: The id is invalid; nothing was sent.
        """
        self._check_open()
        return self.session.start_list(f"{read_node_id('waba_id', waba_id)}/phone_numbers", PhoneNumber, query)

    def list_many(
        self,
        waba_ids: Accounts,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        ordered: bool = False,
        unique: bool = False,
        fields: Fields = None,
        filtering: Filter | Iterable[Filter] | None = None,
        sort: Sort | str | None = None,
        limit: int = MAX_PAGE_SIZE,
        max_items: int | None = None,
        follow: Follow = "next",
        total_timeout: float | None = None,
    ) -> Listings:
        """List the phone numbers of many accounts at once. The error of an account is part of its listing.

            async with client.list_many(waba_ids) as listings:
                async for listing in listings:
                    print(listing.waba_id, len(listing.phone_numbers), listing.error)

        A throttled account, or one with many pages, lets other accounts go first. Memory is bounded for any number of
        ids: reading them pauses while ten times `concurrency` accounts wait, or `concurrency` listings are unread.

        Args:
            waba_ids: The ids, or the accounts of `list_business_accounts`: an iterable or an async iterable of any
                length, read as needed. An id that comes twice is listed twice.
            concurrency: The number of requests that may be in flight at once.
            ordered: Whether listings come in the order of the ids. Then a throttled account delays all listings after
                it, and at most ten times `concurrency` of these are listed meanwhile.
            unique: Whether a number that is in several accounts comes once: in the listing that comes first, and in no
                later one. With `ordered`, that is the first account in the order of the ids. The ids of all numbers
                stay in memory: 12 to 24 MB for a million.
            fields: The fields of each number, as for `list_phone_numbers`.
            filtering: The conditions that a number must meet; `None` for all numbers.
            sort: The order of the numbers of an account, as for `list_phone_numbers`.
            limit: Numbers of a page, 1 to 100.
            max_items: Numbers of each account; `None` for all.
            follow: When a list goes on, as for `list_phone_numbers`.
            total_timeout: Seconds for all attempts and waits of each page; `None` takes that of the retry policy.

        Raises:
            InvalidArgumentError: An option is invalid; nothing was sent. An invalid id is the error of its own listing.
        """
        self._check_open()
        query = ListQuery.of_numbers(
            fields=fields,
            filtering=filtering,
            sort=sort,
            limit=limit,
            max_items=max_items,
            follow=follow,
            total_timeout=total_timeout,
        )
        entries = each_to_list(waba_ids, partial(self.start_list, query=query))
        return Listings(entries, concurrency=concurrency, ordered=ordered, unique=unique)

    def list_fleet(
        self,
        business_id: str | int,
        *,
        kind: AccountKind | Literal["all"] = "owned",
        concurrency: int = DEFAULT_CONCURRENCY,
        ordered: bool = False,
        unique: bool = False,
        verify_empty: bool = True,
        wanted: Callable[[str], bool] | None = None,
        after: str | None = None,
        max_accounts: int | None = None,
        fields: Iterable[str] | str | None = None,
        filtering: Filter | Iterable[Filter] | None = None,
        sort: Sort | str | None = None,
        limit: int = MAX_PAGE_SIZE,
        max_items: int | None = None,
        follow: Follow = "next",
        total_timeout: float | None = None,
    ) -> Listings:
        """List the phone numbers of all accounts of a business, with up to 100 accounts in a call.

            async with client.list_fleet(business_id) as listings:
                async for listing in listings:
                    print(listing.waba_id, len(listing.phone_numbers), listing.error)

        The listings are those of `list_many` for the ids of `list_business_accounts`. Where accounts have few numbers,
        it sends a hundredth of the calls. It asks for accounts with their numbers, by the field expansion of Graph:
        `GET /{business_id}/owned_whatsapp_business_accounts?fields=id,name,phone_numbers.limit(100){…}&limit=100`.
        Meta's guide documents field expansion for all of Graph. That it works on these edges is known from a dozen
        public programs (both read 2026-11-28).

        An account gets calls of its own if its numbers have more than one page, if it comes without numbers, or if it
        cannot be read with others. A call that fails is not retried: it is divided, until the account is found that
        fails it. Then that account has its own error. Where most accounts fail so, all get calls of their own. With a
        filter, a sort order or `follow="after"` they do from the start, since nothing says that these work on nested
        lists.

        Such a call counts for the app's quota, with the token of the business. That it counts for no account's quota is
        an inference: no source says so. Where it succeeds, its rows stand, even if the account's own list would fail.

        Args:
            business_id: Meta's id of the business, digits.
            kind: Accounts that the business `"owned"`, those that a `"client"` shares with it, or `"all"`: then an
                account of both kinds is listed once.
            concurrency: The number of requests that may be in flight at once.
            ordered: Whether listings come in the order of the API; see `list_many`.
            unique: Whether a number that is in several accounts comes once; see `list_many`.
            verify_empty: Whether an account that comes without numbers gets a call of its own. Graph leaves out what is
                empty, and maybe what the token may not read. `False` takes its word for it, and saves these calls.
            wanted: A plain function of an account's id, which returns whether to list it; `None`: all. A resumed export
                passes `Job.needs`.
            after: The cursor of the list of accounts to begin after; `None`: at its start. Not with `kind="all"`.
            max_accounts: Accounts in all, unwanted ones included; `None` for all. Not with `kind="all"`.
            fields: The fields of each number, as for `list_phone_numbers`.
            filtering: The conditions that a number must meet; `None` for all numbers.
            sort: The order of the numbers of an account, as for `list_phone_numbers`.
            limit: Numbers of a page, and of each account in a call for many, 1 to 100.
            max_items: Numbers of each account; `None` for all.
            follow: When a list goes on, as for `list_phone_numbers`.
            total_timeout: Seconds for all attempts and waits of each call; `None` takes that of the retry policy.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            WaPhoneError: While iterating, the accounts of the business cannot be listed.
        """
        query = ListQuery.of_numbers(
            fields=fields,
            filtering=filtering,
            sort=sort,
            limit=limit,
            max_items=max_items,
            follow=follow,
            total_timeout=total_timeout,
        )
        return self.start_fleet(
            business_id,
            query,
            kind=kind,
            concurrency=concurrency,
            ordered=ordered,
            unique=unique,
            verify_empty=verify_empty,
            wanted=wanted,
            after=after,
            max_accounts=max_accounts,
        )

    def start_fleet(
        self,
        business_id: str | int,
        query: ListQuery,
        *,
        kind: AccountKind | Literal["all"] = "owned",
        concurrency: int = DEFAULT_CONCURRENCY,
        ordered: bool = False,
        unique: bool = False,
        verify_empty: bool = True,
        wanted: Callable[[str], bool] | None = None,
        after: str | None = None,
        max_accounts: int | None = None,
    ) -> Listings:
        """List the phone numbers of all accounts of a business as a `ListQuery` says; see `list_fleet`.

        Args:
            business_id: Meta's id of the business, digits.
            query: What each account is asked for: `ListQuery.of_numbers(…)`.
            kind: As for `list_fleet`.
            concurrency: As for `list_fleet`.
            ordered: As for `list_fleet`.
            unique: As for `list_fleet`.
            verify_empty: As for `list_fleet`.
            wanted: As for `list_fleet`.
            after: As for `list_fleet`.
            max_accounts: As for `list_fleet`.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
        """
        from .workflows.fleet import FleetWalk
        from .workflows.fleet_plan import FleetLimits

        self._check_open()
        business_id = read_node_id("business_id", business_id)
        if wanted is not None and not callable(wanted):
            raise InvalidArgumentError("wanted", "a plain function of an account's id", wanted)
        if max_accounts is not None:
            check_count("max_accounts", max_accounts, 0, None)
        paths = [f"{business_id}/{edge}" for edge in accounts_edges(kind)]
        if len(paths) > 1 and (after is not None or max_accounts is not None):
            hint = "after and max_accounts are of one list"
            raise InvalidArgumentError("kind", "'owned' or 'client'", kind, hint=hint)
        accounts = ListQuery(
            after=after, max_items=max_accounts, follow=query.follow, total_timeout=query.total_timeout
        )
        walk = FleetWalk(
            session=self.session,
            list_numbers=self.start_list,
            query=attrs.evolve(query, read_ahead=0),  # each account is awaited whole
            accounts=accounts,
            verify_empty=verify_empty,
            wanted=wanted,
            edges=[(path, self._fleet_limits.setdefault(path, FleetLimits())) for path in paths],
        )
        return Listings(walk.entries, concurrency=concurrency, ordered=ordered, unique=unique, max_unread=MAX_PAGE_SIZE)

    def check_health(
        self,
        source: HealthSource,
        *,
        checks: Iterable[str] | str | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> HealthCheck:
        """Say why numbers cannot send, and what to do: iterate over the findings, or await a report.

            report = await client.check_health(waba_ids)
            for finding in report.findings:
                print(finding.severity, finding.sentence, finding.remedy)

        Accounts and ids cost a call for each 100 numbers, with the fields that the checks read. The checks of accounts
        and businesses cost one more for each account, unless the list of accounts has their fields. Listings and files
        cost no call. What a check needs and does not have is in `not_checked`.

        Memory is bounded for any number of accounts, if you iterate: the check remembers the ids that it has seen.
        `check_health(…).report(…)` bounds a report, and compares with an older export. `to_html` makes a page of one.

        Args:
            source: The accounts or their ids, an iterable or an async iterable of any length; listings, such as those
                of `list_many`; or the path of an exported file. A single account, id or listing will do.
            checks: The rules to apply, by their codes or groups; default: all. Fewer checks request fewer fields.
            concurrency: The number of requests that may be in flight at once.

        Raises:
            InvalidArgumentError: There is no such check; nothing was sent. An invalid id is a finding.
        """
        from .health.check import HealthCheck
        from .health.rules import choose_rules

        self._check_open()
        rules = choose_rules(checks)
        check_at_least_one("concurrency", concurrency)
        query = ListQuery.of_numbers(fields=ChosenFields(",".join(rules.number_fields)), limit=MAX_PAGE_SIZE)
        account_fields = {"fields": ",".join(("id", "name", *rules.account_fields))}

        async def read_node(waba_id: str) -> BusinessAccount:
            return await self.session.get(read_node_id("waba_id", waba_id), BusinessAccount, account_fields)

        lister = partial(self.start_list, query=query)
        return HealthCheck(source, rules, lister, read_node, self.last_usage, concurrency=concurrency)

    def audit_webhooks(
        self,
        source: HealthSource,
        *,
        url: str | None = None,
        app_id: str | int | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> HealthCheck:
        """Say whose webhooks nobody gets, and whose go to another app or URL: iterate over the findings, or await all.

            async with client.audit_webhooks(waba_ids, url="https://shop.example/webhooks") as audit:
                async for finding in audit:
                    print(finding.severity, finding.sentence)

        An account costs a call for each 100 numbers, and one for `GET /{waba_id}/subscribed_apps`. One more call for
        all of them, `GET /debug_token`, finds your app, unless you pass `app_id`. Listings and files cost no call, and
        say nothing of subscriptions. Meta's page "Webhook overrides" and its reference of `subscribed_apps`, both read
        2026-11-28. Memory is bounded for any number of accounts, if you iterate.

        Args:
            source: The accounts or their ids, listings, or the path of an exported file, as for `check_health`.
            url: The callback URL that the webhooks of all numbers should go to. `None`: each override is a finding, for
                information.
            app_id: Your app; `None`: that of the token. If Meta does not give it, the checks of other apps are in
                `not_checked`.
            concurrency: The number of requests that may be in flight at once.

        Returns:
            A check whose findings have codes such as `webhook.not_subscribed`.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent. An invalid id is a finding.
        """
        from .health.check import HealthCheck
        from .webhooks.audit import audit_rules
        from .webhooks.bulk import FIELDS
        from .webhooks.callbacks import read_callback_url

        rules = audit_rules(None if url is None else read_callback_url(url))
        check_at_least_one("concurrency", concurrency)
        editor = self._webhook_editor(app_id, concurrency)
        query = ListQuery.of_numbers(fields=FIELDS, limit=MAX_PAGE_SIZE)
        return HealthCheck(
            source,
            rules,
            partial(self.start_list, query=query),
            editor.read_account,
            self.last_usage,
            concurrency=concurrency,
            call="client.audit_webhooks",
        )

    def set_webhooks(
        self,
        targets: EditTargets,
        url: str | None,
        *,
        verify_token: str | None = None,
        on: EditLevel = "numbers",
        journal: str | PathLike[str] | None = None,
        resend: bool = False,
        app_id: str | int | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> BulkEdit:
        """Let the webhooks of many numbers or accounts go to another callback URL: an override.

            async with client.set_webhooks(ids, url, verify_token=token, journal="webhooks.jsonl") as edits:
                async for edit in edits:
                    print(edit.target, edit.state, edit.why)

        `POST /{phone_number_id}` with `webhook_configuration`, and `POST /{waba_id}/subscribed_apps`: Meta's page
        "Webhook overrides" (copies of June and September 2026, read 2026-11-28). Meta verifies the URL with the verify
        token at each write. Overrides concern messages and calls; Meta sends other webhooks to the app's own URL.

        Without `journal` it is a dry run: it reads the old values, and sends no write. With it, the old values are kept
        there for `undo_webhooks`, and each write is journalled before it is sent. After a kill, make the same edit with
        the same journal: what is done is skipped, and what was in flight is read back, and not sent again.

        It costs a call to read each number, or one for each 100 with `on="members"`, and a call for each write. An
        account whose app is not subscribed takes two writes. What has the URL already costs no write.

        Args:
            targets: The ids, an iterable or an async iterable; or the path of a file that an export or an audit wrote.
                The ids of a journal are those of its first run.
            url: The callback URL, https:// and at most 200 characters. `None`, with `on="accounts"` only: the app is
                subscribed where it is not, and callback URLs stay as they are.
            verify_token: The token with which your endpoint verifies the URL. No journal and no error shows it.
            on: `"numbers"`: the ids are those of numbers. `"accounts"`: they are those of accounts, and the account
                gets the URL. `"members"`: they are those of accounts, and each of their numbers gets it.
            journal: The file of the journal. It is made with mode 0600, or gone on with. `None` for a dry run.
            resend: Whether to send again what was in flight at a kill, and had the old value when it was read back.
            app_id: Your app, for accounts; `None`: that of the token.
            concurrency: The number of requests that may be in flight at once.

        Returns:
            The edit. Nothing is sent before you iterate or await.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent. While iterating: the journal is that of
                another plan, or an id is invalid.
            JournalError: While iterating, the journal cannot be written; nothing more was sent.
        """
        verify_token = None if verify_token is None else conceal(verify_token)
        from .edits.bulk import BulkEdit

        editor = self._webhook_editor(app_id, concurrency)
        plan = editor.set(targets, on, url, verify_token)
        return BulkEdit(plan, _path(journal), concurrency=concurrency, resend=resend)

    def clear_webhooks(
        self,
        targets: EditTargets,
        *,
        on: EditLevel = "numbers",
        journal: str | PathLike[str] | None = None,
        resend: bool = False,
        app_id: str | int | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> BulkEdit:
        """Remove the callback URLs of many numbers or accounts: their webhooks go to the next one that there is.

        After that of a number comes that of its account, and then the app's. No app is subscribed or unsubscribed. The
        source, the costs and the journal are those of `set_webhooks`.

        Args:
            targets: The ids, or the path of a file; see `set_webhooks`.
            on: What the ids are; see `set_webhooks`.
            journal: The file of the journal; `None` for a dry run.
            resend: Whether to send again what was read back as not applied; see `set_webhooks`.
            app_id: Your app, for accounts; `None`: that of the token.
            concurrency: The number of requests that may be in flight at once.

        Raises:
            InvalidArgumentError: As for `set_webhooks`.
            JournalError: As for `set_webhooks`.
        """
        from .edits.bulk import BulkEdit

        plan = self._webhook_editor(app_id, concurrency).clear(targets, on)
        return BulkEdit(plan, _path(journal), concurrency=concurrency, resend=resend)

    def undo_webhooks(
        self,
        of: str | PathLike[str],
        *,
        verify_tokens: str | Mapping[str, str] | None = None,
        journal: str | PathLike[str] | None = None,
        resend: bool = False,
        app_id: str | int | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> BulkEdit:
        """Restore the values that were there before `set_webhooks` or `clear_webhooks`, from the journal of that.

        It reads each value that may have changed, and restores those that the edit has set. A value that is neither the
        old nor the new one was changed by somebody else: it stays, and its edit is `CHANGED`. An undo has a journal of
        its own. It can be killed, resumed and undone like any other edit. It costs a call to read each value, and a
        call for each write.

        Meta does not give verify tokens back. To set an older callback URL again, pass its token.

        Args:
            of: The journal of the edit.
            verify_tokens: The verify token of each callback URL that has to be set again, or one for all. `None`: no
                edit has to set one. If one has, nothing is sent, and the error names the URL.
            journal: The file of the undo's own journal; `None` for a dry run.
            resend: Whether to send again what was read back as not applied; see `set_webhooks`.
            app_id: Your app, for accounts; `None`: that of the token.
            concurrency: The number of requests that may be in flight at once.

        Raises:
            InvalidArgumentError: `of` is no journal of such an edit, or of another API. While iterating: a verify token
                is missing, or the journal is that of another plan. Nothing was sent.
            JournalError: As for `set_webhooks`.
        """
        verify_tokens = concealed = conceal_each(verify_tokens)
        from .edits.bulk import BulkEdit
        from .edits.journal import read_header
        from .webhooks.bulk import VerifyTokens

        tokens = VerifyTokens(concealed)
        editor, path = self._webhook_editor(app_id, concurrency), _path(journal)
        plan = editor.undo(read_header(Path(of)), tokens, needs_tokens=path is not None)
        return BulkEdit(plan, path, concurrency=concurrency, resend=resend)

    def _webhook_editor(self, app_id: str | int | None, concurrency: int) -> WebhookEditor:
        from .webhooks.bulk import FIELDS, OwnApp, WebhookEditor

        self._check_open()
        return WebhookEditor(
            session=self.session,
            list_many=partial(self.list_many, fields=FIELDS, concurrency=concurrency),
            app=OwnApp(self.session, None if app_id is None else read_node_id("app_id", app_id)),
            concurrency=concurrency,
        )

    @overload
    def watch(  # type: ignore[overload-overlap]  # a string is one id, and no iterable of ids
        self,
        waba_id: str | int | BusinessAccount,
        *,
        interval: float = 60.0,
        total_timeout: float | None = None,
        known: Iterable[PhoneNumber] | None = None,
        fields: Fields = ALL_FIELDS,
        filtering: Filter | Iterable[Filter] | None = None,
        follow: Follow = "next",
    ) -> Watch: ...

    @overload
    def watch(
        self,
        waba_id: Accounts,
        *,
        interval: float = 60.0,
        total_timeout: float | None = None,
        known: Mapping[str, Iterable[PhoneNumber]] | None = None,
        fields: Fields = ALL_FIELDS,
        filtering: Filter | Iterable[Filter] | None = None,
        follow: Follow = "next",
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> Watches: ...

    def watch(
        self,
        waba_id: str | int | BusinessAccount | Accounts,
        *,
        interval: float = 60.0,
        total_timeout: float | None = None,
        known: Any = None,
        fields: Fields = ALL_FIELDS,
        filtering: Filter | Iterable[Filter] | None = None,
        follow: Follow = "next",
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> Watch | Watches:
        """Watch the numbers of an account, or of many: poll the lists, and yield each change.

            async for change in client.watch(waba_id):
                print(change.display_phone_number, change.field, change.old, change.new)

        The first list is the base of the comparison. A number that comes or goes is a change of its `id`, from or to
        `None`. The next poll comes after a quarter of `interval` when something changed, and after up to four times
        `interval` while nothing changes. It comes later if more than a quarter of the account's or the app's quota is
        used. Throttling and outages do not end the iteration.

        With many accounts, iterate inside `async with`. Their polls are spread over `interval`, and take at most a
        quarter of the quota of each account and of the app. An account that fails does not stop the others.

            async with client.watch(waba_ids) as watches:
                async for change in watches:
                    print(change.waba_id, change.field, change.old, change.new)

        Args:
            waba_id: Meta's id of the account, digits, or the account. Or many of them, an iterable or an async
                iterable. All are read before the first poll.
            interval: Seconds between two polls. A poll costs one call for each 100 numbers.
            total_timeout: Seconds from the first step to the end of the iteration; `None` never ends it.
            known: The list to compare with first, such as an earlier watch's `known`. Then you also get the changes
                since that list. Read it with the same `fields` and `filtering`. For many accounts, it is a mapping
                with a list for each id.
            fields: The fields to compare, as for `list_phone_numbers`; default: all that `PhoneNumber` knows.
            filtering: The conditions that a number must meet. A number that stops meeting them is gone.
            follow: When the list goes on, as for `list_phone_numbers`.
            concurrency: With many accounts, how many requests may be in flight at once.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent. Among many, an invalid id is rejected alone.
            WaPhoneError: While iterating, the API does not let you read the account; see `Watch` and `Watches`.
        """
        from .workflows.watch import Watch
        from .workflows.watch_many import Watches

        self._check_open()
        many = waba_id if not isinstance(waba_id, str) and isinstance(waba_id, Iterable | AsyncIterable) else None
        one = waba_id.id if isinstance(waba_id, BusinessAccount) else waba_id
        checked_id = read_node_id("waba_id", one) if many is None else ""
        query = ListQuery.of_numbers(fields=fields, filtering=filtering, limit=MAX_PAGE_SIZE, follow=follow)
        if many is not None:
            return Watches(
                many,
                partial(self.start_list, query=query),
                interval=interval,
                total_timeout=total_timeout,
                known=known,
                usage=self.last_usage,
                concurrency=concurrency,
            )
        return Watch(
            checked_id,
            partial(self.start_list, checked_id, query),
            interval=interval,
            total_timeout=total_timeout,
            known=known,
            usage=lambda: self.last_usage(checked_id),
        )

    async def wait_until(
        self,
        phone_number_id: str | int,
        predicate: Predicate,
        *,
        interval: float = 60.0,
        total_timeout: float | None = None,
        unless: Predicate | None = None,
        waba_id: str | int | None = None,
        fields: Fields = ALL_FIELDS,
    ) -> PhoneNumber:
        """Poll a number until a predicate is true: `await client.wait_until(number.id, is_ready)`.

        It polls as often as `watch` does. Throttling and outages do not end it.

        Args:
            phone_number_id: Meta's id of the number, digits.
            predicate: A plain function of the number, such as `is_ready`. It returns whether the wait is over.
            interval: Seconds between two polls. A poll is a call.
            total_timeout: Seconds for the whole wait; `None` for no limit.
            unless: A predicate for numbers that can never get there: it ends the wait with a `WaitError`. `None`: with
                `is_ready`, states that are final end the wait, such as a declined name. With any other predicate,
                nothing does.
            waba_id: The account of the number; see `get_phone_number`.
            fields: The fields to read, as for `list_phone_numbers`; default: all that `PhoneNumber` knows.

        Returns:
            The number for which the predicate was true.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            WaitError: The number cannot get there by waiting. The text says why, and `last_seen` is the number.
            WaitTimeoutError: The predicate was not true within `total_timeout`.
            WaPhoneError: The API does not let you read the number.
        """
        from .workflows.watch import wait_until

        self._check_open()
        phone_number_id = read_node_id("phone_number_id", phone_number_id)
        if waba_id is not None:
            waba_id = read_node_id("waba_id", waba_id)
        checked_fields = fields_of_number(fields) or META_DEFAULT

        async def read_number() -> PhoneNumber:
            return await self.get_phone_number(phone_number_id, fields=checked_fields, waba_id=waba_id)

        return await wait_until(
            phone_number_id,
            predicate,
            read_number,
            interval=interval,
            total_timeout=total_timeout,
            unless=unless,
            usage=lambda: self.last_usage(waba_id),
        )

    def list_business_accounts(
        self,
        business_id: str | int,
        kind: AccountKind = "owned",
        *,
        fields: Iterable[str] | str | None = None,
        limit: int = MAX_PAGE_SIZE,
        after: str | None = None,
        before: str | None = None,
        max_items: int | None = None,
        follow: Follow = "next",
        read_ahead: int = 0,
        total_timeout: float | None = None,
    ) -> AsyncPaginator[BusinessAccount]:
        """List the WhatsApp Business Accounts of a business: iterate over them, or await them all as a list.

        `GET /{business_id}/owned_whatsapp_business_accounts` or `GET /{business_id}/client_whatsapp_business_accounts`,
        Meta's references of these edges, read 2026-11-22. The token needs the permission `whatsapp_business_management`
        and, for owned accounts, `business_management`. A business is no account, so only the app's quota counts.

        Args:
            business_id: Meta's id of the business, digits.
            kind: `"owned"` for its own accounts, `"client"` for accounts of others that are shared with it.
            fields: The fields of each account: names, or one comma-separated text. `None` gives the API's default
                fields. All fields but `id` and `name` are in `extra`.
            limit: Accounts of a page, 1 to 100. Each page is a call, and the quota counts calls.
            after: The cursor to begin after, such as an earlier paginator's `cursor`; `None` begins at the first page.
            before: The cursor to go back from; `None` goes forward.
            max_items: Accounts in all; `None` for all.
            follow: When the list goes on: `"next"` while there is a `next` link. `"after"` is for servers that never
                send one.
            read_ahead: Pages to request while you work on one, 0 to 100. With any, use the list in its block,
                `async with client.list_business_accounts(…) as paginator:`. Stopping early may waste up to `read_ahead`
                requests.
            total_timeout: Seconds for all attempts and waits of each page; `None` takes that of the retry policy.

        Returns:
            The accounts. The first request is sent when you iterate or await.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            WaPhoneError: While iterating, no page came. The same paginator can go on with that page.
        """
        self._check_open()
        business_id = read_node_id("business_id", business_id)
        params = list_params(fields=fields, filtering=None, sort=None, known_fields=ACCOUNT_FIELDS)
        query = ListQuery(
            params=params,
            limit=limit,
            after=after,
            before=before,
            max_items=max_items,
            follow=follow,
            read_ahead=read_ahead,
            total_timeout=total_timeout,
        )
        return self.session.start_list(f"{business_id}/{accounts_edge(kind)}", BusinessAccount, query, waba_id=None)

    async def list_token_accounts(
        self, *, waba_id: str | int | None = None, total_timeout: float | None = None
    ) -> Rows[BusinessAccount]:
        """List the WhatsApp Business Accounts that the access token names, with their names.

            for account in await client.list_token_accounts():
                print(account.id, account.name)

        `GET /debug_token`, then `GET /{waba_id}` for each account: Meta's references, read 2026-11-28. A token may name
        no account and see some all the same. Then list those of your business with `list_business_accounts`.

        Args:
            waba_id: The account whose token is meant; see `GraphSession.inspect_token`.
            total_timeout: Seconds for all attempts and waits of each call; `None` takes that of the retry policy.

        Returns:
            The accounts, newest first. `name` is `None` where the API does not let you read the account.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            AuthenticationError: The token is invalid.
            BadRequestError: Meta does not let this token inspect itself.
            WaPhoneError: Meta rejected a request for another reason, or no valid response came.
        """
        self._check_open()
        info = await self.session.inspect_token(waba_id=waba_id, total_timeout=total_timeout)

        async def read(named: str) -> BusinessAccount:
            try:
                return await self.session.get(
                    named, BusinessAccount, {"fields": "id,name"}, total_timeout=total_timeout
                )
            except (BadRequestError, NotFoundError, PermissionDeniedError):
                return BusinessAccount(named)

        return rows_of(await map_bounded(read, info.waba_ids, DEFAULT_CONCURRENCY), BusinessAccount)

    async def diagnose(
        self, *, waba_id: str | int | None = None, total_timeout: float = DIAGNOSIS_SECONDS
    ) -> Diagnosis:
        """Find out what is wrong with the set-up: the host, the clock, the token, its permissions, Redis.

            print(await client.diagnose())

        It sends at most four requests, each with a time-out of five seconds, and changes nothing. The result holds no
        secret.

        Args:
            waba_id: An account to read. Its token is the one that is checked, if your token provider has several.
                `None` reads the first account that the token names.
            total_timeout: Seconds for all of it.

        Returns:
            A check for each thing that could be looked at. Failures are problems in it, and no errors.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
        """
        self._check_open()
        return await self.session.diagnose(waba_id=waba_id, total_timeout=total_timeout)

    async def get_phone_number(
        self,
        phone_number_id: str | int,
        *,
        fields: Fields = None,
        waba_id: str | int | None = None,
        total_timeout: float | None = None,
    ) -> PhoneNumber:
        """Get one phone number by its id.

        `GET /{phone_number_id}`, Meta's guide to phone numbers, read 2026-11-22. The API counts it as a call on the
        account of the number.

        Args:
            phone_number_id: Meta's id of the number, digits. It is not the phone number itself.
            fields: The fields of the number, as for `list_phone_numbers`.
            waba_id: The account of the number. Its token is used, and its quota counts. `None`: the token is that of
                the number's id, and only the app's quota counts.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            NotFoundError: There is no such number, or the token may not see it.
            BadRequestError: The id is that of another object, such as an account. `hint` says what it is.
            WaPhoneError: The API rejected the request, or no valid response came.
        """
        self._check_open()
        phone_number_id = read_node_id("phone_number_id", phone_number_id)
        params = list_params(fields=fields_of_number(fields), filtering=None, sort=None)
        number = await self.session.get(
            phone_number_id, PhoneNumber, params, waba_id=waba_id, total_timeout=total_timeout
        )
        # Another object has none of these fields, if the server does not reject a request for them.
        if (fields is None or fields is META_DEFAULT) and number == PhoneNumber(number.id, extra=number.extra):
            raise not_a_number(number)
        return number

    async def create_phone_number(
        self,
        waba_id: str | int,
        *,
        phone_number: str,
        verified_name: str | None = None,
        cc: str | int | None = None,
        migrate_phone_number: bool | None = None,
        preverified_id: str | int | None = None,
        total_timeout: float | None = None,
    ) -> CreatedPhoneNumber:
        """Create a phone number in an account. The number is unverified, and no code is sent yet.

        `POST /{waba_id}/phone_numbers`, Meta's v23.0 reference, read 2026-11-22. A create is retried only if it has
        provably not happened: there was no connection, or the API throttled it or rejected its token.

        Args:
            waba_id: Meta's id of the account, digits.
            phone_number: The number, 7 to 15 digits, with or without the country code. It may begin with `+`, and have
                blanks, hyphens, parentheses or several dots between its digits. Only its digits are sent.
            verified_name: The display name of the business, 2 to 75 characters. Only a migration may leave it out.
            cc: The country's dial code, 1 to 3 digits, with or without `+`. Some of Meta's guides require it, so give
                it.
            migrate_phone_number: Whether the number moves here from another account. A changelog says that the new
                account model has no such moves since 18 Aug 2026; Meta's guide still has them (both read 2026-11-28).
            preverified_id: The id of a number that was verified beforehand, any string that is not empty.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            OutcomeUnknownError: The response was lost, so the number may have been created. List the numbers before
                you create it again.
            ConflictError: The account has the number already.
            WaPhoneError: The API rejected the create, or it could not be sent.
        """
        self._check_open()
        write = writes.create_phone_number(
            waba_id,
            phone_number=phone_number,
            verified_name=verified_name,
            cc=cc,
            migrate_phone_number=migrate_phone_number,
            preverified_id=preverified_id,
        )
        return await self.session.post(write, CreatedPhoneNumber, total_timeout=total_timeout)

    async def request_code(
        self,
        phone_number_id: str | int,
        *,
        code_method: CodeMethod = "SMS",
        language: str = "en_US",
        waba_id: str | int | None = None,
        total_timeout: float | None = None,
    ) -> SuccessResponse:
        """Have a code sent to a number, to prove that the number is yours.

        `POST /{phone_number_id}/request_code`, Meta's guide to registering numbers and its v23.0 OpenAPI description,
        read 2026-11-22. Like all writes on a number, it is retried only if no code can have been sent and no attempt
        was counted: there was no connection, or the API named a limit of calls or rejected the token.

        Args:
            phone_number_id: Meta's id of the number, digits. It is not the phone number itself.
            code_method: `"SMS"` for a message, `"VOICE"` for a call. Landlines and VoIP numbers need a call.
            language: The language of the message, such as `en_US`. The live service takes `en` too.
            waba_id: The account of the number. Its token is used, and its quota counts. `None`: the token is that of
                the number's id, and only the app's quota counts.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            OutcomeUnknownError: The response was lost, or does not say whether the write happened. No field shows
                it: wait for the code before you request another, since Meta counts requests.
            WaPhoneError: The API rejected the request, or it could not be sent. After code 136024, `retry_after` is the
                wait, if Meta names one. A verified number has this code too, so read `code_verification_status` first
                (Meta's "Business phone numbers", read 2026-11-28).
        """
        make_write = partial(writes.request_code, phone_number_id, code_method=code_method, language=language)
        return await self._post(make_write, waba_id, total_timeout)

    @_as_coroutine_function
    def verify_code(
        self,
        phone_number_id: str | int,
        code: str,
        *,
        waba_id: str | int | None = None,
        total_timeout: float | None = None,
    ) -> Coroutine[Any, Any, SuccessResponse]:
        """Verify a number with the code that it got. It can be registered then.

        `POST /{phone_number_id}/verify_code`, Meta's guide to registering numbers and its v23.0 OpenAPI description,
        read 2026-11-22. Meta counts wrong codes, so a retry follows only an attempt that was not counted; see
        `request_code`.

        Args:
            phone_number_id: Meta's id of the number, digits.
            code: The 6 digits, with the hyphen of the message or without: `123-830` or `123830`.
            waba_id: The account of the number; see `request_code`.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent. The text does not show the code.
            OutcomeUnknownError: The response was lost, or does not say whether the write happened. If it
                did, `code_verification_status` is `VERIFIED`.
            WaPhoneError: The API rejected the code, with error code 136025 if it is wrong, or it could not be sent.
        """
        return self._post(partial(writes.verify_code, phone_number_id, conceal(code)), waba_id, total_timeout)

    @_as_coroutine_function
    def register(
        self,
        phone_number_id: str | int,
        *,
        pin: str,
        data_localization_region: str | None = None,
        waba_id: str | int | None = None,
        timeout: float = REGISTER_SECONDS,
        total_timeout: float | None = None,
    ) -> Coroutine[Any, Any, SuccessResponse]:
        """Register a verified number, and so let it send messages. Register it again after a new name was approved.

        `POST /{phone_number_id}/register`, Meta's guides to registration and its v23.0 OpenAPI description, read
        2026-11-22. It is slow, and may succeed after a client has stopped waiting. Meta counts wrong PINs, and allows
        10 registrations and deregistrations of a number in 72 hours. So a retry follows only an attempt that was not
        counted; see `request_code`. With `registrations=`, a ledger counts each attempt before it is sent.

        Args:
            phone_number_id: Meta's id of the number, digits.
            pin: The 6 digits of two-step verification: the number's PIN or, if it has none, a new one.
            data_localization_region: The country to keep data in, two capital letters. Meta's changelog of October 2024
                calls it removed, and its guide of November 2025 still lists it.
            waba_id: The account of the number; see `request_code`.
            timeout: Seconds of one attempt, instead of the client's `timeout`.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy, but not less than
                `timeout`.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent. The text does not show the PIN.
            LedgerError: The ledger failed; nothing was sent.
            RateLimitError: The ten are used, and `retry_after` is the wait. Nothing was sent if `sent` is false.
            OutcomeUnknownError: The response was lost, or does not say whether the write happened. If it
                did, `host_platform` (or `platform_type`) is `CLOUD_API` and `is_pin_enabled` is true.
            WaPhoneError: The API rejected the registration, or it could not be sent. Code 133005 means a wrong PIN,
                133006 a number that is not verified. Code 100 with subcode 2388001 means that the display name is not
                ready: register later, since each try is one of the ten (chatwoot's pull request 12556, read
                2026-11-28). After 133008, 133009, 133015 and 133016, `retry_after` is the wait, if Meta names one.
        """
        make_write = partial(
            writes.register,
            phone_number_id,
            pin=conceal(pin),
            data_localization_region=data_localization_region,
            timeout=timeout,
        )
        return self._post(make_write, waba_id, total_timeout)

    async def deregister(
        self, phone_number_id: str | int, *, waba_id: str | int | None = None, total_timeout: float | None = None
    ) -> SuccessResponse:
        """Deregister a number. It cannot send messages until you register it again, at the earliest 5 minutes later.

        `POST /{phone_number_id}/deregister`, Meta's guide to registration, read 2026-11-22. It does not work for a
        number that the WhatsApp Business app uses too. Meta allows 10 registrations and deregistrations of a number in
        72 hours; see `register`.

        Args:
            phone_number_id: Meta's id of the number, digits.
            waba_id: The account of the number; see `request_code`.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            LedgerError: The ledger failed; nothing was sent.
            RateLimitError: The ten are used, and `retry_after` is the wait. Nothing was sent if `sent` is false.
            OutcomeUnknownError: The response was lost, or does not say whether the write happened. If it
                did, `host_platform` (or `platform_type`) is `NOT_APPLICABLE`.
            WaPhoneError: The API rejected it, with code 100/2207051 if the number is not registered, or it could not be
                sent. After 133016, `retry_after` is the wait.
        """
        return await self._post(partial(writes.deregister, phone_number_id), waba_id, total_timeout)

    @_as_coroutine_function
    def set_two_step_verification_pin(
        self,
        phone_number_id: str | int,
        pin: str,
        *,
        waba_id: str | int | None = None,
        total_timeout: float | None = None,
    ) -> Coroutine[Any, Any, SuccessResponse]:
        """Set a new PIN of two-step verification for a registered number. The API does not need the old one.

        `POST /{phone_number_id}`, Meta's guide to two-step verification, read 2026-11-22.

        Args:
            phone_number_id: Meta's id of the number, digits.
            pin: The new PIN, 6 digits.
            waba_id: The account of the number; see `request_code`.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent. The text does not show the PIN.
            OutcomeUnknownError: The response was lost, or does not say whether the write happened. If it
                did, `is_pin_enabled` is true. If there was a PIN before, no field shows which one is valid. It is safe
                to set the same PIN again.
            WaPhoneError: The API rejected the PIN, or it could not be sent.
        """
        make_write = partial(writes.set_two_step_verification_pin, phone_number_id, conceal(pin))
        return self._post(make_write, waba_id, total_timeout)

    async def request_display_name(
        self,
        phone_number_id: str | int,
        name: str,
        *,
        waba_id: str | int | None = None,
        total_timeout: float | None = None,
    ) -> SuccessResponse:
        """Request another display name for a number. Meta reviews it: see `wait_for_display_name`.

        `POST /{phone_number_id}` with `new_display_name`, Meta's "Display names" (updated 2026-05-21), read 2026-11-28.
        It costs one call. Meta may reject a name at once, and reviews one name of a number at a time (Twilio's pages on
        its errors 63124 and 63128, read 2026-11-28). The current name stays until then.

        Args:
            phone_number_id: Meta's id of the number, digits.
            name: The name, 1 to 512 characters. Meta publishes no limit; it is the largest that a partner names.
            waba_id: The account of the number; see `request_code`.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            OutcomeUnknownError: The response was lost, or does not say whether the write happened. If it did,
                `new_display_name` is the name: read it before you request it again.
            WaPhoneError: The API rejected the name, or the request could not be sent.
        """
        return await self._post(partial(writes.request_display_name, phone_number_id, name), waba_id, total_timeout)

    async def wait_for_display_name(
        self,
        phone_number_id: str | int,
        name: str | None = None,
        *,
        interval: float = 60.0,
        total_timeout: float | None = None,
        waba_id: str | int | None = None,
    ) -> DisplayName:
        """Poll a number until Meta's review of a display name is over.

            name = await client.wait_for_display_name(number_id, "Acme Shoes")
            if name.stage is NameStage.APPROVED:
                await client.register(number_id, pin=pin)  # one of ten in 72 hours

        It polls as often as `watch` does. Throttling and outages do not end it. Listeners get a `NameStageChanged` for
        each new stage. A review may take days, so let a job call it again, with a `total_timeout`. The sources are
        those of `request_display_name`.

        Args:
            phone_number_id: Meta's id of the number, digits.
            name: The name. `None`: the one that was requested last.
            interval: Seconds between two polls. A poll is a call.
            total_timeout: Seconds for the whole wait; `None` for no limit.
            waba_id: The account of the number; see `get_phone_number`.

        Returns:
            The name with its stage. `APPROVED`: register the number again. `IN_USE`: it is the approved name of the
            number. `NOT_REVIEWED`: it may be used, and Meta has not reviewed it yet. Waiting does not change that.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            WaitError: Meta has declined the name, its certificate has expired, or three polls show that nobody has
                requested it. The text says what to do.
            WaitTimeoutError: The review was not over within `total_timeout`.
            WaPhoneError: The API does not let you read the number.
        """
        from .workflows.display_name import NAME_FIELDS, wait_for_display_name

        self._check_open()
        phone_number_id = read_node_id("phone_number_id", phone_number_id)
        if waba_id is not None:
            waba_id = read_node_id("waba_id", waba_id)
        return await wait_for_display_name(
            phone_number_id,
            name,
            partial(self.get_phone_number, phone_number_id, fields=NAME_FIELDS, waba_id=waba_id),
            interval=interval,
            total_timeout=total_timeout,
            usage=lambda: self.last_usage(waba_id),
            dispatch=self.session.dispatch,
            waba_id=waba_id,
        )

    async def get_username(
        self, phone_number_id: str | int, *, waba_id: str | int | None = None, total_timeout: float | None = None
    ) -> BusinessUsername:
        """Get the username of a number, and whether people see it.

        `GET /{phone_number_id}/username`, Kapso's and Vonage's pages on Meta's usernames, read 2026-11-28. It costs one
        call. The field `username` of the number itself often comes empty.

        Args:
            phone_number_id: Meta's id of the number, digits.
            waba_id: The account of the number; see `get_phone_number`.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.

        Returns:
            The username. Its `username` is `None` or empty if the number has none.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            WaPhoneError: The API rejected the request, or no valid response came.
        """
        self._check_open()
        path = f"{read_node_id('phone_number_id', phone_number_id)}/username"
        return await self.session.get(path, BusinessUsername, waba_id=waba_id, total_timeout=total_timeout)

    async def suggest_usernames(
        self, phone_number_id: str | int, *, waba_id: str | int | None = None, total_timeout: float | None = None
    ) -> list[str]:
        """Get the usernames that Meta keeps for a number. Each may be claimed.

        `GET /{phone_number_id}/username_suggestions`, Kapso's page on Meta's usernames, read 2026-11-28. It costs one
        call.

        Args:
            phone_number_id: Meta's id of the number, digits.
            waba_id: The account of the number; see `get_phone_number`.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            WaPhoneError: The API rejected the request, or no valid response came.
        """
        from .workflows.usernames import read_suggestions

        self._check_open()
        path = f"{read_node_id('phone_number_id', phone_number_id)}/username_suggestions"
        return read_suggestions(
            cast("object", await self.session.get(path, dict, waba_id=waba_id, total_timeout=total_timeout))
        )

    async def claim_username(
        self,
        phone_number_id: str | int,
        username: str,
        *,
        transfer_action: TransferAction = "none",
        waba_id: str | int | None = None,
        total_timeout: float | None = None,
    ) -> BusinessUsername:
        """Claim a username for a number. It replaces the one that the number has.

        `POST /{phone_number_id}/username`, Kapso's and Alibaba Cloud's pages on Meta's usernames, read 2026-11-28. It
        costs one call. `release_username` undoes it; nothing brings a replaced username back for certain.

        Args:
            phone_number_id: Meta's id of the number, digits.
            username: The username, without `@`: 3 to 35 letters a-z, digits, dots and underscores, with a letter. Meta
                also rejects endings such as `.com`.
            transfer_action: `"force_transfer"` takes the username from another number of your business portfolio, which
                then has none. With `"none"`, that is an error with code 147005. Meta has it since 2026-06-10.
            waba_id: The account of the number; see `request_code`.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.

        Returns:
            The username with its status, `"approved"`, or `"reserved"` until usernames are there in people's region.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            OutcomeUnknownError: The response was lost, or does not say whether the write happened. `get_username` shows
                it: read it before you claim again.
            ConflictError: The username is taken: code 147001, or 147005 if another number of yours has it. `hint` says
                what to do.
            WaPhoneError: The API rejected the claim, or it could not be sent. 147002: the account may not have a
                username. 147003 and 147004: link the Facebook or Instagram account of that name first.
        """
        from .workflows.usernames import read_claim

        self._check_open()
        write = writes.claim_username(phone_number_id, username, transfer_action=transfer_action)
        return read_claim(
            cast("object", await self.session.post(write, dict, waba_id=waba_id, total_timeout=total_timeout)),
            write,
            waba_id=None if waba_id is None else str(waba_id),
        )

    async def release_username(
        self, phone_number_id: str | int, *, waba_id: str | int | None = None, total_timeout: float | None = None
    ) -> SuccessResponse:
        """Release the username of a number. Anybody may claim it then, so you may lose it for good.

        `DELETE /{phone_number_id}/username`, Kapso's and YCloud's pages on Meta's usernames, read 2026-11-28. It costs
        one call. YCloud says that a username which is only reserved stays: `get_username` shows what is left.

        Args:
            phone_number_id: Meta's id of the number, digits.
            waba_id: The account of the number; see `request_code`.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            OutcomeUnknownError: The response was lost, or does not say whether the write happened. `get_username` shows
                it: read it before you release it again.
            WaPhoneError: The API rejected the request, or it could not be sent.
        """
        return await self._post(partial(writes.release_username, phone_number_id), waba_id, total_timeout)

    async def ensure_phone_number(
        self,
        waba_id: str | int,
        *,
        phone_number: str,
        verified_name: str | None = None,
        cc: str | int | None = None,
        migrate_phone_number: bool | None = None,
        preverified_id: str | int | None = None,
        fields: Fields = None,
        follow: Follow = "next",
        recheck_delays: Iterable[float] = RECHECK_DELAYS,
        total_timeout: float | None = None,
    ) -> EnsuredPhoneNumber:
        """Get a phone number of an account, and create it if it is missing. You can call it again until it returns.

        It lists the account and compares all digits with the country code. If the number is missing, it creates it.
        After a lost response it lists the account again, and creates the number once more if it is still missing. The
        API rejects duplicates, so this never creates two.

        With `cc`, digits that begin with `cc` may have their country code or not: with `cc="91"`, `"9123456789"` is
        +91 91234 56789 or +91 23456789. It looks for both. If one is listed, that is the number. If both are, it raises
        an error. If neither is, it sends the digits and `cc`, and the API decides. A `+` before the number makes it
        certain.

        Concurrent calls of one client for one number share this work: the arguments of the first call count. Only one
        of these calls returns `created` or `recovered`. A call that is cancelled or out of time leaves the others
        alone; the last one to leave ends the work.

        Args:
            waba_id: Meta's id of the account, digits.
            phone_number: The number, 7 to 15 digits, as for `create_phone_number`. Without `cc`, it must include the
                country code.
            verified_name: The display name of the business, 2 to 75 characters. Only a migration may leave it out. A
                number that exists keeps its name.
            cc: The country's dial code, 1 to 3 digits, with or without `+`. Some of Meta's guides require it, so give
                it.
            migrate_phone_number: Whether the number moves here from another account; see `create_phone_number`.
            preverified_id: The id of a number that was verified beforehand, any string that is not empty.
            fields: The fields of the number that is returned, as for `list_phone_numbers`.
            follow: When the list goes on, as for `list_phone_numbers`.
            recheck_delays: Seconds before each further check after a lost response, or after the API said that the
                number exists. The first check is at once.
            total_timeout: Seconds for all of it. `None`: no limit, but each call has that of the retry policy.

        Returns:
            The number as the list shows it, in any status; a new one is unverified. `outcome` says how it came.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            AmbiguousNumberError: Several numbers of the account may be this one, or one may be if you left out its
                country code. Nothing was created.
            OutcomeUnknownError: The response to a create was lost, and the checks did not find the number in time.
                `__cause__` is the error that stopped the checks, if there was one.
            ConflictError: The API says that the number exists, but the account does not list it. It may be in another
                account.
            WaPhoneError: The list could not be read, or the API rejected the create. Nothing was created.
        """
        self._check_open()
        waba_id = read_node_id("waba_id", waba_id)
        write = writes.create_phone_number(
            waba_id,
            phone_number=phone_number,
            verified_name=verified_name,
            cc=cc,
            migrate_phone_number=migrate_phone_number,
            preverified_id=preverified_id,
        )
        number = read_phone_number(phone_number, cc)
        if total_timeout is not None:
            check_seconds("total_timeout", total_timeout)
        if fields is not None and fields is not META_DEFAULT:
            fields = fields_with("display_phone_number", fields)
        query = ListQuery.of_numbers(fields=fields, limit=MAX_PAGE_SIZE, follow=follow)

        def list_numbers(seconds: float | None) -> AsyncPaginator[PhoneNumber]:
            return self.start_list(waba_id, attrs.evolve(query, total_timeout=seconds))

        async def create(seconds: float | None) -> CreatedPhoneNumber:
            self._check_open()
            return await self.session.post(write, CreatedPhoneNumber, total_timeout=seconds)

        plan = EnsurePlan(
            waba_id=waba_id,
            phone_number=phone_number,
            readings=number.readings,
            has_code=number.has_code,
            write=write,
            list_numbers=list_numbers,
            create=create,
            recheck_delays=read_recheck_delays(recheck_delays),
        )
        return await self._ensurer.ensure(plan, total_timeout=total_timeout)

    async def get_business_profile(
        self,
        phone_number_id: str | int,
        *,
        fields: Iterable[str] | str | None = None,
        waba_id: str | int | None = None,
        total_timeout: float | None = None,
    ) -> BusinessProfile:
        """Get the business profile of a number: what customers see when they open it. It costs one call.

        `GET /{phone_number_id}/whatsapp_business_profile`, Meta's pages "Business profiles" (November 2025, June 2026),
        read 2026-11-28.

        Args:
            phone_number_id: Meta's id of the number, digits.
            fields: The fields to request; `None` requests all that `BusinessProfile` knows. The API itself would send
                `messaging_product` alone.
            waba_id: The account of the number; see `get_phone_number`.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.

        Returns:
            The profile. A member that is not set is `None`.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            WaPhoneError: The API rejected the request, or no valid response came.
        """
        from .profiles.profile import fetch_profile

        self._check_open()
        number = read_node_id("phone_number_id", phone_number_id)
        account = None if waba_id is None else read_node_id("waba_id", waba_id)
        return await fetch_profile(self.session, number, fields=fields, waba_id=account, total_timeout=total_timeout)

    def get_business_profiles(
        self,
        targets: EditTargets,
        *,
        on: ProfileLevel = "numbers",
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> BusinessProfiles:
        """Get the business profiles of many numbers. The error of a number is part of its result.

            async with client.get_business_profiles(waba_ids, on="members") as found:
                async for each in found:
                    print(each.phone_number_id, each.profile, each.error)

        It costs a call for each number. With `on="members"`, listing the numbers costs one more for each 100. Memory is
        bounded for any number of ids, if you iterate. The source is that of `get_business_profile`.

        Args:
            targets: The ids, an iterable or an async iterable of any length; or the path of a file that an export or a
                health check wrote.
            on: `"numbers"`: the ids are those of numbers. `"members"`: they are those of accounts, and each of their
                numbers is read.
            concurrency: The number of requests that may be in flight at once.

        Returns:
            The profiles. Nothing is sent before you iterate or await.

        Raises:
            InvalidArgumentError: An option is invalid; nothing was sent. While iterating: the file is no such file.
                Among many ids, an invalid one is the error of its own result.
        """
        from .profiles.many import BusinessProfiles, each_to_read
        from .profiles.profile import fetch_profile

        editor = self._profile_editor(on, concurrency)

        async def read(number: NumberProfile) -> BusinessProfile:
            phone_number_id = read_node_id("phone_number_id", number.phone_number_id)
            return await fetch_profile(self.session, phone_number_id, waba_id=number.waba_id)

        return BusinessProfiles(each_to_read(targets, on, editor.list_many), read, concurrency=concurrency)

    async def update_business_profile(
        self,
        phone_number_id: str | int,
        *,
        profile_picture_handle: str | None = None,
        waba_id: str | int | None = None,
        total_timeout: float | None = None,
        **changes: Unpack[ProfileChanges],
    ) -> SuccessResponse:
        """Change the business profile of a number. Only what you pass changes. It costs one call.

            await client.update_business_profile(phone_number_id, about="Shoes since 1950", websites=[])

        `POST /{phone_number_id}/whatsapp_business_profile`, Meta's pages "Business profiles" (November 2025, June
        2026), read 2026-11-28. The change is sent once. `update_business_profiles` keeps the old values for an undo.

        Args:
            phone_number_id: Meta's id of the number, digits.
            profile_picture_handle: The handle of an uploaded picture, from Meta's Resumable Upload API.
            waba_id: The account of the number; see `request_code`.
            total_timeout: Seconds for all attempts and waits; `None` takes that of the retry policy.
            **changes: `about`, 1 to 139 characters. `address`, up to 256. `description`, up to 512. `email`, up to 128.
                `websites`, up to two URLs of 256 characters each. `vertical`, a `BusinessVertical`. An empty text
                clears `address`, `description` and `email`, and `[]` clears `websites`. Nothing clears `about`. Sources
                differ on `vertical`: an empty one is sent, and the API decides.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent.
            OutcomeUnknownError: The response was lost, or does not say whether the write happened. Read the profile, or
                set the same values again.
            WaPhoneError: The API rejected the change, or it could not be sent.
        """
        from .profiles.profile import check_not_empty, read_changes, update_profile

        settings = read_changes(changes)
        if profile_picture_handle is not None:
            check_match("profile_picture_handle", profile_picture_handle, r"\S+", "the handle of an uploaded picture")
            settings["profile_picture_handle"] = profile_picture_handle
        check_not_empty(settings)
        number = read_node_id("phone_number_id", phone_number_id)
        return await self._post(lambda: update_profile(number, settings), waba_id, total_timeout)

    def update_business_profiles(
        self,
        targets: EditTargets,
        *,
        on: ProfileLevel = "numbers",
        journal: str | PathLike[str] | None = None,
        resend: bool = False,
        concurrency: int = DEFAULT_CONCURRENCY,
        **changes: Unpack[ProfileChanges],
    ) -> BulkEdit:
        """Change the business profiles of many numbers, and keep the old values for an undo.

            edit = client.update_business_profiles(numbers, email="shop@example.com", journal="profiles.jsonl")
            async with edit as edits:
                async for each in edits:
                    print(each.target, each.state, each.old, each.new)

        The source is that of `update_business_profile`. Without `journal` it is a dry run: it reads the old values, and
        sends no write. With it, the old values are kept there for `undo_business_profiles`, and each write is
        journalled before it is sent. After a kill, make the same edit with the same journal: what is done is skipped,
        and what was in flight is read back, and not sent again.

        It costs a call to read each profile, and a call for each write. With `on="members"`, listing the numbers costs
        one more for each 100. What has the values already costs no write.

        Args:
            targets: The ids, or the path of a file; see `get_business_profiles`. The ids of a journal are those of its
                first run.
            on: What the ids are; see `get_business_profiles`.
            journal: The file of the journal. It is made with mode 0600, or gone on with. `None` for a dry run.
            resend: Whether to send again what was in flight at a kill, and had the old value when it was read back.
            concurrency: The number of requests that may be in flight at once.
            **changes: As for `update_business_profile`. The picture cannot be set here: Meta gives no handle of the old
                one back.

        Returns:
            The edit. Nothing is sent before you iterate or await.

        Raises:
            InvalidArgumentError: An argument is invalid; nothing was sent. While iterating: the journal is that of
                another plan, or an id is invalid.
            JournalError: While iterating, the journal cannot be written; nothing more was sent.
        """
        from .edits.bulk import BulkEdit
        from .profiles.profile import check_not_empty, read_changes

        settings = read_changes(changes)
        check_not_empty(settings)
        plan = self._profile_editor(on, concurrency).update(targets, on, settings)
        return BulkEdit(plan, _path(journal), concurrency=concurrency, resend=resend)

    def undo_business_profiles(
        self,
        of: str | PathLike[str],
        *,
        journal: str | PathLike[str] | None = None,
        resend: bool = False,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> BulkEdit:
        """Restore the values that were there before `update_business_profiles`, from the journal of that.

        It reads each profile that may have changed, and restores those members that the edit has set. A member that is
        neither the old nor the new value was changed by somebody else: it stays, and its edit is `CHANGED`. An `about`
        or `vertical` that was empty cannot be cleared again: it stays, and its edit is `REJECTED`. Such an edit comes
        beside that of the other members. An undo has a journal of its own. It can be killed, resumed and undone like
        any other edit. It costs a call to read each profile, and a call for each write.

        Args:
            of: The journal of the edit.
            journal: The file of the undo's own journal; `None` for a dry run.
            resend: Whether to send again what was read back as not applied; see `update_business_profiles`.
            concurrency: The number of requests that may be in flight at once.

        Raises:
            InvalidArgumentError: `of` is no journal of such an edit, or of another API. While iterating: the journal is
                that of another plan. Nothing was sent.
            JournalError: As for `update_business_profiles`.
        """
        from .edits.bulk import BulkEdit
        from .edits.journal import read_header

        editor = self._profile_editor("numbers", concurrency)
        plan = editor.undo(read_header(Path(of)))
        return BulkEdit(plan, _path(journal), concurrency=concurrency, resend=resend)

    def _profile_editor(self, on: ProfileLevel, concurrency: int) -> ProfileEditor:
        from .edits.targets import check_level
        from .profiles.bulk import ProfileEditor
        from .profiles.many import LEVELS

        self._check_open()
        check_level(on, LEVELS)
        fields = ("id", "display_phone_number")
        list_many = partial(self.list_many, fields=fields, concurrency=concurrency)
        return ProfileEditor(session=self.session, list_many=list_many, concurrency=concurrency)

    async def _post(
        self, make_write: Callable[[], Write], waba_id: str | int | None, total_timeout: float | None
    ) -> SuccessResponse:
        """Make a write on a number, and send it."""
        self._check_open()
        return await self.session.post(make_write(), SuccessResponse, waba_id=waba_id, total_timeout=total_timeout)

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError(CLOSED)


def _path(path: str | PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path)
