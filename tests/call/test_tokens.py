"""Tokens: one string, or a provider that is asked one question at a time for each id and wedges nobody."""

import asyncio
import contextlib
import gc
import traceback
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest

from wa_phone_async.call import tokens
from wa_phone_async.call.tokens import TokenProvider, TokenSource, appsecret_proof, token_digest
from wa_phone_async.errors import AuthenticationError, InvalidArgumentError
from wa_phone_async.redaction import Secret

TOKEN = "EAAGm0PX4ZCpsBAJ"
WABA, OTHER_WABA = "102290129340398", "102290129340399"


class Answer:
    """An awaitable that is no coroutine."""

    def __await__(self) -> Generator[Any, None, str]:
        yield from asyncio.sleep(0).__await__()
        return TOKEN


def plain(_: str, __: str | None) -> str:
    return TOKEN


async def slow(_: str, __: str | None) -> str:
    await asyncio.sleep(0)
    return TOKEN


def later(_: str, __: str | None) -> Awaitable[str]:
    return asyncio.ensure_future(slow("", None))


def awaitable(_: str, __: str | None) -> Awaitable[str]:
    return Answer()


class Asked:
    """An object with an async `__call__`, which no `iscoroutinefunction` recognises."""

    async def __call__(self, _: str, __: str | None) -> str:
        return TOKEN


class Vault:
    """A provider that answers when it is told to, and notes who asks and how many at once."""

    def __init__(self) -> None:
        self.asked = list[str]()
        self.open = asyncio.Event()
        self.now = 0
        self.most = 0

    async def __call__(self, node_id: str, _: str | None) -> str:
        self.asked.append(node_id)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.open.wait()
        finally:
            self.now -= 1
        return f"{TOKEN}{len(self.asked)}"


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


# --- a string


async def test_a_string_is_every_token() -> None:
    source = TokenSource(Secret(TOKEN))
    for node_id, rejected in ((WABA, None), (OTHER_WABA, TOKEN)):
        token = await source.token(node_id, rejected)
        assert token == TOKEN
        assert type(token) is Secret


@pytest.mark.parametrize("token", ["", "EAAG secret", "EAAGsecret\n", "EAAG\u00e9"], ids=repr)
def test_a_string_that_is_no_token_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"^access_token must be (a string that is not empty|printable ASCII)"
    ) as caught:
        TokenSource(Secret(token))
    assert "EAAG" not in str(caught.value)


# --- a provider


@pytest.mark.parametrize(
    "provider", [plain, slow, later, awaitable, Asked()], ids=["plain", "async", "future", "awaitable", "object"]
)
async def test_a_provider_is_plain_or_async(provider: TokenProvider) -> None:
    token = await TokenSource(provider).token(WABA, None)
    assert token == TOKEN
    assert type(token) is Secret


async def test_a_provider_is_asked_each_time_positionally_with_what_was_rejected() -> None:
    asked = list[tuple[str, str | None]]()

    def provider(node: str, bad: str | None, /) -> str:
        asked.append((node, bad))
        return f"{TOKEN}{len(asked)}"

    source = TokenSource(provider)
    first = await source.token(WABA, None)
    second = await source.token(WABA, first)
    assert (first, second) == (f"{TOKEN}1", f"{TOKEN}2")
    assert asked == [(WABA, None), (WABA, f"{TOKEN}1")]


async def test_it_is_asked_one_question_at_a_time_for_each_id() -> None:
    vault = Vault()
    source = TokenSource(vault)
    tasks = [asyncio.ensure_future(source.token(WABA, None)) for _ in range(5)]
    await settle()
    assert vault.asked == [WABA]
    vault.open.set()
    assert await asyncio.gather(*tasks) == [f"{TOKEN}{number}" for number in range(1, 6)]
    assert vault.most == 1


async def test_locks_for_different_ids_do_not_wait_for_each_other() -> None:
    vault = Vault()
    source = TokenSource(vault)
    tasks = [asyncio.ensure_future(source.token(node_id, None)) for node_id in (WABA, OTHER_WABA)]
    await settle()
    assert vault.asked == [WABA, OTHER_WABA]
    vault.open.set()
    await asyncio.gather(*tasks)
    assert vault.most == 2


@pytest.mark.parametrize("cancelled", [0, 1, 2], ids=["who asks", "who is next", "who is last"])
async def test_who_is_cancelled_wedges_nobody(cancelled: int) -> None:
    vault = Vault()
    source = TokenSource(vault)
    tasks = [asyncio.ensure_future(source.token(WABA, None)) for _ in range(3)]
    await settle()
    tasks[cancelled].cancel()
    await settle()
    vault.open.set()
    done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert [type(result) for result in done].count(Secret) == 2
    assert isinstance(done[cancelled], asyncio.CancelledError)
    assert vault.most == 1


def failing(error: BaseException) -> TokenProvider:
    def provider(_: str, __: str | None) -> str:
        raise error

    return provider


def failing_later(error: BaseException) -> TokenProvider:
    async def provider(_: str, __: str | None) -> str:
        await asyncio.sleep(0)
        raise error

    return provider


@pytest.mark.parametrize(
    "error", [KeyError("vault"), TimeoutError("vault"), InvalidArgumentError("vault", "open")], ids=repr
)
@pytest.mark.parametrize("kind", [failing, failing_later])
async def test_a_providers_own_error_passes_as_it_is(
    kind: Callable[[BaseException], TokenProvider], error: Exception
) -> None:
    with pytest.raises(type(error)) as caught:
        await TokenSource(kind(error)).token(WABA, None)
    assert caught.value is error


async def test_a_provider_that_failed_is_asked_again() -> None:
    answers: list[str | Exception] = [KeyError("vault"), TOKEN]

    def provider(_: str, __: str | None) -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    source = TokenSource(provider)
    results = await asyncio.gather(*(source.token(WABA, None) for _ in range(2)), return_exceptions=True)
    assert [type(result) for result in results] == [KeyError, Secret]


@pytest.mark.parametrize("bad", [None, "", 5, b"EAAGsecret", "EAAG secret", "EAAGsecret\n", ["EAAGsecret"]], ids=repr)
@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
async def test_what_is_no_token_is_refused_and_never_shown(bad: Any, *, is_async: bool) -> None:
    async def provide(_: str, __: str | None) -> Any:
        return bad

    source = TokenSource(provide if is_async else lambda _, __: bad)
    with pytest.raises(
        InvalidArgumentError, match=r"^access_token\(\) must be (a string that is not empty|printable ASCII)"
    ) as caught:
        await source.token(WABA, None)
    ours = [
        frame
        for frame in traceback.walk_tb(caught.value.__traceback__)
        if "wa_phone_async" in frame[0].f_code.co_filename
    ]
    assert "EAAG" not in "".join(repr(frame.f_locals) for frame, _ in ours)
    assert "EAAG" not in str(caught.value)


class Renewing:
    """A provider with a new token for each that was rejected, which notes what it is asked."""

    def __init__(self) -> None:
        self.asked = list[tuple[str, str | None]]()
        self.token = "token-0"

    async def __call__(self, node_id: str, rejected: str | None) -> str:
        self.asked.append((node_id, rejected))
        await asyncio.sleep(0)
        if rejected is not None:
            self.token = f"token-{len(self.asked)}"
        return self.token


async def test_of_many_with_the_same_rejected_token_the_first_asks_for_all() -> None:
    provider = Renewing()
    source = TokenSource(provider)
    tokens = await asyncio.gather(*(source.token(WABA, "token-0") for _ in range(9)))
    assert set(tokens) == {"token-1"}
    assert {type(token) for token in tokens} == {Secret}
    assert provider.asked == [(WABA, "token-0")]


async def test_what_came_in_its_place_can_be_rejected_too() -> None:
    provider = Renewing()
    source = TokenSource(provider)
    tokens = [await source.token(WABA, rejected) for rejected in ("token-0", "token-1", "token-1", None)]
    assert tokens == ["token-1", "token-2", "token-2", "token-2"]
    assert provider.asked == [(WABA, "token-0"), (WABA, "token-1"), (WABA, None)]


async def test_each_id_has_its_own() -> None:
    provider = Renewing()
    source = TokenSource(provider)
    for node_id in (WABA, OTHER_WABA):
        await source.token(node_id, "token-0")
    assert provider.asked == [(WABA, "token-0"), (OTHER_WABA, "token-0")]


async def test_a_rejected_token_that_is_given_again_is_asked_about_again() -> None:
    provider = Renewing()
    source = TokenSource(provider)
    await source.token(WABA, "token-0")
    provider.token = "token-0"
    for rejected in (None, "token-0"):
        await source.token(WABA, rejected)
    assert provider.asked == [(WABA, "token-0"), (WABA, None), (WABA, "token-0")]


# --- what was rejected


def rejection() -> AuthenticationError:
    return AuthenticationError("Session has expired", http_status=401, code=190, fbtrace_id="trace")


def test_a_rejection_is_for_what_began_before_it() -> None:
    source = TokenSource(Secret(TOKEN))
    assert source.rejection(Secret(TOKEN), after=0) is None
    source.reject(Secret(TOKEN), rejection(), WABA)
    assert source.rejection(Secret(TOKEN), after=source.rejections_so_far) is None
    assert source.rejection(Secret("another"), after=0) is None
    error = source.rejection(Secret(TOKEN), after=0)
    assert (str(error), vars(error)) == (str(rejection()), vars(rejection()))


def test_each_call_gets_a_rejection_of_its_own_without_a_traceback() -> None:
    source = TokenSource(Secret(TOKEN))
    try:
        raise rejection()
    except AuthenticationError as error:
        source.reject(Secret(TOKEN), error, WABA)
    one, other = (source.rejection(Secret(TOKEN), after=0) for _ in range(2))
    assert one is not other
    assert one is not None
    assert one.__traceback__ is None


async def test_only_so_much_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_MAX_REMEMBERED", 3)
    source = TokenSource(Renewing())
    for number in range(9):
        source.reject(Secret(f"token-{number}"), rejection(), WABA)
        await source.token(str(number), "token-0")
    assert list(source._rejections) == ["token-6", "token-7", "token-8"]
    assert list(source._successors) == ["6", "7", "8"]


async def test_a_token_is_shared_when_it_is_the_only_one_or_was_rejected_for_another_node() -> None:
    assert TokenSource(Secret(TOKEN)).is_shared(Secret(TOKEN), WABA)
    source = TokenSource(Renewing())
    assert not source.is_shared(Secret(TOKEN), WABA)
    source.reject(Secret(TOKEN), rejection(), WABA)
    assert not source.is_shared(Secret(TOKEN), WABA)
    assert source.is_shared(Secret(TOKEN), "another")


# --- memory and loops


async def test_nothing_is_kept_of_an_id_that_nobody_asks_about() -> None:
    source = TokenSource(slow)
    await asyncio.gather(*(source.token(str(number), None) for number in range(100)))
    gc.collect()
    assert len(source._locks) == 0


def test_a_source_outlives_its_event_loop() -> None:
    source = TokenSource(slow)
    for _ in range(2):
        assert asyncio.run(source.token(WABA, None)) == TOKEN


def test_a_question_that_an_ended_loop_left_open_wedges_nobody() -> None:
    answers: list[Awaitable[str] | str] = [TOKEN]
    source = TokenSource(lambda _, __: answers.pop())
    with contextlib.closing(asyncio.new_event_loop()) as ended:
        answers.append(ended.create_future())
        question = ended.create_task(source.token(WABA, None))
        ended.run_until_complete(asyncio.sleep(0))
    assert asyncio.run(asyncio.wait_for(source.token(WABA, None), 5)) == TOKEN
    assert not question.done()


# --- the app's proof


def test_the_proof_is_the_hmac_of_the_token_under_the_apps_secret() -> None:
    proof = appsecret_proof("EAAGtoken", "0123456789abcdef")
    assert proof == "58ff4403fa2ba09bd078d18068bbe5277079901c78eb3476e4b437f211025eaa"  # by openssl dgst
    assert type(proof) is Secret


def test_a_digest_names_a_token_and_does_not_contain_it() -> None:
    assert token_digest(TOKEN) == token_digest(TOKEN) != token_digest("another")
    assert TOKEN not in token_digest(TOKEN)
