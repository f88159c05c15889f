"""A bulk edit sends each write at most once, whenever it is killed, and says how each ended."""

import asyncio
import errno
import json
import os
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.edits import journal as journals
from wa_phone_async.edits.bulk import BulkEdit
from wa_phone_async.edits.edit import Edit, EditPlan, EditState, Needs
from wa_phone_async.edits.journal import open_journal
from wa_phone_async.errors import (
    AuthenticationError,
    BadRequestError,
    InvalidArgumentError,
    JournalError,
    OutcomeUnknownError,
    TransportError,
)
from wa_phone_async.files.lines_on_disk import write_synced

DONE, REJECTED, UNKNOWN = EditState.DONE, EditState.REJECTED, EditState.UNKNOWN
NOT_APPLIED, UNCHANGED, CHANGED = EditState.NOT_APPLIED, EditState.UNCHANGED, EditState.CHANGED


@attrs.define
class World:
    """Settings, and what happens to the writes of each. It notes how long the journal was at each write."""

    values: dict[str, Any]
    journal: Path
    fates: dict[str, str] = attrs.field(factory=dict[str, str])
    """`done` (default), `rejected`, `lost` (and applied), `dropped` (lost, and not applied), `hangs` or `expired`."""
    unreadable: set[str] = attrs.field(factory=set[str])
    """The targets whose old values cannot be read."""
    is_mute: bool = False
    """Whether nothing can be read back."""
    options: dict[str, Any] = attrs.field(factory=lambda: {"edit": "test.set", "value": "new"})
    sent: list[tuple[str, int]] = attrs.field(factory=list[tuple[str, int]])
    hangs: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Set when a write hangs."""
    reads: list[str] = attrs.field(factory=list[str])

    @property
    def sends(self) -> Counter[str]:
        return Counter(target for target, _ in self.sent)

    def edit(self, targets: Iterable[str] | None = None, **how: Any) -> BulkEdit:
        named = list(self.values if targets is None else targets)

        async def edits(needs: Needs) -> AsyncGenerator[Edit]:
            for target in filter(needs, named):
                edit = Edit(kind="number", target=target, old=self.values[target], new="new")
                unread = target in self.unreadable
                yield attrs.evolve(edit, state=REJECTED, why="it cannot be read") if unread else edit

        plan = EditPlan(call="client.edit", options=self.options, edits=edits, send=self.send, read=self.read)
        return BulkEdit(plan, how.pop("journal", self.journal), **{"concurrency": 4, **how})

    async def send(self, edit: Edit) -> None:
        self.sent.append((edit.target, self.journal.stat().st_size))
        fate = self.fates.get(edit.target, "done")
        await asyncio.sleep(0)
        if fate in {"done", "lost", "hangs"}:
            self.values[edit.target] = edit.new
        if fate == "rejected":
            raise BadRequestError("no", http_status=400)
        if fate == "expired":
            error = AuthenticationError("the token has expired", http_status=401, code=190)
            error.is_shared = True
            raise error
        if fate in {"lost", "dropped"}:
            raise OutcomeUnknownError("lost", reason="lost")
        if fate == "hangs":
            self.hangs.set()
            await asyncio.Event().wait()

    async def read(self, edit: Edit) -> Any:
        self.reads.append(edit.target)
        await asyncio.sleep(0)
        if self.is_mute:
            raise TransportError("no network")
        return self.values[edit.target]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World({str(number): f"old {number}" for number in range(1, 9)}, tmp_path / "edits.jsonl")


async def _next(edit: BulkEdit) -> Edit:
    return await anext(edit)


async def outcome(edit: BulkEdit) -> dict[str, EditState]:
    return {each.target: each.state for each in (await edit).edits}


async def test_each_edit_is_sent_once_and_its_outcome_is_told(world: World) -> None:
    world.fates = {"2": "rejected", "3": "lost", "4": "dropped"}
    world.values["5"] = "new"
    assert await outcome(world.edit()) == {
        **dict.fromkeys("1678", DONE),
        "2": REJECTED,
        "3": DONE,
        "4": NOT_APPLIED,
        "5": UNCHANGED,
    }
    assert world.sends == Counter("1234678")
    assert world.reads == ["3", "4"]
    assert world.journal.stat().st_mode & 0o777 == 0o600


async def test_without_a_journal_it_sends_and_writes_nothing(world: World) -> None:
    world.values["5"], world.unreadable = "new", {"6"}
    edit = world.edit([*"12345678", "1"], journal=None)
    found = await outcome(edit)
    assert found == {**dict.fromkeys("123478", EditState.PLANNED), "5": UNCHANGED, "6": REJECTED}
    assert edit.summary.by_state[EditState.PLANNED] == 6
    assert not world.sent
    assert not world.journal.exists()


async def test_the_same_edit_again_sends_only_what_certainly_did_not_happen(world: World) -> None:
    world.fates, world.unreadable = {"2": "rejected", "4": "dropped"}, {"6"}
    first = await world.edit()
    assert not first.is_done
    assert first.by_state[REJECTED] == 2
    world.fates.clear()
    world.unreadable.clear()
    again = world.edit(reversed(world.values))  # in any order
    assert await outcome(again) == {"2": DONE, "4": NOT_APPLIED, "6": DONE}
    assert world.reads == ["4"]  # it was read back once
    assert (again.summary.total, again.summary.resumed, again.summary.by_state[NOT_APPLIED]) == (8, 7, 1)
    assert world.sends == Counter("1234578") + Counter("26")
    last = world.edit(resend=True)  # the one that was read back, and did not happen
    assert await outcome(last) == {"4": DONE}
    assert last.summary.is_done
    assert world.sends["4"] == 2
    assert await outcome(world.edit(resend=True)) == {}


async def test_what_cannot_be_read_back_stays_unknown_until_it_can(world: World) -> None:
    world.fates, world.is_mute = {"1": "lost", "2": "dropped"}, True
    report = await world.edit(["1", "2"])
    assert {each.why for each in report.edits} == {"it cannot be read back: no network"}
    assert await outcome(world.edit(["1", "2"])) == {"1": UNKNOWN, "2": UNKNOWN}
    world.is_mute = False
    assert await outcome(world.edit(["1", "2"])) == {"1": DONE, "2": NOT_APPLIED}
    assert world.sends == Counter("12")


async def test_somebody_else_may_have_changed_what_was_in_flight(world: World) -> None:
    world.fates["1"] = "hangs"
    edit = world.edit(["1"])
    async with edit:
        waiting = asyncio.create_task(_next(edit))
        await world.hangs.wait()
    with pytest.raises(RuntimeError, match=r"iterate inside 'async with client\.edit"):
        await waiting
    world.values["1"] = "another"
    assert await outcome(world.edit(["1"])) == {"1": CHANGED}
    assert world.sends == Counter("1")


async def test_a_wait_that_is_cancelled_loses_no_edit(world: World) -> None:
    async with world.edit() as edit:
        while not world.sent:
            waiting = asyncio.create_task(_next(edit))
            await asyncio.sleep(0)
            waiting.cancel()
        assert len([each async for each in edit]) == 8
    assert world.sends == Counter("12345678")


async def test_a_stop_ends_it_in_order_and_it_can_go_on(world: World) -> None:
    async with world.edit(concurrency=2) as edit:
        first = await anext(edit)
        edit.stop()
        found = [first, *[each async for each in edit]]
    assert {each.state for each in found} == {DONE}
    assert len(found) < 8
    assert edit.summary.by_state[EditState.PLANNED] == 8 - len(found)
    assert (await world.edit()).is_done
    assert world.sends == Counter("12345678")


async def test_a_stop_while_it_plans_sends_nothing(world: World) -> None:
    world.values["1"] = "new"
    async with world.edit() as edit:
        assert (await anext(edit)).state is UNCHANGED
        edit.stop()
        assert [each async for each in edit] == []
    assert not world.sent
    assert (await world.edit([*world.values, "1", "2"])).is_done
    assert world.sends == Counter("2345678")


async def test_a_token_that_all_share_ends_it(world: World) -> None:
    world.fates["2"] = "expired"
    with pytest.raises(AuthenticationError, match="the token has expired"):
        await world.edit(concurrency=1)
    assert world.sends == Counter("12")
    world.fates.clear()
    assert (await world.edit()).is_done  # a rejected token means that nothing happened
    assert world.sends == Counter("122345678")


async def test_it_is_used_once_and_inside_its_block(world: World) -> None:
    edit = world.edit()
    assert repr(edit) == "<BulkEdit: await it for a report, or iterate over it inside 'async with'>"
    with pytest.raises(RuntimeError, match=r"iterate inside 'async with client\.edit"):
        await anext(edit)
    await edit
    with pytest.raises(RuntimeError, match="used already: call edit"):
        await edit
    with pytest.raises(TypeError, match="pickle its report"):
        edit.__reduce__()
    with pytest.raises(InvalidArgumentError, match="concurrency must be a whole number from 1 up, not 0"):
        world.edit(concurrency=0)


@given(
    fates=st.lists(st.sampled_from(["done", "rejected", "lost", "dropped"]), min_size=1, max_size=6),
    concurrency=st.integers(1, 5),
    where=st.floats(0, 1),
)
def test_a_kill_at_any_byte_loses_nothing_that_was_sent(fates: list[str], concurrency: int, where: float) -> None:
    """The journal as a kill leaves it has every `sent` line whose write had left. So it is cut at each length."""

    async def run(path: Path) -> None:
        names = [str(number) for number in range(1, len(fates) + 1)]
        world = World(dict.fromkeys(names, "old"), path, dict(zip(names, fates, strict=True)))
        await world.edit(concurrency=concurrency)
        size = round(where * path.stat().st_size)
        os.truncate(path, size)
        sent_before_the_kill = {target for target, length in world.sent if length <= size}
        after = World(dict.fromkeys(names, "old"), path, {})
        for name in sent_before_the_kill:
            after.values[name] = "new" if world.fates[name] in {"done", "lost"} else "old"
        report = await after.edit(concurrency=concurrency)
        certain = {each for each in sent_before_the_kill if world.fates[each] == "rejected"}
        for name in names:
            if name in sent_before_the_kill - certain:
                assert after.sends[name] == 0
            else:
                assert after.sends[name] <= 1
        assert report.total == len(names)
        assert report.by_state[DONE] + report.by_state[NOT_APPLIED] == len(names)

    with TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory, "edits.jsonl")))


def _changed(content: bytes, change: Callable[[list[bytes]], object]) -> bytes:
    lines = content.splitlines(keepends=True)
    change(lines)
    return b"".join(lines)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda lines: lines.pop(1), "is damaged: line 2 is not what was written"),
        (lambda lines: lines.__setitem__(2, lines[2].replace(b"old", b"odd")), "line 3 is not what was written"),
        (lambda lines: lines.insert(4, b"\n"), "line 5 is not what was written"),
    ],
)
async def test_a_damaged_journal_is_refused(world: World, change: Any, text: str) -> None:
    await world.edit()
    world.journal.write_bytes(damaged := _changed(world.journal.read_bytes(), change))
    world.sent.clear()
    with pytest.raises(JournalError, match=text) as caught:
        await world.edit()
    assert caught.value.errno is None
    assert not world.sent
    assert world.journal.read_bytes() == damaged


@pytest.mark.parametrize("content", [b"id,name\n", b'{"id": "1"}\n', b'{"id": "1"', b"\0" * 20, b"\x89PNG\r\n"])
async def test_a_file_of_others_is_refused_and_stays(world: World, content: bytes) -> None:
    world.journal.write_bytes(content)
    with pytest.raises(InvalidArgumentError, match=r"journal must be the journal of an edit, not .*: it is another"):
        await world.edit()
    assert world.journal.read_bytes() == content


async def test_the_journal_of_another_plan_is_refused(world: World) -> None:
    await world.edit(["1", "2"])
    world.options = {**world.options, "value": "newer"}
    expected = "its value is 'new', and that of this plan is 'newer'"
    with pytest.raises(InvalidArgumentError, match=f"a new file, or the journal of this plan, not .*: {expected}"):
        await world.edit(["1", "2"])
    world.options = {**world.options, "value": "new"}
    with pytest.raises(InvalidArgumentError, match=r"a new file for other targets, not .*: it has a plan without 3"):
        await world.edit(["1", "2", "3"])
    assert world.sends == Counter("12")


async def test_what_only_an_earlier_run_has_named_is_not_sent(world: World) -> None:
    async with world.edit(["1", "2", "3"], concurrency=1) as edit:
        await anext(edit)
        edit.stop()
        assert [each async for each in edit] == []
    report = await world.edit(["1", "3"])
    assert (report.by_state[EditState.PLANNED], report.by_state[DONE]) == (1, 2)
    assert world.sends == Counter("13")
    assert (await world.edit(["1", "2", "3"])).is_done


async def test_a_plan_that_was_not_complete_is_not_sent_with_other_targets(world: World) -> None:
    async with world.edit(["1", "2"]) as edit:
        edit.stop()
        assert [each async for each in edit] == []
    async with open_journal(world.journal, world.options) as journal:
        await journal.plan(Edit(kind="number", target="2", old="old 2", new="new"))
    with pytest.raises(InvalidArgumentError, match="an earlier run began it with 1 more"):
        await world.edit(["1"])
    assert not world.sent
    assert (await world.edit(["1", "2"])).is_done


async def test_the_journal_of_another_version_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(journals, "_VERSION", 2)
        await world.edit()
    with pytest.raises(InvalidArgumentError, match="another version of this library wrote it: go on with that version"):
        await world.edit()


async def test_a_journal_is_open_once(world: World) -> None:
    async with open_journal(world.journal, world.options):
        with pytest.raises(InvalidArgumentError, match=r"journal must be free, not .*: another process works with it"):
            await world.edit()


async def test_a_journal_that_must_be_there(world: World) -> None:
    with pytest.raises(InvalidArgumentError, match="there is no such file"):
        async with open_journal(world.journal, None):
            pass
    world.journal.touch()
    with pytest.raises(InvalidArgumentError, match="it is another file"):
        async with open_journal(world.journal, None):
            pass
    await world.edit()
    async with open_journal(world.journal, None) as journal:
        assert journal.options == world.options
        assert [each.old async for each in journal.edits(journal.numbers({DONE}))] == [
            f"old {number}" for number in range(1, 9)
        ]


async def test_nothing_is_sent_when_the_disk_is_full(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with world.edit() as edit:
        await anext(edit)
        already = len(world.sent)
        monkeypatch.setattr(journals, "write_synced", fail)
        with pytest.raises(JournalError, match=r"cannot keep the journal .*: No space left on device") as caught:
            async for _ in edit:
                pass
    assert caught.value.errno == errno.ENOSPC
    assert len(world.sent) <= already + 4
    monkeypatch.undo()
    assert (await world.edit()).is_done
    assert max(world.sends.values()) == 1


async def test_a_journal_in_no_directory(world: World) -> None:
    world.journal = world.journal / "none" / "edits.jsonl"
    with pytest.raises(JournalError, match="cannot keep the journal"):
        await world.edit()


async def test_many_writes_share_a_sync(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = list[int]()

    def count(file: Any, data: bytes) -> None:
        syncs.append(len(data))
        write_synced(file, data)

    monkeypatch.setattr(journals, "write_synced", count)
    world.values = {str(number): "old" for number in range(1_000, 1_400)}
    assert (await world.edit(concurrency=64)).is_done
    assert len(syncs) < 400  # of 1,202 lines
    entries = [json.loads(line) for line in world.journal.read_bytes().splitlines()]
    assert len(entries) == 1_202
