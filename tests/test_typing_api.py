"""typing_api.py names all that is public, and each of its lines fails if a type becomes weaker.

To prove that, both type checkers check it beside a copy of the package in which every annotation is `Any`, with the
settings of the project. Each line must fail then. nox runs this in the session `typing`, which has the checkers.
"""

import ast
import asyncio
import importlib
import inspect
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import attrs
import pytest

from wa_phone_async import PhoneNumberClient
from wa_phone_async.sandbox import Sandbox

ROOT = Path(__file__).parent.parent
FILE = Path("tests/typing_api.py")
SOURCE = (ROOT / FILE).read_text(encoding="utf-8")
TREE = ast.parse(SOURCE)
FRONT_DOORS = ("wa_phone_async", "wa_phone_async.export", "wa_phone_async.sandbox", "wa_phone_async.ratelimit.redis")
F = TypeVar("F", ast.FunctionDef, ast.AsyncFunctionDef)
OF_PYTHON = {"with_traceback", "add_note", "args"}  # what every error has


def public_names(module: str) -> Iterator[tuple[str, object]]:
    for name in importlib.import_module(module).__all__:
        yield name, getattr(importlib.import_module(module), name)


def members(kind: object) -> set[str]:
    """The public attributes that a class defines. None for an enum: each of its values has its type."""
    if not inspect.isclass(kind) or issubclass(kind, StrEnum):
        return set()
    own = [base for base in kind.__mro__ if base.__module__.startswith("wa_phone_async")]
    names = {name for base in own for name in (*vars(base), *inspect.get_annotations(base))}
    fields = {field.name for field in attrs.fields(kind)} if attrs.has(kind) else set[str]()
    return {name for name in names | fields if not name.startswith("_")} - OF_PYTHON


@pytest.mark.parametrize("module", FRONT_DOORS)
def test_typing_api_names_all_that_is_public(module: str) -> None:
    if module.endswith("redis"):
        pytest.importorskip("redis", reason="the extra `redis` is not installed")
    named = {node.id for node in ast.walk(TREE) if isinstance(node, ast.Name)}
    reached = {node.attr for node in ast.walk(TREE) if isinstance(node, ast.Attribute)}
    without_type = {"__version__", "FileFormat", "Row"}  # the last two are names of types that others spell out
    names = {name: members(value) for name, value in public_names(module) if name not in without_type}
    assert names.keys() - named - reached == set()
    assert {f"{name}.{member}" for name in names for member in names[name] - reached} == set()


def test_fixtures_have_the_types_that_typing_api_states(
    graph_sandbox: Sandbox,
    wa_phone_client: PhoneNumberClient,
    virtual_time: asyncio.Runner,
    request: pytest.FixtureRequest,
) -> None:
    reader = next(node for node in TREE.body if isinstance(node, ast.FunctionDef) and node.name == "test_of_a_reader")
    stated = {arg.arg: ast.unparse(arg.annotation).removeprefix("wa.") for arg in reader.args.args if arg.annotation}
    given = {"graph_sandbox": graph_sandbox, "wa_phone_client": wa_phone_client, "virtual_time": virtual_time}
    assert stated == {name: type(value).__name__ for name, value in given.items()}
    assert given == {name: request.getfixturevalue(name) for name in stated}


class Weaker(ast.NodeTransformer):
    """Removes every type: parameters, results, fields and aliases become `Any`, and any argument is accepted."""

    ANY = ast.parse("_Any", mode="eval").body

    def __init__(self) -> None:
        self._is_in_class = False

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.generic_visit(node)
        head = 1 + max(
            (
                place
                for place, statement in enumerate(node.body)
                if isinstance(statement, ast.Expr)
                or (isinstance(statement, ast.ImportFrom) and statement.module == "__future__")
            ),
            default=-1,
        )
        node.body.insert(head if head <= 2 else 0, ast.parse("from typing import Any as _Any").body[0])
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        outer, self._is_in_class = self._is_in_class, True
        self.generic_visit(node)
        self._is_in_class = outer
        if any("attrs." in ast.unparse(each) for each in node.decorator_list):
            node.decorator_list = []
            node.body.extend(ast.parse("def __init__(self, *args: _Any, **kwargs: _Any) -> None: ...").body)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return self._weaken(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        return self._weaken(node)

    def _weaken(self, node: F) -> F:
        is_static = any(ast.unparse(each) == "staticmethod" for each in node.decorator_list)
        own = [ast.arg((node.args.posonlyargs + node.args.args)[0].arg)] if self._is_in_class and not is_static else []
        any_args, any_kwargs = ast.arg("args", self.ANY), ast.arg("kwargs", self.ANY)
        if any("property" in ast.unparse(each) for each in node.decorator_list):
            node.args = ast.arguments([], own, None, [], [], None, [])
        else:
            node.args = ast.arguments([], own, any_args, [], [], any_kwargs, [])
        if node.name != "__init__":
            node.returns = self.ANY
        outer, self._is_in_class = self._is_in_class, False
        self.generic_visit(node)
        self._is_in_class = outer
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        if ast.unparse(node.annotation) == "TypeAlias":
            node.value = self.ANY
        elif ast.unparse(node.annotation) != "Final":
            node.annotation = self.ANY
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        name = ast.unparse(node.targets[0])
        if re.fullmatch(r"[A-Z][a-z]\w*", name) and isinstance(node.value, ast.Subscript | ast.BinOp):
            node.value = self.ANY
        return node


@pytest.fixture(scope="module")
def without_types(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with its settings and typing_api.py, and with a package without types."""
    project = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "pyproject.toml", project)
    shutil.copytree(ROOT / "examples", project / "examples")
    shutil.copytree(ROOT / "wa_phone_async", project / "wa_phone_async")
    (project / "tests").mkdir()
    shutil.copy(ROOT / FILE, project / FILE)
    for path in (project / "wa_phone_async").rglob("*.py"):
        weaker = ast.fix_missing_locations(Weaker().visit(ast.parse(path.read_text(encoding="utf-8"))))
        path.write_text(ast.unparse(weaker), encoding="utf-8")
    return project


def run(project: Path, *command: str) -> str:
    """Run a checker without arguments, as nox does: the settings of the project say what it checks."""
    module = [sys.executable, "-m", *command]
    done = subprocess.run(module, cwd=project, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def lines_to_notice() -> dict[int, str]:
    texts = SOURCE.splitlines()
    calls = [node for node in ast.walk(TREE) if isinstance(node, ast.Call)]
    asserts = {
        call.lineno
        for call in calls
        if ast.unparse(call.func) == "assert_type" and ast.unparse(call.args[1]) != "Any"  # cannot become weaker
    }
    mistakes = {number for number, text in enumerate(texts, 1) if "# type: ignore[" in text}
    return {number: texts[number - 1].strip() for number in sorted(asserts | mistakes)}


@pytest.mark.unmeasured
@pytest.mark.timeout(300)
def test_mypy_notices_each_missing_type(without_types: Path) -> None:
    pytest.importorskip("mypy")
    output = run(without_types, "mypy", "--no-incremental", "--no-pretty")
    noticed = {int(line) for line in re.findall(rf"^{re.escape(str(FILE))}:(\d+): error", output, re.MULTILINE)}
    assert {line: text for line, text in lines_to_notice().items() if line not in noticed} == {}


@pytest.mark.unmeasured
@pytest.mark.timeout(300)
def test_pyright_notices_each_missing_type(without_types: Path) -> None:
    pytest.importorskip("pyright")
    output = run(without_types, "pyright", "--outputjson", "--pythonpath", sys.executable)
    errors = [each for each in json.loads(output)["generalDiagnostics"] if each["severity"] == "error"]
    noticed = {each["range"]["start"]["line"] + 1 for each in errors if each["file"].endswith(FILE.name)}
    assert {line: text for line, text in lines_to_notice().items() if line not in noticed} == {}
