"""The checks: `nox` runs all tests, `nox -s lint typing api docs build` the rest before a change, `nox -s full` all.

CONTRIBUTING.md has a table of the sessions: what each takes, and where it runs.
"""

import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"  # uv where it is installed: each environment takes a second
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False  # on CI too: interpreters are used as found
nox.options.sessions = ["variants", "coverage"]

PROJECT = nox.project.load_toml("pyproject.toml")

EXTRAS = ("alerts", "arrow", "cli", "dask", "otel", "parquet", "redis", "speed")
ALL_EXTRAS = ("-e", f".[{','.join(EXTRAS)}]")
NO_EXTRAS = ("-e", ".")
# The maintained fork has the same import name, so it is installed instead of `backoff`, never beside it.
NO_BACKOFF = [name for name in PROJECT["project"]["dependencies"] if "backoff" not in name]
OTHER_BACKOFF = (*NO_BACKOFF, "python-backoff>=3")

# The versions that CI installs, by uv and by pip. Somebody else's release breaks no change of ours. `lock` renews them.
CONSTRAINTS = Path("constraints.txt")
CONSTRAINED = {name: str(CONSTRAINTS.resolve()) for name in ("UV_CONSTRAINT", "PIP_CONSTRAINT")}


def modules(*names: str) -> list[str]:
    """The files of some test modules, wherever below `tests` they are."""
    return [str(file) for name in names for file in Path("tests").rglob(f"test_{name}.py")]


def modules_with(word: str) -> list[str]:
    """The test modules that have a word in their path or text: to collect all of them takes seconds."""
    files = Path("tests").rglob("test_*.py")
    return [str(file) for file in files if word.lower() in f"{file}\n{file.read_text(encoding='utf-8')}".lower()]


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
PYTEST = ("python", "-m", "pytest", "-n", PROCESSES, "--dist", "worksteal")
QUICK = ("-m", "not heavy and not unmeasured", "--hypothesis-profile", "quick")
MEASURED = ("-m", "not unmeasured", "--hypothesis-profile", "counted")

# Where there is no redis-server, the tests of that extra are skipped.
WITHOUT_REDIS = ("--omit", "wa_phone_async/ratelimit/redis/*")

OWN = f"{sys.version_info.major}.{sys.version_info.minor}"  # what runs nox: `coverage` runs all tests on it
OTHERS = [version for version in nox.project.python_versions(PROJECT) if version != OWN]
EAGER = "3.13" if "3.13" in OTHERS else "3.12"  # its run has eager tasks, which Python has since 3.12
VARIANTS = {
    EAGER: (EAGER, ALL_EXTRAS),
    "no extras": (OWN, NO_EXTRAS),
    "python-backoff": (OWN, OTHER_BACKOFF),
}


def group(name: str) -> list[str]:
    """What a dependency group of pyproject.toml names; pip itself knows groups only since 25.1."""
    return nox.project.dependency_groups(PROJECT, name)


def install(session, *packages):
    """Install packages in the versions of CI."""
    session.install(*packages, env=CONSTRAINED)


@nox.session(reuse_venv=True)
def tests(session):
    """The quick tests on the interpreter that runs nox; with arguments for pytest, those that they choose.

    `nox -s tests -- -k paginator` is the loop of a contributor: one process, and an environment that is made only once.
    """
    inputs = b"".join(file.read_bytes() for file in (Path("pyproject.toml"), CONSTRAINTS))
    wanted, found = hashlib.sha256(inputs).hexdigest(), Path(session.virtualenv.location, "installed")
    if not found.exists() or found.read_text(encoding="utf-8") != wanted:
        install(session, *ALL_EXTRAS, *group("test"))
        found.write_text(wanted, encoding="utf-8")
    if session.posargs:
        chosen = modules_with(session.posargs[1]) if re.fullmatch(r"-k \w+", " ".join(session.posargs)) else ()
        session.run("python", "-m", "pytest", "--hypothesis-profile", "quick", *session.posargs, *chosen)
    else:
        session.run(*PYTEST, *QUICK)


@nox.session
@nox.parametrize("python, packages", [nox.param(*VARIANTS[run], id=run) for run in VARIANTS])
def variants(session, packages):
    """The quick tests on one other interpreter with eager tasks, without the extras, and on the fork of backoff.

    What runs nox, and the heavy tests, are left to `coverage`, since they are the same everywhere. On the fork run
    those that retry, and without extras those that an extra could be missed by.
    """
    install(session, *packages, *group("test"))
    if packages is OTHER_BACKOFF:
        session.install("--no-deps", "-e", ".")
    chosen = {OTHER_BACKOFF: RETRYING, NO_EXTRAS: WITHOUT_EXTRAS}.get(packages, ())
    eager = ("--eager",) if session.python == EAGER else ()
    session.run(*PYTEST, *QUICK, *eager, *(session.posargs or chosen))


@nox.session(python=[version for version in OTHERS if version != EAGER])
def interpreters(session):
    """The quick tests on each interpreter that is found and that neither `variants` nor `coverage` has."""
    install(session, *ALL_EXTRAS, *group("test"))
    session.run(*PYTEST, *QUICK, *session.posargs)


@nox.session
def coverage(session):
    """All tests, which must take every branch of the package, in processes that they start as well.

    Counting makes a test take half as long again, or twice: those that are `unmeasured` run without it.
    """
    install(session, *ALL_EXTRAS, *everything("coverage"))
    session.run("coverage", "erase")
    session.run("coverage", "run", *PYTEST[1:], *MEASURED, *session.posargs)
    session.run(*PYTEST, "-m", "unmeasured", *(session.posargs or modules_with("mark.unmeasured")))
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", *() if shutil.which("redis-server") else WITHOUT_REDIS)


def everything(*others: str) -> list[str]:
    """What every test needs, or is skipped without."""
    return [package for name in ("test", "tables", "web", "notebook", "browser", *others) for package in group(name)]


@nox.session
def properties(session):
    """All tests, with five hundred examples of each property where it says no other number."""
    install(session, *ALL_EXTRAS, *everything())
    session.run(*PYTEST, "--hypothesis-profile", "thorough", "--timeout", "600", *session.posargs)


@nox.session(venv_backend="uv")
@nox.parametrize("resolution", ["lowest-direct", "highest"], ids=["lowest", "highest"])
def versions(session, resolution):
    """The quick tests with the oldest dependencies that pyproject.toml allows, and with the newest that there are."""
    session.install("--resolution", resolution, *ALL_EXTRAS, *group("test"))
    session.run(*PYTEST, *QUICK, *session.posargs)


@nox.session
def lint(session):
    """Style, likely mistakes, spelling, and what is unsafe in a workflow."""
    install(session, *group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("codespell")
    session.run("zizmor", "--offline", "--quiet", ".github")


@nox.session
def api(session):
    """The public API is that of `tests/api.txt`, so each change is seen in review; `-- --update` renews the file."""
    install(session, *NO_EXTRAS, *group("api"))
    session.run("python", "tests/support/api.py", *session.posargs)


@nox.session
def typing(session):
    """Two type checkers, whether every public name has a complete type, and whether they would notice a weaker one."""
    install(session, *ALL_EXTRAS, *(package for name in ("test", "web", "tables", "typing") for package in group(name)))
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "wa_phone_async", "--ignoreexternal")
    session.run("python", "-m", "pytest", "tests/test_typing_api.py")


@nox.session
def docs(session):
    """The manual, built without network: a warning is an error, links lead somewhere, and a browser looks at it."""
    install(session, *ALL_EXTRAS, *group("docs"))
    pages = Path("docs/_build/html")
    shutil.rmtree("docs/reference", ignore_errors=True)  # generated: a name that has gone would keep its page
    session.run("sphinx-build", "-W", "--keep-going", "-n", "-q", "-E", "-b", "html", "docs", str(pages))
    session.run("python", "docs/look.py", str(pages), *session.posargs)


@nox.session
def build(session):
    """Both archives, checked; then `bare` installs the wheel."""
    install(session, *group("build"), *PROJECT["build-system"]["requires"])
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
    install(session, *ALL_EXTRAS, *group("test"), *group("mutation"))
    session.run("mutmut", "run", *session.posargs)
    session.run("mutmut", "results")
    session.run("mutmut", "export-cicd-stats", silent=True)
    counts = json.loads(Path("mutants/mutmut-cicd-stats.json").read_text(encoding="utf-8"))
    noticed = counts["killed"] + counts["timeout"]  # a test that never ends has noticed too
    session.log(f"{noticed} of {counts['total']} mutants were noticed, {noticed / counts['total']:.1%}")


@nox.session
def soak(session):
    """Ten minutes of listing and creating under faults; `-- --minutes 1 --seed 7` for another."""
    install(session, *NO_EXTRAS)
    session.run("python", "benchmarks/soak.py", *session.posargs)


@nox.session
def attack(session):
    """Attacks as large as five minutes on two cores allow, with the table of their figures.

    `-- --attack-seed 7` for other random numbers, `-- --attack-report FILE` for the table as Markdown.
    """
    install(session, *ALL_EXTRAS, *group("test"))
    size = ("-n", str(os.cpu_count() or 1), "--dist", "worksteal", "--timeout", "300", "--attack-minutes", "5")
    session.run("python", "-m", "pytest", *size, "tests/attack", *session.posargs)


@nox.session
def bench(session):
    """What each shape of work costs beside loops by hand and the peers: the table and the picture of the manual.

    Some twenty-five minutes; `-- --rounds 3` for less, `-- listing growth` for some of the shapes. `-- --against REV`
    compares this checkout with another revision instead.
    """
    install(session, "-e", ".[cli,parquet,speed]", *group("bench"))
    session.run("python", "benchmarks/report.py", *session.posargs)


@nox.session
def sdist(session):
    """The archive of the sources, unpacked: its own tests pass, and it builds a wheel."""
    install(session, *group("build"), *PROJECT["build-system"]["requires"], *group("test"))
    # Outside of the checkout, whose settings pytest would find, and under a name that is not that of the package.
    with tempfile.TemporaryDirectory() as work:
        session.run("python", "-m", "build", "--no-isolation", "--sdist", "--outdir", work)
        shutil.unpack_archive(next(Path(work).glob("*.tar.gz")), work)
        sources = next(path for path in Path(work).iterdir() if path.is_dir()).rename(Path(work, "sources"))
        with session.chdir(sources):
            session.run("python", "-m", "build", "--no-isolation", "--wheel")
            install(session, *ALL_EXTRAS[1:])
            session.run(*PYTEST, *QUICK, *session.posargs)


@nox.session
def tagged(session):
    """The tag that is released, which CI gives as an argument, is the version of the package."""
    install(session, *NO_EXTRAS)
    code = "import sys, wa_phone_async as us; sys.exit(sys.argv[1] != f'v{us.__version__}' and us.__version__)"
    session.run("python", "-c", code, *session.posargs)


@nox.session
def lock(session):
    """Add what is missing to the versions that CI installs; `-- --upgrade` renews all. Then run `full`."""
    session.install("uv")
    groups = [option for name in PROJECT["dependency-groups"] for option in ("--group", name)]
    output = ("--quiet", "--no-header", "--no-annotate", "--no-emit-index-url", "--output-file", str(CONSTRAINTS))
    command = ("uv", "pip", "compile", "--universal", "--python-version", "3.11", "--all-extras", *groups)
    session.run(*command, *output, "pyproject.toml", *session.posargs)


@nox.session
def licences(session):
    """Renew the list of the licences of all that the package needs, with each extra."""
    install(session, *ALL_EXTRAS, "packaging")
    session.run("python", "docs/licences.py", "--update")


@nox.session
def sbom(session):
    """What a release is made of, as `dist/sbom.cdx.json` in CycloneDX: the package, its extras, and what they need."""
    install(session, *ALL_EXTRAS[1:])
    Path("dist").mkdir(exist_ok=True)
    tool = ("uvx", "--from", "cyclonedx-bom==7.5.0", "cyclonedx-py", "environment")
    output = ("--pyproject", "pyproject.toml", "--output-reproducible", "--output-file", "dist/sbom.cdx.json")
    session.run(*tool, *output, session.virtualenv.location, external=True)


NIGHTLY = ("interpreters", "properties", "versions", "sdist", "attack", "mutation")


@nox.session(python=False)
def nightly(session):
    """What a push leaves out."""
    for name in NIGHTLY:
        session.notify(name)


@nox.session(python=False)
def full(session):
    """What a push runs, and what it leaves out."""
    for name in ("variants", "coverage", "lint", "typing", "api", "docs", "build", *NIGHTLY):
        session.notify(name)
