"""The pytest plugin. One line in a `conftest.py` enables it.

    pytest_plugins = ["wa_phone_async.sandbox.pytest_plugin"]

The fixture `graph_sandbox` is a new `Sandbox` for each test. It is a plain fixture and serves from its own thread, so
it works with any async test plugin, and without one:

    def test_three_numbers(graph_sandbox):
        numbers = asyncio.run(my_code(graph_sandbox.url))
        assert len(graph_sandbox.requests) == 1

The marker passes arguments to `Sandbox`: `@pytest.mark.graph_sandbox(mode="reference", quota=3)`.

The fixture `virtual_time` is an `asyncio.Runner` whose loop skips all waiting: hours pass at once. A `Sandbox` in the
same loop has the same clock:

    def test_the_next_hour(virtual_time):
        async def main():
            async with Sandbox(quota=1) as sandbox:
                await my_code(sandbox.url)

        virtual_time.run(main())
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from .sandbox import Sandbox
from .virtual_time import VirtualTimeLoop


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, for `--strict-markers`."""
    config.addinivalue_line("markers", "graph_sandbox(**options): arguments of the `Sandbox` of this test")


@pytest.fixture
def graph_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A new `Sandbox` for this test, served from its own thread."""
    marker = request.node.get_closest_marker("graph_sandbox")
    options: dict[str, Any] = {} if marker is None else marker.kwargs
    with Sandbox(**options) as sandbox:
        yield sandbox


@pytest.fixture
def virtual_time() -> Iterator[asyncio.Runner]:
    """A runner of an event loop whose clock begins at 0 seconds and jumps over every wait."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        yield runner
