"""Where webhooks go: the apps that are subscribed to accounts, and the callback URLs of numbers and accounts.

    callbacks.py   callback URLs as values, and what sets them
    audit.py       the rules of the audit: numbers that nobody hears, and numbers whose webhooks go elsewhere
    bulk.py        the edits of many: set, clear, undo

Webhooks that arrive are another matter: see `wa_phone_async.cache`.
"""
