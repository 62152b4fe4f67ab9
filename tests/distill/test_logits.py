from pathlib import Path

import numpy as np
import pytest
import torch

from limbeck.distill.device import Device
from limbeck.distill.logits import teacher_logits
from limbeck.distill.predict import predict_logits
from limbeck.errors import DataError, DivergedError
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.features import Features
from tests.tiny import tiny_features, tiny_questions

CPU = Device(torch.device("cpu"), torch.float32)
NUMPY_HEADER_BYTES = 128


def test_logits_are_the_teachers_in_half_precision(
    teacher: SlimBertForQuestionAnswering, features: Features, tmp_path: Path
) -> None:
    logits = teacher_logits(teacher, features, device=CPU, cache=tmp_path).values
    expected = predict_logits(teacher, features, device=CPU)
    np.testing.assert_array_equal(logits, expected.astype(np.float16))


def test_second_call_reads_what_the_first_one_wrote(
    teacher: SlimBertForQuestionAnswering, features: Features, tmp_path: Path
) -> None:
    calls: list[int] = []

    def progress(done: int, total: int) -> None:
        calls.append(total)

    first = teacher_logits(teacher, features, device=CPU, cache=tmp_path, progress=progress)
    computed = len(calls)
    second = teacher_logits(teacher, features, device=CPU, cache=tmp_path, progress=progress)
    assert computed == len(calls) > 0
    np.testing.assert_array_equal(first.values, second.values)
    assert first.key == second.key


def test_file_has_four_bytes_a_token(
    teacher: SlimBertForQuestionAnswering, features: Features, tmp_path: Path
) -> None:
    teacher_logits(teacher, features, device=CPU, cache=tmp_path)
    (file,) = tmp_path.glob("*/*")
    assert file.stat().st_size == NUMPY_HEADER_BYTES + 4 * len(features.input_ids)


def test_other_weights_windows_or_precision_have_logits_of_their_own(
    teacher: SlimBertForQuestionAnswering, features: Features, tmp_path: Path
) -> None:
    def fresh() -> SlimBertForQuestionAnswering:
        return SlimBertForQuestionAnswering.from_state_dict(teacher.config, teacher.state_dict())

    other_weights = fresh()
    with torch.no_grad():
        other_weights.qa_outputs.bias[0] += 1.0
    other_windows = tiny_features(tiny_questions(5, seed=3), cache=tmp_path)
    bf16 = Device(torch.device("cpu"), torch.bfloat16)
    cache = tmp_path / "cache"
    keys = []
    for model, windows, device in (
        (teacher, features, CPU),
        (fresh(), features, CPU),
        (other_weights, features, CPU),
        (teacher, other_windows, CPU),
        (teacher, features, bf16),
    ):
        logits = teacher_logits(model, windows, device=device, cache=cache)
        assert logits.values.shape == (len(windows.input_ids), 2)
        keys.append(logits.key)
    assert keys[0] == keys[1]
    assert len(list(cache.iterdir())) == len(set(keys)) == 4


@pytest.mark.parametrize("bias", [1e6, float("nan")])
def test_logits_that_half_precision_cannot_hold_are_not_kept(
    teacher: SlimBertForQuestionAnswering, features: Features, tmp_path: Path, bias: float
) -> None:
    with torch.no_grad():
        teacher.qa_outputs.bias[0] = bias
    with pytest.raises(DivergedError, match=r"^the teacher's logits must be finite, but some are"):
        teacher_logits(teacher, features, device=CPU, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_damaged_file_is_named(
    teacher: SlimBertForQuestionAnswering, features: Features, tmp_path: Path
) -> None:
    teacher_logits(teacher, features, device=CPU, cache=tmp_path)
    (file,) = tmp_path.glob("*/*")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"cached logits must be whole, but .*; delete the folder$"):
        teacher_logits(teacher, features, device=CPU, cache=tmp_path)
