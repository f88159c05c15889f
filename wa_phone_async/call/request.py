"""A request as a value, and `amend`: the request to send instead after an API error that says what to change.

The live service differs from Meta's reference in a few places (`Dialect`), and some API errors name their own remedy.
Sending an amended request is no retry: the request is another one. Each cause is remedied once.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from types import EllipsisType
from typing import Final, Literal, cast
from urllib.parse import quote

import attrs

from wa_phone_async.errors import (
    AuthenticationError,
    GraphAPIError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from wa_phone_async.query import DEFAULT_PAGE_SIZE, Sort, without_fields
from wa_phone_async.redaction import Secret

from .error_codes import INVALID_PARAMETER, NO_SUCH_OBJECT
from .missing_fields import OUTSIDE_REFERENCE, all_missing, is_of_another_node
from .writes import Write

_REGISTRATION: Final = re.compile(r"[0-9]+/(?:de)?register")


@attrs.frozen
class Dialect:
    """What a session has learned about its server."""

    sort_spelling: Literal["live", "reference"] = "live"
    """How the server spells a `Sort`: live `creation_time_descending`, in the reference `creation_time.desc`."""
    missing_fields: frozenset[str] = frozenset()
    """Fields of `ALL_FIELDS` that the server does not have."""

    def spell(self, sort: str) -> str:
        """A sort order as the server spells it. A text that is no `Sort` is the caller's own, and stays as it is."""
        if self.sort_spelling == "reference" or not isinstance(sort, Sort):
            return str(sort)
        field, _, direction = sort.partition(".")
        return f"{field}_{direction}ending"

    def learn(self, request: GraphRequest) -> Dialect:
        """The dialect that an amended request has proved, once it has succeeded."""
        spelling = request.dialect.sort_spelling if "sort" in request.amended else self.sort_spelling
        # A guess is right for this account only: another one may have the fields.
        learned = frozenset[str]() if _GUESSED_FIELDS in request.amended else request.dialect.missing_fields
        return Dialect(spelling, self.missing_fields | learned)


@attrs.define(kw_only=True, on_setattr=attrs.setters.NO_OP)  # made for each page; frozen takes three times as long
class GraphRequest:
    """One request to the API, without its token, host and version."""

    path: str
    """The path below the version: `1234/phone_numbers`."""
    params: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """The query parameters. The dialect spells a `Sort` among them."""
    write: Write | None = None
    """What it writes; `None` for a read."""
    waba_id: str | EllipsisType | None = ...
    """The account whose token and quota it uses; default: the id at the head of the path. `None`: no account. Then the
    token is that of the id at the head of the path, and only the app's quota counts."""
    dialect: Dialect = Dialect()
    """How it is spelled."""
    inspects_token: bool = False
    """Whether its URL has the access token as `input_token` too, as `debug_token` requires."""
    optional_fields: frozenset[str] = frozenset()
    """The fields that may be left out if the server does not have them."""
    is_divisible: bool = False
    """Whether a request for fewer rows replaces its retries. Then a retry follows only where no such request helps."""
    amended: frozenset[str] = frozenset()
    """The causes that are remedied already."""
    sort_error: GraphAPIError | None = attrs.field(default=None, eq=False, repr=False)
    """The error for which the sort order was spelled in the other way. It is the one to raise if that fails too."""

    # Derived here once: each call needs them several times.
    node_id: str = attrs.field(init=False, eq=False, repr=False)
    """The id at the head of the path."""
    token_id: str = attrs.field(init=False, eq=False, repr=False)
    """The id whose token it carries: that of the account, if one is named."""
    quota_id: str | None = attrs.field(init=False, eq=False, repr=False)
    """The account whose quota it uses beside the app's; `None` if only the app's counts."""
    method: Literal["GET", "POST", "DELETE"] = attrs.field(init=False, eq=False, repr=False)
    """The HTTP method."""

    def __attrs_post_init__(self) -> None:
        self.node_id = node_id = self.path.partition("/")[0]
        self.token_id = self.waba_id if isinstance(self.waba_id, str) else node_id
        self.quota_id = node_id if self.waba_id is ... else self.waba_id
        self.method = "GET" if self.write is None else self.write.method

    @property
    def is_write(self) -> bool:
        """Whether it changes something: then a retry might do it twice."""
        return self.write is not None

    @property
    def is_counted(self) -> bool:
        """Whether the API counts each attempt, as it counts guesses of a code."""
        return self.write is not None and (self.write.is_counted or self.is_registration)

    @property
    def is_registration(self) -> bool:
        """Whether it registers or deregisters a number. Meta allows ten of them in 72 hours."""
        return self.write is not None and bool(_REGISTRATION.fullmatch(self.path))

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets in its body. No error may show them, even if the API echoes them."""
        return () if self.write is None else tuple(_secrets_in(self.write.body))

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def query_string(self) -> str:
        """The parameters for the URL, percent-encoded."""
        params = self.params
        if "sort" in params:
            params = {**params, "sort": self.dialect.spell(params["sort"])}
        if left_out := self.optional_fields & self.dialect.missing_fields:
            params = {**params, "fields": without_fields(params["fields"], left_out)}
        return "&".join([f"{_encoded(name)}={_encoded(str(value))}" for name, value in params.items()])


def _secrets_in(value: object) -> Iterator[Secret]:
    """Yield the secrets in the body of a write, at any depth."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, Mapping):
        for each in cast("Mapping[str, object]", value).values():
            yield from _secrets_in(each)


@functools.lru_cache
def _encoded(text: str) -> str:
    """Percent-encode a name or a value. The cache saves two thirds of the time: only the cursor of a page is new."""
    return quote(text, safe="", errors="surrogatepass")  # JSON allows a lone surrogate in a cursor


def amend(request: GraphRequest, error: GraphAPIError) -> GraphRequest | None:
    """The request to send instead after an API error, or `None` if no change would avoid the error."""
    for rule in _RULES:
        if remedy := rule(request, error):
            cause, amended = remedy
            # The same cause again shows that its remedy did not help. Without this check, a rule could go on for ever,
            # as between the two spellings of a sort order.
            if cause not in request.amended:
                return attrs.evolve(amended, amended=request.amended | {cause})
    return None


def final_error(request: GraphRequest, error: GraphAPIError) -> GraphAPIError:
    """The error to raise after the last one, if no change avoids that.

    If the API rejected both spellings of a sort order, it is the first error, since that is about the request as it was
    meant. Trouble with the token, a quota or the server says nothing about the second spelling, so it is raised itself.
    """
    if request.sort_error is None or isinstance(error, AuthenticationError | RateLimitError | ServerError):
        return error
    request.sort_error.attempts = error.attempts
    return request.sort_error


_GUESSED_FIELDS: Final = "guessed fields"
"""The cause of an API error about fields that names none."""

_Remedy = tuple[str, GraphRequest] | None
"""The cause of an API error, and the request without it; `None` if a rule does not know the error."""


def _renew_token(request: GraphRequest, error: GraphAPIError) -> _Remedy:
    """A rejected token: the same request, for which the token provider gives a new one.

    If the provider gives the rejected token again, the session raises its error without sending it. A transient error
    says nothing about the token: a retry is its remedy.
    """
    return ("token", request) if isinstance(error, AuthenticationError) and not error.is_transient else None


def _leave_out_fields(request: GraphRequest, error: GraphAPIError) -> _Remedy:
    """Leave out the fields that the server does not have. Each one that an error names is its own cause."""
    if isinstance(error, PermissionDeniedError | RateLimitError):
        return None
    # A field that the caller chose is not optional, and not ours to leave out.
    missing = request.optional_fields.intersection(error.missing_fields) - request.dialect.missing_fields
    if not missing:
        return None
    cause = _GUESSED_FIELDS if error.missing_fields == OUTSIDE_REFERENCE else f"fields {','.join(sorted(missing))}"
    known = request.dialect.missing_fields | all_missing(missing)
    return cause, attrs.evolve(request, dialect=attrs.evolve(request.dialect, missing_fields=known))


def _respell_sort(request: GraphRequest, error: GraphAPIError) -> _Remedy:
    """`Cannot sort by last_onboarded_time.desc_ascending`: use the other spelling (measured 2026-09-09).

    Other servers say it in other words, some with HTTP 422. So any invalid parameter may be the sort order, but for an
    id that is not that of an account.
    """
    is_of_id = error.error_subcode == NO_SUCH_OBJECT or is_of_another_node(error.message)
    # A text that is no `Sort` is the caller's own, and not ours to change.
    if error.code != INVALID_PARAMETER or is_of_id or not isinstance(request.params.get("sort"), Sort):
        return None
    other: Literal["live", "reference"] = "reference" if request.dialect.sort_spelling == "live" else "live"
    dialect = attrs.evolve(request.dialect, sort_spelling=other)
    return "sort", attrs.evolve(request, dialect=dialect, sort_error=error)


def _halve_limit(request: GraphRequest, error: GraphAPIError) -> _Remedy:
    """`Please reduce the amount of data`: request half as many rows. Only a smaller page helps.

    Half may still be too much, so each limit is a cause of its own.
    """
    limit = str(request.params.get("limit", DEFAULT_PAGE_SIZE))
    is_list = "/" in request.path  # a single node has no pages
    has_no_half = request.is_write or not is_list or not limit.isdecimal() or int(limit) < 2
    if has_no_half or request.is_divisible or not error.needs_smaller_page:
        return None
    return f"limit {limit}", attrs.evolve(request, params={**request.params, "limit": str(int(limit) // 2)})


_RULES: Final[tuple[Callable[[GraphRequest, GraphAPIError], _Remedy], ...]] = (
    _renew_token,
    _leave_out_fields,  # before the sort order: an error that names a field is not about that
    _respell_sort,
    _halve_limit,
)
