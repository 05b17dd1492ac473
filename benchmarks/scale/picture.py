"""Draw the storms as SVG: plain text, so that the same figures make the same file on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log10

from benchmarks.scale.costs import Measured
from benchmarks.scale.storm import TENTH, simulate, tenths
from benchmarks.scale.tables import cases

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 760, 340, 70, 40, 30
SECONDS, STEP = 40.0, 5
COLOURS = ("#b2182b", "#2166ac", "#5aae61", "#762a83")


def draw(measured: Measured) -> str:
    """Return the picture: connections in a second, on a logarithmic axis, and what the worker can take."""
    named = [case for case in cases(measured) if case.line]
    counts = [[count / TENTH for count in tenths(simulate(case.storm).attempts)] for case in named]
    capacity = named[0].storm.capacity
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *_axes(),
        f'<path d="M{LEFT} {_y(capacity):.1f}H{WIDTH - 10}" stroke="black" stroke-dasharray="6 4"/>',
        f'<text x="{WIDTH - 12}" y="{_y(capacity) - 5:.1f}" text-anchor="end">what the worker can take</text>',
    ]
    for number, (case, series, colour) in enumerate(zip(named, counts, COLOURS, strict=True)):
        parts.append(f'<path d="{_line(series)}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        at = LEFT + 10 + 165 * number
        parts.append(f'<text x="{at}" y="{TOP - 12}" fill="{colour}">{escape(case.line)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _x(seconds: float) -> float:
    return LEFT + (WIDTH - LEFT - 10) * seconds / SECONDS


def _y(rate: float) -> float:
    """Place a rate between 10 and 100,000 in a second; what is below lies on the axis."""
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (log10(max(rate, 10.0)) - 1) / 4


def _axes() -> list[str]:
    parts = [f'<text x="{WIDTH / 2}" y="{HEIGHT - 6}" text-anchor="middle">seconds after the restart</text>']
    parts.append(
        f'<text transform="translate(14 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">connections a second</text>'
    )
    parts.extend(
        f'<text x="{_x(second):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{second}</text>'
        for second in range(0, int(SECONDS) + 1, STEP)
    )
    for power in range(1, 6):
        y = _y(10.0**power)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - 10}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10**power:,}</text>')
    return parts


def _line(rates: Sequence[float]) -> str:
    """Return the path of a series: one step for each tenth of a second, as long as the axis."""
    path = [f"M{_x(0):.1f} {_y(0):.1f}"]
    for place, rate in enumerate([*rates[: int(SECONDS / TENTH)], 0.0]):
        path.append(f"V{_y(rate):.1f}H{min(_x((place + 1) * TENTH), WIDTH - 10):.1f}")
    return "".join(path)
