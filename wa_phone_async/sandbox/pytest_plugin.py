"""The pytest plugin: one line in a `conftest.py` switches it on.

    pytest_plugins = ["wa_phone_async.sandbox.pytest_plugin"]

A test that takes `graph_sandbox` gets a new `Sandbox`. It is a plain fixture, served from a thread of its own, so
any async test plugin or none will do:

    def test_three_numbers(graph_sandbox):
        numbers = asyncio.run(my_code(graph_sandbox.url))
        assert len(graph_sandbox.requests) == 1

The marker passes what `Sandbox` takes: `@pytest.mark.graph_sandbox(mode="reference", quota=3)`.

A test that takes `virtual_time` gets an `asyncio.Runner` whose loop lets hours of waiting pass at once. A `Sandbox`
that it serves from the same loop lives in the same hours:

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
    """Make the marker known, for `--strict-markers`."""
    config.addinivalue_line("markers", "graph_sandbox(**options): what the `Sandbox` of `graph_sandbox` takes")


@pytest.fixture
def graph_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A Graph API of this test's own, served from a thread of its own."""
    marker = request.node.get_closest_marker("graph_sandbox")
    options: dict[str, Any] = {} if marker is None else marker.kwargs
    with Sandbox(**options) as sandbox:
        yield sandbox


@pytest.fixture
def virtual_time() -> Iterator[asyncio.Runner]:
    """A runner of an event loop with a clock of its own, which begins at 0 seconds and jumps over every wait."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        yield runner
