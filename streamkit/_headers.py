"""The headers of a stream, and the request header that resumes it. Pure: names and values in, lists out.

Each default answers something measured in the field: `no-cache` a cache that replays an old stream, `no-transform`
a proxy that compresses and so holds events back, `X-Accel-Buffering: no` the buffer of nginx.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from streamkit._format import Format

Pairs = Iterable[tuple[str, str]]

# They belong to the server, which frames the body: PEP 3333 forbids them, HTTP/2 fails on them (RFC 9113, 8.2.2).
SERVERS_OWN = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})

DEFAULTS = (("Cache-Control", "no-cache, no-transform"), ("X-Accel-Buffering", "no"))


def media_type(content_type: str) -> str:
    """Return a media type without its parameters, in lower case (RFC 9110, 8.3.1)."""
    return content_type.partition(";")[0].strip().lower()


def foreign_headers(app: Pairs, format: Format, defaults: Pairs = DEFAULTS) -> list[tuple[str, str]]:
    """Return the headers of a stream that an app has made by itself: its own win over the defaults.

    An app that says how an event stream may be cached, as sse-starlette and FastAPI do, has not thought of those who
    compress it, and of no event stream can it have meant that: its Cache-Control gets `no-transform` (RFC 9111,
    5.2.2.6). Any other response may be one that is cached and compressed with good reason.

    Args:
        app: The app's headers; what belongs to the server is dropped.
        format: What the app streams.
        defaults: As the interface spells them.
    """
    kept = [(name, value) for name, value in app if name.lower() not in SERVERS_OWN]
    given = {name.lower() for name, _ in kept}
    if format.media_type == "text/event-stream":
        kept = [(name, _untransformed(value) if name.lower() == "cache-control" else value) for name, value in kept]
    return kept + [pair for pair in defaults if pair[0].lower() not in given]


def response_headers(
    format: Format, user: Mapping[str, str] | Pairs | None = None, *, vary_accept: bool = False
) -> list[tuple[str, str]]:
    """Return the headers of a stream as pairs, with the user's own instead of the defaults of the same name.

    Args:
        format: Whose media type is the default Content-Type.
        user: Headers of the view. A repeated name, such as Set-Cookie, is kept; what belongs to the server is dropped.
        vary_accept: The format was chosen by Accept, so caches must be told; added to a Vary of the user.

    Raises:
        TypeError: A name or value is no str.
        ValueError: A name or value holds a line break or NUL, which would forge a header.
    """
    given: dict[str, list[tuple[str, str]]] = {}
    for name, value in user.items() if isinstance(user, Mapping) else user or ():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise TypeError(f"a header's name and value must be str; got {name!r}: {value!r:.200}")
        if _breaks(name + value):
            raise ValueError(f"header {name!r} must not hold a line break or NUL; got {value!r}")
        given.setdefault(name.lower(), []).append((name.title() if name.islower() else name, value))
    if vary_accept:
        given["vary"] = [("Vary", _with_accept([value for _, value in given.get("vary", [])]))]
    headers = [pair for pair in (("Content-Type", format.media_type), *DEFAULTS) if pair[0].lower() not in given]
    return headers + [pair for name, pairs in given.items() if name not in SERVERS_OWN for pair in pairs]


def last_event_id_of(header: str | bytes | None, query_string: str | bytes) -> str | None:
    """Return the id after which the client wants to go on, or None for a client that starts anew.

    The header wins over the query parameter `last_event_id`: a browser cannot set the header when it first connects,
    and repeats the URL with its old query when it reconnects. An id that no event can have counts as absent.

    Args:
        header: The value of Last-Event-ID; UTF-8 on the wire, though servers hand it on as latin-1 text.
        query_string: The raw query of the URL, without `?`.
    """
    from_query = [value for name, value in parse_qsl(_utf8(query_string)) if name == "last_event_id"]
    candidates = (_utf8(header or ""), *from_query[:1])
    return next((candidate for candidate in candidates if candidate and not _breaks(candidate)), None)


def _breaks(text: str) -> bool:
    return any(char in text for char in "\r\n\0")


def _utf8(raw: str | bytes) -> str:
    try:
        return (raw.encode("latin-1") if isinstance(raw, str) else raw).decode()
    except UnicodeEncodeError:
        return str(raw)  # no bytes read as latin-1, but text already
    except UnicodeDecodeError:
        return raw if isinstance(raw, str) else raw.decode("latin-1")


def _untransformed(cache_control: str) -> str:
    known = "no-transform" in cache_control.lower()
    return cache_control if known or not cache_control.strip() else f"{cache_control}, no-transform"


def _with_accept(vary: list[str]) -> str:
    names = [name.strip() for name in ",".join(vary).split(",") if name.strip()]
    known = any(name.lower() in ("*", "accept") for name in names)
    return ", ".join(names if known else [*names, "Accept"])
