"""Completion as shells do it: bash, zsh and fish themselves, with what the examples of the help install."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
from wa_phone_async.cli import app
from wa_phone_async.cli.commands import completion

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")

SECRET = "EAAG-secret"
TAB, ALL = "\t", "\x1b*"  # complete, and in bash: insert all that is possible
TO_BEGIN, TO_END = "\x01", "\x05"

SETTINGS = {
    "bash": "set +o history; bind 'set bell-style none'\n",
    "zsh": "bindkey -e; unset zle_bracketed_paste; autoload -U compinit && compinit -u -D\n",
}
RC = {"bash": ".bashrc", "zsh": ".zshrc"}


def needs(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the examples of the help were run, and where `wa-phone` leaves a trace when it is started."""
    home = tmp_path_factory.mktemp("home")
    (home / "bin").mkdir()
    (home / ".config/fish/completions").mkdir(parents=True)
    for shell, rc in RC.items():
        (home / rc).write_text(SETTINGS[shell])
    command = home / "bin/wa-phone"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -W error -m wa_phone_async "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, **environment_in(home), "WA_ACCESS_TOKEN": SECRET}
    subprocess.run(["sh", "-ec", completion.EXAMPLES], check=True, env=environment)
    command.write_text(f"#!/bin/sh\ntouch {home}/started\n")
    (home / "shop").mkdir()
    (home / "shop/my file.csv").touch()
    (home / "shop/my dir").mkdir()
    return home


def environment_in(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "ZDOTDIR": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}", "TERM": "xterm"}


class Shell:
    """A shell at a terminal."""

    def __init__(self, name: str, home: Path, **more: str) -> None:
        self._written = home / "written"
        self._master, slave = pty.openpty()
        command = {"bash": ("bash", "-i"), "zsh": ("zsh", "-i")}[name]
        environment = {**os.environ, **environment_in(home), **more}
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=environment, cwd=home / "shop"
        )
        os.close(slave)

    def completed(self, line: str) -> list[str]:
        """The words of a line after its keys were pressed."""
        self._written.unlink(missing_ok=True)
        keys = (
            f"{line}{TO_BEGIN}printf '%s\\n' {TO_END} > {self._written}.new; mv {self._written}.new {self._written}\n"
        )
        os.write(self._master, keys.encode())
        until = time.monotonic() + 30
        while not self._written.exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        return self._written.read_text().splitlines()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)


@pytest.fixture(scope="module", params=["bash", "zsh"])
def shell(request: pytest.FixtureRequest, home: Path) -> Iterator[Shell]:
    needs(request.param)
    shell = Shell(request.param, home)
    yield shell
    shell.close()


CASES = {
    f"wa-phone exp{TAB}": ["export"],
    f"wa-phone compl{TAB} f{TAB}": ["completion", "fish"],
    f"wa-phone create 1 --verif{TAB} Acme": ["create", "1", "--verified-name", "Acme"],
    f"wa-phone list --format t{TAB}": ["list", "--format", "table"],
    f"wa-phone list --format=t{TAB}": ["list", "--format=table"],
    f"wa-phone export --kind c{TAB}": ["export", "--kind", "client"],
    f"wa-phone onboard 1 --code-method V{TAB}": ["onboard", "1", "--code-method", "VOICE"],
    f"wa-phone sandbox --mode r{TAB}": ["sandbox", "--mode", "reference"],
    f"wa-phone watch 1 --token-file my\\ f{TAB}": ["watch", "1", "--token-file", "my file.csv"],
    f"wa-phone export --out my\\ d{TAB}x.csv": ["export", "--out", "my dir/x.csv"],
    f"wa-phone export --wabas=my\\ f{TAB}": ["export", "--wabas=my file.csv"],
    f"wa-phone create 1 --cc {TAB}1": ["create", "1", "--cc", "1"],
    f"wa-phone create {TAB}1": ["create", "1"],
}


@pytest.mark.unmeasured
class TestShells:
    @pytest.mark.parametrize("line", CASES)
    def test_a_line_is_completed(self, shell: Shell, home: Path, line: str) -> None:
        assert shell.completed(line) == ["wa-phone", *CASES[line]]
        assert not (home / "started").exists()  # it asks nobody

    def test_bash_knows_all_commands_options_and_choices(self, home: Path) -> None:
        needs("bash")
        shell = Shell("bash", home)
        try:
            commands = [name for name, *_ in app.COMMANDS]
            assert set(shell.completed(f"wa-phone {ALL}")) == {"wa-phone", *commands}
            for name in commands:
                options = {argument.name for argument in app.app[name].assemble_argument_collection()}
                words = shell.completed(f"wa-phone {name} --{ALL}")
                assert set(words) >= {option for option in options if option.startswith("--")}, name
            assert shell.completed(f"wa-phone list --format {ALL}")[3:] == ["csv", "json", "jsonl", "table"]
        finally:
            shell.close()

    def test_zsh_reads_it_from_its_path_too(self, home: Path, tmp_path: Path) -> None:
        needs("zsh")
        shutil.copy(home / ".wa-phone.zsh", tmp_path / "_cyclopts_wa-phone")
        (tmp_path / ".zshrc").write_text(f"fpath+={tmp_path}\n{SETTINGS['zsh']}")
        shell = Shell("zsh", home, ZDOTDIR=str(tmp_path))
        try:
            for _ in range(2):  # the first time it is loaded
                assert shell.completed(f"wa-phone exp{TAB} --kind c{TAB}") == ["wa-phone", "export", "--kind", "client"]
        finally:
            shell.close()

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("wa-phone exp", ["export"]),
            ("wa-phone ", sorted(name for name, *_ in app.COMMANDS)),
            ("wa-phone list --fo", ["--format"]),
            ("wa-phone list --format ", ["csv", "json", "jsonl", "table"]),
            ("wa-phone list --format=t", ["--format=table"]),
            ("wa-phone export --out my", ["my dir/", "my file.csv"]),
            ("wa-phone create --cc ", []),
            ("wa-phone create ", []),
        ],
    )
    def test_fish(self, home: Path, line: str, expected: list[str]) -> None:
        needs("fish")
        done = subprocess.run(
            ["fish", "-c", f"complete -C '{line}'"],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **environment_in(home)},
            cwd=home / "shop",
        )
        assert [found.partition("\t")[0] for found in done.stdout.splitlines()] == expected
        assert not (home / "started").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_holds_nothing_secret_and_starts_nothing(
    shell: completion.Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("WA_ACCESS_TOKEN", "WA_APP_SECRET", "WA_BASE_URL"):
        monkeypatch.setenv(name, SECRET)
    assert app.run(["completion", shell]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert SECRET not in out
    assert out.endswith("\n")
    assert "__complete" not in out  # with which cyclopts would ask the program
    for name, *_ in app.COMMANDS:
        assert name in out


def test_what_is_fixed_in_the_scripts_of_cyclopts_is_there() -> None:
    """If this fails after an update of cyclopts, try whether the fix is still needed."""
    for shell, (found, fixed) in completion.FIXES.items():
        assert found in app.app.generate_completion(shell=shell)
        assert fixed in completion.script(app.app, shell)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("completion", "completion needs SHELL: wa-phone completion --help has examples"),
        ("completion tcsh", 'Invalid value "tcsh" for SHELL. Choose from: "bash", "zsh", "fish".'),
    ],
)
def test_another_shell_is_invalid(arguments: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(arguments.split()) == 2
    assert capsys.readouterr() == ("", f"wa-phone: {said}\n")
