"""Hugging Face tokenizers: the Rust ones of `tokenizers`, and the fast and slow ones of transformers.

A Rust tokenizer describes itself as JSON: what its pieces are and how they are decoded. The decoder names the family
and the pieces confirm it, since conversions have been seen to carry another family's decoder. A slow tokenizer has no
such description, so the pieces alone tell.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from tokamask.errors import VocabularyMismatch
from tokamask.masking.tokenizers.pieces import (
    SPACE_MARK,
    PieceFamily,
    byte_level_family,
    has_byte_fallback,
    has_every_byte,
    is_byte_level,
    sentencepiece_family,
)
from tokamask.masking.tokenizers.reading import TokenizerReading, refusal, texts_by_id
from tokamask.masking.tokenizers.sentencepiece import encoder_without_prefix

__all__ = ["read_fast", "read_rust", "read_slow"]

ENDS_OF_TEXT = frozenset({"Fuse", "Strip"})
"""Decoder steps that leave the bytes inside of a text alone."""
TOKEN_STEPS = frozenset({"ByteFallback", "ByteLevel", "Metaspace"})
"""Decoder steps that say what the bytes of one token are, besides replacing a mark by a space."""


def read_rust(tokenizer: Any) -> TokenizerReading:
    """A `tokenizers.Tokenizer`. It has no notion of an end token: the caller names those.

    Raises:
        VocabularyMismatch: a family whose tokens have no exact bytes.
    """
    description = described(tokenizer)
    model, added = description["model"], description["added_tokens"]
    if isinstance(model["vocab"], dict):
        pieces = {token: piece for piece, token in model["vocab"].items()}
        unknown = model["vocab"].get(model.get("unk_token"))
    else:  # Unigram: a list of [piece, score]
        pieces = {token: piece for token, (piece, _) in enumerate(model["vocab"])}
        unknown = model.get("unk_id")
    texts = described_family(description, pieces.values()).token_texts(
        pieces,
        added={entry["id"]: entry["content"] for entry in added},
        never_text=[unknown, *(entry["id"] for entry in added if entry["special"])],
    )
    size = 1 + max([*pieces, *(entry["id"] for entry in added)], default=-1)
    return TokenizerReading(token_bytes=texts_by_id(texts, size), stop_token_ids=(), encode=rust_encoder(tokenizer))


def read_fast(tokenizer: Any) -> TokenizerReading:
    """A fast transformers tokenizer: its Rust tokenizer, and what transformers alone knows to be special."""
    reading = read_rust(tokenizer.backend_tokenizer)
    special = set(tokenizer.all_special_ids)
    return TokenizerReading(
        token_bytes=tuple(None if token in special else data for token, data in enumerate(reading.token_bytes)),
        stop_token_ids=end_tokens(tokenizer),
        encode=reading.encode,
    )


def read_slow(tokenizer: Any) -> TokenizerReading:
    """A transformers tokenizer written in Python, perhaps around a SentencePiece processor (`sp_model`).

    Raises:
        VocabularyMismatch: a family whose tokens have no exact bytes.
    """
    added = tokenizer.added_tokens_decoder
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    pieces = {token: piece for piece, token in vocabulary.items() if token not in added}
    family = family_of(pieces.values(), f"the slow tokenizer {type(tokenizer).__name__}")
    never_text = {*tokenizer.all_special_ids, *(token for token, entry in added.items() if entry.special)}
    processor = getattr(tokenizer, "sp_model", None)
    if processor is None:
        encode = slow_encoder(tokenizer)
    else:
        encode = encoder_without_prefix(processor)
        never_text |= {token for token, piece in pieces.items() if is_reserved(processor, piece)}
    texts = family.token_texts(pieces, {token: entry.content for token, entry in added.items()}, never_text)
    size = 1 + max([*pieces, *added], default=-1)
    return TokenizerReading(token_bytes=texts_by_id(texts, size), stop_token_ids=end_tokens(tokenizer), encode=encode)


def end_tokens(tokenizer: Any) -> tuple[int, ...]:
    """The end token of a transformers tokenizer, if it has one."""
    end = tokenizer.eos_token_id
    return () if end is None else (end,)


def described(tokenizer: Any) -> dict[str, Any]:
    """A Rust tokenizer's own description: the content of its tokenizer.json."""
    try:
        description: dict[str, Any] = json.loads(tokenizer.to_str())
    except Exception as problem:  # tokenizers raises bare exceptions
        raise VocabularyMismatch(f"this tokenizer has parts without a description: {problem}") from problem
    return description


def described_family(description: Mapping[str, Any], pieces: Collection[str]) -> PieceFamily:
    """The family of a tokenizer by its description, provided that nothing in it rewrites the text of tokens."""
    model = description["model"]
    name = f"this {model['type']} tokenizer"
    if model["type"] == "WordPiece":
        raise refusal(name, "its tokens do not keep the spaces between words")
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise refusal(name, "its tokens mark where words begin or end and do not keep the spaces between them")
    steps = [step for step in flattened(description["decoder"]) if step["type"] not in ENDS_OF_TEXT]
    space_mark = SPACE_MARK
    for step in steps:
        if step["type"] == "Replace" and step["content"] == " " and "String" in step["pattern"]:
            space_mark = step["pattern"]["String"]
        elif step["type"] not in TOKEN_STEPS:
            raise refusal(name, f"its decoder has a step {step['type']!r} that rewrites the text of tokens")
        elif step["type"] == "Metaspace":
            space_mark = step["replacement"]
    return family_of(pieces, name, {step["type"] for step in steps}, space_mark)


def family_of(
    pieces: Collection[str], name: str, decoder_steps: Collection[str] = (), space_mark: str = SPACE_MARK
) -> PieceFamily:
    """The family of some pieces; most byte pieces, or a whole byte-level alphabet, need no decoder to say so."""
    if has_byte_fallback(pieces):
        return sentencepiece_family(space_mark)
    if is_byte_level(pieces) and ("ByteLevel" in decoder_steps or has_every_byte(pieces)):
        return byte_level_family()
    raise refusal(
        name, "it has neither byte-level pieces nor byte fallback, so characters outside of its pieces are lost"
    )


def flattened(part: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """The steps of a decoder, normalizer or pre-tokenizer, which may be sequences of sequences."""
    if part is None:
        return
    if part["type"] != "Sequence":
        yield part
        return
    (inner,) = (value for value in part.values() if isinstance(value, list))
    for step in inner:
        yield from flattened(step)


def is_reserved(processor: Any, piece: str) -> bool:
    """Whether a SentencePiece piece is control, unknown or unused: part of the model, never of a text."""
    token = processor.piece_to_id(piece)
    reserved = processor.is_control(token) or processor.is_unknown(token) or processor.is_unused(token)
    return bool(reserved) and processor.id_to_piece(token) == piece


def slow_encoder(tokenizer: Any) -> Callable[[bytes], Sequence[int]]:
    """How a slow tokenizer without a processor spells a text."""

    def encode(data: bytes) -> Sequence[int]:
        ids: list[int] = tokenizer.encode(data.decode(), add_special_tokens=False)
        return ids

    return encode


def rust_encoder(tokenizer: Any) -> Callable[[bytes], Sequence[int]]:
    """How a Rust tokenizer spells a text that goes on from another.

    A copy does it, made when first asked: without the space put before a first word, special tokens spelled like other
    text, nothing added, cut or dropped, and safe from what is later set on the original.
    """

    @cache
    def continuing() -> Any:
        description = described(tokenizer)
        description.update(post_processor=None, truncation=None, padding=None)
        if "dropout" in description["model"]:
            description["model"]["dropout"] = None
        description["normalizer"] = without_prefix(description["normalizer"])
        for step in flattened(description["pre_tokenizer"]):
            if "add_prefix_space" in step:
                step["add_prefix_space"] = False
            if "prepend_scheme" in step:
                step["prepend_scheme"] = "never"
        copy = type(tokenizer).from_str(json.dumps(description))
        copy.encode_special_tokens = True
        return copy

    def encode(data: bytes) -> Sequence[int]:
        ids: list[int] = continuing().encode(data.decode(), add_special_tokens=False).ids
        return ids

    return encode


def without_prefix(normalizer: dict[str, Any] | None) -> dict[str, Any] | None:
    """A normalizer without the steps that put something before the text."""
    steps = [step for step in flattened(normalizer) if step["type"] != "Prepend"]
    return {"type": "Sequence", "normalizers": steps} if steps else None
