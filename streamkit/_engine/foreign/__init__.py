"""Streams that an app makes without streamkit, seen from outside: what a middleware can do for them.

Nothing here knows a framework by import. A stream is what the interface says it is. Under WSGI and in Django the app's
body becomes the source of a `Stream`, which the engine runs. An ASGI app runs itself: what it sends passes through, and
the tasks that make it are found by asking the event loop and, where the app has loaded it, anyio.

    kinds        which responses are streams, and of what bytes
    options      of a middleware, checked; and the streams that have them
    mark         how a response of streamkit says that it needs none of this
    wsgi         the WSGI middleware; Django's is in `_django`
    asgi         the ASGI middleware; all below is its
    guard        what stands between app and server for one request
    stream       one stream, from its head to its end
    flow         its messages on their way to the server
    inbox        what the app receives
    ending       how an app is ended
    tasks        who makes a stream
"""
