"""Answers in gzip, for callers that accept it (RFC 9110, section 12.5.3)."""

import gzip
import re

import attrs

from .messages import Answer

_LEVEL = 6  # what most servers take; Python's own default, 9, takes twice the time for nothing

_WEIGHT_OF_NONE = re.compile(r"0(?:\.0{0,3})?")


def compress(answer: Answer, accept_encoding: str) -> Answer:
    """Give an answer in gzip, if the caller accepts that; as it is where it is empty or encoded already."""
    is_encoded = any(name.lower() == "content-encoding" for name in answer.headers)
    if not answer.body or is_encoded or not accepts_gzip(accept_encoding):
        return answer
    headers = {**answer.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return attrs.evolve(answer, body=gzip.compress(answer.body, _LEVEL, mtime=0), headers=headers)


def accepts_gzip(accept_encoding: str) -> bool:
    """Say whether an `Accept-Encoding` names gzip, or any encoding by `*`, with a weight above 0."""
    weights = {name: weight for name, weight in map(_read, accept_encoding.split(",")) if name}
    weight = weights.get("gzip", weights.get("*", "0"))
    return not _WEIGHT_OF_NONE.fullmatch(weight)


def _read(item: str) -> tuple[str, str]:
    """Read one encoding and its weight, `gzip;q=0.5`; `x-gzip` is an old name."""
    name, _, parameter = item.partition(";")
    weight = parameter.strip().lower().removeprefix("q=")
    return name.strip().lower().removeprefix("x-"), weight or "1"
