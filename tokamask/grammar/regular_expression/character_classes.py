"""The named classes of characters of the two dialects, as sets of code points.

Python's come from `re` itself and `unicodedata`, so they follow the running interpreter; ECMAScript's are written
down in ECMA-262 (section 22.2.2.9, "CharacterClassEscape", and 12.2-12.3 for white space and line terminators).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np

from tokamask.grammar.regular_expression.code_points import (
    ANY,
    CodePoints,
    complement,
    difference,
    from_ranges,
    from_text,
    intersection,
    union,
)

ASCII: CodePoints = ((0, 0x7F),)
ASCII_DIGITS: CodePoints = ((0x30, 0x39),)
ASCII_WORD: CodePoints = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
ASCII_SPACE = from_text(" \t\n\r\f\v")
NEWLINE = from_text("\n")
LINE_TERMINATORS = from_text("\n\r\u2028\u2029")
# WhiteSpace (tab, vt, ff, BOM, category Zs) and LineTerminator.
ECMA_SPACE = from_text("\t\v\f\ufeff \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
                       "\u202f\u205f\u3000\n\r\u2028\u2029")  # fmt: skip


_STRETCH = 1 << 16
"""So many characters are searched at a time: `re` keeps all other threads waiting until it has found something."""


@cache
def _all_characters() -> str:
    """Every code point but surrogates, in order; a character's place is its number below 0xD800."""
    # Joining a million characters would keep all other threads waiting for a tenth of a second.
    code_points = np.concatenate((np.arange(0xD800), np.arange(0xE000, 0x110000)))
    octets: bytes = code_points.astype("<u4").tobytes()
    return octets.decode("utf-32-le")


def _ranges_of(spans: Iterator[tuple[int, int]]) -> CodePoints:
    """From half-open spans of places in `_all_characters`."""
    gap = 0xE000 - 0xD800
    return from_ranges(
        (first + gap * (first >= 0xD800), last - 1 + gap * (last - 1 >= 0xD800)) for first, last in _split(spans)
    )


def _split(spans: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for first, last in spans:
        if first < 0xD800 < last:
            yield first, 0xD800
            first = 0xD800
        yield first, last


@cache
def python_class(letter: str) -> CodePoints:
    r"""What \d, \s or \w match in a text pattern of `re`."""
    matches, characters = re.compile(rf"\{letter}+").finditer, _all_characters()
    stretches = range(0, len(characters), _STRETCH)
    return _ranges_of(match.span() for first in stretches for match in matches(characters, first, first + _STRETCH))


def _where(holds: Callable[[str], bool]) -> CodePoints:
    flags = "".join("1" if holds(character) else "0" for character in _all_characters())
    return _ranges_of(match.span() for match in re.finditer("1+", flags))


@cache
def _categories() -> dict[str, CodePoints]:
    """The code points of every general category ("Lu")."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for low, high in ANY:
        start, current = low, unicodedata.category(chr(low))
        for code_point in range(low + 1, high + 2):
            category = unicodedata.category(chr(code_point)) if code_point <= high else ""
            if category != current:
                spans.setdefault(current, []).append((start, code_point - 1))
                start, current = code_point, category
    return {category: tuple(ranges) for category, ranges in spans.items()}


# General_Category and its long names (UAX #44, table 12; PropertyValueAliases.txt). "LC" and the one-letter ones are
# unions. Cs, the surrogates, is empty: no text holds them.
_CATEGORY_NAMES = {
    "Cased_Letter": "LC", "Close_Punctuation": "Pe", "Connector_Punctuation": "Pc", "Control": "Cc", "cntrl": "Cc",
    "Currency_Symbol": "Sc", "Dash_Punctuation": "Pd", "Decimal_Number": "Nd", "digit": "Nd", "Enclosing_Mark": "Me",
    "Final_Punctuation": "Pf", "Format": "Cf", "Initial_Punctuation": "Pi", "Letter": "L", "Letter_Number": "Nl",
    "Line_Separator": "Zl", "Lowercase_Letter": "Ll", "Mark": "M", "Combining_Mark": "M", "Math_Symbol": "Sm",
    "Modifier_Letter": "Lm", "Modifier_Symbol": "Sk", "Nonspacing_Mark": "Mn", "Number": "N",
    "Open_Punctuation": "Ps", "Other": "C", "Other_Letter": "Lo", "Other_Number": "No", "Other_Punctuation": "Po",
    "Other_Symbol": "So", "Paragraph_Separator": "Zp", "Private_Use": "Co", "Punctuation": "P", "punct": "P",
    "Separator": "Z", "Space_Separator": "Zs", "Spacing_Mark": "Mc", "Surrogate": "Cs", "Symbol": "S",
    "Titlecase_Letter": "Lt", "Unassigned": "Cn", "Uppercase_Letter": "Lu",
}  # fmt: skip


@cache
def category(name: str) -> CodePoints | None:
    """The code points of a General_Category by its short or long name; None for other names."""
    short = _CATEGORY_NAMES.get(name, name)
    if short == "LC":
        return union(*(_categories()[each] for each in ("Lu", "Ll", "Lt")))
    if short == "Cs":
        return ()
    if short in _categories():
        return _categories()[short]
    if len(short) == 1 and short in "CLMNPSZ":
        return union(*(ranges for each, ranges in _categories().items() if each[0] == short))
    return None


@cache
def binary_property(name: str) -> CodePoints | None:
    """The code points with a binary property of ECMA-262 (table 66) that the standard library knows; else None."""
    match name:
        case "Any":
            return ANY
        case "ASCII":
            return ASCII
        case "Assigned":
            return complement(_categories()["Cn"])
        case "ASCII_Hex_Digit" | "AHex":
            return from_text("0123456789abcdefABCDEF")
        case "Uppercase" | "Upper":
            return _where(str.isupper)
        case "Lowercase" | "Lower":
            return _where(str.islower)
        case "White_Space" | "space":
            # Python's also takes the separators U+001C to U+001F, which Unicode does not (PropList.txt).
            return difference(python_class("s"), ((0x1C, 0x1F),))
        case _:
            return None


@cache
def _case_orbits() -> dict[int, CodePoints]:
    """For each cased character all those that `re.IGNORECASE` takes for it.

    `re` compares lower-case forms, and lower-case characters with the same upper-case form.
    """
    by_upper: dict[str, list[int]] = {}
    for character in _all_characters():
        lower = character.lower()
        if lower != character or character.upper() != character:
            # The one character whose lower-case form is two: U+0130, of which `re` takes the first.
            by_upper.setdefault(lower[0].upper(), []).append(ord(character))
    return {
        code_point: from_ranges((each, each) for each in orbit)
        for orbit in by_upper.values()
        if len(orbit) > 1
        for code_point in orbit
    }


@cache
def _cased() -> CodePoints:
    return from_ranges((code_point, code_point) for code_point in _case_orbits())


def ignoring_case(code_points: CodePoints) -> CodePoints:
    """With every character the others that differ from it by case alone, as `re.IGNORECASE` has it."""
    orbits = _case_orbits()
    cased = intersection(code_points, _cased())
    return union(code_points, *(orbits[each] for low, high in cased for each in range(low, high + 1)))


def ignoring_ascii_case(code_points: CodePoints) -> CodePoints:
    """The same for ASCII letters alone, as `re.IGNORECASE | re.ASCII` has it."""
    letters = intersection(code_points, ((0x41, 0x5A), (0x61, 0x7A)))
    return union(code_points, tuple((low ^ 0x20, high ^ 0x20) for low, high in letters))
