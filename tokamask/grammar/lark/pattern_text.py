"""Parts of a parsed pattern written back as text, so that one reader of sets and flags serves all of tokamask."""

from __future__ import annotations

import re
from re import _constants as sre
from typing import Any

from tokamask.errors import UnsupportedFeature

__all__ = ["character_text", "describe", "fixed_width_text", "minimum_width"]

CATEGORIES = {
    sre.CATEGORY_DIGIT: r"\d",
    sre.CATEGORY_NOT_DIGIT: r"\D",
    sre.CATEGORY_SPACE: r"\s",
    sre.CATEGORY_NOT_SPACE: r"\S",
    sre.CATEGORY_WORD: r"\w",
    sre.CATEGORY_NOT_WORD: r"\W",
}

DESCRIPTIONS = {
    sre.AT: "an anchor or a word boundary",
    sre.ASSERT: "a lookahead",
    sre.ASSERT_NOT: "a lookahead",
    sre.GROUPREF: "a backreference",
    sre.GROUPREF_EXISTS: "a conditional group",
}


def describe(operator: Any) -> str:
    """An operator that cannot be part of a lexeme, in words."""
    return DESCRIPTIONS.get(operator, f"a construct ({str(operator).lower()}) that cannot be enforced exactly")


def minimum_width(item: tuple[Any, Any]) -> int:
    """How many characters the item takes at least."""
    operator, argument = item
    if operator in (sre.LITERAL, sre.NOT_LITERAL, sre.IN, sre.ANY):
        return 1
    if operator is sre.BRANCH:
        return min(int(tree.getwidth()[0]) for tree in argument[1])
    if operator is sre.SUBPATTERN:
        return int(argument[3].getwidth()[0])
    if operator in (sre.MAX_REPEAT, sre.MIN_REPEAT):
        return int(argument[0]) * int(argument[2].getwidth()[0])
    return 0


def character_text(item: tuple[Any, Any], flags: int) -> str:
    """A pattern for the one character that the item takes under `flags`."""
    operator, argument = item
    if operator is sre.ANY:
        text = "."
    elif operator is sre.LITERAL:
        text = _escaped(argument)
    elif operator is sre.NOT_LITERAL:
        text = f"[^{_escaped(argument)}]"
    else:
        text = "[" + "".join(map(_set_item_text, argument)) + "]"
    letters = "".join(
        letter for letter, flag in (("a", re.ASCII), ("i", re.IGNORECASE), ("s", re.DOTALL)) if flags & flag
    )
    return f"(?{letters}:{text})" if letters else text


def _escaped(code_point: int) -> str:
    return f"\\U{code_point:08X}"


def _set_item_text(item: tuple[Any, Any]) -> str:
    operator, argument = item
    if operator is sre.NEGATE:
        return "^"
    if operator is sre.LITERAL:
        return _escaped(argument)
    if operator is sre.RANGE:
        return f"{_escaped(argument[0])}-{_escaped(argument[1])}"
    return CATEGORIES[argument]


def fixed_width_text(tree: Any, flags: int, pattern: str) -> str:
    """A pattern for a part of `pattern` that always takes the same number of characters, as in a lookbehind."""
    parts = []
    for operator, argument in tree:
        if operator in (sre.LITERAL, sre.NOT_LITERAL, sre.IN, sre.ANY):
            parts.append(character_text((operator, argument), flags))
        elif operator is sre.BRANCH:
            alternatives = (fixed_width_text(alternative, flags, pattern) for alternative in argument[1])
            parts.append(f"(?:{'|'.join(alternatives)})")
        elif operator is sre.SUBPATTERN:
            _, added, removed, inner = argument
            parts.append(f"(?:{fixed_width_text(inner, (flags | added) & ~removed, pattern)})")
        elif operator in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            parts.append(f"(?:{fixed_width_text(argument[2], flags, pattern)}){{{argument[0]}}}")
        else:
            raise UnsupportedFeature(f"the regular expression {pattern} has {describe(operator)} inside a lookbehind")
    return "".join(parts)
