"""What the library changes in IPython, by a shell that notes it. test_notebook.py has a real one."""

import asyncio
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from wa_phone_async import (
    InvalidArgumentError,
    NotFoundError,
    OutcomeUnknownError,
    PhoneNumber,
    PhoneNumberClient,
    WaPhoneError,
)
from wa_phone_async.integrations import ipython
from wa_phone_async.sandbox import SMALL_WABA, Fault, Sandbox


class Shell:
    """As much of IPython's shell as the library touches."""

    def __init__(self, *, in_kernel: bool = True, custom: tuple[type[BaseException], ...] = ()) -> None:
        self.custom_exceptions = custom
        self.handler: Callable[..., Any] | None = None
        self.callbacks: dict[str, Callable[..., None]] = {}
        self.shown: list[list[str]] = []
        self.events = SimpleNamespace(register=self.callbacks.__setitem__)
        self.InteractiveTB = SimpleNamespace(structured_traceback=self._format)
        if in_kernel:
            self.kernel = object()

    def set_custom_exc(self, kinds: tuple[type[BaseException], ...], handler: Callable[..., Any]) -> None:
        self.custom_exceptions, self.handler = kinds, handler

    def _format(self, kind: Any, error: BaseException, tb: Any, tb_offset: int) -> list[str]:
        assert tb_offset == 1  # the frame of the shell itself
        return traceback.format_exception(kind, error, tb)

    def _showtraceback(self, kind: Any, error: BaseException, lines: list[str]) -> None:
        del kind, error
        self.shown.append(lines)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    shell = Shell()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    yield shell
    if "_render_traceback_" in vars(WaPhoneError):
        del WaPhoneError._render_traceback_  # type: ignore[attr-defined]  # for IPython
    for name in ("last_type", "last_value", "last_traceback"):
        vars(sys).pop(name, None)


def rendered(error: BaseException) -> str:
    lines: list[str] = error._render_traceback_()  # type: ignore[attr-defined]  # for IPython
    return "".join(lines)


async def failed(client: PhoneNumberClient) -> BaseException:
    try:
        await client.list_phone_numbers("404")
    except NotFoundError as error:
        return error
    raise AssertionError


async def test_an_error_has_the_frames_of_the_caller_alone(shell: Shell, graph_sandbox: Sandbox) -> None:
    ipython.adapt_ipython()
    async with PhoneNumberClient("any", base_url=graph_sandbox.url) as client:
        error = await failed(client)
        whole = traceback.format_exception(error)
        text = rendered(error)
    shell.callbacks["post_run_cell"]()
    assert text.count("File ") == 1
    assert "await client.list_phone_numbers" in text
    assert "NotFoundError: Unsupported get request" in text
    assert traceback.format_exception(error) == whole  # a debugger still finds all of it
    assert len(whole) > 5


def test_the_causes_of_an_error_are_short_as_well(shell: Shell) -> None:
    assert shell.events
    try:
        try:
            PhoneNumberClient(session=1)  # type: ignore[arg-type]  # it is rejected
        except WaPhoneError as cause:
            raise OutcomeUnknownError("it was sent", waba_id="1", reason="a reset") from cause
    except WaPhoneError as error:
        error.__cause__.__context__ = error  # type: ignore[union-attr]  # a circle ends
        ipython.adapt_ipython()
        text = rendered(error)
    assert text.count("File ") == 2
    assert "test_ipython.py" in text


async def test_what_the_library_calls_is_internal_and_what_the_cell_calls_is_not(
    shell: Shell, graph_sandbox: Sandbox
) -> None:
    assert shell.events
    ipython.adapt_ipython()
    async with PhoneNumberClient("any", base_url=graph_sandbox.url) as client:
        with pytest.raises(InvalidArgumentError) as caught:
            client.list_phone_numbers(SMALL_WABA, fields=["quality_ratings"])  # raised in a function that `re` calls
        number = graph_sandbox.add_number(SMALL_WABA)
        with pytest.raises(WaPhoneError) as called:
            await client.wait_until(number["id"], is_mine, total_timeout=5)
    shell.callbacks["post_run_cell"]()
    assert "sub" in names(traceback.format_exception(caught.value))
    assert names(caught.value._render_traceback_()) == [  # type: ignore[attr-defined]  # for IPython
        "test_what_the_library_calls_is_internal_and_what_the_cell_calls_is_not"
    ]
    assert [name for name in names(called.value._render_traceback_()) if "test" not in name] == [  # type: ignore[attr-defined]  # for IPython
        *("is_mine", "sub", "fail")
    ]


def names(lines: list[str]) -> list[str]:
    """The functions of a traceback."""
    return re.findall(r"line \d+, in (\w+)", "".join(lines))


def is_mine(number: PhoneNumber) -> bool:
    def fail(_: re.Match[str]) -> str:
        raise WaPhoneError("no")

    return bool(re.sub("3", fail, number.id))


@pytest.mark.parametrize("kind", [asyncio.CancelledError, TimeoutError])
async def test_a_cancelled_cell_is_short_and_its_error_is_kept(
    shell: Shell, graph_sandbox: Sandbox, kind: type[BaseException]
) -> None:
    ipython.adapt_ipython()
    assert shell.custom_exceptions == (asyncio.CancelledError, TimeoutError)
    async with PhoneNumberClient("any", base_url=graph_sandbox.url) as client:
        graph_sandbox.plan(Fault.delay(60))
        task = asyncio.ensure_future(client.list_phone_numbers("404").collect())
        while not graph_sandbox.requests:
            await asyncio.sleep(0.001)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as cancelled:
            error: BaseException = cancelled if kind is asyncio.CancelledError else TimeoutError()
            error.__cause__ = None if error is cancelled else cancelled
    shell.callbacks["post_run_cell"]()
    assert shell.handler is not None
    shell.handler(shell, type(error), error, error.__traceback__, tb_offset=1)
    assert "wa_phone_async/" not in "".join(shell.shown[0])
    assert sys.last_value is error


def test_a_traceback_without_this_library_stays_as_it_is(shell: Shell) -> None:
    ipython.adapt_ipython()
    with pytest.raises(asyncio.CancelledError) as caught:
        asyncio.run(cancelled_alone())
    assert shell.handler is not None
    shell.handler(shell, type(caught.value), caught.value, caught.tb)
    assert shell.shown == [traceback.format_exception(caught.value)]
    assert "asyncio" in "".join(shell.shown[0])


async def cancelled_alone() -> None:
    raise asyncio.CancelledError


def test_the_handler_of_somebody_else_stays(shell: Shell) -> None:
    shell.custom_exceptions = (KeyError,)
    ipython.adapt_ipython()
    assert shell.custom_exceptions == (KeyError,)


async def test_a_cell_wakes_its_loop_until_it_ends(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipython, "_WAKE_SECONDS", 0.0)
    woken, wake = [0], ipython._Waker._wake

    def count(waker: Any, loop: asyncio.AbstractEventLoop) -> None:
        woken[0] += 1
        wake(waker, loop)

    monkeypatch.setattr(ipython._Waker, "_wake", count)
    ipython.adapt_ipython()  # in the cell that imports
    for _ in range(5):
        await asyncio.sleep(0.001)
    assert woken[0] > 2
    shell.callbacks["post_run_cell"](object())
    before = woken[0]
    await asyncio.sleep(0.001)
    assert woken[0] == before

    shell.callbacks["pre_run_cell"](object())
    shell.callbacks["pre_run_cell"](object())
    assert woken[0] == before + 2
    shell.callbacks["post_run_cell"](object())
    shell.callbacks["post_run_cell"](object())


def test_without_a_loop_or_in_another_thread_nothing_is_woken(shell: Shell) -> None:
    ipython.adapt_ipython()
    shell.callbacks["pre_run_cell"]()

    async def start() -> None:
        shell.callbacks["pre_run_cell"]()

    thread = threading.Thread(target=asyncio.run, args=[start()])
    thread.start()
    thread.join()
    waker = shell.callbacks["pre_run_cell"].__self__  # type: ignore[attr-defined]  # for IPython
    assert waker._timer is None


def test_ipython_at_a_terminal_needs_no_waking(shell: Shell) -> None:
    del shell.kernel
    ipython.adapt_ipython()
    assert shell.callbacks == {}


@pytest.mark.parametrize("module", [None, SimpleNamespace(), SimpleNamespace(get_ipython=lambda: None)])
def test_a_program_without_ipython_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
    monkeypatch.setitem(sys.modules, "IPython", module)
    ipython.adapt_ipython()
    assert not hasattr(WaPhoneError, "_render_traceback_")
