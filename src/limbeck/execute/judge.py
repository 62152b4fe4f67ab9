"""Which runs of a search end early, and which students answer all questions."""

from collections.abc import Mapping
from dataclasses import replace

from limbeck.config import StudyConfig
from limbeck.metrics import Role
from limbeck.optimize.stopping import StopRule, chance_of_mattering, is_spared
from limbeck.runs import CurvePoint, Forecast, Outcome, Reason, Run, RunState
from limbeck.study import Study


class Judge:
    """Judges runs by the frontier and the curves so far; see `limbeck.optimize.stopping`.

    Args:
        study: Whose runs are judged.
        config: Its study file.
    """

    def __init__(self, study: Study, config: StudyConfig) -> None:
        self._study = study
        self._metrics = config.metrics
        self._settings, self._seed = config.file.stopping, config.file.seed
        self._rule = StopRule(
            metrics=config.metrics, settings=config.file.stopping, seed=config.file.seed
        )
        self._curves: dict[int, tuple[CurvePoint, ...]] = {}
        self._settled = 0

    def ending(self, run: Run, *, total_steps: int) -> Outcome | None:
        """Return how a run ends that can hardly matter any more; None if it goes on.

        One with other parameters than the searched ones goes on: somebody wanted just that.
        """
        if not (self._settings.chance and self._study.space.contains(run.parameters)):
            return None
        runs = self._update()
        verdict = self._rule.decide(
            replace(run, total_steps=total_steps),
            self._curves.get(run.number, ()),
            runs,
            self._curves,
        )
        if not verdict.stop:
            return None
        return Outcome(
            state=RunState.STOPPED,
            reason=Reason.NO_GAIN,
            message=verdict.message,
            forecasts=verdict.forecasts,
        )

    def needs_all(self, run: Run, forecasts: Mapping[str, Forecast]) -> bool:
        """Whether a student of which the first questions tell so much has to answer all.

        That is so if it may matter, if it is one of those that are never stopped, and if there are
        metrics that the first questions say nothing about.
        """
        unknown = {
            metric.name
            for metric in self._metrics
            if metric.role is not Role.STORE and not metric.known
        }
        spared = is_spared(run.number, share=self._settings.spare, seed=self._seed)
        if spared or not unknown <= forecasts.keys():
            return True
        chance = chance_of_mattering(forecasts, run, self._update(), self._metrics)
        return chance >= self._settings.chance

    def _update(self) -> list[Run]:
        """Read what is new of runs and curves; return the runs."""
        runs, _ = self._study.history.update()
        self._curves |= self._study.store.all_points(self._study.name, first=self._settled)
        self._settled = self._study.history.settled
        return runs
