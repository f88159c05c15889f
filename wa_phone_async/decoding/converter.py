"""The one cattrs converter: JSON → values, or an error that says where it does not fit; and values → plain JSON.

The recipe. Each model gets one structure hook, which asks twice. Its *builder* (`builders`), a function written for
the model, makes the value of what is usual. What the builder leaves is read *with care*: member by member, each with
the reader of its field, until all that does not fit is known with its place: `expected a string, not a number @
$.data[3].id`. Both keep what no field knows in `extra`, by name, and nothing is coerced: a string field takes strings.
Four fields' types are gentler. An open enum keeps an unknown value as the string that came; a time that is no time, an
object that is none, and a boolean that is an empty text stay in `extra` under their own name.

The bytes of a page have a hook too: the fast path of `fast_path`, where msgspec is installed. It gives the same
rows or leaves the page alone, so what is above holds for it as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NoReturn, TypeVar, cast, get_args, get_origin

import attrs
import cattrs
from cattrs.cols import list_structure_factory
from cattrs.errors import AttributeValidationNote, ClassValidationError

from wa_phone_async.errors import DecodeError
from wa_phone_async.models import NO_EXTRA, Cursors, Extra, Page, PhoneNumber

from .builders import Recipe, UnusualError, bare_type, dict_builder, in_order, in_utc, is_enum, is_plain
from .plain_page import PageReader, PlainPage

T = TypeVar("T")

Json = dict[str, Any] | list[Any] | str | float | None
"""A JSON value, as `json` gives it; a `bool` and an `int` are `float`s to a type checker."""

Reader = Callable[..., Any]
"""Reads one JSON value, or raises what does not fit. cattrs calls it with the type as a second argument."""

FAST_PATH_SWITCH: Final = "WA_PHONE_FAST_PATH"
"""The environment variable which, set to `off` before the first page is read, leaves all pages to the core path."""

_OTHER_NAMES: Final = {"platform_type": "host_platform"}
"""Second names of fields. The first name wins where both came."""


def read_json(body: bytes, *, http_status: int | None = None) -> Any:
    """The JSON in a body.

    Raises:
        DecodeError: It is not JSON in UTF-8, or nested deeper than Python can follow.
    """
    try:
        return _JSON.decode(body.decode())
    except RecursionError:
        why, garbled = "nested too deep to be read", False
    except ValueError:
        why, garbled = "not JSON" if body else "empty", True
    raise DecodeError(f"the answer is {why} ({len(body)} bytes)", http_status=http_status, garbled=garbled)


def read_model(payload: object, model: type[T], *, http_status: int | None = None, path: str = "$") -> T:
    """A payload as a value of a model, such as `PhoneNumber`, `list[PhoneNumber]` or `dict`.

    Raises:
        DecodeError: Something does not fit. The text says what and where, and holds no value.
    """
    try:
        return _converter.structure(payload, model)
    except (cattrs.BaseValidationError, _MisfitError) as error:
        misfits = cattrs.transform_error(error, path, _describe)
    except RecursionError:
        misfits = [f"nested too deep to be read @ {path}"]
    more = f" (and {len(misfits) - 1} more)" if len(misfits) > 1 else ""
    raise DecodeError(f"{misfits[0]}{more}", http_status=http_status)


def read_plain_page(body: bytes, model: type[T]) -> PlainPage[T] | None:
    """The rows in the bytes of a page, by the fast path; `None` where there is none, or it leaves the page alone.

    A page that it gives has no `error`, and no member beside `data` and `paging`.
    """
    page: PlainPage[T] | None = _converter.structure(body, PlainPage[model])  # type: ignore[valid-type]  # a type at run time
    return page


def from_dict(model: type[T], data: object) -> T:
    """The value that `to_dict` made plain: `from_dict(PhoneNumber, data)`, `from_dict(Page[PhoneNumber], data)`.

    It reads what the API sends just as well.

    Raises:
        DecodeError: Something does not fit. The text says what and where.
    """
    return read_model(data, model)


def to_dict(value: attrs.AttrsInstance | Extra) -> dict[str, Any]:
    """A value as plain JSON: enums as strings, times in ISO 8601, `extra` among the other members, no `None`."""
    plain: dict[str, Any] = _converter.unstructure(value)
    return plain


def without_links(value: Json) -> Any:
    """The same JSON without the links of nested lists, since Graph writes the access token into them.

    Where there are none, which is nearly always, it is the same object: copies would be more for the garbage collector.
    """
    if not _has_links(value):
        return value
    if isinstance(value, dict):
        return {key: _without_links_of(item) if key == "paging" else without_links(item) for key, item in value.items()}
    return [without_links(item) for item in cast("list[Json]", value)]


def _has_links(value: Json) -> bool:
    if isinstance(value, dict):
        return "paging" in value or any(map(_has_links, value.values()))
    return isinstance(value, list) and any(map(_has_links, value))


def _without_links_of(paging: Json) -> Json:
    links = ("next", "previous")
    return {key: item for key, item in paging.items() if key not in links} if isinstance(paging, dict) else paging


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_JSON: Final = json.JSONDecoder(parse_constant=_refuse_constant)


class _StaysInExtraError(UnusualError):
    """The value is not what the field holds, and does no harm."""


class _MisfitError(UnusualError):
    """The value is not what the field holds, and nothing is coerced."""


_LEFT_BY_BUILDERS: Final = (UnusualError, TypeError, ValueError, cattrs.BaseValidationError, RecursionError)


def _misfit(expected: str, value: object) -> _MisfitError:
    kinds: dict[type[Any], str] = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return _MisfitError(f"expected {expected}, not {kinds.get(type(value), 'a number')}")


def _strict(kind: type[Any], expected: str) -> Reader:
    def read(value: Any, _: Any = None) -> Any:
        if type(value) is not kind:
            raise _misfit(expected, value)
        return value

    return read


_read_string: Final = _strict(str, "a string")
_read_boolean: Final = _strict(bool, "a boolean")
_read_object: Final = _strict(dict, "an object")
_read_array: Final = _strict(list, "an array")


def _read_time(value: Any, _: Any = None) -> datetime:
    try:
        time = datetime.fromisoformat(_read_string(value))
    except ValueError:
        raise _StaysInExtraError from None
    return time if time.tzinfo else in_utc(time)


def _read_flag(value: Any, _: Any = None) -> bool:
    if value == "":
        raise _StaysInExtraError
    return bool(_read_boolean(value))


def _read_extra(value: Any, _: Any = None) -> Extra:
    return Extra(without_links(value)) if _read_object(value) else NO_EXTRA


def _open_enum_reader(enum: type[StrEnum]) -> Reader:
    members: dict[str, StrEnum] = {member.value: member for member in enum}

    def read(value: Any, _: Any = None) -> Any:
        return members.get(_read_string(value), value)

    return read


def _nested_reader(model: type[Any]) -> Reader:
    structure = _converter.get_structure_hook(model)

    def read(value: Any, _: Any = None) -> Any:
        if type(value) is not dict:
            raise _StaysInExtraError
        return structure(value, model)

    return read


def _reader_of(annotation: Any) -> Reader:
    """The reader of a field's type. `None` in it is dealt with elsewhere."""
    kind = bare_type(annotation)
    if kind is datetime:
        return _read_time
    if kind is bool:
        return _read_flag
    if is_enum(kind):
        return _open_enum_reader(kind)
    return _nested_reader(kind) if attrs.has(kind) else _converter.get_structure_hook(kind)


def _has_extra(model: Any) -> bool:
    return attrs.has(model) and attrs.fields(model)[-1].name == "extra" and (get_origin(model) or model) is not Page


def _is_plain_page(kind: Any) -> bool:
    return get_origin(kind) is PlainPage


def _plain_page_hook(kind: Any) -> Reader:
    """Pages of a model, by the fast path. It is looked for where the first page of the model is read."""
    recipe = _plain_recipe_of(get_args(kind)[0])
    read_page = _make_page_reader(recipe) if recipe else None

    def read(body: bytes, _: Any = None) -> PlainPage[Any] | None:
        return read_page(body) if read_page else None

    return read


def _make_page_reader(recipe: Recipe) -> PageReader | None:
    """The reader of the fast path, where msgspec is installed and the switch is not off."""
    if os.environ.get(FAST_PATH_SWITCH) == "off":
        return None
    try:
        from .fast_path import page_reader  # noqa: PLC0415 - msgspec is optional, and imported for the first page only
    except ImportError:
        return None
    return page_reader(recipe, _plain_recipe_of)


def _plain_recipe_of(kind: Any) -> Recipe | None:
    return _recipe_of(kind) if _has_extra(kind) and is_plain(kind) else None


def _recipe_of(model: type[Any]) -> Recipe:
    readers = {field.name: _reader_of(field.type) for field in attrs.fields(model)[:-1]}
    other_names = {other: name for other, name in _OTHER_NAMES.items() if name in readers}
    return Recipe(model, readers, other_names, without_links)


def _model_hook(model: type[Any]) -> Reader:
    """A model with `extra`: by its builder, and whatever that leaves is read with care."""
    recipe = _recipe_of(model)
    read_with_care = _careful_reader(recipe)
    if not is_plain(model):
        return read_with_care
    build = dict_builder(recipe, _plain_recipe_of)

    def read(members: Any, _: Any = None) -> Any:
        try:
            return build(members)
        except _LEFT_BY_BUILDERS:
            pass
        return read_with_care(members)

    return read


def _careful_reader(recipe: Recipe) -> Reader:
    """Reads all that can be read, and says of each member that does not fit where it is."""
    model, readers = recipe.model, recipe.readers
    required = [field.name for field in recipe.fields if field.default is attrs.NOTHING]
    aliases = {field.name: field.alias or field.name for field in recipe.fields}

    def read(members: Any, _: Any = None) -> Any:
        values: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        misfits: dict[str, Exception] = {}
        for name, value in _with_first_names(_read_object(members), recipe).items():
            if name not in readers:
                extra[name] = value
            elif value is not None:
                try:
                    values[aliases[name]] = readers[name](value)
                except _StaysInExtraError:
                    extra[name] = value
                except (_MisfitError, ClassValidationError) as error:
                    misfits[name] = error
        for name in required:
            if aliases[name] not in values:
                misfits.setdefault(name, KeyError(name))
        if misfits:
            raise ClassValidationError("", [_at(name, error) for name, error in misfits.items()], model)  # pyright: ignore[reportCallIssue]  # typeshed knows ExceptionGroup's two
        return model(**values, extra=_read_extra(in_order(extra)))

    return read


def _object_hook(model: type[Any], converter: cattrs.Converter) -> Reader:
    """Any other model, by the hook that cattrs makes, which would look for members in a text as well."""
    structure = converter.gen_structure_attrs_fromdict(model)

    def read(value: Any, _: Any = None) -> Any:
        return structure(_read_object(value), model)

    return read


def _is_array(kind: Any) -> bool:
    return get_origin(kind) is list or (get_origin(kind) is tuple and get_args(kind)[-1] is ...)


def _array_hook(kind: Any, converter: cattrs.Converter) -> Reader:
    """Arrays, by the hook that cattrs makes, which would go through the characters of a text as well."""
    structure, gather = list_structure_factory(kind, converter), get_origin(kind)

    def read(value: Any, _: Any = None) -> Any:
        return gather(structure(_read_array(value), kind))

    return read


def _with_first_names(members: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """The members with a second name made the first, where the first one did not come or is null."""
    for other, name in recipe.other_names.items():
        if other in members and members.get(name) is None:
            members = {**members, name: members[other]}
            del members[other]
    return members


def _at(name: str, error: Exception) -> Exception:
    """The error with the note from which cattrs forms the path."""
    error.__notes__ = [AttributeValidationNote(f"at {name}", name, Any)]
    return error


def _describe(error: BaseException, _: type | None) -> str:
    if isinstance(error, KeyError):
        return "required field missing"
    return "nested too deep to be read" if isinstance(error, RecursionError) else str(error)


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
    converter.register_structure_hook_factory(attrs.has, _object_hook)
    converter.register_structure_hook_factory(_has_extra, _model_hook)
    converter.register_structure_hook_factory(_is_plain_page, _plain_page_hook)
    converter.register_unstructure_hook(Extra, dict)
    converter.register_unstructure_hook(Cursors, lambda cursors: attrs.asdict(cursors, filter=_is_given))
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_unstructure_hook(StrEnum, str)
    converter.register_unstructure_hook_factory(_has_extra, _unstructure_hook)
    return converter


_converter: Final = _make_converter()
