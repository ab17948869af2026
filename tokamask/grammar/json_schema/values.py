"""JSON values with exact numbers, and when two of them are equal.

JSON Schema compares numbers by value (1 equals 1.0) and keeps true apart from 1, so neither Python's `==` nor floats
will do. A number is an int, a Decimal (the way JSON text is read here) or a float, which stands for the decimal that
`repr` shows.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Collection, Hashable
from decimal import Decimal, InvalidOperation
from enum import IntEnum
from fractions import Fraction
from typing import Any

from tokamask.errors import CompileBudgetExceeded, GrammarError, GrammarSyntaxError
from tokamask.grammar.budget import charge
from tokamask.grammar.json_schema.places import Place, pointer_at

# A JSON value. `Any` because JSON is recursive and comes from the user unchecked.
Json = Any

# Numbers are expanded into digits, so 1e1000000000 must stop here and not in the memory.
MAXIMUM_DIGITS = 2_000
_TOO_LARGE = 10**MAXIMUM_DIGITS


class Kind(IntEnum):
    """The types that JSON itself knows (an integer is a number)."""

    NULL = 0
    BOOLEAN = 1
    NUMBER = 2
    STRING = 3
    ARRAY = 4
    OBJECT = 5


class _ConstantError(Exception):
    """Python's reader has met NaN, Infinity or -Infinity."""


def _refuse_constant(name: str) -> Json:
    raise _ConstantError(name)


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)


def parse_json(text: str) -> Json:
    """Read JSON text, keeping every digit of its numbers; of equal keys the last one counts.

    Raises:
        GrammarSyntaxError: the text is not JSON.
        CompileBudgetExceeded: it is nested too deeply.
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        message = error.msg.removesuffix(" at")
        if text.startswith("\ufeff"):
            message = "Unexpected UTF-8 BOM (decode using utf-8-sig)"
        raise GrammarSyntaxError(f"malformed JSON: {message}", source=text, offset=error.pos) from None
    except _ConstantError as error:
        (name,) = error.args
        raise GrammarSyntaxError(f"{name} is not JSON", source=text, offset=max(text.find(name), 0)) from None
    except RecursionError:
        raise CompileBudgetExceeded("the JSON text is nested too deeply", pointer="#") from None
    except InvalidOperation:
        raise CompileBudgetExceeded("a number in the JSON text has too large an exponent", pointer="#") from None
    except ValueError as error:  # Python refuses to read integers of thousands of digits.
        raise CompileBudgetExceeded(f"a number in the JSON text is too long: {error}", pointer="#") from None


def shown(value: object) -> str:
    """A value for an error message, cut short: it may be large, or be no tree."""
    try:
        return f"{_BRIEFLY.repr(value):.60}"
    except ValueError:  # Python does not write integers of thousands of digits.
        return "what has a number of thousands of digits"


_BRIEFLY = reprlib.Repr()
_BRIEFLY.maxstring = _BRIEFLY.maxlong = _BRIEFLY.maxother = 60


def is_number(value: Json) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def exact(number: int | float | Decimal, place: Place) -> Fraction:
    """The number as a fraction; `place` is where the schema has it, for errors."""
    if isinstance(number, int):
        if abs(number) < _TOO_LARGE:
            return Fraction(number)
    else:
        decimal = number if isinstance(number, Decimal) else Decimal(repr(number))
        if not decimal.is_finite():
            raise GrammarError(f"{number} is not a JSON number", pointer=pointer_at(place))
        if not decimal:
            return Fraction(0)
        _, digits, exponent = decimal.as_tuple()
        if len(digits) + abs(int(exponent)) <= MAXIMUM_DIGITS:
            return Fraction(decimal)
    raise CompileBudgetExceeded(
        f"a number has more than {MAXIMUM_DIGITS} digits when written out", pointer=pointer_at(place)
    )


def kind_of(value: Json, place: Place) -> Kind:
    """The JSON type of a value; GrammarError when it is none (a set, NaN, a key that is not text...)."""
    match value:
        case None:
            return Kind.NULL
        case bool():
            return Kind.BOOLEAN
        case int() | float() | Decimal():
            return Kind.NUMBER
        case str():
            return Kind.STRING
        case list() | tuple():
            return Kind.ARRAY
        case dict():
            for name in value:
                if not isinstance(name, str):
                    raise GrammarError(f"the key {shown(name)} is not text", pointer=pointer_at(place))
            return Kind.OBJECT
        case _:
            raise GrammarError(f"{shown(value)} is not a JSON value", pointer=pointer_at(place))


def equality_key(value: Json, place: Place) -> Hashable:
    """A key that two values share exactly when JSON Schema calls them equal.

    Raises CompileBudgetExceeded for values of too many parts: Python's need not be trees.
    """
    kind = kind_of(value, place)
    if kind is Kind.NUMBER:
        return kind, exact(value, place)
    if kind is Kind.ARRAY:
        _charge_for(value, place)
        return kind, tuple([equality_key(item, place) for item in value])
    if kind is Kind.OBJECT:
        _charge_for(value, place)
        return kind, frozenset((name, equality_key(item, place)) for name, item in value.items())
    return kind, value


def _charge_for(value: Json, place: Place) -> None:
    try:
        charge(len(value))
    except CompileBudgetExceeded as error:
        raise CompileBudgetExceeded(error.message, pointer=pointer_at(place)) from None


def is_spellable(text: str) -> bool:
    """Whether the text can be written as UTF-8; lone surrogates cannot."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def are_spellable(texts: Collection[str]) -> bool:
    """Whether all of the texts can be written as UTF-8."""
    return all(map(str.isascii, texts)) or all(map(is_spellable, texts))
