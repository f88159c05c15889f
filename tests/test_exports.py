"""The front door: its names are complete, sorted and described. Its objects have a `repr` even while they are made."""

import importlib
import inspect
import subprocess
import sys
import traceback
from contextlib import suppress
from enum import Enum, StrEnum
from types import ModuleType
from typing import Any

import attrs
import pytest

import wa_phone_async
from wa_phone_async._public import calls, workflows

CONTRACT = """
    PhoneNumberClient GraphSession AsyncPaginator Page PhoneNumber CreatedPhoneNumber BusinessAccount
    Filter Sort RetryPolicy ALL_FIELDS
    PhoneNumberStatus QualityRating CodeVerificationStatus UnifiedCertStatus AccountMode HostPlatform
    MessagingLimitTier NameStatus
    WaPhoneError InvalidArgumentError TransportError RequestTimeoutError OutcomeUnknownError DecodeError PaginationError
    GraphAPIError BadRequestError AuthenticationError PermissionDeniedError NotFoundError ConflictError
    UnprocessableEntityError RateLimitError ServerError
    to_dict from_dict
    Change Watch Readiness is_ready read_readiness WaitError WaitTimeoutError
"""
NAMES = wa_phone_async.__all__
CALLABLES = [
    name
    for name in NAMES
    if inspect.isclass(getattr(wa_phone_async, name)) or inspect.isfunction(getattr(wa_phone_async, name))
]


@pytest.mark.parametrize("name", CONTRACT.split())
def test_each_name_of_the_contract_is_there(name: str) -> None:
    assert name in NAMES
    assert hasattr(wa_phone_async, name)


def test_all_is_sorted_without_duplicates_and_importable() -> None:
    for names in (calls.__all__, workflows.__all__):
        assert sorted(set(names), key=lambda name: (not name.isupper(), name)) == names  # constants come first
    assert [*calls.__all__, *workflows.__all__] == NAMES
    assert [name for name in NAMES if not hasattr(wa_phone_async, name)] == []


def test_nothing_public_is_missing_from_all() -> None:
    everything = {**vars(calls), **vars(workflows)}.items()
    public = {name for name, value in everything if not name.startswith("_") and not isinstance(value, ModuleType)}
    assert public == {name for name in NAMES if not name.startswith("_")}


def test_every_error_and_enum_of_the_core_is_public() -> None:
    for module in ("errors", "models", "query"):
        for name, value in inspect.getmembers(importlib.import_module(f"wa_phone_async.{module}"), inspect.isclass):
            if issubclass(value, wa_phone_async.WaPhoneError | StrEnum) and value is not StrEnum:
                assert name in NAMES


@pytest.mark.parametrize("name", CALLABLES)
def test_every_public_name_is_described_in_a_summary_line(name: str) -> None:
    summary = (getattr(wa_phone_async, name).__doc__ or "").partition("\n")[0]
    assert summary.endswith(".")
    assert not summary.startswith(f"{name}(")  # as attrs or dataclasses would write it


def test_the_front_door_imports_nothing_before_the_first_name_is_used() -> None:
    code = """
import sys, wa_phone_async
assert wa_phone_async.__version__
print(*(name for name in sys.modules if name.startswith("wa_phone_async.")))
print("PhoneNumberClient" in dir(wa_phone_async), wa_phone_async.PhoneNumberClient.__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    # `starting` does nothing but for the command line.
    few = "wa_phone_async.cli wa_phone_async.cli.starting wa_phone_async._version"
    assert done.stdout.splitlines() == [few, "True PhoneNumberClient"]


def test_a_client_does_not_import_what_few_programs_need() -> None:
    code = """
import sys
from wa_phone_async import PhoneNumberClient
print(*sorted({name.split(".")[1] for name in sys.modules if name.startswith("wa_phone_async.")}))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    few = {"cache", "diagnosis", "edits", "export", "health", "profiles", "report", "sandbox", "webhooks"}
    assert few.isdisjoint(done.stdout.split())


def test_a_star_imports_all_public_names() -> None:
    code = "from wa_phone_async import *; print(*sorted(set(globals()) - {'__builtins__'}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert set(NAMES) <= set(done.stdout.split())


def test_a_name_that_is_not_there_is_an_error_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match=r"^module 'wa_phone_async' has no attribute 'Nothing'$"):
        _ = wa_phone_async.Nothing  # type: ignore[attr-defined]  # the mistake under test
    with pytest.raises(ImportError, match="cannot import name 'Nothing' from 'wa_phone_async'"):
        exec("from wa_phone_async import Nothing")


def test_the_front_door_says_what_it_is_and_which_version() -> None:
    assert "async with PhoneNumberClient" in (wa_phone_async.__doc__ or "")
    assert wa_phone_async.__version__.partition(".")[0].isdigit()


EXTRAS = ("cache.webhooks", "events", "export", "export.dask", "integrations.otel", "ratelimit.redis", "sandbox")


def public_classes() -> set[type[Any]]:
    """The public classes of all modules whose extra is installed."""
    modules = [wa_phone_async]
    for name in EXTRAS:
        with suppress(ImportError):
            modules.append(importlib.import_module(f"wa_phone_async.{name}"))
    found = set[type[Any]]()
    for module in modules:
        names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
        found |= {value for value in (getattr(module, name) for name in names) if inspect.isclass(value)}
    return {kind for kind in found if kind.__module__.startswith("wa_phone_async") and not issubclass(kind, Enum)}


def has_own_repr(kind: type[Any]) -> bool:
    return any("__repr__" in vars(base) for base in kind.__mro__ if base.__module__.startswith("wa_phone_async"))


PUBLIC = sorted(public_classes(), key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")


@pytest.mark.parametrize("kind", [kind for kind in PUBLIC if not attrs.has(kind) and has_own_repr(kind)])
def test_an_object_that_is_not_made_yet_has_a_repr(kind: type[Any]) -> None:
    new: Any = kind.__new__
    assert repr(new(kind))


@pytest.mark.parametrize("kind", [kind for kind in PUBLIC if attrs.has(kind)])
def test_a_value_is_whole_before_anything_can_fail(kind: type[Any]) -> None:
    assert [field.name for field in attrs.fields(kind) if field.converter or field.validator] == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: wa_phone_async.Throttle(quota=0),
        lambda: wa_phone_async.PhoneNumberCache(wa_phone_async.PhoneNumberClient("an-invented-token"), ttl=-1),
        lambda: wa_phone_async.PhoneNumberClient("an-invented-token", timeout=-1),
        lambda: wa_phone_async.RetryPolicy(max_attempts=0),
    ],
)
def test_a_traceback_shows_the_locals_of_a_constructor_that_rejects_its_arguments(make: Any) -> None:
    with pytest.raises(wa_phone_async.InvalidArgumentError) as caught:
        make()
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "self = " in shown
