"""The stream contract, for every adapter, sync and async sources, in process and on real servers.

`declared` holds the columns, what is impossible in which of them and why. Each test states one promise; `plan` runs it
for every column; `matrix` writes what came of it to docs/contract.md.
"""
