"""Where an extra is not installed, the error has the line that installs it. The sentence is the same for each."""

import importlib
import subprocess
import sys

import pytest

from wa_phone_async._optional import requires
from wa_phone_async.errors import InvalidArgumentError

LINE = 'the extra "{0}" must be installed: python -m pip install "wa_phone_async[{0}]"'


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("export.record_batches", "arro3", "arrow"),
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


def test_where_an_argument_needs_it_the_sentence_is_the_same() -> None:
    with pytest.raises(InvalidArgumentError) as caught, requires("otel", error=InvalidArgumentError):
        importlib.import_module("no_such_package")
    assert str(caught.value) == LINE.format("otel")
    assert caught.value.argument == 'the extra "otel"'
    assert isinstance(caught.value.__cause__, ImportError)


@pytest.mark.parametrize("error", [ValueError("no"), ImportError("no", name="wa_phone_async.integrations.otel")])
def test_any_other_error_is_left_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, requires("otel"):
        raise error
    assert caught.value is error
