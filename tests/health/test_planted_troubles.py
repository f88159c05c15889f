"""In a fleet with planted troubles of every kind, all are found, and none is invented."""

from collections import Counter

import pytest
from clients import TOKEN
from troubles import Fleet

from wa_phone_async import HealthReport, PhoneNumberClient
from wa_phone_async.health.rules import RULES
from wa_phone_async.sandbox import Sandbox


async def checked(fleet: Fleet) -> HealthReport:
    async with Sandbox() as sandbox:  # with Meta's quotas
        for waba_id, (numbers, node) in fleet.accounts.items():
            sandbox.add_waba(waba_id, numbers)
            sandbox.update_waba(waba_id, **node)
        async with PhoneNumberClient(TOKEN, base_url=sandbox.url) as client:
            report = await client.check_health([*fleet.accounts, *fleet.missing])
        assert len(sandbox.requests) == report.calls
        assert {request.status for request in sandbox.requests} <= {200, 400}  # of what is not there
    return report


def counted(report: HealthReport) -> dict[tuple[str, str, str], int]:
    found = Counter((finding.code, finding.subject.kind, finding.subject.id) for finding in report.findings)
    assert set(found.values()) <= {1}, "a subject has a finding twice"
    return {(f.code, f.subject.kind, f.subject.id): f.numbers for f in report.findings}


async def test_all_troubles_are_found_and_none_is_invented() -> None:
    fleet = Fleet(200)
    report = await checked(fleet)
    assert counted(report) == dict(fleet.expected)
    assert RULES.keys() - report.totals.by_code.keys() == {"account.shared_number"}  # which has its own test
    assert report.accounts == 200


@pytest.mark.heavy
@pytest.mark.unmeasured
@pytest.mark.timeout(300)
async def test_all_troubles_of_two_thousand_accounts_are_found() -> None:
    fleet = Fleet(2_000, seed=2)  # 10,000 take six minutes on two busy cores, and were found as well on 2026-11-28
    assert counted(await checked(fleet)) == dict(fleet.expected)
