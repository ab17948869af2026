"""What generation returns: values with the facts about how they came to be."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from threading import Event
from typing import Any, overload

from tokamask.masking.rejection import log_sum_exp

__all__ = ["FinishReason", "Generation", "Mass", "Partial", "Samples", "Stats", "Stream"]


class FinishReason(StrEnum):
    STOP = "stop"
    """The document is complete; free text met a stop token or a stop string."""
    LENGTH = "length"
    """Free text reached max_tokens or the end of the model's context. A constrained document always closes in time."""
    CANCELLED = "cancelled"
    """The stream was cancelled."""
    REJECTED = "rejected"
    """The document satisfies the constraint, but the type's own validators or the validation at the end refuse it; or
    the checkers left no way to complete it."""


@dataclass(frozen=True)
class Stats:
    """What one generation took.

    Attributes:
        tokens: tokens generated, stop token included.
        forward_passes: calls of the model this row took part in, the prompt's included.
        masks: masks that were filled, those of drafted tokens included.
        mask_seconds: time spent in the constraint: masks and accepted tokens.
        wall_seconds: time from the start of the row's group to the row's end.
        seed: what the random numbers were made from; passing it again repeats the generation.
        near_ties: choices whose two best candidates were less than 1e-3 (in logits) apart. At these the rounding of
            another batch shape or draft may choose differently, unless `strict=True`.
        attempts: how often the document was generated until it passed the validation at the end.
        drafted: guesses at next tokens that the model read along; see `tokamask.runtime.speculation`.
        accepted: how many of them were what it then wrote.
    """

    tokens: int
    forward_passes: int
    masks: int
    mask_seconds: float
    wall_seconds: float
    seed: int
    near_ties: int
    attempts: int
    drafted: int = 0
    accepted: int = 0

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.wall_seconds if self.wall_seconds > 0 else 0.0


@dataclass(frozen=True)
class Generation:
    """One generated document.

    Attributes:
        value: an instance of the schema's type, JSON data, or the text; None unless finish_reason is "stop" or
            "length".
        text: everything that was generated, as text: with `think_until` the thoughts and the marker too; without the
            stop string that ended it and without the prompt's healed bytes.
        token_ids: the tokens generated, stop token included.
        logprobs: one per token: the log of its probability under the model after temperature (1 when greedy), before
            the mask and before truncation. At the tokens that heal the prompt, the model's law is the one among the
            tokens that agree with the prompt's end.
        finish_reason: see `FinishReason`.
        log_weight: the log of a proper importance weight: see docs/sampling.md for the target of each method. With
            method "mask" and no checkers it is the sum over the tokens of the log of the probability that the mask
            left. None where no proper weight exists (greedy, top_k, top_p, min_p, free text without checkers,
            cancelled, or a document that was retried). -inf for a rejected document.
        error: why the document was rejected.
    """

    value: Any
    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: FinishReason
    log_weight: float | None
    stats: Stats
    error: str | None = None


@dataclass(frozen=True)
class Mass:
    """What a method knows of a constraint's mass besides the weights of its samples.

    Attributes:
        log_z: the log of an unbiased estimate of the mass.
        bounds: certain bounds of the log of the mass.
    """

    log_z: float
    bounds: tuple[float, float]


@dataclass(frozen=True)
class Samples(Sequence[Generation]):
    """Several generations of one prompt.

    Attributes:
        evaluations: how often the constraint and the checkers were asked for them, about a token or for a mask.
        mass: what the method knows of the constraint's mass; None: what the weights say.
        is_bounded: whether the documents seen bound the mass. They do not where a checker weighs, or where the prompt
            was healed, as a document's log-probabilities then leave out the tokens inside the prompt.
    """

    generations: tuple[Generation, ...]
    evaluations: int
    mass: Mass | None = None
    is_bounded: bool = True

    @property
    def log_weights(self) -> tuple[float, ...] | None:
        """One per generation; None where one of them has none."""
        weights = [generation.log_weight for generation in self.generations if generation.log_weight is not None]
        return tuple(weights) if len(weights) == len(self.generations) else None

    @property
    def log_z(self) -> float | None:
        """The log of an unbiased estimate (before the log) of the probability that the model, left alone, writes a
        document that the constraint and the checkers accept within max_tokens: the mean weight, unless the method
        knows better. Where checkers weigh, it is the mean of their factor over those documents.
        """
        if self.mass is not None:
            return self.mass.log_z
        weights = self.log_weights
        return None if weights is None else log_sum_exp(weights) - math.log(len(weights))

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Certain bounds on what `log_z` estimates: at least the distinct documents seen, at most everything."""
        if self.mass is not None:
            return self.mass.bounds
        if self.log_weights is None or not self.is_bounded:
            return None
        seen = {
            generation.token_ids: sum(generation.logprobs)
            for generation in self.generations
            if generation.finish_reason is not FinishReason.REJECTED
        }
        return (log_sum_exp(list(seen.values())), 0.0)

    @property
    def normalised_weights(self) -> tuple[float, ...] | None:
        """Weights that sum to 1, for averages over the samples; None where no weights exist or all are zero."""
        weights = self.log_weights
        if weights is None or (total := log_sum_exp(weights)) == -math.inf:
            return None
        return tuple(math.exp(weight - total) for weight in weights)

    @overload
    def __getitem__(self, index: int) -> Generation: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Generation, ...]: ...
    def __getitem__(self, index: int | slice) -> Generation | tuple[Generation, ...]:
        return self.generations[index]

    def __len__(self) -> int:
        return len(self.generations)


@dataclass(frozen=True)
class Partial:
    """What is there so far: the text, and of the value the members that are complete and will not change any more.

    A value made of objects and arrays is shown as plain JSON data until the end; None while nothing is complete.
    """

    value: Any
    text: str


class Stream(Iterator[Partial]):
    """Partial values while a document is written; `result` is the whole of it.

    Args:
        parts: yields the partial values and returns the generation.
        cancelled: when set, `parts` returns at its next step.
    """

    def __init__(self, parts: Generator[Partial, None, Generation], cancelled: Event) -> None:
        self._parts = parts
        self._cancelled = cancelled
        self._result: Generation | None = None

    def __next__(self) -> Partial:
        try:
            return next(self._parts)
        except StopIteration as end:
            if end.value is not None:
                self._result = end.value
            raise

    @property
    def result(self) -> Generation:
        """The generation; runs the stream to its end first."""
        for _ in self:
            pass
        assert self._result is not None, "a stream that failed has raised its error"
        return self._result

    def cancel(self) -> None:
        """End the stream after the token under way, from any thread; its result is then "cancelled"."""
        self._cancelled.set()
