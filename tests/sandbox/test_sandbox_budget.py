import json
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.sandbox.budget import HOUR, Charge, Meter, Quota, RollingHour


def test_the_quota_is_exact_and_the_hour_rolls() -> None:
    hour = RollingHour()
    assert [hour.charge(float(second), 3).is_refused for second in range(4)] == [False, False, False, True]
    assert hour.charge(HOUR, 3).is_refused  # the call at 0 is gone; 1, 2 and the refused one are not
    assert hour.charge(HOUR + 3, 3) == Charge(used=2, quota=3, wait=0.0)


@given(
    gaps=st.lists(st.floats(0, 2 * HOUR, allow_nan=False), max_size=60),
    quota=st.integers(1, 20),
)
def test_the_window_agrees_with_a_plain_count(gaps: list[float], quota: int) -> None:
    hour, now, calls = RollingHour(), 0.0, deque[float]()
    for gap in gaps:
        now += gap
        calls.append(now)
        charge = hour.charge(now, quota)
        assert charge.used == sum(at > now - HOUR for at in calls)
        assert charge.is_refused == (charge.used > quota)


@given(times=st.lists(st.integers(0, 3600), min_size=5, max_size=40), quota=st.integers(1, 4))
def test_a_call_after_the_wait_is_admitted_and_one_before_it_is_not(times: list[int], quota: int) -> None:
    early, late = RollingHour(), RollingHour()
    for time in sorted(times):
        charge = early.charge(float(time), quota)
        late.charge(float(time), quota)
    if charge.is_refused:
        at = max(times) + charge.wait
        assert not late.charge(at, quota).is_refused
        assert early.charge(at - 0.5, quota).is_refused


def test_percents_can_be_coarse() -> None:
    shares = [Charge(used, 200, 0.0) for used in (0, 4, 5, 10, 14, 199, 206)]
    assert [share.percent("floor", 5) for share in shares] == [0, 0, 0, 5, 5, 95, 100]
    assert [share.percent("round", 5) for share in shares] == [0, 0, 0, 5, 5, 100, 105]
    coarse = Meter("meta", None, 1, "round", 5)
    usage = json.loads(coarse.headers("1", Charge(6, 200, 0.0), None)["X-Business-Use-Case-Usage"])
    assert usage["1"][1]["call_count"] == 5
    with pytest.raises(ValueError, match="steps of 1 or more"):
        Meter("meta", None, 1, "round", 0)


def test_percents_are_floored_or_rounded_and_pass_100() -> None:
    assert Charge(199, 200, 0.0).percent("floor") == 99
    assert Charge(199, 200, 0.0).percent("round") == 100
    assert Charge(300, 200, 1.0).percent("floor") == 150


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
    charge = meter(quota).charge("1", 0.0, is_registered=is_registered)
    assert (charge and charge.quota) == wanted


def test_two_accounts_have_two_budgets_and_the_app_one() -> None:
    both = meter(2, app_quota=3)
    for waba_id in ("1", "1", "2"):
        assert both.charge(waba_id, 0.0, is_registered=False) == Charge(1 if waba_id == "2" else used(both), 2, 0.0)
    assert [app.is_refused for _ in range(4) if (app := both.charge_app(0.0))] == [False, False, False, True]


def used(meter: Meter) -> int:
    return len(meter._hour("1")._times)


def test_calls_of_others_count_for_the_account_and_the_app() -> None:
    shared = meter(5, app_quota=5)
    shared.spend("1", 0.0, 4)
    assert shared.charge("1", 0.0, is_registered=False) == Charge(5, 5, 0.0)
    assert shared.charge_app(0.0) == Charge(5, 5, 0.0)


def test_the_header_has_two_entries_under_one_id_and_minutes_to_wait() -> None:
    headers = meter().headers("77", Charge(201, 200, 61.0), None)
    usage = json.loads(headers["X-Business-Use-Case-Usage"])
    assert [(entry["type"], entry["call_count"]) for entry in usage["77"]] == [
        ("whatsapp", 10),
        ("whatsapp_business_management", 100),
    ]
    assert usage["77"][1]["estimated_time_to_regain_access"] == 2
    assert "X-App-Usage" not in headers


def test_the_header_of_the_app() -> None:
    headers = meter().headers("77", None, Charge(5, 10, 0.0))
    assert json.loads(headers["X-App-Usage"]) == {"call_count": 50, "total_time": 25, "total_cputime": 25}


@pytest.mark.parametrize(("every", "wanted"), [(0, [False] * 4), (1, [True] * 4), (2, [False, True, False, True])])
def test_headers_come_with_every_so_many_th_answer(every: int, wanted: list[bool]) -> None:
    some = meter(usage_every=every)
    assert [bool(some.headers("1", Charge(1, 2, 0.0), None)) for _ in range(4)] == wanted


@pytest.mark.parametrize("quotas", [{"quota": 0}, {"quota": {"1": 0}}, {"app_quota": -1}])
def test_a_quota_below_one_is_refused(quotas: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="1 call an hour or more"):
        meter(**quotas)


def meter(quota: Quota = "meta", app_quota: int | None = None, usage_every: int = 1) -> Meter:
    return Meter(quota, app_quota, usage_every, "floor")
