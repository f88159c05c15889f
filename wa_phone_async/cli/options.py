"""What the options of several commands mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.models import ALL_FIELDS, DEFAULT_FIELDS
from wa_phone_async.query import Filter, Sort, Verbatim, read_fields

from .connection import Connection
from .terminal.writers import Format


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


Form: TypeAlias = Annotated[Format, Parameter(name="--format", metavar="FORMAT")]
"""The option for the format of rows."""

NoCheck: TypeAlias = Annotated[bool, Parameter(name="--no-check", negative=(), show_default=False)]
"""The option that sends fields, filters and orders as they are."""


OfWaba: TypeAlias = Annotated[
    str | None,
    Parameter(name="--waba", metavar="ID", help="Account of the number: its token is used, and its quota counts."),
]
"""The option that names the account of a number."""


def parse_fields(fields: str | None, *, check: bool) -> str:
    """The fields to request, from the option `--fields`. With `check`, a typing error is an error."""
    if fields is None:
        return ",".join(DEFAULT_FIELDS)
    if fields.strip().lower() == "all":
        return ",".join(ALL_FIELDS)
    return read_fields(fields if check else Verbatim(fields))


def parse_filter(text: str, *, check: bool) -> Filter:
    """A condition, from `FIELD=VALUE`. With `check`, a typing error is an error."""
    field, equals, value = text.partition("=")
    if not equals:
        raise InvalidArgumentError("--filter", "FIELD=VALUE, such as account_mode=LIVE", text)
    return Filter(field, {"true": True, "false": False}.get(value.lower(), value), check=check)


def parse_sort(sort: str | None, *, check: bool) -> str | None:
    """An order, from the option `--sort`. With `check`, a typing error is an error when the list is requested."""
    if sort is None or sort in set(Sort):
        return None if sort is None else Sort(sort)
    if not check:
        return Verbatim(sort)
    return Sort(sort.lower()) if sort.lower() in set(Sort) else sort
