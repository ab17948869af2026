"""What %ignore names, joined to the lexemes it may stand before.

Lark's dynamic lexers skip ignored text before a lexeme and at the end, each piece as long as its terminal allows: after
`--`, an SQL comment takes all of the line. How long that is depends on what follows, but no further than to the end of
the lexeme that follows, so gap and lexeme together are one regular language. Its automaton remembers, for every piece
that ended where it could have gone on, where its terminal stands now, and dies should that piece become longer still.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tokamask.errors import UnsupportedFeature
from tokamask.grammar.automaton import explore
from tokamask.grammar.common_alphabet import CommonAlphabet
from tokamask.grammar.language import Language, assemble

__all__ = ["Ignored"]

STATE_LIMIT = 20_000


class _Thread(NamedTuple):
    """Reading with automaton number `reader`, at its state `place`.

    `endings` are the (automaton, state) of pieces that ended but must not become longer.
    """

    reader: int
    place: int
    endings: frozenset[tuple[int, int]]


class Ignored:
    """The lexemes of the ignored terminals; texts of them are *gaps*."""

    def __init__(self, languages: Sequence[Language]) -> None:
        self.languages = tuple(languages)
        self._before: dict[Language, Language] = {}

    def gap(self) -> Language:
        """Ignored text up to the end of the text, not empty."""
        return self._explored(None, "the end")

    def before(self, lexeme: Language, name: str) -> Language:
        """A gap (or none) and then a lexeme of the terminal `name`.

        Raises:
            UnsupportedFeature: whether a gap ends depends on the text after the lexeme.
        """
        if not self.languages:
            return lexeme
        if lexeme not in self._before:
            self._before[lexeme] = self._explored(lexeme, name)
        return self._before[lexeme]

    def _explored(self, lexeme: Language | None, name: str) -> Language:
        """Gaps and then a lexeme; with None, gaps alone."""
        readers = [*self.languages, *([] if lexeme is None else [lexeme])]
        last = len(self.languages)
        alphabet = CommonAlphabet.of(readers)
        rows = [alphabet.rows[reader] for reader in readers]
        accepting = [alphabet.accepting[reader] for reader in readers]

        def beginnings(endings: frozenset[tuple[int, int]]) -> list[_Thread]:
            return [_Thread(number, 0, endings) for number, reader in enumerate(readers) if not reader.is_empty]

        def step(thread: _Thread, column: int) -> list[_Thread]:
            place = rows[thread.reader][thread.place][column]
            if place < 0:
                return []
            endings = set()
            for number, ended in thread.endings:
                target = rows[number][ended][column]
                if target >= 0:
                    if accepting[number][target]:
                        return []
                    endings.add((number, target))
            moved = _Thread(thread.reader, place, frozenset(endings))
            if thread.reader == last or not accepting[thread.reader][place]:
                return [moved]
            return [moved, *beginnings(moved.endings | {(thread.reader, place)})]

        columns = range(alphabet.width)

        def successors(state: frozenset[_Thread]) -> list[frozenset[_Thread] | None]:
            moved = [frozenset(after for thread in state for after in step(thread, c)) for c in columns]
            return [threads or None for threads in moved]

        def accepts(thread: _Thread) -> bool:
            if lexeme is None:
                return accepting[thread.reader][thread.place]
            if thread.reader != last or not accepting[last][thread.place]:
                return False
            if thread.endings:
                raise UnsupportedFeature(
                    f"how much is ignored before {name} can depend on the text after it; "
                    f"write the ignored terminals so that each piece ends where it first can"
                )
            return True

        table, states = explore(frozenset(beginnings(frozenset())), successors, STATE_LIMIT)
        return assemble(alphabet.byte_class, table, [any(map(accepts, state)) for state in states])
