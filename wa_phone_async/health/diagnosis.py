"""The diagnosis of many accounts: each subject once for each rule, causes before symptoms, within bounded memory.

Findings about numbers come at once. A finding about anything wider waits until its numbers are counted: an account
waits for the end of its rows, and a business or the app for the end of the run. At most `MAX_WAITING` findings wait.
When there are more, the oldest comes with the count that it has, and is not told again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from wa_phone_async.models import BusinessAccount, PhoneNumber
from wa_phone_async.workflows.id_set import IdMap, IdSet
from wa_phone_async.workflows.listing import WabaListing

from .facts import AccountFacts, NumberFacts
from .findings import Finding, HealthSummary, HealthTotals, Severity, SubjectKind
from .report import OverviewBuilder
from .rules import ChosenRules

MAX_WAITING: Final = 10_000
"""Findings about accounts, businesses and apps that wait for the count of their numbers. Each takes about 2 kB."""

_Key = tuple[str, SubjectKind, str]  # the code, the kind of the subject, and its id
_NOWHERE: Final = "0"
"""Stands for the account of a number where a file does not name it."""


class Diagnosis:
    """Applies rules to listings, one after the other.

    Args:
        rules: The rules to apply.
        has_all_fields: Whether all fields that the rules read were requested. Lists and files may lack some.
    """

    def __init__(self, rules: ChosenRules, *, has_all_fields: bool = False) -> None:
        self._rules = rules
        self.has_all_fields: bool = has_all_fields
        """Whether all fields that the rules read were requested."""
        self.overview: OverviewBuilder | None = None
        """Counts what is diagnosed, for a report."""
        self._known_accounts = IdSet()
        self._homes = IdMap()  # the account in which each number was seen first
        self._shared = IdSet()  # the numbers whose second account was told
        self._told = defaultdict[tuple[str, SubjectKind], IdSet](IdSet)  # the ids that were told, by code and kind
        # What waits, in the order in which it came: the findings about the account whose rows come now, and wider ones.
        self._of_account = dict[_Key, Finding]()
        self._wider = dict[_Key, Finding]()
        self._waba_id: str | None = None
        self._numbers = 0
        self._by_code = Counter[str]()
        self._by_severity = dict.fromkeys(Severity, 0)
        self._unchecked = Counter[str]()
        self._seen = set[str]()  # the rules with `beside` whose fields came at least once

    def add(self, listing: WabaListing, account: BusinessAccount | None = None) -> list[Finding]:
        """Return the findings that are complete after the next listing.

        Args:
            listing: The numbers of an account, or of a part of it. An empty `waba_id` means that it is not known.
            account: The node of the account, if it was read.
        """
        waba_id = listing.waba_id or None
        found = list[Finding]()
        if waba_id != self._waba_id:
            found += self._release(self._of_account)
            self._waba_id = waba_id
        has_cause = False
        if waba_id is not None and waba_id not in self._known_accounts:
            self._known_accounts.add(waba_id)
            facts = AccountFacts.of(account or BusinessAccount(waba_id), listing.error)
            findings = list(self._check_account(facts, len(listing.phone_numbers)))
            has_cause = any(finding.severity is Severity.ERROR for finding in findings)
            found += self._take_all(findings)
            if self.overview is not None:
                self.overview.add_account(waba_id, facts.subject.name, listing.error, findings)
        for number in listing.phone_numbers:
            home = self._homes.add(number.id, waba_id or _NOWHERE)
            if home == (waba_id or _NOWHERE):
                continue  # pages shift while a list is read, so a row may come twice
            findings = list(self._check_number(number, waba_id, home, has_cause=has_cause))
            found += self._take_all(findings)
            if self.overview is not None:
                self.overview.add_number(number, waba_id, findings, is_known=home is not None)
        return found

    def end(self) -> list[Finding]:
        """Return the findings that waited for the end."""
        for rule in self._rules.of_numbers:
            if rule.beside and rule.code not in self._seen:
                self._unchecked[rule.code] = self._numbers
        return [*self._release(self._of_account), *self._release(self._wider)]

    def summary(self, calls: int) -> HealthSummary:
        """Return what was done so far, with this number of calls."""
        return HealthSummary(
            totals=HealthTotals(by_severity=dict(self._by_severity), by_code=dict(sorted(self._by_code.items()))),
            accounts=len(self._known_accounts),
            numbers=self._numbers,
            calls=calls,
            not_checked={code: count for code, count in sorted(self._unchecked.items()) if count},
        )

    def _check_account(self, facts: AccountFacts, numbers: int) -> Iterator[Finding]:
        of_nodes = self._rules.of_nodes
        for rule in self._rules.of_accounts:
            # Where the account cannot be listed, the finding says more.
            self._unchecked[rule.code] += rule in of_nodes and facts.error is None and not facts.has_any(rule.needs)
            for finding in rule.findings(facts):
                yield attrs.evolve(finding, numbers=numbers) if rule.counts_numbers else finding

    def _check_number(
        self, number: PhoneNumber, waba_id: str | None, home: str | None, *, has_cause: bool
    ) -> Iterator[Finding]:
        """Apply the rules. Of a number that was seen in another account, only what concerns this account is new.

        Args:
            number: The number.
            waba_id: Its account.
            home: The other account in which it was seen first, if any.
            has_cause: Whether the account is known to be in trouble.
        """
        is_shared = home is not None and number.id not in self._shared
        facts = NumberFacts.of(
            number, waba_id, also_in=home if is_shared and home != _NOWHERE else None, has_cause=has_cause
        )
        if home is not None:
            self._shared.add(number.id)
            for rule in self._rules.of_numbers:
                for finding in rule.findings(facts):
                    if finding.code == "account.shared_number" or finding.subject.kind == "account":
                        yield finding
            return
        self._numbers += 1
        for rule in self._rules.of_numbers:
            if rule.beside:
                if facts.has_any((*rule.needs, rule.beside) if self.has_all_fields else rule.needs):
                    self._seen.add(rule.code)
            elif rule.needs and not facts.has_any(rule.needs):
                self._unchecked[rule.code] += 1
            yield from rule.findings(facts)

    def _take_all(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        for finding in findings:
            yield from self._take(finding)

    def _take(self, finding: Finding) -> Iterator[Finding]:
        """Yield a finding if it is complete. Otherwise add it to those that wait."""
        kind, subject_id = finding.subject.kind, finding.subject.id
        if kind == "number":
            yield self._count(finding)
            return
        if subject_id in self._told[finding.code, kind]:
            return
        waiting = self._of_account if kind == "account" and subject_id == self._waba_id else self._wider
        key = (finding.code, kind, subject_id)
        first = waiting.setdefault(key, finding)
        if first is not finding:
            waiting[key] = attrs.evolve(first, numbers=first.numbers + finding.numbers)
        if len(self._wider) > MAX_WAITING:
            yield self._tell(self._wider.pop(next(iter(self._wider))))

    def _release(self, waiting: dict[_Key, Finding]) -> list[Finding]:
        findings = [self._tell(finding) for finding in waiting.values()]
        waiting.clear()
        return findings

    def _tell(self, finding: Finding) -> Finding:
        self._told[finding.code, finding.subject.kind].add(finding.subject.id)
        return self._count(finding)

    def _count(self, finding: Finding) -> Finding:
        self._by_code[finding.code] += 1
        self._by_severity[finding.severity] += 1
        return finding
