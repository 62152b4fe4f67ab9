"""Runs in MLflow: an experiment for a study, with a run for each of its own."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from typing_extensions import override

from limbeck.mirror import Mirror, mirror_id
from limbeck.runs import CurvePoint, Run, RunState

_STATUS = {
    RunState.FINISHED: RunStatus.FINISHED,
    RunState.STOPPED: RunStatus.KILLED,
    RunState.INFEASIBLE: RunStatus.FAILED,
    RunState.FAILED: RunStatus.FAILED,
}
_BATCH = 1000
"""Metrics that MLflow takes at once."""


def open_mirror(target: str, *, study: str, folder: Path) -> "MlflowMirror":
    """Return the mirror at ``target``: a tracking URI, or a folder, which gets ``mlflow.db``.

    A relative folder starts at ``folder``.
    """
    if "://" not in target:
        database = (folder / Path(target).expanduser()).resolve() / "mlflow.db"
        target = f"sqlite:///{database}"
    return MlflowMirror(target, study)


class MlflowMirror(Mirror):
    """Writes parameters, ``curve/NAME``, values and state; ``limbeck.id`` tells runs apart.

    Args:
        uri: Of the tracking server or database.
        study: Name of the study, and of the experiment.
    """

    def __init__(self, uri: str, study: str) -> None:
        self._uri = uri
        self._study = study
        self._client: MlflowClient | None = None
        self._ids: dict[int, str] = {}
        self._last: dict[tuple[int, str], int] = {}

    @override
    def begun(self, run: Run) -> None:
        client = self._open()
        run_id = self._ids.setdefault(run.number, self._find(run) or self._create(run))
        client.update_run(run_id, status=RunStatus.to_string(RunStatus.RUNNING))
        parameters = [Param(name, str(value)) for name, value in run.parameters.items()]
        client.log_batch(run_id, params=parameters)

    @override
    def points(self, run: Run, points: Sequence[CurvePoint]) -> None:
        """Add to curves where they end: MLflow keeps what it has been given."""
        new = [point for point in points if point.step > self._last_step(run, point.metric)]
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            self._log(run, [(f"curve/{p.metric}", p.value, p.step) for p in batch])
            for point in batch:
                self._last[run.number, point.metric] = point.step

    @override
    def ended(self, run: Run) -> None:
        if run.number not in self._ids:
            self.begun(run)
        client, run_id = self._open(), self._ids[run.number]
        self._log(run, [(name, value, run.total_steps or 0) for name, value in run.values.items()])
        facts = {"state": str(run.state), "reason": run.reason, "message": run.message}
        tags = [RunTag(f"limbeck.{name}", text) for name, text in facts.items() if text]
        client.log_batch(run_id, tags=tags)
        status = RunStatus.to_string(_STATUS[run.state])
        client.set_terminated(run_id, status=status)
        del self._ids[run.number]

    @override
    def close(self) -> None:
        for run_id in self._ids.values():
            self._open().update_run(run_id, status=RunStatus.to_string(RunStatus.SCHEDULED))

    def _open(self) -> MlflowClient:
        if self._client is None:
            database = self._uri.removeprefix("sqlite:///")
            if database != self._uri:
                Path(database).parent.mkdir(parents=True, exist_ok=True)
            self._client = MlflowClient(tracking_uri=self._uri)
        return self._client

    def _find(self, run: Run) -> str | None:
        """Return the id of what an earlier search has begun."""
        tag = f"tags.`limbeck.id` = '{mirror_id(self._study, run)}'"
        found = self._open().search_runs([self._experiment()], filter_string=tag, max_results=1)
        return found[0].info.run_id if found else None

    def _create(self, run: Run) -> str:
        tags = {
            "limbeck.id": mirror_id(self._study, run),
            "limbeck.study": self._study,
            "limbeck.run": str(run.number),
        }
        created = self._open().create_run(
            self._experiment(), run_name=f"{self._study} {run.number}", tags=tags
        )
        run_id: str = created.info.run_id
        return run_id

    def _experiment(self) -> str:
        client = self._open()
        there = client.get_experiment_by_name(self._study)
        if there is None:
            try:
                return client.create_experiment(self._study)
            except MlflowException:  # Another search was faster, or it is not possible at all.
                there = client.get_experiment_by_name(self._study)
                if there is None:
                    raise
        experiment: str = there.experiment_id
        return experiment

    def _last_step(self, run: Run, metric: str) -> int:
        """Return the step up to which a curve is there; -1 of none."""
        key = (run.number, metric)
        if key not in self._last:
            there = self._open().get_metric_history(self._ids[run.number], f"curve/{metric}")
            self._last[key] = max((point.step for point in there), default=-1)
        return self._last[key]

    def _log(self, run: Run, values: Sequence[tuple[str, float, int]]) -> None:
        now = math.floor(1000 * datetime.now(UTC).timestamp())
        metrics = [Metric(name, value, now, step) for name, value, step in values]
        self._open().log_batch(self._ids[run.number], metrics=metrics)
