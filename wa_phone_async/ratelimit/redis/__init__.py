"""The extra `redis`: what all processes that share a Redis keep together.

    throttle.RedisThrottle                  the quotas of an app
    registrations.RedisRegistrationLedger   the registrations of each number

The throttle has four parts:

    throttle.RedisThrottle   when each call may go: the queues of this process, and its own book while Redis is away
    batches.RedisBatcher     what goes to Redis: one script and one round trip at a time
    budget.lua               the rule, on the clock of Redis: the same as in `budget.py`
    breaker.Breaker          when to do without Redis

Each process counts its own calls as well, so that its book is right when Redis fails. When Redis is back, it gets the
reports that it missed. If it lost its memory in a restart, it gets those of the last hour again.
"""

from .registrations import RedisRegistrationLedger
from .throttle import RedisThrottle

__all__ = ["RedisRegistrationLedger", "RedisThrottle"]
