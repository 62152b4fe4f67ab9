"""Forward passes in turn; how long they take is not tested."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from limbeck.export.serving import FORMATS, WARMUP, Timing, measure, passes, save_figure
from limbeck.students.graphs import Inputs
from tests.export.test_hugging_face import ODD
from tests.students.tiny import filled


def test_models_take_turns_at_every_size() -> None:
    seen: list[tuple[str, tuple[int, ...]]] = []

    def note(name: str):  # type: ignore[no-untyped-def]
        def run(inputs: Inputs) -> None:
            assert {array.shape for array in inputs.values()} == {inputs["input_ids"].shape}
            seen.append((name, inputs["input_ids"].shape))

        return run

    timings = measure(
        {"a": {"PyTorch": note("a")}, "b": {"PyTorch": note("b")}},
        batches=(1, 2),
        lengths=(8,),
        repeats=2,
    )
    rounds = WARMUP + 2
    assert seen == [("a", (1, 8)), ("b", (1, 8))] * rounds + [("a", (2, 8)), ("b", (2, 8))] * rounds
    assert [(each.model, each.batch, each.length) for each in timings] == [
        ("a", 1, 8),
        ("b", 1, 8),
        ("a", 2, 8),
        ("b", 2, 8),
    ]
    assert all(0 < each.p50_ms <= each.p90_ms for each in timings)


def timing(kind: str, *, batch: int, length: int) -> Timing:
    return Timing(
        model="run 1",
        format=kind,
        batch=batch,
        length=length,
        threads=1,
        repeats=5,
        p50_ms=4.0,
        p90_ms=5.0,
    )


def test_throughput_is_windows_by_the_median_time() -> None:
    assert timing("ONNX", batch=8, length=16).windows_per_second == pytest.approx(2000.0)


def test_the_figure_names_conditions_and_formats(tmp_path: Path) -> None:
    rows = [
        timing(kind, batch=batch, length=length)
        for kind in FORMATS
        for batch in (1, 8)
        for length in (16, 32)
    ]
    save_figure(tmp_path / "speed.svg", rows)
    comments = (tmp_path / "speed.svg").read_text()
    ElementTree.parse(tmp_path / "speed.svg")
    for text in ("batch 1", "batch 8", "run 1, ONNX int8", "CPU, 1 threads, 5 passes each"):
        assert f"<!-- {text} -->" in comments


def test_every_format_runs(tmp_path: Path) -> None:
    made = passes(filled(ODD, seed=1), tmp_path)
    assert tuple(made) == FORMATS
    ones = np.ones((2, 8), np.int64)
    for run in made.values():
        run({"input_ids": ones, "attention_mask": ones, "token_type_ids": 0 * ones})
