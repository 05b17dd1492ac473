"""Which of several formats a request wants (RFC 9110, 12.5.1). Pure: the header's text in, one format out."""

import re
from collections.abc import Sequence

from streamkit._format import Format
from streamkit._headers import media_type
from streamkit.errors import NotAcceptableError

_QUALITY = re.compile(r"0(\.\d*)?|1(\.0*)?")
_RANGE = re.compile(r"\*/\*|[\w!#$%&'+.^`|~-]+/(\*|[\w!#$%&'+.^`|~-]+)", re.ASCII)


def choose(accept: str | None, formats: Sequence[Format]) -> Format:
    """Return the format that the client rates highest; among equals, the one that stands first.

    For each format the most specific range counts, so `*/*;q=1, text/event-stream;q=0` refuses event streams.
    Parameters such as charset are ignored, and so is a range that cannot be read. No Accept at all takes the first.

    Args:
        accept: The Accept header, several joined by commas; None where there is none.
        formats: On offer, in the server's order of preference.

    Raises:
        NotAcceptableError: The client takes none of them; answer 406.
    """
    ranges = _parse(accept or "")
    if not ranges:
        return formats[0]
    rated = [(_quality(media_type(format.media_type), ranges), format) for format in formats]
    quality, best = max(rated, key=lambda pair: pair[0])  # max() keeps the first of equals
    if quality == 0:
        raise NotAcceptableError(accept or "", tuple(format.media_type for format in formats))
    return best


def _parse(accept: str) -> dict[str, float]:
    ranges: dict[str, float] = {}
    for element in accept.split(","):
        media, *parameters = (part.strip().lower() for part in element.split(";"))
        quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
        if _RANGE.fullmatch(media) and _QUALITY.fullmatch(quality):
            ranges[media] = max(float(quality), ranges.get(media, 0))
    return ranges


def _quality(media: str, ranges: dict[str, float]) -> float:
    wildcard = media.partition("/")[0] + "/*"
    return next((ranges[name] for name in (media, wildcard, "*/*") if name in ranges), 0)
