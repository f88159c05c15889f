"""The rules: a table of pure functions, each on the facts of one number or one account.

A rule says what it reads, what is wrong and what to do. The manual's pages about findings are made from the same table,
so a rule is described once. `diagnose_number` and `diagnose_account` apply the rules to single values.

A cause is named before its symptoms: where Meta blames the account, its business or the app, the finding is about that,
and what follows from it is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import date
from typing import Final, Generic, TypeVar

import attrs

from wa_phone_async.errors import InvalidArgumentError
from wa_phone_async.models import (
    ALL_FIELDS,
    BusinessAccount,
    HostPlatform,
    MessagingLimitTier,
    NameStatus,
    PhoneNumber,
    PhoneNumberStatus,
    QualityRating,
    ThroughputLevel,
    UnifiedCertStatus,
)
from wa_phone_async.readiness import PASSABLE_NAMES, OnboardingStep, next_step

from .facts import BLOCKED, LIMITED, AccountFacts, Facts, NumberFacts, clean, evidence, label
from .findings import Evidence, FactSource, Finding, Severity, Subject, SubjectKind

F = TypeVar("F", bound=Facts)
F_contra = TypeVar("F_contra", bound=Facts, contravariant=True)

_READ: Final = date(2026, 11, 28)
_HEALTH_PAGE: Final = FactSource('Meta\'s page "Messaging and calling health status"', _READ)
_NUMBERS_GUIDE: Final = FactSource('Meta\'s guide "Business phone numbers" of September 2026', _READ)
_REGISTER_GUIDE: Final = FactSource("Meta's page on registration of June 2026", _READ)
_REFERENCE: Final = FactSource("Meta's v23.0 OpenAPI description and its guides to phone numbers", date(2026, 11, 22))
_LIMITS_PAGE: Final = FactSource('Meta\'s page "Messaging limits" of September 2026', _READ)
_THROUGHPUT_PAGE: Final = FactSource('Meta\'s page "Throughput" of September 2026', _READ)
_NAMES_GUIDE: Final = FactSource("Meta's guide to display names, in a copy of March 2026", _READ)
_PIN_GUIDE: Final = FactSource("Meta's guide to two-step verification", date(2026, 11, 22))
_PROVIDERS: Final = FactSource("Help pages of five providers, which paraphrase Meta's own", _READ)
_QUALITY: Final = FactSource('Meta\'s pages "Messaging limits" and "Throughput" of September 2026', _READ)
_WEBHOOKS: Final = FactSource("Meta's page on overrides of webhooks of June 2026, and published captures", _READ)
_COEXISTENCE: Final = FactSource("Meta's guide to onboarding users of the Business app, 2026", _READ)
_ACCOUNT_MODEL: Final = FactSource("Meta's pages on the evolution of the account model, June 2026", _READ)
_REVIEWS: Final = FactSource('Meta\'s webhook reference "account_review_update" of June 2026', _READ)
_OBO_PAGE: Final = FactSource('Meta\'s page "On-Behalf-Of account ownership model deprecation" of May 2026', _READ)
_VERIFICATION: Final = FactSource(
    "The values are from the types of a public SDK (WhatsApp-Nodejs-SDK), and their meaning from the words",
    _READ,
    is_guess=True,
)
_PACKAGE: Final = FactSource("This package", _READ)


@attrs.frozen(kw_only=True)
class Trouble:
    """What a rule found: only what its entry in the table does not say already."""

    subject: Subject | None = None
    """What it is about; default: the number or account that was read."""
    detail: str = ""
    """Ends the sentence, after a colon."""
    remedy: str = ""
    """What to do; default: that of the rule."""
    evidence: tuple[Evidence, ...] | None = None
    """Default: the fields that the rule reads."""


@attrs.frozen(kw_only=True)
class Rule(Generic[F_contra]):
    """One rule, with its entry in the manual."""

    code: str
    severity: Severity
    sentence: str
    """What is wrong; `{it}` is the subject."""
    meaning: str
    """What the manual adds to the sentence."""
    remedy: str
    source: FactSource
    find: Callable[[F_contra], Iterable[Trouble]]
    """Finds the troubles in the facts. It never raises."""
    needs: tuple[str, ...]
    """The evidence: at least one of these fields has to be there. Empty: the rule needs none."""
    also: tuple[str, ...] = ()
    """Other fields that it reads."""
    beside: str = ""
    """Not empty: most numbers rightly have none of the fields that it needs. A server that has this field has them."""

    counts_numbers: bool = False
    """Whether a finding about an account counts the numbers of the account."""

    @property
    def group(self) -> str:
        """The part of the code before the dot."""
        return self.code.partition(".")[0]

    def findings(self, facts: F_contra) -> Iterator[Finding]:
        """Yield what the rule finds in the facts."""
        for trouble in self.find(facts):
            subject = trouble.subject or facts.subject
            text = self.sentence.format(it=label(subject))
            text = text[:1].upper() + text[1:]
            yield Finding(
                subject=subject,
                severity=self.severity,
                code=self.code,
                sentence=f"{text}: {trouble.detail.rstrip('.')}." if trouble.detail else f"{text}.",
                remedy=trouble.remedy or self.remedy,
                evidence=facts.evidence((*self.needs, *self.also)) if trouble.evidence is None else trouble.evidence,
                source=self.source,
                numbers=int(isinstance(facts, NumberFacts)),
            )


# --- the parts of rules

_FOUND: Final = (Trouble(),)


def _when(holds: Callable[[F], object]) -> Callable[[F], Iterable[Trouble]]:
    """A rule that is about the number or account itself, and has no more to say."""
    return lambda facts: _FOUND if holds(facts) else ()


def _is(field: str, *values: str) -> Callable[[Facts], Iterable[Trouble]]:
    """A rule that finds some values of a field."""
    return _when(lambda facts: facts.get(field) in values)


def _name_state(facts: NumberFacts) -> object:
    return facts.get("name_status") or facts.get("unified_cert_status")


def _is_name_lost(*values: str) -> Callable[[NumberFacts], Iterable[Trouble]]:
    """A rule about a name that no newer name may replace."""
    return _when(lambda facts: _name_state(facts) in values and facts.get("new_name_status") not in PASSABLE_NAMES)


def _is_out_of_use(facts: NumberFacts) -> bool:
    """Whether the number was in use and is not, for a reason that its status gives."""
    return facts.get("status") in _OUT_OF_USE


def _is_in_app_only(facts: NumberFacts) -> bool:
    host = facts.get("host_platform")
    return host == HostPlatform.ON_PREMISE or (
        host == HostPlatform.NOT_APPLICABLE and facts.get("is_on_biz_app") is True and not _is_out_of_use(facts)
    )


def _is_still_pending(facts: NumberFacts) -> bool:
    """Whether the number is verified and registered, and its status says that it is not ready."""
    is_hosted = facts.get("host_platform") == HostPlatform.CLOUD_API
    return is_hosted and facts.get("status") == PhoneNumberStatus.PENDING and facts.readiness.verified is True


def _is_unverified(facts: NumberFacts) -> bool:
    is_next = next_step(facts.number) is OnboardingStep.VERIFY and facts.readiness.verified is False
    return is_next and not _is_out_of_use(facts) and not _is_in_app_only(facts)


def _is_unregistered(facts: NumberFacts) -> bool:
    is_next = next_step(facts.number) in (OnboardingStep.VERIFY, OnboardingStep.REGISTER)
    is_known = facts.readiness.registered is False and facts.readiness.verified is not False
    has_cause = _is_out_of_use(facts) or _is_in_app_only(facts) or _is_still_pending(facts)
    return is_next and is_known and not has_cause


def _newer_name_approved(facts: NumberFacts) -> bool:
    newer = facts.get("new_display_name")
    is_approved = facts.get("new_name_status") in (NameStatus.APPROVED, NameStatus.AVAILABLE_WITHOUT_REVIEW)
    return is_approved and newer is not None and newer != facts.get("verified_name")


def is_in_review(number: PhoneNumber) -> bool:
    """Whether a name of a number is in review."""
    states = (number.name_status, number.new_name_status, number.unified_cert_status)
    return any(isinstance(state, str) and state in _IN_REVIEW for state in states)


def _low_limit(facts: NumberFacts) -> Iterator[Trouble]:
    limit = facts.get("whatsapp_business_manager_messaging_limit") or facts.get("messaging_limit_tier")
    if limit in _LOW_LIMITS:
        yield Trouble(subject=facts.about("business"), detail=f"the limit is {_LOW_LIMITS[limit]}")


def _has_no_webhook(facts: NumberFacts) -> Iterator[Trouble]:
    urls = facts.get("webhook_configuration")
    if urls is not None and not any(urls.values()):
        yield Trouble(subject=facts.about("app"))


def _blamed(kind: SubjectKind, level: str) -> Callable[[Facts], Iterator[Trouble]]:
    """A rule about what `health_status` blames."""

    def find(facts: Facts) -> Iterator[Trouble]:
        told = set[Subject]()  # an entity may be there twice
        for entity in facts.health.blamed:
            subject = facts.about(kind, entity.id)
            if (entity.kind, entity.level) == (kind, level) and subject not in told:
                told.add(subject)
                yield Trouble(subject=subject, detail=entity.why, remedy=entity.solution, evidence=(entity.evidence,))

    return find


def _unexplained(level: str) -> Callable[[NumberFacts], Iterable[Trouble]]:
    """A rule about a `health_status` that blames nothing."""
    return _when(lambda facts: facts.health.level == level and not facts.health.blamed and not facts.has_cause)


def _unknown(*, states: bool) -> Callable[[Facts], Iterator[Trouble]]:
    def find(facts: Facts) -> Iterator[Trouble]:
        found = tuple(facts.unknown(states=states))
        if found:
            names = ", ".join(dict.fromkeys(clean(part.field) for part in found))
            yield Trouble(detail=names, evidence=found)

    return find


def _shared(facts: NumberFacts) -> Iterator[Trouble]:
    if facts.also_in is not None:
        homes = (evidence("waba_id", facts.subject.waba_id), evidence("also_in", facts.also_in))
        yield Trouble(evidence=homes)


def _not_listed(facts: AccountFacts) -> Iterator[Trouble]:
    if facts.error is not None:
        text = clean(str(facts.error))
        yield Trouble(detail=text, evidence=(evidence("error", type(facts.error).__name__), evidence("message", text)))


def _verification(*values: str) -> Callable[[AccountFacts], Iterator[Trouble]]:
    def find(facts: AccountFacts) -> Iterator[Trouble]:
        if facts.get("business_verification_status") in values:
            yield Trouble(subject=facts.business)

    return find


_OUT_OF_USE: Final = frozenset(
    {
        *(PhoneNumberStatus.BANNED, PhoneNumberStatus.DISCONNECTED, PhoneNumberStatus.UNLINKED),
        *(PhoneNumberStatus.DELETED, PhoneNumberStatus.MIGRATED),
    }
)
_IN_REVIEW: Final = frozenset(
    {
        *(NameStatus.PENDING_REVIEW, UnifiedCertStatus.NAME_PENDING_REVIEW),
        UnifiedCertStatus.ACCOUNT_REVIEW_NOT_STARTED,
    }
)
_LOW_LIMITS: Final[Mapping[str, str]] = {
    MessagingLimitTier.TIER_50: "50 people",
    MessagingLimitTier.TIER_250: "250 people",
}
_HEALTH_FIELD: Final = ("health_status",)
_REGISTRATION_FIELDS: Final = ("status", "host_platform", "code_verification_status", "name_status", "new_name_status")
_NAME_FIELDS: Final = ("name_status", "unified_cert_status")


# --- the table


def _blame_rules() -> Iterator[Rule[Facts]]:
    places: Mapping[SubjectKind, tuple[str, str]] = {
        "number": ("", "Open the number in WhatsApp Manager, and do what it asks for."),
        "account": (", nor can its numbers", "Open the account in WhatsApp Manager, and do what it asks for."),
        "business": (", nor can its accounts", "Open the business in Meta Business Suite, and do what it asks for."),
        "app": (", nor can the numbers that use it", "Open the app in Meta's App Dashboard, and do what it asks for."),
    }
    for kind, (reach, remedy) in places.items():
        yield Rule(
            code=f"sending.{kind}_blocked",
            severity=Severity.ERROR,
            sentence=f"{{it}} cannot send messages{reach}",
            meaning=f"`health_status` says `BLOCKED` for this {kind}. The sentence repeats Meta's reason.",
            remedy=remedy,
            source=_HEALTH_PAGE,
            find=_blamed(kind, BLOCKED),
            needs=_HEALTH_FIELD,
        )
        yield Rule(
            code=f"sending.{kind}_limited",
            severity=Severity.WARNING,
            sentence="{it} can send messages within limits only",
            meaning=f"`health_status` says `LIMITED` for this {kind}. The sentence repeats Meta's reason.",
            remedy=remedy,
            source=_HEALTH_PAGE,
            find=_blamed(kind, LIMITED),
            needs=_HEALTH_FIELD,
        )


BLAME_RULES: Final[tuple[Rule[Facts], ...]] = tuple(_blame_rules())

UNKNOWN_RULES: Final[tuple[Rule[Facts], ...]] = (
    Rule(
        code="unknown.state",
        severity=Severity.WARNING,
        sentence="{it} has a state that this version does not know",
        meaning="A field that says whether it can be used has a value, or a type, that this version does not know. "
        "`UNKNOWN` and `LIMITED_ACCESS` are such values too: Meta does not explain them.",
        remedy="Look at it in WhatsApp Manager, and install a newer version of this package.",
        source=_PACKAGE,
        find=_unknown(states=True),
        needs=(),
        also=(*_REGISTRATION_FIELDS, "unified_cert_status", *_HEALTH_FIELD, "account_review_status"),
    ),
    Rule(
        code="unknown.value",
        severity=Severity.INFO,
        sentence="{it} has a value that this version does not know",
        meaning="Another field has a value, or a type, that this version does not know. Meta adds values at any time.",
        remedy="Read the evidence, and install a newer version of this package.",
        source=_PACKAGE,
        find=_unknown(states=False),
        needs=(),
        also=(
            *("quality_rating", "throughput", "whatsapp_business_manager_messaging_limit", "webhook_configuration"),
            *("business_verification_status", "ownership_type"),
        ),
    ),
)

NUMBER_RULES: Final[tuple[Rule[NumberFacts], ...]] = (
    *BLAME_RULES,
    Rule(
        code="sending.blocked",
        severity=Severity.ERROR,
        sentence="{it} cannot send messages, and Meta does not say why",
        meaning="`health_status` says `BLOCKED`, and blames neither the number, its account, its business nor the app.",
        remedy="Read `health_status` again later. If it stays, ask Meta's support.",
        source=_HEALTH_PAGE,
        find=_unexplained(BLOCKED),
        needs=_HEALTH_FIELD,
    ),
    Rule(
        code="sending.limited",
        severity=Severity.WARNING,
        sentence="{it} can send messages within limits only, and Meta does not say why",
        meaning="`health_status` says `LIMITED`, and blames neither the number, its account, its business nor the app.",
        remedy="Read `health_status` again later. If it stays, ask Meta's support.",
        source=_HEALTH_PAGE,
        find=_unexplained(LIMITED),
        needs=_HEALTH_FIELD,
    ),
    Rule(
        code="status.banned",
        severity=Severity.ERROR,
        sentence="{it} is banned",
        meaning="Meta has banned the number. Waiting does not help. An appeal may: bans can be undone.",
        remedy="Appeal in the Business Support Home of Meta Business Suite.",
        source=FactSource('Meta\'s webhook reference "account_update" of September 2026', _READ),
        find=_is("status", PhoneNumberStatus.BANNED),
        needs=("status",),
    ),
    Rule(
        code="status.disconnected",
        severity=Severity.ERROR,
        sentence="{it} is no longer connected",
        meaning="It was connected, and is `DISCONNECTED` or `UNLINKED` now. It can neither send nor receive.",
        remedy="Register it again. If it is shared with the Business app, connect it there.",
        source=_NUMBERS_GUIDE,
        find=_is("status", PhoneNumberStatus.DISCONNECTED, PhoneNumberStatus.UNLINKED),
        needs=("status",),
    ),
    Rule(
        code="status.gone",
        severity=Severity.INFO,
        sentence="{it} has left this account",
        meaning="It was removed (`DELETED`), or moved to another account (`MIGRATED`). This is final.",
        remedy="Remove it from your own lists.",
        source=_REFERENCE,
        find=_is("status", PhoneNumberStatus.DELETED, PhoneNumberStatus.MIGRATED),
        needs=("status",),
    ),
    Rule(
        code="status.restricted",
        severity=Severity.WARNING,
        sentence="{it} may reply, and may not start conversations",
        meaning="`RESTRICTED`: it has reached its messaging limit. It is left out where the account or the business is "
        "the cause.",
        remedy="Wait 24 hours, and send fewer messages to people who did not write first.",
        source=_PROVIDERS,
        find=_when(lambda facts: facts.get("status") == PhoneNumberStatus.RESTRICTED and not facts.has_wider_cause),
        needs=("status",),
        also=_HEALTH_FIELD,
    ),
    Rule(
        code="status.rate_limited",
        severity=Severity.WARNING,
        sentence="{it} is rate limited",
        meaning="Meta does not document `RATE_LIMITED`. It is left out where the account or the business is the cause.",
        remedy="Send more slowly, and read the status again.",
        source=FactSource("It works within limits: no page of Meta explains the value", _READ, is_guess=True),
        find=_when(lambda facts: facts.get("status") == PhoneNumberStatus.RATE_LIMITED and not facts.has_wider_cause),
        needs=("status",),
        also=_HEALTH_FIELD,
    ),
    Rule(
        code="status.flagged",
        severity=Severity.INFO,
        sentence="{it} has a status that Meta ended in October 2025",
        meaning="`FLAGGED` meant a low quality. A list that still has it is old, or Meta's page is wrong.",
        remedy="List the number again, and read its quality rating.",
        source=FactSource("Meta's page on changes of messaging limits, October 2025", _READ),
        find=_is("status", PhoneNumberStatus.FLAGGED),
        needs=("status",),
    ),
    Rule(
        code="status.pending",
        severity=Severity.WARNING,
        sentence="{it} is registered, and Meta has not made it ready yet",
        meaning="It is verified and on the Cloud API, and its status is still `PENDING`. Numbers were seen in this "
        "state for more than a week.",
        remedy="Wait. After some days, ask Meta's support: its name may not have been processed.",
        source=FactSource("Public bug reports (chatwoot, pull request 12556)", _READ),
        find=_when(_is_still_pending),
        needs=("status",),
        also=("host_platform", "code_verification_status"),
    ),
    Rule(
        code="registration.unverified",
        severity=Severity.ERROR,
        sentence="{it} is not verified",
        meaning="No code has proven that it is yours, so it cannot be registered. `is_ready` says so too.",
        remedy="Request a code and verify it: `wa-phone onboard` goes on where the number is.",
        source=_NUMBERS_GUIDE,
        find=_when(_is_unverified),
        needs=("code_verification_status", "status"),
        also=_REGISTRATION_FIELDS,
    ),
    Rule(
        code="registration.unregistered",
        severity=Severity.ERROR,
        sentence="{it} is not registered with the Cloud API",
        meaning="It is verified, or its last code has lapsed. Without a registration it can neither send nor receive.",
        remedy="Register it with its PIN: `wa-phone onboard` goes on where the number is.",
        source=_REGISTER_GUIDE,
        find=_when(_is_unregistered),
        needs=("host_platform", "status"),
        also=_REGISTRATION_FIELDS,
    ),
    Rule(
        code="registration.no_pin",
        severity=Severity.WARNING,
        sentence="{it} has no PIN",
        meaning="It is registered, and its two-step verification is off. Somebody who gets its code can register it "
        "elsewhere.",
        remedy="Set a PIN with `set_two_step_verification_pin`.",
        source=_PIN_GUIDE,
        find=_when(lambda facts: facts.get("is_pin_enabled") is False and facts.readiness.registered),
        needs=("is_pin_enabled",),
        also=("status", "host_platform"),
    ),
    Rule(
        code="name.declined",
        severity=Severity.ERROR,
        sentence="The name of {it} was declined",
        meaning="Meta has declined the display name, and no newer name is on its way. Waiting does not help.",
        remedy="Request another name in WhatsApp Manager.",
        source=_NAMES_GUIDE,
        find=_is_name_lost(NameStatus.DECLINED, UnifiedCertStatus.NAME_NOT_APPROVED),
        needs=_NAME_FIELDS,
        also=("new_name_status",),
    ),
    Rule(
        code="name.expired",
        severity=Severity.ERROR,
        sentence="The certificate of the name of {it} has expired",
        meaning="It cannot be registered with this name any more, and no newer name is on its way.",
        remedy="Request the name again in WhatsApp Manager, and register the number after its approval.",
        source=_NUMBERS_GUIDE,
        find=_is_name_lost(NameStatus.EXPIRED),
        needs=_NAME_FIELDS,
        also=("new_name_status",),
    ),
    Rule(
        code="name.missing",
        severity=Severity.ERROR,
        sentence="{it} has no certificate of a name",
        meaning="`NONE`, or the older `NON_EXISTS`: it cannot be registered without one, and no name is on its way.",
        remedy="Request a name in WhatsApp Manager.",
        source=_NUMBERS_GUIDE,
        find=_is_name_lost(NameStatus.NONE, NameStatus.NON_EXISTS),
        needs=_NAME_FIELDS,
        also=("new_name_status",),
    ),
    Rule(
        code="name.in_review",
        severity=Severity.INFO,
        sentence="Meta reviews the name of {it}",
        meaning="The name, or a newer one, is in review; or the review has not begun.",
        remedy="Wait. `wait_until` and `wa-phone watch` tell when it is decided.",
        source=_NAMES_GUIDE,
        find=_when(lambda facts: is_in_review(facts.number)),
        needs=_NAME_FIELDS,
        also=("new_name_status",),
    ),
    Rule(
        code="name.register_again",
        severity=Severity.WARNING,
        sentence="A newer name of {it} is approved, and customers still see the older one",
        meaning="A newer name takes the place of the older one when the number is registered again.",
        remedy="Register the number again. Meta allows 10 registrations in 72 hours.",
        source=_REGISTER_GUIDE,
        find=_when(_newer_name_approved),
        needs=("new_name_status",),
        also=("name_status", "new_display_name", "verified_name"),
        beside="name_status",
    ),
    Rule(
        code="name.newer_declined",
        severity=Severity.WARNING,
        sentence="A newer name of {it} was declined",
        meaning="Customers go on seeing the older name, which is not affected.",
        remedy="Request another name in WhatsApp Manager.",
        source=_NAMES_GUIDE,
        find=_when(
            lambda facts: facts.get("new_name_status") == NameStatus.DECLINED and _name_state(facts) in PASSABLE_NAMES
        ),
        needs=("new_name_status",),
        also=("name_status",),
        beside="name_status",
    ),
    Rule(
        code="quality.red",
        severity=Severity.WARNING,
        sentence="The quality of {it} is low",
        meaning="People block or report its messages. Since October 2025 this lowers no limit, and no webhook tells of "
        "it. A low quality prevents a higher throughput.",
        remedy="Send only what people have asked for, and look at the templates of the last days.",
        source=_QUALITY,
        find=_is("quality_rating", QualityRating.RED),
        needs=("quality_rating",),
    ),
    Rule(
        code="quality.yellow",
        severity=Severity.INFO,
        sentence="The quality of {it} is medium",
        meaning="Some people block or report its messages.",
        remedy="Look at the templates of the last days, before the quality becomes low.",
        source=_QUALITY,
        find=_is("quality_rating", QualityRating.YELLOW),
        needs=("quality_rating",),
    ),
    Rule(
        code="limit.low",
        severity=Severity.INFO,
        sentence="{it} may write first to few people in 24 hours",
        meaning="All numbers of a portfolio share this limit. A new portfolio begins with 250 people. If the id of the "
        "business is not known, the finding is about the account.",
        remedy="Verify the business, or send messages of high quality: Meta then raises the limit within 6 hours.",
        source=_LIMITS_PAGE,
        find=_low_limit,
        needs=("whatsapp_business_manager_messaging_limit", "messaging_limit_tier"),
        also=_HEALTH_FIELD,
    ),
    Rule(
        code="throughput.none",
        severity=Severity.INFO,
        sentence="{it} is registered, and has no level of throughput",
        meaning="`NOT_APPLICABLE` is usual for numbers that are not registered.",
        remedy="Read it again later. If messages fail, ask Meta's support.",
        source=FactSource("Published captures, which show it for other numbers only", _READ, is_guess=True),
        find=_when(lambda facts: facts.level == ThroughputLevel.NOT_APPLICABLE and facts.readiness.registered is True),
        needs=("throughput",),
        also=("status", "host_platform"),
    ),
    Rule(
        code="throughput.standard",
        severity=Severity.INFO,
        sentence="{it} may send 80 messages a second, and its portfolio has no messaging limit",
        meaning="Meta raises such a number to 1,000 messages a second after it has written to 100,000 people in 24 "
        "hours, unless its quality is low.",
        remedy="Nothing, if 80 messages a second are enough.",
        source=_THROUGHPUT_PAGE,
        find=_when(
            lambda facts: (
                facts.level == ThroughputLevel.STANDARD
                and facts.get("whatsapp_business_manager_messaging_limit") == MessagingLimitTier.TIER_UNLIMITED
                and facts.readiness.registered is True
                and facts.get("is_on_biz_app") is not True
            )
        ),
        needs=("throughput",),
        also=("whatsapp_business_manager_messaging_limit", "status", "host_platform", "is_on_biz_app"),
    ),
    Rule(
        code="webhook.none",
        severity=Severity.WARNING,
        sentence="{it} has no URL for webhooks",
        meaning="`webhook_configuration` has a URL neither of the number, its account nor the app: this app gets no "
        "messages and no events of the number. Another app may. The finding is about the app or, if its id is not "
        "known, about the account.",
        remedy="Set the callback URL in Meta's App Dashboard, and subscribe the app to the account.",
        source=_WEBHOOKS,
        find=_has_no_webhook,
        needs=("webhook_configuration",),
        also=_HEALTH_FIELD,
    ),
    Rule(
        code="coexistence.app_only",
        severity=Severity.ERROR,
        sentence="{it} is in the WhatsApp Business app only",
        meaning="`ON_PREMISE`, or in the app and hosted nowhere else: the Cloud API cannot send for it.",
        remedy="Onboard it with Meta's Embedded Signup, which lets the app and the Cloud API share it.",
        source=_COEXISTENCE,
        find=_when(_is_in_app_only),
        needs=("host_platform",),
        also=("is_on_biz_app", "status"),
    ),
    Rule(
        code="coexistence.shared",
        severity=Severity.INFO,
        sentence="{it} is shared with the WhatsApp Business app",
        meaning="It may send 20 messages a second, and this does not rise. It cannot be deregistered by the API.",
        remedy="Nothing, if 20 messages a second are enough.",
        source=_THROUGHPUT_PAGE,
        find=_when(
            lambda facts: facts.get("is_on_biz_app") is True and facts.get("host_platform") == HostPlatform.CLOUD_API
        ),
        needs=("is_on_biz_app",),
        also=("host_platform",),
    ),
    Rule(
        code="account.shared_number",
        severity=Severity.INFO,
        sentence="{it} is under two accounts",
        meaning="Since 2026 several partners may have the same number. Each of them may deregister it. Registering it "
        "again succeeds, and does not set your PIN. The number is checked once, in the first account.",
        remedy="Count it once, and agree with the other partner who registers it.",
        source=_ACCOUNT_MODEL,
        find=_shared,
        needs=(),
    ),
    *UNKNOWN_RULES,
)
"""The rules for a number."""

ACCOUNT_RULES: Final[tuple[Rule[AccountFacts], ...]] = (
    *(rule for rule in BLAME_RULES if not rule.code.startswith("sending.number_")),
    Rule(
        code="account.not_listed",
        severity=Severity.ERROR,
        sentence="{it} cannot be listed",
        meaning="Its numbers are not known, so nothing is known about their health.",
        remedy="Check the id, and that the token may read the account with `whatsapp_business_management`.",
        source=_PACKAGE,
        find=_not_listed,
        needs=(),
    ),
    Rule(
        code="account.review_rejected",
        severity=Severity.ERROR,
        sentence="{it} was rejected in Meta's review",
        meaning="It does not meet Meta's policies, and cannot be used with the API.",
        remedy="Appeal in the Business Support Home of Meta Business Suite.",
        source=_REVIEWS,
        find=_is("account_review_status", "REJECTED"),
        needs=("account_review_status",),
    ),
    Rule(
        code="account.review_pending",
        severity=Severity.WARNING,
        sentence="{it} is in Meta's review",
        meaning="`PENDING` or `DEFERRED`: until the decision, it cannot be used with the API.",
        remedy="Wait. If Meta has asked for documents, send them.",
        source=_REVIEWS,
        find=_is("account_review_status", "PENDING", "DEFERRED"),
        needs=("account_review_status",),
    ),
    Rule(
        code="account.on_behalf_of",
        severity=Severity.WARNING,
        sentence="{it} has an ownership that Meta has ended",
        meaning="`ON_BEHALF_OF`: a partner owns it for a client. It should have been transferred by October 2025.",
        remedy="Transfer its ownership to the client.",
        source=_OBO_PAGE,
        find=_is("ownership_type", "ON_BEHALF_OF"),
        needs=("ownership_type",),
    ),
    Rule(
        code="business.verification_failed",
        severity=Severity.WARNING,
        sentence="{it} was not verified by Meta",
        meaning="`business_verification_status` is `failed`, `rejected`, `expired` or `revoked`. If the id of the "
        "business is not known, the finding is about the account.",
        remedy="Start the verification again in the Security Center of Meta Business Suite.",
        source=_VERIFICATION,
        find=_verification("failed", "rejected", "expired", "revoked"),
        needs=("business_verification_status",),
        also=("owner_business_info",),
    ),
    Rule(
        code="business.not_verified",
        severity=Severity.INFO,
        sentence="{it} is not verified yet",
        meaning="Nobody has verified it, or Meta has not decided. Verified businesses may have more numbers, and write "
        "to more people.",
        remedy="Verify it in the Security Center of Meta Business Suite.",
        source=_VERIFICATION,
        find=_verification(*("not_verified", "pending", "pending_need_more_info", "pending_submission", "ineligible")),
        needs=("business_verification_status",),
        also=("owner_business_info",),
    ),
    *UNKNOWN_RULES,
)
"""The rules for an account."""

_ALL: Final[tuple[Rule[NumberFacts] | Rule[AccountFacts], ...]] = (*NUMBER_RULES, *ACCOUNT_RULES)
RULES: Final = {rule.code: rule for rule in _ALL}
"""All rules by their codes."""


@attrs.frozen
class ChosenRules:
    """The rules that a check applies."""

    of_numbers: tuple[Rule[NumberFacts], ...] = NUMBER_RULES
    of_accounts: tuple[Rule[AccountFacts], ...] = ACCOUNT_RULES

    @property
    def number_fields(self) -> tuple[str, ...]:
        """The fields of a number that they read, in the order of the model, with those that name it."""
        read = {name for rule in self.of_numbers for name in (*rule.needs, *rule.also)}
        named = {"id", "display_phone_number", "verified_name"}
        return tuple(name for name in ALL_FIELDS if name in read | named)

    @property
    def of_nodes(self) -> tuple[Rule[AccountFacts], ...]:
        """Those that read the node of an account. The list of its numbers does not have these fields."""
        own = ["account_review_status", "ownership_type", "business_verification_status"]
        own += ["subscribed_apps", "own_subscription"]  # of the audit of webhooks
        return tuple(rule for rule in self.of_accounts if any(name in own for name in rule.needs))

    @property
    def account_fields(self) -> tuple[str, ...]:
        """The fields of an account's node that they read; empty if no node has to be read."""
        names = dict.fromkeys(name for rule in self.of_nodes for name in (*rule.needs, *rule.also))
        return (*names, *_HEALTH_FIELD) if names else ()


def choose_rules(checks: Iterable[str] | str | None) -> ChosenRules:
    """Return the rules of these codes and groups; `None` returns all.

    Raises:
        InvalidArgumentError: There is no such code or group, or `checks` is empty.
    """
    if checks is None:
        return ChosenRules()
    wanted = checks.split(",") if isinstance(checks, str) else list(checks) if isinstance(checks, Iterable) else []
    known = {*RULES, *(rule.group for rule in RULES.values())}
    wrong = [name for name in wanted if name not in known]
    if wrong or not wanted:
        groups = ", ".join(sorted({rule.group for rule in RULES.values()}))
        hint = f"the groups are {groups}"
        raise InvalidArgumentError(
            "checks", "codes or groups such as 'status.banned' or 'status'", *wrong[:1], hint=hint
        )
    # An account that cannot be listed is always told: silence would say that it is fine.
    return ChosenRules(_chosen(NUMBER_RULES, wanted), _chosen(ACCOUNT_RULES, [*wanted, "account.not_listed"]))


def _chosen(rules: tuple[Rule[F], ...], wanted: Collection[str]) -> tuple[Rule[F], ...]:
    return tuple(rule for rule in rules if rule.code in wanted or rule.group in wanted)


def diagnose_number(
    number: PhoneNumber,
    waba_id: str | None = None,
    *,
    also_in: str | None = None,
    rules: tuple[Rule[NumberFacts], ...] = NUMBER_RULES,
) -> list[Finding]:
    """Return what the rules find in one number. It never raises.

    Args:
        number: The number, with as many of its fields as you have.
        waba_id: Its account, if you know it.
        also_in: Another account that has the same number, if you know one.
        rules: The rules to apply.
    """
    facts = NumberFacts.of(number, waba_id, also_in=also_in)
    return [finding for rule in rules for finding in rule.findings(facts)]


def diagnose_account(
    account: BusinessAccount, *, rules: tuple[Rule[AccountFacts], ...] = ACCOUNT_RULES
) -> list[Finding]:
    """Return what the rules find in the node of one account. It never raises."""
    facts = AccountFacts.of(account)
    return [finding for rule in rules for finding in rule.findings(facts)]
