"""The pytest plugin: one line in a `conftest.py` switches it on.

    pytest_plugins = ["wa_phone_async.sandbox.pytest_plugin"]

A test that takes `graph_sandbox` gets a new `Sandbox`. It is a plain fixture, served from a thread of its own, so
any async test plugin or none will do:

    def test_three_numbers(graph_sandbox):
        numbers = asyncio.run(my_code(graph_sandbox.url))
        assert len(graph_sandbox.requests) == 1

The marker passes what `Sandbox` takes: `@pytest.mark.graph_sandbox(temper="reference", quota=3)`.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from wa_phone_async.sandbox.sandbox import Sandbox


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
