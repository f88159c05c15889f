"""What an alert says. Pure: a change in, an alert out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from wa_phone_async.decoding.converter import to_dict
from wa_phone_async.export.plain_json import to_json
from wa_phone_async.export.rows import offer
from wa_phone_async.health.facts import label
from wa_phone_async.health.findings import Finding, Severity, Subject
from wa_phone_async.health.rules import diagnose_number
from wa_phone_async.models import ALL_FIELDS, Extra, PhoneNumber, Throughput
from wa_phone_async.redaction import hide_queries
from wa_phone_async.workflows.watch import Change

_LONGEST: Final = 300
"""Characters of a value in a sentence."""
_LONGEST_VARIABLE: Final = 4_000
_PLAIN: Final = re.compile(r"[\w .,:+()/-]*", re.ASCII)
_MARKUP: Final = re.compile(r"[<>&@`*~|\[\]#]")


@attrs.frozen(kw_only=True)
class Alert:
    """A change, and what it means."""

    change: Change
    severity: Severity
    """How bad the finding is that the change causes. `INFO` if it causes none."""
    code: str
    """The code of that finding; empty if there is none."""
    sentence: str
    """One sentence that is safe to show: without control characters, markup or the queries of URLs."""
    remedy: str
    """What to do; empty if there is no finding."""

    def members(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        change = self.change
        return {
            "seen_at": f"{change.seen_at:%Y-%m-%dT%H:%M:%SZ}",
            "waba_id": change.waba_id,
            "phone_number_id": change.phone_number_id,
            "display_phone_number": change.display_phone_number,
            "verified_name": change.number.verified_name,
            "field": change.field,
            "old": _plain(change.old),
            "new": _plain(change.new),
            "severity": self.severity.value,
            "code": self.code,
            "sentence": self.sentence,
            "remedy": self.remedy,
        }

    def to_json(self) -> str:
        """Return it as a line of JSON. Control characters are escapes, and what JSON does not have is `null`."""
        return offer(self.members(), to_json)

    def variables(self) -> dict[str, str]:
        """Return it as environment variables. Each value is one line, without control characters."""
        return {f"WA_{name.upper()}": _variable(value) for name, value in self.members().items()}


def alert_of(change: Change) -> Alert:
    """Say what a change means: with the worst finding that it causes, or else plainly what has changed."""
    number, waba_id = change.number, change.waba_id
    is_gone = change.field == "id" and change.new is None
    before = _before(change)
    known = {_key(finding) for finding in (() if before is None else diagnose_number(before, waba_id))}
    findings = [] if is_gone else [it for it in diagnose_number(number, waba_id) if _key(it) not in known]
    worst = max(findings, key=lambda finding: list(Severity).index(finding.severity), default=None)
    if worst is not None:
        return Alert(
            change=change, severity=worst.severity, code=worst.code, sentence=worst.sentence, remedy=worst.remedy
        )
    it = label(Subject("number", str(number.id), display_phone_number=number.display_phone_number))
    if change.field != "id":
        what = f"has {_in_words(change.field)} {_in_words(change.new)}; it was {_in_words(change.old)}"
    else:
        what = f"is {'gone from' if is_gone else 'new in'} account {_in_words(waba_id)}"
    sentence = f"{it[:1].upper()}{it[1:]} {what}."
    return Alert(change=change, severity=Severity.INFO, code="", sentence=sentence, remedy="")


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.code, finding.subject.kind, finding.subject.id


def _before(change: Change) -> PhoneNumber | None:
    """The number before this change alone; `None` if it is new."""
    number, field, old = change.number, change.field, change.old
    if field == "id":
        return None
    if field in ALL_FIELDS:
        members: dict[str, Any] = {field: old}
        return attrs.evolve(number, **members)
    extra = {name: value for name, value in number.extra.items() if name != field}
    return attrs.evolve(number, extra=Extra(extra if old is None else {**extra, field: old}))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return to_dict(value) if isinstance(value, Throughput | Extra) else value


def _in_words(value: Any) -> str:
    if value is None:
        return "none"
    plain = hide_queries(_plain(value))
    if isinstance(plain, str) and plain and len(plain) <= _LONGEST and _PLAIN.fullmatch(plain):
        return plain
    text = json.dumps(plain, default=str)
    return _MARKUP.sub(lambda found: f"\\u{ord(found[0]):04x}", text)[:_LONGEST]


def _variable(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
    return "".join(c if c.isprintable() else " " for c in text[:_LONGEST_VARIABLE])


def environment(alert: Alert, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command: what it inherits without our secrets, and the alert."""
    return {**{name: value for name, value in inherited.items() if name not in _SECRETS}, **alert.variables()}


_SECRETS: Final = frozenset({"WA_ACCESS_TOKEN", "WA_APP_SECRET", "WA_WEBHOOK_SECRET", "WA_WEBHOOK_URL", "WA_NOTIFY"})
