"""Which library a tokenizer comes from, told by its public attributes, so that none of them is imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokamask.masking.tokenizers.hugging_face import read_fast, read_rust, read_slow
from tokamask.masking.tokenizers.reading import TokenizerReading
from tokamask.masking.tokenizers.sentencepiece import read_model_file, read_processor
from tokamask.masking.tokenizers.tiktoken import read_encoding, read_tekken

__all__ = ["read_tokenizer"]

# First match wins: a Tekkenizer also has what marks the SentencePiece tokenizers of its library.
READERS: tuple[tuple[frozenset[str], Callable[[Any], TokenizerReading]], ...] = (
    (frozenset({"to_str", "id_to_token", "decoder"}), read_rust),
    (frozenset({"backend_tokenizer", "all_special_ids"}), read_fast),
    (frozenset({"id_to_byte_piece", "special_ids", "n_words"}), read_tekken),
    (frozenset({"decode_single_token_bytes", "special_tokens_set", "n_vocab"}), read_encoding),
    (frozenset({"serialized_model_proto", "id_to_piece", "is_byte"}), read_processor),
    (frozenset({"file_path", "id_to_piece", "n_words"}), lambda tokenizer: read_model_file(Path(tokenizer.file_path))),
    (frozenset({"get_vocab", "added_tokens_decoder", "all_special_ids"}), read_slow),
)


def read_tokenizer(tokenizer: Any) -> TokenizerReading:
    """The bytes of a tokenizer's tokens, its end tokens and its spelling.

    Raises:
        TypeError: the object is not a tokenizer of a known library.
        VocabularyMismatch: its tokens have no exact bytes.
    """
    inner = innermost(tokenizer)
    for marks, reader in READERS:
        if all(hasattr(inner, mark) for mark in marks):
            return reader(inner)
    raise TypeError(
        f"{type(tokenizer).__name__} is not a tokenizer of a known library (transformers, tokenizers, tiktoken, "
        "mistral_common, sentencepiece). State the bytes of its tokens: Vocabulary(token_bytes, stop_token_ids)"
    )


def innermost(tokenizer: Any) -> Any:
    """The tokenizer inside of a mistral_common chat tokenizer, of transformers' wrapper of one, or of a processor."""
    inside: Any = getattr(tokenizer, "tokenizer", None)
    for holder in (tokenizer, inside):
        if hasattr(holder, "instruct_tokenizer"):
            return holder.instruct_tokenizer.tokenizer
    # A multimodal processor holds a tokenizer; a slow tokenizer may also hold one, of another library, for its own use.
    return tokenizer if inside is None or hasattr(tokenizer, "get_vocab") else inside
