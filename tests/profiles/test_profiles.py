"""Business profiles: one is read and changed by one call each, and many are edited with a journal and an undo."""

import asyncio
import pickle
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from clients import QUICK, TOKEN, serving
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import (
    AuthenticationError,
    BadRequestError,
    BusinessProfile,
    BusinessVertical,
    DecodeError,
    Edit,
    EditState,
    Extra,
    InvalidArgumentError,
    OutcomeUnknownError,
    PhoneNumberClient,
    Verbatim,
    Write,
)
from wa_phone_async.edits.journal import open_journal
from wa_phone_async.profiles.profile import comparable, read_changes
from wa_phone_async.sandbox import SMALL_WABA, Fault, Sandbox
from wa_phone_async.sandbox.messages import RejectedError
from wa_phone_async.sandbox.modes import MODES, ModeName
from wa_phone_async.sandbox.profiles import Profiles

FULL, SOME, BARE = "300000001000000", "300000001000001", "300000001000002"
DONE, REJECTED, UNCHANGED = EditState.DONE, EditState.REJECTED, EditState.UNCHANGED
CHANGED, PLANNED, NOT_APPLIED = EditState.CHANGED, EditState.PLANNED, EditState.NOT_APPLIED


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[PhoneNumberClient]:
    async with PhoneNumberClient(TOKEN, base_url=sandbox.url, retry=QUICK) as client:
        yield client


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "profiles.jsonl"


def writes(sandbox: Sandbox) -> list[tuple[str, dict[str, Any]]]:
    """What was posted to each number."""
    posts = [request for request in sandbox.requests if request.method == "POST"]
    assert all(request.json().pop("messaging_product") == "whatsapp" for request in posts)
    return [
        (request.node, {name: value for name, value in request.json().items() if name != "messaging_product"})
        for request in posts
    ]


def states(edits: tuple[Edit, ...]) -> list[tuple[str, EditState]]:
    return sorted((edit.target, edit.state) for edit in edits)


async def test_a_profile_is_read_with_one_call(sandbox: Sandbox, client: PhoneNumberClient) -> None:
    assert await client.get_business_profile(int(FULL)) == BusinessProfile(
        about="Made by hand since 1950",
        address="1 Invented Lane, Sampleton",
        description="We sell what we invent.",
        email="shop0@example.com",
        profile_picture_url="https://pps.whatsapp.net/v/picture0",
        websites=("https://shop0.example.com/",),
        vertical=BusinessVertical.RETAIL,
        messaging_product="whatsapp",
    )
    assert (await client.get_business_profile(SOME, waba_id=SMALL_WABA)).websites is None
    bare = await client.get_business_profile(BARE, fields="email,vertical")
    assert bare == BusinessProfile(messaging_product="whatsapp")
    assert len(sandbox.requests) == 3


async def test_what_meta_adds_is_kept(sandbox: Sandbox, client: PhoneNumberClient) -> None:
    sandbox.update_profile(FULL, vertical="SPACE_TRAVEL", opening_hours={"mon": "9-17"})
    profile = await client.get_business_profile(FULL, fields=["vertical", Verbatim("opening_hours")])
    assert profile.vertical == "SPACE_TRAVEL"
    assert profile.extra == {"opening_hours": {"mon": "9-17"}}
    assert pickle.loads(pickle.dumps(profile)) == profile
    with pytest.raises(InvalidArgumentError, match="did you mean vertical"):
        await client.get_business_profile(FULL, fields="vertcal")
    with pytest.raises(KeyError):
        sandbox.update_profile("1", about="x")


async def test_other_forms_of_the_response(sandbox: Sandbox, client: PhoneNumberClient) -> None:
    sandbox.plan(Fault.raw('{"data":[{"business_profile":{"about":"nested","new":1},"id":"7"}]}'))
    nested = await client.get_business_profile(FULL)
    assert nested == BusinessProfile(about="nested", extra=Extra({"new": 1}))
    sandbox.plan(Fault.raw('{"data":[]}'))
    with pytest.raises(DecodeError, match=f"the response for the profile of {FULL} has no profile"):
        await client.get_business_profile(FULL)


async def test_the_id_of_an_account_is_explained(client: PhoneNumberClient) -> None:
    with pytest.raises(BadRequestError) as caught:
        await client.get_business_profile(SMALL_WABA)
    assert "is a WhatsApp Business Account (WABA)" in str(caught.value.hint)


async def test_an_update_changes_only_what_it_names(sandbox: Sandbox, client: PhoneNumberClient) -> None:
    before = await client.get_business_profile(FULL)
    result = await client.update_business_profile(
        FULL, about=" New\n", email="", websites=[], vertical="retail", profile_picture_handle="4::aW"
    )
    assert result.success
    changes = {"about": "New", "email": "", "websites": [], "vertical": "RETAIL", "profile_picture_handle": "4::aW"}
    assert writes(sandbox) == [(FULL, changes)]
    after = await client.get_business_profile(FULL)
    picture = "https://pps.whatsapp.net/v/4::aW"
    assert after == attrs.evolve(before, about="New", email=None, websites=None, profile_picture_url=picture)


async def test_a_lost_response_is_not_sent_again(sandbox: Sandbox, client: PhoneNumberClient) -> None:
    sandbox.plan(Fault.drop_after(), method="POST")
    with pytest.raises(OutcomeUnknownError, match=f"The profile of {FULL} may have changed: read it with get_busi"):
        await client.update_business_profile(FULL, about="New")
    assert len(writes(sandbox)) == 1


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "about must be given, or another member of the profile: nothing is to be changed"),
        ({"about": None}, "about must be given"),
        ({"about": "  "}, "about must be 1 to 139 characters long: it can be replaced, and not cleared"),
        ({"about": "x" * 140}, "about must be at most 139 characters long: it has 140"),
        ({"about": 1}, "about must be a text of at most 139 characters, not int"),
        ({"address": "x" * 257}, "address must be at most 256 characters long: it has 257"),
        ({"description": "x" * 513}, "description must be at most 512 characters long: it has 513"),
        ({"email": "x" * 120 + "@shop.com"}, "email must be at most 128 characters long: it has 129"),
        ({"email": "shop"}, r"email must be an address such as 'shop@example.com', or empty to clear it, not 'shop'"),
        ({"vertical": 1}, "vertical must be a category such as 'RETAIL', not int"),
        ({"websites": 1}, "websites must be up to 2 URLs, not int"),
        ({"websites": [1]}, "websites must be up to 2 URLs, not int"),
        ({"websites": ["https://a.com"] * 3}, "websites must be up to 2 URLs: there are 3"),
        ({"websites": "shop.com"}, "websites must be URLs that begin with http:// or https://, .* not 'shop.com'"),
        ({"websites": ["https://a b.com"]}, "and have a host and no blanks, not 'https://a b.com'"),
        ({"websites": "https://a.com/" + "x" * 250}, "websites must be at most 256 characters each: one has 264"),
        ({"profile_picture_handle": ""}, "profile_picture_handle must be the handle of an uploaded picture, not ''"),
    ],
)
async def test_what_meta_would_reject_is_not_sent(
    sandbox: Sandbox, client: PhoneNumberClient, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=text):
        await client.update_business_profile(FULL, **changes)
    assert not sandbox.requests


async def test_a_setting_that_no_profile_has(client: PhoneNumberClient) -> None:
    changes: Any = {"phone": "1"}
    with pytest.raises(TypeError, match="a business profile has no phone; it has about, address"):
        await client.update_business_profile(FULL, **changes)
    with pytest.raises(InvalidArgumentError, match="on must be one of numbers, members, not 'accounts'"):
        client.get_business_profiles([], on="accounts")  # type: ignore[arg-type]  # it is rejected
    with pytest.raises(InvalidArgumentError, match="about must be given"):
        client.update_business_profiles([FULL])


@pytest.mark.parametrize(
    ("members", "live", "reference"),
    [
        ({"about": ""}, 500, 400),
        ({"about": "x" * 140}, 400, 400),
        ({"about": 7}, 400, 400),
        ({"description": "x" * 513}, 400, 400),
        ({"email": "shop@host"}, 400, 400),
        ({"vertical": ""}, 400, 200),
        ({"vertical": "UNDEFINED"}, 400, 200),
        ({"vertical": "ALCOHOL"}, 200, 400),
        ({"websites": ["https://a.com", "https://b.com", "https://c.com"]}, 400, 400),
        ({"websites": ["ftp://a.com"]}, 400, 400),
        ({"websites": [7]}, 400, 400),
        ({"websites": '["https://a.com?q=1"]'}, 200, 200),
        ({"websites": "https://a.com"}, 200, 200),
        ({"messaging_product": "sms"}, 400, 400),
    ],
)
def test_the_sandbox_rejects_what_meta_does(members: dict[str, Any], live: int, reference: int) -> None:
    for mode, expected in (("live", live), ("reference", reference)):
        profiles, status = Profiles(MODES[mode]), 200
        try:
            profiles.write(BARE, {"messaging_product": "whatsapp", "address": "elsewhere", **members})
        except RejectedError as rejection:
            status = rejection.error.status
        assert status == expected, mode
        [row] = profiles.read(BARE, {"fields": "address"})["data"]
        assert ("address" in row) == (expected == 200)  # all of it, or nothing


@pytest.mark.parametrize("mode", ["live", "reference"])
async def test_both_modes_play_the_edge(mode: ModeName) -> None:
    async with serving(mode) as (_, client):
        await client.update_business_profile(SOME, description="", websites="https://New.example.com")
        assert (await client.get_business_profile(SOME)).websites == ("https://New.example.com/",)
        with pytest.raises(BadRequestError, match="Param vertical must be one of"):
            await client.update_business_profile(SOME, vertical="SPACE_TRAVEL")
        with pytest.raises(BadRequestError, match=r"nonexisting field \(colour\)"):
            await client.get_business_profile(SOME, fields="colour")
        with pytest.raises(BadRequestError):
            await client.session.post(Write(path=f"{SOME}/no_such_edge", body={}), dict)
        assert [row async for row in client.session.paginate(f"{SOME}/whatsapp_business_profile", dict)] == [
            {"messaging_product": "whatsapp"}
        ]


def test_values_that_are_the_same_to_meta_compare_equal() -> None:
    given_ones: Any = {"websites": ["https://Shop.com", "x"], "vertical": "UNDEFINED", "about": None, "email": " a@b "}
    assert comparable(given_ones) == {
        "websites": ["https://shop.com/", "x"],
        "vertical": "",
        "about": "",
        "email": "a@b",
    }
    assert comparable({"websites": ["http://[", "//["]}) == {"websites": ["http://[", "//["]}


@given(st.dictionaries(st.sampled_from(["about", "address", "description", "email"]), st.text(max_size=200)))
def test_checked_values_stay_the_same_when_they_are_compared_or_checked_again(changes: Any) -> None:
    try:
        settings = read_changes(changes)
    except InvalidArgumentError:
        return
    assert comparable(settings) == settings
    assert read_changes(settings) == settings  # type: ignore[arg-type]


# Many


async def test_many_profiles_are_read_with_an_error_for_each_number(
    sandbox: Sandbox, client: PhoneNumberClient
) -> None:
    sandbox.plan(Fault.error(100), node=SOME)
    found = await client.get_business_profiles([int(FULL), SOME, f" {BARE}\n", "x"])
    by_id = {each.phone_number_id: each for each in found}
    assert isinstance(by_id["x"].error, InvalidArgumentError)
    assert [by_id[number].profile is None for number in (FULL, SOME, BARE)] == [False, True, False]
    assert isinstance(by_id[SOME].error, BadRequestError)
    assert {each.display_phone_number for each in found} == {None}
    [one] = await client.get_business_profiles(FULL)
    assert one.profile is not None
    with pytest.raises(InvalidArgumentError, match="targets must be ids, or the path of a file"):
        await client.get_business_profiles(7.5)  # type: ignore[arg-type]


async def test_the_numbers_of_accounts_are_read(sandbox: Sandbox, client: PhoneNumberClient) -> None:
    async with client.get_business_profiles(["7", SMALL_WABA, SMALL_WABA], on="members", concurrency=2) as profiles:
        found = [each async for each in profiles]
    assert sorted((each.phone_number_id or "", each.waba_id, each.profile is None) for each in found) == [
        ("", "7", True),
        (FULL, SMALL_WABA, False),
        (SOME, SMALL_WABA, False),
        (BARE, SMALL_WABA, False),
    ]
    assert all(each.display_phone_number or each.error for each in found)
    assert len(sandbox.requests) == 5


async def test_ids_are_read_as_fast_as_profiles_are(sandbox: Sandbox, client: PhoneNumberClient) -> None:
    taken = 0

    def numbers() -> Any:
        nonlocal taken
        for index in range(250):
            taken += 1
            yield str(300000002000000 + index)

    async with client.get_business_profiles(numbers(), concurrency=4) as profiles:
        for _ in range(10):
            await anext(profiles)
        assert taken <= 10 + 4 + 1
    assert len(sandbox.requests) < 20


async def test_a_token_that_all_share_ends_the_reading(sandbox: Sandbox, client: PhoneNumberClient) -> None:
    sandbox.revoke(TOKEN)
    profiles = client.get_business_profiles([FULL, SOME])
    assert repr(profiles) == "<BusinessProfiles: await it for a list of all, or iterate over it inside 'async with'>"
    with pytest.raises(TypeError, match="pickle the list of all"):
        pickle.dumps(profiles)
    with pytest.raises(AuthenticationError):
        await profiles
    with pytest.raises(AuthenticationError):
        await client.update_business_profiles([FULL], about="New")


# Edits of many


async def test_a_dry_run_shows_what_would_change(sandbox: Sandbox, client: PhoneNumberClient) -> None:
    report = await client.update_business_profiles(
        [SMALL_WABA, "7"], on="members", email="shop1@example.com", websites=[], vertical=BusinessVertical.RETAIL
    )
    assert states(report.edits) == [(FULL, PLANNED), (SOME, UNCHANGED), (BARE, PLANNED), ("7", REJECTED)]
    [full] = [edit for edit in report.edits if edit.target == FULL]
    assert full.old == {"email": "shop0@example.com", "websites": ["https://shop0.example.com/"]}
    assert full.new == {"email": "shop1@example.com", "websites": []}
    assert full.label is not None
    assert not writes(sandbox)


async def test_an_update_is_undone(sandbox: Sandbox, client: PhoneNumberClient, journal: Path, tmp_path: Path) -> None:
    numbers = [FULL, SOME, BARE]
    before = [await client.get_business_profile(number) for number in numbers]
    changes: Any = {"email": "new@example.com", "address": "", "websites": "https://new.example.com"}
    report = await client.update_business_profiles(numbers, journal=journal, **changes)
    assert report.is_done
    sites = {"websites": ["https://new.example.com/"]}
    mail = {"email": "new@example.com"}
    assert sorted(writes(sandbox)) == [
        (FULL, {**mail, "address": "", **sites}),
        (SOME, mail | sites),
        (BARE, mail | sites),
    ]

    dry = await client.undo_business_profiles(journal)
    assert states(dry.edits) == [(number, PLANNED) for number in numbers]
    undo = await client.undo_business_profiles(journal, journal=tmp_path / "undo.jsonl")
    assert undo.is_done
    assert [await client.get_business_profile(number) for number in numbers] == before
    assert states((await client.undo_business_profiles(journal)).edits) == [(number, UNCHANGED) for number in numbers]

    again = await client.undo_business_profiles(tmp_path / "undo.jsonl", journal=tmp_path / "again.jsonl")
    assert again.is_done
    assert (await client.get_business_profile(FULL)).address is None


async def test_an_undo_leaves_what_it_cannot_or_must_not_restore(
    sandbox: Sandbox, client: PhoneNumberClient, journal: Path, tmp_path: Path
) -> None:
    sandbox.update_profile(BARE, about="")
    await client.update_business_profiles([SOME, BARE], about="New", email="new@example.com", journal=journal)
    sandbox.update_profile(SOME, about="Another")
    report = await client.undo_business_profiles(journal, journal=tmp_path / "undo.jsonl")
    assert states(report.edits) == [(SOME, CHANGED), (SOME, DONE), (BARE, DONE), (BARE, REJECTED)]
    assert sorted(filter(None, (edit.why for edit in report.edits))) == [
        "about: it was empty, and Meta does not let it be cleared, so it stays as it is",
        "about: somebody changed it since, so it stays as it is",
    ]
    assert (await client.get_business_profile(SOME)).email == "shop1@example.com"
    assert (await client.get_business_profile(BARE)).email is None
    assert not report.is_done
    written = len(writes(sandbox))
    again = await client.undo_business_profiles(journal, journal=tmp_path / "undo.jsonl")
    assert sorted(states(again.edits)) == [(SOME, CHANGED), (BARE, REJECTED)]  # told again, and what is done stays done
    assert (again.by_state[DONE], again.is_done, len(writes(sandbox))) == (2, False, written)


async def test_an_undo_of_a_part_goes_on_after_a_stop(
    sandbox: Sandbox, client: PhoneNumberClient, journal: Path, tmp_path: Path
) -> None:
    await client.update_business_profiles([SOME], about="New", email="new@example.com", journal=journal)
    sandbox.update_profile(SOME, about="Another")
    async with client.undo_business_profiles(journal, journal=tmp_path / "undo.jsonl") as undo:
        assert (await anext(undo)).state is CHANGED
        undo.stop()
        assert [each async for each in undo] == []
    report = await client.undo_business_profiles(journal, journal=tmp_path / "undo.jsonl")
    assert states(report.edits) == [(SOME, CHANGED), (SOME, DONE)]
    assert (report.total, len(writes(sandbox))) == (2, 2)


async def test_an_undo_of_a_number_that_cannot_be_read(
    sandbox: Sandbox, client: PhoneNumberClient, journal: Path
) -> None:
    await client.update_business_profiles([FULL], about="New", journal=journal)
    sandbox.plan(Fault.error(100), node=FULL, times=2)
    assert states((await client.update_business_profiles([FULL], about="Newer")).edits) == [(FULL, REJECTED)]
    assert states((await client.undo_business_profiles(journal)).edits) == [(FULL, REJECTED)]
    sandbox.revoke(TOKEN)
    with pytest.raises(AuthenticationError):
        await client.undo_business_profiles(journal)


async def test_rejected_and_lost_writes_are_told(sandbox: Sandbox, client: PhoneNumberClient, journal: Path) -> None:
    sandbox.plan(Fault.error(100), method="POST", node=FULL)
    sandbox.plan(Fault.drop_after(), method="POST", node=SOME)
    sandbox.plan(Fault.drop_before(), method="POST", node=BARE)
    numbers = [FULL, SOME, BARE]
    report = await client.update_business_profiles(numbers, about="New", websites="https://new.com", journal=journal)
    assert states(report.edits) == [(FULL, REJECTED), (SOME, DONE), (BARE, NOT_APPLIED)]
    assert len(writes(sandbox)) == 3
    again = client.update_business_profiles(
        numbers, about="New", websites="https://new.com", journal=journal, resend=True, concurrency=1
    )
    assert states((await again).edits) == [(FULL, DONE), (BARE, DONE)]


async def test_a_kill_leaves_what_was_in_flight_to_be_read_back(
    sandbox: Sandbox, client: PhoneNumberClient, journal: Path
) -> None:
    numbers = [FULL, SOME, BARE]
    sandbox.plan(Fault.delay_response(60), method="POST", node=SOME)
    program = f"""
import asyncio
from wa_phone_async import PhoneNumberClient

async def main():
    async with PhoneNumberClient({TOKEN!r}, base_url={sandbox.url!r}) as client:
        await client.update_business_profiles({numbers!r}, about="New", journal={str(journal)!r}, concurrency=1)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    while len(writes(sandbox)) < 2:
        await asyncio.sleep(0.01)
    process.kill()
    await process.wait()
    report = await client.update_business_profiles(numbers, about="New", journal=journal)
    assert states(report.edits) == [(SOME, DONE), (BARE, DONE)]
    assert report.is_done
    assert sorted(number for number, _ in writes(sandbox)) == numbers
    assert (await client.undo_business_profiles(journal)).by_state[PLANNED] == 3


async def test_the_undo_of_another_journal(client: PhoneNumberClient, journal: Path, tmp_path: Path) -> None:
    await client.update_business_profiles([FULL], about="New", journal=journal)
    with pytest.raises(InvalidArgumentError, match=r"the journal of an edit, not .*: there is no such file"):
        client.undo_business_profiles(tmp_path / "none.jsonl")
    async with open_journal(tmp_path / "other.jsonl", {"edit": "webhooks.set"}):
        pass
    with pytest.raises(InvalidArgumentError, match=r"the journal of an edit of profiles, .*: it is of webhooks\.set"):
        client.undo_business_profiles(tmp_path / "other.jsonl")
    async with PhoneNumberClient(TOKEN, base_url="https://graph.facebook.com") as elsewhere:
        with pytest.raises(
            InvalidArgumentError, match=r"a journal of the same API, .* and this client uses https://gr"
        ):
            elsewhere.undo_business_profiles(journal)
