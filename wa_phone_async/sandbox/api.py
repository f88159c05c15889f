"""What the server does at each stage of a call, under one lock for all state."""

import contextlib
import threading

import attrs

from .access import Access
from .codes import Code
from .faults import Fault, Plan
from .graph import Graph
from .messages import GraphError, Request, Response
from .modes import Mode
from .quotas import Quotas
from .reviews import Reviews
from .store import Store


class Api:
    """The Graph API with its planned faults and its record of requests.

    Hold `lock` whenever you touch one of the parts from outside. It is held for decisions only, never during a wait.
    """

    def __init__(
        self, store: Store, mode: Mode, access: Access, quotas: Quotas, reviews: Reviews, *, with_links: bool
    ) -> None:
        # Reentrant: a scheduled action runs under the lock and may call the sandbox, which takes the lock again.
        self.lock: threading.RLock = threading.RLock()
        self.requests: list[Request] = []
        self.plan: Plan = Plan()
        self.store = store
        self.access = access
        self.quotas = quotas
        self.reviews = reviews
        self._graph = Graph(store, mode, access, quotas, reviews, with_links=with_links)
        self.inbox: list[Code] = self._graph.onboarding.codes.inbox

    def receive(self, request: Request) -> Fault:
        """Record a request and return the fault that is planned for it."""
        with self.lock:
            self.requests.append(request)
            return self.plan.take(request.method, request.node)

    def respond(self, request: Request, fault: Fault, now: float) -> Response:
        """Carry out a request and respond, unless the fault brings a response of its own."""
        with self.lock:
            # A clock of the caller's own sets no timer, so what is due by now has to run here.
            self.reviews.run_due(now)
            if fault.reply is None:
                return self._graph.respond(request, now)
            if fault.takes_effect:
                self._graph.respond(request, now)
            if isinstance(fault.reply, GraphError):
                return self._graph.reject(request, fault.reply)
            return fault.reply

    def record_status(self, request: Request, status: int) -> None:
        """Add the status of the response to the recorded request, if the record still has it."""
        # The list is the caller's to clear, from another thread too: then an index may be gone between two lines.
        with self.lock, contextlib.suppress(IndexError):
            for index in reversed(range(len(self.requests))):
                if self.requests[index] is request:
                    self.requests[index] = attrs.evolve(request, status=status)
                    return
