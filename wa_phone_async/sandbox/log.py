"""The log of the server. It says that a request was malformed, and shows nothing of it: it may hold a token."""

import logging
import traceback


def hide_text(record: logging.LogRecord) -> bool:
    """Leave the class of an exception and its place. Its text and its traceback repeat what the caller sent."""
    if record.exc_info and record.exc_info[1]:
        error = record.exc_info[1]
        frames = traceback.extract_tb(error.__traceback__)
        place = f" in {frames[-1].name}, {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        record.msg, record.args = f"{record.getMessage()}: {type(error).__name__}{place}", ()
        record.exc_info = record.exc_text = None
    return True


LOG = logging.getLogger("wa_phone_async.sandbox")
"""The log of all sandboxes."""

LOG.addFilter(hide_text)
