"""Guesses at the tokens that a row will write next, made without a model.

Three sources, tried in this order at every token of a draft, so that one goes on where another ends:

- *Forced*: the bytes that the constraint leaves no choice about, in the tokenizer's own spelling.
- *Copied*: what followed where the prompt or the output read as it does now ("prompt lookup decoding", Saxena 2023).
  The longest match comes first, and among equals the latest; what the constraint refuses gives way to the next.
- *Only*: where the constraint leaves few tokens and all of them begin the same text, the longest of them. Property
  names are such a text, but not a forced one: every character could be written as an escape.

A guess may be anything. What is written is decided by the model, the mask and the noise of the position (see
`tokamask.runtime.speculation`), so a bad guess costs time and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tokamask.masking.matcher import Matcher
    from tokamask.masking.vocabulary import Vocabulary
    from tokamask.runtime.prompts import Prompt

__all__ = ["Drafter", "GrammarDrafter", "Guess", "Place", "TextIndex", "only_text"]

LONGEST_MATCH = 8
"""Tokens compared backwards; a longer match says little more about what follows."""

CANDIDATES = 32
"""Places of one token that are compared, latest first, so that a look-up takes bounded time."""

MOST_COPIED = 16
"""Tokens of one copy: as many as are ever drafted."""

FEW_WORDS = 64
"""Words of a mask that may have bits when its tokens are looked at one by one."""

RECENT_PROMPTS = 2
"""Prompts whose index is remembered: the samples of a prompt are drawn side by side."""


@dataclass(frozen=True)
class Guess:
    """Tokens that may come next.

    Attributes:
        tokens: the guess; a prefix of it may come true.
        kind: guesses of one kind are taken to come true about equally often.
    """

    tokens: Sequence[int]
    kind: str


@dataclass(frozen=True)
class Place:
    """Where a draft stands.

    Attributes:
        draft: the tokens guessed since the row's last one.
        matcher: the row's constraint behind them; None for free text. It must not be moved.
        mask: int32, one row of a bitmask: what the constraint allows next; None for free text.
    """

    draft: Sequence[int]
    matcher: Matcher | None
    mask: npt.NDArray[np.int32] | None


class Drafter(Protocol):
    """Guesses for one row."""

    def observe(self, token: int) -> None:
        """The row was continued by `token`."""
        ...

    def guesses(self, place: Place) -> Iterator[Guess]:
        """What may come at `place`, the best guess first; the first that the constraint allows is taken."""
        ...


class GrammarDrafter:
    """Forced tokens, copied ones, and the only ones."""

    def __init__(self, prompt: Prompt, vocabulary: Vocabulary) -> None:
        self._index = _index_of(prompt.token_ids).copy()
        self._vocabulary = vocabulary

    def observe(self, token: int) -> None:
        self._index.append(token)

    def guesses(self, place: Place) -> Iterator[Guess]:
        if place.matcher is not None and (forced := place.matcher.forced_tokens()):
            yield Guess(forced, "forced")
        for copied, matched in self._index.continuations(place.draft):
            yield Guess(copied, f"copied after {matched}")
        if place.mask is not None and (token := only_text(place.mask, self._vocabulary)) is not None:
            yield Guess([token], "only")


class TextIndex:
    """Tokens, and where each of them stands: appended to in constant time.

    The places behind a token are chained from the latest to the first, as in LZ77 compressors.
    """

    def __init__(self, tokens: Sequence[int] = ()) -> None:
        self._tokens: list[int] = []
        self._latest: dict[int, int] = {}  # token -> the latest place behind it where another token stands
        self._before: list[int] = []  # place -> the place before it behind the same token; -1: none
        for token in tokens:
            self.append(token)

    def append(self, token: int) -> None:
        place = len(self._tokens)
        before = -1
        if place:
            before = self._latest.get(self._tokens[-1], -1)
            self._latest[self._tokens[-1]] = place
        self._before.append(before)
        self._tokens.append(token)

    def copy(self) -> TextIndex:
        twin = TextIndex()
        twin._tokens, twin._latest, twin._before = self._tokens.copy(), self._latest.copy(), self._before.copy()
        return twin

    def continuations(self, draft: Sequence[int]) -> Iterator[tuple[Sequence[int], int]]:
        """What followed where the text ended like (tokens + draft), and in how many tokens: most first, then latest.

        Of continuations that begin alike only the first is given.
        """
        end = [*self._tokens[-LONGEST_MATCH:], *draft][-LONGEST_MATCH:]
        matches: list[tuple[int, int]] = []
        place = self._latest.get(end[-1], -1) if end else -1
        while place >= 0 and len(matches) < CANDIDATES:
            length = 1
            while length < min(len(end), place) and self._tokens[place - 1 - length] == end[-1 - length]:
                length += 1
            matches.append((length, place))
            place = self._before[place]
        begun: set[int] = set()
        for length, place in sorted(matches, reverse=True):
            if self._tokens[place] not in begun:
                begun.add(self._tokens[place])
                yield self._tokens[place : place + MOST_COPIED], length


def only_text(mask: npt.NDArray[np.int32], vocabulary: Vocabulary) -> int | None:
    """The longest token of the mask, if there are few and all of them begin its text; None otherwise.

    Escapes are not looked at, as hardly any model writes them where it need not, and neither is what begins with
    whitespace: how a model indents shows in its own text.
    """
    words = np.flatnonzero(mask)
    if len(words) > FEW_WORDS:
        return None
    texts: dict[bytes, int] = {}
    for word in words.tolist():
        bits = int(mask[word]) & 0xFFFFFFFF
        while bits:
            lowest = bits & -bits
            token = 32 * word + lowest.bit_length() - 1
            text = vocabulary.token_bytes[token]
            if text is not None and b"\\" not in text and not text[:1].isspace():
                texts.setdefault(text, token)
            bits ^= lowest
    longest = max(texts, key=len, default=b"")
    return texts[longest] if texts and all(longest.startswith(text) for text in texts) else None


@lru_cache(maxsize=RECENT_PROMPTS)
def _index_of(token_ids: tuple[int, ...]) -> TextIndex:
    """Shared by all rows of a prompt, so nobody may append to it."""
    return TextIndex(token_ids)
