"""The engine: one arena of what is learned about a grammar and a vocabulary, and the questions put to it.

Configurations are numbers of one engine and mean nothing to another. Who keeps configurations keeps their engine, or
finds them again in another by reading the text once more (see `Matcher`).
"""

from __future__ import annotations

import itertools
import threading
import time
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
from tokamask.masking.requests import BUSY, request
from tokamask.masking.shortest import Shortest
from tokamask.masking.target_kernels import TOO_MANY

if TYPE_CHECKING:
    from tokamask.grammar.program import Program
    from tokamask.masking.engine_cache import EngineCache
    from tokamask.masking.vocabulary import Vocabulary

__all__ = ["Engine"]

WAIT = 50e-6
"""Seconds between two looks at whether it is one's turn."""

SHORTEST_BYTES = 320
"""What `Shortest` keeps for a configuration: an entry in each of two dictionaries, three integers and a pair."""

_NUMBERS = itertools.count()


@cache
def _request_entry() -> Callable[..., int]:
    """The compiled `request` itself: its types are pinned, so numba's look at every argument can be left out."""
    return cast(Callable[..., int], cast(Any, request).compile(None))


class Engine:
    """Answers questions about one program and one vocabulary, and learns meanwhile.

    Any number of threads may ask: kernels run one at a time, with the GIL released, and see to that themselves (see
    `requests`). A thread that finds another's running tries for a microsecond, then sleeps between its trials.

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
        ask, book_address: for who cannot afford `call`. `ask(book_address, question, a, b, c)` answers as `call` does,
            or BUSY or FULL, and only `call` can then go on.
    """

    __slots__ = (
        "__weakref__",
        "_arena",
        "_books",
        "_costs",
        "_engine_cache",
        "_own_book_address",
        "_pieces",
        "_row_words",
        "_shortest",
        "_shortest_lock",
        "ask",
        "book_address",
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
        self.ask = _request_entry()
        self._pieces = pieces
        self._engine_cache = engine_cache
        self._row_words = bitmask_words(vocabulary.size)
        self._shortest_lock = threading.Lock()
        self._shortest: Shortest | None = None
        self._costs: npt.NDArray[np.int32] | None = None
        # The book, and one for the thread that holds the turn.
        self._books = np.zeros((2, requests.BOOK_SLOTS), dtype=np.int64)
        self.book_address, self._own_book_address = (book.ctypes.data for book in self._books)
        self._arena = new_arena(self._row_words) if arena is None else arena
        self._write_book(requests.PROGRAM, program.words)
        self._write_book(requests.ARENA, self._arena)
        self._write_book(requests.PIECES, pieces)
        self.start = self.call(requests.START, program.start)
        self.settled_bytes = self.nbytes

    @property
    def arena(self) -> npt.NDArray[np.int32]:
        """What is learned; others may write to it and replace it, except while it is `held`."""
        return self._arena

    @property
    def nbytes(self) -> int:
        """The memory of everything learned."""
        if self._shortest is None or self._costs is None:
            return self._arena.nbytes
        steps = SHORTEST_BYTES * int(self._arena[CONFIGURATION_COUNT])
        return self._arena.nbytes + self._costs.nbytes + steps + self._shortest.reach_bytes

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
        with self.held():
            self._costs = costs
            self._write_book(requests.COSTS, costs)

    @property
    def is_used(self) -> bool:
        """Whether anything was asked since this was set to False."""
        return bool(self._books[:, requests.IS_USED].any())

    @is_used.setter
    def is_used(self, is_used: bool) -> None:
        self._books[:, requests.IS_USED] = is_used

    def call(self, question: int, a: int = 0, b: int = 0, c: int = 0) -> int:
        """Ask the engine (see `requests`); the arena grows as often as that needs it.

        Raises:
            CompileBudgetExceeded: the arena would outgrow `MOST_BYTES`, or one step has too many threads. The engine
                is given up then, so that only what one text needs can be too much, never what many have left.
        """
        answer = self.ask(self.book_address, question, a, b, c)
        if answer != BUSY and answer != FULL:
            return answer
        with self.held():
            while (answer := self.ask(self._own_book_address, question, a, b, c)) == FULL:
                self._grow()
            return answer

    def read(self, configuration: int, data: bytes) -> int:
        """The configuration behind some bytes; 0 where they cannot follow. Raises as `call` does."""
        octets = np.frombuffer(data, dtype=np.uint8)
        return self.call(requests.READ, configuration, octets.ctypes.data, len(data))

    def successors(self, configuration: int, below: int, nodes: int) -> tuple[npt.NDArray[np.int32], int]:
        """What is one token on and costs less than `below`, and the trie nodes that finding it took.

        Incomplete beyond `nodes` nodes. The count is the kernel's own, so that it depends on nothing but the question.

        Returns:
            int32 (n, 2): distinct configurations, each with a token that leads there; and the number of nodes.
        """
        capacity = 1024
        while True:
            pairs = np.empty(2 * capacity + 1, dtype=np.int32)
            more = np.array([capacity, below, nodes], dtype=np.int64)
            found = self.call(requests.SUCCESSORS, configuration, pairs.ctypes.data, more.ctypes.data)
            if found != TOO_MANY:
                return pairs[: 2 * found].reshape(-1, 2), int(pairs[-1])
            capacity *= 4

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is answered to other threads meanwhile.

        Wherever an interrupt comes, the turn is not lost: giving it back has no effect where somebody else has it.
        """
        thread = threading.get_ident()
        try:
            while self.ask(self.book_address, requests.HOLD, thread, 0, 0) == BUSY:
                time.sleep(WAIT)
            yield
        finally:
            self.ask(self.book_address, requests.LET_GO, thread, 0, 0)

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
        self._write_book(requests.ARENA, self._arena)
        self._engine_cache.count(self._arena.nbytes - before, self)

    def _write_book(self, slot: int, array: npt.NDArray[Any]) -> None:
        self._books[:, slot] = array.ctypes.data
        self._books[:, slot + 1] = len(array)
