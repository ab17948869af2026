"""From a grammar to a compiled grammar: the grammar's program beside a vocabulary's pieces, and engines to ask."""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import without_leftovers
from tokamask.grammar.budget import Budget
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.program import Program
from tokamask.masking.bitmask import bitmask_words, pack_row
from tokamask.masking.disk_cache import DiskCache
from tokamask.masking.engine import Engine
from tokamask.masking.engine_cache import EngineCache
from tokamask.masking.matcher import Matcher
from tokamask.masking.pieces import PIECES_VERSION, build_pieces
from tokamask.masking.saved import Saved, read_saved, write_saved
from tokamask.masking.vocabulary import Vocabulary

__all__ = ["Budget", "CompiledGrammar", "GrammarCompiler"]


class GrammarCompiler:
    """Compiles grammars for one vocabulary; any number of threads may share it.

    Args:
        vocabulary: the model's tokens.
        cache_dir: where the vocabulary's pieces are kept between runs (None: the user's cache folder). A folder that
            cannot be used costs time, not answers.
        budget: what compiling one grammar may cost, and how much memory what is learned about all of them.
    """

    def __init__(
        self, vocabulary: Vocabulary, cache_dir: str | Path | None = None, budget: Budget | None = None
    ) -> None:
        if not isinstance(vocabulary, Vocabulary):
            raise TypeError(
                f"vocabulary must be a Vocabulary, not {type(vocabulary).__name__}; Vocabulary.from_tokenizer makes one"
            )
        if not isinstance(budget, Budget | None):
            raise TypeError(f"budget must be a Budget(compile_seconds=..., ...), not {type(budget).__name__}")
        self.vocabulary = vocabulary
        self.budget = Budget() if budget is None else budget
        cache = DiskCache(cache_dir)
        key = f"pieces-{PIECES_VERSION}-{vocabulary.fingerprint}"
        pieces = cache.load_or_build(key, lambda: {"pieces": build_pieces(vocabulary)})
        self._pieces: npt.NDArray[np.int32] = np.ascontiguousarray(pieces["pieces"])
        self._lock = threading.Lock()
        self._compiled: weakref.WeakKeyDictionary[Grammar, CompiledGrammar] = weakref.WeakKeyDictionary()
        self._engines = EngineCache(self.budget.cache_bytes)

    @property
    def cached_bytes(self) -> int:
        """The memory of what is learned, which `Budget.cache_bytes` bounds."""
        return self._engines.nbytes

    def compile(self, grammar: Grammar) -> CompiledGrammar:
        """The grammar bound to the vocabulary; the same object for the same grammar.

        A grammar that is not exact is warned of, as masks alone then promise less than its schema says.

        Raises:
            CompileBudgetExceeded: it takes more time or states than the budget allows.
            TypeError: a schema or a text, which `Grammar.from_...` makes a grammar of.
        """
        compiled = self.bind(grammar)
        if not compiled.is_exact:
            warnings.warn(
                "this grammar leaves out keywords of its schema (its explain() lists them), so masks allow more than "
                "the schema does; validate what was written",
                stacklevel=2,
            )
        return compiled

    def bind(self, grammar: Grammar) -> CompiledGrammar:
        """As `compile`, for who validates what was written: nothing is warned of."""
        if not isinstance(grammar, Grammar):
            raise TypeError(f"compile takes a Grammar, not {type(grammar).__name__}; its from_ methods make one")
        with self._lock:
            compiled = self._compiled.get(grammar)
        if compiled is None:
            with self.budget.enforced():
                program = grammar.program
            compiled = CompiledGrammar(program, self.vocabulary, self._pieces, self._engines, grammar.is_exact)
            with self._lock:
                compiled = self._compiled.setdefault(grammar, compiled)
        return compiled

    def load(self, path: str | Path) -> CompiledGrammar:
        """A compiled grammar saved for this vocabulary, with what it had learned.

        Damage is noticed, malice is not: load what you saved yourself.

        Raises:
            VocabularyMismatch: it was saved for another vocabulary or by another version, or is damaged, or is no such
                file.
        """
        saved = read_saved(path, self.vocabulary.fingerprint)
        return CompiledGrammar(saved.program, self.vocabulary, self._pieces, self._engines, saved.is_exact, saved.arena)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a GrammarCompiler can be neither copied nor pickled: share it, as any number of threads may; in another "
            "process make one of the same vocabulary and cache_dir, which finds its pieces there"
        )


class CompiledGrammar:
    """A grammar bound to a vocabulary; made by `GrammarCompiler.compile`. Any number of threads may use it.

    What is learned about the pair is in an engine. It may be given up at any time when memory is short: the next
    question then finds a new one, and the same answers.
    """

    def __init__(
        self,
        program: Program,
        vocabulary: Vocabulary,
        pieces: npt.NDArray[np.int32],
        engine_cache: EngineCache,
        is_exact: bool,
        arena: npt.NDArray[np.int32] | None = None,
    ) -> None:
        self.vocabulary = vocabulary
        self.is_exact = is_exact
        self._program = program
        self._pieces = pieces
        self._engine_cache = engine_cache
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._begin_engine(arena)

    @property
    def program(self) -> Program:
        return self._program

    @property
    def engine(self) -> Engine:
        """The engine to ask. Configurations are numbers of the engine that gave them: hold it as long as them."""
        return self._engine or self._begin_engine(None)

    @property
    def present_engine(self) -> Engine | None:
        """The engine, unless it was given up."""
        return self._engine

    def give_up(self, engine: Engine) -> None:
        """Let go of an engine; who holds it can still use it."""
        if self._engine is engine:
            self._engine = None

    @property
    def visits(self) -> int:
        """Trie nodes that the present engine has visited, for budgets of work."""
        return self.engine.visits

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

    def save(self, path: str | Path) -> None:
        """Write the compiled grammar and what it has learned to one file (no pickles)."""
        engine = self.engine
        with engine.held():
            arena = without_leftovers(engine.arena, bitmask_words(self.vocabulary.size))
        saved = Saved(self._program, arena, self.is_exact)
        write_saved(path, saved, self.vocabulary.fingerprint)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a CompiledGrammar can be neither copied nor pickled: share it, as any number of threads may; save() "
            "writes it to a file, from which GrammarCompiler.load reads it in another process"
        )

    def _begin_engine(self, arena: npt.NDArray[np.int32] | None) -> Engine:
        with self._lock:
            engine = self._engine
            if engine is not None:
                return engine
            engine = self._engine = Engine(self._program, self.vocabulary, self._pieces, self._engine_cache, arena)
        self._engine_cache.admit(self, engine)
        return engine
