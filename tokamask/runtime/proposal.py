"""How a particle's next token is chosen, and what the choice weighs: three proposals.

Each takes the model's law p of the next token, chooses a token x and gives the choice a weight w that is proper: the
mean of w f(x) is the sum of p(v) f(v) over the tokens v that may follow, for every function f. So weights multiply
along a sequence, whatever mixture of proposals wrote it.

- `by_mask`: x from p under the mask of the constraint, narrowed by the checkers that know what they allow; w is the
  mass of p that is left, exactly. Checkers that judge one token at a time are then asked about the tokens in the order
  in which that law draws them, and w is multiplied by the estimate of what they accept (`tokamask.masking.rejection`).
- `by_test`: the constraint too is asked about single tokens, and its mask is computed only after some refusals.
- `by_preference`: the best token (greedy), or one from a truncated law. No weight would be proper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import chain, islice

import numpy as np
import numpy.typing as npt
import torch

from tokamask.errors import InvalidLogits
from tokamask.masking.rejection import accepted_token, by_rank, log_sum_exp
from tokamask.runtime.chance import Chance
from tokamask.runtime.decode import NEAR_TIE
from tokamask.runtime.particle import Particle
from tokamask.runtime.sampling import Sampling, truncate

__all__ = ["Proposal", "by_mask", "by_preference", "by_test", "read_law"]

LogLaw = npt.NDArray[np.float64]

Proposal = Callable[[Particle, LogLaw, Sampling, Chance], None]
"""Moves a particle on by one token of a law, float64 (V,) of mass 1; or ends it where no token is accepted."""

SUSPECTS = 5
"""Where everything is refused: the likeliest tokens, whose refusers are named."""


def read_law(logits: torch.Tensor, particle: Particle, sampling: Sampling) -> LogLaw:
    """The model's law after temperature (1 when greedy) from its logits, on the CPU: log-probabilities, float64 (V,).

    Where the prompt is healed it is the law among the tokens that agree with the prompt's end.

    Raises:
        InvalidLogits: NaN, +inf, or nothing but -inf.
    """
    scores: LogLaw = logits.double().numpy()
    if not sampling.is_greedy and sampling.temperature != 1.0:
        scores = scores / sampling.temperature
    if (possible := particle.possible()) is not None:
        scores = np.where(possible, scores, -math.inf)
    log_total = log_sum_exp(scores)
    if not math.isfinite(log_total):
        found = "NaN" if math.isnan(log_total) else "+inf" if log_total > 0 else "-inf everywhere"
        raise InvalidLogits(f"the model returned logits with {found}; check its weights and its number format")
    return scores - log_total


def by_mask(particle: Particle, log_law: LogLaw, sampling: Sampling, chance: Chance) -> None:
    constrained, log_mass = _constrained(particle, log_law)
    checked, is_complete = particle.checked()
    narrowed = constrained
    if checked is not None:
        narrowed = np.where(checked, constrained, -math.inf)
        log_mass = log_sum_exp(narrowed)
        if log_mass == -math.inf:
            particle.reject(_suspects(constrained))
            return
    narrowed = narrowed - log_mass
    order = _order(particle, chance.race(narrowed, particle.noise_key), sampling)
    if is_complete:
        token = next(order)
        particle.accept(token, float(log_law[token]), log_mass)
        return
    found = accepted_token(narrowed, order, particle.judge)
    if found.token is None:
        particle.reject(_suspects(constrained))
    else:
        particle.accept(found.token, float(log_law[found.token]), log_mass + found.log_mass)


def by_test(particle: Particle, log_law: LogLaw, sampling: Sampling, chance: Chance) -> None:
    """For a constraint without checkers."""
    if particle.is_healing:  # only the mask knows how the tokens cross the prompt's end
        by_mask(particle, log_law, sampling, chance)
        return

    def mask() -> npt.NDArray[np.bool_]:
        allowed = particle.allowed()
        assert allowed is not None, "there is a constraint"
        return allowed

    order = _order(particle, chance.race(log_law, particle.noise_key), sampling)
    found = accepted_token(log_law, order, particle.fits, settle=mask)
    if found.token is None:
        raise _nothing_possible()
    particle.accept(found.token, float(log_law[found.token]), found.log_mass)


def by_preference(particle: Particle, log_law: LogLaw, sampling: Sampling, chance: Chance) -> None:
    """Tokens that the truncation drops come behind all others: they are taken where all others are refused."""
    constrained, _ = _constrained(particle, log_law)
    checked, _ = particle.checked()
    narrowed = constrained if checked is None else np.where(checked, constrained, -math.inf)
    kept = truncate(torch.from_numpy(narrowed)[None], sampling)[0].numpy()
    for tier in (kept, np.where(kept > -math.inf, -math.inf, narrowed)):
        keys = tier if sampling.is_greedy else chance.race(tier, particle.noise_key)
        token = next(filter(particle.judge, _order(particle, keys, sampling)), None)
        if token is not None:
            particle.accept(token, float(log_law[token]), 0.0)
            return
    particle.reject(_suspects(constrained))


def _constrained(particle: Particle, log_law: LogLaw) -> tuple[LogLaw, float]:
    """The law where the constraint allows it, and the log of the mass that is left."""
    allowed = particle.allowed()
    if allowed is None:
        return log_law, 0.0
    constrained = np.where(allowed, log_law, -math.inf)
    log_mass = log_sum_exp(constrained)
    if log_mass == -math.inf:
        raise _nothing_possible()
    return constrained, log_mass


def _order(particle: Particle, keys: LogLaw, sampling: Sampling) -> Iterator[int]:
    """The tokens by falling key; the particle counts a near tie of the first two."""
    tokens = by_rank(keys)
    first = list(islice(tokens, 2))
    if len(first) == 2:
        unit = 1.0 if sampling.is_greedy else sampling.temperature
        particle.figures.near_ties += bool((keys[first[0]] - keys[first[1]]) * unit < NEAR_TIE)
    return chain(first, tokens)


def _suspects(constrained: LogLaw) -> list[int]:
    return list(islice(by_rank(constrained), SUSPECTS))


def _nothing_possible() -> InvalidLogits:
    return InvalidLogits(
        "the model gives every token that the constraint allows a logit of -inf; take away what suppresses tokens in "
        "the model"
    )
