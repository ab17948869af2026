"""Why a matcher cannot do what it was asked, in words."""

from __future__ import annotations

from collections.abc import Container

from tokamask.errors import CompileBudgetExceeded, MatcherTerminated, TokenRejected
from tokamask.grammar.json_place import end_in_words
from tokamask.grammar.program import VALUE, Program
from tokamask.masking.vocabulary import Vocabulary

__all__ = ["placed", "refusal"]


def refusal(token_id: int, is_terminated: bool, stops: Container[int], vocabulary: Vocabulary) -> TokenRejected:
    """Why a token cannot follow; `is_terminated`: a stop token was accepted before."""
    if is_terminated:
        return MatcherTerminated(f"token {token_id} after a stop token; only stop tokens may follow, or a rollback")
    if not 0 <= token_id < vocabulary.size:
        return TokenRejected(f"token {token_id} is no id of the vocabulary (0 to {vocabulary.size - 1})")
    if token_id in stops:
        return TokenRejected(f"stop token {token_id} where the text is not complete")
    text = vocabulary.token_bytes[token_id]
    if text is None:
        return TokenRejected(f"token {token_id} is special or missing: it is never text")
    return TokenRejected(f"token {token_id} ({text!r}) cannot follow the text accepted so far")


def placed(error: CompileBudgetExceeded, program: Program, text: bytes) -> CompileBudgetExceeded:
    """What is too much for the engine, told with the place that a text of this program has come to."""
    is_json = bool((program.words[program.records] == VALUE).any())
    return CompileBudgetExceeded(f"{error.message} ({end_in_words(text, is_json)})", pointer=error.pointer)
