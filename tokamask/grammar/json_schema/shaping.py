"""From a demand on scalars or strings to the shape a recogniser follows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from functools import reduce

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.json_schema.demands import (
    BooleanDemand,
    Demand,
    NumberDemand,
    StringDemand,
)
from tokamask.grammar.json_schema.shapes import ScalarShape, StringShape
from tokamask.grammar.language import Language, difference, intersection, union_of
from tokamask.grammar.numbers import decimal_language, integer_language, number_language, number_values
from tokamask.grammar.text_lengths import binding_bounds, is_countable, lengths, remaining_lengths, with_length

# Patterns that may apply to one value, each as an alternative of its own.
FEW_PATTERNS = 4

# An automaton that counts characters itself takes states times bound, some 10 us each, here at most. Where the bound is
# that near, every count has masks of its own whoever counts, as one token may reach it (the longest has 76 characters),
# and those of a mere automaton are simplest. Further away the recogniser counts: masks far from a bound are shared.
FEW_STATES = 128
# Near its bounds, a counted string takes a number for each state and each character missing or left (`string_costs`).
MOST_COUNTED = 1 << 20

NULL = ScalarShape(Language.literal(b"null"))
BOOLEAN = ScalarShape(Language.words([b"false", b"true"]))
_BOOLEANS = {
    frozenset((False, True)): BOOLEAN,
    frozenset((True,)): ScalarShape(Language.literal(b"true")),
    frozenset((False,)): ScalarShape(Language.literal(b"false")),
}


def allows(demand: NumberDemand, value: Fraction) -> bool:
    """Whether a value meets the demand."""
    return (
        (not demand.integral or value.denominator == 1)
        and (demand.multiple_of is None or (value / demand.multiple_of).denominator == 1)
        and (demand.lower is None or value > demand.lower or (value == demand.lower and not demand.lower_open))
        and (demand.upper is None or value < demand.upper or (value == demand.upper and not demand.upper_open))
        and (demand.values is None or value in demand.values)
        and not any(allows(excluded, value) for excluded in demand.excluded)
    )


def _spells(demand: StringDemand, text: str) -> bool:
    """Whether a listed text meets the rest of the demand."""
    return (
        demand.minimum <= len(text)
        and (demand.maximum is None or len(text) <= demand.maximum)
        and (not demand.languages or all(language.matches(text.encode()) for language in demand.languages))
    )


def gathered(demands: tuple[Demand, ...]) -> Iterable[Demand]:
    """The same disjunction with fewer members: listed values in one list, many patterns in one language."""
    if len(demands) == 1:
        return demands
    booleans: set[bool] = set()
    strings: set[str] = set()
    numbers: dict[tuple[bool, bool], set[Fraction]] = defaultdict(set)
    patterns: dict[tuple[int, int | None], list[StringDemand]] = defaultdict(list)
    others: list[Demand] = []
    for demand in demands:
        if demand.concerns:
            others.append(demand)
        elif isinstance(demand, BooleanDemand):
            booleans.update(demand.values)
        elif isinstance(demand, StringDemand) and demand.values is not None:
            strings.update(text for text in demand.values if _spells(demand, text))
        elif isinstance(demand, NumberDemand) and demand.values is not None and not _excludes_spellings(demand):
            numbers[demand.integral, demand.plain].update(value for value in demand.values if allows(demand, value))
        elif isinstance(demand, StringDemand) and demand.languages:
            patterns[demand.minimum, demand.maximum].append(demand)
        else:
            others.append(demand)
    for group in patterns.values():
        others += _in_one(group) if len(group) > FEW_PATTERNS else group
    if booleans:
        others.append(BooleanDemand(frozenset(booleans)))
    if strings:
        others.append(StringDemand(values=frozenset(strings)))
    others.extend(
        NumberDemand(integral=integral, values=frozenset(values), plain=plain)
        for (integral, plain), values in numbers.items()
        if values
    )
    return others


def _excludes_spellings(demand: NumberDemand) -> bool:
    """Whether a number may be out in one spelling and in by another."""
    return any(excluded.plain for excluded in demand.excluded)


def _in_one(group: list[StringDemand]) -> list[StringDemand]:
    """One demand for several with the same lengths; the same ones when that takes too many states."""
    try:
        language = union_of([reduce(intersection, demand.languages) for demand in group])
    except CompileBudgetExceeded:
        return group
    return [group[0]._replace(languages=(language,))]


def boolean_shape(demand: BooleanDemand) -> ScalarShape | None:
    return _BOOLEANS.get(demand.values)


def number_shape(demand: NumberDemand) -> ScalarShape | None:
    """The spellings of an interval of numbers or of listed ones; None when there are none.

    Raises UnsupportedFeature or CompileBudgetExceeded, without a pointer, when they cannot be told exactly.
    """
    if demand.values is not None:
        values = [value for value in demand.values if allows(demand, value)]
        if not values:
            return None
        if demand.integral:
            return ScalarShape(Language.words([str(value).encode() for value in values]))
        return ScalarShape(number_values(values))
    language = _integers(demand) if demand.integral else _decimals(demand)
    for excluded in demand.excluded:
        language = difference(language, _spellings(excluded))
    return None if language.is_empty else ScalarShape(language)


def _integers(demand: NumberDemand) -> Language:
    """The integers within the bounds, without fraction and exponent."""
    return integer_language(
        None if demand.lower is None else _first_integer(demand.lower, demand.lower_open),
        None if demand.upper is None else -_first_integer(-demand.upper, demand.upper_open),
        None if demand.multiple_of is None else demand.multiple_of.numerator,
    )


def _first_integer(lower: Fraction, is_open: bool) -> int:
    return math.floor(lower) + 1 if is_open else math.ceil(lower)


def _decimals(demand: NumberDemand) -> Language:
    """The numbers within the bounds; with exponents where nothing is asked of them at all."""
    if demand.excluded and demand.lower is None and demand.upper is None and demand.multiple_of is None:
        return decimal_language()
    return number_language(demand.lower, demand.upper, demand.lower_open, demand.upper_open, demand.multiple_of)


def _spellings(excluded: NumberDemand) -> Language:
    """All spellings without exponent of the numbers that a demand allows."""
    if excluded.values is not None:
        return number_values([value for value in excluded.values if allows(excluded, value)])
    # The integral multiples of p/q in lowest terms are the multiples of p.
    step = excluded.multiple_of
    if excluded.integral:
        step = Fraction(1 if step is None else step.numerator)
    return number_language(excluded.lower, excluded.upper, excluded.lower_open, excluded.upper_open, step)


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
    language = reduce(intersection, demand.languages)
    minimum, maximum = binding_bounds(language, demand.minimum, demand.maximum)
    if not _is_counted(language, minimum, maximum):
        language = with_length(language, minimum, maximum)
        return None if language.is_empty else StringShape(language=language)
    fewest, most = lengths(language)
    is_empty = (maximum is not None and maximum < fewest) or (most is not None and most < minimum)
    return None if is_empty else StringShape(minimum, maximum, language)


def _is_counted(language: Language, minimum: int, maximum: int | None) -> bool:
    """Whether the recogniser counts the characters, beside the automaton, rather than the automaton itself."""
    states = len(language.accepting)
    top = minimum if maximum is None else maximum
    if top == 0 or states * (top + 1) <= FEW_STATES:
        return False
    near = minimum + int(remaining_lengths(language)[:, 0].max())
    return states * near <= MOST_COUNTED and is_countable(language, minimum, maximum)


def unconfined(demand: NumberDemand | StringDemand) -> ScalarShape | StringShape:
    """A shape that lacks no value of the demand, for one that cannot be shaped exactly."""
    if isinstance(demand, StringDemand):
        return StringShape(demand.minimum, demand.maximum)
    return ScalarShape(number_language(None, None, False, False, None))
