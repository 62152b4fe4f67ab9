"""Shares of the true frontier's hypervolume against runs, a small figure for each problem."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from curves import Curve, quartiles
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from problems import TUNING

COLORS = {
    "limbeck": "#0072B2",
    "limbeck-unknown": "#56B4E9",
    "sigopt": "#000000",
    "optuna-tpe": "#E69F00",
    "optuna-gp": "#D55E00",
    "optuna-nsga2": "#F0E442",
    "ax": "#009E73",
    "botorch-qlognehvi": "#CC79A7",
    "smac-parego": "#8C564B",
    "random": "#A6A6A6",
}
"""Those of Okabe and Ito, which people with any colour vision can tell apart, and two more."""

COLUMNS = 4
INCHES = (3.2, 2.5)
DOTS_PER_INCH = 110


def plot(curves: Iterable[Curve], path: Path, *, problems: Sequence[str], mode: str) -> None:
    """Draw medians and interquartile ranges of all methods in a mode.

    Args:
        curves: Of any mode.
        path: A PNG file.
        problems: In the order of the figures.
        mode: Whose curves are drawn.
    """
    groups: dict[tuple[str, str], list[Curve]] = {}
    for curve in curves:
        if curve.study.mode == mode:
            groups.setdefault((curve.study.problem, curve.study.method), []).append(curve)
    shown = [problem for problem in problems if any(problem == name for name, _ in groups)]
    rows = -(-len(shown) // COLUMNS)
    figure = Figure(figsize=(INCHES[0] * COLUMNS, INCHES[1] * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).flatten()
    for place, problem in zip(axes, shown, strict=False):
        _draw(place, {m: groups[problem, m] for m in COLORS if (problem, m) in groups})
        place.set_title(f"{problem}{' (tuning)' if problem in TUNING else ''}", fontsize=8)
    for place in axes[len(shown) :]:
        place.set_axis_off()
    handles = {
        label: handle
        for place in axes
        for handle, label in zip(*place.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        [handles[method] for method in COLORS if method in handles],
        [method for method in COLORS if method in handles],
        loc="outside lower center",
        ncols=len(handles),
        fontsize=8,
        frameon=False,
    )
    for place in axes[-COLUMNS:]:
        place.set_xlabel("runs", fontsize=8)
    figure.supylabel("share of the true frontier's hypervolume", fontsize=9)
    figure.savefig(path, dpi=DOTS_PER_INCH)


def _draw(axes: Axes, methods: dict[str, list[Curve]]) -> None:
    lowest, highest = 1.0, 0.0
    for method, curves in methods.items():
        low, middle, high = quartiles(curves)
        runs = np.arange(1, len(middle) + 1)
        ours = method in ("limbeck", "limbeck-unknown", "sigopt")
        front = 3 if ours else 2
        axes.fill_between(runs, low, high, color=COLORS[method], alpha=0.12, linewidth=0)
        axes.plot(
            runs,
            middle,
            color=COLORS[method],
            linewidth=1.8 if ours else 1.0,
            label=method,
            zorder=front,
        )
        lowest = min(lowest, float(middle[min(len(middle), 20) - 1]))
        highest = max(highest, float(high[-1]))
    # What happens in the first runs is chance, and would leave little room for the rest.
    margin = 0.05 * (highest - lowest) + 1e-3
    axes.set_ylim(lowest - margin, highest + margin)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
