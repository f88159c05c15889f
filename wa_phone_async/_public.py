"""The public names, with all that they need. `wa_phone_async` imports this module when you use the first of them."""

from ._version import __version__
from .cache.cache import PhoneNumberCache
from .cache.webhooks import WebhookNotice, answer_challenge, parse_webhook, verify_webhook
from .call.retry import RetryPolicy
from .call.token_map import TokenMap
from .call.tokens import TokenProvider
from .call.writes import Write
from .client import PhoneNumberClient
from .decoding.converter import from_dict, to_dict
from .diagnosis.report import Check, CheckStatus, Diagnosis, TokenInfo
from .edits.bulk import BulkEdit
from .edits.edit import Edit, EditReport, EditState, EditSummary
from .errors import (
    AmbiguousNumberError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DecodeError,
    ExportError,
    GraphAPIError,
    InvalidArgumentError,
    JournalError,
    LedgerError,
    MissingTokenError,
    NotFoundError,
    OutcomeUnknownError,
    PaginationError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    StaleListingError,
    TransportError,
    UnprocessableEntityError,
    WaitError,
    WaitTimeoutError,
    WaPhoneError,
    WebhookSignatureError,
)
from .events import (
    CallFinished,
    Event,
    FleetPageFinished,
    ListFinished,
    NameStageChanged,
    QuotaWaitEnded,
    QuotaWaitStarted,
    RetryPlanned,
    ThrottleEnded,
    ThrottleStarted,
)
from .health.check import HealthCheck
from .health.findings import (
    Evidence,
    FactSource,
    Finding,
    HealthSummary,
    HealthTotals,
    Severity,
    Subject,
)
from .health.report import HealthOverview, HealthReport, ReportedAccount, ReportedChanges, ReportedNumber
from .integrations.ipython import adapt_ipython as _adapt_ipython
from .integrations.notebook import show_tables as _show_tables
from .integrations.pydantic import give_schemas as _give_schemas
from .models import (
    ALL_FIELDS,
    DEFAULT_FIELDS,
    AccountMode,
    BusinessAccount,
    BusinessProfile,
    BusinessUsername,
    BusinessVertical,
    CodeVerificationStatus,
    CreatedPhoneNumber,
    Cursors,
    Extra,
    HostPlatform,
    MessagingLimitTier,
    NameStatus,
    Page,
    PhoneNumber,
    PhoneNumberStatus,
    QualityRating,
    SuccessResponse,
    Throughput,
    ThroughputLevel,
    UnifiedCertStatus,
    UsernameStatus,
)
from .pagination.paginator import AsyncPaginator
from .pagination.rows import Rows
from .profiles.many import BusinessProfiles, NumberProfile
from .query import META_DEFAULT, Filter, ListQuery, MetaDefault, Sort, Verbatim
from .ratelimit.limiter import CallResult, Lease, RateLimiter, Report
from .ratelimit.registration_file import FileRegistrationLedger
from .ratelimit.registrations import RegistrationLedger, RegistrationUsage, Reservation, StoredLedger
from .ratelimit.throttle import Throttle
from .readiness import Readiness, is_ready, read_readiness
from .report.html import to_html
from .session import GraphSession
from .usage import Usage, UsageMetric
from .workflows.bulk import Listings
from .workflows.differences import Differences, DiffSummary, diff_listings
from .workflows.display_name import DisplayName, NameStage, read_display_name
from .workflows.ensure import EnsuredPhoneNumber
from .workflows.listing import WabaListing
from .workflows.watch import Change, Watch, WatchedWaba
from .workflows.watch_many import Watches

_show_tables()
_adapt_ipython()
_give_schemas()

__all__ = [
    "ALL_FIELDS",
    "DEFAULT_FIELDS",
    "META_DEFAULT",
    "AccountMode",
    "AmbiguousNumberError",
    "AsyncPaginator",
    "AuthenticationError",
    "BadRequestError",
    "BulkEdit",
    "BusinessAccount",
    "BusinessProfile",
    "BusinessProfiles",
    "BusinessUsername",
    "BusinessVertical",
    "CallFinished",
    "CallResult",
    "Change",
    "Check",
    "CheckStatus",
    "CodeVerificationStatus",
    "ConflictError",
    "CreatedPhoneNumber",
    "Cursors",
    "DecodeError",
    "Diagnosis",
    "DiffSummary",
    "Differences",
    "DisplayName",
    "Edit",
    "EditReport",
    "EditState",
    "EditSummary",
    "EnsuredPhoneNumber",
    "Event",
    "Evidence",
    "ExportError",
    "Extra",
    "FactSource",
    "FileRegistrationLedger",
    "Filter",
    "Finding",
    "FleetPageFinished",
    "GraphAPIError",
    "GraphSession",
    "HealthCheck",
    "HealthOverview",
    "HealthReport",
    "HealthSummary",
    "HealthTotals",
    "HostPlatform",
    "InvalidArgumentError",
    "JournalError",
    "Lease",
    "LedgerError",
    "ListFinished",
    "ListQuery",
    "Listings",
    "MessagingLimitTier",
    "MetaDefault",
    "MissingTokenError",
    "NameStage",
    "NameStageChanged",
    "NameStatus",
    "NotFoundError",
    "NumberProfile",
    "OutcomeUnknownError",
    "Page",
    "PaginationError",
    "PermissionDeniedError",
    "PhoneNumber",
    "PhoneNumberCache",
    "PhoneNumberClient",
    "PhoneNumberStatus",
    "QualityRating",
    "QuotaWaitEnded",
    "QuotaWaitStarted",
    "RateLimitError",
    "RateLimiter",
    "Readiness",
    "RegistrationLedger",
    "RegistrationUsage",
    "Report",
    "ReportedAccount",
    "ReportedChanges",
    "ReportedNumber",
    "RequestTimeoutError",
    "Reservation",
    "RetryPlanned",
    "RetryPolicy",
    "Rows",
    "ServerError",
    "Severity",
    "Sort",
    "StaleListingError",
    "StoredLedger",
    "Subject",
    "SuccessResponse",
    "Throttle",
    "ThrottleEnded",
    "ThrottleStarted",
    "Throughput",
    "ThroughputLevel",
    "TokenInfo",
    "TokenMap",
    "TokenProvider",
    "TransportError",
    "UnifiedCertStatus",
    "UnprocessableEntityError",
    "Usage",
    "UsageMetric",
    "UsernameStatus",
    "Verbatim",
    "WaPhoneError",
    "WabaListing",
    "WaitError",
    "WaitTimeoutError",
    "Watch",
    "WatchedWaba",
    "Watches",
    "WebhookNotice",
    "WebhookSignatureError",
    "Write",
    "__version__",
    "answer_challenge",
    "diff_listings",
    "from_dict",
    "is_ready",
    "parse_webhook",
    "read_display_name",
    "read_readiness",
    "to_dict",
    "to_html",
    "verify_webhook",
]
