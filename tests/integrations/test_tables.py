"""Values as HTML tables, as a notebook shows them."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import (
    BusinessAccount,
    InvalidArgumentError,
    OutcomeUnknownError,
    Page,
    PhoneNumber,
    PhoneNumberClient,
    RateLimitError,
    Rows,
    Throughput,
    Usage,
    UsageMetric,
    WabaListing,
    WebhookSignatureError,
    from_dict,
)
from wa_phone_async.integrations.notebook import MOST_ROWS
from wa_phone_async.pagination.rows import rows_of
from wa_phone_async.sandbox import LARGE_WABA, Fault, Sandbox


class Cells(HTMLParser):
    """The tags, and the texts in the cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.tags.add(tag)
        if tag in {"th", "td", "caption"}:
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        self.texts[-1] += data


OURS = {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "bdi"}


def html(value: Any) -> str:
    """What a notebook shows of a value."""
    return str(value._repr_html_())


def texts(value: Any) -> list[str]:
    cells = Cells(html(value))
    assert cells.tags <= OURS
    return cells.texts


def test_a_page_has_a_column_for_each_member_that_any_number_has() -> None:
    rows = (PhoneNumber("1", verified_name="Blue Bakery"), PhoneNumber("2", throughput=Throughput("HIGH")))

    shown = texts(Page(data=rows, has_next=True))

    assert shown[:4] == ["Page of 2, and there is more", "id", "verified_name", "throughput"]
    assert shown[4:] == ["1", "Blue Bakery", "", "2", "", "level: HIGH"]


def test_a_page_of_plain_rows_is_shown_as_well() -> None:
    assert texts(Page(data=({"id": "1"}, {"more": [1]}))) == ["Page of 2", "id", "more", "1", "", "", "[1]"]
    assert texts(Page(data=("a",))) == ["Page of 1", "value", "a"]


def test_a_number_is_shown_with_the_members_that_came() -> None:
    time = datetime(2026, 11, 22, 20, 15, tzinfo=UTC)
    number = from_dict(
        PhoneNumber, {"id": "1", "status": "NEW", "last_onboarded_time": time.isoformat(), "more": {"a": {"b": None}}}
    )
    assert texts(number) == [
        *("Phone number", "id", "1", "status", "NEW"),
        *("last_onboarded_time", "2026-11-22 20:15:00+00:00", "extra", "more: a: "),
    ]
    assert texts(BusinessAccount("5", name="Acme")) == ["WhatsApp Business Account", "id", "5", "name", "Acme"]


def test_the_queries_of_urls_are_not_shown() -> None:
    url = "https://shop.example/hook?token=secret"
    row = {"id": "1", "webhook_configuration": {"application": url, "more": [url]}, "more": url, "owner": {url: url}}
    number = from_dict(PhoneNumber, row)
    for value in (number, Page(data=(number,)), WabaListing(waba_id="7", phone_numbers=(number,)), Page(data=(row,))):
        assert "secret" not in html(value)
        assert "application: https://shop.example/hook?[hidden]" in html(value)


def test_a_long_listing_says_how_many_of_its_rows_are_shown() -> None:
    numbers = tuple(PhoneNumber(str(index)) for index in range(1000))
    caption, column, *cells = texts(WabaListing(waba_id="7", phone_numbers=numbers, calls=10, elapsed_seconds=2.0))
    assert caption == "WABA 7: phone numbers: 1000; calls: 10; 2.0 s, the first 100 of them"
    assert (column, cells) == ("id", [str(index) for index in range(MOST_ROWS)])


def test_an_awaited_list_is_a_table_of_its_first_rows() -> None:
    caption, column, *cells = texts(Rows([PhoneNumber(str(index)) for index in range(1_000)]))
    assert caption == "Phone numbers: 1,000, the first 100 of them"
    assert (column, cells) == ("id", [str(index) for index in range(MOST_ROWS)])
    assert texts(Rows([{"id": "1"}])) == ["Rows: 1", "id", "1"]
    assert texts(rows_of((), BusinessAccount)) == ["WhatsApp Business Accounts: 0"]


def test_at_a_terminal_a_list_has_its_first_rows_and_says_how_many_there_are() -> None:
    numbers = tuple(PhoneNumber(str(index)) for index in range(1_010))
    few = [repr(number) for number in numbers[:10]]
    assert pretty(Rows(numbers)) == "[" + ",\n ".join([*few, "… and 1,000 more"]) + "]"
    assert pretty(Rows(numbers[:2])) == f"[{few[0]},\n {few[1]}]"
    assert pretty(Rows()) == "[]"
    assert pretty(Page(data=numbers[:1], has_next=True)) == f"Page of 1, and there is more: [{few[0]}]"
    listed = WabaListing(waba_id="7", phone_numbers=numbers, calls=11)
    assert pretty(Rows([listed])) == (
        "[WabaListing(waba_id='7', phone_numbers=1010, error=None, calls=11, elapsed_seconds=0.0)]"
    )
    assert repr(Rows(numbers)) == repr(list(numbers))


def pretty(value: Any) -> str:
    """What IPython shows at a terminal."""
    written = list[str]()
    value._repr_pretty_(SimpleNamespace(text=written.append), False)  # noqa: FBT003 - as IPython does
    return "".join(written)


def test_a_list_of_listings_has_a_line_for_each() -> None:
    listed = WabaListing(waba_id="7", phone_numbers=(PhoneNumber("1"),), calls=1)
    failed = WabaListing(waba_id="8", error=RateLimitError("wait", http_status=400, code=80008))
    assert texts(Rows([listed, failed])) == [
        *("WABAs: 2", "waba_id", "phone_numbers", "calls", "elapsed_seconds", "error"),
        *("7", "1", "1", "0.0", ""),
        *("8", "0", "0", "0.0", "RateLimitError: wait (HTTP 400, code 80008)"),
    ]


def test_a_listing_without_numbers_says_why() -> None:
    error = RateLimitError("wait", http_status=400, code=80008)
    listing = WabaListing(waba_id="7", error=error, calls=1)
    assert texts(listing) == ["WABA 7: not listed; calls: 1; 0.0 s", "error", repr(error)]


def test_an_error_shows_its_facts() -> None:
    shown = texts(RateLimitError("wait", http_status=400, code=80008, fbtrace_id="AbC", retry_after=60.0))
    facts = dict(zip(shown[1::2], shown[2::2], strict=True))
    assert shown[:3] == ["RateLimitError", "message", "wait"]
    assert facts["code"] == "80008"
    assert facts["fbtrace_id"] == "AbC"
    assert facts["retry_after"] == "60.0"
    assert "error_subcode" not in facts


def test_usage_has_a_line_for_each_quota() -> None:
    usage = Usage(waba=UsageMetric(calls_percent=28.0), app=UsageMetric(load_percent=7.0), retry_after_seconds=60.0)
    assert texts(usage) == [
        "Usage of the quotas; retry after 60 s",
        *("quota", "calls_percent", "load_percent", "regain_seconds"),
        *("waba", "28.0", "0.0", "0.0"),
        *("app", "", "7.0", "0.0"),
    ]
    assert texts(Usage(app=UsageMetric()))[0] == "Usage of the quotas"


def test_a_sentence_is_broken_between_words_and_nothing_else_is() -> None:
    sentence = "The API says in one long sentence what was wrong about the call, and what would have been right."
    number = PhoneNumber("1" * 20, display_phone_number="+1 631-555-1001", verified_name="Old Mill Ice Cream " * 4)
    assert f'white-space:normal;min-width:30em"><bdi>{sentence}' in html(RateLimitError(sentence, http_status=400))
    assert "normal" not in html(number)


@given(name=st.text(), member=st.text(), value=st.text())
def test_what_the_api_sends_is_text_and_never_markup(name: str, member: str, value: str) -> None:
    number = from_dict(PhoneNumber, {"id": "1", "verified_name": name, f"x{member}": value})
    assert Cells(html(number)).tags <= OURS
    assert Cells(html(Page(data=(number, {f"x{member}": value})))).tags <= OURS


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x>', "</td><b>", "$x^2$", "&amp;"])
def test_names_are_shown_as_they_are(evil: str) -> None:
    assert evil in texts(PhoneNumber("1", verified_name=evil))


async def test_nothing_secret_is_shown(graph_sandbox: Sandbox) -> None:
    token = "an-invented-token-that-nobody-may-see"
    graph_sandbox.plan(Fault.error(100, f"the token {token} is bad"))
    async with PhoneNumberClient(token, base_url=graph_sandbox.url) as client:
        [listing] = await client.list_many([LARGE_WABA])
        page = await client.list_phone_numbers(LARGE_WABA).first_page()
        shown: list[Any] = [listing, page, page.data[0], client.last_usage(LARGE_WABA), listing.error]
        assert not [value for value in shown if token in html(value)]


def test_an_error_without_facts_shows_its_text() -> None:
    assert texts(WebhookSignatureError("the webhook has no signature")) == [
        *("WebhookSignatureError", "message", "the webhook has no signature"),
    ]


def test_an_invalid_argument_shows_what_would_be_right() -> None:
    assert texts(InvalidArgumentError("limit", "a whole number from 1 to 100", 0)) == [
        *("InvalidArgumentError", "message", "limit must be a whole number from 1 to 100, not 0"),
        *("argument", "limit", "expected", "a whole number from 1 to 100", "given", "0"),
    ]


def test_an_unknown_outcome_shows_the_account_and_the_number() -> None:
    error = OutcomeUnknownError("it was sent", waba_id="7", phone_number="16315551000", reason="a reset")
    assert {"waba_id", "7", "16315551000"} <= set(texts(error))
