"""The command line: parse, call, render; one file a verb group.

In: arguments and the environment. Out: one answer on standard output (with `--json`
exactly one document), everything else on standard error, and an exit code: 0 yes, 1 ran
and the answer is no, 2 could not run, 70 our bug, 75 try again, 130 interrupted.

    $ geartrain contract check --json
    {"schema": "geartrain.contract-check/1", "ok": true, ...}
"""
