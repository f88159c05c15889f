"""The fast path of lists, where `msgspec` is installed (extra: `speed`): from the bytes of a page to its rows.

A model has a *twin*, a `msgspec.Struct` of the same fields which takes nothing else. msgspec reads a page into twins,
and a builder makes each the model's value. Where a twin stumbles over a member that it does not have, or over an
unknown value of an enum, it learns the name, or to leave that enum open, and reads the page once more; later pages
are then read at once. Whatever else is unusual is left to the core path, which gives its value or says what is wrong.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import attrs

from wa_phone_async._optional import Extra
from wa_phone_async.models import NO_EXTRA

from .builders import (
    MAX_LEARNED,
    TIME,
    Builder,
    OpenEnum,
    Recipe,
    UnusualError,
    bare_type,
    extra_maker,
    is_enum,
    write_builder,
)
from .plain_page import PageReader, PlainPage

with Extra("speed"):
    import msgspec
    from msgspec import UNSET, UnsetType

if tuple(map(int, msgspec.__version__.split(".")[:2])) < (0, 22):
    raise ImportError(f"the fast path was never tried with msgspec {msgspec.__version__}: it wants 0.22")

_UNKNOWN_NAME: Final = re.compile(r"Object contains unknown field `(\w+)` - at `\$\.data\[[^`]*`", re.ASCII)
_UNKNOWN_VALUE: Final = re.compile(r"Invalid enum value .* - at `\$\.data\[[^`]*\.(\w+)`", re.ASCII | re.DOTALL)

_Paging = dict[str, str | dict[str, str | None] | None]

_AS_IT_IS: Final = "draft.{name} = {source}"
_BY_TABLE: Final = "draft.{name} = read_{name}[{source}]"
_BY_READER: Final = "draft.{name} = None if {source} is None else read_{name}({source})"
_TIME: Final = f"draft.{{name}} = None if {{source}} is None else {TIME}"
_OTHER_NAME: Final = """\
value = twin.{name}
if twin.{other} is not UNSET:
    if value is not None: raise Unusual
    value = twin.{other}"""
_LEARNED: Final = """\
value = twin.learned_{index}
if value is not UNSET: found[{name!r}] = value"""
_EXTRA: Final = "draft.extra = make_extra(found) if found else NO_EXTRA"


def page_reader(recipe: Recipe, recipe_of: Callable[[Any], Recipe | None]) -> PageReader | None:
    """What reads the bytes of pages of a model, or `None` where no twin can hold what its fields hold.

    Args:
        recipe: The model's.
        recipe_of: Gives the recipe of a field's type, or `None` if that is no plain model.
    """
    try:
        return _PageReader(recipe, recipe_of)
    except (UnusualError, TypeError):  # with a TypeError, msgspec says that it does not know a type
        return None


class _PageReader:
    """Reads pages, and learns from those over which it stumbles."""

    def __init__(self, recipe: Recipe, recipe_of: Callable[[Any], Recipe | None]) -> None:
        self._recipe = recipe
        self._recipe_of = recipe_of
        self._names: list[str] = []
        self._open_enums: set[str] = set()
        self._prepare()

    def __call__(self, body: bytes) -> PlainPage[Any] | None:
        while True:
            try:
                page = self._decode(body)
                return PlainPage(list(map(self._build, page.data)), page.paging)
            except msgspec.ValidationError as error:
                misfit = str(error)
            except (UnusualError, RecursionError, ValueError):
                return None
            if not self._learn(misfit):
                return None

    def _learn(self, misfit: str) -> bool:
        """Whether it helps to read the page again, since what was stumbled over is known from now on."""
        if (unknown := _UNKNOWN_NAME.fullmatch(misfit)) and len(self._names) < MAX_LEARNED:
            self._names.append(unknown[1])
        elif (unknown := _UNKNOWN_VALUE.fullmatch(misfit)) and unknown[1] not in self._open_enums:
            self._open_enums.add(unknown[1])
        else:
            return False
        self._prepare()
        return True

    def _prepare(self) -> None:
        twin, self._build = self._twin_and_builder(self._recipe)
        members: list[Any] = [("data", types.GenericAlias(list, twin)), ("paging", _Paging | None, None)]
        page = msgspec.defstruct("Page", members, forbid_unknown_fields=True)
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(page).decode

    def _twin_and_builder(self, recipe: Recipe) -> tuple[Any, Builder]:
        members: list[Any] = []
        lines: list[str] = []
        names: dict[str, Any] = {"UNSET": UNSET, "make_extra": extra_maker(recipe)}
        for field in recipe.fields:
            name, other, source = field.name, recipe.other_name(field.name), f"twin.{field.name}"
            kind, line, names[f"read_{name}"] = self._way_of(field, recipe)
            members.append((name, kind) if field.default is attrs.NOTHING else (name, kind | None, None))
            if other:
                members.append((other, kind | None | UnsetType, UNSET))
                lines.append(_OTHER_NAME.format(name=name, other=other))
                source = "value"
            lines.append(line.format(name=name, source=source))
        learned = [name for name in sorted(self._names) if name not in {*recipe.readers, *recipe.other_names}]
        for index, name in enumerate(learned):
            members.append((f"learned_{index}", Any, msgspec.field(name=name, default=UNSET)))
        lines += _lines_of_extra(learned)
        twin = msgspec.defstruct(recipe.model.__name__, members, forbid_unknown_fields=True, kw_only=True)
        return twin, write_builder(recipe.model, "twin", lines, names)

    def _way_of(self, field: attrs.Attribute[Any], recipe: Recipe) -> tuple[Any, str, Any]:
        """What the twin holds for a field, the line that makes the field of it, and what the line reads it with."""
        kind, name = bare_type(field.type), field.name
        if kind in (str, bool):
            return kind, _AS_IT_IS, None
        if kind is datetime:
            return str, _TIME, None
        if is_enum(kind):
            is_open = _has_own_lookup(kind) or {name, recipe.other_name(name)} & self._open_enums
            return (str, _BY_TABLE, OpenEnum(kind)) if is_open else (kind, _AS_IT_IS, None)
        inner = self._recipe_of(kind)
        if inner is None:
            raise UnusualError
        twin, build = self._twin_and_builder(inner)
        return twin, _BY_READER, _sharing(build)


def _sharing(build: Builder) -> Builder:
    """The same builder, which makes one value of equal twins in a row; what is in an `extra` may equal another JSON."""
    last: tuple[Any, Any] = None, None

    def read(twin: Any) -> Any:
        nonlocal last
        seen, value = last
        if twin != seen:
            value = build(twin)
            if value.extra is NO_EXTRA:
                last = twin, value
        return value

    return read


def _has_own_lookup(enum: type[StrEnum]) -> bool:
    """Whether an enum makes members of unknown values, which msgspec would do as well, and the core path does not."""
    return any("_missing_" in vars(base) for base in enum.__mro__[: enum.__mro__.index(StrEnum)])


def _lines_of_extra(learned: list[str]) -> list[str]:
    """The lines that make `extra` of what a twin holds for the learned names."""
    if not learned:
        return ["draft.extra = NO_EXTRA"]
    lines = [_LEARNED.format(name=name, index=index) for index, name in enumerate(learned)]
    return ["found = {}", *lines, _EXTRA]
