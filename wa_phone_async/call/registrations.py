"""`RegistrationGuard`: no request to register a number is sent before the ledger has counted it."""

from __future__ import annotations

import logging
import math
from datetime import datetime, timedelta
from typing import Final

from wa_phone_async.errors import GraphAPIError, RateLimitError, WaPhoneError
from wa_phone_async.ratelimit.registrations import (
    MAX_REGISTRATIONS,
    REGISTRATION_WINDOW,
    RegistrationLedger,
    Reservation,
)

from .error_codes import TOO_MANY_REGISTRATIONS
from .request import GraphRequest
from .retry import is_uncounted

_log: Final = logging.getLogger("wa_phone_async")


class RegistrationGuard:
    """Reserves each attempt to register or deregister a number, and settles it afterwards.

    Args:
        ledger: Counts the attempts.
    """

    def __init__(self, ledger: RegistrationLedger) -> None:
        self._ledger = ledger

    async def reserve(self, request: GraphRequest) -> Reservation:
        """Reserve an attempt.

        Raises:
            RateLimitError: None is left.
            LedgerError: The ledger failed.
        """
        reserved = await self._ledger.reserve(request.node_id)
        if isinstance(reserved, Reservation):
            return reserved
        raise _used_up(request, reserved)

    async def settle(self, reservation: Reservation, *, was_sent: bool, error: WaPhoneError | None) -> None:
        """Give back a reservation that Meta certainly did not count, and note a block. Any other one stays used."""
        rejection = error if isinstance(error, GraphAPIError) else None
        try:
            if not was_sent or (rejection and is_uncounted(rejection)):
                await self._ledger.release(reservation)
            elif rejection and rejection.code == TOO_MANY_REGISTRATIONS:
                # Others have registered the number too. All that Meta says is that the block lasts 72 hours, and not
                # when it began. So it ends 72 hours after now at the latest, or when a text of the error says.
                seconds = rejection.retry_after or REGISTRATION_WINDOW
                await self._ledger.block(reservation.phone_number_id, seconds)
        except Exception as failure:  # noqa: BLE001 - the call has ended, and its own outcome matters more
            _log.warning("%s was not noted in the ledger of registrations: %s", reservation.phone_number_id, failure)


def _used_up(request: GraphRequest, seconds: float) -> RateLimitError:
    """The error for a request that the ledger has no registration for."""
    at = datetime.now().astimezone() + timedelta(seconds=math.ceil(seconds))
    text = (
        f"Rate limit: number {request.node_id} has used its {MAX_REGISTRATIONS} registrations and deregistrations of "
        f"72 hours, as the ledger counts them. {request} was not sent. The next one is possible at "
        f"{at:%Y-%m-%d %H:%M:%S %Z}"
    )
    error = RateLimitError(text, http_status=None, retry_after=seconds)
    error.sent = False
    return error
