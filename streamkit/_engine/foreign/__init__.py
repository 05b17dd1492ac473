"""Streams that an app makes without streamkit, seen from outside: what a middleware can do for them.

Nothing here knows a framework by import. A stream is what the messages of the interface say it is, and the tasks that
make it are found by asking the event loop and, where the app has loaded it, anyio.
"""
