"""A set of ids: the laws of a Python set, a fraction of its memory, and safe to test while it grows."""

import threading
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.workflows.id_set import IdMap, IdSet

ANY_ID = st.one_of(
    st.integers(0, 10**18).map(str),
    st.text("01", max_size=3),  # leading zeros, and none at all
    st.text("0123456789", min_size=17, max_size=20),
    st.text(max_size=3),
    st.sampled_from(["²", "١٢", " 1", "-1", "1_0"]),  # what `int` or `isdigit` would take
)


@given(st.lists(ANY_ID), st.lists(ANY_ID))
def test_it_is_a_set(ids: list[str], others: list[str]) -> None:
    found = IdSet()
    for waba_id in ids:
        found.add(waba_id)
    assert len(found) == len(set(ids))
    assert {waba_id for waba_id in [*ids, *others] if waba_id in found} == set(ids)


@given(st.lists(st.tuples(ANY_ID, ANY_ID)))
def test_a_mapping_keeps_the_first_value(pairs: list[tuple[str, str]]) -> None:
    found, expected = IdMap(), dict[str, str]()
    for key, value in pairs:
        assert found.add(key, value) == expected.get(key)
        expected.setdefault(key, value)
    assert {key: found.get(key) for key, _ in pairs} == expected
    assert (found.get("no id"), found.get("123456789")) == (expected.get("no id"), expected.get("123456789"))


def test_a_mapping_grows() -> None:
    found = IdMap()
    assert [found.add(str(number), str(2 * number)) for number in range(5_000)] == [None] * 5_000
    assert [found.add(str(number), "1") for number in range(5_000)] == [str(2 * number) for number in range(5_000)]


@pytest.mark.parametrize("step", [1, 7, 1024, 2**32])
def test_it_grows(step: int) -> None:
    found = IdSet()
    for number in range(0, 5_000 * step, step):
        found.add(str(number))
    assert len(found) == 5_000
    assert all(str(number) in found for number in range(0, 5_000 * step, step))
    assert not any(str(number) in found for number in range(5_000 * step, 5_100 * step, step))


def test_an_id_that_is_there_is_found_while_another_thread_adds() -> None:
    found, missed = IdSet(), 0
    old = [str(10**14 + number) for number in range(500)]
    for waba_id in old:
        found.add(waba_id)

    def add() -> None:
        for number in range(60_000):
            found.add(str(number))

    adding = threading.Thread(target=add)
    adding.start()
    while adding.is_alive():
        missed += sum(waba_id not in found for waba_id in old)
    adding.join()
    assert missed == 0
    assert len(found) == 60_500


@pytest.mark.unmeasured
@pytest.mark.parametrize("count", [43_691, 87_381, 87_382])  # just after it has grown, and just before and after
def test_an_id_takes_at_most_24_bytes_and_half_as_much_again_while_it_grows(count: int) -> None:
    tracemalloc.start()
    try:
        found = IdSet()
        for number in range(count):
            found.add(str(110_000_000_000_000 + number))
        size, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size / count < 25
    assert peak / count < 38
