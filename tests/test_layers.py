"""The layers hold: imports point down only, and each big dependency has one home."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import wa_phone_async

LAYERS = (  # each imports only from the lines above it
    {"markup", "turns", "encodings"},
    {"usage", "models"},
    {"_version", "errors", "readiness", "redaction", "waiting"},
    {"blocks", "builders", "digits", "events", "query", "budget"},
    {"decoding", "pacing", "read_ahead", "registration"},
    {"request", "retry", "throttle", "tokens", "webhooks"},
    {"refusals", "wire"},
    {"answers", "paginator"},
    {"tally"},
    {"session"},
    {"bulk", "ensuring", "fetch", "watching"},
    {"client"},
    {"cache"},
    {"__init__", "sandbox"},
    {"extras"},
    {"export", "report"},
    {"extras.dask"},  # which exports by its workers, where the others are what exports are made of
    {"cli"},
    {"__main__"},
)
HOMES = {
    "arro3": {"extras"},
    "aiohttp": {"wire", "session", "client", "sandbox"},  # session and client only name its types
    "backoff": {"retry"},
    "cattrs": {"decoding"},
    "distributed": {"extras.dask", "cli"},  # the command line only connects
    "msgspec": {"extras"},
    "opentelemetry": {"extras"},
    "redis": {"extras"},
}

LAYER = {module: number for number, modules in enumerate(LAYERS) for module in modules}
PACKAGE = Path(wa_phone_async.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(PACKAGE)) for file in FILES])
def test_imports_point_down(file: Path) -> None:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    module = module_of(parts)
    assert module in LAYER, f"say in LAYERS what {module} may import"
    for name in imports(file, (PACKAGE.name, *parts)):
        top, _, rest = name.partition(".")
        assert module in HOMES.get(top, {module}), f"{name} belongs in {HOMES[top]}"
        if top == PACKAGE.name:
            other = module_of(rest.split("."))
            other = other if other in LAYER else "__init__"  # what is no module is a name of the front door
            down = LAYER[other] < LAYER[module] and module != "sandbox"  # the sandbox must be able to disagree
            assert down or other == module, f"{module} imports {name}"


def module_of(parts: Sequence[str]) -> str:
    return ".".join(parts[:2]) if ".".join(parts[:2]) in LAYER else parts[0]


def imports(file: Path, parts: tuple[str, ...]) -> Iterator[str]:
    """Each imported name with its module in front, those in functions and for type checkers only included."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = parts[: len(parts) - node.level] if node.level else ()
            yield from (".".join((*start, *filter(None, [node.module]), alias.name)) for alias in node.names)
