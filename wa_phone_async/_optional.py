"""Optional packages. Where one is missing, `requires` says what to install."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from .errors import InvalidArgumentError


@contextmanager
def requires(extra: str, *, error: type[ImportError | InvalidArgumentError] = ImportError) -> Generator[None]:
    """Import an extra's packages in the block, or say what to install.

    It reads `with requires("otel"): from opentelemetry import trace`.

    Args:
        extra: The extra's name.
        error: What to raise where a package is missing. Take `InvalidArgumentError` where an argument needs the extra.
    """
    try:
        yield
    except ImportError as missing:
        if str(missing.name).partition(".")[0] == "wa_phone_async":
            raise  # it is our own mistake, and no installation fixes it
        install = f'python -m pip install "wa_phone_async[{extra}]"'
        wrong = InvalidArgumentError(f'the extra "{extra}"', "installed", hint=install)
        raise (wrong if error is InvalidArgumentError else ImportError(str(wrong))) from missing


@contextmanager
def requires_package(package: str, name: str) -> Generator[None]:
    """Import a package that no extra has in the block, or say what to install.

    Args:
        package: The package's name.
        name: What needs it.
    """
    try:
        yield
    except ImportError as missing:
        hint = f"python -m pip install {package}"
        raise InvalidArgumentError(f"{package}, which {name} needs,", "installed", hint=hint) from missing
