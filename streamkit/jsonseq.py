"""JSON text sequences, `application/json-seq` (RFC 7464): RS, one JSON text, LF."""

from streamkit._format import Format
from streamkit._json import Dumps, encoder
from streamkit.errors import EncodeError
from streamkit.ndjson import json_text


class JSONSeq(Format):
    """Write every item as one record; an `Event` becomes an object, as in `NDJSON`.

    Args:
        dumps: Your own JSON encoder, returning str or bytes; it may write several lines.
        media_type: Sent as Content-Type.

    The keepalive is a lone RS, an empty record that parsers skip (RFC 7464, 2.1).
    """

    keepalive = b"\x1e"
    keepalive_by_default = True

    def __init__(self, *, dumps: Dumps | None = None, media_type: str = "application/json-seq") -> None:
        self.media_type = media_type
        self._dumps = encoder(dumps)

    def encode(self, item: object) -> bytes:
        """Return one record.

        Raises:
            EncodeError: The item is not JSON, or `dumps` wrote the record separator.
        """
        text = json_text(item, self._dumps)
        if b"\x1e" in text:
            raise EncodeError(type(item).__name__, "its JSON has a raw U+001E, the record separator")
        return b"\x1e%b\n" % text if text else b""
