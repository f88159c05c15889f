"""What works on files and needs no client: exports, edits and comparisons stand on it.

lock.py            a lock on a file that is being written
thread.py          a thread for the work on files
lines_on_disk.py   lines that outlive a kill, with checksums
exported.py        reads what an export wrote
"""
