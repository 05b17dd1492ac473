"""Why a target is missed, by its key: written by hand from what was measured, and shown only where it is missed."""

_LINES = (
    "The floor and the peers send lines that are ready; streamkit encodes a dict for each. In the table below `by hand:"
    " dicts looked at, batched` has dicts too: it encodes each with orjson, looks for what may not pass (a NaN that"
    " became null, a line separator, a line break), gathers for half a millisecond, and does nothing else: it is about"
    " where the target is. The row after it calls an encoder that can be exchanged, may be ended before any item and"
    " knows when its source waits, as streamkit must: it has not reached the target in any run (13.5 to 14.4 times"
    " Starlette's rate), so for a library with formats the target is too high. In process, an event takes that row"
    " 490 ns and streamkit 540; of both, the bare generator is 76, orjson 94, and the looks and the line break 85. Two"
    " rows show the floor and Starlette where their views encode the dicts."
)
_DICT = (
    "Four looks at the line take as long as orjson does: for a null that may have been a NaN, for line separators, and"
    " for the two line breaks that an `orjson.Fragment` may bring. In the table below `by hand` is one function that"
    " encodes, looks and frames: no library that promises as much can be nearer to the floor. What streamkit adds to it"
    " is to find out that the item is a dict, and which encoder the format has."
)
_INLINE = (
    "An item leaves before the next is asked for, since nobody can tell whether a generator blocks next: so items are"
    " not sent together, and what is left to compare is the 2 us that gunicorn takes for a chunk. In the table below"
    " `raw WSGI, texts framed` puts `data: ` before each text and does nothing else. `by hand: promises kept` looks for"
    " line breaks too, runs the source in the Context of its view, counts, measures by two readings of the clock how"
    " long the server takes, and sees whether the stream is to end, all in one function: no library that promises as"
    " much can be nearer to the floor. In six runs it came to 0.90 to 0.97 of the floor, 0.94 in the median: for what"
    " is promised the target is too high, and streamkit is where that row is. In process, an item takes the floor 35"
    " ns, the one by hand 305, and streamkit 380: formats that can be exchanged, and a source that may fail. Under a"
    " server with threads a stream that has its keepalive runs in a thread of its own, and what is ready together"
    " leaves together."
)
_BURST = (
    "An event takes about 360 ns of the server's processor: the bare generator 77 of them, the encoder 133, the buffer"
    " the rest. A reading of the clock for each item, 40 ns, is the price of sending a slow item at once."
)

REASONS: dict[str, str] = {
    "dict-floor": f"The floor looks at nothing. {_DICT}",
    "dict-peer": f"The best peer encodes with msgspec, which writes a NaN as null. {_DICT}",
    "event-peer": (
        "An `Event` is an object, checked when it is built. In a prototype a function that wrote the fields without"
        " an object was 2.5 times as fast as the best peer, and with one that has slots 1.2 times."
    ),
    "burst-sse-raw": _BURST,
    "burst-sse-starlette": _BURST,
    "burst-ndjson-raw": _LINES,
    "burst-ndjson-starlette": _LINES,
    "wsgi-flask": _INLINE,
    "wsgi-django": _INLINE,
    "paced-cpu": (
        "It is what Python itself executes: a token makes as many system calls as in Starlette, one `write` and a tenth"
        " of an `epoll_pwait`. Counted with callgrind, in process on asyncio's own loop, a token takes 8,300"
        " instructions more here than in the raw app, and 6,100 more in the one that was written by hand: the rows"
        " `by hand` keep the same promises in one app, which has one format and no option, so the target is not wrong."
        " What is above it is that one pump serves bursts too: it tells slow items from quick ones by a clock, and"
        " takes any format and any `send`. Starlette sends no keepalive; sse-starlette, which does, takes more than"
        " streamkit."
    ),
    "idle-memory": (
        "A connection of the raw app takes 10.6 KiB, nearly all of it the server's own. The rows `by hand` keep the"
        " same promises, with a task that owns the generator, so that it is closed where it ran, and its Context; they"
        " have no keepalive, no options and no register of open streams. So the target is not wrong. What is above it"
        " are the response and its stream, what counts and ends it, and the coroutines that stand one inside the other"
        " around a source."
    ),
    "idle-cpu": (
        "A filler passes the same limit and accounting as data, in the Context of its stream, and the loop gets a turn"
        " after each millisecond of them. All streams of a loop share one timer, as in the raw app. In process, a"
        " filler takes the raw app 0.5 us, and streamkit 1.7."
    ),
    "fan-out-cpu": (
        "The target is not wrong, and what a channel promises does not stand in the way: the rows `by hand` in the"
        " table below keep it, and the one that sends a channel of streamkit takes less than the lowest peer. What lies"
        " between that row and streamkit is the response: the accounting of each send and the keepalive, the coroutines"
        " around a source, the clock that decides when a batch leaves, and a send that no cancellation leaves half"
        " done. Calling the server's `send` from within `publish`, without waking the stream's task, was tried, and"
        " without sockets cost less than the raw app; but a `send` that a middleware has wrapped may rely on the task"
        " that it runs in, so each stream goes on sending from its own."
    ),
}
