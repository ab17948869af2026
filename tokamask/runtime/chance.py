"""Where particles get their random numbers: one small seam, so that tests can go through every outcome.

The product's numbers are read off keys (see `noise`): the same (seed, sample, attempt, position) has the same number in
any batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from tokamask.runtime.noise import gumbel_noise
from tokamask.runtime.resampling import systematic

__all__ = ["Chance", "KeyedChance"]

CPU = torch.device("cpu")


class Chance(Protocol):
    """Draws for one place, named by a 64-bit key."""

    def race(self, log_law: npt.NDArray[np.float64], key: int) -> npt.NDArray[np.float64]:
        """float64 (V,): keys by which the tokens fall into an order drawn without replacement; -inf stays -inf."""
        ...

    def ancestors(self, log_weights: Sequence[float], key: int) -> list[int]:
        """Which particle each particle is to go on from: particle i in N w_i / sum(w) places on average."""
        ...


class KeyedChance:
    """Gumbel noise and systematic resampling, both functions of the key."""

    def race(self, log_law: npt.NDArray[np.float64], key: int) -> npt.NDArray[np.float64]:
        noise: npt.NDArray[np.float64] = gumbel_noise([key], len(log_law), CPU)[0].numpy()
        return log_law + noise

    def ancestors(self, log_weights: Sequence[float], key: int) -> list[int]:
        return systematic(log_weights, (key >> 11) * 2.0**-53)
