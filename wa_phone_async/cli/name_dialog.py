"""The dialog that requests a display name, follows its review, and registers the number again.

`read_display_name` decides which step comes next, from what the API reports. So any run goes on where another ended.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import attrs

from wa_phone_async import (
    DisplayName,
    Event,
    NameStage,
    NameStageChanged,
    OutcomeUnknownError,
    WaitError,
    WaitTimeoutError,
    read_display_name,
)
from wa_phone_async.query import ChosenFields
from wa_phone_async.workflows.display_name import NAME_FIELDS

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
from .terminal.prompt import Prompt

REGISTERED: Final = "registered"
"""The last stage: the number was registered with its approved name."""

_PIN_FIELDS: Final = ChosenFields("id,is_pin_enabled")  # a server made from the reference does not have the second
_COST: Final = "Registering the number again spends one of the ten registrations that Meta allows in 72 hours."


@attrs.frozen(kw_only=True)
class WantedName:
    """A display name, and how far to go with it."""

    phone_number_id: str
    name: str | None = None
    """The name; `None`: the newest one of the number."""
    waba_id: str | None = None
    """The account of the number, whose token is used."""
    anyway: bool = False
    """Whether to request it although it was declined or has expired, or although another one is in review."""
    waits: bool = True
    """Whether to wait for the review."""
    registers: bool = True
    """Whether to register the number after the approval."""
    interval: float = REVIEW_INTERVAL
    total_timeout: float | None = None


class NameDialog:
    """The steps of one name.

    Args:
        link: The client, and the sandbox if there is one.
        wanted: The name.
        prompt: Reads the PIN.
    """

    def __init__(self, link: Link, wanted: WantedName, prompt: Prompt) -> None:
        self._client = link.client
        self._sandbox = link.sandbox
        self._wanted = wanted
        self._id = wanted.phone_number_id
        self._person = Person(prompt)
        self._told = set[str]()

    async def run(self) -> str:
        """Take all steps that the name still needs.

        Returns:
            How far the name has come: a `NameStage`, or `REGISTERED`.

        Raises:
            NoInputError: Nobody typed the PIN, or it was invalid.
            WaitError: Meta has declined the name, or it has expired; or another name is in review.
            WaPhoneError: The API rejected a step. Or a response was lost, and polling did not show what had happened.
        """
        name = await self._read()
        if self._must_request(name):
            name = await self._request()
        else:
            self._told.add(name.sentence)
            say(f"1. The request: {name.sentence[0].lower()}{name.sentence[1:]}", indent="")
        if name.is_open and self._wanted.waits:
            name = await self._wait()
            if name.stage is NameStage.IN_USE and self._wanted.registers:
                # It took the place of the old name with the approval. This run has seen it in review, so the number was
                # not registered since.
                return await self._register(name)
        if name.stage is NameStage.APPROVED and self._wanted.registers:
            return await self._register(name)
        self._tell(name.sentence)
        say(name.remedy)
        return name.stage.value

    async def register(self) -> str:
        """Register the number again, if its name is approved or may be used.

        Returns:
            `REGISTERED`.

        Raises:
            WaitError: The name is in no state in which a registration helps. Nothing was sent.
            NoInputError: Nobody typed the PIN, or it was invalid.
            WaPhoneError: The API rejected the registration, or its response was lost.
        """
        name = await self._read()
        if name.stage not in {NameStage.APPROVED, NameStage.IN_USE, NameStage.NOT_REVIEWED}:
            text = f"{name.sentence} A registration changes nothing now, so none was sent. {name.remedy}"
            raise WaitError(text, phone_number_id=self._id, last_seen=name.number)
        say(name.sentence, indent="")
        return await self._register(name)

    # The steps

    def _must_request(self, name: DisplayName) -> bool:
        """Whether the name has to be requested.

        Raises:
            WaitError: It must not be without `--anyway`.
        """
        if name.stage in {NameStage.DECLINED, NameStage.EXPIRED}:
            hint = "--anyway requests the same name again."
        elif name.stage is not NameStage.NOT_REQUESTED:
            return False
        elif name.other is None:
            return True
        else:
            hint = "Meta reviews one name of a number at a time. --anyway requests this one all the same."
        if self._wanted.anyway:
            return True
        remedy = "" if name.stage is NameStage.NOT_REQUESTED else f"{name.remedy} "
        raise WaitError(
            f"{name.sentence} Nothing was sent. {remedy}{hint}", phone_number_id=self._id, last_seen=name.number
        )

    async def _request(self) -> DisplayName:
        """Request the name, once."""
        wanted = self._wanted
        try:
            await self._client.request_display_name(self._id, wanted.name or "", waba_id=wanted.waba_id)
        except OutcomeUnknownError as error:
            say(f"1. The request: its response was lost ({error.reason}). Checking the number.", indent="")
            name = await self._settle(error, {*NameStage} - {NameStage.NOT_REQUESTED})
            self._tell(name.sentence)
            return name
        say(f'1. The request: "{wanted.name}" is requested. The number keeps its name meanwhile.', indent="")
        name = await self._read()
        # A read may be older than the request, or show how an earlier request of the same name has ended.
        is_older = name.stage in {NameStage.NOT_REQUESTED, NameStage.DECLINED, NameStage.EXPIRED}
        return attrs.evolve(name, stage=NameStage.IN_REVIEW) if is_older else name

    async def _settle(self, error: OutcomeUnknownError, stages: Collection[NameStage]) -> DisplayName:
        """Poll to see whether a write has happened after its response was lost. It is never sent again here."""
        try:
            number = await self._client.wait_until(
                self._id,
                lambda number: read_display_name(number, self._wanted.name).stage in stages,
                interval=SETTLING_INTERVAL,
                total_timeout=SETTLING_SECONDS,
                waba_id=self._wanted.waba_id,
                fields=NAME_FIELDS,
            )
        except WaitTimeoutError as late:
            raise error from late
        return read_display_name(number, self._wanted.name)

    async def _wait(self) -> DisplayName:
        """Wait for the end of the review, and say how far it is."""
        say("2. The review: it may take days. You can leave with Ctrl-C, and run the same command again later.", "")
        interval = self._wanted.interval
        if self._sandbox is not None:
            say("The sandbox plays Meta, and approves it in a moment.")
            self._sandbox.schedule(SANDBOX_REVIEW_SECONDS, self._sandbox.approve_name, self._id)
            interval = SANDBOX_INTERVAL
        unsubscribe = self._client.subscribe(self._on_event)
        try:
            return await self._client.wait_for_display_name(
                self._id,
                self._wanted.name,
                interval=interval,
                total_timeout=self._wanted.total_timeout,
                waba_id=self._wanted.waba_id,
            )
        finally:
            unsubscribe()

    async def _register(self, name: DisplayName) -> str:
        say(f"3. The registration: {_COST[0].lower()}{_COST[1:]}", indent="")
        number = await self._client.get_phone_number(self._id, fields=_PIN_FIELDS, waba_id=self._wanted.waba_id)
        say("Type the 6 digits of this number's two-step verification. They are not shown.")
        if self._sandbox is not None:
            from wa_phone_async.sandbox import SEEDED_PIN  # noqa: PLC0415 - a web server, which few commands need

            say(f"The sandbox's numbers have the PIN {SEEDED_PIN}.")
        try:
            await self._person.register(
                self._client, self._id, has_pin=number.is_pin_enabled is not False, waba_id=self._wanted.waba_id
            )
        except OutcomeUnknownError as error:
            if name.stage is not NameStage.APPROVED:  # no field would show the registration
                raise
            say(f"The response was lost ({error.reason}). Checking the number.")
            await self._settle(error, {NameStage.IN_USE})
        say(f'The number is registered, with the name "{name.name}".')
        return REGISTERED

    # Reading

    async def _read(self) -> DisplayName:
        number = await self._client.get_phone_number(self._id, fields=NAME_FIELDS, waba_id=self._wanted.waba_id)
        return read_display_name(number, self._wanted.name)

    # The messages

    def _on_event(self, event: Event) -> None:
        if isinstance(event, NameStageChanged):
            self._tell(event.sentence)

    def _tell(self, sentence: str) -> None:
        """Say how far the name is, unless that was said."""
        if sentence not in self._told:
            self._told.add(sentence)
            say(sentence)
