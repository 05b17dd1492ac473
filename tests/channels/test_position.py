"""Positions as text, which is what clients send: read strictly, in bounded time; and the names of channels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.channels._position import (
    MAX_CHANNELS,
    Position,
    base36,
    check_channel,
    checksum,
    read_positions,
    text_of,
    vector_text,
)

A, B = checksum("a"), checksum("b")
NAMES = {A: "a", B: "b"}
HERE = Position(1_700_000_000_000_123, 7, 1_700_000_000_500_321)
STAMPS = st.integers(0, 36**13 - 1)
POSITIONS = st.builds(Position, STAMPS, st.integers(0, 10**18 - 1), STAMPS)


@given(POSITIONS, POSITIONS)
def test_what_is_written_is_read(one: Position, other: Position) -> None:
    """A vector of two channels comes back as it was."""
    text = vector_text([text_of(A, one), text_of(B, other)])
    assert read_positions(text, NAMES) == {"a": one, "b": other}
    assert text.isascii()


@given(st.integers(0, 2**80))
def test_base36_is_what_int_reads(number: int) -> None:
    """Digits are those of the standard library."""
    assert int(base36(number), 36) == number


@given(st.text())
def test_no_text_makes_the_reader_fail(text: str) -> None:
    """Whatever comes is a position or none."""
    assert read_positions(text, NAMES) is None or text.startswith((A, B))


GOOD = text_of(A, HERE)
STRANGE = [
    "",
    "garbage",
    "7",
    GOOD + "\n",
    " " + GOOD,
    GOOD.upper(),
    GOOD + ",",
    "," + GOOD,
    GOOD.replace(".", ":"),
    f"{A}.-1.7.1",
    f"{A}.1.+7.1",
    f"{A}.1.7_0.1",
    f"{A}.1.\N{ARABIC-INDIC DIGIT SEVEN}.1",  # which int() would take
    f"{A}.1.\N{FULLWIDTH DIGIT SEVEN}.1",
    f"{A}.1.\N{SUPERSCRIPT TWO}5.1",
    f"{A}.1.{'9' * 19}.1",
    f"{A}.{'z' * 14}.7.1",
    f"{A}.1.7.{'z' * 14}",
    f"{A}.1.7",
    f"{A}.1.7.1.1",
    f"{A}..7.1",
    "\x00" + GOOD,
    "\udcff",
    "💥",
]


@pytest.mark.parametrize("text", STRANGE)
def test_what_is_not_written_so_is_no_position(text: str) -> None:
    """One sign too many, or of another script, and it is none of ours."""
    assert read_positions(text, NAMES) is None


def test_position_of_another_channel_is_none_of_this() -> None:
    """An id of a channel that is not subscribed to leads nowhere."""
    assert read_positions(text_of(checksum("theirs"), HERE), NAMES) is None


def test_channels_that_are_not_subscribed_to_are_left_out() -> None:
    """A page that has changed its subscription goes on in what it still has."""
    assert read_positions(vector_text([text_of(checksum("old"), HERE), GOOD]), NAMES) == {"a": HERE}


def test_names_that_share_a_short_checksum_are_told_apart() -> None:
    """These two have one CRC-32: a name that somebody has made up must not stand for another's channel."""
    assert checksum("plumless") != checksum("buckeroo")
    assert len(checksum("plumless")) > 7


def test_a_full_vector_is_read_and_a_longer_one_is_not() -> None:
    """A hundred channels fit, and ten thousand are not even looked at."""
    names = {checksum(f"channel {number}"): f"channel {number}" for number in range(MAX_CHANNELS)}
    widest = Position(36**13 - 1, 10**18 - 1, 36**13 - 1)
    full = vector_text(text_of(sum_, widest) for sum_ in names)
    assert read_positions(full, names) == dict.fromkeys(names.values(), widest)
    assert read_positions(",".join([GOOD] * 10_000), NAMES) is None
    assert read_positions("1" * 1_000_000, NAMES) is None


def test_of_two_entries_of_one_channel_the_later_is_greater() -> None:
    """A position of a later epoch is behind all of an earlier one."""
    assert Position(1, 9, 9) < Position(1, 10, 8) < Position(2, 0, 2)


@pytest.mark.parametrize("name", ["a", "}", "{", " ", "a b", "💥", "x" * 255, "é" * 127, "\n", "\x00", "a,b.c"])
def test_any_text_of_255_bytes_names_a_channel(name: str) -> None:
    """Nothing in a name means anything."""
    assert check_channel(name) == name


@pytest.mark.parametrize("name", ["", "x" * 256, "é" * 128, "\ud800"])
def test_other_text_names_none(name: str) -> None:
    """The error shows the name."""
    with pytest.raises(ValueError, match="channel's name") as raised:
        check_channel(name)
    assert repr(name)[:100] in str(raised.value)


@pytest.mark.parametrize("name", [None, 7, b"a", ["a"]])
def test_what_is_no_text_names_none(name: object) -> None:
    """The error shows what was given."""
    with pytest.raises(TypeError, match="must be a str") as raised:
        check_channel(name)
    assert repr(name) in str(raised.value)
