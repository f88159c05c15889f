"""The dialog that brings one number from the account's list to its approved name.

`next_step` decides which step comes next, from what the API reports. Each step here says what it does, reads what only
the person knows, and sends it once. The person is prompted for another code or PIN if the API rejects one.
"""

from __future__ import annotations

import re
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
from wa_phone_async.call.error_codes import WRONG_CODE
from wa_phone_async.readiness import OnboardingStep, next_step
from wa_phone_async.redaction import Secret

from .connection import Link
from .dialog import (
    REVIEW_INTERVAL,
    SANDBOX_INTERVAL,
    SANDBOX_REVIEW_SECONDS,
    SETTLING_INTERVAL,
    SETTLING_SECONDS,
    Person,
    say,
)
from .errors import sentence
from .terminal.prompt import Prompt

_OUTCOMES: Final[Mapping[str, str]] = {
    "created": "created",
    "found": "already in the account",
    "recovered": "created, although the response was lost",
}
_TITLES: Final[Mapping[OnboardingStep, str]] = {
    OnboardingStep.VERIFY: "2. The code",
    OnboardingStep.REGISTER: "3. The PIN",
    OnboardingStep.REVIEW: "4. The name",
}
_DONE: Final[Mapping[OnboardingStep, str]] = {
    OnboardingStep.VERIFY: "The number is verified.",
    OnboardingStep.REGISTER: "The number is registered.",
    OnboardingStep.REVIEW: "Approved: the number is ready.",
}
_PIN_PROMPTS: Final[Mapping[bool | None, str]] = {
    True: "Type the 6 digits of this number's two-step verification.",
    False: "This number has none. Choose 6 digits and keep them: two-step verification needs them from now on.",
    None: "Type the 6 digits of this number's two-step verification. If it has none, choose 6 digits and keep them.",
}
"""What to type, by whether the number has a PIN; `None` if the API does not say."""


@attrs.frozen(kw_only=True)
class NumberToOnboard:
    """A number, and how to onboard it."""

    waba_id: str
    phone_number: str
    verified_name: str | None
    cc: str | None
    code_method: Literal["SMS", "VOICE"]
    language: str
    waits: bool
    """Whether to wait for the review of the name, too."""


class OnboardingDialog:
    """The steps of one number.

    Args:
        link: The client, and the sandbox if there is one.
        wanted: The number.
        prompt: Reads the code and the PIN.
    """

    def __init__(self, link: Link, wanted: NumberToOnboard, prompt: Prompt) -> None:
        self._client = link.client
        self._sandbox = link.sandbox
        self._wanted = wanted
        self._person = Person(prompt)
        self._id = ""
        self._was_created = False
        self._confirmed = set[OnboardingStep]()
        self._told = set[OnboardingStep]()
        self._steps: dict[OnboardingStep, Callable[[PhoneNumber], Awaitable[PhoneNumber]]] = {
            OnboardingStep.VERIFY: self._verify,
            OnboardingStep.REGISTER: self._register,
        }
        if wanted.waits:
            self._steps[OnboardingStep.REVIEW] = self._wait

    async def run(self) -> PhoneNumber:
        """Take all steps that the number still needs.

        Returns:
            The number as it was read last.

        Raises:
            NoInputError: Nobody typed the code or the PIN, or it was invalid.
            WaitError: The number is in a final state.
            WaPhoneError: The API rejected a step. Or a response was lost, and polling did not show what had happened.
        """
        number = await self._ensure()
        # The state of the number alone decides about the next step. So any run can continue what another one has
        # begun, and a step that somebody else takes meanwhile is skipped.
        while take := self._steps.get(step := next_step(number, self._confirmed)):
            self._tell_done(before=step)
            number = await take(number)
        if step is OnboardingStep.STOP:
            text = f"{number.id} cannot become ready: {_reasons(number)}"
            raise WaitError(text, phone_number_id=number.id, last_seen=number)
        self._tell_done(before=step)
        if step is OnboardingStep.REVIEW:
            shown_by = f"wa-phone watch {self._wanted.waba_id} shows when that changes."
            self._tell_at(OnboardingStep.REVIEW, f"So far the number is {_reasons(number)}. {shown_by}")
        return number

    # The steps. Each takes the number as it was read last, and returns what it has read since.

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
        say(f"1. The number: {_OUTCOMES[ensured.outcome]}, with the id {number.id}.", indent="")
        if number.verified_name not in {None, wanted.verified_name}:
            say(f"It keeps its name: {number.verified_name}")
        return number

    async def _verify(self, _: PhoneNumber) -> PhoneNumber:
        """Verify the number with the code that it gets.

        Meta limits how often codes are sent. So only a number that this run has created gets one at once. Any other
        number may have got one in an earlier run.
        """
        if self._was_created:
            self._was_created = False
            await self._request_code()
            say("Type it; it is not shown. Press Enter alone to send another one.")
        else:
            text = "If you have received one, type it; it is not shown. Press Enter alone to send a new one."
            self._tell_at(OnboardingStep.VERIFY, text)
        while True:
            try:
                await self._client.verify_code(self._id, await self._read_code(), waba_id=self._wanted.waba_id)
            except OutcomeUnknownError as error:
                return await self._settle(OnboardingStep.VERIFY, error)
            except GraphAPIError as error:
                if not self._person.may_retype(error, WRONG_CODE):
                    raise
                say(sentence(error))
                say("Meta counts wrong codes. Check it and type it again, or press Enter alone to send a new one.")
            else:
                return await self._confirm(OnboardingStep.VERIFY)

    async def _register(self, number: PhoneNumber) -> PhoneNumber:
        """Register the number with the PIN that it has, or with a new one."""
        has_pin = number.is_pin_enabled
        self._tell_at(OnboardingStep.REGISTER, f"{_PIN_PROMPTS[has_pin]} They are not shown.")
        try:
            await self._person.register(self._client, self._id, has_pin=has_pin, waba_id=self._wanted.waba_id)
        except OutcomeUnknownError as error:
            return await self._settle(OnboardingStep.REGISTER, error)
        return await self._confirm(OnboardingStep.REGISTER)

    async def _wait(self, number: PhoneNumber) -> PhoneNumber:
        """Wait until Meta has approved the name."""
        leave = "You can leave with Ctrl-C, and run the same command again later."
        self._tell_at(OnboardingStep.REVIEW, f"So far the number is {_reasons(number)}. {leave}")
        interval = REVIEW_INTERVAL
        if self._sandbox is not None:
            say("The sandbox plays Meta, and approves it in a moment.")
            self._sandbox.schedule(SANDBOX_REVIEW_SECONDS, self._sandbox.approve_name, self._id)
            interval = SANDBOX_INTERVAL
        number = await self._client.wait_until(self._id, is_ready, interval=interval, waba_id=self._wanted.waba_id)
        self._tell_at(OnboardingStep.REVIEW, _DONE[OnboardingStep.REVIEW])
        return number

    # The parts of a step

    async def _request_code(self) -> None:
        wanted = self._wanted
        way = "SMS" if wanted.code_method == "SMS" else "a voice call"
        try:
            await self._client.request_code(
                self._id, code_method=wanted.code_method, language=wanted.language, waba_id=wanted.waba_id
            )
        except OutcomeUnknownError as error:
            text = f"One may have been sent by {way}: the response was lost ({error.reason}). Wait for it a while."
            self._tell_at(OnboardingStep.VERIFY, text)
        else:
            self._tell_at(OnboardingStep.VERIFY, f"One was sent by {way}.")
        for code in self._sandbox.inbox[-1:] if self._sandbox is not None else ():
            say(f"The sandbox plays the phone, which shows: {code.code}")

    async def _read_code(self) -> Secret:
        # The form is checked here, since Meta would count a typing error as a wrong code.
        while not re.fullmatch(r"[0-9]{3}-?[0-9]{3}", code := await self._person.read("Code")):
            if code:
                self._person.reject("A code has 6 digits, such as 123-830")
            else:
                await self._request_code()
        return code

    async def _settle(self, step: OnboardingStep, error: OutcomeUnknownError) -> PhoneNumber:
        """Poll to see whether a write has happened after its response was lost.

        It is never sent again from here. If it has not happened in time, it still may: the person decides.
        """
        say(f"The response was lost ({error.reason}). Checking the number to see what has happened.")
        try:
            number = await self._client.wait_until(
                self._id,
                lambda number: next_step(number, self._confirmed) is not step,
                interval=SETTLING_INTERVAL,
                total_timeout=SETTLING_SECONDS,
                waba_id=self._wanted.waba_id,
            )
        except WaitTimeoutError as late:
            if late.last_seen is None or not self._person.is_there:
                raise error from late
            say("It has not happened so far, but it still may. Wait a little, or leave with Ctrl-C.")
            return late.last_seen
        self._tell_at(step, _DONE[step])
        return number

    async def _confirm(self, step: OnboardingStep) -> PhoneNumber:
        """Read the number again after the API has confirmed a step."""
        # What is read may be older than the confirmation. Without the note, the step would be taken twice.
        self._confirmed.add(step)
        self._tell_at(step, _DONE[step])
        return await self._client.get_phone_number(self._id, fields=ALL_FIELDS, waba_id=self._wanted.waba_id)

    # The messages

    def _tell_done(self, before: OnboardingStep) -> None:
        """Say of each earlier step that it is done, unless something was said about it."""
        for step, done in _DONE.items():
            if step is before:
                return
            if step not in self._told:
                self._tell_at(step, done)

    def _tell_at(self, step: OnboardingStep, text: str) -> None:
        """Say something about a step, the first time behind its title."""
        if step not in self._told:
            self._told.add(step)
            text = f"{_TITLES[step]}: {text[0].lower()}{text[1:]}"
            say(text, indent="")
        else:
            say(text)


def _reasons(number: PhoneNumber) -> str:
    return "; ".join(read_readiness(number).reasons)
