"""Functions written for one model each: the quick way from what a parser gave to a frozen value.

attrs and cattrs write functions for classes in the same manner. What makes these quick was measured:

- A frozen object takes 1.5 µs through its constructor and 0.2 µs as a *draft*: an object of a mutable child class
  with the same slots, which is filled and then made one of the frozen class.
- Each field has its own lines, without a loop over the fields, and without a call where a line does.
- Members that no field knows are looked for only where the count of members tells of them, first under the names
  that came before.
- The parts of a number, its `throughput` and its `extra`, mostly equal those of the one before, and then are the same
  objects. That halves what the garbage collector has to go through, which is a third of the cost of long lists.

A builder reads what is usual. At anything else it raises some exception, and the careful reader of `decoding` says
what is wrong, or reads it after all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from textwrap import indent
from types import UnionType
from typing import Any, Final, TypeAlias, Union, cast, get_args, get_origin

import attrs

from wa_phone_async.models import NO_EXTRA, Extra

Builder: TypeAlias = Callable[[Any], Any]
"""Makes a value of one model from a parsed object, or raises some exception."""

MAX_LEARNED: Final = 16
"""How many names that no field has are learned for one model."""

_SPECIAL: Final = ("__attrs_pre_init__", "__attrs_init__", "__attrs_post_init__", "_attrs_cached_hash")


@attrs.frozen
class Recipe:
    """What those who write a builder need to know of its model."""

    model: type[Any]
    """A plain model whose last field is `extra`."""
    readers: Mapping[str, Callable[[Any], Any]]
    """The reader of each other field, which gives its value or raises."""
    other_names: Mapping[str, str]
    """Second names of fields, each with the first name."""
    clean: Callable[[Any], Any]
    """Takes out of a JSON value what no `extra` may hold."""

    @property
    def fields(self) -> list[attrs.Attribute[Any]]:
        """The fields but `extra`."""
        return [*attrs.fields(self.model)[:-1]]

    def other_name(self, field: str) -> str | None:
        """The second name of a field, if it has one."""
        return next((other for other, name in self.other_names.items() if name == field), None)


class UnusualError(Exception):
    """A builder leaves this to the careful reader."""


class OpenEnum(dict[object, StrEnum | None]):
    """The members of an enum by their values. `None` and what is none of them stay what came."""

    def __init__(self, enum: type[StrEnum]) -> None:
        super().__init__({member.value: member for member in enum})
        self[None] = None

    def __missing__(self, value: object) -> str:
        if type(value) is not str:
            raise UnusualError
        return value


def in_order(extra: dict[str, Any]) -> dict[str, Any]:
    """The same members by their names: every way to read a model gives `extra` in this order."""
    return dict(sorted(extra.items()))


def is_text(value: Any) -> bool:
    """Whether a JSON value is made of nothing but strings and objects, so that what equals it is the same JSON.

    `1`, `1.0` and `true` are equal in Python, and are three things in JSON.
    """
    if type(value) is dict:
        return all(map(is_text, cast("dict[str, Any]", value).values()))
    return type(value) is str


def bare_type(annotation: Any) -> Any:
    """The one type that a field holds beside `None` and, where it is an enum, beside unknown strings."""
    is_union = get_origin(annotation) in (Union, UnionType)
    return next(kind for kind in get_args(annotation) if kind is not type(None)) if is_union else annotation


def is_enum(kind: Any) -> bool:
    """Whether a bare type is an enum of strings, all of which are open."""
    return isinstance(kind, type) and issubclass(kind, StrEnum)


def is_plain(model: type[Any]) -> bool:
    """Whether a model may be made without its constructor, since that does nothing but store what it is given."""
    fields = attrs.fields(model)
    return (
        all(field.init and field.validator is None and field.converter is None for field in fields)
        and all(field.default in (attrs.NOTHING, None) for field in fields[:-1])
        and "__slots__" in vars(model)
        and not any(hasattr(model, name) for name in _SPECIAL)
        and not any(name in vars(base) for base in model.__mro__[:-1] for name in ("__new__", "__init_subclass__"))
    )


TIME: Final = "in_utc(time) if (time := fromisoformat({source})).tzinfo is None else time"
"""A line's part that reads the time in a string."""


def in_utc(time: datetime) -> datetime:
    """The time, which came without a zone."""
    return time.replace(tzinfo=UTC)


NAMES: Final[Mapping[str, Any]] = {
    "new": object.__new__,
    "NO_EXTRA": NO_EXTRA,
    "Unusual": UnusualError,
    "fromisoformat": datetime.fromisoformat,
    "in_utc": in_utc,
}
"""What is known in the lines of every builder."""


def write_builder(model: type[Any], parameter: str, lines: Iterable[str], names: Mapping[str, Any]) -> Builder:
    """The function of one parameter that fills a `draft` by these lines, in which these names are known."""
    # Without a `__delattr__` of its own, each store into a draft takes nine times as long.
    own = {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    draft = type(model.__name__, (model,), own)
    body = "\n".join(["draft = new(Draft)", *lines, "draft.__class__ = Model", "return draft"])
    source = f"def build({parameter}):\n{indent(body, '    ')}\n"
    scope: dict[str, Any] = {**NAMES, **names, "Draft": draft, "Model": model}
    exec(compile(source, f"<builder of {model.__name__}>", "exec"), scope)  # noqa: S102  # made of field names alone
    build: Builder = scope["build"]
    return build


_STRING: Final = """\
if type(value) is not str:
    if value is not None: raise Unusual
    absent += 1
draft.{name} = value"""
_FLAG: Final = _STRING.replace("type(value) is not str", "value is not True and value is not False")
_OTHER: Final = """\
if value is None: absent += 1
else: value = read_{name}(value)
draft.{name} = value"""
_ENUM: Final = _OTHER.replace("(value)", "[value]")
_TIME: Final = _OTHER.replace("read_{name}(value)", TIME.format(source="value"))


def dict_builder(recipe: Recipe, recipe_of: Callable[[Any], Recipe | None]) -> Builder:
    """The builder from a `dict` as `json` gives it.

    Args:
        recipe: The model's.
        recipe_of: Gives the recipe of a field's type, or `None` if that is no plain model.
    """
    names: dict[str, Any] = {"keep": _keeper(recipe)}
    lines = ["if type(members) is not dict: raise Unusual", "get, absent = members.get, 0"]
    for field in recipe.fields:
        kind, name = bare_type(field.type), field.name
        inner = recipe_of(kind)
        read = _sharing(dict_builder(inner, recipe_of)) if inner else recipe.readers[name]
        names[f"read_{name}"] = OpenEnum(kind) if is_enum(kind) else read
        lines.append(f"value = get({name!r})")
        if other := recipe.other_name(name):
            lines.append(f"if value is None: value = get({other!r})")
        if field.default is attrs.NOTHING:
            lines.append("if value is None: raise Unusual")
        line = _ENUM if is_enum(kind) else {str: _STRING, bool: _FLAG, datetime: _TIME}.get(kind, _OTHER)
        lines.append(line.format(name=name))
    lines.append(f"unread = len(members) - {len(recipe.fields)} + absent")
    lines.append("draft.extra = keep(members, unread) if unread else NO_EXTRA")
    return write_builder(recipe.model, "members", lines, names)


def _sharing(build: Builder) -> Builder:
    """The same builder, which makes one value of equal objects in a row."""
    last: tuple[Any, Any] = None, None

    def read(members: Any) -> Any:
        nonlocal last
        seen, value = last
        if members != seen:
            value = build(members)
            if set(map(type, members.values())) == {str}:
                last = members.copy(), value  # the object itself may be the caller's, and change
        return value

    return read


def _keeper(recipe: Recipe) -> Callable[[dict[str, Any], int], Extra]:
    """What makes the `extra` of an object with so many members that were not read."""
    learned: list[str] = []
    make = extra_maker(recipe)

    def keep(members: dict[str, Any], unread: int) -> Extra:
        extra = {name: members[name] for name in learned if name in members}
        return make(extra) if len(extra) == unread else keep_all(members)

    def keep_all(members: dict[str, Any]) -> Extra:
        extra = {name: value for name, value in members.items() if name not in recipe.readers}
        for other, name in recipe.other_names.items():
            if members.get(name) is None:
                extra.pop(other, None)
        news = extra.keys() - recipe.other_names - set(learned)
        learned[:] = sorted([*learned, *sorted(news)[: MAX_LEARNED - len(learned)]])
        return make(in_order(extra))

    return keep


def extra_maker(recipe: Recipe) -> Callable[[dict[str, Any]], Extra]:
    """What makes the `extra` of these members, and one of equal ones in a row."""
    last = NO_EXTRA

    def make(members: dict[str, Any]) -> Extra:
        nonlocal last
        if members == last.members:
            return last
        extra = Extra(recipe.clean(members))
        last = extra if is_text(extra.members) else NO_EXTRA
        return extra

    return make
