"""Verify tokens for the command line: from a file, from the environment, or typed. Never from an argument."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.redaction import Secret, conceal, hide_queries

from .connection import read_secret_file
from .terminal.output import reason
from .terminal.prompt import NoInputError, prompting

SANDBOX_VERIFY_TOKEN: Final = Secret("sandbox")
"""The verify token where none is sent to Meta: with `--sandbox`, and in a dry run."""
_EXPECTED: Final = "a file with a URL and its verify token in each line, or a JSON object of them"


async def read_verify_token(file: Path | None, url: str) -> Secret:
    """Read the verify token of a URL: from its file, from `WA_VERIFY_TOKEN`, or from the person at the terminal.

    Raises:
        InvalidArgumentError: There is none.
    """
    token = _given(file)
    if token is not None:
        return token
    with prompting() as prompt:
        if prompt.is_terminal:
            try:
                return await prompt.read(f"Verify token of {hide_queries(url)}: ")
            except NoInputError:
                pass
    hint = "Meta requests the URL with it before it accepts the URL"
    raise InvalidArgumentError("--verify-token-file or WA_VERIFY_TOKEN", "given", hint=hint)


def read_verify_tokens(file: Path | None, file_of_each: Path | None) -> Secret | Mapping[str, Secret] | None:
    """Read the verify token for all URLs, or those of each. `None`: none is given.

    Raises:
        InvalidArgumentError: Both are given, or a file is invalid. The text shows no line of it.
    """
    if file_of_each is None:
        return _given(file)
    if file is not None:
        raise InvalidArgumentError("--verify-token-file", "left out where --verify-tokens is given")
    content, problem = Secret(), "it is not text"
    try:
        content = conceal(file_of_each.read_text(encoding="utf-8-sig"))
        return dict(_pairs(content))
    except OSError as error:
        problem = reason(error)
    except _InvalidLineError as error:
        problem = f"line {error.args[0]} is none" if error.args else "its JSON is none"
    except ValueError:
        pass
    raise InvalidArgumentError(f"--verify-tokens {file_of_each}", _EXPECTED, hint=problem)


def _given(file: Path | None) -> Secret | None:
    if file is not None:
        return read_secret_file("--verify-token-file", file)
    return conceal(os.environ.get("WA_VERIFY_TOKEN")) or None


class _InvalidLineError(Exception):
    """A line of the file is invalid. It has the number of the line."""


def _pairs(content: Secret) -> Iterable[tuple[str, Secret]]:
    if content.lstrip().startswith("{"):
        members: Any = json.loads(content)
        if not all(isinstance(token, str) for token in members.values()):
            raise _InvalidLineError
        return [(url, conceal(token)) for url, token in members.items()]
    pairs = list[tuple[str, Secret]]()
    for number, row in enumerate(csv.reader(content.splitlines(), skipinitialspace=True), 1):
        if not row or row[0].startswith("#") or (number == 1 and row[0].lower() == "url"):
            continue
        if len(row) != 2 or not row[0].startswith("https://"):
            raise _InvalidLineError(number)
        pairs.append((row[0].strip(), conceal(row[1].strip())))
    return pairs
