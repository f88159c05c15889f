"""The checks: `nox` runs the tests, `nox -s lint typing docs build` the rest before a change, `nox -s full` all."""

import json
import os
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"  # uv where it is installed: each environment takes a second
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False  # on CI too: interpreters are used as found
nox.options.sessions = ["tests", "coverage"]

PROJECT = nox.project.load_toml("pyproject.toml")

ALL_EXTRAS = ("-e", ".[alerts,arrow,cli,dask,otel,parquet,redis,speed]")
NO_EXTRAS = ("-e", ".")
# The maintained fork has the same import name, so it is installed instead of `backoff`, never beside it.
NO_BACKOFF = [name for name in PROJECT["project"]["dependencies"] if "backoff" not in name]
OTHER_BACKOFF = (*NO_BACKOFF, "python-backoff>=3")


def modules(*names: str) -> list[str]:
    """The files of some test modules, wherever below `tests` they are."""
    return [str(file) for name in names for file in Path("tests").rglob(f"test_{name}.py")]


RETRYING = modules("retry", "session", "creates", "throttle", "fault_matrix", "bulk")
WITHOUT_EXTRAS = modules(
    *("exports", "layers", "manual", "readme", "pytest_plugin", "cli_without_extra", "client", "session", "paginator"),
    *(
        "page",
        "bulk",
        "converter",
        "builders",
        "fast_path",
        "export",
        "export_rows",
        "export_tables",
        "cache",
        "ensure",
    ),
)

# Two processes for each processor, since tests also wait for sockets and for others; `-- -n 0` for none.
PROCESSES = str(min(8, 2 * (os.cpu_count() or 1)))
PYTEST = ("pytest", "-n", PROCESSES, "--dist", "worksteal")

# Where there is no redis-server, the tests of that extra are skipped.
WITHOUT_REDIS = ("--omit", "wa_phone_async/ratelimit/redis/*")

OWN = f"{sys.version_info.major}.{sys.version_info.minor}"  # what runs nox: `coverage` runs all tests on it
OTHERS = [version for version in nox.project.python_versions(PROJECT) if version != OWN]
EAGER = "3.13" if "3.13" in OTHERS else "3.12"  # its run has eager tasks, which Python has since 3.12
RUNS = {
    **{version: (version, ALL_EXTRAS) for version in OTHERS},
    "no extras": (OWN, NO_EXTRAS),
    "python-backoff": (OWN, OTHER_BACKOFF),
}


def group(name: str) -> list[str]:
    """What a dependency group of pyproject.toml names; pip itself knows groups only since 25.1."""
    return nox.project.dependency_groups(PROJECT, name)


@nox.session
@nox.parametrize("python, packages", [nox.param(*RUNS[run], id=run) for run in RUNS])
def tests(session, packages):
    """The tests on each other interpreter that is found, without the extras, and on the fork of backoff.

    What runs nox, the heavy ones and most examples of the properties are left to `coverage`, since they are the same
    everywhere. On the fork run those that retry, and without extras those that an extra could be missed by. On one
    interpreter, each event loop starts its tasks eagerly.
    """
    session.install(*packages, *group("test"))
    if packages is OTHER_BACKOFF:
        session.install("--no-deps", "-e", ".")
    chosen = {OTHER_BACKOFF: RETRYING, NO_EXTRAS: WITHOUT_EXTRAS}.get(packages, ())
    quick = ("-m", "not heavy and not unmeasured", "--hypothesis-profile", "quick")
    eager = ("--eager",) if session.python == EAGER else ()
    session.run("python", "-m", *PYTEST, *quick, *eager, *(session.posargs or chosen))


@nox.session
def coverage(session):
    """All tests, which must take every branch of the package, in processes that they start as well.

    Counting makes a test take half as long again, or twice: those that are `unmeasured` run without it.
    """
    groups = ("test", "tables", "web", "notebook", "coverage")
    session.install(*ALL_EXTRAS, *(package for name in groups for package in group(name)))
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", *PYTEST, "-m", "not unmeasured", *session.posargs)
    session.run("python", "-m", *PYTEST, "-m", "unmeasured", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", *() if shutil.which("redis-server") else WITHOUT_REDIS)


@nox.session
def lint(session):
    """Style and likely mistakes."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def typing(session):
    """Two type checkers, whether every public name has a complete type, and whether they would notice a weaker one."""
    session.install(*ALL_EXTRAS, *group("test"), *group("web"), *group("typing"))
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "wa_phone_async", "--ignoreexternal")
    session.run("python", "-m", "pytest", "tests/test_typing_api.py")


@nox.session
def docs(session):
    """The manual, built without network: a warning is an error, links lead somewhere, and a browser looks at it."""
    session.install(*ALL_EXTRAS, *group("docs"))
    pages = Path("docs/_build/html")
    shutil.rmtree("docs/reference", ignore_errors=True)  # generated: a name that has gone would keep its page
    session.run("sphinx-build", "-W", "--keep-going", "-n", "-q", "-E", "-b", "html", "docs", str(pages))
    session.run("python", "docs/look.py", str(pages), *session.posargs)


@nox.session
def build(session):
    """Both archives, checked; then `bare` installs the wheel."""
    session.install(*group("build"), *PROJECT["build-system"]["requires"])
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build", "--no-isolation")
    session.run("twine", "check", "--strict", *map(str, Path("dist").iterdir()))
    session.run("check-wheel-contents", "dist")
    session.notify("bare")


@nox.session
def bare(session):
    """The wheel without any extra: it imports, and `wa-phone` says in one line what to install."""
    session.install(*map(str, Path("dist").glob("*.whl")))
    with session.chdir(session.create_tmp()):  # away from the sources, so that the wheel is what is imported
        session.run("python", "-W", "error", "-c", "from wa_phone_async import *")
        said = session.run("wa-phone", "list", success_codes=[2], silent=True).strip()
    if "\n" in said or "wa_phone_async[cli]" not in said:
        session.error(f"Without the extra, wa-phone said: {said}")


@nox.session
def mutation(session):
    """Small mistakes put into the deciding modules, one at a time: which of them does no test notice?"""
    session.install(*ALL_EXTRAS, *group("test"), *group("mutation"))
    session.run("mutmut", "run", *session.posargs)
    session.run("mutmut", "results")
    session.run("mutmut", "export-cicd-stats", silent=True)
    counts = json.loads(Path("mutants/mutmut-cicd-stats.json").read_text(encoding="utf-8"))
    noticed = counts["killed"] + counts["timeout"]  # a test that never ends has noticed too
    session.log(f"{noticed} of {counts['total']} mutants were noticed, {noticed / counts['total']:.1%}")


@nox.session
def soak(session):
    """Ten minutes of listing and creating under faults; `-- --minutes 1 --seed 7` for another."""
    session.install(*NO_EXTRAS)
    session.run("python", "benchmarks/soak.py", *session.posargs)


@nox.session
def attack(session):
    """Attacks as large as five minutes on two cores allow, with the table of their figures.

    `-- --attack-seed 7` for other random numbers, `-- --attack-report FILE` for the table as Markdown.
    """
    session.install(*ALL_EXTRAS, *group("test"))
    size = ("-n", str(os.cpu_count() or 1), "--dist", "worksteal", "--timeout", "300", "--attack-minutes", "5")
    session.run("python", "-m", "pytest", *size, "tests/attack", *session.posargs)


@nox.session
def bench(session):
    """What each shape of work costs beside loops by hand and the peers: the table and the picture of the manual.

    Some twenty-five minutes; `-- --rounds 3` for less, `-- listing growth` for some of the shapes. `-- --against REV`
    compares this checkout with another revision instead.
    """
    session.install("-e", ".[cli,parquet,speed]", *group("bench"))
    session.run("python", "benchmarks/report.py", *session.posargs)


@nox.session(python=False)
def full(session):
    """Everything."""
    others = ("coverage", "lint", "typing", "docs", "build", "attack", "mutation")
    for name in (*(f"tests({run})" for run in RUNS), *others):
        session.notify(name)
