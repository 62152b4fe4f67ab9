"""The questions that a study file names."""

from pathlib import Path

import pytest

from limbeck.config import StudyConfig, load_config
from limbeck.errors import DataError
from limbeck.questions import Questions
from limbeck.tasks.question_answering.dataset import QuestionSet, read_squad
from tests.tiny import tiny_questions, write_squad, write_tiny_study


def tiny_config(folder: Path, **data: object) -> StudyConfig:
    config = load_config(write_tiny_study(folder, data=data))
    write_squad(folder / "test.json", tiny_questions(8, seed=3))
    return config


def ids(questions: QuestionSet) -> list[str]:
    return [question.id for question in questions.questions]


def test_what_scores_is_dev_unless_the_file_says_test(tmp_path: Path) -> None:
    read = Questions(tiny_config(tmp_path, test="test.json"))
    assert ids(read.train) == ids(read_squad(tmp_path / "train.json"))
    assert ids(read.scored) == ids(read.dev) == ids(read_squad(tmp_path / "dev.json"))
    confirming = Questions(tiny_config(tmp_path, test="test.json", score_on="test"))
    assert ids(confirming.scored) == ids(read_squad(tmp_path / "test.json"))


def test_weights_are_chosen_on_the_same_dev_questions_whatever_scores(tmp_path: Path) -> None:
    read = Questions(tiny_config(tmp_path, test="test.json"))
    confirming = Questions(tiny_config(tmp_path, test="test.json", score_on="test"))
    assert len(read.sample) == 8
    assert ids(confirming.sample) == ids(read.sample)
    assert set(ids(read.sample)) < set(ids(read.dev))


def test_subsets_are_as_large_as_asked_for_and_the_same_every_time(tmp_path: Path) -> None:
    data = {"train_questions": 5, "dev_questions": 4, "test_questions": 3, "test": "test.json"}
    read = Questions(tiny_config(tmp_path, **data, score_on="test"))
    again = Questions(tiny_config(tmp_path, **data, score_on="test"))
    assert [len(read.train), len(read.dev), len(read.scored)] == [5, 4, 3]
    assert ids(read.train) == ids(again.train)
    other = Questions(tiny_config(tmp_path, **data, seed=1))
    assert ids(read.train) != ids(other.train)


def test_without_dev_whole_articles_are_held_out_of_train(tmp_path: Path) -> None:
    read = Questions(tiny_config(tmp_path, dev=None, held_out=0.3))
    assert sorted(ids(read.train) + ids(read.dev)) == ids(read_squad(tmp_path / "train.json"))
    titles = [{question.title for question in part.questions} for part in (read.train, read.dev)]
    assert titles[0].isdisjoint(titles[1])


def test_only_questions_that_are_asked_for_are_read(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    (tmp_path / "train.json").write_text("no JSON")
    read = Questions(config)
    assert len(read.dev) == 12
    with pytest.raises(DataError, match=r"train\.json"):
        _ = read.train
