"""The properties that an object does not declare, as choices: their names, their values, the witnesses they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.json_schema.shapes import ObjectShape
from tokamask.grammar.language import Language, complement_in_text, difference, union_of

MAXIMUM_WITNESSES = 6


@dataclass(frozen=True)
class Choice:
    """Names (None: any), the node of their values, and the witnesses that such a property is, a bit for each."""

    names: Language | None
    node: int
    meets: int


def choices_of(shape: ObjectShape) -> tuple[Choice, ...]:
    """Every way of adding a property that is not declared; none where only declared ones are allowed.

    Raises:
        CompileBudgetExceeded: there are too many witnesses to follow.
    """
    if len(shape.witnesses) > MAXIMUM_WITNESSES:
        raise CompileBudgetExceeded(f"an object has {len(shape.witnesses)} witnesses, more than {MAXIMUM_WITNESSES}")
    if shape.additional is None and not shape.classes:
        return ()
    declared = Language.words([p.name for p in shape.properties])
    classes: list[tuple[Language | None, int | None]] = [
        (difference(names.language, declared), names.node) for names in shape.classes
    ]
    if shape.additional is not None:
        known = union_of([declared, *[names.language for names in shape.classes]])
        classes.append((None if known.is_empty else complement_in_text(known), shape.additional))
    choices = []
    for number, (language, node) in enumerate(classes):
        if node is None or (language is not None and language.is_empty):
            continue
        choices.append(Choice(language, node, 0))
        choices += [
            Choice(language, witness.node, 1 << place)
            for place, witness in enumerate(shape.witnesses)
            if witness.name_class == number
        ]
    return tuple(choices)


def fewest_properties(choices: Sequence[Choice], witnesses: int) -> list[int]:
    """For every set of witnesses, as a number with a bit for each, the fewest properties that provide them all."""
    fewest = [0] * (1 << witnesses)
    for missing in range(1, 1 << witnesses):
        fewest[missing] = 1 + min(
            (fewest[missing & ~choice.meets] for choice in choices if choice.meets & missing), default=1 << 20
        )
    return fewest
