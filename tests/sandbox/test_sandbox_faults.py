import json

import pytest

from wa_phone_async.sandbox import Fault, GraphError, Response
from wa_phone_async.sandbox.faults import NO_FAULT, Plan


def test_faults_are_used_first_in_first_out() -> None:
    plan = planned((Fault.status(500), 2), (Fault.drop_before(), 1))
    assert len(plan) == 3
    assert [plan.take("GET", "1") for _ in range(4)] == [
        Fault.status(500),
        Fault.status(500),
        Fault.drop_before(),
        NO_FAULT,
    ]
    assert len(plan) == 0


def planned(*faults: tuple[Fault, int]) -> Plan:
    plan = Plan()
    for fault, times in faults:
        plan.add(fault, times, None, None)
    return plan


def test_a_fault_waits_for_its_method_and_node() -> None:
    plan = Plan()
    plan.add(Fault.status(500), 1, "POST", None)
    plan.add(Fault.status(502), 1, None, "7")
    assert plan.take("GET", "1") is NO_FAULT
    assert plan.take("GET", "7") == Fault.status(502)
    assert plan.take("POST", "7") == Fault.status(500)


@pytest.mark.parametrize(
    ("code", "status"),
    [(190, 401), (10, 403), (200, 403), (803, 404), (1, 500), (2, 503), (100, 400), (80008, 400), (None, 400)],
)
def test_an_error_has_the_usual_status_of_its_code(code: int | None, status: int) -> None:
    reply = Fault.error(code).reply
    assert isinstance(reply, GraphError)
    assert reply.status == status


def test_an_error_has_all_given_details() -> None:
    fault = Fault.error(
        4,
        "Slow down",
        status=429,
        headers={"Retry-After": "7"},
        takes_effect=True,
        subcode=2446079,
        is_transient=True,
        type=None,
        user_title="Langsam",
        user_msg="Bitte langsam",
        data={"details": "…"},
    )
    assert fault.takes_effect
    assert isinstance(fault.reply, GraphError)
    assert fault.reply.status == 429
    assert fault.reply.headers == {"Retry-After": "7"}
    assert json.loads(fault.reply.body("trace")) == {
        "error": {
            "message": "Slow down",
            "code": 4,
            "error_subcode": 2446079,
            "is_transient": True,
            "error_user_title": "Langsam",
            "error_user_msg": "Bitte langsam",
            "error_data": {"details": "…"},
            "fbtrace_id": "trace",
        }
    }


def test_an_error_without_a_code_leaves_it_out() -> None:
    reply = Fault.error(None).reply
    assert isinstance(reply, GraphError)
    assert json.loads(reply.body("t"))["error"] == {
        "message": "A planned error",
        "type": "OAuthException",
        "fbtrace_id": "t",
    }


def test_statuses_pages_and_raw_bodies() -> None:
    assert Fault.status(301, headers={"Location": "/"}).reply == Response(301, b"", {"Location": "/"})
    html = Fault.html(502).reply
    assert isinstance(html, Response)
    assert (html.status, html.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    raw = Fault.raw("é", headers={"Content-Type": "text/javascript"}, takes_effect=True)
    assert raw.reply == Response(200, "é".encode(), {"Content-Type": "text/javascript"})
    assert raw.takes_effect
    assert Fault.raw(b"\xff").reply == Response(200, b"\xff", {"Content-Type": "application/json; charset=UTF-8"})


def test_how_much_of_a_body_is_sent() -> None:
    assert Fault.cut().cut_body(b"123456") == b"123"
    assert Fault.cut(1, clean=True).cut_body(b"123456") == b"1"
    assert NO_FAULT.cut_body(b"123456") == b"123456"


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_a_number_that_json_does_not_have_is_sent_as_null(number: float) -> None:
    error = GraphError(400, 100, "No", data={"a": [1.5, number, (number,)], "b": "x"})
    sent = json.loads(error.body("T"), parse_constant=pytest.fail)["error"]
    assert sent["error_data"] == {"a": [1.5, None, [None]], "b": "x"}
