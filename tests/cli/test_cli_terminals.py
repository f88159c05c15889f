"""Every command at a terminal: screens of 60, 80 and 120 columns, and text alone where that is wanted."""

import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app
from wa_phone_async.cli.commands import onboard as onboarding
from wa_phone_async.cli.commands import sandbox as serving
from wa_phone_async.cli.commands import watch as watching

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
termios = pytest.importorskip("termios", reason="there are no pseudo-terminals here")

OTHER_WABA = "900"
PIN = "271828"


class Done(NamedTuple):
    status: int
    screen: str


Run = Callable[[str], Done]


def sit_at(master: int, seen: list[str], sandbox: Sandbox) -> None:
    """Read what a terminal shows to its end, type at its prompts, and end what would serve for ever."""
    is_left = False
    done = 0
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # how Linux says that the other side was closed
            return
        seen.append(piece.decode())
        screen = "".join(seen)
        labels = re.findall(r"(Code|New PIN|Repeat the PIN): ", screen)
        for label in labels[done:]:
            codes = [code.code for code in sandbox.inbox] + re.findall(r"which shows: (\S+)", screen)
            os.write(master, f"{codes[-1] if label == 'Code' else PIN}\n".encode())
        done = len(labels)
        if not is_left and "serving until Ctrl-C" in screen:
            is_left = True
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def run(graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run `wa-phone` at a terminal of as many columns as COLUMNS says, with the sandbox in the environment."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("WA_ACCESS_TOKEN", "any-token")
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wabas.txt").write_text(f"{SMALL_WABA}\n{LARGE_WABA}\n")

    def run(command: str) -> Done:
        master, slave = pty.openpty()
        seen = list[str]()
        person = threading.Thread(target=sit_at, args=(master, seen, graph_sandbox))
        person.start()
        with monkeypatch.context() as patch:
            for stream, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
                patch.setattr(sys, stream, os.fdopen(os.dup(slave), mode, encoding="utf-8"))
            try:
                status = app.run(shlex.split(command))
            finally:
                for opened in (sys.stdin, sys.stdout, sys.stderr):
                    opened.close()
                os.close(slave)
                person.join()
                os.close(master)
        return Done(status, "".join(seen).replace("\r\n", "\n"))

    return run


COMMANDS = {
    "": 0,
    "--version": 0,
    **{f"{name} --help": 0 for name, *_ in app.COMMANDS},
    f"list {SMALL_WABA}": 0,
    f"list {SMALL_WABA} {OTHER_WABA} {LARGE_WABA} --max-items 5": 1,
    f"list {SMALL_WABA} --format csv --fields all": 0,
    f"create {EMPTY_WABA} --phone-number 16315551000 --verified-name Acme --cc 1": 0,
    f"create {EMPTY_WABA} --phone-number 16315551000": 2,
    "onboard --sandbox --no-wait": 0,
    "watch --sandbox --interval 0.1 --timeout 0.5": 0,
    "export --business 200300400500600 --out n.csv --debug": 0,
    "export --wabas wabas.txt --out m.txt": 2,
    "sandbox": 130,
    "completion bash": 0,
}


@pytest.mark.parametrize("setting", ["NO_COLOR=0", "TERM=dumb"])
def test_text_alone(run: Run, graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv(*setting.split("="))
    monkeypatch.setenv("FORCE_COLOR", "1")  # it does not count
    graph_sandbox.plan(Fault.delay(0.3), node="200300400500600")  # a moment in which there might be a bar
    for command, status in COMMANDS.items():
        done = run(command)
        assert done.status == status, command
        assert "\x1b" not in done.screen, command


@pytest.mark.parametrize("command", ["", f"list {SMALL_WABA}", "watch --sandbox --interval 0.1 --timeout 0.5"])
def test_an_empty_no_color_is_none(run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("NO_COLOR", "")
    assert "\x1b[" in run(command).screen


@pytest.mark.parametrize("examples", [onboarding.EXAMPLES, watching.EXAMPLES, serving.EXAMPLES])
def test_the_examples_of_help_work(run: Run, examples: str) -> None:
    text = examples.replace("\\\n", " ").replace("$WABA_ID", SMALL_WABA).replace("$OTHER_ID", LARGE_WABA)
    for pattern, sooner in {
        r"--interval \d+": "--interval 0.1",
        r"--timeout \d+": "",
        "--port 8080": "--port 0",
    }.items():
        text = re.sub(pattern, sooner, text)
    for line in text.splitlines():
        program, command = line.partition(">")[0].split(" ", 1)
        soon = {"onboard": " --no-wait", "watch": " --timeout 0.3", "sandbox": ""}[command.split()[0]]
        done = run(command.replace(soon, "") + soon)
        assert (program, done.status) == ("wa-phone", 130 if command.startswith("sandbox") else 0), done.screen


SHOWN = (
    f"list {SMALL_WABA}",
    f"list {SMALL_WABA} {OTHER_WABA} --fields all --max-items 1",
    f"list {SMALL_WABA} {LARGE_WABA} --max-items 4",
    f"create {EMPTY_WABA} --phone-number 16315551000 --verified-name Acme --cc 1",
    f"create {EMPTY_WABA} --phone-number 16315551000",
    "export --business 200300400500600 --out numbers.csv",
    "export --wabas wabas.txt --out numbers.xlsx",
    "sandbox",
)
SCREENS = {
    60: """\
$ wa-phone list 100200300400003
ID               NUMBER            NAME           STATUS
300000001000002  +44 7555 020359   Corner Bakery  CONNECTED
300000001000001  +55 21 2035-5558  Café Bakery    PENDING
300000001000000  +1 203-555-0157   Blue Bakery    CONNECTED
3 numbers, 1 call; a wider terminal shows QUALITY, REVIEW,
VERIFICATION, PLATFORM, THROUGHPUT, LIMIT, MODE, OFFICIAL,
ONBOARDED too
$ wa-phone list 100200300400003 900 --fields all --max-items 1
WABA                       100200300400003
ID                         300000001000002
NUMBER                     +44 7555 020359
NAME                       Corner Bakery
STATUS                     CONNECTED
QUALITY                    GREEN
COUNTRY CODE               GB
COUNTRY DIAL CODE          44
VERIFICATION               EXPIRED
UNIFIED CERT STATUS
MODE                       LIVE
PLATFORM                   CLOUD_API
TIER                       TIER_10K
OFFICIAL                   false
USERNAME
REVIEW                     PENDING_REVIEW
NEW NAME STATUS
THROUGHPUT                 STANDARD
ONBOARDED                  2024-01-22T14:00:02+00:00
LIMIT                      TIER_10K
IS PIN ENABLED             true
IS ON BIZ APP              false
HEALTH STATUS              {"can_send_message": "BLOCKED",
                           "entities": [{"entity_type":
                           "PHONE_NUMBER", "id":
                           "300000001000002",
                           "can_send_message": "AVAILABLE"},
                           {"entity_type": "BUSINESS", "id":
                           "200300400500600",
                           "can_send_message": "BLOCKED",
                           "errors": [{"error_code": 141006,
                           "error_description": "There is an
                           error with the payment method.",
                           "possible_solution": "There was
                           an error with your payment
                           method. Please add a new payment
                           method."}]}]}
NEW DISPLAY NAME
OFFICIAL BUSINESS ACCOUNT  {"oba_status": "APPROVED"}
IS PREVERIFIED NUMBER      false
WEBHOOK CONFIGURATION      {"application":
                           "https://shop.example/webhooks"}
1 number of 2 accounts, 2 calls
$ wa-phone list 100200300400003 100200300400250 --max-items 4
WABA             ID               NUMBER            NAME
100200300400003  300000001000002  +44 7555 020359   Corner
                                                    Bakery
100200300400003  300000001000001  +55 21 2035-5558  Café
                                                    Bakery
100200300400003  300000001000000  +1 203-555-0157   Blue
                                                    Bakery

WABA    100200300400250
ID      300000002000027
NUMBER  +1 (206) 555-0141
NAME    Río Bicycles
4 numbers of 2 accounts, 2 calls; a wider terminal shows
STATUS, QUALITY, REVIEW, VERIFICATION, PLATFORM, THROUGHPUT,
LIMIT, MODE, OFFICIAL, ONBOARDED too
$ wa-phone create 100200300400000 --phone-number 16315551000 --verified-name Acme --cc 1
created 16315551000 in WABA 100200300400000: id
300000000000000; unverified, and no code has been sent yet
300000000000000
$ wa-phone create 100200300400000 --phone-number 16315551000
wa-phone: --verified-name must be 2 to 75 characters long:
only a migration can leave it out
$ wa-phone export --business 200300400500600 --out numbers.csv
3 accounts, 254 numbers; 3 calls (2 saved)
$ wa-phone export --wabas wabas.txt --out numbers.xlsx
wa-phone: --out must be a file that ends in .jsonl, .csv or
.parquet, not 'numbers.xlsx'
$ wa-phone sandbox
export WA_BASE_URL=http://127.0.0.1:12345
export WA_ACCESS_TOKEN=any-token
export WA_APP_SECRET=sandbox-app-secret
export WA_VERIFY_TOKEN=any-verify-token
export WABA_ID=100200300400250
export OTHER_ID=100200300400003
export BUSINESS_ID=200300400500600
export PHONE_NUMBER=16315551000
export CC=1
export VERIFIED_NAME='Acme Shoes'
# WABA 100200300400000: 0 numbers
# WABA 100200300400003: 3 numbers
# WABA 100200300400250: 250 numbers
# business 200300400500600: 3 accounts
serving until Ctrl-C; run the lines above in another shell
""",
    80: """\
$ wa-phone list 100200300400003
ID               NUMBER            NAME           STATUS     QUALITY
300000001000002  +44 7555 020359   Corner Bakery  CONNECTED  GREEN
300000001000001  +55 21 2035-5558  Café Bakery    PENDING    UNKNOWN
300000001000000  +1 203-555-0157   Blue Bakery    CONNECTED  GREEN
3 numbers, 1 call; a wider terminal shows REVIEW, VERIFICATION, PLATFORM,
THROUGHPUT, LIMIT, MODE, OFFICIAL, ONBOARDED too
$ wa-phone list 100200300400003 900 --fields all --max-items 1
WABA                       100200300400003
ID                         300000001000002
NUMBER                     +44 7555 020359
NAME                       Corner Bakery
STATUS                     CONNECTED
QUALITY                    GREEN
COUNTRY CODE               GB
COUNTRY DIAL CODE          44
VERIFICATION               EXPIRED
UNIFIED CERT STATUS
MODE                       LIVE
PLATFORM                   CLOUD_API
TIER                       TIER_10K
OFFICIAL                   false
USERNAME
REVIEW                     PENDING_REVIEW
NEW NAME STATUS
THROUGHPUT                 STANDARD
ONBOARDED                  2024-01-22T14:00:02+00:00
LIMIT                      TIER_10K
IS PIN ENABLED             true
IS ON BIZ APP              false
HEALTH STATUS              {"can_send_message": "BLOCKED", "entities":
                           [{"entity_type": "PHONE_NUMBER", "id":
                           "300000001000002", "can_send_message": "AVAILABLE"},
                           {"entity_type": "BUSINESS", "id": "200300400500600",
                           "can_send_message": "BLOCKED", "errors":
                           [{"error_code": 141006, "error_description": "There
                           is an error with the payment method.",
                           "possible_solution": "There was an error with your
                           payment method. Please add a new payment
                           method."}]}]}
NEW DISPLAY NAME
OFFICIAL BUSINESS ACCOUNT  {"oba_status": "APPROVED"}
IS PREVERIFIED NUMBER      false
WEBHOOK CONFIGURATION      {"application": "https://shop.example/webhooks"}
1 number of 2 accounts, 2 calls
$ wa-phone list 100200300400003 100200300400250 --max-items 4
WABA             ID               NUMBER            NAME      STATUS     QUALITY
100200300400003  300000001000002  +44 7555 020359   Corner    CONNECTED  GREEN
                                                    Bakery
100200300400003  300000001000001  +55 21 2035-5558  Café      PENDING    UNKNOWN
                                                    Bakery
100200300400003  300000001000000  +1 203-555-0157   Blue      CONNECTED  GREEN
                                                    Bakery
WABA             ID               NUMBER             NAME           STATUS
100200300400250  300000002000027  +1 (206) 555-0141  Río Bicycles   DISCONNECTED
4 numbers of 2 accounts, 2 calls; a wider terminal shows QUALITY, REVIEW,
VERIFICATION, PLATFORM, THROUGHPUT, LIMIT, MODE, OFFICIAL, ONBOARDED too
$ wa-phone create 100200300400000 --phone-number 16315551000 --verified-name Acme --cc 1
created 16315551000 in WABA 100200300400000: id 300000000000000; unverified, and
no code has been sent yet
300000000000000
$ wa-phone create 100200300400000 --phone-number 16315551000
wa-phone: --verified-name must be 2 to 75 characters long: only a migration can
leave it out
$ wa-phone export --business 200300400500600 --out numbers.csv
3 accounts, 254 numbers; 3 calls (2 saved)
$ wa-phone export --wabas wabas.txt --out numbers.xlsx
wa-phone: --out must be a file that ends in .jsonl, .csv or .parquet, not
'numbers.xlsx'
$ wa-phone sandbox
export WA_BASE_URL=http://127.0.0.1:12345
export WA_ACCESS_TOKEN=any-token
export WA_APP_SECRET=sandbox-app-secret
export WA_VERIFY_TOKEN=any-verify-token
export WABA_ID=100200300400250
export OTHER_ID=100200300400003
export BUSINESS_ID=200300400500600
export PHONE_NUMBER=16315551000
export CC=1
export VERIFIED_NAME='Acme Shoes'
# WABA 100200300400000: 0 numbers
# WABA 100200300400003: 3 numbers
# WABA 100200300400250: 250 numbers
# business 200300400500600: 3 accounts
serving until Ctrl-C; run the lines above in another shell
""",
    120: """\
$ wa-phone list 100200300400003
ID               NUMBER            NAME       STATUS     QUALITY  REVIEW                    VERIFICATION  PLATFORM
300000001000002  +44 7555 020359   Corner     CONNECTED  GREEN    PENDING_REVIEW            EXPIRED       CLOUD_API
                                   Bakery
300000001000001  +55 21 2035-5558  Café       PENDING    UNKNOWN  AVAILABLE_WITHOUT_REVIEW  NOT_VERIFIED  NOT_APPLICABLE
                                   Bakery
300000001000000  +1 203-555-0157   Blue       CONNECTED  GREEN    APPROVED                  VERIFIED      CLOUD_API
                                   Bakery
3 numbers, 1 call; a wider terminal shows THROUGHPUT, LIMIT, MODE, OFFICIAL, ONBOARDED too
$ wa-phone list 100200300400003 900 --fields all --max-items 1
WABA                       100200300400003
ID                         300000001000002
NUMBER                     +44 7555 020359
NAME                       Corner Bakery
STATUS                     CONNECTED
QUALITY                    GREEN
COUNTRY CODE               GB
COUNTRY DIAL CODE          44
VERIFICATION               EXPIRED
UNIFIED CERT STATUS
MODE                       LIVE
PLATFORM                   CLOUD_API
TIER                       TIER_10K
OFFICIAL                   false
USERNAME
REVIEW                     PENDING_REVIEW
NEW NAME STATUS
THROUGHPUT                 STANDARD
ONBOARDED                  2024-01-22T14:00:02+00:00
LIMIT                      TIER_10K
IS PIN ENABLED             true
IS ON BIZ APP              false
HEALTH STATUS              {"can_send_message": "BLOCKED", "entities": [{"entity_type": "PHONE_NUMBER", "id":
                           "300000001000002", "can_send_message": "AVAILABLE"}, {"entity_type": "BUSINESS", "id":
                           "200300400500600", "can_send_message": "BLOCKED", "errors": [{"error_code": 141006,
                           "error_description": "There is an error with the payment method.", "possible_solution":
                           "There was an error with your payment method. Please add a new payment method."}]}]}
NEW DISPLAY NAME
OFFICIAL BUSINESS ACCOUNT  {"oba_status": "APPROVED"}
IS PREVERIFIED NUMBER      false
WEBHOOK CONFIGURATION      {"application": "https://shop.example/webhooks"}
1 number of 2 accounts, 2 calls
$ wa-phone list 100200300400003 100200300400250 --max-items 4
WABA             ID               NUMBER            NAME      STATUS     QUALITY  REVIEW                    VERIFICATION
100200300400003  300000001000002  +44 7555 020359   Corner    CONNECTED  GREEN    PENDING_REVIEW            EXPIRED
                                                    Bakery
100200300400003  300000001000001  +55 21 2035-5558  Café      PENDING    UNKNOWN  AVAILABLE_WITHOUT_REVIEW  NOT_VERIFIED
                                                    Bakery
100200300400003  300000001000000  +1 203-555-0157   Blue      CONNECTED  GREEN    APPROVED                  VERIFIED
                                                    Bakery
WABA             ID               NUMBER             NAME           STATUS        QUALITY  REVIEW
100200300400250  300000002000027  +1 (206) 555-0141  Río Bicycles   DISCONNECTED  UNKNOWN  NON_EXISTS
4 numbers of 2 accounts, 2 calls; a wider terminal shows VERIFICATION, PLATFORM, THROUGHPUT, LIMIT, MODE, OFFICIAL,
ONBOARDED too
$ wa-phone create 100200300400000 --phone-number 16315551000 --verified-name Acme --cc 1
created 16315551000 in WABA 100200300400000: id 300000000000000; unverified, and no code has been sent yet
300000000000000
$ wa-phone create 100200300400000 --phone-number 16315551000
wa-phone: --verified-name must be 2 to 75 characters long: only a migration can leave it out
$ wa-phone export --business 200300400500600 --out numbers.csv
3 accounts, 254 numbers; 3 calls (2 saved)
$ wa-phone export --wabas wabas.txt --out numbers.xlsx
wa-phone: --out must be a file that ends in .jsonl, .csv or .parquet, not 'numbers.xlsx'
$ wa-phone sandbox
export WA_BASE_URL=http://127.0.0.1:12345
export WA_ACCESS_TOKEN=any-token
export WA_APP_SECRET=sandbox-app-secret
export WA_VERIFY_TOKEN=any-verify-token
export WABA_ID=100200300400250
export OTHER_ID=100200300400003
export BUSINESS_ID=200300400500600
export PHONE_NUMBER=16315551000
export CC=1
export VERIFIED_NAME='Acme Shoes'
# WABA 100200300400000: 0 numbers
# WABA 100200300400003: 3 numbers
# WABA 100200300400250: 250 numbers
# business 200300400500600: 3 accounts
serving until Ctrl-C; run the lines above in another shell
""",
}


@pytest.mark.parametrize("width", SCREENS)
def test_screens_fit_the_width(run: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    screens = "".join(f"$ wa-phone {command}\n{run(command).screen}" for command in SHOWN)
    shown = re.sub(r":\d{5}\n", ":12345\n", screens)
    assert shown == SCREENS[width]
    lines = [line for line in shown.splitlines() if not line.startswith("$")]
    assert max(map(len, lines)) <= width
    for whole in (
        "300000001000002",
        "+44 7555 020359",
        "+55 21 2035-5558",
        "+1 (206) 555-0141",
        SMALL_WABA,
        LARGE_WABA,
    ):
        assert whole in shown
