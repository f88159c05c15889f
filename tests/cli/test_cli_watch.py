"""`wa-phone watch`: lines in a pipe, a table on a terminal, minutes of both in no time."""

import asyncio
import io
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from wa_phone_async import Change, Extra, PhoneNumber, RateLimitError, Throughput, TransportError
from wa_phone_async.sandbox import LARGE_WABA, SMALL_WABA, Fault, Sandbox, VirtualTimeLoop
from wa_phone_async.sandbox.demo import STAGES

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from rich.console import Console

from wa_phone_async.alerts import alerting
from wa_phone_async.cli import app
from wa_phone_async.cli.commands import watch as watching
from wa_phone_async.cli.connection import Connection
from wa_phone_async.cli.terminal.changes import JsonChanges, TextChanges, WatchedAccount
from wa_phone_async.cli.terminal.live import LiveTable, screen

NOON = datetime(2026, 11, 22, 12, 0, 5, tzinfo=UTC)
ACME = PhoneNumber("300000001000001", display_phone_number="+55 21 2035-5558", verified_name="Acme \x1b[31m")
BARE = PhoneNumber("300000001000009")
OTHER_WABA = "900"


@attrs.define
class Watched:
    """What a watch says of itself."""

    waba_id: str = SMALL_WABA
    known: tuple[PhoneNumber, ...] | None = None
    seen_at: datetime | None = None
    error: Exception | None = None
    seconds_left: float | None = None


def account(rejection: str = "", **state: Any) -> WatchedAccount:
    watch: Any = Watched(**state)
    return WatchedAccount(watch, rejection=rejection)


def change(field: str, old: Any, new: Any, number: PhoneNumber = ACME, waba_id: str = SMALL_WABA) -> Change:
    return Change(waba_id=waba_id, number=number, field=field, old=old, new=new, seen_at=NOON)


CHANGES = [
    change("status", "PENDING", "CONNECTED"),
    change("code_verification_status", "NOT_VERIFIED", "VERIFIED"),
    change("verified_name", "", "Évil \x1b[31m\u202e"),
    change("throughput", 80, Throughput("HIGH")),
    change("last_onboarded_time", None, NOON),
    change("webhook_configuration", {"application": "https://shop.example/webhooks"}, None),
    change("id", None, BARE.id, BARE),
    change("id", ACME.id, None),
]
ACCOUNTS = [
    account(known=(ACME,) * 1003, seen_at=NOON, seconds_left=44.2),
    account(waba_id="100200300400250", known=(), seen_at=NOON, error=TransportError("no response"), seconds_left=0.0),
    account(waba_id="100200300400000"),
    account(rejection="Unsupported get request. There is no such object (HTTP 400, code 100/33)", waba_id="900"),
]
SCREENS = {
    60: """\
WABA             NUMBERS  STATE
100200300400003    1,003  seen 12:00:05 UTC; next in 45 s
100200300400250        0  no response; polling
100200300400000           first poll
900                       rejected: Unsupported get request.
                          There is no such object (HTTP 400,
                          code 100/33)

SEEN      NUMBER AND CHANGE
12:00:05  100200300400003  +55 21 2035-5558
          status PENDING -> CONNECTED
12:00:05  100200300400003  +55 21 2035-5558
          code_verification_status NOT_VERIFIED -> VERIFIED
12:00:05  100200300400003  +55 21 2035-5558
          verified_name "" -> Évil \\x1b[31m\\u202e
12:00:05  100200300400003  +55 21 2035-5558
          throughput 80 -> {"level": "HIGH"}
12:00:05  100200300400003  +55 21 2035-5558
          last_onboarded_time - -> 2026-11-22T12:00:05+00:00
12:00:05  100200300400003  +55 21 2035-5558
          webhook_configuration {"application":
          "https://shop.example/webhooks"} -> -
12:00:05  100200300400003  300000001000009
          new
12:00:05  100200300400003  +55 21 2035-5558
          gone
""",
    80: """\
WABA             NUMBERS  STATE
100200300400003    1,003  seen 12:00:05 UTC; next in 45 s
100200300400250        0  no response; polling
100200300400000           first poll
900                       rejected: Unsupported get request. There is no such
                          object (HTTP 400, code 100/33)

SEEN      WABA             NUMBER            CHANGE
12:00:05  100200300400003  +55 21 2035-5558  status PENDING -> CONNECTED
12:00:05  100200300400003  +55 21 2035-5558  code_verification_status
                                             NOT_VERIFIED -> VERIFIED
12:00:05  100200300400003  +55 21 2035-5558  verified_name "" -> Évil
                                             \\x1b[31m\\u202e
12:00:05  100200300400003  +55 21 2035-5558  throughput 80 -> {"level": "HIGH"}
12:00:05  100200300400003  +55 21 2035-5558  last_onboarded_time - ->
                                             2026-11-22T12:00:05+00:00
12:00:05  100200300400003  +55 21 2035-5558  webhook_configuration
                                             {"application":
                                             "https://shop.example/webhooks"} ->
                                             -
12:00:05  100200300400003  300000001000009   new
12:00:05  100200300400003  +55 21 2035-5558  gone
""",
    120: """\
WABA             NUMBERS  STATE
100200300400003    1,003  seen 12:00:05 UTC; next in 45 s
100200300400250        0  no response; polling
100200300400000           first poll
900                       rejected: Unsupported get request. There is no such object (HTTP 400, code 100/33)

SEEN      WABA             NUMBER            CHANGE
12:00:05  100200300400003  +55 21 2035-5558  status PENDING -> CONNECTED
12:00:05  100200300400003  +55 21 2035-5558  code_verification_status NOT_VERIFIED -> VERIFIED
12:00:05  100200300400003  +55 21 2035-5558  verified_name "" -> Évil \\x1b[31m\\u202e
12:00:05  100200300400003  +55 21 2035-5558  throughput 80 -> {"level": "HIGH"}
12:00:05  100200300400003  +55 21 2035-5558  last_onboarded_time - -> 2026-11-22T12:00:05+00:00
12:00:05  100200300400003  +55 21 2035-5558  webhook_configuration {"application": "https://shop.example/webhooks"} -> -
12:00:05  100200300400003  300000001000009   new
12:00:05  100200300400003  +55 21 2035-5558  gone
""",
}
ONE = """\
WABA             NUMBERS  STATE
100200300400003        1  seen 12:00:05 UTC; polling

SEEN      NUMBER            CHANGE
12:00:05  +55 21 2035-5558  status PENDING -> CONNECTED
"""


def drawn(accounts: list[WatchedAccount], changes: list[Change], *, width: int = 80, **options: Any) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False, markup=False, emoji=False, **options)
    console.print(screen(accounts, changes, width=width))
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


class TestScreen:
    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_it_fits_the_width(self, width: int) -> None:
        assert drawn(ACCOUNTS, CHANGES, width=width) == SCREENS[width]

    def test_the_narrower_it_is_the_more_lines_it_takes_and_no_id_is_cut(self) -> None:
        for width in (50, 60, 80, 120):
            lines = drawn(ACCOUNTS, CHANGES, width=width).splitlines()
            assert max(map(len, lines)) <= width
            for whole in (SMALL_WABA, "100200300400250", "+55 21 2035-5558", BARE.id, "webhook_configuration"):
                assert any(whole in line for line in lines)
        assert drawn([account()], CHANGES[:1], width=40).endswith(
            "SEEN      NUMBER AND CHANGE\n12:00:05  +55 21 2035-5558\n          status PENDING -> CONNECTED\n"
        )

    def test_one_account_needs_no_name_in_each_row(self) -> None:
        assert drawn([account(known=(ACME,), seen_at=NOON, seconds_left=0.0)], CHANGES[:1]) == ONE

    def test_without_changes_there_is_no_table_of_them(self) -> None:
        assert drawn([account()], []) == ("WABA             NUMBERS  STATE\n100200300400003           first poll\n")

    def test_colours_are_those_of_values(self) -> None:
        coloured = drawn([account()], CHANGES, force_terminal=True, color_system="standard")
        assert "status PENDING -> \x1b[32mCONNECTED" in coloured
        assert "\x1b[31mgone" in coloured
        assert "\x1b[32mnew" in coloured


class TestLines:
    def test_for_people(self, capsys: pytest.CaptureFixture[str]) -> None:
        with TextChanges([account(), account()]) as lines:
            for seen in CHANGES:
                lines.show(seen)
        place = "2026-11-22T12:00:05Z 100200300400003 300000001000001"
        out, err = capsys.readouterr()
        assert err == "watching 2 accounts; Ctrl-C ends it\n"
        assert out.splitlines() == [
            f"{place} status PENDING -> CONNECTED (+55 21 2035-5558)",
            f"{place} code_verification_status NOT_VERIFIED -> VERIFIED (+55 21 2035-5558)",
            f'{place} verified_name "" -> Évil \\x1b[31m\\u202e (+55 21 2035-5558)',
            f'{place} throughput 80 -> {{"level": "HIGH"}} (+55 21 2035-5558)',
            f"{place} last_onboarded_time - -> 2026-11-22T12:00:05+00:00 (+55 21 2035-5558)",
            f'{place} webhook_configuration {{"application": "https://shop.example/webhooks"}} -> - (+55 21 2035-5558)',
            "2026-11-22T12:00:05Z 100200300400003 300000001000009 new",
            f"{place} gone (+55 21 2035-5558)",
        ]

    def test_the_queries_of_urls_are_for_programs_only(self, capsys: pytest.CaptureFixture[str]) -> None:
        url = "https://shop.example/hook?token=secret"
        moved = change("webhook_configuration", url, Extra({"application": url}))
        assert "secret" not in repr(moved)
        with TextChanges([account()]) as lines:
            lines.show(moved)
        shown = "webhook_configuration https://shop.example/hook?[hidden] -> "
        assert f'{shown}{{"application": "https://shop.example/hook?[hidden]"}}' in capsys.readouterr().out
        with JsonChanges([account()]) as for_programs:
            for_programs.show(moved)
        read = json.loads(capsys.readouterr().out)
        assert (read["old"], read["new"]) == (url, {"application": url})

    def test_what_json_does_not_have_is_not_written(self, capsys: pytest.CaptureFixture[str]) -> None:
        with JsonChanges([account()]) as lines:
            lines.show(change("owner", "\ud800", [float("inf"), {"\udc00": float("nan")}]))
        read = json.loads(capsys.readouterr().out.encode(), parse_constant=pytest.fail)
        assert (read["old"], read["new"]) == ("\ufffd", [None, {"\ufffd": None}])

    def test_for_programs(self, capsys: pytest.CaptureFixture[str]) -> None:
        with JsonChanges([account()]) as lines:
            for seen in CHANGES:
                lines.show(seen)
        out, err = capsys.readouterr()
        assert err == "watching 1 account; Ctrl-C ends it\n"
        assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", out)
        rows = [json.loads(line) for line in out.splitlines()]
        assert rows[0] == {
            "seen_at": "2026-11-22T12:00:05Z",
            "waba_id": SMALL_WABA,
            "phone_number_id": ACME.id,
            "display_phone_number": "+55 21 2035-5558",
            "field": "status",
            "old": "PENDING",
            "new": "CONNECTED",
        }
        assert [(row["old"], row["new"]) for row in rows[2:6]] == [
            ("", "Évil \x1b[31m\u202e"),
            (80, {"level": "HIGH"}),
            (None, "2026-11-22T12:00:05+00:00"),
            ({"application": "https://shop.example/webhooks"}, None),
        ]
        assert [row["number"]["id"] for row in rows[6:]] == [BARE.id, ACME.id]

    def test_what_fails_for_now_is_said_once_and_so_is_its_end(self, capsys: pytest.CaptureFixture[str]) -> None:
        troubled = Watched()
        accounts: Any = [WatchedAccount(troubled), WatchedAccount(Watched(waba_id=OTHER_WABA))]  # type: ignore[arg-type]  # like one
        lines = TextChanges(accounts)
        for error in (None, TransportError("no response"), RateLimitError("wait", http_status=400), None, None):
            troubled.error = error
            lines.refresh()
        assert capsys.readouterr().err == (
            f"wa-phone: {SMALL_WABA}: no response; it stays watched\n{SMALL_WABA}: polled again\n"
        )


Watching = Callable[..., tuple[int, str, str]]


@pytest.fixture
def watch(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Watching:
    """Watch for ten minutes of virtual time: the exit status, and what was printed."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("WA_ACCESS_TOKEN", "any-token")

    def watch(*waba_ids: str, sandbox: Sandbox | None = None, **options: Any) -> tuple[int, str, str]:
        async def main() -> int:
            given = {"total_timeout": 600.0, **options}
            if sandbox is None:
                return await watching.watch_numbers(*waba_ids, connection=Connection(sandbox=True), **given)
            async with sandbox:
                connection = Connection(base_url=sandbox.url)
                return await watching.watch_numbers(*waba_ids, connection=connection, **given)

        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            status = runner.run(main())
        return (status, *capsys.readouterr())

    return watch


class TestCommand:
    def test_in_the_sandbox_there_is_something_to_see(self, watch: Watching) -> None:
        status, out, err = watch()
        assert status == 0
        lines = out.splitlines()
        assert re.fullmatch(
            rf"{datetime.now(UTC):%Y}-\d\d-\d\dT\d\d:\d\d:\d\dZ {SMALL_WABA} 300000001000001 "
            r"code_verification_status NOT_VERIFIED -> VERIFIED \(\+55 21 2035-5558\)",
            lines[0],
        )
        assert any("status CONNECTED -> FLAGGED" in line for line in lines)
        calls = int(err.split()[-2])
        assert err == f"watching 1 account; Ctrl-C ends it\n{len(lines)} changes, {calls} calls\n"
        assert 10 < calls < 40

    def test_a_rejected_account_is_said_and_the_others_stay_watched(self, watch: Watching) -> None:
        status, out, err = watch(SMALL_WABA, OTHER_WABA, LARGE_WABA, SMALL_WABA, form="jsonl")
        assert status == 1
        assert {json.loads(line)["waba_id"] for line in out.splitlines()} == {SMALL_WABA}
        assert err.count("\n") == 3
        assert "\nwa-phone: 900: Unsupported get request." in err
        assert "changes of 3 accounts, " in err

    def test_an_account_alone_that_is_rejected_ends_it(self, watch: Watching) -> None:
        with pytest.raises(Exception, match="Unsupported get request"):
            watch(OTHER_WABA)

    def test_a_rejected_token_ends_it_for_all(self, watch: Watching) -> None:
        with pytest.raises(Exception, match="access token"):
            watch(SMALL_WABA, LARGE_WABA, sandbox=Sandbox(tokens=["another-token"]))

    def test_an_outage_is_said_and_outlived(self, watch: Watching) -> None:
        sandbox = Sandbox()
        sandbox.plan(Fault.error(80008, headers={"Retry-After": "300"}), times=1)
        status, out, err = watch(SMALL_WABA, sandbox=sandbox, fields="id,status")
        assert (status, out) == (0, "")
        first, second, third, last = err.splitlines()
        assert first == "watching 1 account; Ctrl-C ends it"
        assert second.startswith(f"wa-phone: {SMALL_WABA}: (#80008) A planned error")
        assert second.endswith("; it stays watched")
        assert third == f"{SMALL_WABA}: polled again"
        assert re.fullmatch(r"0 changes, \d+ calls", last)

    def test_when_it_is_cancelled_it_says_what_it_saw(
        self, watch: Watching, capsys: pytest.CaptureFixture[str]
    ) -> None:
        del watch  # which has set the environment

        async def main() -> None:
            async with asyncio.timeout(100):
                await watching.watch_numbers(connection=Connection(sandbox=True))

        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner, pytest.raises(TimeoutError):
            runner.run(main())
        assert re.search(r"^1 change, \d calls$", capsys.readouterr().err, re.MULTILINE)

    def test_an_empty_account_lives_in_no_sandbox(self, watch: Watching) -> None:
        status, out, _ = watch("100200300400000")
        assert (status, out) == (0, "")


TO_SECOND_SCREEN = "\x1b[?1049h\x1b[H\x1b[?25l"
TO_FIRST_SCREEN = "\x1b[?25h\x1b[?1049l"


def without_colour(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


class Screen(io.StringIO):
    """A terminal that keeps what it was sent."""

    def isatty(self) -> bool:
        return True


class TestTerminal:
    @pytest.fixture
    def terminal(self) -> Screen:
        return Screen()

    @pytest.fixture
    def watch(self, watch: Watching, terminal: Screen, monkeypatch: pytest.MonkeyPatch) -> Watching:
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setenv("LINES", "24")

        def watch_on_terminal(*waba_ids: str, **options: Any) -> tuple[int, str, str]:
            with monkeypatch.context() as patch:
                patch.setattr(sys, "stdout", terminal)
                return watch(*waba_ids, **options)

        return watch_on_terminal

    def test_the_view_fills_a_screen_of_its_own_and_its_last_state_stays(
        self, watch: Watching, terminal: Screen
    ) -> None:
        status, _, err = watch(total_timeout=150.0)
        assert status == 0
        assert re.fullmatch(r"3 changes, \d calls\n", err)
        assert terminal.getvalue().startswith(TO_SECOND_SCREEN)
        seen, _, left = terminal.getvalue().partition(TO_FIRST_SCREEN)
        frames = seen.removeprefix(TO_SECOND_SCREEN).split("\x1b[H")
        assert len(frames) > 100
        assert {len(without_colour(frame).splitlines()) for frame in frames[1:]} == {24}
        text = without_colour(left)
        text = re.sub(r"next in \d+ s", "next in 7 s", re.sub(r"\d\d:\d\d:\d\d", "12:00:05", text))
        assert [line.rstrip() for line in text.strip().splitlines()] == [
            "WABA             NUMBERS  STATE",
            "100200300400003        3  seen 12:00:05 UTC; next in 7 s",
            "",
            "SEEN      NUMBER            CHANGE",
            "12:00:05  +55 21 2035-5558  host_platform NOT_APPLICABLE -> CLOUD_API",
            "12:00:05  +55 21 2035-5558  status PENDING -> CONNECTED",
            "12:00:05  +55 21 2035-5558  code_verification_status NOT_VERIFIED -> VERIFIED",
        ]
        assert "\x1b[32mVERIFIED" in terminal.getvalue()

    def test_what_does_not_fit_is_left_out(
        self, watch: Watching, terminal: Screen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LINES", "8")
        watch(interval=10.0, total_timeout=100.0)
        seen, _, left = terminal.getvalue().partition(TO_FIRST_SCREEN)
        assert [shown.count("->") for shown in (seen.split("\x1b[H")[-1], left)] == [3, 3]

    def test_a_rejection_stands_in_it_and_is_said_when_it_is_left(self, watch: Watching, terminal: Screen) -> None:
        status, _, err = watch(SMALL_WABA, OTHER_WABA, total_timeout=100.0)
        said, summary = err.splitlines()
        assert status == 1
        assert said.startswith("wa-phone: 900: Unsupported get request.")
        assert "calls" in summary
        assert "wa-phone:" not in terminal.getvalue()
        assert "rejected: Unsupported get request." in terminal.getvalue()

    def test_it_gives_stderr_back_where_the_terminal_was_closed(
        self, terminal: Screen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdout", terminal)
        stderr = sys.stderr
        with pytest.raises(ValueError, match="closed file"), LiveTable([account()]):
            terminal.close()
        assert sys.stderr is stderr

    @pytest.mark.parametrize(
        ("form", "setting"),
        [("text", "TERM=xterm"), ("jsonl", "TERM=xterm"), ("table", "TERM=dumb"), ("table", "NO_COLOR=0")],
    )
    def test_lines_where_they_are_wanted_or_no_table_can_be(
        self, watch: Watching, terminal: Screen, monkeypatch: pytest.MonkeyPatch, form: str, setting: str
    ) -> None:
        monkeypatch.setenv(*setting.split("="))
        watch(form=form, total_timeout=100.0)
        assert "\x1b" not in terminal.getvalue()
        assert terminal.getvalue().count("\n") == 1


class TestAlerts:
    def test_a_command_and_a_dead_webhook_hear_of_changes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("WA_WEBHOOK_SECRET", "k3y-of-the-hook")
        monkeypatch.setattr(alerting, "_GRACE_SECONDS", 1.0)
        script = "import os, sys; open(sys.argv[1] + os.environ['WA_FIELD'], 'w').write(sys.stdin.read())"
        command = shlex.join([sys.executable, "-c", script, f"{tmp_path}{os.sep}"])
        given = ["--on-change", command, "--webhook-url", "http://127.0.0.1:9/hook?key=s3cret", "--format", "jsonl"]
        assert app.run(["watch", "--sandbox", "--interval", "0.2", "--timeout", "0.7", *given]) == 0
        out, err = capsys.readouterr()
        fields = {json.loads(line)["field"] for line in out.splitlines()}
        assert {file.name for file in tmp_path.iterdir()} == fields
        heard = json.loads((tmp_path / "code_verification_status").read_text())
        assert (heard["old"], heard["new"]) == ("NOT_VERIFIED", "VERIFIED")
        assert "wa-phone: --webhook-url: not reached (ClientConnectorError); alerts are kept and sent again" in err
        assert re.search(r"--webhook-url: \d+ alerts were not delivered", err)
        assert "s3cret" not in err

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ("--on-change no-such-program", "--on-change must be a program that can be run, and its arguments"),
            ("--webhook-url ftp://s3cret.example", "--webhook-url must be an http:// or https:// URL"),
            ("--webhook-url http://x --webhook-secret-file nowhere", "--webhook-secret-file nowhere must be a file"),
        ],
    )
    def test_a_wrong_receiver_is_said_before_any_call(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: str, said: str
    ) -> None:
        monkeypatch.setenv("WA_WEBHOOK_SECRET", "k3y-of-the-hook")
        assert app.run(["watch", "--sandbox", *arguments.split()]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"wa-phone: {said}")
        assert "s3cret" not in err

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # apprise 2.3 imports imghdr on Python 3.11
    def test_a_service_and_its_secret(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert app.run(["watch", "--sandbox", "--webhook-url", "http://x"]) == 2
        assert "WA_WEBHOOK_SECRET must be set" in capsys.readouterr().err
        pytest.importorskip("apprise", reason="the extra `alerts` is not installed")
        assert app.run(["watch", "--sandbox", "--notify", "nosuch://s3cret"]) == 2
        err = capsys.readouterr().err
        assert err.startswith("wa-phone: --notify must be a URL that apprise knows")
        assert "s3cret" not in err


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ("watch", "WABA_ID must be given, or --sandbox to try it"),
            ("watch x", "WABA_ID must be the id of the account, a string of digits, not 'x'"),
            ("watch 1 --interval 0", "--interval must be a number of seconds above 0, not 0.0"),
            ("watch 1 --interval often", 'Invalid value for --interval: unable to convert "often" into a number.'),
            ("watch 1 --timeout -1", "--total-timeout must be a number of seconds above 0, not -1.0"),
            ("watch 1 --fields a,,b", "--fields must be names such as"),
            ("watch 1 --fields statsu", "--fields must be names such as 'id,status', not 'statsu': did you mean sta"),
            ("watch 1 --fields a,,b --no-check", "--fields must be names such as"),
            ("watch 1 --format csv", 'Invalid value "csv" for --format.'),
        ],
    )
    def test_misuse_costs_no_call(
        self,
        graph_sandbox: Sandbox,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        arguments: str,
        said: str,
    ) -> None:
        monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
        monkeypatch.setenv("WA_ACCESS_TOKEN", "any-token")
        assert app.run(arguments.split()) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith(f"wa-phone: {said}")
        assert not graph_sandbox.requests

    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_help_fits_the_width(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        assert app.run(["watch", "--help"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= width
        assert all(line.startswith(" wa-phone ") for line in lines[lines.index("Examples:") + 2 :])


@pytest.mark.heavy
class TestProcess:
    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TERM", "xterm-256color")

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        command = (sys.executable, "-W", "error", "-m", "wa_phone_async", "watch", "--sandbox", "--interval", "0.1")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        return subprocess.Popen((*command, *arguments), text=True, env=dict(os.environ), **pipes)

    @pytest.mark.parametrize("form", ["table", "jsonl"])
    def test_a_pipe_gets_lines_until_ctrl_c(self, form: str) -> None:
        with self.start("--format", form) as process:
            assert process.stdout
            lines = [process.stdout.readline() for _ in range(3)]
            process.send_signal(signal.SIGINT)
            out, err = process.communicate()
        assert process.returncode == 130
        lived = {field for stage in STAGES for field in stage}  # on a slow machine any may come first
        lived.add("host_platform")  # where `platform_type` is kept
        assert [line for line in lines if not lived.intersection(re.findall(r"\w+", line))] == []
        assert "\x1b" not in "".join(lines) + out
        assert re.fullmatch(r"watching 1 account; Ctrl-C ends it\n\d+ changes, \d+ calls\n", err)

    def test_a_reader_who_leaves_ends_it_quietly(self) -> None:
        with self.start() as process:
            assert process.stdout
            assert process.stderr
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == "watching 1 account; Ctrl-C ends it\n"
        assert process.returncode == 0

    def test_a_terminal_gets_a_table_until_ctrl_c(self) -> None:
        pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
        master, slave = pty.openpty()
        pytest.importorskip("termios").tcsetwinsize(slave, (24, 80))
        seen, until, is_stopped = b"", time.monotonic() + 30, False
        with self.start(stdout=slave, stderr=slave) as process:
            os.close(slave)
            while time.monotonic() < until:
                if select.select([master], [], [], 1)[0]:
                    try:
                        seen += os.read(master, 65536)
                    except OSError:  # how Linux says that the other side was closed
                        break
                if b"CONNECTED" in seen and not is_stopped:
                    is_stopped = True
                    process.send_signal(signal.SIGINT)
        os.close(master)
        assert process.returncode == 130
        text = seen.decode()
        assert text.startswith(TO_SECOND_SCREEN)
        assert re.search(r"\n\d+ changes, \d+ calls\r\n$", text.partition(TO_FIRST_SCREEN)[2])
        assert re.search(r"\x1b\[[\d;]*3\d", text)
        assert max(map(len, re.split(r"[\r\n]+|\x1b\[[?\d]*[Hhl]", without_colour(text)))) <= 80
