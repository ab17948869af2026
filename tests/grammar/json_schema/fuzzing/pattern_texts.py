"""Texts that a regular expression finds, drawn from its syntax tree as Python's own parser sees it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from re import _parser as parser
from typing import Any

__all__ = ["found_text"]

_PLAIN = "abxyzABXYZ0189 -_./:@#,;é😀\t\n"
# Members of the classes \d, \w, \s and of their complements. Dialects differ on those beyond ASCII.
_CATEGORIES: Mapping[str, str] = {
    "CATEGORY_DIGIT": "0123456789",
    "CATEGORY_WORD": "aZ0_",
    "CATEGORY_SPACE": " \t\n\u00a0",
    "CATEGORY_NOT_DIGIT": "a ٣",
    "CATEGORY_NOT_WORD": " -é",
    "CATEGORY_NOT_SPACE": "a0é",
}


def found_text(pattern: str, generator: random.Random) -> str | None:
    """A text that the pattern mostly finds (look-around and anchors are passed over); None where Python's parser does
    not read it."""
    try:
        tree = parser.parse(pattern)
    except (re.error, RecursionError, OverflowError):
        return None
    text = _Writer(generator).text(tree)
    return "".join(character for character in text if not "\ud800" <= character <= "\udfff")


class _Writer:
    def __init__(self, generator: random.Random) -> None:
        self._generator = generator
        self._groups: dict[int | None, str] = {}
        self._texts: Mapping[str, Callable[[Any], str]] = {
            "LITERAL": chr,
            "NOT_LITERAL": lambda code: self._plain(lambda character: ord(character) != code),
            "ANY": lambda _: self._plain(lambda character: character != "\n"),
            "IN": self._member,
            "MAX_REPEAT": self._repeated,
            "MIN_REPEAT": self._repeated,
            "SUBPATTERN": self._group,
            "BRANCH": lambda branches: self.text(generator.choice(branches[1])),
            "GROUPREF": lambda number: self._groups.get(number, ""),
        }

    def text(self, tree: Any) -> str:
        return "".join(self._texts.get(str(name), lambda _: "")(argument) for name, argument in tree)

    def _plain(self, is_allowed: Callable[[str], bool]) -> str:
        return self._generator.choice([character for character in _PLAIN if is_allowed(character)] or ["\u4e2d"])

    def _repeated(self, argument: Any) -> str:
        least, most, tree = argument
        times = self._generator.choice((least, least, min(most, least + 1), min(most, least + 3), min(most, 40)))
        return "".join(self.text(tree) for _ in range(max(least, times)))

    def _group(self, argument: Any) -> str:
        number, _, _, tree = argument
        self._groups[number] = self.text(tree)
        return self._groups[number]

    def _member(self, members: Any) -> str:
        if str(members[0][0]) == "NEGATE":
            return self._plain(lambda character: not any(_holds(member, character) for member in members[1:]))
        name, argument = self._generator.choice(members)
        match str(name):
            case "LITERAL":
                return chr(argument)
            case "RANGE":
                return chr(self._generator.choice((*argument, self._generator.randint(*argument))))
        return self._generator.choice(_CATEGORIES[str(argument)])


def _holds(member: Any, character: str) -> bool:
    name, argument = member
    match str(name):
        case "LITERAL":
            return ord(character) == int(argument)
        case "RANGE":
            return int(argument[0]) <= ord(character) <= int(argument[1])
    category = str(argument).removeprefix("CATEGORY_")
    is_word = character.isalnum() or character == "_"
    within = {"DIGIT": character.isdigit(), "SPACE": character.isspace(), "WORD": is_word}
    return within[category.removeprefix("NOT_")] != category.startswith("NOT_")
