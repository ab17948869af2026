"""Which positions of a proposed canvas are kept at a step: policies of parallel decoding.

A policy is a pure function from what is known at a step to the positions to keep. It cannot do harm: the canvas is
valid as a whole, so whatever part of it is kept can be completed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Policy", "Step", "by_entropy", "by_schedule", "by_threshold"]


@dataclass(frozen=True, eq=False)
class Step:
    """What a policy sees.

    Attributes:
        index: of this step, from 0.
        count: of all steps; what the last one leaves open is kept in any case.
        positions: int64 (M,): the open positions of the canvas, ascending; at least one.
        confidences: float64 (M,): the probability of each proposed token, the constraint taken into account.
        entropies: float64 (M,): the entropy (nats) of each position, the constraint taken into account.
    """

    index: int
    count: int
    positions: npt.NDArray[np.int64]
    confidences: npt.NDArray[np.float64]
    entropies: npt.NDArray[np.float64]


Policy = Callable[[Step], Sequence[int] | npt.NDArray[np.int64]]
"""Chooses some of `Step.positions`."""


def by_schedule(step: Step) -> npt.NDArray[np.int64]:
    """The most confident positions, about equally many at every step (LLaDA's low-confidence remasking)."""
    number = -(-len(step.positions) // (step.count - step.index))
    return step.positions[np.argsort(-step.confidences, kind="stable")[:number]]


def by_threshold(threshold: float = 0.9) -> Policy:
    """Every position at least as confident as `threshold`, and the most confident one in any case (Fast-dLLM)."""
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; it must be a probability, from 0 to 1")

    def policy(step: Step) -> npt.NDArray[np.int64]:
        sure = step.confidences >= threshold
        sure[np.argmax(step.confidences)] = True
        return step.positions[sure]

    return policy


def by_entropy(budget: float = 0.1) -> Policy:
    """Positions of the lowest entropies, as long as their sum without the largest stays within `budget` nats.

    The bound on what is lost by filling them at once is that of the EB sampler (Ben-Hamu et al., arXiv:2505.24857).
    """
    if not budget >= 0:
        raise ValueError(f"budget is {budget}; it must be 0 or a number of nats above it")

    def policy(step: Step) -> npt.NDArray[np.int64]:
        order = np.argsort(step.entropies, kind="stable")
        ascending = step.entropies[order]
        fits = np.cumsum(ascending) - ascending <= budget  # ascending, so each entropy is the largest so far
        return step.positions[order[fits]]

    return policy
