"""Business profiles: what customers see when they open a number.

profile.py   one profile: how it is read, which values Meta takes, and the write that sets them
many.py      the profiles of many numbers
bulk.py      the edits of many: update, undo
"""
