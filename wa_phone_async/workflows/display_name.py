"""Display names: how far a requested name has come, what to do next, and the wait for the end of its review.

`read_display_name` decides, from the fields of the number alone. So any run can go on where another one ended.

    requested            new_display_name is the name, and new_name_status the state of its review
    approved             the same with APPROVED, until the number is registered again. Or verified_name is the name, and
                         name_status is APPROVED. Sources differ, so both count
    declined, expired    request another one, or the same one again

`AVAILABLE_WITHOUT_REVIEW` is no approval. Meta has not reviewed such a name yet, and may decline it later.

Meta's pages "Display names" (updated 2026-05-21) and on registration (June 2026), and Twilio's pages on its errors
63124 and 63128 (November 2026), read 2026-11-28. They say that Meta reviews one name of a number at a time. That
`new_display_name` stays until the registration is a guess.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Final

import attrs

from wa_phone_async.call.writes import request_display_name
from wa_phone_async.events import NameStageChanged
from wa_phone_async.models import NameStatus, PhoneNumber
from wa_phone_async.usage import Usage

from .watch import Goal, wait_for

NAME_FIELDS: Final = (
    "id",
    "display_phone_number",
    "verified_name",
    "name_status",
    "new_display_name",
    "new_name_status",
)
"""The fields that say how far a display name has come."""

_UNSEEN_POLLS: Final = 3
"""Polls that may not show the name before nobody has requested it: a read may be older than the request."""


class NameStage(StrEnum):
    """How far a display name has come."""

    NOT_REQUESTED = "not-requested"
    """The number neither has this name nor has it requested."""
    IN_REVIEW = "in-review"
    """Meta reviews it. That may take days."""
    NOT_REVIEWED = "not-reviewed"
    """The name may be used, and Meta has not reviewed it yet. The review begins at a higher messaging limit."""
    APPROVED = "approved"
    """Meta has approved it. Customers see it after the next registration."""
    IN_USE = "in-use"
    """It is the number's approved name. No field shows if the number was registered since."""
    DECLINED = "declined"
    """Meta has declined it."""
    EXPIRED = "expired"
    """Its certificate has lapsed, so the number cannot be registered with it."""
    UNKNOWN = "unknown"
    """It was requested, and the API does not say how far it has come."""


_STAGES: Final[Mapping[str | None, NameStage]] = {
    NameStatus.APPROVED: NameStage.APPROVED,
    NameStatus.AVAILABLE_WITHOUT_REVIEW: NameStage.NOT_REVIEWED,
    NameStatus.PENDING_REVIEW: NameStage.IN_REVIEW,
    NameStatus.DECLINED: NameStage.DECLINED,
    NameStatus.EXPIRED: NameStage.EXPIRED,
}
"""What a state of a review means. Any other one, or none, is unknown."""

_ENDS: Final = frozenset({NameStage.APPROVED, NameStage.IN_USE, NameStage.NOT_REVIEWED})
"""What a wait returns: the review is over, or has not begun."""

STAGES: Final[Mapping[NameStage, str]] = {
    NameStage.NOT_REQUESTED: "it is not requested.",
    NameStage.IN_REVIEW: "Meta reviews it.",
    NameStage.NOT_REVIEWED: "it may be used, and Meta has not reviewed it yet, so it may still be declined.",
    NameStage.APPROVED: "Meta has approved it, and it waits for a registration.",
    NameStage.IN_USE: "Meta has approved it, and it is the name of the number.",
    NameStage.DECLINED: "Meta has declined it.",
    NameStage.EXPIRED: "its certificate has expired, so the number cannot be registered with it.",
    NameStage.UNKNOWN: "Meta does not say how far it has come.",
}
"""What each stage means, of a name that stands beside it."""

_MEANINGS: Final[Mapping[NameStage, str]] = {
    NameStage.NOT_REQUESTED: 'the name "{name}" is not requested.',
    NameStage.IN_REVIEW: 'the name "{name}" is in review.',
    NameStage.NOT_REVIEWED: (
        'the name "{name}" may be used, and is not reviewed yet. Meta reviews it at a higher messaging limit, and may '
        "decline it then."
    ),
    NameStage.APPROVED: 'the name "{name}" is approved, and waits for a registration.',
    NameStage.IN_USE: 'the name "{name}" is approved, and is the name of the number.',
    NameStage.DECLINED: 'Meta has declined the name "{name}".',
    NameStage.EXPIRED: 'the certificate of the name "{name}" has expired: the number cannot be registered with it.',
    NameStage.UNKNOWN: 'the name "{name}" is requested, and Meta does not say how far its review is.',
}
_REMEDIES: Final[Mapping[NameStage, str]] = {
    NameStage.NOT_REQUESTED: "Request it.",
    NameStage.IN_REVIEW: "Wait: a review may take days.",
    NameStage.NOT_REVIEWED: "Nothing is to be done now. Read it again when the messaging limit rises.",
    NameStage.APPROVED: (
        "Register the number again. That is one of the ten registrations that Meta allows in 72 hours."
    ),
    NameStage.IN_USE: "If customers see the old name, register the number again: one of ten in 72 hours.",
    NameStage.DECLINED: (
        "Compare it with Meta's display name guidelines, and request another one. Or appeal to Meta's support: "
        "https://www.facebook.com/business/help/757569725593362"
    ),
    NameStage.EXPIRED: "Request it again, and register the number soon after its approval.",
    NameStage.UNKNOWN: "Read it again later.",
}


@attrs.frozen(kw_only=True)
class DisplayName:
    """A display name of a number, and how far it has come."""

    name: str
    """The name. Empty if the number has none, and none is requested."""
    stage: NameStage
    """How far it has come."""
    number: PhoneNumber = attrs.field(repr=False)
    """The number as it was read."""
    other: str | None = None
    """Another name of the number that Meta reviews now. `None`: there is none."""

    @property
    def sentence(self) -> str:
        """What the stage means, as a sentence for people."""
        text = _MEANINGS[self.stage].format(name=self.name)
        text = f"{text[0].upper()}{text[1:]}"
        return text if self.other is None else f'{text} Another name, "{self.other}", is in review.'

    @property
    def remedy(self) -> str:
        """What to do next, as a sentence for people."""
        return _REMEDIES[self.stage]

    @property
    def is_open(self) -> bool:
        """Whether waiting may change the stage: the name is in review, or its state is unknown."""
        return self.stage in {NameStage.IN_REVIEW, NameStage.UNKNOWN}


def read_display_name(number: PhoneNumber, name: str | None = None) -> DisplayName:
    """Read how far a display name of a number has come.

    Args:
        number: The number, read with `name_status`, `new_display_name` and `new_name_status`; `ALL_FIELDS` has them.
        name: The name. `None`: the newest one, which is the one that was requested last.
    """
    newer, current = number.new_display_name or None, number.verified_name or ""
    if name is None:
        name = newer or current
    if newer is not None and _same(name, newer):
        return DisplayName(name=name, stage=_STAGES.get(number.new_name_status, NameStage.UNKNOWN), number=number)
    other = newer if number.new_name_status == NameStatus.PENDING_REVIEW else None
    stage = NameStage.NOT_REQUESTED
    if current and _same(name, current):
        stage = _STAGES.get(number.name_status, NameStage.UNKNOWN)
        stage = NameStage.IN_USE if stage is NameStage.APPROVED else stage
    return DisplayName(name=name, stage=stage, number=number, other=other)


def _same(one: str, other: str) -> bool:
    """Whether two names are one: Meta may send one in another form, or with other blanks."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split())


async def wait_for_display_name(
    phone_number_id: str,
    name: str | None,
    read: Callable[[], Awaitable[PhoneNumber]],
    *,
    interval: float,
    total_timeout: float | None,
    usage: Callable[[], Usage | None],
    dispatch: Callable[[NameStageChanged], object],
    waba_id: str | None,
) -> DisplayName:
    """Poll a number until the review of a name is over: see `PhoneNumberClient.wait_for_display_name`.

    Args:
        phone_number_id: Meta's id of the number.
        name: The name; `None` takes the one that the first poll shows as requested.
        read: Reads the number.
        interval: Seconds between two polls.
        total_timeout: Seconds for the whole wait; `None` for no limit.
        usage: Returns the last known usage.
        dispatch: Gets an event for each new stage.
        waba_id: The account of the number, for the events.
    """
    if name is not None:
        request_display_name(phone_number_id, name)  # checks the name
    follower = _Follower(phone_number_id, waba_id, dispatch, name)
    goal = Goal(follower.is_over, follower.why_never, lambda number: follower.read(number).sentence)
    number = await wait_for(phone_number_id, goal, read, interval=interval, total_timeout=total_timeout, usage=usage)
    return follower.read(number)


@attrs.define
class _Follower:
    """Follows one name from poll to poll."""

    phone_number_id: str
    waba_id: str | None
    dispatch: Callable[[NameStageChanged], object]
    name: str | None
    """The name. `None` until the first poll shows one."""
    _stage: NameStage | None = attrs.field(default=None, init=False)
    _unseen: int = attrs.field(default=0, init=False)  # polls in a row that did not show the name

    def read(self, number: PhoneNumber) -> DisplayName:
        """Read how far the name has come."""
        return read_display_name(number, self.name)

    def is_over(self, number: PhoneNumber) -> bool:
        """Whether the wait is over. It is called once for each poll."""
        found = self.read(number)
        self.name = found.name or None
        self._unseen = self._unseen + 1 if found.stage is NameStage.NOT_REQUESTED else 0
        if found.stage is not self._stage:
            self._stage = found.stage
            event = NameStageChanged(
                node_id=self.phone_number_id,
                waba_id=self.waba_id,
                name=found.name,
                stage=found.stage,
                sentence=found.sentence,
            )
            self.dispatch(event)
        return found.stage in _ENDS

    def why_never(self, number: PhoneNumber) -> str:
        """Say why waiting does not help, and what does; empty if it may help."""
        found = self.read(number)
        is_nameless = self.name is None
        is_final = found.stage in {NameStage.DECLINED, NameStage.EXPIRED} or self._unseen >= _UNSEEN_POLLS
        return f"{found.sentence} {found.remedy}" if is_final or is_nameless else ""
