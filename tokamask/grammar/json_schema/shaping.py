"""From a demand to the shape a recogniser follows, with children named by number.

Scalars and strings become their final shapes. Arrays and objects become *outlines*: their children may still turn out
to have no value at all, and only then is it known what is left of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from tokamask.grammar.json_schema.demands import (
    BooleanDemand,
    Demand,
    NumberDemand,
    StringDemand,
)
from tokamask.grammar.json_schema.shapes import ScalarShape, StringShape
from tokamask.grammar.language import Language, intersection, with_length
from tokamask.grammar.numbers import integer_language, number_language, number_values


class ArrayOutline(NamedTuple):
    """`rest` None: no items after the prefix. minimum <= maximum when given."""

    prefix: tuple[int, ...]
    rest: int | None
    minimum: int
    maximum: int | None

    def needs(self) -> Iterable[int]:
        """The children without which no value of this outline exists."""
        needed = self.prefix[: self.minimum]
        if self.rest is not None and self.minimum > len(self.prefix):
            return (*needed, self.rest)
        return needed


class ObjectOutline(NamedTuple):
    """Names in order with the number of their values, the required ones among them, and the node of other names."""

    properties: dict[str, int]
    required: frozenset[str]
    additional: int | None

    def needs(self) -> Iterable[int]:
        return [self.properties[name] for name in self.properties if name in self.required]


Outline = ScalarShape | StringShape | ArrayOutline | ObjectOutline

NULL = ScalarShape(Language.literal(b"null"))
_BOOLEANS = {
    frozenset((False, True)): ScalarShape(Language.words([b"false", b"true"])),
    frozenset((True,)): ScalarShape(Language.literal(b"true")),
    frozenset((False,)): ScalarShape(Language.literal(b"false")),
}


def _allows(demand: NumberDemand, value: Fraction) -> bool:
    """Whether a listed value meets the rest of the demand."""
    return (
        (not demand.integral or value.denominator == 1)
        and (demand.multiple_of is None or (value / demand.multiple_of).denominator == 1)
        and (demand.lower is None or value > demand.lower or (value == demand.lower and not demand.lower_open))
        and (demand.upper is None or value < demand.upper or (value == demand.upper and not demand.upper_open))
    )


def _spells(demand: StringDemand, text: str) -> bool:
    """Whether a listed text meets the rest of the demand."""
    return (
        demand.minimum <= len(text)
        and (demand.maximum is None or len(text) <= demand.maximum)
        and all(language.matches(text.encode()) for language in demand.languages)
    )


def gathered(demands: tuple[Demand, ...]) -> Iterable[Demand]:
    """The same disjunction with the listed values of several demands in one list."""
    if len(demands) == 1:
        return demands
    strings: set[str] = set()
    numbers: dict[bool, set[Fraction]] = {False: set(), True: set()}
    others: list[Demand] = []
    for demand in demands:
        if isinstance(demand, StringDemand) and demand.values is not None and not demand.concerns:
            strings.update(text for text in demand.values if _spells(demand, text))
        elif isinstance(demand, NumberDemand) and demand.values is not None and not demand.concerns:
            numbers[demand.integral].update(value for value in demand.values if _allows(demand, value))
        else:
            others.append(demand)
    if strings:
        others.append(StringDemand(values=frozenset(strings)))
    others.extend(
        NumberDemand(integral=integral, values=frozenset(values)) for integral, values in numbers.items() if values
    )
    return others


def boolean_shape(demand: BooleanDemand) -> ScalarShape | None:
    return _BOOLEANS.get(demand.values)


def number_shape(demand: NumberDemand) -> ScalarShape | None:
    """The spellings of an interval of numbers or of listed ones; None when there are none.

    Raises UnsupportedFeature or CompileBudgetExceeded, without a pointer, when they cannot be told exactly.
    """
    if demand.values is not None:
        values = [value for value in demand.values if _allows(demand, value)]
        if not values:
            return None
        if demand.integral:
            return ScalarShape(Language.words([str(value).encode() for value in values]))
        return ScalarShape(number_values(values))
    if demand.integral:
        lower, upper = demand.lower, demand.upper
        # The integral multiples of p/q in lowest terms are the multiples of p.
        language = integer_language(
            None if lower is None else math.floor(lower) + 1 if demand.lower_open else math.ceil(lower),
            None if upper is None else math.ceil(upper) - 1 if demand.upper_open else math.floor(upper),
            None if demand.multiple_of is None else demand.multiple_of.numerator,
        )
    else:
        language = number_language(demand.lower, demand.upper, demand.lower_open, demand.upper_open, demand.multiple_of)
    return None if language.is_empty else ScalarShape(language)


def string_shape(demand: StringDemand) -> StringShape | None:
    """Texts by length and language, or listed ones; None when there are none.

    Raises CompileBudgetExceeded, without a pointer, when pattern, format and length together take too many states.
    """
    if demand.values is not None:
        texts = [text.encode() for text in demand.values if _spells(demand, text)]
        return StringShape(language=Language.words(texts)) if texts else None
    if demand.maximum is not None and demand.minimum > demand.maximum:
        return None
    if not demand.languages:
        return StringShape(demand.minimum, demand.maximum)
    language = demand.languages[0]
    for other in demand.languages[1:]:
        language = intersection(language, other)
    if demand.minimum or demand.maximum is not None:
        language = with_length(language, demand.minimum, demand.maximum)
    return None if language.is_empty else StringShape(language=language)


def unconfined(demand: NumberDemand | StringDemand) -> ScalarShape | StringShape:
    """A shape that lacks no value of the demand, for one that cannot be shaped exactly."""
    if isinstance(demand, StringDemand):
        return StringShape(demand.minimum, demand.maximum)
    return ScalarShape(number_language(None, None, False, False, None))
