"""The client and the sandbox agree about a number during its onboarding, in any order of calls, faults and hours.

A model beside them gets the time of each write, and whether the write was carried out. It predicts the result. After a
success, a read shows the change. After a rejection, nothing has changed. Wrong guesses are counted exactly. A write
with an unknown outcome has either happened or not.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from wa_phone_async import (
    AuthenticationError,
    GraphAPIError,
    OutcomeUnknownError,
    PhoneNumberClient,
    RetryPolicy,
    SuccessResponse,
    WaPhoneError,
)
from wa_phone_async.sandbox import EMPTY_WABA, Fault, Sandbox, VirtualTimeLoop
from wa_phone_async.sandbox.codes import CODE_GUESSES, CODE_LIFE, CODE_LOCK, CODES_AN_HOUR, VERIFICATION_SHOWN
from wa_phone_async.sandbox.onboarding import MAX_REGISTRATIONS, REGISTRATION_WINDOW, REREGISTER_WAIT
from wa_phone_async.sandbox.pins import FAST_GUESS_WINDOW, FAST_GUESSES, PIN_GUESSES, PIN_LOCK

PINS = ("111111", "222222")
TIMES = (1.0, 20.0, 61.0, 301.0, 601.0, 3601.0, 43_201.0, 259_201.0, 1_209_601.0)
SEEN = ("status", "code_verification_status", "host_platform", "is_pin_enabled", "name_status")


@attrs.frozen
class Trouble:
    """What goes wrong with a write, and what the client must raise."""

    fault: Fault
    is_done: bool
    """Whether the write is carried out."""
    becomes: type[WaPhoneError] | None
    """The error that is raised; `None` if the write succeeds in the end."""


TROUBLES = {
    "none": Trouble(Fault(), is_done=True, becomes=None),
    "slow": Trouble(Fault.delay(10), is_done=True, becomes=None),
    "throttled": Trouble(Fault.error(80008), is_done=True, becomes=None),
    "rejected": Trouble(Fault.error(190), is_done=False, becomes=AuthenticationError),
    "dropped before": Trouble(Fault.drop_before(), is_done=False, becomes=OutcomeUnknownError),
    "dropped after": Trouble(Fault.drop_after(reset=True), is_done=True, becomes=OutcomeUnknownError),
    "no response": Trouble(Fault.delay_response(1000), is_done=True, becomes=OutcomeUnknownError),
    "cut": Trouble(Fault.cut(clean=True), is_done=True, becomes=OutcomeUnknownError),
    "failed before": Trouble(Fault.error(2), is_done=False, becomes=OutcomeUnknownError),
    "failed after": Trouble(Fault.error(131000, takes_effect=True), is_done=True, becomes=OutcomeUnknownError),
    "unsuccessful": Trouble(Fault.raw('{"success":false}'), is_done=False, becomes=OutcomeUnknownError),
}
troubles = st.sampled_from(sorted(TROUBLES)) | st.just("none")


@attrs.define
class Model:
    """The state of a number, as writes and time alone determine it."""

    code: str | None = None
    code_lapses_at: float = 0.0
    codes_at: list[float] = attrs.Factory(list[float])
    wrong_codes: int = 0
    codes_locked_until: float = 0.0
    is_verified: bool = False
    shows_verified_until: float = 0.0
    is_registered: bool = False
    pin: str | None = None
    wrong_pins_at: list[float] = attrs.Factory(list[float])
    too_fast_until: float = 0.0
    pins_locked_until: float = 0.0
    moves_at: list[float] = attrs.Factory(list[float])
    blocked_until: float = 0.0
    reregister_at: float = 0.0
    webhooks: int = 0
    """How many webhooks the sandbox must have sent."""

    def send_code(self, now: float) -> int | None:
        """Return the code of the API error, or `None` after a success. So do the methods below."""
        self.codes_at = [at for at in self.codes_at if at > now - 3600]
        if now < self.shows_verified_until or len(self.codes_at) >= CODES_AN_HOUR:
            return 136024
        self.codes_at.append(now)
        self.code_lapses_at = now + CODE_LIFE
        return None

    def verify(self, code: str, now: float) -> int | None:
        if now < self.codes_locked_until:
            return 136025
        if code != self.code or now >= self.code_lapses_at:
            self.wrong_codes += 1
            if self.wrong_codes == CODE_GUESSES:
                self.wrong_codes, self.codes_locked_until = 0, now + CODE_LOCK
            return 136025
        self.code, self.wrong_codes, self.is_verified = None, 0, True
        self.shows_verified_until = now + VERIFICATION_SHOWN
        return None

    def register(self, pin: str, now: float) -> int | None:
        if code := self._move(now):
            return code
        if now < self.reregister_at:
            return 133015
        if not self.is_verified:
            return 133006
        if code := self._guess(pin, now):
            return code
        self.webhooks += not self.is_registered
        self.pin, self.is_registered = pin, True
        return None

    def deregister(self, now: float) -> int | None:
        if not self.is_registered:
            return 100
        if code := self._move(now):
            return code
        self.is_registered, self.reregister_at = False, now + REREGISTER_WAIT
        return None

    def set_pin(self, pin: str, _: float) -> int | None:
        if not self.is_registered:
            return 133010
        self.pin = pin
        self.webhooks += 1
        return None

    def _move(self, now: float) -> int | None:
        self.moves_at = [at for at in self.moves_at if at > now - REGISTRATION_WINDOW]
        if now >= self.blocked_until and len(self.moves_at) >= MAX_REGISTRATIONS:
            self.blocked_until = now + REGISTRATION_WINDOW
        if now < self.blocked_until:
            return 133016
        self.moves_at.append(now)
        return None

    def _guess(self, pin: str, now: float) -> int | None:
        if now < self.pins_locked_until:
            return 133008
        if now < self.too_fast_until:
            return 133009
        if self.pin in {None, pin}:
            self.wrong_pins_at = []
            return None
        self.wrong_pins_at.append(now)
        if len(self.wrong_pins_at) == PIN_GUESSES:
            self.wrong_pins_at, self.pins_locked_until = [], now + PIN_LOCK
        elif sum(at > now - FAST_GUESS_WINDOW for at in self.wrong_pins_at) >= FAST_GUESSES:
            self.too_fast_until = now + FAST_GUESS_WINDOW
        return 133005


class OnboardingMachine(RuleBasedStateMachine):
    """One client, one sandbox, one number, in one virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.open = AsyncExitStack()
        self.model = Model()

    @initialize()
    def create(self) -> None:
        self.run(self.begin())

    async def begin(self) -> None:
        self.sandbox = await self.open.enter_async_context(Sandbox(quota=None))
        policy = RetryPolicy(first_wait=0.5, max_wait=600)
        self.client = await self.open.enter_async_context(
            PhoneNumberClient("an-invented-token", base_url=self.sandbox.url, retry=policy)
        )
        created = await self.client.create_phone_number(EMPTY_WABA, phone_number="16315551000", verified_name="Acme")
        self.number = created.id

    def teardown(self) -> None:
        self.run(self.open.aclose())
        self.runner.close()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coroutine)

    @rule(trouble=troubles)
    def request_code(self, trouble: str) -> None:
        before = len(self.sandbox.inbox)
        is_done = self.write(trouble, self.client.request_code, self.model.send_code, "request_code")
        assert len(self.sandbox.inbox) == before + is_done
        if is_done:
            self.model.code = self.sandbox.inbox[-1].code.replace("-", "")

    @rule(trouble=troubles, is_right=st.booleans())
    def verify_code(self, trouble: str, *, is_right: bool) -> None:
        code = self.model.code if is_right and self.model.code else "000000"
        shown = f"{code[:3]}-{code[3:]}"
        if self.write(trouble, self.client.verify_code, self.model.verify, "verify_code", code, shown=shown):
            assert self.seen()["code_verification_status"] == "VERIFIED"

    @rule(trouble=troubles, pin=st.sampled_from(PINS))
    def register(self, trouble: str, pin: str) -> None:
        def call(number: str, pin: str) -> Awaitable[SuccessResponse]:
            return self.client.register(number, pin=pin)

        if self.write(trouble, call, self.model.register, "register", pin):
            seen = self.seen()
            assert (seen["host_platform"], seen["status"], seen["is_pin_enabled"]) == ("CLOUD_API", "CONNECTED", True)

    @rule(trouble=troubles)
    def deregister(self, trouble: str) -> None:
        if self.write(trouble, self.client.deregister, self.model.deregister, "deregister"):
            assert self.seen()["host_platform"] == "NOT_APPLICABLE"

    @rule(trouble=troubles, pin=st.sampled_from(PINS))
    def set_pin(self, trouble: str, pin: str) -> None:
        operation = "set_two_step_verification_pin"
        if self.write(trouble, self.client.set_two_step_verification_pin, self.model.set_pin, operation, pin):
            assert self.seen()["is_pin_enabled"] is True

    @rule(seconds=st.sampled_from(TIMES))
    def wait(self, seconds: float) -> None:
        async def jump() -> None:  # a sleep would stop at each timer of each idle connection
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualTimeLoop)
            loop.jump(seconds)
            await asyncio.sleep(0.001)

        self.run(jump())

    @rule(is_good=st.booleans())
    def review(self, *, is_good: bool) -> None:
        self.sandbox.approve_name(self.number) if is_good else self.sandbox.decline_name(self.number)
        self.model.webhooks += 1
        assert self.seen()["name_status"] == ("APPROVED" if is_good else "DECLINED")

    def write(
        self,
        trouble: str,
        call: Callable[..., Awaitable[SuccessResponse]],
        predict: Callable[..., int | None],
        operation: str,
        *args: str,
        shown: str | None = None,
    ) -> bool:
        """Make a call with a trouble, and check all that the client shows. Returns whether the write took effect."""
        plan = TROUBLES[trouble]
        before = self.row()
        self.sandbox.requests.clear()
        self.sandbox.plan(plan.fault, method="POST")
        error = self.run(self.outcome(call(self.number, *([shown] if shown else args))))
        posts = [request for request in self.sandbox.requests if request.method == "POST"]
        assert len(posts) == (2 if trouble == "throttled" else 1)
        code = predict(*args, posts[-1].at + plan.fault.delay_before) if plan.is_done else None
        if trouble == "cut" and code is not None:
            assert isinstance(error, GraphAPIError)  # a status of 400 is enough to know that nothing happened
        elif plan.becomes is not None:
            assert type(error) is plan.becomes
        elif code is None:
            assert error is None
        else:
            assert isinstance(error, GraphAPIError)
            assert (error.code, error.attempts) == (code, len(posts))
        if isinstance(error, OutcomeUnknownError):
            assert (error.operation, error.phone_number_id) == (operation, self.number)
        has_effect = plan.is_done and code is None
        if not has_effect:
            expired = {"code_verification_status": "EXPIRED"}  # time alone does this
            assert self.row() in (before, before | expired)
        return has_effect

    async def outcome(self, call: Awaitable[SuccessResponse]) -> WaPhoneError | None:
        try:
            assert (await call).success
        except WaPhoneError as error:
            return error
        return None

    def seen(self) -> dict[str, Any]:
        """The number as the client reads it."""
        number = self.run(self.client.get_phone_number(self.number, fields=SEEN))
        return {name: getattr(number, name) for name in SEEN}

    def row(self) -> dict[str, Any]:
        """The number as the sandbox has it."""
        [row] = self.sandbox.numbers(EMPTY_WABA)
        return row

    @invariant()
    def they_agree(self) -> None:
        row = self.row()
        seen = self.seen()
        assert seen == {name: row[{"host_platform": "platform_type"}.get(name, name)] for name in SEEN}
        assert (seen["host_platform"] == "CLOUD_API") == self.model.is_registered
        assert seen["is_pin_enabled"] == (self.model.pin is not None)
        assert seen["code_verification_status"] != ("NOT_VERIFIED" if self.model.is_verified else "VERIFIED")
        assert len(self.sandbox.webhooks) == self.model.webhooks


TestOnboarding = pytest.mark.unmeasured(OnboardingMachine.TestCase)
TestOnboarding.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
