"""Whatever a stranger sends: no exception but those that are documented, the same however it is cut, bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.reading import LIMITS, cut
from tests.fuzz.targets import TARGETS


def test_cuts_keep_every_byte_and_their_order() -> None:
    """Whatever the first bytes say."""
    assert cut(b"") == ([b""], None)
    assert cut(b"\x00body") == ([b"body"], None)
    assert cut(b"\x13\x01\x00\xffbody") == ([b"b", b"", b"ody", b""], 4)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_bytes_are_read_as_documented(name: str, data: st.DataObject) -> None:
    """Words of the format in any order, with other bytes between, in any chunks and under any limit."""
    target = TARGETS[name]
    word = st.sampled_from(target.words * 3 + tuple(bytes([byte]) for byte in range(0, 256, 5)))
    words = data.draw(st.lists(word, max_size=20))
    sizes = data.draw(st.lists(st.integers(0, 12), max_size=15)) if target.is_cut else []
    limit = data.draw(st.sampled_from(range(len(LIMITS)))) if target.is_cut else 0
    head = bytes([len(sizes) | limit << 4, *sizes]) if target.is_cut else b""
    target.run(head + b"".join(words))
