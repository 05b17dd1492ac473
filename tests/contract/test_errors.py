"""Contract points 6 and 7: an error before the body is an error response, one in the body never looks like an end."""

from __future__ import annotations

from tests.contract.plan import Served, promise
from tests.rig.scenarios import FAILURE


def _assert_refused(served: Served, scenario: str) -> None:
    """Assert that the host answers 403, or that a server without a framework got the exception before any head."""
    bare = served.column.adapter in ("asgi", "wsgi")
    with served.open(scenario) as stream:
        if not bare:
            assert stream.head().status == 403
            return
        stream.drain(1.5)
        assert b"data" not in stream.body
        assert stream.status in (None, 500)
        if served.column.server is None:
            assert isinstance(stream.error, LookupError)


@promise(
    6,
    "What the source raises before it first waits becomes the framework's own error response.",
    interfaces=("asgi",),
)
def test_error_before_the_first_item_is_an_error_response(served: Served) -> None:
    """A 403 raised in the generator is a 403 on the wire, as if there were no stream."""
    _assert_refused(served, "refused")


@promise(
    6,
    "With `primed` this holds on every interface, and what is not refused streams as ever.",
    but_not=(("fastapi-yield", "FastAPI calls the endpoint, nobody can await before it"),),
)
def test_primed_source_that_is_refused_is_an_error_response(served: Served) -> None:
    """The view waits for the first item, so that a refusal is the host's ordinary error."""
    _assert_refused(served, "refused_primed")
    with served.open("finite_primed") as stream:
        assert stream.read_to_end().removeprefix(b":\n") == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
        assert stream.clean
    assert served.closed()["strayed"] == []


@promise(7, "An error in the body cuts the stream, after all items before it, and tells the client nothing.")
def test_error_in_the_body_cuts_the_stream(served: Served) -> None:
    """The client can tell a failed stream from a finished one, in every format, and reads no exception text."""
    for scenario, frames in (("failing", b"data: one\n\ndata: two\n\n"), ("ndjson_failing", b'"one"\n"two"\n')):
        with served.open(scenario) as stream:
            body = stream.read_to_end(within=3)
            assert body.removeprefix(b":\n") == frames
            assert not stream.clean


@promise(7, "An error in the body leaves one record with its traceback in the log.")
def test_error_in_the_body_is_logged_once(served: Served) -> None:
    """Whoever reads the server's log finds the exception, and finds it once, also where it is not the first."""
    for scenario in ("ndjson_failing", "failing"):
        mark = len(served.host.log())
        with served.open(scenario) as stream:
            stream.read_until(b"two")
            record = served.closed()
            assert record["ended_by"] == "RuntimeError"
            # By its number, since some servers log the failure of the test before only now.
            error = f"RuntimeError: {FAILURE} {record['number']}\n"
            log = served.log_since(mark, error)
        assert log.count(error) == 1
        assert "Traceback" in log


@promise(7, "An item that cannot be encoded cuts the stream, closes the source, and is named in the log.")
def test_item_that_cannot_be_encoded_cuts_the_stream(served: Served) -> None:
    """The log names the type and the index of the item; the item after it is never made."""
    mark = len(served.host.log())
    with served.open("bad_item") as stream:
        assert stream.read_to_end(within=3).removeprefix(b":\n") == b"data: one\n\n"
        assert not stream.clean
    record = served.closed()
    assert record["pulled"] == 2
    assert record["closed"] == 1
    assert record["strayed"] == []
    assert "object" in served.log_since(mark, "EncodeError")


@promise(7, "With `on_error` the item it returns is sent last, the body ends cleanly, and the log has one record.")
def test_item_of_on_error_is_the_last(served: Served) -> None:
    """A client hears in the application's own words that the stream failed."""
    with served.open("failing_handled") as stream:
        body = stream.read_to_end().removeprefix(b":\n")
        assert body == b"data: one\n\ndata: two\n\nevent: failed\ndata: sorry\n\n"
        assert stream.clean
    served.closed()
    errors = [entry for entry in served.side_door.logs() if entry["error"] is not None]
    assert len(errors) == 1
    assert FAILURE in errors[0]["error"]
