"""`wa-phone doctor` and `wa-phone accounts`: from a token alone to the list of your own numbers."""

import json
import re
from pathlib import Path

import pytest

from wa_phone_async.sandbox import BUSINESS_ID, EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app

TOKEN = "EAAcanary" + "0Zk9" * 40


class Shell:
    """Runs `wa-phone` with a token alone."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def run(self, command: str) -> int:
        status = app.run(command.split())
        self.out, self.err = self._capsys.readouterr()
        assert "canary" not in self.out + self.err
        return status


@pytest.fixture
def shell(graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    monkeypatch.setenv("WA_ACCESS_TOKEN", TOKEN)
    return Shell(capsys)


def test_from_a_token_to_the_numbers_without_a_document(shell: Shell) -> None:
    assert shell.run("doctor") == 0
    assert re.search(rf"^ok       accounts      The token names 3 accounts: {LARGE_WABA}, ", shell.out, re.MULTILINE)
    assert shell.run("accounts") == 0
    assert shell.out.splitlines()[:2] == ["ID               NAME", f"{LARGE_WABA}  Corner Bakery 2"]
    assert shell.err == f"3 accounts, 4 calls; wa-phone list {LARGE_WABA} lists the numbers of the first\n"
    assert shell.run(shell.err.partition("; wa-phone ")[2].partition(" lists")[0]) == 0
    assert shell.err == "250 numbers, 3 calls\n"


def test_the_same_in_the_embedded_sandbox(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WA_ACCESS_TOKEN")
    monkeypatch.delenv("WA_BASE_URL")
    assert shell.run("doctor --sandbox") == 0
    assert shell.run("accounts --sandbox") == 0
    assert shell.err.endswith(f"wa-phone list {LARGE_WABA} --sandbox lists the numbers of the first\n")


@pytest.mark.parametrize(
    ("trouble", "status", "line"),
    [
        ("expired", 1, "problem  token        The token has expired. Meta says: Error validating access token: "),
        ("no-permission", 1, "problem  permissions   The token lacks the permission whatsapp_business_management: "),
        ("no-accounts", 0, "warning  accounts      The token names no accounts. List those of your business: "),
        ("system-user", 0, "warning  token        The API accepts the token, but does not say what it may do: "),
    ],
)
def test_troubles_to_try(shell: Shell, trouble: str, status: int, line: str) -> None:
    assert shell.run(f"doctor --sandbox --trouble {trouble}") == status
    assert [found for found in shell.out.splitlines() if found.startswith(line)], shell.out
    assert shell.run(f"doctor --trouble {trouble}") == 2
    assert shell.err == "wa-phone: --trouble must be left out without --sandbox\n"


def test_json(shell: Shell, graph_sandbox: Sandbox) -> None:
    graph_sandbox.accept(TOKEN, scopes=["public_profile"])
    assert shell.run("doctor --format json") == 1
    report = json.loads(shell.out)
    assert report["is_ok"] is False
    assert report["token"]["scopes"] == ["public_profile"]
    assert [check["name"] for check in report["checks"] if check["status"] == "problem"] == ["permissions"]


def test_a_shell_without_a_token(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WA_ACCESS_TOKEN")
    assert shell.run("doctor") == 1
    assert shell.out.splitlines()[-1] == (
        "problem  token        There is no token to send: WA_ACCESS_TOKEN must be set: export your access token, or "
        "give --token-file FILE or --tokens FILE, or --sandbox to try it. Set WA_ACCESS_TOKEN, or fix your provider."
    )
    assert re.search("^ok       host ", shell.out, re.MULTILINE)


def test_a_token_in_a_file_and_an_account(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WA_ACCESS_TOKEN")
    monkeypatch.chdir(tmp_path)
    Path("token").write_text(TOKEN)
    assert shell.run(f"doctor {EMPTY_WABA} --token-file token") == 0
    assert f"of the account {EMPTY_WABA}." in shell.out


def test_an_unreachable_redis_is_one_problem(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("redis", reason="the extra `redis` is not installed")
    line = (
        "problem  redis         Redis does not respond (there is no connection): each process keeps quotas of its own. "
        "Start Redis, or check its address."
    )
    assert shell.run("doctor --redis redis://127.0.0.1:9/0") == 1
    assert shell.out.splitlines()[-1] == line
    monkeypatch.setenv("WA_REDIS_URL", "redis://:canary@127.0.0.1:9/0")
    assert shell.run("doctor") == 1
    assert shell.out.splitlines()[-1] == line
    assert shell.run("doctor --redis not-an-address") == 1
    assert shell.out.splitlines()[-1] == (
        "problem  redis         Redis cannot be checked. url must be the address of a Redis, such as "
        "'redis://127.0.0.1:6379/0'."
    )


def test_a_password_of_redis_is_no_argument(shell: Shell) -> None:
    assert shell.run("doctor --redis redis://:canary@127.0.0.1:9/0") == 2
    assert shell.err == (
        "wa-phone: --redis must be an address without a password: other users of this machine can read arguments; "
        "export WA_REDIS_URL\n"
    )


def test_lines_fit_a_terminal_and_have_colours(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("wa_phone_async.cli.commands.doctor.takes_escapes", lambda _: True)
    assert shell.run("doctor") == 0
    assert "\x1b[32mok\x1b[0m       host " in shell.out
    lines = re.sub(r"\x1b\[\d+m", "", shell.out).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line.startswith(" ")]


# --- accounts


@pytest.mark.graph_sandbox(accounts=2)
def test_the_accounts_of_a_business_are_owned_or_shared(shell: Shell) -> None:
    assert shell.run(f"accounts {BUSINESS_ID}") == 0
    assert [line.split()[-1] for line in shell.out.splitlines()] == ["KIND", "owned", "owned", *["shared"] * 3]
    assert shell.err.startswith("5 accounts, 2 calls; wa-phone list 110000000000000 lists")
    assert shell.run(f"accounts {BUSINESS_ID} --format json") == 0
    assert json.loads(shell.out)[-1] == {"id": LARGE_WABA, "name": "Corner Bakery 2", "kind": "shared"}
    assert shell.err == ""
    assert shell.run(f"accounts {BUSINESS_ID} --format jsonl") == 0
    assert json.loads(shell.out.splitlines()[-1]) == {"id": LARGE_WABA, "name": "Corner Bakery 2", "kind": "shared"}
    assert shell.run(f"accounts {BUSINESS_ID} --format csv") == 0
    assert shell.out.splitlines()[::5] == ["id,name,kind", f"{LARGE_WABA},Corner Bakery 2,shared"]


def test_a_business_without_accounts(shell: Shell, graph_sandbox: Sandbox) -> None:
    for form, out in (("csv", "id,name,kind\r\n"), ("json", "[]\n"), ("jsonl", ""), ("table", "")):
        graph_sandbox.plan(Fault.raw('{"data":[]}'), times=2)
        assert shell.run(f"accounts {BUSINESS_ID} --format {form}") == 0
        assert shell.out == out
    assert shell.err == "0 accounts, 2 calls\n"


def test_the_accounts_of_a_token_as_data(shell: Shell, graph_sandbox: Sandbox) -> None:
    graph_sandbox.accept(TOKEN, waba_ids=[SMALL_WABA, "77"])
    assert shell.run("accounts --format csv") == 0
    assert shell.out == f"id,name\r\n{SMALL_WABA},Café Bakery 1\r\n77,\r\n"


@pytest.mark.parametrize("may_inspect", [True, False])
def test_a_token_that_names_none_asks_for_the_business(
    shell: Shell, graph_sandbox: Sandbox, *, may_inspect: bool
) -> None:
    graph_sandbox.accept(TOKEN, waba_ids=(), may_inspect=may_inspect)
    assert shell.run("accounts") == 1
    problem = "the token names no accounts" if may_inspect else "Meta does not say which accounts this token names"
    assert shell.out == ""
    assert shell.err == (
        f"wa-phone: {problem}: give the id of your business, as in wa-phone accounts BUSINESS_ID. Its id stands at "
        "https://business.facebook.com/settings, under Business info.\n"
    )


@pytest.mark.graph_sandbox(app_secret="secret")
def test_a_missing_app_secret_is_no_matter_of_the_business(shell: Shell) -> None:
    assert shell.run("accounts") == 1
    assert "require an appsecret_proof argument" in shell.err


def test_a_token_without_a_permission_lists_what_it_may(shell: Shell, graph_sandbox: Sandbox) -> None:
    graph_sandbox.accept(TOKEN, scopes=["whatsapp_business_management"])
    assert shell.run(f"accounts {BUSINESS_ID} --format json") == 1
    assert shell.err.startswith(
        "wa-phone: owned accounts: The token lacks the permission business_management. Grant it in "
    )
    graph_sandbox.plan(Fault.error(200, "Requires it"), times=2)
    assert shell.run(f"accounts {BUSINESS_ID}") == 1
    assert shell.err.endswith("The API said: Requires it (HTTP 403, code 200, trace Sandbox0000000000000003)\n")
