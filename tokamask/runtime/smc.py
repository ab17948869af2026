"""Particles written side by side, one token each per step; sequential Monte Carlo when they are resampled.

Every particle carries a proper weight (see `proposal`). Where weights grow apart, those that weigh little are replaced
by copies of those that weigh much: when the effective sample size falls below a share of their number, all particles
are drawn anew from among themselves in proportion to their weights, and get the mean weight. That changes no
expectation: the mean weight at the end is an unbiased estimate of the target's mass, and weighted averages over the
particles are as proper as they were. (Del Moral, Doucet, Jasra: "Sequential Monte Carlo samplers", 2006; for language
models Lew, Zhi-Xuan, Grand, Mansinghka: "Sequential Monte Carlo steering of large language models using probabilistic
programs", 2023.)

Finished particles take part, with the weight they ended with. The factors of soft checkers are part of a weight while
the text stands where it does, so they steer the resampling, and are divided out at the next step.

Copies go on from the same keys and values, matcher's history and checkers' states; a finished particle leaves the
model's batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tokamask.masking.rejection import log_sum_exp
from tokamask.runtime.chance import Chance
from tokamask.runtime.model import Model
from tokamask.runtime.noise import noise_key
from tokamask.runtime.particle import Particle
from tokamask.runtime.prompts import read_by_rows
from tokamask.runtime.proposal import Proposal, read_law
from tokamask.runtime.resampling import effective_sample_size
from tokamask.runtime.sampling import Sampling

__all__ = ["draw_particles"]

RESAMPLING = 1 << 63
"""The sample whose random numbers choose ancestors: no particle has this number."""


def draw_particles(
    model: Model,
    particles: Sequence[Particle],
    propose: Proposal,
    sampling: Sampling,
    chance: Chance,
    *,
    threshold: float = 0.0,
) -> Iterator[Sequence[Particle]]:
    """Write all particles to their ends.

    Args:
        particles: at their beginnings. Those with the same `Prompt` object share its keys and values.
        threshold: the effective sample size, as a share of their number, below which they are resampled; then they are
            all of one request. 0: never, so that each is independent of all others.

    Yields:
        All particles, in their places, after every step; the last time they are all finished.

    Raises:
        InvalidLogits: see `read_law`, or the model makes a constraint impossible.
        CheckerError: a checker raised.
    """
    population = list(particles)
    context, logits = read_by_rows(model, [one.request.prompt for one in population])
    live = list(range(len(population)))  # the place of each row of the context
    step = 0
    while True:
        logits = logits.cpu()
        for row, place in enumerate(live):
            one = population[place]
            one.figures.forward_passes += 1
            propose(one, read_law(logits[row], one, sampling), sampling, chance)
        ancestors = _ancestors(population, threshold, chance, step)
        if ancestors is not None:
            population = _descendants(population, ancestors)
        yield population

        row_of = {place: row for row, place in enumerate(live)}
        going_on = [place for place, one in enumerate(population) if not one.is_finished]
        if not going_on:
            return
        rows = [row_of[place if ancestors is None else ancestors[place]] for place in going_on]
        if rows != list(range(len(live))):
            context.select(rows)
        live = going_on
        logits = context.extend([[population[place].last_token] for place in live])
        step += 1


def _ancestors(population: Sequence[Particle], threshold: float, chance: Chance, step: int) -> list[int] | None:
    """Which particle each is to go on from; None where they stay as they are.

    At the end nothing is left to gain, and while prompts are being healed the particles are not yet comparable. Both
    are known before the weights are looked at, so the weights stay proper.
    """
    log_weights = [one.log_weight for one in population]
    if all(one.is_finished for one in population) or any(one.is_healing for one in population):
        return None
    if effective_sample_size(log_weights) >= threshold * len(population):
        return None
    request = population[0].request
    return chance.ancestors(log_weights, noise_key(request.seed, RESAMPLING, request.attempt, step))


def _descendants(population: Sequence[Particle], ancestors: Sequence[int]) -> list[Particle]:
    """A copy of its ancestor in every place, all with the mean weight."""
    log_mean = log_sum_exp([one.log_weight for one in population]) - math.log(len(population))
    descendants = []
    for place, ancestor in enumerate(ancestors):
        descendant = population[ancestor].fork(population[place].sample, population[place].figures)
        descendant.log_weight = log_mean
        descendants.append(descendant)
    return descendants
