"""The README: short, with commands that work on a new machine, and links that work wherever it is read.

Its code runs with the manual's, in test_manual.py. The set-up commands stand in ```bash blocks. `.ci/run` reads them
there, and runs them where there is no `python`.
"""

import html
import importlib.util
import re
import runpy
import tomllib
from pathlib import Path

import pytest
from manual import BLOCKS, DOCS, PAGES, README, TEXT, run

pytestmark = pytest.mark.usefixtures("reader")

ROOT = README.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PICTURE = DOCS / "_static" / "terminal.svg"


def test_it_is_short() -> None:
    assert len(TEXT.splitlines()) <= 180


def test_set_up_takes_a_command_each_which_ci_runs() -> None:
    commands = [block.code.rstrip() for block in BLOCKS if (block.page, block.language) == ("README", "bash")]
    assert [line.count("\n") for line in commands] == [0, 0, 0]
    patterns = re.findall(r"""\$\(readme '([^']+)'""", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    found = [[command for command in commands if re.search(pattern, command)] for pattern in patterns]
    assert sorted(found) == sorted([command] for command in commands)


def test_set_up_needs_nothing_but_python3_or_uv() -> None:
    lines = [block.code.rstrip() for block in BLOCKS if (block.page, block.language) == ("README", "bash")]
    programs = {command.split()[0] for line in lines for command in line.split(" && ")}
    assert {program for program in programs if not program.startswith(".venv/bin/")} == {"python3", "uvx"}


def test_the_extras_are_those_that_can_be_installed() -> None:
    install = TEXT.partition("\n## Install\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)` \(|(?<=and )`(\w+)` \(|`(\w+)` and", install.partition("extras:")[2]))
    assert {name for names in named for name in names if name} == PROJECT["optional-dependencies"].keys()


def test_the_versions_of_python_are_those_of_the_classifiers() -> None:
    versions = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if " :: Python :: 3." in each]
    first, *_, last = versions
    assert f"badge/python-{first}_to_{last}-" in TEXT
    assert PROJECT["requires-python"] == f">={first}"


def test_what_it_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_it_links_to_each_page_of_the_manual() -> None:
    linked = set(re.findall(r"\]\(docs/([\w-]+)\.md\)", TEXT))
    assert PAGES.keys() - linked == {"README", "index", "changelog", "contributing"}


def rows_of(picture: Path) -> list[str]:
    texts = re.findall(r"<text [^>]*>(.*?)</text>", picture.read_text(encoding="utf-8"))
    return [html.unescape(text).replace("\N{NO-BREAK SPACE}", " ").strip() for text in texts]


def test_the_picture_shows_what_the_command_shows_now(tmp_path: Path) -> None:
    pytest.importorskip("termios", reason="there are no pseudo-terminals here")
    pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
    done = run(f"python {DOCS}/picture.py {tmp_path}/now.svg")
    assert done.returncode == 0, done.stdout
    assert rows_of(PICTURE) == rows_of(tmp_path / "now.svg")
    assert "http" not in re.sub(r'xmlns="[^"]*"|<!--.*?-->', "", PICTURE.read_text(encoding="utf-8")), (
        "it loads something"
    )


def test_the_picture_of_a_report_is_small() -> None:
    picture = DOCS / "_static" / "report.png"
    assert picture.stat().st_size < 150_000
    assert [text.count("_static/report.png") for text in (TEXT, PAGES["report"])] == [1, 1]


HOME = "https://github.com/somebody/wa_phone_async"
HOOK = runpy.run_path(str(ROOT / "hatch_build.py")) if importlib.util.find_spec("hatchling") else {}


@pytest.mark.skipif(not HOOK, reason="hatchling is not installed")
def test_a_package_index_gets_links_to_the_repository() -> None:
    text = HOOK["with_absolute_links"](TEXT, HOME)
    assert re.findall(r"\]\((?!https:)[^)]*\)", text) == []
    assert f"]({HOME}/raw/HEAD/docs/_static/terminal.svg)" in text
    assert f"]({HOME}/blob/HEAD/docs/quickstart.md)" in text
    assert f"-blue)]({HOME}/blob/HEAD/LICENSE)" in text
    assert text.replace(f"{HOME}/raw/HEAD/", "").replace(f"{HOME}/blob/HEAD/", "") == TEXT
    assert HOOK["with_absolute_links"](TEXT, None) == TEXT


@pytest.mark.skipif(not HOOK, reason="hatchling is not installed")
def test_a_package_index_shows_addresses_that_lead_to_files() -> None:
    urls = HOOK["urls"](HOME)
    files = [url.partition("/blob/HEAD/")[2] for url in urls.values() if "/blob/" in url]
    assert len(files) == 3
    assert [file for file in files if not (ROOT / file).exists()] == []
    assert HOOK["urls"](None) == {}


@pytest.mark.skipif(not HOOK, reason="hatchling is not installed")
@pytest.mark.parametrize(
    ("remote", "home"),
    [
        ("https://github.com/somebody/wa_phone_async.git", HOME),
        ("https://github.com/somebody/wa_phone_async", HOME),
        ("https://x-access-token:ghs_secret@github.com/somebody/wa_phone_async", HOME),
        ("git@github.com:somebody/wa_phone_async.git", HOME),
        ("ssh://git@github.com/somebody/wa_phone_async.git", HOME),
        ("/srv/git/wa_phone_async", None),
        ("../wa_phone_async", None),
        ("", None),
    ],
)
def test_the_address_is_that_of_the_remote_without_a_token(remote: str, home: str | None) -> None:
    assert HOOK["home_of"](remote) == home


@pytest.mark.skipif(not HOOK, reason="hatchling is not installed")
def test_the_address_comes_from_github_or_from_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    (tmp_path / "PKG-INFO").write_text(
        f"Name: x\nProject-URL: Issues, {HOME}/issues\nProject-URL: Repository, {HOME}\n"
    )
    assert HOOK["find_home"](tmp_path) == HOME
    monkeypatch.setenv("GITHUB_REPOSITORY", "else/where")
    assert HOOK["find_home"](tmp_path) == "https://github.com/else/where"
