"""The layers hold: imports point down only, and each big dependency has one home."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import wa_phone_async

LAYERS = (  # a module imports from its own row and from the rows above it
    {"cli.starting"},  # before all others
    {  # values
        *("_version", "_optional", "concurrency", "models", "usage", "errors", "events", "redaction"),
        "workflows.listing",
    },
    {"checks", "phone_digits", "query", "readiness", "spelling"},  # rules
    {"decoding"},
    {"files"},
    {"export.rows", "export.plain_json", "export.frames"},  # rows as columns, of a file or a table
    {"ratelimit"},
    {"call"},
    {"pagination"},
    {"diagnosis"},
    {"session"},
    {"edits", "workflows", "health", "report", "webhooks", "profiles"},
    {"client"},
    {"cache", "integrations.notebook", "integrations.ipython", "integrations.pydantic"},
    {"__init__", "_public", "sandbox"},
    {"export", "integrations", "sandbox.pytest_plugin"},  # the plugin brings a client and a sandbox together
    {"alerts"},
    {"cli"},
    {"__main__"},
)
HOMES = {
    "apprise": {"alerts.receivers"},
    "aiohttp": {
        "alerts.webhook",
        "call.transport",
        "call.attempt",
        "call.writes",
        "session",
        "client",
        "sandbox",
    },  # the middle ones only use its types
    "arro3": {"export", "files.exported"},
    "backoff": {"call.retry"},
    "cattrs": {"decoding.converter"},
    "distributed": {"export.dask", "cli"},  # the command line only connects
    "msgspec": {"decoding.fast_path"},
    "opentelemetry": {"integrations.otel"},
    "pandas": {"export.frames", "pagination.rows"},
    "pydantic_core": {"integrations.pydantic"},
    "polars": {"export.frames", "pagination.rows"},
    "redis": {"ratelimit.redis"},
}

OPENED_ON_USE = {"wa_phone_async.export", "wa_phone_async.sandbox"}

LAYER = {module: number for number, modules in enumerate(LAYERS) for module in modules}
PACKAGE = Path(wa_phone_async.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(PACKAGE)) for file in FILES])
def test_imports_point_down(file: Path) -> None:
    module = module_of(file)
    layer = layer_of(module)
    for name in imports(file):
        if name.startswith(f"{PACKAGE.name}."):
            other = layer_of(name.removeprefix(f"{PACKAGE.name}."))
            assert LAYER[other] <= LAYER[layer], f"{module} imports {name}"
            assert other == layer or layer != "sandbox", "the sandbox must be able to disagree with the client"
        elif (top := name.partition(".")[0]) in HOMES:
            assert any(f"{module}.".startswith(f"{home}.") for home in HOMES[top]), f"{name} belongs in {HOMES[top]}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    modules = {module_of(file) for file in FILES}

    def imported(file: Path) -> Iterator[str]:
        for name in imports(file):
            if name.startswith(f"{PACKAGE.name}."):
                module = name.removeprefix(f"{PACKAGE.name}.")
                parent = module.rpartition(".")[0] or "__init__"
                yield module if module in modules else parent

    graph = {module_of(file): set(imported(file)) - {module_of(file)} for file in FILES}
    list(TopologicalSorter(graph).static_order())  # a CycleError would name the circle


def test_no_import_is_hidden() -> None:
    hidden = re.compile(r"importlib(?!\.metadata)|__import__")  # metadata imports nothing
    hiders = {str(file) for file in FILES if hidden.search(file.read_text(encoding="utf-8"))}
    assert [hider for hider in hiders if not hider.endswith("batches.py")] == []  # which reads a file of the package


def test_commands_do_not_import_each_other() -> None:
    commands = {f"{PACKAGE.name}.cli.commands.{file.stem}" for file in PACKAGE.glob("cli/commands/*.py")}
    importers = [file for file in PACKAGE.glob("cli/commands/*.py") if commands.intersection(imports(file))]
    assert importers == []


def test_the_top_of_the_package_is_small() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 18


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def layer_of(module: str) -> str:
    """Return the row of a module: its own, or that of its package. All other names are those of the front door."""
    parts = module.split(".")
    names = (".".join(parts[:2]), parts[0], "__init__")
    return next(name for name in names if name in LAYER)


def imports(file: Path) -> Iterator[str]:
    """Yield each imported module, and each imported name with its module, also of imports in functions.

    Relative names become absolute ones. What the front door opens on first use, it does not need.
    """
    opened = OPENED_ON_USE if file == PACKAGE / "__init__.py" else set[str]()
    yield from (name for name in _imports(file) if name not in opened)


def _imports(file: Path) -> Iterator[str]:
    package = file.parent.relative_to(PACKAGE.parent).parts
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join((*start, *filter(None, [node.module])))
            yield from (f"{source}.{alias.name}" for alias in node.names)
