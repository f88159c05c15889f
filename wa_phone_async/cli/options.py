"""What the options of several commands mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from wa_phone_async import ALL_FIELDS, Filter, InvalidArgumentError
from wa_phone_async.query import ChosenFields

from .connection import Connection

DEFAULT_FIELDS: Final = (
    "id",
    "display_phone_number",
    "verified_name",
    "status",
    "quality_rating",
    "messaging_limit_tier",
    "account_mode",
    "code_verification_status",
)
"""The fields without `--fields`. `status` is one of them, since the API leaves it out by default. Meta's reference and
the live service know all of them today. The client leaves out one that a server does not have."""


def accounts_to_read(
    waba_ids: Sequence[str], connection: Connection, *, sample: Literal["small", "large"]
) -> Sequence[str]:
    """The accounts that are given, or one of the sandbox.

    Args:
        waba_ids: The ids on the command line.
        connection: The options that say whether there is a sandbox.
        sample: The sandbox's account for a command without ids: the one of 3 numbers, or the one of 250.

    Raises:
        InvalidArgumentError: There is neither an id nor a sandbox.
    """
    if waba_ids:
        return waba_ids
    if not connection.sandbox:
        raise InvalidArgumentError("WABA_ID", "given, or --sandbox to try it")
    from wa_phone_async.sandbox import LARGE_WABA, SMALL_WABA  # noqa: PLC0415 - a web server, which few commands need

    return (SMALL_WABA if sample == "small" else LARGE_WABA,)


def parse_fields(fields: str | None) -> str:
    """The fields to request, from the option `--fields`."""
    if fields is None:
        return ChosenFields(",".join(DEFAULT_FIELDS))
    return ",".join(ALL_FIELDS) if fields == "all" else fields


def parse_filter(text: str) -> Filter:
    """A condition, from `FIELD=VALUE`."""
    field, equals, value = text.partition("=")
    if not equals:
        raise InvalidArgumentError("--filter", "FIELD=VALUE, such as account_mode=LIVE", text)
    return Filter(field, {"true": True, "false": False}.get(value.lower(), value))
