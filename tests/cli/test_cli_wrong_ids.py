"""Ids of the wrong kind on the command line: the sentence that is shown, with the command to type."""

import json
from pathlib import Path

import pytest

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app
from wa_phone_async.sandbox import APP_ID, BUSINESS_ID, SMALL_WABA, USER_ID, Fault, Sandbox

NUMBER_ID = "300000001000002"
OF_TOKEN = "Give the id of an account instead: `wa-phone accounts` lists those of your token. The API said: "
SENTENCES = {
    BUSINESS_ID: f"{BUSINESS_ID} is a business. `wa-phone accounts {BUSINESS_ID}` lists its accounts. The API said: ",
    NUMBER_ID: (
        f"{NUMBER_ID} is the id of a phone number. Give the id of its account instead: `wa-phone accounts` lists the "
        "accounts of your token. The API said: "
    ),
    USER_ID: f"{USER_ID} is a user. {OF_TOKEN}",
    APP_ID: f"{APP_ID} is an app. {OF_TOKEN}",
    "15550001000": f"15550001000 looks like a phone number. That is a guess. {OF_TOKEN}",
}
COMMANDS = {
    "list": "list {}",
    "watch": "watch {}",
    "create": "create {} --phone-number 16315551000 --verified-name Acme --cc 1",
    "ensure": "create {} --phone-number 16315551000 --verified-name Acme --cc 1 --ensure",
}


@pytest.fixture(autouse=True)
def _environment(graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WA_ACCESS_TOKEN", "any-token")
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("node", SENTENCES)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_wrong_id_is_named(command: str, node: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(command.format(node).split()) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"wa-phone: {SENTENCES[node]}" in err
    assert "Python" not in err


@pytest.mark.parametrize("node", SENTENCES)
def test_an_export_keeps_the_sentence_with_the_accounts_that_failed(node: str) -> None:
    Path("wabas.txt").write_text(f"{node}\n{SMALL_WABA}\n", encoding="utf-8")
    assert app.run(["export", "--wabas", "wabas.txt", "--out", "all.jsonl", "--errors", "failed.jsonl"]) == 3
    [failed] = map(json.loads, Path("failed.jsonl").read_text(encoding="utf-8").splitlines())
    beginning, _, _ = SENTENCES[node].partition(". The API said")
    assert failed["waba_id"] == node
    assert failed["message"].startswith(beginning)


def test_an_export_of_an_account_in_the_place_of_a_business(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(f"export --business {SMALL_WABA} --out all.jsonl".split()) == 1
    assert (
        f"wa-phone: {SMALL_WABA} is a WhatsApp Business Account (WABA). Give the id of a business instead. "
        f"`wa-phone list {SMALL_WABA}` lists the numbers of this account. The API said: "
    ) in capsys.readouterr().err


def test_a_missing_permission_is_named(graph_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    graph_sandbox.plan(Fault.error(200, "(#200) Requires whatsapp_business_management permission to manage the object"))
    assert app.run(["list", SMALL_WABA]) == 1
    assert capsys.readouterr().err.startswith(
        "wa-phone: The token lacks the permission whatsapp_business_management. Grant it in Business settings → Users →"
        " System users → Generate new token, and use the new token. The API said: (#200) Requires "
    )
