"""The shape of one answer's arrivals: did frames come as they were sent, in batches, one late, or all at the end? Pure.

A frame's delay is counted from the quickest first byte of a frame in the same answer, so no clock but differences
matter, and a path that is merely long delays nothing. Medians decide: one hiccup of a busy machine is no buffer.

    whole      no frame came before nearly all were sent
    lag        each frame came when the next was sent, one at a time
    batched    several came together, by a regular size or beat, with pauses between, half of them late
    unclear    half of them late, in none of these ways: a busy machine, or a line that is too thin
    streamed   none of these
    few        too few frames to tell
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from streamkit.doctor._observation import Observation

Kind = Literal["whole", "lag", "batched", "unclear", "streamed", "few"]

TOGETHER = 0.005  # frames that come within 5 ms of each other come together
LATE = 0.06  # what a reader does not see is no complaint
WHOLE = 0.85  # of the span, for "nearly all were sent"
BURST = 0.2  # of the span, in which all that was kept arrives
ENOUGH = 4  # frames


@dataclass(frozen=True, slots=True)
class Batches:
    """Groups of frames that came together: how many frames and bytes in each, and when."""

    starts: tuple[float, ...]
    frames: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def intervals(self) -> list[float]:
        """Seconds from one to the next."""
        return [later - earlier for earlier, later in pairwise(self.starts)]

    @property
    def regular(self) -> bool:
        """Whether they have one size or one beat, as those of a buffer do and those of a bad line do not.

        The last is left aside, which the end of the body pushes out; of three at most nobody can tell.
        """
        return len(self.starts) <= 3 or min(spread(self.sizes[:-1]), spread(self.intervals[:-1])) < 0.35


@dataclass(frozen=True, slots=True)
class Shape:
    """How the frames of one answer came.

    Args:
        kind: See above.
        frames: How many came.
        batches: The groups in which they came.
        span: Seconds from the first frame sent to the last.
        delay: The median delay, in seconds.
        worst: The greatest delay, in seconds.
        start: Bytes that came together at the start, late, where what followed came as it was sent; else 0.
    """

    kind: Kind
    frames: int
    batches: Batches
    span: float = 0.0
    delay: float = 0.0
    worst: float = 0.0
    start: int = 0

    @property
    def held(self) -> bool:
        """Whether frames were kept back."""
        return self.kind in ("whole", "lag", "batched")

    @property
    def together(self) -> float:
        """Frames per arrival, on average."""
        return self.frames / max(1, len(self.batches.frames))

    @property
    def size(self) -> int:
        """Bytes in the usual batch; the last, which the end of the body pushes out, is left aside."""
        return round(statistics.median(self.batches.sizes[:-1] or self.batches.sizes or (0,)))

    @property
    def interval(self) -> float:
        """Seconds between two batches, usually."""
        return statistics.median(self.batches.intervals or (0.0,))

    @property
    def regular_sizes(self) -> float:
        """How much the sizes of the batches differ: standard deviation by mean."""
        return spread(self.batches.sizes[:-1])

    @property
    def regular_intervals(self) -> float:
        """How much the intervals between them differ."""
        return spread(self.batches.intervals[:-1])


def spread(values: Sequence[float]) -> float:
    """Return the coefficient of variation; infinite for fewer than two values, which show no regularity."""
    if len(values) < 2:
        return float("inf")
    mean = statistics.fmean(values)
    return statistics.pstdev(values) / mean if mean else float("inf")


def batches(seen: Observation) -> Batches:
    """Group the arrivals that come together, and leave out groups that complete no frame."""
    groups: list[list[tuple[float, int, int]]] = []
    for arrival in seen.arrivals:
        if not groups or arrival.at - groups[-1][-1][0] > TOGETHER:
            groups.append([])
        groups[-1].append((arrival.at, arrival.size, arrival.frames))
    starts, frames, sizes = [], [], []
    pending = 0
    for group in groups:
        pending += sum(size for _, size, _ in group)
        count = sum(frames for _, _, frames in group)
        if count:
            starts.append(group[0][0])
            frames.append(count)
            sizes.append(pending)
            pending = 0
    return Batches(tuple(starts), tuple(frames), tuple(sizes))


def shape(seen: Observation) -> Shape:
    """Return the shape of an answer whose frames say when they were sent."""
    grouped = batches(seen)
    stamped = [(frame.at, frame.sent) for frame in seen.frames if frame.sent is not None]
    if len(stamped) < ENOUGH:
        return Shape("few", len(seen.frames), grouped)
    quickest = min(at - sent for at, (_, sent) in zip(_first_bytes(seen), stamped, strict=False))
    delays = [at - sent - quickest for at, sent in stamped]
    span = stamped[-1][1] - stamped[0][1]
    delay, worst = statistics.median(delays), max(delays)
    # The last frame is pushed out by the end of the body, so it says nothing about a lag.
    gap = seen.variant.gap or span / (len(stamped) - 1)
    middle = statistics.median(delays[:-1])
    together = len(stamped) / max(1, len(grouped.frames))
    kind: Kind = "streamed"
    # A thin line, or a busy machine, takes a while to bring what was kept: still far less than it took to send.
    burst = stamped[-1][0] - stamped[0][0] <= BURST * span
    if delays[0] > LATE and (burst or delays[0] >= WHOLE * span):
        kind = "whole"
    elif together < 1.5 and middle > LATE and 0.7 * gap <= middle <= 1.6 * gap and _one_late(delays, gap):
        kind = "lag"
    elif together >= 1.5 and delay > min(LATE, 0.45 * gap + 0.02) and _pauses(grouped, gap) and grouped.regular:
        kind = "batched"
    elif delay > max(LATE, 0.5 * gap):
        kind = "unclear"
    start = _start(grouped, delays) if kind == "streamed" else 0
    return Shape(kind, len(stamped), grouped, span, delay, worst, start)


def _start(grouped: Batches, delays: Sequence[float]) -> int:
    """Return the bytes that came together at the start, late, where what followed came as it was sent; else 0."""
    first = grouped.frames[0]
    if first < 3 or len(delays) - first < 3 or delays[0] <= LATE or max(delays[:first]) > delays[0]:
        return 0
    rest = delays[first:]
    as_sent = statistics.median(rest) < 0.2 * delays[0] and len(rest) < 2 * len(grouped.frames[1:])
    return grouped.sizes[0] if as_sent else 0


def _first_bytes(seen: Observation) -> Iterator[float]:
    """Yield when the first byte of each frame came, or of its rest where a piece ends between two frames."""
    begun = complete = 0
    for arrival in seen.arrivals:
        complete += arrival.frames
        while begun < complete + arrival.inside:
            begun += 1
            yield arrival.at


def _one_late(delays: Sequence[float], gap: float) -> bool:
    """Tell whether most frames were late by one gap, and not by a varying delay of the path."""
    return sum(0.7 * gap <= delay <= 1.6 * gap for delay in delays[:-1]) >= 0.7 * (len(delays) - 1)


def _pauses(grouped: Batches, gap: float) -> bool:
    """Tell whether there was nothing between the batches for long: a slow line brings a little all the time."""
    intervals = grouped.intervals
    return not intervals or statistics.median(intervals) >= max(0.03, 1.5 * gap)
