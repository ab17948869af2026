"""tiktoken's `Encoding`, and the tekken tokenizers of mistral_common built on it: tokens are bytes already."""

from __future__ import annotations

from typing import Any

from tokamask.masking.tokenizers.reading import TokenizerReading, texts_by_id

__all__ = ["read_encoding", "read_tekken"]


def read_encoding(encoding: Any) -> TokenizerReading:
    """A `tiktoken.Encoding`. Its end token is `<|endoftext|>` where it has one; others are the caller's to name."""
    special = {name: encoding.encode_single_token(name) for name in encoding.special_tokens_set}
    texts: dict[int, bytes] = {}
    for token in set(range(encoding.n_vocab)).difference(special.values()):
        try:
            texts[token] = encoding.decode_single_token_bytes(token)
        except KeyError:  # an id that the encoding leaves out
            continue
    end = special.get("<|endoftext|>")
    return TokenizerReading(
        token_bytes=texts_by_id(texts, encoding.n_vocab),
        stop_token_ids=() if end is None else (end,),
        encode=lambda data: encoding.encode_ordinary(data.decode()),
    )


def read_tekken(tekkenizer: Any) -> TokenizerReading:
    """A mistral_common `Tekkenizer`. Its first ids are special tokens, most of them fillers."""
    special = tekkenizer.special_ids
    return TokenizerReading(
        token_bytes=tuple(
            None if token in special else tekkenizer.id_to_byte_piece(token) for token in range(tekkenizer.n_words)
        ),
        stop_token_ids=(tekkenizer.eos_id,),
        encode=lambda data: tekkenizer.encode(data.decode(), bos=False, eos=False),
    )
