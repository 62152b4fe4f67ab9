"""The committed evidence: the table of curves, the figures, and what they say in words."""

import math
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import figures
import summary
from curves import Curve, write_table
from problem import Problem
from problems import TUNING
from summary import Line, mean_ratio

INTRODUCTION = """\
# Runs to the frontier: limbeck's optimizer and its peers

    make bench-optimizer

simulates studies of 100 runs on problems whose true frontier is known, one run at a time
(*sequential*) and with 8 always pending (*parallel*; which of them ends next is drawn by the seed,
alike for all). What counts is the share of the true frontier's hypervolume that the runs so far
dominate: the robust hypervolume of `../shared/bench/README.md`. `results.csv` has every study:
which runs raised the share, and to how many ten-thousandths.
`python benchmarks/optimizer --report` makes this page again, from the journal and that table. Below
the tables stands how many studies of each method there are: what is not there was not measured.

All optimizers get the same: metrics as the hypervolume judges them (log10 where it takes the
logarithm), ordered choices as ordered, deterministic values, and the reference point where they can
take one (Ax: objective thresholds, BoTorch: reference point, limbeck: thresholds). Limbeck is
told which metric is known; of the peers only BoTorch could be, with a model of one's own, and is
not. *limbeck-unknown* is not told either. All else is each one's default:
Optuna's `TPESampler`, `GPSampler` and `NSGAIISampler`, Ax's `Client`, SMAC's
`HyperparameterOptimizationFacade` with ParEGO; BoTorch's qLogNEHVI is set as in its tutorials
(twice as many Sobol points as parameters and two first, but at most 20). Suggestions that come
twice count twice.

Diverged runs: Optuna is told the values of the reference point and a broken constraint (of FAIL its
samplers learn nothing, and they stay where runs diverge), SMAC CRASHED at the cost of the reference
point, Ax abandoned (failed ones it suggests again); BoTorch keeps them pending and does not learn
from them; limbeck is told that they are infeasible.

"""

RULES = """
*Runs ratio*: the median over seeds of the runs until limbeck has the share that the best peer (the
one with the largest median after the last run) has then, as a part of all runs. Where half of the
seeds never get there it is the other way round, and at least 1: all runs, over the median of those
that the best peer needs for limbeck's median at the end. Means are geometric. *Peer's own*: the
same of the best peer against itself, less than 1 where it had its final share before the last run.
*Worse*: by more than the best peer's interquartile range. *Parallel*: runs needed one at a time
over runs needed with 8 pending, for the lesser of the two medians at the end. Seeds: those of
limbeck and of the best peer, the smaller number.

Problems marked *tuning* were looked at while settings were chosen. The figures that count are those
of the others.
"""


def result_line(
    curves: Sequence[Curve], *, ours: Sequence[str], peers: Sequence[str], known: set[str]
) -> str:
    """Return the ``RESULT`` line: of problems held out, but for ``tuning_runs_ratio``.

    Args:
        curves: All there are.
        ours: Names of our methods, the one that counts first.
        peers: Names of the peers.
        known: Problems with a known metric.
    """
    every = summary.lines(curves, method=ours[0], peers=peers)
    held_out = [line for line in every if line.problem not in TUNING]
    values: dict[str, str | int | float] = {
        "runs_ratio": mean_ratio(line.runs_ratio for line in held_out),
        "runs_ratio_known": mean_ratio(
            line.runs_ratio for line in held_out if line.problem in known
        ),
        "peers_own_ratio": mean_ratio(line.own_ratio for line in held_out),
        "best_peer": summary.best_of_all(
            [curve for curve in curves if curve.study.problem not in TUNING], peers=peers
        ),
        "problems": len(held_out),
        "seeds": min((line.seeds for line in held_out), default=0),
        "worse": sum(line.is_worse for line in held_out),
        "parallel_efficiency": mean_ratio(line.efficiency for line in held_out),
        "tuning_runs_ratio": mean_ratio(
            line.runs_ratio for line in every if line.problem in TUNING
        ),
    }
    for method in ours[1:]:
        its = summary.lines(curves, method=method, peers=peers)
        values[f"{method.replace('-', '_')}_runs_ratio"] = mean_ratio(
            line.runs_ratio for line in its if line.problem not in TUNING
        )
    pairs = [
        f"{key}={round(value, 3) if isinstance(value, float) else value}"
        for key, value in values.items()
        if key.startswith("runs_ratio") or not _is_nan(value)
    ]
    return " ".join(("RESULT", *pairs))


def _is_nan(value: str | int | float) -> bool:
    """Whether it stands for what was not measured."""
    return isinstance(value, float) and math.isnan(value)


def table(
    curves: Sequence[Curve],
    problems: Sequence[Problem],
    *,
    ours: Sequence[str],
    peers: Sequence[str],
) -> str:
    """Return a Markdown table of all problems: our first method, and the ratios of the others."""
    lines = {
        method: {line.problem: line for line in summary.lines(curves, method=method, peers=peers)}
        for method in ours
    }
    header = [
        "problem",
        "known",
        "best peer",
        "its share",
        "ours",
        "seeds",
        "runs ratio",
        "peer's own",
    ]
    header += [f"of {method}" for method in ours[1:]] + ["parallel"]
    rows = [header, ["---"] * len(header)]
    for problem in problems:
        line = lines[ours[0]].get(problem.name)
        if line is not None:
            others = [lines[method].get(problem.name) for method in ours[1:]]
            rows.append(_row(problem, line, others))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(problem: Problem, line: Line, others: Sequence[Line | None]) -> list[str]:
    return [
        f"`{problem.name}`{' (tuning)' if problem.name in TUNING else ''}",
        "yes" if problem.known is not None else "no",
        line.best_peer,
        f"{line.peer_share:.4f} (range {line.peer_range:.4f})",
        f"{line.share:.4f}{' **worse**' if line.is_worse else ''}",
        str(line.seeds),
        f"**{line.runs_ratio:.2f}**",
        f"{line.own_ratio:.2f}",
        *("" if other is None else f"{other.runs_ratio:.2f}" for other in others),
        "" if math.isnan(line.efficiency) else f"{line.efficiency:.2f}",
    ]


def standings(curves: Sequence[Curve], methods: Sequence[str]) -> str:
    """Return a Markdown table of all methods: final shares, seconds, and numbers of studies."""
    rows = [
        ["method", "mean share at the end", "seconds a suggestion", "problems", "studies"],
        ["---"] * 5,
    ]
    for method in methods:
        its = [c for c in curves if c.study.method == method and c.study.mode == "sequential"]
        if its:
            shares = sum(curve.shares[-1] for curve in its) / len(its)
            seconds = sum(curve.seconds for curve in its) / len(its)
            problems = len({curve.study.problem for curve in its})
            rows.append([method, f"{shares:.4f}", f"{seconds:.2f}", str(problems), str(len(its))])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def write(
    curves: Sequence[Curve],
    problems: Sequence[Problem],
    folder: Path,
    *,
    ours: Sequence[str],
    peers: Sequence[str],
) -> str:
    """Write table, figures and page to a folder; return the ``RESULT`` line."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(curves, folder / "results.csv")
    pictures = []
    for mode in ("sequential", "parallel"):
        if any(curve.study.mode == mode for curve in curves):
            names = [problem.name for problem in problems]
            figures.plot(curves, folder / f"{mode}.png", problems=names, mode=mode)
            pictures.append(f"![{mode}: median and interquartile range]({mode}.png)\n")
    known = {problem.name for problem in problems if problem.known is not None}
    line = result_line(curves, ours=ours, peers=peers, known=known)
    libraries = ("optuna", "ax-platform", "botorch", "smac", "moocore")
    page = [
        INTRODUCTION,
        table(curves, problems, ours=ours, peers=peers),
        RULES,
        "\n",
        standings(curves, (*ours, *peers)),
        "\n",
        f"Python {platform.python_version()}, ",
        ", ".join(f"{library} {version(library)}" for library in libraries),
        ".\n\n",
        "\n".join(pictures),
        f"\n    {line}\n",
    ]
    (folder / "README.md").write_text("".join(page), encoding="utf-8")
    return line
