"""Responses with an API error in every form, as hypothesis makes them."""

from hypothesis import strategies as st

from wa_phone_async.call.error_codes import ERROR_CODES
from wa_phone_async.decoding.converter import Json

TOKEN = "EAAGsecretsecretsecretsecret"
"""A secret that the API may echo."""

_echoes = st.sampled_from([TOKEN, f"token {TOKEN} is bad", f"https://host/?access_token={TOKEN}"])
_values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | _echoes,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | _echoes, inner, max_size=3),
    max_leaves=6,
)
_members = st.sampled_from(
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
_codes = st.fixed_dictionaries({"code": st.sampled_from([code for code in ERROR_CODES if isinstance(code, int)])})

PAYLOADS: st.SearchStrategy[Json] = _values | st.fixed_dictionaries(
    {
        "error": _values
        | st.dictionaries(_members, _values)
        | st.builds(dict.__or__, st.dictionaries(_members, _values), _codes)
    }
)
"""The JSON of any response. Many hold an error, and many of these have a known code."""
STATUSES = st.integers(100, 599)
