"""What a model costs to serve and to train, and how that was measured."""

import ctypes
import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self
from weakref import WeakSet, finalize

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from typing_extensions import override

from limbeck.config import Runtime
from limbeck.config.packages import module_with_onnx

CLEAR_REFS = Path("/proc/self/clear_refs")
"""Linux: writing 5 to it makes this process's peak its present memory (``man 5 proc``)."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds to answer, as measured; a number without these conditions means nothing.

    Attributes:
        p50_ms: Median, in milliseconds.
        p90_ms: 90th percentile, in milliseconds.
        runtime: What computed: ``pytorch``, ``onnx``, ``onnx-int8``.
        device: ``cpu``, ``cuda``.
        threads: CPU threads of a forward pass.
        batch: Windows at once.
        length: Tokens a window.
        warmup: Passes before the clock ran.
        repeats: Passes measured.
    """

    p50_ms: float
    p90_ms: float
    runtime: Runtime
    device: str
    threads: int
    batch: int
    length: int
    warmup: int
    repeats: int


def latency(
    model: nn.Module,
    *,
    length: int,
    batch: int = 1,
    runtime: Runtime = "pytorch",
    threads: int | None = None,
    warmup: int = 3,
    repeats: int = 20,
) -> Latency:
    """Measure forward passes on the model's device, in float32 but for ``onnx-int8``.

    Args:
        model: Takes ``input_ids`` and ``attention_mask``; put into evaluation mode. For ONNX, a
            student on the CPU.
        length: Tokens a window, all of them attended to.
        batch: Windows at once.
        runtime: What computes; the ONNX graphs are those of `limbeck.export`.
        threads: CPU threads; torch's number of them if None.
        warmup: Passes before the clock runs.
        repeats: Passes measured.

    Raises:
        ConfigError: If a package for ONNX is missing.
    """
    model.eval()
    milliseconds = []
    with _threads(threads) as used, _forward(model, runtime, batch, length) as compute:
        for _ in range(warmup + repeats):
            start = time.perf_counter()
            compute()
            milliseconds.append(1000 * (time.perf_counter() - start))
    p50, p90 = np.percentile(milliseconds[warmup:], [50, 90])
    return Latency(
        p50_ms=float(p50),
        p90_ms=float(p90),
        runtime=runtime,
        device=next(model.parameters()).device.type,
        threads=used,
        batch=batch,
        length=length,
        warmup=warmup,
        repeats=repeats,
    )


@contextmanager
def _threads(number: int | None) -> Iterator[int]:
    """Have torch compute with so many CPU threads, unless it is None; yield how many it has."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


@contextmanager
def _forward(
    model: nn.Module, runtime: Runtime, batch: int, length: int
) -> Iterator[Callable[[], None]]:
    """Yield a forward pass of full windows; it returns when all is computed."""
    if runtime == "pytorch":
        device = next(model.parameters()).device
        inputs = _full_windows(batch, length, device)

        def compute() -> None:
            with torch.inference_mode():
                model(**inputs)
            if device.type != "cpu":
                torch.accelerator.synchronize(device)

        yield compute
        return
    graphs = module_with_onnx("limbeck.students.graphs")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        graphs.save_graph(model, path)
        if runtime == "onnx-int8":
            graphs.quantize(path)
        yield partial(graphs.open_graph(path), graphs.full_windows(batch, length))


@dataclass(frozen=True, kw_only=True)
class PeakMemory:
    """Bytes that serving takes at its peak; a number without these conditions means nothing.

    Attributes:
        bytes: Weights, and all tensors that are alive at the worst moment of a forward pass.
        weight_bytes: Of these, the weights, and the tables that lie beside them.
        device: ``cpu``, ``cuda``.
        batch: Windows at once.
        length: Tokens a window.
    """

    bytes: int
    weight_bytes: int
    device: str
    batch: int
    length: int


def peak_memory(model: nn.Module, *, length: int, batch: int = 1) -> PeakMemory:
    """Measure a forward pass in float32 on the model's device.

    On CUDA, the allocator's peak is taken, with what kernels borrow. Elsewhere the tensors are
    counted that torch's operations return: always the same number, whatever else is in memory.

    Args:
        model: Takes ``input_ids`` and ``attention_mask``; put into evaluation mode.
        length: Tokens a window, all of them attended to.
        batch: Windows at once.
    """
    device = next(model.parameters()).device
    model.eval()
    weights = [*chain(model.parameters(), model.buffers())]

    def serve() -> None:
        with torch.inference_mode():
            model(**_full_windows(batch, length, device))

    if device.type == "cuda":
        serve()  # Once before, for what libraries keep from their first use on.
        with PeakResident(device) as peak:
            serve()
        assert peak.bytes is not None, "CUDA offers it"
        pass_bytes = peak.bytes
    else:
        with _TensorBytes(weights) as counted:
            serve()
        pass_bytes = counted.peak
    weight_bytes = sum(weight.nbytes for weight in weights)
    return PeakMemory(
        bytes=weight_bytes + pass_bytes,
        weight_bytes=weight_bytes,
        device=device.type,
        batch=batch,
        length=length,
    )


class PeakResident:
    """A context that measures the most memory a computation takes, as the system sees it.

    It counts from the level at entry: on CUDA the tensors of this process on the device, else, on
    Linux, the pages that this process has in memory, those excepted that it had freed but kept. The
    first context of a process also counts libraries that are loaded within. Contexts cannot be
    nested.

    Attributes:
        bytes: Peak above the level at entry, known from the exit on; None where the system does not
            offer it.
    """

    def __init__(self, device: torch.device) -> None:
        """Measure where ``device`` computes; but for CUDA, that is taken to be main memory."""
        self.bytes: int | None = None
        self._device = device
        self._start: int | None = None

    def __enter__(self) -> Self:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        elif not os.access(CLEAR_REFS, os.W_OK):  # another system, or a container that hides it
            return self
        else:
            # Memory that earlier runs freed would be used again and not be counted.
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)  # glibc's: torch for Linux runs on no other.
            CLEAR_REFS.write_text("5")
        self._start = self._peak()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._start is not None:
            self.bytes = self._peak() - self._start

    def _peak(self) -> int:
        """Return the peak since the entry, in bytes."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        status = Path("/proc/self/status").read_bytes()
        line = next(line for line in status.splitlines() if line.startswith(b"VmHWM:"))
        return 1024 * int(line.split()[1])


class _TensorBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's
    """Counts the bytes of the tensors that are made while it is active, until each is gone."""

    def __init__(self, known: list[Tensor]) -> None:
        """Count all but ``known`` and views of them."""
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.peak = 0
        self._alive = 0
        self._seen = WeakSet(tensor.untyped_storage() for tensor in known)

    @override
    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.untyped_storage() not in self._seen:
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        self._seen.add(storage)
        self._change(storage.nbytes())
        finalize(storage, self._change, -storage.nbytes())

    def _change(self, count: int) -> None:
        self._alive += count
        self.peak = max(self.peak, self._alive)


def _full_windows(batch: int, length: int, device: torch.device) -> dict[str, Tensor]:
    """Return two ``batch x length`` tensors: tokens without padding."""
    return {
        "input_ids": torch.ones(batch, length, dtype=torch.long, device=device),
        "attention_mask": torch.ones(batch, length, dtype=torch.long, device=device),
    }
