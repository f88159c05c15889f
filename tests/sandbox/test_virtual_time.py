"""The loop whose clock jumps: waits take no time, sockets and threads work as usual."""

import asyncio
import itertools
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.sandbox import VirtualTimeLoop

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_the_clock_begins_at_0_and_stands_still_during_work() -> None:
    async def main() -> None:
        for _ in range(100):
            await asyncio.sleep(0)
        assert now() == 0

    run(main())


def test_a_month_passes_at_once() -> None:
    async def main() -> None:
        for _ in range(30):
            await asyncio.sleep(86_400)
        assert now() == 30 * 86_400

    run(main())


@given(st.lists(st.floats(0, 1e6), max_size=20))
def test_waits_end_in_the_order_of_their_times(waits: list[float]) -> None:
    async def main() -> None:
        ended = list[float]()

        async def wait(seconds: float) -> None:
            await asyncio.sleep(seconds)
            assert abs(now() - seconds) < 1e-6
            ended.append(seconds)

        await asyncio.gather(*map(wait, waits))
        assert all(one <= other + 1e-6 for one, other in itertools.pairwise(ended))
        assert now() >= max(waits, default=0) - 1e-6

    run(main())


def test_a_local_socket_comes_before_a_timeout() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"here\n")
            async with asyncio.timeout(1):
                assert await reader.readline() == b"here\n"
            writer.close()
            await writer.wait_closed()

    run(main())


def test_the_end_of_a_run_waits_for_a_thread() -> None:
    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.1)

    run(main())


def test_without_a_timer_it_waits_for_a_thread() -> None:
    async def main() -> None:
        go = threading.Event()
        waiting = asyncio.get_running_loop().run_in_executor(None, go.wait)
        asyncio.get_running_loop().call_later(3600, go.set)
        assert await waiting
        assert now() == 3600
        await asyncio.to_thread(threading.Event().wait, 0.01)
        assert now() == 3600

    run(main())
