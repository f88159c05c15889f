"""`wa-phone list` and `wa-phone export` write the same bytes for the same accounts and the same fields."""

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from exports import JSON, NUMBERS
from hypothesis import given, settings
from hypothesis import strategies as st

from wa_phone_async import ALL_FIELDS, PhoneNumber, to_dict
from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SMALL_WABA, Fault, Sandbox

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")

from wa_phone_async.cli import app

pytestmark = pytest.mark.heavy  # it writes files, for many seconds

FORMATS = ("jsonl", "csv")
REQUESTED = st.sampled_from(["all", "", "id"]) | st.lists(
    st.sampled_from([*ALL_FIELDS, "owner{id,name}", "webhook_configuration", "shoe_size", "platform_type"]), min_size=1
).map(",".join)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox, pytest.MonkeyPatch.context() as environment:
        environment.setenv("WA_BASE_URL", sandbox.url)
        environment.setenv("WA_ACCESS_TOKEN", "any-token")
        yield sandbox


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows")


def run(*arguments: str) -> bytes:
    """Run a command to its good end, with a standard output that would write neither UTF-8 nor these line ends."""
    out, err = io.BytesIO(), io.StringIO()
    with redirect_stdout(io.TextIOWrapper(out, encoding="ascii", newline="\r\n")), redirect_stderr(err):
        assert app.run(arguments) == 0, err.getvalue()
        return out.getvalue()


def listed(form: str, fields: str, *waba_ids: str) -> bytes:
    return run("list", *waba_ids, "--format", form, *(("--fields", fields) if fields else ()))


def exported(form: str, fields: str, scratch: Path, *waba_ids: str) -> bytes:
    (scratch / "wabas.txt").write_text("\n".join(waba_ids), encoding="utf-8")
    out = scratch / f"numbers.{form}"
    options = ("--fields", fields) if fields else ()
    assert run("export", "--wabas", str(scratch / "wabas.txt"), "--out", str(out), *options) == b""
    return out.read_bytes()


def body_of(numbers: list[PhoneNumber], others: dict[str, Any]) -> str:
    """A response with these numbers. What `json` writes and no JSON has is near it: `null`, and a number too large."""
    rows = [{**to_dict(number), **others} for number in numbers]
    return json.dumps({"data": rows}).replace("NaN", "null").replace("Infinity", "1e999")


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=30)
@given(
    numbers=st.lists(NUMBERS, max_size=4, unique_by=lambda number: number.id),  # an export has each id once
    others=st.dictionaries(st.sampled_from(["owner", "webhook_configuration", "shoe_size"]), JSON),
    fields=REQUESTED,
)
def test_any_numbers_are_the_same_bytes(
    sandbox: Sandbox, scratch: Path, form: str, *, numbers: list[PhoneNumber], others: dict[str, Any], fields: str
) -> None:
    for _ in range(2):
        sandbox.plan(Fault.raw(body_of(numbers, others)), node=SMALL_WABA)
    assert listed(form, fields, SMALL_WABA) == exported(form, fields, scratch, SMALL_WABA)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("fields", ["", "all", "status,id", "owner{id,name},verified_name"])
@pytest.mark.usefixtures("sandbox")
def test_several_accounts_are_the_same_lines(scratch: Path, form: str, fields: str) -> None:
    accounts = (SMALL_WABA, EMPTY_WABA, LARGE_WABA)
    lines = listed(form, fields, *accounts).splitlines(keepends=True)
    assert len(lines) == 253 + (form == "csv")
    assert sorted(exported(form, fields, scratch, *accounts).splitlines(keepends=True)) == sorted(lines)
