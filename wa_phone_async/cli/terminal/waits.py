"""Why a command stands still, for commands that show nothing else while they wait to ask again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from wa_phone_async import Event, QuotaWaitStarted, RetryPlanned

from .output import tell

_NOTICED: Final = 1.0  # seconds after which people begin to wonder
_LONG: Final = 10.0  # seconds after which they may not want to wait

_WHY: Final[Mapping[str, str]] = {
    "RateLimitError": "throttled",
    "TransportError": "no answer",
    "RequestTimeoutError": "no answer in time",
    "ServerError": "the API is in trouble",
    "DecodeError": "no answer that can be read",
}


def tell_wait(event: Event) -> None:
    """Say why a call waits, and how long, where that is longer than a moment; a listener to a client."""
    if isinstance(event, QuotaWaitStarted) or (isinstance(event, RetryPlanned) and event.seconds > _NOTICED):
        tell(wait_line(event))


def wait_line(event: RetryPlanned | QuotaWaitStarted) -> str:
    """Why a call waits, and how long. What the server wrote stands in no line: it tells when it is refused for good."""
    seconds = f"{math.ceil(event.seconds):,} s"
    if isinstance(event, QuotaWaitStarted):
        line = f"the calls that Meta allows in an hour are used: waiting for room, {seconds} at most"
    else:
        line = f"{_WHY.get(event.error, 'refused for now')}: the next try is in {seconds}"
    return f"{line} (Ctrl-C ends it)" if event.seconds >= _LONG else line
