"""What became of the finalists, as tables."""

import math
from collections.abc import Sequence

from limbeck.analysis.confirmation import Confirmed, confirm_runs, confirmed_frontier
from limbeck.cli.tables import OUT, Facts, new_table
from limbeck.metrics import Metric, optimized
from limbeck.runs import Run
from limbeck.wording import format_value


def confirmation_facts(
    finalists: Sequence[Run], repeats: Sequence[Run], metrics: tuple[Metric, ...]
) -> list[Facts]:
    """Return a fact for each metric of each finalist."""
    front = _front(finalists, repeats, metrics)
    return [
        {
            "run": confirmed.number,
            "metric": confirmed.metric.name,
            "selected": confirmed.selected,
            "values": confirmed.values,
            "mean": confirmed.mean,
            "spread": None if math.isnan(confirmed.spread) else confirmed.spread,
            "luck": confirmed.luck,
            "on_frontier": confirmed.number in front,
        }
        for confirmed in confirm_runs(finalists, repeats, metrics)
    ]


def print_confirmation(
    finalists: Sequence[Run], repeats: Sequence[Run], metrics: tuple[Metric, ...]
) -> None:
    """Print what finalists were chosen for, what they do again, and how much was luck."""
    front = _front(finalists, repeats, metrics)
    known = [metric for metric in optimized(metrics) if metric.known]
    by_number = {run.number: run for run in finalists}
    table = new_table(
        "run", *(m.name for m in known), "metric", "selected", "again", "spread", "seeds", "luck"
    )
    for confirmed in confirm_runs(finalists, repeats, metrics):
        run, metric = by_number[confirmed.number], confirmed.metric
        table.add_row(
            f"{run.number}{' *' if run.number in front else ''}",
            *(format_value(run.values[m.name], m) for m in known),
            metric.name,
            format_value(confirmed.selected, metric),
            format_value(confirmed.mean, metric),
            "" if math.isnan(confirmed.spread) else format_value(confirmed.spread, metric),
            str(len(confirmed.values)),
            _luck(confirmed),
        )
    OUT.print(table)
    OUT.print(
        "again: mean over new seeds, on questions that selected nothing; spread: standard "
        "deviation over seeds\nluck: how much more it lost than the baseline (run 0), which was "
        "not selected\n* on the frontier of the means"
    )


def _front(
    finalists: Sequence[Run], repeats: Sequence[Run], metrics: tuple[Metric, ...]
) -> set[int]:
    return {run.number for run in confirmed_frontier(finalists, repeats, metrics)}


def _luck(confirmed: Confirmed) -> str:
    if confirmed.luck is None or confirmed.number == 0:
        return ""
    return f"{confirmed.luck:+.2f}"
