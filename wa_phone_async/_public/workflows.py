"""The public names of what is built from many calls, and of what needs none."""

from wa_phone_async.cache.cache import PhoneNumberCache
from wa_phone_async.cache.webhooks import WebhookNotice, answer_challenge, parse_webhook, verify_webhook
from wa_phone_async.diagnosis.report import Check, CheckStatus, Diagnosis, TokenInfo
from wa_phone_async.edits.bulk import BulkEdit
from wa_phone_async.edits.edit import Edit, EditReport, EditState, EditSummary
from wa_phone_async.health.check import HealthCheck
from wa_phone_async.health.findings import (
    Evidence,
    FactSource,
    Finding,
    HealthSummary,
    HealthTotals,
    Severity,
    Subject,
)
from wa_phone_async.health.report import HealthOverview, HealthReport, ReportedAccount, ReportedChanges, ReportedNumber
from wa_phone_async.profiles.many import BusinessProfiles, NumberProfile
from wa_phone_async.ratelimit.registration_file import FileRegistrationLedger
from wa_phone_async.readiness import Readiness, is_ready, read_readiness
from wa_phone_async.report.html import to_html
from wa_phone_async.workflows.differences import Differences, DiffSummary, diff_listings
from wa_phone_async.workflows.display_name import DisplayName, NameStage, read_display_name
from wa_phone_async.workflows.ensure import EnsuredPhoneNumber
from wa_phone_async.workflows.watch import Change, Watch, WatchedWaba
from wa_phone_async.workflows.watch_many import Watches

__all__ = [
    "BulkEdit",
    "BusinessProfiles",
    "Change",
    "Check",
    "CheckStatus",
    "Diagnosis",
    "DiffSummary",
    "Differences",
    "DisplayName",
    "Edit",
    "EditReport",
    "EditState",
    "EditSummary",
    "EnsuredPhoneNumber",
    "Evidence",
    "FactSource",
    "FileRegistrationLedger",
    "Finding",
    "HealthCheck",
    "HealthOverview",
    "HealthReport",
    "HealthSummary",
    "HealthTotals",
    "NameStage",
    "NumberProfile",
    "PhoneNumberCache",
    "Readiness",
    "ReportedAccount",
    "ReportedChanges",
    "ReportedNumber",
    "Severity",
    "Subject",
    "TokenInfo",
    "Watch",
    "WatchedWaba",
    "Watches",
    "WebhookNotice",
    "answer_challenge",
    "diff_listings",
    "is_ready",
    "parse_webhook",
    "read_display_name",
    "read_readiness",
    "to_html",
    "verify_webhook",
]
