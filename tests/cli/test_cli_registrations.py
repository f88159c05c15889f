"""The ledger of the command line: which one a command has, what `wa-phone registrations` shows, and how it fails."""

import json
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wa_phone_async import RegistrationLedger, Reservation
from wa_phone_async.sandbox import SEEDED_PIN, SMALL_WABA, Sandbox

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app
from wa_phone_async.cli.ledger import DefaultLedger

Run = Callable[..., tuple[int, str, str]]

ID = "300000001000000"
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def run(
    graph_sandbox: Sandbox,
    state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    monkeypatch.delenv("WA_REGISTRATIONS")
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    monkeypatch.setenv("WA_ACCESS_TOKEN", "an-invented-token")
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        return app.run(arguments), *capsys.readouterr()

    return run


@pytest.fixture
def register(run: Run, graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Onboard a number that is verified already, with its PIN on stdin."""
    number = graph_sandbox.numbers(SMALL_WABA)[0]
    digits = re.sub(r"\D", "", number["display_phone_number"])
    graph_sandbox.update_number(SMALL_WABA, ID, code_verification_status="VERIFIED", platform_type="NOT_APPLICABLE")

    def register(*options: str, pin: str = SEEDED_PIN) -> tuple[int, str, str]:
        Path("pin").write_text(f"{pin}\n")
        with Path("pin").open() as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            return run(
                "onboard", SMALL_WABA, "--phone-number", digits, "--verified-name", "Acme", "--no-wait", *options
            )

    return register


def registrations(sandbox: Sandbox) -> int:
    return sum(request.path.endswith("/register") for request in sandbox.requests)


def test_every_command_counts_in_a_file_of_the_user(register: Run, run: Run, state: Path) -> None:
    assert register(pin="999999")[0] == 1  # a wrong PIN counts too
    assert register()[0] == 0
    path = state / "wa-phone" / "registrations.db"
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)] == [0o600, 0o700]
    status, out, err = run("registrations")
    assert (status, out) == (0, f"{ID}: 2 of 10 used; the next one is possible now\n")
    assert err == "1 number, 0 calls\n"


def test_an_eleventh_registration_is_not_sent(register: Run, run: Run, graph_sandbox: Sandbox) -> None:
    for _ in range(10):
        register(pin="999999")
    sent = registrations(graph_sandbox)
    status, _, err = register()
    assert (status, registrations(graph_sandbox)) == (1, sent)
    assert re.search(rf"was not sent\. The next one is possible at {TIME} \(retry after 259\d+ s\)\nWait until ", err)
    assert re.fullmatch(rf"{ID}: 10 of 10 used; the next one is possible at {TIME}\n", run("registrations", ID)[1])
    row = json.loads(run("registrations", ID, "--format", "jsonl", "--forget")[1])
    assert (row["phone_number_id"], row["used"], row["limit"]) == (ID, 0, 10)


@pytest.mark.parametrize("how", ["option", "environment"])
def test_another_ledger_can_be_named(
    register: Run, run: Run, how: str, monkeypatch: pytest.MonkeyPatch, state: Path
) -> None:
    option = ("--registrations", "fleet.db") if how == "option" else ()
    if how == "environment":
        monkeypatch.setenv("WA_REGISTRATIONS", "fleet.db")
    assert register(*option)[0] == 0
    assert run("registrations", *option)[1].startswith(f"{ID}: 1 of 10")
    assert Path("fleet.db").exists()
    assert not state.exists()


def test_without_a_ledger_nothing_is_counted(register: Run, run: Run, state: Path) -> None:
    assert register("--registrations", "none")[0] == 0
    assert not state.exists()
    status, _, err = run("registrations", "--registrations", "none")
    assert status == 2
    assert err == (
        "wa-phone: --registrations or WA_REGISTRATIONS must be a file or the URL of a Redis: with none, nothing is "
        "counted\n"
    )


def test_a_default_ledger_that_fails_is_one_warning(register: Run, graph_sandbox: Sandbox, state: Path) -> None:
    state.write_text("where a folder should be")
    status, _, err = register()
    assert (status, registrations(graph_sandbox)) == (0, 1)
    assert err.count("wa-phone: ") == 1
    assert (
        f"wa-phone: the ledger of registrations ({state}/wa-phone/registrations.db) failed: Not a directory. The "
        "registration is sent all the same, and not counted. Meta allows ten in 72 hours. --registrations none ends "
        "this warning\n"
    ) in err


@pytest.mark.usefixtures("run")
async def test_a_default_ledger_that_works_does_all_that_a_ledger_does(state: Path) -> None:
    ledger = DefaultLedger()
    assert isinstance(ledger, RegistrationLedger)
    reservation = await ledger.reserve(ID)
    assert isinstance(reservation, Reservation)
    await ledger.release(reservation)
    await ledger.block(ID, 60.0)
    assert await ledger.reserve(ID) == pytest.approx(60, abs=5)
    assert (state / "wa-phone" / "registrations.db").exists()


@pytest.mark.usefixtures("run")
async def test_a_default_ledger_that_has_failed_does_nothing(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state.touch()
    ledger = DefaultLedger()
    for _ in range(2):
        reservation = await ledger.reserve(ID)
        assert isinstance(reservation, Reservation)
        await ledger.release(reservation)
        await ledger.block(ID, 60.0)
    assert capsys.readouterr().err.count("failed") == 1


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_named_ledger_that_fails_sends_nothing(
    register: Run, graph_sandbox: Sandbox, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("fleet.db").write_text("a text" * 1000)
    if how == "environment":
        monkeypatch.setenv("WA_REGISTRATIONS", "fleet.db")
    status, _, err = register(*(("--registrations", "fleet.db") if how == "option" else ()))
    assert (status, registrations(graph_sandbox)) == (1, 0)
    path = Path("fleet.db").absolute()
    assert f"wa-phone: the ledger of registrations ({path}) failed: it is damaged, or is no ledger. Nothing was" in err


def test_a_ledger_in_redis_is_named_by_its_url(register: Run, graph_sandbox: Sandbox, run: Run) -> None:
    pytest.importorskip("redis", reason="the extra `redis` is not installed")
    status, _, err = register("--registrations", "redis://127.0.0.1:1")
    assert (status, registrations(graph_sandbox)) == (1, 0)
    assert "(Redis) failed: there is no connection. Nothing was sent." in err
    status, _, err = run("registrations", "--registrations", "redis://127.0.0.1:x")
    assert (status, err) == (
        2,
        "wa-phone: --registrations must be the address of a Redis, such as 'redis://127.0.0.1:6379/0'\n",
    )


def test_a_password_is_no_argument(run: Run) -> None:
    status, out, err = run("registrations", "--registrations", "redis://:canary-word@127.0.0.1:1")
    assert (status, out) == (2, "")
    assert err == (
        "wa-phone: --registrations must be without a user and a password: other users of this machine can read "
        "arguments: export it as WA_REGISTRATIONS\n"
    )


def test_a_password_in_the_environment_is_not_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("redis", reason="the extra `redis` is not installed")
    monkeypatch.setenv("WA_REGISTRATIONS", "redis://:canary-word@127.0.0.1:1")
    assert "canary" not in "".join(map(str, run("registrations", "--debug")))


def test_the_sandbox_shows_an_invented_ledger_and_counts_in_none(run: Run, state: Path) -> None:
    status, out, _ = run("registrations", "--sandbox")
    assert status == 0
    assert [line.partition(": ")[2].partition(" used")[0] for line in out.splitlines()] == [
        "1 of 10",
        "3 of 10",
        "10 of 10",
    ]
    assert not state.exists()
    run("registrations", "--sandbox", "--registrations", "fleet.db")
    assert not Path("fleet.db").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--forget"], "PHONE_NUMBER_ID must be given with --forget"),
        (["x"], "PHONE_NUMBER_ID must be the id of the phone number, a string of digits, not 'x'"),
        (["--registrations", "a\0b"], "--registrations must be the path of a file"),
    ],
)
def test_arguments_are_checked(run: Run, arguments: list[str], text: str) -> None:
    status, _, err = run("registrations", *arguments)
    assert (status, err.startswith(f"wa-phone: {text}")) == (2, True)


@pytest.mark.parametrize("value", ["", "relative/path"])
def test_the_default_is_in_the_home_directory(
    register: Run, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", value)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert register()[0] == 0
    assert (tmp_path / "home" / ".local" / "state" / "wa-phone" / "registrations.db").exists()


def test_a_user_without_a_home_directory_is_warned(run: Run, register: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setattr(Path, "home", no_home)
    status, _, err = register()
    assert status == 0
    assert "(the default file) failed: you have no home directory. The registration is sent all the same" in err
    assert run("registrations")[0] == 1
