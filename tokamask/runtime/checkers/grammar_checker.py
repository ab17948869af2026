"""A compiled grammar as a checker: for a second grammar besides the constraint, or one among other checkers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tokamask.masking import requests
from tokamask.masking.bitmask import bitmask_words

if TYPE_CHECKING:
    from tokamask.masking.compiler import CompiledGrammar

__all__ = ["GrammarChecker"]


class GrammarChecker:
    """The texts of a grammar. The state is the grammar's configuration.

    Its own texts can always be completed; together with another grammar they need not: two grammars may agree on a
    beginning and on no end.
    """

    def __init__(self, compiled: CompiledGrammar) -> None:
        # Its configurations are in the hands of particles, so it stays as long as the checker.
        self._engine = compiled.engine

    @property
    def name(self) -> str:
        return "GrammarChecker"

    @property
    def is_exhaustive(self) -> bool:
        return True

    def start(self, prompt: bytes) -> int:
        return self._engine.start

    def advance(self, state: int, data: bytes) -> int | None:
        return self._engine.read(state, data) or None

    def may_end(self, state: int) -> bool:
        return bool(self._engine.call(requests.IS_ACCEPTING_AT, state))

    def allowed(self, state: int) -> npt.NDArray[np.int32]:
        row = np.zeros(bitmask_words(self._engine.vocabulary.size), dtype=np.int32)
        self._engine.call(requests.FILL, state, row.ctypes.data)
        row.flags.writeable = False
        return row

    def log_weight(self, state: int) -> float:
        return 0.0
