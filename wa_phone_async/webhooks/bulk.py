"""The edits of many callback URLs: set, clear, undo. What is edited is here, and how it is made safe in `edits`.

The value of a number is its own callback URL, or `None`. That of an account is whether the app is subscribed to it, and
the callback URL that the app has there: `{"subscribed": true, "url": null}`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, Final

import attrs

from wa_phone_async.call.hints import not_a_number
from wa_phone_async.call.writes import Write
from wa_phone_async.checks import read_node_id
from wa_phone_async.concurrency import stream_bounded
from wa_phone_async.edits.edit import Edit, EditPlan, EditState, Needs, TargetKind
from wa_phone_async.edits.journal import JournalHeader
from wa_phone_async.edits.targets import EditLevel, EditTargets, Target, check_level, read_accounts, read_targets
from wa_phone_async.errors import (
    BadRequestError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    WaPhoneError,
    concerns_all,
)
from wa_phone_async.models import BusinessAccount, PhoneNumber, SuccessResponse
from wa_phone_async.pagination.paginator import AsyncPaginator
from wa_phone_async.redaction import Secret, hide_queries
from wa_phone_async.session import GraphSession
from wa_phone_async.workflows.bulk import Listings
from wa_phone_async.workflows.listing import WabaListing

from .audit import with_apps
from .callbacks import (
    override_number,
    read_callback_url,
    read_verify_token,
    subscribe_account,
    subscription_in,
    unsubscribe_account,
    url_of_number,
)

FIELDS: Final = ("id", "display_phone_number", "webhook_configuration")
"""The fields of a number that the edits and the audit read."""


class VerifyTokens:
    """The verify tokens of callback URLs. No error and no `repr` shows them.

    Args:
        tokens: The concealed tokens: by URL, or one for all.

    Raises:
        InvalidArgumentError: A URL is invalid. Or a token is empty, or no text on one line.
    """

    def __init__(self, tokens: Secret | Mapping[str, Secret] | None) -> None:
        self._of = dict[str, Secret]()
        if isinstance(tokens, Mapping):
            self._of = {read_callback_url(url): read_verify_token(token) for url, token in tokens.items()}
        self._for_all = read_verify_token(tokens) if isinstance(tokens, Secret) else None

    def get(self, url: str) -> Secret | None:
        """Return the token of a URL, or `None`."""
        return self._of.get(url, self._for_all)


class OwnApp:
    """The app of the token. It is requested once.

    Args:
        session: Makes the call.
        app_id: The id, if it is known.
    """

    def __init__(self, session: GraphSession, app_id: str | None) -> None:
        self._session = session
        self._id = app_id
        self._failure: WaPhoneError | None = None
        self._lock = asyncio.Lock()

    async def find(self, waba_id: str) -> str | None:
        """Return the id of the app, or `None` if Meta does not give it. The request has the token of the account."""
        async with self._lock:
            if self._id is None and self._failure is None:
                try:
                    self._id = (await self._session.inspect_token(waba_id=waba_id)).app_id
                except (BadRequestError, NotFoundError, PermissionDeniedError) as error:
                    self._failure = error.with_traceback(None)
        return self._id

    async def get(self, waba_id: str) -> str:
        """Return the id of the app.

        Raises:
            InvalidArgumentError: It is not known.
        """
        app_id = await self.find(waba_id)
        if app_id is None:
            raise InvalidArgumentError("app_id", "given", hint="Meta does not say which app this token belongs to")
        return app_id


@attrs.frozen(kw_only=True)
class WebhookEditor:
    """Makes the plans of edits, and reads and sends them."""

    session: GraphSession
    list_many: Callable[[AsyncIterable[str]], Listings]
    """Lists the numbers of accounts, with `FIELDS`."""
    app: OwnApp
    concurrency: int

    async def read_account(self, waba_id: str) -> BusinessAccount:
        """Read the subscriptions of an account, as the rules of the audit take them."""
        waba_id = read_node_id("waba_id", waba_id)
        return with_apps(waba_id, await self._subscriptions(waba_id), await self.app.find(waba_id))

    def set(self, targets: EditTargets, level: EditLevel, url: str | None, verify_token: Secret | None) -> EditPlan:
        """The plan that sets a callback URL. Without one, it subscribes the app to accounts."""
        check_level(level)
        if url is None:
            if level != "accounts" or verify_token is not None:
                raise InvalidArgumentError(
                    "url", "given", hint="only where accounts are subscribed is it left out, with its token"
                )
            options = {"edit": "webhooks.subscribe", "on": level}
            return self._plan(options, targets, lambda old: {**old, "subscribed": True}, VerifyTokens(None))
        url = read_callback_url(url)
        if verify_token is None:
            raise InvalidArgumentError("verify_token", "given", hint="Meta verifies the URL with it")
        options = {"edit": "webhooks.set", "on": level, "url": url}
        value = {"subscribed": True, "url": url} if level == "accounts" else url
        return self._plan(options, targets, lambda _: value, VerifyTokens(verify_token))

    def clear(self, targets: EditTargets, level: EditLevel) -> EditPlan:
        """The plan that removes callback URLs. No app is subscribed by it, and none unsubscribed."""
        check_level(level)
        options, tokens = {"edit": "webhooks.clear", "on": level}, VerifyTokens(None)
        return self._plan(options, targets, lambda old: {**old, "url": None} if level == "accounts" else None, tokens)

    def undo(self, past: JournalHeader, tokens: VerifyTokens, *, needs_tokens: bool) -> EditPlan:
        """The plan that restores the old values of a journal.

        What has neither the old nor the new value was changed by somebody else since, and stays as it is.

        Args:
            past: The journal.
            tokens: The verify tokens of the URLs that have to be set again.
            needs_tokens: Whether a missing one is an error. A dry run needs none.

        Raises:
            InvalidArgumentError: The journal is that of another edit, or of another API.
        """
        past.check_past("webhooks", self.session.base_url)

        async def restore(edit: Edit) -> Edit:
            restored = await self._with_value(edit, edit.old)
            if restored.state is not EditState.PLANNED or restored.old == edit.old:
                return restored
            if restored.old != edit.new:
                return attrs.evolve(restored, state=EditState.CHANGED, why="somebody changed it since, so it stays")
            url = _url_to_set(restored)
            if needs_tokens and url is not None and tokens.get(url) is None:
                hint = "the undo sets this URL again, and Meta does not give its verify token back"
                raise InvalidArgumentError("verify_token", f"given for {hide_queries(url)}", hint=hint)
            return restored

        async def edits(needs: Needs) -> AsyncGenerator[Edit]:
            async with (
                aclosing(past.sent_edits(needs)) as sent,
                aclosing(stream_bounded(restore, sent, self.concurrency)) as restored,
            ):
                async for edit in restored:
                    yield edit

        options = {"edit": "webhooks.undo", "of": past.id, "base_url": self.session.base_url}
        send = partial(self._send, tokens)
        return EditPlan(call="client.undo_webhooks", options=options, edits=edits, send=send, read=self._read)

    def _plan(
        self,
        options: Mapping[str, Any],
        targets: EditTargets,
        change: Callable[[Any], Any],
        tokens: VerifyTokens,
    ) -> EditPlan:
        level: EditLevel = options["on"]

        async def read(target: Target) -> Edit:
            kind: TargetKind = "account" if level == "accounts" else "number"
            edit = await self._with_value(Edit(kind=kind, target=target.id, waba_id=target.waba_id), None)
            return attrs.evolve(edit, new=change(edit.old)) if edit.state is EditState.PLANNED else edit

        async def edits(needs: Needs) -> AsyncGenerator[Edit]:
            if level == "members":
                async with aclosing(read_accounts(targets)) as accounts, self.list_many(accounts) as listings:
                    async for listing in listings:
                        for edit in _edits_in(listing, needs):
                            yield attrs.evolve(edit, new=change(edit.old)) if listing.error is None else edit
                return
            async with aclosing(read_targets(targets, level)) as named:
                new = (target async for target in named if needs(target.id))
                async with aclosing(stream_bounded(read, new, self.concurrency)) as each_read:
                    async for edit in each_read:
                        yield edit

        return EditPlan(
            call=f"client.{'clear' if options['edit'] == 'webhooks.clear' else 'set'}_webhooks",
            options={**options, "base_url": self.session.base_url},
            edits=edits,
            send=partial(self._send, tokens),
            read=self._read,
        )

    async def _with_value(self, edit: Edit, new: Any) -> Edit:
        """Return an edit with the present value as the old one. If that cannot be read, the edit is rejected."""
        try:
            if edit.kind == "account":
                return attrs.evolve(edit, old=await self._read(edit), new=new)
            number = await self._read_number(edit)
        except WaPhoneError as error:
            if isinstance(error, InvalidArgumentError) or concerns_all(error):
                raise
            return attrs.evolve(edit, state=EditState.REJECTED, why=str(error))
        return attrs.evolve(edit, old=url_of_number(number), new=new, label=number.display_phone_number)

    async def _read(self, edit: Edit) -> Any:
        """Read the present value."""
        if edit.kind == "number":
            return url_of_number(await self._read_number(edit))
        app_id = await self.app.get(edit.target)
        return subscription_in(await self._subscriptions(edit.target), app_id)

    async def _subscriptions(self, waba_id: str) -> list[Mapping[str, Any]]:
        rows: AsyncPaginator[dict[str, Any]] = self.session.paginate(f"{waba_id}/subscribed_apps", dict)
        return [row async for row in rows]

    async def _read_number(self, edit: Edit) -> PhoneNumber:
        params = {"fields": ",".join(FIELDS)}
        number = await self.session.get(edit.target, PhoneNumber, params, waba_id=edit.waba_id)
        if number.display_phone_number is None:  # the API may respond for an object of another kind
            raise not_a_number(number)
        return number

    async def _send(self, tokens: VerifyTokens, edit: Edit) -> None:
        """Set the new value. An account whose app is not subscribed takes two calls for a callback URL."""
        url = _url_to_set(edit)
        token = None if url is None else tokens.get(url)
        if edit.kind == "number":
            await self._post(override_number(edit.target, url, token), edit.waba_id)
        elif not edit.new["subscribed"]:
            await self._post(unsubscribe_account(edit.target), edit.target)
        else:
            if url is None or not edit.old["subscribed"]:
                await self._post(subscribe_account(edit.target), edit.target)
            if url is not None:
                await self._post(subscribe_account(edit.target, url, token), edit.target)

    async def _post(self, write: Write, waba_id: str | None) -> None:
        await self.session.post(write, SuccessResponse, waba_id=waba_id)


def _edits_in(listing: WabaListing, needs: Needs) -> Iterator[Edit]:
    """Yield an edit for each number of an account. An account that could not be listed is a rejected one."""
    if listing.error is not None:
        yield Edit(kind="account", target=listing.waba_id, state=EditState.REJECTED, why=str(listing.error))
    for number in listing.phone_numbers:
        if needs(number.id):
            label, old = number.display_phone_number, url_of_number(number)
            yield Edit(kind="number", target=number.id, label=label, waba_id=listing.waba_id, old=old)


def _url_to_set(edit: Edit) -> str | None:
    """The callback URL of the new value."""
    url: str | None = edit.new["url"] if edit.kind == "account" else edit.new
    return url
