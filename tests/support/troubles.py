"""A fleet with planted troubles, and what a health check has to find in it.

It is written apart from the rules: from what Meta's pages say, and without any import of `wa_phone_async.health`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

Found = tuple[str, str, str]  # the code, the kind of the subject, and its id

FINE: Mapping[str, Any] = {
    "status": "CONNECTED",
    "quality_rating": "GREEN",
    "code_verification_status": "EXPIRED",
    "platform_type": "CLOUD_API",
    "name_status": "APPROVED",
    "throughput": {"level": "HIGH"},
    "whatsapp_business_manager_messaging_limit": "TIER_100K",
    "is_pin_enabled": True,
    "is_on_biz_app": False,
    "webhook_configuration": {"application": "https://shop.example/hook?secret=of-shop"},
}
OFF: Mapping[str, Any] = {
    "platform_type": "NOT_APPLICABLE",
    "throughput": {"level": "NOT_APPLICABLE"},
    "is_pin_enabled": False,
    "quality_rating": "NA",
}
NUMBER_TROUBLES: tuple[tuple[Mapping[str, Any], tuple[str, ...]], ...] = (
    ({**OFF, "status": "BANNED"}, ("status.banned",)),
    ({**OFF, "status": "DISCONNECTED"}, ("status.disconnected",)),
    ({**OFF, "status": "UNLINKED"}, ("status.disconnected",)),
    ({**OFF, "status": "DELETED"}, ("status.gone",)),
    ({**OFF, "status": "MIGRATED"}, ("status.gone",)),
    ({"status": "RESTRICTED"}, ("status.restricted",)),
    ({"status": "RATE_LIMITED"}, ("status.rate_limited",)),
    ({"status": "FLAGGED", "quality_rating": "RED"}, ("status.flagged", "quality.red")),
    ({"status": "PENDING", "code_verification_status": "VERIFIED"}, ("status.pending",)),
    ({**OFF, "status": "PENDING", "code_verification_status": "NOT_VERIFIED"}, ("registration.unverified",)),
    (
        {**OFF, "status": "UNVERIFIED", "code_verification_status": "UNVERIFIED", "name_status": "PENDING_REVIEW"},
        ("registration.unverified", "name.in_review"),
    ),
    ({**OFF, "status": "PENDING", "code_verification_status": "VERIFIED"}, ("registration.unregistered",)),
    ({**OFF, "status": "PENDING"}, ("registration.unregistered",)),
    ({"is_pin_enabled": False}, ("registration.no_pin",)),
    ({"name_status": "DECLINED"}, ("name.declined",)),
    ({"name_status": "DECLINED", "new_name_status": "PENDING_REVIEW"}, ("name.in_review",)),
    ({"name_status": "EXPIRED"}, ("name.expired",)),
    ({"name_status": "NON_EXISTS"}, ("name.missing",)),
    ({"new_display_name": "Newer", "new_name_status": "AVAILABLE_WITHOUT_REVIEW"}, ("name.register_again",)),
    ({"new_display_name": "Newer", "new_name_status": "DECLINED"}, ("name.newer_declined",)),
    ({"quality_rating": "YELLOW"}, ("quality.yellow",)),
    ({"throughput": {"level": "NOT_APPLICABLE"}}, ("throughput.none",)),
    (
        {"throughput": {"level": "STANDARD"}, "whatsapp_business_manager_messaging_limit": "TIER_UNLIMITED"},
        ("throughput.standard",),
    ),
    ({"platform_type": "ON_PREMISE"}, ("coexistence.app_only",)),
    ({**OFF, "status": "PENDING", "is_on_biz_app": True}, ("coexistence.app_only",)),
    ({"is_on_biz_app": True, "code_verification_status": "NOT_VERIFIED"}, ("coexistence.shared",)),
    ({"status": "ASLEEP", "code_verification_status": "VERIFIED"}, ("unknown.state",)),
    ({"throughput": 80}, ("unknown.value",)),
    ({"quality_rating": "PURPLE", "throughput": {"level": "LUDICROUS"}}, ("unknown.value",)),
    # Healthy all the same.
    ({}, ()),
    ({"code_verification_status": "NOT_VERIFIED"}, ()),
    ({"name_status": "AVAILABLE_WITHOUT_REVIEW", "quality_rating": "UNKNOWN", "username": ""}, ()),
    ({"whatsapp_business_manager_messaging_limit": "TIER_NOT_SET", "throughput": {}}, ()),
)
"""What is wrong with a number, and what has to be found."""

NODE_TROUBLES: tuple[tuple[Mapping[str, Any], tuple[tuple[str, str], ...]], ...] = (
    ({}, ()),
    ({"account_review_status": "REJECTED"}, (("account.review_rejected", "account"),)),
    ({"account_review_status": "DEFERRED"}, (("account.review_pending", "account"),)),
    ({"ownership_type": "ON_BEHALF_OF"}, (("account.on_behalf_of", "account"),)),
    ({"business_verification_status": "revoked"}, (("business.verification_failed", "business"),)),
    ({"business_verification_status": "pending"}, (("business.not_verified", "business"),)),
    ({"account_review_status": "HALF"}, (("unknown.state", "account"),)),
    ({"ownership_type": "NOBODY"}, (("unknown.value", "account"),)),
)
WHY = {
    "errors": [{"error_code": 1, "error_description": "Unpaid.", "possible_solution": "Pay your bill."}],
}
APP_ID = "700000000000001"


class Fleet:
    """Accounts with planted troubles.

    Args:
        accounts: How many there are. Each tenth is not there.
        seed: Which fleet it is.
    """

    def __init__(self, accounts: int, seed: int = 1) -> None:
        self.expected = Counter[Found]()
        """How many numbers each finding has to concern."""
        self.accounts: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {}
        """The numbers and the node of each account."""
        self.missing: list[str] = []
        """The accounts that are not there."""
        self._random = random.Random(seed)
        for index in range(accounts):
            self._plant(index)

    def _plant(self, index: int) -> None:
        choose = self._random.choice
        waba_id, business = f"5{index:014}", f"6{index // 3:014}"
        if index % 10 == 9:
            self.missing.append(waba_id)
            self.expected["account.not_listed", "account", waba_id] = 0
            return
        node, node_findings = choose(NODE_TROUBLES)
        has_low_limit = index // 3 % 5 == 4  # of the whole business
        levels = {
            "WABA": choose(("AVAILABLE", "AVAILABLE", "BLOCKED", "LIMITED")),
            "BUSINESS": {3: "BLOCKED", 5: "LIMITED"}.get(index // 3 % 7, "AVAILABLE"),
            "APP": {7: "BLOCKED", 27: "LIMITED"}.get(index % 50, "AVAILABLE"),
        }
        for code, kind in node_findings:
            self.expected[code, kind, business if kind == "business" else waba_id] += 0
        is_account_ill = levels["WABA"] == "BLOCKED" or node.get("account_review_status") == "REJECTED"
        has_cause = set(levels.values()) != {"AVAILABLE"} or is_account_ill
        rows = [
            self._number(
                f"8{index:010}{serial:04}", waba_id, business, levels, has_low_limit=has_low_limit, has_cause=has_cause
            )
            for serial in range(self._random.randrange(5))
        ]
        self.accounts[waba_id] = (
            rows,
            {"account_review_status": "APPROVED", "owner_business_info": {"id": business}, **node},
        )

    def _number(
        self,
        number: str,
        waba_id: str,
        business: str,
        levels: Mapping[str, str],
        *,
        has_low_limit: bool,
        has_cause: bool,
    ) -> dict[str, Any]:
        trouble, codes = self._random.choice(NUMBER_TROUBLES)
        own = self._random.choice(("AVAILABLE",) * 8 + ("BLOCKED", "LIMITED"))
        row = {"id": number, "display_phone_number": "+1 631-555-0100", "verified_name": "=1+1", **FINE, **trouble}
        if has_low_limit and "whatsapp_business_manager_messaging_limit" not in trouble:
            row["whatsapp_business_manager_messaging_limit"] = "TIER_250"
            self.expected["limit.low", "business", business] += 1
        if self._random.random() < 0.1:
            row["webhook_configuration"] = {}
            self.expected["webhook.none", "app", APP_ID] += 1
        ids = {"PHONE_NUMBER": number, "WABA": waba_id, "BUSINESS": business, "APP": APP_ID}
        kinds = {"PHONE_NUMBER": "number", "WABA": "account", "BUSINESS": "business", "APP": "app"}
        entities = list[dict[str, Any]]()
        for kind, level in {"PHONE_NUMBER": own, **levels}.items():
            entities.append({"entity_type": kind, "id": ids[kind], "can_send_message": level})
            if level != "AVAILABLE":
                entities[-1] |= WHY if level == "BLOCKED" else {"additional_info": ["Not much."]}
                self.expected[f"sending.{kinds[kind]}_{level.lower()}", kinds[kind], ids[kind]] += 1
        all_levels = {own, *levels.values()}
        overall = next((level for level in ("BLOCKED", "LIMITED") if level in all_levels), "AVAILABLE")
        if overall == "AVAILABLE" and not has_cause and self._random.random() < 0.1:
            overall = self._random.choice(("BLOCKED", "LIMITED"))
            self.expected[f"sending.{overall.lower()}", "number", number] += 1
        row["health_status"] = {"can_send_message": overall, "entities": entities}
        for code in codes:
            if not (has_cause and code in {"status.restricted", "status.rate_limited"}):
                self.expected[code, "number", number] += 1
        return row
