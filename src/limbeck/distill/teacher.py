"""Fine-tuning a plain encoder into a teacher."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from limbeck.config import Recipe, TrainingSettings
from limbeck.distill.checkpoint import remove_checkpoint
from limbeck.distill.device import Device
from limbeck.distill.distributed import join
from limbeck.distill.training import Lesson, Reporter, train
from limbeck.files import whole_folder
from limbeck.students.loading import load_encoder
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.students.shape import Shape
from limbeck.students.slicing import Dropouts, choose_cut, first, slice_student
from limbeck.tasks.question_answering.features import Features


def teach(
    encoder: str,
    tokenizer: PreTrainedTokenizerBase,
    features: Features,
    recipe: Recipe,
    settings: TrainingSettings,
    *,
    folder: Path,
    reporter: Reporter,
    evaluate: Callable[[SlimBertForQuestionAnswering], Mapping[str, float]] | None = None,
) -> None:
    """Fine-tune ``encoder`` on hard labels and save it to ``folder``.

    The folder appears when it is done; a checkpoint lies beside it until then, and calling again
    goes on from it.

    Args:
        encoder: Hub id or folder of a BERT-family model.
        tokenizer: Saved with the teacher.
        features: The training windows.
        recipe: Hyperparameters.
        settings: Device, precision, and how often to report, evaluate and save.
        folder: Where the teacher goes.
        reporter: Hears loss, learning rate and scores.
        evaluate: Scores the teacher on the way.

    Raises:
        ModelError: If the encoder cannot be loaded.
        DataError: If the checkpoint is damaged.
        DivergedError: If the loss is no longer finite.
    """
    plain = load_encoder(encoder, seed=recipe.seed)
    shape = Shape.from_config(plain.config.to_dict())
    everything = choose_cut(plain, shape, kept_layers=range(shape.num_layers), importance=first)
    dropouts = Dropouts(
        hidden=recipe.dropout, attention=recipe.attention_dropout, qa=recipe.qa_dropout
    )
    teacher = slice_student(plain, everything, dropouts=dropouts)
    checkpoint = folder.with_name(f"{folder.name}.checkpoint")
    train(
        teacher,
        Lesson(features=features),
        recipe,
        settings,
        checkpoint=checkpoint,
        reporter=reporter,
        evaluate=evaluate,
    )
    processes = join(Device.choose(settings))
    if processes.is_main:
        save_model(teacher, tokenizer, folder)
        remove_checkpoint(checkpoint)
    processes.wait()


def save_model(
    model: SlimBertForQuestionAnswering, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> None:
    """Save a model and its tokenizer; the folder appears whole or not at all.

    Args:
        model: Saved as safetensors.
        tokenizer: Saved beside it.
        folder: Where they go; what lies there already is replaced.
    """
    with whole_folder(folder) as unfinished:
        model.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)
        shutil.rmtree(folder, ignore_errors=True)
