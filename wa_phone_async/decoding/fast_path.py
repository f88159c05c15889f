"""The fast path of lists, with `msgspec` (extra: `speed`): from the bytes of a page to its rows.

Each model has a *twin*: a `msgspec.Struct` with the same fields, which allows no other member. msgspec parses a page
into twins, and a builder makes a value of each twin.

The twin learns. If a page has a member that the twin lacks, the twin gets a field for it. If an enum has an unknown
value, the twin takes any string for that enum. Then the page is parsed once more, and later pages are parsed at once.
A large page is not parsed once more: it teaches one thing, and the core path reads it.
At anything else that is unusual, the core path reads the page, or says what is wrong.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import attrs

from wa_phone_async._optional import requires
from wa_phone_async.models import NO_EXTRA, Extra

from .builders import (
    LONGEST_LEARNED,
    MAX_LEARNED,
    Builder,
    ModelPlan,
    OpenEnum,
    UnusualError,
    bare_type,
    compile_builder,
    extra_maker,
    is_enum,
)
from .plain_page import LARGE_PAGE, LONGEST_LINK, PageReader, PlainAccount, PlainPage

with requires("speed"):
    import msgspec
    from msgspec import UNSET, UnsetType

# The twin learns from the texts of msgspec's errors. So this needs a version whose texts were tested.
if tuple(map(int, msgspec.__version__.split(".")[:2])) < (0, 22):
    raise ImportError(f"the fast path needs msgspec 0.22 or newer, not {msgspec.__version__}")

_UNKNOWN_NAME: Final = re.compile(r"Object contains unknown field `(\w+)` - at `\$\.data\[[^`]*`", re.ASCII)
_UNKNOWN_VALUE: Final = re.compile(r"Invalid enum value .* - at `\$\.data\[[^`]*\.(\w+)`", re.ASCII | re.DOTALL)


# An unknown member is left to the core path: msgspec would skip it, and would not check that its name is UTF-8. Then a
# damaged `next` would end a list.
_Link = Annotated[str, msgspec.Meta(max_length=LONGEST_LINK)]


class _Cursors(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    before: _Link | None = None
    after: _Link | None = None


class _Paging(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    cursors: _Cursors | None = None
    next: _Link | None = None
    previous: _Link | None = None


_NO_CURSORS: Final = _Cursors()
_NO_PAGING: Final = _Paging()

# The lines of a field, by how its twin holds it. `source` is what the twin holds.
_AS_IT_IS: Final = "draft.{name} = {source}"
_BY_TABLE: Final = "draft.{name} = read_{name}[{source}]"
_BY_READER: Final = "draft.{name} = None if {source} is None else read_{name}({source})"
_TIME: Final = """\
value = {source}
if value is not None:
    time = fromisoformat(value)
    if value.isdecimal(): raise Unusual
    value = in_utc(time) if time.tzinfo is None else time
draft.{name} = value"""
_OTHER_NAME: Final = """\
value = twin.{name}
if twin.{other} is not UNSET:
    if value is not None: raise Unusual
    value = twin.{other}"""
_LEARNED: Final = """\
value = twin.learned_{index}
if value is not UNSET: found[{name!r}] = value"""
_EXTRA: Final = "draft.extra = make_extra(found) if found else NO_EXTRA"


class _Account(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    id: str
    name: str | None = None
    phone_numbers: msgspec.Raw = msgspec.Raw()


class _AccountPage(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    data: list[_Account]
    paging: _Paging | None = None


_decode_accounts: Final = msgspec.json.Decoder(_AccountPage).decode


def read_accounts(body: bytes) -> PlainPage[PlainAccount] | None:
    """Split a page of accounts into them, and leave the numbers of each as JSON. `None`: it is no usual page."""
    try:
        page = _decode_accounts(body)
    except (msgspec.ValidationError, RecursionError, ValueError):
        return None
    paging = page.paging or _NO_PAGING
    cursors = paging.cursors or _NO_CURSORS
    rows = [(row.id, row.name, bytes(row.phone_numbers) or None) for row in page.data]
    return PlainPage(rows, cursors.before, cursors.after, paging.next, paging.previous)


def page_reader(plan: ModelPlan, plan_of: Callable[[Any], ModelPlan | None]) -> PageReader | None:
    """Make the reader of pages of a model; `None` if a twin cannot hold one of its fields.

    Args:
        plan: The plan of the model. The model must be plain.
        plan_of: Returns the plan of a field's type, or `None` if that is no plain model.
    """
    try:
        return _LearningReader(plan, plan_of)
    except (UnusualError, TypeError):  # msgspec raises a TypeError for a type that it does not know
        return None


class _LearningReader:
    """Reads pages, and learns from those that the twin does not allow."""

    def __init__(self, plan: ModelPlan, plan_of: Callable[[Any], ModelPlan | None]) -> None:
        self._plan = plan
        self._plan_of = plan_of
        self._names: list[str] = []  # learned, of the model and of the models in it alike
        self._open_enums: set[str] = set()  # the fields whose enum had an unknown value
        self._prepare()

    def __call__(self, body: bytes) -> PlainPage[Any] | None:
        while True:
            try:
                page = self._decode(body)
                paging = page.paging or _NO_PAGING
                cursors = paging.cursors or _NO_CURSORS
                rows = list(map(self._build, page.data))
                return PlainPage(rows, cursors.before, cursors.after, paging.next, paging.previous)
            except msgspec.ValidationError as error:
                text = str(error)
            except (UnusualError, RecursionError, ValueError):
                return None
            if not self._learn(text) or len(body) > LARGE_PAGE:
                return None

    def _learn(self, error: str) -> bool:
        """Change the twin to allow what msgspec complains about. `False` if it cannot."""
        if (unknown := _UNKNOWN_NAME.fullmatch(error)) and len(self._names) < MAX_LEARNED:
            if len(unknown[1]) > LONGEST_LEARNED:
                return False
            self._names.append(unknown[1])
        elif (unknown := _UNKNOWN_VALUE.fullmatch(error)) and unknown[1] not in self._open_enums:
            self._open_enums.add(unknown[1])
        else:
            return False
        self._prepare()
        return True

    def _prepare(self) -> None:
        twin, self._build = self._make_twin(self._plan)
        members: list[Any] = [("data", types.GenericAlias(list, twin)), ("paging", _Paging | None, None)]
        page = msgspec.defstruct("Page", members, forbid_unknown_fields=True)
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(page).decode

    def _make_twin(self, plan: ModelPlan) -> tuple[Any, Builder]:
        """Make the twin of a model, and the builder from twin to value."""
        members: list[Any] = []
        lines: list[str] = []
        names: dict[str, Any] = {"UNSET": UNSET, "make_extra": extra_maker(plan)}
        for field in plan.fields:
            name, other, source = field.name, plan.other_name(field.name), f"twin.{field.name}"
            kind, line, names[f"read_{name}"] = self._plan_member(field, plan)
            members.append((name, kind) if field.default is attrs.NOTHING else (name, kind | None, None))
            if other:
                members.append((other, kind | None | UnsetType, UNSET))
                lines.append(_OTHER_NAME.format(name=name, other=other))
                source = "value"
            lines.append(line.format(name=name, source=source))
        learned = [name for name in sorted(self._names) if name not in {*plan.readers, *plan.other_names}]
        for index, name in enumerate(learned):
            members.append((f"learned_{index}", Any, msgspec.field(name=name, default=UNSET)))
        lines += _lines_of_extra(learned)
        twin = msgspec.defstruct(plan.model.__name__, members, forbid_unknown_fields=True, kw_only=True, gc=False)
        return twin, compile_builder(plan.model, "twin", lines, names)

    def _plan_member(self, field: attrs.Attribute[Any], plan: ModelPlan) -> tuple[Any, str, Any]:
        """Return the type that the twin has for a field, the builder's line for it, and the reader in that line."""
        kind, name = bare_type(field.type), field.name
        if kind in (str, bool):
            return kind, _AS_IT_IS, None
        if kind is datetime:
            return str, _TIME, None
        if kind is Extra:
            return dict[str, Any], _BY_READER, extra_maker(plan)
        if is_enum(kind):
            is_open = _has_own_lookup(kind) or {name, plan.other_name(name)} & self._open_enums
            return (str, _BY_TABLE, OpenEnum(kind)) if is_open else (kind, _AS_IT_IS, None)
        inner = self._plan_of(kind)
        if inner is None:
            raise UnusualError
        twin, build = self._make_twin(inner)
        return twin, _BY_READER, _sharing(build)


def _sharing(build: Builder) -> Builder:
    """Return a builder that makes one value for equal twins in a row."""
    last: tuple[Any, Any] = None, None

    def read(twin: Any) -> Any:
        nonlocal last
        seen, value = last
        if twin != seen:
            value = build(twin)
            if value.extra is NO_EXTRA:  # what an `extra` holds may be equal and yet other JSON: see `is_text`
                last = twin, value
        return value

    return read


def _has_own_lookup(enum: type[StrEnum]) -> bool:
    """Whether an enum makes members of unknown values itself. msgspec would let it, and the core path does not."""
    return any("_missing_" in vars(base) for base in enum.__mro__[: enum.__mro__.index(StrEnum)])


def _lines_of_extra(learned: list[str]) -> list[str]:
    """Return the lines that make `extra` of the learned members of a twin."""
    if not learned:
        return ["draft.extra = NO_EXTRA"]
    lines = [_LEARNED.format(name=name, index=index) for index, name in enumerate(learned)]
    return ["found = {}", *lines, _EXTRA]
