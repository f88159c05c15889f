"""The rules never raise, say each thing once, and are safe to show; each has its entry in the manual."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import attrs
import pytest
from health_rules import with_rules
from hypothesis import given
from hypothesis import strategies as st
from manual import DOCS

from wa_phone_async import ALL_FIELDS, BusinessAccount, Extra, InvalidArgumentError, PhoneNumber, Severity, from_dict
from wa_phone_async.health.facts import ACCOUNT_MEMBERS, clean, label, read_health
from wa_phone_async.health.findings import Subject
from wa_phone_async.health.rules import RULES, choose_rules, diagnose_account, diagnose_number
from wa_phone_async.query import KNOWN_VALUES

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["BLOCKED", "", "id"]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values, max_size=3),
    max_leaves=6,
)
ERROR = st.fixed_dictionaries({"error_description": ANYTHING, "possible_solution": ANYTHING})
KINDS = st.sampled_from(["PHONE_NUMBER", "WABA", "BUSINESS", "APP", "MESSAGE_TEMPLATE", "FLOW"])
LEVELS = st.sampled_from(["AVAILABLE", "LIMITED", "BLOCKED", "SHAKY"]) | ANYTHING
ENTITY = st.fixed_dictionaries(
    {},
    optional={
        "entity_type": st.sampled_from(["PHONE_NUMBER", "WABA", "BUSINESS", "APP", "MESSAGE_TEMPLATE", "FLOW"])
        | ANYTHING,
        "id": st.sampled_from(["1", "2", 3]) | ANYTHING,
        "can_send_message": LEVELS,
        "errors": st.lists(st.fixed_dictionaries({"error_description": ANYTHING, "possible_solution": ANYTHING}))
        | ANYTHING,
        "additional_info": ANYTHING,
    },
)
HEALTH = (
    st.fixed_dictionaries({"can_send_message": LEVELS, "entities": st.lists(ENTITY, max_size=4) | ANYTHING}) | ANYTHING
)
MEMBERS = {
    **{
        name: st.sampled_from([*KNOWN_VALUES[name], "NEW"]) | ANYTHING if KNOWN_VALUES[name] else ANYTHING
        for name in ALL_FIELDS
        if name != "id"
    },
    "health_status": HEALTH,
    "throughput": st.fixed_dictionaries({"level": ANYTHING}) | ANYTHING,
    "platform_type": ANYTHING,
}
NODES = {**dict.fromkeys((*ACCOUNT_MEMBERS, "name"), ANYTHING), "health_status": HEALTH}
FINE = PhoneNumber("1", status="CONNECTED", host_platform="CLOUD_API", name_status="APPROVED")


def check(findings: list[Any]) -> None:
    keys = [(finding.code, finding.subject.kind, finding.subject.id) for finding in findings]
    assert len(set(keys)) == len(keys), "a subject has a finding twice"
    for finding in findings:
        assert (finding.sentence + finding.remedy).isprintable()
        assert finding.sentence.endswith(".")
        assert finding.severity is RULES[finding.code].severity
        assert "of-shop" not in repr(finding)


@given(st.fixed_dictionaries({}, optional=MEMBERS), st.none() | st.text(max_size=5), st.none() | st.just("2"))
def test_no_row_makes_a_rule_raise(members: dict[str, Any], waba_id: str | None, also_in: str | None) -> None:
    check(diagnose_number(from_dict(PhoneNumber, {"id": "1", **members}), waba_id, also_in=also_in))
    fields = {name: value for name, value in members.items() if name in ALL_FIELDS}
    check(diagnose_number(PhoneNumber("1", **fields), waba_id))  # as a caller may make it by hand


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys((*ACCOUNT_MEMBERS, "name"), ANYTHING) | {"health_status": HEALTH})
)
def test_no_account_makes_a_rule_raise(members: dict[str, Any]) -> None:
    check(diagnose_account(BusinessAccount("1", members.get("name"), Extra(members))))


def codes(**fields: Any) -> dict[str, str]:
    """Return what is found in a number that is fine but for these fields: the codes, with the kinds of the subjects."""
    return {finding.code: finding.subject.kind for finding in diagnose_number(attrs.evolve(FINE, **fields), "9")}


def test_a_number_that_is_fine_has_no_finding() -> None:
    assert codes() == {}
    assert diagnose_number(PhoneNumber("1")) == []


def test_metas_own_words_are_in_the_sentence_and_the_remedy() -> None:
    entity = {
        "entity_type": "WABA",
        "id": "9",
        "can_send_message": "BLOCKED",
        "errors": [{"error_code": 1, "error_description": "Not\x1b paid.", "possible_solution": "Pay."}] * 2,
    }
    number = attrs.evolve(
        FINE, status="RESTRICTED", health_status=Extra({"can_send_message": "BLOCKED", "entities": [entity]})
    )
    (finding,) = diagnose_number(number, "9")
    assert finding.sentence == "Account 9 cannot send messages, nor can its numbers: Not paid."
    assert finding.remedy == "Pay."
    assert finding.subject == Subject("account", "9", waba_id="9")
    assert finding.evidence[0].field == "health_status.entities[0]"
    assert finding.source.day == date(2026, 11, 28)


def test_a_cause_without_an_id_is_told_of_what_is_known() -> None:
    health = Extra({"entities": [{"entity_type": "BUSINESS", "can_send_message": "LIMITED"}]})
    assert codes(health_status=health) == {"sending.business_limited": "account"}
    findings = diagnose_number(attrs.evolve(FINE, health_status=health))
    assert [(finding.code, finding.subject.kind) for finding in findings] == [("sending.business_limited", "number")]
    of_waba = Extra({"entities": [{"entity_type": "WABA", "id": 7, "can_send_message": "LIMITED"}]})
    (finding,) = diagnose_number(attrs.evolve(FINE, health_status=of_waba))
    assert finding.subject == Subject("account", "7", waba_id="7")
    of_template = Extra({"entities": [{"entity_type": "MESSAGE_TEMPLATE", "can_send_message": "BLOCKED"}]})
    assert codes(health_status=of_template) == {}


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"name_status": None, "unified_cert_status": "NAME_NOT_APPROVED"}, "name.declined"),
        ({"name_status": None, "unified_cert_status": "ACCOUNT_REVIEW_NOT_STARTED"}, "name.in_review"),
        ({"name_status": None, "unified_cert_status": "LIMITED_ACCESS"}, "unknown.state"),
        ({"status": "UNKNOWN"}, "unknown.state"),
        ({"status": 5}, "unknown.state"),
        ({"whatsapp_business_manager_messaging_limit": None, "messaging_limit_tier": "TIER_50"}, "limit.low"),
        ({"extra": Extra({"health_status": "fine"})}, "unknown.state"),
        ({"health_status": Extra({"entities": ["fine"]})}, "unknown.state"),
        ({"health_status": Extra({"entities": "fine"})}, "unknown.state"),
        ({"health_status": Extra({"can_send_message": "SHAKY"})}, "unknown.state"),
        ({"extra": Extra({"webhook_configuration": []})}, "unknown.value"),
    ],
)
def test_values_that_few_servers_send(fields: dict[str, Any], found: str) -> None:
    assert list(codes(**fields)) == [found]


def test_a_newer_name_that_customers_see_already_needs_nothing() -> None:
    names = {"verified_name": "New", "new_display_name": "New", "new_name_status": "APPROVED"}
    assert codes(**names) == {}


@given(st.text(max_size=700))
def test_texts_and_ids_are_safe_to_show(text: str) -> None:
    assert clean(text).isprintable()
    assert label(Subject("number", text, text, text)).isprintable()


@given(HEALTH)
def test_no_health_makes_its_reader_raise(health: Any) -> None:
    for entity in read_health(health).blamed:
        assert entity.level in {"BLOCKED", "LIMITED"}


def test_severities_have_an_order() -> None:
    assert [level.reaches(Severity.WARNING) for level in (Severity.INFO, Severity.WARNING, Severity.ERROR)] == [
        *(False, True, True)
    ]


def test_fewer_checks_need_fewer_fields() -> None:
    rules = choose_rules("quality, name.declined".replace(" ", ""))
    assert rules.number_fields == (
        *("id", "display_phone_number", "verified_name"),
        *("quality_rating", "unified_cert_status", "name_status", "new_name_status"),
    )
    assert rules.account_fields == ()
    assert choose_rules(["account.review_rejected"]).account_fields == ("account_review_status", "health_status")
    assert choose_rules(None).of_numbers


@pytest.mark.parametrize("checks", ["statuses", ["status", "status.bann"], "", [], 5])
def test_a_check_that_is_not_there_is_an_error(checks: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"checks must be codes or groups .*: the groups are account,"):
        choose_rules(checks)


def test_each_rule_has_its_entry_in_the_manual() -> None:
    pages = [with_rules(page.read_text(encoding="utf-8")) for page in sorted(Path(DOCS).glob("findings-*.md"))]
    titles = [title for page in pages for title in re.findall(r"^### (\S+)$", page, re.MULTILINE)]
    assert sorted(titles) == sorted(RULES)
    for page in pages:
        assert len(page.split()) <= 1_000
        for entry in page.split("\n### ")[1:]:
            assert "**What to do:** " in entry
            assert re.search(r"^Source: .*, read 2026-11-\d\d\.$", entry, re.MULTILINE)
