"""The diagnosis as one self-contained HTML page: no script, no font, no address is loaded. Pure.

Its picture has a lane for each request: the upper ticks are events as they were sent, the lower as they came, and a
line joins the two. A stream is a row of upright lines; a buffer is a fan.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from streamkit.doctor._observation import Finding, Observation
from streamkit.doctor._report import (
    AS_ABOVE,
    between,
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

if TYPE_CHECKING:
    from streamkit.doctor._examine import Diagnosis

_LANE, _LEFT, _WIDTH, _RIGHT = 46, 110, 620, 190  # pixels
_DRAWN = 60  # lines of a lane; of more events every second, third, … is drawn

_STYLE = """
:root { --ink: #1c2330; --soft: #5d6778; --line: #d9dee7; --paper: #fff; --card: #f6f8fb;
        --good: #14804a; --bad: #c0322b; --warn: #9a6700; --note: #2a6fb0; color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --soft: #98a2b3; --line: #343c4a; --paper: #14181f; --card: #1d232d;
          --good: #4cc38a; --bad: #ff7b72; --warn: #e3b341; --note: #79b8ff; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 960px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.url { color: var(--soft); overflow-wrap: anywhere; margin: 0; }
.pill { color: var(--paper); border-radius: 1em; padding: .1em .7em; margin-right: .4em; }
.streams { background: var(--good); } .unknown { background: var(--warn); }
.buffers, .broken { background: var(--bad); }
section.finding { background: var(--card); border-left: 4px solid var(--soft); border-radius: 4px;
                  padding: .7rem 1rem; margin: .8rem 0; }
section.ok { border-color: var(--good); } section.error { border-color: var(--bad); }
section.warning { border-color: var(--warn); } section.info { border-color: var(--note); }
section.finding h3 { margin: 0 0 .3rem; font-size: 1rem; } section.finding p { margin: .2rem 0; }
h3 code { font-size: 1em; } .what { color: var(--soft); }
pre { background: var(--paper); border: 1px solid var(--line); border-radius: 4px; padding: .6rem; overflow-x: auto;
      margin: .5rem 0 0; font-size: .85rem; }
.scroll { overflow-x: auto; } svg text { font: 13px system-ui, sans-serif; fill: var(--ink); }
svg .dim { fill: var(--soft); font-size: 11px; } svg line { stroke: var(--line); }
svg .good { stroke: var(--good); } svg .bad { stroke: var(--bad); } svg text.bad { fill: var(--bad); stroke: none; }
table { border-collapse: collapse; font-size: .85rem; width: 100%; } th { text-align: left; color: var(--soft); }
td, th { border-bottom: 1px solid var(--line); padding: .3rem .6rem .3rem 0; vertical-align: top; }
"""


def page(found: Sequence[Diagnosis]) -> str:
    """Return the page of one diagnosis, or of two that are compared."""
    parts = [part for diagnosis in found for part in _diagnosis(diagnosis)]
    if len(found) == 2:
        parts.append(f"<h2>Compared</h2><p>{_text(between(*found))}</p>")
    title = _text(f"{found[0].verdict}: {found[0].url}")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _text(text: str) -> str:
    return escape(printable(text))


def _diagnosis(diagnosis: Diagnosis) -> list[str]:
    worst = diagnosis.findings[0]
    pill = f'<span class="pill {diagnosis.verdict}">{diagnosis.verdict}</span>'
    parts = [f'<h1>{pill} {meaning(worst)}</h1><p class="url">{_text(diagnosis.url)}</p>']
    parts += [f"<p>{note}</p>"] if (note := with_headers(diagnosis)) else []
    parts += [_finding(finding) for finding in once(diagnosis.findings)]
    rows, streamed, held = shown(diagnosis.observations)
    if any(seen.frames for seen in rows):
        parts += ["<h2>Events, as they were sent and as they came</h2>", f'<div class="scroll">{_picture(rows)}</div>']
        parts.append(f'<p class="what">{_text(rest(streamed, held))}</p>')
    parts.append(_table(diagnosis.observations))
    return parts


def _finding(finding: Finding) -> str:
    head = f'<h3><code>{finding.mechanism}</code> <span class="what">{meaning(finding)}</span></h3>'
    suspect = f'<p><span class="what">Suspect:</span> {_text(finding.suspect)}</p>' if finding.suspect else ""
    lines = "\n".join(_text(line) for line in finding.cure.split("\n"))
    cure = f"<pre>{lines}</pre>" if finding.cure else ""
    if finding.cure == AS_ABOVE:
        cure = f'<p><span class="what">Cure:</span> {AS_ABOVE}</p>'
    evidence = f"<p>{_text(finding.evidence)}</p>"
    return f'<section class="finding {finding.severity}">{head}{evidence}{suspect}{cure}</section>'


def _picture(rows: Sequence[Observation]) -> str:
    longest = max(frame.at for seen in rows for frame in seen.frames) or 1.0
    height = len(rows) * _LANE + 24
    lanes = "".join(_lane(seen, index * _LANE + 8, longest) for index, seen in enumerate(rows))
    bottom = len(rows) * _LANE + 18
    axis = "".join(
        f'<text class="dim" x="{_x(at, longest):.0f}" y="{bottom}" text-anchor="middle">{at:.1f} s</text>'
        for at in (longest * step / 4 for step in range(5))
    )
    names = _text(", ".join(f"{seen.variant.name}: {result(seen)}" for seen in rows))
    width = _LEFT + _WIDTH + _RIGHT
    box = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'<svg {box} role="img" aria-label="{names}">{lanes}{axis}</svg>'


def _x(at: float, longest: float) -> float:
    return _LEFT + _WIDTH * max(0.0, min(1.0, at / longest))


def _lane(seen: Observation, top: int, longest: float) -> str:
    form = shape(seen)
    words = result(seen)
    colour = "good" if not form.held and words in ("as sent", f"{form.frames} events") else "bad"
    sent = sent_at(seen)
    came = [frame.at for frame in seen.frames]
    step = max(1, len(came) // _DRAWN)
    upper, lower = top + 6, top + _LANE - 14
    lines = [
        _line((_LEFT, lower), (_LEFT + _WIDTH, lower)),
        _line((_LEFT, upper), (_LEFT + _WIDTH, upper)) if sent else "",
    ]
    for index in range(0, len(came), step):
        x2 = _x(came[index], longest)
        if sent:
            x1 = _x(sent[index], longest)
            lines.append(_line((x1, upper), (x2, lower), colour, ' stroke-opacity=".55"'))
            lines.append(_line((x1, upper - 4), (x1, upper)))
        lines.append(_line((x2, lower - (0 if sent else 10)), (x2, lower + 5), colour, ' stroke-width="2"'))
    middle = (upper + lower) // 2 + 4
    label = f'<text x="0" y="{middle}">{_text(seen.variant.name)}</text>'
    kind = ' class="bad"' if colour == "bad" else ""
    return label + "".join(lines) + f'<text{kind} x="{_LEFT + _WIDTH + 12}" y="{middle}">{_text(words[:28])}</text>'


def _line(start: tuple[float, float], end: tuple[float, float], kind: str = "", more: str = "") -> str:
    chosen = f' class="{kind}"' if kind else ""
    return f'<line{chosen} x1="{start[0]:.1f}" y1="{start[1]}" x2="{end[0]:.1f}" y2="{end[1]}"{more}/>'


def _table(observations: Sequence[Observation]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("request", "what it asks", "status", "HTTP", "encoding", "result"))
    rows = "".join(
        "<tr>" + "".join(f"<td>{_text(str(cell))}</td>" for cell in _cells(seen)) + "</tr>" for seen in observations
    )
    return f'<h2>Requests</h2><div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'


def _cells(seen: Observation) -> tuple[object, ...]:
    version = seen.http_version.removeprefix("HTTP/")
    return seen.variant.name, seen.variant.says, seen.status or "none", version, seen.encoding or "none", result(seen)
