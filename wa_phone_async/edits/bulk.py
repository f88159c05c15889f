"""`BulkEdit`: plans edits, sends each at most once, and goes on after a kill.

    settle what an earlier run left in flight → plan → send → settle what was lost now

To settle is to read the setting back, and to compare it with the old and the new value. Nothing that may have happened
is sent again. With `resend`, what was read back with its old value is. Each step writes to the journal first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import attrs

from wa_phone_async.checks import check_at_least_one
from wa_phone_async.concurrency import stream_bounded
from wa_phone_async.errors import OutcomeUnknownError, WaPhoneError, concerns_all
from wa_phone_async.workflows.id_set import IdSet
from wa_phone_async.workflows.stepwise import Stepwise

from .edit import IN_FLIGHT, OPEN_STATES, Edit, EditPlan, EditReport, EditState, EditSummary
from .journal import Journal, open_journal

_PLANNED_AT_ONCE: Final = 256
"""Edits that are written to the journal at once: they share a sync of the disk."""


class BulkEdit(Stepwise[Edit, EditReport]):
    """An edit of many settings. Iterate inside `async with`, or await it for an `EditReport`.

        async with client.set_webhooks(ids, url, verify_token=token, journal="webhooks.jsonl") as edits:
            async for edit in edits:
                print(edit.target, edit.state, edit.why)
        print(edits.summary.by_state)

    Without a journal it is a dry run: it reads the old values and sends nothing. With one, each edit is written to the
    journal, then sent, and its outcome is written too. It comes when its state is final for this run. If the process is
    killed, make the same edit with the same journal: it goes on. You can use it once.

    Raises:
        InvalidArgumentError: The journal is another file, that of another plan, or in use.
        JournalError: The journal cannot be written, or it is damaged. Nothing more was sent.
        AuthenticationError: The API rejected the token that all calls share. This ends the edit.
        RuntimeError: You iterate outside `async with`, or enter it twice.
    """

    _edits: AsyncGenerator[Edit]

    def __init__(self, plan: EditPlan, journal: Path | None, *, concurrency: int, resend: bool = False) -> None:
        super().__init__()
        check_at_least_one("concurrency", concurrency)
        self._call = plan.call
        self._plan = plan
        self._path = journal
        self._concurrency = concurrency
        self._resend = resend
        self._counts = Counter[EditState]()  # of a dry run, and of what is in no journal
        self._journal: Journal | None = None
        self._ending: WaPhoneError | None = None  # the error that ends it when what is in flight has ended
        self._is_stopped = False

    def __repr__(self) -> str:  # seen in a notebook after a forgotten `await`
        return f"<{type(self).__name__}: await it for a report, or iterate over it inside 'async with'>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an edit holds a client with its token and cannot be pickled or copied: pickle its report")

    async def _collect(self) -> EditReport:
        async with self:
            edits = tuple([edit async for edit in self])
            summary = self.summary
        return EditReport(by_state=summary.by_state, resumed=summary.resumed, edits=edits)

    @property
    def summary(self) -> EditSummary:
        """What the edits have come to so far, with what earlier runs did."""
        counts = dict.fromkeys(EditState, 0) if self._journal is None else self._journal.count()
        for state, count in self._counts.items():
            counts[state] += count
        return EditSummary(by_state=counts, resumed=0 if self._journal is None else self._journal.resumed)

    def stop(self) -> None:
        """Send nothing more. Edits in flight end in order, and the iteration ends after them."""
        self._is_stopped = True

    async def _begin(self) -> None:
        self._edits = await self._stack.enter_async_context(aclosing(self._run()))

    async def _take_step(self) -> bool:
        """Go on until the next edit is final."""
        edit = await anext(self._edits, None)
        if edit is not None:
            self._ready.append(edit)
        return edit is not None

    async def _run(self) -> AsyncGenerator[Edit]:
        if self._path is None:
            async with aclosing(self._until_stopped(self._plan.edits(IdSet().add))) as edits:
                async for edit in edits:
                    is_same = edit.state is EditState.PLANNED and edit.old == edit.new
                    shown = attrs.evolve(edit, state=EditState.UNCHANGED) if is_same else edit
                    self._counts[shown.state] += 1
                    yield shown
            return
        async with open_journal(self._path, self._plan.options) as journal:
            self._journal = journal
            for step in (self._settle_earlier, self._plan_all, self._send_all):
                async with aclosing(step(journal)) as edits:
                    async for edit in edits:
                        yield edit
                if self._ending is not None:
                    raise self._ending
                if self._is_stopped:
                    return

    async def _settle_earlier(self, journal: Journal) -> AsyncGenerator[Edit]:
        """Read back what an earlier run left in flight. What that run has read back comes again, without a call."""
        settled = {EditState.CHANGED} if self._resend else {EditState.CHANGED, EditState.NOT_APPLIED}
        async for edit in journal.edits(journal.numbers(settled)):
            yield attrs.evolve(edit, why="it was in flight, and an earlier run has read it back")
        states = {*IN_FLIGHT, EditState.NOT_APPLIED} if self._resend else IN_FLIGHT
        async with aclosing(self._each(journal, states, self._settle, lambda _: True)) as edits:
            async for edit in edits:
                if not (self._resend and edit.state is EditState.NOT_APPLIED):  # that one is sent again, and comes then
                    yield edit

    async def _plan_all(self, journal: Journal) -> AsyncGenerator[Edit]:
        """Read the old values, and complete the plan. Edits that have nothing to do come now."""
        async with (
            aclosing(self._until_stopped(self._plan.edits(journal.needs))) as edits,
            aclosing(stream_bounded(journal.plan, edits, _PLANNED_AT_ONCE)) as planned,
        ):
            async for edit in planned:
                if edit.state is not EditState.PLANNED:
                    self._counts[edit.state] += edit.number < 0  # those with a number are counted by the journal
                    yield edit
        if not self._is_stopped:
            await journal.complete_plan()

    async def _send_all(self, journal: Journal) -> AsyncGenerator[Edit]:
        """Send what may be sent, and read back at once what was lost. What only earlier runs named stays planned."""
        states = {*OPEN_STATES, EditState.NOT_APPLIED} if self._resend else OPEN_STATES
        async with aclosing(self._each(journal, states, self._send, journal.is_named)) as edits:
            async for edit in edits:
                yield edit

    async def _each(
        self,
        journal: Journal,
        states: Collection[EditState],
        work: Callable[[Journal, Edit], Coroutine[Any, Any, Edit]],
        may_be: Callable[[str], bool],
    ) -> AsyncGenerator[Edit]:
        """Do work on each edit that is now in one of these states, and whose target may be worked on."""
        async with (
            aclosing(self._until_stopped(journal.edits(journal.numbers(states)))) as all_edits,
            aclosing(edit async for edit in all_edits if may_be(edit.target)) as edits,
            aclosing(stream_bounded(partial(work, journal), edits, self._concurrency)) as done,
        ):
            async for edit in done:
                yield edit

    async def _until_stopped(self, edits: AsyncGenerator[Edit]) -> AsyncGenerator[Edit]:
        async with aclosing(edits):
            async for edit in edits:
                if self._is_stopped or self._ending is not None:
                    return
                yield edit

    async def _send(self, journal: Journal, edit: Edit) -> Edit:
        """Send an edit. If its response is lost, read the setting back at once."""
        await journal.note(attrs.evolve(edit, state=EditState.SENT))
        try:
            await self._plan.send(edit)
            edit = attrs.evolve(edit, state=EditState.DONE)
        except OutcomeUnknownError as error:
            edit = attrs.evolve(edit, state=EditState.UNKNOWN, why=str(error))
        except WaPhoneError as error:
            self._end_at(error)
            edit = attrs.evolve(edit, state=EditState.REJECTED, why=str(error))
        await journal.note(edit)
        return await self._settle(journal, edit) if edit.state is EditState.UNKNOWN else edit

    async def _settle(self, journal: Journal, edit: Edit) -> Edit:
        """Read the setting of an edit back."""
        try:
            edit = edit.settled_by(await self._plan.read(edit))
        except WaPhoneError as error:
            self._end_at(error)
            edit = attrs.evolve(edit, state=EditState.UNKNOWN, why=f"it cannot be read back: {error}")
        await journal.note(edit)
        return edit

    def _end_at(self, error: WaPhoneError) -> None:
        """End the edit if all other calls would fail with the same error. What is in flight ends in order."""
        if concerns_all(error):
            self._ending = error.with_traceback(None)
