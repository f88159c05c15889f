"""The benchmarks and examples as modules: they are scripts beside the tests, and no packages."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.append(str(BENCHMARKS))  # where they find each other


def load_benchmark(name: str) -> ModuleType:
    return load(BENCHMARKS / f"{name}.py")


def load_example(name: str) -> ModuleType:
    return load(EXAMPLES / f"{name}.py")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where attrs looks its annotations up
    spec.loader.exec_module(module)
    return module
