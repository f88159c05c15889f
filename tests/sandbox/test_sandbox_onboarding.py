"""From a new number to a registered one: codes, PINs, limits on guesses, waits and errors."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async.sandbox import EMPTY_WABA, LARGE_WABA, SEEDED_PIN, SMALL_WABA, Request
from wa_phone_async.sandbox.access import Access
from wa_phone_async.sandbox.codes import CODE_LIFE, CODE_LOCK, CODES_AN_HOUR, VERIFICATION_SHOWN
from wa_phone_async.sandbox.data import Row
from wa_phone_async.sandbox.durations import in_words
from wa_phone_async.sandbox.graph import Graph
from wa_phone_async.sandbox.modes import MODES, ModeName
from wa_phone_async.sandbox.nesting import Nesting
from wa_phone_async.sandbox.onboarding import MAX_REGISTRATIONS, REGISTRATION_WINDOW, REREGISTER_WAIT
from wa_phone_async.sandbox.pins import FAST_GUESS_WINDOW, PIN_GUESSES, PIN_LOCK
from wa_phone_async.sandbox.quotas import Quotas
from wa_phone_async.sandbox.reviews import Reviews, pin_reset
from wa_phone_async.sandbox.store import Store
from wa_phone_async.sandbox.webhooks import Webhooks

HEADERS = {"Authorization": "Bearer token", "Content-Type": "application/json"}
SMS = {"code_method": "SMS", "language": "en_US"}
PIN = "905172"

both_modes = pytest.mark.parametrize("mode", ["live", "reference"])

Rejected = tuple[int, int, int | None]
"""Status, code and subcode."""


class World:
    """A graph with its own time and one new number."""

    def __init__(self, mode: ModeName = "live") -> None:
        self.store = Store()
        self.webhooks = Webhooks("secret", lambda _: None)
        self.reviews = Reviews(self.store, self.webhooks, None)
        quotas = Quotas(None, None, 1, "floor")
        nesting, access = Nesting(MODES[mode]), Access(None, None)
        self.graph = Graph(self.store, MODES[mode], access, quotas, self.reviews, nesting=nesting, with_links=True)
        self.now = 1000.0
        response, _ = self._call(
            "POST", f"{EMPTY_WABA}/phone_numbers", {"phone_number": "16315551000", "verified_name": "Acme"}
        )
        self.number: str = response["id"]

    def _call(self, method: str, path: str, members: Any) -> tuple[Any, int]:
        self.reviews.run_due(self.now)
        body = b"" if members is None else json.dumps(members).encode()
        response = self.graph.respond(Request(method, f"/v23.0/{path}", "", {}, HEADERS, body, 1, self.now), self.now)
        return json.loads(response.body), response.status

    def post(self, edge: str, number: str | None = None, **members: Any) -> dict[str, Any] | Rejected:
        """Send a POST. Return the body of the response, or the facts of the API error."""
        path = f"{number or self.number}/{edge}".rstrip("/")
        response, status = self._call("POST", path, members)
        if status == 200:
            assert isinstance(response, dict)
            return response
        self.error: dict[str, Any] = response["error"]
        return status, self.error["code"], self.error.get("error_subcode")

    def code(self, number: str | None = None) -> str:
        """Request a code and read it in the inbox."""
        assert self.post("request_code", number, **SMS) == {"success": True}
        return self.graph.onboarding.codes.inbox[-1].code.replace("-", "")

    def verify(self) -> None:
        assert self.post("verify_code", code=self.code()) != self.row

    def forget_verification(self) -> None:
        self.reviews.update(self.number, {"code_verification_status": "NOT_VERIFIED"})

    def register(self, pin: str = PIN, number: str | None = None) -> dict[str, Any] | Rejected:
        return self.post("register", number, messaging_product="whatsapp", pin=pin)

    @property
    def row(self) -> Row:
        self.reviews.run_due(self.now)
        [row] = [row for row in self.store.numbers(EMPTY_WABA) if row["id"] == self.number]
        return row

    def status(self) -> str:
        status: str = self.row["code_verification_status"]
        return status

    def fields(self) -> list[str]:
        return [webhook.field for webhook in self.webhooks.made]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def verified(world: World) -> World:
    world.verify()
    return world


@pytest.fixture
def registered(verified: World) -> World:
    assert verified.register() == {"success": True}
    return verified


@both_modes
def test_a_number_is_verified_and_registered(mode: ModeName) -> None:
    world = World(mode)
    assert (world.status(), world.row["status"], world.row["platform_type"]) == (
        "NOT_VERIFIED",
        "PENDING",
        "NOT_APPLICABLE",
    )
    response = world.post("verify_code", code=world.code())
    assert response == ({"success": True} if mode == "live" else {"success": True, "id": world.number})
    assert (world.status(), world.row["platform_type"], world.fields()) == ("VERIFIED", "NOT_APPLICABLE", [])
    assert world.register() == {"success": True}
    assert (world.row["status"], world.row["platform_type"], world.row["is_pin_enabled"]) == (
        "CONNECTED",
        "CLOUD_API",
        True,
    )
    assert world.row["name_status"] == "PENDING_REVIEW"  # a third state
    assert world.fields() == ["phone_number_quality_update"]
    assert b'"event":"ONBOARDING","max_daily_conversations_per_business":"TIER_NOT_SET"' in world.webhooks.made[0].body


def test_members_may_come_in_a_form(world: World) -> None:
    headers = {"Authorization": "Bearer token"}
    path = f"/v23.0/{world.number}/request_code"
    request = Request("POST", path, "", {"language": "en"}, headers, b"code_method=VOICE", 1, 0.0)
    assert json.loads(world.graph.respond(request, world.now).body) == {"success": True}
    [code] = world.graph.onboarding.codes.inbox
    assert (code.phone_number_id, code.phone_number) == (world.number, "16315551000")
    assert (code.code_method, code.language, code.at) == ("VOICE", "en", 1000.0)
    assert re.fullmatch(r"\d{3}-\d{3}", code.code)
    assert code.code not in repr(code)


@pytest.mark.parametrize(
    ("edge", "members", "name"),
    [
        ("request_code", {"language": "en_US"}, "code_method"),
        ("request_code", {"code_method": "sms", "language": "en_US"}, "code_method"),
        ("request_code", {"code_method": "SMS"}, "language"),
        ("request_code", {"code_method": "SMS", "language": "english"}, "language"),
        ("verify_code", {}, "code"),
        ("verify_code", {"code": "123-830"}, "code"),
        ("verify_code", {"code": "12383"}, "code"),
        ("register", {"pin": PIN}, "messaging_product"),
        ("register", {"messaging_product": "sms", "pin": PIN}, "messaging_product"),
        ("register", {"messaging_product": "whatsapp"}, "pin"),
        ("register", {"messaging_product": "whatsapp", "pin": "12345"}, "pin"),
        ("register", {"messaging_product": "whatsapp", "pin": PIN, "data_localization_region": "XX"}, "region"),
        ("", {}, "pin"),
        ("", {"pin": "1234567"}, "pin"),
    ],
    ids=str,
)
def test_an_invalid_member_is_rejected_and_not_shown(
    registered: World, edge: str, members: dict[str, Any], name: str
) -> None:
    before = registered.row
    assert registered.post(edge, **members) == (400, 100, None)
    assert name in registered.error["message"]
    for value in members.values():
        assert value == "whatsapp" or f" {value}" not in registered.error["message"]
    assert registered.row == before


@pytest.mark.parametrize(("mode", "accepted"), [("live", True), ("reference", False)])
def test_the_reference_wants_a_language_with_its_country(mode: ModeName, accepted: bool) -> None:  # noqa: FBT001 - a table
    response = World(mode).post("request_code", code_method="SMS", language="en")
    assert response == ({"success": True} if accepted else (400, 100, None))


@pytest.mark.parametrize(("method", "edge"), [("GET", "register"), ("DELETE", ""), ("POST", "settings")])
def test_other_methods_and_edges_are_rejected(world: World, method: str, edge: str) -> None:
    response, status = world._call(method, f"{world.number}/{edge}".rstrip("/"), {})
    assert (status, response["error"]["code"]) == (400, 100)
    assert "WhatsAppBusinessPhoneNumber" in response["error"]["message"]


# Codes


def test_only_the_last_code_is_right_and_only_once(world: World) -> None:
    first, second = world.code(), world.code()
    assert first != second
    assert world.post("verify_code", code=first) == (400, 136025, 2388093)
    assert world.post("verify_code", code=second) == {"success": True}
    assert world.post("verify_code", code=second) == (400, 136025, 2388093)
    assert world.status() == "VERIFIED"


@both_modes
def test_a_verified_number_gets_no_code(mode: ModeName) -> None:
    world = World(mode)
    world.verify()
    assert world.post("request_code", **SMS) == (400, 136024, None)
    assert world.error["error_user_msg"] == "The phone number is verified already."
    assert len(world.graph.onboarding.codes.inbox) == 1
    world.now += VERIFICATION_SHOWN
    world.verify()
    assert world.status() == "VERIFIED"


def test_without_a_sent_code_every_code_is_wrong(world: World) -> None:
    assert world.post("verify_code", code="123830") == (400, 136025, 2388093)


def test_an_unused_code_lapses_and_the_number_is_not_verified(world: World) -> None:
    code = world.code()
    world.now += CODE_LIFE - 1
    assert world.status() == "NOT_VERIFIED"
    world.now += 1
    assert world.status() == "EXPIRED"
    assert world.post("verify_code", code=code) == (400, 136025, 2388093)
    assert world.register() == (400, 133006, None)
    again = world.code()
    assert world.status() == "NOT_VERIFIED"
    assert world.post("verify_code", code=again) == {"success": True}
    assert world.register() == {"success": True}


def test_a_used_or_replaced_code_does_not_lapse(world: World) -> None:
    world.code()
    world.now += CODE_LIFE / 2
    world.code()
    world.now += CODE_LIFE / 2
    assert world.status() == "NOT_VERIFIED"
    world.verify()
    world.now += CODE_LIFE
    assert world.status() == "VERIFIED"
    world.store.remove(EMPTY_WABA, world.number)
    world.now += 10 * VERIFICATION_SHOWN
    world.reviews.run_due(world.now)


def test_a_verified_number_shows_expired_later_and_works_as_before(registered: World) -> None:
    registered.now += VERIFICATION_SHOWN
    assert (registered.status(), registered.row["status"]) == ("EXPIRED", "CONNECTED")
    assert registered.register() == {"success": True}
    registered.code()
    registered.now += CODE_LIFE
    assert registered.status() == "EXPIRED"
    assert registered.register() == {"success": True}


def test_a_second_verification_is_shown_for_as_long_as_the_first(verified: World) -> None:
    verified.now += VERIFICATION_SHOWN / 2
    verified.forget_verification()
    verified.verify()
    verified.now += VERIFICATION_SHOWN / 2
    assert verified.status() == "VERIFIED"
    verified.now += VERIFICATION_SHOWN / 2
    assert verified.status() == "EXPIRED"


def test_too_many_requested_codes_are_rejected_for_an_hour(world: World) -> None:
    for _ in range(CODES_AN_HOUR):
        code = world.code()
    assert world.post("request_code", **SMS) == (400, 136024, 2388367)
    assert world.error["is_transient"] is False
    assert len(world.graph.onboarding.codes.inbox) == CODES_AN_HOUR
    assert world.post("verify_code", code=code) == {"success": True}
    world.forget_verification()
    world.now += 3600
    world.code()


def test_the_fifth_wrong_code_locks_codes_for_hours(world: World) -> None:
    code = world.code()
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    for _ in range(4):
        assert world.post("verify_code", code=wrong) == (400, 136025, 2388093)
        assert "incorrect" in world.error["error_user_msg"]
    world.post("verify_code", code=code)
    assert world.status() == "VERIFIED"  # the fifth guess was right, and the count begins again
    world.forget_verification()
    code = world.code()
    for _ in range(5):
        world.post("verify_code", code="000000")
    assert world.post("verify_code", code=code) == (400, 136025, 2388093)
    assert world.error["error_user_msg"] == "You have guessed too often. Try again in 12 hours."
    world.now += CODE_LOCK
    assert world.post("verify_code", code=world.code()) == {"success": True}


# Registration


def test_a_number_that_is_not_verified_is_not_registered(world: World) -> None:
    assert world.register() == (400, 133006, None)
    assert world.row["status"] == "PENDING"


def test_a_registered_number_is_registered_again_with_its_pin_alone(registered: World) -> None:
    assert registered.register("000000") == (400, 133005, None)
    assert registered.register() == {"success": True}
    assert registered.fields() == ["phone_number_quality_update"]


@pytest.mark.parametrize("region", ["DE", "CA"])
def test_data_may_be_stored_in_a_country(verified: World, region: str) -> None:
    response = verified.post("register", messaging_product="whatsapp", pin=PIN, data_localization_region=region)
    assert response == {"success": True}


def test_a_seeded_number_has_the_seeded_pin(world: World) -> None:
    number = world.store.numbers(SMALL_WABA)[0]["id"]
    assert world.register("000000", number) == (400, 133005, None)
    assert world.register(SEEDED_PIN, number) == {"success": True}


def test_a_deregistered_number_waits_five_minutes(registered: World) -> None:
    assert registered.post("deregister") == {"success": True}
    assert (registered.row["status"], registered.row["platform_type"]) == ("DISCONNECTED", "NOT_APPLICABLE")
    assert registered.post("deregister") == (400, 100, 2207051)
    assert registered.register() == (400, 133015, None)
    registered.now += REREGISTER_WAIT
    assert registered.register("000000") == (400, 133005, None)  # its PIN is still valid
    assert registered.register() == {"success": True}
    assert registered.fields() == ["phone_number_quality_update"] * 2


def test_a_number_of_the_business_app_is_not_deregistered(registered: World) -> None:
    registered.store.update(EMPTY_WABA, registered.number, {"is_on_biz_app": True})
    assert registered.post("deregister") == (400, 100, None)
    assert "SMB" in registered.error["message"]


def test_one_registration_too_many_blocks_for_72_hours(registered: World) -> None:
    for _ in range(MAX_REGISTRATIONS - 1):
        registered.now += 3600
        assert registered.register() == {"success": True}
    assert registered.register() == (400, 133016, None)
    assert registered.post("deregister") == (400, 133016, None)
    assert registered.row["platform_type"] == "CLOUD_API"
    registered.now += REGISTRATION_WINDOW - 1
    assert registered.register() == (400, 133016, None)
    registered.now += 1
    assert registered.register() == {"success": True}


def test_registrations_are_counted_in_a_moving_window(registered: World) -> None:
    for _ in range(50):
        registered.now += REGISTRATION_WINDOW / MAX_REGISTRATIONS
        assert registered.register() == {"success": True}


# PINs


def test_a_new_pin_needs_no_old_one_and_makes_a_webhook(registered: World) -> None:
    assert registered.post("", pin="112233") == {"success": True}
    assert registered.fields()[-1] == "security"
    assert registered.register() == (400, 133005, None)
    assert registered.register("112233") == {"success": True}
    for webhook in registered.webhooks.made:
        assert b"112233" not in webhook.body


def test_an_unregistered_number_cannot_set_a_pin(verified: World) -> None:
    assert verified.post("", pin=PIN) == (400, 133010, None)
    assert verified.row["is_pin_enabled"] is False


def test_without_two_step_verification_any_pin_is_accepted(registered: World) -> None:
    registered.reviews.apply(registered.number, pin_reset, registered.now)
    assert registered.register("112233") == {"success": True}
    assert registered.register() == (400, 133005, None)


def test_the_last_wrong_pin_locks_pins_for_hours(registered: World) -> None:
    for _ in range(PIN_GUESSES):
        registered.now += FAST_GUESS_WINDOW
        assert registered.register("000000") == (400, 133005, None)
    assert registered.register() == (400, 133008, None)
    assert registered.error["error_data"]["details"] == "Please try again in 12 hours."
    registered.now += PIN_LOCK / 2 + 0.5
    assert registered.register() == (400, 133008, None)
    assert registered.error["error_data"]["details"] == "Please try again in 6 hours."
    registered.now += PIN_LOCK / 2
    assert registered.register() == {"success": True}


def test_a_right_pin_resets_the_count(registered: World) -> None:
    for _ in range(2):
        for _ in range(PIN_GUESSES - 2):
            registered.now += FAST_GUESS_WINDOW
            assert registered.register("000000") == (400, 133005, None)
        assert registered.register() == {"success": True}


def test_fast_guesses_wait_a_minute_and_are_not_counted(registered: World) -> None:
    for _ in range(3):
        assert registered.register("000000") == (400, 133005, None)
    for _ in range(3):
        assert registered.register("000000") == (400, 133009, None)
        assert registered.error["error_data"]["details"] == "Please try again in 1 minute."
    registered.now += FAST_GUESS_WINDOW
    assert registered.register() == {"success": True}


# Seeded numbers


@both_modes
def test_any_seeded_number_can_be_verified_and_registered(mode: ModeName) -> None:
    world = World(mode)
    for row in world.store.numbers(LARGE_WABA)[:40]:
        if row["code_verification_status"] == "VERIFIED":
            assert world.post("request_code", row["id"], **SMS) == (400, 136024, None)
            assert world.register(SEEDED_PIN, row["id"]) == {"success": True}
            continue
        code = world.code(row["id"])
        assert world.post("verify_code", row["id"], code=code) in (
            {"success": True},
            {"success": True, "id": row["id"]},
        )
        assert world.register(SEEDED_PIN, row["id"]) == {"success": True}


@given(st.integers(1, 10**6))
def test_a_duration_in_words_is_exact(seconds: int) -> None:
    units = {"hour": 3600, "minute": 60, "second": 1}
    parts = re.findall(r"(\d+) (hour|minute|second)(s?)", in_words(seconds))
    assert sum(int(count) * units[unit] for count, unit, _ in parts) == seconds
    assert all((count != "1") == bool(plural) for count, _, plural in parts)
    assert in_words(seconds - 0.5) == in_words(seconds)


def test_a_printed_request_hides_codes_and_pins() -> None:
    for body in (
        b'{"messaging_product":"whatsapp","pin": "905172"}',
        b"pin=905172&x=1",
        b'{"code":905172}',
        b"code=905172",
    ):
        request = Request("POST", "/v23.0/1", "1", {"pin": "905172", "code": "905172", "a": "b"}, {}, body, 1, 0.0)
        assert "905172" not in repr(request)
        assert "'a': 'b'" in repr(request)
        assert request.body == body
    body = b'{"code_method":"SMS","language":"en_US"}'
    assert repr(body) in repr(Request("POST", "/v23.0/1", "1", {}, {}, body, 1, 0.0))
