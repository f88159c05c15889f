"""The one cattrs converter: JSON to values, or an error that says what is wrong and where; and values to plain JSON.

Each model has one structure hook. First the *builder* of the model (see `builders`) reads an object. It reads what is
usual, and raises at anything else. Then the *careful reader* reads that object again, member by member. It collects
all errors with their paths: `required field missing @ $.data[3].id`.

One odd member never costs a row. Only a required field, such as `id`, makes an object invalid. A field takes a value of
its own type. It also takes what has only one meaning:

- an unknown string, for an open enum;
- a whole number of 0 or more, for a string: its digits;
- `"true"` or `"false"`, for a boolean;
- a Unix time, for a time: the seconds, in ten digits.

Any other value is no guess of ours. It stays in `extra`, under the name by which it came. So does what no field knows.

A kilobyte of gzip can hold 300,000 rows that do not fit. An error for each would take seconds and gigabytes. So reading
stops after `MAX_MISFITS` errors.

The bytes of a page have the fast path (see `fast_path`), if msgspec is installed. It gives the same rows, or leaves the
page to the hooks.
"""

from __future__ import annotations

import functools
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, MutableMapping, MutableSequence, MutableSet, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NoReturn, TypeVar, cast, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import (
    AttributeValidationNote,
    ClassValidationError,
    IterableValidationError,
    IterableValidationNote,
)

from wa_phone_async.errors import DecodeError
from wa_phone_async.models import NO_EXTRA, Cursors, Extra, Page, PhoneNumber

from .builders import DictBuilder, ModelPlan, UnusualError, bare_type, in_order, in_utc, is_enum, is_plain
from .plain_page import PageReader, PlainAccount, PlainPage, once_for_each_model

T = TypeVar("T")

Json = dict[str, Any] | list[Any] | str | float | None
"""A JSON value, as `json` parses it. To a type checker a `bool` and an `int` are `float`s."""

Reader = Callable[..., Any]
"""Reads one JSON value, or raises. cattrs calls it with the type as a second argument."""

FAST_PATH_SWITCH: Final = "WA_PHONE_FAST_PATH"
"""The environment variable that switches the fast path off. Set it to `off` before the first page is read."""

OTHER_NAMES: Final = {"platform_type": "host_platform"}
"""Second names of fields, each with the first. If both came, the first one counts."""


MAX_MISFITS: Final = 100
"""Reading a response stops after so many errors."""


def read_json(body: bytes, *, http_status: int | None = None, parse: Callable[[str], Any] | None = None) -> Any:
    """Parse the body of a response. A byte order mark before the JSON is skipped.

    Args:
        body: The body.
        http_status: The status of the response, for the error.
        parse: Parses the text, and raises a `ValueError` if it is not JSON; default: all of it, to dicts and lists.

    Raises:
        DecodeError: The body is not JSON in UTF-8, or is nested too deeply for Python.
    """
    try:
        return (parse or JSON_DECODER.decode)(body.decode("utf-8-sig"))
    except RecursionError:
        why, garbled = "nested too deeply", False
    except ValueError:
        why, garbled = "not JSON" if body else "empty", True
    raise DecodeError(f"the response is {why} ({len(body)} bytes)", http_status=http_status, garbled=garbled)


def read_model(
    payload: object,
    model: type[T],
    *,
    http_status: int | None = None,
    path: str = "$",
    read: Reader | None = None,
) -> T:
    """Read JSON as a value of a model, such as `PhoneNumber`, `list[PhoneNumber]` or `dict`.

    Args:
        payload: The JSON.
        model: The model.
        http_status: The status of the response, for the error.
        path: Where the payload stands in the response, for the error.
        read: Reads the payload; default: the converter.

    Raises:
        DecodeError: The payload does not fit the model. The text says what is wrong and where, and holds no value. It
            counts the errors. From `MAX_MISFITS` on it counts "at least", since reading stopped there.
    """
    try:
        return cast("T", (read or _converter.structure)(payload, model))
    except (cattrs.BaseValidationError, _InvalidError) as error:
        texts = cattrs.transform_error(error, path, _describe)
    except RecursionError:
        texts = [f"nested too deeply @ {path}"]
    # Raised out here, since in an `except` block the new error would keep cattrs' error, and with it the payload.
    least = "at least " if len(texts) >= MAX_MISFITS else ""
    more = f" (and {least}{len(texts) - 1} more)" if len(texts) > 1 else ""
    raise DecodeError(f"{texts[0]}{more}", http_status=http_status)


def read_rows(rows: Iterable[object], model: type[T], *, http_status: int, path: str) -> list[T]:
    """Read JSON values one after the other, as `read_model` reads an array of them."""
    read = _items_reader(model, _converter)
    return read_model(rows, list[model], http_status=http_status, path=path, read=read)  # type: ignore[valid-type]  # a type at run time


@once_for_each_model
def plain_page_reader(model: type[T]) -> PageReader | None:
    """Return the fast path for the pages of a model; `None` if msgspec is not installed, or the switch is off.

    It returns a page that has no `error`, and no other member than `data` and `paging`. For every other page it returns
    `None`, and the core path has to read it.
    """
    plan, fast_path = _plain_plan_of(model), _fast_path()
    return None if plan is None or fast_path is None else fast_path[0](plan, _plain_plan_of)


@functools.cache
def plain_accounts_reader() -> Callable[[bytes], PlainPage[PlainAccount] | None] | None:
    """Return the fast path for pages of accounts with their numbers; `None` if there is no fast path.

    It returns a page that has nothing but rows and `paging`, and in each row an id, a name and a page of numbers. For
    every other page it returns `None`, and the core path has to read it.
    """
    fast_path = _fast_path()
    return None if fast_path is None else fast_path[1]


def _fast_path() -> tuple[Callable[..., PageReader | None], Callable[[bytes], PlainPage[PlainAccount] | None]] | None:
    """Return both functions of the fast path; `None` if msgspec is not installed, or the switch is off."""
    if os.environ.get(FAST_PATH_SWITCH) == "off":
        return None
    try:
        from .fast_path import page_reader, read_accounts  # noqa: PLC0415 - msgspec is optional, and for pages only
    except ImportError:
        return None
    return page_reader, read_accounts


def from_dict(model: type[T], data: object) -> T:
    """Make the value again that `to_dict` turned into plain JSON. It also reads what the API sends.

    Args:
        model: The class of the value, such as `PhoneNumber` or `Page[PhoneNumber]`.
        data: Plain JSON: a `dict`.

    Raises:
        DecodeError: `data` does not fit the model. The text says what is wrong and where.
    """
    return read_model(data, model)


def to_dict(value: attrs.AttrsInstance | Extra) -> dict[str, Any]:
    """Turn a value into plain JSON: enums as strings, times in ISO 8601, `extra` among the other members, no `None`."""
    plain: dict[str, Any] = _converter.unstructure(value)
    return plain


def without_links(value: Json) -> Any:
    """Remove the links of nested lists from JSON, since Graph writes the access token into them.

    It changes no value: it copies what has links. Nearly always there are none. Then it returns the value itself, since
    a copy would only be more work for the garbage collector.
    """
    if isinstance(value, dict):
        items: Iterable[tuple[Any, Json]] = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return value
    copy: Any = None
    for key, item in items:
        if type(item) not in _SCALARS:
            clean = _without_links_of(item) if key == "paging" else without_links(item)
            if clean is not item:
                copy = value.copy() if copy is None else copy
                copy[key] = clean
    return value if copy is None else copy


def _without_links_of(paging: Json) -> Json:
    if isinstance(paging, dict) and not _LINKS.isdisjoint(paging):
        paging = {key: item for key, item in paging.items() if key not in _LINKS}
    return cast("Json", without_links(paging))


_LINKS: Final = frozenset({"next", "previous"})
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


JSON_DECODER: Final = json.JSONDecoder(parse_constant=_reject_constant)
"""Parses JSON. Python's own parser takes `NaN` and `Infinity` too."""


class _InvalidError(UnusualError):
    """A field cannot hold this value."""

    # The text is made only if somebody reads it: a row may have many odd members that are no reason to raise.
    def __str__(self) -> str:
        expected, kind = self.args
        return f"expected {expected}, not {_KINDS.get(kind, 'a number')}"


_KINDS: Final[Mapping[type[Any], str]] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    type(None): "null",
}


_LEFT_BY_BUILDERS: Final = (UnusualError, TypeError, ValueError, cattrs.BaseValidationError, RecursionError)


def _invalid(expected: str, value: object) -> _InvalidError:
    return _InvalidError(expected, type(value))


def _strict(kind: type[Any], expected: str) -> Reader:
    def read(value: Any, _: Any = None) -> Any:
        if type(value) is not kind:
            raise _invalid(expected, value)
        return value

    return read


_read_string: Final = _strict(str, "a string")
_read_boolean: Final = _strict(bool, "a boolean")
_read_object: Final = _strict(dict, "an object")
_read_array: Final = _strict(list, "an array")


_WORDS: Final = {"true": True, "false": False}

_TOO_LARGE: Final = 10**640
"""Python may refuse to write integers with more digits."""

_UNIX_TIMES: Final = 1_000_000_000, 10_000_000_000
"""The Unix times of ten digits: from 2001 to 2286. Milliseconds have more digits, and 0 mostly means `never`."""


def _read_text(value: Any, _: Any = None) -> str:
    """Read a string. Some servers write ids and dial codes as numbers."""
    return str(value) if type(value) is int and 0 <= value < _TOO_LARGE else str(_read_string(value))


def _read_time(value: Any, _: Any = None) -> datetime:
    """Read ISO 8601 or a Unix time."""
    is_digits = type(value) is str and value.isdecimal()
    seconds: Any = int(value) if is_digits and len(value) == len(str(_UNIX_TIMES[0])) else value
    if type(seconds) in (int, float) and _UNIX_TIMES[0] <= seconds < _UNIX_TIMES[1]:
        return datetime.fromtimestamp(seconds, UTC)
    # Python takes any character between date and time: of other digits it would make a time that nobody meant.
    if is_digits and len(value) != len("20250204"):
        raise _invalid("a time", value)
    try:
        time = datetime.fromisoformat(_read_string(value))
    except ValueError:
        raise _invalid("a time", value) from None
    return time if time.tzinfo else in_utc(time)


def _read_flag(value: Any, _: Any = None) -> bool:
    word = _WORDS.get(value.lower()) if type(value) is str else None
    return bool(_read_boolean(value)) if word is None else word


def _read_extra(value: Any, _: Any = None) -> Extra:
    return Extra(dict(without_links(value))) if _read_object(value) else NO_EXTRA  # a copy: the caller may own it


_READERS: Final[Mapping[Any, Reader]] = {str: _read_text, datetime: _read_time, bool: _read_flag}


def _open_enum_reader(enum: type[StrEnum]) -> Reader:
    members: dict[str, StrEnum] = {member.value: member for member in enum}

    def read(value: Any, _: Any = None) -> Any:
        return members.get(_read_string(value), value)

    return read


def _nested_reader(model: type[Any]) -> Reader:
    structure = _converter.get_structure_hook(model)

    def read(value: Any, _: Any = None) -> Any:
        return structure(_read_object(value), model)

    return read


def _reader_of(field: attrs.Attribute[Any]) -> Reader:
    """Return the reader of a field. It never gets a `None`."""
    kind = bare_type(field.type)
    if kind in _READERS:
        return _READERS[kind]
    if is_enum(kind):
        return _open_enum_reader(kind)
    if attrs.has(kind):
        return _nested_reader(kind)
    structure = _converter.get_structure_hook(kind)
    if field.default is not attrs.NOTHING:  # the first error is enough: the value stays in `extra`
        structure = _quick_hook(kind) or structure

    def read(value: Any, _: Any = None) -> Any:
        return structure(value, kind)

    return read


def _quick_hook(kind: Any) -> Reader | None:
    """Return the hook of an array or an object with any names that raises the first error alone."""
    make = _array_hook if _is_array(kind) else _mapping_hook if _is_mapping(kind) else None
    return None if make is None else make(kind, _converter, most=1)


def _has_extra(model: Any) -> bool:
    return attrs.has(model) and attrs.fields(model)[-1].name == "extra" and (get_origin(model) or model) is not Page


def _plain_plan_of(kind: Any) -> ModelPlan | None:
    return _plan_of(kind) if _has_extra(kind) and is_plain(kind) else None


def _plan_of(model: type[Any]) -> ModelPlan:
    readers = {field.name: _reader_of(field) for field in attrs.fields(model)[:-1]}
    other_names = {other: name for other, name in OTHER_NAMES.items() if name in readers}
    return ModelPlan(model, readers, other_names, without_links)


def _model_hook(model: type[Any]) -> Reader:
    """A model with `extra`: by its builder, and by the careful reader where the builder raises."""
    plan = _plan_of(model)
    read_carefully = _careful_reader(plan)
    if not is_plain(model):
        return read_carefully
    builder = DictBuilder(plan, _plain_plan_of)

    def read(members: Any, _: Any = None) -> Any:
        try:
            return builder.build_usual(members)
        except KeyError:  # it has other names than the objects before
            read_other = read_other_names
        except _LEFT_BY_BUILDERS:
            read_other = read_carefully
        return read_other(members)  # out here: its errors must not keep the builder's

    def read_other_names(members: Any) -> Any:
        try:
            return builder.build(members)
        except _LEFT_BY_BUILDERS:
            pass
        return read_carefully(members)  # out here for the same reason

    return read


def _careful_reader(plan: ModelPlan) -> Reader:
    """Read all members before raising. Then the error names every invalid one that is required."""
    model, readers = plan.model, plan.readers
    required = [field.name for field in plan.fields if field.default is attrs.NOTHING]
    aliases = {field.name: field.alias or field.name for field in plan.fields}

    def read(members: Any, _: Any = None) -> Any:
        values: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        errors: dict[str, Exception] = {}
        sent = _read_object(members)
        for name, value in sent.items():
            field = plan.field_of(name, sent)
            if field is None:
                extra[name] = value
            elif value is not None:
                try:
                    values[aliases[field]] = readers[field](value)
                except RecursionError:
                    raise
                except Exception as error:  # noqa: BLE001 - it may be of a model's own converter
                    if field in required:
                        errors[field] = error
                    else:  # one odd member is no reason to lose the row, and with it all rows of the page
                        extra[name] = value
        missing = [field for field in required if aliases[field] not in values]
        errors.update((field, KeyError(field)) for field in missing if field not in errors)
        if errors:
            raise ClassValidationError("", [_at(field, error) for field, error in errors.items()], model)  # pyright: ignore[reportCallIssue]  # typeshed knows ExceptionGroup's two
        return model(**values, extra=_read_extra(in_order(extra)))

    return read


def _object_hook(model: type[Any], converter: cattrs.Converter) -> Reader:
    """Any other model, by the hook of cattrs. Alone, that would look for members in a string, too."""
    structure = converter.gen_structure_attrs_fromdict(model)

    def read(value: Any, _: Any = None) -> Any:
        return structure(_read_object(value), model)

    return read


def _as_it_is(items: list[Any]) -> list[Any]:
    return items


_COLLECTIONS: Final[Mapping[Any, Any]] = {
    list: _as_it_is,
    MutableSequence: _as_it_is,
    tuple: tuple,
    Sequence: tuple,
    deque: deque,
    set: set,
    MutableSet: set,
    frozenset: frozenset,
    AbstractSet: frozenset,
}
"""What is made of an array, by the type of a field."""


def _is_array(kind: Any) -> bool:
    return get_origin(kind) in _COLLECTIONS and (get_origin(kind) is not tuple or get_args(kind)[-1] is ...)


def _array_hook(kind: Any, converter: cattrs.Converter, *, most: int = MAX_MISFITS) -> Reader:
    """Arrays. The hook of cattrs would read a string as an array of characters, and raise all errors of a long one."""
    read_items = _items_reader(get_args(kind)[0], converter, most)
    gather: Callable[[list[Any]], Any] = _COLLECTIONS[get_origin(kind)]

    def read(value: Any, _: Any = None) -> Any:
        items = read_items(_read_array(value), kind)
        try:
            return gather(items)
        except TypeError:  # a set can hold no `dict`
            raise _invalid("an array of strings or numbers", value) from None

    return read


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) in {dict, Mapping, MutableMapping}


def _mapping_hook(kind: Any, converter: cattrs.Converter, *, most: int = MAX_MISFITS) -> Reader:
    """Objects with any names. The hook of cattrs would raise all errors, and show the names in their paths."""
    read_names, read_values = (_items_reader(item, converter, most) for item in get_args(kind))

    def read(value: Any, _: Any = None) -> dict[Any, Any]:
        members = _read_object(value)
        return dict(zip(read_names(members, kind), read_values(members.values(), kind), strict=True))

    return read


def _items_reader(kind: Any, converter: cattrs.Converter, most: int = MAX_MISFITS) -> Reader:
    """Return a reader of several JSON values of one type. It stops after so many errors."""
    try:
        structure = converter.get_structure_hook(kind)
    except RecursionError:  # the type holds itself, so its hook is made later
        structure = converter.structure

    def read(items: Iterable[Any], collection: Any) -> list[Any]:
        values: list[Any] = []
        errors: list[Exception] = []
        count = 0
        for item in items:
            try:
                values.append(structure(item, kind))
            except Exception as error:  # noqa: BLE001 - it may be of a model's own converter
                error.__notes__ = [IterableValidationNote("", len(values) + len(errors), kind)]
                errors.append(error)
                count += _count(error)
                if count >= most:
                    break
        if errors:
            raise IterableValidationError("", errors, collection)  # pyright: ignore[reportCallIssue]  # typeshed knows ExceptionGroup's two
        return values

    return read


def _count(error: BaseException) -> int:
    return sum(map(_count, error.exceptions)) if isinstance(error, cattrs.BaseValidationError) else 1


def _at(name: str, error: Exception) -> Exception:
    """Add the note from which cattrs makes the path of the error."""
    error.__notes__ = [AttributeValidationNote(f"at {name}", name, Any)]
    return error


def _describe(error: BaseException, _: type | None) -> str:
    if isinstance(error, KeyError):
        return "required field missing"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    # Any other error is of cattrs, or of a model's own converter. Its text may hold the value.
    return str(error) if isinstance(error, _InvalidError) else f"invalid value ({type(error).__name__})"


def _is_given(_: Any, value: Any) -> bool:
    return value is not None


def _unstructure_hook(model: type[Any]) -> Callable[[Any], dict[str, Any]]:
    names = [field.name for field in attrs.fields(model)[:-1]]

    def unstructure(value: Any) -> dict[str, Any]:
        members = {
            name: _converter.unstructure(member) for name in names if (member := getattr(value, name)) is not None
        }
        return {**value.extra, **members}

    return unstructure


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=True)
    converter.register_structure_hook(str, _read_string)
    converter.register_structure_hook(bool, _read_boolean)
    converter.register_structure_hook(int, _strict(int, "a whole number"))
    converter.register_structure_hook(dict, lambda value, _: without_links(_read_object(value)))
    converter.register_structure_hook(Extra, _read_extra)
    converter.register_structure_hook(Page, lambda value, _: converter.structure(value, Page[PhoneNumber]))
    converter.register_structure_hook_factory(_is_array, _array_hook)
    converter.register_structure_hook_factory(_is_mapping, _mapping_hook)
    converter.register_structure_hook_factory(attrs.has, _object_hook)
    converter.register_structure_hook_factory(_has_extra, _model_hook)
    converter.register_unstructure_hook(Extra, dict)
    converter.register_unstructure_hook(Cursors, lambda cursors: attrs.asdict(cursors, filter=_is_given))
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_unstructure_hook(StrEnum, str)
    converter.register_unstructure_hook_factory(_has_extra, _unstructure_hook)
    return converter


_converter: Final = _make_converter()
