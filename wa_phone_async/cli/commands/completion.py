"""`wa-phone completion`: the script with which a shell completes commands, options and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from wa_phone_async.cli.app import app
from wa_phone_async.cli.commands import new_command
from wa_phone_async.cli.terminal.output import write

Shell = Literal["bash", "zsh", "fish"]

USAGE: Final = "wa-phone completion SHELL"
EXAMPLES: Final = """\
wa-phone completion bash > ~/.wa-phone.bash
echo 'source ~/.wa-phone.bash' >> ~/.bashrc
wa-phone completion zsh > ~/.wa-phone.zsh
echo 'source ~/.wa-phone.zsh' >> ~/.zshrc
echo 'compdef _cyclopts_wa-phone wa-phone' >> ~/.zshrc
wa-phone completion fish \\
    > ~/.config/fish/completions/wa-phone.fish
"""

command: Final = new_command("completion", USAGE, EXAMPLES)

_FILES: Final = 'COMPREPLY=( $(compgen -f -- "${cur}") )'
FIXES: Final[Mapping[Shell, tuple[str, str]]] = {
    # It breaks file names at their blanks. readline does not, and puts a slash behind a directory. The bash of macOS
    # has no compopt.
    "bash": (_FILES, f"compopt -o default 2>/dev/null && COMPREPLY=() || {_FILES}"),
    # It offers files as the value of every option. Those that take a file have -F, too.
    "fish": (" -r -d ", " -x -d "),
}
"""What is replaced in the scripts of cyclopts 5.5, and by what."""

_FISH_END: Final = "complete -c wa-phone -f\n"
"""Without this, fish offers files where nothing else fits."""


@command.default
def write_completion(shell: Annotated[Shell, Parameter(name="SHELL")], /) -> None:
    """Write the script with which a shell completes commands, options and values.

    Save the script to a file, and let your shell read that file when it starts: see the examples. Write the file
    again after each update of wa-phone.

    The completion starts no program, sends nothing, and needs no token.

    zsh needs its own completion first: put "autoload -U compinit && compinit" above the two lines in ~/.zshrc.
    Instead of the two lines, you can save the script as _cyclopts_wa-phone in a directory of fpath.

    Args:
        shell: Your shell.
    """
    write(script(app, shell))


def script(app: App, shell: Shell) -> str:
    """Make the script for a shell: that of cyclopts, with fixes."""
    text = app.generate_completion(shell=shell)
    if shell in FIXES:
        text = text.replace(*FIXES[shell])
    return f"{text.rstrip()}\n{_FISH_END if shell == 'fish' else ''}"
