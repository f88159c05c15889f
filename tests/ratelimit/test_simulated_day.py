"""A simulated day, in virtual time: how many calls are throttled, and how much longer it takes than it must.

The goals are those of the study behind the budget's rule. `benchmarks/limits.py` plays the rule alone, and
`benchmarks/day.py` a whole client with the sandbox. Here run those of their cases that take a moment.
"""

import random
from typing import Any

import pytest
from scripts import load_benchmark

pytestmark = pytest.mark.unmeasured

limits, day = load_benchmark("limits"), load_benchmark("day")


# The rule alone


RULE = [
    *(limits.one("one WABA,", 200, workers, kind, "") for workers in (1, 64) for kind in limits.KINDS),
    limits.one("one WABA,", 5000, 1, "coarse", ""),
    limits.one("one WABA,", 5000, 64, "good", ""),
    limits.one("one WABA,", 5000, 64, "every tenth", ""),
]


def simulate(case: Any, seed: int = 0) -> tuple[int, float]:
    """Play a case; returns how many calls were throttled, and the time in parts of the oracle's."""
    outcome, best = case.play(limits.Log, seed), case.play(limits.Oracle, seed)
    assert not outcome.never
    return outcome.throttled, outcome.last / best.last


@pytest.mark.parametrize("case", RULE, ids=[case.name for case in RULE])
def test_the_rule_uses_the_whole_quota_and_no_call_is_throttled(case: Any) -> None:
    throttled, last = simulate(case)
    assert throttled == 0
    assert last <= 1.03


def test_the_rule_keeps_the_quotas_of_50_accounts_of_which_one_is_hot() -> None:
    throttled, last = simulate(limits.fifty())
    assert throttled == 0
    assert last <= 1.05


def test_the_rule_keeps_the_quota_of_the_app() -> None:
    throttled, last = simulate(limits.the_app())
    assert throttled == 0
    assert last <= 1.03


@pytest.mark.parametrize("kind", limits.KINDS)
@pytest.mark.parametrize("workers", [1, 64])
def test_the_rule_shares_200_with_others(workers: int, kind: str) -> None:
    case = limits.attrs.evolve(limits.one("", 200, workers, kind, ""), strangers=0.5)
    throttled, last = simulate(case)
    assert throttled <= 0.03 * 1050
    assert last <= 1.35


def test_the_rule_shares_5000_with_others() -> None:
    case = limits.attrs.evolve(limits.one("", 5000, 64, "coarse", ""), strangers=0.5)
    throttled, last = simulate(case)
    assert throttled <= 0.005 * 26_250
    assert last <= 1.35


@pytest.mark.parametrize("how", [limits.spread, limits.clump], ids=["evenly", "in a minute"])
@pytest.mark.parametrize("seed", range(5))
def test_the_rule_starts_with_a_quota_of_200_that_is_used(seed: int, how: Any) -> None:
    throttled, _ = simulate(limits.attrs.evolve(limits.one("", 200, 64, "good", ""), before=how), seed)
    assert throttled <= 40


def nearly(quota: int, rng: random.Random) -> list[float]:
    """The hour before: all of the quota is used but a twentieth."""
    return list(limits.spread(quota * 19 // 20, rng))


@pytest.mark.parametrize(("how", "most"), [(nearly, 0), (limits.clump, 1)], ids=["nearly", "wholly"])
def test_the_rule_starts_with_a_quota_of_5000_that_is_used(how: Any, most: int) -> None:
    # Where no quota is left, the first call cannot know, and is throttled. It is the only one.
    throttled, _ = simulate(limits.attrs.evolve(limits.one("", 5000, 64, "good", ""), before=how))
    assert throttled <= most


# The whole client


CLIENT = [
    day.one(200, 1, "good", 2.25),
    day.one(200, 10, "every tenth", 2.25),
    day.one(200, 64, "coarse", 5.25),
]


@pytest.mark.parametrize("case", CLIENT, ids=[case.name for case in CLIENT])
def test_a_client_uses_the_whole_quota_and_no_call_is_throttled(case: Any) -> None:
    outcome = day.play(case)
    assert outcome.accepted == sum(case.calls.values())
    assert outcome.throttled == 0
    assert outcome.last <= 1.03


def test_a_client_keeps_the_quotas_of_six_accounts_of_which_one_is_hot() -> None:
    outcome = day.play(day.one_hot(5, (200, 200, 5000), 2.25))
    assert outcome.throttled == 0
    assert outcome.last <= 1.05


def test_a_client_keeps_the_quota_of_the_app() -> None:
    outcome = day.play(day.the_app(400, 4, 2.25))
    assert outcome.throttled == 0
    assert outcome.last <= 1.03


def test_a_client_shares_200_with_others() -> None:
    case = day.others_spend_half(200, 64, "coarse", 3.25)
    outcome = day.play(case)
    assert outcome.accepted == 650
    assert outcome.throttled <= 0.03 * 650
    assert outcome.last <= 1.35


@pytest.mark.parametrize(
    ("quota", "how", "hours", "most"),
    [(200, "spread", 1.25, 40), (200, "clump", 1.25, 40), (5000, "nearly", 0.1, 0), (5000, "clump", 0.05, 1)],
)
def test_a_client_starts_with_a_quota_that_is_used(quota: int, how: str, hours: float, most: int) -> None:
    outcome = day.play(day.used_before(quota, getattr(day, how), hours))
    assert outcome.accepted == hours * quota
    assert outcome.throttled <= most


# The oracle


def test_the_oracle_goes_as_soon_as_the_window_allows() -> None:
    assert day.soonest(2, 2, iter(())) == 0
    assert day.soonest(3, 2, iter(())) == 3600
    assert day.soonest(5, 2, iter(())) == 7200
    assert day.soonest(1, 2, iter((-10.0, -5.0))) == 3590
    assert day.soonest(3, 2, iter((-10.0, 5.0))) == 3605  # what comes later counts as well
