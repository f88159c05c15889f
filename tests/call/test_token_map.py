"""`TokenMap`: a token for each account, from a program or a file that others cannot read."""

import asyncio
import copy
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clients import serving
from hypothesis import given
from hypothesis import strategies as st
from secrecy import everything_shown

from wa_phone_async import AuthenticationError, InvalidArgumentError, MissingTokenError, TokenMap
from wa_phone_async.redaction import Secret
from wa_phone_async.sandbox import BUSINESS_ID, EMPTY_WABA, LARGE_WABA, SMALL_WABA

A, B, COMMON = "EAAcanaryOfAnna0Zk9", "EAAcanaryOfBert0Zk9", "EAAcanaryOfAll0Zk9"
ONE, TWO = "102290129340398", "102290129340399"


@pytest.fixture
def save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | bytes], str]:
    """Save a file that only its owner can read."""
    monkeypatch.chdir(tmp_path)

    def save(content: str | bytes) -> str:
        file = Path("tokens.csv")
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(0o600)
        return str(file)

    return save


# --- what a map gives


def test_each_account_has_its_token_and_all_others_have_the_common_one() -> None:
    both: dict[Any, str] = {ONE: A, int(TWO): f" {B}\n"}
    tokens = TokenMap(both, COMMON)
    assert [tokens(node_id, None) for node_id in (ONE, TWO, "7")] == [A, B, COMMON]
    assert {type(tokens(node_id)) for node_id in (ONE, "7")} == {Secret}
    assert (len(tokens), tokens.waba_ids, ONE in tokens, int(TWO) in tokens, "7" in tokens) == (
        2,
        (ONE, TWO),
        True,
        True,
        False,
    )
    assert tokens(ONE, A) == A


@pytest.mark.parametrize("is_file", [False, True])
def test_an_account_without_a_token_is_an_error_of_its_own(save: Callable[[str], str], *, is_file: bool) -> None:
    tokens = TokenMap.from_file(save(f"{ONE},{A}\n")) if is_file else TokenMap({ONE: A})
    with pytest.raises(MissingTokenError) as caught:
        tokens(TWO, None)
    source = "tokens.csv" if is_file else "the TokenMap"
    assert str(caught.value) == (
        f"no token for {TWO} in {source}, and no common token: nothing was sent. Add a token for this account. For a "
        "number, name its account with waba_id="
    )
    assert (caught.value.waba_id, caught.value.filename) == (TWO, "tokens.csv" if is_file else None)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), vars(again)) == (str(caught.value), vars(caught.value))


# --- files

FILES = {
    "csv": f"{ONE},{A}\n{TWO},{B}\n",
    "no line break at the end": f"{ONE},{A}\n{TWO},{B}",
    "BOM and CRLF": f"\ufeff{ONE},{A}\r\n{TWO},{B}\r\n",
    "line breaks of an old Mac": f"{ONE},{A}\r{TWO},{B}\r",
    "blanks, empty lines and comments": f"# of clients\n\n  {ONE} , {A}  \n \n{TWO},   {B}\n\n",
    "quotes": f'"{ONE}","{A}"\n"{TWO}", "{B}"\n',
    "header": f"waba_id,token\n{ONE},{A}\n{TWO},{B}\n",
    "header in another order, with more columns": (
        f'Client,Token,WABA ID,Since\n"Acme, Ltd",{A},{ONE},2026\nBert,{B},{TWO},2026\n'
    ),
    "semicolons of a spreadsheet": f"sep=;\nwaba_id;token\n{ONE};{A}\n{TWO};{B}\n",
    "tabs": f"{ONE}\t{A}\n{TWO}\t{B}\n",
    "the same line twice": f"{ONE},{A}\n{TWO},{B}\n{ONE},{A}\n",
    "object": json.dumps({ONE: A, TWO: B}),
    "list": json.dumps([{"waba_id": ONE, "token": A}, {"token": B, "waba_id": int(TWO), "name": "Bert"}]),
    "JSON with a BOM": f"\ufeff\n {json.dumps({ONE: A, TWO: B}, indent=2)}",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_file_is_read(content: str, save: Callable[[str], str]) -> None:
    tokens = TokenMap.from_file(Path(save(content)), COMMON)
    assert {waba_id: tokens(waba_id) for waba_id in tokens.waba_ids} == {ONE: A, TWO: B}
    assert tokens("7") == COMMON
    assert repr(tokens) == "<TokenMap: tokens of 2 accounts from tokens.csv>"


NOT_A_FILE = "path must be a file with WABA ids and their tokens, as CSV or JSON, not tokens.csv: "
NO_LINE = " of tokens.csv must be a WABA id, which has only digits, and its token"
BAD_FILES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", f"{NOT_A_FILE}it has no account"),
    "blank": ("\ufeff\r\n\r\n", f"{NOT_A_FILE}it has no account"),
    "header alone": ("waba_id,token\n", f"{NOT_A_FILE}it has no account"),
    "no entry": ("{}", f"{NOT_A_FILE}it has no account"),
    "no UTF-8": (f"{ONE},{A}\n{TWO},".encode() + b"\xff\n", f"{NOT_A_FILE}line 2 is not UTF-8 text"),
    "UTF-16": (f"{ONE},{A}\n".encode("utf-16"), f"{NOT_A_FILE}line 1 is not UTF-8 text"),
    "no token": (f"{ONE},{A}\n\n{TWO}\n", f"line 3{NO_LINE}"),
    "empty token": (
        f"{ONE},{A}\n{TWO},\n",
        "the token in line 2 of tokens.csv must be a string that is not empty: give the one that Meta issued",
    ),
    "three columns": (f"{ONE},{A},{B}\n", f"line 1{NO_LINE}"),
    "columns in the wrong order": (f"{A},{ONE}\n", f"line 1{NO_LINE}"),
    "header that names no token": (f"waba_id,secret\n{ONE},{A}\n", f"line 1{NO_LINE}"),
    "second header": (f"{ONE},{A}\nwaba_id,token\n", f"line 2{NO_LINE}"),
    "short row": (f"name,waba_id,token\nAnna,{ONE},{A}\nBert,{TWO}\n", f"line 3{NO_LINE}"),
    "rounded": (f"1.02290129340398E+14,{A}\n", f"line 1{NO_LINE}"),
    "open quote": (f'{ONE},{A}\n{TWO},"{B}\n', f"line 2{NO_LINE}"),
    "two tokens": (
        f"# clients\n{ONE},{A}\n{TWO},{B}\n{ONE},{B}\n",
        "line 4 of tokens.csv must be about another account: line 2 has another token for it",
    ),
    "broken token": (
        f"{ONE},{A} {B}\n",
        "the token in line 1 of tokens.csv must be printable ASCII without blanks or line breaks: was it read whole?",
    ),
    "Bearer": (
        f"{ONE},Bearer {A}\n",
        "the token in line 1 of tokens.csv must be without 'Bearer' before it: the client sends that word itself",
    ),
    "no JSON": (f'{{\n"{ONE}": "{A}",\n"{TWO}": {B}}}', f"{NOT_A_FILE}line 3 is not JSON"),
    "nested": ("[" * 100_000, f"{NOT_A_FILE}it is not JSON"),
    "two tokens in an object": (
        f'{{"{ONE}": "{A}", "{ONE}": "{B}"}}',
        "entry 2 of tokens.csv must be about another account: entry 1 has another token for it",
    ),
    "tokens alone": (json.dumps([A, B]), f"entry 1{NO_LINE}"),
    "no token in a row": (
        json.dumps([{"waba_id": ONE, "token": A}, {"waba_id": TWO}]),
        "the token in entry 2 of tokens.csv must be a string that is not empty: give the one that Meta issued",
    ),
    "a number for a token": (
        json.dumps({ONE: 5}),
        "the token in entry 1 of tokens.csv must be a string that is not empty: give the one that Meta issued",
    ),
    "a float for an id": (json.dumps([{"waba_id": 1.5, "token": A}]), f"entry 1{NO_LINE}"),
}


@pytest.mark.parametrize(("content", "said"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_line_is_named_and_not_shown(content: str | bytes, said: str, save: Callable[[str | bytes], str]) -> None:
    file = save(content)
    with pytest.raises(InvalidArgumentError) as caught:
        TokenMap.from_file(file, COMMON)
    assert str(caught.value) == said
    assert_hidden(caught.value)


def assert_hidden(error: BaseException) -> None:
    """Search what a crash reporter shows, without the frame of the test."""
    error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
    assert error.__context__ is None
    assert "canary" not in "".join(everything_shown(error))


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps the access of others elsewhere")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666, 0o644])
def test_a_file_that_others_can_read_or_change_is_rejected(mode: int, save: Callable[[str], str]) -> None:
    file = Path(save(f"{ONE},{A}\n"))
    file.chmod(mode)
    with pytest.raises(InvalidArgumentError) as caught:
        TokenMap.from_file(file)
    assert str(caught.value) == f"{NOT_A_FILE}other users may read or change it, so run: chmod 600 tokens.csv"
    file.chmod(0o400)
    assert len(TokenMap.from_file(file)) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps the access of others elsewhere")
def test_the_open_file_is_checked_and_not_another_one_of_its_name(
    save: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path(save(f"{ONE},{A}\n"))
    file.chmod(0o644)
    fstat = os.fstat

    def replace_first(number: int) -> os.stat_result:
        file.unlink()
        save(f"{ONE},{B}\n")
        return fstat(number)

    monkeypatch.setattr(os, "fstat", replace_first)
    with pytest.raises(InvalidArgumentError, match="chmod 600"):
        TokenMap.from_file(file)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_pipe_will_do() -> None:
    read, write = os.pipe()
    os.write(write, f"{ONE},{A}\n".encode())
    os.close(write)
    assert TokenMap.from_file(f"/dev/fd/{read}").waba_ids == (ONE,)
    os.close(read)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("missing.csv", f"{NOT_A_FILE}No such file or directory".replace("tokens.csv", "missing.csv")),
        (
            A.ljust(30, "x"),
            "path must be a file with WABA ids and their tokens, as CSV or JSON: No such file or directory",
        ),
        ("a\0b", "path must be a file with WABA ids and their tokens, as CSV or JSON, not a\0b: it cannot be opened"),
    ],
)
def test_a_file_that_is_not_there_is_named_unless_it_may_be_a_token(path: str, said: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        TokenMap.from_file(path)
    assert str(caught.value) == said
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("tokens", "default", "said"),
    [
        ([ONE, A], None, "tokens must be a mapping of WABA ids to tokens, not list"),
        ({A: ONE}, None, "an entry of tokens must be a WABA id, which has only digits, and its token"),
        ({ONE: None}, None, "the token in an entry of tokens must be a string that is not empty: "),
        ({ONE: f"{A} {B}"}, None, "the token in an entry of tokens must be printable ASCII"),
        ({ONE: A, int(ONE): B}, None, "an entry of tokens must be about another account: "),
        ({ONE: A}, "", "default must be a string that is not empty"),
        ({ONE: A}, f"{A} x", "default must be printable ASCII"),
    ],
)
def test_a_mapping_is_checked_and_not_shown(tokens: Any, default: str | None, said: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        TokenMap(tokens, default)
    assert str(caught.value).startswith(said)
    assert_hidden(caught.value)


def test_a_map_can_be_neither_pickled_nor_copied_and_shows_no_token() -> None:
    tokens = TokenMap({ONE: A}, COMMON)
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="a TokenMap holds tokens and cannot be pickled or copied"):
            way(tokens)
    assert repr(tokens) == "<TokenMap: tokens of 1 accounts>"
    assert repr(TokenMap.__new__(TokenMap)) == "<TokenMap: tokens of 0 accounts>"
    assert "canary" not in repr(vars(tokens))


IDS = st.integers(1, 10**18).map(str)
TOKENS = st.from_regex(r"EAA[A-Za-z0-9]{0,20}", fullmatch=True)


@given(
    tokens=st.dictionaries(IDS, TOKENS.filter(lambda token: token.casefold() not in {"bearer", "oauth"}), min_size=1)
)
def test_all_forms_say_the_same(tokens: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("tokens") / "tokens"
    file.touch(0o600)
    rows = "".join(f"{waba_id},{token}\n" for waba_id, token in tokens.items())
    listed = [{"waba_id": waba_id, "token": token} for waba_id, token in tokens.items()]
    for content in (rows, f"waba_id,token\n{rows}", json.dumps(tokens), json.dumps(listed)):
        file.write_text(content)
        read = TokenMap.from_file(file)
        assert {waba_id: read(waba_id) for waba_id in read.waba_ids} == tokens


# --- with a client


async def test_each_call_carries_the_token_of_its_account() -> None:
    tokens = TokenMap({EMPTY_WABA: A, SMALL_WABA: B}, COMMON)
    async with serving(access_token=tokens) as (sandbox, client):
        number = sandbox.numbers(SMALL_WABA)[0]["id"]
        await client.list_phone_numbers(EMPTY_WABA)
        await client.list_phone_numbers(SMALL_WABA)
        await client.get_phone_number(number, waba_id=SMALL_WABA)
        await client.get_phone_number(number)
        await client.list_business_accounts(BUSINESS_ID)
        sent = [request.headers["Authorization"].removeprefix("Bearer ") for request in sandbox.requests]
        assert sent == [A, B, B, COMMON, COMMON]


async def test_a_missing_token_is_the_error_of_its_listing_and_costs_no_call() -> None:
    async with serving(access_token=TokenMap({SMALL_WABA: A})) as (sandbox, client):
        listings = await client.list_many([EMPTY_WABA, SMALL_WABA, LARGE_WABA])
        found = {
            listing.waba_id: (type(listing.error), len(listing.phone_numbers), listing.calls) for listing in listings
        }
        assert found == {
            EMPTY_WABA: (MissingTokenError, 0, 0),
            SMALL_WABA: (type(None), 3, 1),
            LARGE_WABA: (MissingTokenError, 0, 0),
        }
        assert len(sandbox.requests) == 1
        with pytest.raises(MissingTokenError) as caught:
            await client.get_phone_number(sandbox.numbers(SMALL_WABA)[0]["id"])
        assert caught.value.attempts == 0
        assert "canary" not in "".join(everything_shown(caught.value.with_traceback(None)))


@pytest.mark.parametrize("is_common", [False, True])
async def test_a_rejected_token_ends_only_the_accounts_that_have_it(*, is_common: bool) -> None:
    own = {SMALL_WABA: B} if is_common else {SMALL_WABA: B, EMPTY_WABA: A, LARGE_WABA: A}
    async with serving(access_token=TokenMap(own, A)) as (sandbox, client):
        sandbox.revoke(A)
        async with client.list_many([EMPTY_WABA, LARGE_WABA, SMALL_WABA], concurrency=1) as listings:
            errors = {listing.waba_id: listing.error async for listing in listings}
        assert errors.pop(SMALL_WABA) is None
        assert [type(error) for error in errors.values()] == [AuthenticationError] * 2


async def test_a_rejected_token_of_all_ends_the_run() -> None:
    async with serving(access_token=TokenMap({}, COMMON)) as (sandbox, client):
        sandbox.revoke(COMMON)
        with pytest.raises(AuthenticationError) as caught:
            await asyncio.wait_for(client.list_many(map(str, range(100))), 30)
        assert caught.value.is_shared
        assert len(sandbox.requests) < 40
