"""What does not fit its model, in any amount: reading stops after a hundred errors, and one counts for an odd field."""

from collections import deque
from collections.abc import Mapping, MutableSequence, MutableSet, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import attrs
import pytest

from wa_phone_async import DecodeError, Extra, PhoneNumber
from wa_phone_async.decoding.converter import MAX_MISFITS, from_dict, read_rows
from wa_phone_async.models import NO_EXTRA

MANY = 1_000


@attrs.frozen
class Part:
    name: str


@attrs.frozen
class Whole:
    """A model without `extra`."""

    parts: tuple[Part, ...] = ()
    by_name: dict[str, Part] = attrs.field(factory=dict[str, Part])


@attrs.frozen
class Order:
    """A model with `extra`."""

    id: str
    needed: list[Part]
    parts: list[Part] | None = None
    by_name: Mapping[str, Part] | None = None
    weight: float | None = None
    extra: Extra = NO_EXTRA


def failure(model: Any, value: Any) -> str:
    with pytest.raises(DecodeError) as caught:
        from_dict(model, value)
    assert caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize("row", [0, None, "", "id", [], [{}], {}, {"id": None}, {"id": []}, {"id": -1}, {"status": 1}])
def test_of_many_misfits_a_hundred_are_read(row: Any) -> None:
    rows = [{"id": "1"}, *[row] * MANY]
    assert failure(list[PhoneNumber], rows).endswith(" (and at least 99 more)")
    assert failure(list[PhoneNumber], rows[:MAX_MISFITS]).endswith(" (and 98 more)")
    assert failure(list[PhoneNumber], rows[:2]).endswith(("@ $[1]", "@ $[1].id"))


def test_reading_stops_after_a_hundred_misfits() -> None:
    rows = iter([{"id": "1"}, 0] * MANY)
    with pytest.raises(DecodeError) as caught:
        read_rows(rows, PhoneNumber, http_status=200, path="$.data")
    assert str(caught.value) == "expected an object, not a number @ $.data[1] (and at least 99 more)"
    assert len(list(rows)) == 2 * (MANY - MAX_MISFITS)


def test_errors_count_in_arrays_of_arrays_too() -> None:
    assert failure(list[list[Part]], [[0] * 60] * MANY).endswith("(and at least 119 more)")
    assert (
        failure(Whole, {"parts": [0] * MANY}) == "expected an object, not a number @ $.parts[0] (and at least 99 more)"
    )


@pytest.mark.parametrize(
    ("kind", "items"),
    [
        (list[int], [1, 2]),
        (MutableSequence[int], [1, 2]),
        (tuple[int, ...], (1, 2)),
        (Sequence[int], (1, 2)),
        (deque[int], deque([1, 2])),
        (set[int], {1, 2}),
        (MutableSet[int], {1, 2}),
        (frozenset[int], frozenset({1, 2})),
        (AbstractSet[int], frozenset({1, 2})),
    ],
    ids=str,
)
def test_every_kind_of_array_is_read_so(kind: Any, items: Any) -> None:
    value = from_dict(kind, [1, 2])
    assert (type(value), value) == (type(items), items)
    assert failure(kind, [1, *["2"] * MANY]) == "expected a whole number, not a string @ $[1] (and at least 99 more)"
    assert failure(kind, "12") == "expected an array, not a string @ $"


def test_a_set_takes_no_objects() -> None:
    assert failure(set[Any], [1, {}]) == "expected an array of strings or numbers, not an array @ $"


def test_an_object_with_any_names_is_read_so_and_no_error_shows_a_name() -> None:
    parts = {"a": {"name": "x"}, "b": {"name": "y"}}
    assert from_dict(Whole, {"by_name": parts}) == Whole(by_name={"a": Part("x"), "b": Part("y")})
    text = failure(Whole, {"by_name": {**parts, **{f"SECRET{number}": 0 for number in range(MANY)}}})
    assert text == "expected an object, not a number @ $.by_name[2] (and at least 99 more)"
    assert failure(dict[int, Any], {"SECRET": 1}) == "expected a whole number, not a string @ $[0]"
    assert failure(dict[str, Part], []) == "expected an object, not an array @ $"


def test_a_model_may_hold_itself() -> None:
    from_dict(Tree, {"branches": [{"branches": []}, {}]})
    assert (
        failure(Tree, {"branches": [{"branches": [0]}]})
        == "expected an object, not a number @ $.branches[0].branches[0]"
    )


@attrs.frozen
class Tree:
    branches: "tuple[Tree, ...]" = ()


def test_the_first_error_in_an_odd_field_is_enough() -> None:
    sent = {"id": "1", "needed": [{"name": "a"}], "weight": 1.5}
    order = Order("1", [Part("a")], weight=1.5)
    assert from_dict(Order, sent) == order
    assert from_dict(Order, {**sent, "parts": [{"name": "b"}], "by_name": {"c": {"name": "c"}}}) == attrs.evolve(
        order, parts=[Part("b")], by_name={"c": Part("c")}
    )
    odd: dict[str, Any]
    for odd in ({"parts": [0] * MANY}, {"by_name": {"a": 0}}, {"weight": "heavy"}, {"weight": []}):
        assert dict(from_dict(Order, {**sent, **odd}).extra) == odd


def test_no_error_of_a_models_own_shows_a_value() -> None:
    @attrs.frozen
    class Picky:
        size: float
        name: str = attrs.field(default="", validator=attrs.validators.max_len(3))

    assert failure(Picky, {"size": "SECRET"}) == "invalid value (ValueError) @ $.size"
    assert failure(Picky, {"size": 1, "name": "SECRET"}) == "invalid value (ValueError) @ $"
