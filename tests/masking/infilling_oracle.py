"""Infilling by enumeration: every canvas is tried, one token after another, against a predicate on whole documents.

Nothing here knows a configuration, a lattice or a token class.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tokamask.masking.infilling_canvas import OPEN, Canvas, Slot
from tokamask.masking.vocabulary import Vocabulary

__all__ = ["Enumeration", "accepts", "all_canvases"]


def accepts(
    canvas: Canvas,
    tokens: tuple[int, ...],
    vocabulary: Vocabulary,
    padding: frozenset[int],
    is_document: Callable[[bytes], bool],
) -> bool:
    """Whether a filled canvas holds a document, as `build_lattice` and `Mask` say in words."""
    stops = frozenset(vocabulary.stop_token_ids)
    ends = stops or padding
    text, has_ended, is_padded = b"", False, False
    for slot, given, token in zip(canvas.slots, canvas.tokens.tolist(), tokens, strict=True):
        if slot is Slot.GIVEN and token != given:
            return False
        piece = vocabulary.token_bytes[token]
        if has_ended:
            if token not in stops | padding or slot is Slot.TEXT:
                return False
        elif slot in (Slot.SPARE, Slot.LAST_SPARE) and token in padding:
            is_padded = True
        elif is_padded:
            return False
        elif slot in (Slot.FREE, Slot.GIVEN) and token in ends:
            if not is_document(text):
                return False
            has_ended = True
        elif piece is None:
            return False
        else:
            text += piece
        if slot is Slot.LAST_SPARE:
            is_padded = False
    return is_document(text)


def all_canvases(
    canvas: Canvas, vocabulary: Vocabulary, padding: frozenset[int], is_document: Callable[[bytes], bool]
) -> list[tuple[int, ...]]:
    """Every accepted canvas."""
    columns = [range(vocabulary.size) if token == OPEN else [token] for token in canvas.tokens.tolist()]
    return [
        tokens for tokens in itertools.product(*columns) if accepts(canvas, tokens, vocabulary, padding, is_document)
    ]


@dataclass(frozen=True)
class Enumeration:
    """The law of the accepted canvases that agree with what is set, under independent predictions.

    Attributes:
        tokens: what is set, OPEN elsewhere.
        logprobs: float64 (L, V), normalised; rows of set positions are not looked at.
    """

    accepted: list[tuple[int, ...]]
    tokens: npt.NDArray[np.int32]
    logprobs: npt.NDArray[np.float64]

    def weights(self) -> dict[tuple[int, ...], float]:
        """The log-probability of every accepted canvas that is possible."""
        found = {}
        for tokens in self.accepted:
            if all(was in (OPEN, token) for was, token in zip(self.tokens.tolist(), tokens, strict=True)):
                weight = sum(self.logprobs[position, token] for position, token in self._open(tokens))
                if weight > -math.inf:
                    found[tokens] = float(weight)
        return found

    def log_z(self) -> float:
        weights = list(self.weights().values())
        largest = max(weights, default=-math.inf)
        return (
            largest if largest == -math.inf else largest + math.log(math.fsum(math.exp(w - largest) for w in weights))
        )

    def marginals(self) -> npt.NDArray[np.float64]:
        """float64 (L, V): the probability of each token at each position."""
        log_z = self.log_z()
        marginals = np.zeros(self.logprobs.shape)
        for tokens, weight in self.weights().items():
            marginals[np.arange(len(tokens)), list(tokens)] += math.exp(weight - log_z)
        return marginals

    def _open(self, tokens: tuple[int, ...]) -> Iterator[tuple[int, int]]:
        return ((k, token) for k, token in enumerate(tokens) if self.tokens[k] == OPEN)
