"""What the runs that are at least as good as the baseline have in common."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.stats import MonteCarloMethod, fisher_exact, mannwhitneyu

from limbeck.analysis.named import leading
from limbeck.analysis.results import StudyResults
from limbeck.metrics import Metric
from limbeck.runs import Run
from limbeck.space import Choice, Parameter, Value
from limbeck.wording import format_value, p_text, short_value

FEWEST = 5
"""Runs that each of the two groups needs before anything is said about a parameter."""

LEVEL = 0.05
"""A difference is said to be one if its p-value, corrected for all parameters, is below."""

Rule = Literal["baseline", "frontier"]

_TABLES = 9_999  # Random tables for a choice of more than two values.


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Where the numbers of a group of runs lie.

    Attributes:
        n: Runs of the group that have the parameter.
        median: Half of them are at or below.
        low: A quarter of them is at or below.
        high: Three quarters are.
    """

    n: int
    median: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How often a group of runs took each value of a choice.

    Attributes:
        n: Runs of the group that have the parameter.
        counts: Number of runs by value, in the order of the choices.
    """

    n: int
    counts: tuple[tuple[Value, int], ...]


@dataclass(frozen=True, kw_only=True)
class Trait:
    """One parameter of the winners, beside that of all runs.

    Attributes:
        parameter: The parameter.
        winners: Of the winners; None if none of them has it.
        everyone: Of all finished runs, the winners among them.
        p_value: How likely a difference as large as that between the winners and the rest is by
            chance, corrected for all parameters (Holm); None if one of the groups is too small.
    """

    parameter: Parameter
    winners: Spread | Shares | None
    everyone: Spread | Shares | None
    p_value: float | None

    @property
    def differs(self) -> bool:
        """Whether the data show a difference between the winners and the rest."""
        return self.p_value is not None and self.p_value < LEVEL


@dataclass(frozen=True, kw_only=True)
class Winners:
    """The winners of a study. The baseline, which nobody searched for, is in neither group.

    Attributes:
        rule: Which runs they are, in words.
        runs: They.
        everyone: All finished runs, the winners among them.
        traits: One for each parameter, in the study's order.
    """

    rule: str
    runs: tuple[Run, ...]
    everyone: tuple[Run, ...]
    traits: tuple[Trait, ...]


def leading_score(metrics: Sequence[Metric]) -> Metric:
    """Return the metric that runs are compared with the baseline in.

    It is the first optimized metric to be maximized; if there is none, the first one that has to be
    measured; if there is none either, the first.

    Args:
        metrics: The optimized ones of a study.
    """
    _, score = leading(tuple(metrics))
    return score or next(iter([*(metric for metric in metrics if not metric.known), *metrics]))


def at_least_the_baseline(results: StudyResults) -> tuple[Run, ...]:
    """Return the runs within every threshold that score at least what the baseline does.

    The baseline is among them if it is within the thresholds; nothing is if it has no finite score.
    """
    score, baseline = leading_score(results.goals), results.baseline
    least = math.nan if baseline is None else baseline.values.get(score.name, math.nan)
    return tuple(
        run
        for run in results.usable
        if score.larger_is_better(run.values[score.name]) >= score.larger_is_better(least)
    )


def find_winners(results: StudyResults, rule: Rule = "baseline") -> Winners:
    """Return what the winners of a study have in common.

    A number is tested with Mann and Whitney's rank test, a choice with Fisher's exact one, each
    between the winners and the rest; the p-values are corrected with Holm's method. The optimizer
    chose the runs, and not independently of each other: the p-values say where to look, no more.

    Args:
        results: The study.
        rule: The winners are the runs at least as good as the baseline, or those on the frontier.
    """
    chosen = at_least_the_baseline(results) if rule == "baseline" else results.frontier
    everyone = _without_baseline(results.finished)
    winners = _without_baseline(chosen)
    numbers = {run.number for run in winners}
    rest = tuple(run for run in everyone if run.number not in numbers)
    traits = [_trait(parameter, winners, everyone, rest) for parameter in results.parameters]
    corrected = iter(holm([trait.p_value for trait in traits if trait.p_value is not None]))
    return Winners(
        rule=_rule_text(results, rule),
        runs=winners,
        everyone=everyone,
        traits=tuple(
            trait if trait.p_value is None else replace(trait, p_value=next(corrected))
            for trait in traits
        ),
    )


def in_words(found: Winners) -> tuple[str, ...]:
    """Return what the data say the winners have in common, a sentence each.

    The first one says which runs they are, and how many. Then come the parameters in which they
    differ from the rest, the surest first; then, in one sentence, those in which no difference is
    shown; then those of which too few runs have a value.
    """
    who = f"Winners are the runs {found.rule}: {len(found.runs)} of {len(found.everyone)}."
    rest = len(found.everyone) - len(found.runs)
    if len(found.runs) < FEWEST:
        return (who, f"These are too few to say what they share: {FEWEST} are needed.")
    if rest < FEWEST:
        return (who, f"Too few are left to compare them with: {FEWEST} are needed.")
    shown = sorted((t for t in found.traits if t.differs), key=lambda trait: trait.p_value or 0.0)
    same = [t.parameter.name for t in found.traits if t.p_value is not None and not t.differs]
    unknown = [t.parameter.name for t in found.traits if t.p_value is None]
    sentences = [who, *(sentence(trait) for trait in shown)]
    if same:
        sentences.append(f"No difference shown (p at least {LEVEL:g}): {', '.join(same)}.")
    if unknown:
        sentences.append(f"Too few runs that have it: {', '.join(unknown)}.")
    return tuple(sentences)


def sentence(trait: Trait) -> str:
    """Return one parameter of the winners, and of all, in a sentence without a verdict.

    Of a choice, it is about the value that is the most over-represented among the winners.

    ``alpha_ce: winners near 0.8 (0.72 to 0.91, n = 12) against 0.48 of all (n = 69), p = 0.003.``
    """
    name = trait.parameter.name
    p = "" if trait.p_value is None else f", p {p_text(trait.p_value)}"
    match trait.winners, trait.everyone:
        case Spread() as winners, Spread() as everyone:
            quartiles = f"{_number(winners.low)} to {_number(winners.high)}"
            return (
                f"{name}: winners near {_number(winners.median)} ({quartiles}, n = {winners.n}) "
                f"against {_number(everyone.median)} of all (n = {everyone.n}){p}."
            )
        case Shares() as winners, Shares() as everyone:
            shares = [
                (value, 100 * count / winners.n, 100 * of_all / everyone.n)
                for (value, count), (_, of_all) in zip(winners.counts, everyone.counts, strict=True)
            ]
            value, share, of_all = max(shares, key=lambda each: each[1] - each[2])
            return (
                f"{name}: {short_value(value)} in {share:.0f} % of the winners (n = {winners.n}) "
                f"against {of_all:.0f} % of all (n = {everyone.n}){p}."
            )
        case _:
            return f"{name}: no winner has it."


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in the same order.

    Holm, "A simple sequentially rejective multiple test procedure", 1979: the smallest of m counts
    m times, the next m - 1 times, and so on; none counts less than one before it.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for done, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - done) * p_values[index]))
        corrected[index] = largest
    return corrected


def _trait(
    parameter: Parameter, winners: Sequence[Run], everyone: Sequence[Run], rest: Sequence[Run]
) -> Trait:
    groups = _values(parameter, winners), _values(parameter, rest)
    enough = min(map(len, groups)) >= FEWEST
    return Trait(
        parameter=parameter,
        winners=_describe(parameter, groups[0]),
        everyone=_describe(parameter, _values(parameter, everyone)),
        p_value=_p_value(parameter, *groups) if enough else None,
    )


def _values(parameter: Parameter, runs: Sequence[Run]) -> list[Value]:
    return [run.parameters[parameter.name] for run in runs if parameter.name in run.parameters]


def _describe(parameter: Parameter, values: Sequence[Value]) -> Spread | Shares | None:
    if not values:
        return None
    if isinstance(parameter, Choice):
        taken = [_key(value) for value in values]
        counts = tuple((choice, taken.count(_key(choice))) for choice in parameter.choices)
        return Shares(n=len(values), counts=counts)
    numbers = np.array(values, dtype=np.float64)
    quartiles = np.quantile(np.log(numbers) if parameter.log else numbers, [0.25, 0.5, 0.75])
    low, median, high = (np.exp(quartiles) if parameter.log else quartiles).tolist()
    return Spread(n=len(values), median=median, low=low, high=high)


def _p_value(parameter: Parameter, winners: Sequence[Value], rest: Sequence[Value]) -> float:
    """Return how likely the difference of two groups is by chance; 1 if all values are the same."""
    if isinstance(parameter, Choice) and not parameter.ordered:
        return _fisher([_key(value) for value in winners], [_key(value) for value in rest])
    if isinstance(parameter, Choice):
        keys = [_key(choice) for choice in parameter.choices]
        ranks = [[float(keys.index(_key(v))) for v in group] for group in (winners, rest)]
    else:
        ranks = [[float(value) for value in group] for group in (winners, rest)]
    if len({*ranks[0], *ranks[1]}) == 1:
        return 1.0
    return float(mannwhitneyu(*ranks).pvalue)


def _fisher(winners: Sequence[object], rest: Sequence[object]) -> float:
    columns = list(dict.fromkeys([*winners, *rest]))
    if len(columns) == 1:
        return 1.0
    table = [[group.count(column) for column in columns] for group in (winners, rest)]
    if len(columns) == 2:
        return float(fisher_exact(table).pvalue)
    method = MonteCarloMethod(n_resamples=_TABLES, rng=np.random.default_rng(0))
    return float(fisher_exact(table, method=method).pvalue)


def _rule_text(results: StudyResults, rule: Rule) -> str:
    judged = [m for m in results.judged if m.threshold is not None]
    within = "within every threshold, " if judged else ""
    if rule == "frontier":
        return "on the frontier, other than the baseline"
    score, baseline = leading_score(results.goals), results.baseline
    value = None if baseline is None else baseline.values.get(score.name)
    shown = " (it has none)" if value is None else f" of {format_value(value, score)}"
    return f"{within}with at least the baseline's {score.name}{shown}, other than the baseline"


def _without_baseline(runs: Sequence[Run]) -> tuple[Run, ...]:
    return tuple(run for run in runs if run.number != 0)


def _key(value: Value) -> tuple[bool, Value]:
    """Tell True from 1, as the parameters do."""
    return isinstance(value, bool), value


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
