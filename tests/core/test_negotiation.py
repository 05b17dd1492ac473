"""Which format an Accept header takes, by cases of RFC 9110 and against werkzeug."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from streamkit import NDJSON, EventStream, JSONSeq, NotAcceptableError, TextStream
from streamkit._negotiation import choose

SSE, LINES, SEQ, TEXT = FORMATS = (EventStream(), NDJSON(), JSONSeq(), TextStream())


@pytest.mark.parametrize(
    ("accept", "index"),
    [
        (None, 0),
        ("", 0),
        ("*/*", 0),
        ("application/x-ndjson", 1),
        ("APPLICATION/X-NDJSON ; q=1", 1),
        ("text/event-stream;q=0.5, application/json-seq;q=0.9", 2),
        ("text/plain", 3),
        ("text/plain;charset=utf-16", 3),
        ("text/*", 0),
        ("application/*", 1),
        ("*/*, text/event-stream;q=0", 1),
        ("text/*;q=0, */*", 1),
        ("text/*;q=0.1, text/plain;q=0.2, */*;q=0.1", 3),
        ("application/json-seq, */*;q=0.1", 2),
        ("text/event-stream, */*", 0),
        ("text/event-stream;q=0.0, text/event-stream;q=0.3;charset=x", 0),
        ("text/event-stream;q=2, application/x-ndjson;q=0.1", 1),
        ("text/event-stream;q=x, application/x-ndjson;q=0.1", 1),
        ("nonsense, application/x-ndjson", 1),
        ("nonsense, */plain, ;q=1, ,", 0),
    ],
)
def test_accept_chooses_a_format(accept: str | None, index: int) -> None:
    """The highest quality wins, the most specific range counts, the server's order breaks a tie."""
    assert choose(accept, FORMATS) is FORMATS[index]


@pytest.mark.parametrize("accept", ["image/png", "*/*;q=0", "text/*;q=0, application/*;q=0.000"])
def test_nothing_acceptable_lists_what_is_offered(accept: str) -> None:
    """The error has what a 406 should say."""
    with pytest.raises(NotAcceptableError) as caught:
        choose(accept, FORMATS)
    assert caught.value.accept == accept
    assert caught.value.offered == tuple(format.media_type for format in FORMATS)
    assert all(media_type in str(caught.value) for media_type in caught.value.offered)


medias = st.sampled_from(
    ["text/event-stream", "application/x-ndjson", "application/json-seq", "image/png", "text/*", "application/*", "*/*"]
)
ranges = st.dictionaries(medias, st.sampled_from(["1", "0.9", "0.5", "0.25"]), min_size=1)


@given(ranges)
def test_choice_is_one_of_the_best_by_werkzeug(rated: dict[str, str]) -> None:
    """Our choice has the quality that werkzeug gives to the most specific range, and none has a higher one.

    Intended difference: on a tie werkzeug prefers the more specific range, we prefer the server's order.
    """
    accept = ", ".join(f"{media};q={quality}" for media, quality in rated.items())
    theirs = parse_accept_header(accept, MIMEAccept)

    def quality(media: str) -> float:
        group = media.partition("/")[0] + "/*"
        return next((float(rated[name]) for name in (media, group, "*/*") if name in rated), 0)

    offered = [format for format in FORMATS if format is not TEXT]
    try:
        chosen = choose(accept, offered)
    except NotAcceptableError:
        assert theirs.best_match([format.media_type for format in offered]) is None
    else:
        assert theirs[chosen.media_type] == quality(chosen.media_type)
        assert quality(chosen.media_type) == max(quality(format.media_type) for format in offered)


@given(st.text())
def test_no_header_breaks_the_choice(accept: str) -> None:
    """A client may send anything; it gets a format or a 406."""
    with suppress(NotAcceptableError):
        assert choose(accept, FORMATS) in FORMATS
