"""From a grammar to a compiled grammar: the grammar's program beside a vocabulary's pieces, and room to learn."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from tokamask.errors import CompileBudgetExceeded, VocabularyMismatch
from tokamask.grammar.arena import FULL, MOST_BYTES, VISITS, grown, new_arena
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.program import Program
from tokamask.masking import requests
from tokamask.masking.bitmask import bitmask_words, pack_row
from tokamask.masking.disk_cache import DiskCache
from tokamask.masking.matcher import Matcher
from tokamask.masking.pieces import PIECES_VERSION, build_pieces
from tokamask.masking.requests import request
from tokamask.masking.shortest import Shortest
from tokamask.masking.vocabulary import Vocabulary

__all__ = ["Budget", "CompiledGrammar", "GrammarCompiler"]

FORMAT_VERSION = 2
"""Of saved compiled grammars: program and arena layout."""


@dataclass(frozen=True)
class Budget:
    """What one grammar may cost.

    Attributes:
        compile_seconds: wall time of `compile`; beyond it CompileBudgetExceeded.
        arena_bytes: memory for what is learned about one grammar while it is used; beyond it CompileBudgetExceeded.
    """

    compile_seconds: float = 30.0
    arena_bytes: int = MOST_BYTES


class GrammarCompiler:
    """Compiles grammars for one vocabulary; any number of threads may share it.

    Args:
        vocabulary: the model's tokens.
        cache_dir: where the vocabulary's pieces are kept between runs (None: the user's cache folder). A folder that
            cannot be used costs time, not answers.
        budget: limits per grammar.
    """

    def __init__(
        self, vocabulary: Vocabulary, cache_dir: str | Path | None = None, budget: Budget | None = None
    ) -> None:
        self.vocabulary = vocabulary
        self.budget = Budget() if budget is None else budget
        cache = DiskCache(cache_dir)
        key = f"pieces-{PIECES_VERSION}-{vocabulary.fingerprint}"
        pieces = cache.load_or_build(key, lambda: {"pieces": build_pieces(vocabulary)})
        self._pieces: npt.NDArray[np.int32] = np.ascontiguousarray(pieces["pieces"])
        self._lock = threading.Lock()
        self._compiled: weakref.WeakKeyDictionary[Grammar, CompiledGrammar] = weakref.WeakKeyDictionary()

    def compile(self, grammar: Grammar) -> CompiledGrammar:
        """The grammar bound to the vocabulary; the same object for the same grammar.

        Raises:
            CompileBudgetExceeded: it took longer than the budget allows.
        """
        with self._lock:
            compiled = self._compiled.get(grammar)
        if compiled is None:
            begun = time.monotonic()
            program = grammar.program
            elapsed = time.monotonic() - begun
            if elapsed > self.budget.compile_seconds:
                raise CompileBudgetExceeded(
                    f"compiling took {elapsed:.1f} s, more than compile_seconds={self.budget.compile_seconds}"
                )
            compiled = CompiledGrammar(program, self.vocabulary, self._pieces, self.budget, grammar.is_exact)
            with self._lock:
                compiled = self._compiled.setdefault(grammar, compiled)
        return compiled

    def load(self, path: str | Path) -> CompiledGrammar:
        """A compiled grammar saved for this vocabulary, with what it had learned.

        Damage is noticed, malice is not: load what you saved yourself.

        Raises:
            VocabularyMismatch: it was saved for another vocabulary, by another version, or is no such file.
        """
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as saved:
                version, fingerprint = int(saved["version"]), str(saved["fingerprint"])
                if version == FORMAT_VERSION and fingerprint == self.vocabulary.fingerprint:
                    program = Program(saved["program"], int(saved["start"]), saved["records"])
                    arena, is_exact = saved["arena"], bool(saved["is_exact"])
        except (OSError, EOFError, BadZipFile) as error:
            raise VocabularyMismatch(f"{path} is not a saved compiled grammar: {error}") from error
        except (KeyError, ValueError) as error:
            raise VocabularyMismatch(f"{path} is not a saved compiled grammar, or it is damaged: {error}") from error
        if version != FORMAT_VERSION:
            raise VocabularyMismatch(f"{path} has format {version}, this version reads {FORMAT_VERSION}; compile again")
        if fingerprint != self.vocabulary.fingerprint:
            raise VocabularyMismatch(f"{path} belongs to another vocabulary ({fingerprint[:12]}...); compile again")
        compiled = CompiledGrammar(program, self.vocabulary, self._pieces, self.budget, is_exact)
        compiled.adopt(arena)
        return compiled


class CompiledGrammar:
    """A grammar bound to a vocabulary, with everything learned about the pair; made by `GrammarCompiler.compile`.

    Any number of threads may use it: kernels run one at a time, under a lock, with the GIL released.
    """

    def __init__(
        self,
        program: Program,
        vocabulary: Vocabulary,
        pieces: npt.NDArray[np.int32],
        budget: Budget,
        is_exact: bool,
    ) -> None:
        self.vocabulary = vocabulary
        self.is_exact = is_exact
        self._program = program
        self._pieces = pieces
        self._budget = budget
        self._row_words = bitmask_words(vocabulary.size)
        self._lock = threading.Lock()
        self._shortest_lock = threading.Lock()
        self._shortest: Shortest | None = None
        self._costs: npt.NDArray[np.int32] | None = None
        self._book = np.zeros(requests.BOOK_SLOTS, dtype=np.int64)
        self._book_address = self._book.ctypes.data
        self._write_book(0, program.words)
        self._write_book(2, pieces)
        self._arena = new_arena()
        self._write_book(1, self._arena)
        self._start = self.call(requests.START, program.start)

    @property
    def start(self) -> int:
        """The configuration before the first byte."""
        return self._start

    @property
    def program(self) -> Program:
        return self._program

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
                    self._shortest = Shortest(self)
        return self._shortest

    def provide_costs(self, costs: npt.NDArray[np.int32]) -> None:
        """Put the array K of `cost_kernels` into the book."""
        with self._lock:
            self._costs = costs
            self._write_book(3, costs)

    @cached_property
    def text_row(self) -> npt.NDArray[np.int32]:
        """A bitmask row of every token that is text."""
        texts = self.vocabulary.token_bytes
        return pack_row(np.fromiter((text is not None for text in texts), dtype=np.bool_, count=len(texts)))

    def matcher(self, stop_token_ids: Iterable[int] | None = None, think_until_token: int | None = None) -> Matcher:
        """A matcher for one request.

        Args:
            stop_token_ids: in place of the vocabulary's own.
            think_until_token: text is free until this token (usually a special one), then the grammar begins. For a
                marker that is text see `Grammar.after_marker`.

        Raises:
            VocabularyMismatch: an id outside of the vocabulary.
        """
        stops = self.vocabulary.stop_token_ids if stop_token_ids is None else stop_token_ids
        return Matcher(self, stops, think_until_token)

    def call(self, question: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0, e: int = 0) -> int:
        """Ask the engine (see `requests`); the arena grows as often as that needs it.

        Raises:
            CompileBudgetExceeded: the arena would outgrow `Budget.arena_bytes`, or one step has too many threads.
        """
        with self._lock:
            while True:
                answer: int = request(self._book_address, question, a, b, c, d, e)
                if answer != FULL:
                    return answer
                self._arena = grown(self._arena, self._row_words, self._budget.arena_bytes)
                self._write_book(1, self._arena)

    def save(self, path: str | Path) -> None:
        """Write the compiled grammar and what it has learned to one .npz file (no pickles)."""
        with self._lock, open(path, "wb") as file:
            np.savez(
                file,
                version=FORMAT_VERSION,
                fingerprint=self.vocabulary.fingerprint,
                program=self._program.words,
                records=self._program.records,
                start=self._program.start,
                is_exact=self.is_exact,
                arena=self._arena,
            )

    def adopt(self, arena: npt.NDArray[np.int32]) -> None:
        """Take over a saved arena of the same program."""
        with self._lock:
            self._arena = np.ascontiguousarray(arena)
            self._write_book(1, self._arena)

    def _write_book(self, slot: int, array: npt.NDArray[Any]) -> None:
        self._book[2 * slot] = array.ctypes.data
        self._book[2 * slot + 1] = len(array)
