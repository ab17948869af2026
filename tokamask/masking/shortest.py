"""The shortest completion of a text, in tokens, and masks that keep it within a budget.

Two bounds enclose the answer. `cost_kernels` gives a cheapest text, one-byte tokens assumed; the fewest tokens that
spell it are an upper bound with a witness. A breadth-first search over configurations, one token an edge, looks for
something shorter; it is abandoned when it has visited too much, which happens when long strings are open and the
vocabulary is large. Whatever is found is remembered along its path, and only ever improved, so that following a
completion never finds the next step dearer than it was promised.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tokamask.errors import TokenRejected
from tokamask.masking import requests
from tokamask.masking.bitmask import clear_tokens, pack_row, set_tokens
from tokamask.masking.completion_kernels import NO_DESCENT, NO_SPELLING
from tokamask.masking.cost_kernels import MISSING_BYTE, NEVER, analyse

if TYPE_CHECKING:
    from tokamask.masking.compiler import CompiledGrammar

__all__ = ["Shortest"]

SEARCH_CONFIGURATIONS = 4000
"""How many configurations the search may expand when their tokens are few."""
SEARCH_NODES = 400_000
"""How many trie nodes it may visit in all; one open string of a 131k vocabulary has 266k."""


class Shortest:
    """Completions for one compiled grammar; shared by its matchers, safe to share between threads."""

    def __init__(self, compiled: CompiledGrammar) -> None:
        self._compiled = compiled
        program = compiled.program
        texts = compiled.vocabulary.token_bytes
        costs = np.full(len(program.words) + 256, NEVER, dtype=np.int32)
        costs[-256:] = MISSING_BYTE
        singles = {text[0] for text in texts if text is not None and len(text) == 1}
        costs[-256:][list(singles)] = 1
        analyse(program.words, costs, program.records)
        compiled.provide_costs(costs)
        # configuration -> (tokens to the end, first of them); the end itself is (0, -1).
        self._known: dict[int, tuple[int, int]] = {}
        self._bounds: dict[int, int] = {}
        self._searched: set[int] = set()
        self._lock = threading.RLock()

    def length(self, configuration: int) -> int:
        """The fewest tokens found that complete the text, stop tokens not counted.

        Raises:
            TokenRejected: the vocabulary cannot spell any completion.
        """
        with self._lock:
            if configuration not in self._searched:
                self._find(configuration)
            known = self._known.get(configuration)
        if known is None:
            raise TokenRejected("the tokens of this vocabulary cannot spell any completion of the text")
        return known[0]

    def tokens(self, configuration: int) -> list[int]:
        """A completion of that length."""
        self.length(configuration)
        completion: list[int] = []
        with self._lock:
            while (step := self._known[configuration])[0]:
                completion.append(step[1])
                configuration = self._compiled.call(requests.ACCEPT, configuration, step[1])
        return completion

    def restrict(
        self, configuration: int, row: npt.NDArray[np.int32], tokens_left: int, stops: npt.NDArray[np.int32]
    ) -> None:
        """Clear the tokens of a filled mask row behind which the text cannot end within `tokens_left` tokens.

        The token to be chosen is one of them, and so is the stop token when there are any.
        """
        if tokens_left <= 0:
            row[:] = 0
            return
        left = tokens_left - 1 - bool(len(stops))
        with self._lock:
            bound = self._bounds.get(configuration)
            if bound is None:
                bound = self._bounds[configuration] = self._compiled.call(requests.LARGEST_COST, configuration)
            if bound <= left:
                return
            allowed_stops = clear_tokens(row, stops.tolist())
            behind = np.empty(32 * len(row), dtype=np.int32)
            self._compiled.call(requests.TARGETS, configuration, row.ctypes.data, behind.ctypes.data)
            reached, which = np.unique(behind, return_inverse=True)
            near = np.array([target > 0 and self._is_within(int(target), left) for target in reached])
            row &= pack_row(near[which])
            set_tokens(row, allowed_stops)

    def _is_within(self, configuration: int, left: int) -> bool:
        if left < 0:
            return False
        if self._compiled.call(requests.COST_OF, configuration) <= left:
            return True
        known = self._known.get(configuration)
        if known is not None and known[0] <= left:
            return True
        if configuration not in self._searched:
            self._find(configuration)
        return (known := self._known.get(configuration)) is not None and known[0] <= left

    # Finding.

    def _find(self, configuration: int) -> None:
        self._follow_cheapest(configuration)
        self._search(configuration)
        self._searched.add(configuration)

    def _remember(self, path: list[tuple[int, int]]) -> None:
        """A path of (configuration, token) to the end: every place on it is as near as it shows."""
        for left, (configuration, token) in enumerate(reversed(path)):
            if configuration not in self._known or left < self._known[configuration][0]:
                self._known[configuration] = (left, token)

    def _follow_cheapest(self, configuration: int) -> None:
        capacity = self._compiled.call(requests.COST_OF, configuration)
        if capacity >= MISSING_BYTE:
            return
        text = np.zeros(capacity + 1, dtype=np.uint8)
        length = self._compiled.call(requests.CHEAPEST_TEXT, configuration, text.ctypes.data, capacity + 1)
        if length == NO_DESCENT:
            return
        tokens = np.zeros(2 * length + 1, dtype=np.int32)
        count = self._compiled.call(requests.SPELL, text.ctypes.data, length, tokens.ctypes.data)
        if count == NO_SPELLING:
            return
        path = []
        for token in tokens[:count].tolist():
            path.append((configuration, token))
            configuration = self._compiled.call(requests.ACCEPT, configuration, token)
        self._remember([*path, (configuration, -1)])

    def _search(self, start: int) -> None:
        """Breadth first from `start`, as long as it can beat what is known."""
        if self._is_end(start):
            self._remember([(start, -1)])
            return
        known = self._known.get(start)
        best = known[0] if known else NEVER
        came_from: dict[int, tuple[int, int]] = {start: (0, -1)}
        frontier = [start]
        depth = 0
        nodes_left = SEARCH_NODES
        while frontier and depth + 1 < best:
            depth += 1
            reached: list[int] = []
            for configuration in frontier:
                if len(came_from) > SEARCH_CONFIGURATIONS or nodes_left <= 0:
                    return
                pairs, visited = self._successors(configuration)
                nodes_left -= visited
                for target, token in pairs:
                    if target in came_from:
                        continue
                    came_from[target] = (configuration, token)
                    if self._is_end(target):
                        self._remember(_path(came_from, target))
                        return
                    shown = self._known.get(target)
                    if shown is not None and depth + shown[0] < best:
                        best = depth + shown[0]
                        self._remember(_path(came_from, target)[:-1] + self._rest(target))
                    reached.append(target)
            frontier = reached

    def _rest(self, configuration: int) -> list[tuple[int, int]]:
        path = []
        while (step := self._known[configuration])[0]:
            path.append((configuration, step[1]))
            configuration = self._compiled.call(requests.ACCEPT, configuration, step[1])
        return [*path, (configuration, -1)]

    def _is_end(self, configuration: int) -> bool:
        return bool(self._compiled.call(requests.IS_ACCEPTING_AT, configuration))

    def _successors(self, configuration: int) -> tuple[list[tuple[int, int]], int]:
        """Distinct (configuration, token) one token on, and how many trie nodes that took."""
        before = self._compiled.visits
        capacity = 256
        while True:
            pairs = np.zeros(2 * capacity, dtype=np.int32)
            found = self._compiled.call(requests.SUCCESSORS, configuration, pairs.ctypes.data, capacity)
            if found != NO_DESCENT:
                taken = pairs[: 2 * found].reshape(-1, 2).tolist()
                return [(target, token) for target, token in taken], self._compiled.visits - before
            capacity *= 4


def _path(came_from: dict[int, tuple[int, int]], end: int) -> list[tuple[int, int]]:
    """The steps (configuration, token) from the start of a search to `end`, which has no token yet."""
    path = [(end, -1)]
    while (step := came_from[path[-1][0]])[1] >= 0:
        path.append(step)
    return path[::-1]
