"""`diffuse()`: a masked diffusion model's canvas, confined to a constraint at every step.

At a step the model predicts all open positions at once; `Infilling` turns that into one canvas that satisfies the
constraint; the policy keeps some of it, and the rest is predicted again. Since the proposed canvas is valid as a
whole, keeping any part of it never leads to a dead end, and the last step keeps everything.

Each proposal is an exact draw from the predictions restricted to the constraint. The law of the finished text over all
steps is not the model's law restricted to the constraint: the model's predictions themselves are only independent
guesses, improved step by step.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tokamask.errors import ModelError, UnsupportedFeature
from tokamask.masking.infilling import Infilling
from tokamask.masking.infilling_canvas import OPEN, Canvas, Mask, Piece, read_canvas
from tokamask.masking.infilling_graph import shared_graph
from tokamask.runtime.constraints import Constraint, Specification, read_constraint
from tokamask.runtime.diffusion_model import Denoiser, load_denoiser, recent_compiler
from tokamask.runtime.diffusion_policies import Policy, Step, by_schedule
from tokamask.runtime.model_loader import checked_compiler
from tokamask.runtime.noise import check_seed
from tokamask.runtime.prompts import Conversation, check_prompt, is_batch
from tokamask.runtime.results import FinishReason
from tokamask.runtime.sampling import Sampling, check_sampling

if TYPE_CHECKING:
    from tokamask.masking.compiler import GrammarCompiler

__all__ = ["Infilled", "InfillingStats", "any_text", "diffuse"]

DEFAULT_SAMPLING = Sampling()

DEFAULT_LENGTH = 64
"""Tokens of a canvas that nobody described."""


@dataclass(frozen=True)
class InfillingStats:
    """What one canvas took.

    Attributes:
        tokens: positions that were filled.
        forward_passes: calls of the model.
        constraint_seconds: time spent in the constraint, its preparation included.
        wall_seconds: time in all.
        seed: passing it again repeats the result.
        configurations, classes, edges: of the lattice (see `tokamask.masking.infilling_lattice`).
    """

    tokens: int
    forward_passes: int
    constraint_seconds: float
    wall_seconds: float
    seed: int
    configurations: int
    classes: int
    edges: int


@dataclass(frozen=True)
class Infilled:
    """A filled canvas.

    Attributes:
        value: an instance of the schema's type, JSON data, or the text; None when the document was rejected.
        text: the document: what was given and what was filled, without stop and padding tokens.
        fills: the text of each `Mask`.
        token_ids: the whole canvas.
        logprobs: one per token: the log of its probability under the model's prediction (after temperature) at the
            step that kept it; 0 where it was given.
        log_masses: one per step: the log of the probability that the model's predictions, drawn independently, would
            have satisfied the constraint.
        finish_reason: "stop", or "rejected" where the type's own validators or the validation at the end refuse.
        error: why the document was rejected.
    """

    value: Any
    text: str
    fills: tuple[str, ...]
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    log_masses: tuple[float, ...]
    finish_reason: FinishReason
    stats: InfillingStats
    error: str | None = None


def diffuse(
    model: Any,
    prompt: str | Conversation | None = None,
    *,
    canvas: Sequence[Piece] | None = None,
    schema: Any = None,
    regex: Any = None,
    grammar: Any = None,
    choices: Any = None,
    tokenizer: Any = None,
    length: int | None = None,
    steps: int | None = None,
    policy: Policy = by_schedule,
    sampling: Sampling = DEFAULT_SAMPLING,
    seed: int | None = None,
    compiler: GrammarCompiler | None = None,
) -> Infilled:
    """Fill a canvas with a masked diffusion model so that the document in it satisfies a constraint.

    Args:
        model: a loaded masked language model, a callable from ids (1, T) to logits (1, T, V), or a `Denoiser`.
        prompt: text or chat messages that the model reads before the canvas.
        canvas: what the document is made of: texts, token ids, and `Mask(n)` where the model fills in. The constraint
            holds for the whole of it.
        schema, regex, grammar, choices: as for `generate`, at most one; without any the document is any text.
        tokenizer: of the model, unless that is a `Denoiser`.
        length: in place of `canvas`: a canvas of so many open positions (64 if neither is given). The document ends
            with the canvas, or earlier with a stop token and padding.
        steps: calls of the model, at most; None: one for every open position.
        policy: which positions of the proposed canvas a step keeps: `by_schedule`, `by_threshold(p)`,
            `by_entropy(nats)` or a function of your own.
        sampling: the temperature; 0 takes the most probable canvas at every step.
        seed: the result is a function of (prompt, canvas, constraint, policy, steps, sampling, seed). None: fresh,
            found in `stats.seed`.
        compiler: a `GrammarCompiler` for the model's vocabulary; None uses one that recent calls share.

    Raises:
        GrammarError: the constraint cannot be compiled; UnsatisfiableSchema: no document of it fits the canvas;
            CompileBudgetExceeded: canvas and constraint together are too large to be exact about.
        UnsupportedFeature: top_k, top_p or min_p: cutting off tokens at each position could leave nothing valid.
        InvalidLogits: the model returned NaN, or gives everything that is valid a probability of 0.
        ModelError: prompt and canvas do not fit the model's context, or it has no mask token.
    """
    started = time.perf_counter()
    check_sampling(sampling)
    if sampling.truncates and not sampling.is_greedy:
        raise UnsupportedFeature(
            "top_k, top_p and min_p cut off tokens position by position, after which no valid canvas may be left; use "
            "the temperature alone"
        )
    if canvas is not None and length is not None:
        raise TypeError("canvas says how long it is; pass either canvas or length")
    check_seed(seed)
    if steps is not None and steps < 1:
        raise ValueError(f"steps is {steps}; it must be at least 1")
    constraint = read_constraint(Specification(schema, regex, grammar, choices), None) or any_text()
    denoiser = load_denoiser(model, tokenizer)
    vocabulary = denoiser.vocabulary
    compiler = recent_compiler(vocabulary) if compiler is None else checked_compiler(compiler, vocabulary)
    pieces = [Mask(DEFAULT_LENGTH if length is None else length)] if canvas is None else canvas
    shape = read_canvas(pieces, vocabulary)
    before = _read_prompt(denoiser, prompt)
    if denoiser.context_length is not None and len(before) + len(shape) > denoiser.context_length:
        raise ModelError(
            f"the prompt has {len(before)} tokens and the canvas {len(shape)}, more than the "
            f"{denoiser.context_length} that the model reads; shorten one of them"
        )

    preparing = time.perf_counter()
    graph = shared_graph(compiler.bind(constraint.grammar))
    # The mask token is an id of the vocabulary and no text, so no proposal holds it.
    padding = denoiser.padding_token_ids - {denoiser.mask_token_id}
    infilling = Infilling(graph, shape, padding, vocabulary.stop_token_ids)
    run = _Run(denoiser, infilling, shape, before, sampling, secrets.randbits(32) if seed is None else seed)
    run.constraint_seconds = time.perf_counter() - preparing
    run.denoise(policy, steps)
    return run.result(constraint, started)


class _Run:
    """One canvas being filled."""

    def __init__(
        self,
        denoiser: Denoiser,
        infilling: Infilling,
        canvas: Canvas,
        before: Sequence[int],
        sampling: Sampling,
        seed: int,
    ) -> None:
        self._denoiser = denoiser
        self._infilling = infilling
        self._canvas = canvas
        self._before = before
        self._sampling = sampling
        self._seed = seed
        self._tokens = canvas.tokens.copy()
        self._logprobs = np.zeros(len(canvas))
        self._log_masses: list[float] = []
        self.constraint_seconds = 0.0

    def denoise(self, policy: Policy, steps: int | None) -> None:
        """Fill the canvas in at most `steps` steps."""
        open_positions = np.flatnonzero(self._tokens == OPEN)
        count = len(open_positions) if steps is None else steps
        for index in range(count):
            log_scores = self._predict(open_positions)
            begun = time.perf_counter()
            if self._sampling.is_greedy:
                proposal = self._infilling.most_probable(self._tokens, log_scores)
            else:
                uniforms = np.random.default_rng([self._seed, index]).random((2, len(self._tokens)))
                proposal = self._infilling.draw(self._tokens, log_scores, uniforms)
            self.constraint_seconds += time.perf_counter() - begun
            self._log_masses.append(proposal.log_z)
            kept = open_positions
            if index < count - 1:
                confidences, entropies = proposal.confidences[kept], proposal.entropies[kept]
                kept = _chosen(policy, Step(index, count, open_positions, confidences, entropies))
            self._tokens[kept] = proposal.tokens[kept]
            self._logprobs[kept] = proposal.logprobs[kept]
            open_positions = np.flatnonzero(self._tokens == OPEN)
            if not len(open_positions):
                return

    def result(self, constraint: Constraint, started: float) -> Infilled:
        """The filled canvas, read as a value; only that can still go wrong."""
        text = self._text(range(len(self._canvas)))
        value, error, finish_reason = None, None, FinishReason.STOP
        try:
            value = constraint.value(text)
        except Exception as refusal:  # validators are the user's code: whatever they raise refuses the document
            finish_reason, error = FinishReason.REJECTED, f"{type(refusal).__name__}: {refusal}"
        lattice = self._infilling.lattice
        return Infilled(
            value=value,
            text=text,
            fills=tuple(map(self._text, self._canvas.regions)),
            token_ids=tuple(self._tokens.tolist()),
            logprobs=tuple(self._logprobs.tolist()),
            log_masses=tuple(self._log_masses),
            finish_reason=finish_reason,
            stats=InfillingStats(
                tokens=int(np.count_nonzero(self._canvas.tokens == OPEN)),
                forward_passes=len(self._log_masses),
                constraint_seconds=self.constraint_seconds,
                wall_seconds=time.perf_counter() - started,
                seed=self._seed,
                configurations=lattice.configurations,
                classes=lattice.classes,
                edges=len(lattice.edge_class),
            ),
            error=error,
        )

    def _predict(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """float (len(positions), V): the model's logits there, over the temperature."""
        tokens = np.where(self._tokens == OPEN, self._denoiser.mask_token_id, self._tokens)
        logits = self._denoiser.predict([*self._before, *tokens.tolist()])
        rows = logits[len(self._before) + positions].float()
        if not self._sampling.is_greedy and self._sampling.temperature != 1.0:
            rows = rows / self._sampling.temperature
        scores: npt.NDArray[Any] = rows.cpu().numpy()
        return scores

    def _text(self, positions: range) -> str:
        return self._infilling.text(self._tokens, positions).decode("utf-8", errors="replace")


def any_text() -> Constraint:
    """The constraint of a document without one: any text in UTF-8."""
    constraint = read_constraint(Specification(regex=r"[\s\S]*"), None)
    assert constraint is not None, "a regular expression was given"
    return constraint


def _read_prompt(denoiser: Denoiser, prompt: str | Conversation | None) -> list[int]:
    if prompt is None:
        return denoiser.encode_text("")
    if is_batch(prompt):
        raise TypeError("diffuse() takes one prompt")
    check_prompt(prompt)
    return denoiser.encode_text(prompt) if isinstance(prompt, str) else denoiser.encode_chat(prompt)


def _chosen(policy: Policy, step: Step) -> npt.NDArray[np.int64]:
    """What a policy keeps.

    Raises:
        ValueError: positions that are not open.
    """
    kept = np.unique(np.asarray(policy(step), dtype=np.int64))
    if not np.isin(kept, step.positions).all():
        raise ValueError(f"the policy keeps positions {kept.tolist()}; open are {step.positions.tolist()}")
    return kept
