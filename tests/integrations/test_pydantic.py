"""Models as fields of pydantic, and as responses of FastAPI with an OpenAPI schema."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from exports import ACME, BARE
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import (
    BusinessAccount,
    CreatedPhoneNumber,
    Cursors,
    Extra,
    Page,
    PhoneNumber,
    PhoneNumberStatus,
    Rows,
    SuccessResponse,
    Throughput,
    Usage,
    UsageMetric,
    to_dict,
)

pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")

VALUES: list[tuple[Any, Any]] = [
    (list[PhoneNumber], Rows([ACME, BARE])),
    (PhoneNumber | None, ACME),
    (dict[str, BusinessAccount], {"one": BusinessAccount("5", name="Acme", extra=Extra({"currency": "EUR"}))}),
    (Page[PhoneNumber], Page(data=(ACME,), cursors=Cursors("a", "b"), has_next=True)),
    (Page[BusinessAccount], Page(data=(BusinessAccount("5"),))),
    (CreatedPhoneNumber, CreatedPhoneNumber("1")),
    (SuccessResponse, SuccessResponse(success=True)),
    (Throughput, Throughput("HIGH")),
    (Extra, Extra({"a": [1, None]})),
    (Usage, Usage(waba=UsageMetric(calls_percent=1.0))),
]


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=str)
def test_a_value_is_the_json_of_to_dict_and_comes_back(kind: Any, value: Any) -> None:
    adapter = pydantic.TypeAdapter(kind)
    written = adapter.dump_json(value)
    assert json.loads(written) == json.loads(json.dumps(plain(value)))
    assert adapter.dump_python(value) == plain(value)
    assert adapter.validate_python(value) == value
    assert adapter.validate_json(written) == value
    for mode in ("validation", "serialization"):
        assert adapter.json_schema(mode=mode)


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [to_dict(each) for each in value]
    return {name: to_dict(each) for name, each in value.items()} if type(value) is dict else to_dict(value)


def test_the_schema_of_a_number_has_its_fields_and_takes_others() -> None:
    schema = pydantic.TypeAdapter(list[PhoneNumber]).json_schema(mode="serialization")
    number = schema["$defs"]["PhoneNumber"]
    assert schema["items"] == {"$ref": "#/$defs/PhoneNumber"}
    assert (number["title"], number["required"]) == ("PhoneNumber", ["id"])
    assert number["additionalProperties"] is True
    assert number["description"] == "A phone number of a WhatsApp Business Account."
    assert number["properties"]["last_onboarded_time"]["format"] == "date-time"
    assert number["properties"]["throughput"] == {"$ref": "#/$defs/Throughput"}
    assert {"$ref": "#/$defs/PhoneNumberStatus"} in number["properties"]["status"]["anyOf"]
    assert schema["$defs"]["PhoneNumberStatus"]["enum"] == list(PhoneNumberStatus)
    assert "extra" not in number["properties"]


def test_pages_of_several_kinds_have_schemas_of_their_own() -> None:
    both = pydantic.TypeAdapter(tuple[Page[PhoneNumber], Page[BusinessAccount], Page[dict[str, Any]], Page[Any]])
    assert {"Page_PhoneNumber", "Page_BusinessAccount"} <= both.json_schema()["$defs"].keys()


def test_a_response_requires_what_a_page_always_has_and_a_request_does_not() -> None:
    adapter = pydantic.TypeAdapter(Page[PhoneNumber])
    written, read = (adapter.json_schema(mode=mode) for mode in ("serialization", "validation"))
    assert written["required"] == ["data", "cursors", "has_next", "has_previous"]
    assert written["required"] <= list(to_dict(Page()))
    assert "required" not in read


def test_what_does_not_fit_says_where() -> None:
    with pytest.raises(ValueError, match=r"required field missing @ \$\.id"):
        pydantic.TypeAdapter(PhoneNumber).validate_python({"status": "CONNECTED"})


@given(name=st.text(), member=st.text(min_size=1), value=st.integers() | st.text())
def test_any_number_is_valid_by_its_own_schema(name: str, member: str, value: Any) -> None:
    number = PhoneNumber("1", verified_name=name, extra=Extra({f"x{member}": value}))
    adapter = pydantic.TypeAdapter(PhoneNumber)
    assert adapter.validate_python(adapter.dump_python(number)) == number


def test_fastapi_responds_with_models_and_describes_them() -> None:
    fastapi = pytest.importorskip("fastapi", reason="fastapi is not installed")
    app: Any = fastapi.FastAPI()

    async def numbers() -> Any:
        return Rows([ACME, BARE])

    async def page() -> Page[PhoneNumber]:
        return Page(data=(BARE,), has_next=True)

    app.get("/numbers", response_model=list[PhoneNumber])(numbers)
    app.get("/page")(page)

    schemas = app.openapi()["components"]["schemas"]
    assert {"PhoneNumber", "Throughput", "Page_PhoneNumber"} <= schemas.keys()
    content = app.openapi()["paths"]["/numbers"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert content["items"] == {"$ref": "#/components/schemas/PhoneNumber"}
    assert asyncio.run(get(app, "/numbers")) == [to_dict(ACME), to_dict(BARE)]
    assert asyncio.run(get(app, "/page"))["data"] == [to_dict(BARE)]


async def get(app: Callable[..., Any], path: str) -> Any:
    """What an ASGI application responds with."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "scheme": "http",
        "server": ("test", 80),
        "client": ("test", 1),
        "root_path": "",
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 200
    return json.loads(b"".join(message.get("body", b"") for message in sent[1:]))
