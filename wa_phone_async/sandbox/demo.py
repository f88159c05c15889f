"""A demonstration: a number that changes again and again, for people who watch it."""

import itertools
from collections.abc import Callable, Mapping, Sequence

from .sandbox import Sandbox

STAGES: Sequence[Mapping[str, str]] = (
    {"code_verification_status": "VERIFIED"},
    {"status": "CONNECTED", "platform_type": "CLOUD_API"},
    {"name_status": "APPROVED", "quality_rating": "GREEN"},
    {"quality_rating": "YELLOW"},
    {"status": "FLAGGED"},
    {"status": "PENDING", "platform_type": "NOT_APPLICABLE", "code_verification_status": "EXPIRED"},
)
"""The stages of a number, from one change to the next. The first follows the last."""


def number_stages(sandbox: Sandbox, waba_id: str) -> Callable[[], None]:
    """Return a function that moves one number of an account to its next stage.

    It changes the second number, and does nothing in an account that has no second one.
    """
    stages = itertools.cycle(STAGES)

    def advance() -> None:
        for number in sandbox.numbers(waba_id)[1:2]:
            sandbox.update_number(waba_id, number["id"], **next(stages))

    return advance
