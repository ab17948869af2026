"""The recogniser as an object: bytes in, configurations out. `Grammar.check` and the tests use it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tokamask.grammar.arena import CONFIGURATION_WORDS, CONFIGURATIONS, FULL, grown, new_arena
from tokamask.grammar.configurations import IS_ACCEPTING
from tokamask.grammar.moves import move, start_configuration
from tokamask.grammar.program import Program

__all__ = ["Recogniser"]


class Recogniser:
    """Follows texts through a program, one byte at a time. Configurations are integers; 0 is the dead one.

    Every method may raise CompileBudgetExceeded: see `grown`.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._arena = new_arena()
        self._lock = threading.Lock()

    def start(self) -> int:
        """The configuration before the first byte."""
        return self._call(start_configuration, self._program.start)

    def move(self, configuration: int, byte: int) -> int:
        """The configuration after a byte; 0 when no text of the language goes on with it."""
        return self._call(move, configuration, byte)

    def is_accepting(self, configuration: int) -> bool:
        """Whether the bytes so far are a text of the language."""
        record = self._arena[CONFIGURATIONS] + configuration * CONFIGURATION_WORDS
        return bool(self._arena[record + IS_ACCEPTING])

    def next_bytes(self, configuration: int) -> bytes:
        """Every byte that can follow, ascending."""
        return bytes(byte for byte in range(256) if self.move(configuration, byte))

    def _call(self, kernel: Callable[..., int], *arguments: int) -> int:
        with self._lock:
            while (result := kernel(self._program.words, self._arena, *arguments)) == FULL:
                self._arena = grown(self._arena, row_words=0)
            return int(result)
