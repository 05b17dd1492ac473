"""The client of the benchmarks counts what a server sends, however it is cut, and notices what is missing."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from benchmarks.reading import Crowd, Reading, answer_time, lateness, read_to_end

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def _answer(connection: socket.socket, pieces: tuple[bytes, ...], *, stay: bool) -> None:
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.recv(1_000)
        for piece in pieces:
            connection.sendall(piece)
        if stay:
            connection.settimeout(30)
            with suppress(OSError):  # one that leaves without having read it all resets the connection
                connection.recv(1)


@contextmanager
def answering(*pieces: bytes, stay: bool = False) -> Iterator[int]:
    """Answer every request by these pieces, each sent by itself, and then close or `stay`; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=_answer, args=(connection, pieces), kwargs={"stay": stay}, daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_events_are_counted_wherever_a_piece_ends() -> None:
    """Chunk sizes, line ends and cuts inside an event change nothing."""
    pieces = (HEAD + b"7\r\ndata: he", b"llo~\n", b"\n\r\n", b"e\r\ndata: a~\n\ndata: b~\n\n\r\n0\r\n\r\n")
    with answering(*pieces) as port:
        reading = read_to_end(port, "/", 3)
    assert (reading.events, reading.size) == (3, sum(map(len, pieces)))
    assert reading.seconds > 0


def test_what_an_earlier_piece_left_in_the_buffer_is_not_counted_again() -> None:
    """A body of many pieces, of which the last is short."""
    with answering(HEAD, b"data: hello~\n\n" * 50_001) as port:
        assert read_to_end(port, "/", 50_001).events == 50_001


def test_a_response_with_too_few_events_is_an_error() -> None:
    """A server that fails halfway is not the quickest."""
    with answering(HEAD + b"data: a~\n\n") as port, pytest.raises(RuntimeError, match="1 events instead of 2"):
        read_to_end(port, "/some", 2)


def test_rate_is_events_over_seconds() -> None:
    """Not bytes."""
    assert Reading(events=10, size=130, seconds=2.0).rate == 5.0


def test_an_answer_that_is_no_success_is_an_error() -> None:
    """A refusal comes quickly."""
    with answering(b"HTTP/1.1 503 Busy\r\n\r\n") as port, pytest.raises(RuntimeError, match="503"):
        answer_time(port, "/")


def test_lateness_is_taken_from_every_stamp() -> None:
    """One piece may hold several events, or half of one, which the microseconds that are missing tell."""
    piece = b"data: ~100.250000 \n\n\r\n17\r\ndata: ~100.500000 \n\ndata: ~100.7"
    assert lateness(piece, 101.0) == [pytest.approx(0.75), pytest.approx(0.5)]


def test_a_crowd_reads_until_every_connection_has_the_event() -> None:
    """What came before it is read too, and passed over."""
    with answering(HEAD + b"5\r\nfirst", b"6\r\n 5~\n\n", stay=True) as port, Crowd(port, "/") as crowd:
        crowd.open(5)
        crowd.until_all_have(b"5~")
        assert len(crowd.sockets) == 5


def test_a_crowd_grows_by_streams_whose_body_has_begun() -> None:
    """One that ends before is an error, not a connection that costs little."""
    with answering(HEAD, b"5\r\nfirst", stay=True) as port, Crowd(port, "/") as crowd:
        crowd.grow(3)
        assert len(crowd.sockets) == 3
    with answering(HEAD) as port, Crowd(port, "/") as crowd, pytest.raises(RuntimeError, match="ended at once"):
        crowd.grow(1)


def test_a_crowd_notices_a_stream_that_has_ended() -> None:
    """From it nothing more would come."""
    with answering(HEAD + b"5~") as port, Crowd(port, "/") as crowd:
        crowd.open(1)
        with pytest.raises(RuntimeError, match="has ended"):
            crowd.until_all_have(b"6~")
