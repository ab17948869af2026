"""Reading canvases."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tokamask.errors import VocabularyMismatch
from tokamask.masking.infilling_canvas import MAX_LENGTH, OPEN, Mask, Slot, read_canvas
from tokamask.masking.vocabulary import Vocabulary

LETTERS = Vocabulary([b"a", b"b", b"ab", None], [3], encode=lambda data: [{97: 0, 98: 1}[byte] for byte in data])


def test_pieces_follow_one_another() -> None:
    canvas = read_canvas(["ab", Mask(2), 2, Mask(3, least=1), [0, 3], ""], LETTERS)
    assert canvas.tokens.tolist() == [0, 1, OPEN, OPEN, 2, OPEN, OPEN, OPEN, 0, 3]
    given, free = Slot.GIVEN, Slot.FREE
    spare = [Slot.TEXT, Slot.SPARE, Slot.LAST_SPARE]
    assert list(canvas.slots) == [given, given, free, free, given, *spare, given, given]
    assert canvas.regions == (range(2, 4), range(5, 8))
    assert len(canvas) == 10


@pytest.mark.parametrize(
    ("pieces", "error", "message"),
    [
        ("ab", TypeError, "a canvas is a list of texts"),
        (["ab"], ValueError, "has nothing to fill"),
        ([Mask(1), 2.5], TypeError, "not float"),
        ([Mask(1), [True]], TypeError, "not bool"),
        ([Mask(1), b"a"], TypeError, "not bytes"),
        ([Mask(1), 4], VocabularyMismatch, "token 4 of the canvas is no id of the vocabulary (0 to 3)"),
        ([Mask(1), -1], VocabularyMismatch, "token -1"),
        ([Mask(MAX_LENGTH), 0], ValueError, "more than 65536 positions"),
    ],
)
def test_what_is_no_canvas(pieces: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        read_canvas(pieces, LETTERS)


def test_a_text_that_cannot_be_spelled() -> None:
    with pytest.raises(ValueError, match="no exact spelling of 'a'; give token ids"):
        read_canvas(["a", Mask(1)], Vocabulary([b"a"], []))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((0,), ValueError),
        ((MAX_LENGTH + 1,), ValueError),
        ((2, 2), ValueError),
        ((2, -1), ValueError),
        ((1.5,), TypeError),
        ((True,), TypeError),
        ((2, 1.0), TypeError),
    ],
)
def test_what_is_no_mask(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        Mask(*arguments)
