"""Responses in gzip, for callers that accept it (RFC 9110, section 12.5.3)."""

import gzip
import re

import attrs

from .messages import Response

_LEVEL = 6  # what most servers use; Python's default, 9, takes twice the time and saves almost nothing

_ZERO_WEIGHT = re.compile(r"0(?:\.0{0,3})?")


def compress(response: Response, accept_encoding: str) -> Response:
    """Return a response in gzip, or unchanged if the caller does not accept gzip or there is nothing to compress."""
    is_encoded = any(name.lower() == "content-encoding" for name in response.headers)
    if not response.body or is_encoded or not accepts_gzip(accept_encoding):
        return response
    headers = {**response.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return attrs.evolve(response, body=gzip.compress(response.body, _LEVEL, mtime=0), headers=headers)


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether an `Accept-Encoding` names gzip, or any encoding by `*`, with a weight above 0."""
    weights = {name: weight for name, weight in map(_read, accept_encoding.split(",")) if name}
    weight = weights.get("gzip", weights.get("*", "0"))
    return not _ZERO_WEIGHT.fullmatch(weight)


def _read(item: str) -> tuple[str, str]:
    """Read one encoding and its weight, `gzip;q=0.5`; `x-gzip` is an old name of gzip."""
    name, _, parameter = item.partition(";")
    weight = parameter.strip().lower().removeprefix("q=")
    return name.strip().lower().removeprefix("x-"), weight or "1"
