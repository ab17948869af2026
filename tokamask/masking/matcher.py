"""The matcher: where one request stands in its grammar."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import wraps
from operator import index
from typing import TYPE_CHECKING, Concatenate, NoReturn, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from tokamask.errors import CompileBudgetExceeded, MatcherTerminated, TokenRejected
from tokamask.masking import requests
from tokamask.masking.bitmask import clear_tokens, row_addresses, set_tokens
from tokamask.masking.forced import forced_bytes, forced_spelling
from tokamask.masking.history import THINKING, History, begun, rolled_back, steps, text
from tokamask.masking.refusals import placed, refusal
from tokamask.masking.requests import ACCEPT, FILL
from tokamask.masking.vocabulary import checked_ids

if TYPE_CHECKING:
    from tokamask.masking.compiler import CompiledGrammar
    from tokamask.masking.engine import Engine

__all__ = ["Matcher"]

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def _telling_where(
    method: Callable[Concatenate[Matcher, _Parameters], _Result],
) -> Callable[Concatenate[Matcher, _Parameters], _Result]:
    """The same method; what is too much for the engine is told with the place that the text has come to."""

    @wraps(method)
    def telling(self: Matcher, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return method(self, *args, **kwargs)
        except CompileBudgetExceeded as error:
            raise self._placed(error) from None

    return telling


class Matcher:
    """Follows one output through a compiled grammar. One thread at a time; forks are independent.

    A token is allowed exactly when its bytes can follow what was accepted and some text of the grammar still begins
    with the result. Stop tokens are allowed exactly when `is_accepting`; after one only stop tokens are allowed.

    Whatever has to look ahead may raise CompileBudgetExceeded (see `arena.grown`), with the place of the text. The
    matcher is then as it was, and can be asked and moved elsewhere.
    """

    __slots__ = (
        "_bitmask",
        "_compiled",
        "_engine",
        "_history",
        "_row_addresses",
        "_size",
        "_stop_address",
        "_stop_set",
        "_stops",
        "_think_until",
    )

    def __init__(
        self, compiled: CompiledGrammar, stop_token_ids: Iterable[int], think_until_token: int | None = None
    ) -> None:
        self._compiled = compiled
        self._size = compiled.vocabulary.size
        stops = checked_ids(stop_token_ids, self._size)
        # As kernels read them: their number first.
        self._stops = np.array([len(stops), *stops], dtype=np.int32)
        self._stop_address = self._stops.ctypes.data
        self._stop_set = frozenset(stops)
        self._think_until: int | None = None
        if think_until_token is not None:
            (self._think_until,) = checked_ids([think_until_token], self._size, "think_until token")
        if self._think_until in self._stop_set:
            raise ValueError(f"token {think_until_token} stops the text, so the constraint cannot begin behind it")
        # Configurations are those of one engine, which may be given up when memory is short. The reference is weak:
        # what nobody is asking at the moment can be freed at once, however many matchers stand in it. One whose engine
        # is gone reads its history again, in the engine that its grammar has now.
        self._engine: weakref.ref[Engine]
        self._history: History
        self._begin()
        self._bitmask: npt.NDArray[np.int32] | None = None
        self._row_addresses: dict[int, int] = {}

    # What the matcher is at.

    @property
    def compiled(self) -> CompiledGrammar:
        return self._compiled

    @property
    def stop_token_ids(self) -> tuple[int, ...]:
        return tuple(self._stops[1:].tolist())

    @property
    def is_accepting(self) -> bool:
        """Whether the text so far is complete."""
        engine = self._present_engine()
        return bool(engine.call(requests.IS_ACCEPTING_AT, abs(self._history[1])))

    @property
    def is_terminated(self) -> bool:
        """Whether a stop token was accepted; without stop tokens, whether nothing can follow."""
        if self._stop_set:
            return self._history[1] < 0
        engine = self._present_engine()
        return bool(engine.call(requests.IS_FINAL_AT, self._history[1]))

    # Moving.

    def accept_token(self, token_id: int) -> None:
        """Advance by one token.

        Raises:
            TokenRejected: the token cannot follow, is special, or is no id of the vocabulary.
            MatcherTerminated: a stop token was accepted before.
            TypeError: no integer; those of numpy and torch are.
        """
        engine, before, token = self._engine(), self._history, index(token_id)
        configuration = before[1]
        if engine is not None and configuration > 0 and 0 <= token < self._size and token not in self._stop_set:
            # As `_after` does, without its cost.
            target = engine.ask(engine.book_address, ACCEPT, configuration, token, 0)
            if target > 0:
                self._history = before, target, token
                return
        self._accept(token)

    def _accept(self, token_id: int) -> None:
        try:
            engine, before = self._present_engine(), self._history
            target = self._after(engine, before[1], token_id)
        except CompileBudgetExceeded as error:
            raise self._placed(error) from None
        if target is None:
            raise refusal(token_id, before[1] < 0, self._stop_set, self._compiled.vocabulary)
        self._history = before, target, token_id

    @_telling_where
    def accept_bytes(self, data: bytes) -> None:
        """Advance by text; it counts as one step for `rollback`.

        Raises:
            TokenRejected: the bytes cannot follow; nothing of them is taken.
            MatcherTerminated: a stop token was accepted before.
            TypeError: a str, whose encoding is the caller's to choose, or a number.
        """
        if isinstance(data, str | int):
            raise TypeError(f"accept_bytes takes bytes, not {type(data).__name__}")
        engine, before = self._present_engine(), self._history
        if before[1] < 0:
            raise MatcherTerminated("a stop token ended the text; roll it back before adding bytes")
        read = bytes(data)
        target = _behind(engine, before[1], read)
        if target is None:
            raise TokenRejected(f"{read[:60]!r} cannot follow the text accepted so far")
        self._history = before, target, read

    @_telling_where
    def is_allowed(self, token_id: int) -> bool:
        """Whether `accept_token` would succeed."""
        engine = self._present_engine()
        return self._after(engine, self._history[1], index(token_id)) is not None

    @_telling_where
    def count_accepted(self, token_ids: Sequence[int]) -> int:
        """The length of the longest prefix of `token_ids` that could be accepted; the state does not change."""
        engine = self._present_engine()
        configuration: int | None = self._history[1]
        for count, token_id in enumerate(token_ids):
            assert configuration is not None, "the loop ends at the first refusal"
            configuration = self._after(engine, configuration, index(token_id))
            if configuration is None:
                return count
        return len(token_ids)

    def rollback(self, count: int) -> None:
        """Undo the last `count` accepted tokens (or calls of `accept_bytes`).

        Raises:
            RollbackTooFar: fewer were accepted.
        """
        self._history = rolled_back(self._history, count)

    def fork(self) -> Matcher:
        """An independent matcher at the same place, in constant time."""
        twin = object.__new__(Matcher)
        twin._compiled = self._compiled
        twin._stops = self._stops
        twin._engine = self._engine
        twin._stop_address = self._stop_address
        twin._size = self._size
        twin._stop_set = self._stop_set
        twin._think_until = self._think_until
        twin._history = self._history
        twin._bitmask = None
        return twin

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Matcher can be neither copied nor pickled: fork() is an independent one at the same place; in another "
            "process load the compiled grammar (see CompiledGrammar.save), and let a new matcher accept the same tokens"
        )

    def reset(self) -> None:
        """Back to the beginning; nothing is left to roll back."""
        self._begin()

    # Masks.

    def fill_bitmask(self, bitmask: npt.NDArray[np.int32], row: int, tokens_left: int | None = None) -> None:
        """Write the allowed tokens to one row of a bitmask (see `allocate_bitmask`).

        With `tokens_left`, also leaves out the tokens after which the text cannot be completed (and stopped, when
        there are stop tokens) within that many tokens, the one chosen now included.

        Raises:
            TypeError: no numpy array.
            VocabularyMismatch: the bitmask has another width or type.
            IndexError: no such row.
        """
        if bitmask is not self._bitmask:
            self._bind(bitmask)
        try:
            address = self._row_addresses[row]
        except KeyError:
            raise IndexError(f"row {row} of a bitmask with {len(bitmask)} rows") from None
        engine = self._engine()
        if engine is None:
            engine = self._read_again()
        configuration = self._history[1]
        if configuration > 0:
            # As `engine.call` does, without its cost.
            if engine.ask(engine.book_address, FILL, configuration, address, self._stop_address):
                self._fill(engine, configuration, address)
            if tokens_left is not None:
                self._restrict(engine, configuration, bitmask[row], tokens_left)
        elif configuration == THINKING:
            self._fill_thinking(bitmask[row], tokens_left)
        else:
            bitmask[row] = 0
            set_tokens(bitmask[row], self._stops[1:].tolist())

    @_telling_where
    def _fill(self, engine: Engine, configuration: int, address: int) -> None:
        engine.call(FILL, configuration, address, self._stop_address)

    @_telling_where
    def _restrict(self, engine: Engine, configuration: int, row: npt.NDArray[np.int32], tokens_left: int) -> None:
        engine.shortest.restrict(configuration, row, tokens_left, self._stops[1:])

    def _fill_thinking(self, row: npt.NDArray[np.int32], tokens_left: int | None) -> None:
        """All text, and the token that ends it; only that one when no more can be afforded."""
        assert self._think_until is not None, "only a matcher with such a token thinks"
        needed = self.min_tokens_left() if tokens_left is not None else 0
        is_ample = tokens_left is None or tokens_left > needed
        row[:] = self._compiled.text_row if is_ample else 0
        clear_tokens(row, self._stops[1:].tolist())
        if tokens_left is None or tokens_left >= needed:
            set_tokens(row, [self._think_until])

    @_telling_where
    def mask_name(self, tokens_left: int | None = None) -> Hashable:
        """What `fill_bitmask` would write, by name: in this process masks with equal names are equal. None: no name.

        Unequal names may stand for equal masks. With `tokens_left` only masks have one that were filled before, and
        that the tokens left do not make smaller.
        """
        engine, configuration = self._present_engine(), self._history[1]
        if tokens_left is not None and configuration >= 0:
            if configuration == THINKING:
                is_ample = tokens_left > self.min_tokens_left()
            else:
                is_ample = engine.shortest.is_ample(configuration, tokens_left, len(self._stop_set))
            if not is_ample:
                return None
        return engine.number, configuration, self._stop_set, self._think_until

    def _bind(self, bitmask: npt.NDArray[np.int32]) -> None:
        self._row_addresses = row_addresses(bitmask, self._size)
        # While this reference lives, numpy refuses to move the rows.
        self._bitmask = bitmask

    # What must come.

    @_telling_where
    def forced_bytes(self) -> bytes:
        """The bytes that every continuation begins with."""
        return self._forced(self._present_engine())[0]

    def _forced(self, engine: Engine) -> tuple[bytes, int]:
        configuration = self._history[1]
        return forced_bytes(engine, configuration) if configuration > 0 else (b"", configuration)

    @_telling_where
    def forced_tokens(self) -> list[int]:
        """The tokenizer's own spelling of `forced_bytes()`, as far as a longer token could not cross its end.

        A proposal: the mask may allow other spellings. [] when the vocabulary cannot encode.
        """
        engine = self._present_engine()
        forced, configuration = self._forced(engine)
        return forced_spelling(engine, self._compiled.vocabulary, forced, configuration)

    @_telling_where
    def min_tokens_left(self) -> int:
        """How many tokens complete the text, a stop token included when there are any.

        Never less than the truth; the truth itself where the search can be finished (see `shortest`).

        Raises:
            TokenRejected: the vocabulary cannot spell any continuation.
        """
        engine, configuration = self._present_engine(), self._history[1]
        if configuration < 0:
            return 0
        if configuration == THINKING:
            return 1 + engine.shortest.length(engine.start) + bool(self._stop_set)
        return engine.shortest.length(configuration) + bool(self._stop_set)

    @_telling_where
    def shortest_completion(self) -> list[int]:
        """Tokens that complete the text, `min_tokens_left()` of them, the stop token included."""
        engine, configuration = self._present_engine(), self._history[1]
        if configuration < 0:
            return []
        begin: list[int] = []
        if configuration == THINKING:
            assert self._think_until is not None, "only a matcher with such a token thinks"
            begin, configuration = [self._think_until], engine.start
        stop: list[int] = self._stops[1:2].tolist()
        return begin + engine.shortest.tokens(configuration) + stop

    # Inside.

    def _begin(self) -> Engine:
        """Stand before the first byte."""
        engine = self._compiled.engine
        return self._begin_at(engine, engine.start if self._think_until is None else THINKING)

    def _begin_at(self, engine: Engine, configuration: int) -> Engine:
        self._engine = weakref.ref(engine)
        self._history = begun(configuration)
        return engine

    def _present_engine(self) -> Engine:
        """The engine of the history's configurations, to be held as long as they are used."""
        engine = self._engine()
        return self._read_again() if engine is None else engine

    def _read_again(self) -> Engine:
        """Put a history in the place of one whose engine was given up, by reading what it has accepted."""
        given_up = self._engine, self._history
        engine = self._begin()
        try:
            with engine.settling():
                for step in steps(given_up[1]):
                    before = self._history
                    if isinstance(step, bytes):
                        target = _behind(engine, before[1], step)
                    else:
                        target = self._after(engine, before[1], step)
                    assert target is not None, "what could follow can follow again"
                    self._history = before, target, step
        except BaseException:
            self._engine, self._history = given_up
            raise
        return engine

    def _after(self, engine: Engine, configuration: int, token_id: int) -> int | None:
        """The configuration after a token; None when it cannot follow."""
        if token_id in self._stop_set:
            if configuration < 0:
                return configuration
            return -configuration if engine.call(requests.IS_ACCEPTING_AT, configuration) else None
        if configuration < 0 or not 0 <= token_id < self._size:
            return None
        if configuration == THINKING:
            if token_id == self._think_until:
                return engine.start
            return None if self._compiled.vocabulary.token_bytes[token_id] is None else THINKING
        return engine.call(requests.ACCEPT, configuration, token_id) or None

    def _placed(self, error: CompileBudgetExceeded) -> CompileBudgetExceeded:
        return placed(error, self._compiled.program, text(self._history, self._compiled.vocabulary))


def _behind(engine: Engine, configuration: int, text: bytes) -> int | None:
    """The configuration after some bytes; None when they cannot follow."""
    return THINKING if configuration == THINKING else engine.read(configuration, text) or None
