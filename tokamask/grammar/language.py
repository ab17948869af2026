"""A regular language over bytes, as a trimmed deterministic automaton.

`Language` is the one currency of terminals: regular expressions, numbers, formats, enumerations, choices and key
patterns all become one before the recogniser sees them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Language:
    """A trimmed DFA: every state is reachable from the start and reaches acceptance, so no prefix is a dead end.

    State 0 is the start; -1 stands for "no transition". The empty language has no states at all.

    Attributes:
        byte_class: uint8 (256,), the column of `transitions` that each byte uses.
        transitions: int32 (states, classes), the next state or -1.
        accepting: bool (states,).
    """

    byte_class: npt.NDArray[np.uint8]
    transitions: npt.NDArray[np.int32]
    accepting: npt.NDArray[np.bool_]

    @property
    def is_empty(self) -> bool:
        return len(self.accepting) == 0

    def matches(self, text: bytes) -> bool:
        """Whether `text` as a whole is in the language."""
        state = -1 if self.is_empty else 0
        for byte in text:
            if state < 0:
                return False
            state = int(self.transitions[state, self.byte_class[byte]])
        return state >= 0 and bool(self.accepting[state])
