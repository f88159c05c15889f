"""A file appears under its name when it is whole. A full disk is one clear error, and the last whole file stays."""

import errno
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from exports import FORMATS

from wa_phone_async import ExportError, InvalidArgumentError
from wa_phone_async.export import Job, Writer
from wa_phone_async.export.whole_file import WholeFile

pytestmark = pytest.mark.heavy  # processes and disks, for many seconds

OLD = b"the last whole file"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "numbers.csv"


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


def test_a_file_appears_when_it_is_kept(path: Path) -> None:
    file = WholeFile(path)
    file.write(b"a")
    file.write(b"b")
    (partial,) = names(path.parent)
    assert partial.startswith(".numbers.csv.partial-")
    file.keep()
    assert names(path.parent) == {path.name}
    assert path.read_bytes() == b"ab"


def test_dropping_a_kept_file_keeps_it(path: Path) -> None:
    file = WholeFile(path)
    file.keep()
    file.drop()
    assert path.exists()


def test_a_dropped_file_leaves_what_was_there(path: Path) -> None:
    path.write_bytes(OLD)
    file = WholeFile(path)
    file.write(b"new")
    file.drop()
    file.drop()
    assert names(path.parent) == {path.name}
    assert path.read_bytes() == OLD


def test_two_at_once_do_not_meet(path: Path) -> None:
    one, other = WholeFile(path), WholeFile(path)
    one.write(b"one")
    other.write(b"other")
    other.keep()
    one.keep()
    assert path.read_bytes() == b"one"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_what_was_private_stays_private(path: Path) -> None:
    path.write_bytes(OLD)
    path.chmod(0o600)
    file = WholeFile(path)
    assert [each.stat().st_mode & 0o777 for each in path.parent.iterdir()] == [0o600, 0o600]
    file.keep()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002, 0])
@pytest.mark.parametrize("old", [None, 0o600, 0o640, 0o664, 0o400])
def test_no_file_is_ever_more_open_than_the_umask_and_the_file_before_it_allow(
    path: Path, monkeypatch: pytest.MonkeyPatch, umask: int, old: int | None
) -> None:
    if old is not None:
        path.touch()
        path.chmod(old)
    allowed = (0o666 if old is None else old) & ~umask
    before = os.umask(umask)
    try:
        with Job(path) as job:
            for_others = job.directory.stat().st_mode & 0o066
            with monkeypatch.context() as patch:  # it has its mode from the start, and not by a change
                patch.setattr(Path, "chmod", lambda *_: None)
                file = WholeFile(path)
            [partial] = path.parent.glob("*.partial-*")
            assert partial.stat().st_mode & 0o777 == allowed
            file.keep()
    finally:
        os.umask(before)
    assert for_others & ~allowed == 0
    assert path.stat().st_mode & 0o777 == (allowed if old is None else old)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_stays_a_link(path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.mktemp("elsewhere") / "real.csv"
    path.symlink_to(target)
    file = WholeFile(path)
    file.write(b"new")
    file.keep()
    assert path.is_symlink()
    assert target.read_bytes() == b"new"
    assert names(path.parent) == {path.name}


def test_only_a_file_is_replaced(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^path must be a file, not .*: it is a directory$"):
        WholeFile(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="there are no such files there")
@pytest.mark.parametrize("name", ["/dev/null", "pipe", "socket", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
@pytest.mark.parametrize("write", [Writer, Job, WholeFile])
@pytest.mark.usefixtures("capfd")  # standard output is a file here
def test_what_is_no_file_is_rejected_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, write: Callable[[Path], object]
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("link").symlink_to("link2")
    Path("link2").symlink_to("/dev/stdout")
    kind = {"/dev/null": "a device", "pipe": "a pipe", "socket": "a socket"}.get(name, "a standard stream")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        with pytest.raises(InvalidArgumentError) as caught:
            write(Path(name))
    assert str(caught.value) == (
        f"path must be a file, not {name}: it is {kind}; for standard output there is wa-phone list --format csv"
    )
    assert names(tmp_path) == {"pipe", "link", "link2", "socket"}


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="there are no such files here")
def test_a_log_to_which_stdout_goes_keeps_what_is_in_it(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_text("yesterday\n")
    program = "from wa_phone_async.export import Writer\nwith Writer('/dev/stdout', format='csv') as writer: pass"
    with log.open("a") as out:
        done = subprocess.run(
            [sys.executable, "-c", program], check=False, stdout=out, stderr=subprocess.PIPE, text=True
        )
    said = done.stderr.splitlines()[-1].partition(": ")[2]
    assert said.startswith("path must be a file, not /dev/stdout: it is a standard stream;")
    assert log.read_text() == "yesterday\n"
    assert names(tmp_path) == {"job.log"}


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_links_in_a_circle_are_no_file(path: Path) -> None:
    path.symlink_to(path)
    with pytest.raises(InvalidArgumentError, match=r"^path must be a file, not .*: it is a link in a circle$"):
        WholeFile(path)


def test_the_message_has_the_reason_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "shops").touch()
    with pytest.raises(ExportError) as caught:
        WholeFile(tmp_path / "shops" / "numbers.csv")
    assert str(caught.value) == f"cannot write {tmp_path}/shops/numbers.csv: Not a directory; no file was left"
    assert caught.value.errno == errno.ENOTDIR


def test_a_partial_file_that_is_gone_is_one_error(path: Path) -> None:
    path.write_bytes(OLD)
    file = WholeFile(path)
    for partial in path.parent.glob(".*"):
        partial.unlink()
    with pytest.raises(ExportError, match="the file that was there is unchanged"):
        file.keep()
    file.drop()
    assert path.read_bytes() == OLD


def test_a_name_that_may_not_last_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    file = WholeFile(path)
    with pytest.raises(ExportError, match="the new file is there, and may not outlive a power failure"):
        file.keep()
    file.drop()
    assert path.exists()


def test_where_directories_cannot_be_opened_files_are_kept_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_DIRECTORY", raising=False)
    WholeFile(path).keep()
    assert path.exists()


EXPORT = """
import asyncio, sys
from pathlib import Path
from exports import listings
from wa_phone_async import ExportError
from wa_phone_async.export import write

async def main(path):
    path.write_bytes(b"the last whole file")
    told = 0
    def many():
        nonlocal told
        for told in range(2_000):
            yield from listings(1, each=50, first=told)
    try:
        await write(many(), path)
    except ExportError as error:
        print(error.errno, error.filename, told, error, sep="\\n")
    print(path.read_text(), *(file.name for file in path.parent.iterdir()), sep="\\n")

asyncio.run(main(Path(sys.argv[1])))
"""
LIMIT = """
import atexit, resource

before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, before[1]))
atexit.register(resource.setrlimit, resource.RLIMIT_FSIZE, before)  # what measures coverage writes a file of its own
"""


def run(*command: str) -> list[str]:
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, timeout=50
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_may_not_grow_is_one_clear_error_and_the_old_one_stays(form: str, tmp_path: Path) -> None:
    if form == "parquet":
        pytest.importorskip("arro3.io")
    path = tmp_path / f"numbers.{form}"
    # -B: Python would take a compiled module that was cut short for a whole one, from then on.
    number, name, told, sentence, *rest = run(sys.executable, "-B", "-W", "error", "-c", LIMIT + EXPORT, str(path))
    assert (int(number), name) == (errno.EFBIG, str(path))
    assert int(told) < 1_999  # not all were read
    assert sentence == (
        f"cannot write {path}: it would be larger than a file may be here; the file that was there is unchanged"
    )
    assert rest == [OLD.decode(), path.name]


def can_mount() -> bool:
    command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return bool(shutil.which("unshare")) and subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_is_one_clear_error_and_the_old_file_stays(form: str, tmp_path: Path) -> None:
    if form == "parquet":
        pytest.importorskip("arro3.io")
    if not can_mount():
        pytest.skip("a small file system cannot be mounted here")
    script = 'mount -t tmpfs -o size=128k tmpfs "$1" && exec "$2" -W error -c "$3" "$1/numbers.$4"'
    number, name, told, sentence, *rest = run(
        *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"),
        *(str(tmp_path), sys.executable, EXPORT, form),
    )
    path = tmp_path / f"numbers.{form}"
    assert (int(number), name) == (errno.ENOSPC, str(path))
    assert int(told) < 1_999  # not all were read
    assert sentence == f"cannot write {path}: the disk is full; the file that was there is unchanged"
    assert rest == [OLD.decode(), path.name]
