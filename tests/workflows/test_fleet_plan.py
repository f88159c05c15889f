"""`FleetPlan`: which accounts the next call asks for. A model of the API tells how many calls a fleet costs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wa_phone_async.workflows.fleet_plan import (
    FIRST_ACCOUNTS,
    TARGET_BYTES,
    TARGET_SECONDS,
    FleetLimits,
    FleetPlan,
    FleetRequest,
)

Account = Literal["good", "empty", "failing", "slow"]
Cause = Literal["size", "time", "account"]

BYTES_OF_ACCOUNT = 8_000
MOST_BYTES = 2_000_000


class Model:
    """An API that serves a fleet, and counts the calls.

    Args:
        accounts: What each account does to a nested call.
        size: Bytes of an account with its numbers.
        seconds: Seconds that a response takes for each account.
        most: Bytes of the largest response.
    """

    def __init__(
        self,
        accounts: Sequence[Account],
        *,
        size: int = BYTES_OF_ACCOUNT,
        seconds: float = 0.001,
        most: int = MOST_BYTES,
    ) -> None:
        self.accounts = accounts
        self.size = size
        self.seconds = seconds
        self.most = most
        self.calls = 0
        self.own_calls = 0
        self.requests: list[FleetRequest] = []

    def walk(self, limits: FleetLimits | None = None) -> FleetLimits:
        """List the whole fleet. Returns what was learned."""
        limits = limits or FleetLimits()
        plan, position = FleetPlan(limits), 0
        while position < len(self.accounts):
            request = plan.next_request()
            self.calls += 1
            self.requests.append(request)
            page = self.accounts[position : position + request.limit]
            cause = self._cause(page, limits) if request.is_nested else None
            if cause is not None:
                plan.failed(request, cause)
                continue
            size = len(page) * self.size if request.is_nested else 0
            plan.took(request, len(page), size=size, seconds=len(page) * self.seconds)
            self.own_calls += page.count("empty") if request.is_nested else len(page)
            position += len(page)
        return limits

    def _cause(self, page: Sequence[Account], limits: FleetLimits) -> Cause | None:
        if "failing" in page:
            return "account"
        if "slow" in page or len(page) * self.seconds > 30:
            return "time"
        return "size" if len(page) * self.size * limits.numbers / 100 > self.most else None


def fleet(*, empty: float = 0, failing: float = 0, seed: int = 0) -> list[Account]:
    accounts: list[Account] = ["good"] * 10_000
    accounts[: int(10_000 * empty)] = ["empty"] * int(10_000 * empty)
    accounts[10_000 - int(10_000 * failing) :] = ["failing"] * int(10_000 * failing)
    random.Random(seed).shuffle(accounts)
    return accounts


@pytest.mark.parametrize(
    ("empty", "failing", "most"),
    [
        (0, 0, 125),
        (0.05, 0, 700),
        (0.045, 0.005, 1_250),
        (0, 0.05, 4_500),
        *((0, failing, 11_110) for failing in (0.1, 0.15, 0.2, 0.3, 0.5, 1)),
    ],
)
def test_a_fleet_of_ten_thousand_accounts_costs_few_calls(empty: float, failing: float, most: int) -> None:
    for seed in range(3):
        model = Model(fleet(empty=empty, failing=failing, seed=seed))
        model.walk()
        assert model.calls + model.own_calls <= most


@example(accounts=["good", *["failing"] * 17], size=BYTES_OF_ACCOUNT, seconds=0.0)
@given(
    st.lists(st.sampled_from(["good", "empty", "failing", "slow"]), max_size=300),
    st.sampled_from([0, 100, BYTES_OF_ACCOUNT, 300_000, 10_000_000]),
    st.sampled_from([0.0, 0.01, 1.0, 40.0]),
)
def test_every_walk_ends_and_costs_little_more_than_the_plain_one(
    accounts: list[Account], size: int, seconds: float
) -> None:
    model = Model(accounts, size=size, seconds=seconds)
    model.walk()
    # Some 18 searches of 4 or 5 calls come before the plan gives up.
    assert model.calls + model.own_calls <= 2 * len(accounts) + 90
    assert all(1 <= request.limit <= 100 for request in model.requests)


def test_a_failing_account_is_found_by_halves() -> None:
    accounts: list[Account] = ["good"] * 150
    accounts[70] = "failing"
    model = Model(accounts)
    model.walk(FleetLimits(accounts=100, has_worked=True))
    limits = [(request.limit, request.is_nested) for request in model.requests]
    assert limits[:8] == [
        (100, True),
        (50, True),
        (25, True),
        (12, True),
        (6, True),
        (3, True),
        (1, True),
        (1, True),
    ]
    assert limits.count((1, False)) == 1
    assert model.own_calls == 1


def test_accounts_that_never_come_with_their_numbers_are_asked_for_without() -> None:
    model = Model(["failing"] * 2_500)
    limits = model.walk()
    assert sum(request.is_nested for request in model.requests) <= 10
    assert limits.without_nesting > 0

    again = Model(["failing"] * 500)
    again.walk(limits)
    assert [(request.limit, request.is_nested) for request in again.requests] == [(100, False)] * 5


def test_nesting_is_tried_again_after_a_while() -> None:
    accounts: list[Account] = ["good"] * 10_050
    accounts[:50] = ["failing"] * 50
    model = Model(accounts)
    model.walk()
    assert model.calls + model.own_calls < 1_300


def test_the_first_call_is_small_and_calls_grow_quickly() -> None:
    model = Model(["good"] * 500)
    model.walk()
    assert [request.limit for request in model.requests][:4] == [FIRST_ACCOUNTS, 40, 100, 100]


def test_a_larger_response_than_wanted_makes_the_next_call_smaller() -> None:
    model = Model(["good"] * 500, size=50_000)
    model.walk()
    assert {request.limit for request in model.requests[1:]} == {TARGET_BYTES // 50_000}


def test_a_slower_response_than_wanted_makes_the_next_call_smaller() -> None:
    model = Model(["good"] * 500, seconds=1.0)
    model.walk()
    assert {request.limit for request in model.requests[1:]} == {int(TARGET_SECONDS)}


def test_an_account_that_is_too_large_by_itself_comes_with_fewer_numbers() -> None:
    model = Model(["good"] * 3, size=4_000_000)
    limits = model.walk()
    assert limits.numbers == 50
    assert model.own_calls == 0


def test_numbers_of_an_account_grow_again_where_responses_are_small() -> None:
    limits = FleetLimits(numbers=25)
    Model(["good"] * 100, size=100).walk(limits)
    assert limits.numbers == 100


def test_an_id_that_may_be_wrong_is_asked_about_without_numbers() -> None:
    plan = FleetPlan(FleetLimits())
    plan.failed(plan.next_request(), "id")
    assert plan.next_request() == FleetRequest(1, is_nested=False)


def test_a_page_of_ids_that_another_walk_has_caused_ends_a_search_and_counts_no_account_as_failed() -> None:
    limits = FleetLimits(accounts=50, has_worked=True)
    plan = FleetPlan(limits)
    plan.failed(plan.next_request(), "account")
    limits.without_nesting = 100  # as another walk of the same list notes
    plan.took(plan.next_request(), 100, size=0, seconds=0.1)
    assert limits.failed == FleetLimits().failed
    assert plan.next_request() == FleetRequest(50, is_nested=True)


@pytest.mark.parametrize("most", [150_000, 400_000, 600_000, 900_000])
def test_a_size_that_was_rejected_is_remembered(most: int) -> None:
    model = Model(["good"] * 5_000, most=most)
    limits = model.walk()
    assert model.calls <= 1.35 * 5_000 * BYTES_OF_ACCOUNT / most
    Model(["good"] * 20_000).walk(limits)  # it was the content, and no limit of the server
    assert limits.target_bytes == TARGET_BYTES
