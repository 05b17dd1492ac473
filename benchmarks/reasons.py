"""Why a target is missed, by its key: written by hand from what was measured, and shown only where it is missed."""

_LINES = (
    "The floor and the peers send lines that are ready; streamkit encodes a dict for each, which alone takes orjson 85"
    " ns, and 160 ns where the frames of a whole batch are kept. Of the time of one item the pump has 280 ns, orjson"
    " and the line 220 ns, and the promises 150 ns: no line break, no NaN, no line separator. Without these three it"
    " would still be 1.1 times what an event of text takes."
)
_INLINE = (
    "An item leaves before the next is asked for, since nobody can tell whether a generator blocks next. So items are"
    " not sent together, and all that can be compared is the 2.1 us that gunicorn takes for a chunk. A generator which"
    " only puts `data:` before a text already reaches 0.94, and one which also looks for line breaks 0.84 to 0.88."
    " Under a server with threads a stream that has its keepalive runs in a thread of its own, and what is ready"
    " together leaves together."
)

REASONS: dict[str, str] = {
    "dict-peer": (
        "The best peer encodes with msgspec, which writes a NaN as null. Above the floor streamkit looks four times at"
        " the line, 16 ns each: for a null that may have been a NaN, for line separators, and for the two line breaks"
        " that an `orjson.Fragment` may bring. The hint for a dict of field names takes as long as one of them."
    ),
    "burst-ndjson-raw": _LINES,
    "burst-ndjson-starlette": _LINES,
    "wsgi-flask": _INLINE,
    "wsgi-django": _INLINE,
    "fan-out-cpu": (
        "The lowest is Quart, whose view reads an unbounded `asyncio.Queue`; most of what it takes is the socket and"
        " the wake-up of a task, as in the raw app. For its one or two microseconds more streamkit bounds what waits"
        " for a slow reader, knows from where it can resume, puts off the keepalive, limits how long a send may take,"
        " and counts. Calling the server's `send` from within `publish`, without waking the stream's task, was tried,"
        " and without sockets cost less than the raw app; but a `send` that a middleware has wrapped may rely on the"
        " task that it runs in, so each stream goes on sending from its own."
    ),
}
