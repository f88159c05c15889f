"""`wa-phone onboard`: what a person sees and types, and where it continues after it was left."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from wa_phone_async import BadRequestError, GraphAPIError, OutcomeUnknownError, RateLimitError, WaitError, WaPhoneError
from wa_phone_async.sandbox import EMPTY_WABA, SEEDED_PIN, Fault, Sandbox, VirtualTimeLoop

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
from terminal import Terminal

from wa_phone_async.cli import app
from wa_phone_async.cli.commands import onboard as onboarding
from wa_phone_async.cli.connection import RegisteringConnection
from wa_phone_async.cli.terminal.prompt import Prompt
from wa_phone_async.redaction import Secret

PIN = "271828"
WRONG = "999999"
DIGITS = "16315551000"
NAME = "Acme Shoes"
ID = "300000000000000"

VERIFIED = {"code_verification_status": "VERIFIED"}
UNVERIFIED = {"code_verification_status": "NOT_VERIFIED"}
REGISTERED = {**VERIFIED, "status": "CONNECTED", "platform_type": "CLOUD_API", "is_pin_enabled": True}
APPROVED = {"name_status": "APPROVED"}

# One run in virtual time, with a person who knows the code and the PIN


Line = str | Callable[[], str]


class Person(Prompt):
    """Types one line after the other, and remembers the labels of the prompts; with none left, waits for ever."""

    def __init__(self, lines: Sequence[Line], *, is_terminal: bool) -> None:
        self.is_terminal = is_terminal
        self.lines = list(lines)
        self.labels: list[str] = []

    async def read(self, label: str) -> Secret:
        self.labels.append(label.strip().removesuffix(":"))
        if not self.lines:
            await asyncio.Event().wait()
        line = self.lines.pop(0)
        return Secret(line if isinstance(line, str) else line())


class Done(NamedTuple):
    status: int
    out: str
    err: str
    labels: list[str]
    error: WaPhoneError | None


Onboard = Callable[..., Done]


@pytest.fixture
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("WA_ACCESS_TOKEN", "any-token")


@pytest.fixture
def onboard(_environment: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Onboard:
    """Onboard a number of the empty account with a person at hand, in virtual time."""

    def onboard(
        sandbox: Sandbox | None, *lines: Line, is_terminal: bool = True, seconds: float = 10_000, **options: Any
    ) -> Done:
        person = Person(lines, is_terminal=is_terminal)

        @contextmanager
        def ask_the_person() -> Iterator[Prompt]:
            yield person

        async def main() -> int:
            async with asyncio.timeout(seconds):
                if sandbox is None:
                    return await onboarding.onboard_number(connection=RegisteringConnection(sandbox=True), **options)
                given = {"phone_number": DIGITS, "verified_name": NAME, "cc": "1", **options}
                async with sandbox:
                    connection = RegisteringConnection(base_url=sandbox.url)
                    return await onboarding.onboard_number(EMPTY_WABA, connection=connection, **given)

        monkeypatch.setattr(onboarding, "prompting", ask_the_person)
        error, status = None, -1
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            try:
                status = runner.run(main())
            except WaPhoneError as caught:
                error = caught
            except TimeoutError:
                status = 130
        out, err = capsys.readouterr()
        said = f"{out}{err}{error}{getattr(error, '__notes__', '')}"
        codes = [] if sandbox is None else [code.code for code in sandbox.inbox]
        for secret in (*codes, *(code.replace("-", "") for code in codes), PIN, WRONG):
            assert secret not in said
        return Done(status, out, err, person.labels, error)

    return onboard


def writes(sandbox: Sandbox) -> list[str]:
    """The edges that were posted to."""
    return [request.path.rpartition("/")[2] for request in sandbox.requests if request.method == "POST"]


def code_of(sandbox: Sandbox, *, dashed: bool = True) -> Callable[[], str]:
    return lambda: sandbox.inbox[-1].code.replace("-", "-" if dashed else "")


def with_number(sandbox: Sandbox, **members: Any) -> Sandbox:
    """The sandbox with the number in its account, in this state."""
    row = {
        "id": ID,
        "display_phone_number": "+1 631-555-1000",
        "verified_name": NAME,
        "status": "PENDING",
        "code_verification_status": "NOT_VERIFIED",
        "name_status": "PENDING_REVIEW",
        "platform_type": "NOT_APPLICABLE",
        "is_pin_enabled": False,
    }
    sandbox.add_waba(EMPTY_WABA, [{**row, **members}])
    return sandbox


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(review_after=100)


WHOLE = f"""\
1. The number: created, with the id {ID}.
2. The code: one was sent by SMS.
   Type it; it is not shown. Press Enter alone to send another one.
   The number is verified.
3. The PIN: this number has none. Choose 6 digits and keep them: two-step verification needs them from now on. They \
are not shown.
   Registering. This may take two minutes.
   The number is registered.
4. The name: so far the number is not approved by name (name_status PENDING_REVIEW). You can leave with Ctrl-C, and \
run the same command again later.
   Approved: the number is ready.
"""


class TestSteps:
    def test_the_whole_way(self, onboard: Onboard, sandbox: Sandbox) -> None:
        done = onboard(sandbox, code_of(sandbox), PIN, PIN)
        assert done == (0, f"{ID}\n", WHOLE, ["Code", "New PIN", "Repeat the PIN"], None)
        assert writes(sandbox) == ["phone_numbers", "request_code", "verify_code", "register"]
        [row] = sandbox.numbers(EMPTY_WABA)
        assert (row["status"], row["name_status"], row["is_pin_enabled"]) == ("CONNECTED", "APPROVED", True)

    def test_a_code_may_be_typed_without_its_hyphen_and_come_by_a_call(
        self, onboard: Onboard, sandbox: Sandbox
    ) -> None:
        done = onboard(sandbox, code_of(sandbox, dashed=False), PIN, PIN, code_method="VOICE", language="de")
        assert "2. The code: one was sent by a voice call.\n" in done.err
        assert (sandbox.inbox[0].code_method, sandbox.inbox[0].language) == ("VOICE", "de")

    def test_a_number_that_begins_with_its_country_code_is_found(self, onboard: Onboard, sandbox: Sandbox) -> None:
        sandbox.add_waba(EMPTY_WABA, [{"id": ID, "display_phone_number": "+91 91234 56789", **REGISTERED, **APPROVED}])
        done = onboard(sandbox, phone_number="9123456789", cc="91")
        assert (done.status, done.out) == (0, f"{ID}\n")
        assert writes(sandbox) == []

    @pytest.mark.parametrize(
        ("members", "lines", "labels", "titles"),
        [
            ({}, ["", "code", PIN, PIN], ["Code", "Code", "New PIN", "Repeat the PIN"], "code PIN name"),
            (VERIFIED, [PIN, PIN], ["New PIN", "Repeat the PIN"], "PIN name"),
            ({**VERIFIED, "is_pin_enabled": True}, [SEEDED_PIN], ["PIN"], "PIN name"),
            (REGISTERED, [], [], "name"),
            ({**REGISTERED, **APPROVED}, [], [], ""),
            ({**REGISTERED, **APPROVED, "code_verification_status": "EXPIRED"}, [], [], ""),
            ({**REGISTERED, **APPROVED, **UNVERIFIED}, [], [], ""),  # a test number
            ({**REGISTERED, **APPROVED, **UNVERIFIED, "is_on_biz_app": True}, [], [], ""),
            ({**REGISTERED, **UNVERIFIED, "is_on_biz_app": True}, [], [], "name"),
            ({**VERIFIED, **APPROVED}, [PIN, PIN], ["New PIN", "Repeat the PIN"], "PIN"),
        ],
    )
    def test_it_goes_on_from_the_state_that_the_api_reports(
        self, onboard: Onboard, members: dict[str, Any], lines: list[str], labels: list[str], titles: str
    ) -> None:
        sandbox = with_number(Sandbox(), **members)
        done = onboard(sandbox, *(code_of(sandbox) if line == "code" else line for line in lines), no_wait=True)
        assert (done.status, done.out, done.labels) == (0, f"{ID}\n", labels)
        assert done.err.startswith(f"1. The number: already in the account, with the id {ID}.\n")
        passed = {
            "2. The code: the number is verified.": "code" not in titles,
            "3. The PIN: the number is registered.": "PIN" not in titles,
            "4. The name: approved: the number is ready.": "name" not in titles,
        }
        assert {line: f"{line}\n" in done.err for line in passed} == passed

    def test_no_code_is_sent_before_somebody_wants_it_where_one_may_be_on_its_way(self, onboard: Onboard) -> None:
        sandbox = Sandbox()
        left = onboard(sandbox, seconds=60)
        assert (left.status, left.labels) == (130, ["Code"])
        done = onboard(sandbox, code_of(sandbox), PIN, PIN, no_wait=True)
        assert (done.status, len(sandbox.inbox)) == (0, 1)
        assert (
            "2. The code: if you have received one, type it; it is not shown. Press Enter alone to send a new one.\n"
            in done.err
        )

    def test_a_code_that_does_not_come_is_sent_again(self, onboard: Onboard, sandbox: Sandbox) -> None:
        done = onboard(sandbox, "", "", code_of(sandbox), PIN, PIN)
        assert (done.status, len(sandbox.inbox)) == (0, 3)
        assert done.err.count("   One was sent by SMS.\n") == 2

    def test_after_a_wrong_code_there_is_another_prompt(self, onboard: Onboard, sandbox: Sandbox) -> None:
        done = onboard(sandbox, WRONG, "12345", code_of(sandbox), PIN, PIN)
        assert done.status == 0
        assert "   The code that you have entered is incorrect: (#136025) Couldn't verify code (HTTP 400" in done.err
        assert (
            "   Meta counts wrong codes. Check it and type it again, or press Enter alone to send a new one.\n"
            in done.err
        )
        assert "   A code has 6 digits, such as 123-830: nothing was sent.\n" in done.err
        assert writes(sandbox).count("verify_code") == 2

    def test_after_a_wrong_pin_there_is_a_prompt_for_that_of_the_number(self, onboard: Onboard) -> None:
        sandbox = with_number(Sandbox(), **VERIFIED, is_pin_enabled=True)
        sandbox.plan(Fault.raw(json.dumps({"data": [{**sandbox.numbers(EMPTY_WABA)[0], "is_pin_enabled": False}]})))
        done = onboard(sandbox, PIN, PIN, WRONG, "1234567", SEEDED_PIN, no_wait=True)
        assert (done.status, done.labels) == (0, ["New PIN", "Repeat the PIN", "PIN", "PIN", "PIN"])
        assert done.err.count("   (#133005) Two-step verification PIN mismatch (HTTP 400, code 133005") == 2
        assert done.err.count("   Meta counts wrong PINs. Type the PIN of this number.") == 2
        assert "   A PIN has 6 digits: nothing was sent.\n" in done.err
        assert writes(sandbox) == ["register"] * 3

    def test_a_new_pin_is_typed_twice(self, onboard: Onboard) -> None:
        sandbox = with_number(Sandbox(), **VERIFIED)
        done = onboard(sandbox, PIN, WRONG, PIN, PIN, no_wait=True)
        assert (done.status, done.labels) == (0, ["New PIN", "Repeat the PIN"] * 2)
        assert "   The two PINs differ: nothing was sent.\n" in done.err
        assert writes(sandbox) == ["register"]

    def test_where_the_api_does_not_say_whether_there_is_a_pin(self, onboard: Onboard) -> None:
        done = onboard(with_number(Sandbox(mode="reference"), **VERIFIED), PIN, PIN, no_wait=True)
        assert "3. The PIN: type the 6 digits of this number's two-step verification. If it has none," in done.err
        assert done.status == 0

    def test_a_confirmed_step_is_not_taken_again_when_the_api_shows_it_late(self, onboard: Onboard) -> None:
        sandbox = with_number(Sandbox())
        late = Fault.raw(json.dumps(sandbox.numbers(EMPTY_WABA)[0]))
        sandbox.plan(late, times=2, method="GET", node=ID)
        done = onboard(sandbox, "", code_of(sandbox), PIN, PIN)
        assert done.labels == ["Code", "Code", "New PIN", "Repeat the PIN"]
        assert writes(sandbox) == ["request_code", "verify_code", "register"]
        assert (
            "4. The name: so far the number is not verified (code_verification_status NOT_VERIFIED); not registered "
            "(status PENDING, host_platform NOT_APPLICABLE); not approved by name (name_status PENDING_REVIEW)."
        ) in done.err

    def test_a_name_that_differs_is_said(self, onboard: Onboard) -> None:
        done = onboard(with_number(Sandbox(), **REGISTERED, **APPROVED), verified_name="Another \x1b[31m")
        assert "   It keeps its name: Acme Shoes\n" in done.err

    def test_it_need_not_wait_for_the_name(self, onboard: Onboard) -> None:
        done = onboard(with_number(Sandbox(), **REGISTERED), no_wait=True)
        assert (done.status, done.out) == (0, f"{ID}\n")
        assert done.err.endswith(
            "4. The name: so far the number is not approved by name (name_status PENDING_REVIEW). "
            f"wa-phone watch {EMPTY_WABA} shows when that changes.\n"
        )

    def test_left_while_it_waits_it_says_how_to_continue(self, onboard: Onboard) -> None:
        done = onboard(with_number(Sandbox(), **REGISTERED))
        assert (done.status, done.out) == (130, "")
        assert done.err.endswith("\nStopped before the end. To continue, run the same command again.\n")


class TestFinalStates:
    @pytest.mark.parametrize(
        "members",
        [{"name_status": "DECLINED"}, {**REGISTERED, "name_status": "EXPIRED"}, {"status": "BANNED"}],
    )
    def test_there_is_no_prompt_then(self, onboard: Onboard, members: dict[str, Any]) -> None:
        done = onboard(with_number(Sandbox(), **members))
        assert (done.out, done.labels) == ("", [])
        assert isinstance(done.error, WaitError)
        assert str(done.error).startswith(f"{ID} cannot become ready: {list(members.values())[-1]} is final; ")
        assert done.error.__notes__ == [
            f"Waiting does not change that. {onboarding._ANOTHER_NAME} {onboarding._CONTINUE}",
        ]

    def test_a_name_that_is_declined_while_it_waits(self, onboard: Onboard) -> None:
        sandbox = with_number(Sandbox(), **VERIFIED)

        def decline_later() -> str:
            sandbox.schedule(600, sandbox.decline_name, ID)
            return PIN

        done = onboard(sandbox, PIN, decline_later)
        assert str(done.error).startswith(f"{ID} cannot reach the state that you wait for: DECLINED is final;")
        assert isinstance(done.error, WaitError)
        assert done.error.__notes__[0].startswith("Waiting does not change that.")


class TestBlocks:
    def test_after_too_many_wrong_codes(self, onboard: Onboard, sandbox: Sandbox) -> None:
        done = onboard(sandbox, *[WRONG] * 6)
        assert isinstance(done.error, BadRequestError)
        assert (done.error.code, done.error.retry_after) == (136025, 43200.0)
        [note] = done.error.__notes__
        assert re.fullmatch(
            r"Wait until \d{4}-\d\d-\d\d \d\d:\d\d \S+, 12:00:00 from now: an earlier try may prolong it\. "
            r"To continue, run the same command again\.",
            note,
        )
        assert writes(sandbox).count("verify_code") == 6

    def test_after_too_many_wrong_pins(self, onboard: Onboard) -> None:
        sandbox = with_number(Sandbox(), **VERIFIED, is_pin_enabled=True)
        done = onboard(sandbox, *[WRONG] * 4)
        assert isinstance(done.error, GraphAPIError)
        assert (done.error.code, len(done.labels)) == (133009, 4)
        assert "0:01:00 from now" in done.error.__notes__[0]

    def test_after_too_many_codes_the_last_one_is_still_taken_by_another_run(
        self, onboard: Onboard, sandbox: Sandbox
    ) -> None:
        done = onboard(sandbox, *[""] * 5)
        assert isinstance(done.error, GraphAPIError)
        assert (done.error.error_subcode, done.error.__notes__) == (
            2388367,
            ["To continue, run the same command again."],
        )
        assert onboard(sandbox, code_of(sandbox), PIN, PIN).status == 0

    def test_the_time_until_is_never_too_early(self) -> None:
        error = RateLimitError("wait", http_status=400, retry_after=60.2)
        now = datetime(2026, 11, 22, 23, 58, 59, tzinfo=UTC)
        assert onboarding._after(error, "Go on.", now).startswith("Wait until 2026-11-23 00:01 UTC, 0:01:01")


class TestLostResponses:
    def test_of_the_create(self, onboard: Onboard, sandbox: Sandbox) -> None:
        sandbox.plan(Fault.drop_after(), method="POST")
        done = onboard(sandbox, code_of(sandbox), PIN, PIN)
        assert (done.status, len(sandbox.created), len(sandbox.inbox)) == (0, 1, 1)
        assert done.err.startswith(f"1. The number: created, although the response was lost, with the id {ID}.\n")

    def test_of_a_code_that_was_sent(self, onboard: Onboard, sandbox: Sandbox) -> None:
        sandbox.plan(Fault.drop_after(), method="POST", node=ID)
        done = onboard(sandbox, code_of(sandbox), PIN, PIN)
        assert (done.status, len(sandbox.inbox)) == (0, 1)
        assert (
            "2. The code: one may have been sent by SMS: the response was lost "
            "(the connection broke before the response). Wait for it a while.\n"
        ) in done.err

    @pytest.mark.parametrize("edge", ["verify_code", "register"])
    def test_of_a_write_that_was_done(self, onboard: Onboard, edge: str) -> None:
        sandbox = with_number(Sandbox(), **({} if edge == "verify_code" else VERIFIED))

        def lose(line: Callable[[], str]) -> Callable[[], str]:
            def losing() -> str:
                sandbox.plan(Fault.drop_after(), method="POST", node=ID)
                return line()

            return losing

        code = ["", lose(code_of(sandbox)), PIN, PIN]
        done = onboard(sandbox, *code if edge == "verify_code" else [PIN, lose(lambda: PIN)], no_wait=True)
        assert (done.status, writes(sandbox).count(edge)) == (0, 1)
        assert (
            "   The response was lost (the connection broke before the response). Checking the number to see what has "
            f"happened.\n   The number is {'verified' if edge == 'verify_code' else 'registered'}.\n"
        ) in done.err

    def test_of_a_write_that_was_not_done_and_is_tried_again(self, onboard: Onboard) -> None:
        sandbox = with_number(Sandbox(), **VERIFIED)
        sandbox.plan(Fault.drop_before(), method="POST", node=ID)
        done = onboard(sandbox, PIN, PIN, PIN, PIN, no_wait=True)
        assert (done.status, writes(sandbox)) == (0, ["register"] * 2)
        assert (
            "   It has not happened so far, but it still may. Wait a little, or leave with Ctrl-C.\n"
            "   This number has none. Choose 6 digits"
        ) in done.err
        polls = [request.at for request in sandbox.requests if request.method == "GET" and request.node == ID]
        assert polls[0] + 8 < polls[-2] < polls[0] + 15

    def test_where_nothing_can_be_read_either(self, onboard: Onboard) -> None:
        sandbox = with_number(Sandbox(), **VERIFIED)
        sandbox.plan(Fault.drop_after(), method="POST", node=ID)
        sandbox.plan(Fault.status(503), times=100, method="GET", node=ID)
        done = onboard(sandbox, PIN, PIN)
        assert isinstance(done.error, OutcomeUnknownError)
        assert done.error.operation == "register"
        assert done.error.__notes__ == ["To continue, run the same command again."]


class TestPipe:
    """Where nobody can type again."""

    def test_each_prompt_takes_one_line(self, onboard: Onboard, sandbox: Sandbox) -> None:
        done = onboard(sandbox, code_of(sandbox), PIN, is_terminal=False)
        assert (done.status, done.labels) == (0, ["Code", "New PIN"])

    @pytest.mark.parametrize(("members", "code"), [({}, 136025), ({**VERIFIED, "is_pin_enabled": True}, 133005)])
    def test_a_wrong_line_ends_it(self, onboard: Onboard, members: dict[str, Any], code: int) -> None:
        done = onboard(with_number(Sandbox(), **members), WRONG, WRONG, is_terminal=False)
        assert isinstance(done.error, GraphAPIError)
        assert (done.error.code, len(done.labels)) == (code, 1)

    @pytest.mark.parametrize(
        ("members", "said"),
        [({}, "A code has 6 digits, such as 123-830"), (VERIFIED, "A PIN has 6 digits")],
    )
    def test_an_invalid_line_ends_it(self, onboard: Onboard, members: dict[str, Any], said: str) -> None:
        done = onboard(sandbox := with_number(Sandbox(), **members), "12345", PIN, is_terminal=False)
        assert (done.status, done.labels[1:], writes(sandbox)) == (1, [], [])
        assert done.err.endswith(f"wa-phone: {said}: nothing was sent\nTo continue, run the same command again.\n")

    def test_a_lost_response_without_a_sign_of_success_ends_it(self, onboard: Onboard) -> None:
        sandbox = with_number(Sandbox(), **VERIFIED)
        sandbox.plan(Fault.drop_before(), method="POST", node=ID)
        done = onboard(sandbox, PIN, PIN, is_terminal=False)
        assert isinstance(done.error, OutcomeUnknownError)
        assert writes(sandbox) == ["register"]


class TestSandbox:
    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_it_plays_the_phone_and_meta(
        self, onboard: Onboard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.delenv("WA_ACCESS_TOKEN")
        seen = ""

        def read_the_phone() -> str:
            nonlocal seen
            seen = capsys.readouterr().err
            [code] = re.findall(r"which shows: (\d{3}-\d{3})$", seen, re.MULTILINE)
            return str(code)

        done = onboard(None, read_the_phone, PIN, PIN)
        assert (done.status, done.out) == (0, f"{ID}\n")
        screen = re.sub(r"\d{3}-\d{3}", "123-830", seen) + done.err
        assert screen == SCREENS[width]
        assert max(map(len, screen.splitlines())) <= width

    def test_a_number_of_ones_own(self, onboard: Onboard) -> None:
        done = onboard(None, phone_number="441555123456", verified_name="Other Shoes")
        assert done.status == 130
        assert done.err.endswith(
            "Stopped before the end. The sandbox is gone: the next run starts from the beginning.\n"
        )


SCREENS = {
    60: """\
1. The number: created, with the id 300000000000000.
2. The code: one was sent by SMS.
   The sandbox plays the phone, which shows: 123-830
   Type it; it is not shown. Press Enter alone to send
   another one.
   The number is verified.
3. The PIN: this number has none. Choose 6 digits and keep
   them: two-step verification needs them from now on. They
   are not shown.
   Registering. This may take two minutes.
   The number is registered.
4. The name: so far the number is not approved by name
   (name_status PENDING_REVIEW). You can leave with Ctrl-C,
   and run the same command again later.
   The sandbox plays Meta, and approves it in a moment.
   Approved: the number is ready.
""",
    80: """\
1. The number: created, with the id 300000000000000.
2. The code: one was sent by SMS.
   The sandbox plays the phone, which shows: 123-830
   Type it; it is not shown. Press Enter alone to send another one.
   The number is verified.
3. The PIN: this number has none. Choose 6 digits and keep them: two-step
   verification needs them from now on. They are not shown.
   Registering. This may take two minutes.
   The number is registered.
4. The name: so far the number is not approved by name (name_status
   PENDING_REVIEW). You can leave with Ctrl-C, and run the same command again
   later.
   The sandbox plays Meta, and approves it in a moment.
   Approved: the number is ready.
""",
    120: """\
1. The number: created, with the id 300000000000000.
2. The code: one was sent by SMS.
   The sandbox plays the phone, which shows: 123-830
   Type it; it is not shown. Press Enter alone to send another one.
   The number is verified.
3. The PIN: this number has none. Choose 6 digits and keep them: two-step verification needs them from now on. They are
   not shown.
   Registering. This may take two minutes.
   The number is registered.
4. The name: so far the number is not approved by name (name_status PENDING_REVIEW). You can leave with Ctrl-C, and run
   the same command again later.
   The sandbox plays Meta, and approves it in a moment.
   Approved: the number is ready.
""",
}


# The command as it is run


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    _environment: None,
    graph_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Run:
    """Run `wa-phone onboard` with these arguments, and these lines in a file as standard input."""
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)

    def run(*arguments: str, lines: str = "") -> tuple[int, str, str]:
        (tmp_path / "lines").write_text(lines)
        with (tmp_path / "lines").open() as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            return (app.run(["onboard", *arguments]), *capsys.readouterr())

    return run


WHICH = (EMPTY_WABA, "--phone-number", DIGITS, "--verified-name", NAME, "--cc", "1")


class TestCommand:
    def test_nobody_there(self, run: Run, graph_sandbox: Sandbox) -> None:
        status, out, err = run(*WHICH)
        assert (status, out) == (1, "")
        assert err.endswith(
            "Code:\nwa-phone: standard input has ended: Code is missing\nTo continue, run the same command again.\n"
        )
        assert len(graph_sandbox.inbox) == 1

    def test_an_api_error_says_how_to_continue(self, run: Run, graph_sandbox: Sandbox) -> None:
        graph_sandbox.plan(Fault.error(133008, data={"details": "Try again in 2 hours."}), method="POST", node=ID)
        status, _, err = run(*WHICH, "--debug", lines=f"{PIN}\n")
        assert status == 1
        *_, said, how = err.splitlines()
        assert said.startswith(
            "wa-phone: (#133008) A planned error: Try again in 2 hours (HTTP 400, code 133008, retry after 7200 s"
        )
        assert re.fullmatch(r"Wait until .*, 2:00:00 from now: .*", how)

    def test_a_code_method_may_be_in_small_letters(self, run: Run, graph_sandbox: Sandbox) -> None:
        run(*WHICH, "--code-method", "voice")
        assert [code.code_method for code in graph_sandbox.inbox] == ["VOICE"]

    def test_a_traceback_shows_no_input(self, run: Run, graph_sandbox: Sandbox) -> None:
        with_number(graph_sandbox, **VERIFIED, is_pin_enabled=True)
        status, _, err = run(*WHICH, "--debug", lines=f"{PIN}\n{WRONG}\n")
        assert (status, "Traceback" in err, "PIN mismatch" in err) == (1, True, True)
        assert PIN not in err
        assert WRONG not in err

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ("", "WABA_ID and --phone-number must be given, or --sandbox to try it"),
            ("1", "WABA_ID and --phone-number must be given, or --sandbox to try it"),
            ("1 --phone-number +1", "--phone-number must "),
            (f"1 --phone-number {DIGITS}", "--verified-name must be 2 to 75 characters long: only a migration"),
            (f"x --phone-number {DIGITS} --verified-name Acme", "WABA_ID must be "),
            (f"1 --phone-number {DIGITS} --language english", 'Invalid value "english" for --language. It is the code'),
            (f"1 --phone-number {DIGITS} --code-method fax", 'Invalid value "FAX" for --code-method. Choose'),
            (
                f"1 --pin {PIN}",
                "there is no --pin: other users of this machine can read arguments; wa-phone onboard asks",
            ),
            (f"1 --code={PIN}", "there is no --code: "),
        ],
    )
    def test_misuse_costs_no_call(self, run: Run, graph_sandbox: Sandbox, arguments: str, said: str) -> None:
        status, out, err = run(*arguments.split(), "--debug")
        assert (status, out) == (2, "")
        assert err.splitlines()[-1].startswith(f"wa-phone: {said}")
        assert PIN not in err
        assert not graph_sandbox.requests

    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_help_fits_the_width(self, run: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        status, out, _ = run("--help")
        lines = out.splitlines()
        assert status == 0
        assert max(map(len, lines)) <= width
        assert all(line.startswith((" wa-phone ", "     --")) for line in lines[lines.index("Examples:") + 2 :])


# Real processes at real terminals


@contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)


Start = Callable[..., Terminal]


@pytest.fixture
def start(_environment: None) -> Iterator[Start]:
    terminals = list[Terminal]()

    def start(*arguments: str) -> Terminal:
        terminals.append(Terminal("onboard", *arguments))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()


@pytest.mark.heavy
class TestProcess:
    @pytest.fixture
    def sandbox(self, graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
        monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
        return graph_sandbox

    def test_the_whole_way_against_the_sandbox_in_it(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("WA_ACCESS_TOKEN")
        terminal = start("--sandbox", "--debug")
        code = terminal.expect(r"which shows: (\d{3}-\d{3})\n")
        terminal.enter("Code", WRONG)
        terminal.enter("Code", code)
        terminal.enter("New PIN", PIN)
        terminal.enter("Repeat the PIN", PIN)
        terminal.expect(f"\n   Approved: the number is ready.\n{ID}\n$")
        assert terminal.end() == 0
        assert terminal.screen.count(code) == 1  # where the sandbox has shown it
        for secret in (WRONG, PIN, code.replace("-", "")):
            assert secret not in terminal.screen
        assert max(map(len, re.sub(r".*\(HTTP 400.*\n", "", terminal.screen).splitlines())) <= 80

    @pytest.mark.parametrize("way", ["Ctrl-C", "kill"])
    def test_left_at_any_step_it_goes_on_from_there(self, start: Start, sandbox: Sandbox, way: str) -> None:
        sandbox.plan(Fault.delay(30), method="GET")  # nothing is there
        terminals = [start(*WHICH)]
        while not sandbox.requests:
            time.sleep(0.01)
        terminals[-1].leave(way)

        terminals.append(start(*WHICH))  # the number is created, and a code is sent
        terminals[-1].expect("   Code: $")
        terminals[-1].leave(way)

        terminals.append(start(*WHICH))  # that code is taken
        terminals[-1].enter("Code", sandbox.inbox[0].code)
        terminals[-1].expect("   New PIN: $")
        terminals[-1].leave(way)

        terminals.append(start(*WHICH))  # no code is needed, and the registration is left without a response
        terminals[-1].enter("New PIN", PIN)
        sandbox.plan(Fault.delay_response(30), method="POST")
        terminals[-1].enter("Repeat the PIN", PIN)
        while sandbox.numbers(EMPTY_WABA)[0]["status"] != "CONNECTED":
            time.sleep(0.01)
        terminals[-1].leave(way)

        terminals.append(start(*WHICH))  # no PIN is needed
        terminals[-1].expect("4. The name: so far the number is")
        terminals[-1].leave(way)

        sandbox.approve_name(ID)
        terminals.append(start(*WHICH))
        assert terminals[-1].end() == 0
        assert terminals[-1].screen == (
            f"1. The number: already in the account, with the id {ID}.\n2. The code: the number is verified.\n"
            f"3. The PIN: the number is registered.\n4. The name: approved: the number is ready.\n{ID}\n"
        )
        assert writes(sandbox) == ["phone_numbers", "request_code", "verify_code", "register"]
        shown = "".join(terminal.screen for terminal in terminals)
        for secret in (PIN, sandbox.inbox[0].code, sandbox.inbox[0].code.replace("-", "")):
            assert secret not in shown

    def test_a_kill_leaves_a_terminal_that_shows_what_is_typed(self, start: Start, sandbox: Sandbox) -> None:
        with_number(sandbox)
        terminal = start(*WHICH)
        terminal.expect("   Code: $")
        assert not terminal.echoes
        terminal.process.terminate()
        terminal.expect(r"\nStopped before the end\. To continue, run the same command again\.\n$")
        assert terminal.end() == 143
        assert terminal.echoes

    def test_what_is_typed_while_it_is_busy_is_not_shown(self, start: Start, sandbox: Sandbox) -> None:
        with_number(sandbox, **VERIFIED)
        terminal = start(*WHICH, "--no-wait")
        terminal.enter("New PIN", PIN)
        sandbox.plan(Fault.delay_response(0.5), method="POST")
        terminal.enter("Repeat the PIN", PIN)
        terminal.expect("Registering. This may take two minutes.\n")
        terminal.type(f"{WRONG}\n")
        assert terminal.end() == 0
        assert WRONG not in terminal.screen

    def test_against_a_sandbox_of_another_process(self, start: Start) -> None:
        command = (sys.executable, "-W", "error", "-m", "wa_phone_async", "sandbox", "--review-after", "0")
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, env=dict(os.environ), **pipes) as serving, ending(serving):
            assert serving.stdout
            assert serving.stderr
            base_url = serving.stdout.readline().partition("=")[2].strip()
            assert serving.stderr.readline().startswith("serving until Ctrl-C")
            terminal = start(*WHICH, "--base-url", base_url)
            terminal.expect("   Code: $")
            arrived = re.fullmatch(
                rf"a code for {DIGITS} has arrived by SMS: (\d{{3}}-\d{{3}})\n", serving.stderr.readline()
            )
            assert arrived
            terminal.type(f"{arrived[1]}\n")
            terminal.enter("New PIN", PIN)
            terminal.enter("Repeat the PIN", PIN)
            assert terminal.end() == 0
            assert terminal.screen.endswith(f"\n4. The name: approved: the number is ready.\n{ID}\n")
            assert arrived[1] not in terminal.screen
