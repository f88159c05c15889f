import json
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.sandbox.durations import HOUR
from wa_phone_async.sandbox.quotas import Quota, Quotas, QuotaUsage, RollingHour


def test_the_quota_is_exact_and_the_hour_rolls() -> None:
    hour = RollingHour()
    assert [hour.count(float(second), 3).is_throttled for second in range(4)] == [False, False, False, True]
    assert hour.count(HOUR, 3).is_throttled  # the call at 0 is gone; those at 1 and 2 and the throttled one are not
    assert hour.count(HOUR + 3, 3) == QuotaUsage(used=2, quota=3, wait=0.0)


@given(
    gaps=st.lists(st.floats(0, 2 * HOUR, allow_nan=False), max_size=60),
    quota=st.integers(1, 20),
)
def test_the_window_agrees_with_a_plain_count(gaps: list[float], quota: int) -> None:
    hour, now, calls = RollingHour(), 0.0, deque[float]()
    for gap in gaps:
        now += gap
        calls.append(now)
        usage = hour.count(now, quota)
        assert usage.used == sum(at > now - HOUR for at in calls)
        assert usage.is_throttled == (usage.used > quota)


@given(times=st.lists(st.integers(0, 3600), min_size=5, max_size=40), quota=st.integers(1, 4))
def test_a_call_is_admitted_after_the_wait_and_not_before(times: list[int], quota: int) -> None:
    early, late = RollingHour(), RollingHour()
    for time in sorted(times):
        usage = early.count(float(time), quota)
        late.count(float(time), quota)
    if usage.is_throttled:
        at = max(times) + usage.wait
        assert not late.count(at, quota).is_throttled
        assert early.count(at - 0.5, quota).is_throttled


def test_percentages_can_be_coarse() -> None:
    shares = [QuotaUsage(used, 200, 0.0) for used in (0, 4, 5, 10, 14, 199, 206)]
    assert [share.percent("floor", 5) for share in shares] == [0, 0, 0, 5, 5, 95, 100]
    assert [share.percent("round", 5) for share in shares] == [0, 0, 0, 5, 5, 100, 105]
    coarse = Quotas("meta", None, 1, "round", 5)
    usage = json.loads(coarse.headers("1", QuotaUsage(6, 200, 0.0), None)["X-Business-Use-Case-Usage"])
    assert usage["1"][1]["call_count"] == 5
    with pytest.raises(ValueError, match=r"^usage_step must be 1 percent or more, not 0$"):
        Quotas("meta", None, 1, "round", 0)


def test_percentages_are_floored_or_rounded_and_can_exceed_100() -> None:
    assert QuotaUsage(199, 200, 0.0).percent("floor") == 99
    assert QuotaUsage(199, 200, 0.0).percent("round") == 100
    assert QuotaUsage(300, 200, 1.0).percent("floor") == 150


@pytest.mark.parametrize(
    ("quota", "is_registered", "wanted"),
    [
        ("meta", False, 200),
        ("meta", True, 5000),
        (7, True, 7),
        ({"1": 9}, True, 9),
        ({"2": 9}, True, 5000),
        (None, True, None),
    ],
)
def test_the_quota_of_an_account(quota: Quota, is_registered: bool, wanted: int | None) -> None:  # noqa: FBT001 - a table
    usage = quotas(quota).count("1", 0.0, is_registered=is_registered)
    assert (usage and usage.quota) == wanted


def test_each_account_and_the_app_have_quotas_of_their_own() -> None:
    both = quotas(2, app_quota=3)
    for waba_id in ("1", "1", "2"):
        assert both.count(waba_id, 0.0, is_registered=False) == QuotaUsage(1 if waba_id == "2" else used(both), 2, 0.0)
    assert [app.is_throttled for _ in range(4) if (app := both.count_for_app(0.0))] == [False, False, False, True]


def used(quotas: Quotas) -> int:
    return len(quotas._hour("1")._times)


def test_calls_of_others_count_for_the_account_and_the_app() -> None:
    shared = quotas(5, app_quota=5)
    shared.spend("1", 0.0, 4)
    assert shared.count("1", 0.0, is_registered=False) == QuotaUsage(5, 5, 0.0)
    assert shared.count_for_app(0.0) == QuotaUsage(5, 5, 0.0)


def test_the_header_has_two_entries_under_one_id_and_minutes_to_wait() -> None:
    headers = quotas().headers("77", QuotaUsage(201, 200, 61.0), None)
    usage = json.loads(headers["X-Business-Use-Case-Usage"])
    assert [(entry["type"], entry["call_count"]) for entry in usage["77"]] == [
        ("whatsapp", 10),
        ("whatsapp_business_management", 100),
    ]
    assert usage["77"][1]["estimated_time_to_regain_access"] == 2
    assert "X-App-Usage" not in headers


def test_the_header_of_the_app() -> None:
    headers = quotas().headers("77", None, QuotaUsage(5, 10, 0.0))
    assert json.loads(headers["X-App-Usage"]) == {"call_count": 50, "total_time": 25, "total_cputime": 25}


@pytest.mark.parametrize(("every", "wanted"), [(0, [False] * 4), (1, [True] * 4), (2, [False, True, False, True])])
def test_headers_come_with_every_nth_response(every: int, wanted: list[bool]) -> None:
    some = quotas(usage_every=every)
    assert [bool(some.headers("1", QuotaUsage(1, 2, 0.0), None)) for _ in range(4)] == wanted


@pytest.mark.parametrize(
    ("options", "given"),
    [({"quota": 0}, "quota 0"), ({"quota": {"1": 5, "2": 0}}, "quota 0"), ({"app_quota": -1}, "app_quota -1")],
    ids=str,
)
def test_a_quota_below_one_is_invalid(options: dict[str, Any], given: str) -> None:
    name, calls = given.split()
    text = f"^{name} must be 1 or more calls an hour, or None for no limit, not {calls}$"
    with pytest.raises(ValueError, match=text):
        quotas(**options)


def quotas(quota: Quota = "meta", app_quota: int | None = None, usage_every: int = 1) -> Quotas:
    return Quotas(quota, app_quota, usage_every, "floor")
