"""Adaptive weighted rejection sampling (AWRS): one token that a judge accepts, and an unbiased estimate of how much is.

A token is wanted from the law p restricted to the tokens that a judge accepts, where asking about all of them costs too
much. Tokens are drawn from p without replacement until one is accepted; its law is exactly the restricted one, whatever
was refused before. What the judge accepts in all, Z, is estimated by one look further: the mass of what was accepted,
and the whole mass that was not asked about if the next token drawn from there is accepted too.

The estimate is proper in the strong sense. Given everything that was refused and the token x that was returned, its
mean is Z: the next token t comes from p among the tokens not asked about, so the chance that it is accepted is the
accepted share of their mass. Hence any rule that decides from the refusals alone how to go on keeps it proper, and
`settle` is such a rule: after some refusals the whole mask is computed, which ends the search and makes the estimate
exact.

Lipkin et al., "Fast controlled generation from language models with adaptive weighted rejection sampling" (COLM 2025);
the look further is the form with the smallest variance at one evaluation beyond the first acceptance.

Nothing here draws random numbers: the order of tokens is the argument that holds them all. Sorting by log p + Gumbel
noise is drawing without replacement (the Gumbel-max trick, applied again and again).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Acceptance", "accepted_token", "by_rank", "log_sum_exp"]

FEW = 64
"""How many of the best tokens are sorted at first: more are seldom asked about, and sorting all takes 50 times as long
for a vocabulary of 100k."""


@dataclass(frozen=True)
class Acceptance:
    """What a search came to.

    Attributes:
        token: the token, distributed as p among the accepted ones; None when no token is accepted.
        log_mass: the log of a proper estimate of the mass of p that is accepted; -inf with None.
        evaluations: how many tokens the judge was asked about.
    """

    token: int | None
    log_mass: float
    evaluations: int


def accepted_token(
    log_law: npt.NDArray[np.float64],
    order: Iterable[int],
    accepts: Callable[[int], bool],
    *,
    lookahead: int = 0,
    settle: Callable[[], npt.NDArray[np.bool_]] | None = None,
    patience: int = 8,
) -> Acceptance:
    """The first accepted token of an order drawn from a law without replacement.

    Args:
        log_law: float64 (V,): log p, whose mass is 1; -inf where it is 0.
        order: the tokens of positive probability, drawn without replacement from the law; used as far as needed.
        accepts: the judge. It is asked about every token at most once.
        lookahead: tokens to ask about after the first accepted one and before the last look: the more, the smaller
            the variance of the estimate.
        settle: bool (V,), the judge's answers to all tokens; asked for at most once.
        patience: how many tokens are refused before `settle` is asked.
    """
    tokens = iter(order)
    refused: list[int] = []
    for token in tokens:
        if accepts(token):
            break
        refused.append(token)
        if settle is not None and len(refused) == patience:
            mask = settle()
            found = next((token for token in tokens if mask[token]), None)
            return Acceptance(found, -math.inf if found is None else log_sum_exp(log_law[mask]), len(refused))
    else:
        return Acceptance(None, -math.inf, len(refused))

    accepted = [token]
    for ahead, token_ahead in enumerate(tokens):
        is_accepted = accepts(token_ahead)
        if ahead == lookahead:  # the last look: this token answers for all that were not asked about
            log_mass = _log_mass_without(log_law, refused) if is_accepted else log_sum_exp(log_law[accepted])
            return Acceptance(token, log_mass, len(refused) + len(accepted) + 1)
        (accepted if is_accepted else refused).append(token_ahead)
    return Acceptance(token, log_sum_exp(log_law[accepted]), len(refused) + len(accepted))


def by_rank(keys: npt.NDArray[np.float64]) -> Iterator[int]:
    """Tokens by falling key, the lower id first among equals; those with a key of -inf are left out."""
    first = 0
    if len(keys) > FEW:
        # Everything above the FEW-th best key: equals of that one may not all fit, so they wait for the whole sort.
        (best,) = np.nonzero(keys > np.partition(keys, -FEW)[-FEW])
        best = best[np.argsort(-keys[best], kind="stable")]
        first = len(best)
        yield from best.tolist()
    (rest,) = np.nonzero(keys > -math.inf)
    yield from rest[np.argsort(-keys[rest], kind="stable")][first:].tolist()


def log_sum_exp(values: npt.ArrayLike) -> float:
    """log(sum(exp(values))) in float64 without overflow or underflow; -inf for no values."""
    array = np.asarray(values, dtype=np.float64)
    largest = float(array.max(initial=-math.inf))
    if not math.isfinite(largest):  # nothing, or nothing that a sum could change
        return largest
    return largest + math.log(float(np.exp(array - largest).sum()))


def _log_mass_without(log_law: npt.NDArray[np.float64], refused: list[int]) -> float:
    """The log of the law's mass outside of some tokens: summed, as 1 minus their mass would cancel to nothing."""
    if not refused:
        return 0.0
    rest = log_law.copy()
    rest[refused] = -math.inf
    return log_sum_exp(rest)
