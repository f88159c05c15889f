"""The edge to aiohttp: requests read, answers sent, connections dropped."""

import socket
import struct

from aiohttp.web import BaseRequest, Response

from .faults import Fault
from .messages import Answer, Request

_ABORT = struct.pack("ii", 1, 0)  # linger for no time: closing sends RST


async def read_request(http: BaseRequest, now: float) -> Request:
    """Read a request whole."""
    port = http.get_extra_info("peername", ("", 0))[1]  # before the body: the caller may be gone after it
    return Request(
        method=http.method,
        path=http.path,
        node=_node(http.path),
        query=dict(http.query),
        headers=http.headers,
        body=await http.read(),
        peer_port=port,
        at=now,
    )


def respond(answer: Answer, fault: Fault) -> Response:
    """Make the response of an answer, or as much of it as the fault leaves."""
    response = Response(status=answer.status, body=fault.cut_body(answer.body), headers=answer.headers)
    if fault.cuts == "short":
        response.headers["Content-Length"] = str(len(answer.body))
        response.force_close()
    return response


def drop(http: BaseRequest, fault: Fault) -> Response:
    """End the connection without a word. What is returned is never sent."""
    if http.transport is not None:
        if fault.reset:
            sock: socket.socket = http.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        http.transport.abort()
    return Response()


def _node(path: str) -> str:
    """Find the id in a path, `/v23.0/1234/phone_numbers`; it heads the path where there is no version."""
    return next((part for part in path.split("/") if part[:1].isdigit()), "")
