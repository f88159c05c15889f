"""Why a command waits, for commands that show nothing else meanwhile."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from wa_phone_async.events import Event, QuotaWaitStarted, RetryPlanned

from .output import tell

_NOTICED: Final = 1.0  # seconds until people wonder
_LONG: Final = 10.0  # seconds until they may want to stop

_WHY: Final[Mapping[str, str]] = {
    "RateLimitError": "throttled",
    "TransportError": "no response",
    "RequestTimeoutError": "no response in time",
    "ServerError": "the API is in trouble",
    "DecodeError": "invalid response",
}


def tell_wait(event: Event) -> None:
    """Say why a call waits and how long, if it is more than a moment. Subscribe it to a client."""
    if isinstance(event, QuotaWaitStarted) or (isinstance(event, RetryPlanned) and event.seconds > _NOTICED):
        tell(wait_line(event))


def wait_line(event: RetryPlanned | QuotaWaitStarted) -> str:
    """Say why a call waits, and how long. The API's own message comes only with the last error."""
    seconds = f"{math.ceil(event.seconds):,} s"
    if isinstance(event, QuotaWaitStarted):
        line = f"the hourly quota is used: waiting, {seconds} at most"
    else:
        line = f"{_WHY.get(event.error, 'rejected for now')}: next try in {seconds}"
    return f"{line} (Ctrl-C ends it)" if event.seconds >= _LONG else line
