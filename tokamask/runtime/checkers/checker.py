"""What a checker is: a judge of texts that decoding can ask before a text is complete.

Grammars, monitors and plain Python predicates are checkers, so every sampler takes all of them. A checker's state is
an immutable, hashable value: forks, rollbacks, particles and drafts copy references. Text is bytes, because a token may
end inside a character.

Laws, for every checker, state s and bytes a, b:

- chunks do not matter: advance(advance(s, a), b) == advance(s, a + b), where a dead state (None) stays dead;
- None is certain: no text that goes on from there is accepted;
- `allowed(s)`, where it is not None, has exactly the tokens whose bytes `advance` lives through;
- `is_exhaustive` says that a live state can always be completed. A grammar's can; a predicate's need not.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

__all__ = ["Checker"]

State = TypeVar("State", bound=Hashable)


@runtime_checkable
class Checker(Protocol[State]):
    """Judges a text as it grows.

    Attributes:
        is_exhaustive: every state that lives can be completed.
    """

    @property
    def is_exhaustive(self) -> bool: ...

    def start(self, prompt: bytes) -> State:
        """The state before the first byte of the output; `prompt` is what the model reads before it."""
        ...

    def advance(self, state: State, data: bytes) -> State | None:
        """The state after more bytes; None when no accepted text begins so."""
        ...

    def may_end(self, state: State) -> bool:
        """Whether the text so far is complete and accepted."""
        ...

    def allowed(self, state: State) -> npt.NDArray[np.int32] | None:
        """The tokens that `advance` lives through, one row of a bitmask, int32 (ceil(V / 32),), read-only.

        None where enumerating them costs more than asking about a few: the sampler then asks `advance`.
        """
        ...

    def log_weight(self, state: State) -> float:
        """The log of a factor on the probability of every text that passed here; 0 for a checker that only judges.

        Soft checkers prefer texts this way. The factor of a whole output is that of its last state; those before it
        only guide the search. -inf is as certain as None: it stays so for every text that goes on from there.
        """
        ...
