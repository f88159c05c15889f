"""The writes as values: what each sends, and what to do after a lost response.

A code or PIN stays a `Secret` from the argument to the body. No log, error text or traceback shows it.

Sources: Meta's v23.0 reference of `phone_numbers`, its guides to registration and to two-step verification, and its
v23.0 OpenAPI description, read 2026-11-22. Names and usernames have their sources at their functions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from wa_phone_async.checks import check_seconds, is_json, plain_id, read_node_id
from wa_phone_async.errors import InvalidArgumentError, OutcomeUnknownError
from wa_phone_async.phone_digits import read_phone_number
from wa_phone_async.redaction import Secret

if TYPE_CHECKING:
    import aiohttp

CodeMethod = Literal["SMS", "VOICE", "sms", "voice"]
"""How a code is sent: by message or by call. Landlines and VoIP numbers need `VOICE`. Case makes no difference."""

TransferAction = Literal["none", "force_transfer"]
"""What happens if another number of your business portfolio has the username: an error, or it loses the username."""

REGISTER_SECONDS: Final = 120.0
"""Default seconds of one attempt to register. It is slow: clients have been seen to wait for more than 15 s."""


@attrs.frozen(kw_only=True)
class Write:
    """One write as a value, for `GraphSession.post`: what to send, and what to say if the response is lost.

        write = Write(path="1234/message_templates", body={"name": "hello", "language": "en"})
        created = await client.session.post(write, dict)

    The client's own writes are such values too. For any other edge, `path` and `body` are enough.

    Raises:
        InvalidArgumentError: `body` is not JSON.
    """

    path: str
    """The path below the API's version, relative and without a query: `1234/phone_numbers`."""
    body: Mapping[str, Any] = attrs.field(repr=False)
    """The JSON to send. Errors hide each value that is a `redaction.Secret`, and no `repr` shows the body."""
    method: Literal["POST", "DELETE"] = "POST"
    """The HTTP method."""
    operation: str = attrs.Factory(lambda write: f"{write.method} {write.path}", takes_self=True)
    """The name of the write in errors, such as the client's method; default: the HTTP method and the path."""
    advice: str = "It may have happened: check before you send it again."
    """What to do after a lost response, in full sentences. The text of the `OutcomeUnknownError` ends with it."""
    field: str | None = None
    """The field of the number that shows whether the write happened; `None` if no field does."""
    is_counted: bool = False
    """Whether the API counts each attempt, as it counts guesses of a code. Then a retry follows only an error that
    names a limit of calls. After a bare HTTP 429, the attempt may have been counted."""
    timeout: float | aiohttp.ClientTimeout | None = None
    """Seconds of one attempt, or an `aiohttp.ClientTimeout`; `None` takes the session's."""
    phone_number: str | None = None
    """The number that it creates, as it was passed; `None` for another write."""
    phone_number_id: str | None = None
    """Meta's id of the number that it changes; `None` for another write."""

    def __attrs_post_init__(self) -> None:
        if not is_json(self.body):
            raise InvalidArgumentError("body", "plain JSON, without NaN and Infinity")

    def outcome_unknown(self, reason: str, *, waba_id: str | None) -> OutcomeUnknownError:
        """Make the error for a lost response.

        Args:
            reason: Why there is no response, in a few words.
            waba_id: The account that was written to, if it is known.
        """
        return OutcomeUnknownError(
            f"The outcome of {self.operation} is unknown: {reason}. {self.advice}",
            operation=self.operation,
            waba_id=waba_id,
            phone_number=self.phone_number,
            phone_number_id=self.phone_number_id,
            field=self.field,
            reason=reason,
        )


def create_phone_number(
    waba_id: str | int,
    *,
    phone_number: str,
    verified_name: str | None,
    cc: str | int | None,
    migrate_phone_number: bool | None,
    preverified_id: str | int | None,
) -> Write:
    """Add a phone number to an account. The body has only the arguments that are not `None`, as the API takes them."""
    waba_id = read_node_id("waba_id", waba_id)
    number = read_phone_number(phone_number, cc)
    if verified_name is None and not migrate_phone_number:
        raise InvalidArgumentError("verified_name", "2 to 75 characters long", hint="only a migration can leave it out")
    if verified_name is not None and not (isinstance(verified_name, str) and 2 <= len(verified_name) <= 75):
        raise InvalidArgumentError("verified_name", "2 to 75 characters long", verified_name)
    if migrate_phone_number is not None and not isinstance(migrate_phone_number, bool):
        raise InvalidArgumentError("migrate_phone_number", "True or False", migrate_phone_number)
    pool_id = None if preverified_id is None else plain_id(preverified_id)
    if pool_id is not None and not (isinstance(pool_id, str) and pool_id):
        raise InvalidArgumentError(
            "preverified_id", "the id of the preverified number, a string that is not empty", preverified_id
        )
    body = {
        "phone_number": number.digits,
        "verified_name": verified_name,
        "cc": number.cc,
        "migrate_phone_number": migrate_phone_number,
        "preverified_id": pool_id,
    }
    return Write(
        path=f"{waba_id}/phone_numbers",
        body={name: value for name, value in body.items() if value is not None},
        operation="create_phone_number",
        advice=f"{phone_number} may have been created. List the numbers of {waba_id} and look for its digits before "
        "you create it again, or call ensure_phone_number, which does that.",
        phone_number=phone_number,
    )


def request_code(phone_number_id: str | int, *, code_method: CodeMethod, language: str) -> Write:
    """Have a code sent to a number."""
    phone_number_id = read_node_id("phone_number_id", phone_number_id)
    method = code_method.strip().lower() if isinstance(code_method, str) else code_method
    if method not in ("sms", "voice"):
        raise InvalidArgumentError("code_method", "'SMS' or 'VOICE'", code_method)
    if not (isinstance(language, str) and re.fullmatch(r"[a-z]{2,3}(?:_[A-Z]{2})?", language)):
        raise InvalidArgumentError("language", "a language's code such as 'en' or 'en_US'", language)
    return Write(
        path=f"{phone_number_id}/request_code",
        body={"code_method": method.upper(), "language": language},
        operation="request_code",
        advice=f"A code may have been sent to {phone_number_id}, and no field shows it. Wait for the code before you "
        "request another: Meta counts requests.",
        is_counted=True,
        phone_number_id=phone_number_id,
    )


def verify_code(phone_number_id: str | int, code: Secret) -> Write:
    """Send back the code that a number got. The body has it without the hyphen of the message."""
    phone_number_id = read_node_id("phone_number_id", phone_number_id)
    if not re.fullmatch(r"[0-9]{3}-?[0-9]{3}", code):
        raise InvalidArgumentError("code", "a string of the 6 digits that came, such as '123830' or '123-830'")
    return Write(
        path=f"{phone_number_id}/verify_code",
        body={"code": Secret(code.replace("-", ""))},
        operation="verify_code",
        advice=f"The code may have been accepted. Then code_verification_status of {phone_number_id} is VERIFIED: "
        "read it before you send a code again. Meta counts wrong codes.",
        field="code_verification_status",
        is_counted=True,
        phone_number_id=phone_number_id,
    )


def register(phone_number_id: str | int, *, pin: Secret, data_localization_region: str | None, timeout: float) -> Write:
    """Register a verified number.

    Args:
        phone_number_id: Meta's id of the number, digits.
        pin: The 6 digits of two-step verification.
        data_localization_region: The country to keep data in, two capital letters; `None` leaves it out.
        timeout: Seconds of one attempt.
    """
    phone_number_id = read_node_id("phone_number_id", phone_number_id)
    check_seconds("timeout", timeout)
    _check_pin(pin)
    body = {"messaging_product": "whatsapp", "pin": pin}
    if data_localization_region is not None:
        if not (isinstance(data_localization_region, str) and re.fullmatch(r"[A-Z]{2}", data_localization_region)):
            raise InvalidArgumentError(
                "data_localization_region", "a country's two capital letters, such as 'DE'", data_localization_region
            )
        body["data_localization_region"] = data_localization_region
    return Write(
        path=f"{phone_number_id}/register",
        body=body,
        operation="register",
        advice=f"{phone_number_id} may be registered, or may be so soon. Then its host_platform (or platform_type) is "
        "CLOUD_API and is_pin_enabled is true: read them before you register it again.",
        field="host_platform",
        is_counted=True,
        timeout=timeout,
        phone_number_id=phone_number_id,
    )


def deregister(phone_number_id: str | int) -> Write:
    """End the registration of a number."""
    phone_number_id = read_node_id("phone_number_id", phone_number_id)
    return Write(
        path=f"{phone_number_id}/deregister",
        body={},
        operation="deregister",
        advice=f"{phone_number_id} may be deregistered. Then its host_platform (or platform_type) is NOT_APPLICABLE: "
        "read it before you deregister it again.",
        field="host_platform",
        is_counted=True,
        phone_number_id=phone_number_id,
    )


def set_two_step_verification_pin(phone_number_id: str | int, pin: Secret) -> Write:
    """Set the PIN of a registered number."""
    phone_number_id = read_node_id("phone_number_id", phone_number_id)
    _check_pin(pin)
    return Write(
        path=phone_number_id,
        body={"pin": pin},
        operation="set_two_step_verification_pin",
        advice=f"The new PIN of {phone_number_id} may be set. Then is_pin_enabled is true, but if there was a PIN "
        "before, no field shows which one is valid. It is safe to set the same PIN again.",
        field="is_pin_enabled",
        is_counted=True,
        phone_number_id=phone_number_id,
    )


def _check_pin(pin: Secret) -> None:
    if not re.fullmatch(r"[0-9]{6}", pin):
        raise InvalidArgumentError("pin", "a string of 6 digits", hint="it is the PIN of two-step verification")


LONGEST_NAME: Final = 512
"""Characters of a display name. Meta does not publish a limit. Partners name 75, 255 and 512 (read 2026-11-28)."""


def request_display_name(phone_number_id: str | int, name: str) -> Write:
    """Request another display name for a number. Meta reviews it."""
    phone_number_id = read_node_id("phone_number_id", phone_number_id)
    if not (isinstance(name, str) and name.strip() and len(name) <= LONGEST_NAME):
        raise InvalidArgumentError("name", f"a text of 1 to {LONGEST_NAME} characters, and not only blanks", name)
    return Write(
        path=phone_number_id,
        body={"new_display_name": name},
        operation="request_display_name",
        advice=f"The name may have been requested. Then new_display_name of {phone_number_id} is that name: read it "
        "before you request it again.",
        field="new_display_name",
        is_counted=True,  # Meta does not say so: sent once, to be safe. So are those below
        phone_number_id=phone_number_id,
    )


def claim_username(phone_number_id: str | int, username: str, *, transfer_action: TransferAction) -> Write:
    """Claim a username for a number."""
    phone_number_id = read_node_id("phone_number_id", phone_number_id)
    _check_username(username)
    if transfer_action not in ("none", "force_transfer"):
        raise InvalidArgumentError("transfer_action", "'none' or 'force_transfer'", transfer_action)
    return Write(
        path=f"{phone_number_id}/username",
        body={"username": username, "transfer_action": transfer_action},
        operation="claim_username",
        advice=f"{phone_number_id} may have the username: read it with get_username before you claim it again.",
        is_counted=True,
        phone_number_id=phone_number_id,
    )


def release_username(phone_number_id: str | int) -> Write:
    """Release the username of a number."""
    phone_number_id = read_node_id("phone_number_id", phone_number_id)
    return Write(
        path=f"{phone_number_id}/username",
        body={},
        method="DELETE",
        operation="release_username",
        advice=f"{phone_number_id} may have lost its username: read it with get_username before you release it again.",
        is_counted=True,
        phone_number_id=phone_number_id,
    )


def _check_username(username: object) -> None:
    """Reject what no username can be.

    Meta's rules as Kapso, Vonage and YCloud give them, read 2026-11-28. Meta also rejects names that end like a domain.
    The lists of those endings differ, so that is left to Meta.
    """
    problem = ""
    if not (isinstance(username, str) and re.fullmatch(r"[A-Za-z0-9._]{3,35}", username)):
        problem = "it has no @ and no blanks"
    elif not re.search("[A-Za-z]", username):
        problem = "it needs a letter"
    elif username.startswith(".") or username.endswith(".") or ".." in username:
        problem = "no dot stands at its ends, or beside another dot"
    elif username.lower().startswith("www"):
        problem = "it does not begin with www"
    if problem:
        raise InvalidArgumentError(
            "username", "3 to 35 letters a-z, digits, dots and underscores", username, hint=problem
        )
