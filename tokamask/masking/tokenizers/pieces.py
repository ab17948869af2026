"""Pieces: the strings in which tokenizer files write tokens, and the bytes they stand for.

Byte-level pieces write each byte as one printable character, by the table that GPT-2 introduced: printable Latin-1
bytes stand for themselves and the 68 others, in order, for U+0100 onwards (so a space is U+0120). Source: Radford et
al., "Language Models are Unsupervised Multitask Learners", 2019, and its released encoder.

SentencePiece pieces are text with spaces written as U+2581; a model with byte fallback has a piece `<0xNN>` for each
byte besides. Source: Kudo and Richardson, "SentencePiece", EMNLP 2018, and its `sentencepiece_model.proto`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

__all__ = [
    "SPACE_MARK",
    "PieceFamily",
    "byte_level_family",
    "has_byte_fallback",
    "has_every_byte",
    "is_byte_level",
    "sentencepiece_family",
]

SPACE_MARK = "\u2581"

PRINTABLE_BYTES = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
BYTE_OF_CHARACTER = {chr(byte): byte for byte in PRINTABLE_BYTES} | {
    chr(0x100 + place): byte for place, byte in enumerate(sorted(set(range(256)) - set(PRINTABLE_BYTES)))
}
ALPHABET = frozenset(BYTE_OF_CHARACTER)
# Decodes a piece by str.translate, then Latin-1. Latin-1 characters outside of the alphabet are sent where Latin-1
# cannot encode them, so that they are noticed and not taken for the byte of the same number.
DECODING_TABLE = dict.fromkeys(range(256), 0xFFFF) | {
    ord(character): byte for character, byte in BYTE_OF_CHARACTER.items()
}

BYTE_PIECE = re.compile("<0x([0-9A-Fa-f]{2})>")
ENOUGH_BYTE_PIECES = 128
"""Byte pieces that make a byte-fallback vocabulary: half of them, as trimmed vocabularies lack some."""


@dataclass(frozen=True)
class PieceFamily:
    """How one family of tokenizers writes tokens.

    Attributes:
        of_piece: the bytes of a piece of the model.
        of_added: the bytes of an added token, which tokenizers look for in the text itself.
    """

    of_piece: Callable[[str], bytes]
    of_added: Callable[[str], bytes]

    def token_texts(
        self, pieces: Mapping[int, str], added: Mapping[int, str], never_text: Iterable[int | None]
    ) -> dict[int, bytes]:
        """The bytes of every id that is text. An added token that names a piece of the model is that piece."""
        never = frozenset(never_text)
        texts = {token: self.of_piece(piece) for token, piece in pieces.items()}
        texts |= {token: self.of_added(text) for token, text in added.items() if pieces.get(token) != text}
        return {token: data for token, data in texts.items() if token not in never}


def byte_level_family() -> PieceFamily:
    return PieceFamily(of_piece=byte_level_bytes, of_added=str.encode)


def sentencepiece_family(space_mark: str = SPACE_MARK) -> PieceFamily:
    """Pieces with byte fallback and this mark for spaces, which stands for them in added tokens too."""

    def text(piece: str) -> bytes:
        return piece.replace(space_mark, " ").encode()

    def text_or_byte(piece: str) -> bytes:
        byte = BYTE_PIECE.fullmatch(piece)
        return text(piece) if byte is None else bytes.fromhex(byte[1])

    return PieceFamily(of_piece=text_or_byte, of_added=text)


def byte_level_bytes(piece: str) -> bytes:
    """The bytes of a byte-level piece; one outside of the alphabet is plain text, as its own decoder takes it."""
    try:
        return piece.translate(DECODING_TABLE).encode("latin-1")
    except UnicodeEncodeError:
        return piece.encode()


def has_byte_fallback(pieces: Collection[str]) -> bool:
    """Whether most of the byte pieces `<0x00>` to `<0xFF>` are there."""
    return len({byte[1].upper() for piece in pieces if (byte := BYTE_PIECE.fullmatch(piece))}) >= ENOUGH_BYTE_PIECES


def is_byte_level(pieces: Collection[str]) -> bool:
    """Whether most pieces are written in the byte-level alphabet, and spaces in its way rather than SentencePiece's."""
    in_alphabet = sum(map(ALPHABET.issuperset, pieces))
    spaces = sum("\u0120" in piece for piece in pieces) - sum(SPACE_MARK in piece for piece in pieces)
    return 2 * in_alphabet > len(pieces) and spaces >= 0


def has_every_byte(pieces: Collection[str]) -> bool:
    """Whether each character of the byte-level alphabet is a piece by itself."""
    return ALPHABET.issubset(pieces)
