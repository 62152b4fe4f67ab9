from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForQuestionAnswering
from typing_extensions import override

from limbeck.config import TeacherRecipe, TrainingSettings
from limbeck.distill.teacher import save_model, teach
from limbeck.distill.training import Reporter
from limbeck.errors import DivergedError
from limbeck.students.checkpoint import is_fine_tuned
from limbeck.students.loading import fingerprint, load_encoder, load_teacher
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.features import Features
from tests.tiny import LAYERS, tiny_student, tiny_tokenizer, write_tiny_encoder

RECIPE = TeacherRecipe(
    epochs=1.0, batch_size=8, learning_rate=5e-3, dropout=0.1, attention_dropout=0.2, qa_dropout=0.3
)
SETTINGS = TrainingSettings(device="cpu", precision="fp32", log_every=1, checkpoint_every=3)


class Interrupted(Exception):
    """Somebody pulled the plug."""


class Listener(Reporter):
    """Notes the losses, and what lies beside the teacher at each step; may pull the plug."""

    def __init__(self, folder: Path, *, stop_at: int | None = None) -> None:
        self.folder = folder
        self.stop_at = stop_at
        self.began: int | None = None
        self.losses: dict[int, float] = {}
        self.names: set[str] = set()

    @override
    def begin(self, step: int, total_steps: int, epoch_steps: int) -> None:
        self.began = step

    @override
    def report(self, step: int, values: Mapping[str, float], *, seconds: float) -> None:
        self.losses[step] = values["loss"]
        self.names |= {path.name for path in self.folder.parent.iterdir()}
        if step == self.stop_at:
            raise Interrupted("by the test")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_encoder(tmp_path_factory.mktemp("encoder")))


def taught(
    encoder: str, features: Features, folder: Path, *, stop_at: int | None = None
) -> Listener:
    listener = Listener(folder, stop_at=stop_at)
    tokenizer = tiny_tokenizer()
    teach(encoder, tokenizer, features, RECIPE, SETTINGS, folder=folder, reporter=listener)
    return listener


def test_teacher_opens_like_any_other_model(
    encoder: str, features: Features, tmp_path: Path
) -> None:
    folder = tmp_path / "taught"
    taught(encoder, features, folder)
    ours = load_teacher(str(folder))
    theirs = AutoModelForQuestionAnswering.from_pretrained(folder)
    assert is_fine_tuned(str(folder))
    assert ours.config.num_hidden_layers == LAYERS
    assert isinstance(theirs, SlimBertForQuestionAnswering)
    assert fingerprint(theirs) == fingerprint(ours)
    assert (folder / "tokenizer.json").is_file()


def test_teacher_has_learned_from_hard_labels(
    encoder: str, features: Features, tmp_path: Path
) -> None:
    losses = list(taught(encoder, features, tmp_path / "taught").losses.values())
    assert len(losses) == 7
    assert losses[-1] < 0.75 * losses[0]


def test_all_of_the_encoder_is_trained(encoder: str, features: Features, tmp_path: Path) -> None:
    taught(encoder, features, tmp_path / "taught")
    before = load_encoder(encoder, seed=RECIPE.seed).state_dict()
    after = load_teacher(str(tmp_path / "taught")).state_dict()
    assert before.keys() == after.keys()
    unchanged = [name for name, tensor in after.items() if torch.equal(tensor, before[name])]
    assert unchanged == []


def test_dropout_is_the_recipes(encoder: str, features: Features, tmp_path: Path) -> None:
    taught(encoder, features, tmp_path / "taught")
    config = load_teacher(str(tmp_path / "taught")).config
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.1, 0.2)
    assert config.qa_dropout == 0.3


def test_folder_appears_at_the_end_and_the_checkpoint_goes(
    encoder: str, features: Features, tmp_path: Path
) -> None:
    listener = taught(encoder, features, tmp_path / "taught")
    assert listener.names == {"taught.checkpoint"}
    assert [path.name for path in tmp_path.iterdir()] == ["taught"]


def test_interrupted_teaching_goes_on_to_the_same_teacher(
    encoder: str, features: Features, tmp_path: Path
) -> None:
    whole = taught(encoder, features, tmp_path / "whole")
    with pytest.raises(Interrupted, match="by the test"):
        taught(encoder, features, tmp_path / "broken", stop_at=5)
    assert not (tmp_path / "broken").exists()
    rest = taught(encoder, features, tmp_path / "broken")
    assert rest.began == 3
    assert rest.losses == {step: loss for step, loss in whole.losses.items() if step > 3}
    one, other = (load_teacher(str(tmp_path / name)) for name in ("whole", "broken"))
    assert fingerprint(one) == fingerprint(other)


def test_diverged_teacher_is_not_saved(encoder: str, features: Features, tmp_path: Path) -> None:
    recipe = TeacherRecipe(epochs=1.0, batch_size=8, learning_rate=1e30)
    folder = tmp_path / "taught"
    with pytest.raises(DivergedError, match="loss must stay finite"):
        teach(
            encoder,
            tiny_tokenizer(),
            features,
            recipe,
            SETTINGS,
            folder=folder,
            reporter=Listener(folder),
        )
    assert not folder.exists()


def test_saved_student_keeps_its_widths(
    teacher: SlimBertForQuestionAnswering, tmp_path: Path
) -> None:
    student = tiny_student(teacher, layers=2, heads=(3, 0))
    save_model(student, tiny_tokenizer(), tmp_path / "student")
    loaded = load_teacher(str(tmp_path / "student"))
    assert loaded.config.heads_per_layer == [3, 0]
    assert fingerprint(loaded) == fingerprint(student)
