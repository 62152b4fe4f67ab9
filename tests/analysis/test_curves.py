"""Curves as they are drawn: what they run against, and what thinning keeps."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from limbeck.analysis.curves import (
    DRAWN_POINTS,
    metric_names,
    read_curves,
    standing_out,
    thin,
)
from limbeck.analysis.results import StudyResults
from limbeck.metrics import Goal, Metric
from limbeck.runs import CurvePoint, Run, RunState

RUN = Run(number=3, parameters={}, state=RunState.FINISHED, epoch_steps=4)


def point(step: int, metric: str, value: float) -> CurvePoint:
    return CurvePoint(step=step, metric=metric, value=value, seconds=step / 2)


@given(
    arrays(np.float64, st.integers(1, 400), elements=st.floats(-1e9, 1e9)),
    st.integers(min_value=2, max_value=60),
)
def test_thinning_keeps_extremes_and_both_ends_and_is_short(values: np.ndarray, limit: int) -> None:
    kept = thin(values, limit)
    assert list(kept) == sorted(set(kept.tolist()))
    assert len(kept) <= limit + 2
    assert {0, len(values) - 1} <= set(kept.tolist())
    assert values[kept].min() == values.min()
    assert values[kept].max() == values.max()
    if len(values) <= limit:
        assert len(kept) == len(values)


def test_thinning_keeps_a_spike_in_every_stretch() -> None:
    values = np.zeros(10_000)
    values[[17, 5_003, 9_998]] = [5.0, -7.0, 3.0]
    kept = thin(values, 100)
    assert {17, 5_003, 9_998} <= set(kept.tolist())


def test_curves_run_against_steps_epochs_or_seconds() -> None:
    points = (point(2, "loss", 1.5), point(2, "f1", 10.0), point(6, "loss", 1.0))
    places = {
        across: read_curves(RUN, points, across=across)["loss"].across.tolist()
        for across in ("steps", "epochs", "time")
    }
    assert places == {"steps": [2, 6], "epochs": [0.5, 1.5], "time": [1.0, 3.0]}
    curve = read_curves(RUN, points)["loss"]
    assert (curve.run, curve.metric, curve.values.tolist()) == (3, "loss", [1.5, 1.0])


def test_run_that_does_not_know_its_epochs_has_no_curve_against_them() -> None:
    unknown = Run(number=1, parameters={}, state=RunState.FINISHED)
    assert read_curves(unknown, (point(1, "loss", 1.0),), across="epochs") == {}


def test_values_that_are_not_finite_are_left_out() -> None:
    points = (point(1, "loss", 2.0), point(2, "loss", math.inf), point(3, "loss", math.nan))
    assert read_curves(RUN, points)["loss"].values.tolist() == [2.0]
    assert read_curves(RUN, points[1:]) == {}


def test_long_curve_is_thinned_to_what_is_drawn() -> None:
    points = [point(step, "loss", float(step % 101)) for step in range(3 * DRAWN_POINTS)]
    curve = read_curves(RUN, points)["loss"]
    assert len(curve.values) <= DRAWN_POINTS + 2
    assert (curve.values.min(), curve.values.max()) == (0, 100)
    assert curve.across[-1] == 3 * DRAWN_POINTS - 1


def test_metrics_come_loss_first_then_scores_in_groups_then_the_rest() -> None:
    names = ["zeta", "best_f1", "NoAns_exact", "f1", "HasAns_f1", "exact", "loss", "HasAns_exact"]
    names += ["learning_rate"]
    assert metric_names({0: [point(1, name, 1.0) for name in names]}) == (
        "loss",
        "learning_rate",
        "exact",
        "f1",
        "HasAns_exact",
        "HasAns_f1",
        "NoAns_exact",
        "best_f1",
        "zeta",
    )


def study(*values: tuple[float, float]) -> StudyResults:
    metrics = (
        Metric(name="exact", goal=Goal.MAXIMIZE),
        Metric(name="size", goal=Goal.MINIMIZE, known=True),
    )
    runs = tuple(
        Run(
            number=number,
            parameters={},
            state=RunState.FINISHED,
            values={"exact": exact, "size": size},
        )
        for number, (exact, size) in enumerate(values)
    )
    return StudyResults(name="s", metrics=metrics, parameters=(), runs=runs)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([(50, 9), (60, 12), (20, 3), (10, 3)], (0, 1, 2)),
        ([(50, 9)], (0,)),
        ([(50, 9), (60, 3)], (0, 1)),
        ([], ()),
    ],
)
def test_standing_out_are_the_baseline_the_best_and_the_smallest_of_the_frontier(
    values: list[tuple[float, float]], expected: tuple[int, ...]
) -> None:
    assert standing_out(study(*values)) == expected
