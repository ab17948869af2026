"""The tokens of vLLM's engine."""

from __future__ import annotations

from typing import Any

from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary

__all__ = ["engine_compiler"]


def engine_compiler(tokenizer: Any, size: int) -> GrammarCompiler:
    """A compiler for the tokens of an engine.

    Args:
        tokenizer: vLLM's, which for Mistral's own files is a wrapper of mistral_common's.
        size: the number of logits, which may be padded past the tokenizer.

    Raises:
        VocabularyMismatch: tokens without exact bytes.
    """
    return GrammarCompiler(Vocabulary.from_tokenizer(getattr(tokenizer, "mistral", tokenizer), size))
