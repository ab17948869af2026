"""One step's choices of tokens: model scores, what may be written, the noise, the best of each place.

A place is where one token is to be written: the end of a row, or behind a drafted token of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from tokamask.errors import InvalidLogits
from tokamask.runtime.noise import gumbel_noise
from tokamask.runtime.sampling import Sampling, truncate

__all__ = ["Choices", "choose", "choosing_device"]


@dataclass(frozen=True)
class Choices:
    """The chosen tokens, one entry per place.

    Attributes:
        tokens: the chosen ids.
        logprobs: their log-probability under the model after temperature (1 when greedy), before mask and truncation.
        log_masses: the log of the probability that the place's mask left; 0 without a mask.
        gaps: how far the best candidate was ahead of the second, in logits; inf where there was only one.
        log_totals: the log of the sum of all exponentiated scores, in which a bad one shows.
    """

    tokens: list[int]
    logprobs: list[float]
    log_masses: list[float]
    gaps: list[float]
    log_totals: list[float]

    def check(self, place: int, row: int) -> None:
        """Refuse a choice that is none. To be asked for places that are reached: behind a wrong draft all may happen.

        Raises:
            InvalidLogits: NaN, +inf, or no allowed token with a probability above 0. The message names `row`.
        """
        total = self.log_totals[place]
        if not math.isfinite(total):
            found = "NaN" if math.isnan(total) else "+inf" if total > 0 else "-inf everywhere"
            raise InvalidLogits(
                f"the model returned logits with {found} (row {row} of the batch); check its weights and its number "
                "format"
            )
        if self.log_masses[place] == -math.inf:
            raise InvalidLogits(
                f"the model gives every token that the constraint allows a logit of -inf (row {row} of the batch); "
                "take away what suppresses tokens in the model"
            )


@torch.inference_mode()
def choose(
    logits: torch.Tensor,
    sampling: Sampling,
    *,
    keys: Sequence[int],
    possible: Mapping[int, npt.NDArray[np.bool_]],
    masked: Sequence[int],
    allowed: torch.Tensor,
) -> Choices:
    """Choose one token for every place of `logits` (places, V), which may be overwritten.

    What is chosen at a place that cannot be chosen at is arbitrary: see `Choices.check`.

    Args:
        keys: one noise key per place (see `noise_key`); not looked at when greedy.
        possible: place -> bool (V,): tokens outside of it do not exist for the model's own law (token healing).
        masked: the places with a constraint, ascending.
        allowed: bool (len(masked), V), on the `choosing_device` of the logits: their masks.
    """
    logits = logits.to(choosing_device(logits))
    temperature = 1.0 if sampling.is_greedy else sampling.temperature
    scores = logits if logits.dtype == torch.float64 else logits.float()
    if temperature != 1.0:
        scores = scores / temperature
    for place, spelling in possible.items():
        scores[place].masked_fill_(torch.from_numpy(~spelling).to(scores.device), -math.inf)
    total = scores.logsumexp(dim=-1)

    mass = total
    if len(masked) == len(scores):
        scores = scores.masked_fill_(~allowed, -math.inf)
    elif masked:
        index = torch.tensor(masked, device=scores.device)
        scores[index] = scores[index].masked_fill_(~allowed, -math.inf)
    if masked:
        mass = scores.logsumexp(dim=-1)

    contest = scores
    if not sampling.is_greedy:
        kept = truncate(scores, sampling)
        contest = gumbel_noise(keys, scores.shape[-1], scores.device).add_(kept)
    best, tokens = contest.topk(min(2, contest.shape[-1]), dim=-1)
    chosen = tokens[:, :1]
    logprobs = scores.gather(-1, chosen)[:, 0] - total
    gaps = (best[:, 0] - best[:, -1]) * temperature if best.shape[-1] > 1 else torch.full_like(total, math.inf)

    # One transfer from the device for everything a step needs to know.
    facts = torch.stack([chosen[:, 0], total, mass, logprobs, gaps]).double().tolist()
    return Choices(
        tokens=[int(token) for token in facts[0]],
        logprobs=facts[3],
        log_masses=[place_mass - place_total for place_total, place_mass in zip(facts[1], facts[2], strict=True)],
        gaps=facts[4],
        log_totals=facts[1],
    )


def choosing_device(logits: torch.Tensor) -> torch.device:
    """Where `choose` works: where the logits are, but for "mps", which has no float64, and the noise needs it."""
    return torch.device("cpu") if logits.device.type == "mps" else logits.device
