"""Building expressions without clutter: nested sequences and choices are flattened, trivial ones disappear.

The constructors below keep a normal form that the passes over rules rely on: a `Sequence` has no `Sequence` among its
parts, a `Choice` no `Choice` and no empty text among its alternatives (the empty text is a `Repeat` from 0 to 1 around
the rest), no two alternatives are equal, and a `Repeat` repeats neither the empty text nor nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokamask.grammar.rules import Choice, Expression, Reference, Repeat, Sequence

__all__ = [
    "EMPTY_TEXT",
    "NOTHING",
    "choice",
    "expression_size",
    "joined_name",
    "optional",
    "references",
    "repeat",
    "sequence",
]

EMPTY_TEXT = Sequence(())
"""The language of the empty text alone."""

NAME_LENGTH = 60

NOTHING = Choice(())
"""The language without any text."""


def sequence(parts: Iterable[Expression]) -> Expression:
    """The parts one after another."""
    flat: list[Expression] = []
    for part in parts:
        if isinstance(part, Sequence):
            flat.extend(part.parts)
        elif part == NOTHING:
            return NOTHING
        else:
            flat.append(part)
    return flat[0] if len(flat) == 1 else Sequence(tuple(flat))


def choice(alternatives: Iterable[Expression]) -> Expression:
    """Any one of the alternatives."""
    distinct: dict[Expression, None] = {}
    empty = False
    for alternative in alternatives:
        if alternative == EMPTY_TEXT:
            empty = True
        elif isinstance(alternative, Choice):
            distinct.update(dict.fromkeys(alternative.alternatives))
        elif isinstance(alternative, Repeat) and (alternative.minimum, alternative.maximum) == (0, 1):
            empty = True
            part = alternative.part
            distinct.update(dict.fromkeys(part.alternatives if isinstance(part, Choice) else (part,)))
        else:
            distinct[alternative] = None
    chosen = next(iter(distinct)) if len(distinct) == 1 else Choice(tuple(distinct))
    return optional(chosen) if empty else chosen


def repeat(part: Expression, minimum: int, maximum: int | None) -> Expression:
    """`part`, at least `minimum` and at most `maximum` times (None: no upper end)."""
    if maximum == 0 or part == EMPTY_TEXT:
        return EMPTY_TEXT
    if part == NOTHING:
        return EMPTY_TEXT if minimum == 0 else NOTHING
    if (minimum, maximum) == (1, 1):
        return part
    if isinstance(part, Repeat) and part.minimum <= 1 and minimum <= 1:
        # (x+)*, (x?)+, (x{1,3})? and the like are one loop.
        if maximum == 1:
            return Repeat(part.part, part.minimum * minimum, part.maximum)
        if maximum is None or part.maximum is None:
            return Repeat(part.part, part.minimum * minimum, None)
    return Repeat(part, minimum, maximum)


def optional(part: Expression) -> Expression:
    """`part` or the empty text."""
    return repeat(part, 0, 1)


def joined_name(names: Iterable[str], separator: str) -> str:
    """A name for error messages out of the names of parts, short of `NAME_LENGTH` characters."""
    name = ""
    for part in names:
        name += separator + part if name and part else part
        if len(name) > NAME_LENGTH:
            return name[: NAME_LENGTH - 3] + "..."
    return name


def references(expression: Expression) -> Iterator[str]:
    """The names of the rules that `expression` mentions, with repetitions, from left to right."""
    pending = [expression]
    while pending:
        match pending.pop():
            case Reference(rule):
                yield rule
            case Sequence(parts) | Choice(parts):
                pending.extend(reversed(parts))
            case Repeat(part):
                pending.append(part)


def expression_size(expression: Expression) -> int:
    """How many nodes the expression has."""
    size, pending = 0, [expression]
    while pending:
        size += 1
        match pending.pop():
            case Sequence(parts) | Choice(parts):
                pending.extend(parts)
            case Repeat(part):
                pending.append(part)
    return size
