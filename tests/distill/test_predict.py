import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from limbeck.distill import predict
from limbeck.distill.device import Device
from limbeck.distill.predict import fill_logits, predict_logits
from limbeck.students.modeling import SlimBertForQuestionAnswering
from limbeck.tasks.question_answering.features import Features
from tests.tiny import tiny_student

CPU = Device(torch.device("cpu"), torch.float32)


def one_by_one(model: SlimBertForQuestionAnswering, features: Features) -> NDArray[np.float32]:
    """Return the logits of windows that the model sees alone, without padding."""
    rows = []
    for start, end in zip(features.starts[:-1], features.starts[1:], strict=True):
        with torch.no_grad():
            answer = model(
                input_ids=torch.from_numpy(features.input_ids[start:end].astype(np.int64))[None],
                token_type_ids=torch.from_numpy(
                    features.token_type_ids[start:end].astype(np.int64)
                )[None],
            )
        rows.append(torch.stack([answer.start_logits[0], answer.end_logits[0]], dim=1))
    return torch.cat(rows).numpy()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let batches have 3 or 4 windows, so that there are many of them."""
    monkeypatch.setattr(predict, "TOKENS_PER_BATCH_CPU", 100)


@pytest.mark.usefixtures("small_batches")
def test_logits_are_those_of_windows_alone(
    teacher: SlimBertForQuestionAnswering, features: Features
) -> None:
    logits = predict_logits(teacher, features, device=CPU)
    assert logits.shape == (features.starts[-1], 2)
    np.testing.assert_allclose(logits, one_by_one(teacher, features), rtol=1e-4, atol=1e-5)


def test_dropout_is_off(teacher: SlimBertForQuestionAnswering, features: Features) -> None:
    student = tiny_student(teacher, dropout=0.5)
    student.train()
    logits = predict_logits(student, features, device=CPU)
    np.testing.assert_allclose(logits, one_by_one(student, features), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("small_batches")
def test_given_array_is_filled(teacher: SlimBertForQuestionAnswering, features: Features) -> None:
    half = np.full((len(features.input_ids), 2), np.nan, np.float16)
    fill_logits(half, teacher, features, device=CPU)
    expected = predict_logits(teacher, features, device=CPU)
    np.testing.assert_array_equal(half, expected.astype(np.float16))


@pytest.mark.usefixtures("small_batches")
def test_progress_counts_windows(teacher: SlimBertForQuestionAnswering, features: Features) -> None:
    calls: list[tuple[int, int]] = []
    logits = np.empty((len(features.input_ids), 2), np.float32)
    fill_logits(
        logits,
        teacher,
        features,
        device=CPU,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert len(calls) > 10
    assert calls == sorted(set(calls))
    assert calls[-1] == (len(features), len(features))
