"""NDJSON, `application/x-ndjson`: one JSON value a line, each line ended by LF, no blank lines, no BOM."""

from collections.abc import Callable

from streamkit import _json
from streamkit._format import Format
from streamkit._json import Dumps, default, dumps, encoder, settled
from streamkit.errors import EncodeError
from streamkit.sse import MISSING, EncodedEvent, Event


class NDJSON(Format):
    r"""Write every item as one line of JSON.

    An `Event` becomes an object of those of `data`, `event` and `id` that it has; with only a comment or a retry it
    writes nothing.

    Args:
        dumps: Your own JSON encoder, returning str or bytes without a line break.
        media_type: `application/jsonl` is the other name in use.

    The keepalive, an empty line, is off unless asked for: many readers parse every line and fail on it.
    """

    keepalive = b"\n"

    def __init__(self, *, dumps: Dumps | None = None, media_type: str = "application/x-ndjson") -> None:
        self.media_type = media_type
        self._dumps = encoder(dumps)
        self._common = dict if dumps is None else None

    def encode(self, item: object) -> bytes:
        """Return one JSON line.

        Raises:
            EncodeError: The item is not JSON, or `dumps` wrote a line break.
        """
        if type(item) is self._common:
            try:  # what `dumps` does, without the call, as in event streams
                line = _json.write(item, default, _json.options)
            except TypeError:
                line = dumps(item)
            if b"u"[0] in line or not line.isascii():
                line = settled(line, item)
        elif not (line := json_text(item, self._dumps)):
            return line
        if b"\n"[0] in line or b"\r"[0] in line:
            raise EncodeError(type(item).__name__, "its JSON has a line break; let dumps write one line")
        return line.join((b"", b"\n"))


def json_text(item: object, dumps: Callable[[object], bytes]) -> bytes:
    """Return what JSON formats send for an item: an Event's fields as an object, `b""` if it sends nothing."""
    if not isinstance(item, Event):
        return dumps(item)
    if type(item) is EncodedEvent:
        return item.written(("json", dumps), lambda: _fields(item, dumps))
    return _fields(item, dumps)


def _fields(item: Event, dumps: Callable[[object], bytes]) -> bytes:
    sent = {name: value for name, value in (("event", item.event), ("id", item.id)) if value is not None}
    if type(item) is EncodedEvent and item.is_json:
        rest = dumps(sent).strip()[1:] if sent else b"}"
        return b'{"data":%b%b%b' % (item.encoded, b"," if sent else b"", rest)
    if item.data is MISSING:
        return dumps(sent) if sent else b""
    return dumps({"data": item.data, **sent})
