"""The matcher: where one request stands in its grammar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tokamask.errors import MatcherTerminated, RollbackTooFar, TokenRejected, VocabularyMismatch
from tokamask.masking import requests
from tokamask.masking.bitmask import bitmask_words, clear_tokens, set_tokens

if TYPE_CHECKING:
    from tokamask.masking.compiler import CompiledGrammar

__all__ = ["Matcher"]

# History is a persistent linked list: (what came before, configuration, length). A negative configuration is one
# that a stop token has ended; its absolute value is where a rollback returns to. So fork and accept are O(1), and a
# failed call has nothing to undo.
_History = tuple[Any, int, int]

# In place of a configuration: the text is still free, the token that begins the constraint has not come.
_THINKING = 0


class Matcher:
    """Follows one output through a compiled grammar. One thread at a time; forks are independent.

    A token is allowed exactly when its bytes can follow what was accepted and some text of the grammar still begins
    with the result. Stop tokens are allowed exactly when `is_accepting`; after one only stop tokens are allowed.
    """

    __slots__ = (
        "_bitmask",
        "_compiled",
        "_history",
        "_row_address",
        "_row_bytes",
        "_stop_address",
        "_stop_set",
        "_stops",
        "_think_until",
    )

    def __init__(
        self, compiled: CompiledGrammar, stop_token_ids: Iterable[int], think_until_token: int | None = None
    ) -> None:
        self._compiled = compiled
        stops = sorted(set(stop_token_ids))
        for token in stops:
            if not 0 <= token < compiled.vocabulary.size:
                size = compiled.vocabulary.size
                raise VocabularyMismatch(f"stop token {token} is outside of the vocabulary (ids 0 to {size - 1})")
        self._stops = np.array(stops, dtype=np.int32)
        self._stop_address = self._stops.ctypes.data
        self._stop_set = frozenset(stops)
        if think_until_token is not None and not 0 <= think_until_token < compiled.vocabulary.size:
            raise VocabularyMismatch(f"think_until token {think_until_token} is no id of the vocabulary")
        self._think_until = think_until_token
        self._history: _History = (None, self._beginning, 0)
        self._bitmask: npt.NDArray[np.int32] | None = None
        self._row_address = 0
        self._row_bytes = 0

    @property
    def _beginning(self) -> int:
        return self._compiled.start if self._think_until is None else _THINKING

    # What the matcher is at.

    @property
    def compiled(self) -> CompiledGrammar:
        return self._compiled

    @property
    def stop_token_ids(self) -> tuple[int, ...]:
        return tuple(int(token) for token in self._stops)

    @property
    def is_accepting(self) -> bool:
        """Whether the text so far is complete."""
        return bool(self._compiled.call(requests.IS_ACCEPTING_AT, abs(self._history[1])))

    @property
    def is_terminated(self) -> bool:
        """Whether a stop token was accepted; without stop tokens, whether nothing can follow."""
        configuration = self._history[1]
        if configuration < 0 or self._stop_set:
            return configuration < 0
        return bool(self._compiled.call(requests.IS_FINAL_AT, configuration))

    # Moving.

    def accept_token(self, token_id: int) -> None:
        """Advance by one token.

        Raises:
            TokenRejected: the token cannot follow, is special, or is no id of the vocabulary.
            MatcherTerminated: a stop token was accepted before.
        """
        before, target = self._history, self._after(self._history[1], token_id)
        if target is None:
            raise self._rejection(token_id)
        self._history = (before, target, before[2] + 1)

    def accept_bytes(self, data: bytes) -> None:
        """Advance by text; it counts as one step for `rollback`.

        Raises:
            TokenRejected: the bytes cannot follow; nothing of them is taken.
            MatcherTerminated: a stop token was accepted before.
        """
        configuration = self._history[1]
        if configuration < 0:
            raise MatcherTerminated("a stop token ended the text; roll it back before adding bytes")
        target = configuration
        if configuration != _THINKING:
            text = np.frombuffer(data, dtype=np.uint8)
            target = self._compiled.call(requests.READ, configuration, text.ctypes.data, len(data))
            if target == 0:
                raise TokenRejected(f"{data[:60]!r} cannot follow the text accepted so far")
        self._history = (self._history, target, self._history[2] + 1)

    def is_allowed(self, token_id: int) -> bool:
        """Whether `accept_token` would succeed."""
        return self._after(self._history[1], token_id) is not None

    def count_accepted(self, token_ids: Sequence[int]) -> int:
        """The length of the longest prefix of `token_ids` that could be accepted; the state does not change."""
        configuration: int | None = self._history[1]
        for count, token_id in enumerate(token_ids):
            assert configuration is not None, "the loop ends at the first refusal"
            configuration = self._after(configuration, token_id)
            if configuration is None:
                return count
        return len(token_ids)

    def rollback(self, count: int) -> None:
        """Undo the last `count` accepted tokens (or calls of `accept_bytes`).

        Raises:
            RollbackTooFar: fewer were accepted.
        """
        history = self._history
        if not 0 <= count <= history[2]:
            raise RollbackTooFar(f"cannot undo {count} steps, {history[2]} were accepted")
        for _ in range(count):
            history = history[0]
        self._history = history

    def fork(self) -> Matcher:
        """An independent matcher at the same place, in constant time."""
        twin = object.__new__(Matcher)
        twin._compiled = self._compiled
        twin._stops = self._stops
        twin._stop_address = self._stop_address
        twin._stop_set = self._stop_set
        twin._think_until = self._think_until
        twin._history = self._history
        twin._bitmask = None
        return twin

    def reset(self) -> None:
        """Back to the beginning; nothing is left to roll back."""
        self._history = (None, self._beginning, 0)

    # Masks.

    def fill_bitmask(self, bitmask: npt.NDArray[np.int32], row: int, tokens_left: int | None = None) -> None:
        """Write the allowed tokens to one row of a bitmask (see `allocate_bitmask`).

        With `tokens_left`, also leaves out the tokens after which the text cannot be completed (and stopped, when
        there are stop tokens) within that many tokens, the one chosen now included.

        Raises:
            VocabularyMismatch: the bitmask has another width or type.
            IndexError: no such row.
        """
        if bitmask is not self._bitmask:
            self._bind(bitmask)
        if not 0 <= row < len(bitmask):
            raise IndexError(f"row {row} of a bitmask with {len(bitmask)} rows")
        configuration = self._history[1]
        if configuration < 0:
            bitmask[row] = 0
            set_tokens(bitmask[row], self._stops.tolist())
            return
        if configuration == _THINKING:
            self._fill_thinking(bitmask[row], tokens_left)
            return
        address = self._row_address + row * self._row_bytes
        self._compiled.call(requests.FILL, configuration, address, self._stop_address, len(self._stop_set))
        if tokens_left is not None:
            self._compiled.shortest.restrict(configuration, bitmask[row], tokens_left, self._stops)

    def _fill_thinking(self, row: npt.NDArray[np.int32], tokens_left: int | None) -> None:
        """All text, and the token that ends it; only that one when no more can be afforded."""
        assert self._think_until is not None, "only a matcher with such a token thinks"
        needed = self.min_tokens_left() if tokens_left is not None else 0
        if tokens_left is None or tokens_left > needed:
            row[:] = self._compiled.text_row
        else:
            row[:] = 0
        clear_tokens(row, self._stops.tolist())
        if tokens_left is None or tokens_left >= needed:
            set_tokens(row, [self._think_until])

    def _bind(self, bitmask: npt.NDArray[np.int32]) -> None:
        words = bitmask_words(self._compiled.vocabulary.size)
        if bitmask.dtype != np.int32 or bitmask.ndim != 2 or bitmask.shape[1] != words or bitmask.strides[1] != 4:
            raise VocabularyMismatch(
                f"a bitmask of {bitmask.dtype} {bitmask.shape} cannot hold masks of {self._compiled.vocabulary.size} "
                f"tokens; use allocate_bitmask(rows, {self._compiled.vocabulary.size})"
            )
        if not bitmask.flags.writeable:
            raise VocabularyMismatch("the bitmask is read-only; masks are written into it")
        self._bitmask = bitmask
        self._row_address = bitmask.ctypes.data
        self._row_bytes = bitmask.strides[0]

    # What must come.

    def forced_bytes(self) -> bytes:
        """The bytes that every continuation begins with."""
        return self._forced()[0]

    def _forced(self) -> tuple[bytes, int]:
        configuration = self._history[1]
        forced = bytearray()
        if configuration <= 0:
            return b"", configuration
        while (byte := self._compiled.call(requests.FORCED_BYTE, configuration)) >= 0:
            forced.append(byte)
            data = np.array([byte], dtype=np.uint8)
            configuration = self._compiled.call(requests.READ, configuration, data.ctypes.data, 1)
        return bytes(forced), configuration

    def forced_tokens(self) -> list[int]:
        """The tokenizer's own spelling of `forced_bytes()`, as far as a longer token could not cross its end.

        A proposal: the mask may allow other spellings. [] when the vocabulary cannot encode.
        """
        forced, configuration = self._forced()
        tokens = self._compiled.vocabulary.encode(forced) if forced else []
        texts = self._compiled.vocabulary.token_bytes
        place = len(forced)
        kept = len(tokens)
        for count in range(len(tokens) - 1, -1, -1):
            place -= len(texts[tokens[count]] or b"")
            tail = np.frombuffer(forced[place:], dtype=np.uint8)
            if self._compiled.call(requests.MAY_CROSS, configuration, tail.ctypes.data, len(tail)):
                kept = count
        return tokens[:kept]

    def min_tokens_left(self) -> int:
        """How many tokens complete the text, a stop token included when there are any.

        Never less than the truth; the truth itself where the search can be finished (see `shortest`).

        Raises:
            TokenRejected: the vocabulary cannot spell any continuation.
        """
        configuration = self._history[1]
        if configuration < 0:
            return 0
        if configuration == _THINKING:
            return 1 + self._compiled.shortest.length(self._compiled.start) + bool(self._stop_set)
        return self._compiled.shortest.length(configuration) + bool(self._stop_set)

    def shortest_completion(self) -> list[int]:
        """Tokens that complete the text, `min_tokens_left()` of them, the stop token included."""
        configuration = self._history[1]
        if configuration < 0:
            return []
        begin: list[int] = []
        if configuration == _THINKING:
            assert self._think_until is not None, "only a matcher with such a token thinks"
            begin, configuration = [self._think_until], self._compiled.start
        stop: list[int] = self._stops[:1].tolist()
        return begin + self._compiled.shortest.tokens(configuration) + stop

    # Inside.

    def _after(self, configuration: int, token_id: int) -> int | None:
        """The configuration after a token; None when it cannot follow."""
        if token_id in self._stop_set:
            if configuration < 0:
                return configuration
            return -configuration if self._compiled.call(requests.IS_ACCEPTING_AT, configuration) else None
        if configuration < 0 or not 0 <= token_id < self._compiled.vocabulary.size:
            return None
        if configuration == _THINKING:
            if token_id == self._think_until:
                return self._compiled.start
            return None if self._compiled.vocabulary.token_bytes[token_id] is None else _THINKING
        return self._compiled.call(requests.ACCEPT, configuration, token_id) or None

    def _rejection(self, token_id: int) -> TokenRejected:
        vocabulary = self._compiled.vocabulary
        if self._history[1] < 0:
            return MatcherTerminated(f"token {token_id} after a stop token; only stop tokens may follow, or a rollback")
        if not 0 <= token_id < vocabulary.size:
            return TokenRejected(f"token {token_id} is no id of the vocabulary (0 to {vocabulary.size - 1})")
        if token_id in self._stop_set:
            return TokenRejected(f"stop token {token_id} where the text is not complete")
        text = vocabulary.token_bytes[token_id]
        if text is None:
            return TokenRejected(f"token {token_id} is special or missing: it is never text")
        return TokenRejected(f"token {token_id} ({text!r}) cannot follow the text accepted so far")
