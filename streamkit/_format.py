"""What every format is: a media type, one item to one frame, and a filler for idle times.

Formats are pure: the same item gives the same bytes, and one instance serves any number of streams, in any threads.
"""


class Format:
    r"""Turn items into frames; subclass it for a format of your own.

        class CSV(Format):
            media_type = "text/csv"

            def encode(self, item: object) -> bytes:
                return (",".join(map(str, item)) + "\n").encode()

        return TextStreamResponse(rows(), format=CSV())

    A subclass sets `media_type` and writes `encode`. `keepalive` is the filler that may stand between two frames
    and that every client skips; `b""` says that the format has none. `keepalive_by_default` says whether an idle
    stream sends it unasked.
    """

    media_type: str
    keepalive: bytes = b""
    keepalive_by_default: bool = False

    def encode(self, item: object) -> bytes:
        """Return the whole frame of one item, or `b""` for an item that writes nothing.

        Raises:
            EncodeError: The item cannot be written in this format.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define encode()")

    def with_retry(self, frame: bytes, retry: int) -> bytes:
        """Return the frame with a reconnection time of `retry` milliseconds, where the format can carry one."""
        return frame
