"""Checks of arguments: a valid one passes, and an invalid one says what would be right."""

import contextlib
import pickle
import string
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yarl
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.checks import (
    check_api_version,
    check_at_least_one,
    check_kind,
    check_listener,
    check_page,
    check_params,
    check_path,
    check_read_ahead,
    check_seconds,
    is_loopback,
    read_base_url,
    read_node_id,
    read_secret,
)
from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.redaction import conceal

page = partial(check_page, limit=100, after=None, before=None, max_items=None)

URL = "an http:// or https:// URL with a host and no user, query or fragment, such as 'https://graph.facebook.com'"
NOT_EMPTY = "access_token must be a string that is not empty: give the one that Meta issued"
QUOTED = "access_token must be without quotes around it: pass only what is between them"
ONE_WORD = "access_token must be printable ASCII without blanks or line breaks: was it read whole?"

Call = Callable[[Any], object]
INVALID: dict[str, tuple[Call, str, list[Any]]] = {
    "waba_id": (
        partial(read_node_id, "waba_id"),
        "the id of the account, a string of digits",
        [
            "../me",
            "1?x=1",
            "",
            " ",
            5.0,
            True,
            -5,
            None,
            "1 2",
            "1\n2",
            "+1",
            "-1",
            "1.0",
            "\u0661",
            "\u00b2",
            b"1",
            "1/2",
        ],
    ),
    "limit": (
        lambda value: page(limit=value),
        "a whole number from 1 to 100",
        [0, 101, -1, True, "10", 10.0],
    ),
    "max_items": (
        lambda value: page(max_items=value),
        "a whole number from 0 up",
        [-1, True, "10", 1.0],
    ),
    "read_ahead": (check_read_ahead, "a whole number from 0 to 100", [-1, 101, None]),
    "after": (
        lambda value: page(after=value),
        "a cursor of an earlier page, a string",
        ["", 5, b"QVFI"],
    ),
    "before": (
        lambda value: page(before=value),
        "a cursor of an earlier page, a string",
        ["", 5, b"QVFI"],
    ),
    "api_version": (
        check_api_version,
        "of the form 'v23.0'",
        ["23.0", "v23", "v23.0.1", "V23.0", "", 23.0, "v23.0/", "v.0", "v23.0\n", None, "v\u0662.0"],
    ),
    "path": (
        check_path,
        "relative and without a query, such as '1234/phone_numbers'",
        ["", "/1", "1/", "1//2", "../me", "1?x=1", "1#x", "https://x", "1/%2e", 5, "1 2", "1\n"],
    ),
    "timeout": (
        partial(check_seconds, "timeout"),
        "a number of seconds above 0",
        [0, -1, 0.0, float("inf"), float("nan"), "1", None, True],
    ),
    "max_attempts": (
        partial(check_at_least_one, "max_attempts"),
        "a whole number from 1 up",
        [0, -1, 1.0, "1", True, None],
    ),
    "listener": (partial(check_listener, "listener"), "callable with an event, plain or async", [5, None]),
    "throttle": (lambda value: check_kind("throttle", value, dict, "a mapping"), "a mapping", [5, None, []]),
}
EACH_INVALID = [
    pytest.param(name, call, expected, value, id=f"{name}={value!r:.30}")
    for name, (call, expected, values) in INVALID.items()
    for value in values
]


@pytest.mark.parametrize(("name", "call", "expected", "value"), EACH_INVALID)
def test_an_invalid_argument_says_what_would_be_right(name: str, call: Call, expected: str, value: object) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        call(value)
    assert str(caught.value) == f"{name} must be {expected}, not {value!r}"
    assert (caught.value.argument, caught.value.expected, caught.value.given) == (name, expected, repr(value))
    assert isinstance(caught.value, ValueError)


def test_a_class_is_not_taken_for_its_instance() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^retry must be an instance of dict, not dict$"):
        check_kind("retry", dict, dict, "an instance of dict")


def test_a_list_goes_one_way() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^after must be left out where before is given: a list goes one"):
        page(after="a", before="b")


@pytest.mark.parametrize("name", ["access_token", "appsecret_proof"])
def test_a_url_holds_no_secret(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"^params must be without {name}: the session sends its own with"):
        check_params({"fields": "id", name: "a-secret"})


def test_an_int_of_thousands_of_digits_is_invalid_and_only_described() -> None:
    for number in (10**5000, -(10**5000)):
        with pytest.raises(InvalidArgumentError, match=r"^waba_id must be the id .*, not a long int$"):
            read_node_id("waba_id", number)


def test_a_token_in_the_place_of_an_id_is_not_shown() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_node_id("waba_id", "EAAG" + "x" * 180)
    assert str(caught.value).endswith("not a string of 184 characters")
    assert "EAAG" not in repr(vars(caught.value))
    assert b"EAAG" not in pickle.dumps(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "graph.facebook.com",
        "ftp://graph.facebook.com",
        "file:///etc",
        "http://",
        "https:///v23.0",
        "",
        None,
        5,
        "https://user:pass@graph.facebook.com",
        "https://graph.facebook.com?a=1",
        "https://graph.facebook.com#a",
        "https://graph.facebook.com/?",
        "https://graph.facebook.com/#",
        "https://graph. facebook.com",
        "https://a.com\n",
        "https://[::1",
        "http://localhost:99999",
        "http://localhost:port",
        "//graph.facebook.com",
    ],
)
def test_an_invalid_base_url_is_not_shown(url: object) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_base_url(url)
    assert str(caught.value) == f"base_url must be {URL}"
    assert caught.value.given is None


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "https://graph.facebook.com/v23.0",
            (
                "base_url must be a URL without the API's version, such as 'https://graph.facebook.com': "
                "the version v23.0 is a setting of its own"
            ),
        ),
        (
            "http://graph.facebook.com",
            "base_url must be an https:// URL for facebook.com: http:// would send the token unencrypted",
        ),
    ],
    ids=["with a version", "unencrypted"],
)
def test_a_base_url_that_cannot_be_the_apis_says_why(url: str, sentence: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_base_url(url)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ("", NOT_EMPTY),
        (None, NOT_EMPTY),
        (5, NOT_EMPTY),
        (b"EAAG", NOT_EMPTY),
        ("EAAG secret", ONE_WORD),
        ("\n", NOT_EMPTY),
        ("\ufeff", NOT_EMPTY),
        ("EAAG\nsecret", ONE_WORD),
        ('"EAAGsecret"', QUOTED),
        ("'EAAGsecret'\n", QUOTED),
        ("\u201cEAAGsecret\u201d", QUOTED),
        ("`EAAGsecret`", QUOTED),
        ("Bearer EAAGsecret", "access_token must be without 'Bearer' before it: the client sends that word itself"),
        ("bearer\tEAAGsecret", "access_token must be without 'bearer' before it: the client sends that word itself"),
        (
            "\nBearer  EAAGsecret\n",
            "access_token must be without 'Bearer' before it: the client sends that word itself",
        ),
        ("Bearer ", "access_token must be without 'Bearer' before it: the client sends that word itself"),
        (
            "Authorization: Bearer EAAGsecret",
            "access_token must be without 'Authorization: Bearer' before it: the client sends that word itself",
        ),
        ("EAAGsecret\r\nHost: evil", ONE_WORD),
        ("EAAG\u00e9", ONE_WORD),
        ("EAAG\x7f", ONE_WORD),
        ("EAAG\x00", ONE_WORD),
    ],
    ids=repr,
)
def test_an_invalid_token_is_never_shown(token: object, sentence: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_secret("access_token", conceal(token))
    assert str(caught.value) == sentence
    assert caught.value.given is None


AROUND = st.text(st.sampled_from(" \n\r\t\xa0\ufeff\u200b"), max_size=3)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1), AROUND, AROUND)
def test_printable_ascii_can_be_a_token_and_loses_what_stands_around_it(token: str, before: str, behind: str) -> None:
    quotes = set("\"'`")
    if not (token[0] in quotes and token[-1] in quotes and len(token) > 1) and token.lower() not in {"bearer", "oauth"}:
        assert read_secret("access_token", conceal(f"{before}{token}{behind}")) == token


@pytest.mark.parametrize("waba_id", ["1", "0", "102290129340398", "1" * 40])
def test_ids_are_digits(waba_id: str) -> None:
    assert read_node_id("waba_id", waba_id) == waba_id


@given(st.from_regex(r"[0-9]{1,20}", fullmatch=True).filter(str.isascii), AROUND, AROUND)
def test_blanks_around_an_id_are_left_out(waba_id: str, before: str, behind: str) -> None:
    assert read_node_id("waba_id", f"{before}{waba_id}{behind}") == waba_id


@given(st.integers(min_value=0, max_value=10**30))
def test_an_id_may_be_an_int(waba_id: int) -> None:
    assert read_node_id("waba_id", waba_id) == str(waba_id)


@given(st.text())
def test_an_id_that_passes_changes_no_url(given_id: str) -> None:
    try:
        waba_id = read_node_id("waba_id", given_id)
    except InvalidArgumentError:
        assert not given_id.strip() or set(given_id) - set(string.digits)
    else:
        assert urlsplit(f"https://host/v23.0/{waba_id}/phone_numbers").path.split("/")[2] == waba_id


@pytest.mark.parametrize("path", ["1", "1234/phone_numbers", "me", "1/a-b_c/2"])
def test_paths_are_relative(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize("version", ["v23.0", "v2.12", "v100.0"])
def test_versions_look_like_metas(version: str) -> None:
    check_api_version(version)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://graph.facebook.com", "https://graph.facebook.com"),
        ("https://graph.facebook.com/", "https://graph.facebook.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:80/proxy//", "http://[::1]:80/proxy"),
        ("HTTPS://proxy/graph", "HTTPS://proxy/graph"),
        ("https://graph.facebook.com.", "https://graph.facebook.com."),
        ("http://graph_api:8080", "http://graph_api:8080"),
        ("http://[fe80::1%eth0]:80", "http://[fe80::1%eth0]:80"),
        (f"https://{'a' * 63}.example", f"https://{'a' * 63}.example"),
        ("http://host/a%2Fb", "http://host/a%2Fb"),
    ],
)
def test_a_base_url_loses_only_the_slash_at_its_end(url: str, read: str) -> None:
    assert read_base_url(url) == read


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example:8443/ü/a%2Fb/", "https://xn--bcher-kva.example:8443/%C3%BC/a%2Fb"),
        ("http://127.0.0.1/ü", "http://127.0.0.1/%C3%BC"),
    ],
)
def test_a_base_url_is_in_ascii(url: str, read: str) -> None:
    assert read_base_url(url) == read


@pytest.mark.parametrize(
    "host",
    [
        "graph..facebook.com",
        ".facebook.com",
        "graph.facebook.com..",
        ".",
        f"{'a' * 64}.com",
        f"{'a.' * 127}com",
        f"{'ü' * 63}.com",
        "bücher..example",
        "1.2.3.999",
        "1.2.3",
        "999",
        "ab%2e.com",
        "a|b",
        "a<b>.com",
        "\N{ONE DOT LEADER}.com",
        "graph。。facebook.com",
    ],
)
def test_a_host_that_no_name_server_can_know_is_invalid(host: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_base_url(f"https://{host}")
    assert str(caught.value) == f"base_url must be {URL}: the name of its host is invalid"


@pytest.mark.parametrize(
    "url", ["https://host:0", "https://[v1.x]", "https://a\\b.com", "https://a.com/\0", "https://\ud800.com"]
)
def test_what_aiohttp_could_not_send_to_is_invalid(url: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^base_url must be an http:// or https:// URL with a host"):
        read_base_url(url)


@given(st.text(), st.text())
def test_the_host_of_a_valid_base_url_has_a_name_for_idna_and_tls(host: str, path: str) -> None:
    with contextlib.suppress(InvalidArgumentError):
        url = urlsplit(read_base_url(f"https://{host}/{path}"))
        assert url.geturl().isascii()
        assert url.hostname is not None
        assert url.hostname.encode("idna").decode() == url.hostname


def test_plain_http_for_facebook_is_found_behind_other_letters() -> None:
    for host in (
        "facebook.com",
        "graph.facebook.com.",
        "graph.\N{FULLWIDTH LATIN SMALL LETTER F}acebook.com",
        "graph。facebook。com",
    ):
        with pytest.raises(InvalidArgumentError, match=r"^base_url must be an https:// URL for facebook\.com"):
            read_base_url(f"http://{host}")


FACEBOOK = "facebook.com"
LIKE: dict[str, list[str]] = {
    letter: [letter.upper(), f"%{ord(letter):02x}", f"{letter}\u00ad", f"\u200b{letter}"] for letter in FACEBOOK
}
"""Other ways to write each letter. IDNA makes the letter of most of them."""
for _character in map(chr, range(0x80, 0x20000)):  # none above is like a letter
    _plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", _character).casefold())
    if _plain in LIKE:
        LIKE[_plain].append(_character)
LIKE["."] += ["\u3002", "\uff0e", "\uff61", ".."]


@given(
    name=st.tuples(*(st.sampled_from([letter, *LIKE[letter]]) for letter in FACEBOOK)).map("".join),
    before=st.sampled_from(["", "graph.", "graph\u3002", "GRAPH.", "a@", "a:b@graph.", "[", "//", "\\", "127.0.0.1@"]),
    after=st.sampled_from(
        ["", ".", "\u3002", "..", ":80", ":443", "/", "/x", "?x", "#@x", "]", "%00", "%2e", "\u00ad"]
    ),
    scheme=st.sampled_from(["http", "HTTP", "Http"]),
)
def test_no_spelling_of_facebook_is_reached_over_plain_http(name: str, before: str, after: str, scheme: str) -> None:
    with contextlib.suppress(InvalidArgumentError):
        host = yarl.URL(read_base_url(f"{scheme}://{before}{name}{after}"), encoded=True).raw_host or ""
        resolved = unquote(host).encode("idna").decode().lower().rstrip(".")  # as the system's resolver reads it
        assert not f".{resolved}".endswith(f".{FACEBOOK}")


@pytest.mark.parametrize(
    ("place", "like"), [(place, like) for place, letter in enumerate(FACEBOOK) for like in LIKE[letter]], ids=ascii
)
def test_each_letter_of_facebook_in_another_spelling_is_found(place: int, like: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^base_url must be an https?://"):
        read_base_url(f"http://graph.{FACEBOOK[:place]}{like}{FACEBOOK[place + 1 :]}")


@pytest.mark.parametrize("host", ["localhost", "graph.localhost.", "127.0.0.2", "::1", "0.0.0.0"])
def test_this_machine_has_several_names(host: str) -> None:
    assert is_loopback(host)
    assert not is_loopback(f"x{host}x")


@pytest.mark.parametrize("seconds", [1, 0.001, 10**400, 1e300], ids=["1", "0.001", "huge int", "huge float"])
def test_seconds_are_numbers_above_0(seconds: float) -> None:
    check_seconds("timeout", seconds)


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 1},
        {"limit": 100},
        {"limit": None},
        {"max_items": 0},
        {"max_items": 10**6},
        {"after": "a"},
        {"before": "b"},
    ],
    ids=str,
)
def test_the_ends_of_each_range_are_valid(options: dict[str, Any]) -> None:
    page(**options)
