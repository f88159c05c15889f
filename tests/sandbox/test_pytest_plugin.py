import pytest

pytestmark = pytest.mark.heavy  # processes and disks, for many seconds

CONFTEST = 'pytest_plugins = ["wa_phone_async.sandbox.pytest_plugin"]'

ASYNC_PLUGIN = (
    "-p",
    "pytest_asyncio.plugin",
    "-o",
    "asyncio_mode=auto",
    "-o",
    "asyncio_default_fixture_loop_scope=function",
)

CALLING = """
    import asyncio

    import aiohttp
    import pytest

    from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault

    async def get(sandbox, waba_id=SMALL_WABA):
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer any"}) as session:
            async with session.get(f"{sandbox.url}/v23.0/{waba_id}/phone_numbers") as response:
                return response.status, await response.json(content_type=None)
"""


@pytest.fixture(autouse=True)
def _no_other_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def run(pytester: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(CALLING + tests)
    return pytester.runpytest_subprocess("-W", "error", "--strict-markers", *options)


def test_a_plain_test_uses_the_fixture_without_an_async_plugin(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
    def test_list(graph_sandbox):
        graph_sandbox.plan(Fault.status(500))
        assert asyncio.run(get(graph_sandbox))[0] == 500
        status, body = asyncio.run(get(graph_sandbox))
        assert len(body["data"]) == 3
        assert [request.status for request in graph_sandbox.requests] == [500, 200]

    def test_it_is_new_for_each_test(graph_sandbox):
        assert graph_sandbox.requests == []
    """,
    )
    result.assert_outcomes(passed=2)


def test_an_async_test_uses_the_fixture(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
    async def test_list(graph_sandbox):
        status, body = await get(graph_sandbox, LARGE_WABA)
        assert (status, len(body["data"])) == (200, 25)
        graph_sandbox.revoke("any")
        assert (await get(graph_sandbox))[0] == 401
    """,
        *ASYNC_PLUGIN,
    )
    result.assert_outcomes(passed=1)


def test_the_marker_passes_arguments(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
    @pytest.mark.graph_sandbox(mode="reference", quota=1)
    def test_one_call(graph_sandbox):
        assert [asyncio.run(get(graph_sandbox))[0] for _ in range(2)] == [200, 429]
    """,
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("with_plugin", [False, True], ids=["without", "with"])
def test_a_day_takes_no_time_with_or_without_a_plugin_for_async(
    pytester: pytest.Pytester, *, with_plugin: bool
) -> None:
    result = run(
        pytester,
        """
    from wa_phone_async.sandbox import Sandbox

    async def a_day():
        async with Sandbox(quota=1) as sandbox:
            statuses = []
            for _ in range(24):
                statuses += [(await get(sandbox))[0] for _ in range(2)]
                await asyncio.sleep(3600)
            return statuses, asyncio.get_running_loop().time()

    def test_a_day(virtual_time):
        statuses, seconds = virtual_time.run(a_day())
        assert statuses == [200, 400] * 24
        assert seconds == 86400

    def test_it_is_new_for_each_test(virtual_time):
        assert virtual_time.get_loop().time() == 0
    """,
        *(ASYNC_PLUGIN if with_plugin else ()),
    )
    result.assert_outcomes(passed=2)


CLIENT = """
    import time

    from wa_phone_async import AuthenticationError, RateLimitError, RetryPolicy, ServerError
    from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault

    async def ids(client, waba_id=SMALL_WABA):
        return [number.id async for number in client.list_phone_numbers(waba_id)]
"""

PLAIN = """
    import asyncio
    import pytest

    def test_a_list(wa_phone_client, graph_sandbox):
        number = graph_sandbox.add_number(EMPTY_WABA, verified_name="Acme Shoes")
        assert asyncio.run(ids(wa_phone_client, EMPTY_WABA)) == [number["id"]]
        assert len(asyncio.run(ids(wa_phone_client))) == 3  # in another loop

    def test_retries_take_no_time(wa_phone_client, graph_sandbox):
        began = time.monotonic()
        graph_sandbox.plan(Fault.error(status=500), times=4)
        assert len(asyncio.run(ids(wa_phone_client))) == 3
        graph_sandbox.plan(Fault.error(80008, headers={"Retry-After": "30"}))
        graph_sandbox.plan(Fault.error(80008))
        assert len(asyncio.run(ids(wa_phone_client))) == 3
        graph_sandbox.plan(Fault.error(status=500), times=5)
        with pytest.raises(ServerError):
            asyncio.run(ids(wa_phone_client))
        assert time.monotonic() - began < 10

    @pytest.mark.graph_sandbox(quota=1)
    def test_a_wait_that_is_too_long_is_an_error(wa_phone_client):
        async def twice():
            await ids(wa_phone_client)
            assert wa_phone_client.last_usage(SMALL_WABA).waba.calls_percent == 100
            await ids(wa_phone_client)

        with pytest.raises(RateLimitError) as caught:
            asyncio.run(twice())
        assert caught.value.retry_after > 3_000

    @pytest.mark.graph_sandbox(quota=1)
    @pytest.mark.wa_phone_client(retry=RetryPolicy.batch())
    def test_hours_of_quota_take_no_time(wa_phone_client):
        async def day():
            return [len(await ids(wa_phone_client)) for _ in range(24)]

        assert asyncio.run(day()) == [3] * 24

    @pytest.mark.graph_sandbox(tokens=["good"], app_secret="secret")
    def test_it_has_the_token_and_the_secret_of_the_sandbox(wa_phone_client, graph_sandbox):
        assert len(asyncio.run(ids(wa_phone_client))) == 3
        graph_sandbox.revoke("good")
        with pytest.raises(AuthenticationError):
            asyncio.run(ids(wa_phone_client))

    def test_a_block_closes_it(wa_phone_client):
        async def main():
            async with wa_phone_client:
                await ids(wa_phone_client)
            with pytest.raises(RuntimeError, match="closed"):
                await ids(wa_phone_client)

        asyncio.run(main())
"""


def test_the_client_works_in_plain_tests_without_waiting(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(CLIENT + PLAIN)
    pytester.runpytest_subprocess("-W", "error", "--strict-markers").assert_outcomes(passed=6)


@pytest.mark.parametrize("scope", ["function", "session"])
def test_the_client_works_in_async_tests(pytester: pytest.Pytester, scope: str) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        CLIENT
        + """
    async def test_a_list(wa_phone_client, graph_sandbox):
        graph_sandbox.plan(Fault.drop_before(), times=2)
        assert len(await ids(wa_phone_client)) == 3

    async def test_it_is_new_for_each_test(wa_phone_client, graph_sandbox):
        assert graph_sandbox.requests == []
        assert len(await ids(wa_phone_client)) == 3
    """
    )
    options = [*ASYNC_PLUGIN, "-o", f"asyncio_default_test_loop_scope={scope}"]
    pytester.runpytest_subprocess("-W", "error", "--strict-markers", *options).assert_outcomes(passed=2)


def test_pytest_knows_the_markers(pytester: pytest.Pytester) -> None:
    result = run(pytester, "", "--markers")
    result.stdout.fnmatch_lines(
        [
            "@pytest.mark.graph_sandbox(*options): arguments of the `Sandbox` of this test",
            "",
            "@pytest.mark.wa_phone_client(*settings): arguments of the client of this test",
        ]
    )


@pytest.mark.graph_sandbox(quota=1)
def test_it_serves_this_process_too(request: pytest.FixtureRequest) -> None:
    sandbox = request.getfixturevalue("graph_sandbox")
    assert sandbox.url.startswith("http://127.0.0.1:")
