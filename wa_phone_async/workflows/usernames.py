"""Usernames: what the responses about them say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import attrs

from wa_phone_async.call.writes import Write
from wa_phone_async.decoding.converter import read_model
from wa_phone_async.models import BusinessUsername


def read_claim(payload: object, write: Write, *, waba_id: str | None) -> BusinessUsername:
    """Read the response to a claim, which has a `status` (Kapso's page on usernames, read 2026-11-28).

    Args:
        payload: The response.
        write: The claim.
        waba_id: The account that was written to, if it is known.

    Raises:
        OutcomeUnknownError: The response does not say whether the claim has happened.
    """
    members = cast("dict[str, Any]", payload)
    if not isinstance(members.get("status"), str) and members.get("success") is not True:
        del payload, members  # a response may echo the token, and a traceback shows local variables
        error = write.outcome_unknown("the response does not say whether it happened", waba_id=waba_id)
        error.attempts = 1
        raise error
    claimed = read_model(payload, BusinessUsername)
    return attrs.evolve(claimed, username=claimed.username or write.body["username"])


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
