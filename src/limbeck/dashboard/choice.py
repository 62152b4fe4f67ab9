"""Which runs are compared, and which are offered."""

from collections.abc import Sequence
from typing import Any

from limbeck.analysis.results import StudyResults
from limbeck.dashboard.run_parts import cut
from limbeck.errors import InputError
from limbeck.runs import Run, RunState
from limbeck.wording import format_value

LEAST, MOST = 2, 6
"""Runs that can be compared."""
OFFERED = 200
"""Runs that are offered at a time."""


def read_runs(results: StudyResults, text: str) -> list[int]:
    """Return the numbers of the runs that are compared.

    Args:
        results: The study.
        text: As the address has it: ``0,7,11``.

    Raises:
        InputError: If these are not two to six different runs of the study.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    numbers = numbers_in(text)
    if len(numbers) < len(set(parts)):
        wrong = next(part for part in parts if not _is_number(part))
        raise InputError(f"runs must be numbers with commas between, but got {cut(wrong, 40)!r}")
    for number in numbers:
        results.run(number)
    if len(numbers) < LEAST:
        raise InputError(f"choose {LEAST} to {MOST} runs; there is {len(numbers)} so far")
    if len(numbers) > MOST:
        raise InputError(
            f"at most {MOST} runs can be compared, but {len(numbers)} are chosen; take "
            f"{len(numbers) - MOST} out"
        )
    return numbers


def numbers_in(text: str) -> list[int]:
    """Return the different numbers in a text, in their order."""
    parts = (part.strip() for part in text.split(","))
    return list(dict.fromkeys(int(part) for part in parts if _is_number(part)))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def text_of(numbers: Sequence[int]) -> str:
    """Return runs as addresses have them."""
    return ",".join(map(str, numbers))


def spread(results: StudyResults) -> list[int]:
    """Return the baseline and up to five runs of the frontier, from one end to the other."""
    front = [run.number for run in results.frontier if run.number != 0]
    start = [] if results.baseline is None else [0]
    count = min(len(front), MOST - 1)
    steps = max(count - 1, 1)
    return [*start, *(front[index * (len(front) - 1) // steps] for index in range(count))]


def options(results: StudyResults, search: str, chosen: Sequence[int]) -> list[dict[str, Any]]:
    """Return the runs that are offered: the chosen ones, and the first that fit what was typed."""
    typed = "".join(filter(str.isdecimal, search))
    first = {*chosen, *(run.number for run in results.frontier)} if not typed else set(chosen)
    offered = [run for run in results.runs if run.number in first][:OFFERED]
    for run in results.runs:
        if len(offered) >= OFFERED:
            break
        if run.number not in first and typed in str(run.number):
            offered.append(run)
    offered.sort(key=lambda run: run.number)
    return [{"label": _label(results, run), "value": run.number} for run in offered]


def _label(results: StudyResults, run: Run) -> str:
    values = ", ".join(
        format_value(run.values[goal.name], goal)
        for goal in results.goals
        if goal.name in run.values
    )
    state = "" if run.state is RunState.FINISHED else f" {run.state}"
    return cut(f"run {run.number}{state}{f' ({values})' if values else ''}", 120)
