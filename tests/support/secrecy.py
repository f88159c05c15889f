"""What people may read of an error and of a client's work, to be searched for what nobody may see."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any

import pytest
from misbehaving import RawServer, hang

from wa_phone_async import PhoneNumberClient

Call = Callable[[PhoneNumberClient], Any]
ClientOf = Callable[[str], AbstractAsyncContextManager[PhoneNumberClient]]
"""Makes the client of a server."""
Look = Callable[[BaseException], None]
"""Searches an error, while its client is still open."""


def all_that_is_said(error: BaseException) -> Iterator[str]:
    """What a crash reporter shows: the whole chain with its frames' local variables, and the errors' own facts."""
    yield "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    pending: list[BaseException | None] = [error]
    while pending:
        link = pending.pop()
        if link is not None:
            yield f"{link!s} {link!r} {link.args!r} {vars(link)!r}"
            yield from locals_of(link.__traceback__)
            pending += [link.__cause__, link.__context__]


def locals_of(frames: TracebackType | None) -> Iterator[str]:
    while frames is not None:
        for name, value in frames.tb_frame.f_locals.items():
            yield f"{frames.tb_frame.f_code.co_qualname}: {name}={value!r}"
            if type(value).__module__.startswith("wa_phone_async"):
                yield from (f"{name}.{member}" for member in members_of(value))
        frames = frames.tb_next


def members_of(value: object) -> Iterator[str]:
    """One level deeper than a `repr`, as some reporters go."""
    for name, member in getattr(value, "__dict__", {}).items():
        yield f"{name}={member!r}"


def all_that_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    """Every log record of any logger, at any level where the test has set the lowest."""
    for record in [*caplog.get_records("setup"), *caplog.get_records("call")]:
        yield f"{record.getMessage()} {vars(record)!r}"


@asynccontextmanager
async def debugging() -> AsyncIterator[None]:
    """asyncio's debug mode at its most talkative: every callback is a slow one, and is printed."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    yield
    loop.set_debug(False)


async def error_of(call: Call, client: PhoneNumberClient) -> BaseException:
    """The error in which a call ends."""
    try:
        await call(client)
    except BaseException as error:  # noqa: BLE001 - a cancellation is one too
        return error
    raise AssertionError("it went well")


async def look_where_nobody_is(call: Call, client_of: ClientOf, look: Look) -> None:
    """At the error in which a call ends where there is no server."""
    async with RawServer([hang]) as server:
        url = server.url
    async with client_of(url) as client:
        look(await error_of(call, client))


async def look_where_cancelled(call: Call, client_of: ClientOf, look: Look) -> None:
    """At what a call raises that is cancelled after it was sent."""
    async with RawServer([hang]) as server, client_of(server.url) as client:
        task = asyncio.create_task(error_of(call, client))
        await server.heard.wait()
        task.cancel()
        error = await task
        assert isinstance(error, asyncio.CancelledError)
        look(error)
