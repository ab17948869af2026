"""A logits processor for `model.generate` of transformers and all that is built on it, such as pipelines.

`generate` calls its processors in many orders: once per token in plain decoding, with rows that change places under
beam search, several times for one position, and for continuations that are then thrown away, in assisted decoding and
prompt lookup. So nothing here counts calls. The processor keeps a tree of the prefixes it was asked about and finds
each row's state by what the row says; a new state costs one fork of a matcher.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import torch
from transformers import LogitsProcessor

from tokamask.errors import BudgetTooSmall, TokenRejected, VocabularyMismatch
from tokamask.runtime.constraints import Specification, read_constraint
from tokamask.runtime.model_loader import load_model, shared_compiler
from tokamask.runtime.step_masks import StepMasks

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tokamask.grammar.grammar import Grammar
    from tokamask.masking.compiler import CompiledGrammar
    from tokamask.masking.matcher import Matcher
    from tokamask.masking.vocabulary import Vocabulary

__all__ = ["GrammarLogitsProcessor"]

TokenIds = npt.NDArray[np.int64]


class GrammarLogitsProcessor(LogitsProcessor):
    """Sets the score of every token that its row's constraint does not allow to -inf.

        processor = GrammarLogitsProcessor.for_model(model, tokenizer, schema=Book)
        model.generate(**inputs, logits_processor=[processor])

    Works with greedy decoding, sampling, beams, `num_return_sequences`, prompt lookup, assistant models, batches with
    left padding and pipelines, and can be used again for other prompts. Scores of finished rows, and of rows without a
    constraint, are left as they are. One processor serves one `generate` at a time.

    Where a row's document begins: a row that extends a known prefix by a token that may follow there goes on with its
    document; any other row is a prompt, and its document begins after it. So a new prompt is recognised without being
    announced, unless it is an earlier prompt followed by the beginning of one of its documents, token for token: that
    document is then continued. `reset()` before the call makes it a prompt like any other.

    Args:
        constraints: one for all rows; or a list with one for every prompt of the batch, None where a prompt is free.
            All rows of a prompt (its beams, its return sequences) have its constraint.
        max_new_tokens: what `generate` is given, so that every document is complete within it; None: no budget, and a
            document that `generate` cuts off stays unfinished.

    Raises:
        BudgetTooSmall: max_new_tokens cannot hold a constraint's shortest document.
        VocabularyMismatch: constraints of different vocabularies, or of one without a stop token.
        ValueError: no constraint at all.
    """

    # Continuous batching shows a processor the last token of each row only.
    supports_continuous_batching = False

    def __init__(
        self,
        constraints: CompiledGrammar | Sequence[CompiledGrammar | None],
        *,
        max_new_tokens: int | None = None,
    ) -> None:
        per_prompt = tuple(constraints) if isinstance(constraints, Sequence) else (constraints,)
        self._vocabulary = _shared_vocabulary(per_prompt)
        self._starts = [None if compiled is None else compiled.matcher() for compiled in per_prompt]
        self._max_new_tokens = max_new_tokens
        self._masks: StepMasks | None = None
        for start in self._starts:
            if max_new_tokens is not None and start is not None and start.min_tokens_left() > max_new_tokens:
                raise BudgetTooSmall(start.min_tokens_left(), max_new_tokens)
        self.reset()

    @classmethod
    def for_model(
        cls,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        schema: Any = None,
        regex: str | Sequence[str | None] | None = None,
        grammar: Grammar | str | Sequence[Grammar | str | None] | None = None,
        choices: Sequence[str] | Sequence[Sequence[str] | None] | None = None,
        max_new_tokens: int | None = None,
    ) -> Self:
        """A processor for `model.generate`; the constraint is given as to `tokamask.generate`.

        Exactly one of schema, regex, grammar and choices; a list holds one for every prompt of the batch, None where a
        prompt is free. Processors of one model share what they learn about its vocabulary.

        Raises:
            GrammarError: the constraint cannot be compiled.
            TypeError: none or several of the four, or one of the wrong type.
        """
        given = Specification(schema=schema, regex=regex, grammar=grammar, choices=choices).given()  # type: ignore[arg-type]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise TypeError(f"pass one of schema, regex, grammar and choices; given: {found}")
        ((name, value),) = given.items()
        is_per_prompt = isinstance(value, list | tuple)
        if name == "choices":
            is_per_prompt = is_per_prompt and any(isinstance(item, list | tuple) for item in value)
        read = [read_constraint(Specification(**{name: item}), None) for item in (value if is_per_prompt else [value])]
        compiler = shared_compiler(load_model(model, tokenizer))
        compiled = [None if constraint is None else compiler.compile(constraint.grammar) for constraint in read]
        return cls(compiled, max_new_tokens=max_new_tokens)

    def reset(self) -> None:
        """Forget all prompts: whatever comes next is one."""
        self._prompt_length = 0
        self._prompts: dict[tuple[int, bytes], _Prefix] = {}
        self._last_rows: TokenIds = np.empty((0, 0), dtype=np.int64)
        self._last_prefixes: list[_Prefix] = []

    @torch.inference_mode()
    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Masked scores (rows, V) for the tokens so far (rows, length); the arguments are not changed.

        Raises:
            VocabularyMismatch: V is not the size of the vocabulary.
            ValueError: the number of rows is no multiple of the number of constraints.
        """
        if scores.shape[-1] != self._vocabulary.size:
            raise VocabularyMismatch(
                f"the model returns {scores.shape[-1]} scores, but the constraint was compiled for a vocabulary of "
                f"{self._vocabulary.size}; make it with GrammarLogitsProcessor.for_model(model, ...)"
            )
        prefixes = self._locate(input_ids.cpu().numpy().copy())  # the caller may write into its own
        masks = self._masks
        if masks is None or masks.device != scores.device:
            masks = self._masks = StepMasks(len(prefixes), self._vocabulary.size, scores.device)
        if len(masks.bitmask) != len(prefixes):
            masks.provide(len(prefixes))
        for row, prefix in enumerate(prefixes):
            prefix.fill(masks, row, self._max_new_tokens)
        return scores.masked_fill(~masks.allowed(range(len(prefixes))), -math.inf)

    def _locate(self, rows: TokenIds) -> list[_Prefix]:
        """The state of every row; all rows are prompts if one of them cannot be anything else."""
        if len(rows) % len(self._starts):
            raise ValueError(
                f"{len(rows)} rows cannot be shared out among {len(self._starts)} constraints; pass one for all rows "
                "or one for every prompt of the batch"
            )
        found: list[_Prefix | None]
        if np.array_equal(rows[:, :-1], self._last_rows):  # by far the most common: every row got one more token
            pairs = zip(self._last_prefixes, rows[:, -1].tolist(), strict=True)
            found = [self._extended(prefix, token) for prefix, token in pairs]
        else:
            found = [self._find(self._constraint_of(row, len(rows)), ids) for row, ids in enumerate(rows)]
        prefixes = [prefix for prefix in found if prefix is not None]
        if len(prefixes) < len(rows):
            prefixes = self._begin(rows)
        self._last_rows, self._last_prefixes = rows, prefixes
        return prefixes

    def _constraint_of(self, row: int, rows: int) -> int:
        """The index of a row's constraint: `generate` keeps all rows of a prompt together, in the prompts' order."""
        return row * len(self._starts) // rows

    def _find(self, constraint: int, ids: TokenIds) -> _Prefix | None:
        """A known prompt, a known prefix, or one token more than that.

        `generate` asks about a position before a token stands there. So a row that is longer than every known prefix by
        two tokens or more belongs to another call.
        """
        prefix = self._prompts.get((constraint, ids[: self._prompt_length].tobytes()))
        tokens = ids[self._prompt_length :].tolist()
        if prefix is None or not tokens:
            return prefix
        for token in tokens[:-1]:
            child = prefix.children.get(token)
            if child is None:
                return None
            prefix = child
        return self._extended(prefix, tokens[-1])

    def _extended(self, prefix: _Prefix, token: int) -> _Prefix:
        """The prefix that is one token longer."""
        known = prefix.children.get(token)
        if known is not None:
            return known
        matcher, generated = prefix.matcher, prefix.generated + 1
        if matcher is not None and not (matcher.is_terminated and self._vocabulary.token_bytes[token] is None):
            matcher = matcher.fork()
            try:
                matcher.accept_token(token)
            except TokenRejected:
                # Not a token that was chosen from our scores: a draft that the model will refuse, a beam of probability
                # zero, or the end of a new prompt. To begin again is harmless for the first two and right for the last.
                matcher, generated = prefix.start, 0
        prefix.children[token] = _Prefix(prefix.start, matcher, generated)
        return prefix.children[token]

    def _begin(self, rows: TokenIds) -> list[_Prefix]:
        """A new call of `generate`: every row is a prompt."""
        self.reset()
        self._prompt_length = rows.shape[1]
        prefixes = []
        for row, ids in enumerate(rows):
            constraint = self._constraint_of(row, len(rows))
            start = self._starts[constraint]
            prefixes.append(self._prompts.setdefault((constraint, ids.tobytes()), _Prefix(start, start, 0)))
        return prefixes


class _Prefix:
    """A row that was asked about.

    Attributes:
        start: the matcher of its constraint at the beginning of the document; None for a free row.
        matcher: the same, after what the row has of the document. Shared, and therefore never advanced.
        generated: how many tokens the row has after its prompt.
        children: the known rows that are one token longer, by that token.
    """

    __slots__ = ("children", "generated", "matcher", "start")

    def __init__(self, start: Matcher | None, matcher: Matcher | None, generated: int) -> None:
        self.start = start
        self.matcher = matcher
        self.generated = generated
        self.children: dict[int, _Prefix] = {}

    def fill(self, masks: StepMasks, row: int, max_new_tokens: int | None) -> None:
        """Write the row's mask."""
        if self.matcher is None or self.matcher.is_terminated:
            masks.free(row)
            return
        tokens_left = None if max_new_tokens is None else max_new_tokens - self.generated
        if tokens_left is not None and tokens_left < self.matcher.min_tokens_left():
            tokens_left = None  # a draft that no mask allowed; it has no continuation that fits, and needs none
        masks.fill(row, self.matcher, tokens_left)


def _shared_vocabulary(constraints: Sequence[CompiledGrammar | None]) -> Vocabulary:
    vocabularies = [compiled.vocabulary for compiled in constraints if compiled is not None]
    if not vocabularies:
        raise ValueError("there is no constraint: pass a CompiledGrammar, or a list with at least one")
    if len({vocabulary.fingerprint for vocabulary in vocabularies}) > 1:
        raise VocabularyMismatch("the constraints were compiled for different vocabularies; use one GrammarCompiler")
    if not vocabularies[0].stop_token_ids:
        raise VocabularyMismatch(
            "the vocabulary has no stop token, so generate() could not end a document; "
            "pass stop_token_ids to Vocabulary.from_tokenizer"
        )
    return vocabularies[0]
