"""The table of error codes: the class of each error, whether it is retried, and whether a write may have happened."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import pytest

import wa_phone_async
from wa_phone_async import errors
from wa_phone_async.call import error_codes
from wa_phone_async.call.error_codes import ERROR_CODES, ErrorCode, meaning_of, throttled_scope
from wa_phone_async.call.response import read_api_error
from wa_phone_async.call.retry import is_retryable, unknown_outcome
from wa_phone_async.errors import GraphAPIError, RateLimitError

# What Meta's error-code page, its Graph guides, its OpenAPI description and published captures say of each code. The
# last three columns follow from it: is a read retried, is a write, and is the outcome of a write unknown?
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
190             500   -          AuthenticationError       no    no     yes
190             200   -          AuthenticationError       no    no     no
2500            400   -          AuthenticationError       no    no     no
2500            500   -          AuthenticationError       no    no     yes
190             401   true       AuthenticationError       yes   no     yes
0               503   true       AuthenticationError       yes   no     yes
102             503   true       AuthenticationError       yes   no     yes
190             503   true       AuthenticationError       yes   no     yes
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
147002          400   -          PermissionDeniedError     no    no     no
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

# blocks for hours or days: each call prolongs them
131048          400   -          RateLimitError            no    no     no
131048          400   true       RateLimitError            no    no     no
133016          400   -          RateLimitError            no    no     no
136024          400   -          BadRequestError           no    no     no
136024          400   true       BadRequestError           no    no     no
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
147001          400   -          ConflictError             no    no     no
147005          400   true       ConflictError             no    no     no
-               409   -          ConflictError             no    no     no
100             422   -          UnprocessableEntityError  no    no     no
-               422   -          UnprocessableEntityError  no    no     no

# a wrong parameter
100             400   -          BadRequestError           no    no     no
100/2207051     400   -          BadRequestError           no    no     no
100             200   -          BadRequestError           no    no     no
100/2388001     400   -          BadRequestError           no    no     no
100/2388001     400   true       BadRequestError           no    no     no
100/2388001     500   -          ServerError               no    no     no
131059          400   -          BadRequestError           no    no     no
131059          500   -          BadRequestError           no    no     no
131059          400   true       BadRequestError           no    no     yes
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
147003          400   -          BadRequestError           no    no     no
147004          400   true       BadRequestError           no    no     no
200000/3095008  400   -          BadRequestError           no    no     no
2200            400   -          BadRequestError           no    no     no
2200            500   -          ServerError               no    no     no
2388001         400   -          BadRequestError           no    no     no
2388103         400   -          BadRequestError           no    no     no
-               400   -          BadRequestError           no    no     no
-               405   -          BadRequestError           no    no     no
-               418   -          BadRequestError           no    no     no

# Meta's own trouble that passes: a write may have happened
1               500   -          ServerError               yes   no     yes
1               500   false      ServerError               yes   no     yes
1               200   -          ServerError               no    no     yes
1               400   -          ServerError               no    no     no
-1              500   -          ServerError               yes   no     yes
-1              500   false      ServerError               yes   no     yes
-1              200   -          ServerError               no    no     yes
-1              400   -          ServerError               no    no     no
2               503   -          ServerError               yes   no     yes
2               500   true       ServerError               yes   no     yes
2               503   false      ServerError               yes   no     yes
2               200   -          ServerError               yes   no     yes
2               400   -          ServerError               yes   no     no
131000          500   -          ServerError               yes   no     yes
131016          500   -          ServerError               yes   no     yes
131057          500   -          ServerError               yes   no     yes
133004          503   -          ServerError               yes   no     yes
2494100         400   -          ServerError               yes   no     no
2494100         500   -          ServerError               yes   no     yes
-               500   -          ServerError               yes   no     yes
-               502   -          ServerError               yes   no     yes
-               503   true       ServerError               yes   no     yes
-               504   -          ServerError               yes   no     yes
-               500   false      ServerError               no    no     yes
-               200   -          BadRequestError           no    no     yes

# Meta's own trouble that does not pass, even with HTTP 500
131045          500   -          ServerError               no    no     no
133000          500   -          ServerError               no    no     no
99999           500   -          ServerError               no    no     yes
99999           500   false      ServerError               no    no     yes
100             500   -          ServerError               no    no     no

# Meta says that it is transient
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

    def api_error(self) -> GraphAPIError:
        code, _, subcode = self.code.partition("/")
        sent: dict[str, Any] = {"message": "No"}
        sent |= {"code": int(code)} if code != "-" else {}
        sent |= {"error_subcode": int(subcode)} if subcode else {}
        sent |= {"is_transient": self.transient == "true"} if self.transient != "-" else {}
        return read_api_error({"error": sent}, http_status=int(self.http_status), secrets=())


ROWS = [Row(*line.split()) for line in TABLE.splitlines()[2:] if line and not line.startswith("#")]
each_row = pytest.mark.parametrize(
    "row", ROWS, ids=[f"{row.code} HTTP {row.http_status} {row.transient}" for row in ROWS]
)


@each_row
def test_the_class_of_an_error_follows_its_code_and_then_its_status(row: Row) -> None:
    assert type(row.api_error()) is getattr(errors, row.error)


@each_row
def test_which_calls_are_retried(row: Row) -> None:
    error = row.api_error()
    assert is_retryable(error, is_write=False) is (row.read == "yes")
    assert is_retryable(error, is_write=True) is (row.write == "yes")


@each_row
def test_when_the_outcome_of_a_write_is_unknown(row: Row) -> None:
    reason = unknown_outcome(row.api_error())
    assert (reason is not None) is (row.unknown == "yes")
    if reason:
        assert reason == f"an API error that does not say whether it happened: {row.api_error()}"


@pytest.mark.parametrize("code", range(200, 300))
def test_all_of_the_200s_are_permissions(code: int) -> None:
    error = read_api_error({"error": {"message": "No", "code": code}}, http_status=500, secrets=())
    assert type(error) is errors.PermissionDeniedError


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


# --- the rows

FACTS = {name: field for name, field in attrs.fields_dict(ErrorCode).items() if name != "meaning"}
CODES = [code for code in ERROR_CODES if isinstance(code, int)]
NEW_CODE = 987654


def facts_of(row: ErrorCode) -> dict[str, Any]:
    return {name: getattr(row, name) for name in FACTS}


@pytest.mark.parametrize("code", CODES)
def test_one_line_is_all_that_a_new_code_needs(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_codes, "ERROR_CODES", {**ERROR_CODES, NEW_CODE: ERROR_CODES[code]})
    assert list(verdicts(NEW_CODE)) == list(verdicts(code))


def verdicts(code: int, subcode: int | None = None) -> Iterator[list[object]]:
    """Yield all that is decided about the errors of one code, or of a code with a subcode."""
    ways = [(False, False), (True, False), (True, True)]
    for http_status in (200, 400, 401, 403, 404, 409, 422, 429, 500, 503):
        for transient in (None, True, False):
            sent = {"message": "No", "code": code, "error_subcode": subcode, "is_transient": transient}
            error = read_api_error({"error": sent}, http_status=http_status, secrets=())
            yield [
                type(error),
                error.retry_after,
                throttled_scope(RateLimitError("No", http_status=http_status, code=code)),
                [is_retryable(error, is_write=is_write, is_counted=is_counted) for is_write, is_counted in ways],
                unknown_outcome(error) is None,
            ]


@pytest.mark.parametrize("key", [key for key in ERROR_CODES if isinstance(key, tuple)], ids=str)
def test_a_code_with_its_subcode_is_decided_by_the_row_of_both(key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_codes, "ERROR_CODES", {NEW_CODE: ERROR_CODES[key]})
    alone = list(verdicts(NEW_CODE))
    monkeypatch.setattr(error_codes, "ERROR_CODES", {key: ERROR_CODES[key], key[0]: ErrorCode("another")})
    assert list(verdicts(*key)) == alone


def test_the_facts_of_a_row_go_together() -> None:
    for row in ERROR_CODES.values():
        assert row.quota is None or (row.error is RateLimitError and row.retry is None)
        assert not row.of_number or row.retry == "never"
        assert row.blocks_for is None or row.of_number


@pytest.mark.parametrize(
    "key",
    [key for key in ERROR_CODES if key is not None],
    ids=lambda key: "/".join(map(str, key)) if isinstance(key, tuple) else str(key),
)
def test_an_error_without_a_message_says_what_its_code_means(key: Any) -> None:
    code, subcode = key if isinstance(key, tuple) else (key, None)
    error = read_api_error({"error": {"code": code, "error_subcode": subcode}}, http_status=400, secrets=())
    assert error.message == ERROR_CODES[key].meaning


def test_a_code_that_nobody_knows_is_left_to_the_status() -> None:
    assert facts_of(meaning_of(NEW_CODE)) == {name: field.default for name, field in FACTS.items()}
    assert meaning_of(NEW_CODE, 33) is meaning_of(NEW_CODE)
    assert meaning_of(NEW_CODE).meaning == "an error that this library does not know"


@pytest.mark.parametrize("token", ["EAAG", "amount", "1"])
@pytest.mark.parametrize(
    ("message", "code", "needs"),
    [
        ("Please reduce the amount of data you're asking for, then retry your request", 1, True),
        ("PLEASE REDUCE THE AMOUNT OF DATA", 1, True),
        ("Please reduce the amount of data", None, False),
        ("Please reduce the amount of data", 2, False),
        ("An unknown error occurred", 1, False),
    ],
)
def test_only_code_1_with_its_text_needs_a_smaller_page(
    message: str, code: int | None, token: str, *, needs: bool
) -> None:
    error = read_api_error({"error": {"message": message, "code": code}}, http_status=500, secrets=(token,))
    assert error.needs_smaller_page is needs


# --- the only table

PACKAGE = Path(wa_phone_async.__file__).parent
MODULES = [
    file
    for file in sorted(PACKAGE.rglob("*.py"))
    if file.name != "error_codes.py" and "sandbox" not in file.relative_to(PACKAGE).parts
]


@pytest.mark.parametrize("file", MODULES, ids=[str(file.relative_to(PACKAGE)) for file in MODULES])
def test_no_other_module_names_the_number_of_a_code(file: Path) -> None:
    assert [ast.unparse(node) for node in codes_named_in(ast.parse(file.read_text(encoding="utf-8")))] == []


def codes_named_in(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield each number that can only be a code, and each comparison of an error's code with any number.

    A number below 300 may be a size or an HTTP status.
    """
    known = {part for key in ERROR_CODES for part in (key if isinstance(key, tuple) else (key,))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in known and node.value >= 300:
            yield node
        elif isinstance(node, ast.Compare):
            parts = list(ast.walk(node))
            names = {part.attr for part in parts if isinstance(part, ast.Attribute)}
            numbers = [part for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, int)]
            if names & {"code", "error_subcode"} and numbers:
                yield node


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("CODE = 80008", ["80008"]),
        ("error.code == 4", ["error.code == 4"]),
        ("4 != error.code", ["4 != error.code"]),
        ("error.error_subcode in {33, 7}", ["error.error_subcode in {33, 7}"]),
        ("limit = 100", []),
        ("error.code == INVALID_PARAMETER", []),
        ("error.http_status == 200", []),
    ],
)
def test_a_number_of_a_code_is_found(source: str, found: list[str]) -> None:
    assert [ast.unparse(node) for node in codes_named_in(ast.parse(source))] == found
