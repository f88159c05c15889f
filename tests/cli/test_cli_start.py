"""What the command line imports: most of its start. A busy machine imports as much as a quiet one."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

pytest.importorskip("cyclopts", reason="the extra `cli` is not installed")
from wa_phone_async.cli import app

CODE = """
import atexit, runpy, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
sys.argv = {arguments!r}
runpy.run_module("wa_phone_async", run_name="__main__", alter_sys=True)
"""
OPTIONAL = {"arro3", "distributed", "opentelemetry", "pandas", "polars", "pyarrow", "redis", "IPython"}
LIST = ("list", "--sandbox", "--format", "jsonl")


def imported(*arguments: str) -> set[str]:
    """Run a command in a process of its own. Return the modules that it has imported."""
    code = CODE.format(arguments=["wa-phone", *arguments])
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout
    return set(done.stderr.splitlines()[-1].split())


def ours(modules: set[str]) -> set[str]:
    return {module.removeprefix("wa_phone_async.") for module in modules if module.startswith("wa_phone_async.")}


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ()])
def test_the_root_help_imports_no_client_and_no_command(arguments: tuple[str, ...]) -> None:
    modules = imported(*arguments)
    assert modules & {"aiohttp", "backoff", "cattrs", "msgspec", *OPTIONAL} == set()
    beside_cli = {module for module in ours(modules) if not f"{module}.".startswith("cli.")}
    assert beside_cli == {"_version", "errors", "redaction"}
    assert {module for module in modules if "cli.commands." in module} == set()


def test_a_list_for_programs_imports_no_table_no_other_command_and_no_optional_package() -> None:
    modules = imported(*LIST)
    assert modules & {"rich", "markdown_it", "pygments", "docstring_parser", *OPTIONAL} == set()
    assert {module for module in modules if "cli.commands." in module} == {"wa_phone_async.cli.commands.list"}
    assert {"aiohttp", "wa_phone_async.client", "wa_phone_async.sandbox"} < modules  # so the test sees what is imported


def test_the_root_help_shows_the_summary_of_each_function() -> None:
    def summaries() -> Iterator[tuple[str, str]]:
        for name, _ in app.COMMANDS:
            function = app.app[name].default_command
            yield name, str(function.__doc__).partition("\n")[0]

    assert tuple(summaries()) == app.COMMANDS
