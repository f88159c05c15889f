"""The client in a real Jupyter kernel: the example, cells that run again, interrupted cells, and tables."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kernels import Cell, Kernel

from wa_phone_async.sandbox import BUSINESS_ID, EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook.ipynb"
USED_BY_IT = ("matplotlib", "polars", "tqdm")

MAKE_CLIENT = "client = PhoneNumberClient('an-invented-token', base_url=url, retry=RetryPolicy.batch())"
SOON = 5.0  # seconds: mostly it takes a fifth of one, and a busy machine draws a kernel's first traceback in two
LIST_ALL = f"print(len(await client.list_phone_numbers('{LARGE_WABA}')))"


def code_cells() -> list[dict[str, Any]]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def well(cell: Cell) -> str:
    """Check that a cell ended without an error, and return what it printed."""
    assert cell.error is None, cell
    return cell.text


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel for all tests, which writes nothing to stderr. At the end it is closed while a client is open.

    aiohttp logs that open client in the log of the Jupyter server, when the kernel's loop has stopped.
    """
    with Kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        well(kernel.run("import asyncio, gc\nfrom wa_phone_async import *\nPhoneNumberClient"))
        yield kernel
        well(kernel.run("from wa_phone_async.sandbox import Sandbox\nsandbox = await Sandbox().__aenter__()"))
        well(kernel.run(f"url = sandbox.url\n{MAKE_CLIENT}\n{LIST_ALL}"))
        assert kernel.take_noise() == ""
    last_words = kernel.take_noise()
    assert "Task was destroyed" not in last_words
    assert "Traceback" not in last_words


@pytest.fixture
def sandbox(kernel: Kernel, graph_sandbox: Sandbox) -> Iterator[Sandbox]:
    """The API that `client` in the kernel calls, without `async with`. It leaves no task in the kernel's loop."""
    list_tasks = "gc.collect()\nprint(sorted(task.get_coro().__qualname__ for task in asyncio.all_tasks()))"
    well(kernel.run(f"url = {graph_sandbox.url!r}\n{MAKE_CLIENT}"))
    before = well(kernel.run(f"await asyncio.sleep(0)\n{list_tasks}"))
    yield graph_sandbox
    assert well(kernel.run(f"await client.aclose()\n{list_tasks}")) == before
    assert kernel.take_noise() == ""


def wait_for(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.01)


# The example


def test_the_example_is_kept_without_outputs() -> None:
    assert [cell["outputs"] for cell in code_cells()] == [[]] * len(code_cells())
    assert {cell["execution_count"] for cell in code_cells()} == {None}


@pytest.mark.unmeasured
def test_the_example_runs_from_top_to_bottom() -> None:
    for package in ("nbmake", *USED_BY_IT):
        pytest.importorskip(package, reason="the dependency group `notebook` is not installed")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--nbmake", str(NOTEBOOK)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.unmeasured
def test_each_cell_of_the_example_can_be_run_again(kernel: Kernel) -> None:
    for package in USED_BY_IT:
        pytest.importorskip(package, reason="the dependency group `notebook` is not installed")
    shown = set[str]()
    for cell in code_cells():
        for _ in range(2):
            done = kernel.run("".join(cell["source"]))
            well(done)
            shown.update(kind for data in done.shown for kind in data)
    well(kernel.run("gc.collect()\nawait asyncio.sleep(0)"))
    assert {"text/html", "image/svg+xml"} <= shown
    assert kernel.take_noise() == ""


@pytest.mark.unmeasured
def test_a_cell_that_makes_a_client_can_be_run_again(kernel: Kernel, sandbox: Sandbox) -> None:
    for _ in range(3):
        assert well(kernel.run(f"{MAKE_CLIENT}\n{LIST_ALL}")) == "250\n"
    assert len({request.peer_port for request in sandbox.requests}) == 3


@pytest.mark.unmeasured
def test_a_block_can_be_run_again(kernel: Kernel, sandbox: Sandbox) -> None:
    for _ in range(2):
        assert well(kernel.run(f"async with client:\n    {LIST_ALL}")) == "250\n"
    assert kernel.run(LIST_ALL).error == "RuntimeError"
    assert len({request.peer_port for request in sandbox.requests}) == 2


# Interruptions: the code that awaits gets a `CancelledError`


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    "code",
    [
        f"await client.list_phone_numbers('{LARGE_WABA}')",
        f"async for number in client.list_phone_numbers('{LARGE_WABA}'):\n    pass",
        f"async with client.list_phone_numbers('{LARGE_WABA}', read_ahead=2) as numbers:\n    await numbers",
        f"async for change in client.watch('{LARGE_WABA}'):\n    pass",
    ],
    ids=["await", "async for", "read ahead", "watch"],
)
def test_an_interrupted_cell_leaves_a_client_that_works(kernel: Kernel, sandbox: Sandbox, code: str) -> None:
    sandbox.plan(Fault.delay(60))
    cell = kernel.begin(code)
    wait_for(lambda: len(sandbox.requests) == 1)

    kernel.interrupt()

    assert kernel.end(cell).error == "CancelledError"
    assert well(kernel.run(LIST_ALL)) == "250\n"


@pytest.mark.unmeasured
def test_an_interrupted_create_says_that_it_may_have_happened(kernel: Kernel, sandbox: Sandbox) -> None:
    sandbox.plan(Fault.delay(60))
    arguments = f"'{EMPTY_WABA}', phone_number='16315551001', verified_name='Acme', cc='1'"
    cell = kernel.begin(f"await client.create_phone_number({arguments})")
    wait_for(lambda: len(sandbox.requests) == 1)

    kernel.interrupt()

    assert kernel.end(cell).error == "CancelledError"
    assert well(kernel.run(LIST_ALL)) == "250\n"
    assert kernel.take_noise().endswith("was cancelled after it was sent: it may have happened\n")


@pytest.mark.unmeasured
def test_a_list_that_was_interrupted_goes_on_in_the_next_cell(kernel: Kernel, sandbox: Sandbox) -> None:
    well(kernel.run(f"numbers = client.list_phone_numbers('{LARGE_WABA}')\nseen = [await anext(numbers)]"))
    sandbox.plan(Fault.delay(60))
    cell = kernel.begin("async for number in numbers:\n    seen.append(number)")
    wait_for(lambda: len(sandbox.requests) == 2)

    kernel.interrupt()

    assert kernel.end(cell).error == "CancelledError"
    assert well(kernel.run("seen += await numbers\nprint(len(seen), len(set(seen)))")) == "250 250\n"


@pytest.mark.unmeasured
def test_an_interrupted_wait_leaves_a_client_that_works(kernel: Kernel, sandbox: Sandbox) -> None:
    sandbox.plan(Fault.error(80008, headers={"Retry-After": "3600"}))
    well(kernel.run("unsubscribe = client.subscribe(lambda event: print(type(event).__name__, flush=True))"))
    cell = kernel.begin(f"await client.list_phone_numbers('{SMALL_WABA}')")
    kernel.read(cell, "RetryPlanned")

    kernel.interrupt()

    began = time.monotonic()
    assert kernel.end(cell).error == "CancelledError"
    assert time.monotonic() - began < SOON
    assert well(kernel.run(f"unsubscribe()\n{LIST_ALL}")) == "250\n"
    sentence = f"Waiting 3,600 s because Meta throttles WABA {SMALL_WABA}; cancelling is safe.\n"
    assert kernel.take_noise() == sentence


@pytest.mark.unmeasured
def test_the_cell_that_imports_can_be_interrupted_too(tmp_path: Path, graph_sandbox: Sandbox) -> None:
    graph_sandbox.plan(Fault.delay(60))
    with Kernel(tmp_path) as kernel:
        cell = kernel.begin(
            "from wa_phone_async import PhoneNumberClient\n"
            f"client = PhoneNumberClient('any-token', base_url={graph_sandbox.url!r})\n"
            f"await client.list_phone_numbers('{SMALL_WABA}')"
        )
        wait_for(lambda: len(graph_sandbox.requests) == 1)
        began = time.monotonic()
        kernel.interrupt()
        assert kernel.end(cell).error == "CancelledError"
        assert time.monotonic() - began < SOON
        well(kernel.run("await client.aclose()"))


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    "code",
    [
        "await client.list_many(waba_ids, concurrency=4)",
        "async with client.list_many(waba_ids, concurrency=4) as many:\n    async for listing in many:\n        pass",
    ],
    ids=["await", "async with"],
)
def test_an_interrupted_bulk_leaves_a_client_that_works(kernel: Kernel, sandbox: Sandbox, code: str) -> None:
    waba_ids = [str(500600700800900 + place) for place in range(20)]
    for waba_id in waba_ids:
        sandbox.add_waba(waba_id, numbers=2)
    well(kernel.run(f"waba_ids = {waba_ids}"))
    sandbox.plan(Fault.delay(60), times=4)
    cell = kernel.begin(code)
    wait_for(lambda: len(sandbox.requests) == 4)

    kernel.interrupt()

    assert kernel.end(cell).error == "CancelledError"
    assert len(sandbox.requests) == 4
    assert well(kernel.run("print(len(await client.list_many(waba_ids)))")) == "20\n"


# What a notebook shows


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("numbers", ["Phone numbers: 250, the first 100 of them", "300000002000027", "+1 (206) 555-0141"]),
        ("numbers[:5]", ["Phone numbers: 5", "300000002000027"]),
        (f"await client.list_many(['{LARGE_WABA}', '404'])", ["WABAs: 2", LARGE_WABA, "250", "NotFoundError: Unsu"]),
        ("page", ["Page of 100, and there is more", "300000002000027", "+1 (206) 555-0141"]),
        ("page.data[0]", ["300000002000027", "+1 (206) 555-0141"]),
        (f"(await client.list_many(['{LARGE_WABA}']))[0]", [f"WABA {LARGE_WABA}", "300000002000027"]),
        (f"await client.check_health('{LARGE_WABA}')", ["<iframe", "sandbox='allow-scripts'", "300000002000027"]),
        (f"client.last_usage('{LARGE_WABA}')", ["Usage of the quotas", "calls_percent"]),
        (f"(await client.list_business_accounts('{BUSINESS_ID}'))[0]", [EMPTY_WABA]),
        (
            "try:\n    await client.list_phone_numbers('404')\nexcept WaPhoneError as error:\n    display(error)",
            ["NotFoundError", "fbtrace_id", "Object with ID &#x27;404&#x27; does not exist"],
        ),
    ],
    ids=["list", "slice", "listings", "page", "number", "listing", "report", "usage", "account", "error"],
)
def test_values_are_shown_as_tables(kernel: Kernel, sandbox: Sandbox, code: str, texts: list[str]) -> None:
    del sandbox
    well(kernel.run(f"numbers = await client.list_phone_numbers('{LARGE_WABA}')"))
    well(kernel.run(f"page = await client.list_phone_numbers('{LARGE_WABA}').first_page()"))
    cell = kernel.run(code)
    well(cell)
    [shown] = cell.shown
    assert [text for text in texts if text not in shown["text/html"]] == []


@pytest.mark.unmeasured
def test_a_traceback_has_the_frames_of_the_cell_alone(kernel: Kernel, sandbox: Sandbox) -> None:
    well(kernel.run("async def mine(waba_id):\n    return await client.list_phone_numbers(waba_id)"))
    failed = kernel.run("await mine('404')")
    assert re.findall(r"^(Cell|File).* line (\d+)|^---*> *\d+ (.*)", failed.traceback, re.MULTILINE) == [
        *(("Cell", "1", ""), ("", "", "await mine('404')")),
        *(("Cell", "2", ""), ("", "", "    return await client.list_phone_numbers(waba_id)")),
    ]
    assert failed.traceback.splitlines()[-1].startswith("NotFoundError: Unsupported get request.")

    sandbox.plan(Fault.delay(60))
    cell = kernel.begin(f"await mine('{LARGE_WABA}')")
    wait_for(lambda: len(sandbox.requests) == 2)
    kernel.interrupt()
    assert "wa_phone_async/" not in kernel.end(cell).traceback
    assert "await mine" in cell.traceback
    assert well(kernel.run("import sys, traceback\nprint(len(traceback.extract_tb(sys.last_value.__traceback__)) > 5)"))


@pytest.mark.unmeasured
def test_a_missing_await_is_shown(kernel: Kernel, sandbox: Sandbox) -> None:
    del sandbox
    [shown] = kernel.run(f"client.list_phone_numbers('{LARGE_WABA}')").shown
    assert "await it for all rows that are left" in shown["text/plain"]


@pytest.mark.unmeasured
def test_methods_are_described_and_completed(kernel: Kernel, sandbox: Sandbox) -> None:
    del sandbox
    described = kernel.request("inspect", "client.list_phone_numbers")["data"]["text/plain"]
    assert "List the phone numbers of an account: iterate over them, or await them all as a list." in described
    completed = kernel.request("complete", "client.list_")["matches"]
    assert [match for match in completed if match.endswith("list_phone_numbers")]
    assert "max_items=" in kernel.request("complete", "client.list_phone_numbers('1', max_")["matches"]
