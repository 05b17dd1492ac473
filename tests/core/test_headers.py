"""Response headers and the last event ID, checked against what werkzeug makes of the same request."""

from typing import Any

import pytest
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from streamkit import NDJSON, EventStream
from streamkit._headers import foreign_headers, last_event_id_of, response_headers

DEFAULTS = [
    ("Content-Type", "text/event-stream"),
    ("Cache-Control", "no-cache, no-transform"),
    ("X-Accel-Buffering", "no"),
]


def test_defaults_say_type_cache_and_no_buffering() -> None:
    """Three headers, and Vary only where the format was negotiated."""
    assert response_headers(EventStream()) == DEFAULTS
    assert response_headers(NDJSON())[0] == ("Content-Type", "application/x-ndjson")
    assert response_headers(EventStream(), vary_accept=True) == [*DEFAULTS, ("Vary", "Accept")]


@pytest.mark.parametrize("name", ["content-type", "Cache-Control", "X-ACCEL-BUFFERING"])
def test_header_of_the_user_wins(name: str) -> None:
    """Whatever its case, it stands instead of the default."""
    headers = response_headers(EventStream(), {name: "mine"})
    assert [value for other, value in headers if other.lower() == name.lower()] == ["mine"]
    assert len(headers) == 3


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("no-store", "no-store, no-transform"),
        ("no-cache, No-Transform", "no-cache, No-Transform"),
        ("", ""),
    ],
)
def test_event_stream_of_an_app_is_not_to_be_compressed_on_its_way(given: str, sent: str) -> None:
    """What the app says of caches stays; of other formats it may have meant that too, and of no header nothing."""
    assert foreign_headers([("cache-control", given)], EventStream())[0] == ("cache-control", sent)
    assert foreign_headers([("cache-control", given)], NDJSON())[0] == ("cache-control", given)
    assert foreign_headers([("cache-control", given)], EventStream())[1:] == DEFAULTS[2:]


def test_repeated_headers_are_kept() -> None:
    """Two cookies are two headers, in a list and in werkzeug's own."""
    cookies = [("Set-Cookie", "a=1"), ("set-cookie", "b=2")]
    for user in (cookies, Headers(cookies)):
        kept = [pair for pair in response_headers(EventStream(), user) if pair not in DEFAULTS]
        assert [(name.lower(), value) for name, value in kept] == [("set-cookie", "a=1"), ("set-cookie", "b=2")]


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "CONNECTION", "Keep-Alive"])
def test_header_of_the_server_is_never_emitted(name: str) -> None:
    """The server frames the body; the same header from a view would break the connection."""
    assert response_headers(EventStream(), {name: "1"}) == DEFAULTS


@pytest.mark.parametrize(
    ("given", "vary"),
    [
        (["Origin"], "Origin, Accept"),
        (["Origin", "Cookie"], "Origin, Cookie, Accept"),
        (["accept, Origin"], "accept, Origin"),
        (["*"], "*"),
        ([""], "Accept"),
    ],
)
def test_vary_of_the_user_is_merged_with_accept(given: list[str], vary: str) -> None:
    """One Vary header that says both."""
    headers = response_headers(EventStream(), [("vary", value) for value in given], vary_accept=True)
    assert [pair for pair in headers if pair[0] == "Vary"] == [("Vary", vary)]


def test_lower_case_names_become_canonical() -> None:
    """Names are shown as documents write them; one that has capitals is left as it is."""
    assert response_headers(EventStream(), {"x-request-id": "1", "ETag": "2"})[3:] == [
        ("X-Request-Id", "1"),
        ("ETag", "2"),
    ]


@pytest.mark.parametrize(("name", "value"), [("X", "a\r\nSet-Cookie: b"), ("X\n", "a"), ("X", "a\0")])
def test_line_break_in_a_header_is_refused(name: str, value: str) -> None:
    """It would forge a header; werkzeug refuses line breaks too."""
    with pytest.raises(ValueError, match="line break"):
        response_headers(EventStream(), {name: value})


@pytest.mark.parametrize(("name", "value"), [("X-Left", 5), ("X-Left", None), ("X-Left", b"5"), (b"X-Left", "5")])
def test_header_that_is_no_text_is_named(name: Any, value: Any) -> None:
    """A number, say, is shown with its name, in the view."""
    with pytest.raises(TypeError, match=f"header's name and value must be str; got {name!r}: {value!r}"):
        response_headers(EventStream(), {name: value})


@pytest.mark.parametrize(
    ("header", "query", "expected"),
    [
        ("7", "", "7"),
        (b"7", b"", "7"),
        ("7", "last_event_id=8", "7"),
        (None, "a=1&last_event_id=8&last_event_id=9", "8"),
        ("", "last_event_id=8", "8"),
        (None, "last_event_id=", None),
        (None, "", None),
        ("a\0b", "", None),
        ("a\0b", "last_event_id=8", "8"),
        (None, "last_event_id=a%0Ab", None),
        (None, "last_event_id=a%0D&last_event_id=9", None),
        (b"caf\xc3\xa9", b"", "café"),
        ("caf\xc3\xa9", "", "café"),
        (b"caf\xe9", b"", "café"),
        ("caf\xe9", "", "café"),
        ("日本", "", "日本"),
        (None, "last_event_id=caf%C3%A9+1", "café 1"),
        (None, b"last_event_id=caf\xc3\xa9", "café"),
        (None, "last_event_id=caf\xc3\xa9", "café"),
    ],
)
def test_last_event_id_is_the_header_then_the_query(header: Any, query: Any, expected: str | None) -> None:
    """The header wins, both are UTF-8, and what no event can have is absent."""
    assert last_event_id_of(header, query) == expected


@pytest.mark.parametrize(
    "query", ["last_event_id=8", "last_event_id=caf%C3%A9+1", "x=%26last_event_id%3D1", "a&b=;c", "last_event_id=%41%"]
)
def test_query_is_read_as_werkzeug_reads_it(query: str) -> None:
    """Percent signs, plus signs and stray separators mean the same."""
    environ = EnvironBuilder(query_string=query).get_environ()
    assert last_event_id_of(None, environ["QUERY_STRING"]) == Request(environ).args.get("last_event_id")
