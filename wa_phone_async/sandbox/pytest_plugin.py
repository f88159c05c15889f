"""The pytest plugin. One line in a `conftest.py` enables it.

    pytest_plugins = ["wa_phone_async.sandbox.pytest_plugin"]

The fixture `graph_sandbox` is a new `Sandbox` for each test, and `wa_phone_client` a client that calls it:

    def test_three_numbers(wa_phone_client, graph_sandbox):
        numbers = asyncio.run(my_code(wa_phone_client))
        assert len(graph_sandbox.requests) == 1

Both are plain fixtures. The sandbox serves from its own thread, and the client opens in the loop that uses it, and
closes with it. So they work with any async test plugin, and without one.

The client waits for nothing: where another one would wait for a retry or for a quota, it puts the clock of the sandbox
forward. A wait that is too long for its policy is an error, as always.

Markers pass arguments: `@pytest.mark.graph_sandbox(mode="reference", quota=3)` to `Sandbox`, and
`@pytest.mark.wa_phone_client(retry=RetryPolicy.batch())` to the client.

The fixture `virtual_time` is an `asyncio.Runner` whose loop skips all waiting: hours pass at once. A `Sandbox` in the
same loop has the same clock:

    def test_the_next_hour(virtual_time):
        async def main():
            async with Sandbox(quota=1) as sandbox:
                await my_code(sandbox.url)

        virtual_time.run(main())
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import attrs
import pytest

from wa_phone_async import Lease, PhoneNumberClient, Report, RetryPolicy, Usage

from .sandbox import Sandbox
from .virtual_time import VirtualTimeLoop


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, for `--strict-markers`."""
    config.addinivalue_line("markers", "graph_sandbox(**options): arguments of the `Sandbox` of this test")
    config.addinivalue_line("markers", "wa_phone_client(**settings): arguments of the client of this test")


def _arguments(request: pytest.FixtureRequest, name: str) -> dict[str, Any]:
    marker = request.node.get_closest_marker(name)
    return {} if marker is None else dict(marker.kwargs)


@pytest.fixture
def graph_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A new `Sandbox` for this test, served from its own thread."""
    with Sandbox(**_arguments(request, "graph_sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def wa_phone_client(request: pytest.FixtureRequest, graph_sandbox: Sandbox) -> PhoneNumberClient:
    """A client of `graph_sandbox` that waits for nothing. It has a token that the sandbox accepts."""
    options, settings = _arguments(request, "graph_sandbox"), _arguments(request, "wa_phone_client")
    policy = settings.pop("retry", RetryPolicy())
    settings["retry"] = _NoWaits(skip=graph_sandbox.advance, **attrs.asdict(policy))
    ours: dict[str, Any] = {
        "base_url": graph_sandbox.url,
        "app_secret": options.get("app_secret"),
        "throttle": _NoQuotas(),
    }
    lives = _Lives(next(iter(options.get("tokens") or ["any-token"])))
    lives.client = PhoneNumberClient(lives.token, **(ours | settings))
    return lives.client


@pytest.fixture
def virtual_time() -> Iterator[asyncio.Runner]:
    """A runner of an event loop whose clock begins at 0 seconds and jumps over every wait."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        yield runner


@attrs.frozen(kw_only=True)
class _NoWaits(RetryPolicy):
    """A policy that decides as another one, and then skips the wait."""

    skip: Callable[[float], None]

    def _begin_wait(self, seconds: float) -> float:
        """Skip a wait."""
        self.skip(seconds)
        return 0.0


class _NoQuotas:
    """A limiter that admits each call at once: whether there is quota, the sandbox alone decides."""

    def __init__(self) -> None:
        self._usages: dict[str | None, Usage] = {}

    async def admit(self, waba_id: str | None, token: str, *, max_wait: float, is_probe: bool = False) -> Lease:
        """Admit a call."""
        del max_wait, is_probe
        return Lease(waba_id, token, asyncio.get_running_loop().time())

    def report(self, lease: Lease, report: Report) -> float:
        """Return the wait after a throttled call: what the server says, or a minute."""
        if report.usage is not None:
            self._usages[lease.waba_id] = report.usage
        if report.result != "throttled":
            return 0.0
        wait = None if report.usage is None else report.usage.retry_after_seconds
        return 60.0 if wait is None else wait

    def last_usage(self, waba_id: str | None) -> Usage | None:
        """Return the usage in the last response."""
        return self._usages.get(waba_id)

    async def aclose(self) -> None:
        """Do nothing."""


class _Lives:
    """Closes a client with each event loop that uses it. `asyncio.run` and the plugins for async tests do the rest.

    A loop that ends closes its async generators. So each loop gets one, which closes the client.
    """

    client: PhoneNumberClient

    def __init__(self, token: str) -> None:
        self._token = token
        self._begun: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}

    async def token(self, node_id: str, rejected: str | None) -> str:
        """Return the token. Each call gets it in its own loop, so each loop is noted here."""
        del node_id, rejected
        loop = asyncio.get_running_loop()
        if loop not in self._begun:
            self._begun[loop] = self._live()
            await anext(self._begun[loop])
        return self._token

    async def _live(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self.client.aclose()
            await self.client.__aenter__()  # the next loop may use it
