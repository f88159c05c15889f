"""The edits of many profiles: update, undo. What is edited is here, and how it is made safe in `edits`.

The value of a number is an object with the settings that change, such as `{"email": "", "websites": []}`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Any, TypeAlias

import attrs

from wa_phone_async.concurrency import stream_bounded
from wa_phone_async.edits.edit import Edit, EditPlan, EditState, Needs
from wa_phone_async.edits.journal import JournalHeader
from wa_phone_async.edits.targets import EditTargets
from wa_phone_async.errors import WaPhoneError, concerns_all
from wa_phone_async.models import SuccessResponse
from wa_phone_async.session import GraphSession

from .many import NumberLister, NumberProfile, ProfileLevel, each_number
from .profile import NEVER_CLEARED, comparable, fetch_profile, settings_of, update_profile

Edits: TypeAlias = Callable[[Needs], AsyncGenerator[Edit]]
"""Reads the old values, and yields the edits."""


@attrs.frozen(kw_only=True)
class ProfileEditor:
    """Makes the plans of edits, and reads and sends them."""

    session: GraphSession
    list_many: NumberLister
    concurrency: int

    def update(self, targets: EditTargets, level: ProfileLevel, changes: Mapping[str, Any]) -> EditPlan:
        """The plan that sets these settings. Where one has its value already, it is left out of the write."""
        wanted = comparable(changes)

        async def plan(number: NumberProfile) -> Edit:
            if number.phone_number_id is None:
                account = Edit(kind="account", target=str(number.waba_id), state=EditState.REJECTED)
                return attrs.evolve(account, why=str(number.error))
            edit = Edit(
                kind="number",
                target=number.phone_number_id,
                label=number.display_phone_number,
                waba_id=number.waba_id,
            )
            present = await self._read_or_reject(edit)
            if isinstance(present, Edit):
                return present
            differing = [name for name in wanted if present[name] != wanted[name]]
            old, new = ({name: values[name] for name in differing} for values in (present, wanted))
            return attrs.evolve(edit, old=old, new=new)

        async def edits(needs: Needs) -> AsyncGenerator[Edit]:
            async with aclosing(each_number(targets, level, self.list_many)) as numbers:
                new = (each async for each in numbers if each.phone_number_id is None or needs(each.phone_number_id))
                async with aclosing(stream_bounded(plan, new, self.concurrency)) as planned:
                    async for edit in planned:
                        yield edit

        return self._plan("update", {"on": level, "set": dict(changes)}, edits)

    def undo(self, past: JournalHeader) -> EditPlan:
        """The plan that restores the old values of a journal.

        A setting that has neither the old nor the new value was changed by somebody else since, and stays as it is.

        Raises:
            InvalidArgumentError: The journal is that of another edit, or of another API.
        """
        past.check_past("profiles", self.session.base_url)

        async def restore(edit: Edit) -> list[Edit]:
            present = await self._read_or_reject(edit)
            return [present] if isinstance(present, Edit) else list(_restored(edit, present))

        async def edits(needs: Needs) -> AsyncGenerator[Edit]:
            async with (
                aclosing(past.sent_edits(needs)) as sent,
                aclosing(stream_bounded(restore, sent, self.concurrency)) as restored,
            ):
                async for each in restored:
                    for edit in each:
                        yield edit

        return self._plan("undo", {"of": past.id}, edits)

    def _plan(self, name: str, options: Mapping[str, Any], edits: Edits) -> EditPlan:
        return EditPlan(
            call=f"client.{name}_business_profiles",
            options={"edit": f"profiles.{name}", **options, "base_url": self.session.base_url},
            edits=edits,
            send=self._send,
            read=self._read,
        )

    async def _read_or_reject(self, edit: Edit) -> dict[str, Any] | Edit:
        """Read all settings of a number. If they cannot be read, return the edit as a rejected one."""
        try:
            return settings_of(await fetch_profile(self.session, edit.target, waba_id=edit.waba_id))
        except WaPhoneError as error:
            if concerns_all(error):
                raise
            return attrs.evolve(edit, state=EditState.REJECTED, why=str(error))

    async def _read(self, edit: Edit) -> dict[str, Any]:
        """Read the present value of an edit: of its settings alone."""
        present = settings_of(await fetch_profile(self.session, edit.target, waba_id=edit.waba_id))
        return {name: present[name] for name in edit.new}

    async def _send(self, edit: Edit) -> None:
        await self.session.post(update_profile(edit.target, edit.new), SuccessResponse, waba_id=edit.waba_id)


def _restored(edit: Edit, present: Mapping[str, Any]) -> Iterator[Edit]:
    """Yield the edit that restores the old values, and one for the settings that stay as they are, if there are any."""
    back, changed, stuck = list[str](), list[str](), list[str]()
    for name, old in edit.old.items():
        if present[name] not in (old, edit.new[name]):
            changed.append(name)
        elif present[name] != old:
            (stuck if name in NEVER_CLEARED and not old else back).append(name)

    def part(names: list[str], **details: Any) -> Edit:
        old, new = ({name: values[name] for name in names} for values in (present, edit.old))
        return attrs.evolve(edit, old=old, new=new, **details)

    if back or not (changed or stuck):
        yield part(back)
    if changed:
        why = f"{', '.join(changed)}: somebody changed it since, so it stays as it is"
        yield part(changed, state=EditState.CHANGED, why=why)
    if stuck:
        why = f"{', '.join(stuck)}: it was empty, and Meta does not let it be cleared, so it stays as it is"
        yield part(stuck, state=EditState.REJECTED, why=why)
