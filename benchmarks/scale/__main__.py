"""How a search goes on 20, 100 and 500 workers: simulated, with real run times and suggestions.

Runs take as long as the 70 real ones of benchmarks/early_stopping, or a multiple of that. The
sampler takes as long as was measured on this machine (suggestions.csv; --measure does it again).
Hypervolumes are those of the real sampler on a problem whose frontier is known (students17).
"""

import argparse
import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cost
import events
from matplotlib.figure import Figure

import analytic  # isort: skip  # found once cost has been imported

EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence" / "scale"
WORKERS = (20, 100, 500)
RUNS = (479, 5000)
SCALES = (1, 6, 36)
CURVES = (5, 20, 100, 500)
NAMED = 100
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Hypervolume of a search with the real sampler.

    Attributes:
        search: How it went.
        shares: Of the true frontier's hypervolume, after each end.
    """

    search: events.Search
    shares: Sequence[float]


def main() -> None:
    """Simulate, and print and draw what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="80 runs of the real sampler")
    parser.add_argument("--measure", action="store_true", help="measure suggestions again")
    arguments = parser.parse_args()
    if arguments.measure:
        cost.measure(cost.TABLE)
    rows = list(_utilizations())
    _print(rows)
    curves = [_curve(workers, runs=80 if arguments.quick else 479) for workers in CURVES]
    for curve in curves:
        search = curve.search
        print(
            f"real sampler, {search.runs} runs, {search.workers} workers: {search.wall / 3600:.2f} "
            f"h, {search.spent / 3600:.1f} worker hours, share {curve.shares[-1]:.4f}, "
            f"utilization {search.utilization:.3f}",
            flush=True,
        )
    name = "quick" if arguments.quick else "full"
    _write(rows, EVIDENCE / "utilization.csv")
    _draw(curves, EVIDENCE / f"hypervolume-{name}.png")
    named = next(row for row in rows if (row["scale"], row["workers"]) == (1, NAMED))
    burst = sum(cost.Cost()(479, 20, again=place > 0) for place in range(20))
    print(
        f"RESULT utilization={named['utilization']:.3f} workers={NAMED} runs={named['runs']:.0f} "
        f"sampler_share={named['sampler']:.3f} twenty_at_once_seconds={burst:.1f}"
    )


def _utilizations() -> Iterator[dict[str, float]]:
    model = cost.Cost()
    for scale in SCALES:
        times = events.Times(scale)
        for runs in RUNS:
            for workers in WORKERS:
                ahead, asked = (
                    events.simulate(
                        events.Costed(workers, times, model), workers=workers, runs=runs, ahead=some
                    )
                    for some in (math.ceil(workers / 10), 0)
                )
                yield {
                    "scale": scale,
                    "median_seconds": times.median,
                    "runs": runs,
                    "workers": workers,
                    "utilization": ahead.utilization,
                    "utilization_asked": asked.utilization,
                    "sampler": ahead.choosing / ahead.wall,
                    "hours": ahead.wall / 3600,
                }


def _curve(workers: int, *, runs: int) -> Curve:
    chooser = events.Real(analytic.students17(), events.Times(6))
    ahead = math.ceil(workers / 10)
    search = events.simulate(chooser, workers=workers, runs=runs, ahead=ahead)
    return Curve(search=search, shares=chooser.shares(search))


def _print(rows: Sequence[dict[str, float]]) -> None:
    print("| median run | runs | workers | utilization | asked when free | sampler busy | hours |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['median_seconds'] / 60:.1f} min | {row['runs']:,} | {row['workers']} | "
            f"{row['utilization']:.3f} | {row['utilization_asked']:.3f} | {row['sampler']:.2f} | "
            f"{row['hours']:.2f} |"
        )


def _write(rows: Sequence[dict[str, float]], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows({name: round(value, 4) for name, value in row.items()} for row in rows)


def _draw(curves: Sequence[Curve], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(9.0, 4.1), layout="constrained")
    against_time, against_cost = figure.subplots(1, 2, sharey=True)
    for curve, color in zip(curves, COLORS, strict=False):
        label = f"{curve.search.workers} workers (n = {curve.search.runs} runs)"
        hours = [moment / 3600 for moment, _ in curve.search.ends]
        spent = [curve.search.spent / 3600 * (k + 1) / len(hours) for k in range(len(hours))]
        against_time.plot(hours, curve.shares, color=color, label=label)
        against_cost.plot(spent, curve.shares, color=color, label=label)
    against_time.set(
        xscale="log", xlabel="hours", ylabel="share of the true frontier's hypervolume"
    )
    against_cost.set(xlabel="worker hours spent on runs that ended")
    handles, labels = against_cost.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
