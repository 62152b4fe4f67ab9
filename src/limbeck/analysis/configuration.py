"""The full configuration of runs, side by side with the baseline's and the searched ranges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from limbeck.analysis.results import StudyResults
from limbeck.runs import Run
from limbeck.space import Value
from limbeck.wording import short_value

Group = Literal["searched", "given", "student", "recipe"]
Setting: TypeAlias = Value | list[int] | None

_GROUPS: tuple[Group, ...] = get_args(Group)
NONE = "-"
"""Stands for a setting that a run does not have, or that is left to the teacher."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One setting of several runs.

    Attributes:
        group: Whether it is searched; given to single runs, though it is not; or else the table of
            the study file that has it.
        name: Of the setting.
        values: One for each run; None where it has none.
        baseline: That of run 0; None if it has none.
        range_text: For people, where it is searched; else empty.
    """

    group: Group
    name: str
    values: tuple[Setting, ...]
    baseline: Setting
    range_text: str = ""

    @property
    def differs(self) -> tuple[bool, ...]:
        """For each run whether its value is another than the baseline's."""
        return tuple(_key(value) != _key(self.baseline) for value in self.values)


def configuration(results: StudyResults, runs: Sequence[int]) -> tuple[Row, ...]:
    """Return all settings of runs: the searched ones first, then those of student and recipe.

    A searched parameter that is inactive in a run has no value there. Without a study file there
    are the parameters of the runs alone.

    Args:
        results: The study.
        runs: Numbers of the runs.

    Raises:
        NotFoundError: If the study has no run of a number.
    """
    chosen = [results.run(number) for number in runs]
    start = next((run for run in results.runs if run.number == 0), None)
    everyone = [*chosen, *([] if start is None else [start])]
    ranges = {
        parameter.name: f"{parameter.range_text}{' (inert)' if parameter.inert else ''}"
        for parameter in results.parameters
    }
    facts = {run.number: _settings(results, run, ranges) for run in everyone}
    places = dict.fromkeys(place for settings in facts.values() for place in settings)
    return tuple(
        Row(
            group=group,
            name=name,
            values=tuple(facts[run.number].get((group, name)) for run in chosen),
            baseline=None if start is None else facts[start.number].get((group, name)),
            range_text=ranges.get(name, "") if group == "searched" else "",
        )
        for group, name in sorted(places, key=lambda place: _GROUPS.index(place[0]))
    )


def setting_text(value: Setting) -> str:
    """Return a setting for people: numbers with three digits, lists with commas."""
    if value is None:
        return NONE
    return ", ".join(map(str, value)) if isinstance(value, list) else short_value(value)


def _settings(
    results: StudyResults, run: Run, searched: Mapping[str, str]
) -> dict[tuple[Group, str], Setting]:
    """Return all settings of a run by group and name, in order; each name is there once."""
    settings: dict[tuple[Group, str], Setting] = {
        ("searched", name): run.parameters.get(name) for name in searched
    }
    tables: dict[tuple[Group, str], Setting] = {}
    if results.config is not None:
        student = results.config.student(run.parameters).model_dump()
        recipe = results.config.recipe(run.parameters).model_dump()
        tables |= {("student", name): value for name, value in student.items()}
        tables |= {("recipe", name): value for name, value in recipe.items()}
    in_tables = {name for _, name in tables}
    settings |= {
        ("given", name): value
        for name, value in run.parameters.items()
        if name not in searched and name not in in_tables
    }
    return settings | {place: tables[place] for place in tables if place[1] not in searched}


def _key(value: Setting) -> tuple[bool, Setting]:
    """Tell True from 1, as the parameters do."""
    return isinstance(value, bool), value
