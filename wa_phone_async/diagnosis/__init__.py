"""Diagnoses of a set-up: from a host that does not respond to a permission that the token lacks.

    report.py      the values: a `Check` for each thing that can be wrong, and the `Diagnosis` of them all
    installed.py   versions and extras
    host.py        the host, the proxy, the version of the API and the clock
    token.py       the token, its permissions and its accounts
    doctor.py      sends the few requests that the checks need

The first four decide without I/O.
"""
