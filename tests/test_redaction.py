"""Secrets: no text that people read shows one, and data stays as it is."""

import base64
import pickle
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.redaction import HIDDEN, Secret, conceal, redact

TOKEN = "EAAGm0PX4ZCps|BAJ+9/x=longer"
APP_SECRET = "0123456789abcdef0123456789abcdef"
SECRETS = (TOKEN, APP_SECRET)
FORMS = [form for secret in SECRETS for form in (secret, quote(secret, safe=""))]

texts = st.text() | st.lists(st.text() | st.sampled_from(FORMS)).map("".join)
payloads = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)


def test_a_secret_is_a_string_that_no_repr_shows() -> None:
    secret = Secret(TOKEN)
    assert secret == TOKEN
    assert isinstance(secret, str)
    assert f"Bearer {secret}" == f"Bearer {TOKEN}"
    for shown in (repr(secret), repr({"token": secret}), repr((secret,)), f"{secret!r}"):
        assert TOKEN not in shown
        assert HIDDEN in shown


def test_a_secret_stays_one_through_pickle() -> None:
    other = pickle.loads(pickle.dumps(Secret(TOKEN)))
    assert type(other) is Secret
    assert other == TOKEN


@pytest.mark.parametrize("value", [TOKEN, Secret(TOKEN)], ids=["text", "secret"])
def test_a_concealed_string_is_a_secret(value: str) -> None:
    concealed = conceal(value)
    assert type(concealed) is Secret
    assert concealed == TOKEN


@pytest.mark.parametrize("value", [None, 5, b"EAAG", ["EAAG"], {1}], ids=repr)
def test_what_is_no_string_becomes_an_empty_secret(value: object) -> None:
    assert conceal(value) == ""
    assert type(conceal(value)) is Secret


@given(payloads)
def test_no_secret_stays_in_any_string_however_deep(payload: Any) -> None:
    shown = repr(redact(payload, SECRETS))
    assert not [form for form in FORMS if form in shown]


@given(payloads)
def test_a_value_without_a_secret_stays_as_it_is(payload: Any) -> None:
    assert redact(payload, ("never" * 9,)) == payload


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"token {TOKEN} is bad", f"token {HIDDEN} is bad"),
        (f"{TOKEN}{TOKEN}", f"{HIDDEN}{HIDDEN}"),
        (f"?access_token={quote(TOKEN, safe='')}&a=1", f"?access_token={HIDDEN}&a=1"),
        (f"Basic {base64.b64encode(TOKEN.encode()).decode()}", f"Basic {HIDDEN}"),
        (f"{APP_SECRET}|{TOKEN}", f"{HIDDEN}|{HIDDEN}"),
    ],
    ids=["plain", "twice", "in a URL", "Base64", "two secrets"],
)
def test_a_secret_is_hidden_in_each_form(text: str, shown: str) -> None:
    assert redact(text, SECRETS).rstrip("=") == shown


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=6), st.binary(max_size=4), st.binary(max_size=4))
def test_a_secret_is_hidden_as_a_part_of_base64(secret: str, before: bytes, after: bytes) -> None:
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        shown = redact(encode(before + secret.encode() + after).decode(), (secret,))
        assert HIDDEN in shown
        plain = shown.replace(HIDDEN, "")
        # What is left are the bytes around the secret, and the characters that it shares with them.
        assert len(plain) <= 2 + (len(before + after) + 5) * 4 // 3


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: quote(text, safe=""),
        lambda text: quote(text, safe="").lower(),
        lambda text: quote(text, safe="/|"),
        lambda text: quote(quote(text, safe=""), safe=""),
        lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    ],
    ids=["all", "lower case", "not all", "twice", "each character"],
)
def test_a_secret_is_hidden_however_a_url_encodes_it(encode: Any) -> None:
    secret = "4711|+/=x"
    assert redact(f"https://x/?a={encode(secret)}&b=1", (secret,)) == f"https://x/?a={HIDDEN}&b=1"


def test_a_short_form_in_base64_is_not_hidden() -> None:
    assert redact("Keeping YQ safe", ("ab",)) == "Keeping YQ safe"


@pytest.mark.parametrize("value", [None, True, 5, 1.5, "", [], {}], ids=repr)
def test_what_is_no_string_has_no_secret(value: Any) -> None:
    assert redact(value, SECRETS) == value


def test_redact_does_not_change_its_argument() -> None:
    payload = {"a": [TOKEN]}
    assert redact(payload, SECRETS) == {"a": [HIDDEN]}
    assert payload == {"a": [TOKEN]}


@pytest.mark.parametrize("deep", ["list", "dict"])
def test_what_is_nested_too_deeply_is_hidden_completely(deep: str) -> None:
    value: Any = TOKEN
    for _ in range(900):
        value = [value] if deep == "list" else {"a": value}
    shown = repr(redact({"near": "x", "far": value}, SECRETS))
    assert TOKEN not in shown
    assert HIDDEN in shown
    assert "'near': 'x'" in shown
    assert redact([[["x", TOKEN]]], SECRETS, levels=3) == [[["x", HIDDEN]]]
    assert redact([[["x", TOKEN]]], SECRETS, levels=2) == [[HIDDEN]]
