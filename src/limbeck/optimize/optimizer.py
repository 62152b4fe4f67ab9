"""Asking which parameters to try next, and telling what came of them: for any function."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias

from pydantic import ConfigDict, TypeAdapter, ValidationError

from limbeck.errors import ConfigError, ExhaustedError, NotFoundError
from limbeck.files import whole_file
from limbeck.frontier import frontier
from limbeck.metrics import Metric, Role
from limbeck.optimize.bayesian import BayesianSampler
from limbeck.optimize.sampler import KnownMetrics, Sampler
from limbeck.runs import Outcome, Run, RunState
from limbeck.space import Constraint, Parameter, Parameters, SearchSpace, did_you_mean

Known: TypeAlias = KnownMetrics | Mapping[str, Callable[[Parameters], float]]
"""One function that returns the values of all known metrics by name, or a function for each."""

# JSON has no numbers for NaN and infinity.
_RUNS = TypeAdapter(tuple[Run, ...], config=ConfigDict(ser_json_inf_nan="strings"))


class MakeSampler(Protocol):
    """What makes a sampler: its class, or ``functools.partial`` of that with more arguments."""

    def __call__(
        self,
        space: SearchSpace,
        metrics: Sequence[Metric],
        *,
        known: KnownMetrics,
        baseline: Parameters | None,
        seed: int,
    ) -> Sampler:
        """Return a sampler for the space and the metrics."""
        ...


_HEEDING_ERRORS: MakeSampler = partial(BayesianSampler, given_noise=True)


class Optimizer:
    """A search in memory: `ask` for parameters, try them, `tell` the values.

    Any number of runs may be asked for before the first is told of, and told of in any order; the
    sampler takes part of what is pending into account. It suggests the same as long as the same
    was asked for and told, interrupted or not: give the earlier runs to go on. Not to be called
    from several threads at once.

    Args:
        parameters: Where to search: a space, or the parameters of one.
        metrics: What to search for.
        known: Computes metrics from the parameters without trying them; those of a mapping become
            known metrics by it. May raise `InfeasibleError` for parameters that make no sense.
        constraints: Rules between the parameters, beside those of a space.
        seed: Of all chance in the sampler.
        baseline: Parameters of the first run, if it is not the sampler's to choose.
        sampler: Makes the sampler. If left out, that is a `BayesianSampler` for which the standard
            errors that it is told of are the noise. For improvement per second, and to start from
            what an earlier search taught, with other data perhaps: ``functools.partial(
            BayesianSampler, given_noise=True, per_cost=True, earlier=load_runs("before.json"))``.
        runs: Earlier runs of this search, or of another that measures the same of the same
            parameters. Those that have not ended are still to be told of; what they lack of the
            known metrics is computed.

    Raises:
        ConfigError: If metrics, known metrics, baseline or earlier runs do not fit together.
        ParameterError: If an earlier run or the baseline is not of the space.
        InfeasibleError: If ``known`` raises it for an earlier run.
    """

    def __init__(
        self,
        parameters: SearchSpace | Sequence[Parameter],
        metrics: Sequence[Metric],
        *,
        known: Known | None = None,
        constraints: Sequence[Constraint] = (),
        seed: int = 0,
        baseline: Parameters | None = None,
        sampler: MakeSampler = _HEEDING_ERRORS,
        runs: Sequence[Run] = (),
    ) -> None:
        space = parameters if isinstance(parameters, SearchSpace) else SearchSpace((*parameters,))
        self.space = replace(space, constraints=(*space.constraints, *constraints))
        self.metrics = _checked_metrics(metrics, known)
        self._known = _checked_known(self.metrics, known)
        self._sampler = sampler(
            self.space, self.metrics, known=self._known, baseline=baseline, seed=seed
        )
        self._runs: dict[int, Run] = {}
        for run in sorted(runs, key=lambda run: run.number):
            if run.number in self._runs:
                raise ConfigError(
                    f"numbers of runs must differ, but two have number {run.number}; renumber them"
                )
            self._runs[run.number] = self._completed(run)

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs, in order of their numbers."""
        return tuple(_copied(run) for run in self._runs.values())

    @property
    def pending(self) -> tuple[Run, ...]:
        """The runs that are still to be told of."""
        return tuple(run for run in self.runs if not run.state.ended)

    @property
    def frontier(self) -> tuple[Run, ...]:
        """The finished runs within every threshold that none of them dominates."""
        return frontier(self.runs, self.metrics)

    def ask(self) -> Run:
        """Return a new run: what to try next is in its parameters.

        Raises:
            ExhaustedError: If no allowed parameters are left.
            InfeasibleError: If ``known`` raises it for the baseline.
        """
        parameters = self._sampler.suggest(self.runs)
        run = Run(
            number=max(self._runs, default=-1) + 1,
            parameters=parameters,
            state=RunState.RUNNING,
            values=self._known(parameters),
        )
        self._runs[run.number] = run
        return _copied(run)

    def ask_many(self, count: int) -> tuple[Run, ...]:
        """Return new runs to try at the same time; fewer where less is left to try.

        Raises:
            ExhaustedError: If no allowed parameters are left at all.
            InfeasibleError: See `ask`.
        """
        asked: list[Run] = []
        for _ in range(count):
            try:
                asked.append(self.ask())
            except ExhaustedError:
                if not asked:
                    raise
                break
        return tuple(asked)

    def tell(
        self,
        run: Run | int,
        values: Mapping[str, float],
        *,
        errors: Mapping[str, float] | None = None,
        seconds: float = 0.0,
    ) -> Run:
        """Write down what was measured, and return the finished run.

        Args:
            run: The run, or its number.
            values: By name, of every metric that is not known; stored metrics may be left out.
            errors: Standard errors of some of them, in their units. Runs without one are taken to
                have the median of the others'.
            seconds: How long it took.

        Raises:
            ConfigError: If a name is unknown or missing, a value that counts is not finite, or the
                run was told of before.
            NotFoundError: If there is no such run.
        """
        told = self._checked_values(values)
        spread = {name: _number(name, error) for name, error in (errors or {}).items()}
        for name, error in spread.items():
            if name not in told:
                raise ConfigError(
                    f"a standard error needs its value, but got one of {name!r}"
                    f"{did_you_mean(name, list(told))}"
                )
            if not 0 <= error < math.inf:
                raise ConfigError(
                    f"a standard error must be finite and not negative, but got {name} = {error}"
                )
        outcome = Outcome(state=RunState.FINISHED, values=told, errors=spread, seconds=seconds)
        return self._end(run, outcome)

    def tell_infeasible(self, run: Run | int, reason: str = "", *, seconds: float = 0.0) -> Run:
        """Write down that these parameters do not work, so that their like is avoided.

        Args:
            run: The run, or its number.
            reason: Why, in a word: ``diverged``.
            seconds: How long it took.

        Raises:
            ConfigError: If the run was told of before.
            NotFoundError: If there is no such run.
        """
        outcome = Outcome(state=RunState.INFEASIBLE, reason=reason, seconds=seconds)
        return self._end(run, outcome)

    def tell_failed(self, run: Run | int, reason: str = "", *, seconds: float = 0.0) -> Run:
        """Write down that the run was lost through no fault of its parameters: they teach nothing.

        Args:
            run: The run, or its number.
            reason: Why, in a word: ``killed``.
            seconds: How long it took.

        Raises:
            ConfigError: If the run was told of before.
            NotFoundError: If there is no such run.
        """
        return self._end(run, Outcome(state=RunState.FAILED, reason=reason, seconds=seconds))

    def save(self, path: Path | str) -> None:
        """Write all runs to a JSON file, which appears whole or not at all; see `load_runs`."""
        with whole_file(Path(path)) as unfinished:
            unfinished.write_bytes(_RUNS.dump_json(self.runs, indent=1))

    def _end(self, run: Run | int, outcome: Outcome) -> Run:
        number = run.number if isinstance(run, Run) else run
        if number not in self._runs:
            raise NotFoundError(f"a run must be asked for first, but there is no run {number}")
        asked = self._runs[number]
        if asked.state.ended:
            raise ConfigError(
                f"a run is told of once, but run {number} is {asked.state} already; ask for another"
            )
        if not 0 <= outcome.seconds < math.inf:
            raise ConfigError(
                f"seconds must be finite and not negative, but got {outcome.seconds}; leave it out "
                "if it is not known"
            )
        self._runs[number] = replace(
            asked,
            state=outcome.state,
            values={**asked.values, **outcome.values},
            errors=outcome.errors,
            reason=outcome.reason,
            seconds=outcome.seconds,
        )
        return _copied(self._runs[number])

    def _completed(self, run: Run) -> Run:
        parameters = self.space.validate(run.parameters)
        lacking = [m.name for m in self.metrics if m.known and m.name not in run.values]
        known = self._known(parameters) if lacking else {}
        return replace(run, parameters=parameters, values={**known, **run.values})

    def _checked_values(self, values: Mapping[str, float]) -> dict[str, float]:
        known = [metric.name for metric in self.metrics if metric.known]
        told = [metric.name for metric in self.metrics if not metric.known]
        for name in values:
            if name in known:
                raise ConfigError(f"{name} is a known metric, which is computed; leave it out")
            if name not in told:
                raise ConfigError(f"unknown metric {name!r}{did_you_mean(name, told)}")
        checked = {name: _number(name, value) for name, value in values.items()}
        for metric in self.metrics:
            if metric.known or metric.role is Role.STORE:
                continue
            value = checked.get(metric.name)
            if value is None or not math.isfinite(value):
                raise ConfigError(
                    f"a finished run needs a finite {metric.name}, but got {value}; "
                    "use tell_infeasible if it has none"
                )
        return checked


def load_runs(path: Path | str) -> tuple[Run, ...]:
    """Return the runs that `Optimizer.save` wrote, for the ``runs`` of a new `Optimizer`.

    Raises:
        OSError: If the file cannot be read.
        ConfigError: If it holds something else.
    """
    try:
        return _RUNS.validate_json(Path(path).read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"{path} must hold runs that an optimizer saved, but {first['msg']} at "
            f"{'.'.join(str(key) for key in first['loc']) or 'its beginning'}"
        ) from None


def _checked_metrics(metrics: Sequence[Metric], known: Known | None) -> tuple[Metric, ...]:
    """Return the metrics, those that the mapping computes marked as known."""
    names = [metric.name for metric in metrics]
    if len(set(names)) < len(names):
        raise ConfigError(f"metric names must differ, but got {names}")
    computed = list(known) if isinstance(known, Mapping) else []
    for name in computed:
        if name not in names:
            raise ConfigError(f"unknown metric {name!r} in known{did_you_mean(name, names)}")
    return tuple(
        replace(metric, known=metric.known or metric.name in computed) for metric in metrics
    )


def _checked_known(metrics: Sequence[Metric], known: Known | None) -> KnownMetrics:
    """Return a function that computes the known metrics, all of them and no other."""
    names = [metric.name for metric in metrics if metric.known]
    if known is None or isinstance(known, Mapping):
        functions = known or {}
        uncomputed = [name for name in names if name not in functions]
        if uncomputed:
            raise ConfigError(
                f"known metrics must be computed, but {uncomputed} are not; use known"
            )
        return lambda parameters: {
            name: _number(name, function(parameters)) for name, function in functions.items()
        }
    if not names:
        raise ConfigError(
            "known must compute known metrics, but no metric is known; give one known=True"
        )

    def compute(parameters: Parameters) -> dict[str, float]:
        computed = known(parameters)
        for name in computed:
            if name not in names:
                raise ConfigError(f"unknown metric {name!r} from known{did_you_mean(name, names)}")
        missing = [name for name in names if name not in computed]
        if missing:
            raise ConfigError(f"known must compute all known metrics, but {missing} are missing")
        return {name: _number(name, computed[name]) for name in names}

    return compute


def _number(name: str, value: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} must be a number, but got {value!r}") from None


def _copied(run: Run) -> Run:
    """Return the run with mappings that its receiver may change."""
    return replace(
        run, parameters=dict(run.parameters), values=dict(run.values), errors=dict(run.errors)
    )
