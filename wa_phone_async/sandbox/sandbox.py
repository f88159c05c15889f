"""The sandbox itself: what a test or a program holds in its hand."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, Self

from .access import Access
from .api import Api
from .background import BackgroundLoop
from .budget import Meter, Quota, Rounding
from .codes import Code
from .data import BUSINESS_ID, NUMBERS_PER_ACCOUNT, Row
from .delivery import Courier, Delivery
from .faults import Fault
from .messages import Request
from .modes import TEMPERS, ModeName
from .reviews import (
    REJECTION_REASONS,
    Happening,
    Reviews,
    name_approved,
    name_declined,
    pin_reset,
    pin_reset_requested,
    quality_rated,
    throughput_upgraded,
)
from .server import Server
from .store import Created, Store
from .webhooks import INVENTED_SECRET, Webhook, Webhooks

P = ParamSpec("P")


class Sandbox:
    """The Graph API on a local port, with three invented accounts and a business that owns them.

    `async with Sandbox() as sandbox` serves from the running loop; `with Sandbox() as sandbox` from a thread of
    its own, for code without a loop. All else here may be used from any thread, before, while and after it
    serves. Accounts, record and plan outlive the block; a new `Sandbox` is as new.

    Args:
        mode: `"live"` answers as people report of the real service, `"reference"` as Meta's reference says.
            The default is `"live"`, since that is where code that passes its tests has to run.
        host: The address to listen on.
        port: The port, a free one if 0.
        tokens: The bearer tokens accepted, any if `None`.
        app_secret: With it, every call must carry the `appsecret_proof` of its token. It signs the webhooks.
        quota: Calls an hour for each WABA: `"meta"` is Meta's rule, 200 or with a registered number 5,000; a
            number is for all, a mapping for some ids, `None` is no limit.
        app_quota: Calls an hour for the app as a whole, no limit if `None`.
        usage_every: Usage headers come with every so many-th answer; 0 sends none.
        rounding: How a share becomes a whole percentage in them.
        usage_step: Percentages in them are multiples of this: 5 makes them coarse.
        latency: Seconds that every answer takes.
        links: Whether pages carry `next` and `previous`; without them there are cursors alone.
        compress: Whether answers come in gzip for callers that accept it. A fault that cuts then cuts what was
            compressed.
        accounts: How many accounts the business owns, made up when they are read, so that a million cost little. The
            three that are always there are not among them, but shared with it. `None` gives it those three alone.
        numbers_per_account: How many numbers each of these accounts has, below a million.
        review_after: Seconds after which the name of a new number is approved, if nobody decides before; `None` leaves
            it in review.
        webhook_url: Where webhooks are sent; see `deliver_to`.
        clock: What tells the time of the budgets, in seconds. The clock of the loop that serves unless told, so
            that a loop with virtual time passes its hours here too. With a clock of another kind, what is to happen
            later happens before the first call that is answered after its time.

    Raises:
        ValueError: For a mode that is none, a quota or a step below 1, or a number of accounts or numbers that cannot
            be.
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
        links: bool = True,
        compress: bool = False,
        accounts: int | None = None,
        numbers_per_account: int = 3,
        review_after: float | None = None,
        webhook_url: str | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if mode not in TEMPERS:
            raise ValueError(f"mode must be one of {', '.join(TEMPERS)}, not {mode!r}")
        if accounts is not None and accounts < 0:
            raise ValueError(f"accounts must be 0 or more, or None for the three that are always there, not {accounts}")
        if not 0 <= numbers_per_account < NUMBERS_PER_ACCOUNT:
            raise ValueError(
                f"numbers_per_account must be from 0 to {NUMBERS_PER_ACCOUNT - 1}, not {numbers_per_account}"
            )
        store = Store(accounts, numbers_per_account)
        access = Access(tokens, app_secret)
        meter = Meter(quota, app_quota, usage_every, rounding, usage_step)
        self._courier = Courier()
        self._courier.address(webhook_url, copies=1, seed=None)
        webhooks = Webhooks(app_secret or INVENTED_SECRET, lambda webhook: self._courier.send([webhook]))
        reviews = Reviews(store, webhooks, review_after)
        self._api = Api(store, TEMPERS[mode], access, meter, reviews, with_links=links)
        self._server = Server(self._api, self._courier, host, port, latency=latency, clock=clock, compresses=compress)
        self._background: BackgroundLoop | None = None

    # Serving

    @property
    def url(self) -> str:
        """The base URL, `http://127.0.0.1:PORT`.

        Raises:
            RuntimeError: While it does not serve.
        """
        return self._server.url

    async def __aenter__(self) -> Self:
        """Serve from the running loop."""
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once; calls in flight are cut off."""
        await self._server.close()

    def __enter__(self) -> Self:
        """Serve from a thread of its own."""
        background = BackgroundLoop()
        try:
            background.run(self._server.start())
        except BaseException:
            background.stop()
            raise
        self._background = background
        return self

    def __exit__(self, *_: object) -> None:
        """Stop at once, and end the thread."""
        background, self._background = self._background, None
        if background is not None:
            background.run(self._server.close())
            background.stop()

    # What happened

    @property
    def requests(self) -> list[Request]:
        """Every request in the order in which they came. The list may be cleared."""
        return self._api.requests

    @property
    def created(self) -> list[Created]:
        """Every number that a POST made, in order: the effects, whatever was answered."""
        return self._api.store.created

    @property
    def inbox(self) -> list[Code]:
        """Every code in the order in which they arrived on the phones. The list may be cleared."""
        return self._api.inbox

    def numbers(self, waba_id: str) -> list[dict[str, Any]]:
        """Give a copy of all an account's numbers with all their members, oldest first.

        Raises:
            KeyError: There is no such account.
        """
        with self._api.lock:
            return self._api.store.numbers(waba_id)

    # What is to happen

    def plan(self, fault: Fault, *, times: int = 1, method: str | None = None, node: str | None = None) -> None:
        """Plan a fault for the next `times` calls. Faults are used up in the order in which they were planned.

        aiohttp repeats a GET by itself, once, when a kept-alive connection is dropped: plan a drop twice to be
        seen.

        Args:
            fault: What goes wrong.
            times: With how many calls.
            method: Only with calls of this method, `"GET"` or `"POST"`.
            node: Only with calls to this id.
        """
        with self._api.lock:
            self._api.plan.add(fault, times, method, node)

    @property
    def faults_left(self) -> int:
        """How many calls are still planned to go wrong."""
        with self._api.lock:
            return len(self._api.plan)

    def schedule(self, seconds: float, action: Callable[P, object], *args: P.args, **options: P.kwargs) -> None:
        """Call something later, in seconds of the sandbox's clock: `schedule(60, sandbox.approve_name, number_id)`.

        Raises:
            RuntimeError: It does not serve yet and was given no `clock`.
        """
        with self._api.lock:
            self._api.reviews.agenda.add(self._server.now() + seconds, functools.partial(action, *args, **options))
        self._server.look_at_agenda()

    # Webhooks

    @property
    def app_secret(self) -> str:
        """What webhooks are signed with: the app secret that was given, or else an invented one."""
        return self._api.reviews.webhooks.secret

    @property
    def webhooks(self) -> list[Webhook]:
        """Every webhook in the order in which they were made, sent or not. The list may be cleared."""
        return self._api.reviews.webhooks.made

    @property
    def deliveries(self) -> list[Delivery]:
        """Every time that a webhook was sent, in order, with what the receiver answered. The list may be cleared."""
        return self._courier.deliveries

    def deliver_to(self, url: str | None, *, copies: int = 1, seed: int | None = None) -> None:
        """Send the webhooks that are made from now on, while it serves, one after the other.

        What is not answered with 200 is sent again, as Meta does: after 1 s, 2 s, 4 s and so on, in the end each hour,
        for 7 days.

        Args:
            url: Where they are posted; `None` sends none.
            copies: How often each is sent.
            seed: With it they come out of order, each at another moment of the next minute; the same seed gives the
                same moments.

        Raises:
            ValueError: `copies` is below 1.
        """
        if copies < 1:
            raise ValueError(f"copies must be 1 or more, not {copies}")
        self._courier.address(url, copies=copies, seed=seed)

    def send_again(self, webhooks: Iterable[Webhook]) -> None:
        """Send webhooks that were made before, in the order in which they are given."""
        self._courier.send(webhooks)

    def notify(self, waba_id: str, field: str, value: Mapping[str, Any]) -> Webhook:
        """Make a webhook of any field, such as `business_capability_update`, and send it; it changes nothing here.

        Raises:
            RuntimeError: It does not serve yet and was given no `clock`.
        """
        with self._api.lock:
            return self._api.reviews.webhooks.add(waba_id, field, value, self._server.now())

    # What Meta decides. Each changes the number, if there is one (KeyError), at the time of the clock, if there is one
    # yet (RuntimeError), and is told by a webhook.

    def approve_name(self, phone_number_id: str) -> None:
        """Approve the name of a number."""
        self._happen(phone_number_id, name_approved)

    def decline_name(self, phone_number_id: str, reason: str = "NAME_NOT_CONSISTENT") -> None:
        """Decline the name of a number.

        Raises:
            ValueError: The reason is none of those that Meta gives.
        """
        if reason not in REJECTION_REASONS:
            raise ValueError(f"reason must be one of {', '.join(REJECTION_REASONS)}, not {reason!r}")
        self._happen(phone_number_id, functools.partial(name_declined, reason=reason))

    def rate_quality(self, phone_number_id: str, rating: str) -> None:
        """Rate a number `GREEN`, `YELLOW` or `RED`."""
        self._happen(phone_number_id, functools.partial(quality_rated, rating=rating))

    def upgrade_throughput(self, phone_number_id: str) -> None:
        """Let a number send faster."""
        self._happen(phone_number_id, throughput_upgraded)

    def request_pin_reset(self, phone_number_id: str, requester: str = BUSINESS_ID) -> None:
        """Tell that somebody of the business asks to switch two-step verification off; `reset_pin` does it."""
        self._happen(phone_number_id, functools.partial(pin_reset_requested, requester=requester))

    def reset_pin(self, phone_number_id: str) -> None:
        """Switch two-step verification off, as was asked for."""
        self._happen(phone_number_id, pin_reset)

    def restrict_account(self, waba_id: str) -> None:
        """Restrict an account for a violation: its numbers that work read `RESTRICTED`."""
        with self._api.lock:
            self._api.reviews.restrict(waba_id, self._server.now())

    def _happen(self, phone_number_id: str, event: Callable[[Row], Happening]) -> None:
        with self._api.lock:
            self._api.reviews.happen(phone_number_id, event, self._server.now())

    # The world

    @property
    def business_id(self) -> str:
        """The id of the business, `BUSINESS_ID`: its lists are `owned_` and `client_whatsapp_business_accounts`."""
        return BUSINESS_ID

    @property
    def waba_ids(self) -> Sequence[str]:
        """The ids of the accounts that the business owns, oldest first. They are computed as they are read."""
        return self._api.store.waba_ids

    def add_waba(self, waba_id: str, numbers: int | Iterable[Mapping[str, Any]] = 0) -> None:
        """Add an account that the business owns, or put it in the place of the one with this id.

        Args:
            waba_id: Its id, decimal digits.
            numbers: How many numbers it has, made up when they are read, so that a hundred thousand accounts
                cost little; or the numbers themselves, shown as they are, each given an `id` if it has none.

        Raises:
            ValueError: The id is not of digits, as every id of the Graph API is.
        """
        if not (waba_id.isascii() and waba_id.isdigit()):
            raise ValueError(f"a WABA id is a string of digits, not {waba_id!r}")
        with self._api.lock:
            self._api.store.add(waba_id, numbers)

    def update_number(self, waba_id: str, phone_number_id: str, **members: Any) -> None:
        """Change members of a number, as Meta's reviews and users' mishaps do.

        Raises:
            KeyError: There is no such account or number.
        """
        with self._api.lock:
            self._api.store.update(waba_id, phone_number_id, members)

    def remove_number(self, waba_id: str, phone_number_id: str) -> None:
        """Take a number away; a cursor that names it dies.

        Raises:
            KeyError: There is no such account or number.
        """
        with self._api.lock:
            self._api.store.remove(waba_id, phone_number_id)

    def accept(self, token: str) -> None:
        """Accept a token from now on."""
        with self._api.lock:
            self._api.access.accept(token)

    def revoke(self, token: str) -> None:
        """Refuse a token from now on, with code 190."""
        with self._api.lock:
            self._api.access.revoke(token)

    def spend(self, waba_id: str, calls: int) -> None:
        """Count calls against an account, and the app, that somebody else makes now.

        Raises:
            RuntimeError: It does not serve yet and was given no `clock`.
        """
        with self._api.lock:
            self._api.meter.spend(waba_id, self._server.now(), calls)
