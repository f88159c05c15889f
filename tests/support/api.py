"""The public API as text: a line for each class, function and field. `nox -s api` compares it with `tests/api.txt`.

What is public is what `docs/reference.md` names. griffe reads the sources, so no extra has to be installed.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference.md"
_SYNTAX = {f"__{name}__" for name in ("init", "call", "aiter", "anext", "iter", "len", "getitem", "contains")}
BASELINE = ROOT / "tests" / "api.txt"


def public_names() -> list[str]:
    """Return the full names that the reference documents."""
    names, module = set[str](), "wa_phone_async"
    for line in REFERENCE.read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"\.\. (?:currentmodule|automodule|module):: ([\w.]+)", line):
            module = found[1]
        elif found := re.fullmatch(r" {3}([\w.]+)", line):
            names.add(f"{module}.{found[1]}")
    return sorted(names)


def describe(name: str, thing: griffe.Object | griffe.Alias) -> Iterator[str]:
    """Yield the lines of a public name, and of all that it has."""
    if isinstance(thing, griffe.Alias):
        thing = thing.final_target
    if isinstance(thing, griffe.Function):
        is_async = "async " if "async" in thing.labels else ""
        for signature in thing.overloads or [thing]:
            yield f"{name}{parameters(signature)} -> {is_async}{signature.returns or 'Any'}"
    elif isinstance(thing, griffe.Attribute):
        is_told = (
            thing.labels & {"class-attribute", "module-attribute"}
            and 0 < len(str(thing.value or "")) <= 60
            and thing.name != "__version__"
        )
        yield f"{name}: {thing.annotation or 'Any'}{f' = {thing.value}' if is_told else ''}"
    else:
        if isinstance(thing, griffe.Class):
            yield f"class {name}({', '.join(map(str, thing.bases))})"
        for member in thing.all_members.values():
            if is_public(member.name) and not isinstance(member, griffe.Module):
                yield from describe(f"{name}.{member.name}", member)


def parameters(function: griffe.Function) -> str:
    """Return the parameters as Python writes them."""
    given, kinds = list[str](), griffe.ParameterKind
    previous: griffe.ParameterKind | None = None
    for each in function.parameters:
        if each.name in {"self", "cls"}:
            continue
        if previous is kinds.positional_only and each.kind is not previous:
            given.append("/")
        if each.kind is kinds.keyword_only and previous not in {kinds.keyword_only, kinds.var_positional}:
            given.append("*")
        stars = {kinds.var_positional: "*", kinds.var_keyword: "**"}.get(each.kind, "")
        has_default = each.default is not None and not stars
        given.append(f"{stars}{each.name}: {each.annotation or 'Any'}{f' = {each.default}' if has_default else ''}")
        previous = each.kind
    return f"({', '.join(given)})"


def is_public(name: str) -> bool:
    """Whether it is public, or a method by which Python's syntax uses the object."""
    return not name.startswith("_") or name in _SYNTAX


def api() -> list[str]:
    """Return the lines of the whole API."""
    package = griffe.load("wa_phone_async", search_paths=[str(ROOT)], resolve_aliases=True, resolve_external=False)
    doors = {**package["_public.calls"].all_members, **package["_public.workflows"].all_members}
    lines = list[str]()
    for name in public_names():
        path = name.removeprefix("wa_phone_async.")
        thing = package[path] if "." in path else doors.get(path) or package[path]
        lines.extend(describe(name, thing))
    return lines


def main() -> int:
    """Compare, or renew the baseline."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="renew tests/api.txt")
    found = api()
    if parser.parse_args().update:
        BASELINE.write_text("".join(f"{line}\n" for line in found), encoding="utf-8")
        return 0
    stored = BASELINE.read_text(encoding="utf-8").splitlines()
    difference = list(difflib.unified_diff(stored, found, "tests/api.txt", "the sources", n=0, lineterm=""))
    if difference:
        difference.append("The public API has changed. If you want that, run: nox -s api -- --update")
        sys.stderr.write("".join(f"{line}\n" for line in difference))
    return bool(difference)


if __name__ == "__main__":
    sys.exit(main())
