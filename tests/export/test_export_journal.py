"""The journal: it reads what it wrote, wherever it was cut, and touches no file of others."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import ExportError, InvalidArgumentError
from wa_phone_async.export.journal import Journal
from wa_phone_async.export.part import Part
from wa_phone_async.files import lock as module

OPTIONS = {"fields": "id", "filter": ["a=b"]}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "numbers.csv.parts"


def opened(directory: Path, options: Any = OPTIONS, *, resume: bool = True) -> Journal:
    return Journal(directory, options, resume=resume)


def write_part(journal: Journal, *accounts: str, numbers: int = 2) -> None:
    path = journal.next_part(".csv")
    path.write_text("numbers")
    journal.add(Part.of(path, numbers), accounts)


def ids_in(journal: Journal, *ids: str) -> list[str]:
    return [waba_id for waba_id in ids if waba_id in journal.complete]


@pytest.fixture
def unfinished(directory: Path) -> Path:
    journal = opened(directory)
    write_part(journal, "1", "2")
    journal.add(None, ["3"])
    write_part(journal, "4", numbers=5)
    journal.close()
    return directory


def test_it_goes_on_where_it_was(unfinished: Path) -> None:
    journal = opened(unfinished)
    assert ids_in(journal, "1", "2", "3", "4", "5") == ["1", "2", "3", "4"]
    assert journal.phone_numbers == 7
    assert [part.path.name for part in journal.parts] == ["000001.csv", "000002.csv"]
    assert journal.next_part(".csv").name == "000003.csv"
    write_part(journal, "5")
    journal.close()
    journal = opened(unfinished)
    assert len(journal.complete) == 5
    journal.close()


def test_options_are_compared_as_they_are_written(unfinished: Path) -> None:
    opened(unfinished, {"filter": ("a=b",), "fields": "id"}).close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({**OPTIONS, "fields": "status"}, "fields must be 'id', as when the export began, not 'status'"),
        ({"fields": "id"}, r"filter must be \['a=b'\], as when the export began, not None"),
        ({**OPTIONS, "kind": "client"}, "kind must be None, as when the export began, not 'client'"),
    ],
)
def test_other_options_are_rejected_and_nothing_is_changed(unfinished: Path, options: Any, said: str) -> None:
    before = contents(unfinished)
    with pytest.raises(InvalidArgumentError, match=f"^{said}: give the same, or remove .* to begin again$"):
        opened(unfinished, options)
    assert contents(unfinished) == before


def test_options_must_be_plain_json(directory: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="options must be plain JSON, not"):
        opened(directory, {"fields": {1, 2}})
    assert not directory.exists()


def test_options_may_change_before_an_account_is_complete(directory: Path) -> None:
    opened(directory).close()
    journal = opened(directory, {"fields": "status"})
    write_part(journal, "1")
    journal.close()
    with pytest.raises(InvalidArgumentError, match=r"^fields must be 'status', as when the export began, not 'id'"):
        opened(directory)


def test_an_unfinished_export_is_not_overwritten(unfinished: Path) -> None:
    before = contents(unfinished)
    with pytest.raises(
        InvalidArgumentError, match=r"^resume must be True: an unfinished export is in .*; remove it to begin again$"
    ):
        opened(unfinished, resume=False)
    assert contents(unfinished) == before


def test_a_finished_export_can_be_resumed_or_begun_again(unfinished: Path) -> None:
    journal = opened(unfinished)
    journal.finish()
    journal.close()
    journal = opened(unfinished)
    assert len(journal.complete) == 4
    journal.close()
    journal = opened(unfinished, {"fields": "other"}, resume=False)
    assert (len(journal.complete), journal.parts, journal.phone_numbers) == (0, [], 0)
    assert list(contents(unfinished)) == ["journal.jsonl"]
    journal.close()


def test_one_that_went_on_after_it_was_finished_is_unfinished(unfinished: Path) -> None:
    journal = opened(unfinished)
    journal.finish()
    write_part(journal, "9")
    journal.close()
    with pytest.raises(InvalidArgumentError, match=r"^resume must be True: an unfinished export is in "):
        opened(unfinished, resume=False)


@given(st.data())
def test_wherever_its_end_was_cut_whole_lines_count(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("export") / "parts"
    journal = opened(directory)
    for number in range(4):
        write_part(journal, f"{number}1", f"{number}2")
    journal.close()
    file = directory / "journal.jsonl"
    whole = file.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    file.write_bytes(whole[:cut] + data.draw(st.sampled_from([b"", b"\0\0\0"])))
    lines = max(0, whole[:cut].count(b"\n") - 1)

    journal = opened(directory)
    assert (len(journal.complete), len(journal.parts)) == (2 * lines, lines)
    assert sorted(contents(directory)) == [*(f"{part + 1:06}.csv" for part in range(lines)), "journal.jsonl"]
    write_part(journal, "9")
    journal.close()

    journal = opened(directory)
    assert len(journal.complete) == 2 * lines + 1
    assert "9" in journal.complete
    journal.close()


def test_files_without_a_line_are_removed(unfinished: Path) -> None:
    left = [
        "000003.csv",
        ".000003.csv.partial-0123abcd",
        "failed-000001.jsonl",
        ".failed-000002.jsonl.partial-0123abcd",
    ]
    for name in left:
        (unfinished / name).write_text("half a part")
    opened(unfinished).close()
    assert not set(contents(unfinished)) & set(left)


@pytest.mark.parametrize("name", ["diary.txt", "1.csv", "000001.csv.bak"])
def test_a_file_of_others_is_not_touched(unfinished: Path, name: str) -> None:
    (unfinished / name).write_text("mine")
    before = contents(unfinished)
    for resume in (True, False):
        with pytest.raises(
            InvalidArgumentError, match=f"^path must be free: move .*{name}, since its directory will be removed$"
        ):
            opened(unfinished, resume=resume)
    assert contents(unfinished) == before


def test_a_part_that_is_missing_is_noticed_at_once(unfinished: Path) -> None:
    (unfinished / "000001.csv").unlink()
    with pytest.raises(ExportError) as caught:
        opened(unfinished)
    assert str(caught.value) == (
        f"the export is damaged: {unfinished}/000001.csv is missing; restore it from a copy, or remove {unfinished} "
        "to begin again"
    )
    assert (caught.value.errno, caught.value.filename) == (None, str(unfinished / "000001.csv"))


def test_a_part_may_be_no_directory(unfinished: Path) -> None:
    (unfinished / "000001.csv").unlink()
    (unfinished / "000001.csv").mkdir()
    with pytest.raises(ExportError, match=r"^the export is damaged: .*/000001\.csv is no file; restore it from a copy"):
        opened(unfinished)


@pytest.mark.parametrize("first", [{"version": 1, "options": {}}, {"version": 3, "options": {}, "more": 7}])
def test_the_journal_of_another_version_is_rejected(directory: Path, first: object) -> None:
    directory.mkdir()
    (directory / "journal.jsonl").write_text(json.dumps(first) + "\n")
    for resume in (True, False):
        with pytest.raises(
            InvalidArgumentError, match=r"^path must be free: another version of this library began the export in "
        ):
            opened(directory, resume=resume)


def test_only_one_process_may_write(directory: Path) -> None:
    pytest.importorskip("fcntl", reason="there are no such locks here")
    journal = opened(directory)
    with pytest.raises(
        InvalidArgumentError, match=r"^path must be free: another export writes to .*numbers\.csv\.parts; let it end"
    ):
        opened(directory)
    write_part(journal, "1")
    journal.close()
    opened(directory).close()


@pytest.mark.parametrize("is_back", [False, True])
def test_a_lock_on_a_directory_that_was_just_removed_is_none(
    directory: Path, monkeypatch: pytest.MonkeyPatch, *, is_back: bool
) -> None:
    fcntl = pytest.importorskip("fcntl", reason="there are no such locks here")
    other = opened(directory)

    class Fcntl:
        LOCK_EX, LOCK_NB = fcntl.LOCK_EX, fcntl.LOCK_NB

        def flock(self, file: Any, how: int) -> None:
            other.remove()  # in the moment between opening the file and locking it
            if is_back:
                directory.mkdir()
                (directory / "journal.jsonl").touch()
            fcntl.flock(file, how)

    monkeypatch.setattr(module, "fcntl", Fcntl())
    with pytest.raises(InvalidArgumentError, match=r"^path must be free: another export writes to "):
        opened(directory)


def test_removing_leaves_nothing_and_may_be_done_again(unfinished: Path) -> None:
    journal = opened(unfinished)
    journal.remove()
    journal.remove()
    journal.close()
    assert not list(unfinished.parent.iterdir())


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match=r"cannot keep the parts of the export in .*file: File exists") as caught:
        opened(tmp_path / "file")
    assert caught.value.filename == str(tmp_path / "file")


def test_a_line_that_cannot_be_written_is_one_sentence(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(directory)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ExportError, match=r"cannot keep the parts .*: No space left on device"):
            journal.finish()
    journal.close()


def test_a_first_line_that_cannot_be_written_too(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportError, match=r"^cannot keep the parts [^:]*: No space left on device$"):
        opened(directory)


def full(_: int) -> None:
    raise OSError(28, os.strerror(28))


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(directory.iterdir())}
