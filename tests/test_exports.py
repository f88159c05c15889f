"""The front door: its names are complete, sorted and described."""

import importlib
import inspect
from enum import StrEnum
from types import ModuleType

import pytest

import wa_phone_async

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
    assert sorted(set(NAMES)) == NAMES
    assert [name for name in NAMES if not hasattr(wa_phone_async, name)] == []


def test_nothing_public_is_missing_from_all() -> None:
    public = {
        name
        for name, value in vars(wa_phone_async).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
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


def test_the_front_door_says_what_it_is_and_which_version() -> None:
    assert "async with PhoneNumberClient" in (wa_phone_async.__doc__ or "")
    assert wa_phone_async.__version__.partition(".")[0].isdigit()
