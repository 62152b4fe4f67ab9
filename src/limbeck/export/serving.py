"""What a forward pass costs in PyTorch, in ONNX and in ONNX with int8 weights.

Imported only where that is wanted, for it needs the packages of the extra ``onnx``.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from limbeck.files import whole_file
from limbeck.students.graphs import Inputs, Pass, full_windows, open_graph, quantize, save_graph
from limbeck.students.modeling import SlimBertForQuestionAnswering

FORMATS = ("PyTorch", "ONNX", "ONNX int8")
WARMUP = 3


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How fast a model computes batches of full windows, on the CPU.

    Attributes:
        model: Who: ``run 7``, ``teacher``.
        format: One of `FORMATS`.
        batch: Windows at once.
        length: Tokens a window.
        threads: CPU threads.
        repeats: Passes measured, after `WARMUP` that were not.
        p50_ms: Median time of a pass, in milliseconds.
        p90_ms: 90th percentile, likewise.
    """

    model: str
    format: str
    batch: int
    length: int
    threads: int
    repeats: int
    p50_ms: float
    p90_ms: float

    @property
    def windows_per_second(self) -> float:
        """Throughput at the median time."""
        return 1000 * self.batch / self.p50_ms


def passes(model: SlimBertForQuestionAnswering, folder: Path) -> dict[str, Pass]:
    """Return a model's forward pass in every format of `FORMATS`, with torch's number of threads.

    Args:
        model: In evaluation mode, on the CPU.
        folder: Empty; gets the graphs.
    """
    whole, small = folder / "model.onnx", folder / "int8.onnx"
    save_graph(model, whole)
    shutil.copyfile(whole, small)
    quantize(small)

    def in_torch(inputs: Inputs) -> None:
        with torch.inference_mode():
            model(**{name: torch.from_numpy(array) for name, array in inputs.items()})

    made = (in_torch, open_graph(whole), open_graph(small))
    return dict(zip(FORMATS, made, strict=True))


def measure(
    models: Mapping[str, Mapping[str, Pass]],
    *,
    batches: Sequence[int],
    lengths: Sequence[int],
    repeats: int,
) -> list[Timing]:
    """Measure forward passes in turn, so that a busy moment of the machine hits all alike.

    Args:
        models: Passes by format, by name of the model.
        batches: Windows at once.
        lengths: Tokens a window, all of them attended to.
        repeats: Passes of each model, format, batch size and length that are measured.
    """
    timings = []
    contenders = [
        (name, kind, run) for name, formats in models.items() for kind, run in formats.items()
    ]
    for batch in batches:
        for length in lengths:
            inputs = full_windows(batch, length)
            milliseconds = np.empty((WARMUP + repeats, len(contenders)))
            for row in milliseconds:
                for column, (_, _, run) in enumerate(contenders):
                    start = time.perf_counter()
                    run(inputs)
                    row[column] = 1000 * (time.perf_counter() - start)
            p50, p90 = np.percentile(milliseconds[WARMUP:], [50, 90], axis=0)
            timings += [
                Timing(
                    model=name,
                    format=kind,
                    batch=batch,
                    length=length,
                    threads=torch.get_num_threads(),
                    repeats=repeats,
                    p50_ms=float(p50[column]),
                    p90_ms=float(p90[column]),
                )
                for column, (name, kind, _) in enumerate(contenders)
            ]
    return timings


def save_figure(path: Path, timings: Sequence[Timing]) -> None:
    """Draw the median time over the length, a panel for every batch size; write it to a file.

    Args:
        path: Ends in ``.png`` or ``.svg``. Replaced if it is there.
        timings: What was measured.
    """
    batches = list(dict.fromkeys(timing.batch for timing in timings))
    models = list(dict.fromkeys(timing.model for timing in timings))
    figure = Figure(figsize=(1 + 3.2 * len(batches), 4.0), dpi=200, layout="constrained")
    panels = figure.subplots(1, len(batches), squeeze=False)[0]
    for axes, batch in zip(panels, batches, strict=True):
        for model in models:
            for style, kind in zip(("-", "--", ":"), FORMATS, strict=True):
                rows = [t for t in timings if (t.model, t.format, t.batch) == (model, kind, batch)]
                axes.plot(
                    [row.length for row in rows],
                    [row.p50_ms for row in rows],
                    style,
                    marker="o",
                    markersize=3,
                    color=f"C{models.index(model)}",
                    label=f"{model}, {kind}",
                )
        axes.set(xlabel="tokens a window", yscale="log")
        axes.set_title(f"batch {batch}", loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("median milliseconds    ← better below")
    first = timings[0]
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower left",
        ncols=3,
        title=f"CPU, {first.threads} threads, {first.repeats} passes each",
        alignment="left",
        fontsize=8,
        title_fontsize=8,
        frameon=False,
    )
    with whole_file(path) as unfinished:
        figure.savefig(unfinished)
