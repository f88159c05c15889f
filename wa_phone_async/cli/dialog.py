"""What dialogs have in common: messages with an indent, and prompts for what only the person knows."""

from __future__ import annotations

import math
import re
import sys
from datetime import datetime, timedelta
from typing import Final

from wa_phone_async import GraphAPIError, PhoneNumberClient, WaPhoneError
from wa_phone_async.call.error_codes import WRONG_PIN
from wa_phone_async.redaction import Secret, printable

from .errors import sentence
from .terminal.output import broken, tell, terminal_width
from .terminal.prompt import NoInputError, Prompt

INDENT: Final = "   "

SETTLING_SECONDS: Final = 15.0
"""How long a dialog polls to see whether a write has happened after its response was lost."""
SETTLING_INTERVAL: Final = 2.0
REVIEW_INTERVAL: Final = 60.0
SANDBOX_INTERVAL: Final = 1.0
SANDBOX_REVIEW_SECONDS: Final = 3.0


def say(text: str, indent: str = INDENT) -> None:
    """Write a message. A terminal gets lines that are broken between words, with an indent; a pipe gets one line."""
    width = terminal_width(sys.stderr)
    if width is None:
        tell(f"{indent}{text}")
        return
    for line in broken(printable(text), width, first=indent, later=INDENT):
        tell(line)


def when_to_continue(error: WaPhoneError, how_to_continue: str, now: datetime) -> str:
    """Say how to continue after an error, and when if the number is blocked."""
    if error.retry_after is None:
        return how_to_continue
    wait = timedelta(seconds=math.ceil(error.retry_after))
    until = now + wait + timedelta(minutes=1)  # its seconds are not shown
    return f"Wait until {until:%Y-%m-%d %H:%M %Z}, {wait} from now: an earlier try may prolong it. {how_to_continue}"


class Person:
    """The person at the prompt, who types codes and PINs.

    Args:
        prompt: Reads what is typed.
    """

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    @property
    def is_there(self) -> bool:
        """Whether somebody types at a terminal, and can try again."""
        return self._prompt.is_terminal

    async def read(self, what: str) -> Secret:
        """Prompt for something.

        Raises:
            NoInputError: Standard input has ended.
        """
        return await self._prompt.read(f"{INDENT}{what}: ")

    def reject(self, text: str) -> None:
        """Say why an input is invalid. In a pipe nobody can type another one, so that ends the dialog.

        Raises:
            NoInputError: Nobody can try again.
        """
        if not self.is_there:
            raise NoInputError(f"{text}: nothing was sent")
        say(f"{text}: nothing was sent.")

    def may_retype(self, error: GraphAPIError, wrong: int) -> bool:
        """Whether the API rejected only the input, and a person may type another one at once."""
        return error.code == wrong and error.retry_after is None and self.is_there

    async def register(
        self, client: PhoneNumberClient, phone_number_id: str, *, has_pin: bool | None, waba_id: str | None
    ) -> None:
        """Register a number with the PIN that it has, or with a new one. A wrong PIN may be typed again.

        Args:
            client: The client.
            phone_number_id: The number.
            has_pin: Whether it has a PIN; `None` if the API does not say.
            waba_id: Its account, whose token is used.

        Raises:
            OutcomeUnknownError: The response was lost.
            NoInputError: Nobody typed the PIN, or it was invalid.
            WaPhoneError: The API rejected the registration.
        """
        while True:
            try:
                pin = await self._read_pin(is_new=not has_pin)
                await client.register(phone_number_id, pin=pin, waba_id=waba_id)
            except GraphAPIError as error:
                if not self.may_retype(error, WRONG_PIN):
                    raise
                say(sentence(error))
                say("Meta counts wrong PINs. Type the PIN of this number. You can reset it in WhatsApp Manager.")
                has_pin = True  # whatever the API said: only such a number can have a wrong one
            else:
                return

    async def _read_pin(self, *, is_new: bool) -> Secret:
        """Read a PIN. A person types a new one twice, since a typing error is not to be seen."""
        while True:
            pin = await self.read("New PIN" if is_new else "PIN")
            if not re.fullmatch(r"[0-9]{6}", pin):
                self.reject("A PIN has 6 digits")
            elif is_new and self.is_there and pin != await self.read("Repeat the PIN"):
                self.reject("The two PINs differ")
            else:
                say("Registering. This may take two minutes.")
                return pin
