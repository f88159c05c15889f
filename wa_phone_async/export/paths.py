"""Paths as callers give them."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from wa_phone_async import InvalidArgumentError

AnyPath: TypeAlias = str | PathLike[str]


def read_path(path: AnyPath, argument: str = "path") -> Path:
    """A path that the system takes. Whether there is such a file, and whether its name is too long, is not known yet.

    Args:
        path: The path.
        argument: What the error calls it.

    Raises:
        InvalidArgumentError: It is no path, or holds what no name of a file can hold.
    """
    try:
        text: Any = os.fspath(path)
    except TypeError:
        text = None
    if not isinstance(text, str):
        kind: type[Any] = type(path)
        raise InvalidArgumentError(argument, "a string or a Path", kind)
    if "\0" in text:
        raise InvalidArgumentError(argument, "a path without NUL characters", text)
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise InvalidArgumentError(argument, "a path in the encoding of the file system", text) from None
    return Path(text)
