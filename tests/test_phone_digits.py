"""Numbers: what a caller may write, and which displayed number it is.

The format makes no difference. Only digits that the API may leave out may be missing.
"""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wa_phone_async import InvalidArgumentError, PhoneNumber
from wa_phone_async.phone_digits import (
    alike,
    dial_code,
    likeness,
    missing_code,
    read_digits,
    read_phone_number,
    shortest_form,
)

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


@given(numbers.filter(lambda digits: not digits.startswith(("52", "54", "55"))), numbers)
def test_outside_three_countries_nothing_is_loose(digits: str, others: str) -> None:
    assert likeness(digits, others) == ("exact" if digits == others else None)


MOBILE = {  # with the digits that the API may leave out, and without them
    "Brazil": (r"55[1-9][0-9]9[6-9][0-9]{7}", 4, "9"),
    "Mexico": (r"521[2-9][0-9]{9}", 2, "1"),
    "Argentina": (r"549(?:11|[23][0-9])[0-9]{8}", 2, "9"),
}


@pytest.mark.parametrize("country", MOBILE)
@given(st.data())
def test_a_mobile_number_is_loosely_alike_without_its_extra_digit(country: str, data: st.DataObject) -> None:
    pattern, place, digit = MOBILE[country]
    whole = data.draw(st.from_regex(pattern, fullmatch=True).filter(str.isascii))
    assert whole[place] == digit
    shown = whole[:place] + whole[place + 1 :]
    assert likeness(whole, shown) == likeness(shown, whole) == "loose"
    assert likeness(whole, data.draw(written(shown))) == "loose"


@pytest.mark.parametrize("country", MOBILE)
@given(st.data())
def test_a_mobile_number_with_another_digit_in_its_place_is_another_number(country: str, data: st.DataObject) -> None:
    pattern, place, digit = MOBILE[country]
    whole = data.draw(st.from_regex(pattern, fullmatch=True).filter(str.isascii))
    other = data.draw(st.sampled_from("0123456789").filter(lambda each: each != digit))
    assert likeness(whole[:place] + other + whole[place + 1 :], whole) is None
    assert likeness(whole[:place] + other + whole[place + 1 :], whole[:place] + whole[place + 1 :]) is None


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
        ("5215512345678", "+52 55 1234 5678", "loose"),
        ("525512345678", "+52 1 55 1234 5678", "loose"),
        ("5215512345678", "+52 55 1234 5679", None),
        ("5491123456789", "+54 11 2345-6789", "loose"),
        ("543514234567", "+54 9 351 423-4567", "loose"),
        ("5491123456789", "+54 11 2345-6780", None),
        ("390612345678", "+39 06 1234 5678", "exact"),
        ("390612345678", "+39 6 1234 5678", None),  # Italy keeps its 0
        ("2250102030405", "+225 01 02 03 04 05", "exact"),
        ("2250102030405", "+225 1 02 03 04 05", None),  # and so does Ivory Coast
    ],
)
def test_known_cases(digits: str, displayed: str, expected: str | None) -> None:
    assert likeness(digits, displayed) == expected


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
    whole = ("5511998765432",)
    assert alike(whole, [nameless, loose, exact, other]) == [exact]
    assert alike(whole, [nameless, loose, other]) == [loose]
    twin = PhoneNumber(id="5", display_phone_number="+55 (11) 99876-5432")
    assert alike(whole, iter([exact, twin, loose])) == [exact, twin]
    assert alike(whole, [nameless, other]) == []


def test_a_number_that_is_listed_twice_is_one() -> None:
    pending = PhoneNumber(id="1", display_phone_number="+55 11 99876-5432", status="PENDING")
    connected = PhoneNumber(id="1", display_phone_number="+55 11 99876-5432", status="CONNECTED")
    assert alike(("5511998765432",), [pending, connected]) == [connected]
    assert alike(("5511998765432", "551198765432"), [pending]) == [pending]


def test_a_loose_match_of_one_reading_counts_beside_an_exact_one_of_the_other() -> None:
    exact = PhoneNumber(id="1", display_phone_number="+55 98 7654-3219")
    loose = PhoneNumber(id="2", display_phone_number="+55 55 9876-5432")
    assert alike(("5598765432", "5555998765432"), [loose]) == [loose]
    assert alike(("559876543219", "5555998765432"), [loose, exact]) == [exact, loose]


# Reading what a caller writes

TWO_DIGITS = {  # of the codes of ITU-T E.164
    "2": "07",
    "3": "0123469",
    "4": "013456789",
    "5": "12345678",
    "6": "0123456",
    "8": "1246",
    "9": "0123458",
}
CODES = st.sampled_from(
    [
        *("1", "7", "211", "225", "254", "351", "378", "380", "420", "502", "598", "683", "852", "880", "971", "998"),
        *(zone + second for zone, seconds in TWO_DIGITS.items() for second in seconds),
    ]
)
NATIONAL = st.from_regex(r"[1-9][0-9]{6,10}", fullmatch=True).filter(str.isascii)
KEEP_ZERO = st.sampled_from(["39", "225"])


@given(CODES, NATIONAL)
def test_a_dial_code_is_found_at_the_beginning_of_a_whole_number(cc: str, national: str) -> None:
    assert dial_code(cc + national) == cc


def test_no_country_has_a_code_that_begins_with_0() -> None:
    assert dial_code("0631555100") is None


@given(CODES, NATIONAL)
def test_with_cc_the_right_number_is_always_one_of_the_readings(cc: str, national: str) -> None:
    whole = cc + national
    for given_number in (national, whole):
        number = read_phone_number(given_number, cc)
        assert (number.digits, number.cc, number.has_code) == (given_number, cc, True)
        assert whole in number.readings
        assert set(number.readings) <= {given_number, cc + given_number}


@given(CODES, NATIONAL)
def test_there_are_two_readings_only_for_digits_that_begin_with_cc(cc: str, national: str) -> None:
    readings = read_phone_number(national, cc).readings
    assert readings == ((national, cc + national) if national.startswith(cc) else (cc + national,))


@given(CODES, st.from_regex(r"[0-9]{5,8}", fullmatch=True).filter(str.isascii))
@example("91", "23456789")
@example("55", "98765432")
@example("7", "012345678"[:8])
@example("47", "123456")
def test_a_number_that_begins_with_its_own_country_code_may_be_both(cc: str, rest: str) -> None:
    digits = cc + rest
    if len(digits) >= 7:
        assert read_phone_number(digits, cc).readings == (digits, cc + digits)
        for listed in (digits, cc + digits):
            number = PhoneNumber(id="1", display_phone_number=f"+{listed}")
            assert alike(read_phone_number(digits, cc).readings, [number]) == [number]


@given(st.data(), CODES, NATIONAL)
def test_a_plus_says_that_the_country_code_is_there(data: st.DataObject, cc: str, national: str) -> None:
    whole = cc + national
    for code in (None, cc, f"+{cc}", int(cc)):
        number = read_phone_number(
            data.draw(st.sampled_from([f"+{whole}", f"+{cc} {national}", f"+{cc}-{national}"])), code
        )
        assert number.readings == (whole,)
        assert number.digits == whole
        assert number.has_code
        assert number.cc == (None if code is None else cc)


@given(CODES, CODES, NATIONAL)
def test_a_plus_number_of_another_country_than_cc_is_invalid(cc: str, other: str, national: str) -> None:
    if cc != other:
        with pytest.raises(InvalidArgumentError, match=rf"must be a number of the country code {other}, as cc says"):
            read_phone_number(f"+{cc}{national}", other)


def test_where_plus_and_cc_disagree_both_are_named() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_phone_number("+1 631 555 1000", "44")
    assert str(caught.value) == (
        "phone_number must be a number of the country code 44, as cc says, not '+1 631 555 1000': "
        "its + is followed by 1; correct one of them"
    )
    with pytest.raises(InvalidArgumentError, match=r"its \+ is followed by no country code; correct"):
        read_phone_number("+0631555100", "44")


def test_without_cc_and_without_plus_the_country_code_may_be_missing() -> None:
    number = read_phone_number("631 555 1000")
    assert (number.digits, number.cc, number.readings) == ("6315551000", None, ("6315551000",))
    assert not number.has_code


@given(KEEP_ZERO, st.from_regex(r"0[1-9][0-9]{5,8}", fullmatch=True).filter(str.isascii))
def test_italy_and_ivory_coast_keep_their_leading_0(cc: str, national: str) -> None:
    whole = cc + national
    for text in (
        national,
        whole,
        f"+{whole}",
        f"+{cc} ({national[:2]}) {national[2:]}",
        f"({national[:2]}) {national[2:]}",
    ):
        number = read_phone_number(text, cc)
        assert whole in number.readings
        assert number.digits == whole  # the API takes no number that begins with 0
        assert number.cc == cc


@pytest.mark.parametrize(
    "text",
    [
        "16315551000",
        "+16315551000",
        "+1 (631) 555-1000",
        "(+1) 631-555-1000",
        "+1 631 555 1000",
        "1 631 555-1000",
        "+1-631-555-1000",
        "1.631.555.1000",
        "+1.631.555.1000",
        "  +1 631 555 1000\n",
        "\ufeff+16315551000",
        "\uff0b1 631 555 1000",
        "\uff0b\uff11\uff16\uff13\uff11\uff15\uff15\uff15\uff11\uff10\uff10\uff10",
        "+1\xa0631\u202f555\u20071000",
        "+1 631\u2011555\u20131000",
        "+1 631\u2212555\u22121000",
        "\u202a+1 (631) 555-1000\u202c",
        "\u200e+1 631\u200b 555 1000",
        "+1 ( 631 ) 555 - 1000",
    ],
)
@pytest.mark.parametrize("cc", [None, "1", "+1", " +1 ", "\uff0b1", "\ufeff1", 1])
def test_a_number_is_accepted_as_people_write_it(text: str, cc: Any) -> None:
    number = read_phone_number(text, cc)
    assert number.digits == "16315551000"
    assert number.cc == (None if cc is None else "1")
    assert "16315551000" in number.readings


EXPECTED = "7 to 15 digits, such as '16315551000' or '+1 (631) 555-1000'"
EXTENSION = "an extension cannot be registered: leave it out"
LETTERS = "it has letters: write digits"
ROUNDED = "a spreadsheet rounded it: format the column as text"
DECIMAL = "a single dot may be a decimal point: leave it out, and format the column as text"
SEVERAL = "it may be several numbers: give one, with blanks or hyphens between its digits"
NOT_ASCII = "it has characters that are not ASCII: write the digits 0 to 9"
ZERO_IN_PARENTHESES = "a 0 in parentheses is dialled only within the country: leave it out"
ZERO = "it begins with 0, which is dialled only within the country: leave it out"
SHAPE = "it may have +, digits, and blanks, hyphens, dots or pairs of parentheses between them"


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("+44 (0)20 7946 0958", ZERO_IN_PARENTHESES),
        ("+44 ( 0 ) 20 7946 0958", ZERO_IN_PARENTHESES),
        ("+44 (020) 7946 0958", ZERO_IN_PARENTHESES),
        ("+39 (0) 6 1234 5678", ZERO_IN_PARENTHESES),  # it would keep the 0, and others would not
        ("(0211) 123456", ZERO_IN_PARENTHESES),
        ("020 7946 0958", ZERO),
        ("+020 7946 0958", ZERO),
        ("0044 20 7946 0958", "it begins with 00: write + before the country code"),
        ("+1 631 555 1000 x5", EXTENSION),
        ("+1 631 555 1000 ext. 5", EXTENSION),
        ("+1 631 555 1000 Extension 55", EXTENSION),
        ("+1 631 555 1000 #5", EXTENSION),
        ("16315551000;ext=5", EXTENSION),
        ("1-800-FLOWERS", LETTERS),
        ("tel:+16315551000", LETTERS),
        ("+1 631 555 1OOO", LETTERS),
        ("nan", LETTERS),
        ("1.0E+14", ROUNDED),
        ("1.63155510E+10", ROUNDED),
        ("1,6e10", ROUNDED),
        ("1E14", ROUNDED),
        ("16315551000.0", DECIMAL),
        ("+16315551000.0", DECIMAL),
        ("16315551000,0", SEVERAL),
        ("16315551000/16315551001", SEVERAL),
        ("+49 30/123456", SEVERAL),
        ("6315551;6315552", SEVERAL),
        ("6315551\n6315552", SEVERAL),
        ("6315551\t6315552", SEVERAL),
        ("\u0661\u0666\u0663\u0661\u0665\u0665\u0665\u0661\u0660\u0660\u0660", NOT_ASCII),
        ("+1 631 555 \u0967000", NOT_ASCII),
        ("+1 631 555 1000 \U0001f4de", NOT_ASCII),
        ("1+6315551000", "a + may stand only before the country code"),
        ("+1 631 +5551000", "a + may stand only before the country code"),
        ("-16315551000", "it begins with a minus sign"),
        ("++16315551000", SHAPE),
        ("+1 (631 555-1000", SHAPE),
        ("+1 631) 555-1000", SHAPE),
        ("+1 ((631)) 555-1000", SHAPE),
        ("+1 () 631 555 1000", SHAPE),
        ("'16315551000", SHAPE),
        ("16315551000-", SHAPE),
        ("+", SHAPE),
        ("", SHAPE),
        ("123456", "it has 6"),
        ("1" * 16, "it has 16"),
        (None, "pass a string, since a value of the type NoneType may have lost digits or a +"),
        (True, "pass a string, since a value of the type bool may have lost digits or a +"),
        (16315551000, "pass a string, since a value of the type int may have lost digits or a +"),
        (16315551000.0, "pass a string, since a value of the type float may have lost digits or a +"),
        (1.0e14, "pass a string, since a value of the type float may have lost digits or a +"),
        (b"16315551000", "pass a string, since a value of the type bytes may have lost digits or a +"),
    ],
)
def test_what_would_be_a_guess_is_rejected_by_name(value: Any, hint: str) -> None:
    for cc in (None, "44", "39") if not str(value).startswith(("+", "0", "(0")) else (None,):
        with pytest.raises(InvalidArgumentError) as caught:
            read_phone_number(value, cc)
        assert str(caught.value) == f"phone_number must be {EXPECTED}, not {value!r}: {hint}"


@pytest.mark.parametrize(("text", "cc"), [("(0211) 1234567", "49"), ("0211 1234567", "49"), ("00 1234567", "39")])
def test_a_0_that_is_no_part_of_the_number_is_rejected_also_with_cc(text: str, cc: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"(?:is dialled only within the country|begins with 00)"):
        read_phone_number(text, cc)


@pytest.mark.parametrize("cc", ["", "0", "01", "001", "1234", "1-242", "US", "+", "++1", "1.0", 1.0, True, 0, -1, b"1"])
def test_an_invalid_dial_code_is_rejected(cc: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_phone_number("6315551000", cc)
    assert str(caught.value) == f"cc must be a country's dial code of 1 to 3 digits, such as '1' or '+44', not {cc!r}"


@given(st.text())
@example("+1 (631) 555-1000")
def test_no_digit_is_ever_lost_or_made_up(text: str) -> None:
    try:
        number = read_phone_number(text)
    except InvalidArgumentError:
        return
    assert number.digits == "".join(str(int(each)) for each in text if each.isdecimal())


def test_a_number_that_is_too_long_with_its_country_code_is_invalid() -> None:
    assert read_phone_number("1" * 15).readings == read_phone_number("1" * 15, "1").readings == ("1" * 15,)
    with pytest.raises(
        InvalidArgumentError, match=r"^phone_number must be at most 15 digits long together with cc, not 17: check"
    ):
        read_phone_number("1" * 15, "44")
