"""The edge to aiohttp: reads requests, writes responses, drops connections."""

import socket
import struct

from aiohttp import web

from .faults import Fault
from .messages import Request, Response

_NO_LINGER = struct.pack("ii", 1, 0)  # linger for 0 s: closing the socket then sends RST, not FIN


async def read_request(http: web.BaseRequest, now: float) -> Request:
    """Read a whole request."""
    port = http.get_extra_info("peername", ("", 0))[1]  # before the body: afterwards the caller may be gone
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


def write_response(response: Response, fault: Fault) -> web.Response:
    """Return aiohttp's form of a response, cut as the fault says."""
    written = web.Response(status=response.status, body=fault.cut_body(response.body), headers=response.headers)
    if fault.cuts == "short":
        written.headers["Content-Length"] = str(len(response.body))
        written.force_close()
    return written


def drop(http: web.BaseRequest, fault: Fault) -> web.Response:
    """Drop the connection without a response. aiohttp wants one to be returned, but it is never sent."""
    if http.transport is not None:
        if fault.reset:
            sock: socket.socket = http.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        http.transport.abort()
    return web.Response()


def _node(path: str) -> str:
    """Return the id in a path such as `/v23.0/1234/phone_numbers` or `/1234`; empty if there is none."""
    return next((part for part in path.split("/") if part[:1].isdigit()), "")
