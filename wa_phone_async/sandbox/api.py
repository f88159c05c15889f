"""What the server does at each stage of a call, under one lock for all state."""

import contextlib
import threading
from collections.abc import Mapping
from http import HTTPStatus

import attrs

from .access import Access
from .codes import Code
from .faults import NO_FAULT, Fault, Plan
from .graph import Graph
from .messages import GraphError, Request, Response
from .modes import Mode
from .nesting import Nesting
from .profiles import Profiles
from .quotas import Quotas
from .reviews import Reviews
from .store import Store
from .subscriptions import Subscriptions
from .usernames import Usernames

_TOO_MUCH = GraphError(500, 1, "Please reduce the amount of data you're asking for, then retry your request", type=None)
"""The error for too large a response (reported for other edges of Graph, read 2026-11-22)."""


class Api:
    """The Graph API with its planned faults and its record of requests.

    Hold `lock` whenever you touch one of the parts from outside. It is held for decisions only, never during a wait.

    Args:
        store: The accounts and their numbers.
        mode: How the API behaves.
        access: Who may call.
        quotas: Counts calls.
        reviews: Changes numbers and makes webhooks.
        with_links: Whether pages have `next` and `previous`.
        largest_response: The bytes of the largest response; `None` sets no limit.
        nested_latency: Seconds that each account adds whose numbers come inside its row.
        nested_calls: Further calls of the app that each such account counts as.
    """

    def __init__(
        self,
        store: Store,
        mode: Mode,
        access: Access,
        quotas: Quotas,
        reviews: Reviews,
        *,
        with_links: bool,
        largest_response: int | None,
        nested_latency: float,
        nested_calls: int,
    ) -> None:
        # Reentrant: a scheduled action runs under the lock and may call the sandbox, which takes the lock again.
        self.lock: threading.RLock = threading.RLock()
        self.requests: list[Request] = []
        self.plan: Plan = Plan()
        self.store = store
        self.access = access
        self.quotas = quotas
        self.reviews = reviews
        self.nesting: Nesting = Nesting(mode)
        self._largest_response = largest_response
        self._nested_latency = nested_latency
        self._graph = Graph(
            store,
            mode,
            access,
            quotas,
            reviews,
            nesting=self.nesting,
            with_links=with_links,
            nested_calls=nested_calls,
        )
        self.profiles: Profiles = self._graph.profiles
        self.inbox: list[Code] = self._graph.onboarding.codes.inbox
        self.usernames: Usernames = self._graph.usernames
        self.subscriptions: Subscriptions = self._graph.subscriptions

    def receive(self, request: Request) -> Fault:
        """Record a request and return the fault that is planned for it."""
        with self.lock:
            self.requests.append(request)
            return self.plan.take(request.method, request.node)

    def respond(self, request: Request, fault: Fault, now: float) -> tuple[Response, Fault]:
        """Carry out a request and respond, unless the fault brings a response of its own.

        Return the response, and the fault that still applies to it: the planned one, or that of a nested list.
        """
        with self.lock:
            # A clock of the caller's own sets no timer, so what is due by now has to run here.
            self.reviews.run_due(now)
            if fault.reply is None:
                return self._finish(request, self._graph.respond(request, now), fault)
            if fault.takes_effect:
                self._graph.respond(request, now)
            return self._reply(request, fault.reply, None), fault

    def _finish(self, request: Request, response: Response, fault: Fault) -> tuple[Response, Fault]:
        """Apply what depends on a response: its nested lists and its size."""
        if response.status != HTTPStatus.OK:
            return response, fault
        kind, waba_ids = self._graph.nested_accounts(request)
        nested = self.nesting.fault(kind, waba_ids)
        delay = fault.delay_after + nested.delay_before + nested.delay_after + self._nested_latency * len(waba_ids)
        if nested.reply is not None:
            response = self._reply(request, nested.reply, response.headers)
        elif self._largest_response is not None and len(response.body) > self._largest_response:
            response = self._graph.reject(request, _TOO_MUCH, response.headers)
        return response, attrs.evolve(fault if nested is NO_FAULT else nested, delay_after=delay)

    def _reply(self, request: Request, reply: GraphError | Response, headers: Mapping[str, str] | None) -> Response:
        return self._graph.reject(request, reply, headers) if isinstance(reply, GraphError) else reply

    def record_status(self, request: Request, status: int) -> None:
        """Add the status of the response to the recorded request, if the record still has it."""
        # The list is the caller's to clear, from another thread too: then an index may be gone between two lines.
        with self.lock, contextlib.suppress(IndexError):
            for index in reversed(range(len(self.requests))):
                if self.requests[index] is request:
                    self.requests[index] = attrs.evolve(request, status=status)
                    return
