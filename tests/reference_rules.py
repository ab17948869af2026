"""The meaning of a `RuleSet`, written down slowly: where can an expression that begins at one place of a text end?

Knows nothing of stacks, automata products or determinisation; a left-recursive rule makes it fail.
"""

from __future__ import annotations

import sys

from tokamask.grammar.language import Language
from tokamask.grammar.rules import Choice, Expression, Reference, Repeat, RuleSet, Sequence, Terminal

__all__ = ["accepts", "reference_ends"]

# Derivations of texts with many levels of operators and brackets are deep; Python's frames are cheap.
RECURSION_LIMIT = 50_000


def accepts(rules: RuleSet, text: bytes) -> bool:
    """Whether `text` as a whole belongs to the language of `rules`."""
    return len(text) in reference_ends(rules, text)


def reference_ends(rules: RuleSet, text: bytes) -> set[int]:
    """The lengths of the prefixes of `text` that belong to the language of `rules`."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSION_LIMIT)
    try:
        return _Reference(rules, text).ends(Reference(rules.start), 0)
    finally:
        sys.setrecursionlimit(limit)


class _Reference:
    def __init__(self, rules: RuleSet, text: bytes) -> None:
        self._rules = rules
        self._text = text
        self._known: dict[tuple[str, int], set[int] | None] = {}

    def ends(self, expression: Expression, begin: int) -> set[int]:
        match expression:
            case Terminal(language):
                return self._terminal_ends(language, begin)
            case Sequence(parts):
                places = {begin}
                for part in parts:
                    places = {end for place in places for end in self.ends(part, place)}
                return places
            case Choice(alternatives):
                return {end for alternative in alternatives for end in self.ends(alternative, begin)}
            case Repeat(part, minimum, maximum):
                # Further rounds than characters can only repeat the empty text.
                rounds = minimum + len(self._text) + 1
                found: set[int] = set()
                places = {begin}
                for count in range(min(rounds, rounds if maximum is None else maximum) + 1):
                    if count >= minimum:
                        found |= places
                    places = {end for place in places for end in self.ends(part, place)}
                return found
            case Reference(rule):
                if (rule, begin) not in self._known:
                    self._known[rule, begin] = None
                    self._known[rule, begin] = self.ends(self._rules.rules[rule], begin)
                result = self._known[rule, begin]
                assert result is not None, f"rule {rule!r} is left-recursive"
                return result
            case _:
                raise NotImplementedError("JSON values have an oracle of their own")

    def _terminal_ends(self, language: Language, begin: int) -> set[int]:
        ends: set[int] = set()
        state = -1 if language.is_empty else 0
        for place in range(begin, len(self._text) + 1):
            if state < 0:
                break
            if language.accepting[state]:
                ends.add(place)
            if place < len(self._text):
                state = int(language.transitions[state, language.byte_class[self._text[place]]])
        return ends
