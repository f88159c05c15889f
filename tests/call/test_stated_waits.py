"""How long an error blocks a number: its texts state the wait in any words, or its code means one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.call.response import read_block, read_response
from wa_phone_async.errors import GraphAPIError
from wa_phone_async.sandbox.durations import in_words
from wa_phone_async.sandbox.messages import dumps
from wa_phone_async.usage import read_usage

BLOCKS = [133008, 133009, 133015, 133016, 136024, 136025]


@pytest.mark.parametrize(
    ("details", "seconds"),
    [
        ("Please try again in 12 hours.", 43_200),
        ("Try again after 1 hour 30 minutes", 5_400),
        ("1 h, 30 min and 5 s", 5_405),
        ("90 seconds", 90),
        ("90s", 90),
        ("wait 1.5 hours", 5_400),
        ("wait 1,5 hours", 5_400),
        ("2 days", 172_800),
        ("Tente novamente em 1 hora e 5 minutos", 3_900),
        ("Espere 3 días", 259_200),
        ("2 DAYS 1 HR", 176_400),
        ("time left: 11:59:30", 43_170),
        ("600", 600),
        (" 600 ", 600),
        (600, 600),
        ("3 guesses in 10 minutes: wait 1 hour", 3_600),
        ("You have 5 tries left", None),
        ("5 more", None),
        ("9999999 hours", None),
        ("999999 hours", None),
        ("0 seconds", None),
        ("", None),
        (True, None),
        (None, None),
        (["1 hour"], None),
    ],
    ids=repr,
)
def test_the_wait_in_the_details(details: object, seconds: float | None) -> None:
    for code in (133008, 133009):
        assert read_block(code, None, {"error_data": {"messaging_product": "whatsapp", "details": details}}) == seconds
        if not isinstance(details, list):
            assert read_block(code, None, {"error_data": details}) == seconds


def test_the_other_texts_may_state_the_wait() -> None:
    assert read_block(133008, None, {"error_user_msg": "Wait 1 hour."}) == 3600
    assert read_block(133008, None, {"message": "(#133008) Too many guesses, wait 2 hours"}) == 7200
    texts = {"message": "wait 1 hour", "error_user_msg": "wait 2 hours", "error_data": {"details": "wait 5 minutes"}}
    assert read_block(133008, None, texts) == 7200  # never too short
    assert read_block(133008, None, {"message": 5, "error_user_msg": None}) is None


@pytest.mark.parametrize(
    ("code", "subcode", "seconds"),
    [
        (133015, None, 300.0),
        (133015, 1, 300.0),
        (133016, None, 259_200.0),
        (136024, 2388091, None),
        (136024, 2388367, None),
        (136024, None, None),
        (133005, None, None),
        (80008, None, None),
        (None, None, None),
    ],
)
def test_the_wait_that_a_code_means(code: int | None, subcode: int | None, seconds: float | None) -> None:
    assert read_block(code, subcode, {"message": f"(#{code})"}) == seconds


def test_the_wait_of_a_number_that_is_not_eligible_is_the_one_of_its_text() -> None:
    assert read_block(136024, 2388091, {"error_user_msg": "Wait 1 hour."}) == 3600.0
    text = "The number is not eligible for a code, since it is not being migrated"
    assert read_block(136024, 2388091, {"error_user_msg": text}) is None


def test_other_codes_block_no_number_even_if_they_state_a_wait() -> None:
    assert read_block(100, None, {"message": "wait 1 hour", "error_data": {"details": "1 hour"}}) is None


@given(st.sampled_from(BLOCKS), st.integers(1, 10**6))
def test_the_wait_that_the_sandbox_writes_is_read_exactly(code: int, seconds: int) -> None:
    details = f"Please try again in {in_words(seconds)}."
    assert read_block(code, None, {"error_data": {"details": details}}) == seconds


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.sampled_from(BLOCKS), st.none() | st.integers(), JSON, JSON, JSON)
def test_any_error_is_read(code: int, subcode: int | None, data: Any, message: Any, said: Any) -> None:
    wait = read_block(code, subcode, {"error_data": data, "message": message, "error_user_msg": said})
    assert wait is None or 0 < wait < 10**12


@given(st.text("0123456789 :.,dhmsandeyouri", max_size=300))
def test_no_text_takes_long_to_read(text: str) -> None:
    read_block(133008, None, {"message": text * 20})


@pytest.mark.parametrize(("header", "seconds"), [(None, 300.0), ("7", 300.0), ("1000", 1000.0)])
def test_the_longer_of_the_wait_in_the_headers_and_the_block_counts(header: str | None, seconds: float) -> None:
    usage = read_usage({} if header is None else {"Retry-After": header}, "1")
    body = dumps({"error": {"code": 133015, "message": "recently deleted"}})
    with pytest.raises(GraphAPIError) as caught:
        read_response(body, http_status=400, usage=usage, secrets=tuple)
    assert caught.value.retry_after == seconds
