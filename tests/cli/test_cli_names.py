"""`wa-phone name`: how far names have come, and the way from a request to a registration."""

import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from wa_phone_async import (
    BadRequestError,
    OutcomeUnknownError,
    RateLimitError,
    WaitError,
    WaitTimeoutError,
    WaPhoneError,
)
from wa_phone_async.sandbox import SEEDED_PIN, SMALL_WABA, Fault, Sandbox, VirtualTimeLoop
from wa_phone_async.sandbox.modes import ModeName

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app
from wa_phone_async.cli.commands import name as names
from wa_phone_async.cli.connection import RegisteringConnection
from wa_phone_async.cli.terminal.prompt import NoInputError, Prompt
from wa_phone_async.redaction import Secret

ID, OTHER, THIRD = "300000001000000", "300000001000001", "300000001000002"
NAME = "Acme Shoes"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    monkeypatch.setenv("WA_ACCESS_TOKEN", "an-invented-token")

    def run(*arguments: str) -> tuple[int, str, str]:
        return app.run(("name", *arguments)), *capsys.readouterr()

    return run


def test_without_a_token_nothing_is_said_of_continuing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WA_ACCESS_TOKEN")
    status, out, err = run("register", ID)
    assert (status, out, "run the same command again" in err) == (2, "", False)
    assert "WA_ACCESS_TOKEN" in err


# The states of many


def test_the_table_fits_and_says_what_each_stage_means(run: Run) -> None:
    status, out, err = run("status", "--sandbox")
    assert (status, len({line.index("in-") for line in out.splitlines() if "in-" in line})) == (0, 1)
    assert err.startswith("3 numbers, 3 calls\nin-use: Meta has approved it, and it is the name of the number.")
    assert "not-reviewed: it may be used, and Meta has not reviewed it yet, so it may still be declined." in err


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_programs_get_the_stage_and_what_to_do(form: str, run: Run, graph_sandbox: Sandbox) -> None:
    graph_sandbox.update_number(SMALL_WABA, ID, new_display_name=NAME, new_name_status="APPROVED")
    status, out, err = run("status", THIRD, ID, "--format", form)
    rows: list[dict[str, str]]
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(out)))
    else:
        rows = json.loads(out) if form == "json" else [json.loads(line) for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert [(row["id"], row["stage"]) for row in rows] == [(THIRD, "in-review"), (ID, "approved")]
    assert (rows[1]["new_display_name"], rows[1]["new_name_status"]) == (NAME, "APPROVED")
    assert rows[1]["next"].startswith("Register the number again. That is one of the ten registrations")
    assert next(iter(rows[0])) == "id"


def test_a_word_behind_the_command_is_explained(run: Run) -> None:
    for words in ((), ("shoes",)):
        problem = "wa-phone: wa-phone name must be followed by status, request or register\n"
        assert run(*words) == (2, "", problem)


# The dialog, in virtual time, with a person who knows the PIN


class Person(Prompt):
    """Types one line after the other. With none left, standard input has ended."""

    def __init__(self, lines: list[str], *, is_terminal: bool) -> None:
        self.is_terminal = is_terminal
        self.lines = lines
        self.labels: list[str] = []

    async def read(self, label: str) -> Secret:
        self.labels.append(label.strip().removesuffix(":"))
        if not self.lines:
            raise NoInputError("standard input has ended: PIN is missing")
        return Secret(self.lines.pop(0))


class Done(NamedTuple):
    status: int
    out: str
    err: str
    error: WaPhoneError | None


Talk = Callable[..., Done]


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Talk:
    monkeypatch.setenv("WA_ACCESS_TOKEN", "an-invented-token")

    def talk(
        sandbox: Sandbox | None,
        *lines: str,
        command: Callable[..., Awaitable[int]] = names.request_name,
        arguments: tuple[str, ...] = (ID, NAME),
        is_terminal: bool = True,
        seconds: float = 100_000,
        **options: Any,
    ) -> Done:
        person = Person(list(lines), is_terminal=is_terminal)

        @contextmanager
        def prompting() -> Iterator[Prompt]:
            yield person

        async def main() -> int:
            async with asyncio.timeout(seconds):
                if sandbox is None:
                    return await command(*arguments, connection=RegisteringConnection(sandbox=True), **options)
                async with sandbox:
                    return await command(*arguments, connection=RegisteringConnection(base_url=sandbox.url), **options)

        monkeypatch.setattr(names, "prompting", prompting)
        error, status = None, -1
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            try:
                status = runner.run(main())
            except WaPhoneError as caught:
                error = caught
            except TimeoutError:
                status = 130
        out, err = capsys.readouterr()
        if sandbox is not None:
            assert SEEDED_PIN not in f"{out}{err}{error}{getattr(error, '__notes__', '')}"
        return Done(status, out, err, error)

    return talk


def writes(sandbox: Sandbox) -> list[str]:
    """The writes: the edges, and `name` for a request of a name."""
    return [r.path.removeprefix(f"/v23.0/{ID}").strip("/") or "name" for r in sandbox.requests if r.method == "POST"]


WHOLE = """\
1. The request: "Acme Shoes" is requested. The number keeps its name meanwhile.
2. The review: it may take days. You can leave with Ctrl-C, and run the same command again later.
   The name "Acme Shoes" is in review.
   {approved}
3. The registration: registering the number again spends one of the ten registrations that Meta allows in 72 hours.
   Type the 6 digits of this number's two-step verification. They are not shown.
   Registering. This may take two minutes.
   The number is registered, with the name "Acme Shoes".
"""
APPROVED = {
    "live": 'The name "Acme Shoes" is approved, and waits for a registration.',
    "reference": 'The name "Acme Shoes" is approved, and is the name of the number.',
}


@pytest.mark.parametrize("mode", ["live", "reference"])
def test_the_whole_way_and_once_more(mode: ModeName, talk: Talk) -> None:
    sandbox = Sandbox(mode=mode, review_after=10_000)
    done = talk(sandbox, SEEDED_PIN)
    assert done == (0, "registered\n", WHOLE.format(approved=APPROVED[mode]), None)
    assert writes(sandbox) == ["name", "register"]
    again = talk(sandbox)
    assert (again.status, again.out) == (0, "in-use\n")
    assert again.err == (
        '1. The request: the name "Acme Shoes" is approved, and is the name of the number.\n'
        "   If customers see the old name, register the number again: one of ten in 72 hours.\n"
    )
    assert writes(sandbox) == ["name", "register"]


def test_the_sandbox_plays_meta(talk: Talk) -> None:
    done = talk(None, SEEDED_PIN, arguments=())
    assert (done.status, done.out) == (0, "registered\n")
    assert f"The sandbox's numbers have the PIN {SEEDED_PIN}." in done.err


def test_a_run_that_is_left_is_continued_and_requests_nothing_twice(talk: Talk) -> None:
    sandbox = Sandbox(review_after=10_000)
    left = talk(sandbox, seconds=100)
    assert (left.status, left.out) == (130, "")
    assert left.err.endswith("Stopped before the end. To continue, run the same command again.\n")
    without = talk(sandbox)
    assert (without.status, without.out) == (1, "")
    assert without.err.startswith('1. The request: the name "Acme Shoes" is in review.\n2. The review: it may take')
    assert without.err.endswith(
        "wa-phone: standard input has ended: PIN is missing\nTo continue, run the same command again.\n"
    )
    done = talk(sandbox, "12", SEEDED_PIN)
    assert (done.status, done.out) == (0, "registered\n")
    assert done.err.startswith(
        '1. The request: the name "Acme Shoes" is approved, and waits for a registration.\n3. The'
    )
    assert "A PIN has 6 digits: nothing was sent." in done.err
    assert writes(sandbox) == ["name", "register"]


@pytest.mark.parametrize(
    ("options", "out", "end"),
    [
        ({"no_wait": True}, "in-review\n", "   Wait: a review may take days.\n"),
        (
            {"no_register": True},
            "approved\n",
            "   Register the number again. That is one of the ten registrations that",
        ),
    ],
)
def test_a_run_may_end_before_the_registration(options: dict[str, Any], out: str, end: str, talk: Talk) -> None:
    sandbox = Sandbox(review_after=1_000)
    done = talk(sandbox, **options)
    assert (done.status, done.out) == (0, out)
    assert end in done.err
    assert writes(sandbox) == ["name"]


def test_in_the_reference_a_run_without_a_registration_ends_with_the_name_in_use(talk: Talk) -> None:
    assert talk(Sandbox(mode="reference", review_after=1_000), no_register=True).out == "in-use\n"


def test_a_name_without_a_review_is_not_called_approved(talk: Talk) -> None:
    sandbox = Sandbox()
    sandbox.update_number(SMALL_WABA, ID, new_display_name=NAME, new_name_status="AVAILABLE_WITHOUT_REVIEW")
    done = talk(sandbox)
    assert (done.status, done.out) == (0, "not-reviewed\n")
    assert done.err == (
        '1. The request: the name "Acme Shoes" may be used, and is not reviewed yet. Meta reviews it at a higher '
        "messaging limit, and may decline it then.\n"
        "   Nothing is to be done now. Read it again when the messaging limit rises.\n"
    )
    assert writes(sandbox) == []


@pytest.mark.parametrize(
    ("members", "text"),
    [
        (
            {"new_display_name": NAME, "new_name_status": "DECLINED"},
            "Meta has declined the name.*Nothing was sent.*--any",
        ),
        ({"new_display_name": NAME, "new_name_status": "EXPIRED"}, "has expired.*Nothing was sent.*--anyway requests"),
        (
            {"new_display_name": "Other", "new_name_status": "PENDING_REVIEW"},
            r'is not requested\. Another name, "Other", is in review\. Nothing was sent\. Meta reviews one name',
        ),
    ],
)
def test_a_request_that_is_of_no_use_is_sent_only_anyway(members: dict[str, Any], text: str, talk: Talk) -> None:
    sandbox = Sandbox(review_after=1_000)
    sandbox.update_number(SMALL_WABA, ID, **members)
    done = talk(sandbox)
    assert isinstance(done.error, WaitError)
    with pytest.raises(WaitError, match=text):
        raise done.error
    assert writes(sandbox) == []
    anyway = talk(sandbox, SEEDED_PIN, anyway=True)
    if members["new_display_name"] == NAME:
        assert (anyway.status, anyway.out) == (0, "registered\n")
    else:
        assert isinstance(anyway.error, BadRequestError)  # Meta decides
    assert writes(sandbox)[0] == "name"


def test_a_declined_name_ends_the_run(talk: Talk) -> None:
    sandbox = Sandbox(clock=None)
    sandbox.update_number(SMALL_WABA, ID, new_display_name=NAME, new_name_status="PENDING_REVIEW")

    async def decline() -> int:
        sandbox.schedule(500, sandbox.decline_name, ID)
        return 0

    first = talk(sandbox, command=lambda *_, **__: decline(), arguments=())
    assert first.status == 0
    done = talk(sandbox)
    assert isinstance(done.error, WaitError)
    assert "Meta has declined the name" in str(done.error)
    assert getattr(done.error, "__notes__", []) == []  # its text says what to do


def test_a_wait_has_a_limit(talk: Talk) -> None:
    done = talk(Sandbox(), total_timeout=100.0)
    assert isinstance(done.error, WaitTimeoutError)
    assert done.error.__notes__ == ["To continue, run the same command again."]


@pytest.mark.parametrize("takes_effect", [True, False])
def test_after_a_lost_response_the_number_is_read_and_nothing_is_sent_again(takes_effect: bool, talk: Talk) -> None:  # noqa: FBT001 - pytest passes it by name
    sandbox = Sandbox(review_after=1_000)
    sandbox.plan(Fault.drop_after() if takes_effect else Fault.drop_before(), method="POST")
    done = talk(sandbox, SEEDED_PIN)
    assert "1. The request: its response was lost (the connection broke before the response). Checking" in done.err
    if takes_effect:
        assert done.out == "registered\n"
        assert writes(sandbox) == ["name", "register"]
    else:
        assert isinstance(done.error, OutcomeUnknownError)
        assert writes(sandbox) == ["name"]


@pytest.mark.parametrize("takes_effect", [True, False])
def test_a_registration_whose_response_is_lost_is_not_sent_again(takes_effect: bool, talk: Talk) -> None:  # noqa: FBT001 - pytest passes it by name
    sandbox = Sandbox()
    sandbox.update_number(SMALL_WABA, ID, new_display_name=NAME, new_name_status="APPROVED")
    sandbox.plan(Fault.drop_after() if takes_effect else Fault.drop_before(), method="POST")
    done = talk(sandbox, SEEDED_PIN, command=names.register_name, arguments=(ID,))
    assert (done.out == "registered\n") == takes_effect
    assert isinstance(done.error, OutcomeUnknownError) != takes_effect
    assert writes(sandbox) == ["register"]


def test_a_registration_of_a_name_in_use_cannot_be_seen(talk: Talk) -> None:
    sandbox = Sandbox()
    assert talk(sandbox, SEEDED_PIN, command=names.register_name, arguments=(ID,)).out == "registered\n"
    sandbox.plan(Fault.drop_after(), method="POST")
    done = talk(sandbox, SEEDED_PIN, command=names.register_name, arguments=(ID,))
    assert isinstance(done.error, OutcomeUnknownError)


def test_a_registration_that_changes_nothing_is_not_sent(talk: Talk) -> None:
    sandbox = Sandbox()
    sandbox.update_number(SMALL_WABA, ID, new_display_name=NAME, new_name_status="PENDING_REVIEW")
    done = talk(sandbox, SEEDED_PIN, command=names.register_name, arguments=(ID,))
    assert isinstance(done.error, WaitError)
    assert "A registration changes nothing now, so none was sent. Wait" in str(done.error)
    assert writes(sandbox) == []


def test_a_wrong_pin_may_be_typed_again_and_too_many_registrations_say_when(talk: Talk) -> None:
    sandbox = Sandbox()
    sandbox.update_number(SMALL_WABA, ID, new_display_name=NAME, new_name_status="APPROVED")
    done = talk(sandbox, "999999", SEEDED_PIN, command=names.register_name, arguments=(ID,))
    assert done.out == "registered\n"
    assert "Meta counts wrong PINs." in done.err
    sandbox.plan(Fault.error(133016), method="POST")
    blocked = talk(sandbox, SEEDED_PIN, command=names.register_name, arguments=(ID,))
    assert isinstance(blocked.error, RateLimitError)
    assert "3 days, 0:00:00 from now: an earlier try may prolong it." in blocked.error.__notes__[0]


@pytest.mark.parametrize("arguments", [(), (ID,)])
def test_the_number_and_the_name_are_required(arguments: tuple[str, ...], run: Run) -> None:
    assert run("request", *arguments)[0] == 2


def test_invalid_arguments_are_named(run: Run, graph_sandbox: Sandbox) -> None:
    for wrong in (("request", "+1 555 0100", NAME), ("status", "x"), ("register", "x"), ("request", ID, " ")):
        status, _, err = run(*wrong)
        assert status == 2
        assert "PHONE_NUMBER_ID must" in err or "NAME must be a text of 1 to 512 characters" in err
    for option in ("--interval", "--timeout"):
        status, _, err = run("request", ID, NAME, option, "-1")
        assert status == 2
        assert "must be a number of seconds above 0, not -1.0" in err
    assert not graph_sandbox.requests  # nothing was sent, as status 2 says
