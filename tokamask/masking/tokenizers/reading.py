"""What is read from a tokenizer, whatever its library, and the refusal of those that cannot be read exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tokamask.errors import VocabularyMismatch

__all__ = ["TokenizerReading", "refusal", "texts_by_id"]


@dataclass(frozen=True)
class TokenizerReading:
    """A tokenizer as masking sees it.

    Attributes:
        token_bytes: the bytes of each id; None for ids that are special or missing.
        stop_token_ids: the tokenizer's own end tokens.
        encode: UTF-8 bytes -> token ids, as the tokenizer spells them in the middle of a text. Raises UnicodeError for
            other bytes. Its answer may spell another text where the tokenizer normalises: callers compare.
    """

    token_bytes: tuple[bytes | None, ...]
    stop_token_ids: tuple[int, ...]
    encode: Callable[[bytes], Sequence[int]]


def texts_by_id(texts: Mapping[int, bytes], size: int) -> tuple[bytes | None, ...]:
    """The mapping as a tuple over the ids below `size`; None where it has no entry."""
    return tuple(map(texts.get, range(size)))


def refusal(family: str, reason: str) -> VocabularyMismatch:
    """The error for a tokenizer whose tokens have no exact bytes."""
    return VocabularyMismatch(
        f"{family} cannot be masked exactly: {reason}. Use a model with a byte-level BPE, tiktoken or SentencePiece "
        "(byte fallback) tokenizer, or state the bytes of every token yourself: Vocabulary(token_bytes, stop_token_ids)"
    )
