"""The diagnosis in a terminal: verdict, timeline, findings. Needs rich.

What comes from a server is never taken for markup, and control characters in it are not passed on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamkit.doctor._examine import Diagnosis
from streamkit.doctor._observation import Finding
from streamkit.doctor._report import (
    fatal,
    headline,
    meaning,
    once,
    printable,
    rest,
    result,
    sent_at,
    shown,
    with_headers,
)
from streamkit.doctor._shape import shape

_BLOCKS = " ▁▂▃▄▅▆▇█"
_COLOURS = {"streams": "green", "buffers": "red", "broken": "red", "unknown": "yellow"}
_SIGNS = {"ok": ("✓", "green"), "info": ("·", "cyan"), "warning": ("!", "yellow"), "error": ("✗", "red")}
_NARROW, _WIDE = 20, 60  # cells of a timeline


def show(console: Console, diagnosis: Diagnosis) -> None:
    """Print a diagnosis; in one line, when there was no stream."""
    if fatal(diagnosis):
        console.print(Text(headline(diagnosis)), soft_wrap=True)
        return
    worst = diagnosis.findings[0]
    line = Text()
    line.append(f" {diagnosis.verdict} ", style=f"bold reverse {_COLOURS[diagnosis.verdict]}")
    line.append(f"  {worst.mechanism}: {meaning(worst)}", style="bold")
    console.print(line, Text(printable(diagnosis.url), style="dim"), sep="\n", end="\n\n", soft_wrap=True)
    for part in _timeline(diagnosis, console.width):
        console.print(part, soft_wrap=True)
    console.print()
    for finding in once(diagnosis.findings):
        console.print(_words(finding))
    if note := with_headers(diagnosis):
        console.print(Text(f"{note}\n", "green"))
    if not diagnosis.with_probe:
        console.print(
            Text("Without a probe only arrivals can be judged: docs/doctor.md says how to mount one.\n", "dim")
        )


def _words(finding: Finding) -> Table:
    sign, colour = _SIGNS[finding.severity]
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=1)
    grid.add_column(width=15, no_wrap=True)
    grid.add_column()
    grid.add_row(Text(sign, colour), Text(finding.mechanism, f"bold {colour}"), Text(meaning(finding), "bold"))
    rows = (("evidence", finding.evidence), ("suspect", finding.suspect), ("cure", finding.cure))
    for name, text in rows:
        if text:
            lines = Text("\n".join(printable(line) for line in text.split("\n")), "" if name != "cure" else "cyan")
            grid.add_row("", Text(name, "dim"), lines)
    grid.add_row("", "", "")
    return grid


def _timeline(diagnosis: Diagnosis, width: int) -> Iterator[Text]:
    """Yield a row for each request: what share of its events arrived when."""
    rows, streamed, held = shown(diagnosis.observations)
    label = max((len(seen.variant.name) for seen in rows), default=0)
    cells = max(_NARROW, min(_WIDE, width - label - 34))
    longest = max((frame.at for seen in rows for frame in seen.frames), default=0.0)
    if not longest:
        return
    sent = sent_at(rows[0])
    if sent:
        yield Text.assemble((f"{'sent':<{label}}  ", "dim"), (_cells(sent, longest, cells), "dim"))
    for seen in rows:
        form = shape(seen)
        good = not form.held and result(seen) in ("as sent", f"{form.frames} events")
        colour = "green" if good else "red"
        bars = _cells([frame.at for frame in seen.frames], longest, cells)
        words = printable(result(seen))[:60]
        yield Text.assemble(f"{seen.variant.name:<{label}}  ", (bars, colour), (f"  {words}", "" if good else colour))
    axis = f"0 s{f'{longest:.1f} s':>{cells - 3}}"
    yield Text.assemble((" " * (label + 2) + axis, "dim"))
    others = rest(streamed, held)
    if others:
        yield Text(f"\n{others}", "dim")


def _cells(times: Iterable[float], longest: float, cells: int) -> str:
    """Draw when events came: the higher a block, the larger the share that came together."""
    counts = [0] * cells
    for at in times:
        counts[min(cells - 1, max(0, int(at / longest * cells)))] += 1
    total = max(1, sum(counts))
    return "".join(_BLOCKS[math.ceil(8 * count / total)] for count in counts)


def show_one_line(console: Console, text: str) -> None:
    """Print a line that is not broken, whatever the width."""
    console.print(Text(printable(text)), soft_wrap=True)
