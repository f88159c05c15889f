"""`wa-phone completion`: what a shell reads to complete the commands, their options and values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from wa_phone_async.cli.terminal.output import write

Shell = Literal["bash", "zsh", "fish"]

USAGE: Final = "wa-phone completion SHELL"
EXAMPLES: Final = """\
wa-phone completion bash > ~/.wa-phone.bash
echo 'source ~/.wa-phone.bash' >> ~/.bashrc
wa-phone completion zsh > ~/.wa-phone.zsh
echo 'source ~/.wa-phone.zsh' >> ~/.zshrc
wa-phone completion fish \\
    > ~/.config/fish/completions/wa-phone.fish
"""

_FILES: Final = 'COMPREPLY=( $(compgen -f -- "${cur}") )'
MENDS: Final[Mapping[Shell, tuple[str, str]]] = {
    # Names with blanks, and the slash behind a directory, are readline's business. The bash of macOS has no compopt.
    "bash": (_FILES, f"compopt -o default 2>/dev/null && COMPREPLY=() || {_FILES}"),
    # An option that takes a file has -r -F; files are nothing for any other.
    "fish": (" -r -d ", " -x -d "),
}
_ENDS: Final[Mapping[Shell, str]] = {
    # As a file of fpath it is the body of the function `_wa-phone`; by `source` it has to be made known.
    "zsh": """
if [[ $funcstack[1] == _wa-phone ]]; then
  _cyclopts_wa-phone "$@"
else
  compdef _cyclopts_wa-phone wa-phone
fi
""",
    "fish": "complete -c wa-phone -f\n",  # no files where nothing else fits
}
"""What they lack at their end."""


def command_of(app: App) -> Callable[..., None]:
    """The command that completes an app, of which it is itself a part."""

    def write_completion(shell: Annotated[Shell, Parameter(name="SHELL")], /) -> None:
        """Write what a shell needs to complete the commands, their options and values.

        Keep it in a file, and let the shell read that file when it starts, as the examples do. Write it again after an
        update. Completion then starts no program, sends nothing, and needs no token.

        zsh must have its completion on: put "autoload -U compinit && compinit" before it in ~/.zshrc. A file named
        _wa-phone in a directory of fpath works as well.

        Args:
            shell: The shell.
        """
        write(script(app, shell))

    return write_completion


def script(app: App, shell: Shell) -> str:
    """What a shell reads."""
    text = app.generate_completion(shell=shell)
    if shell in MENDS:
        text = text.replace(*MENDS[shell])
    return f"{text.rstrip()}\n{_ENDS.get(shell, '')}"
