"""Why a command waits, for commands that show nothing else meanwhile."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Final

from wa_phone_async.client import PhoneNumberClient
from wa_phone_async.events import Event, QuotaWaitStarted, RetryPlanned
from wa_phone_async.ratelimit.long_waits import SENTENCE

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
        why = _WHY.get(event.error, "rejected for now")
        cause = "" if event.reason is None else f" ({event.reason})"
        line = f"{why}{cause}: next try in {seconds}"
    return f"{line} (Ctrl-C ends it)" if event.seconds >= _LONG else line


class _NoWaits(logging.Filter):
    """Leaves out the library's own lines about long waits."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg != SENTENCE


@contextmanager
def telling_waits(client: PhoneNumberClient) -> Generator[None]:
    """Say on stderr why the calls of a client wait, in place of the library's own lines about long waits."""
    logger, no_waits = logging.getLogger("wa_phone_async"), _NoWaits()
    client.subscribe(tell_wait)
    logger.addFilter(no_waits)
    try:
        yield
    finally:
        logger.removeFilter(no_waits)
