"""The command line `wa-phone`, installed with the extra `cli`: one file for each command, and what they share.

    app.py          the commands together, and how a run ends: exit status, errors
    listing.py      wa-phone list
    creating.py     wa-phone create
    onboarding.py   wa-phone onboard
    watching.py     wa-phone watch
    exporting.py    wa-phone export
    serving.py      wa-phone sandbox
    completion.py   wa-phone completion
    connection.py   the options that say where a command runs, and the client made of them
    help.py         how --help looks
    output.py       stdout and stderr: what may be written to a terminal
    formats.py      phone numbers as JSON, JSON Lines and CSV
    table.py        phone numbers as a table that fits its terminal
    changes.py      changes as lines
    live.py         changes on a terminal
    redrawing.py    what is drawn again in its place on a terminal
    steps.py        which step a number takes next
    walk.py         the steps of a number, with a person beside
    prompting.py    answers that nobody may see
    patience.py     why a command stands still
    ids.py          ids out of a file or a pipe
    progress.py     how far an export has come
    stopping.py     Ctrl-C and kills, for work that has to be ended in order

It is built on the front door of the library alone. A new command is a function in a file of its own, registered in
`app.py`; it writes its data with `output`, and raises what goes wrong.
"""
