"""Builders: they make objects of the model itself, and skip its constructor only where that makes no difference."""

import inspect
import pickle
import traceback
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Generic, Self, TypeVar

import attrs
import pytest

from wa_phone_async.decoding.builders import (
    LONGEST_LEARNED,
    MAX_LEARNED,
    Builder,
    DictBuilder,
    ModelPlan,
    OpenEnum,
    UnusualError,
    compile_builder,
    is_plain,
)
from wa_phone_async.decoding.converter import from_dict
from wa_phone_async.models import NO_EXTRA, CreatedPhoneNumber, Extra, PhoneNumber, Throughput, ThroughputLevel

T = TypeVar("T")


def shouted(text: str) -> str:
    return text.upper()


@attrs.frozen
class Validated:
    id: str = attrs.field(validator=attrs.validators.max_len(3))
    extra: Extra = NO_EXTRA


@attrs.frozen
class Converted:
    id: str = attrs.field(converter=shouted)
    extra: Extra = NO_EXTRA


@attrs.frozen
class Checked:
    id: str
    seen: bool = attrs.field(init=False, default=False)
    extra: Extra = NO_EXTRA


@attrs.frozen
class After:
    id: str
    extra: Extra = NO_EXTRA

    def __attrs_post_init__(self) -> None:
        if self.id == "wrong":
            raise ValueError(self.id)


@attrs.frozen(init=False)
class OwnInit:
    id: str
    extra: Extra = NO_EXTRA

    def __init__(self, id: str, extra: Extra) -> None:  # noqa: A002  # the API's own name
        self.__attrs_init__(id + "!", extra)


@attrs.frozen
class OwnNew:
    id: str
    extra: Extra = NO_EXTRA

    def __new__(cls, *_: Any, **__: Any) -> Self:
        return object.__new__(cls)


@attrs.frozen
class Watched:
    id: str
    extra: Extra = NO_EXTRA
    children = 0

    def __init_subclass__(cls) -> None:
        Watched.children += 1


@attrs.frozen
class Defaulted:
    id: str = "none"
    tags: list[str] = attrs.field(factory=list)
    extra: Extra = NO_EXTRA


@attrs.frozen(slots=False)
class Unslotted:
    id: str
    extra: Extra = NO_EXTRA


@attrs.frozen(cache_hash=True)
class Hashed:
    id: str
    extra: Extra = attrs.field(default=NO_EXTRA, hash=False)


@attrs.frozen
class Boxed(Generic[T]):
    id: str
    extra: Extra = NO_EXTRA


SPECIAL = (Validated, Converted, Checked, After, OwnInit, OwnNew, Watched, Defaulted, Unslotted, Hashed, Boxed)
ROW = {"id": "1", "is_pin_enabled": True, "status": "CONNECTED", "throughput": {"level": "HIGH"}}


def as_it_came(value: Any) -> Any:
    return value


def if_object(value: Any) -> Any:
    if type(value) is not dict:
        raise UnusualError
    return value


def builder(model: type[Any], read: Callable[[Any], Any] = as_it_came) -> Builder:
    readers = dict.fromkeys((field.name for field in attrs.fields(model)[:-1]), read)
    other_names = {"platform_type": "host_platform"} if model is PhoneNumber else {}
    return learning(DictBuilder(ModelPlan(model, readers, other_names, as_it_came), lambda _: None))


def learning(of_model: DictBuilder) -> Builder:
    """Build as the converter does: by the names of the objects before, or else by any names."""

    def build(members: Any) -> Any:
        try:
            return of_model.build_usual(members)
        except KeyError:
            return of_model.build(members)

    return build


def within(build: Builder) -> DictBuilder:
    of_model: DictBuilder = inspect.getclosurevars(build).nonlocals["of_model"]
    return of_model


@pytest.mark.parametrize("model", [PhoneNumber, CreatedPhoneNumber, Throughput])
def test_our_own_models_are_plain(model: type[Any]) -> None:
    assert is_plain(model)


@pytest.mark.parametrize("model", SPECIAL, ids=[model.__name__ for model in SPECIAL])
def test_a_model_whose_constructor_does_more_than_store_is_not_plain(model: type[Any]) -> None:
    assert not is_plain(model)


def test_a_model_that_is_not_plain_is_made_by_its_constructor() -> None:
    with pytest.raises(ValueError, match="Length of 'id' must be <= 3"):
        from_dict(Validated, {"id": "1234"})
    with pytest.raises(ValueError, match="wrong"):
        from_dict(After, {"id": "wrong"})
    assert from_dict(Converted, {"id": "a"}).id == "A"
    assert from_dict(OwnInit, {"id": "1"}).id == "1!"
    assert from_dict(Watched, {"id": "1"}).children == 0
    assert hash(from_dict(Hashed, {"id": "1", "a": 1})) == hash(Hashed("1"))
    for model in (OwnNew, Unslotted):
        assert from_dict(model, {"id": "1", "a": 1}) == model("1", Extra({"a": 1}))


def test_a_field_without_a_value_has_its_default() -> None:
    assert from_dict(Defaulted, {"id": None, "a": 1}) == Defaulted(extra=Extra({"a": 1}))
    assert from_dict(Defaulted, {"tags": ["a", "b"]}) == Defaulted(tags=["a", "b"])
    assert from_dict(Defaulted, {"tags": "ab"}) == Defaulted(extra=Extra({"tags": "ab"}))


def test_a_built_value_is_like_a_constructed_one() -> None:
    number = from_dict(PhoneNumber, ROW)
    made = PhoneNumber(
        "1", status=number.status, throughput=Throughput(ThroughputLevel.HIGH), is_pin_enabled=True, extra=NO_EXTRA
    )
    assert type(number) is type(made)
    assert number == made
    assert (hash(number), repr(number)) == (hash(made), repr(made))
    assert pickle.loads(pickle.dumps(number)) == attrs.evolve(number, id="1") == made
    assert weakref.ref(number)() is number
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        number.id = "2"  # type: ignore[misc]  # it is frozen
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del number.id


@pytest.mark.parametrize(
    "members",
    [
        *(None, "id", [("id", "1")], {}, {"id": None}, {"id": 1}, {**ROW, "username": 1}, {**ROW, "is_pin_enabled": 1}),
        *({**ROW, "status": 1}, {**ROW, "status": True}, {**ROW, "status": {}}, {**ROW, "status": []}),
        *({**ROW, "webhook_configuration": []}, {**ROW, "webhook_configuration": "https://shop.example"}),
        *({**ROW, "last_onboarded_time": time} for time in (1738690807, "2001013111223")),
    ],
    ids=str,
)
def test_a_builder_raises_at_what_is_unusual(members: object) -> None:
    with pytest.raises((UnusualError, TypeError)):
        builder(PhoneNumber, if_object)(members)


@pytest.mark.parametrize("time", [1738690807, "1738690807", 1.5, ["2025"]], ids=repr)
def test_a_builder_leaves_values_of_other_types_to_the_readers(time: Any) -> None:
    number = builder(PhoneNumber, lambda value: ("read", value))({"id": 1, "is_pin_enabled": "true", "a": 1})
    assert (number.id, number.is_pin_enabled) == (("read", 1), ("read", "true"))
    assert number.extra == {"a": 1}
    number = builder(PhoneNumber, lambda value: [value])({"id": "1", "last_onboarded_time": time})
    assert number.last_onboarded_time == [time]


def test_an_open_enum_knows_its_members_by_value() -> None:
    levels = OpenEnum(ThroughputLevel)
    assert levels["HIGH"] is ThroughputLevel.HIGH
    assert str(levels["HIGHER"]) == "HIGHER"


@pytest.mark.parametrize(
    ("more", "extra"),
    [
        ({}, {}),
        ({"username": None}, {}),
        ({"username": None, "a": None}, {"a": None}),
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}),
        ({"b": 2}, {"b": 2}),
        ({"platform_type": "CLOUD_API"}, {}),
        ({"platform_type": "CLOUD_API", "host_platform": None}, {}),
        ({"platform_type": "CLOUD_API", "host_platform": None, "a": 1}, {"a": 1}),
        ({"platform_type": "CLOUD_API", "host_platform": "CLOUD_API", "a": 1}, {"platform_type": "CLOUD_API", "a": 1}),
        ({"platform_type": "CLOUD_API", "host_platform": "CLOUD_API"}, {"platform_type": "CLOUD_API"}),
        ({"extra": {"a": 1}}, {"extra": {"a": 1}}),
    ],
    ids=str,
)
@pytest.mark.parametrize("before", [{}, {"a": 0}, {"platform_type": "", "host_platform": ""}], ids=str)
def test_unknown_members_are_kept_whatever_came_before(
    before: dict[str, Any], more: dict[str, Any], extra: Mapping[str, Any]
) -> None:
    build_number = builder(PhoneNumber)
    build_number({**ROW, **before})
    assert build_number({**ROW, **more}).extra == extra


def test_more_names_than_are_learned_are_kept_as_well() -> None:
    many = {f"name_{index}": index for index in range(2 * MAX_LEARNED)}
    build_created = builder(CreatedPhoneNumber)
    for _ in range(2):
        assert build_created({"id": "1", **many}).extra == many
    for name, value in many.items():
        assert build_created({"id": "1", name: value}).extra == {name: value}


def test_no_long_name_is_learned_since_learned_names_stay_in_memory() -> None:
    build_created = builder(CreatedPhoneNumber)
    names = ["n" * LONGEST_LEARNED, "n" * (LONGEST_LEARNED + 1)]
    for name in (*names, *names):
        assert build_created({"id": "1", name: 1}).extra == {name: 1}
    find_extra = within(build_created).build_any.__globals__["find_extra"]
    assert inspect.getclosurevars(find_extra).nonlocals["learned"] == names[:1]


def test_names_that_came_twice_in_a_row_mean_nothing_for_others() -> None:
    build_number = builder(PhoneNumber)
    rows: list[dict[str, Any]] = [
        {"x": 1, "more": 2},
        {"status": "CONNECTED", "more": 1},
        {"platform_type": "CLOUD_API", "more": 1},
        {"platform_type": "CLOUD_API", "host_platform": None},
        {"status": None, "verified_name": None},
    ]
    expected = [builder(PhoneNumber)({**ROW, **row}) for row in rows]
    for first in rows:
        for _ in range(3):
            build_number({**ROW, **first})
        assert [build_number({**ROW, **row}) for row in rows] == expected


def test_few_sets_of_names_and_no_long_one_stay_in_memory() -> None:
    build_created = builder(CreatedPhoneNumber)
    for name in ("n" * (LONGEST_LEARNED + 1), *(f"name_{index}" for index in range(30))):
        for _ in range(3):
            assert build_created({"id": "1", name: 1}).extra == {name: 1}
    assert build_created({"id": "1", **{f"m{index}": 1 for index in range(100)}}).id == "1"
    kept = within(build_created)
    assert [len(name) <= LONGEST_LEARNED for names in kept._compiled for name in names] == [True] * 32
    assert kept._names_before == ()


def test_objects_that_differ_too_much_are_built_without_a_look_at_the_names_before() -> None:
    build_created = builder(CreatedPhoneNumber)
    for index in range(1_100):
        assert build_created({"id": "1", f"name_{index}": 1}).extra == {f"name_{index}": 1}
    kept = within(build_created)
    assert kept.build_usual == kept.build_any
    assert build_created({"id": "1", "name_0": 1}).extra == {"name_0": 1}


def test_equal_parts_of_numbers_in_a_row_are_the_same_objects() -> None:
    webhooks = {"application": "https://shop.example"}
    members = {"throughput": {"level": "HIGH"}, "webhook_configuration": webhooks, "search_visibility": "VISIBLE"}
    rows = [from_dict(PhoneNumber, {"id": str(index), **pickle.loads(pickle.dumps(members))}) for index in range(9)]

    learned, *others = rows[1:]  # the first one taught the names
    assert all(row.throughput is learned.throughput and row.extra is learned.extra for row in others)
    assert all(row.webhook_configuration is learned.webhook_configuration for row in others)
    assert [row.id for row in rows] == list("012345678")


@pytest.mark.parametrize(("first", "second"), [(1, True), (1, 1.0), ([1], [True]), ({"a": 0}, {"a": False})])
def test_values_that_are_equal_only_in_python_are_not_shared(first: object, second: object) -> None:
    def row(value: object) -> PhoneNumber:
        return from_dict(PhoneNumber, {"id": "1", "throughput": {"level": "HIGH", "more": value}, "unknown": value})

    row(first)
    row(first)
    read = row(second)

    assert repr(read.extra["unknown"]) == repr(second)
    assert read.throughput is not None
    assert repr(read.throughput.extra["more"]) == repr(second)


def test_an_object_that_its_owner_changes_is_read_again() -> None:
    webhooks = {"application": "https://before.example"}
    members: dict[str, Any] = {"id": "1", "throughput": {"level": "HIGH"}, "unknown": "before"}
    members["webhook_configuration"] = webhooks
    before = [from_dict(PhoneNumber, members) for _ in range(2)][1]
    members["throughput"]["level"] = "STANDARD"
    members["unknown"] = "after"
    webhooks["application"] = "https://after.example"
    after = from_dict(PhoneNumber, members)

    assert (before.throughput, before.extra) == (Throughput(ThroughputLevel.HIGH), Extra({"unknown": "before"}))
    assert (after.throughput, after.extra) == (Throughput(ThroughputLevel.STANDARD), Extra({"unknown": "after"}))
    assert before.webhook_configuration == Extra({"application": "https://before.example"})
    assert after.webhook_configuration == Extra({"application": "https://after.example"})


def test_a_traceback_can_show_a_draft() -> None:
    def fail(_: Any) -> None:
        raise MemoryError

    build = compile_builder(CreatedPhoneNumber, "value", ["draft.id = fail(value)"], {"fail": fail})
    with pytest.raises(MemoryError) as caught:
        build("1")
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "CreatedPhoneNumber object at" in "".join(shown.format())
