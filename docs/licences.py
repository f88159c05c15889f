"""Lists the licences of all that the package needs, with each of its extras, in `licences.md`.

    python docs/licences.py            # compares the list with what is installed
    python docs/licences.py --update   # renews it

All extras have to be installed. What only other systems or versions of Python need is kept as it is in the list.
"""

from __future__ import annotations

import argparse
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LIST = Path(__file__).with_name("licences.md")
HEAD = """# Licences

wa_phone_async has the MIT licence. It needs the packages below, and contains none of them. Each is installed from the
package index, under its own licence. An extra lists what it adds to the core.

| package | licence | needed by |
|---|---|---|
"""
ROW = re.compile(r"\| \[?([\w-]+).*\| (.+) \| (.+) \|")


def licence(package: Distribution) -> str:
    """Return what a package says of its licence: an expression, else classifiers, else the first line of a text."""
    about = package.metadata
    if expression := about.get("License-Expression"):
        return expression
    classifiers = (
        line.rpartition(" :: ") for line in about.get_all("Classifier") or () if line.startswith("License ::")
    )
    named = [name for _, _, name in classifiers if name != "OSI Approved"]
    return " or ".join(named) or (about.get("License") or "unknown").strip().partition("\n")[0]


def needed(extra: str) -> dict[str, str]:
    """Return the licence of each package that an extra needs here; of the core for an empty one."""
    found, rest = dict[str, str](), [("wa_phone_async", extra)]
    while rest:
        name, wanted = rest.pop()
        for line in distribution(name).requires or ():
            requirement = Requirement(line)
            package = canonicalize_name(requirement.name)
            is_ours = package == "wa-phone-async"
            if requirement.marker and not requirement.marker.evaluate({"extra": wanted}):
                continue
            if name == "wa_phone_async" and wanted and "extra" not in str(requirement.marker or ""):
                continue  # the core's
            try:
                package_licence = licence(distribution(package))
            except PackageNotFoundError:
                continue  # the fork of backoff stands for it, or another system needs it
            is_new = package not in found
            found[package] = package_licence
            if is_new and not is_ours:
                rest.extend((package, of_package) for of_package in requirement.extras or {""})
    return found


def rows() -> dict[str, tuple[str, str]]:
    """Return the licence of each package that is installed, and what needs it."""
    extras = distribution("wa_phone_async").metadata.get_all("Provides-Extra") or []
    by_extra = {extra: needed(extra) for extra in ("", *extras)}
    found = dict[str, tuple[str, str]]()
    for packages in by_extra.values():
        for package, its_licence in packages.items():
            by = [extra or "the core" for extra, names in by_extra.items() if package in names]
            found[package] = its_licence, "the core" if "the core" in by else ", ".join(by)
    return found


def listed() -> dict[str, tuple[str, str]]:
    """Return what the list says."""
    lines = LIST.read_text(encoding="utf-8").splitlines() if LIST.exists() else []
    return {
        found[1]: (found[2], found[3]) for line in lines if (found := ROW.fullmatch(line)) and found[1] != "package"
    }


def main() -> int:
    """Compare, or renew the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="renew licences.md")
    here, before = rows(), listed()
    if parser.parse_args().update:
        table = {**before, **here}
        text = "".join(f"| {package} | {what} | {by} |\n" for package, (what, by) in sorted(table.items()))
        LIST.write_text(f"{HEAD}{text}", encoding="utf-8")
        return 0
    wrong = {package: row for package, row in here.items() if before.get(package) != row}
    for package, row in wrong.items():
        print(f"{package} has {row}; docs/licences.md has {before.get(package)}", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
