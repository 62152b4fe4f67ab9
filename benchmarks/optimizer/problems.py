"""All problems of the optimizer benchmark; a new one is an adapter and a line here."""

import analytic
import real
from problem import Problem

TUNING = frozenset(
    {
        "fcnet/naval_propulsion",
        "hpobench_mlp/car",
        "hpobench_mlp/phoneme",
        "yahpo/rbv2_rpart/41163",
        "analytic/cliff",
        "analytic/plateau",
        "nb201/cifar10",
        "analytic/ordinary",
        "analytic/students17",
    }
)
"""Those looked at while settings were chosen; all the others are held out."""

NAMES = (*real.NAMES, *analytic.LOADERS)


def load(name: str) -> Problem:
    """Return a problem of `NAMES`."""
    return analytic.LOADERS[name]() if name in analytic.LOADERS else real.load(name)
