"""Usernames: the suggestions that Meta keeps for a number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast


def read_suggestions(payload: object) -> list[str]:
    """Read the usernames of a response, each once: `{"data": [{"username_suggestions": ["acme", "acme.shoes"]}]}`.

    Kapso's page on usernames, and the types of the JavaScript SDK `meta-cloud-api`, read 2026-11-28. What has another
    form counts as no suggestion.
    """
    names = (
        name for row in _items(payload, "data") for name in _items(row, "username_suggestions") if isinstance(name, str)
    )
    return list(dict.fromkeys(names))


def _items(value: object, member: str) -> Iterator[object]:
    """Yield the items of a list in an object."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).get(member)
        if isinstance(items, list):
            yield from cast("list[object]", items)
