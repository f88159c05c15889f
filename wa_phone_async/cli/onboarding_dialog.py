"""The way of one number from the account's list to its approved name, step by step, with a person beside.

`next_step` says which step comes next, from what the API reports. The steps here say where it is, ask for what only a
person knows, and write each thing once: a code or a PIN that is refused is asked for again, and never sent again.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal

import attrs

from wa_phone_async import (
    ALL_FIELDS,
    GraphAPIError,
    OutcomeUnknownError,
    PhoneNumber,
    WaitError,
    WaitTimeoutError,
    is_ready,
    read_readiness,
)
from wa_phone_async.call.error_codes import WRONG_CODE, WRONG_PIN
from wa_phone_async.readiness import OnboardingStep as Step
from wa_phone_async.readiness import next_step

from .connection import Link
from .errors import sentence
from .terminal.output import broken, printable, tell, terminal_width
from .terminal.prompt import NoInputError, Prompt

_SETTLING_SECONDS: Final = 15.0
"""How long it looks whether a write happened whose answer was lost, and the seconds between two looks."""
_SETTLING_INTERVAL: Final = 2.0

_REVIEW_INTERVAL: Final = 60.0
_SANDBOX_INTERVAL: Final = 1.0
_SANDBOX_REVIEW_SECONDS: Final = 3.0

_INDENT: Final = "   "
_CAME: Final[Mapping[str, str]] = {
    "created": "created",
    "found": "it is there already",
    "recovered": "created, although the answer was lost",
}
_HEADS: Final[Mapping[Step, str]] = {
    Step.VERIFY: "2. The code",
    Step.REGISTER: "3. The PIN",
    Step.REVIEW: "4. The name",
}
_PASSED: Final[Mapping[Step, str]] = {
    Step.VERIFY: "The number is verified.",
    Step.REGISTER: "The number is registered.",
    Step.REVIEW: "Approved: the number is ready.",
}
_PIN_WANTED: Final[Mapping[bool | None, str]] = {
    True: "Type the 6 digits of two-step verification that this number has. They are not shown.",
    False: "This number has none. Choose 6 digits and keep them, since two-step verification asks for them from now "
    "on. They are not shown.",
    None: "Type the 6 digits of two-step verification. Where the number has none, choose them, and keep them. They are "
    "not shown.",
}


@attrs.frozen(kw_only=True)
class Wanted:
    """The number that is to be brought on its way, and how."""

    waba_id: str
    phone_number: str
    verified_name: str | None
    cc: str | None
    code_method: Literal["SMS", "VOICE"]
    language: str
    waits: bool
    """Whether for the name's review too."""


class Walk:
    """The way of one number.

    Args:
        link: The client, and the sandbox if there is one.
        wanted: What to do.
        prompt: Asks the person who knows the code and the PIN.
    """

    def __init__(self, link: Link, wanted: Wanted, prompt: Prompt) -> None:
        self._client = link.client
        self._sandbox = link.sandbox
        self._wanted = wanted
        self._prompt = prompt
        self._id = ""
        self._was_created = False
        self._confirmed = set[Step]()
        self._told = set[Step]()
        self._ways: dict[Step, Callable[[PhoneNumber], Awaitable[PhoneNumber]]] = {
            Step.VERIFY: self._verify,
            Step.REGISTER: self._register,
        }
        if wanted.waits:
            self._ways[Step.REVIEW] = self._wait

    async def run(self) -> PhoneNumber:
        """Walk to the end, and give the number as it is there.

        Raises:
            NoInputError: Nobody answers.
            WaitError: The number is in a state that is final.
            WaPhoneError: A step was refused, or its answer was lost and looking did not tell.
        """
        number = await self._ensure()
        while way := self._ways.get(step := next_step(number, self._confirmed)):
            self._tell_passed(before=step)
            number = await way(number)
        if step is Step.STOP:
            text = f"{number.id} gets no further: {_reasons(number)}"
            raise WaitError(text, phone_number_id=number.id, last_seen=number)
        self._tell_passed(before=step)
        if step is Step.REVIEW:
            shown_by = f"wa-phone watch {self._wanted.waba_id} shows when that changes."
            self._tell_at(Step.REVIEW, f"So far the number is {_reasons(number)}. {shown_by}")
        return number

    # The steps, each from a number as it was read last to what is read of it afterwards

    async def _ensure(self) -> PhoneNumber:
        wanted = self._wanted
        ensured = await self._client.ensure_phone_number(
            wanted.waba_id,
            phone_number=wanted.phone_number,
            verified_name=wanted.verified_name,
            cc=wanted.cc,
            fields=ALL_FIELDS,
        )
        number, self._was_created = ensured.phone_number, ensured.outcome != "found"
        self._id = number.id
        _tell(f"1. The number: {_CAME[ensured.outcome]}, with the id {number.id}.", indent="")
        if number.verified_name not in {None, wanted.verified_name}:
            _tell(f"It keeps the name that it has: {number.verified_name}")
        return number

    async def _verify(self, _: PhoneNumber) -> PhoneNumber:
        """Have a code sent, unless one may be on its way since an earlier run, and take the one that came."""
        if self._was_created:
            self._was_created = False  # so that no code is sent again without being asked for
            await self._request_code()
            _tell("Type it, which is not shown. Enter alone sends another one.")
        else:
            self._tell_at(Step.VERIFY, "If one has come, type it, which is not shown. Enter alone sends a new one.")
        while True:
            try:
                await self._client.verify_code(self._id, await self._ask_code(), waba_id=self._wanted.waba_id)
            except OutcomeUnknownError as error:
                return await self._settle(Step.VERIFY, error)
            except GraphAPIError as error:
                if not self._may_ask_again(error, WRONG_CODE):
                    raise
                _tell(sentence(error))
                _tell("Meta counts wrong codes. Look at it again; Enter alone sends a new one.")
            else:
                return await self._confirm(Step.VERIFY)

    async def _register(self, number: PhoneNumber) -> PhoneNumber:
        """Register with the PIN that the number has, or with a new one."""
        has_pin = number.is_pin_enabled
        self._tell_at(Step.REGISTER, _PIN_WANTED[has_pin])
        while True:
            try:
                await self._client.register(
                    self._id, pin=await self._ask_pin(is_new=not has_pin), waba_id=self._wanted.waba_id
                )
            except OutcomeUnknownError as error:
                return await self._settle(Step.REGISTER, error)
            except GraphAPIError as error:
                if not self._may_ask_again(error, WRONG_PIN):
                    raise
                _tell(sentence(error))
                _tell("Meta counts wrong PINs. Type the one that this number has; WhatsApp Manager can reset it.")
                has_pin = True
            else:
                return await self._confirm(Step.REGISTER)

    async def _wait(self, number: PhoneNumber) -> PhoneNumber:
        """Wait until Meta has approved the name."""
        left = "Ctrl-C leaves, and the same command looks again."
        self._tell_at(Step.REVIEW, f"So far the number is {_reasons(number)}. {left}")
        interval = _REVIEW_INTERVAL
        if self._sandbox is not None:
            _tell("The sandbox plays Meta, which approves it in a moment.")
            self._sandbox.schedule(_SANDBOX_REVIEW_SECONDS, self._sandbox.approve_name, self._id)
            interval = _SANDBOX_INTERVAL
        number = await self._client.wait_until(self._id, is_ready, interval=interval, waba_id=self._wanted.waba_id)
        self._tell_at(Step.REVIEW, _PASSED[Step.REVIEW])
        return number

    # What a step is made of

    async def _request_code(self) -> None:
        wanted = self._wanted
        way = "SMS" if wanted.code_method == "SMS" else "a voice call"
        try:
            await self._client.request_code(
                self._id, code_method=wanted.code_method, language=wanted.language, waba_id=wanted.waba_id
            )
        except OutcomeUnknownError as error:
            text = f"Whether one was sent by {way} is unknown ({error.reason}): wait for it before you want another."
            self._tell_at(Step.VERIFY, text)
        else:
            self._tell_at(Step.VERIFY, f"One was sent by {way}.")
        for code in self._sandbox.inbox[-1:] if self._sandbox is not None else ():
            _tell(f"The sandbox plays the phone, which shows: {code.code}")

    async def _ask_code(self) -> str:
        while not re.fullmatch(r"[0-9]{3}-?[0-9]{3}", code := await self._ask("Code")):
            if code:
                self._mend("A code has 6 digits, such as 123-830")
            else:
                await self._request_code()
        return code

    async def _ask_pin(self, *, is_new: bool) -> str:
        """The PIN; a new one twice where a person types it, since nobody sees what was mistyped."""
        while True:
            pin = await self._ask("New PIN" if is_new else "PIN")
            if not re.fullmatch(r"[0-9]{6}", pin):
                self._mend("A PIN has 6 digits")
            elif is_new and self._prompt.is_terminal and pin != await self._ask("The same again"):
                self._mend("These two differ")
            else:
                _tell("Registering, which may take two minutes.")
                return pin

    async def _ask(self, what: str) -> str:
        return await self._prompt.read(f"{_INDENT}{what}: ")

    def _mend(self, text: str) -> None:
        """Say what is wrong with an answer; where no person is there, that ends it."""
        if not self._prompt.is_terminal:
            raise NoInputError(f"{text}: nothing was sent")
        _tell(f"{text}: nothing was sent.")

    def _may_ask_again(self, error: GraphAPIError, wrong: int) -> bool:
        """Whether only the answer was wrong, and a person may give another one at once."""
        return error.code == wrong and error.retry_after is None and self._prompt.is_terminal

    async def _settle(self, step: Step, error: OutcomeUnknownError) -> PhoneNumber:
        """Look whether a write happened whose answer was lost. Where it did not, the person decides about another."""
        _tell(f"The answer was lost ({error.reason}). Looking at {error.field}, which tells what happened.")
        try:
            number = await self._client.wait_until(
                self._id,
                lambda number: next_step(number, self._confirmed) is not step,
                interval=_SETTLING_INTERVAL,
                total_timeout=_SETTLING_SECONDS,
                waba_id=self._wanted.waba_id,
            )
        except WaitTimeoutError as late:
            if late.last_seen is None or not self._prompt.is_terminal:
                raise error from late
            _tell("It has not happened so far, and it may still be under way: wait a little, or leave with Ctrl-C.")
            return late.last_seen
        self._tell_at(step, _PASSED[step])
        return number

    async def _confirm(self, step: Step) -> PhoneNumber:
        """Go on from what is read now, and from what the API has just confirmed."""
        self._confirmed.add(step)
        self._tell_at(step, _PASSED[step])
        return await self._client.get_phone_number(self._id, fields=ALL_FIELDS, waba_id=self._wanted.waba_id)

    # What is said

    def _tell_passed(self, before: Step) -> None:
        """Say of each step that needs nothing why it is passed over."""
        for step, passed in _PASSED.items():
            if step is before:
                return
            if step not in self._told:
                self._tell_at(step, passed)

    def _tell_at(self, step: Step, text: str) -> None:
        """Say something about a step, under its head."""
        if step not in self._told:
            self._told.add(step)
            text = f"{_HEADS[step]}: {text[0].lower()}{text[1:]}"
            _tell(text, indent="")
        else:
            _tell(text)


def _reasons(number: PhoneNumber) -> str:
    return "; ".join(read_readiness(number).reasons)


def _tell(text: str, indent: str = _INDENT) -> None:
    """Say something on lines that are broken between words, as wide as the terminal; in a pipe on one."""
    width = terminal_width(sys.stderr)
    if width is None:
        tell(f"{indent}{text}")
        return
    for line in broken(printable(text), width, first=indent, later=_INDENT):
        tell(line)
