"""The shortest completion of a text, in tokens, and masks that keep it within a budget.

How far the end is, is a function of the configuration, found in one of two ways, decided once for a grammar:

- *Explored*: when everything that tokens can reach from the beginning is small, the graph of configurations is searched
  whole and distances are exact.
- *Descended* otherwise: only the few tokens that lower the cost most (see `configuration_costs`) are considered, far
  from the end even fewer. That leaves out those that lengthen a string, indent, or open what is optional, so the graph
  has no cycles and is small. The distance is never less than the truth, for a way round through costlier places might
  need fewer tokens.

Either way some allowed token always leads one step nearer, so a mask that only keeps what fits into the tokens left
never runs dry, and what it keeps depends on nothing but grammar, vocabulary, text and tokens left.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from tokamask.errors import CompileBudgetExceeded, TokenRejected
from tokamask.grammar.program import OBJECT_IS_FREE, OBJECT_MINIMUM, OBJECT_OPEN, OBJECT_REQUIRED, Program
from tokamask.masking import requests
from tokamask.masking.automaton_costs import MISSING_BYTE, NEVER
from tokamask.masking.bitmask import bitmask_words, clear_tokens, pack_row, set_tokens
from tokamask.masking.dearer import priced, remembers
from tokamask.masking.spelling import spelling_of
from tokamask.masking.spreads import MANY_USED
from tokamask.masking.target_kernels import PLACE_WORDS, REACH_WORDS

if TYPE_CHECKING:
    from tokamask.masking.engine import Engine

__all__ = ["Shortest"]

EXPLORED_CONFIGURATIONS = 3000
EXPLORED_NODES = 300_000
"""Where exploration gives up: configurations reached, trie nodes visited (an open string of 131k tokens has 266k)."""

REMEMBERED_NODES = 20_000

COST_ERROR = 12
"""How far a cost may be above the truth: inside an escape of a key, which may turn out short or undeclared."""

DESCENDED_WAYS = 4
"""How many tokens are followed from one place, those that lower the cost most: the digits of an escape, say, would
otherwise multiply."""
FAR_COST = 500
"""From places of a higher cost on a few long tokens (see `Spelling`) are tried before all others. Looking at all tokens
of a place inside a long string takes milliseconds and is remembered for each of its bytes; tens of thousands of such
places would take minutes and a gigabyte."""
MOST_COST = 100_000
"""Texts that take more bytes to complete are not searched for."""

RECENT_REACHES = 32
"""Of how many configurations it is kept where their tokens lead; most are asked once, or again before long."""
LONGEST_REACH = 4096
"""Of more records than this nothing is kept."""
RECENT_BUDGETS = 2
"""For how many numbers of tokens left the row is kept."""

PLACE_BYTES = 160
"""What Python keeps for one: a tuple, two integers and a reference."""

ORDERED_PROPERTIES = 4
"""Required properties of one object that are tried in every order; with more of them a single way is followed."""

ANY_COST = ANY_NUMBER = 1 << 30

OPENED_BY_ONE_TOKEN = 8  # values that must differ


@dataclass(frozen=True)
class _Reach:
    """Where the tokens of a configuration lead.

    Attributes:
        records: int32, as `target_kernels` has them.
        places: what is reached: configurations, with cost and whether they remember anything; the dearest first.
        near: for numbers of tokens that were left, the row of all tokens but those that lead too far.
    """

    records: npt.NDArray[np.int32]
    places: list[tuple[int, int, bool]]
    near: dict[int, npt.NDArray[np.int32]] = field(default_factory=dict)

    @property
    def bound(self) -> int:
        """The cost behind any token is no higher."""
        return self.places[0][1] if self.places else 0

    @property
    def nbytes(self) -> int:
        return self.records.nbytes + PLACE_BYTES * len(self.places) + sum(row.nbytes for row in self.near.values())


# Distance to the end and the first token on the way; the end itself is (0, -1), and NOWHERE cannot be completed.
_Step = tuple[int, int]
_NOWHERE = (NEVER, -1)


class Shortest:
    """Completions for one engine; shared by its matchers, safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        program = engine.program
        self._spelling = spelling_of(engine.vocabulary)
        costs, self._dearest = priced(program, self._spelling.byte_costs)
        engine.provide_costs(costs)
        self._ways = 1 if _has_many_orders(program) else DESCENDED_WAYS
        self._steps: dict[int, _Step] = {}
        self._bounds: dict[int, int] = {}
        self._reaches: dict[int, _Reach] = {}
        self._lock = threading.RLock()
        # Whatever is remembered is part of a configuration, so more of them come to nothing.
        self._remembers = remembers(program)
        self._nodes = REMEMBERED_NODES if self._remembers else EXPLORED_NODES
        self._is_explored = self._explore(engine.start)

    @property
    def reach_bytes(self) -> int:
        """What is kept of where tokens lead."""
        return sum(reach.nbytes for reach in list(self._reaches.values()))

    def length(self, configuration: int) -> int:
        """The tokens that complete the text, stop tokens not counted.

        Raises:
            TokenRejected: the vocabulary cannot spell any completion.
            CompileBudgetExceeded: the shortest one is too long to be searched for.
        """
        with self._lock:
            distance = self._step(configuration)[0]
        if distance >= NEVER:
            raise TokenRejected("the tokens of this vocabulary cannot spell any completion of the text")
        return distance

    def tokens(self, configuration: int) -> list[int]:
        """A completion of that length."""
        self.length(configuration)
        completion: list[int] = []
        with self._lock:
            while (step := self._step(configuration))[0]:
                completion.append(step[1])
                configuration = self._engine.call(requests.ACCEPT, configuration, step[1])
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
                bound = self._bounds[configuration] = self._bound(configuration)
            if bound <= left and self._spelling.is_bounded_by_cost:
                return
            allowed_stops = clear_tokens(row, stops.tolist())
            if self._engine.call(requests.REMEMBERS_AT, configuration):
                row &= self._near_beside_memory(configuration, row, left)
            else:
                row &= self._near(configuration, left)
            set_tokens(row, allowed_stops)
            if self._remembers:
                distance, token = self._step(configuration)
                if 0 < distance <= left + 1:
                    set_tokens(row, [token])

    def is_ample(self, configuration: int, tokens_left: int, stop_count: int) -> bool:
        """Whether `restrict` is known to clear nothing; where it was never asked nothing is known."""
        bound = self._bounds.get(configuration)
        return bound is not None and self._spelling.is_bounded_by_cost and bound <= tokens_left - 1 - bool(stop_count)

    def _near(self, configuration: int, left: int) -> npt.NDArray[np.int32]:
        """The row of all tokens but those that lead too far, where nothing is remembered."""
        reach = self._reach(configuration)
        near = reach.near.get(left)
        if near is None:
            near = np.full(bitmask_words(self._engine.vocabulary.size), -1, dtype=np.int32)
            far = np.array(self._too_far(reach.places, left), dtype=np.int32)
            more = np.array([len(reach.records) // REACH_WORDS, far.ctypes.data, len(far)], dtype=np.int64)
            self._engine.call(requests.DROP, near.ctypes.data, reach.records.ctypes.data, more.ctypes.data)
            _keep(reach.near, RECENT_BUDGETS, left, near)
        return near

    def _near_beside_memory(self, configuration: int, row: npt.NDArray[np.int32], left: int) -> npt.NDArray[np.int32]:
        """The same elsewhere, by a look at every token of a mask."""
        behind = np.zeros(32 * len(row), dtype=np.int32)
        reached = np.empty_like(behind)
        more = np.array([behind.ctypes.data, reached.ctypes.data, len(reached)], dtype=np.int64)
        count = self._engine.call(requests.TARGETS, configuration, row.ctypes.data, more.ctypes.data)
        places = [
            (
                target,
                self._engine.call(requests.COST_OF, target),
                bool(self._engine.call(requests.REMEMBERS_AT, target)),
            )
            for target in reached[:count].tolist()
        ]
        return ~pack_row(np.isin(behind, self._too_far(places, left)))

    def _reach(self, configuration: int) -> _Reach:
        """Where the tokens lead that a configuration allows which remembers nothing."""
        reach = self._reaches.get(configuration)
        if reach is None:
            most = 2 * 32 * bitmask_words(self._engine.vocabulary.size)  # tokens, and no more classes of them
            records = np.empty(REACH_WORDS * most, dtype=np.int32)
            places = np.empty(1 + PLACE_WORDS * most, dtype=np.int32)
            count = self._engine.call(requests.REACH, configuration, records.ctypes.data, places.ctypes.data)
            reached = places[1 : 1 + PLACE_WORDS * int(places[0])].reshape(-1, PLACE_WORDS).tolist()
            dearest_first = sorted(((target, cost, remembers > 0) for target, cost, remembers in reached), key=_cost)
            reach = _Reach(records[: REACH_WORDS * count].copy(), dearest_first)
            if count <= LONGEST_REACH:
                _keep(self._reaches, RECENT_REACHES, configuration, reach)
        return reach

    def _bound(self, configuration: int) -> int:
        """A bound on the cost behind any token: where something is remembered, values may be dearer."""
        if not self._engine.call(requests.REMEMBERS_AT, configuration):
            # Where bytes of text cannot be spelled, the rest of a character may cost more.
            return self._reach(configuration).bound + (0 if self._spelling.spells_all_bytes else COST_ERROR)
        if self._engine.call(requests.NODES_AT, configuration) + OPENED_BY_ONE_TOKEN > MANY_USED:
            return NEVER  # how dear they may be is not known
        twin = self._engine.call(requests.FORGETFUL_OF, configuration)
        return self._engine.call(requests.LARGEST_COST, twin) + OPENED_BY_ONE_TOKEN * self._dearest

    def _too_far(self, places: list[tuple[int, int, bool]], left: int) -> list[int]:
        """The places, of (configuration, cost, whether it remembers), from which the end is more than `left` tokens."""
        # Every byte costs one token at most, if all have one of their own.
        sure = left if self._spelling.spells_all_bytes else -1
        return [
            target
            for target, cost, remembers in places
            if cost > sure and not self._is_within(target, cost, remembers, left)
        ]

    def _is_within(self, configuration: int, cost: int, remembers: bool, left: int) -> bool:
        """Whether the text can end within `left` tokens."""
        if remembers:
            return cost <= left  # for a sure way is kept in any case, and each memory would be a search of its own
        if cost < MISSING_BYTE and cost - COST_ERROR > left * self._spelling.longest and not self._is_explored:
            return False  # no spelling of the cheapest text is as short as that
        if left == 0:
            return self._engine.call(requests.IS_ACCEPTING_AT, configuration) != 0
        return left > 0 and self._step(configuration)[0] <= left

    def _step(self, configuration: int) -> _Step:
        step = self._steps.get(configuration)
        if step is None:
            # Bytes may have led past what tokens reach from the beginning: then explore from there.
            if not self._is_explored or not self._explore(configuration):
                self._descend(configuration)
            step = self._steps[configuration]
        return step

    # Explored.

    def _explore(self, start: int) -> bool:
        """Find the distance of everything that tokens reach from `start`; False, and nothing learned, if too much."""
        came_from: dict[int, list[tuple[int, int]]] = {start: []}
        waiting = deque([start])
        ends = []
        nodes_left = self._nodes
        while waiting:
            configuration = waiting.popleft()
            if self._engine.call(requests.IS_ACCEPTING_AT, configuration):
                ends.append(configuration)
            pairs, visited = self._engine.successors(configuration, ANY_COST, nodes_left)
            nodes_left -= visited + 16  # a call is worth some nodes
            if nodes_left < 0 or len(came_from) > EXPLORED_CONFIGURATIONS:
                return False
            for target, token in pairs.tolist():
                if target not in came_from:
                    came_from[target] = []
                    waiting.append(target)
                came_from[target].append((configuration, token))
        steps: dict[int, _Step] = dict.fromkeys(ends, (0, -1))
        nearer = deque(ends)
        while nearer:
            configuration = nearer.popleft()
            distance = steps[configuration][0] + 1
            for source, token in came_from[configuration]:
                if source not in steps:
                    steps[source] = (distance, token)
                    nearer.append(source)
        self._steps.update({configuration: steps.get(configuration, _NOWHERE) for configuration in came_from})
        return True

    # Descended.

    def _descend(self, start: int) -> None:
        """Find the distance of everything that cost-lowering tokens reach from `start`."""
        if self._spelling.spells_all_bytes and self._engine.call(requests.COST_OF, start) > MOST_COST:
            raise CompileBudgetExceeded(
                f"the shortest completion of this text takes more than {MOST_COST} bytes, too many to be searched for "
                "in tokens; lower the grammar's minimal lengths, or fill masks without tokens_left"
            )
        lower: dict[int, list[tuple[int, int]]] = {}
        costs: dict[int, int] = {}
        waiting = [start]
        while waiting:
            configuration = waiting.pop()
            if configuration in self._steps or configuration in lower:
                continue
            if self._engine.call(requests.IS_ACCEPTING_AT, configuration):
                self._steps[configuration] = (0, -1)
                continue
            costs[configuration] = self._engine.call(requests.COST_OF, configuration)
            lower[configuration] = self._lowering(configuration, costs[configuration])
            waiting.extend(target for target, _ in lower[configuration])
        for configuration in sorted(lower, key=costs.__getitem__):
            distances = [(self._steps[target][0] + 1, token) for target, token in lower[configuration]]
            self._steps[configuration] = min(distances, default=_NOWHERE)

    def _lowering(self, configuration: int, cost: int) -> list[tuple[int, int]]:
        """(configuration, token) one token on: the few that lower a cost the most."""
        if cost > FAR_COST and (cost < MISSING_BYTE or self._spelling.spells_all_bytes):
            far = []
            for token in self._spelling.long_tokens:
                target = self._engine.call(requests.ACCEPT, configuration, token)
                if target and (less := self._engine.call(requests.COST_OF, target)) < cost:
                    far.append((less, token, target))
            if far:
                _, token, target = min(far)
                return [(target, token)]
        pairs, _ = self._engine.successors(configuration, cost, ANY_NUMBER)
        ways = [(target, token) for target, token in pairs.tolist()]
        ways.sort(key=lambda way: (self._engine.call(requests.COST_OF, way[0]), way[1]))
        return ways[: 1 if self._engine.call(requests.REMEMBERS_AT, configuration) else self._ways]


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def _keep(recent: dict[_Key, _Value], most: int, key: _Key, value: _Value) -> None:
    """Add to what is kept, in place of the oldest where there are `most`."""
    if len(recent) == most:
        del recent[next(iter(recent))]
    recent[key] = value


def _cost(place: tuple[int, int, bool]) -> int:
    """What sorts the dearest places to the front."""
    return -place[1]


def _has_many_orders(program: Program) -> bool:
    """Whether some object needs so many properties, in any order, that their orders cannot all be tried."""
    words = program.words
    objects = program.records[words[program.records] == OBJECT_OPEN]
    is_free = words[objects + OBJECT_IS_FREE] > 0
    needed = np.maximum(words[objects + OBJECT_REQUIRED], words[objects + OBJECT_MINIMUM])
    return bool((is_free & (needed > ORDERED_PROPERTIES)).any())
