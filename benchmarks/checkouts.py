"""Other revisions of this package, unpacked from git."""

import contextlib
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path

import paired

REPOSITORY = paired.HERE.parent


def is_known(revision: str, repository: Path = REPOSITORY) -> bool:
    """Whether the repository has a revision."""
    command = ["git", "-C", str(repository), "cat-file", "-e", f"{revision}^{{commit}}"]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0


@contextlib.contextmanager
def checked_out(revision: str, repository: Path = REPOSITORY) -> Generator[str]:
    """The package of a revision, in a directory of its own."""
    command = ["git", "-C", str(repository), "archive", revision, "wa_phone_async"]
    archive = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["tar", "-x", "-C", directory], check=True, input=archive.stdout)
        yield directory
