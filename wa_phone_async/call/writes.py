"""The writes on a number, from its code to its PIN: what each sends, and what tells whether a lost one happened.

Codes and PINs come in as a `Secret` and leave as one, so that no text and no traceback shows them. Meta's guides to
registering numbers and to two-step verification, and its v23.0 OpenAPI description, read 2026-11-22.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import attrs

from wa_phone_async.errors import InvalidArgumentError, OutcomeUnknownError
from wa_phone_async.redaction import Secret

CodeMethod = Literal["SMS", "VOICE"]
"""How a code comes: by message or by call. Landlines and VoIP numbers want `VOICE`."""

REGISTER_SECONDS: Final = 120.0
"""How long one attempt to register may take: it is slow, and clients have been seen to wait for more than 15 s."""


@attrs.frozen(kw_only=True)
class Step:
    """One kind of write on a number."""

    operation: str
    """The name of the client's method."""
    edge: str
    """Below the number; empty for the number itself."""
    question: str
    """What is not known when its answer is lost."""
    field: str | None
    """The field of the number that tells; `None` where none does."""
    advice: str
    """What to do before it is sent again."""

    def path(self, phone_number_id: str) -> str:
        """Where it is posted."""
        return f"{phone_number_id}/{self.edge}" if self.edge else phone_number_id

    def unknown(self, phone_number_id: str, waba_id: str | None, reason: str) -> OutcomeUnknownError:
        """The error that says that its answer was lost."""
        return OutcomeUnknownError(
            f"whether {self.question.format(phone_number_id)} is unknown ({reason}): {self.advice}",
            operation=self.operation,
            waba_id=waba_id,
            phone_number_id=phone_number_id,
            field=self.field,
            reason=reason,
        )


REQUEST_CODE: Final = Step(
    operation="request_code",
    edge="request_code",
    question="a code was sent to {}",
    field=None,
    advice="no field tells; wait for the code before you ask for another, since Meta counts them",
)
VERIFY_CODE: Final = Step(
    operation="verify_code",
    edge="verify_code",
    question="the code of {} was accepted",
    field="code_verification_status",
    advice="read code_verification_status, which is VERIFIED then, before you send a code again: guesses are counted",
)
REGISTER: Final = Step(
    operation="register",
    edge="register",
    question="{} was registered",
    field="host_platform",
    advice="it may still be under way; read host_platform (also platform_type) and is_pin_enabled, which are CLOUD_API "
    "and true then, before you register again",
)
DEREGISTER: Final = Step(
    operation="deregister",
    edge="deregister",
    question="{} was deregistered",
    field="host_platform",
    advice="read host_platform (also platform_type), which is NOT_APPLICABLE then, before you deregister again",
)
SET_PIN: Final = Step(
    operation="set_two_step_verification_pin",
    edge="",
    question="the PIN of {} was set",
    field="is_pin_enabled",
    advice="is_pin_enabled is true then, but where there was a PIN before nothing tells which one holds; to set the "
    "same one again does no harm",
)


def code_request_body(*, code_method: CodeMethod, language: str) -> dict[str, Any]:
    """The JSON body that asks for a code."""
    if code_method not in ("SMS", "VOICE"):
        raise InvalidArgumentError("code_method", "'SMS' or 'VOICE'", code_method)
    if not (isinstance(language, str) and re.fullmatch(r"[a-z]{2,3}(?:_[A-Z]{2})?", language)):
        raise InvalidArgumentError("language", "a language's code such as 'en' or 'en_US'", language)
    return {"code_method": code_method, "language": language}


def code_body(code: Secret) -> dict[str, Any]:
    """The JSON body that shows a code, without the hyphen of the message."""
    if not re.fullmatch(r"[0-9]{3}-?[0-9]{3}", code):
        raise InvalidArgumentError("code", "a string of the 6 digits that came, such as '123830' or '123-830'")
    return {"code": Secret(code.replace("-", ""))}


def registration_body(pin: Secret, *, data_localization_region: str | None) -> dict[str, Any]:
    """The JSON body of a registration, without what was not given."""
    body = {"messaging_product": "whatsapp", **pin_body(pin)}
    if data_localization_region is None:
        return body
    if not (isinstance(data_localization_region, str) and re.fullmatch(r"[A-Z]{2}", data_localization_region)):
        raise InvalidArgumentError(
            "data_localization_region", "a country's two capital letters, such as 'DE'", data_localization_region
        )
    return {**body, "data_localization_region": data_localization_region}


def pin_body(pin: Secret) -> dict[str, Any]:
    """The JSON body that sets a PIN."""
    if not re.fullmatch(r"[0-9]{6}", pin):
        raise InvalidArgumentError("pin", "a string of 6 digits", hint="it is the PIN of two-step verification")
    return {"pin": pin}
