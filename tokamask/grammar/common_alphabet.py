"""Several languages read over one alphabet: the columns of bytes that none of them tells apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tokamask.grammar.automaton import Rows
from tokamask.grammar.language import Language

__all__ = ["CommonAlphabet"]


@dataclass(frozen=True)
class CommonAlphabet:
    """Attributes:
    byte_class: the column of each of the 256 bytes.
    width: the number of columns.
    rows: the transitions of each language over these columns, -1 for none.
    accepting: the accepting states of each language.
    """

    byte_class: bytes
    width: int
    rows: dict[Language, Rows]
    accepting: dict[Language, list[bool]]

    @classmethod
    def of(cls, languages: Iterable[Language]) -> CommonAlphabet:
        """The coarsest alphabet for all of the languages."""
        distinct = list(dict.fromkeys(languages))
        columns: dict[tuple[int, ...], int] = {}
        # One column that stands for every byte when there is no language.
        own_columns = [language.byte_class.tolist() for language in distinct] or [[0] * 256]
        byte_class = bytes(columns.setdefault(column, len(columns)) for column in zip(*own_columns, strict=True))
        rows: dict[Language, Rows] = {}
        for place, language in enumerate(distinct):
            own = [column[place] for column in columns]
            rows[language] = [[row[column] for column in own] for row in language.transitions.tolist()]
        return cls(byte_class, len(columns), rows, {each: each.accepting.tolist() for each in distinct})
