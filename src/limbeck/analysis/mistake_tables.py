"""Where mistakes are, in tables: kinds by group, and what one model lost and gained."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from limbeck.analysis.mistakes import Examination, GradedAnswers, Outcome
from limbeck.errors import NotFoundError
from limbeck.space import did_you_mean
from limbeck.tasks.question_answering.mistakes import KINDS, Kind

_NORMAL_QUANTILE = 1.959963984540054  # of 97.5 %: intervals have a confidence of 95 %


@dataclass(frozen=True, kw_only=True)
class Group:
    """The answers of a model to a group of questions.

    Attributes:
        name: Of the group.
        counts: Number of answers of every kind.
    """

    name: str
    counts: Mapping[Kind, int]

    @property
    def n(self) -> int:
        """Number of questions, at least one."""
        return sum(self.counts.values())

    @property
    def right(self) -> float:
        """Percentage of right answers: the official exact score."""
        return self.share(Kind.CORRECT)

    def share(self, kind: Kind) -> float:
        """Return the percentage of answers of a kind."""
        return 100.0 * self.counts[kind] / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the percentage of right answers, after Wilson.

        Wilson, "Probable inference, the law of succession, and statistical inference", 1927; as
        equation (4) of Brown, Cai and DasGupta, "Interval estimation for a binomial proportion",
        2001. As if the questions had been drawn one by one.
        """
        n, p, z = self.n, self.counts[Kind.CORRECT] / self.n, _NORMAL_QUANTILE
        center = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return 100 * max(center - half, 0.0), 100 * min(center + half, 1.0)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The answers of a model and of another to the same group of questions.

    Attributes:
        name: Of the group.
        counts: Number of questions by what became of them from the other to the model.
    """

    name: str
    counts: Mapping[Outcome, int]

    @property
    def n(self) -> int:
        """Number of questions, at least one."""
        return sum(self.counts.values())

    @property
    def difference(self) -> float:
        """Percentage points that the model's exact score is above the other's."""
        return 100.0 * (self.counts[Outcome.GAINED] - self.counts[Outcome.LOST]) / self.n

    @property
    def error(self) -> float:
        """Standard error of the difference, in percentage points; NaN of a single question.

        It is that of a mean of ``n`` paired differences of -1, 0 or 1, with ``n - 1`` below.
        """
        if self.n < 2:
            return math.nan
        lost, gained = self.counts[Outcome.LOST], self.counts[Outcome.GAINED]
        squares = lost + gained - (gained - lost) ** 2 / self.n
        return 100.0 * math.sqrt(squares / (self.n - 1) / self.n)

    @property
    def p_value(self) -> float:
        """Two-sided p of McNemar's exact test that both models are right equally often.

        Of the questions that only one has right, each has it with a chance of one half: the exact
        conditional (binomial) test, without the mid-p correction. It errs to the side of claiming
        too little; see Fagerland, Lydersen and Laake, "The McNemar test for binary matched-pairs
        data", 2013. As if the questions had been drawn one by one.
        """
        lost, gained = self.counts[Outcome.LOST], self.counts[Outcome.GAINED]
        return float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0


def overall(graded: GradedAnswers) -> Group:
    """Return all answers of a model as one group of its name."""
    counts = np.bincount(graded.grades.kinds, minlength=len(KINDS))
    return Group(name=graded.name, counts=_named(counts.tolist()))


def groups_by(
    examination: Examination, trait: str, *, graded: GradedAnswers | None = None
) -> tuple[Group, ...]:
    """Return a model's answers in groups of questions.

    Args:
        examination: With the questions.
        trait: One of `limbeck.tasks.question_answering.traits.TRAITS`.
        graded: The model's answers; None for those of the model that is looked at.
    """
    grouping = examination.groupings[trait]
    kinds = (graded or examination.model).grades.kinds
    table = _table(grouping.places, kinds, shape=(len(grouping.names), len(KINDS)))
    return tuple(
        Group(name=name, counts=_named(row))
        for name, row in zip(grouping.names, table, strict=True)
    )


def compare(examination: Examination, other: str) -> Comparison:
    """Return what became of all questions from another model, given by name, to the model."""
    places = np.zeros(len(examination.questions), dtype=np.intp)
    (comparison,) = _comparisons(examination, other, names=("all",), places=places)
    return comparison


def compare_by(examination: Examination, other: str, trait: str) -> tuple[Comparison, ...]:
    """Return the same in groups of questions; see `groups_by`."""
    grouping = examination.groupings[trait]
    return _comparisons(examination, other, names=grouping.names, places=grouping.places)


def worst_first(groups: Sequence[Group]) -> tuple[Group, ...]:
    """Return groups in a new order: first those that are surely bad.

    Their order is that of the upper end of the 95 % confidence interval of the right answers, so
    that a few questions alone do not make a group the worst.
    """
    return tuple(sorted(groups, key=lambda group: group.interval[1]))


def chosen(groups: Sequence[Group], names: Sequence[str]) -> tuple[Group, ...]:
    """Return the groups of the given names, in the order of the names.

    Small and capital letters are the same, as are spaces and underscores.

    Raises:
        NotFoundError: If there is no group of a name.
    """
    found = {_key(group.name): group for group in groups} | {group.name: group for group in groups}
    picked: dict[str, Group] = {}
    for name in names:
        group = found.get(name) or found.get(_key(name))
        if group is None:
            raise NotFoundError(
                f"there is no question of {name!r}"
                f"{did_you_mean(name, [group.name for group in groups])}"
            )
        picked[group.name] = group
    return tuple(picked.values())


def _key(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").split())


def _named(counts: Sequence[int]) -> dict[Kind, int]:
    return dict(zip(KINDS, counts, strict=True))


def _table(
    rows: NDArray[np.intp], columns: NDArray[np.intp], *, shape: tuple[int, int]
) -> list[list[int]]:
    """Return how often every pair of a row and a column occurs in two ``n`` arrays."""
    cells = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1])
    table: list[list[int]] = cells.reshape(shape).tolist()
    return table


def _comparisons(
    examination: Examination, other: str, *, names: Sequence[str], places: NDArray[np.intp]
) -> tuple[Comparison, ...]:
    """Return what became of the questions in groups, of which ``places`` has one for each."""
    mine, theirs = examination.model.grades.right, examination.other(other).grades.right
    # In the order of the two bits: the other's, the model's.
    outcomes = (Outcome.BOTH_WRONG, Outcome.GAINED, Outcome.LOST, Outcome.BOTH_RIGHT)
    table = _table(places, 2 * theirs + mine, shape=(len(names), len(outcomes)))
    return tuple(
        Comparison(name=name, counts=dict(zip(outcomes, row, strict=True)))
        for name, row in zip(names, table, strict=True)
    )
