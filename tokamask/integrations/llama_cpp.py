"""A logits processor for llama-cpp-python: completions and chats of a `llama_cpp.Llama`.

    processor = GrammarLogitsProcessor.for_model(llama, schema=Book, max_tokens=200)
    llama.create_completion(prompt, max_tokens=200, logits_processor=LogitsProcessorList([processor]))

llama.cpp calls the processor from C, where an exception is printed and forgotten, and the scores would go on without
their mask. So the processor never raises there: it ends the text and keeps the error.
"""

from __future__ import annotations

import ctypes
import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from tokamask.errors import BudgetTooSmall, TokenRejected, VocabularyMismatch
from tokamask.masking.bitmask import allocate_bitmask, unpack_row
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.constraints import Specification, read_constraint

if TYPE_CHECKING:
    from tokamask.grammar.grammar import Grammar
    from tokamask.masking.compiler import CompiledGrammar

__all__ = ["GrammarLogitsProcessor", "read_vocabulary"]

logger = logging.getLogger(__name__)

# Reading a vocabulary takes a moment, and a compiler learns. Nothing in it refers to the model, so both go together.
_COMPILERS: WeakKeyDictionary[Any, GrammarCompiler] = WeakKeyDictionary()


class GrammarLogitsProcessor:
    """Sets the score of every token that the constraint does not allow to -inf.

    One processor serves one completion at a time, and any number in turn: token ids that are not what was seen before
    and one token more are a new prompt, and a new document begins after them. A prompt that consists of an earlier one
    and the beginning of its document goes on with that document; `reset()` makes it a prompt like any other.

    Args:
        compiled: a grammar compiled for `read_vocabulary(llama)`.
        max_tokens: what the completion is given, so that the document is complete within it; None: no budget, and a
            document that is cut off stays unfinished.

    Attributes:
        error: what went wrong in the last completion, whose text was then ended early; None otherwise.

    Raises:
        BudgetTooSmall: max_tokens cannot hold the shortest document.
        VocabularyMismatch: the vocabulary has no stop token.
    """

    error: BaseException | None

    def __init__(self, compiled: CompiledGrammar, *, max_tokens: int | None = None) -> None:
        self._vocabulary = compiled.vocabulary
        if not self._vocabulary.stop_token_ids:
            raise VocabularyMismatch("the vocabulary has no stop token, so that llama.cpp could not end a document")
        self._matcher = compiled.matcher()
        self._max_tokens = max_tokens
        self._bitmask = allocate_bitmask(1, self._vocabulary.size)
        if max_tokens is not None and self._matcher.min_tokens_left() > max_tokens:
            raise BudgetTooSmall(self._matcher.min_tokens_left(), max_tokens)
        self.reset()

    @classmethod
    def for_model(
        cls,
        llama: Any,
        *,
        schema: Any = None,
        regex: str | None = None,
        grammar: Grammar | str | None = None,
        choices: Sequence[str] | None = None,
        max_tokens: int | None = None,
    ) -> Self:
        """A processor for the completions of a `llama_cpp.Llama`; the constraint is given as to `tokamask.generate`.

        Exactly one of schema, regex, grammar and choices. Processors of one model share what they learn about its
        vocabulary.

        Raises:
            GrammarError: the constraint cannot be compiled.
            TypeError: none or several of the four, or one of the wrong type.
            ValueError: the model has a draft model: processors are then not told which position they are asked about.
        """
        constraint = read_constraint(Specification(schema, regex, grammar, choices), None)
        if constraint is None:
            raise TypeError("pass one of schema, regex, grammar and choices")
        if llama.draft_model is not None:
            raise ValueError("llama-cpp-python does not tell processors which draft is judged; leave out draft_model")
        compiler = _COMPILERS.get(llama)
        if compiler is None:
            compiler = _COMPILERS[llama] = GrammarCompiler(read_vocabulary(llama))
        return cls(compiler.compile(constraint.grammar), max_tokens=max_tokens)

    def reset(self) -> None:
        """Forget the prompt: whatever comes next is one."""
        self._matcher.reset()
        self._prompt: list[int] | None = None
        self._document: list[int] = []
        self.error = None

    def __call__(self, input_ids: npt.NDArray[np.intc], scores: npt.NDArray[np.single]) -> npt.NDArray[np.single]:
        """Masked scores (V,) for the tokens so far; the arguments are not changed."""
        try:
            self._locate(input_ids.tolist())
            allowed = self._allowed(len(scores))
        except BaseException as error:  # even Ctrl-C would be forgotten
            logger.error("the completion is ended without a document: %r", error)
            self.error = error
            self._prompt = None
            allowed = np.isin(np.arange(len(scores)), self._vocabulary.stop_token_ids)
        return np.where(allowed, scores, np.single(-math.inf))

    def _locate(self, ids: list[int]) -> None:
        """Bring the matcher to where the tokens are; begin with a new prompt if they cannot be anything else."""
        begun = 0 if self._prompt is None else len(self._prompt)
        document = ids[begun:]
        kept = _common_length(document, self._document)
        if self._prompt is None or ids[:begun] != self._prompt or len(document) > kept + 1:
            self.reset()
            self._prompt = ids
            return
        self._matcher.rollback(len(self._document) - kept)
        del self._document[kept:]
        if len(document) == kept:
            return
        try:
            self._matcher.accept_token(document[-1])
        except TokenRejected:
            if not self._matcher.is_accepting:
                raise
            # The document ended before; llama.cpp does not show the stop token. So this is the end of a longer prompt.
            self.reset()
            self._prompt = ids
        else:
            self._document.append(document[-1])

    def _allowed(self, size: int) -> npt.NDArray[np.bool_]:
        """Which tokens may follow, one boolean for each of the model's scores."""
        if size != self._vocabulary.size:
            raise VocabularyMismatch(
                f"the model returns {size} scores, but the constraint was compiled for a vocabulary of "
                f"{self._vocabulary.size}; make it with GrammarLogitsProcessor.for_model(llama, ...)"
            )
        tokens_left = None if self._max_tokens is None else self._max_tokens - len(self._document)
        if tokens_left is not None and tokens_left < self._matcher.min_tokens_left():
            tokens_left = None  # a completion that was continued beyond its budget
        self._matcher.fill_bitmask(self._bitmask, 0, tokens_left)
        return unpack_row(self._bitmask[0], size)


def read_vocabulary(llama: Any) -> Vocabulary:
    """The vocabulary of a `llama_cpp.Llama`, as llama.cpp itself spells its tokens and ends texts.

    Raises:
        VocabularyMismatch: the model has no vocabulary.
    """
    import llama_cpp

    vocab = llama_cpp.llama_model_get_vocab(llama.model)
    size = llama_cpp.llama_vocab_n_tokens(vocab)
    if size < 1:
        raise VocabularyMismatch("the model has no vocabulary")
    stops = [token for token in range(size) if llama_cpp.llama_vocab_is_eog(vocab, token)]
    return Vocabulary([_token_bytes(llama_cpp, vocab, token) for token in range(size)], stops)


def _token_bytes(llama_cpp: Any, vocab: Any, token: int) -> bytes | None:
    """What a token adds to a text; None for control tokens, of which llama.cpp says that they add nothing."""
    length = 32
    while True:
        buffer = ctypes.create_string_buffer(length)
        needed: int = llama_cpp.llama_token_to_piece(vocab, token, buffer, length, 0, False)
        if needed >= 0:
            return buffer.raw[:needed] or None
        length = -needed


def _common_length(a: Sequence[int], b: Sequence[int]) -> int:
    """How many leading elements are the same."""
    for at, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return at
    return min(len(a), len(b))
