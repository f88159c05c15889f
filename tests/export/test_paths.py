"""Paths: any value at all is a promised error or a file, and a file under way belongs to the one who writes it."""

import errno
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from exports import LISTINGS, read
from hypothesis import example, given
from hypothesis import strategies as st

from wa_phone_async import ExportError, InvalidArgumentError, WaPhoneError
from wa_phone_async.export import Job, Summary, Writer, merge, whole_file, write
from wa_phone_async.export.paths import read_path
from wa_phone_async.export.whole_file import WholeFile, partial_path
from wa_phone_async.files import lock as lock_module

SUMMARY = Summary(accounts=2, phone_numbers=2, failed=1)

Use = Callable[[Any, Path], Any]


async def use_writer(path: Any, _: Path) -> None:
    with Writer(path) as writer:
        writer.write(LISTINGS)


async def use_job(path: Any, _: Path) -> None:
    with Job(path) as job:
        await job.finish()


async def use_errors_of_a_job(path: Any, good: Path) -> None:
    with Job(good, errors=path) as job:
        await job.finish()


async def use_dask(path: Any, _: Path) -> None:
    dask = pytest.importorskip("wa_phone_async.export.dask", reason="the extra `dask` is not installed")

    class Cluster:
        def sync(self, work: Any, *arguments: Any) -> Any:
            return work(*arguments)

    class ReachedError(Exception):
        pass

    def nobody(*_: Any) -> Any:
        raise ReachedError

    cluster: Any = Cluster()
    cluster.register_plugin = nobody
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dask, "list_chunks", nobody)
        try:
            await dask.export(cluster, ["1"], lambda: None, path)
        except ReachedError:
            return


USES: dict[str, tuple[str, Use]] = {
    "write": ("path", lambda path, _: write(LISTINGS, path)),
    "write errors": ("errors", lambda path, good: write(LISTINGS, good, errors=path)),
    "Writer": ("path", use_writer),
    "Job": ("path", use_job),
    "Job errors": ("errors", use_errors_of_a_job),
    "merge": ("path", lambda path, _: merge([], path)),
    "merge parts": ("parts", lambda path, good: merge([path], good)),
    "dask": ("out_dir", use_dask),
}

BAD: dict[str, tuple[Any, str]] = {
    "NUL": ("shops\0/numbers.csv", r"a path without NUL characters, not 'shops\\x00/numbers\.csv'"),
    "half of a pair": ("\ud800.csv", r"a path in the encoding of the file system, not '\\ud800\.csv'"),
    "number": (7, "a string or a Path, not int"),
    "bytes": (b"numbers.csv", "a string or a Path, not bytes"),
    "bytes of a DirEntry": (type("Entry", (), {"__fspath__": lambda _: b"n.csv"})(), "a string or a Path, not Entry"),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("bad", BAD)
async def test_what_is_no_path_is_an_invalid_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str, bad: str
) -> None:
    monkeypatch.chdir(tmp_path)
    argument, call = USES[use]
    path, said = BAD[bad]
    with pytest.raises(InvalidArgumentError, match=f"^{argument} must be {said}$"):
        await call(path, tmp_path / "good.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", ["n" * 252 + ".csv", "é" * 126 + ".csv", "d/" * 3000 + "n.csv", "n" * 9_999 + ".csv"])
async def test_a_name_that_is_too_long_is_an_error_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    _, call = USES[use]
    with pytest.raises((ExportError, InvalidArgumentError)) as caught:
        await call(name, tmp_path / "good.csv")
    if isinstance(caught.value, ExportError):
        assert caught.value.errno in {errno.ENAMETOOLONG, errno.ENOENT}
        assert str(caught.value).count("\n") == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", [237, 238, 255])
async def test_the_longest_names_are_written(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("é" * 10 + "n" * (length - 24) + ".csv")
    assert len(os.fsencode(path.name)) == length
    assert await write(LISTINGS, path) == SUMMARY
    assert len(read(path)) == 2
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("length", [230, 231, 232, 249])
async def test_a_job_with_the_longest_name_is_resumed_and_leaves_nothing(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("n" * (length - 4) + ".csv")
    partial_path(path).touch()
    partial_path(path.with_name(f"{path.name}.parts")).mkdir()
    with Job(path) as job:
        await job.add(LISTINGS[0])
        await job.flush()
    with Job(path, resume=True) as job:
        assert await job.finish() == Summary(accounts=1, phone_numbers=2)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@given(st.text(st.characters(codec=None, exclude_categories=(), exclude_characters="/"), max_size=300))
@example("")
@example("..")
@example("~")
@example("\r\n")
async def test_any_text_is_a_file_or_a_promised_error(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    directory = tmp_path_factory.mktemp("d")
    try:
        await write(LISTINGS, f"{directory}/{name}", format="csv")
    except WaPhoneError:
        assert not list(directory.iterdir())
    else:
        assert list(directory.iterdir()) == [directory / name]


def test_a_path_is_read_as_it_is() -> None:
    assert read_path("a.csv") == read_path(Path("a.csv")) == Path("a.csv")


# --- the command line


@pytest.mark.skipif(find_spec("cyclopts") is None, reason="the extra `cli` is not installed")
@pytest.mark.parametrize("option", ["--out", "--errors", "--wabas"])
@pytest.mark.parametrize("name", ["n\0.csv", "n" * 252 + ".csv", "\ud800.csv", "d/" * 3000 + "n.csv"])
def test_the_command_line_says_it_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str, name: str
) -> None:
    from wa_phone_async.cli import app  # noqa: PLC0415 - an optional package

    monkeypatch.chdir(tmp_path)
    out = [] if option == "--out" else ["--out", "good.csv"]
    status = app.run(["export", "--sandbox", *out, option, name])
    said = capsys.readouterr().err
    assert status in {1, 2}
    assert said.startswith("wa-phone: ")
    assert "should not happen" not in said
    assert len(said.splitlines()) == 1
    assert not list(tmp_path.iterdir())


# --- files under way


@pytest.mark.parametrize("name", ["numbers.csv", "n" * 245 + ".csv"])
def test_a_job_that_starts_leaves_what_others_write(tmp_path: Path, name: str) -> None:
    path, errors = tmp_path / name, tmp_path / "failed.jsonl"
    left = partial_path(path)
    left.touch()
    with Writer(path, errors=errors) as writer:
        Job(path, errors=errors).close()
        assert not left.exists()
        assert len(list(tmp_path.iterdir())) == 2
        writer.write(LISTINGS)
        Job(path, errors=errors).close()
    assert len(read(path)) == 2
    assert {file.name for file in tmp_path.iterdir()} == {name, errors.name}


def test_a_partial_file_that_is_found_before_it_is_locked_gets_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, found = tmp_path / "numbers.csv", list[Path]()

    def lock(file: Any, partial: Path) -> bool:
        if not found:
            found.append(partial)
            whole_file.remove_partials(path)
        return lock_module.lock(file, partial)

    monkeypatch.setattr(whole_file, "lock", lock)
    file = WholeFile(path)
    file.write(b"1")
    file.keep()
    assert path.read_bytes() == b"1"
    assert list(tmp_path.iterdir()) == [path]


def test_where_the_file_system_has_no_locks_files_are_written_and_what_is_left_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl", reason="there are no such locks here")

    class NoLocks:
        LOCK_EX, LOCK_NB = fcntl.LOCK_EX, fcntl.LOCK_NB

        def flock(self, *_: Any) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock_module, "fcntl", NoLocks())
    path = tmp_path / "numbers.csv"
    file = WholeFile(path)
    whole_file.remove_partials(path)
    file.keep()
    assert path.exists()


def test_a_mode_that_cannot_be_set_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    path = tmp_path / "numbers.csv"
    path.touch()
    monkeypatch.setattr(Path, "chmod", forbid)
    with pytest.raises(ExportError, match=r"cannot write .*: Operation not permitted; the file that was there is unch"):
        WholeFile(path)
    assert list(tmp_path.iterdir()) == [path]


async def test_two_jobs_may_remove_one_directory_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "numbers.csv"
    rename = Path.rename

    def rename_and_start_another_job(directory: Path, doomed: Path) -> Path:
        done = rename(directory, doomed)
        monkeypatch.undo()
        Job(path).close()
        return done

    with Job(path) as job:
        await job.add(LISTINGS[0])
        await job.flush()
        monkeypatch.setattr(Path, "rename", rename_and_start_another_job)
        assert await job.finish() == Summary(accounts=1, phone_numbers=2)
    assert list(tmp_path.iterdir()) == [path]
