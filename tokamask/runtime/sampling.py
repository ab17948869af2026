"""How a token is drawn from the masked scores: the options, and the truncations they ask for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["Sampling", "check_sampling", "truncate"]


@dataclass(frozen=True)
class Sampling:
    """Options of one call, applied after the mask and in this order.

    Attributes:
        temperature: divides the logits; 0 takes the best token (greedy), and the other options then have no effect.
        top_k: keep the k best tokens (and what ties with the last of them); 0 keeps all.
        top_p: keep the smallest set of best tokens whose probability reaches p; 1 keeps all.
        min_p: drop tokens less probable than this share of the best one; 0 keeps all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            kind, words = (Integral, "a whole number") if name == "top_k" else (Real, "a number")
            if not isinstance(value, kind):
                raise TypeError(f"{name} must be {words}, not {type(value).__name__}")
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise ValueError(f"temperature is {self.temperature}; it must be 0 (greedy) or a positive number")
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}; it must be 0 (keep all) or the number of tokens to keep")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it must be above 0 and at most 1 (keep all)")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p is {self.min_p}; it must be between 0 (keep all) and 1")

    @property
    def is_greedy(self) -> bool:
        return self.temperature == 0

    @property
    def truncates(self) -> bool:
        """Whether some tokens that the mask allows get no chance, so that no importance weight can be proper."""
        return self.is_greedy or self.top_k > 0 or self.top_p < 1 or self.min_p > 0


def check_sampling(sampling: Sampling) -> None:
    """Raises TypeError for what is none."""
    if not isinstance(sampling, Sampling):
        raise TypeError(f"sampling must be a Sampling(temperature=..., ...), not {type(sampling).__name__}")


def truncate(scores: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """`scores` (rows, V; masked, divided by the temperature) with -inf where top_k, top_p or min_p drops a token."""
    if 0 < sampling.top_k < scores.shape[-1]:
        worst_kept = scores.topk(sampling.top_k, dim=-1).values[:, -1:]
        scores = scores.masked_fill(scores < worst_kept, -math.inf)
    if sampling.top_p < 1:
        ordered, order = scores.sort(dim=-1, descending=True, stable=True)
        probabilities = ordered.softmax(dim=-1)
        before = probabilities.cumsum(dim=-1) - probabilities  # 0 for the best token, which therefore always stays
        dropped = (before >= sampling.top_p).scatter(-1, order, before >= sampling.top_p)
        scores = scores.masked_fill(dropped, -math.inf)
    if sampling.min_p > 0:
        threshold = scores.amax(dim=-1, keepdim=True) + math.log(sampling.min_p)
        scores = scores.masked_fill(scores < threshold, -math.inf)
    return scores
