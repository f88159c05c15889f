"""Why numbers cannot send: findings about numbers, accounts, businesses and apps.

findings.py    what is found: a `Finding`, and the report of all
facts.py       what the rules read of one number or one account
rules.py       the rules: a table of pure functions
diagnosis.py   many accounts: causes before symptoms, and each finding once
check.py       HealthCheck: where the accounts come from
"""
