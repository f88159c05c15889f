"""Builders: a generated function for each model, from parsed JSON to a frozen value.

attrs and cattrs generate functions for classes, too. These are faster for reasons that were measured:

- A frozen object takes 1.5 µs through its constructor, and 0.2 µs as a *draft*. A draft is an object of a mutable
  subclass with the same slots. The builder fills it, and then makes it an object of the frozen class.
- Each field has its own lines: no loop over the fields, and no call where a line does the work.
- A builder looks for members without a field only where the count of members shows that there are some. It looks first
  for the names that came before.
- The parts of a number, its `throughput` and its `extra`, mostly equal those of the number before. Then both numbers
  share one object. That halves the work of the garbage collector, which is a third of the cost of a long list.

A builder reads what is usual. At anything else it raises some exception. Then the careful reader of `converter` reads
the object, or says what is wrong.
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
"""How many names without a field are learned for one model."""
LONGEST_LEARNED: Final = 100
"""The characters of the longest name that is learned. Learned names stay in memory."""

_MAX_COMPILED: Final = 16
_MAX_NAMES: Final = 64
"""For how many sets of names a builder of one model is compiled, and how many names each of them may have."""
_MAX_UNLEARNED: Final = 1_000
"""After how many objects with other names a builder of one model stops to expect usual names."""

_SPECIAL: Final = ("__attrs_pre_init__", "__attrs_init__", "__attrs_post_init__", "_attrs_cached_hash")


@attrs.frozen
class ModelPlan:
    """What a reader of a model needs to know of it."""

    model: type[Any]
    """An attrs class. Its last field is `extra`."""
    readers: Mapping[str, Callable[[Any], Any]]
    """The reader of each other field: returns its value or raises."""
    other_names: Mapping[str, str]
    """Second names of fields, each with the first name."""
    clean: Callable[[Any], Any]
    """Removes from a JSON value what no `extra` may hold."""

    @property
    def fields(self) -> list[attrs.Attribute[Any]]:
        """The fields without `extra`."""
        return [*attrs.fields(self.model)[:-1]]

    def other_name(self, field: str) -> str | None:
        """Return the second name of a field, or `None`."""
        return next((other for other, name in self.other_names.items() if name == field), None)

    def field_of(self, name: str, members: Mapping[str, Any]) -> str | None:
        """Return the field that a member of an object is for. `None`: it is for no field, and belongs to `extra`."""
        if name in self.readers:
            return name
        field = self.other_names.get(name)  # a second name counts if the first one is absent or null
        return None if field is None or members.get(field) is not None else field


class UnusualError(Exception):
    """A builder leaves this value to the careful reader."""


class OpenEnum(dict[object, StrEnum | None]):
    """The members of an enum by value. `None` stays `None`, and an unknown string stays a string."""

    def __init__(self, enum: type[StrEnum]) -> None:
        super().__init__({member.value: member for member in enum})
        self[None] = None

    def __missing__(self, value: object) -> str:
        if type(value) is not str:
            raise UnusualError
        return value


def in_order(extra: dict[str, Any]) -> dict[str, Any]:
    """Sort members by name. All readers of a model do it, so each of them gives the same `extra`."""
    return dict(sorted(extra.items()))


def is_text(value: Any) -> bool:
    """Whether a JSON value consists of strings and objects only.

    Only then do equal values come from equal JSON: `1`, `1.0` and `true` are equal in Python, and differ in JSON.
    """
    if type(value) is dict:
        return all(map(is_text, cast("dict[str, Any]", value).values()))
    return type(value) is str


def bare_type(annotation: Any) -> Any:
    """Return the type of a field without `| None`, and for an enum without `| str`."""
    is_union = get_origin(annotation) in (Union, UnionType)
    return next(kind for kind in get_args(annotation) if kind is not type(None)) if is_union else annotation


def is_enum(kind: Any) -> bool:
    """Whether a bare type is an enum of strings. All of these are open."""
    return isinstance(kind, type) and issubclass(kind, StrEnum)


def is_plain(model: type[Any]) -> bool:
    """Whether a builder may skip the constructor of a model: it does nothing but store its arguments."""
    fields = attrs.fields(model)
    return (
        all(field.init and field.validator is None and field.converter is None for field in fields)
        and all(field.default in (attrs.NOTHING, None) for field in fields[:-1])
        and "__slots__" in vars(model)
        and not any(hasattr(model, name) for name in _SPECIAL)
        and not any(name in vars(base) for base in model.__mro__[:-1] for name in ("__new__", "__init_subclass__"))
    )


def in_utc(time: datetime) -> datetime:
    """Return a time without a zone as a time in UTC."""
    return time.replace(tzinfo=UTC)


NAMES: Final[Mapping[str, Any]] = {
    "new": object.__new__,
    "NO_EXTRA": NO_EXTRA,
    "Unusual": UnusualError,
    "fromisoformat": datetime.fromisoformat,
    "in_utc": in_utc,
}
"""The names that the lines of every builder can use."""


def compile_builder(model: type[Any], parameter: str, lines: Iterable[str], names: Mapping[str, Any]) -> Builder:
    """Compile a builder.

    Args:
        model: The model.
        parameter: The name of the builder's one parameter.
        lines: Statements that fill `draft`.
        names: More names that the lines can use.
    """
    # Without a `__delattr__` of its own, each store into a draft takes nine times as long. The `repr` of a model needs
    # all of its fields, and a traceback may show a draft.
    own = {name: getattr(object, name) for name in ("__setattr__", "__delattr__", "__repr__")} | {"__slots__": ()}
    draft = type(model.__name__, (model,), own)
    body = "\n".join(["draft = new(Draft)", *lines, "draft.__class__ = Model", "return draft"])
    source = f"def build({parameter}):\n{indent(body, '    ')}\n"
    scope: dict[str, Any] = {**NAMES, **names, "Draft": draft, "Model": model}
    exec(compile(source, f"<builder of {model.__name__}>", "exec"), scope)  # noqa: S102  # made of field names alone
    build: Builder = scope["build"]
    return build


# The lines of a field, by its type. `value` is what came for it, and `absent` counts the fields that have no value.
# Readers take the rest of what has only one meaning, such as an id that is a number.
_STRING: Final = """\
if type(value) is not str:
    if value is None: absent += 1
    else: value = read_{name}(value)
draft.{name} = value"""
_FLAG: Final = """\
if value is not True and value is not False:
    if value is None: absent += 1
    else: value = read_{name}(value)
draft.{name} = value"""
_TIME: Final = """\
if value is None: absent += 1
elif type(value) is not str or value.isdecimal(): value = read_{name}(value)
else:
    time = fromisoformat(value)
    value = in_utc(time) if time.tzinfo is None else time
draft.{name} = value"""
_ENUM: Final = """\
if value is None: absent += 1
else: value = read_{name}[value]
draft.{name} = value"""
_OTHER: Final = """\
if value is None: absent += 1
else: value = read_{name}(value)
draft.{name} = value"""


class DictBuilder:
    """Builds values of a model from `dict`s, as `json` parses them.

    Objects mostly have the names of those before them. So a function is compiled for the names of the first object, and
    for names that come twice in a row. It looks for no other names. Where objects differ too much, it is not used.

    Args:
        plan: The plan of the model. The model must be plain.
        plan_of: Returns the plan of a field's type, or `None` if that is no plain model.
    """

    def __init__(self, plan: ModelPlan, plan_of: Callable[[Any], ModelPlan | None]) -> None:
        self._plan = plan
        self._scope: dict[str, Any] = {"find_extra": _extra_finder(plan)}
        for field in plan.fields:
            kind, name = bare_type(field.type), field.name
            inner = plan_of(kind)
            read = _sharing(DictBuilder(inner, plan_of).build_any) if inner else plan.readers[name]
            if kind is Extra:
                read = _object_reader(plan)
            self._scope[f"read_{name}"] = OpenEnum(cast("Any", kind)) if is_enum(kind) else read
        self._compiled: dict[tuple[str, ...], Builder] = {}
        self._names_before: tuple[str, ...] = ()
        self._unlearned = 0  # objects whose names were not learned
        self.build_any: Builder = self._compile(_lines_for_any_names(plan))
        """Builds a value from an object with any names."""
        self.build_usual: Builder = _build_nothing
        """Builds a value from an object with the names of those before. Raises a `KeyError` for other names."""

    def build(self, members: Any) -> Any:
        """Build a value from an object for which `build_usual` raised a `KeyError`, and learn its names."""
        names = tuple(members)
        known = self._compiled.get(names)
        if known is not None:
            self.build_usual = known
            return known(members)
        value = self.build_any(members)
        is_usual = not self._compiled or names == self._names_before
        # Names stay in memory, so there must be few, and no long ones.
        has_space = len(self._compiled) < _MAX_COMPILED and len(names) <= _MAX_NAMES
        lines = list[str]()
        if is_usual and has_space and all(len(name) <= LONGEST_LEARNED for name in names):
            lines = _lines_for_names(self._plan, names)
        if lines:
            self.build_usual = self._compiled[names] = self._compile(lines)
        elif (unlearned := self._unlearned + 1) < _MAX_UNLEARNED:
            self._unlearned = unlearned
        else:
            self.build_usual = self.build_any  # each miss costs an exception
        self._names_before = names if has_space else ()
        return value

    def _compile(self, lines: list[str]) -> Builder:
        return compile_builder(self._plan.model, "members", lines, self._scope)


def _build_nothing(_: Any) -> Any:
    raise KeyError


def _lines_for_any_names(plan: ModelPlan) -> list[str]:
    """Return the lines of a builder of objects with any names."""
    lines = ["if type(members) is not dict: raise Unusual", "absent = 0"]
    for field in plan.fields:
        name = field.name
        lines.append(f"value = members[{name!r}] if {name!r} in members else None")  # it is no call, as `get` is
        if other := plan.other_name(name):
            lines.append(f"if value is None and {other!r} in members: value = members[{other!r}]")
        lines += _lines_of(field)
    # A null field counts as a member and as absent. So `unread` may be too large: then `find_extra` searches all.
    lines.append(f"unread = len(members) - {len(plan.fields)} + absent")
    lines.append("draft.extra = find_extra(members, unread) if unread else NO_EXTRA")
    return lines


def _lines_for_names(plan: ModelPlan, names: tuple[str, ...]) -> list[str]:
    """Return the lines of a builder of objects with exactly these names. Empty: they are too odd for one."""
    lines = ["if type(members) is not dict: raise Unusual", f"if len(members) != {len(names)}: raise KeyError"]
    lines.append("absent = 0")
    absent, unread = list[str](), dict.fromkeys(names)
    for field in plan.fields:
        found = [name for name in (field.name, plan.other_name(field.name)) if name in unread]
        if len(found) > 1:
            return []
        if found:
            del unread[found[0]]
            lines.append(f"value = members[{found[0]!r}]")
            lines += _lines_of(field)
        else:
            absent.append(field.name)
    lines += [f"members[{name!r}]" for name in unread]  # raises a KeyError where it is not there
    lines += [f"draft.{name} = None" for name in absent]
    lines.append(f"draft.extra = find_extra(members, {len(unread)})" if unread else "draft.extra = NO_EXTRA")
    return lines


def _lines_of(field: attrs.Attribute[Any]) -> list[str]:
    """Return the lines that store the `value` of a field."""
    kind = bare_type(field.type)
    line = _ENUM if is_enum(kind) else {str: _STRING, bool: _FLAG, datetime: _TIME}.get(kind, _OTHER)
    required = ["if value is None: raise Unusual"] if field.default is attrs.NOTHING else []
    return [*required, line.format(name=field.name)]


def _sharing(build: Builder) -> Builder:
    """Return a builder that makes one value for equal objects in a row."""
    last: tuple[Any, Any] = None, None

    def read(members: Any) -> Any:
        nonlocal last
        seen, value = last
        if members != seen:
            value = build(members)
            if set(map(type, members.values())) == {str}:  # see `is_text`
                last = members.copy(), value  # a copy, since the caller may own the object and change it
        return value

    return read


def _object_reader(plan: ModelPlan) -> Builder:
    """Return a builder of a field that holds a nested object as it is."""
    make = extra_maker(plan)

    def read(members: Any) -> Extra:
        if type(members) is not dict:
            raise UnusualError
        return make(dict(cast("dict[str, Any]", members)))  # a copy, since the caller may own the object and change it

    return read


def _extra_finder(plan: ModelPlan) -> Callable[[dict[str, Any], int], Extra]:
    """Return a function that makes the `extra` of an object, given how many of its members were not read."""
    learned: list[str] = []
    make = extra_maker(plan)

    def find_extra(members: dict[str, Any], unread: int) -> Extra:
        # Mostly the unknown names are those of the objects before. If the count agrees, these are all of them.
        extra = {name: members[name] for name in learned if name in members}
        return make(extra) if len(extra) == unread else search_all(members)

    def search_all(members: dict[str, Any]) -> Extra:
        extra = {name: value for name, value in members.items() if plan.field_of(name, members) is None}
        news = {name for name in extra if len(name) <= LONGEST_LEARNED} - plan.other_names.keys() - set(learned)
        learned[:] = sorted([*learned, *sorted(news)[: MAX_LEARNED - len(learned)]])
        return make(in_order(extra))

    return find_extra


def extra_maker(plan: ModelPlan) -> Callable[[dict[str, Any]], Extra]:
    """Return a function that makes an `Extra` of members. For equal members in a row, it returns the same one."""
    last = NO_EXTRA

    def make(members: dict[str, Any]) -> Extra:
        nonlocal last
        if members == last.members:
            return last
        extra = Extra(plan.clean(members))
        last = extra if is_text(extra.members) else NO_EXTRA
        return extra

    return make
