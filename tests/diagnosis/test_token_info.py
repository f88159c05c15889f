"""What Meta says of a token, as a value: any JSON is read or is a `DecodeError`."""

import pickle
from datetime import UTC, datetime, timedelta
from importlib import metadata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import DecodeError, TokenInfo
from wa_phone_async.diagnosis import installed
from wa_phone_async.diagnosis.host import span
from wa_phone_async.diagnosis.token import check_accounts, check_uninspected, checks_of_token, read_token_info
from wa_phone_async.errors import WaPhoneError

NOW = datetime(2026, 11, 28, tzinfo=UTC)
MEMBERS = (
    "is_valid",
    "error",
    "type",
    "app_id",
    "expires_at",
    "issued_at",
    "scopes",
    "granular_scopes",
    "target_ids",
    "scope",
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    scalars | st.sampled_from(["whatsapp_business_management", "123"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=5),
    max_leaves=20,
)


@given(values, st.booleans())
def test_any_json_is_read_or_is_no_response(data: object, is_valid: bool) -> None:  # noqa: FBT001 - hypothesis' own
    for payload in (data, {"data": data}, {"data": {**data, "is_valid": is_valid} if isinstance(data, dict) else data}):
        try:
            info = read_token_info(payload)
        except DecodeError:
            continue
        assert pickle.loads(pickle.dumps(info)) == info
        assert all(waba_id.isdecimal() for waba_id in info.waba_ids)
        assert next(checks_of_token(info, NOW)).name == "token"


def test_all_members() -> None:
    granted = [
        {"scope": "whatsapp_business_messaging", "target_ids": ["9"]},
        {"scope": "whatsapp_business_management", "target_ids": ["2", 1, "2", "x"]},
    ]
    data = {
        "app_id": "5",
        "type": "USER",
        "application": "App",
        "data_access_expires_at": 1_600_000_000,
        "expires_at": 0,
        "is_valid": True,
        "issued_at": 1_500_000_000,
        "scopes": ["whatsapp_business_management", "public_profile"],
        "granular_scopes": granted,
        "user_id": 7,
    }
    assert read_token_info({"data": data}) == TokenInfo(
        is_valid=True,
        type="USER",
        app_id="5",
        application="App",
        user_id="7",
        issued_at=datetime(2017, 7, 14, 2, 40, tzinfo=UTC),
        data_access_expires_at=datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC),
        scopes=("whatsapp_business_management", "public_profile"),
        waba_ids=("2", "1"),
    )


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (TokenInfo(is_valid=False), "problem: token: The token is invalid."),
        (
            TokenInfo(is_valid=False, expires_at=NOW, error="No."),
            "problem: token: The token expired on 2026-11-28. Meta says: No.",
        ),
        (TokenInfo(is_valid=False, expires_at=NOW + timedelta(1)), "problem: token: The token is invalid."),
        (TokenInfo(is_valid=True), "ok: token: The token is valid, of the type unknown."),
        (
            TokenInfo(is_valid=True, expires_at=NOW + timedelta(60)),
            "ok: token_expiry: The token expires on 2027-01-27.",
        ),
        (
            TokenInfo(is_valid=True, expires_at=NOW - timedelta(1)),
            "warning: token_expiry: The token expired on 2026-11-27.",
        ),
        (
            TokenInfo(is_valid=True, data_access_expires_at=NOW - timedelta(1)),
            "warning: token_expiry: The token's access to data ended on 2026-11-27.",
        ),
        (
            TokenInfo(is_valid=True, data_access_expires_at=NOW + timedelta(hours=5), expires_at=NOW + timedelta(60)),
            "warning: token_expiry: The token's access to data ends in 5 hours, on 2026-11-28.",
        ),
    ],
)
def test_what_is_said_of_a_token(info: TokenInfo, expected: str) -> None:
    lines = [str(check) for check in checks_of_token(info, NOW)]
    assert [line for line in lines if line.startswith(expected)], lines


def test_many_accounts_are_counted_and_not_all_shown() -> None:
    info = TokenInfo(is_valid=True, waba_ids=tuple(map(str, range(1, 1_008))))
    assert check_accounts(info, "1", None).finding == "The token names 1,007 accounts: 1, 2, 3, 4, 5 and 1,002 more."


def test_an_error_that_is_not_of_the_api_has_its_own_words() -> None:
    assert check_uninspected(WaPhoneError("words")).finding.endswith("but does not say what it may do: words.")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.5, "0 seconds"), (1, "1 second"), (119, "1 minute"), (7200, "2 hours")]
)
def test_a_span_is_in_its_largest_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_extras_that_are_missing_and_a_library_that_was_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(_: str) -> list[str]:
        return ["aiohttp>=3", "attrs; extra == 'here'", "nothing-like-it>=1; extra == 'other'"]

    monkeypatch.setattr(installed, "requires", requires)
    installed.packages_of_extras.cache_clear()
    assert installed.check_extras().finding == (
        'Installed extras: here. Not installed: other; python -m pip install "wa_phone_async[other]" adds one.'
    )

    def fail(_: str) -> list[str]:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(installed, "requires", fail)
    installed.packages_of_extras.cache_clear()
    assert installed.check_extras().finding == "Installed extras: none."
    monkeypatch.undo()
    installed.packages_of_extras.cache_clear()
