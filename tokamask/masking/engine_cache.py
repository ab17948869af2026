"""The engines of a compiler, kept within an amount of memory.

An engine belongs to its compiled grammar. When all of them together take too much, those that nobody has asked since
the last time go first ("not recently used", see Tanenbaum, "Modern Operating Systems", section 3.4), then others. A
compiled grammar without an engine begins a new one when it is asked again; only time is lost by that.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokamask.masking.compiler import CompiledGrammar
    from tokamask.masking.engine import Engine

__all__ = ["EngineCache"]


class EngineCache:
    """Compiled grammars whose engines share `most_bytes` of memory. Any number of threads may use it."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._owners: weakref.WeakSet[CompiledGrammar] = weakref.WeakSet()
        # Never below what all engines take: what they grow by is added, what vanished is noticed by counting anew.
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """The memory of all engines."""
        return sum(engine.nbytes for _, engine in self._engines())

    def admit(self, owner: CompiledGrammar, engine: Engine) -> None:
        """Count the new engine of a compiled grammar."""
        with self._lock:
            self._owners.add(owner)
        self.count(engine.nbytes, engine)

    def count(self, more_bytes: int, engine: Engine) -> None:
        """Note what an engine takes more than before, and make room where that is too much.

        The engine itself is given up last, and only when it has doubled since a text was read again to go on in it:
        what it knows is then mostly of no use to anybody, else it would soon be as large again.
        """
        with self._lock:
            self._bytes += more_bytes
            if self._bytes <= self._most_bytes:
                return
            engines = self._engines()
            engines.sort(key=lambda pair: pair[1].is_used)
            self._bytes = sum(each.nbytes for _, each in engines)
            # Some room more than needed, so that engines are counted once in a while and not at each growth.
            enough = self._most_bytes * 7 // 8 if self._bytes > self._most_bytes else self._bytes
            for owner, each in engines:
                each.is_used = False
                if self._bytes > enough and each is not engine:
                    owner.give_up(each)
                    self._bytes -= each.nbytes
            if self._bytes > self._most_bytes and engine.nbytes > 2 * engine.settled_bytes:
                self._give_up(engine)

    def drop(self, engine: Engine) -> None:
        """Have an engine given up that cannot go on."""
        with self._lock:
            self._give_up(engine)

    def _give_up(self, engine: Engine) -> None:
        for owner, each in self._engines():
            if each is engine:
                owner.give_up(engine)
                self._bytes -= engine.nbytes

    def _engines(self) -> list[tuple[CompiledGrammar, Engine]]:
        owned = [(owner, owner.present_engine) for owner in list(self._owners)]
        return [(owner, engine) for owner, engine in owned if engine is not None]
