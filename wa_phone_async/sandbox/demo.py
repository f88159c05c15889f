"""Demonstrations: a number that changes again and again, and accounts that have every kind of trouble."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .data import LARGE_WABA, SMALL_WABA
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


NEW_WABA = "100200300400950"
"""The account that appears overnight."""


def change_overnight(sandbox: Sandbox) -> None:
    """Change numbers in every way: they come, go and move, get a second account, and trouble."""
    moved, shared, gone, renamed = sandbox.numbers(LARGE_WABA)[:4]
    new = _number(NEW_WABA, 0, {})
    sandbox.add_waba(NEW_WABA, [moved, shared, new])
    for number in (moved, gone):
        sandbox.remove_number(LARGE_WABA, number["id"])
    sandbox.update_number(LARGE_WABA, renamed["id"], verified_name="Sale | <b>=1+1</b> `now` \x1b]0;Hi\x07")
    banned, low, _ = sandbox.numbers(SMALL_WABA)
    sandbox.update_number(SMALL_WABA, banned["id"], status="BANNED", platform_type="NOT_APPLICABLE")
    sandbox.update_number(SMALL_WABA, low["id"], quality_rating="RED")


DEAF_WABA = "100200300400910"
"""The account to which no app is subscribed."""

FOREIGN_WABA = "100200300400911"
"""The account to which only another app is subscribed."""

SHARED_WABA = "100200300400912"
"""The account to which another app is subscribed too, with a callback URL of its own for the app of the tokens."""

OTHER_APP = "500600700800901"


def add_webhook_troubles(sandbox: Sandbox) -> list[str]:
    """Add accounts whose webhooks get lost or go elsewhere, and return their ids. One of them is not there."""
    silent: Mapping[str, Any] = {"webhook_configuration": {}}
    for waba_id in (DEAF_WABA, FOREIGN_WABA, SHARED_WABA):
        sandbox.add_waba(waba_id, [_number(waba_id, index, silent if index == 2 else {}) for index in range(3)])
    for waba_id in (DEAF_WABA, FOREIGN_WABA):
        sandbox.unsubscribe_app(waba_id)
    for waba_id in (FOREIGN_WABA, SHARED_WABA):
        sandbox.subscribe_app(waba_id, OTHER_APP)
    sandbox.subscribe_app(SHARED_WABA, override="https://old.example/webhooks")
    add_overrides(sandbox)
    return [SMALL_WABA, DEAF_WABA, FOREIGN_WABA, SHARED_WABA, MISSING_WABA]


def add_overrides(sandbox: Sandbox) -> list[str]:
    """Give a number of the small account a callback URL of its own, and return the ids of all its numbers."""
    numbers = sandbox.numbers(SMALL_WABA)
    urls = {"application": "https://shop.example/webhooks", "phone_number": "https://old.example/webhooks"}
    sandbox.update_number(SMALL_WABA, numbers[0]["id"], webhook_configuration=urls)
    return [number["id"] for number in numbers]


SICK_WABA = "100200300400900"
"""The account whose numbers each have a trouble of their own."""

RESTRICTED_WABA = "100200300400901"
"""The account that Meta has restricted, and so all its numbers."""

REJECTED_WABA = "100200300400902"
"""The account that Meta has rejected in its review."""

UNDECIDED_WABA = "100200300400903"
"""The account that a partner owns for a client, in review, of a business that is not verified."""

BARE_WABA = "100200300400904"
"""The account of another business, which has limits."""

MISSING_WABA = "100200300400999"
"""The id of an account that is not there."""

_OTHER_BUSINESS = "200300400500601"
_WEAK_BUSINESS = "200300400500602"
_OTHER_APP = "400300200100601"
_STUCK_APP = "400300200100602"
_STUCK_BUSINESS = "200300400500603"

_FINE: Mapping[str, Any] = {
    "status": "CONNECTED",
    "quality_rating": "GREEN",
    "code_verification_status": "VERIFIED",
    "platform_type": "CLOUD_API",
    "name_status": "APPROVED",
    "account_mode": "LIVE",
    "throughput": {"level": "STANDARD"},
    "whatsapp_business_manager_messaging_limit": "TIER_10K",
    "is_pin_enabled": True,
    "is_on_biz_app": False,
    "webhook_configuration": {"application": "https://shop.example/webhooks"},
}

_NOT_REGISTERED: Mapping[str, Any] = {
    "status": "PENDING",
    "platform_type": "NOT_APPLICABLE",
    "throughput": {"level": "NOT_APPLICABLE"},
    "is_pin_enabled": False,
}

_TROUBLES: Sequence[Mapping[str, Any]] = (
    {},
    {"status": "BANNED", "platform_type": "NOT_APPLICABLE"},
    {"status": "DISCONNECTED", "platform_type": "NOT_APPLICABLE"},
    {"status": "MIGRATED", "platform_type": "NOT_APPLICABLE"},
    {"status": "RESTRICTED"},
    {"status": "RATE_LIMITED"},
    {"status": "FLAGGED"},
    {"status": "PENDING"},
    {**_NOT_REGISTERED, "code_verification_status": "NOT_VERIFIED"},
    _NOT_REGISTERED,
    {"is_pin_enabled": False},
    {"name_status": "DECLINED"},
    {"name_status": "EXPIRED"},
    {"name_status": "NONE"},
    {"name_status": "PENDING_REVIEW"},
    {"new_display_name": "New Bakery", "new_name_status": "APPROVED"},
    {"new_display_name": "Cheap Pills", "new_name_status": "DECLINED"},
    {"quality_rating": "RED"},
    {"quality_rating": "YELLOW"},
    {"throughput": {"level": "NOT_APPLICABLE"}},
    {"whatsapp_business_manager_messaging_limit": "TIER_UNLIMITED"},
    {"platform_type": "ON_PREMISE", "is_on_biz_app": True},
    {"is_on_biz_app": True},
    {"status": "ON_HOLIDAY"},
    {"quality_rating": "PURPLE"},
    # Names that must harm nobody who reads them.
    {"quality_rating": "RED", "verified_name": '=HYPERLINK("https://shop.example?q="&A1,"Sale")'},
    {"quality_rating": "RED", "verified_name": "\x1b]0;Sale\x07\x1b[31mRed <script>alert(1)</script>\u202e"},
)
"""What is wrong with each number of the first account. Nothing is wrong with the first number."""


def add_troubles(sandbox: Sandbox) -> list[str]:
    """Add accounts with one trouble of each kind, and return their ids. One of them is not there."""
    numbers = [_number(SICK_WABA, index, trouble) for index, trouble in enumerate(_TROUBLES)]
    for level in ("BLOCKED", "LIMITED"):
        numbers.append(_number(SICK_WABA, len(numbers), {}, PHONE_NUMBER=level))
        numbers.append(_number(SICK_WABA, len(numbers), {"health_status": {"can_send_message": level}}))
    sandbox.add_waba(SICK_WABA, numbers)
    restricted = [_number(RESTRICTED_WABA, index, {"status": "RESTRICTED"}, WABA="BLOCKED") for index in range(3)]
    sandbox.add_waba(RESTRICTED_WABA, restricted)
    sandbox.add_waba(REJECTED_WABA, [_number(REJECTED_WABA, 0, {}, BUSINESS="BLOCKED", business=_STUCK_BUSINESS)])
    sandbox.update_waba(REJECTED_WABA, account_review_status="REJECTED", business_verification_status="revoked")
    weak = {"whatsapp_business_manager_messaging_limit": "TIER_250"}
    undecided = _number(UNDECIDED_WABA, 0, weak, BUSINESS="LIMITED", APP="BLOCKED", business=_WEAK_BUSINESS)
    sandbox.add_waba(UNDECIDED_WABA, [undecided])
    sandbox.update_waba(
        UNDECIDED_WABA,
        account_review_status="PENDING",
        ownership_type="ON_BEHALF_OF",
        business_verification_status="not_verified",
        owner_business_info={"id": _WEAK_BUSINESS},
    )
    deaf = _number(BARE_WABA, 0, {"webhook_configuration": {}}, WABA="LIMITED", APP="LIMITED", app=_OTHER_APP)
    sandbox.add_waba(BARE_WABA, [deaf, numbers[0]])
    added = [SICK_WABA, RESTRICTED_WABA, REJECTED_WABA, UNDECIDED_WABA, BARE_WABA]
    for waba_id in (SICK_WABA, RESTRICTED_WABA, BARE_WABA):
        sandbox.update_waba(waba_id, account_review_status="APPROVED")
    return [*added, MISSING_WABA]


def _number(
    waba_id: str,
    index: int,
    trouble: Mapping[str, Any],
    *,
    business: str = _OTHER_BUSINESS,
    app: str = _STUCK_APP,
    **levels: str,
) -> dict[str, Any]:
    """Make a number that is fine but for its trouble.

    Args:
        waba_id: Its account.
        index: Its place in the account.
        trouble: The members that differ.
        business: The id of its business.
        app: The id of the app.
        **levels: The entities of its health that are not `AVAILABLE`.
    """
    number = f"3{waba_id[-3:]}{index:011}"
    ids = {"PHONE_NUMBER": number, "WABA": waba_id, "BUSINESS": business, "APP": app}
    entities = [_entity(kind, node, levels.get(kind, "AVAILABLE")) for kind, node in ids.items()]
    overall = next((level for level in ("BLOCKED", "LIMITED") if level in levels.values()), "AVAILABLE")
    return {
        "id": number,
        "display_phone_number": f"+1 631-555-{waba_id[-1]}{index:03}",
        "verified_name": f"Corner Shop {index}",
        "health_status": {"can_send_message": overall, "entities": entities},
        **_FINE,
        **trouble,
    }


def _entity(kind: str, node: str, level: str) -> dict[str, Any]:
    entity: dict[str, Any] = {"entity_type": kind, "id": node, "can_send_message": level}
    if level == "BLOCKED":
        entity["errors"] = [
            {
                "error_code": 141006,
                "error_description": "There is an error with the payment method.",
                "possible_solution": "There was an error with your payment method. Please add a new payment method.",
            }
        ]
    if level == "LIMITED":
        entity["additional_info"] = ["The display name has not been approved yet."]
    return entity
