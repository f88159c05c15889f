"""A value that goes back and forth is told once. Pure: the clock comes from outside.

The first change of a field of a number is told at once. For an hour, a change to a value that the field had before in
this hour is kept back. A change to any other value is told, and the hour begins again. At the end of the hour, the
value is told if it is not the one that was told last. So A → B → A → B is one alert, and nobody believes a value for
more than an hour that is no longer true.
"""

from __future__ import annotations

import json
from typing import Final

import attrs

from wa_phone_async.workflows.watch import Change

FLAPPING_SECONDS: Final = 3600.0
"""How long a value that comes back is kept back."""

_Key = tuple[str, str, str]


@attrs.define
class _Field:
    told: Change
    """The change that was told last."""
    until: float
    seen: set[str]
    now: Change
    """The change that was seen last."""


class FlapFilter:
    """Which changes to tell, and when. It remembers a field for an hour after it was told."""

    def __init__(self) -> None:
        self._fields = dict[_Key, _Field]()  # in the order in which their hours end

    def __len__(self) -> int:
        """The number of fields that it remembers."""
        return len(self._fields)

    def take(self, change: Change, now: float) -> Change | None:
        """Return the change if it causes an alert at once."""
        key = change.waba_id, change.phone_number_id, change.field
        field = self._fields.get(key)
        if field is not None and _text(change.new) in field.seen:
            field.now = change
            return None
        seen = {_text(change.old), _text(change.new)} if field is None else {*field.seen, _text(change.new)}
        self._tell(key, change, now, seen)
        return change

    def due(self, now: float) -> list[Change]:
        """Return the changes that were kept back until now. Their `old` is what was told last."""
        changes = list[Change]()
        while self._fields:
            key, field = next(iter(self._fields.items()))
            if field.until > now:
                break
            del self._fields[key]
            if _text(field.now.new) != _text(field.told.new):
                change = attrs.evolve(field.now, old=field.told.new)
                self._tell(key, change, now, {_text(change.old), _text(change.new)})
                changes.append(change)
        return changes

    def _tell(self, key: _Key, change: Change, now: float, seen: set[str]) -> None:
        self._fields.pop(key, None)
        self._fields[key] = _Field(change, now + FLAPPING_SECONDS, seen, change)


def _text(value: object) -> str:
    return json.dumps(value, default=repr, sort_keys=True)
