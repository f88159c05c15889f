"""Callback URLs in bulk, and the audit: what is found, what is sent, what is undone, and what never shows."""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from wa_phone_async import (
    AuthenticationError,
    BulkEdit,
    Edit,
    EditState,
    InvalidArgumentError,
    PhoneNumberClient,
    RetryPolicy,
)
from wa_phone_async.call.request import GraphRequest
from wa_phone_async.call.writes import Write
from wa_phone_async.files.lines_on_disk import make_line
from wa_phone_async.redaction import Secret
from wa_phone_async.sandbox import APP_ID, EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox
from wa_phone_async.sandbox.demo import (
    DEAF_WABA,
    FOREIGN_WABA,
    MISSING_WABA,
    SHARED_WABA,
    add_overrides,
    add_webhook_troubles,
)
from wa_phone_async.sandbox.modes import ModeName
from wa_phone_async.webhooks.callbacks import LONGEST_URL, read_callback_url

TOKEN = "canary-verify-token"
NEW, OLD = "https://shop.example/new?key=k1", "https://old.example/webhooks"
A, B, C = "300000001000000", "300000001000001", "300000001000002"
IDS = [A, B, C]

PLANNED, DONE, UNCHANGED = EditState.PLANNED, EditState.DONE, EditState.UNCHANGED
REJECTED, NOT_APPLIED, CHANGED = EditState.REJECTED, EditState.NOT_APPLIED, EditState.CHANGED


@pytest.fixture
async def client(graph_sandbox: Sandbox) -> AsyncIterator[PhoneNumberClient]:
    async with PhoneNumberClient("t", base_url=graph_sandbox.url, retry=RetryPolicy(max_attempts=1)) as client:
        yield client


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "set.jsonl"


async def states(edit: BulkEdit) -> dict[str, EditState]:
    return {each.target: each.state for each in (await edit).edits}


async def only(edit: BulkEdit) -> Edit:
    (found,) = (await edit).edits
    return found


def urls(sandbox: Sandbox, waba_id: str = SMALL_WABA) -> list[dict[str, Any]]:
    return [number["webhook_configuration"] for number in sandbox.numbers(waba_id)]


def posts(sandbox: Sandbox) -> list[str]:
    return [request.path for request in sandbox.requests if request.method != "GET"]


# --- the audit


async def test_the_audit_finds_whose_webhooks_get_lost(graph_sandbox: Sandbox, client: PhoneNumberClient) -> None:
    report = await client.audit_webhooks(add_webhook_troubles(graph_sandbox))
    found = {(finding.code, finding.subject.id): finding.numbers for finding in report.findings}
    deaf, foreign = (f"3{waba_id[-3:]}{2:011}" for waba_id in (DEAF_WABA, FOREIGN_WABA))
    assert found == {
        ("account.not_listed", MISSING_WABA): 0,
        ("webhook.overridden", A): 1,
        ("webhook.overridden", SHARED_WABA): 3,
        ("webhook.not_subscribed", DEAF_WABA): 3,
        ("webhook.other_app", FOREIGN_WABA): 3,
        ("webhook.shared", SHARED_WABA): 3,
        ("webhook.none", deaf): 1,
        ("webhook.none", foreign): 1,
    }
    assert report.calls == 2 * 4 + 1 + 1  # two for each account, one that fails, and one for the app
    assert not report.not_checked


async def test_the_audit_compares_with_a_url(graph_sandbox: Sandbox, client: PhoneNumberClient) -> None:
    add_overrides(graph_sandbox)
    report = await client.audit_webhooks(SMALL_WABA, url="https://shop.example/webhooks", app_id=APP_ID)
    (finding,) = report.findings
    assert finding.code == "webhook.elsewhere"
    assert finding.sentence.endswith(f"{OLD}, the callback URL of the number, is not https://shop.example/webhooks.")
    assert report.calls == 2


async def test_the_audit_says_what_it_could_not_check(graph_sandbox: Sandbox, tmp_path: Path) -> None:
    graph_sandbox.accept("t", may_inspect=False)
    async with PhoneNumberClient("t", base_url=graph_sandbox.url) as client:
        report = await client.audit_webhooks([SMALL_WABA, LARGE_WABA])
        assert report.not_checked == {"webhook.other_app": 2, "webhook.shared": 2}
        assert sum("debug_token" in request.path for request in graph_sandbox.requests) == 1
        path = tmp_path / "numbers.jsonl"
        path.write_text('{"waba_id": "1", "id": "2", "webhook_configuration": {}}\n')
        report = await client.audit_webhooks(path)
        assert [finding.code for finding in report.findings] == ["webhook.none"]
        assert report.not_checked.keys() == {"webhook.not_subscribed", "webhook.other_app", "webhook.shared"}


@pytest.mark.parametrize("row", [{}, {"whatsapp_business_api_data": 7}, {"whatsapp_business_api_data": {"id": None}}])
async def test_rows_of_any_shape_are_no_apps(row: Any, graph_sandbox: Sandbox, client: PhoneNumberClient) -> None:
    rows: Any = {"data": [row, {"whatsapp_business_api_data": {"id": "7", "name": 7}}]}
    none: Any = {"data": []}
    for body in (none, rows):  # its numbers, and its apps
        graph_sandbox.plan(Fault.raw(json.dumps(body)), node=EMPTY_WABA)
    report = await client.audit_webhooks([EMPTY_WABA], app_id="7")
    assert not report.findings


# --- set, and its dry run


@pytest.mark.parametrize("mode", ["live", "reference"])
async def test_overrides_of_numbers_are_set_cleared_and_undone(mode: ModeName, journal: Path) -> None:
    async with Sandbox(mode=mode) as sandbox, PhoneNumberClient("t", base_url=sandbox.url) as client:
        add_overrides(sandbox)
        before = urls(sandbox)
        dry = await client.set_webhooks(IDS, NEW, verify_token=TOKEN)
        assert dry.by_state[PLANNED] == 3
        assert {each.target: each.old for each in dry.edits} == {A: OLD, B: None, C: None}
        assert posts(sandbox) == []
        assert await states(client.set_webhooks(IDS, NEW, verify_token=TOKEN, journal=journal)) == dict.fromkeys(
            IDS, DONE
        )
        assert {each["phone_number"] for each in urls(sandbox)} == {NEW}
        body = next(request.json() for request in sandbox.requests if request.method == "POST")
        assert body == {"webhook_configuration": {"override_callback_uri": NEW, "verify_token": TOKEN}}
        calls = len(sandbox.requests)
        again = await client.set_webhooks(IDS, NEW, verify_token=TOKEN, journal=str(journal))
        assert (again.edits, again.is_done, again.resumed, len(sandbox.requests)) == ((), True, 3, calls)
        cleared, undone = journal.with_name("clear.jsonl"), journal.with_name("undo.jsonl")
        assert (await client.clear_webhooks(IDS, journal=cleared)).is_done
        assert not any("phone_number" in each for each in urls(sandbox))
        tokens = {NEW: TOKEN, OLD: TOKEN}
        assert (await client.undo_webhooks(cleared, verify_tokens=tokens, journal=undone)).is_done
        assert {each["phone_number"] for each in urls(sandbox)} == {NEW}
        undone.unlink()
        assert (await client.undo_webhooks(journal, verify_tokens=TOKEN, journal=undone)).is_done
        assert urls(sandbox) == before
        redone = journal.with_name("redone.jsonl")  # an undo is undone like any edit
        assert (await client.undo_webhooks(undone, verify_tokens=TOKEN, journal=redone)).is_done
        assert {each["phone_number"] for each in urls(sandbox)} == {NEW}
    assert TOKEN not in "".join(file.read_text() for file in journal.parent.iterdir())


async def test_the_numbers_of_accounts(graph_sandbox: Sandbox, client: PhoneNumberClient, journal: Path) -> None:
    shared = graph_sandbox.numbers(SMALL_WABA)[0]
    graph_sandbox.add_waba("70", [shared])
    accounts = [SMALL_WABA, MISSING_WABA, "70"]
    edit = client.set_webhooks(accounts, NEW, verify_token=TOKEN, on="members", journal=journal)
    assert await states(edit) == {**dict.fromkeys(IDS, DONE), MISSING_WABA: REJECTED}
    assert Counter(posts(graph_sandbox)) == Counter(f"/v23.0/{number}" for number in IDS)
    graph_sandbox.add_waba(MISSING_WABA, 2)  # what could not be listed may come later
    again = client.set_webhooks(accounts, NEW, verify_token=TOKEN, on="members", journal=journal)
    assert Counter((await states(again)).values()) == {DONE: 2}
    assert again.summary.is_done


@pytest.mark.parametrize("mode", ["live", "reference"])
async def test_overrides_of_accounts(mode: ModeName, journal: Path) -> None:
    async with Sandbox(mode=mode) as sandbox, PhoneNumberClient("t", base_url=sandbox.url) as client:
        sandbox.unsubscribe_app(EMPTY_WABA)
        sandbox.unsubscribe_app(SMALL_WABA)
        for app_id in ("77", APP_ID):  # the app of another comes first
            sandbox.subscribe_app(SMALL_WABA, app_id)
        accounts, of_accounts = [EMPTY_WABA, SMALL_WABA], {"on": "accounts", "app_id": APP_ID}
        files = [journal.with_name(f"{number}.jsonl") for number in range(6)]
        dry: Any = await client.set_webhooks(accounts, None, on="accounts")
        assert {each.target: each.state for each in dry.edits} == {EMPTY_WABA: PLANNED, SMALL_WABA: UNCHANGED}
        how: Any = {**of_accounts, "verify_token": TOKEN}
        assert (await client.set_webhooks(accounts, NEW, journal=files[0], **how)).is_done
        assert len(posts(sandbox)) == 3  # the app had to be subscribed to one of them
        assert urls(sandbox)[0]["whatsapp_business_account"] == NEW
        how = of_accounts
        assert (await client.clear_webhooks(accounts, journal=files[1], **how)).is_done
        assert "whatsapp_business_account" not in urls(sandbox)[0]
        assert (await client.undo_webhooks(files[1], verify_tokens=TOKEN, journal=files[2])).is_done
        assert (await client.undo_webhooks(files[0], journal=files[3])).is_done  # no URL is set again
        assert "whatsapp_business_account" not in urls(sandbox)[0]
        assert posts(sandbox).count(f"/v23.0/{EMPTY_WABA}/subscribed_apps") == 5
        assert [r.method for r in sandbox.requests if r.node == EMPTY_WABA][-1] == "DELETE"
        assert (await client.clear_webhooks([EMPTY_WABA], journal=files[4], **how)).by_state[UNCHANGED] == 1
        subscribed = client.set_webhooks(accounts, None, on="accounts", journal=files[5])
        assert await states(subscribed) == {EMPTY_WABA: DONE, SMALL_WABA: UNCHANGED}


async def test_a_url_that_cannot_be_verified_is_rejected_and_may_be_set_later(
    graph_sandbox: Sandbox, client: PhoneNumberClient, journal: Path
) -> None:
    for accepted, response in (("another", "403; HTTP Message = Forbidden"), (None, "404; HTTP Message = Not Found")):
        graph_sandbox.set_callback(NEW, accepted)
        edit = await only(client.set_webhooks(A, NEW, verify_token=TOKEN, journal=journal))
        assert edit.state is REJECTED
        assert f"(#2200) Callback verification failed with the following errors: HTTP Status Code = {response}" in str(
            edit.why
        )
    graph_sandbox.set_callback(NEW, TOKEN)
    assert (await only(client.set_webhooks(A, NEW, verify_token=TOKEN, journal=journal))).state is DONE
    graph_sandbox.unsubscribe_app(SMALL_WABA)
    edit = await only(client.set_webhooks(B, NEW, verify_token=TOKEN, journal=journal.with_name("b")))
    assert "(#100) Before override the current callback uri, your app must be subscribed" in str(edit.why)


@pytest.mark.parametrize("is_applied", [True, False])
async def test_a_lost_response_is_read_back(
    graph_sandbox: Sandbox, client: PhoneNumberClient, journal: Path, *, is_applied: bool
) -> None:
    graph_sandbox.plan(Fault.drop_after() if is_applied else Fault.drop_before(), method="POST", node=A)
    edit = await only(client.set_webhooks(A, NEW, verify_token=TOKEN, journal=journal))
    assert edit.state is (DONE if is_applied else NOT_APPLIED)
    assert len(posts(graph_sandbox)) == 1
    assert (await client.set_webhooks(A, NEW, verify_token=TOKEN, journal=journal, resend=True)).is_done
    assert len(posts(graph_sandbox)) == (1 if is_applied else 2)


async def test_the_targets_are_in_an_export(graph_sandbox: Sandbox, client: PhoneNumberClient, tmp_path: Path) -> None:
    exported = tmp_path / "numbers.csv"
    exported.write_text(f"waba_id,id,status\n{SMALL_WABA},{A},CONNECTED\n{SMALL_WABA},{B},\n")
    edits = (await client.set_webhooks(exported, NEW, verify_token=TOKEN)).edits
    assert {(each.target, each.waba_id) for each in edits} == {(A, SMALL_WABA), (B, SMALL_WABA)}
    of_accounts = await client.clear_webhooks(exported, on="members")
    assert {each.target for each in of_accounts.edits} == {*IDS}
    assert sum(request.path.endswith("/phone_numbers") for request in graph_sandbox.requests) == 1  # not one a row
    exported.write_text(f"id\n{A}\n")
    with pytest.raises(InvalidArgumentError, match="a file with the column waba_id"):
        await client.clear_webhooks(exported, on="accounts")


async def test_the_findings_of_an_audit_name_the_targets(client: PhoneNumberClient, tmp_path: Path) -> None:
    found = tmp_path / "found.csv"
    found.write_text(f"severity,subject_kind,subject_id,waba_id\nerror,number,{A},\ninfo,account,{SMALL_WABA},\n")
    assert (await only(client.clear_webhooks(str(found)))).target == A
    assert (await only(client.clear_webhooks(found, on="accounts"))).target == SMALL_WABA
    lines = found.with_suffix(".jsonl")
    lines.write_text(json.dumps({"subject_kind": "number", "subject_id": B, "waba_id": SMALL_WABA}) + "\n")
    assert (await only(client.clear_webhooks(lines))).target == B
    lines.write_text('{"subject_kind": "number", "subject_id"\n')
    with pytest.raises(InvalidArgumentError, match="targets must be a whole file of findings"):
        await client.clear_webhooks(lines)
    with pytest.raises(InvalidArgumentError, match="No such file"):
        await client.clear_webhooks(tmp_path / "none.csv")


# --- wrong arguments, and ids of the other kind


async def test_ids_of_the_other_kind_are_told(client: PhoneNumberClient, journal: Path) -> None:
    edit = await only(client.set_webhooks(SMALL_WABA, NEW, verify_token=TOKEN, journal=journal))
    assert edit.state is REJECTED
    assert str(edit.why).startswith(f"{SMALL_WABA} is a WhatsApp Business Account (WABA). `wa-phone list")
    edit = await only(client.clear_webhooks(A, on="accounts", journal=journal.with_name("b")))
    assert str(edit.why).startswith(f"{A} is the id of a phone number. Give the id of its account instead")


async def test_an_object_that_the_api_returns_without_being_a_number(
    graph_sandbox: Sandbox, client: PhoneNumberClient
) -> None:
    graph_sandbox.plan(Fault.raw('{"id": "7", "webhook_configuration": {"phone_number": ""}}'))
    assert (await only(client.clear_webhooks("7"))).state is REJECTED
    graph_sandbox.plan(Fault.raw('{"id": "7", "display_phone_number": "+1", "webhook_configuration": []}'))
    assert (await only(client.clear_webhooks("7"))).state is UNCHANGED


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("http://shop.example/x", "Meta sends webhooks to https:// only"),
        ("shop.example/x", "it must begin with https://"),
        ("https:///x", "it must begin with https://"),
        ("https://shöp.example", "have characters of ASCII only"),
        ("https://shop.example/a b", "it must begin with https://"),
        (7.5, "it must begin with https://"),
        ("https://user:pw@shop.example/x", "no user, no password and no #"),
        ("https://shop.example/x#y", "no user, no password and no #"),
        ("https://localhost/x", "Meta cannot reach this machine"),
        ("https://127.0.0.1/x", "Meta cannot reach this machine"),
        (f"https://shop.example/{'x' * LONGEST_URL}", "it has 221"),
    ],
)
def test_a_url_that_no_webhook_can_go_to(url: Any, hint: str) -> None:
    with pytest.raises(InvalidArgumentError, match=re.escape(hint)) as caught:
        read_callback_url(url)
    assert "pw" not in str(caught.value).replace("no password", "")


def test_blanks_around_a_url_are_left_out() -> None:
    assert read_callback_url(f" {NEW}\n") == NEW
    assert read_callback_url("https://" + "x" * 60 + ".example/" + "y" * 123)


@pytest.mark.parametrize(
    ("arguments", "how", "problem"),
    [
        ((A, NEW), {}, "verify_token must be given: Meta verifies the URL with it"),
        ((A, NEW), {"verify_token": " \n"}, "verify_token must be a text on one line that is not empty"),
        ((A, NEW), {"verify_token": 7}, "verify_token must be a text on one line that is not empty"),
        ((A, None), {}, "url must be given: only where accounts are subscribed is it left out"),
        ((A, None), {"on": "accounts", "verify_token": TOKEN}, "url must be given"),
        ((A, "x"), {"verify_token": TOKEN}, "url must be an https:// URL"),
        ((A, NEW), {"verify_token": TOKEN, "on": "number"}, "on must be one of numbers, accounts, members, not"),
        ((A, NEW), {"verify_token": TOKEN, "app_id": "x"}, "app_id must be the id of the app"),
        ((A, NEW), {"verify_token": TOKEN, "concurrency": 0}, "concurrency must be a whole number from 1 up"),
    ],
)
async def test_wrong_arguments(arguments: Any, how: Any, problem: str, client: PhoneNumberClient) -> None:
    with pytest.raises(InvalidArgumentError, match=re.escape(problem)) as caught:
        client.set_webhooks(*arguments, **how)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(("targets", "problem"), [(7.5, "targets must be ids, or the path"), ([A, "x"], "id must be")])
async def test_wrong_targets_send_nothing(
    targets: Any, problem: str, graph_sandbox: Sandbox, client: PhoneNumberClient, journal: Path
) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        await client.set_webhooks(targets, NEW, verify_token=TOKEN, journal=journal)
    assert posts(graph_sandbox) == []


async def test_a_token_that_all_accounts_share_ends_it(
    graph_sandbox: Sandbox, client: PhoneNumberClient, journal: Path
) -> None:
    graph_sandbox.revoke("t")
    with pytest.raises(AuthenticationError):
        await client.set_webhooks(IDS, NEW, verify_token=TOKEN, journal=journal)


async def test_an_app_that_is_not_known(graph_sandbox: Sandbox, client: PhoneNumberClient) -> None:
    graph_sandbox.accept("t", may_inspect=False)
    with pytest.raises(InvalidArgumentError, match="app_id must be given: Meta does not say which app"):
        await client.set_webhooks([SMALL_WABA], None, on="accounts")


# --- undo


async def test_an_undo_keeps_what_somebody_else_has_changed(
    graph_sandbox: Sandbox, client: PhoneNumberClient, journal: Path
) -> None:
    graph_sandbox.plan(Fault.error(100), method="POST", node=C)
    await client.set_webhooks(IDS, NEW, verify_token=TOKEN, journal=journal)
    graph_sandbox.update_number(SMALL_WABA, A, webhook_configuration={"phone_number": OLD})
    graph_sandbox.update_number(SMALL_WABA, B, webhook_configuration={})
    undo = await client.undo_webhooks(journal, journal=journal.with_name("undo"))
    assert {each.target: each.state for each in undo.edits} == {A: CHANGED, B: UNCHANGED}
    assert urls(graph_sandbox)[0] == {"phone_number": OLD}
    graph_sandbox.update_number(SMALL_WABA, A, webhook_configuration={"phone_number": NEW})
    assert (await client.undo_webhooks(journal, journal=journal.with_name("undo"))).is_done
    graph_sandbox.remove_number(SMALL_WABA, A)
    assert await states(client.undo_webhooks(journal)) == {A: REJECTED, B: UNCHANGED}


async def test_an_undo_needs_the_tokens_of_older_urls(
    graph_sandbox: Sandbox, client: PhoneNumberClient, journal: Path
) -> None:
    secret = f"{OLD}?key=canary"
    graph_sandbox.update_number(SMALL_WABA, A, webhook_configuration={"phone_number": secret})
    await client.set_webhooks([A], NEW, verify_token=TOKEN, journal=journal)
    assert (await only(client.undo_webhooks(journal))).state is PLANNED  # a dry run needs none
    graph_sandbox.requests.clear()
    with pytest.raises(InvalidArgumentError, match="Meta does not give its verify token back") as caught:
        await client.undo_webhooks(journal, verify_tokens={NEW: TOKEN}, journal=journal.with_name("undo"))
    assert f"given for {OLD}" in str(caught.value)
    assert "canary" not in str(caught.value)
    assert posts(graph_sandbox) == []
    undo = client.undo_webhooks(journal, verify_tokens={secret: TOKEN}, journal=journal.with_name("undo"))
    assert (await undo).is_done


async def test_an_undo_of_something_else(client: PhoneNumberClient, journal: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="there is no such file"):
        client.undo_webhooks(journal)
    await client.clear_webhooks([A], journal=journal)
    async with PhoneNumberClient("t", base_url="https://graph.example") as other:
        with pytest.raises(InvalidArgumentError, match="undo must be a journal of the same API"):
            other.undo_webhooks(journal)
    header = {"journal": "wa_phone_async edits", "version": 1, "plan": {"edit": "profiles.set"}, "id": "7"}
    journal.write_bytes(make_line(header, 0)[0])
    with pytest.raises(InvalidArgumentError, match=r"an edit of webhooks, not .*: it is of profiles"):
        client.undo_webhooks(journal)


# --- secrets


async def test_the_verify_token_never_shows(
    graph_sandbox: Sandbox, client: PhoneNumberClient, journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    graph_sandbox.plan(Fault.error(2200, message=f"bad token {TOKEN}"), method="POST", node=A)
    edit = client.set_webhooks(IDS, NEW, verify_token=TOKEN, journal=journal)
    report = await edit
    assert any("bad token [hidden]" in str(each.why) for each in report.edits)
    shown = f"{report!r} {edit!r} {caplog.text} {journal.read_text()} {graph_sandbox.requests!r}"
    assert TOKEN not in shown
    assert "key=k1" not in f"{report!r} {caplog.text}"


def test_secrets_are_found_at_any_depth_of_a_body() -> None:
    write = Write(path="1", body={"a": {"b": Secret("x"), "c": "y"}, "d": Secret("z")})
    assert GraphRequest(path="1", write=write).secrets == ("x", "z")
    assert GraphRequest(path="1").secrets == ()
