"""Models as fields of pydantic, and so as responses of FastAPI: `response_model=list[PhoneNumber]`.

pydantic calls two methods of a class, if it has them. `give_schemas` adds them, and nothing here imports pydantic
before it calls them.

The JSON is that of `to_dict`: there is no member for what is `None`, and the members of `extra` are among the others.
So the JSON schema requires only what a model requires, and allows further members. A response has more for certain: all
that is never `None`.
"""

from __future__ import annotations

from functools import partial
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

import attrs

from wa_phone_async.decoding.converter import from_dict, to_dict
from wa_phone_async.errors import DecodeError
from wa_phone_async.models import (
    BusinessAccount,
    CreatedPhoneNumber,
    Cursors,
    Extra,
    Page,
    PhoneNumber,
    SuccessResponse,
    Throughput,
)
from wa_phone_async.usage import Usage, UsageMetric

_MODELS: Final[tuple[type[Any], ...]] = (
    *(PhoneNumber, BusinessAccount, CreatedPhoneNumber, SuccessResponse, Throughput, Cursors, Page, Extra),
    *(Usage, UsageMetric),
)


def give_schemas() -> None:
    """Give each model the methods that pydantic calls."""
    for model in _MODELS:
        kind: Any = model  # type checkers know no such methods
        kind.__get_pydantic_core_schema__ = staticmethod(_core_schema)
        kind.__get_pydantic_json_schema__ = staticmethod(partial(_json_schema, model))


def _core_schema(source: Any, handler: Any) -> Any:
    """How pydantic reads and writes a model: as `from_dict` and `to_dict` do.

    Args:
        source: The model, or one of a kind of rows, such as `Page[PhoneNumber]`.
        handler: Makes the schemas of other types.
    """
    from pydantic_core import core_schema  # noqa: PLC0415 - pydantic is there where it calls this

    model, rows = get_origin(source) or source, get_args(source)
    fields = {
        field.name: core_schema.typed_dict_field(
            handler.generate_schema(_type_of(field, rows)), required=field.default is attrs.NOTHING
        )
        for field in (attrs.fields(model) if attrs.has(model) else ())
        if field.type is not Extra or field.name != "extra"
    }
    name = "_".join(getattr(kind, "__name__", "Any") for kind in (model, *rows))
    return core_schema.no_info_plain_validator_function(
        partial(_read, source, model),
        ref=f"{name}:{hash((model, *rows)):x}",
        serialization=core_schema.plain_serializer_function_ser_schema(to_dict),
        json_schema_input_schema=core_schema.typed_dict_schema(fields, cls_name=name, extra_behavior="allow"),
    )


def _json_schema(model: type[Any], schema: Any, handler: Any) -> dict[str, Any]:
    """The JSON schema of a model: an object with its fields."""
    description = (model.__doc__ or "").partition("\n")[0]
    found: dict[str, Any] = handler(schema["json_schema_input_schema"])
    if handler.mode == "serialization" and attrs.has(model):
        always = [field.name for field in attrs.fields(model) if NoneType not in get_args(field.type)]
        found = {**found, "required": [name for name in always if name in found["properties"]]}
    return {"title": model.__name__, "description": description, **found}


def _read(source: Any, model: type[Any], value: object) -> Any:
    if isinstance(value, model):
        return value
    try:
        return from_dict(source, value)
    except DecodeError as error:
        raise ValueError(str(error)) from None


def _type_of(field: attrs.Attribute[Any], rows: tuple[Any, ...]) -> Any:
    """The type of a member that is there: `to_dict` leaves out what is `None`."""
    if get_origin(field.type) is tuple:
        return list[rows[0] if rows else Any]  # type: ignore[misc]  # a type at run time
    if get_origin(field.type) in {Union, UnionType}:
        return Union[tuple(kind for kind in get_args(field.type) if kind is not NoneType)]  # noqa: UP007 - of a tuple
    return field.type
