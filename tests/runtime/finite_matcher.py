"""A slow matcher over an explicit finite set of byte strings, written from the Matcher contract alone.

It lets the decoding loop be tested without the engine, and its answers be worked out by enumeration.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from tokamask.errors import MatcherTerminated, TokenRejected
from tokamask.masking.vocabulary import Vocabulary


class FiniteMatcher:
    def __init__(
        self, texts: Iterable[bytes], vocabulary: Vocabulary, stop_token_ids: Iterable[int] | None = None
    ) -> None:
        self.texts = frozenset(texts)
        self.vocabulary = vocabulary
        self.stops = frozenset(vocabulary.stop_token_ids if stop_token_ids is None else stop_token_ids)
        self.spelled = b""
        self.is_terminated = False

    @property
    def compiled(self) -> FiniteMatcher:
        return self

    def matcher(
        self, stop_token_ids: Iterable[int] | None = None, think_until_token: int | None = None
    ) -> FiniteMatcher:
        """As a compiled grammar makes them; this one knows no thoughts."""
        assert think_until_token is None
        return FiniteMatcher(self.texts, self.vocabulary, stop_token_ids)

    @property
    def is_accepting(self) -> bool:
        return self.spelled in self.texts

    def is_allowed(self, token: int) -> bool:
        if token in self.stops:
            return self.is_accepting
        token_bytes = self.vocabulary.token_bytes[token]
        return (
            not self.is_terminated
            and token_bytes is not None
            and any(text.startswith(self.spelled + token_bytes) for text in self.texts)
        )

    def accept_token(self, token: int) -> None:
        if self.is_terminated and token not in self.stops:
            raise MatcherTerminated(f"token {token} after a stop token")
        if not self.is_allowed(token):
            raise TokenRejected(f"token {token} cannot follow {self.spelled!r}")
        if token in self.stops:
            self.is_terminated = True
        else:
            self.spelled += self.vocabulary.token_bytes[token] or b""

    def accept_bytes(self, data: bytes) -> None:
        if not any(text.startswith(self.spelled + data) for text in self.texts):
            raise TokenRejected(f"{data!r} cannot follow {self.spelled!r}")
        self.spelled += data

    def fork(self) -> FiniteMatcher:
        copy = FiniteMatcher(self.texts, self.vocabulary, self.stops)
        copy.spelled, copy.is_terminated = self.spelled, self.is_terminated
        return copy

    def min_tokens_left(self) -> int:
        if self.is_terminated:
            return 0
        rests = [text[len(self.spelled) :] for text in self.texts if text.startswith(self.spelled)]
        return min(_fewest_tokens(rest, self.vocabulary) for rest in rests) + bool(self.stops)

    def fill_bitmask(self, bitmask: npt.NDArray[np.int32], row: int, tokens_left: int | None = None) -> None:
        allowed = np.zeros(bitmask.shape[1] * 32, dtype=np.bool_)
        for token in range(self.vocabulary.size):
            if self.is_allowed(token):
                after = self.fork()
                after.accept_token(token)
                allowed[token] = tokens_left is None or after.min_tokens_left() <= tokens_left - 1
        bitmask[row] = np.packbits(allowed, bitorder="little").view("<i4")


@cache
def _fewest_tokens(text: bytes, vocabulary: Vocabulary) -> int:
    """The length of the shortest spelling of `text`."""
    pieces = {token_bytes for token_bytes in vocabulary.token_bytes if token_bytes}
    fewest = [0] + [len(text) + 1] * len(text)
    for end in range(1, len(text) + 1):
        counts = [fewest[start] + 1 for start in range(end) if text[start:end] in pieces]
        fewest[end] = min(counts, default=len(text) + 1)
    return fewest[-1]


def all_spellings(text: bytes, vocabulary: Vocabulary) -> list[Sequence[int]]:
    """Every token sequence that spells `text`, without a stop token."""
    if not text:
        return [()]
    return [
        (token, *rest)
        for token, token_bytes in enumerate(vocabulary.token_bytes)
        if token_bytes is not None and text.startswith(token_bytes)
        for rest in all_spellings(text[len(token_bytes) :], vocabulary)
    ]
