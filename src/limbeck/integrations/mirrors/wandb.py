"""Runs in Weights & Biases: a group for a study."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import wandb
from typing_extensions import override

from limbeck.errors import ConfigError
from limbeck.mirror import Mirror, mirror_id
from limbeck.runs import CurvePoint, Run, RunState


def open_mirror(target: str, *, study: str, folder: Path) -> "WandbMirror":  # noqa: ARG001
    """Return the mirror in ``target``: PROJECT, or ENTITY/PROJECT.

    Files go where wandb has them, to ``wandb/`` in the current folder, unless its variables say
    otherwise: WANDB_DIR, WANDB_MODE.

    Raises:
        ConfigError: If it needs to be logged in to first.
    """
    mode = wandb.setup().settings.mode
    if mode not in ("offline", "disabled") and not wandb.login(prompt=False):
        raise ConfigError(
            f"mirrors: 'wandb:{target}' needs a login; run wandb login, or set WANDB_MODE=offline"
        )
    entity, _, project = target.rpartition("/")
    return WandbMirror(entity or None, project, study)


class WandbMirror(Mirror):
    """Writes parameters, ``curve/NAME``, values and state of a run.

    Args:
        entity: User or team; that of the login if None.
        project: Where the runs go.
        study: Name of the study.
    """

    def __init__(self, entity: str | None, project: str, study: str) -> None:
        self._entity = entity
        self._project = project
        self._study = study
        self._runs: dict[int, wandb.Run] = {}

    @override
    def begun(self, run: Run) -> None:
        if run.number in self._runs:
            return
        self._runs[run.number] = wandb.init(
            entity=self._entity,
            project=self._project,
            group=self._study,
            name=f"{self._study} {run.number}",
            id=mirror_id(self._study, run),
            config={**run.parameters, "limbeck.run": run.number},
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(
                silent=True, console="off", x_disable_stats=True, x_disable_meta=True
            ),
        )

    @override
    def points(self, run: Run, points: Sequence[CurvePoint]) -> None:
        """Add to curves where they end: W&B takes no step before its last."""
        by_step: dict[int, dict[str, float]] = defaultdict(dict)
        for point in points:
            by_step[point.step][f"curve/{point.metric}"] = point.value
        shown = self._runs[run.number]
        for step in sorted(by_step):
            if step >= shown.step:
                shown.log(by_step[step], step=step)

    @override
    def ended(self, run: Run) -> None:
        self.begun(run)
        ended = self._runs.pop(run.number)
        facts = {"state": str(run.state), "reason": run.reason, "message": run.message}
        ended.summary.update({**run.values, **facts})
        ended.finish(exit_code=int(run.state is RunState.FAILED))

    @override
    def close(self) -> None:
        for number in [*self._runs]:
            self._runs.pop(number).finish()
