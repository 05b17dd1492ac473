"""The raw client tells apart what a library would blur; judged against sockets that say exactly what we wrote."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.rig.http import HTTPStream
from tests.rig.stream import Stalled

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
Serve = Callable[..., HTTPStream]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve the given parts, one per 20 ms, then close; a None keeps the connection open instead."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        release = threading.Event()

        def answer(parts: tuple[bytes | None, ...]) -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                for part in parts:
                    if part is None:
                        release.wait(10)
                    else:
                        connection.sendall(part)
                        time.sleep(0.02)

        def start(*parts: bytes | None, method: str = "GET") -> HTTPStream:
            threading.Thread(target=answer, args=(parts,), daemon=True).start()
            return HTTPStream(listener.getsockname()[1], "/", method=method)

        yield start
        release.set()


def test_terminating_chunk_is_a_clean_end(serve: Serve) -> None:
    """The zero chunk ends a body, however the bytes were cut."""
    with serve(CHUNKED + b"3\r", b"\nab", b"c\r\n0\r\n", b"\r\n") as stream:
        assert stream.read_to_end() == b"abc"
        assert stream.ending == "chunk"
        assert stream.clean


def test_missing_terminating_chunk_is_truncation(serve: Serve) -> None:
    """A connection closed between two chunks is no clean end."""
    with serve(CHUNKED + b"3\r\nabc\r\n") as stream:
        assert stream.read_to_end() == b"abc"
        assert stream.ending == "truncated"
        assert not stream.clean


def test_short_content_length_is_truncation(serve: Serve) -> None:
    """Fewer bytes than were announced are a truncation."""
    with serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc") as stream:
        stream.read_to_end()
        assert stream.ending == "truncated"


def test_full_content_length_is_a_clean_end(serve: Serve) -> None:
    """All announced bytes end the body, also while the connection stays open."""
    with serve(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", None) as stream:
        assert stream.read_to_end() == b"abc"
        assert stream.ending == "length"


def test_close_ends_a_body_without_length(serve: Serve) -> None:
    """Without length and chunks the end of the connection is the end of the body."""
    with serve(b"HTTP/1.1 200 OK\r\n\r\nabc") as stream:
        assert stream.read_to_end() == b"abc"
        assert stream.ending == "close"


def test_head_is_seen_before_the_body(serve: Serve) -> None:
    """The head is there while the body is silent."""
    with serve(CHUNKED, None) as stream:
        assert stream.head(1.0).status == 200
        assert stream.silent_for(0.1)


def test_pieces_carry_their_times(serve: Serve) -> None:
    """Two chunks sent apart arrive as two pieces, in order of time."""
    with serve(CHUNKED + b"1\r\na\r\n", b"1\r\nb\r\n0\r\n\r\n") as stream:
        first, second = stream.piece(), stream.piece()
        assert first is not None
        assert second is not None
        assert (first.data, second.data) == (b"a", b"b")
        assert first.at < second.at
        assert stream.piece() is None


def test_error_says_what_had_arrived(serve: Serve) -> None:
    """A wait that fails shows status and body so far."""
    shown = r"'xyz'.*0.2 s.*status 200, 3 bytes.*abc"
    with serve(CHUNKED + b"3\r\nabc\r\n", None) as stream, pytest.raises(Stalled, match=shown):
        stream.read_until(b"xyz", within=0.2)


def test_body_of_a_head_response_is_noticed(serve: Serve) -> None:
    """Bytes that follow the head of a HEAD response are kept, not taken for silence."""
    with serve(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", None, method="HEAD") as stream:
        stream.head()
        assert stream.body == b"abc"
