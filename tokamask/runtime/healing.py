"""Token healing: the last token of a prompt is taken back, and generation spells its bytes again first.

A text that ends inside a token ("http:" where the model knows "://") shows the model a spelling it never saw. Without
its last token the prompt ends on a boundary, and any token that begins with the lost bytes, or is a piece of them, may
follow. Tokens that lie wholly inside the lost bytes are still prompt: they count neither as output nor against
`max_tokens`. The token that crosses the end is the first of the output, and only its bytes past the end are new text,
so the constraint sees exactly those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tokamask.errors import TokenRejected
from tokamask.runtime.budget import can_close

if TYPE_CHECKING:
    from tokamask.masking.compiler import CompiledGrammar
    from tokamask.masking.matcher import Matcher
    from tokamask.masking.vocabulary import Vocabulary

__all__ = ["Healing", "lost_bytes"]

RECENT_ENDS = 32
"""Prompt ends whose tokens are remembered: one per prompt of a group of rows."""


def lost_bytes(token_ids: Sequence[int], vocabulary: Vocabulary) -> bytes:
    """What the last token of a prompt spells when a longer token begins the same way; b"" when nothing is to heal.

    A prompt of one token keeps it: a model must have read something.
    """
    if len(token_ids) < 2:
        return b""
    last = vocabulary.token_bytes[token_ids[-1]]
    if last is None:  # a special token is a boundary in itself
        return b""
    for token_bytes in vocabulary.token_bytes:
        if token_bytes is not None and len(token_bytes) > len(last) and token_bytes.startswith(last):
            return last
    return b""


class Healing:
    """The bytes of one row's prompt that are still to be spelled again.

    Args:
        lost: those bytes; not empty.
        vocabulary: the row's, with its stop tokens.
        matcher: the row's constraint at its beginning, or None for free text. It is advanced by the bytes past the end
            of the prompt once they are known.
        think_until: as in the row's request; a token is the one that the matcher was made with.
    """

    def __init__(
        self, lost: bytes, vocabulary: Vocabulary, matcher: Matcher | None, think_until: bytes | int | None = None
    ) -> None:
        self._lost = lost
        self._vocabulary = vocabulary
        self._matcher = matcher
        self._think_until = think_until if isinstance(think_until, int) else None

    @property
    def is_over(self) -> bool:
        return not self._lost

    def candidates(self) -> npt.NDArray[np.bool_]:
        """bool (V,): the tokens that go on spelling. The model's own law is the one among these."""
        following = _following(self._lost, self._vocabulary)
        candidates = np.zeros(self._vocabulary.size, dtype=np.bool_)
        candidates[[*following.inside, *following.beyond]] = True
        return candidates

    def allowed(self, tokens_left: int) -> npt.NDArray[np.bool_]:
        """bool (V,): the candidates after which the constraint can go on and close within `tokens_left` tokens."""
        assert self._matcher is not None, "free text has nothing to close"
        return _closing(self._lost, self._vocabulary, self._matcher.compiled, self._think_until, tokens_left)

    def accept(self, token: int) -> bytes | None:
        """The new text of `token`, or None for a token that lies inside the lost bytes."""
        token_bytes = self._vocabulary.token_bytes[token]
        assert token_bytes is not None, "only tokens with bytes are candidates"
        new_text = token_bytes[len(self._lost) :]
        self._lost = self._lost[len(token_bytes) :]
        if new_text and self._matcher is not None:
            self._matcher.accept_bytes(new_text)
        return new_text or None


@dataclass(frozen=True)
class _Following:
    """The tokens that can come where lost bytes are to be spelled.

    Attributes:
        inside: tokens that spell some of the bytes, or all, after which the rest still has a spelling.
        beyond: token -> its bytes past the end, for those that spell them all and more.
    """

    inside: tuple[int, ...]
    beyond: dict[int, bytes]


# Both are the same for all samples of a prompt, and for prompts that end alike.


@lru_cache(maxsize=RECENT_ENDS)
def _following(lost: bytes, vocabulary: Vocabulary) -> _Following:
    pieces: set[bytes] = set()
    inside: list[tuple[int, bytes]] = []
    beyond: dict[int, bytes] = {}
    for token, token_bytes in enumerate(vocabulary.token_bytes):
        if token_bytes is None:
            continue
        if lost.startswith(token_bytes):
            inside.append((token, token_bytes))
        elif token_bytes.startswith(lost):
            beyond[token] = token_bytes[len(lost) :]
        if token_bytes in lost:
            pieces.add(token_bytes)
    return _Following(tuple(token for token, piece in inside if _can_spell(lost[len(piece) :], pieces)), beyond)


@lru_cache(maxsize=RECENT_ENDS)
def _closing(
    lost: bytes, vocabulary: Vocabulary, compiled: CompiledGrammar, think_until: int | None, tokens_left: int
) -> npt.NDArray[np.bool_]:
    """See `Healing.allowed`; the array is shared, so nobody may write to it."""
    following = _following(lost, vocabulary)
    start = compiled.matcher(stop_token_ids=vocabulary.stop_token_ids, think_until_token=think_until)
    closing = np.zeros(vocabulary.size, dtype=np.bool_)
    closing[list(following.inside)] = True
    begins: dict[int, bool] = {}  # most suffixes fail at their first byte, which they share with others
    for token, suffix in following.beyond.items():
        if suffix[0] not in begins:
            begins[suffix[0]] = _read(start, suffix[:1]) is not None
        if begins[suffix[0]] and (ahead := _read(start, suffix)) is not None:
            closing[token] = can_close(ahead, vocabulary, tokens_left - 1)
    return closing


def _read(start: Matcher, data: bytes) -> Matcher | None:
    """A matcher that has gone on by `data`; None where that cannot follow."""
    ahead = start.fork()
    try:
        ahead.accept_bytes(data)
    except TokenRejected:
        return None
    return ahead


def _can_spell(text: bytes, pieces: set[bytes]) -> bool:
    """Whether some of `pieces`, one after another, spell `text`."""
    reached = {0}
    for start in range(len(text)):
        if start in reached:
            reached.update(start + len(piece) for piece in pieces if text.startswith(piece, start))
    return len(text) in reached
