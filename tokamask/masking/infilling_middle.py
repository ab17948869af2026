"""What may stand between two texts so that the whole is a document of a grammar.

A middle may end at a configuration from which the text behind it reads to the document's end. How many tokens away the
nearest such place is, is found by searching the graph of configurations backwards; a token is allowed when its place
is near enough. So the mask is exact, and where the graph is too large to be searched the middle is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable
from functools import lru_cache
from operator import index

import numpy as np
import numpy.typing as npt

from tokamask.errors import BudgetTooSmall, TokenRejected, UnsatisfiableSchema
from tokamask.masking.automaton_costs import NEVER
from tokamask.masking.bitmask import pack_row, set_tokens
from tokamask.masking.engine import Engine
from tokamask.masking.infilling_graph import TokenGraph
from tokamask.masking.matcher import Matcher

__all__ = ["Middle", "MiddleMatcher"]

REMEMBERED_MASKS = 128
"""Configurations whose tokens' distances are kept; of a large vocabulary each takes half a megabyte."""


class Middle:
    """The texts of at most `max_tokens` tokens (stop token included) between a prefix and a suffix.

    Args:
        stop_token_ids: in place of the vocabulary's own.

    Raises:
        TokenRejected: no document begins with the prefix.
        UnsatisfiableSchema: no document begins with the prefix and ends with the suffix within so many tokens.
        BudgetTooSmall: only for want of a stop token more.
        CompileBudgetExceeded: so many tokens lead to too many configurations (see `InfillingBudget`).
    """

    def __init__(
        self,
        graph: TokenGraph,
        prefix: bytes,
        suffix: bytes,
        max_tokens: int,
        stop_token_ids: Collection[int] | None = None,
    ) -> None:
        self._graph = graph
        self._suffix = suffix
        self._max_tokens = max_tokens
        stops = graph.compiled.vocabulary.stop_token_ids if stop_token_ids is None else stop_token_ids
        self.stop_token_ids = tuple(sorted(stops))
        self._distances: dict[int, int] = {}
        self._roots: set[int] = set()
        self._distances_behind = lru_cache(maxsize=REMEMBERED_MASKS)(self._find_distances_behind)
        self.start = graph.after_bytes(graph.engine.start, prefix) if prefix else graph.engine.start
        if self.start == 0:
            raise TokenRejected(f"no document of the constraint begins with {prefix[:60]!r}")
        self.explore(self.start)
        needed = self.distance(self.start) + bool(self.stop_token_ids)
        if needed >= NEVER:
            raise UnsatisfiableSchema(
                f"no document of the constraint begins with {prefix[-60:]!r} and, after at most {max_tokens} tokens, "
                f"ends with {suffix[:60]!r}; change the texts or raise max_tokens"
            )
        if needed > max_tokens:
            raise BudgetTooSmall(needed, max_tokens)

    @property
    def graph(self) -> TokenGraph:
        return self._graph

    def explore(self, root: int) -> None:
        """Find the distances of what `max_tokens` tokens reach from a configuration: exact up to what they hold."""
        if root in self._roots:
            return
        exploration = self._graph.explore()
        came_from: dict[int, list[int]] = {root: []}
        layer = [root]
        for _ in range(self._max_tokens):
            further = []
            for configuration in layer:
                for target in exploration.successors(configuration):
                    if target not in came_from:
                        came_from[target] = []
                        further.append(target)
                    came_from[target].append(configuration)
            layer = further
            if not layer:
                break
        found = {configuration: 0 for configuration in came_from if self._may_end(configuration)}
        nearer = deque(found)
        while nearer:
            configuration = nearer.popleft()
            for source in came_from[configuration]:
                if source not in found:
                    found[source] = found[configuration] + 1
                    nearer.append(source)
        for configuration, distance in found.items():
            self._distances[configuration] = min(distance, self.distance(configuration))
        self._roots.add(root)
        self._distances_behind.cache_clear()

    def distance(self, configuration: int) -> int:
        """The tokens, stop token not counted, up to where the middle may end; NEVER where it cannot."""
        return self._distances.get(configuration, NEVER)

    def fill(self, configuration: int, row: npt.NDArray[np.int32], tokens_left: int | None) -> None:
        """Write a row of a bitmask: the tokens after which the middle can end within `tokens_left` tokens."""
        left = NEVER - 1 if tokens_left is None else tokens_left - 1 - bool(self.stop_token_ids)
        row[:] = pack_row(self._distances_behind(configuration) <= left)
        if self.distance(configuration) == 0 and (tokens_left is None or tokens_left > 0):
            set_tokens(row, self.stop_token_ids)

    def next_token(self, configuration: int) -> int:
        """The lowest token that leads one step nearer."""
        return int(np.flatnonzero(self._distances_behind(configuration) == self.distance(configuration) - 1)[0])

    def _may_end(self, configuration: int) -> bool:
        behind = self._graph.after_bytes(configuration, self._suffix) if self._suffix else configuration
        return behind > 0 and self._graph.is_accepting(behind)

    def _find_distances_behind(self, configuration: int) -> npt.NDArray[np.int32]:
        """int32 (V,): the distance behind each token; NEVER where it is not allowed."""
        behind = self._graph.behind_each_token(configuration)
        targets, place = np.unique(behind, return_inverse=True)
        distances = [NEVER if target == 0 else self.distance(target) for target in targets.tolist()]
        return np.array(distances, dtype=np.int32)[place.reshape(-1)]


class MiddleMatcher(Matcher):
    """Follows the text of a middle; it is accepting where the middle may end.

    Masks without `tokens_left` are those of at most the middle's `max_tokens` tokens.
    """

    __slots__ = ("_middle",)

    def __init__(self, middle: Middle) -> None:
        self._middle = middle
        super().__init__(middle.graph.compiled, middle.stop_token_ids)

    def _begin(self) -> Engine:
        return self._begin_at(self._middle.graph.engine, self._middle.start)

    @property
    def is_accepting(self) -> bool:
        return self._middle.distance(abs(self._history[1])) == 0

    @property
    def is_terminated(self) -> bool:
        configuration = self._history[1]
        if configuration < 0 or self._stop_set:
            return configuration < 0
        successors, _ = self._middle.graph.successors(configuration)
        return self.is_accepting and all(self._middle.distance(each) >= NEVER for each in successors)

    def accept_token(self, token_id: int) -> None:
        self._accept(index(token_id))

    def accept_bytes(self, data: bytes) -> None:
        before = self._history
        super().accept_bytes(data)
        self._middle.explore(self._history[1])
        if self._middle.distance(self._history[1]) >= NEVER:
            self._history = before
            raise TokenRejected(f"after {data[:60]!r} no text leads to the suffix")

    def fork(self) -> MiddleMatcher:
        twin = MiddleMatcher(self._middle)
        twin._history = self._history
        return twin

    def fill_bitmask(self, bitmask: npt.NDArray[np.int32], row: int, tokens_left: int | None = None) -> None:
        configuration = self._history[1]
        if configuration < 0:
            super().fill_bitmask(bitmask, row, tokens_left)
            return
        if bitmask is not self._bitmask:
            self._bind(bitmask)
        if not 0 <= row < len(bitmask):
            raise IndexError(f"row {row} of a bitmask with {len(bitmask)} rows")
        self._middle.fill(configuration, bitmask[row], tokens_left)

    def mask_name(self, tokens_left: int | None = None) -> Hashable:
        """None: a mask always depends on how many tokens are left."""
        return None

    def min_tokens_left(self) -> int:
        if self._history[1] < 0:
            return 0
        return self._middle.distance(self._history[1]) + bool(self._stop_set)

    def shortest_completion(self) -> list[int]:
        configuration = self._history[1]
        if configuration < 0:
            return []
        tokens = []
        while self._middle.distance(configuration):
            tokens.append(self._middle.next_token(configuration))
            configuration = self._middle.graph.after_token(configuration, tokens[-1])
        stop: list[int] = self._stops[1:2].tolist()
        return tokens + stop

    def _forced(self, engine: Engine) -> tuple[bytes, int]:
        """Nothing: what the grammar forces may belong to the suffix already."""
        return b"", self._history[1]

    def _after(self, engine: Engine, configuration: int, token_id: int) -> int | None:
        if token_id in self._stop_set and configuration > 0:
            return -configuration if self._middle.distance(configuration) == 0 else None
        target = super()._after(engine, configuration, token_id)
        if target is not None and target > 0 and self._middle.distance(target) >= NEVER:
            return None
        return target
