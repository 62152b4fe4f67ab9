"""A student of the shared teacher, made as docs/evidence/students/study.toml says, and kept."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from typing_extensions import override

from limbeck.config import StudyConfig, load_config
from limbeck.distill.training import Reporter
from limbeck.objective import Objective
from limbeck.runs import RunState
from limbeck.space import Parameters

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "docs" / "evidence" / "students" / "study.toml"


class Silence(Reporter):
    """Hears nothing."""

    @override
    def begin(self, step: int, total_steps: int, epoch_steps: int) -> None:
        """See `Reporter`."""

    @override
    def report(self, step: int, values: Mapping[str, float], *, seconds: float) -> None:
        """See `Reporter`."""


def study(*, learned: int, asked: int) -> StudyConfig:
    """Return the study file, with so many questions to learn from and to be scored on."""
    config = load_config(STUDY)
    data = config.file.data.model_copy(update={"train_questions": learned, "dev_questions": asked})
    return replace(config, file=config.file.model_copy(update={"data": data}))


def student(objective: Objective, parameters: Parameters, folder: Path) -> Path:
    """Return the folder of a student, made unless it is there."""
    if not (folder / "model").is_dir():
        objective.prepare(Silence())
        outcome = objective(parameters, folder, Silence())
        if outcome.state is not RunState.FINISHED:
            raise SystemExit(f"the student is {outcome.state}: {outcome.message}")
    return folder / "model"
