from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from typing_extensions import override

from limbeck import measure
from limbeck.config import Runtime
from limbeck.measure import CLEAR_REFS, PeakMemory, PeakResident, latency, peak_memory
from limbeck.students import graphs
from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering


class Recorder(nn.Module):
    """Notes how it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.calls: list[tuple[tuple[int, ...], bool]] = []

    @override
    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        assert attention_mask.shape == input_ids.shape
        assert bool(attention_mask.all())
        assert not torch.is_grad_enabled()
        self.calls.append((tuple(input_ids.shape), self.training))
        return self.weight


def test_every_pass_has_full_windows_and_no_dropout() -> None:
    recorder = Recorder()
    latency(recorder, length=7, batch=3, warmup=2, repeats=4)
    assert recorder.calls == [((3, 7), False)] * 6


def test_conditions_stand_beside_the_numbers() -> None:
    measured = latency(Recorder(), length=7, batch=3, warmup=2, repeats=4)
    conditions = asdict(measured)
    times = conditions.pop("p50_ms"), conditions.pop("p90_ms")
    assert conditions == {
        "runtime": "pytorch",
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "batch": 3,
        "length": 7,
        "warmup": 2,
        "repeats": 4,
    }
    assert 0 < times[0] <= times[1]


def make_student(*, types: int = 2, ffn_size: int = 8) -> SlimBertForQuestionAnswering:
    config = SlimBertConfig(
        vocab_size=40,
        hidden_size=32,
        head_dim=8,
        heads_per_layer=[2, 0],
        ffn_per_layer=[ffn_size, 8],
        max_position_embeddings=16,
        type_vocab_size=types,
    )
    return SlimBertForQuestionAnswering(config)


@pytest.mark.parametrize("types", [0, 2])
def test_students_with_and_without_token_types_can_be_measured(types: int) -> None:
    student = make_student(types=types)
    assert latency(student, length=16, warmup=1, repeats=2).length == 16
    assert peak_memory(student, length=16).length == 16


@pytest.mark.parametrize("runtime", ["onnx", "onnx-int8"])
def test_a_graph_is_measured_with_the_threads_that_are_wanted(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, opened = torch.get_num_threads(), list[tuple[int, bool, list[int]]]()
    open_graph = graphs.open_graph

    def note(path: Path) -> graphs.Pass:
        is_int8, run = b"MatMulInteger" in path.read_bytes(), open_graph(path)

        def compute(inputs: graphs.Inputs) -> None:
            opened.append((torch.get_num_threads(), is_int8, [*inputs["input_ids"].shape]))
            run(inputs)

        return compute

    monkeypatch.setattr(graphs, "open_graph", note)
    measured = latency(
        make_student(),
        length=16,
        batch=2,
        runtime=runtime,
        threads=before + 1,
        warmup=1,
        repeats=2,
    )
    assert (measured.runtime, measured.device, measured.threads) == (runtime, "cpu", before + 1)
    assert opened == [(before + 1, runtime == "onnx-int8", [2, 16])] * 3
    assert torch.get_num_threads() == before


class Hoarder(nn.Module):
    """Holds 1000 and 500 floats at once, and then 500 and 300; of weights it has 10 and 6."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(10))
        self.table: Tensor
        self.register_buffer("table", torch.zeros(6))

    @override
    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        assert not self.training
        first = torch.zeros(1000)
        second = torch.zeros(500)
        # None of these takes memory: a change in place, views of what is there and of weights.
        first.add_(1)
        halves = first.view(2, 500), second[:250], self.weight.view(2, 5), self.table.view(2, 3)
        del first, halves
        third = torch.zeros(300)
        return third.view(3, 100)


def test_the_peak_is_that_of_the_worst_moment_with_weights_and_inputs() -> None:
    weights, inputs = 4 * 16, 2 * 8 * 3 * 7
    assert peak_memory(Hoarder(), length=7, batch=3) == PeakMemory(
        bytes=weights + inputs + 4 * 1500, weight_bytes=weights, device="cpu", batch=3, length=7
    )


def test_a_student_takes_its_weights_and_the_same_again_for_every_window() -> None:
    student = make_student()
    peaks = [peak_memory(student, length=16, batch=batch) for batch in (1, 2, 3)]
    parameters = sum(parameter.numel() for parameter in student.parameters())
    buffers = 8 * 16 + 8 * 16  # numbers of the positions, types of their tokens
    assert [peak.weight_bytes for peak in peaks] == [4 * parameters + buffers] * 3
    first, second, third = (peak.bytes - peak.weight_bytes for peak in peaks)
    # Two of the arrays of a layer, at the least, are there at once.
    assert third - second == second - first > 2 * 4 * 16 * 32
    assert peak_memory(student, length=8).bytes < peaks[0].bytes


def test_the_peak_is_that_of_the_allocations_that_the_profiler_sees() -> None:
    # So wide that no kernel borrows memory at the worst moment, which only the profiler would see.
    student = make_student(ffn_size=128)
    with (
        torch.inference_mode(),
        profile(activities=[ProfilerActivity.CPU], profile_memory=True) as p,
    ):
        ones = torch.ones(2, 16, dtype=torch.long)
        student(input_ids=ones, attention_mask=ones.clone())
    results = p.profiler.kineto_results
    steps = sorted((e.start_ns(), e.nbytes()) for e in results.events() if e.name() == "[memory]")
    measured = peak_memory(student, length=16, batch=2)
    assert measured.bytes - measured.weight_bytes == max(np.cumsum([step for _, step in steps]))


@pytest.mark.gpu
def test_on_cuda_the_peak_is_that_of_the_allocator() -> None:
    device = torch.device("cuda")

    class OnDevice(Hoarder):
        @override
        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            return torch.zeros(1_000_000, device=device)

    measured = peak_memory(OnDevice().to(device), length=7)
    assert measured.device == "cuda"
    assert 4_000_000 <= measured.bytes - measured.weight_bytes < 4_010_000


MEBIBYTE = 2**20
CPU = torch.device("cpu")
linux = pytest.mark.skipif(not CLEAR_REFS.exists(), reason="only Linux tells a process's peak")


@linux
def test_what_is_taken_and_given_back_within_the_context_is_seen() -> None:
    held = np.ones(32 * MEBIBYTE, np.int8)
    before = np.ones(256 * MEBIBYTE, np.int8)
    del before
    with PeakResident(CPU) as peak:
        within = np.ones(64 * MEBIBYTE, np.int8)
        del within
    assert peak.bytes is not None
    assert 63 * MEBIBYTE < peak.bytes < 72 * MEBIBYTE
    assert held.all()


@linux
def test_memory_that_the_process_freed_but_kept_counts_again() -> None:
    """A worker makes one run after another: without this, all but the first took nothing."""
    last, peaks = [], []
    for _ in range(3):
        with PeakResident(CPU) as peak:
            arrays = [np.ones(64 * 1024, np.int8) for _ in range(1024)]
        last.append(arrays.pop())  # and so the heap cannot shrink
        del arrays
        assert peak.bytes is not None
        peaks.append(peak.bytes / MEBIBYTE)
    assert all(60 < megabytes < 72 for megabytes in peaks)


@linux
def test_a_context_that_takes_nothing_measures_next_to_nothing() -> None:
    with PeakResident(CPU) as peak:
        pass
    assert peak.bytes is not None
    assert 0 <= peak.bytes < MEBIBYTE


def test_a_system_that_does_not_tell_the_peak_leaves_it_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(measure, "CLEAR_REFS", tmp_path / "absent" / "clear_refs")
    with PeakResident(CPU) as peak:
        pass
    assert peak.bytes is None
