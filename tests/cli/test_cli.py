"""The command line, run in this process against the sandbox: what it prints where, and how it ends."""

import csv
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import IO, NamedTuple

import pytest

from wa_phone_async import ALL_FIELDS, PhoneNumber, RateLimitError, RetryPolicy, from_dict, to_dict
from wa_phone_async.sandbox import BUSINESS_ID, EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app
from wa_phone_async.cli.commands import create as creating
from wa_phone_async.cli.commands import list as listing
from wa_phone_async.cli.errors import sentence
from wa_phone_async.models import DEFAULT_FIELDS

OTHER_WABA = "900"
HOSTILE = "[bold]Évil[/bold]\x1b[31m\x9b2J\r\n\u202e!"


class Done(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `wa-phone` with these arguments; the environment points at the sandbox."""
    monkeypatch.setenv("WA_BASE_URL", graph_sandbox.url)
    monkeypatch.setenv("WA_ACCESS_TOKEN", "token-of-the-environment")

    def run(*arguments: str) -> Done:
        status = app.run(arguments)
        return Done(status, *capsys.readouterr())

    return run


@pytest.fixture(autouse=True)
def _silent_logs() -> Iterator[None]:
    yield
    assert not logging.getLogger("wa_phone_async").handlers


class TestList:
    def test_a_default_column_that_the_server_lacks_is_left_empty(self, run: Run, graph_sandbox: Sandbox) -> None:
        text = "(#12) account_mode field is deprecated for versions v24.0 and higher"
        for form in ("jsonl", "json"):
            graph_sandbox.plan(Fault.error(12, text))
            done = run("list", SMALL_WABA, "--format", form, "--api-version", "v27.0")
            assert (done.status, done.out.count("LIVE"), done.out.count("display_phone_number")) == (0, 0, 3)
        graph_sandbox.plan(Fault.error(12, text))
        done = run("list", SMALL_WABA, "--fields", "id,account_mode", "--api-version", "v27.0")
        assert (done.status, done.out) == (1, "")
        assert "account_mode field is deprecated" in done.err

    def test_the_first_command_of_a_newcomer(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("WA_ACCESS_TOKEN")
        done = run("list", "--sandbox")
        assert (done.status, done.err) == (0, "250 numbers, 3 calls\n")
        assert len(set(re.findall(r"^\d{15}(?=  \S)", done.out, re.MULTILINE))) == 250
        assert done.out.count("\n") == 251  # the header, and a line for each number

    def test_the_embedded_sandbox_takes_nothing_from_the_environment_but_the_version(
        self, run: Run, graph_sandbox: Sandbox
    ) -> None:
        assert run("list", "--sandbox", SMALL_WABA).status == 0
        assert not graph_sandbox.requests

    @pytest.mark.parametrize(("mode", "calls"), [("live", 1), ("reference", 2)])
    def test_default_fields_work_in_both_modes(self, run: Run, mode: str, calls: int) -> None:
        with Sandbox(mode=mode) as sandbox:  # type: ignore[arg-type]  # it is one of the two
            done = run("list", SMALL_WABA, "--base-url", sandbox.url)
            assert (done.status, len(sandbox.requests)) == (0, calls)
        assert "CONNECTED" in done.out

    @pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
    def test_a_business_is_listed_as_its_accounts_are(self, run: Run, graph_sandbox: Sandbox, form: str) -> None:
        graph_sandbox.add_waba("901", 2)
        accounts = run("list", EMPTY_WABA, SMALL_WABA, LARGE_WABA, "901", "--format", form)
        graph_sandbox.requests.clear()
        done = run("list", "--business", BUSINESS_ID, "--format", form)
        assert (done.status, done.out) == (0, accounts.out)
        assert done.err == ("255 numbers of 4 accounts, 4 calls\n" if form == "table" else "")
        assert len(graph_sandbox.requests) == 4

    @pytest.mark.parametrize("most", [0, 1, 3, 5, 120, 253, 300])
    def test_max_items_is_of_all_accounts_of_a_business(self, run: Run, most: int) -> None:
        rows = run("list", EMPTY_WABA, SMALL_WABA, LARGE_WABA, "--format", "jsonl").out.splitlines()
        done = run("list", "--business", BUSINESS_ID, "--format", "jsonl", "--max-items", str(most))
        assert (done.status, done.out.splitlines()) == (0, rows[:most])

    @pytest.mark.parametrize(("kind", "count"), [("owned", 253), ("client", 5), ("all", 255)])
    def test_the_kind_says_which_accounts_of_a_business(
        self, run: Run, graph_sandbox: Sandbox, kind: str, count: int
    ) -> None:
        graph_sandbox.add_waba(SMALL_WABA, 3, kind="client")
        graph_sandbox.add_waba("901", 2, kind="client")
        done = run("list", "--business", BUSINESS_ID, "--kind", kind, "--format", "jsonl")
        assert (done.status, done.out.count("\n")) == (0, count)

    def test_an_account_of_a_business_that_fails_leaves_the_others(self, run: Run, graph_sandbox: Sandbox) -> None:
        graph_sandbox.set_nested(SMALL_WABA, Fault.error(100))
        graph_sandbox.plan(Fault.error(100), node=SMALL_WABA)
        done = run("list", "--business", BUSINESS_ID, "--format", "jsonl")
        assert (done.status, done.out.count("\n")) == (1, 250)
        assert done.err.startswith(f"wa-phone: {SMALL_WABA}: ")
        assert done.err.count("\n") == 1

    def test_a_business_that_is_rejected_is_an_error(self, run: Run, graph_sandbox: Sandbox) -> None:
        done = run("list", "--business", "7")
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
        graph_sandbox.revoke("token-of-the-environment")
        done = run("list", "--business", BUSINESS_ID)
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)

    def test_accounts_and_a_business_are_too_much(self, run: Run, graph_sandbox: Sandbox) -> None:
        done = run("list", SMALL_WABA, "--business", BUSINESS_ID)
        assert done == (2, "", "wa-phone: WABA_ID must be left out where --business is given\n")
        assert not graph_sandbox.requests

    def test_json_is_an_array_of_to_dict(self, run: Run, graph_sandbox: Sandbox) -> None:
        done = run("list", LARGE_WABA, "--format", "json")
        rows = json.loads(done.out)
        assert len(rows) == 250
        assert [to_dict(from_dict(PhoneNumber, row)) for row in rows] == rows
        assert done.err == ""
        assert {request.query["fields"] for request in graph_sandbox.requests} == {",".join(DEFAULT_FIELDS)}

    @pytest.mark.parametrize(
        ("owner", "written"),
        [('"a\\ud800b"', "a\ufffdb"), ("1e999", None), ('{"\\udfff":[-1e999]}', {"\ufffd": [None]})],
    )
    def test_what_json_does_not_have_is_not_written(
        self, run: Run, graph_sandbox: Sandbox, owner: str, written: object
    ) -> None:
        for form in ("json", "jsonl"):
            graph_sandbox.plan(Fault.raw(f'{{"data":[{{"id":"1","owner":{owner}}}]}}'))
            done = run("list", SMALL_WABA, "--format", form, "--fields", "id,owner")
            rows = json.loads(done.out.encode(), parse_constant=pytest.fail)
            assert (rows[0] if form == "json" else rows)["owner"] == written

    def test_jsonl_has_every_column_in_each_line(self, run: Run) -> None:
        fields = "verified_name,status,owner{id,name},username"
        array = json.loads(run("list", LARGE_WABA, "--format", "json", "--fields", fields).out)
        lines = run("list", LARGE_WABA, "--format", "jsonl", "--fields", fields)
        columns = ("id", "also_in", "verified_name", "status", "owner", "username")
        assert [json.loads(line) for line in lines.out.splitlines()] == [
            {"waba_id": LARGE_WABA, **{name: row.get(name) for name in columns}, "extra": None} for row in array
        ]
        assert next(iter(json.loads(lines.out.partition("\n")[0]))) == "waba_id"

    def test_csv_has_the_columns_that_were_requested(self, run: Run) -> None:
        fields = "status,owner{id,name},webhook_configuration,platform_type,throughput"
        done = run("list", SMALL_WABA, "--format", "csv", "--fields", fields)
        rows = list(csv.DictReader(io.StringIO(done.out, newline="")))
        columns = ["waba_id", "id", "also_in", *re.sub(r"{.*?}", "", fields).split(","), "extra"]
        assert [list(row) for row in rows] == [columns] * 3
        assert json.loads(rows[0]["owner"]) == {"id": "200300400500600", "name": "Invented Shops Ltd"}
        assert rows[0]["platform_type"] == "CLOUD_API"
        assert json.loads(rows[0]["throughput"]) == {"level": "STANDARD"}
        assert {row["waba_id"] for row in rows} == {SMALL_WABA}

    def test_csv_keeps_in_extra_what_was_not_requested(self, run: Run, graph_sandbox: Sandbox) -> None:
        graph_sandbox.plan(Fault.raw('{"data": [{"id": "1", "shoe_size": 44}]}'))
        done = run("list", SMALL_WABA, "--format", "csv", "--fields", "id")
        assert done.out == 'waba_id,id,also_in,extra\r\n100200300400003,1,,"{""shoe_size"": 44}"\r\n'

    @pytest.mark.parametrize(
        ("form", "expected"), [("table", ""), ("json", "[]\n"), ("jsonl", ""), ("csv", "waba_id,id,also_in,extra\r\n")]
    )
    def test_an_empty_account(self, run: Run, form: str, expected: str) -> None:
        assert run("list", EMPTY_WABA, "--format", form, "--fields", "id")[:2] == (0, expected)

    def test_several_accounts(self, run: Run) -> None:
        done = run("list", EMPTY_WABA, SMALL_WABA, LARGE_WABA)
        assert done.out.startswith("WABA             ID               NUMBER")
        assert done.err == "253 numbers of 3 accounts, 5 calls\n"
        rows = json.loads(run("list", SMALL_WABA, EMPTY_WABA, "--format", "json").out)
        assert [next(iter(row.items())) for row in rows] == [("waba_id", SMALL_WABA)] * 3

    def test_max_items_counts_over_all_accounts_and_requests_no_more(self, run: Run, graph_sandbox: Sandbox) -> None:
        done = run("list", SMALL_WABA, LARGE_WABA, EMPTY_WABA, "--max-items", "5", "--limit", "4")
        assert done.err == "5 numbers of 3 accounts, 2 calls\n"
        assert [request.query["limit"] for request in graph_sandbox.requests] == ["4", "2"]
        assert run("list", LARGE_WABA, "--max-items", "0").err == "0 numbers, 0 calls\n"

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("account_mode=LIVE", "LIVE"),
            ("is_official_business_account=true", True),
            ("x=False", False),
            ("x=a=b", "a=b"),
        ],
    )
    def test_filters(self, run: Run, graph_sandbox: Sandbox, text: str, value: object) -> None:
        run("list", LARGE_WABA, "--filter", text, "--filter", "account_mode=LIVE", "--max-items", "1")
        first, second = json.loads(graph_sandbox.requests[0].query["filtering"])
        assert first == {"field": text.partition("=")[0], "operator": "EQUAL", "value": value}
        assert second["field"] == "account_mode"

    @pytest.mark.parametrize("text", ["account_mode=live", "ACCOUNT_MODE=LIVE", "Account_Mode=Live"])
    def test_the_case_of_a_filter_does_not_matter(self, run: Run, graph_sandbox: Sandbox, text: str) -> None:
        done = run("list", LARGE_WABA, "--filter", text, "--format", "csv", "--fields", "ID,Account_Mode")
        live = [row for row in graph_sandbox.numbers(LARGE_WABA) if row["account_mode"] == "LIVE"]
        header, *lines = done.out.splitlines()
        assert (header, len(lines)) == ("waba_id,id,also_in,account_mode,extra", len(live))
        assert all(",LIVE," in line for line in lines)

    def test_without_the_check_everything_is_sent_as_it_is(self, run: Run, graph_sandbox: Sandbox) -> None:
        options = ("--filter", "account_mode=liv", "--fields", "id,STATUS", "--sort", "Creation_Time")
        graph_sandbox.plan(Fault.raw('{"data": []}'))
        assert run("list", SMALL_WABA, "--no-check", *options).status == 0
        query = graph_sandbox.requests[0].query
        assert (query["fields"], query["sort"]) == ("id,STATUS", "Creation_Time")
        assert json.loads(query["filtering"])[0]["value"] == "liv"

    @pytest.mark.parametrize("options", [("--fields", "ALL"), ("--fields", "All", "--no-check")])
    def test_all_fields_in_any_case(self, run: Run, graph_sandbox: Sandbox, options: tuple[str, ...]) -> None:
        assert run("list", SMALL_WABA, *options).status == 0
        assert graph_sandbox.requests[0].query["fields"] == ",".join(ALL_FIELDS)

    @pytest.mark.parametrize("options", [("CREATION_TIME.ASC",), ("creation_time.asc", "--no-check")])
    def test_a_known_sort_gets_the_spelling_that_works(
        self, run: Run, graph_sandbox: Sandbox, options: tuple[str, ...]
    ) -> None:
        assert run("list", SMALL_WABA, "--sort", *options).status == 0
        assert graph_sandbox.requests[0].query["sort"] == "creation_time_ascending"

    def test_sort_in_the_references_spelling_and_in_any_other(self, run: Run, graph_sandbox: Sandbox) -> None:
        done = run("list", LARGE_WABA, "--sort", "creation_time.asc", "--max-items", "1", "--format", "json")
        assert json.loads(done.out)[0]["id"] == graph_sandbox.numbers(LARGE_WABA)[0]["id"]
        run("list", LARGE_WABA, "--sort", "creation_time_descending", "--max-items", "1")
        assert graph_sandbox.requests[-1].query["sort"] == "creation_time_descending"

    def test_retries_are_counted(self, run: Run, graph_sandbox: Sandbox) -> None:
        graph_sandbox.plan(Fault.error(80008, headers={"Retry-After": "0"}))
        assert run("list", SMALL_WABA).err == "3 numbers, 2 calls\n"


class TestAPIErrors:
    def test_an_api_error_is_one_sentence_with_the_trace_id(self, run: Run, graph_sandbox: Sandbox) -> None:
        graph_sandbox.plan(Fault.error(10, "(#10) Not\nfor \x1b[2Jyou"))
        done = run("list", LARGE_WABA)
        assert (done.status, done.out) == (1, "")
        hint = f"The token may not do this with {LARGE_WABA}. It needs the permission whatsapp_business_management"
        assert done.err.startswith(f"wa-phone: {hint} (Business settings → ")
        assert re.search(r" The API said: \(#10\) Not for \\x1b\[2Jyou \(HTTP \d+, code 10, trace \w+\)\n", done.err)

    @pytest.mark.parametrize(("seconds", "told"), [(299.998, 300), (0.2, 1), (60.0, 60)])
    def test_a_wait_is_told_in_whole_seconds(self, seconds: float, told: int) -> None:
        error = RateLimitError("Too many calls", http_status=400, code=80008, retry_after=seconds)
        assert sentence(error) == f"Too many calls (HTTP 400, code 80008, retry after {told} s)"

    def test_a_wait_that_is_too_long_is_no_next_try(self, run: Run, graph_sandbox: Sandbox) -> None:
        graph_sandbox.plan(Fault.error(80008, headers={"Retry-After": "300"}))
        done = run("list", SMALL_WABA)
        assert (done.status, done.err.count("\n")) == (1, 1)
        assert "retry after 300 s" in done.err

    def test_one_account_of_several_is_rejected(self, run: Run) -> None:
        done = run("list", OTHER_WABA, SMALL_WABA, "--format", "jsonl")
        assert (done.status, done.out.count("\n")) == (1, 3)
        assert done.err.startswith("wa-phone: 900: Unsupported get request.")

    def test_an_array_that_is_not_complete_stays_open(self, run: Run) -> None:
        done = run("list", SMALL_WABA, OTHER_WABA, "--format", "json")
        assert done.status == 1
        with pytest.raises(json.JSONDecodeError):
            json.loads(done.out)

    def test_a_rejected_token_ends_it_at_once(self, run: Run, graph_sandbox: Sandbox) -> None:
        graph_sandbox.revoke("token-of-the-environment")
        done = run("list", SMALL_WABA, LARGE_WABA)
        assert (done.status, done.err.count("\n")) == (1, 1)
        assert done.err.endswith(
            "; give another token, as WA_ACCESS_TOKEN, by --token-file or in the file of --tokens\n"
        )
        assert len(graph_sandbox.requests) == 1

    def test_no_response(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wa_phone_async.session.RetryPolicy", lambda: RetryPolicy(max_attempts=1))  # no waits
        with Sandbox() as gone:
            url = gone.url
        done = run("list", SMALL_WABA, "--base-url", url)
        assert done.status == 1
        assert done.err.startswith("wa-phone: no response to GET")

    def test_debug_adds_a_traceback(self, run: Run) -> None:
        assert "Traceback" not in run("list", OTHER_WABA).err
        done = run("list", OTHER_WABA, "--debug")
        assert done.err.startswith("Traceback")
        assert re.search(r"^wa-phone: Unsupported get request", done.err, re.MULTILINE)
        assert "token-of-the-environment" not in done.err

    def test_debug_before_the_command_too(self, run: Run) -> None:
        assert run("--debug", "list", OTHER_WABA).err.startswith("Traceback")
        assert run("--debug", "completion", "bash").status == 0
        assert run("--debug") == run()

    def test_a_bug_is_a_sentence_too(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listing, "_summary", lambda *_: 1 / 0)
        done = run("list", SMALL_WABA)
        assert done.status == 1
        assert (
            done.err
            == "wa-phone: ZeroDivisionError: division by zero: this should not happen; --debug shows where it did\n"
        )

    def test_the_libraries_warnings_are_lines_of_the_command(self, run: Run, graph_sandbox: Sandbox) -> None:
        body = '{"data": []}'
        graph_sandbox.plan(Fault.raw(body, headers={"facebook-api-version": "v99.0"}))
        done = run("list", SMALL_WABA, "--format", "json")
        assert (done.status, done.out) == (0, "[]\n")
        assert done.err == (
            "wa-phone: requested Graph API v23.0, and the server used v99.0: check whether v23.0 is still supported\n"
        )


NEW = ("--phone-number", "16315551000", "--verified-name", "Acme Shoes", "--cc", "1")


class TestCreate:
    def test_it_prints_the_id(self, run: Run, graph_sandbox: Sandbox) -> None:
        done = run("create", EMPTY_WABA, *NEW)
        assert done.status == 0
        assert [done.out.strip()] == [number["id"] for number in graph_sandbox.numbers(EMPTY_WABA)]
        [number] = graph_sandbox.numbers(EMPTY_WABA)
        created = f"created 16315551000 in WABA {EMPTY_WABA}: id {number['id']}"
        assert done.err == f"{created}; unverified, and no code has been sent yet\n"
        sent = json.loads(graph_sandbox.requests[0].body)
        assert sent == {"phone_number": "16315551000", "verified_name": "Acme Shoes", "cc": "1"}

    @pytest.mark.parametrize("number", ["+1 (631) 555-1000", "+16315551000", "1.631.555.1000", " 16315551000"])
    @pytest.mark.parametrize("cc", ["1", "+1"])
    def test_a_number_as_people_write_it(self, run: Run, graph_sandbox: Sandbox, number: str, cc: str) -> None:
        options = ("--phone-number", number, "--verified-name", "Acme Shoes", "--cc", cc)
        assert run("create", f" {EMPTY_WABA}", *options).status == 0
        sent = json.loads(graph_sandbox.requests[0].body)
        assert sent == {"phone_number": "16315551000", "verified_name": "Acme Shoes", "cc": "1"}

    def test_ensure_finds_a_number_that_begins_with_its_country_code(self, run: Run, graph_sandbox: Sandbox) -> None:
        options = ("--phone-number", "9123456789", "--verified-name", "Acme", "--cc", "91", "--ensure")
        graph_sandbox.add_waba(EMPTY_WABA, [{"id": "7", "display_phone_number": "+91 91234 56789"}])
        assert run("create", EMPTY_WABA, *options).out == "7\n"
        assert [request.method for request in graph_sandbox.requests] == ["GET"]

    def test_every_parameter(self, run: Run, graph_sandbox: Sandbox) -> None:
        done = run("create", EMPTY_WABA, *NEW, "--migrate-phone-number", "--preverified-id", "7", "--format", "json")
        assert json.loads(done.out) == {"id": graph_sandbox.numbers(EMPTY_WABA)[0]["id"]}
        sent = json.loads(graph_sandbox.requests[0].body)
        assert (sent["migrate_phone_number"], sent["preverified_id"]) == (True, "7")

    def test_in_the_embedded_sandbox(self, run: Run) -> None:
        assert run("create", EMPTY_WABA, *NEW, "--sandbox").out == "300000000000000\n"

    def test_there_already_in_metas_own_words(self, run: Run) -> None:
        run("create", EMPTY_WABA, *NEW)
        done = run("create", EMPTY_WABA, *NEW)
        assert done.status == 1
        assert done.err.startswith("wa-phone: This phone number is already in your list of phone numbers: (#100)")
        assert "trace" in done.err

    def test_it_can_be_run_again_where_it_is_to_ensure(self, run: Run, graph_sandbox: Sandbox) -> None:
        graph_sandbox.plan(Fault.drop_after(), method="POST")
        first = run("create", EMPTY_WABA, *NEW, "--ensure")
        again = run("create", EMPTY_WABA, *NEW, "--ensure", "--format", "json")
        [number] = graph_sandbox.numbers(EMPTY_WABA)
        assert (first.status, first.out) == (0, f"{number['id']}\n")
        place = f"16315551000 in WABA {EMPTY_WABA}: id {number['id']}"
        assert first.err == f"recovered {place}; unverified, and no code has been sent yet\n"
        found = json.loads(again.out)
        assert (again.status, found["outcome"], found["phone_number"]["id"]) == (0, "found", number["id"])
        assert again.err == f"found {place}; it was there already\n"

    def test_an_unknown_outcome_says_what_to_look_for(self, run: Run, graph_sandbox: Sandbox) -> None:
        graph_sandbox.plan(Fault.drop_after())
        done = run("create", EMPTY_WABA, *NEW)
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
        assert done.err.startswith(
            "wa-phone: 16315551000 may have been created, since the response to create_phone_number was "
        )
        how = "wa-phone create --ensure creates it only if it is missing"
        assert done.err.endswith(f"): wa-phone list {EMPTY_WABA} shows it; {how}\n")
        assert len(graph_sandbox.created) == 1


FULL = "cannot go on: standard output cannot be written: No space left on device"


@pytest.fixture
def full_disk() -> Iterator[IO[str]]:
    if not Path("/dev/full").exists():
        pytest.skip("there is no disk here that is always full")
    with suppress(OSError), Path("/dev/full").open("w") as file:  # closed, it flushes what it could not write
        yield file


class TestMisuse:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ("list", "WABA_ID must be given, or --sandbox to try it"),
            ("list ../me", "WABA_ID must be the id of the account, a string of digits, not '../me'"),
            (f"list {SMALL_WABA} x", "WABA_ID must be the id of the account, a string of digits, not 'x'"),
            ("list 1 --limit 0", "--limit must be a whole number from 1 to 100, not 0"),
            ("list 1 --limit x", 'Invalid value for --limit: unable to convert "x" into a whole number.'),
            ("watch 1 --interval x", 'Invalid value for --interval: unable to convert "x" into a number.'),
            ("list 1 --max-items -1", "--max-items must be a whole number from 0 up, not -1"),
            ("list 1 --fields a,,b", "--fields must be names such as 'id,status', not 'a,,b'\n"),
            ("list 1 --filter x", "--filter must be FIELD=VALUE, such as account_mode=LIVE, not 'x'"),
            ("list 1 --filter =x", "the FIELD of --filter must be the name of a field, not ''"),
            (
                "list 1 --filter is_pin_enabled=yes",
                "the VALUE of --filter must be True or False for is_pin_enabled, not 'yes'",
            ),
            (
                "list 1 --filter account_mode=LIV",
                "the VALUE of --filter must be a value of account_mode, not 'LIV': did you mean LIVE?\n",
            ),
            (
                "list 1 --filter acount_mode=LIVE",
                "the FIELD of --filter must be the name of a field, not 'acount_mode': did you mean account_mode?\n",
            ),
            (
                "list 1 --fields id,statsu",
                "--fields must be names such as 'id,status', not 'statsu': did you mean status?\n",
            ),
            (
                "list 1 --sort creation_time.dsec",
                "--sort must be an order such as 'creation_time.desc', not 'creation_time.dsec': did you mean creation",
            ),
            ("list 1 --sort=", "--sort must be an order such as 'creation_time.desc', not ''"),
            ("list 1 --format xml", 'Invalid value "xml" for --format.'),
            ("list 1 --sandbox --base-url http://x", "--base-url must be left out where --sandbox is given"),
            ("list 1 --base-url x", "--base-url must be an http:// or https:// URL"),
            (
                "list 1 --base-url http://x/v23.0",
                "--base-url must be a URL without the API's version, such as 'https://graph.facebook.com': the v",
            ),
            ("list 1 --api-version 23", "--api-version must be of the form 'v23.0', not '23'"),
            ("list 1 --nothing", "Unknown option: --nothing."),
            ("lst", 'Unknown command "lst". Did you mean "list"?'),
            ("list 1 --limit", "--limit needs a value: wa-phone list --help has examples"),
            ("--sandbox list", "options stand behind the command, as in wa-phone list --sandbox\n"),
            ("--token=EAAG list", "there is no --token: other users of this machine can read arguments;"),
            ("create", "create needs WABA_ID: wa-phone create --help has examples"),
            ("create 1", "create needs --phone-number: wa-phone create --help has examples"),
            ("completion", "completion needs SHELL: wa-phone completion --help has examples"),
            ("create 1 --phone-number +1", "--phone-number must be 7 to 15 digits"),
            (
                "create 1 --phone-number 16315551000",
                "--verified-name must be 2 to 75 characters long: only a migration",
            ),
            ("create 1 --phone-number 16315551000 --verified-name Ab --cc US", "--cc must be a country's dial code"),
            ("sandbox --port 65536", 'Invalid value "65536" for --port.'),
            ("sandbox --accounts -1", 'Invalid value "-1" for --accounts.'),
            ("sandbox --accounts many", 'Invalid value for --accounts: unable to convert "many" into a whole number.'),
            ("sandbox --numbers-per-account 1000000", 'Invalid value "1000000" for --numbers-per-account.'),
        ],
    )
    def test_it_costs_no_call(self, run: Run, graph_sandbox: Sandbox, arguments: str, said: str) -> None:
        done = run(*arguments.split())
        assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
        assert done.err.startswith(f"wa-phone: {said}")
        assert not graph_sandbox.requests

    def test_a_port_that_is_taken(self, run: Run, graph_sandbox: Sandbox) -> None:
        done = run("sandbox", "--port", graph_sandbox.url.rpartition(":")[2])
        assert (done.status, done.out) == (1, "")
        assert re.match(r"wa-phone: cannot go on: .*address already in use", done.err)

    @pytest.mark.parametrize("options", [(), ("--ensure",), ("--format", "json")])
    def test_an_id_to_a_disk_that_is_full_is_told(
        self, run: Run, graph_sandbox: Sandbox, full_disk: IO[str], options: tuple[str, ...]
    ) -> None:
        with redirect_stdout(full_disk):
            done = run("create", EMPTY_WABA, *NEW, *options)
        told, error = done.err.splitlines()
        [number] = graph_sandbox.numbers(EMPTY_WABA)
        assert told.startswith(f"created 16315551000 in WABA {EMPTY_WABA}: id {number['id']};")
        assert error == f"wa-phone: {FULL}"
        assert done.status == 1

    def test_onboarding_to_a_disk_that_is_full(self, run: Run, graph_sandbox: Sandbox, full_disk: IO[str]) -> None:
        ready = graph_sandbox.numbers(SMALL_WABA)[0]
        digits = re.sub(r"[^0-9]", "", ready["display_phone_number"])
        with redirect_stdout(full_disk):
            done = run("onboard", SMALL_WABA, "--phone-number", digits, "--verified-name", "Acme", "--no-wait")
        assert f"with the id {ready['id']}." in done.err
        assert done.err.endswith(f"wa-phone: {FULL}\n")
        assert done.status == 1

    def test_an_id_is_written_where_stderr_is_a_disk_that_is_full(self, run: Run, full_disk: IO[str]) -> None:
        with redirect_stderr(full_disk):
            created = run("create", EMPTY_WABA, *NEW)
            refused = run("create", EMPTY_WABA, *NEW)
        assert (created.status, created.out) == (0, "300000000000000\n")
        assert refused.status == 1


class TestSecrets:
    def test_the_token_comes_from_the_environment_or_a_file(
        self, run: Run, graph_sandbox: Sandbox, tmp_path: Path
    ) -> None:
        file = tmp_path / "token"
        file.write_text("token-of-a-file\n")
        run("list", SMALL_WABA)
        run("list", SMALL_WABA, "--token-file", str(file))
        tokens = [request.headers["Authorization"] for request in graph_sandbox.requests]
        assert tokens == ["Bearer token-of-the-environment", "Bearer token-of-a-file"]

    def test_a_file_has_a_token_for_each_account(
        self, run: Run, graph_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        common = tmp_path / "token"
        common.write_text("token-of-a-file")
        tokens = tmp_path / "tokens.csv"
        tokens.touch(0o600)
        tokens.write_text(f"waba_id,token\n{SMALL_WABA},token-of-small\n")
        of_each = "list", SMALL_WABA, EMPTY_WABA, "--format", "csv", "--tokens", str(tokens)

        def sent() -> list[str]:
            found = [request.headers["Authorization"] for request in graph_sandbox.requests]
            graph_sandbox.requests.clear()
            return found

        assert run(*of_each).status == 0
        assert sent() == ["Bearer token-of-small", "Bearer token-of-the-environment"]
        assert run(*of_each, "--token-file", str(common)).status == 0
        assert sent() == ["Bearer token-of-small", "Bearer token-of-a-file"]
        monkeypatch.delenv("WA_ACCESS_TOKEN")
        done = run(*of_each)
        assert (done.status, done.out.count("\n"), sent()) == (1, 4, ["Bearer token-of-small"])
        assert done.err.startswith(f"wa-phone: {EMPTY_WABA}: no token for {EMPTY_WABA} in {tokens}, and ")
        assert run("list", EMPTY_WABA, "--tokens", str(tokens)) == (1, "", done.err.replace(f"{EMPTY_WABA}: ", "", 1))

    def test_a_rejected_token_of_one_account_stops_no_other(
        self, run: Run, graph_sandbox: Sandbox, tmp_path: Path
    ) -> None:
        tokens = tmp_path / "tokens.json"
        tokens.touch(0o600)
        tokens.write_text(json.dumps({EMPTY_WABA: "old", OTHER_WABA: "old", SMALL_WABA: "new"}))
        graph_sandbox.revoke("old")
        done = run("list", EMPTY_WABA, OTHER_WABA, SMALL_WABA, "--tokens", str(tokens), "--format", "csv")
        assert (done.status, done.out.count("\n"), done.err.count("code 190")) == (1, 4, 2)

    def test_a_tokens_file_that_will_not_do_is_named_by_its_option(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        tokens = tmp_path / "my tokens"
        tokens.write_text(f"{SMALL_WABA},one\n")
        tokens.chmod(0o644)
        file = "a file with WABA ids and their tokens, as CSV or JSON"
        others = "other users may read or change it, so run: chmod 600 'my tokens'"
        said = f"wa-phone: --tokens my tokens must be {file}: {others}\n"
        assert run("list", SMALL_WABA, "--tokens", "my tokens") == (2, "", said)
        tokens.chmod(0o600)
        tokens.write_text(f"{SMALL_WABA},one\n{SMALL_WABA},two\n")
        done = run("list", SMALL_WABA, "--tokens", "my tokens")
        assert done.err.startswith("wa-phone: line 2 of my tokens must be about another account: line 1 has")
        monkeypatch.setenv("WA_ACCESS_TOKEN", "Bearer x")
        tokens.write_text(f"{SMALL_WABA},one\n")
        done = run("list", SMALL_WABA, "--tokens", "my tokens")
        assert done.err.startswith("wa-phone: WA_ACCESS_TOKEN must be without 'Bearer' before it")
        secret = "EAAcanary" + "0Zk9" * 9
        done = run("list", SMALL_WABA, "--tokens", secret, "--debug")
        assert f"wa-phone: --tokens must be {file}: No such file" in done.err
        assert "canary" not in done.err

    def test_the_workers_of_a_cluster_have_their_own_token(self, run: Run, tmp_path: Path) -> None:
        arguments = "--business", "1", "--out", str(tmp_path / "n.csv"), "--dask", "tcp://x", "--tokens", "tokens.csv"
        said = "--tokens must be left out where --dask is given: the workers make the calls"
        assert said in run("export", *arguments).err

    @pytest.mark.graph_sandbox(app_secret="the-app-secret")
    def test_the_app_secret_too(self, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        assert run("list", SMALL_WABA).status == 1
        file = tmp_path / "secret"
        file.write_text("the-app-secret")
        assert run("list", SMALL_WABA, "--app-secret-file", str(file)).status == 0
        monkeypatch.setenv("WA_APP_SECRET", "the-app-secret")
        assert run("list", SMALL_WABA).status == 0

    def test_no_token(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        ways = "export your access token, or give --token-file FILE or --tokens FILE, or --sandbox to try it"
        monkeypatch.setenv("WA_ACCESS_TOKEN", "")
        assert run("list", SMALL_WABA) == (2, "", f"wa-phone: WA_ACCESS_TOKEN must be set, and not empty: {ways}\n")
        monkeypatch.delenv("WA_ACCESS_TOKEN")
        assert run("list", SMALL_WABA) == (2, "", f"wa-phone: WA_ACCESS_TOKEN must be set: {ways}\n")

    def test_the_proxy_of_the_environment(
        self, run: Run, graph_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WA_BASE_URL", "http://graph.test")
        monkeypatch.setenv("HTTP_PROXY", graph_sandbox.url)  # a server of http:// can be a proxy for it
        assert run("list", SMALL_WABA).status == 0
        assert [request.headers["Host"] for request in graph_sandbox.requests] == ["graph.test"]

    def test_no_proxy_of_the_environment_is_between_it_and_a_sandbox(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, "socks5://user:password@127.0.0.1:1")
        assert run("list", SMALL_WABA).status == 0
        assert run("list", "--sandbox", SMALL_WABA).status == 0

    def test_an_invalid_proxy_of_the_environment_is_not_shown(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("WA_BASE_URL")
        monkeypatch.setenv("HTTPS_PROXY", "socks5://user:password-of-the-proxy@proxy.example")
        done = run("list", SMALL_WABA, "--debug")
        assert (done.status, done.out) == (2, "")
        last = done.err.splitlines()[-1]
        assert last.startswith(
            "wa-phone: HTTPS_PROXY must be an http:// or https:// URL with a host and without a path"
        )
        assert last.endswith(": SOCKS is not supported")
        assert "password-of-the-proxy" not in done.err

    @pytest.mark.parametrize(
        ("name", "value", "said"),
        [
            ("WA_ACCESS_TOKEN", "two words", "must be printable ASCII without blanks or line breaks"),
            ("WA_APP_SECRET", "two words", "must be printable ASCII without blanks or line breaks"),
            ("WA_API_VERSION", "23", "must be of the form 'v23.0', not '23'"),
            ("WA_BASE_URL", "graph", "must be an http:// or https:// URL with a host"),
            ("WA_BASE_URL", "https://graph..facebook.com", "must be an http:// or https:// URL with a host"),
        ],
    )
    def test_what_is_wrong_in_the_environment_is_named_as_it_is_there(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
    ) -> None:
        monkeypatch.setenv(name, value)
        done = run("list", SMALL_WABA)
        assert (done.status, done.out) == (2, "")
        assert done.err.startswith(f"wa-phone: {name} {said}")
        assert "two words" not in done.err

    @pytest.mark.parametrize("option", ["--token", "--access-token", "--app-secret", "--wa-access-token"])
    @pytest.mark.parametrize("between", ["=", " "])
    def test_a_secret_as_an_argument_is_invalid_and_not_shown(self, run: Run, option: str, between: str) -> None:
        done = run("list", SMALL_WABA, "--debug", *f"{option}{between}EAAG-secret".split())
        assert (done.status, done.out) == (2, "")
        assert done.err.startswith(f"wa-phone: there is no {option}: other users of this machine can read arguments;")
        assert "EAAG-secret" not in done.err

    @pytest.mark.parametrize(
        "secret", ["EAAG-secret", "0123456789abcdef0123456789abcdef", "123456789012345|aB-_cDefGh"]
    )
    def test_a_secret_in_the_place_of_its_file_is_not_shown(self, run: Run, secret: str) -> None:
        done = run("list", SMALL_WABA, "--token-file", secret, "--debug")
        assert done.status == 2
        assert (
            "wa-phone: --token-file must be a file that holds what Meta issued, and nothing else: No such file"
            in done.err
        )
        assert secret not in done.err

    @pytest.mark.parametrize("file", ["nofile", "/run/secrets/the-token-of-this-shop", "a-long-name-of-a-shop.token"])
    def test_a_file_that_is_not_there_is_named(self, run: Run, file: str) -> None:
        done = run("list", SMALL_WABA, "--app-secret-file", file)
        problem = "must be a file that holds what Meta issued, and nothing else: No such file or directory"
        assert done == (2, "", f"wa-phone: --app-secret-file {file} {problem}\n")

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b" \n", "{} must be a file that holds what Meta issued, and nothing else: it is empty"),
            (b"two words", "{} must be printable ASCII without blanks or line breaks"),
            (b"\xff\xfe", "{} must be a file that holds what Meta issued, and nothing else: it is not text"),
        ],
    )
    def test_a_file_that_holds_no_token(self, run: Run, tmp_path: Path, content: bytes, said: str) -> None:
        file = tmp_path / "token"
        file.write_bytes(content)
        done = run("list", SMALL_WABA, "--token-file", str(file))
        assert (done.status, done.out) == (2, "")
        assert done.err.startswith(f"wa-phone: {said.format(f'--token-file {file}')}")


class TestHostileNames:
    @pytest.fixture(autouse=True)
    def _names(self, graph_sandbox: Sandbox) -> None:
        number = graph_sandbox.numbers(SMALL_WABA)[0]
        graph_sandbox.add_waba(OTHER_WABA, [{**number, "verified_name": HOSTILE}])

    def test_a_name_is_text_and_no_markup_in_a_table(self, run: Run) -> None:
        done = run("list", OTHER_WABA)
        assert r"[bold]Évil[/bold]\x1b[31m\x9b2J\r \u202e!" in done.out
        assert done.out.count("\n") == 2

    @pytest.mark.parametrize("form", ["json", "jsonl"])
    def test_json_is_exact_and_harmless(self, run: Run, form: str) -> None:
        done = run("list", OTHER_WABA, "--format", form)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", done.out)
        value = json.loads(done.out)
        assert (value[0] if form == "json" else value)["verified_name"] == HOSTILE
        assert "Évil" in done.out

    def test_csv_is_exact(self, run: Run) -> None:
        done = run("list", OTHER_WABA, "--format", "csv")
        assert next(csv.DictReader(io.StringIO(done.out, newline="")))["verified_name"] == HOSTILE


def subcommands() -> list[str]:
    """The commands of commands, such as `webhooks audit`."""
    return [f"{name} {each}" for name, *_ in app.COMMANDS for each in app.app[name] if not each.startswith("-")]


class TestHelp:
    @pytest.mark.parametrize("width", [60, 80, 120])
    @pytest.mark.parametrize("command", ["", *(name for name, *_ in app.COMMANDS), *subcommands()])
    def test_it_fits_the_width_and_ends_with_examples(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, command: str, width: int
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        done = run(*command.split(), "--help")
        assert (done.status, done.err) == (0, "")
        lines = done.out.splitlines()
        assert max(map(len, lines)) <= width
        assert lines[0].startswith("Usage: wa-phone ")
        shown = app.app
        for name in command.split():
            shown = shown[name]
        names = shown.assemble_argument_collection() if command else ()
        options = {name for argument in names for name in argument.names if name.startswith("--")}
        assert [option for option in options if option not in done.out] == []
        assert not re.search(r"(?m) $|\n\n\n", done.out)
        examples = lines[lines.index("Examples:") + 2 :]
        assert examples
        assert all(line.startswith((" wa-phone ", " echo ", "     ")) for line in examples)

    def test_it_names_every_option_with_its_environment(self, run: Run) -> None:
        text = run("list", "--help").out
        for name in ("WA_ACCESS_TOKEN", "WA_API_VERSION", "WA_BASE_URL", "WA_APP_SECRET", "--token-file", "--filter"):
            assert name in text
        assert "[default: 100]" in text
        assert "--no-sandbox" not in text

    @pytest.mark.parametrize("examples", [listing.EXAMPLES, creating.EXAMPLES])
    def test_the_examples_work(self, run: Run, examples: str) -> None:
        text = examples.replace("\\\n", " ").replace("$WABA_ID", SMALL_WABA).replace("$OTHER_ID", LARGE_WABA)
        text = text.replace("$BUSINESS_ID", BUSINESS_ID)
        for line in text.splitlines():
            command, *arguments = re.findall(r'"[^"]*"|[^\s"]+', re.split("[>|]", line)[0])
            assert command == "wa-phone"
            done = run(*(argument.strip('"') for argument in arguments))
            assert done.status == 0 or "already in your list" in done.err

    def test_without_arguments_it_is_the_help(self, run: Run) -> None:
        assert run() == run("--help")

    def test_version(self, run: Run) -> None:
        assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", run("--version").out)
