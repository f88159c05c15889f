"""What is said where an extra is not installed: the same sentence for each, with the line that installs it."""

import importlib
import subprocess
import sys

import pytest

from wa_phone_async._optional import Extra
from wa_phone_async.errors import InvalidArgumentError

LINE = 'this needs the extra "{0}": python -m pip install "wa_phone_async[{0}]"'


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("export.arrow", "arro3", "arrow"),
        ("export.dask", "distributed", "dask"),
        ("decoding.fast_path", "msgspec", "speed"),
        ("integrations.otel", "opentelemetry", "otel"),
        ("export.parquet", "arro3", "parquet"),
        ("ratelimit.redis", "redis", "redis"),
    ],
)
def test_an_import_without_its_package_says_what_to_install(module: str, package: str, extra: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; import wa_phone_async.{module}"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == f"ImportError: {LINE.format(extra)}"


def test_where_a_caller_wants_another_error_it_is_the_same_sentence() -> None:
    with pytest.raises(InvalidArgumentError) as caught, Extra("otel", error=InvalidArgumentError):
        importlib.import_module("no_such_package")
    assert str(caught.value) == LINE.format("otel")


@pytest.mark.parametrize("error", [ValueError("no"), ImportError("no", name="wa_phone_async.integrations.otel")])
def test_any_other_error_is_left_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, Extra("otel"):
        raise error
    assert caught.value is error
