"""What students keep of their source, against students that were really cut."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from limbeck.analysis.kept import Kept, what_is_kept
from limbeck.artifacts import register
from limbeck.config import StudyConfig
from limbeck.runs import Run, RunState
from limbeck.space import Value
from limbeck.students.shape import count_parameters
from tests.artifact_runs import make_config

TEACHER = {
    "model_type": "bert",
    "hidden_size": 8,
    "intermediate_size": 20,
    "max_position_embeddings": 32,
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "type_vocab_size": 2,
    "vocab_size": 50,
}


def study(folder: Path, student: Mapping[str, Any], *, teacher: bool = True) -> StudyConfig:
    if teacher:
        (folder / "teacher").mkdir()
        (folder / "teacher" / "config.json").write_text(json.dumps(TEACHER))
    return make_config(
        folder,
        student=student,
        space={"alpha_ce": {"type": "float", "low": 0.0, "high": 1.0}},
    )


def kept(config: StudyConfig, parameters: Mapping[str, Value]) -> Kept:
    found = what_is_kept(Run(number=1, parameters=parameters, state=RunState.FINISHED), config)
    assert found is not None
    assert not found.measured
    return found


def test_parameters_say_layers_and_widths_but_not_which_heads_weights_choose(
    tmp_path: Path,
) -> None:
    found = kept(study(tmp_path, {"num_layers": 2, "layers": "spread", "num_heads": 3}), {})
    assert [layer.source for layer in found.layers] == [0, 3]
    assert [(layer.heads, layer.kept_heads, layer.neurons) for layer in found.layers] == [
        (3, None, 20),
        (3, None, 20),
    ]
    assert (found.vocab_size, found.embedding_rank, found.source_name) == (50, 0, "teacher")


def test_heads_are_known_where_all_are_kept_none_is_or_the_first_ones(tmp_path: Path) -> None:
    config = study(tmp_path, {"num_layers": 2, "importance": "first"})
    found = kept(config, {"num_heads_1": 2, "ffn_size": 5})
    assert [layer.kept_heads for layer in found.layers] == [(0, 1, 2, 3), (0, 1)]
    assert [layer.neurons for layer in found.layers] == [5, 5]
    (layer,) = kept(config, {"num_layers": 1, "num_heads": 0, "importance": "magnitude"}).layers
    assert layer.kept_heads == ()


def test_half_of_the_layers_is_kept_if_nothing_says_how_many_and_those_beyond_are_new(
    tmp_path: Path,
) -> None:
    config = study(tmp_path, {})
    assert [layer.source for layer in kept(config, {}).layers] == [0, 1]
    deep = kept(config, {"num_layers": 5}).layers
    assert [layer.source for layer in deep] == [0, 1, 2, 3, None]
    assert (deep[4].heads, deep[4].kept_heads, deep[4].neurons) == (4, (), 20)


def test_trimmed_vocabulary_is_unknown_and_rank_is_not(tmp_path: Path) -> None:
    found = kept(study(tmp_path, {"vocabulary": "train", "embedding_rank": 3}), {})
    assert (found.vocab_size, found.embedding_rank) == (None, 3)


def test_without_the_source_there_is_what_the_parameters_say_or_nothing(tmp_path: Path) -> None:
    config = study(tmp_path, {"num_layers": 2, "num_heads": 3, "ffn_size": 7}, teacher=False)
    found = kept(config, {})
    assert [(layer.source, layer.heads, layer.kept_heads) for layer in found.layers] == [
        (None, 3, None),
        (None, 3, None),
    ]
    assert found.source is None
    vague = make_config(tmp_path, student={"num_layers": 2})
    run = Run(number=1, parameters={}, state=RunState.FINISHED)
    assert what_is_kept(run, vague) is None


def test_student_that_cannot_exist_keeps_nothing(tmp_path: Path) -> None:
    config = study(tmp_path, {"num_layers": 3, "layers": "0,1"})
    run = Run(number=1, parameters={}, state=RunState.INFEASIBLE)
    assert what_is_kept(run, config) is None


def with_model(folder: Path, content: str) -> Run:
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text(content)
    artifacts = (register("model", model),)
    return Run(number=1, parameters={}, state=RunState.FINISHED, artifacts=artifacts)


STUDENT = TEACHER | {
    "model_type": "slim-bert",
    "num_hidden_layers": 3,
    "heads_per_layer": [2, 1, 4],
    "ffn_per_layer": [6, 9, 20],
    "kept_layers": [1, 3],
    "kept_heads": [[3, 0], [2]],
    "head_dim": 2,
    "vocab_size": 40,
    "embedding_rank": 3,
}


def test_the_model_says_what_it_is_made_of(tmp_path: Path) -> None:
    found = what_is_kept(with_model(tmp_path, json.dumps(STUDENT)), study(tmp_path, {}))
    assert found is not None
    assert found.measured
    assert [
        (layer.source, layer.heads, layer.kept_heads, layer.neurons) for layer in found.layers
    ] == [(1, 2, (0, 3), 6), (3, 1, (2,), 9), (None, 4, (), 20)]
    assert (found.vocab_size, found.embedding_rank) == (40, 3)


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_model_that_cannot_be_read_leaves_the_word_to_the_parameters(
    tmp_path: Path, content: str
) -> None:
    found = what_is_kept(with_model(tmp_path, content), study(tmp_path, {"num_layers": 1}))
    assert found is not None
    assert (len(found.layers), found.measured) == (1, False)


def test_model_that_moved_to_a_url_is_not_fetched(tmp_path: Path) -> None:
    run = with_model(tmp_path, json.dumps(STUDENT))
    (there,) = run.artifacts
    moved = replace(run, artifacts=(replace(there, path="memory://runs/0001/model"),))
    found = what_is_kept(moved, study(tmp_path, {}))
    assert found is not None
    assert not found.measured


def test_what_is_said_of_real_students_has_the_size_that_was_counted(
    shared_data: Path, tmp_path: Path
) -> None:
    # MiniLM's sizes as the search of 2026-11-23 recorded them: 3 whole layers; 2 narrow ones.
    teacher = str(shared_data / "teachers" / "minilm-l6-squad2")
    config = make_config(tmp_path, teacher={"model": teacher}, student={"num_layers": 3})
    for parameters, counted in (
        ({}, 17_242_754),
        ({"num_layers": 2, "num_heads": 12, "ffn_size": 384}, 13_696_514),
    ):
        found = kept(config, parameters)
        assert found.source is not None
        shape = found.source.student(
            heads_per_layer=[layer.heads for layer in found.layers],
            ffn_per_layer=[layer.neurons for layer in found.layers],
        )
        assert count_parameters(shape) == counted
