"""The oracle trie: what is known of how the continuations of a prefix end.

Let c(u) be the probability that a model, left alone after the prefix u, completes a document that the constraint
accepts. The model conditioned on the constraint writes token v after u with probability p(v | u) c(uv) / c(u); but c is
a sum over all documents. The trie keeps bounds of it,

    lower(u) <= c(u) <= upper(u),

0 and 1 for a prefix nobody has looked at, both 1 for a complete document, and for any other

    upper(u) = sum over the allowed tokens v of p(v | u) upper(uv)        and alike for lower.

With every walk the bounds of its prefixes come closer, and a trie that holds all documents knows c exactly.

A walk writes token v with probability proportional to p(v | u) upper(uv): the rule of ASAp (Park, Wang,
Berg-Kirkpatrick, Polikarpova, D'Antoni: "Grammar-Aligned Decoding", NeurIPS 2024). Let Z_i be the sum that its i-th
choice was normalised by and t_i the bound of the chosen prefix at that moment, the one that was used. Then

    weight = Z_0 * product over i >= 1 of Z_i / t_i

is a proper importance weight: P(walk writes y) * weight = P(model writes y) for every document y and every state of the
trie, because numerators and denominators telescope; other walks may even change the trie in between.

Everything is a natural logarithm in float64, and no mass is ever found by subtracting from another: a valid mass of
1e-300, or one below what float64 can hold, is as exact as any.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tokamask.masking.rejection import log_sum_exp

__all__ = ["AllowedTokens", "OracleTrie", "RecentRows", "Walk"]

FloatArray = npt.NDArray[np.float64]

NO_NODE = -1
UNKNOWN = math.nan
"""The mass of the children not visited, at a node nobody has looked at."""

NODE = np.dtype(
    [
        ("parent", np.int32),
        ("token", np.int32),  # that leads here from the parent
        ("log_prob", np.float64),  # of that token after the parent
        ("log_upper", np.float64),
        ("log_lower", np.float64),
        ("log_rest", np.float64),  # mass of the allowed tokens that have no node; UNKNOWN at a new node
        ("first", np.int32),  # where the node's block of children begins
        ("count", np.int32),  # children in it
        ("capacity", np.int32),  # children that fit in it
    ]
)
"""One node. With the slack of growing arrays a visited child takes less than 200 bytes; others take none."""


@dataclass(frozen=True, eq=False)
class AllowedTokens:
    """A model's law at one place, as far as a constraint allows it.

    Attributes:
        token_ids: int32 (k,), ascending: the allowed tokens that have a probability above 0.
        log_probs: float64 (k,): log p(token | prefix), normalised over the whole vocabulary.
    """

    token_ids: npt.NDArray[np.int32]
    log_probs: FloatArray

    @property
    def nbytes(self) -> int:
        return int(self.token_ids.nbytes + self.log_probs.nbytes)


class OracleTrie:
    """Prefixes that walks have visited, and the bounds of what follows them.

    The documents, hence the trie, belong to one (model, prompt, temperature, constraint, budget).
    """

    ROOT = 0

    def __init__(self) -> None:
        self._nodes = np.zeros(16, dtype=NODE)
        self._size = 0
        # The children of a node are a block of this array; a block that is full moves to the end, at twice its size.
        self._children = np.zeros(16, dtype=np.int32)
        self._children_size = 0
        self._add_node(NO_NODE, NO_NODE, 0.0)

    def __len__(self) -> int:
        """How many prefixes it holds, the empty one included."""
        return self._size

    @property
    def nbytes(self) -> int:
        return int(self._nodes.nbytes + self._children.nbytes)

    def is_new(self, node: int) -> bool:
        """Whether nobody has looked at what may follow."""
        return bool(np.isnan(self._nodes["log_rest"][node]))

    def log_bounds(self, node: int) -> tuple[float, float]:
        """The logs of lower(u) and upper(u)."""
        return float(self._nodes["log_lower"][node]), float(self._nodes["log_upper"][node])

    def children(self, node: int) -> npt.NDArray[np.int32]:
        """int32: the nodes of its visited children, in the order of their first visit."""
        first, count = self._nodes["first"][node], self._nodes["count"][node]
        return self._children[first : first + count]

    def token(self, node: int) -> int:
        """The token that leads to a node from its parent."""
        return int(self._nodes["token"][node])

    def look_ahead(self, node: int, allowed: AllowedTokens) -> FloatArray:
        """float64 (k,): log upper(uv) of every allowed token v; a new node learns its mass by this."""
        log_uppers = np.zeros(len(allowed.token_ids))
        if self.is_new(node):
            log_mass = log_sum_exp(allowed.log_probs)
            self._nodes["log_rest"][node] = self._nodes["log_upper"][node] = log_mass
        else:
            children = self.children(node)
            log_uppers[self._places(children, allowed)] = self._nodes["log_upper"][children]
        return log_uppers

    def visit(self, node: int, allowed: AllowedTokens, place: int) -> int:
        """The child that allowed token number `place` leads to, made when nobody was there before."""
        assert not self.is_new(node), "a node is looked at before its children are visited"
        token = allowed.token_ids[place]
        children = self.children(node)
        found = np.flatnonzero(self._nodes["token"][children] == token)
        if len(found):
            return int(children[found[0]])
        child = self._add_node(node, int(token), float(allowed.log_probs[place]))
        self._append_child(node, child)
        # Summed anew and not reduced: what is left of a mass may be 1e-300 of it.
        unvisited = allowed.log_probs.copy()
        unvisited[self._places(self.children(node), allowed)] = -math.inf
        self._nodes["log_rest"][node] = log_sum_exp(unvisited)
        return child

    def complete(self, node: int) -> bool:
        """Note that a document ends here; returns whether that is news."""
        is_news = self.is_new(node)
        self._nodes["log_rest"][node] = -math.inf
        self._nodes["log_upper"][node] = self._nodes["log_lower"][node] = 0.0
        return is_news

    def back_up(self, node: int) -> None:
        """Compute the bounds of all prefixes of a node from those of their children."""
        nodes = self._nodes
        node = int(nodes["parent"][node])
        while node != NO_NODE:
            children = self.children(node)
            log_probs = nodes["log_prob"][children]
            rest = nodes["log_rest"][node]
            # Sums of the same shape, so that rounding cannot put the lower above the upper one when all is known.
            nodes["log_upper"][node] = log_sum_exp(np.append(log_probs + nodes["log_upper"][children], rest))
            nodes["log_lower"][node] = log_sum_exp(np.append(log_probs + nodes["log_lower"][children], -math.inf))
            node = int(nodes["parent"][node])

    def _places(self, children: npt.NDArray[np.int32], allowed: AllowedTokens) -> npt.NDArray[np.intp]:
        """Where the tokens of some children stand among the allowed ones."""
        return np.searchsorted(allowed.token_ids, self._nodes["token"][children])

    def _add_node(self, parent: int, token: int, log_prob: float) -> int:
        if self._size == len(self._nodes):
            self._nodes = np.concatenate([self._nodes, np.zeros_like(self._nodes)])
        node = self._size
        self._nodes[node] = (parent, token, log_prob, 0.0, -math.inf, UNKNOWN, 0, 0, 0)
        self._size += 1
        return node

    def _append_child(self, node: int, child: int) -> None:
        count = int(self._nodes["count"][node])
        if count == self._nodes["capacity"][node]:
            self._move_block(node, max(1, 2 * count))
        self._children[self._nodes["first"][node] + count] = child
        self._nodes["count"][node] = count + 1

    def _move_block(self, node: int, capacity: int) -> None:
        """Give a node's children a block of another capacity at the end of the array."""
        start = self._children_size
        while start + capacity > len(self._children):
            self._children = np.concatenate([self._children, np.zeros_like(self._children)])
        old = self.children(node)
        self._children[start : start + len(old)] = old
        self._nodes["first"][node], self._nodes["capacity"][node] = start, capacity
        self._children_size = start + capacity


class Walk:
    """One sequence on its way through a trie, from the root on.

    At every node: `enter`, choose a token with probability proportional to exp(score), `step`. At a document's end call
    the trie's `complete`, and wherever the walk ends its `back_up`. Several walks may take turns.

    Attributes:
        node: where it stands.
        log_mass: log Z, what the scores of the last node entered sum to.
        log_gain: what that node added to the log of the weight: log Z minus the log of the bound used to get there.
        log_weight: the log of the proper importance weight so far.
    """

    def __init__(self, trie: OracleTrie) -> None:
        self.trie = trie
        self.node = OracleTrie.ROOT
        self.log_mass = 0.0
        self.log_gain = 0.0
        self.log_weight = 0.0
        self._log_uppers = np.zeros(0)
        self._log_used = 0.0

    @property
    def is_at_new_node(self) -> bool:
        return self.trie.is_new(self.node)

    def enter(self, allowed: AllowedTokens) -> FloatArray:
        """float64 (k,): the log of what the choice among the allowed tokens is to be proportional to.

        All are -inf (or there are none) where no document can be completed; `log_mass` is then -inf too.
        """
        self._log_uppers = self.trie.look_ahead(self.node, allowed)
        scores = allowed.log_probs + self._log_uppers
        self.log_mass = log_sum_exp(scores)
        self.log_gain = self.log_mass - self._log_used
        self.log_weight += self.log_gain
        return scores

    def step(self, allowed: AllowedTokens, place: int) -> None:
        """Go on to allowed token number `place`; its bound counts as it was when the choice was made."""
        self.node = self.trie.visit(self.node, allowed, place)
        self._log_used = float(self._log_uppers[place])


class RecentRows:
    """The laws at the nodes entered last, so that known prefixes need no forward pass; the oldest go first.

    Args:
        limit: how many bytes they may take together.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rows: OrderedDict[int, AllowedTokens] = OrderedDict()
        self.nbytes = 0

    def get(self, node: int) -> AllowedTokens | None:
        row = self._rows.get(node)
        if row is not None:
            self._rows.move_to_end(node)
        return row

    def put(self, node: int, row: AllowedTokens) -> None:
        """Keep a row of a node that has none here; one above the limit is not kept."""
        self._rows[node] = row
        self.nbytes += row.nbytes
        while self.nbytes > self._limit:
            _, oldest = self._rows.popitem(last=False)
            self.nbytes -= oldest.nbytes
