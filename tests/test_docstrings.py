"""What an editor shows: each public name has a docstring, with the unit of a duration and the source of a fact.

The tests read the source, since Python forgets the string under a field, a constant or a value of an enum.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parent.parent / "wa_phone_async"
FRONT_DOORS = ("_public/calls", "_public/workflows", "export/__init__", "sandbox/__init__", "ratelimit/redis/__init__")
CONVENTIONAL = {"__version__"}  # explained by Python's own conventions
WHOLE_MODULES = ("export/dask", "integrations/otel", "sandbox/pytest_plugin")  # modules without a list of public names
UNIT = re.compile(r"seconds?(\b|_)|percent", re.IGNORECASE)
SOURCE = re.compile(r"\bread\s+20\d\d-\d\d-\d\d\b")


class Name(NamedTuple):
    place: str
    text: str
    kind: str
    """The type of a field or a property; else empty."""


def parse(module: str) -> ast.Module:
    return ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))


def text_under(statements: list[ast.stmt], place: int) -> str:
    """Return the string that stands after a statement."""
    after = statements[place + 1] if place + 1 < len(statements) else None
    is_text = (
        isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
    )
    return str(ast.literal_eval(after.value)) if isinstance(after, ast.Expr) and is_text else ""


def names_in(statements: list[ast.stmt], owner: str = "") -> Iterator[Name]:
    """Yield all that the statements define, without overloads."""
    classes = {node.name: node for node in statements if isinstance(node, ast.ClassDef)}
    for place, node in enumerate(statements):
        if isinstance(node, ast.ClassDef):
            yield Name(node.name, ast.get_docstring(node) or "", "")
            yield from members_of(node, classes)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = {ast.unparse(each) for each in node.decorator_list}
            kind = ast.unparse(node.returns) if node.returns and "property" in decorators else ""
            if "overload" not in decorators:
                yield Name(f"{owner}{node.name}", ast.get_docstring(node) or "", kind)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            kind = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
            yield Name(f"{owner}{ast.unparse(target)}", text_under(statements, place), kind)


def members_of(kind: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> Iterator[Name]:
    """Yield the fields and methods of a class, and what its `__init__` sets unless the class or a base names it."""
    own = list(names_in(kind.body, f"{kind.name}."))
    yield from own
    bases = [classes[base.id] for base in kind.bases if isinstance(base, ast.Name) and base.id in classes]
    named = {name.place.partition(".")[2] for each in (kind, *bases) for name in names_in(each.body, f"{each.name}.")}
    for node in kind.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            for name in names_in(node.body):
                target, _, attribute = name.place.partition(".")
                if target == "self" and attribute not in named:
                    yield name._replace(place=f"{kind.name}.{attribute}")


def source_of(door: str, node: ast.ImportFrom) -> str:
    """Return the module from which a front door imports names."""
    folder = "".join(door.rpartition("/")[:2]) if node.level else ""
    return f"{folder}{node.module}".removeprefix("wa_phone_async.").replace(".", "/")


def public_names() -> Iterator[Name]:
    for door in FRONT_DOORS:
        tree = parse(door).body
        public = next(ast.literal_eval(node.value) for node in tree if isinstance(node, ast.Assign))
        for node in (node for node in tree if isinstance(node, ast.ImportFrom)):
            wanted = {alias.name for alias in node.names} & set(public)
            names = names_in(parse(source_of(door, node)).body)
            yield from (name for name in names if name.place.partition(".")[0] in wanted)
    for module in WHOLE_MODULES:
        yield from names_in(parse(module).body)


NAMES = {
    name.place: name
    for name in public_names()
    if not any(part.startswith("_") for part in name.place.split(".")) and name.place not in CONVENTIONAL
}


def test_the_names_are_found() -> None:
    assert {"PhoneNumberClient.list_many", "PhoneNumber.id", "Sort.CREATION_TIME_ASC", "Job.directory"} < NAMES.keys()
    assert {"TokenProvider", "Sandbox.inbox", "RedisThrottle.admit", "export", "graph_sandbox"} < NAMES.keys()


def test_each_has_a_docstring() -> None:
    assert [place for place, name in NAMES.items() if not name.text] == []


def test_each_length_and_share_has_its_unit() -> None:
    numbers = [name for name in NAMES.values() if name.kind.startswith("float")]
    assert len(numbers) > 20
    assert [name.place for name in numbers if not UNIT.search(f"{name.place} {name.text}")] == []


def test_each_fact_of_the_api_has_its_source_and_day() -> None:
    models = {node.name for node in parse("models").body if isinstance(node, ast.ClassDef)} - {"Extra"}
    facts = [
        name for name in NAMES.values() if name.place in {*models, "Sort"} or re.search("`(GET|POST) /", name.text)
    ]
    assert len(facts) > 20
    assert [name.place for name in facts if not SOURCE.search(name.text)] == []
