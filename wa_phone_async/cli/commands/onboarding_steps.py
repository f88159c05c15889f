"""Which step a number takes next on its way to being used: decided by its state alone, so that any run can go on."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

from wa_phone_async import PhoneNumber, read_readiness


class Step(Enum):
    """What a number needs next."""

    VERIFY = "a code that proves that it is yours"
    REGISTER = "a PIN with which it is registered"
    REVIEW = "time: Meta looks at its name"
    DONE = "nothing"
    STOP = "somebody's decision, since waiting does not help"


def next_step(number: PhoneNumber, confirmed: Collection[Step] = ()) -> Step:
    """The step that comes next for a number.

    Where the API does not say whether a number is verified, as with an `EXPIRED` code before the registration, it
    is verified again: that is enough in any case, and registering is not.

    Args:
        number: As it was read last, with all fields.
        confirmed: Steps that the API has confirmed since, and which a reading may not show yet. They are not repeated.
    """
    readiness = read_readiness(number)
    if readiness.is_final:
        return Step.STOP
    if not readiness.verified and Step.VERIFY not in confirmed:
        return Step.VERIFY
    if not readiness.registered and Step.REGISTER not in confirmed:
        return Step.REGISTER
    return Step.DONE if readiness.is_ready else Step.REVIEW
