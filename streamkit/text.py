"""Plain text, `text/plain; charset=utf-8`: the pieces one after another, with nothing between them."""

from streamkit._format import Format
from streamkit._json import as_text, dumps, text_bytes
from streamkit.sse import MISSING, EncodedEvent, Event


class TextStream(Format):
    """Write items as bare text: a str as it is, an `Event` as its data, everything else as JSON; `bytes` is refused.

    There is no filler that a reader would not show, so there is no keepalive, and no mark of a complete end.
    """

    media_type = "text/plain; charset=utf-8"

    def encode(self, item: object) -> bytes:
        """Return the text of one item.

        Raises:
            EncodeError: The item is neither text nor JSON.
        """
        if type(item) is EncodedEvent:
            return item.encoded
        value = item.data if isinstance(item, Event) else item
        if value is MISSING:
            return b""
        text = as_text(value)
        return dumps(value) if text is None else text_bytes(text)
