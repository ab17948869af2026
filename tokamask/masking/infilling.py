"""Infilling: whole canvases that satisfy a constraint, drawn from a model that predicts every position at once.

A denoiser predicts the open positions of a canvas independently. `Infilling` turns its predictions into one canvas
that satisfies the constraint: the most probable one, or an exact draw from the predictions' product restricted to the
canvases that the constraint accepts (Dang and Ermon, arXiv:2607.07026; for the most probable one also DINGO,
arXiv:2505.23061). Whatever part of such a canvas is kept, the whole of it shows that the rest can be filled, so there
are no dead ends and nothing is ever rejected.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tokamask.errors import InvalidLogits, TokenRejected
from tokamask.masking.infilling_canvas import OPEN, Canvas, Slot
from tokamask.masking.infilling_graph import TokenGraph
from tokamask.masking.infilling_kernels import backward, best_path, class_marginals, draw_path, forward, reduce_row
from tokamask.masking.infilling_lattice import UNUSED, Lattice, build_lattice

__all__ = ["Infilling", "Proposal"]

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Proposal:
    """A canvas that satisfies the constraint and agrees with the tokens set so far.

    Attributes:
        tokens: int32 (L,).
        logprobs: float64 (L,): the log-probability of each token under the model's own prediction; 0 where it was set.
        log_z: the log of the probability that independent draws from the predictions satisfy the constraint.
        confidences: float64 (L,): the probability of each token at its position under the predictions restricted to
            the constraint; 1 where it was set.
        entropies: float64 (L,): the entropy (nats) of each position under the same law; 0 where it was set.
    """

    tokens: npt.NDArray[np.int32]
    logprobs: Reals
    log_z: float
    confidences: Reals
    entropies: Reals


class Infilling:
    """The canvases of one shape that a constraint accepts. Immutable: any number of threads may use it.

    Args:
        graph: of the compiled grammar (see `shared_graph`).
        canvas: what is given and what is open.
        padding, stop_token_ids: see `build_lattice`, also for errors.
    """

    def __init__(
        self,
        graph: TokenGraph,
        canvas: Canvas,
        padding: Collection[int] = (),
        stop_token_ids: Collection[int] | None = None,
    ) -> None:
        self._vocabulary = graph.compiled.vocabulary
        self._lattice = build_lattice(graph, canvas, padding, stop_token_ids)

    @property
    def lattice(self) -> Lattice:
        return self._lattice

    def most_probable(self, tokens: npt.NDArray[np.int32], log_scores: npt.NDArray[Any]) -> Proposal:
        """The canvas of the largest probability; ties go to the lower class, then to the lower token.

        Args:
            tokens: int32 (L,): what is set so far, OPEN (-1) elsewhere. Begin with `canvas.tokens`.
            log_scores: float (open positions, V): the model's prediction of each open position, in order: logits, or
                log-probabilities up to a constant. -inf is a probability of zero.

        Raises:
            InvalidLogits: NaN or +inf, or the predictions leave nothing that the constraint accepts.
            TokenRejected: a token set so far cannot stand at its position, whatever is set elsewhere.
        """
        return self._propose(tokens, log_scores, None)

    def draw(self, tokens: npt.NDArray[np.int32], log_scores: npt.NDArray[Any], uniforms: Reals) -> Proposal:
        """A canvas drawn with its exact probability; arguments and errors are those of `most_probable`.

        Args:
            uniforms: float64 (2, L): independent random numbers in [0, 1).
        """
        return self._propose(tokens, log_scores, uniforms)

    def text(self, tokens: npt.NDArray[np.int32], positions: range) -> bytes:
        """What the tokens at some positions spell: the document's text without stop and padding tokens."""
        texts = self._vocabulary.token_bytes
        return b"".join(texts[token] or b"" for token in tokens[positions.start : positions.stop].tolist())

    def _propose(self, tokens: npt.NDArray[np.int32], log_scores: npt.NDArray[Any], uniforms: Reals | None) -> Proposal:
        open_positions = np.flatnonzero(tokens == OPEN)
        width = len(self._lattice.class_of)
        if tokens.shape != (len(self._lattice.canvas),) or log_scores.shape != (len(open_positions), width):
            raise ValueError(
                f"scores of shape {log_scores.shape} and a canvas of shape {tokens.shape}; expected a canvas of "
                f"{len(self._lattice.canvas)} tokens, and a row of {width} scores for each of its open positions"
            )
        rows = dict(zip(open_positions.tolist(), log_scores, strict=True))
        predictions = self._predict(tokens, rows)
        marginals, beta = self._sum(predictions.sums)
        path = self._best_path(predictions.maxima) if uniforms is None else self._draw_path(predictions, beta, uniforms)

        proposed = tokens.copy()
        logprobs = np.zeros(len(tokens))
        confidences = np.ones(len(tokens))
        entropies = np.zeros(len(tokens))
        for position, row in rows.items():
            kind = path[position]
            if uniforms is None:
                token = int(predictions.best[position, kind])
            else:
                token = _draw_member(np.flatnonzero(self._lattice.class_of == kind), row, uniforms[1, position])
            proposed[position] = token
            logprobs[position] = float(row[token]) - predictions.totals[position]
            share = math.exp(logprobs[position] - predictions.sums[position, kind])
            confidences[position] = min(1.0, float(marginals[position, kind]) * share)
            entropies[position] = _entropy(marginals[position], predictions.spreads[position])
        return Proposal(proposed, logprobs, float(beta[0]), confidences, entropies)

    def _predict(self, tokens: npt.NDArray[np.int32], rows: Mapping[int, npt.NDArray[Any]]) -> _Predictions:
        """The model's predictions by class; what is set has its token alone."""
        shape = (len(tokens), self._lattice.classes)
        sums, maxima, spreads = np.full(shape, -math.inf), np.full(shape, -math.inf), np.zeros(shape)
        best = np.full(shape, OPEN, dtype=np.int32)
        totals = np.zeros(len(tokens))
        for position, token in enumerate(tokens.tolist()):
            if token != OPEN:
                kind = self._class_of_set(position, token)
                sums[position, kind] = maxima[position, kind] = 0.0
                continue
            row = np.ascontiguousarray(rows[position], dtype=np.float64)
            largest = float(row.max())
            if not math.isfinite(largest):
                found = "NaN" if math.isnan(largest) else "+inf" if largest > 0 else "-inf everywhere"
                raise InvalidLogits(
                    f"the model returned logits with {found} at position {position} of the canvas; check its weights "
                    "and its number format"
                )
            flat = (sums.reshape(-1), maxima.reshape(-1), spreads.reshape(-1), best.reshape(-1))
            reduce_row(row, self._lattice.class_of, position, *flat, self._lattice.classes)
            totals[position] = np.logaddexp.reduce(sums[position])
            sums[position] -= totals[position]
            maxima[position] -= totals[position]
        return _Predictions(sums, maxima, spreads, best, totals)

    def _class_of_set(self, position: int, token: int) -> int:
        """The class of a token that is set.

        Raises:
            TokenRejected: it cannot be there.
        """
        canvas = self._lattice.canvas
        if canvas.slots[position] is Slot.GIVEN:
            if token == canvas.tokens[position]:
                return UNUSED
        elif 0 <= token < len(self._lattice.class_of) and (kind := int(self._lattice.class_of[token])) != UNUSED:
            return kind
        raise TokenRejected(f"token {token} cannot stand at position {position} of the canvas")

    def _sum(self, scores: Reals) -> tuple[Reals, Reals]:
        """The probability of every class at every position, (L, classes), and the backward sums of all nodes.

        Raises:
            InvalidLogits: nothing that the constraint accepts has a probability above 0.
        """
        lattice = self._lattice
        graph = (lattice.layers, lattice.first_edge, lattice.edge_class, lattice.edge_target)
        nodes = int(lattice.layers[-1])
        beta = np.zeros(nodes)
        backward(*graph, scores.reshape(-1), lattice.classes, beta)
        if beta[0] == -math.inf:
            raise InvalidLogits(
                "the model gives every canvas that the constraint allows, and that agrees with the tokens set so far, "
                "a probability of 0; take away what suppresses tokens in the model"
            )
        alpha = np.full(nodes, -math.inf)
        alpha[0] = 0.0
        forward(*graph, scores.reshape(-1), lattice.classes, alpha)
        marginals = np.zeros(scores.shape)
        class_marginals(*graph, scores.reshape(-1), lattice.classes, alpha, beta, marginals.reshape(-1))
        return marginals, beta

    def _best_path(self, maxima: Reals) -> npt.NDArray[np.int32]:
        lattice = self._lattice
        nodes = int(lattice.layers[-1])
        path = np.zeros(len(maxima), dtype=np.int32)
        best_path(
            lattice.layers,
            lattice.first_edge,
            lattice.edge_class,
            lattice.edge_target,
            maxima.reshape(-1),
            lattice.classes,
            np.zeros(nodes),
            np.zeros(nodes, dtype=np.int32),
            path,
        )
        return path

    def _draw_path(self, predictions: _Predictions, beta: Reals, uniforms: Reals) -> npt.NDArray[np.int32]:
        lattice = self._lattice
        path = np.zeros(len(lattice.canvas), dtype=np.int32)
        draw_path(
            lattice.layers,
            lattice.first_edge,
            lattice.edge_class,
            lattice.edge_target,
            predictions.sums.reshape(-1),
            lattice.classes,
            beta,
            np.ascontiguousarray(uniforms[0]),
            path,
        )
        return path


@dataclass(frozen=True, eq=False)
class _Predictions:
    """One step's predictions by class: see `reduce_row`. Log-probabilities, normalised over the whole vocabulary.

    Attributes:
        sums, maxima, spreads, best: (L, classes).
        totals: (L,): the logs that the scores of a position were normalised by.
    """

    sums: Reals
    maxima: Reals
    spreads: Reals
    best: npt.NDArray[np.int32]
    totals: Reals


def _draw_member(members: npt.NDArray[np.int64], row: npt.NDArray[Any], uniform: float) -> int:
    """One of some tokens, with the probabilities that their scores stand in; one of them is above -inf."""
    scores = row[members].astype(np.float64)
    heights = np.cumsum(np.exp(scores - scores.max()))
    # "right" steps over tokens of probability 0; the last token above 0 is the first to reach the full height.
    place = int(np.searchsorted(heights, uniform * heights[-1], side="right"))
    return int(members[min(place, int(np.searchsorted(heights, heights[-1])))])


def _entropy(marginals: Reals, spreads: Reals) -> float:
    """The entropy of a position: that of its classes, and the mean of that inside them."""
    possible = marginals > 0
    likely = marginals[possible]
    return float((likely * (spreads[possible] - np.log(likely))).sum())
