"""`Unthrottled`: a limiter without limits, for tests with many calls in flight before the first response."""

import asyncio

from wa_phone_async.ratelimit.limiter import Lease, Report
from wa_phone_async.usage import Usage


class Unthrottled:
    """Lets every call go at once. It is a `RateLimiter` as a user may write it."""

    async def admit(self, waba_id: str | None, token: str, *, max_wait: float, is_probe: bool = False) -> Lease:
        del max_wait, is_probe
        return Lease(waba_id, token, asyncio.get_running_loop().time())

    def report(self, lease: Lease, report: Report) -> float:
        del lease, report
        return 0.0

    def last_usage(self, waba_id: str | None) -> Usage | None:
        del waba_id
        return None

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""
