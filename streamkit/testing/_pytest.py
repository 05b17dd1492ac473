"""The pytest plugin: two fixtures. What they need is imported when a test asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from streamkit.testing import FakeClock, OpenStream


@pytest.fixture
def stream_clock() -> Iterator[FakeClock]:
    """Have the streams of this test live by a clock that only the test moves."""
    from streamkit.testing import fake_clock

    with fake_clock() as clock:
        yield clock


@pytest.fixture(name="open_stream")
def open_stream_fixture() -> Iterator[Callable[..., OpenStream]]:
    """Open streams as `streamkit.testing.open_stream` does, without `with`: the end of the test leaves them."""
    from streamkit.testing import open_stream

    with ExitStack() as opened:

        def open_one(client: Any, method: str, url: str, **options: Any) -> OpenStream:
            return opened.enter_context(open_stream(client, method, url, **options))

        yield open_one
