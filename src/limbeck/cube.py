"""A search space in which every parameter has a place of its own between 0 and 1."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from limbeck.parameters import Choice, Parameter, Parameters, Value
from limbeck.space import SearchSpace

_MOST_CELLS = 2**14  # Numbers with more values are taken for real ones.


@dataclass(frozen=True)
class ParameterCube:
    """A search space in which each parameter has one coordinate, its place between 0 and 1.

    In `SearchSpace.encode` a choice has several, which depend on each other. Here all places are
    independent and equally likely; those of inactive parameters do not matter.
    """

    space: SearchSpace

    def encode(
        self, places: NDArray[np.float64], *, inactive: float | None = None
    ) -> NDArray[np.float64]:
        """Return the points of the unit cube at places.

        Args:
            places: An ``n x p`` array, of ``p`` parameters.
            inactive: Stands for the coordinates of inactive parameters; if None, those of
                `SearchSpace.encode`.

        Returns:
            An ``n x dimension`` array.
        """
        active: dict[str, NDArray[np.bool_]] = {}
        blocks = []
        for index, parameter in enumerate(self.space.parameters):
            block = self._block(index, places[:, index])
            here = self._active(parameter, places, active)
            neutral = parameter.neutral if inactive is None else (inactive,) * parameter.width
            blocks.append(np.where(here[:, None], block, np.array(neutral)))
        return np.hstack(blocks)

    def encode_points(
        self, points: Sequence[Parameters], *, inactive: float
    ) -> NDArray[np.float64]:
        """Return `SearchSpace.encode` of points, with a value of one's own for what is inactive.

        Returns:
            A ``len(points) x dimension`` array.

        Raises:
            ParameterError: If one is not of the space.
        """
        X = np.array([self.space.encode(point) for point in points])
        widths = [parameter.width for parameter in self.space.parameters]
        absent = [[p.name not in point for p in self.space.parameters] for point in points]
        return np.where(np.repeat(np.array(absent), widths, axis=1), inactive, X)

    def active(self, places: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which parameters are active at places: an ``n x p`` array for such places."""
        known: dict[str, NDArray[np.bool_]] = {}
        return np.column_stack([self._active(p, places, known) for p in self.space.parameters])

    def grid(self, index: int, *, most: int) -> NDArray[np.float64]:
        """Return places from the lowest to the highest value of a parameter.

        They are in the middle of each value's cell if there are at most ``most`` values, else
        ``most`` places at equal distances.
        """
        edges = self._edges[index]
        if edges is None or len(edges) >= most:
            return np.linspace(0.0, 1.0, most)
        bounds = np.concatenate([[0.0], edges, [1.0]])
        return np.asarray((bounds[1:] + bounds[:-1]) / 2)

    def value(self, index: int, place: float) -> Value:
        """Return a parameter's value at one of its places."""
        parameter = self.space.parameters[index]
        if isinstance(parameter, Choice):
            return parameter.choices[min(int(place * parameter.count), parameter.count - 1)]
        return parameter.decode([place])

    def bins(self, places: NDArray[np.float64], *, most: int) -> NDArray[np.intp]:
        """Return in which bin of its parameter each place is: a value's cell, or a strip.

        Args:
            places: An ``n x p`` array.
            most: Number of strips for a parameter with more values than that.

        Returns:
            An ``n x p`` array of numbers below ``most``.
        """
        columns = []
        for edges, column in zip(self._edges, places.T, strict=True):
            strips = np.minimum((column * most).astype(np.intp), most - 1)
            if edges is not None and len(edges) < most:
                strips = np.searchsorted(edges, column, side="right")
            columns.append(strips)
        return np.column_stack(columns)

    def _active(
        self,
        parameter: Parameter,
        places: NDArray[np.float64],
        known: dict[str, NDArray[np.bool_]],
    ) -> NDArray[np.bool_]:
        """Return where a parameter is active, and keep it in what is known, by name."""
        if parameter.name not in known:
            here = np.ones(len(places), dtype=bool)
            for when in parameter.when:
                index = self.space.names.index(when.parameter)
                parent = self.space.parameters[index]
                condition, column = when.on(parameter.name, parent), places[:, index]
                edges = self._edges[index]
                if edges is None:
                    met = np.array(
                        [condition.is_met(self.value(index, u)) for u in column.tolist()]
                    )
                else:
                    by_cell = np.array([condition.is_met(value) for value in parent.values])
                    met = by_cell[np.searchsorted(edges, column, side="right")]
                here &= met & self._active(parent, places, known)
            known[parameter.name] = here
        return known[parameter.name]

    def _block(self, index: int, column: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the ``n x width`` coordinates of a parameter at ``n`` of its places."""
        edges, parameter = self._edges[index], self.space.parameters[index]
        if edges is None:
            return column[:, None]
        return self._tables[parameter.name][np.searchsorted(edges, column, side="right")]

    @cached_property
    def _edges(self) -> list[NDArray[np.float64] | None]:
        """The places between neighbouring values of each parameter; None if too many values."""
        return [_edges(parameter) for parameter in self.space.parameters]

    @cached_property
    def _tables(self) -> dict[str, NDArray[np.float64]]:
        """The ``values x width`` coordinates of each parameter with edges, by name."""
        return {
            parameter.name: np.array([parameter.encode(value) for value in parameter.values])
            for parameter, edges in zip(self.space.parameters, self._edges, strict=True)
            if edges is not None
        }


def _edges(parameter: Parameter) -> NDArray[np.float64] | None:
    if parameter.count is None or parameter.count > _MOST_CELLS:
        return None
    if isinstance(parameter, Choice):
        return np.arange(1, parameter.count) / parameter.count
    middles = [(low + high) / 2 for low, high in itertools.pairwise(parameter.values)]
    return np.array([parameter.scale.to_unit(middle) for middle in middles])
