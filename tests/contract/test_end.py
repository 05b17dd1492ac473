"""Contract point 8: the end is said, after normal completion only."""

from __future__ import annotations

from tests.contract.plan import Served, promise


@promise(8, "The end item is the last one after normal completion, in every format.")
def test_end_item_follows_completion(served: Served) -> None:
    """A page closes its EventSource on it, so that the answer is not typed twice."""
    for scenario, last in (("finite", b"event: done\ndata: \n\n"), ("ndjson", b'{"done":true}\n')):
        with served.open(scenario) as stream:
            assert stream.read_to_end().endswith(last)
            assert stream.clean


@promise(8, "No end item follows an error.")
def test_no_end_item_follows_an_error(served: Served) -> None:
    """A failed stream is not declared done, with or without `on_error`."""
    for scenario in ("failing", "failing_handled", "bad_item"):
        with served.open(scenario) as stream:
            served.closed()
            # Some server keeps the connection open instead of cutting it.
            stream.drain(0.2)
            assert b"done" not in stream.body
