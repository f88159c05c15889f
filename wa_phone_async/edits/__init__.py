"""Edits: a change of one setting on many numbers or accounts, which is planned, journalled, sent once, and undone.

    targets.py   the numbers or accounts to change, as callers name them
    edit.py      Edit: one setting of one number or account, its old value, its new value, and its state
    journal.py   what is planned, what was sent, and how it ended, in a file that outlives a kill
    bulk.py      BulkEdit: plans edits, sends each once, and goes on after a kill

The package knows no setting. An `EditPlan` says how one is read and written.
"""
