"""Numbers compared by digits: the format makes no difference, and only digits that the API may leave out may lack."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import InvalidArgumentError, PhoneNumber
from wa_phone_async.phone_digits import alike, likeness, missing_code, read_digits, shortest_form, whole_number

numbers = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)
separators = st.text(st.characters(exclude_categories=["Nd", "Cs"]), max_size=3)


@st.composite
def written(draw: st.DrawFn, digits: str) -> str:
    """The digits, with anything but ASCII digits before, between and after them."""
    return draw(separators) + "".join(digit + draw(separators) for digit in digits)


@given(st.data(), numbers)
def test_the_same_digits_in_any_format_are_exactly_alike(data: st.DataObject, digits: str) -> None:
    text = data.draw(written(digits))
    assert read_digits(text) == digits
    assert likeness(digits, text) == "exact"


@given(st.data(), numbers, numbers)
def test_other_digits_are_never_exactly_alike(data: st.DataObject, digits: str, others: str) -> None:
    if digits != others:
        assert likeness(digits, data.draw(written(others))) != "exact"


@given(numbers, numbers)
def test_likeness_is_the_same_both_ways(one: str, other: str) -> None:
    assert likeness(one, other) == likeness(other, one)


@given(numbers)
def test_the_shortest_form_is_its_own_shortest_form_and_alike(digits: str) -> None:
    form = shortest_form(digits)
    assert shortest_form(form) == form
    assert likeness(digits, form) in {"exact", "loose"}


@given(numbers.filter(lambda digits: not digits.startswith("55")), numbers)
def test_outside_brazil_nothing_is_loose(digits: str, others: str) -> None:
    assert likeness(digits, others) == ("exact" if digits == others else None)


@pytest.mark.parametrize(
    ("digits", "displayed", "expected"),
    [
        ("16315555555", "+1 631-555-5555", "exact"),
        ("26777084294", "+267 77 084 294", "exact"),
        ("15550051310", "15550051310", "exact"),
        ("16315555555", "\u202a+1 (631) 555\u20115555\u202c", "exact"),
        ("16315555555", "+1 631-555-5556", None),
        ("16315555555", "631-555-5555", None),
        ("16315555555", "", None),
        ("5511998765432", "+55 11 99876-5432", "exact"),
        ("5511998765432", "+55 11 9876-5432", "loose"),
        ("551198765432", "+55 11 99876-5432", "loose"),
        ("5511998765432", "+55 21 9876-5432", None),
        ("5511998765432", "+55 11 9876-5433", None),
        ("5511941234567", "+55 11 4123-4567", None),  # a fixed line
        ("552137315513", "+55 21 3731-5513", "exact"),
        ("5215512345678", "+52 55 1234 5678", None),  # people say so, and no capture shows it
        ("5491123456789", "+54 11 2345-6789", None),
    ],
)
def test_known_cases(digits: str, displayed: str, expected: str | None) -> None:
    assert likeness(digits, displayed) == expected


@given(st.from_regex(r"[1-9][0-9]{6,10}", fullmatch=True), st.from_regex(r"[1-9][0-9]{0,2}", fullmatch=True))
def test_a_number_is_the_same_with_and_without_its_country_code(national: str, cc: str) -> None:
    whole = cc + national
    assert whole_number(whole, None) == whole_number(whole, cc) == whole
    if not national.startswith(cc):
        assert whole_number(national, cc) == whole


def test_a_number_that_begins_with_its_country_code_is_taken_as_whole() -> None:
    assert whole_number("492112345", "49") == "492112345"


def test_a_number_that_is_too_long_with_its_country_code_is_invalid() -> None:
    assert whole_number("1" * 15, None) == whole_number("1" * 15, "1") == "1" * 15
    with pytest.raises(
        InvalidArgumentError, match=r"^phone_number must be at most 15 digits long together with cc, not 17: check"
    ):
        whole_number("1" * 15, "44")


@pytest.mark.parametrize(
    ("digits", "displayed", "code"),
    [
        ("6315555555", "+1 631-555-5555", "1"),
        ("15112345678", "+49 1511 2345678", "49"),
        ("5550107", "+683 555 0107", "683"),
        ("11998765432", "+55 11 9876-5432", "55"),
        ("16315555555", "+1 631-555-5555", None),
        ("5555555", "+1 631-555-5555", None),  # no country code has four digits
        ("6315555556", "+1 631-555-5555", None),
        ("6315555555", "", None),
    ],
)
def test_the_country_code_that_is_missing(digits: str, displayed: str, code: str | None) -> None:
    assert missing_code(digits, displayed) == code


@given(st.from_regex(r"[1-9][0-9]{6,11}", fullmatch=True), st.from_regex(r"[1-9][0-9]{0,2}", fullmatch=True))
def test_with_the_missing_country_code_a_number_is_the_same(national: str, cc: str) -> None:
    code = missing_code(national, cc + national)
    assert code is not None
    assert likeness(code + national, cc + national)


def test_of_a_list_the_exact_ones_come_before_the_loose_ones() -> None:
    exact = PhoneNumber(id="1", display_phone_number="+55 11 99876-5432")
    loose = PhoneNumber(id="2", display_phone_number="551198765432")
    other = PhoneNumber(id="3", display_phone_number="+55 11 3131-5432")
    nameless = PhoneNumber(id="4")
    assert alike("5511998765432", [nameless, loose, exact, other]) == [exact]
    assert alike("5511998765432", [nameless, loose, other]) == [loose]
    assert alike("5511998765432", iter([exact, exact, loose])) == [exact, exact]
    assert alike("5511998765432", [nameless, other]) == []
