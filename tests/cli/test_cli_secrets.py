"""The command line shows no secret: neither among the local variables of a traceback, nor in a message."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType

import pytest
from passing_time import settle
from secrecy import everything_shown

from wa_phone_async import PhoneNumberClient, RetryPolicy
from wa_phone_async.sandbox import LARGE_WABA, SMALL_WABA, Fault, Sandbox

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app
from wa_phone_async.cli.connection import Connection, Link, connect
from wa_phone_async.cli.onboarding_dialog import NumberToOnboard, OnboardingDialog
from wa_phone_async.cli.terminal.prompt import Prompt
from wa_phone_async.redaction import Secret

TOKEN = "EAAcanary" + "0Zk9" * 40
SECRET = "c0ffee" * 5 + "c0"
PIN = "271828"
NUMBER = ("--phone-number", "16315551000", "--verified-name", "Acme", "--cc", "1")


@pytest.fixture(params=["environment", "files"])
def where(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graph_sandbox: Sandbox
) -> Sequence[str]:
    """The options with which a command finds the secrets, and the sandbox."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    if request.param == "environment":
        monkeypatch.setenv("WA_ACCESS_TOKEN", TOKEN)
        monkeypatch.setenv("WA_APP_SECRET", SECRET)
        return ()
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "secret").write_text(SECRET)
    return "--token-file", "token", "--app-secret-file", "secret"


def error_of(run: Callable[[], object]) -> BaseException:
    """The error of a command that fails, without the frames of this file."""
    try:
        run()
    except BaseException as error:  # noqa: BLE001 - Ctrl-C is one too
        return error.with_traceback(without_this_file(error.__traceback__))
    raise AssertionError("it did not fail")


def without_this_file(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return frames


def assert_hidden(texts: Sequence[str]) -> None:
    for text in texts:
        for secret in (TOKEN, SECRET):
            assert secret[:24] not in text
            assert secret[-24:] not in text


MISTAKES = (
    ("list", SMALL_WABA, "--limit", "0"),
    ("list", SMALL_WABA, "--max-items", "-1"),
    ("list", SMALL_WABA, "--fields", "nam"),
    ("list", SMALL_WABA, "--filter", "x"),
    ("list", SMALL_WABA, "--api-version", "23"),
    ("list", SMALL_WABA, "--base-url", "ftp://x"),
    ("list", SMALL_WABA, "--base-url", "http://127.0.0.1:9"),
    ("list", "one"),
    ("list", "555"),
    ("create", SMALL_WABA, "--phone-number", "1"),
    ("create", SMALL_WABA, *NUMBER, "--cc", "x"),
    ("create", SMALL_WABA, *NUMBER, "--ensure", "--verified-name", "A"),
    ("onboard", SMALL_WABA, *NUMBER, "--api-version", "x"),
    ("onboard", SMALL_WABA, *NUMBER, "--phone-number", "1"),
    ("accounts", "one"),
    ("accounts", "555"),
    ("doctor", "one"),
    ("watch", SMALL_WABA, "--interval", "0"),
    ("watch", "one"),
    ("watch", "555"),
    ("export", "--business", "1", "--out", "n.xlsx"),
    ("export", "--business", "one", "--out", "n.csv"),
    ("export", "--business", "1", "--out", "n.csv", "--concurrency", "0"),
    ("export", "--wabas", "missing", "--out", "n.csv"),
    ("export", "--wabas", "ids", "--out", "n.csv", "--base-url", "x"),
)


@pytest.mark.parametrize("arguments", MISTAKES, ids=" ".join)
def test_no_local_variable_shows_a_secret_after_a_mistake(arguments: Sequence[str], where: Sequence[str]) -> None:
    Path("ids").write_text("1\n")
    error = error_of(lambda: app.app([*arguments, *where]))
    assert not isinstance(error, SystemExit)
    assert_hidden(list(everything_shown(error)))


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", LARGE_WABA),
        ("create", SMALL_WABA, *NUMBER),
        ("onboard", SMALL_WABA, *NUMBER),
        ("watch", SMALL_WABA),
        ("export", "--business", "200300400500600", "--out", "n.csv"),
    ],
    ids=" ".join,
)
def test_no_local_variable_shows_a_secret_after_ctrl_c(
    arguments: Sequence[str], where: Sequence[str], graph_sandbox: Sandbox
) -> None:
    graph_sandbox.plan(Fault.delay(30), times=99)
    main, is_over = threading.main_thread().ident, threading.Event()
    assert main

    def interrupt() -> None:
        while not graph_sandbox.requests and not is_over.wait(0.001):
            pass
        while not is_over.wait(0.05):  # an export wants two
            signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        error = error_of(lambda: app.app([*arguments, *where]))
    finally:
        is_over.set()
        thread.join()
    assert_hidden(list(everything_shown(error)))


class Typed(Prompt):
    """A person who types one line, and then waits."""

    def __init__(self, line: str) -> None:
        self.is_terminal = True
        self._typed = [Secret(line)]
        self.waits = asyncio.Event()

    async def read(self, label: str) -> Secret:  # noqa: ARG002 - the label is that of the dialog
        if not self._typed:
            self.waits.set()
            await asyncio.Event().wait()
        return self._typed.pop()


async def test_a_pin_that_is_typed_again_is_not_shown(graph_sandbox: Sandbox) -> None:
    number = graph_sandbox.numbers(SMALL_WABA)[0]
    state = {"code_verification_status": "VERIFIED", "platform_type": "NOT_APPLICABLE", "is_pin_enabled": False}
    graph_sandbox.update_number(SMALL_WABA, number["id"], status="PENDING", host_platform="NOT_APPLICABLE", **state)
    wanted = NumberToOnboard(
        waba_id=SMALL_WABA,
        phone_number=number["display_phone_number"],
        verified_name=number["verified_name"],
        cc=None,
        code_method="SMS",
        language="en",
        waits=False,
    )
    async with PhoneNumberClient(TOKEN, base_url=graph_sandbox.url) as client:
        prompt = Typed(PIN)
        task = asyncio.create_task(OnboardingDialog(Link(client), wanted, prompt).run())
        await prompt.waits.wait()
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    assert [text for text in everything_shown(caught.value) if PIN in text] == []


# A secret as the value of an option


GIVEN = {
    "an access token": "EAAG" + "mZ0" * 60,
    "a short access token": "EAAcanary+/token==",
    "an app's token": "123456789012345|aB3dEf-7hI",
    "an app's secret": SECRET,
    "another long secret": "IGQVJc3Z4-b2k_9d8f7h6",
    "the configured token": "configured",
    "with its scheme": "Bearer EAAGmZ0mZ0",
    "in quotes": "'EAAGmZ0mZ0'",
}
PLACES = {
    "list 1 --limit {}": "into a whole number",
    "list 1 --max-items {}": "into a whole number",
    "list 1 --fields {} --no-chek": "no-check",
    "list 1 --fields id,{}": "",
    "list 1 --format {}": 'Choose from: "table", "json", "jsonl", "csv"',
    "list 1 --filter {}": "",  # with a "=" it is a condition
    "list 1 --filter={}": "",
    "list 1 --filter {}=x": "",
    "list 1 --sort {}": "",
    "list 1 --tokn={}": "--tokn",
    "list 1 --tokn {}": "--tokn",
    "list 1 --{}": "",
    "list 1 --api-version {}": "of the form 'v23.0'",
    "list 1 --base-url {}": "such as 'https://graph.facebook.com'",
    "list 1 --token-file {}": "a file that holds what Meta issued",
    "list {}": "the id of the account, a string of digits",
    "{}": "list",
    "create 1 --phone-number {}": "7 to 15 digits",
    "create 1 --phone-number 16315551000 --verified-name Acme --cc {}": "1 to 3 digits",
    "onboard 1 --phone-number 1 --language {}": "such as en or en_US",
    "onboard 1 --phone-number 1 --code-method {}": 'Choose from: "SMS", "VOICE"',
    "watch 1 --interval {}": "into a number",
    "export --wabas {} --out n.csv": "--wabas",
    "export --business {} --out n.csv": "the id of the business",
    "export --business 1 --out {}": ".jsonl, .csv or .parquet",
    "export --business 1 --out n.csv --kind {}": 'Choose from: "owned", "client"',
    "export --business 1 --out n.csv --concurrency {}": "into a whole number",
    "accounts {}": "BUSINESS_ID must be the id of the business, a string of digits",
    "doctor {}": "the id of the account, a string of digits",
    "doctor --redis redis://:{}@127.0.0.1:9": "an address without a password",
    "doctor --trouble {}": 'Choose from: "expired", "no-permission"',
    "sandbox --mode {}": 'Choose from: "live", "reference"',
    "sandbox --accounts {}": "into a whole number",
    "completion {}": "",
}


@pytest.mark.parametrize("secret", GIVEN.values(), ids=GIVEN)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("debug", [False, True], ids=["", "--debug"])
def test_a_secret_in_a_wrong_place_is_not_shown(
    *,
    place: str,
    secret: str,
    debug: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WA_ACCESS_TOKEN", "configured")
    monkeypatch.setenv("WA_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("wa_phone_async.cli.commands.list.connect", in_haste)
    arguments = [word.replace("{}", secret) for word in place.split(" ")]
    status = app.run([*arguments, *(["--debug"] if debug else [])])
    out, err = capsys.readouterr()
    assert status in {1, 2}
    assert secret.strip("'").removeprefix("Bearer ").lower() not in f"{out}{err}".lower()
    assert PLACES[place] in err


def in_haste(connection: Connection, **options: bool) -> AbstractAsyncContextManager[Link]:
    """Without a retry: there is no server."""
    return connect(connection, RetryPolicy(max_attempts=1), **options)


@pytest.mark.parametrize("option", ["--token-file token", "--token-file=token", "--app-secret-file token"])
def test_the_token_of_a_file_in_a_wrong_place_is_not_shown(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("token").write_text("a-plain-word\n")
    assert app.run(["list", "1", *option.split(" "), "--limit", "a-plain-word"]) == 2
    assert capsys.readouterr().err == (
        'wa-phone: Invalid value for --limit: unable to convert "[hidden]" into a whole number.\n'
    )


def test_a_token_in_a_variable_or_a_file_of_ids_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WA_ACCESS_TOKEN", "any-token")
    token = "EAAG" + "mZ0" * 10
    Path("ids").write_text(f"1\n{token}\n")
    app.run(["export", "--wabas", "ids", "--out", "n.csv"])
    err = capsys.readouterr().err
    assert "line 2 of ids is no id" in err
    assert token not in err
    monkeypatch.setenv("WA_API_VERSION", token)
    app.run(["list", "1"])
    assert capsys.readouterr().err == "wa-phone: WA_API_VERSION must be of the form 'v23.0', not '[hidden]'\n"


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"x" * 70_000], ids=["no file", "no text", "too large"])
def test_a_file_that_holds_no_token_is_no_obstacle(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("token").write_bytes(content)
    assert app.run(["list", "1", "--token-file", "token", "--limit", "many"]) == 2
    assert "unable to convert" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_with_the_token_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graph_sandbox: Sandbox
) -> None:
    os.mkfifo(tmp_path / "token")
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    writer = threading.Thread(target=(tmp_path / "token").write_text, args=(TOKEN,))
    writer.start()
    assert app.run(["list", SMALL_WABA, "--token-file", str(tmp_path / "token")]) == 0
    writer.join()


@pytest.mark.parametrize(
    "value",
    [
        "last_onboarded_time.descending",
        "whatsapp_business_manager_messaging_limits",
        "code_verification_statu",
        "102290129340398",
        "MyShopNumbersExport2026",
        "+1 (631) 555-1000 extension",
    ],
)
def test_what_is_no_secret_is_shown(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WA_ACCESS_TOKEN", "number")  # a toy that is a word of the message
    assert app.run(["list", "1", "--max-items", f"{value}x"]) == 2
    err = capsys.readouterr().err
    assert err == f'wa-phone: Invalid value for --max-items: unable to convert "{value}x" into a whole number.\n'
