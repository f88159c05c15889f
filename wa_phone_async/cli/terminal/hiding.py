"""Hides secrets in messages: those of the environment and of files, and what was given as an argument by mistake."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from wa_phone_async.redaction import HIDDEN, Secret, conceal, redact

_hidden: Final[ContextVar[tuple[Secret, ...]]] = ContextVar("_hidden", default=())

_ACCESS_TOKEN: Final = re.compile(r"(?<![A-Za-z0-9])EAA[A-Za-z0-9]{17,}")
"""How Meta's access tokens begin. Real ones have about 200 characters."""
_LIKE_A_TOKEN: Final = re.compile(
    r"(?<![A-Za-z0-9])EAA[^\s,'\"]*"
    r"|[0-9]{5,}\|[\w-]{8,}"  # an app's token: its id and its secret
    r"|(?<!\w)[A-Za-z0-9]{32,}(?!\w)"  # an app's secret, and whatever is as long without a break
)
"""An argument is suspected sooner than a message."""
_RANDOM: Final = re.compile(r"[\w|-]{20,}")
_CHANGES: Final = re.compile(r"(?<=[0-9])(?=[A-Za-z])|(?<=[A-Za-z])(?=[0-9])")
_LONG: Final = 8  # a secret of so many characters does not appear in a message by chance
_SHORTEST_PART: Final = 4
_VARIABLES: Final = (
    *("WA_ACCESS_TOKEN", "WA_APP_SECRET", "WA_WEBHOOK_SECRET", "WA_WEBHOOK_URL", "WA_NOTIFY", "WA_VERIFY_TOKEN"),
)
"""The environment variables that hold secrets."""
_LARGEST_FILE: Final = 65536  # bytes


@contextmanager
def hiding(arguments: Sequence[str]) -> Generator[None]:
    """Let no message show a secret while a command runs with these arguments."""
    before = _hidden.set(tuple(dict.fromkeys(_secrets(arguments))))
    try:
        yield
    finally:
        _hidden.reset(before)


def without_secrets(text: str) -> str:
    """Hide each secret in a message, and all that looks like an access token."""
    secrets = _hidden.get()
    shown = redact(text, secrets) if secrets else text
    return _ACCESS_TOKEN.sub(HIDDEN, str(shown))


def _secrets(arguments: Sequence[str]) -> Iterator[Secret]:
    given = [*arguments, os.environ.get("WA_API_VERSION", ""), os.environ.get("WA_BASE_URL", "")]
    for secret in _configured(arguments):
        # A short one may be a word of ours. It is hidden if it was given as an argument too.
        if len(secret) >= _LONG or any(secret in value for value in given):
            yield from _spellings(secret)
    for value in given:
        for suspect in _suspects(value):
            yield from _spellings(suspect)


def _configured(arguments: Sequence[str]) -> Iterator[Secret]:
    """Yield the secrets with which the command works."""
    for name in _VARIABLES:
        yield from filter(None, [conceal(conceal(os.environ.get(name)).strip())])
    for option, value in itertools.pairwise([*arguments, ""]):
        name, _, joined = option.partition("=")
        if name in {"--webhook-url", "--notify"} or (
            name == "--registrations" and re.match("[a-z]+://.*@", joined or value)
        ):
            yield from filter(None, [Secret(joined or value)])
        if name in {"--token-file", "--app-secret-file", "--webhook-secret-file", "--verify-token-file"}:
            yield from filter(None, [_content(Path(joined or value))])


def _content(file: Path) -> Secret:
    """The content of a small file. A pipe is left alone: it can be read only once."""
    try:
        if file.is_file() and file.stat().st_size < _LARGEST_FILE:
            return conceal(file.read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        pass  # the command itself says what is wrong with it
    return Secret()


def _suspects(value: str) -> Iterator[str]:
    """Yield what looks like a token or a secret in an argument.

    Those without a known beginning are long, and letters and digits take turns in them. Names, ids and words differ in
    that. The parts of paths and addresses do not always, so they are no suspects.
    """
    yield from _LIKE_A_TOKEN.findall(value)
    if "/" not in value:
        yield from (text for text in _RANDOM.findall(value) if len(_CHANGES.findall(text)) >= 4)


def _spellings(secret: str) -> Iterator[Secret]:
    """Yield a secret as messages may repeat it: without regard to the case, or cut at what separates values."""
    for part in {secret, *re.split("[=,]", secret)}:
        if part == secret or len(part) >= _SHORTEST_PART:
            yield from map(Secret, (part, part.lower(), part.upper()))
