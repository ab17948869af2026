"""Resampling of weighted particles: who lives on, in how many copies.

Every scheme gives particle i an expected number of copies of N w_i / sum(w), which keeps weighted averages unbiased.
They differ in how much the numbers vary around that: systematic the least, then stratified, then multinomial (Douc,
Cappé, Moulines: "Comparison of resampling schemes for particle filtering", 2005).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tokamask.masking.rejection import log_sum_exp

__all__ = ["effective_sample_size", "multinomial", "stratified", "systematic"]


def effective_sample_size(log_weights: Sequence[float]) -> float:
    """(sum w)^2 / sum w^2: how many equally weighted particles say as much; 0 when all weights are 0."""
    total = log_sum_exp(log_weights)
    return math.exp(2 * total - log_sum_exp(2 * np.asarray(log_weights))) if total > -math.inf else 0.0


def systematic(log_weights: Sequence[float], uniform: float) -> list[int]:
    """The ancestors of N particles, ascending: those at the N places (uniform + i) / N of the weights laid end to end.

    Args:
        log_weights: not all -inf.
        uniform: in [0, 1).
    """
    count = len(log_weights)
    return _at(log_weights, (np.arange(count) + uniform) / count)


def stratified(log_weights: Sequence[float], uniforms: Sequence[float]) -> list[int]:
    """The same with a number of its own for each of the N places."""
    count = len(log_weights)
    return _at(log_weights, (np.arange(count) + np.asarray(uniforms)) / count)


def multinomial(log_weights: Sequence[float], uniforms: Sequence[float]) -> list[int]:
    """N independent ancestors, one per number, ascending."""
    return _at(log_weights, np.sort(np.asarray(uniforms)))


def _at(log_weights: Sequence[float], places: npt.NDArray[np.float64]) -> list[int]:
    """Which particle lies at each place (in [0, 1)) of the normalised weights laid end to end."""
    weights = np.exp(np.asarray(log_weights) - max(log_weights))
    ends = np.cumsum(weights)
    # A place can round up to the very end; what lies there is the last particle that has a weight.
    last = int(np.flatnonzero(weights)[-1])
    found = np.searchsorted(ends, places * ends[-1], side="right")
    return [min(int(place), last) for place in found]
