"""A canvas: a fixed number of token positions, some of them given and the rest to be filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tokamask.errors import VocabularyMismatch

if TYPE_CHECKING:
    from tokamask.masking.vocabulary import Vocabulary

__all__ = ["MAX_LENGTH", "OPEN", "Canvas", "Mask", "Piece", "Slot", "read_canvas"]

OPEN = -1
"""In place of a token id: not filled yet."""

MAX_LENGTH = 1 << 16
"""Longest canvas in tokens, far beyond what models are trained with: more is a mistake."""


@dataclass(frozen=True)
class Mask:
    """A region to be filled.

    Attributes:
        tokens: its width.
        least: None: every position is filled with text, except that the document may end inside: then a stop token
            follows, and padding up to the end of the canvas. A number: at least so many tokens of text, and padding
            in what is left of the region; it is no text, and the document goes on after the region.
    """

    tokens: int
    least: int | None = None

    def __post_init__(self) -> None:
        for number in (self.tokens, self.least):
            if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
                raise TypeError(f"a Mask is counted in whole tokens, not {type(number).__name__}")
        if not 1 <= self.tokens <= MAX_LENGTH:
            raise ValueError(f"a Mask of {self.tokens} tokens; it must have 1 to {MAX_LENGTH}")
        if self.least is not None and not 0 <= self.least < self.tokens:
            raise ValueError(f"least is {self.least}; it must be 0 to {self.tokens - 1}, or None for exactly the width")


Piece = str | int | Mask | Sequence[int]
"""Text, a token id, several token ids, or a region to be filled."""


class Slot(Enum):
    """What may stand at one position."""

    GIVEN = auto()
    """One token."""
    FREE = auto()
    """Text, or the document's end and padding."""
    TEXT = auto()
    """Text only."""
    SPARE = auto()
    """Text, or padding that goes on up to the end of the region."""
    LAST_SPARE = auto()
    """Text or padding, at the end of a region."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """Positions 0 .. L - 1.

    Attributes:
        slots: what may stand at each.
        tokens: int32 (L,): the given tokens, OPEN elsewhere. Not to be written to.
        regions: the positions of each Mask, in order.
    """

    slots: tuple[Slot, ...]
    tokens: npt.NDArray[np.int32]
    regions: tuple[range, ...]

    def __len__(self) -> int:
        return len(self.slots)


def read_canvas(pieces: Sequence[Piece], vocabulary: Vocabulary) -> Canvas:
    """The canvas that the pieces make one after another; each text is spelled as the tokenizer spells it alone.

    Raises:
        TypeError: a piece is none.
        ValueError: nothing is to be filled, the canvas is too long, or the vocabulary cannot spell a text.
        VocabularyMismatch: a token id is outside of the vocabulary.
    """
    if isinstance(pieces, str | bytes) or not isinstance(pieces, Sequence):
        raise TypeError(f"a canvas is a list of texts, token ids and masks, not {type(pieces).__name__}")
    slots: list[Slot] = []
    tokens: list[int] = []
    regions: list[range] = []
    for piece in pieces:
        if isinstance(piece, Mask):
            regions.append(range(len(slots), len(slots) + piece.tokens))
            slots += _slots_of(piece)
            tokens += [OPEN] * piece.tokens
        else:
            given = _tokens_of(piece, vocabulary)
            slots += [Slot.GIVEN] * len(given)
            tokens += given
        if len(slots) > MAX_LENGTH:
            raise ValueError(f"the canvas has more than {MAX_LENGTH} positions")
    if not regions:
        raise ValueError("the canvas has nothing to fill: put Mask(n) where tokens are wanted")
    return Canvas(tuple(slots), np.array(tokens, dtype=np.int32), tuple(regions))


def _slots_of(mask: Mask) -> list[Slot]:
    if mask.least is None:
        return [Slot.FREE] * mask.tokens
    return [Slot.TEXT] * mask.least + [Slot.SPARE] * (mask.tokens - mask.least - 1) + [Slot.LAST_SPARE]


def _tokens_of(piece: str | int | Sequence[int], vocabulary: Vocabulary) -> list[int]:
    if isinstance(piece, str):
        spelled = vocabulary.encode(piece.encode())
        if piece and not spelled:
            raise ValueError(f"the tokenizer has no exact spelling of {piece!r:.60}; give token ids instead")
        return spelled
    ids = [piece] if isinstance(piece, int) else piece
    if isinstance(ids, bytes) or not isinstance(ids, Sequence):
        raise TypeError(f"a canvas holds texts, token ids and masks, not {type(piece).__name__}")
    for token in ids:
        if isinstance(token, bool) or not isinstance(token, int):
            raise TypeError(f"a token id is a whole number, not {type(token).__name__} ({token!r:.40})")
        if not 0 <= token < vocabulary.size:
            raise VocabularyMismatch(
                f"token {token} of the canvas is no id of the vocabulary (0 to {vocabulary.size - 1})"
            )
    return list(ids)
