"""The files that contributors and CI use say the same: sessions of nox, their table, workflows and versions."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
USES = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

pytestmark = pytest.mark.skipif(not WORKFLOWS, reason="an archive of the sources has no workflows")


def sessions() -> set[str]:
    """The sessions of noxfile.py, which is not run: nox may not be installed here."""
    functions = [node for node in ast.parse(read("noxfile.py")).body if isinstance(node, ast.FunctionDef)]
    return {each.name for each in functions if any("nox.session" in ast.unparse(it) for it in each.decorator_list)}


def table() -> list[tuple[str, str]]:
    """The sessions and their places, as CONTRIBUTING.md has them."""
    text = read("CONTRIBUTING.md").partition("## Where things are")[0]
    return re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", text, re.MULTILINE)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def workflow(path: Path) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra `dask`")
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in workflow(path)["jobs"].values() for step in job["steps"]]


def run_by(path: Path) -> set[str]:
    """The sessions that a workflow runs."""
    named = {name for step in steps(path) for name in re.findall(r"nox -s ((?:\w+ ?)+)", step.get("run", ""))}
    matrices = [job.get("strategy", {}).get("matrix", {}) for job in workflow(path)["jobs"].values()]
    return {name for names in named for name in names.split()} | {
        name for matrix in matrices for name in matrix.get("session", [])
    }


def test_the_table_of_sessions_is_complete() -> None:
    assert sorted(name for name, _ in table()) == sorted(sessions())


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_a_workflow_runs_sessions_that_there_are(path: Path) -> None:
    assert run_by(path)
    assert run_by(path) <= sessions()


def test_each_session_runs_where_the_table_says() -> None:
    by_workflow = {path.stem: run_by(path) for path in WORKFLOWS}
    for name, place in table():
        assert ("every push" in place) == (name in by_workflow["tests"] | by_workflow["docs"] | {"bare"}), name
        assert ("nightly" in place) == (name in by_workflow["nightly"]), name
        assert ("release" in place) == (name in by_workflow["release"]), name


def test_nightly_runs_the_same_here_and_there() -> None:
    (nightly,) = re.findall(r"^NIGHTLY = (\(.*\))$", read("noxfile.py"), re.MULTILINE)
    (path,) = [path for path in WORKFLOWS if path.stem == "nightly"]
    assert set(ast.literal_eval(nightly)) == run_by(path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_a_workflow_may_do_little(path: Path) -> None:
    """Each action is pinned by its commit, nothing is permitted unless a job names it, and no secret is kept."""
    content = path.read_text(encoding="utf-8")
    assert workflow(path)["permissions"] == {}
    assert all(USES.search(line) for line in content.splitlines() if "uses:" in line)
    assert not re.search(r"secrets\.|pull_request_target|cache:", content)
    for job in workflow(path)["jobs"].values():
        assert "timeout-minutes" in job
        assert job["permissions"]
    for step in steps(path):
        if "actions/checkout" in step.get("uses", ""):
            assert step["with"] == {"persist-credentials": False}


def test_each_supported_python_is_tested_on_each_system() -> None:
    (path,) = [path for path in WORKFLOWS if path.stem == "tests"]
    matrix = workflow(path)["jobs"]["quick"]["strategy"]["matrix"]
    classifiers = PYPROJECT["project"]["classifiers"]
    assert [f"Programming Language :: Python :: {version}" for version in matrix["python"]] == [
        each for each in classifiers if re.search(r":: 3\.\d+$", each)
    ]
    assert set(matrix["system"]) == {"ubuntu", "macos", "windows"}


def test_the_constraints_name_each_dependency_and_no_host() -> None:
    lines = read("constraints.txt").splitlines()
    pinned = {re.split(r"==", line)[0] for line in lines}
    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    wanted = [
        *project["dependencies"],
        *(name for names in project["optional-dependencies"].values() for name in names),
    ]
    wanted += [name for names in groups.values() for name in names if isinstance(name, str)]
    names = {re.split(r"[\[<>=; ]", each)[0].lower().replace(".", "-") for each in wanted}
    assert names - pinned == set()
    assert all(re.fullmatch(r"[\w.-]+==[\w.+]+( ; .*)?", line) for line in lines)
