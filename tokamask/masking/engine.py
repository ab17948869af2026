"""The engine: one arena of what is learned about a grammar and a vocabulary, and the questions put to it.

Configurations are numbers of one engine and mean nothing to another. Who keeps configurations keeps their engine, or
finds them again in another by reading the text once more (see `Matcher`).
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.arena import CONFIGURATION_COUNT, FULL, MOST_BYTES, VISITS, grown, new_arena
from tokamask.masking import requests
from tokamask.masking.bitmask import bitmask_words
from tokamask.masking.requests import request
from tokamask.masking.shortest import Shortest

if TYPE_CHECKING:
    from tokamask.grammar.program import Program
    from tokamask.masking.engine_cache import EngineCache
    from tokamask.masking.vocabulary import Vocabulary

__all__ = ["Engine"]

SHORTEST_BYTES = 320
"""What `Shortest` keeps for a configuration: an entry in each of two dictionaries, three integers and a pair."""

_NUMBERS = itertools.count()


@cache
def _request_entry() -> Callable[..., int]:
    """The compiled `request` itself: its types are pinned, so numba's look at every argument can be left out."""
    return cast(Callable[..., int], cast(Any, request).compile(None))


class Engine:
    """Answers questions about one program and one vocabulary, and learns meanwhile.

    Any number of threads may ask: kernels run one at a time, under a lock, with the GIL released.

    Args:
        program: what the grammar was assembled into.
        vocabulary: the model's tokens.
        pieces: the array V of the vocabulary.
        engine_cache: told how much memory the engine takes.
        arena: learned by another engine of the same program and vocabulary; None: nothing is known yet.

    Attributes:
        start: the configuration before the first byte.
        number: which engine of this process it is; no other ever has the same.
        is_used: set by every question; the cache resets it.
        settled_bytes: how large the engine was when a text was last read again to go on here.
        lock, ask, book_address: for who cannot afford `call`. `ask(book_address, question, a, b, c, d, e)`, under the
            lock, answers as `call` does, or FULL, which only `call` can mend.
    """

    __slots__ = (
        "__weakref__",
        "_arena",
        "_book",
        "_costs",
        "_engine_cache",
        "_pieces",
        "_row_words",
        "_shortest",
        "_shortest_lock",
        "ask",
        "book_address",
        "is_used",
        "lock",
        "number",
        "program",
        "settled_bytes",
        "start",
        "vocabulary",
    )

    def __init__(
        self,
        program: Program,
        vocabulary: Vocabulary,
        pieces: npt.NDArray[np.int32],
        engine_cache: EngineCache,
        arena: npt.NDArray[np.int32] | None = None,
    ) -> None:
        self.number = next(_NUMBERS)
        self.program = program
        self.vocabulary = vocabulary
        self.lock = threading.Lock()
        self.ask = _request_entry()
        self.is_used = True
        self._pieces = pieces
        self._engine_cache = engine_cache
        self._row_words = bitmask_words(vocabulary.size)
        self._shortest_lock = threading.Lock()
        self._shortest: Shortest | None = None
        self._costs: npt.NDArray[np.int32] | None = None
        self._book = np.zeros(requests.BOOK_SLOTS, dtype=np.int64)
        self.book_address = self._book.ctypes.data
        self._arena = new_arena(self._row_words) if arena is None else arena
        self._write_book(0, program.words)
        self._write_book(1, self._arena)
        self._write_book(2, pieces)
        self.start = self.call(requests.START, program.start)
        self.settled_bytes = self.nbytes

    @property
    def arena(self) -> npt.NDArray[np.int32]:
        """What is learned; it is written to, and replaced, under the lock."""
        return self._arena

    @property
    def nbytes(self) -> int:
        """The memory of everything learned."""
        if self._shortest is None or self._costs is None:
            return self._arena.nbytes
        return self._arena.nbytes + self._costs.nbytes + SHORTEST_BYTES * int(self._arena[CONFIGURATION_COUNT])

    @property
    def visits(self) -> int:
        """Trie nodes visited so far, for budgets of work."""
        return int(self._arena[VISITS])

    @property
    def shortest(self) -> Shortest:
        """Shortest completions; the grammar is analysed on first use."""
        if self._shortest is None:
            with self._shortest_lock:
                if self._shortest is None:
                    # Its owner keeps the engine: in a circle neither would be freed before Python looks for circles.
                    self._shortest = Shortest(weakref.proxy(self))
        return self._shortest

    def provide_costs(self, costs: npt.NDArray[np.int32]) -> None:
        """Put the array K of `record_costs` into the book."""
        with self.lock:
            self._costs = costs
            self._write_book(3, costs)

    def call(self, question: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0, e: int = 0) -> int:
        """Ask the engine (see `requests`); the arena grows as often as that needs it.

        Raises:
            CompileBudgetExceeded: the arena would outgrow `MOST_BYTES`, or one step has too many threads. The engine
                is given up then, so that only what one text needs can be too much, never what many have left.
        """
        self.is_used = True
        with self.lock:
            while True:
                answer = self.ask(self.book_address, question, a, b, c, d, e)
                if answer != FULL:
                    return answer
                self._grow()

    @contextmanager
    def settling(self) -> Iterator[None]:
        """While a text is read again to go on here: what is known then is in use."""
        self.settled_bytes = MOST_BYTES
        try:
            yield
        finally:
            self.settled_bytes = self.nbytes

    def _grow(self) -> None:
        before = self._arena.nbytes
        try:
            self._arena = grown(self._arena, self._row_words, MOST_BYTES)
        except CompileBudgetExceeded:
            self._engine_cache.drop(self)
            raise
        self._write_book(1, self._arena)
        self._engine_cache.count(self._arena.nbytes - before, self)

    def _write_book(self, slot: int, array: npt.NDArray[Any]) -> None:
        self._book[2 * slot] = array.ctypes.data
        self._book[2 * slot + 1] = len(array)
