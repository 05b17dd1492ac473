"""Where a client stands in a channel, and the text that says so in `id:` and in Last-Event-ID. Pure.

A position is epoch + offset + tag. The epoch says which history of the channel is meant, the offset counts its entries,
and the tag names the one entry: a log that was rolled back has another entry at that offset. Epochs and tags are times
and grow, so that of two histories the later one is known, and what a client has seen in one can be found in the other.

The text is client input: read strictly, in bounded time, and never a grant of access. It names the channel by a
checksum, so that a position of one channel is none of another. Several channels make a vector, joined by commas.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

MAX_CHANNELS = 100
"""Channels of one subscription: their positions travel in each id, and a server takes about 8 KiB of headers."""

MAX_NAME = 255
"""Bytes of a channel's name in UTF-8."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_ONE = re.compile(r"([0-9a-z]{1,13})\.([0-9a-z]{1,13})\.([0-9]{1,18})\.([0-9a-z]{1,13})", re.ASCII)
_ONE_LENGTH = 13 + 13 + 18 + 13 + 3


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Stand behind one entry of a channel; at offset 0, before the first of its epoch."""

    epoch: int
    offset: int
    tag: int


def check_channel(name: object) -> str:
    """Return a channel's name.

    Raises:
        TypeError: It is not text.
        ValueError: It is empty, longer than 255 bytes in UTF-8, or has a lone surrogate.
    """
    if not isinstance(name, str):
        raise TypeError(f"a channel's name must be a str, not {name!r:.200}")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ValueError(f"a channel's name must not hold a lone surrogate; got {name!r:.300}") from None
    if not 1 <= size <= MAX_NAME:
        raise ValueError(f"a channel's name has 1 to {MAX_NAME} bytes in UTF-8, and this has {size}: {name!r:.300}")
    return str.__str__(name)


def checksum(channel: str) -> str:
    """Return what stands for a channel in an id: its name may be a secret, or long.

    64 bits of BLAKE2b (RFC 7693): nobody finds a name that stands for the channel of somebody else.
    """
    return base36(int.from_bytes(blake2b(channel.encode(), digest_size=8).digest()))


def text_of(checksum: str, position: Position) -> str:
    """Return one position as it stands in an id."""
    return f"{checksum}.{base36(position.epoch)}.{position.offset}.{base36(position.tag)}"


def vector_text(positions: Iterable[str]) -> str:
    """Return the positions of several channels as one id."""
    return ",".join(positions)


def read_positions(text: str, channels: Mapping[str, str]) -> dict[str, Position] | None:
    """Read an id that a client sent.

    Args:
        text: As it came.
        channels: The subscribed channels by their checksums.

    Returns:
        Positions by channel. Those of other channels are left out, since a page may have changed its subscription.
        None where the text is not an id of ours, or names none of the channels.
    """
    if len(text) > MAX_CHANNELS * (_ONE_LENGTH + 1):
        return None
    found: dict[str, Position] = {}
    for part in text.split(","):
        match = _ONE.fullmatch(part)
        if match is None:
            return None
        if (channel := channels.get(match[1])) is not None:
            found[channel] = Position(int(match[2], 36), int(match[3]), int(match[4], 36))
    return found or None


def base36(number: int) -> str:
    """Return a number from 0 in the digits 0-9 and a-z."""
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits
