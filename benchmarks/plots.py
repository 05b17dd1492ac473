"""Draw a plot of a report as SVG. The one module that imports matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.harness import Plot

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "streamkit"  # the same figures draw the same file
mpl.rcParams["font.size"] = 9


def draw(plot: Plot, folder: Path) -> Path:
    """Write the picture of a plot into a folder; return its path."""
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
    _bars(axes, plot) if plot.ticks else _curves(axes, plot)
    axes.set_title(plot.title)
    axes.set_ylabel(plot.y)
    if any(plot.series) and (len(plot.series) > 1 or not plot.ticks):
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    path = folder / f"{plot.name}.svg"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path


def _bars(axes: Any, plot: Plot) -> None:
    width = 0.8 / len(plot.series)
    for number, (name, points) in enumerate(plot.series.items()):
        shift = (number - (len(plot.series) - 1) / 2) * width
        axes.bar([x + shift for x, _ in points], [y for _, y in points], width, label=name)
    axes.set_xticks(range(len(plot.ticks)), plot.ticks, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yscale("log")
    axes.grid(axis="y", alpha=0.3)


def _curves(axes: Any, plot: Plot) -> None:
    for name, points in plot.series.items():
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", markersize=3, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(plot.x)
    axes.grid(alpha=0.3)
