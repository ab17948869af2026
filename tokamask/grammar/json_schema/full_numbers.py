"""Numbers by value, as JSON Schema sees them: 1, 1.0, 10e-1 and 1e0 are one number, and it is an integer.

Which spellings there are: any number of digits before and behind the point, and what `exponents` has. In draft 4 alone
an integer is a matter of spelling, "without a fraction or exponent part" (core, section 3.5).
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial

from tokamask.grammar.exponents import MOST_VALUES, exponent_language, exponent_values, has_exponents
from tokamask.grammar.json_schema.demands import NumberDemand
from tokamask.grammar.json_schema.shapes import ScalarShape
from tokamask.grammar.json_schema.shaping import allows
from tokamask.grammar.language import Language, difference, intersection, union
from tokamask.grammar.numbers import decimal_language, number_language, number_values
from tokamask.grammar.regular_expression import pattern_language

_ANY_NUMBER = NumberDemand()


def full_number_shape(demand: NumberDemand) -> ScalarShape | None:
    """The spellings of the numbers that meet a demand; None when there are none.

    Raises CompileBudgetExceeded, without a pointer, when they cannot be told exactly.
    """
    asserted = demand._replace(excluded=(), concerns=())
    if asserted == _ANY_NUMBER and not demand.excluded:
        return ScalarShape(number_language(None, None))
    with_exponents = all(map(_has_exponents, (asserted, *demand.excluded)))
    language = _language(asserted, with_exponents)
    for excluded in demand.excluded:
        language = difference(language, _language(excluded, with_exponents))
    return None if language.is_empty else ScalarShape(language)


def _has_exponents(demand: NumberDemand) -> bool:
    if demand.plain:
        return True
    if demand.values is not None:
        return len(demand.values) <= MOST_VALUES
    return has_exponents(_step(demand))


def _step(demand: NumberDemand) -> Fraction | None:
    """What the numbers must be multiples of. (Integral multiples of p/q in lowest terms are the multiples of p.)"""
    if demand.integral:
        return Fraction(1 if demand.multiple_of is None else demand.multiple_of.numerator)
    return demand.multiple_of


def _language(demand: NumberDemand, with_exponents: bool) -> Language:
    """The numbers of a demand that excludes none."""
    if demand.values is not None:
        values = frozenset(value for value in demand.values if allows(demand, value))
        decimals, others = number_values(values), partial(exponent_values, values)
    else:
        limits = demand.lower, demand.upper, demand.lower_open, demand.upper_open, _step(demand)
        is_free = limits == (None, None, False, False, None)
        decimals = decimal_language() if is_free else number_language(*limits)
        others = partial(exponent_language, *limits)
    if demand.plain:
        return intersection(decimals, _pointless())
    return union(decimals, others()) if with_exponents else decimals


def _pointless() -> Language:
    """Numbers without fraction and exponent."""
    return pattern_language("-?(?:0|[1-9][0-9]*)", "ecma", search=False)
