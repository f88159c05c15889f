"""The public class of the sandbox."""

import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, ParamSpec, Self

from .access import ALL_SCOPES, Access, Grant
from .api import Api
from .background import BackgroundLoop
from .codes import Code
from .data import APP_ID, BUSINESS_ID, Row
from .delivery import Delivery, WebhookSender
from .faults import Fault
from .messages import Request
from .modes import MODES, ModeName
from .nesting import NESTED_FORMS, NestedForm
from .quotas import Quota, Quotas, Rounding
from .reviews import (
    REJECTION_REASONS,
    NumberEvent,
    Reviews,
    badge_decided,
    calling_set,
    name_declined,
    name_deferred,
    pin_reset,
    pin_reset_requested,
    throughput_upgraded,
)
from .server import Server
from .store import AccountKind, Created, Store
from .webhooks import INVENTED_SECRET, Webhook, Webhooks

P = ParamSpec("P")

_KINDS: Mapping[str, tuple[AccountKind, ...]] = {"owned": ("owned",), "client": ("client",), "all": ("owned", "client")}


class Sandbox:
    """The Graph API on a local port, with three invented accounts and a business that owns them.

    `async with Sandbox() as sandbox` serves from the running loop. `with Sandbox() as sandbox` serves from its own
    thread, for code without a loop. You may use everything else from any thread, before, during and after serving.
    Accounts, recorded requests and planned faults outlive the block. A new `Sandbox` starts from scratch.

    Args:
        mode: `"live"` behaves as people report of the live service, `"reference"` as Meta's reference says. Default:
            `"live"`, since that is where your code has to work in the end.
        host: The address to listen on.
        port: The port; 0 chooses a free one.
        tokens: The accepted bearer tokens; `None` accepts any.
        app_secret: If set, every call must carry the `appsecret_proof` of its token. It also signs the webhooks.
        quota: Calls an hour for each WABA. `"meta"` is Meta's rule: 200, or 5,000 with a registered number. An `int` is
            for all WABAs, and a mapping for the WABAs it names. `None` sets no limit.
        app_quota: Calls an hour for the whole app; `None` sets no limit.
        usage_every: Every `usage_every`-th response carries usage headers; 0 sends none.
        rounding: How a share becomes a whole percentage in the usage headers.
        usage_step: Percentages in the usage headers are multiples of this. 5 makes them coarse.
        latency: Seconds that every response takes.
        nested_latency: Seconds that each account adds to a response that nests its numbers.
        nested_calls: Further calls of the app that each such account counts as. The default, 0, is a guess: Meta does
            not say whether a nested list counts.
        largest_response: Bytes. A successful response with a larger body becomes the error "Please reduce the amount of
            data", code 1. `None` sets no limit. The limit of the live service is not known.
        links: Whether pages carry `next` and `previous`. Without these links, they carry cursors only.
        compress: Whether responses come in gzip for callers that accept it. `Fault.cut` then cuts the compressed body.
        accounts: How many generated accounts the business owns. They are computed when they are read, so even a million
            costs little. The three seeded accounts are then shared with the business. `None` generates none, and the
            business owns the three.
        numbers_per_account: How many numbers each generated account has, below a million. A function gets the position
            of an account in `waba_ids`: `lambda position: 20 if position % 20 else 0` leaves every 20th one empty. It
            has to return the same number each time.
        review_after: Seconds after which the name of a new number, or a requested one, is approved, unless it was
            decided before. `None` leaves it in review.
        webhook_url: Where webhooks are sent; see `deliver_to`.
        clock: Returns the time in seconds. Default: the clock of the serving loop, so virtual time applies here too.
            With another clock, a scheduled action runs before the first response after its time.

    Raises:
        ValueError: The mode is unknown, a quota or step is below 1, or a number of accounts or numbers is out of range.
    """

    def __init__(
        self,
        *,
        mode: ModeName = "live",
        host: str = "127.0.0.1",
        port: int = 0,
        tokens: Iterable[str] | None = None,
        app_secret: str | None = None,
        quota: Quota = "meta",
        app_quota: int | None = None,
        usage_every: int = 1,
        rounding: Rounding = "floor",
        usage_step: int = 1,
        latency: float = 0.0,
        nested_latency: float = 0.0,
        nested_calls: int = 0,
        largest_response: int | None = 2_000_000,
        links: bool = True,
        compress: bool = False,
        accounts: int | None = None,
        numbers_per_account: int | Callable[[int], int] = 3,
        review_after: float | None = None,
        webhook_url: str | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
        if accounts is not None and accounts < 0:
            raise ValueError(f"accounts must be 0 or more, or None for the three seeded ones, not {accounts}")
        store = Store(accounts, numbers_per_account)
        access = Access(tokens, app_secret)
        quotas = Quotas(quota, app_quota, usage_every, rounding, usage_step)
        self._sender = WebhookSender()
        self._sender.configure(webhook_url, copies=1, seed=None)
        webhooks = Webhooks(app_secret or INVENTED_SECRET, lambda webhook: self._sender.send([webhook]))
        reviews = Reviews(store, webhooks, review_after, renames=MODES[mode].renames_at_approval)
        self._api = Api(
            store,
            MODES[mode],
            access,
            quotas,
            reviews,
            with_links=links,
            largest_response=largest_response,
            nested_latency=nested_latency,
            nested_calls=nested_calls,
        )
        self._server = Server(self._api, self._sender, host, port, latency=latency, clock=clock, compresses=compress)
        self._background: BackgroundLoop | None = None

    # Serving

    @property
    def url(self) -> str:
        """The base URL, such as `http://127.0.0.1:PORT`.

        Raises:
            RuntimeError: The sandbox is not serving.
        """
        return self._server.url

    async def __aenter__(self) -> Self:
        """Serve from the running loop."""
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once and abort the calls in flight."""
        await self._server.close()

    def __enter__(self) -> Self:
        """Serve from a new thread."""
        background = BackgroundLoop()
        try:
            background.run(self._server.start())
        except BaseException:
            background.stop()
            raise
        self._background = background
        return self

    def __exit__(self, *_: object) -> None:
        """Stop at once, abort the calls in flight, and end the thread."""
        background, self._background = self._background, None
        if background is not None:
            background.run(self._server.close())
            background.stop()

    # What has happened

    @property
    def requests(self) -> list[Request]:
        """All requests, oldest first. You may clear the list."""
        return self._api.requests

    @property
    def created(self) -> list[Created]:
        """All numbers that a POST created, oldest first, even where the response was an error or was lost."""
        return self._api.store.created

    @property
    def inbox(self) -> list[Code]:
        """All verification codes that were sent, oldest first. You may clear the list."""
        return self._api.inbox

    def numbers(self, waba_id: str) -> list[dict[str, Any]]:
        """Return copies of all numbers of an account with all their members, oldest first.

        Raises:
            KeyError: There is no such account.
        """
        with self._api.lock:
            return self._api.store.numbers(waba_id)

    # What will happen

    def plan(self, fault: Fault, *, times: int = 1, method: str | None = None, node: str | None = None) -> None:
        """Plan a fault for the next `times` calls. A call takes the oldest fault that matches it.

        aiohttp retries a GET once by itself if a kept-alive connection is dropped. Plan such a drop twice.

        Args:
            fault: What goes wrong.
            times: How many calls it concerns.
            method: Concerns only calls with this method, such as `"GET"`; `None` concerns all.
            node: Concerns only calls to this id; `None` concerns all.
        """
        with self._api.lock:
            self._api.plan.add(fault, times, method, node)

    def set_nested(self, waba_id_or_kind: str, form: NestedForm | Fault) -> None:
        """Decide how numbers come where they are nested in the rows of accounts: `fields=id,phone_numbers{id}`.

        `"absent"` and `"empty"` hide the numbers of an account there. With `"own_cursors"`, the account's own edge
        rejects the cursors of the nested list. With `"no_cursor"`, a nested list with more numbers has a `next` link,
        and no cursor anywhere. `"usual"` ends all this. The account's own edge stays as it is.

        A fault happens to each page that nests the numbers of this account, every time. `Fault.error(2)`,
        `Fault.raw("{")` and `Fault.delay(60)` are examples. It uses quota, unlike a planned fault.

        Instead of an account, you may name all lists of a kind: `"owned"` or `"client"`. In the live mode, `"client"`
        has a fault from the start: HTTP 400, as people report of invited portfolios (read 2026-11-28). Its code, 100,
        is a guess.

        Args:
            waba_id_or_kind: The id of an account, `"owned"` or `"client"`.
            form: How its numbers come, or what goes wrong.

        Raises:
            ValueError: There is no such form, or a form other than `"usual"` is set for a kind.
        """
        if not isinstance(form, Fault) and form not in NESTED_FORMS:
            raise ValueError(f"form must be a Fault or one of {', '.join(NESTED_FORMS)}, not {form!r}")
        if form in NESTED_FORMS[1:] and waba_id_or_kind in {"owned", "client"}:
            raise ValueError(f"form {form!r} is for one account; for a kind, pass a Fault or 'usual'")
        with self._api.lock:
            self._api.nesting.set(waba_id_or_kind, form)

    @property
    def faults_left(self) -> int:
        """The number of calls that are still planned to go wrong."""
        with self._api.lock:
            return len(self._api.plan)

    def schedule(self, seconds: float, action: Callable[P, object], *args: P.args, **options: P.kwargs) -> None:
        """Call a function later: `sandbox.schedule(60, sandbox.approve_name, number_id)`.

        Args:
            seconds: When, in seconds from now by the sandbox's clock.
            action: The function.
            *args: Its positional arguments.
            **options: Its keyword arguments.

        Raises:
            RuntimeError: The sandbox has no clock yet: it does not serve, and has no `clock` of its own.
        """
        with self._api.lock:
            self._api.reviews.schedule.add(self._server.now() + seconds, functools.partial(action, *args, **options))
        self._server.update_timer()

    def advance(self, seconds: float) -> None:
        """Put the sandbox's clock forward: quotas regain, and what is scheduled until then happens before this returns.

        Raises:
            ValueError: `seconds` is below 0.
            RuntimeError: The sandbox has no clock yet: it does not serve, and has no `clock` of its own.
        """
        if seconds < 0:
            raise ValueError(f"seconds must be 0 or more, not {seconds}")
        with self._api.lock:
            self._server.advance(seconds)

    # Webhooks

    @property
    def app_secret(self) -> str:
        """The app secret that signs webhooks: yours, or an invented one."""
        return self._api.reviews.webhooks.secret

    @property
    def webhooks(self) -> list[Webhook]:
        """All webhooks, oldest first, sent or not. You may clear the list."""
        return self._api.reviews.webhooks.made

    @property
    def deliveries(self) -> list[Delivery]:
        """All attempts to deliver a webhook, oldest first. You may clear the list."""
        return self._sender.deliveries

    def deliver_to(self, url: str | None, *, copies: int = 1, seed: int | None = None) -> None:
        """Deliver all further webhooks to this URL, one after the other, while the sandbox serves.

        A receiver accepts a webhook with status 200. Otherwise the sandbox retries, as Meta does: after 1 s, 2 s, 4 s
        and so on, later once an hour, for 7 days.

        Args:
            url: Where webhooks are posted; `None` posts none.
            copies: How often each webhook is sent.
            seed: If set, webhooks arrive out of order, each at a random moment of the next minute. The same seed gives
                the same moments.

        Raises:
            ValueError: `copies` is below 1.
        """
        if copies < 1:
            raise ValueError(f"copies must be 1 or more, not {copies}")
        self._sender.configure(url, copies=copies, seed=seed)

    def send_again(self, webhooks: Iterable[Webhook]) -> None:
        """Deliver these webhooks again, in this order."""
        self._sender.send(webhooks)

    def notify(self, waba_id: str, field: str, value: Mapping[str, Any]) -> Webhook:
        """Make and send a webhook of any field, such as `business_capability_update`. No number changes.

        Raises:
            RuntimeError: The sandbox has no clock yet: it does not serve, and has no `clock` of its own.
        """
        with self._api.lock:
            return self._api.reviews.webhooks.add(waba_id, field, value, self._server.now())

    # What Meta decides. Each of these methods changes a number and makes a webhook, except `rate_quality` and
    # `take_username`. They raise KeyError if there is no such number or account, and RuntimeError if the sandbox has no
    # clock yet.

    def approve_name(self, phone_number_id: str) -> None:
        """Approve the requested name of a number, or else the one that it has."""
        with self._api.lock:
            self._api.reviews.approve(phone_number_id, self._server.now())

    def decline_name(self, phone_number_id: str, reason: str = "NAME_NOT_CONSISTENT") -> None:
        """Decline the requested name of a number, or else the one that it has.

        Raises:
            ValueError: Meta has no such reason.
        """
        if reason not in REJECTION_REASONS:
            raise ValueError(f"reason must be one of {', '.join(REJECTION_REASONS)}, not {reason!r}")
        self._apply(phone_number_id, functools.partial(name_declined, reason=reason))

    def defer_name(self, phone_number_id: str) -> None:
        """Let the requested name of a number, or else the one that it has, be used without a review for now."""
        self._apply(phone_number_id, name_deferred)

    def approve_badge(self, phone_number_id: str) -> None:
        """Give a number Meta's badge for official business accounts. The webhook names the number by its id."""
        self._apply(phone_number_id, functools.partial(badge_decided, is_approved=True))

    def decline_badge(self, phone_number_id: str) -> None:
        """Deny a number Meta's badge for official business accounts. The webhook names the number by its id."""
        self._apply(phone_number_id, functools.partial(badge_decided, is_approved=False))

    def set_username(self, phone_number_id: str, username: str | None) -> None:
        """Approve a username for a number; `None` deletes the one it has."""
        with self._api.lock:
            self._api.usernames.set(phone_number_id, username, self._server.now())

    def revoke_username(self, phone_number_id: str) -> None:
        """Take the username of a number away, as Meta does."""
        with self._api.lock:
            self._api.usernames.revoke(phone_number_id, self._server.now())

    def take_username(self, username: str) -> None:
        """Give a username to somebody outside of the business. Claims of it end in code 147001."""
        with self._api.lock:
            self._api.usernames.take(username)

    def set_calling(self, phone_number_id: str, *, is_enabled: bool) -> None:
        """Let people call a number, or not. No member of the number changes. The webhook names it by its id."""
        now = self._server.now()
        self._apply(phone_number_id, functools.partial(calling_set, is_enabled=is_enabled, now=now))

    def upgrade_throughput(self, phone_number_id: str) -> None:
        """Raise the throughput of a number to `HIGH`."""
        self._apply(phone_number_id, throughput_upgraded)

    def request_pin_reset(self, phone_number_id: str, requester: str = BUSINESS_ID) -> None:
        """Report that somebody requests to switch two-step verification off. `reset_pin` switches it off."""
        self._apply(phone_number_id, functools.partial(pin_reset_requested, requester=requester))

    def reset_pin(self, phone_number_id: str) -> None:
        """Switch two-step verification of a number off, as requested."""
        self._apply(phone_number_id, pin_reset)

    def restrict_account(self, waba_id: str) -> None:
        """Restrict an account for a violation: its connected numbers become `RESTRICTED`."""
        with self._api.lock:
            self._api.reviews.restrict(waba_id, self._server.now())

    def rate_quality(self, phone_number_id: str, rating: str) -> None:
        """Rate a number `GREEN`, `YELLOW` or `RED`. Meta tells nobody, so this makes no webhook.

        Raises:
            KeyError: There is no such number.
        """
        with self._api.lock:
            self._api.reviews.update(phone_number_id, {"quality_rating": rating})

    def _apply(self, phone_number_id: str, event: Callable[[Row], NumberEvent]) -> None:
        with self._api.lock:
            self._api.reviews.apply(phone_number_id, event, self._server.now())

    # Accounts, numbers, tokens and quotas

    @property
    def business_id(self) -> str:
        """The id of the business. Its lists are `owned_` and `client_whatsapp_business_accounts`."""
        return BUSINESS_ID

    @property
    def waba_ids(self) -> Sequence[str]:
        """The ids of the accounts that the business owns, oldest first, computed when they are read."""
        return self._api.store.waba_ids

    def add_waba(
        self,
        waba_id: str,
        numbers: int | Iterable[Mapping[str, Any]] = 0,
        *,
        kind: Literal["owned", "client", "all"] = "owned",
    ) -> None:
        """Add an account, or replace the one with this id.

        Args:
            waba_id: Its id, decimal digits.
            numbers: How many numbers it has, computed when they are read. Or the numbers themselves, served as they
                are; a number without an `id` gets one. Two accounts may have the same number.
            kind: The lists of the business that get it: `"owned"`, `"client"`, or `"all"` for both. An account that is
                replaced also stays in the list where it is.

        Raises:
            ValueError: The id has other characters than digits, or the kind is unknown.
        """
        kinds = _KINDS.get(kind)
        if kinds is None:
            raise ValueError(f"kind must be one of {', '.join(_KINDS)}, not {kind!r}")
        if not (waba_id.isascii() and waba_id.isdigit()):
            raise ValueError(f"waba_id must be a string of digits, not {waba_id!r}")
        with self._api.lock:
            self._api.store.add(waba_id, numbers, kinds)

    def update_waba(self, waba_id: str, **members: Any) -> None:
        """Change members of the node of an account, such as `account_review_status`, without a webhook.

        Raises:
            KeyError: There is no such account.
        """
        with self._api.lock:
            self._api.store.update_account(waba_id, members)

    def add_number(self, waba_id: str, **members: Any) -> dict[str, Any]:
        """Add a number to an account, without a webhook: `add_number(SMALL_WABA, verified_name="Acme Shoes")`.

        Args:
            waba_id: The account.
            **members: The members of the number, served as they are. Without an `id`, it gets one.

        Returns:
            A copy of the number, with its `id`.

        Raises:
            KeyError: There is no such account.
        """
        with self._api.lock:
            return self._api.store.add_number(waba_id, members)

    def update_number(self, waba_id: str, phone_number_id: str, **members: Any) -> None:
        """Change members of a number, without a webhook.

        Raises:
            KeyError: There is no such account or number.
        """
        with self._api.lock:
            self._api.store.update(waba_id, phone_number_id, members)

    def update_profile(self, phone_number_id: str, **members: Any) -> None:
        """Change members of the business profile of a number, whatever they are. Meta's limits do not apply here.

        Raises:
            KeyError: There is no such number.
        """
        with self._api.lock:
            if self._api.store.find_owner(phone_number_id) is None:
                raise KeyError(phone_number_id)
            self._api.profiles.change(phone_number_id, members)

    def remove_number(self, waba_id: str, phone_number_id: str) -> None:
        """Remove a number. A cursor that names it becomes invalid.

        Raises:
            KeyError: There is no such account or number.
        """
        with self._api.lock:
            self._api.store.remove(waba_id, phone_number_id)

    def subscribe_app(self, waba_id: str, app_id: str = APP_ID, *, override: str | None = None) -> None:
        """Subscribe an app to the webhooks of an account. At first the app of all tokens is, and no other.

        Args:
            waba_id: The account.
            app_id: The app.
            override: The callback URL that the app has for this account; `None`: its own.

        Raises:
            KeyError: There is no such account.
        """
        with self._api.lock:
            self._api.subscriptions.subscribe(self._api.store.existing(waba_id).id, app_id, override)

    def unsubscribe_app(self, waba_id: str, app_id: str = APP_ID) -> None:
        """End the subscription of an app to an account.

        Raises:
            KeyError: There is no such account.
        """
        with self._api.lock:
            self._api.subscriptions.unsubscribe(self._api.store.existing(waba_id).id, app_id)

    def set_callback(self, url: str, verify_token: str | None) -> None:
        """Decide how a callback URL responds when Meta verifies it. At first each accepts any verify token.

        Args:
            url: The URL, as an override names it.
            verify_token: The only token that it accepts. `None`: there is nothing at this URL.
        """
        with self._api.lock:
            self._api.subscriptions.set_callback(url, verify_token)

    def accept(
        self,
        token: str,
        *,
        scopes: Iterable[str] = ALL_SCOPES,
        waba_ids: Iterable[str] | None = None,
        expires_in: float | None = None,
        may_inspect: bool = True,
    ) -> None:
        """Accept a token from now on, with these permissions. `debug_token` says what they are.

        Args:
            token: The token.
            scopes: Its permissions. Without `whatsapp_business_management`, it may call no account: error code 200.
            waba_ids: The only accounts that it may call. Default: it names the three seeded ones, and may call each
                account. `()`: it names none, and may call each account.
            expires_in: Seconds until it expires; 0 or less for a token that has expired. `None`: never.
            may_inspect: Whether `debug_token` accepts it. Meta is said to reject permanent tokens of system users.
        """
        grant = Grant(
            scopes=tuple(scopes),
            waba_ids=None if waba_ids is None else tuple(waba_ids),
            expires_at=0 if expires_in is None else int(time.time() + expires_in),
            may_inspect=may_inspect,
        )
        with self._api.lock:
            self._api.access.accept(token, grant)

    def revoke(self, token: str) -> None:
        """Reject a token from now on, with code 190."""
        with self._api.lock:
            self._api.access.revoke(token)

    def spend(self, waba_id: str, calls: int) -> None:
        """Use up quota of an account and of the app, as if others made these calls now.

        Raises:
            RuntimeError: The sandbox has no clock yet: it does not serve, and has no `clock` of its own.
        """
        with self._api.lock:
            self._api.quotas.spend(waba_id, self._server.now(), calls)
