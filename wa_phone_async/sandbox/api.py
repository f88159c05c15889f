"""What the server asks at each stage of a call: one lock around everything that remembers."""

import contextlib
import threading

import attrs

from .access import Access
from .budget import Meter
from .codes import Code
from .faults import Fault, Plan
from .graph import Graph
from .messages import Answer, GraphError, Request
from .modes import Mode
from .reviews import Reviews
from .store import Store


class Api:
    """The Graph API with its faults and its record.

    `lock` is held for decisions only, never while anything waits. Who touches the parts from outside holds it
    too; what is on the agenda comes from outside as well, so whoever has the lock may take it again.
    """

    def __init__(
        self, store: Store, mode: Mode, access: Access, meter: Meter, reviews: Reviews, *, with_links: bool
    ) -> None:
        self.lock: threading.RLock = threading.RLock()
        self.requests: list[Request] = []
        self.plan: Plan = Plan()
        self.store = store
        self.access = access
        self.meter = meter
        self.reviews = reviews
        self._graph = Graph(store, mode, access, meter, reviews, with_links=with_links)
        self.inbox: list[Code] = self._graph.onboarding.codes.inbox

    def receive(self, request: Request) -> Fault:
        """Record a request and say what is to go wrong with it."""
        with self.lock:
            self.requests.append(request)
            return self.plan.take(request.method, request.node)

    def answer(self, request: Request, fault: Fault, now: float) -> Answer:
        """Carry a request out, unless the fault answers for it."""
        with self.lock:
            self.reviews.keep_up(now)
            if fault.reply is None:
                return self._graph.answer(request, now)
            if fault.takes_effect:
                self._graph.answer(request, now)
            if isinstance(fault.reply, GraphError):
                return self._graph.refuse(request, fault.reply)
            return fault.reply

    def settle(self, request: Request, status: int) -> None:
        """Put the status answered into the record, if the request is still there."""
        with self.lock, contextlib.suppress(IndexError):  # another thread may clear the list meanwhile
            for place in reversed(range(len(self.requests))):
                if self.requests[place] is request:
                    self.requests[place] = attrs.evolve(request, status=status)
                    return
