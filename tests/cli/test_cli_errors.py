"""Errors as the command line says them: with its options, and with its commands for what to do."""

import pytest

from wa_phone_async import InvalidArgumentError, OutcomeUnknownError, WaPhoneError
from wa_phone_async.cli.errors import sentence


@pytest.mark.parametrize(
    ("argument", "option"),
    [
        ("max_items", "--max-items"),
        ("cc", "--cc"),
        ("business_id", "--business"),
        ("path", "--out"),
        ("waba_id", "WABA_ID"),
        ("Filter.field", "the FIELD of --filter"),
        ("--wabas", "--wabas"),
        ("WA_ACCESS_TOKEN", "WA_ACCESS_TOKEN"),
        ('the extra "dask"', 'the extra "dask"'),
    ],
)
def test_an_argument_has_the_name_of_its_option(argument: str, option: str) -> None:
    error = InvalidArgumentError(argument, "such as this", "that", hint="try it")
    assert sentence(error) == f"{option} must be such as this, not 'that': try it"
    assert error.argument == argument


def test_an_option_without_a_value_is_given() -> None:
    error = InvalidArgumentError("resume", "True", hint="an unfinished export is there")
    assert sentence(error) == "--resume must be given: an unfinished export is there"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OutcomeUnknownError("unknown", reason="a reset", waba_id="1", phone_number="16315551000"),
            (
                "16315551000 may have been created, since the response to create_phone_number was lost (a reset): "
                "wa-phone list 1 shows it; wa-phone create --ensure creates it only if it is missing"
            ),
        ),
        (
            OutcomeUnknownError("unknown", reason="a reset", operation="register", waba_id="1", phone_number_id="7"),
            "7 may have changed, since the response to register was lost (a reset): wa-phone list 1 shows it",
        ),
    ],
    ids=["a create", "another write"],
)
def test_a_lost_response_says_which_command_shows_what_happened(error: WaPhoneError, said: str) -> None:
    assert sentence(error) == said
