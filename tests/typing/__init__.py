"""The types of the public API, held for mypy and for pyright by files that are checked and never run.

A wrong use stands with the error that each checker must report, for the user is told by it before the program runs; an
ignore that is no longer needed fails the check. Run by `make types`.
"""
