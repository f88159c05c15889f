"""What only the README has: the commands that set up a checkout, and those that its sentences name.

The commands that the page on benchmarks names are run here, too.

Its code runs with the manual's, in test_manual.py. The two set-up commands stand in ```bash blocks. `.ci/run` reads
them there and runs them.
"""

import re
import tomllib

import pytest
from manual import BLOCKS, PAGES, README, TEXT, run, spans

pytestmark = pytest.mark.usefixtures("reader")

ROOT = README.parent


def test_set_up_takes_two_commands_which_ci_runs() -> None:
    commands = [
        line
        for block in BLOCKS
        if (block.page, block.language) == ("README", "bash")
        for line in block.code.splitlines()
    ]
    assert [command.split("install")[0] for command in commands] == ["python -m pip "] * 2
    patterns = re.findall(r"""\$\(readme '([^']+)'\)""", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    assert [[command for command in commands if re.search(each, command)] for each in patterns] == [
        [command] for command in reversed(commands)
    ]


def test_the_extras_are_those_that_can_be_installed() -> None:
    install = TEXT.partition("\n## Install\n")[2].partition("\n```")[0]
    named = set(re.findall(r"`(\w+)`", install.partition("extras:")[2].partition("From a checkout")[0]))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert named == set(extras)


def test_what_it_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


WHICH = "100200300400000 --phone-number 1631555100{} --verified-name 'Acme Shoes' --cc 1"
SCRIPTS = ROOT / "benchmarks"
NAMED = {
    "wa-phone": "wa-phone --version",
    "wa-phone --help": "wa-phone --help",
    "wa-phone list WABA_ID…": "wa-phone list 100200300400003 100200300400250",
    "wa-phone create WABA_ID --phone-number … --verified-name … --cc …": f"wa-phone create {WHICH.format(1)}",
    "wa-phone create … --ensure": f"wa-phone create {WHICH.format(2)} --ensure",
    "wa-phone completion --help": "wa-phone completion --help",
    "wa-phone watch": "wa-phone watch --help",
    "wa-phone watch WABA_ID…": "wa-phone watch 100200300400003 --interval 0.1 --timeout 0.3",
    "wa-phone export": "wa-phone export --help",
    "wa-phone export --wabas FILE --out numbers.parquet": (
        "echo 100200300400003 > FILE; wa-phone export --wabas FILE --out numbers.parquet"
    ),
    # Three that need a cluster or a person are run in test_dask.py, test_cli_onboard.py and test_cli_process.py.
    "wa-phone export --dask tcp://…": "wa-phone export --help | grep -q -e --dask",
    "wa-phone onboard": "wa-phone onboard --help",
    "wa-phone onboard WABA_ID --phone-number … --verified-name … --cc …": "wa-phone onboard --help",
    "wa-phone onboard --sandbox": "wa-phone onboard --help",
    "wa-phone sandbox": "wa-phone sandbox --help",
    "benchmarks/limits.py": f"python {SCRIPTS}/limits.py hot --only log",
    "benchmarks/compressed.py": f"python {SCRIPTS}/compressed.py --rounds 1",
    # These take longer than a test should, even once: parts of them are run in test_soak.py, test_simulated_day.py and
    # test_benchmarks.py.
    "nox -s soak": f"python {SCRIPTS}/soak.py --help",
    "nox -s bench": f"python {SCRIPTS}/report.py --help",
    "benchmarks/bulk.py": f"python {SCRIPTS}/bulk.py --help",
    "benchmarks/day.py": f"python {SCRIPTS}/day.py --help",
    "benchmarks/read_ahead.py": f"python {SCRIPTS}/read_ahead.py --help",
}


def test_each_command_that_a_sentence_names_is_run() -> None:
    commands = re.compile(r"(wa-phone|nox|python|pip)( |$)|benchmarks/")
    assert {span for span in spans([TEXT, PAGES["benchmarks"]]) if commands.match(span)} == NAMED.keys()


@pytest.mark.unmeasured
@pytest.mark.parametrize("name", NAMED)
def test_a_command_in_a_sentence(name: str) -> None:
    if name.startswith("wa-phone"):
        pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    if ".parquet" in name:
        pytest.importorskip("arro3.io", reason="the extra `parquet` is not installed")
    done = run(NAMED[name])
    assert done.returncode == 0, done.stdout
