"""Lookaheads where the text starts, as in /^(?!xml)[a-z]+/: conditions on the text as a whole.

Such a condition is a language of its own, so the algebra of languages can do what the construction for lookaheads
anywhere would have to do state by state.
"""

from __future__ import annotations

from typing import NamedTuple

from tokamask.grammar.regular_expression.syntax import TEXT_START, Concatenation, Look, Node

__all__ = ["Opening", "opening_of"]


class Opening(NamedTuple):
    """An expression without the lookaheads that it begins with.

    Attributes:
        required: the text must have a beginning that each of these matches.
        forbidden: it must have none that any of these matches.
        rest: the expression without them.
    """

    required: tuple[Node, ...]
    forbidden: tuple[Node, ...]
    rest: Node


def opening_of(node: Node, *, at_start: bool) -> Opening:
    """The lookaheads at the start of the text; `at_start`: that is where the expression begins, anchored or not."""
    parts = _parts(node)
    looks: list[Look] = []
    place = 0
    while place < len(parts):
        part = parts[place]
        if part == TEXT_START:
            at_start = True
        elif at_start and isinstance(part, Look) and not part.behind:
            looks.append(part)
        else:
            break
        place += 1
    if not looks:
        return Opening((), (), node)
    return Opening(
        tuple([_from_start(look.part) for look in looks if not look.negative]),
        tuple([_from_start(look.part) for look in looks if look.negative]),
        _from_start(Concatenation(tuple(parts[place:]))),
    )


def _parts(node: Node) -> list[Node]:
    """What is concatenated, whatever brackets there are."""
    if isinstance(node, Concatenation):
        return [inner for part in node.parts for inner in _parts(part)]
    return [node]


def _from_start(node: Node) -> Node:
    return Concatenation((TEXT_START, node))
