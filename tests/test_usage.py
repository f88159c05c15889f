"""Usage headers: any of them is a value or `None`, and no wait is shorter than they say."""

import json
import math
from email.utils import format_datetime
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.usage import LONGEST_WAIT_SECONDS, Usage, UsageMetric, _read, read_usage, server_wait

BUC = "X-Business-Use-Case-Usage"
APP = "X-App-Usage"


def buc(document: object, node_id: str = "7") -> UsageMetric | None:
    usage = read_usage({BUC: json.dumps(document)}, node_id)
    return usage.waba if usage else None


def entry(calls: object = 0, minutes: object = 0, **more: object) -> dict[str, object]:
    return {"type": "whatsapp", "call_count": calls, "estimated_time_to_regain_access": minutes} | more


def test_without_headers_there_is_no_usage() -> None:
    assert read_usage({"Content-Type": "application/json"}, "7") is None


def test_both_headers_are_read() -> None:
    headers = {
        BUC: json.dumps({"7": [entry(28, 3, total_time=25, total_cputime=26)]}),
        APP: '{"call_count":1,"total_time":3,"total_cputime":2}',
    }

    assert read_usage(headers, "7") == Usage(UsageMetric(28.0, 26.0, 180.0), UsageMetric(1.0, 3.0, 0.0))


@pytest.mark.parametrize("name", [BUC, BUC.lower(), BUC.upper()])
def test_names_have_any_case_in_a_dict(name: str) -> None:
    assert read_usage({name: json.dumps({"7": [entry(5)]})}, "7") == Usage(UsageMetric(5.0))


def test_a_mapping_that_ignores_case_is_used_as_it_is() -> None:
    headers = MappingProxyType({"x-app-usage": '{"call_count": 9}'})

    assert read_usage(headers, "7") == Usage(app=UsageMetric(9.0))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param({"7": [entry(1), entry(90)]}, UsageMetric(90.0), id="the second entry is fuller"),
        pytest.param({"7": [entry(3)], "8": [entry(90)]}, UsageMetric(3.0), id="own id wins"),
        pytest.param({"9": [entry(3)], "8": [entry(90)]}, UsageMetric(90.0), id="else all ids"),
        pytest.param({"7": [entry(3), entry(100, type="ads_management")]}, UsageMetric(3.0), id="another product"),
        pytest.param({"7": [entry(100, 9, type="pages")]}, None, id="only another product"),
        pytest.param({"7": [entry(100, type="ads")], "8": [entry(9)]}, None, id="only another product under our id"),
        pytest.param({"9": [entry(100, type="messenger")], "8": [entry(9)]}, UsageMetric(9.0), id="else all of ours"),
        pytest.param({"7": [entry(8, type="WhatsApp_Business_Management")]}, UsageMetric(8.0), id="a type of ours"),
        pytest.param({"7": [entry(8, type="")]}, UsageMetric(8.0), id="an empty type"),
        pytest.param({"7": [entry(8, type=None)]}, UsageMetric(8.0), id="no type"),
        pytest.param({"7": entry(12)}, UsageMetric(12.0), id="an entry without a list"),
        pytest.param({"7": [entry(130.5)]}, UsageMetric(130.5), id="above 100, and a fraction"),
        pytest.param({"7": [entry("44")]}, UsageMetric(44.0), id="a text"),
        pytest.param({"7": [{"total_time": 99}]}, UsageMetric(None, 99.0), id="load alone"),
        pytest.param({"7": [{"total_time": 99, "type": 5, "new": {}}]}, UsageMetric(None, 99.0), id="unknown keys"),
        pytest.param({"7": [entry(50), entry(1, total_time=60)]}, UsageMetric(50.0, 60.0), id="each by itself"),
        pytest.param({"7": [entry(1, 2), entry(2, 1)]}, UsageMetric(2.0, 0.0, 120.0), id="the longest wait"),
        pytest.param({"7": [{"reset_time_duration": 30}]}, UsageMetric(None, 0.0, 30.0), id="seconds"),
        pytest.param({"7": [entry(calls=True, minutes=None)]}, None, id="neither bool nor null is a number"),
        pytest.param({"7": [entry(-1)]}, None, id="negative"),
        pytest.param({"7": [entry(math.nan)]}, None, id="not a number"),
        pytest.param({"7": [entry(math.inf)]}, None, id="infinite"),
        pytest.param({"7": [entry(10**400)]}, None, id="too large"),
        pytest.param({"7": [entry(1e9)]}, None, id="absurd"),
        pytest.param({"7": [entry(999_999_999, 1)]}, UsageMetric(999_999_999.0, 0.0, 60.0), id="large"),
        pytest.param({"7": [entry(1, 1_440)]}, UsageMetric(1.0, 0.0, 86_400.0), id="a day"),
        pytest.param({"7": [entry(1, 16_000_000)]}, UsageMetric(1.0, 0.0, 86_400.0), id="minutes of thirty years"),
        pytest.param({"7": [{"reset_time_duration": 9e8}]}, UsageMetric(None, 0.0, 86_400.0), id="seconds of them"),
        pytest.param({"7": [entry(1, 2e7)]}, UsageMetric(1.0), id="minutes that are absurd in seconds"),
        pytest.param({"7": [entry("many")]}, None, id="a word"),
        pytest.param({"7": ["x", None, 3]}, None, id="no entry is an object"),
        pytest.param({"7": None}, None, id="null"),
        pytest.param([entry(5)], None, id="a list"),
        pytest.param({}, None, id="empty"),
    ],
)
def test_entries(document: object, expected: UsageMetric | None) -> None:
    assert buc(document) == expected


@pytest.mark.parametrize(
    "product",
    [
        "ads_insights",
        "ads_management",
        "custom_audience",
        "instagram",
        "leadgen",
        "messenger",
        "pages",
        "catalog_batch",
        "a product of tomorrow",
    ],
)
def test_usage_of_another_product_is_passed_over(product: str) -> None:
    assert buc({"7": [entry(100, 60, type=product, total_time=100)]}) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"7": [{"call_count": 80}], "7": [{"call_count": 5}]}', 80.0),
        ('{"7": [{"call_count": 5}], "7": [{"call_count": 80}]}', 80.0),
        ('{"7": [{"call_count": 80, "call_count": 5}]}', 80.0),
        ('{"7": [{"call_count": 5, "call_count": 80}]}', 80.0),
        ('{"7": [{"call_count": 80, "call_count": null}]}', 80.0),
    ],
)
def test_a_key_that_comes_twice_hides_nothing(text: str, expected: float) -> None:
    usage = read_usage({BUC: text}, "7")

    assert usage is not None
    assert usage.waba == UsageMetric(expected)


@pytest.mark.parametrize("text", ["", "{", "null", '{"call_count": 5, // a comment\n}', "[" * 100_000])
def test_a_broken_header_has_no_usage(text: str) -> None:
    assert read_usage({BUC: text, APP: text}, "7") is None


@pytest.mark.parametrize(
    ("retry_after", "date", "expected"),
    [
        ("120", None, 120.0),
        ("1.5", None, 1.5),
        ("Sun, 22 Nov 2026 10:02:00 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", 120.0),
        ("Sun, 22 Nov 2026 09:00:00 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", 0.0),
        ("Sun, 22 Nov 2026 10:02:00 GMT", None, None),
        ("86400", None, 86_400.0),
        ("86401", None, 86_400.0),
        ("999999999", None, 86_400.0),
        ("Wed, 25 Nov 2026 10:00:00 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", 86_400.0),
        ("1000000000", None, None),
        ("Fri, 22 Nov 2126 10:00:00 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", None),
        ("soon", "Sun, 22 Nov 2026 10:00:00 GMT", None),
        ("Sun, 22 Nov 2026 10:02:00 GMT", "Sun, 22 Nov 2026 10:00:00 -0000", None),
    ],
)
def test_retry_after_is_seconds(retry_after: str, date: str | None, expected: float | None) -> None:
    usage = read_usage({"Retry-After": retry_after} | ({"Date": date} if date else {}), "7")

    assert (usage and usage.retry_after_seconds) == expected


def test_the_same_texts_give_the_same_object() -> None:
    headers = {APP: '{"call_count": 1}'}

    assert read_usage(headers, "7") is read_usage(dict(headers), "7")


def test_percent_is_the_fullest() -> None:
    assert (UsageMetric(5.0, 9.0).percent, UsageMetric(9.0, 5.0).percent, UsageMetric().percent) == (9.0, 9.0, 0.0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(
                ["7", "call_count", "total_time", "estimated_time_to_regain_access", "reset_time_duration"]
            ),
            inner,
        )
    ),
)
documents = st.text() | JSON.map(json.dumps)
dates = st.datetimes().map(format_datetime) | st.text()
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        BUC: documents,
        APP: documents,
        "Retry-After": dates | (st.integers() | st.floats()).map(str),
        "Date": dates,
    },
)


@given(HEADERS)
def test_any_headers_give_numbers_that_make_sense_or_nothing(headers: dict[str, str]) -> None:
    usage = read_usage(headers, "7") or Usage()
    metrics = [metric for metric in (usage.waba, usage.app) if metric is not None]
    numbers = [number for metric in metrics for number in (metric.percent, metric.regain_seconds)]
    assert all(0.0 <= number < 1e9 for number in [*numbers, usage.retry_after_seconds or 0.0])
    waits = [usage.retry_after_seconds or 0.0, *(metric.regain_seconds for metric in metrics)]
    assert max(waits) <= LONGEST_WAIT_SECONDS


def test_headers_that_differ_by_the_id_alone_are_read_once() -> None:
    first, second = ({BUC: json.dumps({waba_id: [entry(5)]})} for waba_id in ("100", "200"))
    assert read_usage(first, "100") is read_usage(second, "200")
    assert read_usage(first, "business") is read_usage(first, "300")


NODE_IDS = st.sampled_from(["7", "77", "8", "call_count", "total_time", "me"])
NUMBERS = st.dictionaries(st.sampled_from(["call_count", "total_time", "type", "7"]), st.sampled_from([0, 5, 60, "7"]))


@given(
    st.dictionaries(NODE_IDS, NUMBERS | st.lists(NUMBERS, max_size=2) | NODE_IDS),
    NODE_IDS,
    st.sampled_from([":", ": ", " : "]),
)
def test_without_the_id_the_same_is_read(document: dict[str, object], node_id: str, colon: str) -> None:
    text = json.dumps(document, separators=(",", colon))
    assert read_usage({BUC: text}, node_id) == _read.__wrapped__(text, None, None, None, node_id)


@given(HEADERS)
def test_no_wait_is_shorter_than_the_server_says(headers: dict[str, str]) -> None:
    usage = read_usage(headers, "7") or Usage()
    metrics = [metric for metric in (usage.waba, usage.app) if metric is not None]
    wait = server_wait(read_usage(headers, "7"), is_throttled=True)
    said = [usage.retry_after_seconds or 0.0, *(metric.regain_seconds for metric in metrics)]
    assert (wait or 0.0) == max(said)
    assert wait != 0.0


REGAIN = {BUC: json.dumps({"7": [entry(100, 2)]})}
APP_REGAIN = {APP: '{"call_count": 100, "estimated_time_to_regain_access": 3}'}


@pytest.mark.parametrize(
    ("headers", "throttled", "otherwise"),
    [
        pytest.param({}, None, None, id="nothing"),
        pytest.param({"Content-Type": "text/html"}, None, None, id="no usage"),
        pytest.param({APP: '{"call_count": 100}'}, None, None, id="usage without a wait"),
        pytest.param({"Retry-After": "0"}, None, None, id="no wait"),
        pytest.param({"Retry-After": "7"}, 7.0, 7.0, id="a wait"),
        pytest.param(REGAIN, 120.0, None, id="the quota of the account"),
        pytest.param(APP_REGAIN, 180.0, None, id="the quota of the app"),
        pytest.param(REGAIN | APP_REGAIN | {"Retry-After": "150"}, 180.0, 150.0, id="the longest counts"),
        pytest.param(REGAIN | {"Retry-After": "150"}, 150.0, 150.0, id="the longest is the wait"),
    ],
)
def test_estimates_count_only_where_the_error_is_a_rate_limit(
    headers: dict[str, str], throttled: float | None, otherwise: float | None
) -> None:
    assert server_wait(read_usage(headers, "7"), is_throttled=True) == throttled
    assert server_wait(read_usage(headers, "7"), is_throttled=False) == otherwise
