"""The configurations that tokens lead to, explored as far as asked, and the tokens in classes.

A `TokenGraph` belongs to a compiled grammar and learns: what it has explored for one canvas is there for the next. Its
answers do not depend on what was asked before. It keeps the engine whose configurations are its nodes. Exploration is
exact, so where a grammar leads to more places than the budget allows it is refused, not cut short.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tokamask.errors import CompileBudgetExceeded
from tokamask.masking import requests
from tokamask.masking.automaton_costs import MISSING_BYTE, NEVER
from tokamask.masking.bitmask import bitmask_words, pack_row, unpack_row
from tokamask.masking.infilling_kernels import refine
from tokamask.masking.shortest import COST_ERROR
from tokamask.masking.target_kernels import TOO_MANY

if TYPE_CHECKING:
    from tokamask.masking.compiler import CompiledGrammar
    from tokamask.masking.engine import Engine

__all__ = ["InfillingBudget", "TokenGraph", "shared_graph"]

ANY_NUMBER = 1 << 30

RECENT_GRAPHS = 16
"""Graphs that are kept between calls, each with its compiled grammar."""


@dataclass(frozen=True)
class InfillingBudget:
    """What one canvas, or one text between two others, may cost; beyond it CompileBudgetExceeded.

    Attributes:
        configurations: of the grammar that may be met, at most.
        tokens: allowed in all of these together, at most; a hundred million take some seconds to try.
        edges: of one lattice, at most; each takes 8 bytes, and a step visits it six times.
        table: cells of the table that splits token classes, at most; each takes 4 bytes for a moment.
    """

    configurations: int = 20_000
    tokens: int = 200_000_000
    edges: int = 20_000_000
    table: int = 50_000_000


DEFAULT_BUDGET = InfillingBudget()


class TokenGraph:
    """Configurations as nodes, tokens as edges. Any number of threads may use it."""

    def __init__(
        self, compiled: CompiledGrammar, budget: InfillingBudget = DEFAULT_BUDGET, engine: Engine | None = None
    ) -> None:
        self.compiled = compiled
        self.engine = engine or compiled.engine
        self.budget = budget
        self._lock = threading.RLock()
        self._longest = max((len(text) for text in compiled.vocabulary.token_bytes if text), default=1)
        self._forget()

    def _forget(self) -> None:
        self._successors: dict[int, tuple[frozenset[int], int]] = {}
        self._fewest: dict[int, int] = {}
        # The classes that all learned configurations together tell apart, and one token of each.
        self._class_of = np.zeros(self.engine.vocabulary.size, dtype=np.int32)
        self._examples = np.zeros(1, dtype=np.int64)
        self._learned: set[int] = set()

    def explore(self) -> Exploration:
        """A walk through the graph that counts what it meets."""
        with self._lock:
            if len(self._successors) > 2 * self.budget.configurations:
                self._forget()
        return Exploration(self)

    def is_accepting(self, configuration: int) -> bool:
        """Whether the text may end there."""
        return bool(self.engine.call(requests.IS_ACCEPTING_AT, configuration))

    def after_token(self, configuration: int, token: int) -> int:
        """The configuration behind a token; 0 where the token cannot follow."""
        return self.engine.call(requests.ACCEPT, configuration, token)

    def after_bytes(self, configuration: int, data: bytes) -> int:
        """The configuration behind some bytes; 0 where they cannot follow."""
        return self.engine.read(configuration, data)

    def fewest_tokens(self, configuration: int) -> int:
        """A lower bound, by counting bytes, on the tokens that complete the text."""
        fewest = self._fewest.get(configuration)
        if fewest is None:
            _ = self.engine.shortest  # costs are known once it is made
            cost = self.engine.call(requests.COST_OF, configuration)
            fewest = -(-max(0, cost - COST_ERROR) // self._longest) if cost < MISSING_BYTE else 0
            self._fewest[configuration] = fewest
        return fewest

    def successors(self, configuration: int) -> tuple[frozenset[int], int]:
        """The configurations that are one token on, and how many tokens lead there."""
        known = self._successors.get(configuration)
        if known is not None:
            return known
        pairs, _ = self.engine.successors(configuration, NEVER, ANY_NUMBER)
        row = np.empty(bitmask_words(self.engine.vocabulary.size), dtype=np.int32)
        self.engine.call(requests.FILL, configuration, row.ctypes.data)
        tokens = int(np.count_nonzero(unpack_row(row, self.engine.vocabulary.size)))
        found = self._successors[configuration] = frozenset(pairs[:, 0].tolist()), tokens
        return found

    def columns(self, configurations: Sequence[int]) -> tuple[npt.NDArray[np.int32], list[npt.NDArray[np.int32]]]:
        """Tokens in classes, and where each class leads from each configuration.

        Returns:
            int32 (V,): the class of each token. Tokens of a class lead to the same places from all configurations
                learned so far. Class 0 is never allowed.
            one int32 (classes,) per configuration: the configuration behind the class, 0 where it is not allowed.

        Raises:
            CompileBudgetExceeded: there are too many classes.
        """
        with self._lock:
            for configuration in configurations:
                if configuration not in self._learned:
                    self._learn(configuration)
                    self._learned.add(configuration)
            is_example = np.zeros(len(self._class_of), dtype=np.bool_)
            is_example[self._examples[1:]] = True
            examples = pack_row(is_example)
            columns = []
            for configuration in configurations:
                _, _, behind = self._targets(configuration, examples)
                column = behind[self._examples]
                column[0] = 0
                columns.append(column)
            return self._class_of.copy(), columns

    def behind_each_token(self, configuration: int) -> npt.NDArray[np.int32]:
        """int32 (V,): the configuration behind each token, 0 where it cannot follow."""
        with self._lock:
            return self._targets(configuration, None)[2]

    def _learn(self, configuration: int) -> None:
        """Split the classes by where one configuration leads."""
        allowed, reached, behind = self._targets(configuration, None)
        if not len(reached):
            return
        targets = len(reached) + 1
        classes = len(self._examples)
        if classes * targets > self.budget.table:
            raise CompileBudgetExceeded(
                f"{classes} token classes lead to {targets - 1} places from one configuration, more than infilling can "
                "tell apart; bound the grammar or raise InfillingBudget.table"
            )
        ordered = np.sort(reached)
        column = np.zeros(len(self._class_of), dtype=np.int32)
        column[allowed] = 1 + np.searchsorted(ordered, behind[allowed])
        refined = self._class_of.copy()
        table = np.full(classes * targets, -1, dtype=np.int32)
        count = refine(refined, column, table, targets)
        examples = np.zeros(count, dtype=np.int64)
        # Written last to first, the first token of a class remains; class 0 has no example.
        examples[refined[::-1]] = np.arange(len(refined))[::-1]
        self._class_of, self._examples = refined, examples

    def _targets(
        self, configuration: int, among: npt.NDArray[np.int32] | None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """The allowed tokens (of the bitmask row `among`), the distinct configurations behind them, and, per token,
        the one behind it (0: not allowed)."""
        size = self.engine.vocabulary.size
        row = np.empty(bitmask_words(size), dtype=np.int32)
        self.engine.call(requests.FILL, configuration, row.ctypes.data)
        if among is not None:
            row &= among
        allowed = np.flatnonzero(unpack_row(row, size))
        behind = np.zeros(32 * len(row), dtype=np.int32)
        capacity = 1024
        while True:
            reached = np.empty(capacity, dtype=np.int32)
            more = np.array([behind.ctypes.data, reached.ctypes.data, capacity], dtype=np.int64)
            count = self.engine.call(requests.TARGETS, configuration, row.ctypes.data, more.ctypes.data)
            if count != TOO_MANY:
                return allowed, reached[:count], behind[:size]
            capacity *= 4


class Exploration:
    """Successors for one purpose; what it meets counts against the budget, whether or not it was known before."""

    def __init__(self, graph: TokenGraph) -> None:
        self._graph = graph
        self._met: set[int] = set()
        self._tokens = 0

    def successors(self, configuration: int) -> frozenset[int]:
        """The configurations that are one token on.

        Raises:
            CompileBudgetExceeded: more was met than the budget allows.
        """
        found, tokens = self._graph.successors(configuration)
        if configuration not in self._met:
            self._met.add(configuration)
            self._tokens += tokens
            budget = self._graph.budget
            if len(self._met) > budget.configurations or self._tokens > budget.tokens:
                raise CompileBudgetExceeded(
                    f"infilling meets more of this grammar than InfillingBudget(configurations={budget.configurations},"
                    f" tokens={budget.tokens}) allows: recursion, long counted repetitions and objects with many "
                    "orders lead to many configurations. Ask for fewer tokens or bound the grammar"
                )
        return found


def shared_graph(compiled: CompiledGrammar) -> TokenGraph:
    """The graph that all calls with a compiled grammar share, as long as it keeps its engine."""
    return _graph_of(compiled, compiled.engine)


@lru_cache(maxsize=RECENT_GRAPHS)
def _graph_of(compiled: CompiledGrammar, engine: Engine) -> TokenGraph:
    return TokenGraph(compiled, engine=engine)
