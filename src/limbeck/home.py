"""Where Limbeck keeps things: one folder for the store, caches, taught teachers and runs."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The folder, ``.limbeck`` unless the user names another.

    ::

        store.db                     all studies
        cache/                       features and teacher logits; may be deleted
        teachers/                    what `limbeck teach` made
        studies/NAME/runs/0007/      checkpoint, model, predictions and log of a run
        studies/NAME/teacher/        what its teacher answers and scores
        students/                    what `limbeck distill` made
    """

    folder: Path

    @property
    def store_url(self) -> str:
        """URL of the default store."""
        return f"sqlite:///{self.folder / 'store.db'}"

    @property
    def cache(self) -> Path:
        """Folder of what can be computed again."""
        return self.folder / "cache"

    @property
    def teachers(self) -> Path:
        """Folder of fine-tuned teachers."""
        return self.folder / "teachers"

    @property
    def students(self) -> Path:
        """Folder of students that belong to no study."""
        return self.folder / "students"

    def teacher(self, study: str) -> Path:
        """Folder of what the teacher of a study answers and scores."""
        return self.folder / "studies" / study / "teacher"

    def run(self, study: str, number: int) -> Path:
        """Folder of a run."""
        return self.folder / "studies" / run_place(study, number)


def run_place(study: str, number: int) -> str:
    """Return where a run's files are, in the home's ``studies`` or beneath a URL."""
    return f"{study}/runs/{number:04d}"
