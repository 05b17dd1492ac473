"""Streams through real proxies, each started with a configuration file of docs/deploy.

`products` says how each program starts, `setups` which configurations there are and what each is built to do to a
stream, `running` starts them, `arrivals` judges what a client sees. A stream is judged by its shape, never by its
speed: the app sends a frame when the test has seen the one before, or has waited long enough without seeing it.
"""
