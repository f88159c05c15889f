"""Refusals: which error each code and status is, whether it is repeated, and whether a write may have happened."""

import pickle
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wa_phone_async import errors
from wa_phone_async.call.error_codes import is_retryable, lost_outcome, read_refusal, throttled_scope
from wa_phone_async.decoding.converter import Json
from wa_phone_async.errors import (
    BadRequestError,
    DecodeError,
    GraphAPIError,
    InvalidArgumentError,
    OutcomeUnknownError,
    PaginationError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    TransportError,
    WaPhoneError,
)

TOKEN = "EAAGsecretsecretsecretsecret"

# What Meta's error-code page, its Graph guides, its OpenAPI description and published captures say of each code, and
# what follows for us: is a read repeated, is a write, and is the outcome of a write unknown?
TABLE = """
code            HTTP  transient  error                     read  write  unknown

# the token
0               401   -          AuthenticationError       no    no     no
102             401   -          AuthenticationError       no    no     no
104             400   -          AuthenticationError       no    no     no
190             401   -          AuthenticationError       no    no     no
190             400   -          AuthenticationError       no    no     no
190/460         401   false      AuthenticationError       no    no     no
190/463         401   -          AuthenticationError       no    no     no
190/467         400   -          AuthenticationError       no    no     no
190             500   -          AuthenticationError       no    no     no
190             200   -          AuthenticationError       no    no     no
190             401   true       AuthenticationError       yes   no     no
-               401   -          AuthenticationError       no    no     no

# permissions and blocks; code 3 comes as HTTP 500
3               500   -          PermissionDeniedError     no    no     no
3               200   -          PermissionDeniedError     no    no     no
10              403   -          PermissionDeniedError     no    no     no
10              400   -          PermissionDeniedError     no    no     no
200/1349174     403   -          PermissionDeniedError     no    no     no
200/1349175     403   -          PermissionDeniedError     no    no     no
250             403   -          PermissionDeniedError     no    no     no
299             500   -          PermissionDeniedError     no    no     no
368             403   -          PermissionDeniedError     no    no     no
368             429   -          PermissionDeniedError     no    no     no
131005          403   -          PermissionDeniedError     no    no     no
131031          403   -          PermissionDeniedError     no    no     no
-               403   -          PermissionDeniedError     no    no     no

# throttling: as HTTP 400 in life, 429 in the specification; the API did nothing
4               400   -          RateLimitError            yes   yes    no
4               400   true       RateLimitError            yes   yes    no
4               400   false      RateLimitError            yes   yes    no
4/2446079       429   -          RateLimitError            yes   yes    no
4/2446080       429   -          RateLimitError            yes   yes    no
4               403   -          RateLimitError            yes   yes    no
4               200   -          RateLimitError            yes   yes    no
4               503   -          RateLimitError            yes   yes    no
17/2446079      429   -          RateLimitError            yes   yes    no
32              400   -          RateLimitError            yes   yes    no
341             400   -          RateLimitError            yes   yes    no
613             400   -          RateLimitError            yes   yes    no
613/1996        422   -          RateLimitError            yes   yes    no
80000/2446079   400   -          RateLimitError            yes   yes    no
80001           400   -          RateLimitError            yes   yes    no
80002           400   -          RateLimitError            yes   yes    no
80003           400   -          RateLimitError            yes   yes    no
80004           400   -          RateLimitError            yes   yes    no
80005           400   -          RateLimitError            yes   yes    no
80006           400   -          RateLimitError            yes   yes    no
80007           400   -          RateLimitError            yes   yes    no
80007/2446079   429   -          RateLimitError            yes   yes    no
80008           400   -          RateLimitError            yes   yes    no
80009           400   -          RateLimitError            yes   yes    no
80014           400   -          RateLimitError            yes   yes    no
130429          400   -          RateLimitError            yes   yes    no
131056          400   -          RateLimitError            yes   yes    no
-               429   -          RateLimitError            yes   yes    no
100             429   -          RateLimitError            yes   yes    no

# throttling for hours or days, of which more calls make more
131048          400   -          RateLimitError            no    no     no
131048          400   true       RateLimitError            no    no     no
133016          400   -          RateLimitError            no    no     no
136024/2388367  400   -          BadRequestError           no    no     no
136024/2388091  400   false      BadRequestError           no    no     no
136024/2388367  429   -          RateLimitError            no    no     no
133008          429   -          RateLimitError            no    no     no
133009          429   true       RateLimitError            no    no     no

# no such object
33              400   -          NotFoundError             no    no     no
100/33          400   -          NotFoundError             no    no     no
100/33          404   -          NotFoundError             no    no     no
803             404   -          NotFoundError             no    no     no
803             400   -          NotFoundError             no    no     no
100             404   -          NotFoundError             no    no     no
-               404   -          NotFoundError             no    no     no

# there already, and impossible
100             409   -          ConflictError             no    no     no
2388012         400   -          ConflictError             no    no     no
100/2388012     400   -          ConflictError             no    no     no
-               409   -          ConflictError             no    no     no
100             422   -          UnprocessableEntityError  no    no     no
-               422   -          UnprocessableEntityError  no    no     no

# a wrong parameter
100             400   -          BadRequestError           no    no     no
100/2207051     400   -          BadRequestError           no    no     no
100             200   -          BadRequestError           no    no     no
2500            400   -          BadRequestError           no    no     no
131008          400   -          BadRequestError           no    no     no
131009          400   -          BadRequestError           no    no     no
133005          400   -          BadRequestError           no    no     no
133005          400   true       BadRequestError           no    no     no
133006          400   -          BadRequestError           no    no     no
133006          400   true       BadRequestError           no    no     no
133008          400   -          BadRequestError           no    no     no
133009          400   -          BadRequestError           no    no     no
133010          400   -          BadRequestError           no    no     no
133015          400   -          BadRequestError           no    no     no
135000          400   -          BadRequestError           no    no     no
136025/2388093  400   -          BadRequestError           no    no     no
147001          400   -          BadRequestError           no    no     no
200000/3095008  400   -          BadRequestError           no    no     no
2388001         400   -          BadRequestError           no    no     no
2388103         400   -          BadRequestError           no    no     no
2494100         400   -          BadRequestError           no    no     no
-               400   -          BadRequestError           no    no     no
-               405   -          BadRequestError           no    no     no
-               418   -          BadRequestError           no    no     no

# Meta's own trouble that passes: what became of a write is not known
1               500   -          ServerError               yes   no     yes
1               500   false      ServerError               yes   no     yes
1               200   -          ServerError               no    no     yes
1               400   -          ServerError               no    no     no
2               503   -          ServerError               yes   no     yes
2               500   true       ServerError               yes   no     yes
2               503   false      ServerError               yes   no     yes
2               200   -          ServerError               yes   no     yes
2               400   -          ServerError               yes   no     no
131000          500   -          ServerError               yes   no     yes
131016          500   -          ServerError               yes   no     yes
131057          500   -          ServerError               yes   no     yes
133004          503   -          ServerError               yes   no     yes
-               500   -          ServerError               yes   no     yes
-               502   -          ServerError               yes   no     yes
-               503   true       ServerError               yes   no     yes
-               504   -          ServerError               yes   no     yes
-               500   false      ServerError               no    no     yes
-               200   -          BadRequestError           no    no     yes

# Meta's own trouble that does not pass: a coded refusal stays one, whatever its status
131045          500   -          ServerError               no    no     no
133000          500   -          ServerError               no    no     no
99999           500   -          ServerError               no    no     no
99999           500   false      ServerError               no    no     no
100             500   -          ServerError               no    no     no

# what says that it is transient
100             400   true       BadRequestError           yes   no     yes
10              403   true       PermissionDeniedError     yes   no     yes
99999           500   true       ServerError               yes   no     yes
-               400   true       BadRequestError           yes   no     yes
368             403   true       PermissionDeniedError     no    no     yes
"""


class Row(NamedTuple):
    """One line of the table."""

    code: str
    http_status: str
    transient: str
    error: str
    read: str
    write: str
    unknown: str

    def refusal(self) -> GraphAPIError:
        code, _, subcode = self.code.partition("/")
        sent: dict[str, Any] = {"message": "No"}
        sent |= {"code": int(code)} if code != "-" else {}
        sent |= {"error_subcode": int(subcode)} if subcode else {}
        sent |= {"is_transient": self.transient == "true"} if self.transient != "-" else {}
        return read_refusal({"error": sent}, http_status=int(self.http_status), secrets=())


ROWS = [Row(*line.split()) for line in TABLE.splitlines()[2:] if line and not line.startswith("#")]
each_row = pytest.mark.parametrize(
    "row", ROWS, ids=[f"{row.code} HTTP {row.http_status} {row.transient}" for row in ROWS]
)


@each_row
def test_a_refusal_is_typed_by_code_first_and_then_by_status(row: Row) -> None:
    assert type(row.refusal()) is getattr(errors, row.error)


@each_row
def test_what_is_repeated(row: Row) -> None:
    refusal = row.refusal()
    assert is_retryable(refusal, is_write=False) is (row.read == "yes")
    assert is_retryable(refusal, is_write=True) is (row.write == "yes")


@each_row
def test_when_the_outcome_of_a_write_is_unknown(row: Row) -> None:
    reason = lost_outcome(row.refusal())
    assert (reason is not None) is (row.unknown == "yes")
    if reason:
        assert reason == f"an error that does not say whether it happened: {row.refusal()}"


@pytest.mark.parametrize("code", range(200, 300))
def test_all_of_the_200s_are_permissions(code: int) -> None:
    refusal = read_refusal({"error": {"message": "No", "code": code}}, http_status=500, secrets=())
    assert type(refusal) is errors.PermissionDeniedError


@pytest.mark.parametrize(
    ("code", "scope"),
    [
        (4, "app"),
        (341, "app"),
        (17, "token"),
        (32, "waba"),
        (613, "waba"),
        (80007, "waba"),
        (80008, "waba"),
        (130429, "waba"),
        (100, "waba"),
        (None, "waba"),
    ],
)
def test_the_code_says_whose_rate_limit_throttled_a_call(code: int | None, scope: str) -> None:
    assert throttled_scope(RateLimitError("No", http_status=429, code=code)) == scope


def test_too_much_data_is_never_asked_for_again_unchanged() -> None:
    text = "Please reduce the amount of data you're asking for, then retry your request"
    for transient in (None, True, False):
        sent = {"error": {"message": text, "code": 1, "is_transient": transient}}
        refusal = read_refusal(sent, http_status=500, secrets=())
        assert type(refusal) is ServerError
        assert not is_retryable(refusal, is_write=False)


@pytest.mark.parametrize(
    ("error", "read", "write", "reason"),
    [
        (TransportError("cannot connect", sent=False), True, True, None),
        (TransportError("the connection broke"), True, False, "the connection broke before the answer"),
        (RequestTimeoutError("no connection in time", sent=False), True, True, None),
        (RequestTimeoutError("no answer in time"), True, False, "no answer in time"),
        (DecodeError("cut", http_status=200, garbled=True), True, False, "an answer that cannot be read (HTTP 200)"),
        (DecodeError("no id", http_status=200), False, False, "an answer that cannot be read (HTTP 200)"),
        (DecodeError("a redirect", http_status=302), False, False, "an answer that cannot be read (HTTP 302)"),
        (InvalidArgumentError("limit"), False, False, None),
        (PaginationError("a circle"), False, False, None),
        (OutcomeUnknownError("?", waba_id="1", phone_number="2", reason="a time-out"), False, False, None),
        (WaPhoneError("?"), False, False, None),
    ],
    ids=[
        "no connection",
        "broken",
        "no connection in time",
        "no answer in time",
        "cut",
        "wrong shape",
        "redirect",
        "argument",
        "list",
        "unknown outcome",
        "any",
    ],
)
def test_what_is_no_refusal(error: WaPhoneError, reason: str | None, *, read: bool, write: bool) -> None:
    assert is_retryable(error, is_write=False) is read
    assert is_retryable(error, is_write=True) is write
    assert lost_outcome(error) == reason


# --- reading one


def test_every_fact_is_kept() -> None:
    refusal = read_refusal(
        {
            "error": {
                "message": "(#80008) There have been too many calls to this WhatsApp Business account.",
                "type": "OAuthException",
                "code": 80008,
                "error_subcode": 2446079,
                "is_transient": True,
                "error_data": {"messaging_product": "whatsapp", "details": "Too many"},
                "error_user_title": "Muitas chamadas",
                "error_user_msg": "Aguarde um pouco",
                "fbtrace_id": "AxYz",
                "href": "https://developers.facebook.com",
            }
        },
        http_status=400,
        secrets=(TOKEN,),
    )
    assert vars(refusal) == {
        "message": "(#80008) There have been too many calls to this WhatsApp Business account.",
        "http_status": 400,
        "code": 80008,
        "error_subcode": 2446079,
        "type": "OAuthException",
        "fbtrace_id": "AxYz",
        "is_transient": True,
        "error_user_title": "Muitas chamadas",
        "error_user_msg": "Aguarde um pouco",
        "error_data": {"messaging_product": "whatsapp", "details": "Too many"},
        "retry_after": None,
    }
    assert type(refusal) is RateLimitError


UNREADABLE = "refused without an error that can be read"


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (None, UNREADABLE),
        ([], UNREADABLE),
        ("Service Unavailable", UNREADABLE),
        ({}, UNREADABLE),
        ({"error": None}, UNREADABLE),
        ({"error": True}, UNREADABLE),
        ({"error": {}}, UNREADABLE),
        ({"error": {"message": ""}}, UNREADABLE),
        ({"error": {"message": {"text": "No"}}}, UNREADABLE),
        ({"error": ["No"]}, UNREADABLE),
        ({"error": "No"}, "No"),
        ({"error": {"message": "No"}}, "No"),
    ],
    ids=str,
)
def test_a_refusal_of_any_shape_is_read(payload: Json, message: str) -> None:
    refusal = read_refusal(payload, http_status=400, secrets=())
    assert type(refusal) is BadRequestError
    assert str(refusal) == f"{message} (HTTP 400)"
    assert (refusal.code, refusal.error_subcode, refusal.type, refusal.fbtrace_id) == (None, None, None, None)
    assert (refusal.is_transient, refusal.error_data) == (None, None)


@pytest.mark.parametrize(
    ("code", "read"),
    [
        (190, 190),
        (0, 0),
        (-1, -1),
        ("190", 190),
        (True, None),
        (False, None),
        (190.0, None),
        ("", None),
        ("abc", None),
        ("-1", None),
        ("\u0661\u0669\u0660", None),
        ("\u00b2", None),
        ("9" * 10, None),
        ("9" * 5000, None),
        ([190], None),
        (None, None),
    ],
    ids=lambda value: f"{value!r:.12}",
)
def test_a_code_is_a_whole_number_or_the_text_of_one(code: Json, read: int | None) -> None:
    refusal = read_refusal({"error": {"code": code, "error_subcode": code}}, http_status=400, secrets=())
    assert (refusal.code, refusal.error_subcode) == (read, read)
    assert type(refusal.code) in {int, type(None)}


@pytest.mark.parametrize("transient", ["true", 1, None, [], {}], ids=repr)
def test_only_a_boolean_says_whether_it_passes(transient: Json) -> None:
    refusal = read_refusal({"error": {"is_transient": transient}}, http_status=400, secrets=())
    assert refusal.is_transient is None


@pytest.mark.parametrize(
    ("data", "read"),
    [({"a": [1]}, {"a": [1]}), ('{"blame": 1}', '{"blame": 1}'), ("", ""), (5, None), ([1], None), (None, None)],
    ids=repr,
)
def test_details_are_a_mapping_or_a_string(data: Json, read: object) -> None:
    assert read_refusal({"error": {"error_data": data}}, http_status=400, secrets=()).error_data == read


echoes = st.sampled_from([TOKEN, f"token {TOKEN} is bad", f"https://host/?access_token={TOKEN}"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | echoes,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | echoes, inner, max_size=3),
    max_leaves=6,
)
members = st.sampled_from(
    [
        "message",
        "type",
        "code",
        "error_subcode",
        "fbtrace_id",
        "is_transient",
        "error_user_title",
        "error_user_msg",
        "error_data",
    ]
)
codes = st.fixed_dictionaries(
    {"code": st.sampled_from([int(row.code.split("/")[0]) for row in ROWS if row.code != "-"])}
)
payloads = values | st.fixed_dictionaries(
    {
        "error": values
        | st.dictionaries(members, values)
        | st.builds(dict.__or__, st.dictionaries(members, values), codes)
    }
)


@given(payloads, st.integers(100, 599))
def test_any_json_is_a_refusal_that_prints_pickles_and_holds_no_secret(payload: Json, http_status: int) -> None:
    refusal = read_refusal(payload, http_status=http_status, secrets=(TOKEN,))
    assert refusal.http_status == http_status
    assert TOKEN not in f"{refusal} {refusal!r} {vars(refusal)}"
    assert str(pickle.loads(pickle.dumps(refusal))) == str(refusal)


@given(payloads, st.integers(100, 599))
def test_a_write_is_never_repeated_when_it_may_have_happened(payload: Json, http_status: int) -> None:
    refusal = read_refusal(payload, http_status=http_status, secrets=())
    assert not (is_retryable(refusal, is_write=True) and lost_outcome(refusal))
    assert is_retryable(refusal, is_write=False) or not is_retryable(refusal, is_write=True)


def test_an_error_that_is_nested_too_deep_keeps_its_facts() -> None:
    deep: Any = TOKEN
    for _ in range(900):
        deep = [deep]
    sent = {"error": {"message": "No", "code": 190, "error_data": {"a": deep}}}
    refusal = read_refusal(sent, http_status=400, secrets=(TOKEN,))
    assert (refusal.message, refusal.code) == ("No", 190)
    assert TOKEN not in repr(refusal.error_data)
