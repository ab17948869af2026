"""Token healing: the last token of a prompt is taken back, and generation spells its bytes again first.

A text that ends inside a token ("http:" where the model knows "://") shows the model a spelling it never saw. Without
its last token the prompt ends on a boundary, and any token that begins with the lost bytes, or is a piece of them, may
follow. Tokens that lie wholly inside the lost bytes are still prompt: they count neither as output nor against
`max_tokens`. The token that crosses the end is the first of the output, and only its bytes past the end are new text,
so the constraint sees exactly those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tokamask.errors import TokenRejected

if TYPE_CHECKING:
    from tokamask.masking.matcher import Matcher
    from tokamask.masking.vocabulary import Vocabulary

__all__ = ["Healing", "lost_bytes"]


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
        matcher: the row's constraint at its beginning, or None for free text. It is advanced by the bytes past the end
            of the prompt once they are known.
    """

    def __init__(self, lost: bytes, vocabulary: Vocabulary, matcher: Matcher | None) -> None:
        self._vocabulary = vocabulary
        self._matcher = matcher
        self._open(lost)

    def _open(self, lost: bytes) -> None:
        """Sort the tokens that can follow into those inside the lost bytes and those that go past their end."""
        self._lost = lost
        pieces: set[bytes] = set()
        inside: list[tuple[int, bytes]] = []
        self._beyond: list[tuple[int, bytes]] = []  # with the bytes past the end
        for token, token_bytes in enumerate(self._vocabulary.token_bytes):
            if token_bytes is None:
                continue
            if lost.startswith(token_bytes):
                inside.append((token, token_bytes))
            elif token_bytes.startswith(lost):
                self._beyond.append((token, token_bytes[len(lost) :]))
            if token_bytes in lost:
                pieces.add(token_bytes)
        self._inside = [token for token, piece in inside if _can_spell(lost[len(piece) :], pieces)]

    @property
    def is_over(self) -> bool:
        return not self._lost

    def candidates(self) -> npt.NDArray[np.bool_]:
        """bool (V,): the tokens that go on spelling. The model's own law is the one among these."""
        allowed = np.zeros(self._vocabulary.size, dtype=np.bool_)
        allowed[self._inside] = True
        allowed[[token for token, _ in self._beyond]] = True
        return allowed

    def allowed(self, tokens_left: int) -> npt.NDArray[np.bool_]:
        """bool (V,): the candidates after which the constraint can go on and close within `tokens_left` tokens."""
        allowed = np.zeros(self._vocabulary.size, dtype=np.bool_)
        allowed[self._inside] = True
        begins: dict[int, bool] = {}  # most suffixes fail at their first byte, which few of them share with others
        for token, suffix in self._beyond:
            if suffix[0] not in begins:
                begins[suffix[0]] = self._can_close(suffix[:1], tokens_left)
            if begins[suffix[0]]:
                allowed[token] = self._can_close(suffix, tokens_left - 1)
        return allowed

    def accept(self, token: int) -> bytes | None:
        """The new text of `token`, or None for a token that lies inside the lost bytes."""
        token_bytes = self._vocabulary.token_bytes[token]
        assert token_bytes is not None, "only tokens with bytes are candidates"
        if len(token_bytes) > len(self._lost):
            suffix = token_bytes[len(self._lost) :]
            self._lost = b""
            if self._matcher is not None:
                self._matcher.accept_bytes(suffix)
            return suffix
        if token_bytes == self._lost:
            self._lost = b""
        else:
            self._open(self._lost[len(token_bytes) :])
        return None

    def _can_close(self, suffix: bytes, tokens_left: int) -> bool:
        assert self._matcher is not None, "free text has nothing to close"
        ahead = self._matcher.fork()
        try:
            ahead.accept_bytes(suffix)
            return ahead.min_tokens_left() <= tokens_left
        except TokenRejected:
            return False


def _can_spell(text: bytes, pieces: set[bytes]) -> bool:
    """Whether some of `pieces`, one after another, spell `text`."""
    reached = {0}
    for start in range(len(text)):
        if start in reached:
            reached.update(start + len(piece) for piece in pieces if text.startswith(piece, start))
    return len(text) in reached
