"""What a page costs, in function calls and in ratios. A busy machine gives the same figures as a quiet one.

If a test fails here, a page has become more expensive. If that is worth it, set the new figure and say why.
"""

import importlib.util
import os
from collections.abc import Iterator

import pytest
from scripts import load_benchmark

pytestmark = pytest.mark.unmeasured

counts, decoding, paired, instant = map(load_benchmark, ("counts", "decoding", "paired", "instant"))
WITH_SPEED = pytest.mark.skipif(not importlib.util.find_spec("msgspec"), reason="the extra `speed` is not installed")


@pytest.fixture(autouse=True, scope="module")
def unobserved() -> Iterator[None]:
    """Let nothing trace the processes that these tests start: coverage would add to their cost."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("COVERAGE_"):
                patch.delenv(name)
        yield


@pytest.fixture(scope="module")
def found(unobserved: None) -> dict[str, int]:  # noqa: ARG001 - it has to run first
    calls: dict[str, int] = counts.counted()
    return calls


@pytest.fixture(scope="module")
def each(unobserved: None) -> dict[str, float]:  # noqa: ARG001 - it has to run first
    calls: dict[str, float] = instant.calls_of_each()
    return calls


# On 2026-11-28: 481 and 931. One call for each row would add 100. The core path makes one, of the builder for the names
# that the row has: decoding a page takes 0.84 of the time since then.
@pytest.mark.parametrize(("path", "most"), [pytest.param("speed", 495, marks=WITH_SPEED), ("core", 959)])
def test_a_page_of_a_list_takes_few_more_function_calls_than_by_hand(
    found: dict[str, int], path: str, most: int
) -> None:
    assert found[path] <= most


# On 2026-11-28, over a transport that makes no calls of its own: 140, 220 and 307.
@WITH_SPEED
@pytest.mark.parametrize(("call", "most"), [(instant.LIST, 144), (instant.MANY, 226), (instant.CREATE, 316)])
def test_the_path_of_a_call_takes_few_function_calls(each: dict[str, float], call: str, most: int) -> None:
    assert each[call] <= most


# On 2026-11-22: 0.53 to 0.60, and 1.8 to 2.0. Three attempts, since even the least of many times may be too large.
@pytest.mark.parametrize(("path", "most"), [pytest.param(decoding.FAST, 0.75, marks=WITH_SPEED), (decoding.CORE, 2.4)])
def test_decoding_a_page_takes_little_longer_than_json_to_dicts(path: str, most: float) -> None:
    ratios = list[float]()
    while len(ratios) < 3 and (not ratios or ratios[-1] > most):
        least = paired.run_fresh("decoding.py", "--least", 60)
        ratios.append(least[path] / least[decoding.JSON])
    assert min(ratios) <= most
