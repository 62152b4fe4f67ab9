"""What the rule is compared with: another rule, and one that knows how runs end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from replay import METRICS, SCORE
from table import Record

from limbeck.config import StoppingSettings
from limbeck.frontier import frontier
from limbeck.optimize.stopping import Verdict, is_spared
from limbeck.runs import CurvePoint, Run, RunState


def never(
    _run: Run,
    _curve: Sequence[CurvePoint],
    _runs: Sequence[Run],
    _curves: Mapping[int, Sequence[CurvePoint]],
) -> Verdict:
    """Stop nothing."""
    return Verdict()


@dataclass(frozen=True)
class Median:
    """Stops a run whose best score so far is below the median of the finished runs' at this step.

    So does Optuna's MedianPruner, which knows one metric only: that of the scores. The baseline is
    kept, and the first runs and the first steps are as in the settings.
    """

    settings: StoppingSettings

    def decide(
        self,
        run: Run,
        curve: Sequence[CurvePoint],
        _runs: Sequence[Run],
        curves: Mapping[int, Sequence[CurvePoint]],
    ) -> Verdict:
        """Return whether to stop."""
        assert run.total_steps is not None
        scores = {point.step: point.value for point in curve if point.metric == SCORE.name}
        step = max(scores)
        others = [
            point.value
            for each in curves.values()
            for point in each
            if point.metric == SCORE.name and point.step == step
        ]
        ready = len(others) >= self.settings.runs and step >= self.settings.after * run.total_steps
        return Verdict(stop=run.number != 0 and ready and max(scores.values()) < np.median(others))


@dataclass(frozen=True)
class Oracle:
    """Knows how each run ends, and stops it at once if it will not join the frontier of then.

    What the rule must spend, it spends, too: on the first runs, the first steps and spared runs.
    """

    settings: StoppingSettings
    seed: int
    truth: Mapping[int, Record]

    def decide(
        self,
        run: Run,
        curve: Sequence[CurvePoint],
        runs: Sequence[Run],
        _curves: Mapping[int, Sequence[CurvePoint]],
    ) -> Verdict:
        """Return whether to stop."""
        assert run.total_steps is not None
        step = max(point.step for point in curve)
        finished = [each for each in runs if each.state is RunState.FINISHED]
        ready = (
            len(finished) >= self.settings.runs
            and step >= self.settings.after * run.total_steps
            and bool(frontier(finished, METRICS))
            and not is_spared(run.number, share=self.settings.spare, seed=self.seed)
        )
        final = self.truth[run.number].run
        return Verdict(stop=ready and final not in frontier([*finished, final], METRICS))
