"""The command line `wa-phone`. The extra `cli` installs what it needs.

    starting.py           Ctrl-C while a command starts or ends
    app.py                the commands together; how a run ends
    connection.py         options that say where a command runs, and the client for them
    options.py            what other options of several commands mean
    errors.py             an error as a sentence and an exit status
    onboarding_dialog.py  the dialog of `wa-phone onboard`
    cluster.py            the part of `wa-phone export` that runs on a Dask cluster
    commands/             one module for each command, imported when the command runs
    terminal/             what is printed and read:
        output.py         stdout and stderr, and what may be written to a terminal
        hiding.py         secrets in messages
        help.py           the layout of --help
        formats.py        phone numbers for programs
        table.py          phone numbers as a table
        changes.py        changes as lines
        live.py           changes as a view that fills the screen
        progress.py       the progress of an export
        redraw.py         a line that is drawn again in its place
        waits.py          why a command waits
        timer.py          an action that is repeated
        stdin.py          lines of standard input
        ids.py            account ids from a file or a pipe
        prompt.py         prompts for secrets
        stopping.py       Ctrl-C and SIGTERM

To add a command, write a module of `commands/` with a `command`, and add its name and its summary to the table in
`app.py`. A command writes its data with `output.write`, and raises its errors.

`wa-phone --help` starts fast: `app.py` and what it imports need no client. rich is imported where something is drawn.
"""
