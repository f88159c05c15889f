"""All that people may read of an error and of a client's work. Tests search it for secrets."""

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
"""Makes a client of a server, from its URL."""
Check = Callable[[BaseException], None]
"""Searches an error while its client is still open."""


def everything_shown(error: BaseException) -> Iterator[str]:
    """All that a crash reporter shows: the chain of errors, their attributes, and the local variables of each frame."""
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
    """The attributes of a value: some crash reporters go one level deeper than its `repr`."""
    for name, member in getattr(value, "__dict__", {}).items():
        yield f"{name}={member!r}"


def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    """Every log record of any logger, at every level that the test enabled."""
    for record in [*caplog.get_records("setup"), *caplog.get_records("call")]:
        yield f"{record.getMessage()} {vars(record)!r}"


@asynccontextmanager
async def debugging() -> AsyncIterator[None]:
    """Run in asyncio's debug mode, with every callback logged as a slow one."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    yield
    loop.set_debug(False)


async def error_of(call: Call, client: PhoneNumberClient) -> BaseException:
    """The error of a call that fails."""
    try:
        await call(client)
    except BaseException as error:  # noqa: BLE001 - a cancellation is one too
        return error
    raise AssertionError("the call did not fail")


async def check_without_server(call: Call, client_of: ClientOf, check: Check) -> None:
    """Check the error of a call to an address without a server."""
    async with RawServer([hang]) as server:
        url = server.url
    async with client_of(url) as client:
        check(await error_of(call, client))


async def check_cancelled(call: Call, client_of: ClientOf, check: Check) -> None:
    """Check the error of a call that is cancelled after its request was sent."""
    async with RawServer([hang]) as server, client_of(server.url) as client:
        task = asyncio.create_task(error_of(call, client))
        await server.received.wait()
        task.cancel()
        error = await task
        assert isinstance(error, asyncio.CancelledError)
        check(error)
