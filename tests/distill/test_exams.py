"""The windows of the questions that a study file names."""

from pathlib import Path

import numpy as np

from limbeck.config import StudyConfig, load_config
from limbeck.distill.exams import Exams
from limbeck.questions import Questions
from tests.tiny import LENGTHS, tiny_questions, tiny_tokenizer, write_squad, write_tiny_study


def tiny_config(folder: Path, **data: object) -> StudyConfig:
    config = load_config(write_tiny_study(folder, data=data))
    write_squad(folder / "test.json", tiny_questions(8, seed=3))
    return config


def test_windows_are_cut_once_and_say_so(tmp_path: Path) -> None:
    said: list[str] = []

    def say(label: str, done: int, total: int) -> None:
        said.append(label)

    def exams() -> Exams:
        return Exams(
            Questions(tiny_config(tmp_path)),
            tiny_tokenizer().backend_tokenizer,
            LENGTHS,
            cache=tmp_path / "cache",
            progress=say,
        )

    first = exams()
    windows = [first.train, first.scored.features, first.sample.features]
    assert [features.lengths.max() <= 32 for features in windows] == [True] * 3
    assert set(said) == {
        f"cutting {name} questions into windows" for name in ("train", "scored", "sampled")
    }
    said.clear()
    assert np.array_equal(exams().train.input_ids, windows[0].input_ids)
    assert said == []
