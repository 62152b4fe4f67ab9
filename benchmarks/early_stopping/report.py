"""What came of the replays: a table, how far chances can be believed, and a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from replay import SCORE, Replay
from scipy.stats import norm

mpl.use("Agg")
TARGET_STEPS, TARGET_VOLUME = 1 / 3, 0.99
_COVERED = (0.5, 0.9, 0.98)
_CHANCES = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One rule.

    Attributes:
        name: What it is called.
        recorded: What came of it in the recorded order.
        others: In random orders.
    """

    name: str
    recorded: Replay
    others: Sequence[Replay]


def show(rows: Sequence[Row], *, orders: int) -> None:
    """Print a line for each rule: in the recorded order, then the mean over random ones."""
    print(f"{'':18} recorded order                  | mean of {orders} random orders (worst)")
    print(f"{'rule':18} steps  volume  frontier stopped | steps  volume         frontier stopped")
    for row in rows:
        one = row.recorded
        steps = np.mean([each.steps_ratio for each in row.others])
        volumes = [each.hypervolume_kept for each in row.others]
        lost = sum(each.stopped_frontier for each in row.others)
        of = sum(each.frontier for each in row.others)
        print(
            f"{row.name:18} {one.steps_ratio:.3f}  {one.hypervolume_kept:.4f}  "
            f"{one.stopped_frontier:4} of {one.frontier:<9} | {steps:.3f}  "
            f"{np.mean(volumes):.4f} ({min(volumes):.3f})  {lost:4} of {of}"
        )


def show_calibration(replays: Sequence[Replay]) -> None:
    """Print how often forecasts were right, and how often runs of small chance did matter.

    The rule only watches: it gives its verdicts, but nothing is stopped.
    """
    opinions = [
        opinion
        for each in replays
        for opinion in each.opinions
        if SCORE.name in opinion.verdict.forecasts
    ]
    print(f"\nforecasts of {SCORE.name}, {len(opinions)} verdicts: within the central")
    distances = np.array(
        [
            (opinion.record.run.values[SCORE.name] - forecast.mean) / forecast.std
            for opinion in opinions
            for forecast in [opinion.verdict.forecasts[SCORE.name]]
        ]
    )
    for share in _COVERED:
        inside = np.mean(np.abs(distances) < norm.ppf(0.5 + share / 2))
        print(f"  {100 * share:.0f} %: {100 * inside:.1f} %")
    print("chance of mattering, and how many of them did matter:")
    chances = np.array([opinion.verdict.chance for opinion in opinions])
    mattered = np.array([opinion.mattered for opinion in opinions])
    for low, high in pairwise(_CHANCES):
        inside = (chances >= low) & ((chances < high) | (high == 1.0))
        if inside.any():
            mean, truth = 100 * chances[inside].mean(), 100 * mattered[inside].mean()
            print(
                f"  {100 * low:4.1f} to {100 * high:5.1f} %: mean {mean:5.1f} %, "
                f"in truth {truth:5.1f} % of {inside.sum()}"
            )


def result(replayed: Replay, *, runs: int) -> str:
    """Return the last line."""
    return (
        f"RESULT steps_ratio={replayed.steps_ratio:.3f} "
        f"frontier_kept={replayed.frontier_kept:.3f} runs={runs} "
        f"hypervolume_kept={replayed.hypervolume_kept:.4f} "
        f"stopped_frontier={replayed.stopped_frontier} frontier={replayed.frontier} "
        f"stopped={replayed.stopped}"
    )


LEAST_NAMED = 0.02
"""Levels below are so close to each other that their names would lie upon each other."""


def draw(levels: Mapping[float, Row], rivals: Sequence[Row], path: Path) -> None:
    """Draw steps and hypervolume over levels of caution, and the rivals beside them."""
    figure = Figure(figsize=(7, 4.5), dpi=150, layout="constrained")
    axes = figure.subplots()
    steps, volumes = _points(list(levels.values()))
    axes.plot(steps, volumes, "o-", label="chance of mattering, mean of random orders")
    for level, x, y in zip(levels, steps, volumes, strict=True):
        if level >= LEAST_NAMED:
            axes.annotate(
                f"{100 * level:g} %",
                (x, y),
                xytext=(0, -15),
                textcoords="offset points",
                ha="center",
            )
    recorded = [row.recorded for row in levels.values()]
    axes.plot(
        [each.steps_ratio for each in recorded],
        [each.hypervolume_kept for each in recorded],
        "s:",
        alpha=0.6,
        label="chance of mattering, recorded order",
    )
    for row, marker in zip(rivals, "^vD", strict=True):
        x, y = _points([row])
        axes.plot(x, y, marker, linestyle="none", label=row.name)
    axes.axvline(TARGET_STEPS, color="0.7", linewidth=1)
    axes.axhline(TARGET_VOLUME, color="0.7", linewidth=1)
    axes.text(TARGET_STEPS, TARGET_VOLUME, " target: up and left of here", va="top", fontsize=8)
    axes.set_ylim(top=1.005)
    axes.set_xlabel("training steps, as a share of those without stopping")
    axes.set_ylabel("hypervolume kept")
    axes.legend(fontsize=8, loc="lower left")
    figure.savefig(path)


def _points(rows: Sequence[Row]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (
        np.array([np.mean([each.steps_ratio for each in row.others]) for row in rows]),
        np.array([np.mean([each.hypervolume_kept for each in row.others]) for row in rows]),
    )
