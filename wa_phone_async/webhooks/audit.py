"""The rules of the audit: whose webhooks nobody gets, and whose go to another app or another URL.

The rules are of the same kind as those of a health check, and the check runs them. `webhook_configuration` comes with
the list of numbers. `subscribed_apps` costs a call for each account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Final

from wa_phone_async.health.facts import AccountFacts, NumberFacts
from wa_phone_async.health.findings import FactSource, Severity
from wa_phone_async.health.rules import ACCOUNT_RULES, ChosenRules, Rule, Trouble
from wa_phone_async.models import BusinessAccount, Extra
from wa_phone_async.redaction import hide_queries

from .callbacks import app_in

_READ: Final = date(2026, 11, 28)
_OVERRIDES: Final = FactSource('Meta\'s page "Webhook overrides" of September 2026', _READ)
_SUBSCRIPTIONS: Final = FactSource('Meta\'s reference of `subscribed_apps`, and its page "Webhook overrides"', _READ)
_LEVELS: Final = {
    "phone_number": "the number",
    "whatsapp_business_account": "the account",
    "application": "the app",
}
"""Where Meta looks for a callback URL, in this order."""


def audit_rules(url: str | None) -> ChosenRules:
    """Return the rules.

    Args:
        url: The callback URL that all numbers should have. `None`: each override is a finding, for information.
    """
    of_url = _overridden() if url is None else _elsewhere(url)
    return ChosenRules(
        of_numbers=(_NONE, of_url),
        of_accounts=(*(rule for rule in ACCOUNT_RULES if rule.code == "account.not_listed"), *_OF_ACCOUNTS),
    )


def with_apps(waba_id: str, rows: Iterable[Mapping[str, Any]], own_app_id: str | None) -> BusinessAccount:
    """Return the node of an account as the rules read it, with the rows of its `subscribed_apps`."""
    apps = {app_id: _name_in(row) for row in rows if (app_id := app_in(row)) is not None}
    members: dict[str, Any] = {"subscribed_apps": apps}
    if own_app_id is not None:
        others = {app_id: name for app_id, name in apps.items() if app_id != own_app_id}
        members["own_subscription"] = {"app_id": own_app_id, "is_subscribed": own_app_id in apps, "others": others}
    return BusinessAccount(waba_id, extra=Extra(members))


def _name_in(row: Mapping[str, Any]) -> str | None:
    name = row["whatsapp_business_api_data"].get("name")
    return name if isinstance(name, str) else None


def _effective_url(facts: NumberFacts) -> tuple[str, str] | None:
    """The callback URL that counts, and where it is set. `None`: there is none, or it is not known."""
    urls: Mapping[str, Any] = facts.get("webhook_configuration") or {}
    return next(((where, str(urls[name])) for name, where in _LEVELS.items() if urls.get(name)), None)


def _nobody(facts: NumberFacts) -> Iterator[Trouble]:
    if facts.get("webhook_configuration") is not None and _effective_url(facts) is None:
        yield Trouble()


def _elsewhere(url: str) -> Rule[NumberFacts]:
    shown = hide_queries(url)

    def find(facts: NumberFacts) -> Iterator[Trouble]:
        effective = _effective_url(facts)
        if effective is not None and effective[1] != url:
            yield Trouble(detail=f"{hide_queries(effective[1])}, the callback URL of {effective[0]}, is not {shown}")

    return Rule(
        code="webhook.elsewhere",
        severity=Severity.ERROR,
        sentence="the webhooks of {it} go elsewhere",
        meaning="The callback URL that counts is not the one that you expect. That of the number counts before that of "
        "the account, and that before the app's.",
        remedy="Set it: wa-phone webhooks set. Or remove the override: wa-phone webhooks clear.",
        source=_OVERRIDES,
        find=find,
        needs=("webhook_configuration",),
    )


def _overridden() -> Rule[NumberFacts]:
    def find(facts: NumberFacts) -> Iterator[Trouble]:
        effective = _effective_url(facts)
        if effective is not None and effective[0] != _LEVELS["application"]:
            where, url = effective
            subject = facts.about("account") if where == _LEVELS["whatsapp_business_account"] else None
            yield Trouble(subject=subject, detail=hide_queries(url))

    return Rule(
        code="webhook.overridden",
        severity=Severity.INFO,
        sentence="{it} has a callback URL of its own",
        meaning="An override: its webhooks do not go to the app's callback URL.",
        remedy="If nobody wants that, remove it: wa-phone webhooks clear.",
        source=_OVERRIDES,
        find=find,
        needs=("webhook_configuration",),
    )


def _others(found: Callable[[Mapping[str, Any]], object]) -> Callable[[AccountFacts], Iterator[Trouble]]:
    """A rule about the own subscription. Its findings name the other apps."""

    def find(facts: AccountFacts) -> Iterator[Trouble]:
        own = facts.get("own_subscription")
        if own is not None and found(own):
            yield Trouble(detail=f"app {', '.join(own['others'])}")

    return find


def _nobody_is_subscribed(facts: AccountFacts) -> Iterator[Trouble]:
    if facts.get("subscribed_apps") == {}:
        yield Trouble()


_NONE: Final = Rule[NumberFacts](
    code="webhook.none",
    severity=Severity.ERROR,
    sentence="nobody gets the webhooks of {it}",
    meaning="Neither the number, its account nor the app has a callback URL.",
    remedy="Set the callback URL in Meta's App Dashboard, or one for the number: wa-phone webhooks set.",
    source=_OVERRIDES,
    find=_nobody,
    needs=("webhook_configuration",),
)
_OF_ACCOUNTS: Final[tuple[Rule[AccountFacts], ...]] = (
    Rule(
        code="webhook.not_subscribed",
        severity=Severity.ERROR,
        sentence="no app is subscribed to {it}",
        meaning="Nobody gets a webhook of its numbers, whatever their callback URLs are.",
        remedy="Subscribe the app: wa-phone webhooks set --on accounts.",
        source=_SUBSCRIPTIONS,
        find=_nobody_is_subscribed,
        needs=("subscribed_apps",),
        counts_numbers=True,
    ),
    Rule(
        code="webhook.other_app",
        severity=Severity.ERROR,
        sentence="only another app gets the webhooks of {it}",
        meaning="Apps are subscribed to the account, and yours is not among them.",
        remedy="Subscribe the app: wa-phone webhooks set --on accounts. The other app keeps its webhooks.",
        source=_SUBSCRIPTIONS,
        find=_others(lambda own: own["others"] and not own["is_subscribed"]),
        needs=("own_subscription",),
        counts_numbers=True,
    ),
    Rule(
        code="webhook.shared",
        severity=Severity.INFO,
        sentence="another app gets the webhooks of {it} too",
        meaning="Apps of others are subscribed to the account beside yours.",
        remedy="If nobody wants that, remove the other app in Meta's business settings.",
        source=_SUBSCRIPTIONS,
        find=_others(lambda own: own["others"] and own["is_subscribed"]),
        needs=("own_subscription",),
        counts_numbers=True,
    ),
)
