"""The list of licences has each package that is installed here for the package and its extras."""

from importlib.metadata import version
from pathlib import Path

import pytest
from scripts import load

pytest.importorskip("packaging", reason="the list is made with packaging")
for module in ("apprise", "arro3.io", "cyclopts", "distributed", "msgspec", "opentelemetry", "redis"):
    pytest.importorskip(module, reason="an extra is not installed")

ROOT = Path(__file__).parents[1]
licences = load(ROOT / "docs" / "licences.py")


PINNED = dict(
    line.partition(" ;")[0].split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
)


def test_each_package_has_its_row() -> None:
    """Of the version that CI installs: another one may state the same licence in other words."""
    listed = licences.listed()
    found = {package: row for package, row in licences.rows().items() if version(package) == PINNED.get(package)}
    assert {package: listed.get(package) for package in found} == found


def test_every_licence_is_known_and_none_binds_a_program_that_uses_the_package() -> None:
    for package, (licence, _) in licences.listed().items():
        assert licence != "unknown", package
        assert "GPL" not in licence, package
