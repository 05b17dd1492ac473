"""Observations without a network: what a path does is a function from what was sent to what came.

A path takes pairs of time and size, in order, and the time at which the body ends; it returns the same kind of pairs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from streamkit.doctor._battery import GZIP, VARIANTS, Asking
from streamkit.doctor._observation import Arrival, Ending, Frame, Observation

Pairs = list[tuple[float, int]]
Path = Callable[[Pairs, float], Pairs]

ORIGIN = 5000.0  # what the clock of the origin shows when ours shows the request
LATENCY = 0.03
CLOSED = 0.002  # seconds from the last frame to the end of the body


def through(sent: Pairs, end: float) -> Pairs:
    """Hold nothing."""
    return sent


def whole(sent: Pairs, end: float) -> Pairs:
    """Give everything at the end."""
    return [(end, sum(size for _, size in sent))]


def pieces(size: int) -> Path:
    """Give full buffers, and the rest at the end."""

    def path(sent: Pairs, end: float) -> Pairs:
        came, kept = [], 0
        for at, count in sent:
            kept += count
            if kept >= size:
                came.append((at, kept // size * size))
                kept %= size
        return [*came, (end, kept)] if kept else came

    return path


def first(size: int) -> Path:
    """Give nothing until so many bytes are there, and from then on everything at once."""

    def path(sent: Pairs, end: float) -> Pairs:
        came, kept, full = [], 0, False
        for at, count in sent:
            kept += count
            full = full or kept >= size
            if full:
                came.append((at, kept))
                kept = 0
        return [*came, (end, kept)] if kept else came

    return path


def timer(seconds: float) -> Path:
    """Give what is kept some time after the first byte of it."""

    def path(sent: Pairs, end: float) -> Pairs:
        came: Pairs = []
        kept, due = 0, float("inf")
        for at, count in [*sent, (end, 0)]:
            if at >= due or at == end:
                came.append((min(due, at), kept))
                kept, due = 0, float("inf")
            if not kept:
                due = at + seconds
            kept += count
        return [(at, count) for at, count in came if count]

    return path


def one_late(sent: Pairs, end: float) -> Pairs:
    """Give each frame when the next comes."""
    times = [at for at, _ in sent[1:]] + [end]
    return [(at, count) for at, (_, count) in zip(times, sent, strict=True)]


def tail_of(page: int) -> Path:
    """Give the full pages of a frame at once, and its rest with the next frame."""

    def path(sent: Pairs, end: float) -> Pairs:
        came, kept = [], 0
        for at, count in sent:
            now = count // page * page if count > page else count
            came.append((at, kept + now))
            kept = count - now
        return [*came, (end, kept)] if kept else came

    return path


def slow_line(rate: float) -> Path:
    """Give so many bytes a second."""

    def path(sent: Pairs, end: float) -> Pairs:
        came, free = [], 0.0
        for at, count in sent:
            free = max(free, at) + count / rate
            came.append((free, count))
        return came

    return path


def jitter(seed: int, most: float, stall: float = 0.0) -> Path:
    """Delay each frame by chance, and once all of them for `stall` seconds; none overtakes another."""

    def path(sent: Pairs, end: float) -> Pairs:
        chance = random.Random(seed)
        stalled = chance.randrange(len(sent))
        came, last = [], 0.0
        for index, (at, count) in enumerate(sent):
            last = max(last, at + chance.uniform(0, most) + (stall if index == stalled else 0.0))
            came.append((last, count))
        return came

    return path


def observe(
    asking: Asking,
    path: Path = through,
    *,
    headers: Mapping[str, str] | None = None,
    head_waits: bool = False,
    nonce: str = "",
    stop: float | None = None,
    ending: Ending = "clean",
) -> Observation:
    """Return what a variant sees over a path.

    Args:
        asking: The variant.
        path: What is done to its frames.
        headers: Of the answer.
        head_waits: The head comes with the first byte.
        nonce: Of the answer; by default its own.
        stop: Seconds after the request at which the answer breaks off.
        ending: How it ends then.
    """
    due = list(asking.probe.schedule())
    size = asking.probe.size // 2 * 2 + 45
    if asking.probe.cut:
        due, ending = due[: asking.probe.cut], "cut"
    came = path([(at, size) for at in due], due[-1] + CLOSED)
    if stop is not None:
        came = [pair for pair in came if pair[0] <= stop]
    frames = _frames(came, due, size)
    seen = Observation(asking.variant, 200, "HTTP/1.1", dict(headers or {"content-type": "text/event-stream"}))
    return replace(
        seen,
        head_at=LATENCY + (came[0][0] if head_waits and came else 0.0),
        head_sent=ORIGIN,
        arrivals=_arrivals(came, size),
        frames=tuple(frames),
        ending=ending,
        ended_at=LATENCY + (due[-1] + CLOSED if stop is None else stop),
        nonce=nonce or f"of {asking.variant.name}",
    )


def _frames(came: Pairs, due: Sequence[float], size: int) -> Iterable[Frame]:
    totals = list(accumulate(count for _, count in came))
    for seq, sent in enumerate(due):
        complete = next((at for (at, _), total in zip(came, totals, strict=True) if total >= (seq + 1) * size), None)
        if complete is not None:
            yield Frame(complete + LATENCY, sent + ORIGIN, seq)


def _arrivals(came: Pairs, size: int) -> tuple[Arrival, ...]:
    arrivals, total = [], 0
    for at, count in came:
        before, total = total, total + count
        arrivals.append(Arrival(at + LATENCY, count, total // size - before // size, total % size != 0))
    return tuple(arrivals)


# Given a variant, what is done to its answer.
Proxy = Callable[[Asking], Observation]


def battery(proxy: Proxy, more: Iterable[Asking] = ()) -> list[Observation]:
    """Return what the whole battery sees behind a proxy."""
    return [proxy(asking) for asking in (*VARIANTS, *more)]


def buffer(
    path: Path,
    *,
    cured_by: frozenset[str] = frozenset(),
    for_gzip: bool = False,
    encoding: str = "",
    headers: Mapping[str, str] | None = None,
    head_waits: bool = False,
) -> Proxy:
    """Return a proxy with one mechanism.

    Args:
        path: What it does.
        cured_by: The switches that make it let go.
        for_gzip: It does so to those alone who accept gzip.
        encoding: The Content-Encoding that those get.
        headers: That it adds.
        head_waits: It holds the head until the first byte, unless cured.
    """

    def proxy(asking: Asking) -> Observation:
        free = bool(cured_by & set(asking.probe.h))
        touched = not free and (asking.accept == GZIP or not for_gzip)
        fields = {"content-type": "text/event-stream", **(headers or {})}
        if touched and encoding:
            fields["content-encoding"] = encoding
        chosen = path if touched else through
        return observe(asking, chosen, headers=fields, head_waits=head_waits and not free)

    return proxy
