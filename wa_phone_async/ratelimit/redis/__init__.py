"""The extra `redis`: the budgets of an app kept in Redis, so that all of its processes are one well-behaved caller.

    throttle.RedisThrottle   who goes when: the queues of this process, and its own book for when Redis is away
    trips.Line               what is said to Redis, one script and one round trip at a time
    budget.lua               the rule, on the clock of Redis: the same as in `budget.py`
    breaker.Breaker          when to do without Redis

Every call is written into the book of this process as well, so that the book is right when it is needed. What Redis was
not told, or has forgotten in a restart, it is told when it is back.
"""

from .throttle import RedisThrottle

__all__ = ["RedisThrottle"]
