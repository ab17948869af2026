"""What a model's token ids spell: one byte string per id, or None where an id is never text.

All that masking knows about a tokenizer is here. Masks are exact over bytes, so a wrong byte string would make a wrong
mask: tokenizers whose tokens have no exact bytes are refused (tokamask.masking.tokenizers), never guessed.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

from tokamask.errors import VocabularyMismatch

__all__ = ["Vocabulary", "checked_ids"]

MAX_SIZE = 1 << 24
"""Largest vocabulary accepted, sixty times the largest in use: a size beyond it is a mistake, not a model."""


class Vocabulary:
    """An immutable vocabulary: the bytes of every token id, and the ids that end a text.

    Args:
        token_bytes: the bytes of each id. None: the id is never text (special, or missing from the tokenizer). Several
            ids may have the same bytes.
        stop_token_ids: the ids that end a text. They are never text, whatever bytes they are given.
        encode: the tokenizer's own spelling of a text, as ids, without leading space or start token. It may refuse
            bytes by raising UnicodeError or returning [].

    Raises:
        TypeError: an entry that is neither bytes nor None, a stop id that is not an integer.
        VocabularyMismatch: no ids, more than MAX_SIZE ids, a stop id outside of the vocabulary.
    """

    def __init__(
        self,
        token_bytes: Sequence[bytes | None],
        stop_token_ids: Iterable[int],
        encode: Callable[[bytes], Sequence[int]] | None = None,
    ) -> None:
        if isinstance(token_bytes, str | bytes | bytearray):
            raise TypeError(f"token_bytes is one {type(token_bytes).__name__}; give one bytes or None per id")
        if encode is not None and not callable(encode):
            raise TypeError(f"encode must be a function from bytes to token ids, not {type(encode).__name__}")
        given = tuple(token_bytes)
        for token, data in enumerate(given):
            if not isinstance(data, bytes | None):
                raise TypeError(f"token_bytes[{token}] must be bytes or None, not {type(data).__name__} ({data!r:.40})")
        if not 0 < len(given) <= MAX_SIZE:
            raise VocabularyMismatch(f"a vocabulary of {len(given)} ids; it must have 1 to {MAX_SIZE}")
        self._given = given
        self._stop_token_ids = checked_ids(stop_token_ids, len(given))
        self._encode = encode
        text: list[bytes | None] = [data or None for data in given]
        for token in self._stop_token_ids:
            text[token] = None
        self._token_bytes = tuple(text)

    @classmethod
    def from_tokenizer(
        cls, tokenizer: Any, size: int | None = None, stop_token_ids: Iterable[int] | None = None
    ) -> Vocabulary:
        """The vocabulary of a tokenizer, read from its public attributes.

        Known are transformers tokenizers (fast and slow), `tokenizers.Tokenizer`, tiktoken's `Encoding`, the tokenizers
        of mistral_common and `sentencepiece.SentencePieceProcessor`, in the families whose tokens have exact bytes:
        byte-level BPE, SentencePiece with byte fallback, tiktoken and tekken.

        Args:
            size: the model's number of logits (`model.config.vocab_size`). Models are often padded past their
                tokenizer, and a few are shorter. Ids past the tokenizer are never text; ids past the model are left
                out. None: the tokenizer's own size.
            stop_token_ids: ids that end a text besides the tokenizer's own end token, such as
                `model.generation_config.eos_token_id`.

        Raises:
            VocabularyMismatch: a family without exact bytes; a stop id of the caller outside of `size`.
            TypeError: not a tokenizer.
        """
        from tokamask.masking.tokenizers import read_tokenizer

        reading = read_tokenizer(tokenizer)
        token_bytes = reading.token_bytes
        if size is None:
            size = len(token_bytes)
        elif isinstance(size, bool) or not isinstance(size, int):
            raise TypeError(f"size must be an integer or None, not {type(size).__name__}")
        elif not 0 < size <= MAX_SIZE:
            raise VocabularyMismatch(f"size is {size}; it must be 1 to {MAX_SIZE}")
        # The model cannot choose an id without a logit, so end tokens of the tokenizer past its size do not count.
        stops = {token for token in reading.stop_token_ids if token < size}
        stops.update(checked_ids(() if stop_token_ids is None else stop_token_ids, size))
        return cls((*token_bytes[:size], *[None] * (size - len(token_bytes))), stops, reading.encode)

    @property
    def size(self) -> int:
        """The number of token ids; masks have a bit for each."""
        return len(self._token_bytes)

    @property
    def token_bytes(self) -> tuple[bytes | None, ...]:
        """What each id spells; None exactly where it is never text: special, missing, empty, and stop tokens."""
        return self._token_bytes

    @property
    def stop_token_ids(self) -> tuple[int, ...]:
        """The ids that end a text, ascending; possibly none."""
        return self._stop_token_ids

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of `token_bytes`: equal where two vocabularies spell the same texts with the same ids."""
        import numpy as np

        texts = [data or b"" for data in self._token_bytes]  # no text is empty, so these are the ids without
        digest = hashlib.sha256(np.fromiter(map(len, texts), "<i4", self.size).tobytes())
        digest.update(b"".join(texts))
        return digest.hexdigest()

    def with_stop_tokens(self, stop_token_ids: Iterable[int]) -> Vocabulary:
        """The same tokens with exactly these stop tokens; a former one is again what its bytes say.

        Raises:
            TypeError: an id is not an integer.
            VocabularyMismatch: an id is outside of the vocabulary.
        """
        return Vocabulary(self._given, stop_token_ids, self._encode)

    def encode(self, data: bytes) -> list[int]:
        """The tokenizer's own spelling of `data`, or [] where it has none.

        There is none without a tokenizer, for bytes that are not UTF-8, and where the tokenizer's normalisation would
        change the text: what is returned always spells `data` exactly.
        """
        if self._encode is None:
            return []
        try:
            ids = [operator.index(token) for token in self._encode(data)]
        except UnicodeError:
            return []
        spelled = [self._token_bytes[token] if 0 <= token < self.size else None for token in ids]
        return ids if b"".join([text or b"" for text in spelled]) == data and None not in spelled else []

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        texts = self.size - self._token_bytes.count(None)
        return f"Vocabulary(size={self.size}, text_tokens={texts}, stop_token_ids={list(self._stop_token_ids)})"


def checked_ids(ids: Iterable[int], size: int, name: str = "stop token id") -> tuple[int, ...]:
    """Token ids as an ascending tuple of distinct integers below `size`; `name`: what one is called in errors.

    Raises:
        TypeError: no collection of integers.
        VocabularyMismatch: an id is outside of 0 to `size` - 1.
    """
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise TypeError(f"stop_token_ids must be a collection of token ids, not {type(ids).__name__} ({ids!r:.40})")
    checked = set()
    for token in ids:
        if isinstance(token, bool) or not hasattr(token, "__index__"):
            raise TypeError(f"a {name} must be an integer, not {type(token).__name__} ({token!r:.40})")
        checked.add(operator.index(token))
    for token in sorted(checked):
        if not 0 <= token < size:
            raise VocabularyMismatch(f"{name} {token} is outside the vocabulary, whose ids are 0 to {size - 1}")
    return tuple(sorted(checked))
