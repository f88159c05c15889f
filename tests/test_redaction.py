"""Secrets: no text that people read shows one, and data stays as it is."""

import base64
import html
import json
import pickle
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.redaction import HIDDEN, Secret, SecretBytes, conceal, hide_queries, redact

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
        (f"%{quote(TOKEN, safe='')}", f"%EA{HIDDEN}"),
        (f"%A{quote(TOKEN, safe='')}", f"%AE{HIDDEN}"),
    ],
    ids=["plain", "twice", "in a URL", "Base64", "two secrets", "after a percent sign", "after half an escape"],
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


ESCAPES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded in lower case": lambda text: re.sub("%..", lambda it: it[0].lower(), quote(text, safe="")),
    "each byte percent-encoded": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "in JSON": lambda text: json.dumps(text)[1:-1],
    "in JSON with slashes escaped": lambda text: json.dumps(text)[1:-1].replace("/", r"\/"),
    "each character of ASCII as \\u": lambda text: "".join(rf"\u{ord(it):04x}" if it < "\x80" else it for it in text),
    "each character of ASCII as \\x": lambda text: "".join(rf"\x{ord(it):02x}" if it < "\x80" else it for it in text),
    "in HTML": html.escape,
    "each character as an entity": lambda text: "".join(f"&#{ord(it)};" for it in text),
    "each character as an entity of sixteen": lambda text: "".join(f"&#x{ord(it):X};" for it in text),
    "in a Python literal": lambda text: "'{}'".format(text.replace("\\", r"\\").replace("'", r"\'")),
}
escapes = st.lists(st.sampled_from([*ESCAPES]), max_size=4)
characters = st.characters(exclude_categories=["Cs"])
long_secrets = st.text(characters, min_size=8, max_size=40)
short_secrets = st.text("0123456789abcXYZ", min_size=4, max_size=7)


def escaped(text: str, names: list[str]) -> str:
    for name in names:
        text = ESCAPES[name](text)
    return text


@given(long_secrets, escapes, st.text(characters), st.text(characters))
def test_a_long_secret_is_hidden_wherever_it_stands_and_however_it_is_escaped(
    secret: str, names: list[str], before: str, after: str
) -> None:
    shown = redact({"a": escaped(f"{before}{secret}{after}", names)}, (secret,))["a"]
    assert HIDDEN in shown
    assert secret not in shown
    assert escaped(secret, names) not in shown.replace(HIDDEN, "")


@given(short_secrets, escapes, st.text(characters.filter(lambda it: not it.isalnum())))
def test_a_short_secret_is_hidden_where_it_stands_alone_however_it_is_escaped(
    secret: str, names: list[str], around: str
) -> None:
    shown = redact(escaped(f"{around}{secret}{around}", names), (secret,))
    assert HIDDEN in shown
    assert secret not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Wrong PIN 047183.", f"Wrong PIN {HIDDEN}."),
        ("047183", HIDDEN),
        ("pin=047183&x=1", f"pin={HIDDEN}&x=1"),
        ("pin_047183_is", f"pin_{HIDDEN}_is"),
        ("047183 047183,047183", f"{HIDDEN} {HIDDEN},{HIDDEN}"),
        ("pin%3D047183%26x", f"pin%3D{HIDDEN}%26x"),
        ("%30%34%37%31%38%33", HIDDEN),
        (r"{\"pin\":\"047183\"}", rf"{{\"pin\":\"{HIDDEN}\"}}"),
        (r"PIN:\n047183\nis wrong", rf"PIN:\n{HIDDEN}\nis wrong"),
        (r"\u003d047183\u0026", rf"\u003d{HIDDEN}\u0026"),
        (r"\u0030\u0034\u0037\u0031\u0038\u0033", HIDDEN),
        ("&quot;047183&quot;", f"&quot;{HIDDEN}&quot;"),
        ("1047183", "1047183"),
        ("0471830", "0471830"),
        ("code047183", "code047183"),
        ("047183rd", "047183rd"),
        ("\u00e9047183", "\u00e9047183"),
        (r"\u00e9047183", r"\u00e9047183"),
        ("%C3%A9047183", "%C3%A9047183"),
        ("0471830047183 047183", f"0471830047183 {HIDDEN}"),
        ("trace A1047183Bz", "trace A1047183Bz"),
        ("MDQ3MTgz", HIDDEN),
        ("eyJwaW4iOiIwNDcxODMifQ==", f"eyJwaW4iOiI{HIDDEN}MifQ=="),
    ],
)
def test_a_pin_is_hidden_where_no_letter_or_digit_adjoins(text: str, shown: str) -> None:
    assert redact(text, ("047183",)) == shown


@pytest.mark.parametrize("token", ["t", "a", "e", "status", "field", "y"])
def test_a_toy_token_garbles_no_words(token: str) -> None:
    text = "(#100) Tried accessing nonexisting fields (statuses): reduce the amount"
    assert redact(text, (token,)) == text


def test_a_toy_token_is_hidden_as_a_word() -> None:
    assert redact({"t": "token t is bad, dA too"}, ("t",)) == {HIDDEN: f"token {HIDDEN} is bad, {HIDDEN} too"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (47183, HIDDEN),
        (-47183, HIDDEN),
        (47183.0, HIDDEN),
        (47183.5, 47183.5),
        (1047183, 1047183),
        (987654321012, HIDDEN),
        (19876543210120, HIDDEN),
        (9876543210, 9876543210),
        (0, 0),
        (True, True),
        (float("inf"), float("inf")),
    ],
    ids=repr,
)
def test_a_number_is_hidden_if_it_is_a_secret_or_has_a_long_one_in_it(value: float, shown: Any) -> None:
    assert redact([value], ("047183", "987654321012", "")) == [shown]


def test_what_is_hidden_of_overlapping_secrets_is_all_of_them() -> None:
    assert redact("xx12345678ABCDefghijklyy", ("12345678ABCD", "ABCDefghijkl")) == f"xx{HIDDEN}yy"
    assert redact("xx12345678ABCDyy", ("12345678", "12345678ABCD")) == f"xx{HIDDEN}yy"


def test_an_escape_in_the_secret_itself_hides_it_nowhere() -> None:
    secret = r"EAAG%41&amp;\n"
    for name in ESCAPES:
        assert redact(f"<{escaped(secret, [name])}>", (secret,)).replace("'", "") == f"<{HIDDEN}>"


def test_a_text_with_more_layers_of_escapes_than_are_undone_is_hidden_completely() -> None:
    text = TOKEN
    for layers in range(12):
        assert redact(text, SECRETS) == HIDDEN, layers
        text = quote(text, safe="")
    assert redact("%25252541", SECRETS) == "%25252541"
    assert redact("%" + 9 * "25" + "41", SECRETS) == HIDDEN


# Each of these made a pattern take 2 to the n steps, or n times n, or may do so in a search that is less careful.
ATTACKS: dict[str, Callable[[int], tuple[str, str]]] = {
    "a part of the secret, percent-encoded": lambda size: ("4711" * size, "%34%37%31%31" * size + "%34%37%31"),
    "many parts of the secret": lambda size: ("EAAG4711" * 4, "%45%41%41%47%34%37%31%31" * 3 * size),
    "one sign, encoded again and again": lambda size: (TOKEN, "%" + "25" * 10 * size),
    "many signs, encoded again and again": lambda size: (TOKEN, "%252525252541" * size),
    "signs without a code": lambda size: (TOKEN, "%" * 20 * size),
    "backslashes": lambda size: (TOKEN, "\\" * 20 * size),
    "halves of a pair": lambda size: (TOKEN, r"\ud83d" * size),
    "entities without an end": lambda size: (TOKEN, "&a" * 10 * size + "&" + "a" * 10 * size),
    "a long entity of digits": lambda size: (TOKEN, "&#" + "1" * 20 * size),
    "a secret that repeats itself": lambda size: ("a" * 40 + "b", "a" * 30 * size),
    "a short secret everywhere": lambda size: ("1", "1" * 10 * size),
    "a secret in each place": lambda size: (APP_SECRET, APP_SECRET * size),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_the_time_of_a_search_grows_as_its_text_does(attack: Callable[[int], tuple[str, str]]) -> None:
    def cost(size: int) -> float:
        secret, text = attack(size)
        times = list[float]()
        for _ in range(3):
            began = time.process_time()
            redact(text, (secret,))
            times.append(time.process_time() - began)
        return min(times)

    assert cost(8_000) < 40 * max(cost(800), 0.0005)  # ten times the size; what grows with its square takes 100 times


@pytest.mark.parametrize("value", [None, True, 5, 1.5, "", [], {}], ids=repr)
def test_what_is_no_string_has_no_secret(value: Any) -> None:
    assert redact(value, SECRETS) == value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://shop.example/hook?token=a b'c\"d", "https://shop.example/hook?[hidden]"),
        ("https://shop.example/hook#token", "https://shop.example/hook?[hidden]"),
        ("HTTPS://user:pass@shop.example:8443/", "HTTPS://[hidden]@shop.example:8443/"),
        ("https://a@b@shop.example/?c", "https://[hidden]@shop.example/?[hidden]"),
        ("//shop.example/?\nt=1", "//shop.example/?[hidden]"),
        ("see https://shop.example/?t=1 and more", "see https://shop.example/?[hidden]"),
        ("see https://shop.example/hook", "see https://shop.example/hook"),
        ("https://shop.example/?", "https://shop.example/?"),
        ("Why? A/B", "Why? A/B"),
    ],
)
def test_the_query_of_a_url_is_hidden(text: str, shown: str) -> None:
    assert hide_queries(text) == shown
    assert hide_queries({text: [text, {"a": text}], "b": 1, "c": None}) == {
        shown: [shown, {"a": shown}],
        "b": 1,
        "c": None,
    }


def test_a_query_that_is_nested_too_deeply_is_hidden_completely() -> None:
    deep: Any = "https://shop.example/?t=secret"
    for _ in range(5000):
        deep = [deep]
    assert repr(hide_queries(deep)).count("[") == 21
    assert "secret" not in repr(hide_queries({"a": deep}))


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


@pytest.mark.parametrize("secret", [Secret(TOKEN), SecretBytes(TOKEN.encode())], ids=["text", "bytes"])
def test_a_slice_of_a_secret_is_a_secret(secret: Secret | SecretBytes) -> None:
    for part in (slice(80), slice(3, None), slice(None, None, -1)):
        plain = secret[:][part]
        assert HIDDEN in repr(plain)
        assert plain == (TOKEN[part] if isinstance(secret, str) else TOKEN.encode()[part])


def test_a_part_of_a_secret_is_what_it_is_of_other_texts() -> None:
    assert Secret("abc")[-1] == "c"
    assert SecretBytes(b"abc")[-1] == ord("c")
    assert list(SecretBytes(b"ab")) == [97, 98]
