"""A vocabulary as llguidance reads it: its tokenizers run in Rust, without calls into Python."""

from __future__ import annotations

from typing import Any

from bench.vocabularies import NamedVocabulary

__all__ = ["llguidance_tokenizer"]


def llguidance_tokenizer(vocabulary: NamedVocabulary) -> Any:
    """The LLTokenizer of a vocabulary."""
    from llguidance import LLTokenizer

    size, (end,) = vocabulary.size, vocabulary.stop_token_ids
    if not vocabulary.name.startswith("tekken"):
        return LLTokenizer(vocabulary.tokenizer.to_str(), n_vocab=size, eos_token=end)
    # tekken is tiktoken's algorithm, with ids that begin after those of the special tokens.
    encoding, first = vocabulary.tokenizer._model, vocabulary.tokenizer.num_special_tokens
    return LLTokenizer.from_tiktoken(  # type: ignore[attr-defined]
        encoder={data: rank + first for data, rank in encoding._mergeable_ranks.items()},
        special_tokens={f"<special {token}>": token for token in range(first)},
        pattern=encoding._pat_str,
        eos_token=end,
        n_vocab=size,
        slices=None,
    )
