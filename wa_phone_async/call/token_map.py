"""`TokenMap`: a token for each account, from a mapping or a file. Partners hold one token for each client."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, NoReturn, Self, cast

from wa_phone_async.checks import plain_id, read_secret
from wa_phone_async.errors import InvalidArgumentError, MissingTokenError
from wa_phone_async.redaction import Secret, SecretBytes, conceal

_EXPECTED: Final = "a file with WABA ids and their tokens, as CSV or JSON"
_DELIMITERS: Final = ";\t,"  # the first one in a line
_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class _Entry(NamedTuple):
    """What a line or an object says. An id or a token that is not there is empty."""

    place: str
    """Where it is, such as `line 3`."""
    waba_id: Secret
    """A secret, too: a token may stand in its place by mistake."""
    token: Secret


class TokenMap:
    """The tokens of many accounts. Pass it as `access_token=`: each call gets the token of its account.

        tokens = TokenMap.from_file("tokens.csv")
        async with PhoneNumberClient(tokens) as client:
            listings = await client.list_many(tokens.waba_ids)

    An id that is not in the map gets the common token, such as the id of a business. So does the id of a number: name
    its account with `waba_id=`. Without a common token, the call raises a `MissingTokenError`, and sends nothing.

    Nothing shows the tokens. The map does not change: to change a token, make a new map.

    Args:
        tokens: The token of each account, by its WABA id.
        default: The common token, for all other ids; `None` for none.

    Raises:
        InvalidArgumentError: An id or a token is invalid. The text shows neither.
    """

    def __init__(self, tokens: Mapping[str, str] | Mapping[int, str], default: str | None = None) -> None:
        # First of all: a traceback would show the bare tokens among the local variables.
        default = None if default is None else conceal(default)
        kind = type(tokens)
        entries = list(map(_entry_of, tokens.items())) if isinstance(tokens, Mapping) else None
        tokens = {}
        if entries is None:
            raise InvalidArgumentError("tokens", "a mapping of WABA ids to tokens", kind)
        self._fill(entries, default, None)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], default: str | None = None) -> Self:
        """Read the tokens from a file that only you can read: `chmod 600 tokens.csv`.

        CSV has a WABA id and a token in each line. A header may name the columns `waba_id` and `token`; then their
        order is free, and there may be others. Empty lines, and lines that begin with `#`, are skipped. JSON is an
        object of tokens by WABA id, or a list of objects with `waba_id` and `token`.

        An account may come twice with the same token, and not with two tokens. On Windows, the access of others is not
        checked, since Windows keeps it elsewhere.

        Args:
            path: The file.
            default: The common token, for all other ids; `None` for none.

        Raises:
            InvalidArgumentError: The file cannot be read, others can read it, it has no account, or a line is invalid.
                The text names the line, and does not show it.
        """
        default = None if default is None else conceal(default)
        name = os.fsdecode(path)
        self = cls.__new__(cls)
        self._fill(_entries_in(_text_of(name), name), default, name)
        if not self._tokens:
            _reject(name, "it has no account")
        return self

    def _fill(self, entries: Iterable[_Entry], default: Secret | None, filename: str | None) -> None:
        self._filename = filename
        self._tokens = dict[str, Secret]()
        self._default = None if default is None else read_secret("default", default)
        places = dict[str, str]()
        for place, waba_id, token in entries:
            where = f"{place} of {'tokens' if filename is None else filename}"
            if not re.fullmatch("[0-9]+", waba_id):
                raise InvalidArgumentError(where, "a WABA id, which has only digits, and its token")
            token = read_secret(f"the token in {where}", token)  # noqa: PLW2901 - a traceback shows no other one
            known = self._tokens.setdefault(str(waba_id), token)
            first = places.setdefault(waba_id, place)
            if known != token:
                raise InvalidArgumentError(where, "about another account", hint=f"{first} has another token for it")

    @property
    def waba_ids(self) -> tuple[str, ...]:
        """The accounts that have a token of their own, in the order of the file."""
        return tuple(self._tokens)

    def __len__(self) -> int:
        """The number of accounts that have a token of their own."""
        return len(self._tokens)

    def __contains__(self, waba_id: object) -> bool:
        """Whether an account has a token of its own."""
        return plain_id(waba_id) in self._tokens

    def __call__(self, node_id: str, rejected: str | None = None) -> str:
        """Return the token for an id. A client calls this for each attempt.

        Args:
            node_id: The account that the call names, or the id at the head of its path.
            rejected: The token that the API has just rejected. There is no other one, so it is returned again.

        Raises:
            MissingTokenError: There is neither a token for the id nor a common one.
        """
        del rejected
        token = self._tokens.get(node_id, self._default)
        if token is None:
            raise MissingTokenError(node_id, self._filename)
        return token

    def __repr__(self) -> str:
        has = vars(self)  # empty if a traceback shows the map while it is made
        source = "" if has.get("_filename") is None else f" from {has['_filename']}"
        return f"<{type(self).__name__}: tokens of {len(has.get('_tokens', ())):,} accounts{source}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a TokenMap holds tokens and cannot be pickled or copied: make one in each process")


def _reject(name: str, problem: str) -> NoReturn:
    # A token may stand in the place of its file.
    given = () if re.match(r"EAA|[\w|-]{20,}$", name) else (Path(name),)
    raise InvalidArgumentError("path", _EXPECTED, *given, hint=problem)


def _entry_of(pair: tuple[object, object]) -> _Entry:
    return _Entry("an entry", conceal(plain_id(pair[0])), conceal(pair[1]))


# --- files


def _text_of(name: str) -> Secret:
    """Read a file that only its owner can read."""
    problem, content = "", SecretBytes()
    try:
        with Path(name).open("rb") as file:
            # Of the open file: another one may have the name by now.
            mode = os.fstat(file.fileno()).st_mode
            if os.name != "nt" and mode & _OF_OTHERS:
                problem = f"other users may read or change it, so run: chmod 600 {shlex.quote(name)}"
            else:
                content = SecretBytes(file.read())
    except (OSError, ValueError) as error:  # `ValueError`: the name has a character that no name has
        problem = getattr(error, "strerror", None) or "it cannot be opened"
    if problem:
        _reject(name, problem)
    try:
        return Secret(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:  # it holds the content, so no error may have it as its context
        line = content.count(b"\n", 0, error.start) + 1
    _reject(name, f"line {line} is not UTF-8 text")


def _entries_in(text: Secret, name: str) -> Iterator[_Entry]:
    if text.lstrip()[:1] not in {"{", "["}:  # no id begins with a bracket
        return _entries_of_csv(text)
    entries = _entries_of_json(text)
    return _reject(name, entries) if isinstance(entries, str) else iter(entries)


def _entries_of_csv(text: Secret) -> Iterator[_Entry]:
    columns, are_named = (0, 1), False
    is_header_possible = True
    for number, line in enumerate(map(Secret, re.split("\r\n|\r|\n", text)), 1):
        if not line.strip() or line.lstrip().startswith("#") or re.fullmatch("sep=.", line, re.IGNORECASE):
            continue  # Excel writes `sep=;`
        cells = _cells(line)
        if is_header_possible:
            is_header_possible = False
            names = [re.sub(r"[\W_]", "", cell.casefold()) for cell in cells]
            if "wabaid" in names and "token" in names:
                columns, are_named = (names.index("wabaid"), names.index("token")), True
                continue
        is_complete = len(cells) > max(columns) if are_named else len(cells) == len(columns)
        waba_id, token = (cells[column] if is_complete else Secret() for column in columns)
        yield _Entry(f"line {number}", waba_id, token)


def _cells(line: Secret) -> list[Secret]:
    """The values of a line of CSV. There are none if a quote in it is not closed."""
    delimiter = next((each for each in _DELIMITERS if each in line), ",")
    try:
        row = csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True)
        return [conceal(plain_id(cell)) for cell in next(row)]
    except csv.Error:
        return []


class _Object(list[tuple[str, object]]):
    """The members of a JSON object. A dictionary would hide that an id comes twice."""


def _entries_of_json(text: Secret) -> list[_Entry] | str:
    """The entries, or what is wrong. It raises nothing: a traceback would show what was read so far."""
    try:
        read: object = json.loads(text, object_pairs_hook=_Object)
    except (ValueError, RecursionError) as error:
        return f"line {error.lineno} is not JSON" if isinstance(error, json.JSONDecodeError) else "it is not JSON"
    members = read if isinstance(read, _Object) else map(_member_of, cast("list[object]", read))
    return [
        _Entry(f"entry {number}", conceal(plain_id(waba_id)), conceal(token))
        for number, (waba_id, token) in enumerate(members, 1)
    ]


def _member_of(row: object) -> tuple[object, object]:
    found = dict(row) if isinstance(row, _Object) else {}
    return found.get("waba_id"), found.get("token")
