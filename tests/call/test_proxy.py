"""Which way requests take: directly, through a proxy that you name, or through that of the environment."""

import base64
import contextlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from wa_phone_async import InvalidArgumentError
from wa_phone_async.call.proxy import Route, choose_route
from wa_phone_async.redaction import Secret

GRAPH = URL("https://graph.facebook.com")
EXPECTED = (
    "must be an http:// or https:// URL with a host and without a path, such as 'http://proxy.example:3128' "
    "or 'http://user:password@proxy.example:3128'"
)


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def route_of(proxy: str | None, url: URL = GRAPH, *, trust_env: bool = False) -> Route:
    return choose_route(None if proxy is None else Secret(proxy), trust_env=trust_env, root=url)


def credentials(text: str) -> dict[str, str]:
    return {"Proxy-Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


# A proxy that is named


@pytest.mark.parametrize(
    ("proxy", "address", "headers"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128", {}),
        ("http://proxy.example:3128/", "http://proxy.example:3128", {}),
        ("HTTPS://proxy.example", "https://proxy.example", {}),
        ("http://proxy", "http://proxy", {}),
        ("http://10.0.0.1:8080", "http://10.0.0.1:8080", {}),
        ("http://[fd00::1]:8080", "http://[fd00::1]:8080", {}),
        ("http://bücher.example:8080", "http://xn--bcher-kva.example:8080", {}),
        ("http://user:word@proxy.example:3128", "http://proxy.example:3128", credentials("user:word")),
        ("http://user@proxy.example", "http://proxy.example", credentials("user:")),
        ("http://user:@proxy.example", "http://proxy.example", credentials("user:")),
        ("http://us%40er:a%3Ab%2Fc@proxy.example", "http://proxy.example", credentials("us@er:a:b/c")),
        ("http://ü:€@bücher.example", "http://xn--bcher-kva.example", credentials("ü:€")),
        ("http://user:a%0D%0AX-Evil:%201@proxy.example", "http://proxy.example", credentials("user:a\r\nX-Evil: 1")),
    ],
)
def test_a_proxy_is_an_address_and_a_header(proxy: str, address: str, headers: dict[str, str]) -> None:
    route = route_of(proxy)
    assert route == Route(URL(address), connect_headers=headers, secrets=route.secrets)
    plain = route_of(proxy, URL("http://graph.test"))
    assert plain == Route(URL(address), request_headers=headers, secrets=route.secrets)


def test_the_password_is_a_secret_in_both_forms() -> None:
    assert route_of("http://user:pa%3Ass@proxy.example").secrets == ("dXNlcjpwYTpzcw==", "pa:ss")
    assert route_of("http://proxy.example").secrets == ()


INVALID = [
    "",
    " ",
    "proxy.example",
    "proxy.example:3128",
    "user:word@proxy.example:3128",
    "ftp://proxy.example",
    "socks5://user:word@proxy.example",
    "http://",
    "http://:3128",
    "http://user:word@",
    "http://user:word@:3128",
    "http://user:word@proxy..example",
    "http://user:word@proxy.example:0",
    "http://user:word@proxy.example:99999",
    "http://user:word@proxy.example:port",
    "http://user:word@proxy.example/path",
    "http://user:word@proxy.example?query",
    "http://user:word@proxy.example#fragment",
    "http://user:word@[::1",
    "http://user:word@1.2.3.999",
    "http://user:word@proxy.example\r\nX-Evil: 1",
    "http://user:word\r\nX-Evil: 1@proxy.example",
    "http://user:word@proxy.example\x00",
    "http://user:word@proxy\\example",
    "http://us%3Aer:word@proxy.example",
    "http://:word@proxy.example",
    f"http://user:word@{'a' * 64}.example",
    f"http://user:word@{'a.' * 127}example",
    "http://user:word@\ud800.example",
    "http://user:\ud800@proxy.example",
]


@pytest.mark.parametrize("proxy", INVALID, ids=ascii)
def test_an_invalid_proxy_is_not_shown(proxy: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        route_of(proxy)
    hint = ": SOCKS is not supported" if proxy.startswith("socks") else ""
    assert str(caught.value) == f"proxy {EXPECTED}{hint}"
    assert (caught.value.given, caught.value.__cause__, caught.value.__context__) == (None, None, None)


@given(st.text() | st.builds("http://user:{}@{}".format, st.text(), st.text()))
@example("http://user:word@proxy.example")
def test_any_text_is_a_proxy_or_an_error_of_ours(proxy: str) -> None:
    with contextlib.suppress(InvalidArgumentError):
        route = route_of(proxy)
        assert route.proxy is not None
        assert (route.proxy.user, route.proxy.password, route.proxy.path) == (None, None, "/")
        assert str(route.proxy).isascii()
        for value in route.connect_headers.values():
            assert value.isascii()
            assert value.isprintable()


def test_no_repr_shows_the_password() -> None:
    for url in (GRAPH, URL("http://graph.test")):
        assert base64.b64encode(b"user:word").decode() not in repr(route_of("http://user:word@proxy.example", url))


@pytest.mark.parametrize("trust_env", [None, 1, "yes"], ids=repr)
def test_trust_env_is_true_or_false(trust_env: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^trust_env must be True or False, not "):
        route_of(None, trust_env=trust_env)


# The proxy of the environment


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "https://graph.facebook.com", None),
        ({"HTTPS_PROXY": "http://proxy.example:1"}, "https://graph.facebook.com", "http://proxy.example:1"),
        ({"https_proxy": "http://proxy.example:1"}, "https://graph.facebook.com", "http://proxy.example:1"),
        ({"HTTPS_PROXY": "proxy.example:1"}, "https://graph.facebook.com", "http://proxy.example:1"),
        ({"HTTPS_PROXY": "https://proxy.example:1"}, "https://graph.facebook.com", "https://proxy.example:1"),
        ({"HTTPS_PROXY": "http://big:1", "https_proxy": "http://small:1"}, "https://graph.test", "http://small:1"),
        ({"HTTPS_PROXY": ""}, "https://graph.facebook.com", None),
        ({"HTTP_PROXY": "http://proxy.example:1"}, "https://graph.facebook.com", None),
        ({"HTTP_PROXY": "http://proxy.example:1"}, "http://graph.test", "http://proxy.example:1"),
        ({"HTTPS_PROXY": "http://proxy.example:1"}, "http://graph.test", None),
        ({"ALL_PROXY": "socks5://proxy.example:1"}, "https://graph.facebook.com", None),
        # A CGI server makes HTTP_PROXY of a request's header `Proxy` (CVE-2016-1000110).
        ({"HTTP_PROXY": "http://evil.example", "REQUEST_METHOD": "GET"}, "http://graph.test", None),
    ],
)
def test_the_environment_names_the_proxy(
    environment: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert route_of(None, URL(url), trust_env=True) == Route(None if proxy is None else URL(proxy))
    assert route_of(None, URL(url)) == Route()
    assert route_of("http://named.example", URL(url), trust_env=True) == Route(URL("http://named.example"))


@pytest.mark.parametrize(
    ("no_proxy", "host", "is_direct"),
    [
        ("", "graph.facebook.com", False),
        ("*", "graph.facebook.com", True),
        ("graph.facebook.com", "graph.facebook.com", True),
        ("GRAPH.Facebook.com", "Graph.facebook.COM", True),
        ("facebook.com", "graph.facebook.com", True),
        (".facebook.com", "graph.facebook.com", True),
        ("*.facebook.com", "graph.facebook.com", True),
        ("localhost, example.org ,facebook.com", "graph.facebook.com", True),
        ("localhost facebook.com", "graph.facebook.com", True),
        ("facebook.com", "graph.facebook.com.", True),
        ("book.com", "graph.facebook.com", False),
        ("graph.facebook.com.example", "graph.facebook.com", False),
        ("x.graph.facebook.com", "graph.facebook.com", False),
        ("facebook.com:443", "graph.facebook.com", True),
        ("facebook.com:80", "graph.facebook.com", False),
        ("facebook.com:8443", "graph.facebook.com:8443", True),
        ("., ,*.,:443", "graph.facebook.com", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("192.168.0.0/16", "10.1.2.3", False),
        ("10.0.0.0/8", "graph.facebook.com", False),
        ("fd00::/8", "[fd00::1]", True),
        ("fd00::1", "[fd00::1]", True),
        ("fe80::/10", "[fd00::1]", False),
    ],
)
def test_no_proxy_names_hosts_domains_and_networks(
    no_proxy: str, host: str, monkeypatch: pytest.MonkeyPatch, *, is_direct: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:1")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    url = URL(f"https://{host}", encoded=True)
    assert (route_of(None, url, trust_env=True) == Route()) is is_direct
    assert route_of("http://proxy.example:1", url, trust_env=True).proxy is not None  # a named one has no exceptions


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "a.localhost", "localhost.", "127.0.0.1", "127.9.9.9", "[::1]", "0.0.0.0", "[::]"],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_this_machine_is_never_behind_a_proxy_of_the_environment(
    scheme: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", "no URL at all")
    assert route_of(None, URL(f"{scheme}://{host}:8080"), trust_env=True) == Route()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("proxy", ["http://user:word@proxy..example", "socks5://user:word@proxy", "user:word@", "://"])
def test_an_invalid_proxy_of_the_environment_has_the_name_of_its_variable(
    scheme: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", proxy)
    with pytest.raises(InvalidArgumentError) as caught:
        route_of(None, URL(f"{scheme}://graph.test"), trust_env=True)
    hint = ": SOCKS is not supported" if proxy.startswith("socks") else ""
    assert str(caught.value) == f"{scheme.upper()}_PROXY {EXPECTED}{hint}"
