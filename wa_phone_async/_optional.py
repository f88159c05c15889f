"""One file for each optional package, and `Extra`, which says what to install where one is missing."""

from __future__ import annotations


class Extra:
    """An extra, in whose block its packages are imported: `with Extra("otel"): from opentelemetry import trace`.

    Args:
        name: The extra's name.
        error: The class of the error, whose text is one sentence with the line that installs the extra.
    """

    def __init__(self, name: str, *, error: type[Exception] = ImportError) -> None:
        self._name = name
        self._error = error

    def __enter__(self) -> None:
        """There is nothing to begin."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, ImportError) and str(error.name).partition(".")[0] != "wa_phone_async":
            text = f'this needs the extra "{self._name}": python -m pip install "wa_phone_async[{self._name}]"'
            raise self._error(text) from error
