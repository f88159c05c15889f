"""Which versions and extras are installed, by the metadata of the packages."""

from __future__ import annotations

import functools
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final

from wa_phone_async._version import __version__

from .report import Check

_PACKAGE: Final = "wa_phone_async"
_SHOWN: Final = ("aiohttp", "attrs", "cattrs")
_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9._-]+).*;.*\bextra == ['\"]([\w-]+)['\"]")


def check_versions() -> Check:
    """Say which versions run here, for a report of an error."""
    packages = ", ".join(f"{name} {_version_of(name)}" for name in _SHOWN)
    runs = f"{_PACKAGE} {__version__} runs on Python {platform.python_version()} ({platform.system()}) with {packages}."
    return Check(name="versions", status="ok", finding=runs)


def check_extras() -> Check:
    """Say which extras are installed. One that is not is no problem: what needs it says so."""
    packages = packages_of_extras()
    there = [extra for extra, names in packages.items() if all(map(_version_of, names))]
    missing = [extra for extra in packages if extra not in there]
    finding = f"Installed extras: {', '.join(there) or 'none'}."
    if missing:
        finding += f' Not installed: {", ".join(missing)}; python -m pip install "{_PACKAGE}[{missing[0]}]" adds one.'
    return Check(name="extras", status="ok", finding=finding)


@functools.cache
def packages_of_extras() -> dict[str, list[str]]:
    """The packages of each extra; empty if the library was copied here and not installed."""
    found = dict[str, list[str]]()
    try:
        stated = requires(_PACKAGE) or ()
    except PackageNotFoundError:
        stated = ()
    for name, extra in (match.groups() for match in map(_REQUIREMENT.match, stated) if match):
        found.setdefault(extra, []).append(name)
    return dict(sorted(found.items()))


@functools.cache  # it reads a file
def _version_of(name: str) -> str:
    """The version of a package; empty if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
