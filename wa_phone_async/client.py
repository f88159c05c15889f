"""`PhoneNumberClient`: one short method for each call of the API."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn, Self, TypedDict, Unpack

import aiohttp

from .call import writes
from .call.retry import RetryPolicy
from .call.tokens import TokenProvider
from .call.writes import REGISTER_SECONDS, CodeMethod
from .checks import MAX_PAGE_SIZE, check_node_id, check_seconds
from .errors import CLOSED, InvalidArgumentError
from .hooks import Listener
from .models import ALL_FIELDS, BusinessAccount, CreatedPhoneNumber, PhoneNumber, SuccessResponse
from .pagination.page import Follow
from .pagination.paginator import AsyncPaginator
from .phone_digits import whole_number
from .query import AccountKind, Filter, Sort, accounts_edge, fields_with, list_params, read_fields
from .ratelimit.limiter import RateLimiter
from .redaction import conceal
from .session import GraphSession
from .usage import Usage
from .workflows.bulk import Accounts, Listings
from .workflows.ensure import RECHECK_DELAYS, EnsuredPhoneNumber, Ensuring, Wanted, read_recheck_delays
from .workflows.watch import Predicate, Watch, wait_until


class Settings(TypedDict, total=False):
    """The settings that a client passes on to the `GraphSession` that it makes."""

    api_version: str
    base_url: str
    app_secret: str | None
    retry: RetryPolicy | None
    timeout: float | aiohttp.ClientTimeout
    trace_configs: Sequence[aiohttp.TraceConfig]
    max_body: int
    throttle: RateLimiter | None
    on_event: Listener | None


class PhoneNumberClient:
    """A client for the phone numbers of WhatsApp Business Accounts (WABA).

        async with PhoneNumberClient(access_token) as client:
            async for number in client.list_phone_numbers(waba_id):
                print(number.display_phone_number, number.verified_name)

    It opens on first use, also without `async with`; then call `aclose()` when done. Entered again, it opens again.

    Args:
        access_token: The token, or a callable that gives it for each attempt: `provider(node_id, rejected)`, plain or
            async, where `node_id` is the id at the head of the path and `rejected` the token that the API has just
            rejected in this call, or `None`. Left out with a `GraphSession`, which has its own.
        api_version: The version of the Graph API; `v23.0` unless told.
        base_url: Where the API lives, without the version; `https://graph.facebook.com` unless told. With `http://`,
            which is for tests and refused for facebook.com, the token goes in clear.
        app_secret: The app's secret: with it every call carries `appsecret_proof`.
        retry: How patiently a call is made again.
        timeout: Seconds of one attempt, or an `aiohttp.ClientTimeout`; 30 s unless told.
        session: An `aiohttp.ClientSession` or a `GraphSession` to borrow. It stays open when the client closes.
        trace_configs: Passed on to aiohttp for the sessions that are opened here.
        max_body: Bytes that an answer may have after decompression; 64 MiB unless told.
        throttle: The app's budgets, such as a `Throttle` that clients of one app share; unless told, one of its own.
        on_event: Told what happens to calls, as values of `wa_phone_async.events`; plain or async.

    Raises:
        InvalidArgumentError: A setting is wrong; the text says which, and what would be right.
    """

    session: GraphSession
    """The session wrapper that carries every call, to read other edges of the Graph API under the same rules."""

    def __init__(
        self,
        access_token: str | TokenProvider | None = None,
        *,
        session: aiohttp.ClientSession | GraphSession | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        # Replaced before anything can fail: no traceback shows a secret among the local variables.
        access_token = access_token if callable(access_token) or access_token is None else conceal(access_token)
        if settings.get("app_secret") is not None:
            settings["app_secret"] = conceal(settings.get("app_secret"))
        if unknown := settings.keys() - Settings.__optional_keys__:
            known = ", ".join(sorted(Settings.__optional_keys__))
            raise TypeError(f"{type(self).__name__} has no setting {', '.join(sorted(unknown))}; it has {known}")
        if not isinstance(session, aiohttp.ClientSession | GraphSession | None):
            raise InvalidArgumentError("session", "an aiohttp.ClientSession or a GraphSession", type(session))
        self._owns_session = not isinstance(session, GraphSession)
        self._is_closed = False
        self._ensuring = Ensuring()
        if not isinstance(session, GraphSession):
            self.session = GraphSession(access_token or conceal(None), session=session, **settings)
        elif access_token is None and not settings:
            self.session = session
        else:
            raise InvalidArgumentError("session", "given alone", hint="a GraphSession has its own token and settings")

    @classmethod
    def from_env(cls, *, session: aiohttp.ClientSession | None = None, **settings: Unpack[Settings]) -> Self:
        """A client with the settings of the environment; those given here come first.

        It reads `WA_ACCESS_TOKEN`, `WA_API_VERSION`, `WA_BASE_URL` and `WA_APP_SECRET`; an empty one counts as not set.

        Raises:
            InvalidArgumentError: `WA_ACCESS_TOKEN` is not set, or a setting is wrong.
        """
        if settings.get("app_secret") is not None:
            settings["app_secret"] = conceal(settings.get("app_secret"))
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
        session = vars(self).get("session")  # a traceback shows one half made
        return f"{type(self).__name__}(session={session!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client has a token and is not pickled: send a function that makes one where it is needed")

    async def __aenter__(self) -> Self:
        self._is_closed = False
        if self._owns_session:
            await self.session.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what was opened here. Calls say that the client is closed, until it is entered again."""
        self._is_closed = True
        try:
            await self._ensuring.aclose()
        finally:
            if self._owns_session:
                await self.session.aclose()

    def last_usage(self, waba_id: str | None) -> Usage | None:
        """What the last answer for an account said about its budget and the app's, in percent, or `None`.

        Args:
            waba_id: The account; `None` for the calls that belong to none, such as those on a business.
        """
        return self.session.last_usage(waba_id)

    def subscribe(self, listener: Listener, *, lists: bool = False) -> Callable[[], None]:
        """Add a listener to what happens to calls, as `on_event=` does; gives what removes it.

        Args:
            listener: Plain or async.
            lists: Whether it is told of the end of each list too, as `ListFinished`; pages then name their list.
        """
        return self.session.subscribe(listener, lists=lists)

    def list_phone_numbers(
        self,
        waba_id: str,
        *,
        fields: Iterable[str] | str | None = None,
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
        """The phone numbers of an account: iterate over them, or await them all as a list.

        `GET /{waba_id}/phone_numbers`, Meta's v23.0 reference, read 2026-11-22.

        Args:
            waba_id: Meta's id of the account, digits.
            fields: The fields to ask for: names, or one comma-separated text. `None` gives the API's default answer,
                which lacks `status` on the live service; `ALL_FIELDS` asks for all that `PhoneNumber` knows.
            filtering: Conditions that a number must meet.
            sort: The order; unless told, the one onboarded last comes first.
            limit: Numbers in a page, 1 to 100. A page is a call, and calls are what the quota counts.
            after: A cursor to begin after, such as an earlier paginator's `cursor`.
            before: A cursor to go back from.
            max_items: Numbers wanted in all; `None` for all.
            follow: `"next"` goes on while there is a `next` link; `"after"` is for servers that never send one.
            read_ahead: Pages to ask for while you work on one, 0 to 100. With any, the list is used inside its block,
                `async with client.list_phone_numbers(…) as paginator:`. Left early, so many calls may be in vain.
            total_timeout: Seconds for all attempts and waits of each page; `None` takes the policy's.

        Raises:
            InvalidArgumentError: An argument is wrong; nothing was sent.
            WaPhoneError: While iterating, a page could not be had; the same paginator can go on with it.
        """
        self._check_open()
        check_node_id("waba_id", waba_id)
        params = list_params(fields=fields, filtering=filtering, sort=sort)
        return self.session.paginate(
            f"{waba_id}/phone_numbers",
            params,
            PhoneNumber,
            limit=limit,
            after=after,
            before=before,
            max_items=max_items,
            follow=follow,
            read_ahead=read_ahead,
            total_timeout=total_timeout,
        )

    def list_many(
        self,
        waba_ids: Accounts,
        *,
        concurrency: int = 32,
        ordered: bool = False,
        fields: Iterable[str] | str | None = None,
        filtering: Filter | Iterable[Filter] | None = None,
        sort: Sort | str | None = None,
        limit: int = MAX_PAGE_SIZE,
        max_items: int | None = None,
        follow: Follow = "next",
        total_timeout: float | None = None,
    ) -> Listings:
        """The phone numbers of many accounts at once, each account with its own error if it has one.

            async with client.list_many(waba_ids) as listings:
                async for listing in listings:
                    print(listing.waba_id, len(listing.phone_numbers), listing.error)

        An account that is held, or that has many pages, lets the others go first. While ten times `concurrency` of
        them wait, or `concurrency` listings are unread, no more ids are read: memory is bounded, whatever their number.

        Args:
            waba_ids: The ids, or the accounts of `list_business_accounts`, of any number: an iterable, or an async one,
                read as needed. One that is given twice is listed twice.
            concurrency: Requests on the wire at once.
            ordered: Whether listings come in the order of the ids. Then an account that is held at the head lets up to
                ten times `concurrency` listings behind it wait, and nothing goes on beyond these.
            fields: As for `list_phone_numbers`, and so are the arguments after it.
            filtering: Conditions that a number must meet.
            sort: The order of the numbers of an account.
            limit: Numbers in a page, 1 to 100.
            max_items: Numbers wanted of each account.
            follow: What says that a list goes on.
            total_timeout: Seconds for all attempts and waits of each page; `None` takes the policy's.

        Raises:
            InvalidArgumentError: An option is wrong; nothing was sent. A wrong id is the error of its own listing.
        """
        self._check_open()
        params = list_params(fields=fields, filtering=filtering, sort=sort)

        def lister(waba_id: str) -> AsyncPaginator[PhoneNumber]:
            check_node_id("waba_id", waba_id)
            return self.session.paginate(
                f"{waba_id}/phone_numbers",
                params,
                PhoneNumber,
                limit=limit,
                max_items=max_items,
                follow=follow,
                total_timeout=total_timeout,
            )

        lister("0")  # whatever is wrong with the options is said here, and not in each listing
        return Listings(lister, waba_ids, concurrency=concurrency, ordered=ordered)

    def watch(
        self,
        waba_id: str,
        *,
        interval: float = 60.0,
        total_timeout: float | None = None,
        known: Iterable[PhoneNumber] | None = None,
        fields: Iterable[str] | str | None = ALL_FIELDS,
        filtering: Filter | Iterable[Filter] | None = None,
        follow: Follow = "next",
    ) -> Watch:
        """What changes about the numbers of an account, as it is seen by looking again and again.

            async for change in client.watch(waba_id):
                print(change.display_phone_number, change.field, change.old, change.new)

        The first list is what later ones are compared with. A number that comes or goes is a change of its `id`, from
        or to `None`. It looks a quarter of `interval` after a change, up to four times `interval` apart while nothing
        changes, and less often where more than a quarter of the account's or the app's hour is used. Refusals as
        throttled and outages change nothing: it goes on when they have passed.

        Args:
            waba_id: Meta's id of the account, digits.
            interval: Seconds between two looks; a look costs a call for each 100 numbers.
            total_timeout: Seconds after the first step at which the iteration ends; `None` for never.
            known: The list to begin with, such as an earlier watch's `known`, so that what changed since is seen. It
                should have been read with the same `fields` and `filtering`.
            fields: The fields to ask for, as for `list_phone_numbers`; unless told, all that `PhoneNumber` knows.
            filtering: Conditions that a number must meet; one that no longer does is gone.
            follow: What says that the list goes on.

        Raises:
            InvalidArgumentError: An argument is wrong; nothing was sent.
            WaPhoneError: While iterating, the account may not be read; see `Watch`.
        """
        self._check_open()
        check_node_id("waba_id", waba_id)
        params = list_params(fields=fields, filtering=filtering, sort=None)

        def look() -> AsyncPaginator[PhoneNumber]:
            self._check_open()
            return self.session.paginate(
                f"{waba_id}/phone_numbers", params, PhoneNumber, limit=MAX_PAGE_SIZE, follow=follow
            )

        look()  # whatever is wrong with the options is said here, and not at the first step
        return Watch(
            waba_id,
            look,
            interval=interval,
            total_timeout=total_timeout,
            known=known,
            usage=lambda: self.last_usage(waba_id),
        )

    async def wait_until(
        self,
        phone_number_id: str,
        predicate: Predicate,
        *,
        interval: float = 60.0,
        total_timeout: float | None = None,
        unless: Predicate | None = None,
        waba_id: str | None = None,
        fields: Iterable[str] | str | None = ALL_FIELDS,
    ) -> PhoneNumber:
        """Read a number again and again until it is as it is wanted: `await client.wait_until(number.id, is_ready)`.

        It looks as often as `watch` does, and goes on after the same refusals and outages.

        Args:
            phone_number_id: Meta's id of the number, digits.
            predicate: Says whether the number is as it is wanted, such as `is_ready`; plain, not async.
            interval: Seconds between two looks; a look is a call.
            total_timeout: Seconds for it all; `None` sets no bound.
            unless: Says that it never will be so, which ends the waiting. `None` ends `is_ready` at states that are
                final, such as a name that was declined, and no other predicate.
            waba_id: The account of the number, whose token and budget is used; see `get_phone_number`.
            fields: The fields to ask for; unless told, all that `PhoneNumber` knows.

        Returns:
            The number as it was when the predicate was true.

        Raises:
            InvalidArgumentError: An argument is wrong; nothing was sent.
            WaitError: It will not be so by waiting: the text says why, and `last_seen` is the number.
            WaitTimeoutError: It was not so within `total_timeout`.
            WaPhoneError: The number may not be read.
        """
        self._check_open()
        check_node_id("phone_number_id", phone_number_id)
        if waba_id is not None:
            check_node_id("waba_id", waba_id)
        asked = None if fields is None else read_fields(fields)

        async def look() -> PhoneNumber:
            return await self.get_phone_number(phone_number_id, fields=asked, waba_id=waba_id)

        return await wait_until(
            phone_number_id,
            predicate,
            look,
            interval=interval,
            total_timeout=total_timeout,
            unless=unless,
            usage=lambda: self.last_usage(waba_id),
        )

    def list_business_accounts(
        self,
        business_id: str,
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
        """The WhatsApp Business Accounts of a business: iterate over them, or await them all as a list.

        `GET /{business_id}/owned_whatsapp_business_accounts` or `GET /{business_id}/client_whatsapp_business_accounts`,
        Meta's references of these edges, read 2026-11-22: the token needs `whatsapp_business_management`, and for owned
        accounts `business_management` too. A business is no account, so that only the app's budget counts.

        Args:
            business_id: Meta's id of the business, digits.
            kind: `"owned"` for its own accounts, `"client"` for those of others that are shared with it.
            fields: The fields to ask for: names, or one comma-separated text. `None` gives the API's default answer.
                Whatever comes beside `id` and `name` is in `extra`.
            limit: Accounts in a page, 1 to 100. A page is a call.
            after: A cursor to begin after, such as an earlier paginator's `cursor`.
            before: A cursor to go back from.
            max_items: Accounts wanted in all; `None` for all.
            follow: `"next"` goes on while there is a `next` link; `"after"` is for servers that never send one.
            read_ahead: Pages to ask for while you work on one, 0 to 100. With any, the list is used inside its block,
                `async with client.list_business_accounts(…) as paginator:`. Left early, so many calls may be in vain.
            total_timeout: Seconds for all attempts and waits of each page; `None` takes the policy's.

        Raises:
            InvalidArgumentError: An argument is wrong; nothing was sent.
            WaPhoneError: While iterating, a page could not be had; the same paginator can go on with it.
        """
        self._check_open()
        check_node_id("business_id", business_id)
        params = list_params(fields=fields, filtering=None, sort=None)
        return self.session.paginate(
            f"{business_id}/{accounts_edge(kind)}",
            params,
            BusinessAccount,
            limit=limit,
            after=after,
            before=before,
            max_items=max_items,
            follow=follow,
            read_ahead=read_ahead,
            waba_id=None,
            total_timeout=total_timeout,
        )

    async def get_phone_number(
        self,
        phone_number_id: str,
        *,
        fields: Iterable[str] | str | None = None,
        waba_id: str | None = None,
        total_timeout: float | None = None,
    ) -> PhoneNumber:
        """One phone number, by its id.

        `GET /{phone_number_id}`, Meta's guide to phone numbers, read 2026-11-22. It counts as a call on its account.

        Args:
            phone_number_id: Meta's id of the number, digits; not the number itself.
            fields: The fields to ask for: names, or one comma-separated text. `None` gives the API's default answer,
                which lacks `status` on the live service; `ALL_FIELDS` asks for all that `PhoneNumber` knows.
            waba_id: The account of the number: its token is used, and its budget is kept. `None` asks for the token by
                the number's id, and keeps only the app's budget.
            total_timeout: Seconds for all attempts and waits; `None` takes the policy's.

        Raises:
            InvalidArgumentError: An argument is wrong; nothing was sent.
            NotFoundError: There is no such number, or the token may not see it.
            WaPhoneError: It was refused, or could not be had.
        """
        self._check_open()
        check_node_id("phone_number_id", phone_number_id)
        params = list_params(fields=fields, filtering=None, sort=None)
        return await self.session.get(
            phone_number_id, params, PhoneNumber, waba_id=waba_id, total_timeout=total_timeout
        )

    async def create_phone_number(
        self,
        waba_id: str,
        *,
        phone_number: str,
        verified_name: str | None = None,
        cc: str | None = None,
        migrate_phone_number: bool | None = None,
        preverified_id: str | None = None,
        total_timeout: float | None = None,
    ) -> CreatedPhoneNumber:
        """Add a phone number to an account. It is unverified then, and no code has been sent.

        `POST /{waba_id}/phone_numbers`, Meta's v23.0 reference, read 2026-11-22. It is sent again only when it has
        provably not been done: no connection was made, or the API refused it as throttled or for its token.

        Args:
            waba_id: Meta's id of the account, digits.
            phone_number: 7 to 15 digits, without `+`; with or without the country code.
            verified_name: The business's name to be shown, 2 to 75 characters; required unless migrating.
            cc: The country's dial code, 1 to 3 digits. Give it: some of Meta's guides require it.
            migrate_phone_number: Whether the number moves here from another account.
            preverified_id: Meta's id of a number that was verified beforehand.
            total_timeout: Seconds for all attempts and waits; `None` takes the policy's.

        Raises:
            InvalidArgumentError: An argument is wrong; nothing was sent.
            OutcomeUnknownError: It was sent and its answer was lost: list the numbers before you send it again.
            ConflictError: The account has the number already.
            WaPhoneError: It was refused, or could not be sent.
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
        phone_number_id: str,
        *,
        code_method: CodeMethod = "SMS",
        language: str = "en_US",
        waba_id: str | None = None,
        total_timeout: float | None = None,
    ) -> SuccessResponse:
        """Have a code sent to a number, to prove that it is yours.

        `POST /{phone_number_id}/request_code`, Meta's guide to registering numbers and its v23.0 OpenAPI description,
        read 2026-11-22. It is sent again only where no code can have been sent and none was counted: no connection was
        made, or the API refused it for a limit of calls or for its token. So are the writes after it.

        Args:
            phone_number_id: Meta's id of the number, digits; not the number itself.
            code_method: `"SMS"` for a message, `"VOICE"` for a call, which landlines and VoIP numbers want.
            language: The language of the message, such as `en_US`; the live service takes `en` too.
            waba_id: The account of the number: its token is used, and its budget is kept. `None` asks for the token by
                the number's id, and keeps only the app's budget.
            total_timeout: Seconds for all attempts and waits; `None` takes the policy's.

        Raises:
            InvalidArgumentError: An argument is wrong; nothing was sent.
            OutcomeUnknownError: It was sent and its answer was lost, or says that it failed and not why. No field
                tells: wait for the code before you ask for another, since Meta counts them.
            WaPhoneError: It was refused, or could not be sent. Of code 136024 `retry_after` is the wait, where Meta
                says one.
        """
        self._check_open()
        write = writes.request_code(phone_number_id, code_method=code_method, language=language)
        return await self.session.post(write, SuccessResponse, waba_id=waba_id, total_timeout=total_timeout)

    async def verify_code(
        self,
        phone_number_id: str,
        code: str,
        *,
        waba_id: str | None = None,
        total_timeout: float | None = None,
    ) -> SuccessResponse:
        """Prove that a number is yours by the code that came. It is verified then, and not yet registered.

        `POST /{phone_number_id}/verify_code`, Meta's guide to registering numbers and its v23.0 OpenAPI description,
        read 2026-11-22. Meta counts wrong codes, so none is sent twice by itself.

        Args:
            phone_number_id: Meta's id of the number, digits.
            code: The 6 digits that came, with the hyphen of the message or without: `123-830` or `123830`.
            waba_id: The account of the number; see `request_code`.
            total_timeout: Seconds for all attempts and waits; `None` takes the policy's.

        Raises:
            InvalidArgumentError: An argument is wrong; nothing was sent. The text does not hold the code.
            OutcomeUnknownError: It was sent and its answer was lost, or says that it failed and not why:
                `code_verification_status` is `VERIFIED` if it happened.
            WaPhoneError: It was refused, with code 136025 where the code is wrong, or could not be sent.
        """
        code = conceal(code)
        self._check_open()
        write = writes.verify_code(phone_number_id, code)
        return await self.session.post(write, SuccessResponse, waba_id=waba_id, total_timeout=total_timeout)

    async def register(
        self,
        phone_number_id: str,
        *,
        pin: str,
        data_localization_region: str | None = None,
        waba_id: str | None = None,
        timeout: float = REGISTER_SECONDS,  # noqa: ASYNC109 - of each attempt: a caller's own would hide what was sent
        total_timeout: float | None = None,
    ) -> SuccessResponse:
        """Register a verified number, so that it can send; also again after a new name was approved.

        `POST /{phone_number_id}/register`, Meta's guides to registration and its v23.0 OpenAPI description, read
        2026-11-22. It is slow, and may be done after a client has stopped waiting. Meta counts wrong PINs, and allows
        10 registrations and deregistrations of a number in 72 hours, so none is sent twice by itself.

        Args:
            phone_number_id: Meta's id of the number, digits.
            pin: The 6 digits of two-step verification: those that the number has, or new ones where it has none.
            data_localization_region: The country to keep data in, two capital letters. Meta's changelog of October 2024
                calls it removed, its guide of November 2025 still lists it.
            waba_id: The account of the number; see `request_code`.
            timeout: Seconds of one attempt, in the place of the client's time-out.
            total_timeout: Seconds for all attempts and waits; `None` takes the policy's, but not less than `timeout`.

        Raises:
            InvalidArgumentError: An argument is wrong; nothing was sent. The text does not hold the PIN.
            OutcomeUnknownError: It was sent and its answer was lost, or says that it failed and not why:
                `host_platform` (or `platform_type`) is `CLOUD_API` and `is_pin_enabled` true if it happened.
            WaPhoneError: It was refused, or could not be sent. The code says why: 133005 a wrong PIN, 133006 not
                verified; of 133008, 133009, 133015 and 133016 `retry_after` is the wait, where Meta says one.
        """
        pin = conceal(pin)
        self._check_open()
        write = writes.register(
            phone_number_id, pin=pin, data_localization_region=data_localization_region, timeout=timeout
        )
        return await self.session.post(write, SuccessResponse, waba_id=waba_id, total_timeout=total_timeout)

    async def deregister(
        self, phone_number_id: str, *, waba_id: str | None = None, total_timeout: float | None = None
    ) -> SuccessResponse:
        """End the registration of a number: it cannot send until it is registered again, 5 minutes later or after.

        `POST /{phone_number_id}/deregister`, Meta's guide to registration, read 2026-11-22; not for numbers that the
        Business app uses too. Meta allows 10 registrations and deregistrations of a number in 72 hours.

        Args:
            phone_number_id: Meta's id of the number, digits.
            waba_id: The account of the number; see `request_code`.
            total_timeout: Seconds for all attempts and waits; `None` takes the policy's.

        Raises:
            InvalidArgumentError: An argument is wrong; nothing was sent.
            OutcomeUnknownError: It was sent and its answer was lost, or says that it failed and not why:
                `host_platform` (or `platform_type`) is `NOT_APPLICABLE` if it happened.
            WaPhoneError: It was refused, with code 100/2207051 where it is not registered, or could not be sent. Of
                133016 `retry_after` is the wait.
        """
        self._check_open()
        write = writes.deregister(phone_number_id)
        return await self.session.post(write, SuccessResponse, waba_id=waba_id, total_timeout=total_timeout)

    async def set_two_step_verification_pin(
        self, phone_number_id: str, pin: str, *, waba_id: str | None = None, total_timeout: float | None = None
    ) -> SuccessResponse:
        """Give a registered number another PIN of two-step verification. The old one is not asked for.

        `POST /{phone_number_id}`, Meta's guide to two-step verification, read 2026-11-22.

        Args:
            phone_number_id: Meta's id of the number, digits.
            pin: The new PIN, 6 digits.
            waba_id: The account of the number; see `request_code`.
            total_timeout: Seconds for all attempts and waits; `None` takes the policy's.

        Raises:
            InvalidArgumentError: An argument is wrong; nothing was sent. The text does not hold the PIN.
            OutcomeUnknownError: It was sent and its answer was lost, or says that it failed and not why:
                `is_pin_enabled` is true if it happened, but where there was a PIN before nothing tells which one holds.
                To set the same one again does no harm.
            WaPhoneError: It was refused, or could not be sent.
        """
        pin = conceal(pin)
        self._check_open()
        write = writes.set_two_step_verification_pin(phone_number_id, pin)
        return await self.session.post(write, SuccessResponse, waba_id=waba_id, total_timeout=total_timeout)

    async def ensure_phone_number(
        self,
        waba_id: str,
        *,
        phone_number: str,
        verified_name: str | None = None,
        cc: str | None = None,
        migrate_phone_number: bool | None = None,
        preverified_id: str | None = None,
        fields: Iterable[str] | str | None = None,
        follow: Follow = "next",
        recheck_delays: Iterable[float] = RECHECK_DELAYS,
        total_timeout: float | None = None,
    ) -> EnsuredPhoneNumber:
        """The phone number of an account, created if it is not there: call it again until it returns.

        It lists the account and compares digits, the country code included. A number that is absent is created. If the
        answer is lost, it looks again, and creates once more what is still absent; then a refusal as there already
        counts as there. That this makes no two rests on the API, which refuses a number that the account has.

        Calls for one number that one client makes at once share this work: the arguments of the first count, and of
        those that return only one says `created` or `recovered`. A call that is cancelled or out of time leaves the
        others alone; the last one to leave ends the work.

        Args:
            waba_id: Meta's id of the account, digits.
            phone_number: 7 to 15 digits, without `+`. Without `cc` it must have its country code; with `cc` it need
                not, and one that begins with `cc` is taken to have it.
            verified_name: The business's name to be shown, 2 to 75 characters; required unless migrating. A number that
                is there keeps the name that it has.
            cc: The country's dial code, 1 to 3 digits. Give it: some of Meta's guides require it.
            migrate_phone_number: Whether the number moves here from another account.
            preverified_id: Meta's id of a number that was verified beforehand.
            fields: The fields of the number that is returned, as for `list_phone_numbers`.
            follow: What says that the list goes on.
            recheck_delays: Seconds between two checks after a lost response, or after the API said that the number is
                there already. The first check is at once.
            total_timeout: Seconds for it all; `None` sets no bound, and each call has the policy's.

        Returns:
            The number as it is listed, whatever its status; a new one is unverified. `outcome` says how it came.

        Raises:
            InvalidArgumentError: An argument is wrong; nothing was sent.
            AmbiguousNumberError: Several numbers of the account may be this one, or one may be it with a country code
                and no `cc` was given; none was created by guess.
            OutcomeUnknownError: It was sent and its answer was lost, and looking did not settle it in time. `__cause__`
                is what stood in the way, if anything did.
            ConflictError: It was refused as there already, and the account does not show it: it may be elsewhere.
            WaPhoneError: The list could not be had, or the create was refused or could not be sent: nothing was done.
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
        if total_timeout is not None:
            check_seconds("total_timeout", total_timeout)
        asked = None if fields is None else fields_with("display_phone_number", fields)

        def list_numbers(seconds: float | None) -> AsyncPaginator[PhoneNumber]:
            return self.list_phone_numbers(waba_id, fields=asked, follow=follow, total_timeout=seconds)

        async def create(seconds: float | None) -> CreatedPhoneNumber:
            self._check_open()
            return await self.session.post(write, CreatedPhoneNumber, total_timeout=seconds)

        list_numbers(None)  # whatever is wrong with the options is said here
        wanted = Wanted(
            waba_id=waba_id,
            phone_number=phone_number,
            digits=whole_number(phone_number, cc),
            has_code=cc is not None,
            write=write,
            list_numbers=list_numbers,
            create=create,
            recheck_delays=read_recheck_delays(recheck_delays),
        )
        return await self._ensuring.ensure(wanted, total_timeout=total_timeout)

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError(CLOSED)
