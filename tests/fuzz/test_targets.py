"""Whatever a stranger sends: no exception but those that are documented, the same however it is cut, bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, cut

# Inputs that once broke one of them, or that are at the edge of what one of them takes.
KNOWN: list[tuple[str, bytes]] = []


def test_cuts_keep_every_byte_and_their_order() -> None:
    """Whatever the first bytes say."""
    assert cut(b"") == ([b""], None)
    assert cut(b"\x00body") == ([b"body"], None)
    assert cut(b"\x13\x01\x00\xffbody") == ([b"b", b"", b"ody", b""], 4)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
def test_any_bytes_are_read_as_documented(name: str, data: st.DataObject) -> None:
    """Bytes, and words of the format in any order with a few bytes between."""
    target = TARGETS[name]
    words = st.lists(st.sampled_from(target.words) | st.binary(max_size=2), max_size=30).map(b"".join)
    target.run(data.draw(st.binary(max_size=12)) + data.draw(words))
