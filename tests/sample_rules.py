"""Texts of a `RuleSet` by random derivation, and texts close to them, for comparing two readings of one grammar."""

from __future__ import annotations

import random

import numpy as np

from tokamask.grammar.language import Language
from tokamask.grammar.rules import Choice, Expression, Reference, Repeat, RuleSet, Sequence, Terminal

__all__ = ["mutated", "sampled"]


def sampled(rules: RuleSet, generator: random.Random, size: int = 40) -> str:
    """A text of the language; past about `size` lexemes the derivation hurries to its end."""
    return _Sampler(rules, generator, size).text().decode()


def mutated(text: str, alphabet: str, generator: random.Random) -> str:
    """The text with one character removed, inserted, replaced or doubled."""
    place = generator.randrange(len(text) + 1)
    character = generator.choice(alphabet)
    before, after = text[:place], text[place + 1 :]
    return generator.choice(
        [before + after, before + character + text[place:], before + character + after, before + text[place - 1 :]]
    )


class _Sampler:
    def __init__(self, rules: RuleSet, generator: random.Random, size: int) -> None:
        self._rules = rules
        self._generator = generator
        self._left = size
        self._height = _heights(rules)

    def text(self) -> bytes:
        """Expand from the left, with a stack of what is still to come."""
        written = b""
        pending: list[Expression] = [Reference(self._rules.start)]
        while pending:
            match pending.pop():
                case Terminal(language):
                    self._left -= 1
                    written += self._lexeme(language)
                case Sequence(parts):
                    pending.extend(reversed(parts))
                case Choice(alternatives) if self._left > 0:
                    pending.append(self._generator.choice(alternatives))
                case Choice(alternatives):
                    pending.append(min(alternatives, key=lambda each: expression_height(each, self._height)))
                case Repeat(part, minimum, maximum):
                    more = self._generator.choice((0, 1, 1, 2)) if self._left > 0 else 0
                    count = minimum + more if maximum is None else min(minimum + more, maximum)
                    pending.extend([part] * count)
                case Reference(rule):
                    pending.append(self._rules.rules[rule])
        return written

    def _lexeme(self, language: Language) -> bytes:
        """A random walk through the automaton that turns home after a while."""
        distance = _distances(language)
        state, written, steps = 0, bytearray(), self._generator.randrange(2, 8)
        while True:
            if language.accepting[state] and (len(written) >= steps or self._generator.random() < 0.3):
                return bytes(written)
            row = language.transitions[state][language.byte_class]
            choices = [byte for byte in range(256) if row[byte] >= 0]
            if not choices:
                return bytes(written)
            if len(written) >= steps:
                nearest = min(distance[row[byte]] for byte in choices)
                choices = [byte for byte in choices if distance[row[byte]] == nearest]
            byte = self._generator.choice([b for b in choices if 32 <= b < 127] or choices)
            written.append(byte)
            state = int(row[byte])


def _distances(language: Language) -> dict[int, int]:
    """The fewest bytes from each state to acceptance."""
    states = range(len(language.accepting))
    distance = {state: 0 for state in states if language.accepting[state]}
    while len(distance) < len(states):
        found = {
            state: 1
            + min(distance[target] for target in np.unique(language.transitions[state]).tolist() if target in distance)
            for state in states
            if state not in distance and any(int(t) in distance for t in language.transitions[state])
        }
        distance.update(found)
    return distance


def _heights(rules: RuleSet) -> dict[str, float]:
    """The height of the lowest derivation of each rule."""
    heights = dict.fromkeys(rules.rules, float("inf"))
    while True:
        lower = {name: 1 + expression_height(expression, heights) for name, expression in rules.rules.items()}
        if lower == heights:
            return heights
        heights = lower


def expression_height(expression: Expression, heights: dict[str, float]) -> float:
    match expression:
        case Reference(rule):
            return heights[rule]
        case Sequence(parts):
            return max((expression_height(part, heights) for part in parts), default=0)
        case Choice(alternatives):
            return min(expression_height(alternative, heights) for alternative in alternatives)
        case Repeat(part, minimum):
            return expression_height(part, heights) if minimum else 0
        case _:
            return 0
