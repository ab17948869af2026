"""Obligations that are made of others: not all of these, at least one of those."""

from __future__ import annotations

from collections.abc import Hashable

from tokamask.grammar.json_schema.alternatives import conjunction, disjunction, joint_alternatives, joint_denials
from tokamask.grammar.json_schema.demands import ANYTHING, Alternatives, Node
from tokamask.grammar.json_schema.obligations import FALSE, NOTHING, Obligation, is_plainly_empty, rank_of


def complement(node: Node) -> Node:
    """The values that a node leaves out."""
    if not node:
        return NOTHING
    if FALSE in node:
        return ANYTHING
    if len(node) == 1:
        for obligation in node:
            if isinstance(obligation, Complement):
                return obligation.node
    return frozenset((Complement(node),))


def either(nodes: tuple[Node, ...]) -> Node:
    """The values of at least one of several nodes."""
    kept = [node for node in dict.fromkeys(nodes) if FALSE not in node]
    if not kept or ANYTHING in kept:
        return ANYTHING if kept else NOTHING
    return kept[0] if len(kept) == 1 else frozenset((Choice(frozenset(kept)),))


class Complement(Obligation):
    """A value must fail at least one of the obligations of a node. Equal where the nodes are."""

    __slots__ = ("_unlisted", "node")

    def __init__(self, node: Node) -> None:
        parts = sorted(node, key=rank_of)
        super().__init__((parts[0].rank[0], -1, *(number for part in parts for number in part.rank)), parts[0].place)
        self.node = node
        self._unlisted: frozenset[Hashable] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Complement) and other.node == self.node

    def __hash__(self) -> int:
        return hash((Complement, self.node))

    def alternatives(self) -> Alternatives:
        return joint_denials(self.node)

    def denials(self) -> Alternatives:
        return joint_alternatives(self.node)

    def aim(self) -> Node | None:
        aimed = followed(self.node)
        return None if aimed == self.node else complement(aimed)

    def denies_all_of(self, node: Node) -> bool:
        return self.node <= node

    def unlisted_values(self) -> frozenset[Hashable]:
        if self._unlisted is None:
            values = [obligation.all_values() for obligation in self.node] if len(self.node) == 1 else [None]
            self._unlisted = values[0] or frozenset()
        return self._unlisted


class Choice(Obligation):
    """A value must be of at least one of several nodes. Equal where those are."""

    __slots__ = ("nodes",)

    def __init__(self, nodes: frozenset[Node]) -> None:
        parts = sorted((obligation for node in nodes for obligation in node), key=rank_of)
        super().__init__((parts[0].rank[0], -2, *(number for part in parts for number in part.rank)), parts[0].place)
        self.nodes = nodes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Choice) and other.nodes == self.nodes

    def __hash__(self) -> int:
        return hash((Choice, self.nodes))

    def _ordered(self) -> list[Node]:
        return sorted(self.nodes, key=lambda node: sorted(obligation.rank for obligation in node))

    def alternatives(self) -> Alternatives:
        return disjunction([joint_alternatives(node) for node in self._ordered()], self.place)

    def denials(self) -> Alternatives:
        return conjunction([joint_denials(node) for node in self._ordered()], self.place)


def followed(node: Node) -> Node:
    """The same values with less said, so that fewer nodes differ.

    Mere references are followed; `false` is alone; values that listed ones leave out are not forbidden as well.
    """
    if len(node) == 1:
        (obligation,) = node
        aim = obligation.aim()
        if aim is None:
            return node
        node = aim
    else:
        # By rank: a schema that is reached here for the first time gets its own rank now.
        aims = {obligation: aim for obligation in sorted(node, key=rank_of) if (aim := obligation.aim()) is not None}
        if aims:
            node = node.difference(aims).union(*aims.values())
    if FALSE in node:
        return NOTHING
    if len(node) > 1 and any(isinstance(obligation, Complement) for obligation in node):
        if is_plainly_empty(node):
            return NOTHING
        lists = [values for obligation in node if (values := obligation.listed_values()) is not None]
        if lists:
            listed = frozenset.intersection(*lists)
            node = node.difference([obligation for obligation in node if _leaves_out(obligation, listed)])
    return node


def _leaves_out(obligation: Obligation, listed: frozenset[Hashable]) -> bool:
    """Whether an obligation does nothing but forbid values that are not listed."""
    unlisted = obligation.unlisted_values()
    return isinstance(obligation, Complement) and bool(unlisted) and unlisted.isdisjoint(listed)
