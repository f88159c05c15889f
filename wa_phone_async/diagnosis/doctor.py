"""Sends the few requests of a diagnosis, each once and with little time, and lets the other modules judge them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

import attrs
from yarl import URL

from wa_phone_async.call.attempt import Call, CallRunner
from wa_phone_async.call.request import GraphRequest
from wa_phone_async.call.response import model_reader
from wa_phone_async.call.transport import HttpResponse, Sending, TransportOpener
from wa_phone_async.errors import WaPhoneError
from wa_phone_async.ratelimit.limiter import RateLimiter
from wa_phone_async.redaction import Secret, redact

from .host import Destination, check_host, checks_of_headers, date_of
from .installed import check_extras, check_versions
from .report import Check, Diagnosis, TokenInfo
from .token import (
    cannot_inspect,
    check_accounts,
    check_failed,
    check_uninspected,
    check_usage,
    checks_of_token,
    read_token_info,
)

_LONGEST_CALL: Final = 5.0
_LONGEST_PING: Final = 2.0


async def inspect_token(calls: CallRunner, waba_id: str | None, total_timeout: float | None) -> TokenInfo:
    """Let Meta describe the token of the calls.

    Raises:
        WaPhoneError: Meta rejected the request, or no valid response came.
    """
    request = GraphRequest(path="debug_token", inspects_token=True, waba_id=waba_id, dialect=calls.dialect)
    call: Call[Any] = calls.new_call(request, model_reader(dict), total_timeout)
    # Meta's words for an invalid token may repeat it. So no local variable has the response as it came.
    return read_token_info(redact(await calls.run(call), calls.secrets(call)))


@attrs.define
class Doctor:
    """Makes the diagnosis of one session, from the parts of it."""

    transports: TransportOpener
    calls: CallRunner
    throttle: RateLimiter

    async def diagnose(self, waba_id: str | None, total_timeout: float) -> Diagnosis:
        """Make all checks that are possible, within this time."""
        ends = asyncio.get_running_loop().time() + total_timeout
        redis = await check_limiter(self.throttle, min(total_timeout, _LONGEST_PING))
        checks, token = await self._of_network(waba_id, ends)
        return Diagnosis(checks=(check_versions(), check_extras(), *checks, *redis), token=token)

    async def _of_network(self, waba_id: str | None, ends: float) -> tuple[list[Check], TokenInfo | None]:
        endpoint, route = self.transports.endpoint, self.transports.route
        is_borrowed = self.transports.borrowed is not None
        to = Destination(URL(endpoint.base_url, encoded=True), endpoint.api_version, route.proxy, is_borrowed)
        result = await self._probe(_seconds(ends))
        now = datetime.now(UTC)
        checks = [check_host(to, result)]
        if checks[0].status != "ok" or isinstance(result, WaPhoneError):
            return checks, None
        checks += checks_of_headers(to, result.headers, now)
        token = None
        try:
            token = await inspect_token(self.calls, waba_id, _seconds(ends))
        except WaPhoneError as error:
            if not cannot_inspect(error):
                return [*checks, check_failed(error)], None
            checks.append(await self._check_accepted(error, waba_id, _seconds(ends)))
        else:
            checks += checks_of_token(token, date_of(result.headers) or now)
        if checks[-1].status == "problem":
            return checks, token
        checks += await self._of_account(token, waba_id, _seconds(ends))
        return checks, token

    async def _probe(self, seconds: float) -> HttpResponse | WaPhoneError:
        """Send a request without a token: whatever is wrong then is the way to the API."""
        transport = await self.transports.open()
        deadline = asyncio.get_running_loop().time() + seconds
        request = GraphRequest(path="debug_token", waba_id=None)
        return await transport.exchange(request, Secret(), deadline=deadline, veto=lambda: None, sending=Sending())

    async def _check_accepted(self, rejection: WaPhoneError, waba_id: str | None, seconds: float) -> Check:
        """Find out if the API accepts a token that may not inspect itself."""
        try:
            await self._read("me", waba_id, seconds)
        except WaPhoneError as error:
            return check_failed(error)
        return check_uninspected(rejection)

    async def _of_account(self, token: TokenInfo | None, waba_id: str | None, seconds: float) -> tuple[Check, Check]:
        """Read one account: the response shows its usage too."""
        tried, failure = waba_id, None
        if tried is None and token is not None:
            tried = next(iter(token.waba_ids), None)
        if tried is not None:
            try:
                await self._read(tried, tried, seconds)
            except WaPhoneError as error:
                failure = error.with_traceback(None)
        usage = None if tried is None else self.throttle.last_usage(tried)
        accounts = check_accounts(token, tried, failure)
        return accounts, check_usage(tried, usage, self.throttle.last_usage(None))

    async def _read(self, path: str, waba_id: str | None, seconds: float) -> None:
        request = GraphRequest(path=path, params={"fields": "id,name"}, waba_id=waba_id, dialect=self.calls.dialect)
        await self.calls.run(self.calls.new_call(request, model_reader(dict[str, Any]), seconds))


def _seconds(ends: float) -> float:
    """The time of the next call."""
    return max(0.001, min(_LONGEST_CALL, ends - asyncio.get_running_loop().time()))


async def check_limiter(limiter: RateLimiter, seconds: float) -> tuple[Check, ...]:
    """Check the store of a rate limiter that has one: of each with a method `ping`, such as `RedisThrottle`."""
    ping = getattr(limiter, "ping", None)
    if ping is None:
        return ()
    reason: str | None = await ping(seconds)
    if reason is None:
        return (Check(name="redis", status="ok", finding="Redis responds."),)
    finding = f"Redis does not respond ({reason}): each process keeps quotas of its own."
    return (Check(name="redis", status="problem", finding=finding, remedy="Start Redis, or check its address."),)
