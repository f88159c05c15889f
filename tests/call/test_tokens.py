"""Tokens: one string, or a provider that is called once at a time for each id and never blocks another call."""

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


class AwaitableToken:
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
    return AwaitableToken()


class Provider:
    """An object with an async `__call__`, which no `iscoroutinefunction` recognises."""

    async def __call__(self, _: str, __: str | None) -> str:
        return TOKEN


class Vault:
    """A provider that returns once it is opened, and records its calls and how many run at once."""

    def __init__(self) -> None:
        self.calls = list[str]()
        self.open = asyncio.Event()
        self.running = 0
        self.most = 0

    async def __call__(self, node_id: str, _: str | None) -> str:
        self.calls.append(node_id)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.open.wait()
        finally:
            self.running -= 1
        return f"{TOKEN}{len(self.calls)}"


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


@pytest.mark.parametrize("token", ["", "EAAG secret", "EAAG\nsecret", "EAAG\u00e9"], ids=repr)
def test_a_string_that_is_no_token_raises_and_is_not_shown(token: str) -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"^access_token must be (a string that is not empty|printable ASCII)"
    ) as caught:
        TokenSource(Secret(token))
    assert "EAAG" not in str(caught.value)


@pytest.mark.parametrize("around", ["\n", "\r\n", " ", "\ufeff", "\ufeff\n"], ids=repr)
async def test_what_a_file_leaves_around_a_token_is_stripped(around: str) -> None:
    for token in (f"{around}{TOKEN}", f"{TOKEN}{around}", f"{around}{TOKEN}{around}"):
        assert await TokenSource(Secret(token)).token(WABA, None) == TOKEN
        provided = await TokenSource(lambda _, __, token=token: token).token(WABA, None)  # type: ignore[misc]  # a default
        assert (provided, type(provided)) == (TOKEN, Secret)


# --- a provider


@pytest.mark.parametrize(
    "provider",
    [plain, slow, later, awaitable, Provider()],
    ids=["plain", "async", "future", "awaitable", "object"],
)
async def test_a_provider_is_plain_or_async(provider: TokenProvider) -> None:
    token = await TokenSource(provider).token(WABA, None)
    assert token == TOKEN
    assert type(token) is Secret


async def test_a_provider_is_called_positionally_with_the_rejected_token() -> None:
    calls = list[tuple[str, str | None]]()

    def provider(node: str, bad: str | None, /) -> str:
        calls.append((node, bad))
        return f"{TOKEN}{len(calls)}"

    source = TokenSource(provider)
    first = await source.token(WABA, None)
    second = await source.token(WABA, first)
    assert (first, second) == (f"{TOKEN}1", f"{TOKEN}2")
    assert calls == [(WABA, None), (WABA, f"{TOKEN}1")]


async def test_it_is_called_once_at_a_time_for_each_id() -> None:
    vault = Vault()
    source = TokenSource(vault)
    tasks = [asyncio.ensure_future(source.token(WABA, None)) for _ in range(5)]
    await settle()
    assert vault.calls == [WABA]
    vault.open.set()
    assert await asyncio.gather(*tasks) == [f"{TOKEN}{number}" for number in range(1, 6)]
    assert vault.most == 1


async def test_locks_for_different_ids_do_not_wait_for_each_other() -> None:
    vault = Vault()
    source = TokenSource(vault)
    tasks = [asyncio.ensure_future(source.token(node_id, None)) for node_id in (WABA, OTHER_WABA)]
    await settle()
    assert vault.calls == [WABA, OTHER_WABA]
    vault.open.set()
    await asyncio.gather(*tasks)
    assert vault.most == 2


@pytest.mark.parametrize("cancelled", [0, 1, 2], ids=["the one that calls", "the next one", "the last one"])
async def test_a_cancelled_call_blocks_no_other(cancelled: int) -> None:
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
async def test_a_providers_own_error_comes_through(
    kind: Callable[[BaseException], TokenProvider], error: Exception
) -> None:
    with pytest.raises(type(error)) as caught:
        await TokenSource(kind(error)).token(WABA, None)
    assert caught.value is error


async def test_a_provider_that_failed_is_called_again() -> None:
    results: list[str | Exception] = [KeyError("vault"), TOKEN]

    def provider(_: str, __: str | None) -> str:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    source = TokenSource(provider)
    done = await asyncio.gather(*(source.token(WABA, None) for _ in range(2)), return_exceptions=True)
    assert [type(result) for result in done] == [KeyError, Secret]


@pytest.mark.parametrize("bad", [None, "", 5, b"EAAGsecret", "EAAG secret", "EAAG\nsecret", ["EAAGsecret"]], ids=repr)
@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
async def test_what_is_no_token_raises_and_is_never_shown(bad: Any, *, is_async: bool) -> None:
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
    """A provider with a new token for each rejected one. It records its calls."""

    def __init__(self) -> None:
        self.calls = list[tuple[str, str | None]]()
        self.token = "token-0"

    async def __call__(self, node_id: str, rejected: str | None) -> str:
        self.calls.append((node_id, rejected))
        await asyncio.sleep(0)
        if rejected is not None:
            self.token = f"token-{len(self.calls)}"
        return self.token


async def test_of_many_calls_with_the_same_rejected_token_the_first_calls_the_provider() -> None:
    provider = Renewing()
    source = TokenSource(provider)
    tokens = await asyncio.gather(*(source.token(WABA, "token-0") for _ in range(9)))
    assert set(tokens) == {"token-1"}
    assert {type(token) for token in tokens} == {Secret}
    assert provider.calls == [(WABA, "token-0")]


async def test_the_new_token_can_be_rejected_too() -> None:
    provider = Renewing()
    source = TokenSource(provider)
    tokens = [await source.token(WABA, rejected) for rejected in ("token-0", "token-1", "token-1", None)]
    assert tokens == ["token-1", "token-2", "token-2", "token-2"]
    assert provider.calls == [(WABA, "token-0"), (WABA, "token-1"), (WABA, None)]


async def test_each_id_has_its_own_token() -> None:
    provider = Renewing()
    source = TokenSource(provider)
    for node_id in (WABA, OTHER_WABA):
        await source.token(node_id, "token-0")
    assert provider.calls == [(WABA, "token-0"), (OTHER_WABA, "token-0")]


async def test_a_rejected_token_that_is_valid_again_can_be_rejected_again() -> None:
    provider = Renewing()
    source = TokenSource(provider)
    await source.token(WABA, "token-0")
    provider.token = "token-0"
    for rejected in (None, "token-0"):
        await source.token(WABA, rejected)
    assert provider.calls == [(WABA, "token-0"), (WABA, None), (WABA, "token-0")]


# --- rejected tokens


def rejection() -> AuthenticationError:
    return AuthenticationError("Session has expired", http_status=401, code=190, fbtrace_id="trace")


def test_a_rejection_counts_for_calls_that_started_before_it() -> None:
    source = TokenSource(Secret(TOKEN))
    assert source.rejection(Secret(TOKEN), after=0) is None
    source.reject(Secret(TOKEN), rejection(), WABA)
    assert source.rejection(Secret(TOKEN), after=source.rejections_so_far) is None
    assert source.rejection(Secret("another"), after=0) is None
    error = source.rejection(Secret(TOKEN), after=0)
    assert (str(error), vars(error)) == (str(rejection()), vars(rejection()))


def test_each_call_gets_its_own_copy_of_the_error_without_a_traceback() -> None:
    source = TokenSource(Secret(TOKEN))
    try:
        raise rejection()
    except AuthenticationError as error:
        source.reject(Secret(TOKEN), error, WABA)
    one, other = (source.rejection(Secret(TOKEN), after=0) for _ in range(2))
    assert one is not other
    assert one is not None
    assert one.__traceback__ is None


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
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


async def test_no_lock_is_kept_after_the_calls_of_an_id() -> None:
    source = TokenSource(slow)
    await asyncio.gather(*(source.token(str(number), None) for number in range(100)))
    gc.collect()
    assert len(source._locks.get()) == 0


def test_a_source_outlives_its_event_loop() -> None:
    source = TokenSource(slow)
    for _ in range(2):
        assert asyncio.run(source.token(WABA, None)) == TOKEN


def test_a_call_that_an_ended_loop_left_open_blocks_no_other() -> None:
    provided: list[Awaitable[str] | str] = [TOKEN]
    source = TokenSource(lambda _, __: provided.pop())
    with contextlib.closing(asyncio.new_event_loop()) as ended:
        provided.append(ended.create_future())
        pending = ended.create_task(source.token(WABA, None))
        ended.run_until_complete(asyncio.sleep(0))
    assert asyncio.run(asyncio.wait_for(source.token(WABA, None), 5)) == TOKEN
    assert not pending.done()
    del pending
    provided.clear()
    gc.collect()  # asyncio complains of the task now, and not in another test


# --- the app's proof


def test_the_proof_is_the_hmac_of_the_token_under_the_apps_secret() -> None:
    proof = appsecret_proof("EAAGtoken", "0123456789abcdef")
    assert proof == "58ff4403fa2ba09bd078d18068bbe5277079901c78eb3476e4b437f211025eaa"  # by openssl dgst
    assert type(proof) is Secret


def test_a_digest_names_a_token_and_does_not_contain_it() -> None:
    assert token_digest(TOKEN) == token_digest(TOKEN) != token_digest("another")
    assert TOKEN not in token_digest(TOKEN)
