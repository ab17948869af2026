"""Slow oracles of the engine: languages as sets of texts, masks by trying every token, distances by search.

Nothing here knows a trie, an interned configuration or a precomputed row. A language is anything that steps over bytes
(`Stepwise`): a finite set of texts written down elsewhere, or the byte-level recogniser when the masks above it are
in question.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from tokamask.grammar.grammar import Grammar
from tokamask.grammar.recogniser import Recogniser
from tokamask.masking.vocabulary import Vocabulary

__all__ = [
    "AfterMarker",
    "FiniteTexts",
    "Recognised",
    "Stepwise",
    "allowed_tokens",
    "allowed_within",
    "spellings",
    "token_distances",
]


class Stepwise(Protocol):
    """A language that is read piece by piece. States are hashable; None is a dead end."""

    def start(self) -> Hashable: ...

    def step(self, state: Any, data: bytes) -> Hashable | None: ...

    def is_complete(self, state: Any) -> bool: ...


class FiniteTexts:
    """Exactly these texts; a state is what was read."""

    def __init__(self, texts: Iterable[bytes]) -> None:
        self.texts = frozenset(texts)
        self.prefixes = frozenset(text[:end] for text in self.texts for end in range(len(text) + 1))

    def start(self) -> bytes:
        return b""

    def step(self, state: bytes, data: bytes) -> bytes | None:
        after = state + data
        return after if after in self.prefixes else None

    def is_complete(self, state: bytes) -> bool:
        return state in self.texts


class AfterMarker:
    """Any bytes up to the first `marker`, then one of the texts. A state is (whether the marker came, bytes)."""

    def __init__(self, marker: bytes, texts: Iterable[bytes]) -> None:
        self.marker = marker
        self.rest = FiniteTexts(texts)

    def start(self) -> tuple[bool, bytes]:
        return False, b""

    def step(self, state: tuple[bool, bytes], data: bytes) -> tuple[bool, bytes] | None:
        has_come, before = state
        if not has_come:
            free, marker, data = (before + data).partition(self.marker)
            if not marker:
                # What may still become the marker is all that matters of the free text.
                kept = next(free[at:] for at in range(len(free) + 1) if self.marker.startswith(free[at:]))
                return False, kept
            before = b""
        after = self.rest.step(before, data)
        return None if after is None else (True, after)

    def is_complete(self, state: tuple[bool, bytes]) -> bool:
        return state[0] and self.rest.is_complete(state[1])


class Recognised:
    """The language of a grammar as its byte-level recogniser has it."""

    def __init__(self, grammar: Grammar) -> None:
        self._recogniser = Recogniser(grammar.program)

    def start(self) -> int:
        return self._recogniser.start()

    def step(self, state: int, data: bytes) -> int | None:
        for byte in data:
            state = self._recogniser.move(state, byte)
            if state == 0:
                return None
        return state

    def is_complete(self, state: int) -> bool:
        return self._recogniser.is_accepting(state)


def allowed_tokens(language: Stepwise, state: Any, vocabulary: Vocabulary, stops: Iterable[int]) -> set[int]:
    """The ids that may follow, by trying each of them."""
    stopping = set(stops)
    allowed = set(stopping) if language.is_complete(state) else set()
    for token, text in enumerate(vocabulary.token_bytes):
        if text is not None and token not in stopping and language.step(state, text) is not None:
            allowed.add(token)
    return allowed


def token_distances(language: Stepwise, vocabulary: Vocabulary, starts: Iterable[Hashable] = ()) -> dict[Hashable, int]:
    """The fewest tokens (without a stop token) that complete the text, from each state reachable from `starts`.

    States from which no tokens complete the text are left out. Breadth first forwards, then backwards.
    """
    texts = {text for text in vocabulary.token_bytes if text is not None}
    reached = {language.start(), *starts}
    before: dict[Hashable, set[Hashable]] = {}
    pending = list(reached)
    while pending:
        state = pending.pop()
        for text in texts:
            after = language.step(state, text)
            if after is not None:
                before.setdefault(after, set()).add(state)
                if after not in reached:
                    reached.add(after)
                    pending.append(after)
    level = [state for state in reached if language.is_complete(state)]
    distances: dict[Hashable, int] = dict.fromkeys(level, 0)
    for distance in itertools.count(1):
        level = [state for after in level for state in before.get(after, ()) if state not in distances]
        if not level:
            return distances
        distances.update(dict.fromkeys(level, distance))
    raise AssertionError("counting has no end")


def allowed_within(
    language: Stepwise,
    state: Any,
    vocabulary: Vocabulary,
    stops: Sequence[int],
    distances: dict[Hashable, int],
    tokens_left: int,
) -> set[int]:
    """The ids after which the text can still be completed (and stopped) within `tokens_left`, that id included."""
    allowed = set()
    for token in allowed_tokens(language, state, vocabulary, stops):
        if token in stops:
            needed = 1
        else:
            distance = distances.get(language.step(state, vocabulary.token_bytes[token] or b""))
            if distance is None:
                continue
            needed = 1 + distance + bool(stops)
        if needed <= tokens_left:
            allowed.add(token)
    return allowed


# Spellings of JSON values.

_SHORT = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _hex_spellings(unit: int) -> Iterator[str]:
    digits = [sorted({digit, digit.upper()}) for digit in f"{unit:04x}"]
    for chosen in itertools.product(*digits):
        yield "\\u" + "".join(chosen)


def character_spellings(character: str) -> list[str]:
    """Every way RFC 8259 allows to write one character inside a string."""
    found = [character] if character not in '"\\' and ord(character) >= 0x20 else []
    if character in _SHORT:
        found.append(_SHORT[character])
    units = character.encode("utf-16-be")
    codes = [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]
    found.extend("".join(parts) for parts in itertools.product(*map(_hex_spellings, codes)))
    return found


def minimal_spellings(character: str) -> list[str]:
    """The ways of writing one character that escape it only where it must be: the shortest, in either case."""
    shortest = min(map(len, character_spellings(character)))
    found = [spelling for spelling in character_spellings(character) if len(spelling) == shortest]
    return [spelling for spelling in found if spelling == character] or found


def spellings(
    value: Any,
    whitespace: Sequence[str] = ("",),
    is_ordered: bool = True,
    spell: Callable[[str], list[str]] = character_spellings,
) -> Iterator[str]:
    """Every JSON text of a value: any of the `whitespace` between tokens (none around the document).

    Keys come in the order of the dict, or in every order, characters as `spell` has them. Numbers have their plain
    spelling.
    """
    match value:
        case str():
            for chosen in itertools.product(*map(spell, value)):
                yield '"' + "".join(chosen) + '"'
        case list():
            for items in itertools.product(*(list(spellings(item, whitespace, is_ordered, spell)) for item in value)):
                yield from _spaced(["[", *_separated([[item] for item in items]), "]"], whitespace)
        case dict():
            orders = [tuple(value.items())] if is_ordered else itertools.permutations(value.items())
            for order in orders:
                pairs = [
                    [list(spellings(name, spell=spell)), list(spellings(item, whitespace, is_ordered, spell))]
                    for name, item in order
                ]
                for chosen in itertools.product(*itertools.chain(*pairs)):
                    members = [[name, ":", item] for name, item in zip(chosen[::2], chosen[1::2], strict=True)]
                    yield from _spaced(["{", *_separated(members), "}"], whitespace)
        case _:
            yield json.dumps(value)


def _separated(groups: Sequence[Sequence[str]]) -> list[str]:
    parts: list[str] = []
    for number, group in enumerate(groups):
        parts += [","] * (number > 0) + list(group)
    return parts


def _spaced(parts: Sequence[str], whitespace: Sequence[str]) -> Iterator[str]:
    for blanks in itertools.product(whitespace, repeat=len(parts) - 1):
        yield "".join(itertools.chain(*itertools.zip_longest(parts, blanks, fillvalue="")))
