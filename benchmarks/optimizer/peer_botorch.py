"""BoTorch's qLogNEHVI, with the settings of its tutorials on several objectives."""

import math
import warnings

import torch
from botorch.acquisition.multi_objective.logei import (
    qLogNoisyExpectedHypervolumeImprovement,
)
from botorch.exceptions.warnings import BotorchWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models.gp_regression import SingleTaskGP
from botorch.models.gp_regression_mixed import MixedSingleTaskGP
from botorch.models.model_list_gp_regression import ModelListGP
from botorch.optim.optimize import optimize_acqf
from botorch.optim.optimize_mixed import optimize_acqf_mixed_alternating
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.sampling import draw_sobol_samples, manual_seed
from gpytorch.mlls.sum_marginal_log_likelihood import SumMarginalLogLikelihood
from problem import Problem, Values
from torch import Tensor

from limbeck.space import Choice, Float, Integer, Parameter, Parameters, Value

SAMPLES = 128
RESTARTS = 10
RAW_SAMPLES = 512


class BoTorch:
    """Sobol points, twice as many as coordinates and two but at most 20, then qLogNEHVI.

    Numbers are scaled to between 0 and 1, ordered choices and those of two by their places; others
    are categories of a `MixedSingleTaskGP`. Diverged runs are not learned from; they stay among the
    pending points, so that they are not suggested again.
    """

    def __init__(self, problem: Problem, *, seed: int) -> None:
        warnings.filterwarnings("ignore", category=BotorchWarning)
        self._problem = problem
        self._seed = seed
        parameters = problem.space.parameters
        self._levels = {i: _levels(p) for i, p in enumerate(parameters) if not isinstance(p, Float)}
        self._categories = [i for i, p in enumerate(parameters) if _is_category(p)]
        high = [self._levels[i][-1] if i in self._levels else 1.0 for i in range(len(parameters))]
        self._bounds = torch.tensor([[0.0] * len(high), high], dtype=torch.double)
        first = draw_sobol_samples(
            self._unit_bounds(), n=min(2 * (len(high) + 1), 20), q=1, seed=seed
        )
        self._first = first.squeeze(1)
        self._asked: list[Tensor] = []
        self._outcomes: dict[int, list[float]] = {}

    def ask(self) -> tuple[int, Parameters]:
        """Return a ticket and the parameters of the next run."""
        number = len(self._asked)
        if number < len(self._first) or not self._outcomes:
            point = self._from_unit(self._first[number % len(self._first)])
        else:
            with manual_seed(1000 * self._seed + number):
                point = self._best()
        self._asked.append(point)
        values = zip(self._problem.space.parameters, point.tolist(), strict=True)
        return number, {p.name: _decode(p, place) for p, place in values}

    def tell(self, ticket: int, values: Values | None) -> None:
        """Take the values of a run, or None if it diverged."""
        if values is not None:
            metrics = self._problem.metrics
            self._outcomes[ticket] = [m.larger_is_better(values[m.name]) for m in metrics]

    def _unit_bounds(self) -> Tensor:
        return torch.tensor([[0.0], [1.0]], dtype=torch.double).expand(2, self._bounds.shape[1])

    def _from_unit(self, unit: Tensor) -> Tensor:
        """Return the point in whose cell a point of the unit cube is."""
        point = unit.clone()
        for i, levels in self._levels.items():
            point[i] = levels[min(int(unit[i] * len(levels)), len(levels) - 1)]
        return point

    def _best(self) -> Tensor:
        X = torch.stack([self._asked[ticket] for ticket in self._outcomes])
        Y = torch.tensor(list(self._outcomes.values()), dtype=torch.double)
        out = [point for i, point in enumerate(self._asked) if i not in self._outcomes]
        model = ModelListGP(*(self._model(X, Y[:, i : i + 1]) for i in range(Y.shape[1])))
        fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            model=model,
            ref_point=[m.larger_is_better(m.threshold or 0.0) for m in self._problem.metrics],
            X_baseline=X,
            prune_baseline=True,
            sampler=SobolQMCNormalSampler(torch.Size([SAMPLES])),
            X_pending=torch.stack(out) if out else None,
        )
        if not self._levels:
            best, _ = optimize_acqf(
                acquisition,
                bounds=self._bounds,
                q=1,
                num_restarts=RESTARTS,
                raw_samples=RAW_SAMPLES,
                options={"batch_limit": 5, "maxiter": 200},
            )
        else:
            best, _ = optimize_acqf_mixed_alternating(
                acquisition,
                bounds=self._bounds,
                discrete_dims={
                    i: levels for i, levels in self._levels.items() if i not in self._categories
                },
                cat_dims={i: self._levels[i] for i in self._categories},
                q=1,
                num_restarts=RESTARTS,
                raw_samples=RAW_SAMPLES,
            )
        return best.squeeze(0)

    def _model(self, X: Tensor, y: Tensor) -> SingleTaskGP:
        if self._categories:
            return MixedSingleTaskGP(X, y, cat_dims=self._categories)
        return SingleTaskGP(X, y)


def _is_category(parameter: Parameter) -> bool:
    return isinstance(parameter, Choice) and not parameter.ordered and len(parameter.choices) > 2


def _levels(parameter: Choice | Integer) -> list[float]:
    """Return the places of a discrete parameter's values."""
    if isinstance(parameter, Choice):
        n = len(parameter.choices)
        return [float(i) if _is_category(parameter) else i / (n - 1) for i in range(n)]
    values = [math.log(v) if parameter.log else float(v) for v in _integers(parameter)]
    return [(v - values[0]) / (values[-1] - values[0]) for v in values]


def _integers(parameter: Integer) -> range:
    return range(parameter.low, parameter.high + 1, parameter.step)


def _decode(parameter: Parameter, place: float) -> Value:
    if isinstance(parameter, Float):
        return parameter.decode([place])
    values = parameter.choices if isinstance(parameter, Choice) else _integers(parameter)
    levels = _levels(parameter)
    return values[min(range(len(levels)), key=lambda i: abs(levels[i] - place))]
