"""Back-references to groups with few texts, written out: (a|b)c\\1 is aca|bcb.

A back-reference repeats the text of its group. Where the group is always matched exactly once before all that refer to
it, as a part of one sequence, the sequence is an alternation of itself with each of the group's texts filled in. What
is not of that form is left for the reader to refuse: groups with too many texts, groups that may be unset or matched
again.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokamask.grammar.budget import check_time
from tokamask.grammar.regular_expression.code_points import single
from tokamask.grammar.regular_expression.syntax import (
    Alternation,
    BackReference,
    Capture,
    Characters,
    Concatenation,
    Look,
    Node,
    Repetition,
)

# Copies of sequences that one expression is written out in.
COPY_BUDGET = 200


def written_out(node: Node) -> Node:
    """The same expression without captures, and without those back-references that can be written out."""
    return _Writer().written(node)


def back_references(node: Node) -> Iterator[BackReference]:
    """The back-references of a tree, in the order of the text."""
    match node:
        case BackReference():
            yield node
        case Concatenation(parts) | Alternation(parts):
            for part in parts:
                yield from back_references(part)
        case Repetition(part, _, _) | Look(part, _, _) | Capture(part, _):
            yield from back_references(part)


class _Writer:
    def __init__(self) -> None:
        self._copies = 0

    def written(self, node: Node) -> Node:
        """Outer sequences come first, so a back-reference that none of them settles is left over."""
        check_time()
        match node:
            case Concatenation(parts):
                referred = {each.number for each in back_references(node)}
                captures = [each for each in _certain_captures(node) if each.number in referred]
                if captures:
                    return self._alternatives(node, max(captures, key=lambda capture: capture.number))
                return Concatenation(tuple([self.written(part) for part in parts]))
            case Alternation(alternatives):
                return Alternation(tuple([self.written(each) for each in alternatives]))
            case Repetition(part, minimum, maximum):
                return Repetition(self.written(part), minimum, maximum)
            case Look(part, behind, negative):
                # Lookbehinds are matched from right to left (ECMA-262, section 22.2.2.4): the group comes too late.
                is_settled = not behind or next(back_references(part), None) is None
                return Look(self.written(part), behind, negative) if is_settled else node
            case Capture(part):
                return self.written(part)
        return node

    def _alternatives(self, sequence: Concatenation, capture: Capture) -> Node:
        """The sequence with each text of the capture filled in. (It has the greatest number: none is inside it.)"""
        texts = texts_of(capture.part, COPY_BUDGET - self._copies)
        if texts is None:
            return sequence
        self._copies += len(texts)
        return Alternation(
            tuple([self.written(_filled(sequence, capture.number, _spelled(text))) for text in sorted(texts)])
        )


def _certain_captures(node: Node) -> Iterator[Capture]:
    """The captures that are matched exactly once whenever `node` is."""
    match node:
        case Concatenation(parts):
            for part in parts:
                yield from _certain_captures(part)
        case Capture(part):
            yield node
            yield from _certain_captures(part)


def texts_of(node: Node, most: int) -> frozenset[str] | None:
    """The texts that a part matches wherever it stands; None if they are more than `most`, or depend on the place."""
    match node:
        case Characters(code_points):
            if sum(high - low + 1 for low, high in code_points) > most:
                return None
            return frozenset(chr(each) for low, high in code_points for each in range(low, high + 1))
        case Concatenation(parts):
            texts: frozenset[str] | None = frozenset(("",))
            for part in parts:
                texts = _joined(texts, texts_of(part, most), most)
            return texts
        case Alternation(alternatives):
            listed = [texts_of(each, most) for each in alternatives]
            found = frozenset(text for each in listed if each is not None for text in each)
            return None if None in listed or len(found) > most else found
        case Repetition(part, minimum, int(maximum)) if maximum <= most:
            once = texts_of(part, most)
            repeated: list[frozenset[str]] = [frozenset(("",))]
            for _ in range(maximum):
                longer = _joined(repeated[-1], once, most)
                if longer is None:
                    return None
                repeated.append(longer)
            total = frozenset(text for each in repeated[minimum:] for text in each)
            return total if len(total) <= most else None
        case Capture(part):
            return texts_of(part, most)
    return None


def _joined(before: frozenset[str] | None, after: frozenset[str] | None, most: int) -> frozenset[str] | None:
    if before is None or after is None or len(before) * len(after) > most:
        return None
    return frozenset(a + b for a in before for b in after)


def _spelled(text: str) -> Node:
    return Concatenation(tuple([Characters(single(ord(character))) for character in text]))


def _filled(node: Node, number: int, text: Node) -> Node:
    """With the text of a group in its place and in those that refer to it."""
    match node:
        case Concatenation(parts):
            return Concatenation(tuple([_filled(part, number, text) for part in parts]))
        case Alternation(alternatives):
            return Alternation(tuple([_filled(each, number, text) for each in alternatives]))
        case Repetition(part, minimum, maximum):
            return Repetition(_filled(part, number, text), minimum, maximum)
        case Look(part, behind, negative):
            return Look(_filled(part, number, text), behind, negative)
        case Capture(part, of) if of != number:
            return Capture(_filled(part, number, text), of)
        case Capture(_, of) | BackReference(of) if of == number:
            return text
    return node
