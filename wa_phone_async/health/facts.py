"""What the rules read: one number or one account, without anything that could make a rule raise.

`health_status` is read here: which entities cannot send, and why. Its members are from Meta's page "Messaging and
calling health status", in a stored copy, read 2026-11-28.

No value is trusted. A field of another type, and a value that no enum has, become evidence that something is unknown.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, TypeGuard

import attrs

from wa_phone_async.decoding.converter import OTHER_NAMES
from wa_phone_async.errors import WaPhoneError
from wa_phone_async.models import (
    ALL_FIELDS,
    BusinessAccount,
    Extra,
    PhoneNumber,
    PhoneNumberStatus,
    Throughput,
    ThroughputLevel,
    UnifiedCertStatus,
)
from wa_phone_async.query import KNOWN_VALUES
from wa_phone_async.readiness import STATE_FIELDS, Readiness, read_readiness
from wa_phone_async.redaction import hide_queries

from .findings import Evidence, Subject, SubjectKind

BLOCKED: Final = "BLOCKED"
LIMITED: Final = "LIMITED"
AVAILABLE: Final = "AVAILABLE"

_ENTITIES: Final[Mapping[str, SubjectKind | None]] = {
    "PHONE_NUMBER": "number",
    "WABA": "account",
    "BUSINESS": "business",
    "APP": "app",
    "MESSAGE_TEMPLATE": None,  # no finding is about a template
}
_LONGEST: Final = 300
"""Characters of Meta's texts that a sentence repeats."""
_UNEXPLAINED: Final[Mapping[str, str]] = {
    "status": PhoneNumberStatus.UNKNOWN,
    "unified_cert_status": UnifiedCertStatus.LIMITED_ACCESS,
}
"""Known values whose meaning nobody knows (searched 2026-11-28)."""

_ACCOUNT_VALUES: Final[Mapping[str, frozenset[str]]] = {
    "account_review_status": frozenset({"APPROVED", "REJECTED", "PENDING", "DEFERRED"}),
    "business_verification_status": frozenset(
        {
            *("verified", "not_verified", "pending", "pending_need_more_info", "pending_submission", "ineligible"),
            *("expired", "failed", "rejected", "revoked"),
        }
    ),
    "ownership_type": frozenset({"SELF", "CLIENT_OWNED", "ON_BEHALF_OF"}),
}
"""The known values of an account's fields. Sources are in `rules`."""


@attrs.frozen
class Entity:
    """One entity of a `health_status` that cannot send freely."""

    kind: SubjectKind
    id: str | None
    level: str
    """`BLOCKED` or `LIMITED`."""
    why: str
    """Meta's description of its errors; empty if there is none."""
    solution: str
    """Meta's `possible_solution`; empty if there is none."""
    evidence: Evidence


@attrs.frozen
class Health:
    """What a `health_status` says."""

    level: str | None = None
    """The overall `can_send_message`, if it is a known one."""
    ids: Mapping[SubjectKind, str] = attrs.field(factory=dict[SubjectKind, str])
    """The ids of all its entities by their kind."""
    blamed: tuple[Entity, ...] = ()
    """The entities that cannot send freely."""
    unknown: tuple[Evidence, ...] = ()
    """What this version does not know of it."""


def is_object(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether a value is a JSON object."""
    return isinstance(value, Mapping)


def is_array(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether a value is a JSON array."""
    return isinstance(value, list | tuple)


def read_health(health: object) -> Health:
    """Read a `health_status` of any shape."""
    if not is_object(health):
        return Health()
    level, ids = health.get("can_send_message"), dict[SubjectKind, str]()
    blamed, unknown = list[Entity](), list[Evidence]()
    if level is not None and not _is_level(level):
        unknown.append(evidence("health_status.can_send_message", level))
    for place, entity in _numbered(health.get("entities"), "health_status.entities", unknown):
        kind_name, entity_level = entity.get("entity_type"), entity.get("can_send_message")
        if not (
            isinstance(kind_name, str) and kind_name in _ENTITIES and (entity_level is None or _is_level(entity_level))
        ):
            unknown.append(evidence(place, entity))
            continue
        kind = _ENTITIES[kind_name]
        if kind is None:
            continue
        entity_id = _id_in(entity)
        if entity_id is not None:
            ids[kind] = entity_id
        if entity_level in (BLOCKED, LIMITED):
            errors = [error for _, error in _numbered(entity.get("errors"), f"{place}.errors", unknown)]
            more = entity.get("additional_info")
            infos = more if is_array(more) else [more]
            why = _joined([*(error.get("error_description") for error in errors), *infos])
            solution = _joined(error.get("possible_solution") for error in errors)
            blamed.append(Entity(kind, entity_id, entity_level, why, solution, evidence(place, entity)))
    return Health(level if _is_level(level) else None, ids, tuple(blamed), tuple(unknown))


def _is_level(value: object) -> bool:
    return isinstance(value, str) and value in (BLOCKED, LIMITED, AVAILABLE)


def _numbered(items: object, place: str, unknown: list[Evidence]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the objects of an array, each with its place. All else is unknown."""
    if items is None:
        return
    if not is_array(items):
        unknown.append(evidence(place, items))
        return
    for index, item in enumerate(items):
        if is_object(item):
            yield f"{place}[{index}]", item
        else:
            unknown.append(evidence(f"{place}[{index}]", item))


def _id_in(members: Mapping[str, Any]) -> str | None:
    """The id of an object, if it is one: a text that is not empty, or a number."""
    value = members.get("id")
    return str(value) if (isinstance(value, str) and value) or type(value) is int else None


def _joined(texts: Iterable[object]) -> str:
    """Join Meta's texts, each once, as one that is safe to show."""
    distinct = dict.fromkeys(clean(text) for text in texts if isinstance(text, str))
    return " ".join(filter(None, distinct))[:_LONGEST]


def clean(text: str) -> str:
    """Make a text safe to show: one line, without control characters and without signs that turn its direction."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 2 * _LONGEST]).split())


def evidence(field: str, value: object) -> Evidence:
    """A field and its value as plain JSON, without the queries of URLs."""
    return Evidence(field, hide_queries(_plain(value)))


def _plain(value: Any) -> Any:
    if isinstance(value, Throughput):
        return {**_plain(value.extra), **({} if value.level is None else {"level": _plain(value.level)})}
    if is_object(value):
        return {str(key): _plain(item) for key, item in value.items()}
    if is_array(value):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


@attrs.define(slots=False)
class Facts(ABC):
    """What is known of one number or account. Every value in `members` has the type of its field."""

    subject: Subject
    members: Mapping[str, Any]
    """The fields that came, by name."""
    misfits: Mapping[str, Any]
    """The fields that came with a value of another type."""

    @cached_property
    def health(self) -> Health:
        """Its `health_status`."""
        return read_health(self.members.get("health_status"))

    def get(self, field: str) -> Any:
        """The value of a field, or `None`."""
        return self.members.get(field)

    def has_any(self, fields: Iterable[str]) -> bool:
        """Whether one of these fields came, with whatever value."""
        return any(field in self.members or field in self.misfits for field in fields)

    def evidence(self, fields: Iterable[str]) -> tuple[Evidence, ...]:
        """Those of the fields that came."""
        return tuple(evidence(field, self.members[field]) for field in fields if field in self.members)

    def about(self, kind: SubjectKind, known_id: str | None = None) -> Subject:
        """The subject of a wider kind. Where its id is not known, that of the account, or else the subject itself."""
        waba_id = self.subject.id if self.subject.kind == "account" else self.subject.waba_id
        if kind == self.subject.kind:
            return self.subject
        if kind == "account" and waba_id is not None:
            return Subject("account", waba_id, waba_id=waba_id)
        known_id = known_id or self.health.ids.get(kind)
        if known_id is not None:
            return Subject(kind, known_id, waba_id=known_id if kind == "account" else None)
        return self.subject if kind == "account" or waba_id is None else self.about("account")

    def unknown(self, *, states: bool) -> Iterator[Evidence]:
        """Yield what this version does not know.

        Args:
            states: Whether to yield the fields that say if a number can be used, or all others.
        """
        for name, value in self.misfits.items():
            if (name in _STATES) == states:
                yield evidence(name, value)
        for name, value in self.members.items():
            if (name in _STATES) == states and self._is_unknown(name, value):
                yield evidence(name, value)
        if states:
            yield from self.health.unknown

    @abstractmethod
    def _is_unknown(self, name: str, value: Any) -> bool:
        """Whether this version does not know the value of a field."""


_STATES: Final = frozenset({*STATE_FIELDS, "health_status", "account_review_status"})


@attrs.define(slots=False)
class NumberFacts(Facts):
    """What is known of one number."""

    number: PhoneNumber
    """The number with all members that have the type of their field."""
    also_in: str | None = None
    """Another account that has the same number, if one is known."""
    has_cause: bool = False
    """Whether its account is known to be in trouble, whatever the number itself says."""

    @classmethod
    def of(
        cls, number: PhoneNumber, waba_id: str | None, *, also_in: str | None = None, has_cause: bool = False
    ) -> NumberFacts:
        """Read a number."""
        misfits = {name: value for name in _MEMBERS if (value := number.extra.get(name)) is not None}
        members = dict[str, Any]()
        for name in ALL_FIELDS:
            value = getattr(number, name)
            if value is not None and not isinstance(value, _TYPES.get(name, str)):
                misfits[name] = value
            elif value is not None and value != "":
                members[name] = value
        wrong: dict[str, Any] = {name: None for name in misfits if name in _FIELDS and name != "id"}
        fitting = attrs.evolve(number, **wrong) if wrong else number
        subject = Subject(
            "number", str(number.id), members.get("verified_name"), members.get("display_phone_number"), waba_id
        )
        return cls(subject, members, misfits, fitting, also_in, has_cause)

    @cached_property
    def readiness(self) -> Readiness:
        """How far it has come."""
        return read_readiness(self.number)

    @property
    def has_wider_cause(self) -> bool:
        """Whether it cannot send freely because of its account, its business or the app."""
        return self.has_cause or any(entity.kind != "number" for entity in self.health.blamed)

    @property
    def level(self) -> Any:
        """The level of its throughput."""
        return getattr(self.get("throughput"), "level", None)

    def _is_unknown(self, name: str, value: Any) -> bool:
        if name == "throughput":
            level = self.level
            return level is not None and not (isinstance(level, str) and level in set(ThroughputLevel))
        known = KNOWN_VALUES.get(name, ())
        return bool(known) and (value not in known or value == _UNEXPLAINED.get(name))


_FIELDS: Final = frozenset(ALL_FIELDS)
_MEMBERS: Final = (*ALL_FIELDS, *OTHER_NAMES)
_TYPES: Final[Mapping[str, Any]] = {
    "throughput": Throughput,
    "last_onboarded_time": object,
    **dict.fromkeys(("health_status", "official_business_account", "webhook_configuration"), Extra),
    **{name: bool for name in ALL_FIELDS if name.startswith("is_")},
}
"""The type of each field that is no text."""


@attrs.define(slots=False)
class AccountFacts(Facts):
    """What is known of one account."""

    error: WaPhoneError | None = None
    """Why it could not be listed."""

    @classmethod
    def of(cls, account: BusinessAccount, error: WaPhoneError | None = None) -> AccountFacts:
        """Read an account."""
        members, misfits = dict[str, Any](), dict[str, Any]()
        for name in ACCOUNT_MEMBERS:
            value = account.extra.get(name)
            fits = isinstance(value, str if name in _ACCOUNT_VALUES else Mapping)
            if value is not None and value != "":
                (members if fits else misfits)[name] = value
        shown = account.name if isinstance(account.name, str) else None
        return cls(Subject("account", str(account.id), shown, waba_id=str(account.id)), members, misfits, error)

    @property
    def business(self) -> Subject:
        """The business that owns it, if that is known; otherwise the account."""
        return self.about("business", _id_in(self.get("owner_business_info") or {}))

    def _is_unknown(self, name: str, value: Any) -> bool:
        return name in _ACCOUNT_VALUES and value not in _ACCOUNT_VALUES[name]


ACCOUNT_MEMBERS: Final = (
    *(*_ACCOUNT_VALUES, "owner_business_info", "health_status"),
    *("subscribed_apps", "own_subscription"),  # which the audit of webhooks puts there
)
"""The fields of an account that the rules read."""

_SAFE_ID: Final = re.compile(r"[\w +().-]{1,40}", re.ASCII)


def label(subject: Subject) -> str:
    """A subject in words that are safe to show: `number +1 631-555-1000`, `account 100200300400003`."""
    names = [subject.display_phone_number, subject.id]
    shown = next((name for name in names if isinstance(name, str) and _SAFE_ID.fullmatch(name)), None)
    return f"{subject.kind} {shown or ascii(subject.id)[:_LONGEST]}"
