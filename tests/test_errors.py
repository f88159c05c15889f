"""The error tree: each branch needs another action, and every error can be copied and pickled completely."""

import contextlib
import copy
import inspect
import pickle
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import errors
from wa_phone_async.errors import (
    AmbiguousNumberError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DecodeError,
    ExportError,
    GraphAPIError,
    InvalidArgumentError,
    JournalError,
    LedgerError,
    MissingTokenError,
    NotFoundError,
    OutcomeUnknownError,
    PaginationError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    StaleListingError,
    TransportError,
    UnprocessableEntityError,
    WaitError,
    WaitTimeoutError,
    WaPhoneError,
    WebhookSignatureError,
)
from wa_phone_async.models import PhoneNumber

BASES: dict[type[WaPhoneError], tuple[type[Exception], ...]] = {
    InvalidArgumentError: (WaPhoneError, ValueError),
    LedgerError: (WaPhoneError,),
    MissingTokenError: (WaPhoneError,),
    TransportError: (WaPhoneError,),
    RequestTimeoutError: (TransportError, TimeoutError),
    OutcomeUnknownError: (WaPhoneError,),
    AmbiguousNumberError: (WaPhoneError,),
    DecodeError: (WaPhoneError,),
    PaginationError: (WaPhoneError,),
    ExportError: (WaPhoneError, OSError),
    JournalError: (WaPhoneError, OSError),
    WaitError: (WaPhoneError,),
    WaitTimeoutError: (WaitError, TimeoutError),
    StaleListingError: (WaPhoneError,),
    WebhookSignatureError: (WaPhoneError,),
    GraphAPIError: (WaPhoneError,),
    BadRequestError: (GraphAPIError,),
    AuthenticationError: (GraphAPIError,),
    PermissionDeniedError: (GraphAPIError,),
    NotFoundError: (GraphAPIError,),
    ConflictError: (GraphAPIError,),
    UnprocessableEntityError: (GraphAPIError,),
    RateLimitError: (GraphAPIError,),
    ServerError: (GraphAPIError,),
}
API_ERRORS = [kind for kind in BASES if issubclass(kind, GraphAPIError)]


def pickled(protocol: int) -> Callable[[WaPhoneError], WaPhoneError]:
    def duplicate(error: WaPhoneError) -> WaPhoneError:
        return cast("WaPhoneError", pickle.loads(pickle.dumps(error, protocol)))

    return duplicate


COPIES: dict[str, Callable[[WaPhoneError], WaPhoneError]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {protocol}": pickled(protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)},
}


def api_error(kind: type[GraphAPIError] = GraphAPIError) -> GraphAPIError:
    """An API error with a value in every attribute."""
    return kind(
        "Too many calls",
        http_status=400,
        code=80008,
        error_subcode=2446079,
        type="OAuthException",
        fbtrace_id="AbC",
        is_transient=True,
        error_user_title="Demais",
        error_user_msg="Espere um pouco",
        error_data={"details": ["a", 1]},
        retry_after=90.0,
    )


def samples() -> list[WaPhoneError]:
    """A new error of every class."""
    return [
        WaPhoneError("it failed"),
        InvalidArgumentError("limit", "a whole number", 1.5, hint="a page is never cut"),
        LedgerError("registrations.db", "it is locked", "Try again."),
        MissingTokenError("1", "tokens.csv"),
        TransportError("no response", sent=False),
        RequestTimeoutError("no response in time", sent=False),
        OutcomeUnknownError(
            "unknown",
            operation="register",
            waba_id="1",
            phone_number="16315551000",
            phone_number_id="7",
            field="host_platform",
            reason="no response in time",
        ),
        AmbiguousNumberError("two", waba_id="1", phone_number="16315551000", phone_number_ids=("7", "8")),
        DecodeError("not JSON", http_status=200, garbled=True),
        PaginationError("a circle", cursor="QVFI"),
        ExportError("the disk is full", errno=28, filename="numbers.csv"),
        JournalError("the disk is full", errno=28, filename="edits.jsonl"),
        WaitError("it is banned", phone_number_id="7", last_seen=PhoneNumber("7", status="BANNED")),
        WaitTimeoutError("not in time", phone_number_id="7", last_seen=None),
        StaleListingError("it changed each time", waba_id="1"),
        WebhookSignatureError("the webhook has no signature"),
        *map(api_error, API_ERRORS),
    ]


@pytest.fixture(params=range(len(samples())), ids=[type(error).__name__ for error in samples()])
def error(request: pytest.FixtureRequest) -> WaPhoneError:
    number: int = request.param
    return samples()[number]


def test_every_error_class_is_in_the_tree_and_has_a_sample() -> None:
    classes = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)}
    assert classes == {WaPhoneError, *BASES} == {type(error) for error in samples()}


@pytest.mark.parametrize(
    ("data", "title", "sentence", "text"),
    [
        ({"details": "The PIN is missing."}, None, None, "No: The PIN is missing (HTTP 400)"),
        ({"details": "The PIN is missing\n"}, "Falta", None, "Falta: No: The PIN is missing (HTTP 400)"),
        ({"details": "The PIN is missing"}, None, "Falta o PIN.", "Falta o PIN: No (HTTP 400)"),
        ({"details": 600}, None, None, "No: 600 (HTTP 400)"),
        ({"details": "No"}, None, None, "No (HTTP 400)"),
        ({"details": ""}, None, None, "No (HTTP 400)"),
        ({"details": True}, None, None, "No (HTTP 400)"),
        ({"details": ["The PIN"]}, None, None, "No (HTTP 400)"),
        ({"messaging_product": "whatsapp"}, None, None, "No (HTTP 400)"),
        ("The PIN is missing", None, None, "No: The PIN is missing (HTTP 400)"),
        ("", None, None, "No (HTTP 400)"),
        (None, None, None, "No (HTTP 400)"),
    ],
)
def test_without_a_sentence_for_people_the_text_has_the_details(
    data: dict[str, object] | str | None, title: str | None, sentence: str | None, text: str
) -> None:
    error = GraphAPIError("No", http_status=400, error_data=data, error_user_title=title, error_user_msg=sentence)
    assert str(error) == text


@pytest.mark.parametrize(("kind", "bases"), BASES.items(), ids=[kind.__name__ for kind in BASES])
def test_the_tree_is_the_documented_one(kind: type[WaPhoneError], bases: tuple[type[Exception], ...]) -> None:
    assert kind.__bases__ == bases
    assert kind.__name__ in (errors.__doc__ or "")


def test_an_unknown_outcome_is_not_a_timeout() -> None:
    assert not issubclass(OutcomeUnknownError, TimeoutError)


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_errors_are_copied_and_pickled_completely(
    error: WaPhoneError, duplicate: Callable[[WaPhoneError], WaPhoneError]
) -> None:
    error.attempts, error.retryable, error.seconds_left = 3, True, 1.5
    error.add_note("while listing")
    other = duplicate(error)
    assert other is not error
    assert (type(other), other.args, str(other)) == (type(error), error.args, str(error))
    assert vars(other) == vars(error)
    assert other.__notes__ == ["while listing"]


async def test_errors_pass_through_an_async_context_manager(error: WaPhoneError) -> None:
    @contextlib.asynccontextmanager
    async def manager() -> AsyncIterator[None]:
        yield

    with pytest.raises(type(error)) as caught:
        async with manager():
            raise error
    assert caught.value is error


def test_a_new_error_knows_nothing_of_its_call(error: WaPhoneError) -> None:
    assert (error.attempts, error.retryable, error.seconds_left) == (0, False, None)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (0, "0"),
        (None, "None"),
        ("id,,status", "'id,,status'"),
        ("A" * 58, f"'{'A' * 58}'"),
        ("A" * 59, "a string of 59 characters"),
        (["A" * 59], "a long list"),
        (bytes, "bytes"),
        (Path("/srv", *"exports" * 10, "numbers.csv"), "/srv/e/x/p/o/r/t/s" + "/e/x/p/o/r/t/s" * 9 + "/numbers.csv"),
    ],
    ids=["number", "None", "text", "at most 60", "longer", "list", "class", "path"],
)
def test_an_invalid_argument_keeps_its_value_as_a_text(given: object, shown: str) -> None:
    error = InvalidArgumentError("limit", "a whole number", given)
    assert str(error) == f"limit must be a whole number, not {shown}"
    assert (error.argument, error.expected, error.given, error.hint) == ("limit", "a whole number", shown, None)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InvalidArgumentError("limit", "a whole number"), "limit must be a whole number"),
        (InvalidArgumentError("limit", "1", 0, hint="no page is empty"), "limit must be 1, not 0: no page is empty"),
        (InvalidArgumentError("after", "left out", hint="give one"), "after must be left out: give one"),
    ],
    ids=["without its value", "all", "with a hint"],
)
def test_an_invalid_argument_is_one_sentence(error: InvalidArgumentError, sentence: str) -> None:
    assert str(error) == sentence
    assert repr(error) == f"InvalidArgumentError('{sentence}')"


def test_an_invalid_argument_can_get_the_name_that_its_user_knows() -> None:
    error = InvalidArgumentError("limit", "a whole number", 1.5)
    error.argument = "--limit"
    assert str(error) == "--limit must be a whole number, not 1.5"


def test_by_default_the_request_may_have_been_sent() -> None:
    assert TransportError("no response").sent
    assert RequestTimeoutError("no response in time").sent


@pytest.mark.parametrize("kind", API_ERRORS)
def test_an_api_error_keeps_every_fact(kind: type[GraphAPIError]) -> None:
    error = api_error(kind)
    assert error.message == "Too many calls"
    assert (error.http_status, error.code, error.error_subcode) == (400, 80008, 2446079)
    assert (error.type, error.fbtrace_id, error.is_transient) == ("OAuthException", "AbC", True)
    assert (error.error_user_title, error.error_user_msg) == ("Demais", "Espere um pouco")
    assert error.error_data == {"details": ["a", 1]}
    assert error.retry_after == 90.0


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            api_error(),
            "Espere um pouco: Too many calls (HTTP 400, code 80008/2446079, retry after 90 s, trace AbC)",
        ),
        (GraphAPIError("No", http_status=400, error_user_title="Title", error_user_msg="Text."), "Text: No (HTTP 400)"),
        (GraphAPIError("No", http_status=400, error_user_title="Title"), "Title: No (HTTP 400)"),
        (GraphAPIError("(#1) It is so.", http_status=400, error_user_msg="It is so."), "(#1) It is so. (HTTP 400)"),
        (GraphAPIError("No", http_status=500), "No (HTTP 500)"),
        (GraphAPIError("No", http_status=400, code=0), "No (HTTP 400, code 0)"),
        (GraphAPIError("No", http_status=400, error_subcode=7), "No (HTTP 400)"),
        (GraphAPIError("No", http_status=429, retry_after=0.5), "No (HTTP 429, retry after 1 s)"),
        (GraphAPIError("No", http_status=429, retry_after=299.998), "No (HTTP 429, retry after 300 s)"),
        (GraphAPIError("No", http_status=429, retry_after=60.25), "No (HTTP 429, retry after 61 s)"),
        (GraphAPIError("No", http_status=429, retry_after=86_399.5), "No (HTTP 429, retry after 86400 s)"),
        (GraphAPIError("No", http_status=429, retry_after=60.0000001), "No (HTTP 429, retry after 60 s)"),
    ],
    ids=[
        "all",
        "a sentence for people comes first",
        "or a title if there is no sentence",
        "the same sentence is not said twice",
        "status only",
        "code 0",
        "no subcode without its code",
        "part of a second",
        "nearly whole",
        "rounded up",
        "a day",
        "a rounding error",
    ],
)
def test_the_text_of_an_api_error_is_one_sentence_with_its_trace(error: GraphAPIError, sentence: str) -> None:
    assert str(error) == sentence


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            BadRequestError("No", http_status=400, code=100, error_subcode=33),
            "BadRequestError('No', http_status=400, code=100, error_subcode=33)",
        ),
        (RateLimitError("No", http_status=None), "RateLimitError('No')"),
        (ServerError("No", http_status=500, code=0), "ServerError('No', http_status=500, code=0)"),
    ],
    ids=["all", "nothing", "code 0"],
)
def test_the_repr_of_an_api_error_has_its_codes(error: GraphAPIError, text: str) -> None:
    assert repr(error) == text


@given(
    message=st.text(),
    code=st.none() | st.integers(),
    trace=st.none() | st.text(),
    retry_after=st.none() | st.floats(min_value=0, allow_nan=False),
)
def test_any_api_error_can_be_printed_and_pickled(
    message: str, code: int | None, trace: str | None, retry_after: float | None
) -> None:
    error = GraphAPIError(message, http_status=400, code=code, fbtrace_id=trace, retry_after=retry_after)
    assert message in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
