"""Blocks of a program: words made of languages, behind all of its records."""

from __future__ import annotations

import struct
import weakref
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tokamask.grammar.language import Language
from tokamask.grammar.program import ACCEPTING, AUTOMATON_CLASS_OF, LIVE
from tokamask.grammar.text_lengths import UNBOUNDED, remaining_lengths

__all__ = ["Blocks", "automaton_block", "lengths_block", "packed"]

BlockMaker = Callable[[Language], npt.NDArray[np.int32]]


class Blocks:
    """The blocks that words of records refer to; each stands there once, whatever refers to it.

    Args:
        words: the words of the records, which may still grow.
    """

    def __init__(self, words: list[int]) -> None:
        self._words = words
        self._blocks: list[npt.NDArray[np.int32]] = []
        # Where each begins, counted from the first, by what it is made of and how; and where the next one will.
        self._offsets: dict[tuple[Language, BlockMaker], int] = {}
        self._end = 0
        self._references: set[int] = set()  # places of words that hold such an offset

    def refer(self, place: int, language: Language, made: BlockMaker) -> None:
        """Let the word at `place` refer to a block."""
        offset = self._offsets.get((language, made))
        if offset is None:
            block = made(language)
            offset = self._offsets[language, made] = self._end
            self._blocks.append(block)
            self._end += len(block)
        self._words[place] = offset
        self._references.add(place)

    def behind_words(self) -> npt.NDArray[np.int32]:
        """The finished words, which refer to the blocks behind them, and the blocks."""
        words = self._words
        base = len(words)
        for place in self._references:
            words[place] += base
        return np.concatenate([packed(words), *self._blocks])


def packed(words: Sequence[int]) -> npt.NDArray[np.int32]:
    """The words as an array, int32, read-only. A third of the time that numpy takes to look at every one."""
    return np.frombuffer(struct.pack(f"={len(words)}i", *words), dtype=np.int32)


_blocks: weakref.WeakKeyDictionary[Language, npt.NDArray[np.int32]] = weakref.WeakKeyDictionary()


def automaton_block(language: Language) -> npt.NDArray[np.int32]:
    """The words of one automaton; made once per `Language` object."""
    block = _blocks.get(language)
    if block is None:
        states, classes = language.transitions.shape
        sizes = np.bincount(language.byte_class, minlength=classes)
        class_start = AUTOMATON_CLASS_OF + 256
        class_bytes = class_start + classes + 1
        first_row = class_bytes + 256
        block = np.empty(first_row + states * (classes + 1), dtype=np.int32)
        block[:AUTOMATON_CLASS_OF] = states, classes, first_row, class_start, class_bytes
        block[AUTOMATON_CLASS_OF:class_start] = language.byte_class
        block[class_start] = 0
        np.add.accumulate(sizes, out=block[class_start + 1 : class_bytes])
        block[class_bytes:first_row] = language.byte_class.argsort(kind="stable")
        # A class that no byte uses must not make a state look alive.
        transitions = language.transitions if sizes.all() else np.where(sizes > 0, language.transitions, -1)
        rows = block[first_row:].reshape(states, classes + 1)
        rows[:, 1:] = transitions
        rows[:, 0] = language.accepting * ACCEPTING + (np.maximum.reduce(transitions, axis=1) >= 0) * LIVE
        _blocks[language] = block
    return block


def lengths_block(language: Language) -> npt.NDArray[np.int32]:
    """The words that tell how many code points lead from each state of an automaton to acceptance."""
    remaining = remaining_lengths(language)
    header = [int(remaining[:, 0].max()), int((remaining[:, 1] == UNBOUNDED).all())]
    return np.concatenate((np.array(header, dtype=np.int32), remaining.ravel()))
