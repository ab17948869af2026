"""Grammar-aligned decoding: documents drawn from the model conditioned on its constraint, with an oracle trie.

Masked sampling changes the model's law: it goes where the mask leaves little, as if nothing had been lost there. The
methods here share a trie of what is known of how prefixes end (`tokamask.masking.oracle_trie`) and learn from every
draw.

The target. A document is a sequence of tokens that the budgeted masks allow one by one, stop token included (without
stop tokens: up to where nothing can follow), so at most `max_tokens` of them. Every spelling of a text is a document of
its own, with its own probability. The target is the law of the model after temperature, given that what it writes is a
document. On finite and on non-recursive languages these are all valid documents that fit; on recursive ones the masks
may leave out some that end just at the budget, because the way to the end is then an upper bound (see
`tokamask.masking.shortest`). Where the prompt is healed, the model's law at the tokens that heal is the one among the
candidates, as in `decode`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from tokamask.errors import BudgetTooSmall, InvalidLogits
from tokamask.masking.bitmask import unpack_row
from tokamask.masking.oracle_trie import AllowedTokens, OracleTrie, RecentRows, Walk
from tokamask.masking.rejection import log_sum_exp
from tokamask.runtime.budget import can_close
from tokamask.runtime.decode import Request, Row
from tokamask.runtime.draw import Draw
from tokamask.runtime.model import Context, CroppableContext, Model
from tokamask.runtime.noise import gumbel_noise, noise_key
from tokamask.runtime.step_masks import StepMasks

__all__ = ["Mode", "TrieDraws", "TrieSampler", "draw_on_trie"]

Mode = Literal["asap", "weighted", "cars"]

MAX_ATTEMPTS = 1000
"""Per draw. A rejected attempt costs a forward pass at least, as only a prefix seen for the first time rejects."""

CACHE_BYTES = 1 << 28
"""For the model's laws at known prefixes: 12 bytes per allowed token, so 20,000 narrow masks or 450 wide ones."""

CPU = torch.device("cpu")


@dataclass(frozen=True)
class TrieDraws:
    """What `draw_on_trie` returns.

    Attributes:
        draws: in order.
        bounds: certain bounds of the log of the valid mass: of the probability that the model, left alone, writes a
            document. Certain up to the rounding of the model's own numbers.
        log_z: the log of an unbiased estimate of the valid mass, over the first attempts of all draws: the mass of the
            documents known before, plus the attempt's weight if it found another one.
    """

    draws: tuple[Draw, ...]
    bounds: tuple[float, float]
    log_z: float


def draw_on_trie(
    model: Model,
    request: Request,
    count: int,
    mode: Mode,
    temperature: float,
    *,
    max_attempts: int = MAX_ATTEMPTS,
    cache_bytes: int = CACHE_BYTES,
) -> TrieDraws:
    """Draw `count` documents for a request, one after another, on a trie that starts empty.

    Args:
        request: its matcher stays where it is. Draw k has the random numbers of sample `request.sample + k`.
        mode: how the trie is used, and what `log_weight` is.
            "asap": every draw walks by the bounds known so far. The draws are taken as they are, and log_weight is 0.
            The first is masked sampling; their law approaches the target as the trie fills, and not steadily: after a
            few draws it may be farther than it was at first.
            "weighted": the same draws, with proper importance weights that make averages over them exact from the
            first draw on. A walk that ends where the model gives nothing allowed a probability has weight 0, and error
            says so; "asap" and "cars" try again.
            "cars": independent draws that have exactly the target's law, log_weight 0. A walk is rejected at prefixes
            seen for the first time, with the probability that the mask forbids there, and tried again.
        temperature: divides the logits; above 0.
        max_attempts: how often "asap" and "cars" try for one draw. A draw that runs out has an error and log_weight
            -inf, and no tokens; those that succeed keep their law.
        cache_bytes: how much of the model's laws at known prefixes is kept. Results do not depend on it, up to the
            rounding of the model's numbers.

    Raises:
        ValueError: no constraint, or a number out of range.
        BudgetTooSmall: max_tokens cannot hold the shortest document.
        InvalidLogits: NaN, +inf, or no document with a probability above 0.
    """
    if mode not in get_args(Mode):
        raise ValueError(f"mode is {mode!r}; it must be one of {', '.join(map(repr, get_args(Mode)))}")
    if count < 1 or max_attempts < 1:
        raise ValueError(f"count is {count} and max_attempts is {max_attempts}; both must be at least 1")
    sampler = TrieSampler(model, request, temperature, cache_bytes=cache_bytes)
    draws, estimates = [], []
    for sample in range(count):
        draw, estimate = sampler.draw(sample, mode, max_attempts=max_attempts)
        draws.append(draw)
        estimates.append(estimate)
    return TrieDraws(
        draws=tuple(draws),
        bounds=sampler.trie.log_bounds(OracleTrie.ROOT),
        log_z=log_sum_exp(estimates) - math.log(count),
    )


@dataclass(frozen=True)
class _Attempt:
    """One walk.

    Attributes:
        row: what was written.
        is_complete: whether that is a document; if not, a coin rejected it or the model gave nothing a probability.
        log_weight: of the walk.
        log_estimate: log of an estimate of the valid mass that is unbiased given the trie before.
    """

    row: Row
    is_complete: bool
    log_weight: float
    log_estimate: float


class TrieSampler:
    """Draws for one request on one trie; see `draw_on_trie` for the arguments and errors."""

    def __init__(self, model: Model, request: Request, temperature: float, *, cache_bytes: int = CACHE_BYTES) -> None:
        if request.matcher is None:
            raise ValueError("the request has no constraint: free text has the model's own law when it is just sampled")
        if not (temperature > 0 and math.isfinite(temperature)):
            raise ValueError(f"temperature is {temperature}; a law to sample from needs a positive number")
        if not can_close(request.matcher, request.vocabulary, request.max_tokens):
            raise BudgetTooSmall(request.matcher.min_tokens_left(), request.max_tokens)
        self.trie = OracleTrie()
        self._request = request
        self._matcher = request.matcher
        self._temperature = temperature
        self._reader = _Reader(model, request.prompt.token_ids)
        self._rows = RecentRows(cache_bytes)
        self._masks = StepMasks(1, request.vocabulary.size, CPU)
        self._started = time.perf_counter()

    def draw(self, sample: int, mode: Mode, *, max_attempts: int = MAX_ATTEMPTS) -> tuple[Draw, float]:
        """One draw, and the log of the estimate that its first attempt makes of the valid mass."""
        passes_before = self._reader.forward_passes
        attempts: list[_Attempt] = []
        while len(attempts) < (1 if mode == "weighted" else max_attempts):
            # A request that is itself a later attempt has random numbers of its own in all of these.
            number = self._request.attempt * max_attempts + len(attempts)
            attempts.append(self._attempt(self._request.sample + sample, number, mode))
            if attempts[-1].is_complete:
                break
            if self.trie.log_bounds(OracleTrie.ROOT)[1] == -math.inf:
                raise InvalidLogits(
                    "the model gives every document that the constraint allows a probability of 0; "
                    "take away what suppresses tokens in the model"
                )
        last = attempts[-1]
        log_weight = last.log_weight if mode == "weighted" else 0.0
        draw = Draw(
            token_ids=tuple(last.row.token_ids) if last.is_complete else (),
            logprobs=tuple(last.row.logprobs) if last.is_complete else (),
            text=bytes(last.row.text) if last.is_complete else b"",
            log_weight=log_weight if last.is_complete else -math.inf,
            evaluations=sum(attempt.row.masks for attempt in attempts),
            forward_passes=self._reader.forward_passes - passes_before,
            masks=sum(attempt.row.masks for attempt in attempts),
            mask_seconds=sum(attempt.row.mask_seconds for attempt in attempts),
            wall_seconds=time.perf_counter() - self._started,
            error=None if last.is_complete else self._failure(mode, max_attempts),
            near_ties=sum(attempt.row.near_ties for attempt in attempts),
        )
        return draw, attempts[0].log_estimate

    def _failure(self, mode: Mode, max_attempts: int) -> str:
        if mode == "weighted":
            return "the walk came to where the model gives every allowed token a probability of 0; the draw weighs 0"
        lower, upper = self.trie.log_bounds(OracleTrie.ROOT)
        return (
            f"max_attempts ({max_attempts}) walks ended without a document; the log of the probability that the model "
            f"writes one is between {lower:.1f} and {upper:.1f}. Raise max_attempts, or use 'weighted', which rejects "
            "nothing"
        )

    def _attempt(self, sample: int, number: int, mode: Mode) -> _Attempt:
        row = Row(replace(self._request, matcher=self._matcher.fork(), sample=sample, attempt=number))
        walk = Walk(self.trie)
        log_known = self.trie.log_bounds(OracleTrie.ROOT)[0]
        log_passed = self._follow(walk, row, flips_coins=mode == "cars")
        is_complete = row.finish_reason is not None
        log_estimate = log_known
        if is_complete and self.trie.complete(walk.node):
            log_estimate = float(np.logaddexp(log_known, walk.log_weight - log_passed))
        self.trie.back_up(walk.node)
        return _Attempt(row, is_complete, walk.log_weight, log_estimate)

    def _follow(self, walk: Walk, row: Row, *, flips_coins: bool) -> float:
        """Walk until the row is finished, or can or may not go on.

        Returns:
            The log of the probability that the coins let this walk pass.
        """
        path: list[int] = []
        log_passed = 0.0
        while row.finish_reason is None:
            is_first_visit = walk.is_at_new_node
            allowed = self._rows.get(walk.node)
            if allowed is None:
                allowed = self._read(row, path)
                self._rows.put(walk.node, allowed)
            scores = walk.enter(allowed)
            if walk.log_mass == -math.inf:
                return log_passed
            # One column more than there are tokens: the coin.
            key = noise_key(row.request.seed, row.request.sample, row.request.attempt, position=len(path))
            noise = gumbel_noise([key], self._request.vocabulary.size + 1, CPU)[0].numpy()
            if flips_coins and is_first_visit and path:  # the root's mask is on every walk's way: nothing to correct
                log_uniform = -math.exp(-noise[-1])
                if log_uniform > walk.log_mass:
                    return log_passed
                log_passed += walk.log_mass
            contest = scores + noise[allowed.token_ids]
            place = int(contest.argmax())
            runner_up = np.delete(contest, place).max(initial=-math.inf)
            gap = float(contest[place] - runner_up) * self._temperature
            token = int(allowed.token_ids[place])
            walk.step(allowed, place)
            path.append(token)
            row.accept(token, float(allowed.log_probs[place]), walk.log_gain, gap)
        return log_passed

    def _read(self, row: Row, path: Sequence[int]) -> AllowedTokens:
        """The model's law after a path that `row` has followed, where the mask allows it."""
        scores = self._reader.logits_after(path) / self._temperature
        possible = row.possible()
        if possible is not None:
            scores[~possible] = -math.inf
        total = _log_total(scores)
        row.fill(self._masks, 0)
        allowed = unpack_row(self._masks.bitmask[0], len(scores)) & (scores > -math.inf)
        token_ids = np.flatnonzero(allowed).astype(np.int32)
        return AllowedTokens(token_ids, scores[token_ids] - total)


class _Reader:
    """The model's logits after any path from the prompt on.

    The keys and values of the path read last are kept. What another path shares with it is not read again where the
    context can take tokens back; elsewhere, unless the other path just goes on, prompt and path are read anew.
    """

    def __init__(self, model: Model, prompt: Sequence[int]) -> None:
        self._model = model
        self._prompt = list(prompt)
        self._context: Context | None = None
        self._path: list[int] = []
        self.forward_passes = 0

    def logits_after(self, path: Sequence[int]) -> npt.NDArray[np.float64]:
        """float64 (V,)"""
        new = self._turn_to(path)
        if self._context is None:
            self._context = self._model.new_context()
            new = [*self._prompt, *path]
        logits = self._context.extend([new])
        self._path = list(path)
        self.forward_passes += 1
        scores: npt.NDArray[np.float64] = logits[0].cpu().double().numpy()
        return scores

    def _turn_to(self, path: Sequence[int]) -> list[int]:
        """Leave in the context only what begins the path, and return the rest; no context is left where that fails."""
        shared = 0
        for ours, theirs in zip(self._path, path[:-1], strict=False):  # at least one token is to be read
            if ours != theirs:
                break
            shared += 1
        foreign = len(self._path) - shared
        context, self._context = self._context, None
        if context is None or not path:
            return []
        if foreign:
            if not (isinstance(context, CroppableContext) and context.can_crop):
                return []
            context.crop([foreign])
        self._context = context
        return list(path[shared:])


def _log_total(scores: npt.NDArray[np.float64]) -> float:
    """The log of the sum over the whole vocabulary; NaN and +inf anywhere show in it."""
    total = log_sum_exp(scores)
    if not math.isfinite(total):
        found = "NaN" if math.isnan(total) else "+inf" if total > 0 else "-inf everywhere"
        raise InvalidLogits(f"the model returned logits with {found}; check its weights and its number format")
    return total
