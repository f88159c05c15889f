"""Typing errors: one letter, and never a digit."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.spelling import known_spelling

letters = st.sampled_from(string.ascii_lowercase + "_-")
words = st.text(string.ascii_lowercase + string.digits + "_", min_size=4, max_size=12)


def spell(text: str, *known: str) -> str:
    return known_spelling(text, known, argument="x", expected="a word")


def meant(text: str, *known: str) -> str | None:
    try:
        assert spell(text, *known) == text
    except InvalidArgumentError as error:
        return error.hint
    return None


@given(words, st.data())
def test_one_letter_more_or_less_or_another_one_is_a_typing_error(word: str, data: st.DataObject) -> None:
    place, letter = data.draw(st.integers(0, len(word) - 1)), data.draw(letters)
    others = [word[:place] + letter + word[place:]]
    if not word[place].isdigit():
        others += [word[:place] + word[place + 1 :], word[:place] + letter + word[place + 1 :]]
    for other in others:
        assert other == word or meant(other, word) == f"did you mean {word}?"


@given(words, st.data())
def test_two_letters_swapped_are_a_typing_error(word: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(word) - 2))
    first, second = word[place], word[place + 1]
    other = f"{word[:place]}{second}{first}{word[place + 2 :]}"
    if other != word:
        has_digit = first.isdigit() or second.isdigit()
        assert meant(other, word) == (None if has_digit else f"did you mean {word}?")


@given(words, st.data())
def test_another_digit_makes_another_word(word: str, data: st.DataObject) -> None:
    place, digit = data.draw(st.integers(0, len(word) - 1)), data.draw(st.sampled_from(string.digits))
    for other in (word[:place] + digit + word[place:], word[:place] + digit + word[place + 1 :]):
        assert meant(other, word) is None


@given(words, words)
def test_only_the_case_is_changed(text: str, word: str) -> None:
    assert spell(word.upper(), word) == word
    if meant(text, word) is None:
        assert spell(text, word) == text


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("liveee", "LIVE"),
        ("vile", "LIVE"),
        ("evil", "LIVE"),
        ("lvi", "LIVE"),
        ("", "LIVE"),
        ("live\u0665", "LIVE"),  # a digit in another script
        ("ids", "id"),
        ("NO", "NA"),
        ("READ", "RED"),
    ],
)
def test_what_is_further_away_or_short_is_another_word(text: str, known: str) -> None:
    assert spell(text, known) == text


def test_a_known_word_is_no_typing_error_for_another() -> None:
    assert spell("boat", "boot", "BOAT", "boat") == "boat"
    assert spell("boat", "boot", "BOAT") == "BOAT"


def test_each_word_that_may_be_meant_is_named_once() -> None:
    assert meant("baat", "boat", "beat", "boat", "coat") == "did you mean boat or beat?"
