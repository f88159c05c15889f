"""Pages of accounts that come with the numbers of each: Graph's *field expansion*.

    {"data": [{"id": "1", "name": "Shop", "phone_numbers": {"data": […], "paging": {…}}}], "paging": {…}}

What an account holds under `phone_numbers` is the first page of its list. Meta's guide "Field expansion", and a pasted
live response to `/{waba}?fields=id,name,phone_numbers`, read 2026-11-28. The guide names 25 rows as the default of a
nested page, and a `next` link where there are more.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import attrs

from wa_phone_async.call.response import Reader
from wa_phone_async.decoding.converter import plain_accounts_reader, read_json, read_model
from wa_phone_async.decoding.large_page import read_large_page
from wa_phone_async.decoding.plain_page import LARGE_PAGE
from wa_phone_async.errors import DecodeError
from wa_phone_async.models import NO_EXTRA, BusinessAccount, PhoneNumber

from .page import RawPage, page_reader, paging_of, read_page, read_paging


@attrs.define(on_setattr=attrs.setters.NO_OP)  # made for each account; frozen takes three times as long
class ExpandedAccount:
    """An account, and the first page of its numbers."""

    id: str
    name: str | None
    numbers: RawPage[PhoneNumber] | None = None
    """`None`: it came without, or they are invalid."""
    is_invalid: bool = False
    """Whether they are invalid."""
    seconds: float = 0.0
    """How long the call took that brought them."""


@attrs.define(kw_only=True, on_setattr=attrs.setters.NO_OP)
class ExpandedPage(RawPage[ExpandedAccount]):
    """A page of accounts."""

    size: int
    """Bytes of the response, decompressed. 0: they are few."""


@functools.cache
def expanded_page_reader() -> Reader[RawPage[ExpandedAccount]]:
    """Return the reader of such pages: by the fast path where it can, and else by the core path.

    An account whose numbers are invalid spoils no other: see `ExpandedAccount.numbers`.
    """
    read_fast, read_numbers = plain_accounts_reader(), page_reader(PhoneNumber).read_bytes

    def read(payload: Any, http_status: int) -> ExpandedPage:
        members = cast("dict[str, Any]", payload) if isinstance(payload, dict) else {}
        if not isinstance(members.get("data"), list):
            raise DecodeError("expected an array @ $.data", http_status=http_status)
        return page_of({**members, "data": _read_rows(members["data"], http_status=http_status)}, http_status, 0)

    def read_bytes(body: bytes, http_status: int) -> ExpandedPage | None:
        plain = None if read_fast is None else read_fast(body)
        if plain is not None:
            rows = [account_of(*row, http_status) for row in plain.rows]
            paging = paging_of(plain.before, plain.after, plain.next, plain.previous)
            return ExpandedPage(rows=rows, paging=paging, extra=NO_EXTRA, size=len(body))
        if len(body) <= LARGE_PAGE:
            return None
        members = read_large_page(body, partial(_read_rows, http_status=http_status), http_status=http_status)
        return None if members is None else page_of(members, http_status, len(body))

    def page_of(members: dict[str, Any], http_status: int, size: int) -> ExpandedPage:
        paging = read_paging(members.get("paging"), http_status=http_status)
        return ExpandedPage(rows=members["data"], paging=paging, extra=NO_EXTRA, size=size)

    def account_of(waba_id: str, name: str | None, page: bytes | None, http_status: int) -> ExpandedAccount:
        if page is None:
            return ExpandedAccount(waba_id, name)
        numbers = None if read_numbers is None else read_numbers(page, http_status)
        if numbers is None:
            return _with_numbers(waba_id, name, read_json(page), http_status)
        return ExpandedAccount(waba_id, name, numbers)

    return Reader(read, read_bytes)


def _read_rows(rows: Iterable[object], *, http_status: int) -> list[ExpandedAccount]:
    """Read accounts. The first invalid one ends it: there is no reason to read on."""
    accounts: list[ExpandedAccount] = []
    for index, row in enumerate(rows):
        head, payload = row, None
        if isinstance(row, dict):
            head = dict(cast("dict[str, Any]", row))
            payload = head.pop("phone_numbers", None)
        account = read_model(head, BusinessAccount, http_status=http_status, path=f"$.data[{index}]")
        accounts.append(_with_numbers(account.id, account.name, payload, http_status))
    return accounts


def _with_numbers(waba_id: str, name: str | None, payload: Any, http_status: int) -> ExpandedAccount:
    if payload is None:
        return ExpandedAccount(waba_id, name)
    try:
        return ExpandedAccount(waba_id, name, read_page(payload, PhoneNumber, http_status=http_status))
    except DecodeError:
        return ExpandedAccount(waba_id, name, is_invalid=True)
