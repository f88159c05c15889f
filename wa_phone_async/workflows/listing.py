"""`WabaListing`: the numbers of one account, or why they could not be listed."""

from __future__ import annotations

import attrs

from wa_phone_async.errors import WaPhoneError
from wa_phone_async.models import PhoneNumber


@attrs.frozen(kw_only=True)
class WabaListing:
    """The phone numbers of one account, or the error that prevented the listing."""

    waba_id: str
    """The account's id, as you passed it or as the business lists it."""
    phone_numbers: tuple[PhoneNumber, ...] = ()
    """All numbers of the account. Empty if there is an error.

    With `unique=True`, those that came in an earlier listing are left out.
    """
    error: WaPhoneError | None = None
    """Why the account could not be listed. `None`: the listing is complete."""
    calls: int = 0
    """How many requests were sent for the account alone. 0: its numbers came in a call for many accounts."""
    elapsed_seconds: float = 0.0
    """Seconds that the listing took, waits included."""
