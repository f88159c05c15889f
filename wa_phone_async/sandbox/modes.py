"""Where Meta's reference and the live service differ, as two values (measured by others on 2026-09-09)."""

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias

import attrs

from .messages import GraphError, RejectedError, rejected

ModeName: TypeAlias = Literal["live", "reference"]

REFERENCE_FIELDS = (
    "id",
    "display_phone_number",
    "verified_name",
    "status",
    "quality_rating",
    "country_code",
    "country_dial_code",
    "code_verification_status",
    "unified_cert_status",
    "account_mode",
    "host_platform",
    "messaging_limit_tier",
    "is_official_business_account",
    "username",
)
"""The fields of the reference. They are also what a response has by default."""

LIVE_DEFAULT_FIELDS = (
    "verified_name",
    "code_verification_status",
    "display_phone_number",
    "quality_rating",
    "platform_type",
    "throughput",
    "webhook_configuration",
    "last_onboarded_time",
    "id",
)
"""What a live response has by default: no `status` (published responses, read 2026-11-22)."""

LIVE_FIELDS = (
    *LIVE_DEFAULT_FIELDS,
    "status",
    "name_status",
    "new_name_status",
    "new_display_name",
    "certificate",
    "new_certificate",
    "account_mode",
    "is_official_business_account",
    "is_pin_enabled",
    "is_on_biz_app",
    "is_preverified_number",
    "health_status",
    "quality_score",
    "search_visibility",
    "messaging_limit_tier",
    "whatsapp_business_manager_messaging_limit",
    "country_code",
    "country_dial_code",
    "host_platform",
    "conversational_automation",
    "eligibility_for_api_business_global_search",
    "official_business_account",
    "username",
    "owner",
)
"""The fields of the live service. `unified_cert_status` is missing, and `creation_time` sorts but is no field."""

SORT_FIELDS = ("creation_time", "last_onboarded_time")


@attrs.frozen
class SortOrder:
    """An order of rows."""

    field: str
    is_descending: bool


NEWEST_FIRST = SortOrder("last_onboarded_time", is_descending=True)
"""The order of a list without `sort` (Meta's documentation, read 2026-11-22)."""


@attrs.frozen
class Mode:
    """How the Graph API behaves: as the live service, or as Meta's reference."""

    name: ModeName
    fields: frozenset[str]
    default_fields: tuple[str, ...]
    node_fields: tuple[str, ...]
    """Fields that only the node of a number has, and not the list of an account."""
    sorts: Mapping[str, SortOrder]
    cannot_sort: str
    """The message for an unknown spelling, `{sort}`."""
    code_languages: str
    """The pattern of the languages that a code may have."""
    renames_at_approval: bool
    """Whether a requested name becomes the name of its number with the approval, and not with a registration."""
    approves_usernames: bool
    """Whether a claimed username is approved at once, and not only reserved."""
    verifies_with_id: bool
    """Whether the response to a right code has the id of the number."""
    rejects_large_limits: bool
    """Whether a `limit` above 100 is an error. If not, it counts as 100."""
    accepts_boolean_words: bool
    """Whether a filter accepts `"true"` and `"false"` for a boolean."""
    omits_empty_lists: bool
    """Whether a nested list without rows is left out of its row."""
    no_token: GraphError
    no_object: GraphError
    """The error for an unknown id; `{method}` and `{node}` are those of the request."""
    throttled: GraphError
    app_throttled: GraphError
    duplicate: GraphError
    no_nested_clients: GraphError | None
    """The error for lists of numbers that are nested in the accounts of clients; `None` serves them."""

    def read_sort(self, sort: str | None) -> SortOrder:
        """Return the order that a `sort` parameter means.

        Raises:
            RejectedError: The spelling is unknown in this mode.
        """
        if sort is None:
            return NEWEST_FIRST
        spelling = self._bare(sort)
        if spelling not in self.sorts:
            raise rejected(self.cannot_sort.format(sort=spelling))
        return self.sorts[spelling]

    def missing(self, method: str, node: str) -> RejectedError:
        """Make the error for an id that does not exist. Graph sends the same one if the token may not see it."""
        message = self.no_object.message.format(method=method.lower(), node=node)
        return RejectedError(attrs.evolve(self.no_object, message=message))

    def _bare(self, sort: str) -> str:
        """Return a spelling without its list: the live service accepts `['X']` and `["X"]` too."""
        listed = re.fullmatch(r"""\[\s*(["'])(.*)\1\s*\]""", sort)
        return listed[2] if listed and self.name == "live" else sort


REFERENCE = Mode(
    name="reference",
    fields=frozenset(REFERENCE_FIELDS),
    default_fields=REFERENCE_FIELDS,
    # Meta's pages "Display names" (updated 2026-05-21) and "Webhook overrides" (June 2026) read these from the node.
    # Both were read on 2026-11-28.
    node_fields=("name_status", "new_name_status", "new_display_name", "webhook_configuration"),
    sorts={
        f"{field}.{ending}": SortOrder(field, is_descending=ending == "desc")
        for field in SORT_FIELDS
        for ending in ("asc", "desc")
    },
    # The reference has the orders as an enum, and no text for another one. Its errors begin like this.
    cannot_sort="Invalid parameter: {sort} is not one of "
    + ", ".join(f"{field}.{ending}" for field in SORT_FIELDS for ending in ("asc", "desc")),
    code_languages="[a-z]{2}_[A-Z]{2}",
    renames_at_approval=True,
    approves_usernames=True,
    verifies_with_id=True,
    rejects_large_limits=True,
    omits_empty_lists=False,  # the reference has no word on it, and requires `data` in every list
    accepts_boolean_words=True,
    no_token=GraphError(401, 104, "An access token is required to request this resource."),
    no_object=GraphError(404, 803, "(#803) WhatsApp Business Account {node} was not found"),
    throttled=GraphError(
        429,
        80007,
        "(#80007) Rate limit hit for this WhatsApp Business Account",
        subcode=2446079,
        is_transient=True,
    ),
    app_throttled=GraphError(429, 4, "(#4) Application request limit reached", subcode=2446079, is_transient=True),
    duplicate=GraphError(409, 100, "(#100) This phone number is already registered"),
    no_nested_clients=None,
)

LIVE = Mode(
    name="live",
    fields=frozenset(LIVE_FIELDS),
    default_fields=LIVE_DEFAULT_FIELDS,
    node_fields=(),
    sorts={
        f"{field}{ending}": SortOrder(field, is_descending=ending == "_descending")
        for field in SORT_FIELDS
        for ending in ("", "_ascending", "_descending")
    },
    cannot_sort="Cannot sort by {sort}_ascending",  # as sent: the live service adds a direction to any spelling
    code_languages="[a-z]{2,3}(_[A-Z]{2})?",
    renames_at_approval=False,
    approves_usernames=False,
    verifies_with_id=False,
    rejects_large_limits=False,
    omits_empty_lists=True,  # common practice of Graph, as people report; not seen on this edge
    accepts_boolean_words=False,
    no_token=GraphError(400, 104, "An access token is required to request this resource."),
    no_object=GraphError(
        400,
        100,
        "Unsupported {method} request. Object with ID '{node}' does not exist, cannot be loaded due to "
        "missing permissions, or does not support this operation",
        type="GraphMethodException",
        subcode=33,
    ),
    throttled=GraphError(
        400,
        80008,
        "(#80008) There have been too many calls to this WhatsApp Business account. Wait a bit and try again.",
    ),
    app_throttled=GraphError(400, 4, "(#4) Application request limit reached", is_transient=True),
    duplicate=GraphError(
        400,
        100,
        "(#100) Invalid parameter",
        subcode=2388012,
        user_title="Phone number already added",
        user_msg="This phone number is already in your list of phone numbers.",
    ),
    # "Often answers 400 or times out", says public code, read 2026-11-28. Its code and its text are guesses.
    no_nested_clients=GraphError(400, 100, "(#100) Invalid parameter"),
)

MODES: Mapping[str, Mode] = {mode.name: mode for mode in (LIVE, REFERENCE)}
