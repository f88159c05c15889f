"""Alerts about changes: a command, a webhook or a notification service hears of them.

alert.py        what an alert says: severity, code, sentence
flapping.py     a value that goes back and forth is told once
outbox.py       what waits for a receiver, and when it is sent again
receivers.py    a command, and a notification service by way of apprise
webhook.py      a signed POST
alerting.py     from the changes of a watch to the outboxes
"""
