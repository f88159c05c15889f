"""Bulk listing on a Dask cluster: real workers in processes of their own, one of which is killed in the middle."""

import asyncio
import contextlib
import json
import logging
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wa_phone_async import AuthenticationError, GraphSession, InvalidArgumentError, PhoneNumberClient, RetryPolicy
from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox

distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")
pytest.importorskip("arro3.io", reason="the extra `parquet` is not installed")
from arro3.io import read_parquet  # noqa: E402 - they need packages that may be missing

from wa_phone_async.export import Part, dask  # noqa: E402 - the same
from wa_phone_async.export.chunks import Chunk, FleetStretch, split_in_chunks  # noqa: E402 - the same
from wa_phone_async.export.dask import client_from_env, export  # noqa: E402 - the same

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("default")]  # of Dask's own warnings none is ours

CANARY = "an-invented-token-that-nobody-may-see"
QUICK = RetryPolicy(first_wait=0.01)
SEEDED = EMPTY_WABA, SMALL_WABA, LARGE_WABA


def client_factory() -> PhoneNumberClient:
    return PhoneNumberClient.from_env(retry=QUICK)


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    """A business of 60 accounts, and the environment that the workers inherit."""
    with Sandbox(accounts=60, quota=None) as sandbox, pytest.MonkeyPatch.context() as environment:
        environment.setenv("WA_BASE_URL", sandbox.url)
        environment.setenv("WA_ACCESS_TOKEN", CANARY)
        yield sandbox


@pytest.fixture
def sandbox(served: Sandbox) -> Sandbox:
    """The same, as new."""
    served.requests.clear()
    served.accept(CANARY)
    return served


@contextlib.contextmanager
def two_workers(directory: Path) -> Iterator[Any]:
    """The client of two workers in processes of their own."""
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            local_directory=directory,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def cluster(served: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two workers: starting them takes most of the time, so the tests share them."""
    assert served.url == os.environ["WA_BASE_URL"]
    with two_workers(tmp_path_factory.mktemp("dask")) as client:
        yield client


@pytest.fixture
def mortal_cluster(sandbox: Sandbox, tmp_path: Path) -> Iterator[Any]:
    """Two workers for one test that kills one: Dask does not always start another in its place."""
    assert sandbox.url == os.environ["WA_BASE_URL"]
    with two_workers(tmp_path / "dask") as client:
        yield client


def rows_in(directory: Path) -> Counter[tuple[str, str]]:
    """How often each number is in the parts."""
    rows = Counter[tuple[str, str]]()
    for part in directory.glob("*.parquet"):
        table = read_parquet(str(part)).read_all()
        rows.update(zip(table["waba_id"].to_pylist(), table["id"].to_pylist(), strict=True))
    return rows


def rows_of(sandbox: Sandbox) -> Counter[tuple[str, str]]:
    return Counter((waba_id, number["id"]) for waba_id in sandbox.waba_ids for number in sandbox.numbers(waba_id))


def test_every_account_is_in_the_result_once(sandbox: Sandbox, cluster: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    waba_ids = [*sandbox.waba_ids, sandbox.waba_ids[0], "12345"]

    summary = export(cluster, iter(waba_ids), client_factory, out, chunk=7, concurrency=4, fields="id")

    assert (summary.accounts, summary.phone_numbers, summary.failed) == (60, 180, 1)
    assert rows_in(out) == rows_of(sandbox)
    assert {tuple(read_parquet(str(part)).schema.names) for part in out.glob("*.parquet")} == {
        ("waba_id", "id", "also_in", "extra")
    }
    [failed] = map(json.loads, (out / "errors.jsonl").read_text(encoding="utf-8").splitlines())
    assert (failed["waba_id"], failed["error"]) == ("12345", "NotFoundError")
    assert Counter(request.node for request in sandbox.requests)[sandbox.waba_ids[0]] == 1
    assert cluster.run(lambda dask_worker: [name for name in dask_worker.plugins if "wa_phone" in name])
    assert CANARY not in str(cluster.get_worker_logs()) + str(cluster.get_scheduler_logs())


def test_a_number_that_comes_on_two_pages_is_one_row(sandbox: Sandbox, cluster: Any, tmp_path: Path) -> None:
    sandbox.plan(Fault.raw(json.dumps({"data": [{"id": "7"}, {"id": "8"}, {"id": "7"}]})))
    out = tmp_path / "out"
    summary = export(cluster, ["1234"], client_factory, out, fields="id")
    assert (summary.accounts, summary.phone_numbers) == (1, 2)
    assert rows_in(out) == {("1234", "7"): 1, ("1234", "8"): 1}


def test_a_worker_that_is_killed_in_the_middle_loses_and_doubles_nothing(
    sandbox: Sandbox, mortal_cluster: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    [pid, _] = mortal_cluster.run(os.getpid).values()
    is_killed = threading.Event()

    def kill_when_begun() -> None:
        while len(sandbox.requests) < 15:
            is_killed.wait(0.005)
        os.kill(pid, signal.SIGKILL)
        is_killed.set()

    killer = threading.Thread(target=kill_when_begun)
    killer.start()
    summary = export(mortal_cluster, sandbox.waba_ids, client_factory, out, chunk=5, concurrency=1)
    killer.join()

    assert is_killed.is_set()
    assert (summary.accounts, summary.phone_numbers, summary.failed) == (60, 180, 0)
    assert rows_in(out) == rows_of(sandbox)


def test_a_worker_that_dies_as_its_client_is_made_costs_nothing(
    sandbox: Sandbox, mortal_cluster: Any, tmp_path: Path
) -> None:
    marker = tmp_path / "died"

    def dying_once() -> PhoneNumberClient:
        try:
            marker.touch(exist_ok=False)
        except FileExistsError:
            return PhoneNumberClient.from_env()
        os._exit(9)

    summary = export(mortal_cluster, sandbox.waba_ids, dying_once, tmp_path / "out", chunk=20)

    assert marker.exists()
    assert (summary.accounts, summary.phone_numbers, summary.failed) == (60, 180, 0)
    assert rows_in(tmp_path / "out") == rows_of(sandbox)


@pytest.mark.parametrize("has_journal", [False, True])
async def test_a_second_attempt_replaces_a_part_only_where_no_journal_has_its_checksum(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_journal: bool
) -> None:
    async with client_factory() as client:
        plugin = SimpleNamespace(client=client)
        monkeypatch.setattr(distributed, "get_worker", lambda: SimpleNamespace(plugins={"plugin": plugin}))
        task: Any = (Chunk(tuple(sandbox.waba_ids[:2])), "plugin", tmp_path / "00001234.jsonl", {}, has_journal)
        first, second = [await dask._list_chunk(*task) for _ in range(2)]
    assert first.part
    assert second.part
    assert (first.part.path != second.part.path) == has_journal
    for part in (first.part, second.part):
        assert part == Part.of(part.path, rows=6)
        assert re.fullmatch(r"\d{6,}\.jsonl", part.path.name)  # a job knows it as its own


async def test_workers_that_cannot_be_reached_are_tried_three_times(tmp_path: Path) -> None:
    class Unreachable:
        tries = 0

        async def register_plugin(self, plugin: object, name: str) -> None:
            self.tries += 1
            raise OSError(f"{plugin} of {name} has not arrived")

    cluster = Unreachable()
    plan = dask.ClusterPlan(client_factory=client_factory, out_dir=tmp_path, list_options={})
    with pytest.raises(ConnectionError, match="cannot be reached"):
        await anext(dask.list_chunks(cluster, split_in_chunks(dask._each_once(["1"]), 1), plan))
    assert cluster.tries == 3


def test_a_rejected_token_ends_it(sandbox: Sandbox, cluster: Any, tmp_path: Path) -> None:
    sandbox.revoke(CANARY)
    with pytest.raises(AuthenticationError) as caught:
        export(cluster, sandbox.waba_ids, client_factory, tmp_path / "out", chunk=5)
    assert CANARY not in repr(caught.value)
    assert not list((tmp_path / "out").iterdir())


def test_the_command_line_lets_the_workers_list_and_can_be_resumed(
    sandbox: Sandbox, cluster: Any, tmp_path: Path
) -> None:
    pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    wabas, out = tmp_path / "wabas.txt", tmp_path / "numbers.jsonl"
    wabas.write_text("\n".join([*sandbox.waba_ids, "12345"]), encoding="utf-8")
    command = [sys.executable, "-m", "wa_phone_async", "export", "--wabas", str(wabas), "--out", str(out)]
    address = cluster.scheduler_info()["address"]

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        without_token = {name: value for name, value in os.environ.items() if name != "WA_ACCESS_TOKEN"}
        return subprocess.run([*command, *options], capture_output=True, text=True, check=False, env=without_token)

    first = run("--dask", address)
    before = len(sandbox.requests)
    second = run("--dask", address, "--resume")

    assert (first.returncode, second.returncode) == (3, 3), first.stderr + second.stderr
    assert "60 accounts, 180 numbers; 1 account failed: 1 NotFoundError; 61 calls" in first.stderr
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert Counter((row["waba_id"], row["id"]) for row in rows) == rows_of(sandbox)
    assert [request.node for request in sandbox.requests[before:]] == ["12345"]


def test_the_command_line_lets_the_workers_list_a_business(sandbox: Sandbox, cluster: Any, tmp_path: Path) -> None:
    pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    out, address = tmp_path / "numbers.jsonl", cluster.scheduler_info()["address"]
    options = ["--business", sandbox.business_id, "--kind", "all", "--out", str(out), "--dask", address]
    sandbox.set_nested(sandbox.waba_ids[7], Fault.error(2))
    sandbox.set_nested("client", "usual")
    sandbox.plan(Fault.error(100), node=sandbox.waba_ids[7])

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "wa_phone_async", "export", *options, *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    first = run()
    assert first.returncode == 3, first.stderr
    assert "62 accounts, 430 numbers; 1 account failed: 1 BadRequestError; " in first.stderr
    assert len(sandbox.requests) < 30
    sandbox.requests.clear()
    second = run("--resume")
    assert second.returncode == 0, second.stderr
    assert {request.node for request in sandbox.requests} <= {sandbox.business_id, sandbox.waba_ids[7]}
    sandbox.set_nested(sandbox.waba_ids[7], "usual")
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    numbers = rows_of(sandbox) + Counter((each, row["id"]) for each in SEEDED for row in sandbox.numbers(each))
    assert Counter((row["waba_id"], row["id"]) for row in rows) == numbers


async def test_accounts_that_a_stretch_does_not_bring_are_listed_by_themselves() -> None:
    async with (
        Sandbox(accounts=60, quota=None) as sandbox,
        PhoneNumberClient(CANARY, base_url=sandbox.url, retry=RetryPolicy(max_attempts=1)) as client,
    ):
        ids = tuple(sandbox.waba_ids)
        chunk = Chunk((*ids, "100200300400003"), FleetStretch(sandbox.business_id, "owned", None, 60))
        sandbox.plan(Fault(), times=2, node=sandbox.business_id)
        sandbox.plan(Fault.error(4), node=sandbox.business_id)
        listings, calls = await dask._list_stretch(client, chunk, {"fields": "id"})
        assert ([listing.waba_id for listing in listings], calls) == (list(ids[:50]), 3)  # 10, 40, and an error
        assert await dask._list_stretch(client, Chunk(ids), {}) == ([], 0)


def test_the_command_line_says_that_there_is_no_scheduler(tmp_path: Path) -> None:
    pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    command = [sys.executable, "-m", "wa_phone_async", "export", "--sandbox", "--out", str(tmp_path / "n.csv")]
    environment = {**os.environ, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "200ms"}
    done = subprocess.run(
        [*command, "--dask", "tcp://127.0.0.1:9"], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 1
    assert "wa-phone: " in done.stderr.splitlines()[-1]


def test_the_command_line_says_what_to_install(tmp_path: Path) -> None:
    pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    code = "import sys; sys.modules['distributed'] = None; from wa_phone_async.__main__ import main; sys.exit(main())"
    options = ["export", "--sandbox", "--out", str(tmp_path / "n.csv"), "--dask", "tcp://127.0.0.1:9"]
    done = subprocess.run([sys.executable, "-c", code, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'python -m pip install "wa_phone_async[dask]"' in done.stderr


@pytest.mark.parametrize(("url", "shares"), [("", False), ("redis://127.0.0.1:9/0", True)])
def test_a_workers_client_is_as_its_environment_says(
    monkeypatch: pytest.MonkeyPatch, url: str, *, shares: bool
) -> None:
    pytest.importorskip("redis", reason="the extra `redis` is not installed")
    monkeypatch.setenv("WA_ACCESS_TOKEN", CANARY)
    monkeypatch.setenv("WA_REDIS_URL", url)
    monkeypatch.setenv("WA_APP_ID", "1234567890")
    dask._throttle_from_env.cache_clear()
    client = client_from_env()
    assert ("RedisThrottle" in repr(client.session._throttle)) == shares
    dask._throttle_from_env.cache_clear()


@pytest.mark.usefixtures("sandbox")
async def test_an_asynchronous_client_awaits_it(tmp_path: Path) -> None:
    async with (
        distributed.LocalCluster(
            n_workers=1, processes=False, dashboard_address=":0", asynchronous=True, local_directory=tmp_path / "dask"
        ) as cluster,
        distributed.Client(cluster, asynchronous=True) as client,
    ):
        before = asyncio.all_tasks()
        waba_ids = ["100200300400000", "100200300400003", "100200300400000"]
        summary = await export(client, waba_ids, client_factory, tmp_path / "out", chunk=1)
        assert (summary.accounts, summary.phone_numbers) == (2, 3)
        assert not {task for task in asyncio.all_tasks() - before if "wa_phone_async" in repr(task)}


@pytest.mark.parametrize(
    ("wrong", "text"),
    [({"chunk": 0}, "chunk must be a whole number from 1 up"), ({"client_factory": "token"}, "must be a function")],
    ids=str,
)
def test_an_invalid_argument_is_rejected_before_any_task_is_submitted(wrong: dict[str, Any], text: str) -> None:
    arguments: dict[str, Any] = {"dask_client": None, "waba_ids": [], "client_factory": client_factory, "out_dir": "x"}
    with pytest.raises(InvalidArgumentError, match=text):
        export(**{**arguments, **wrong})


@pytest.mark.parametrize("made", [PhoneNumberClient, GraphSession])
def test_a_client_is_not_pickled(made: Any) -> None:
    with pytest.raises(TypeError, match=r"send a function that makes a client where it is needed$"):
        pickle.dumps(made(CANARY))


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no redis-server")
def test_workers_that_share_their_quotas_in_redis_may_be_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    redis = pytest.importorskip("redis", reason="the extra `redis` is not installed")
    pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    socket_file = tmp_path / "redis.sock"
    server = ["redis-server", "--port", "0", "--unixsocket", str(socket_file), "--save", "", "--appendonly", "no"]
    sandbox = [sys.executable, "-m", "wa_phone_async", "sandbox", "--accounts", "60"]
    with (
        ended(subprocess.Popen(server, stdout=subprocess.DEVNULL, text=True)),
        ended(subprocess.Popen(sandbox, stdout=subprocess.PIPE, text=True)) as served,
    ):
        assert served.stdout is not None
        text = served.stdout.readline()
        while (accounts := re.search(r"WABA (\d+) to", text)) is None:
            text += served.stdout.readline()
        first = int(accounts[1])
        monkeypatch.setenv("WA_BASE_URL", re.findall(r"WA_BASE_URL=(\S+)", text)[0])
        monkeypatch.setenv("WA_ACCESS_TOKEN", CANARY)
        monkeypatch.setenv("WA_REDIS_URL", f"unix://{socket_file}")
        monkeypatch.setenv("WA_APP_ID", "1234567890")
        with two_workers(tmp_path / "dask") as client:
            waba_ids = [str(first + number) for number in range(60)]
            export(client, waba_ids, client_from_env, tmp_path / "before", chunk=20)  # now all accounts are known
            with redis.Redis(unix_socket_path=str(socket_file)) as shared:
                assert not shared.keys("*:leases")
            [pid, _] = client.run(os.getpid).values()
            killer = threading.Thread(target=kill_when_a_part_is_there, args=(pid, tmp_path / "out"))
            killer.start()
            summary = export(client, waba_ids, client_from_env, tmp_path / "out", chunk=5, concurrency=1)
            killer.join()
        with redis.Redis(unix_socket_path=str(socket_file)) as shared:
            keys = shared.keys("wa_phone_async:{1234567890}:*")
    assert (summary.accounts, summary.phone_numbers, summary.failed) == (60, 180, 0)
    assert set(rows_in(tmp_path / "out").values()) == {1}
    assert len(rows_in(tmp_path / "out")) == 180
    assert keys
    assert CANARY.encode() not in b"".join(keys)


def kill_when_a_part_is_there(pid: int, directory: Path) -> None:
    while not any(directory.glob("*.parquet")):
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with the block."""
    with process:
        try:
            yield process
        finally:
            process.terminate()
