"""Summaries of many measured times, as the tables print them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["PERCENTILES", "Distribution"]

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True)
class Distribution:
    """How times are distributed; all but `count` are in the unit of the times.

    Attributes:
        count: how many there are, at least one.
        percentiles: the values at PERCENTILES, interpolated linearly between neighbours.
    """

    count: int
    mean: float
    percentiles: tuple[float, ...]
    maximum: float

    @classmethod
    def of(cls, times: Sequence[float] | npt.NDArray[np.float64]) -> Distribution | None:
        """The distribution of some times; None of none."""
        if len(times) == 0:
            return None
        array = np.asarray(times, dtype=np.float64)
        percentiles = tuple(float(value) for value in np.percentile(array, PERCENTILES))
        return cls(len(array), float(array.mean()), percentiles, float(array.max()))

    def scaled(self, factor: float) -> Distribution:
        """The same in another unit."""
        percentiles = tuple(value * factor for value in self.percentiles)
        return Distribution(self.count, self.mean * factor, percentiles, self.maximum * factor)
