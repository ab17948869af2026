"""A regular language over bytes, as a trimmed deterministic automaton, and the algebra of such languages.

`Language` is the one currency of terminals: regular expressions, numbers, formats, enumerations, choices and key
patterns all become one before the recogniser sees them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from threading import Lock
from typing import ParamSpec
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np
import numpy.typing as npt

from tokamask.grammar.automaton import Rows, distances, flat
from tokamask.grammar.flat_automaton import FlatAutomaton, unite_columns
from tokamask.grammar.minimisation import minimal
from tokamask.grammar.products import Automaton, Combination, have_common_text, product
from tokamask.grammar.text_counts import MANY, number_of_texts
from tokamask.grammar.word_automaton import word_automaton

# Memory that remembered results of one function may hold, in bytes of transition tables.
CACHE_BYTES = 32 << 20

Parameters = ParamSpec("Parameters")


@dataclass(frozen=True, eq=False)
class Language:
    """A trimmed DFA: every state is reachable from the start and reaches acceptance, so no prefix is a dead end.

    State 0 is the start; -1 stands for "no transition". The empty language has no states at all. What `assemble`
    builds is moreover numbered breadth first over distinct columns in the order of their first byte, and minimal
    unless merging was too costly: equal languages then have equal arrays.

    Attributes:
        byte_class: uint8 (256,), the column of `transitions` that each byte uses.
        transitions: int32 (states, classes), the next state or -1.
        accepting: bool (states,).
    """

    byte_class: npt.NDArray[np.uint8]
    transitions: npt.NDArray[np.int32]
    accepting: npt.NDArray[np.bool_]

    def __repr__(self) -> str:
        states, classes = self.transitions.shape
        return f"Language(states={states}, classes={classes})"

    def __post_init__(self) -> None:
        # Languages are shared by everything that asks for the same one; kernels read the arrays as they lie in memory.
        for name, dtype in (("byte_class", np.uint8), ("transitions", np.int32), ("accepting", np.bool_)):
            array = np.ascontiguousarray(getattr(self, name), dtype=dtype)
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def is_empty(self) -> bool:
        return len(self.accepting) == 0

    @property
    def automaton(self) -> Automaton:
        """The three arrays."""
        return self.byte_class, self.transitions, self.accepting

    def matches(self, text: bytes) -> bool:
        """Whether `text` as a whole is in the language."""
        state = -1 if self.is_empty else 0
        for byte in text:
            if state < 0:
                return False
            state = int(self.transitions[state, self.byte_class[byte]])
        return state >= 0 and bool(self.accepting[state])

    @staticmethod
    def literal(data: bytes) -> Language:
        """The one text `data`."""
        return _words((data,))

    @staticmethod
    def words(words: Sequence[bytes]) -> Language:
        """The finitely many texts `words`; order and repetition do not matter."""
        return _words(tuple(sorted(set(words))))


def remembered(function: Callable[Parameters, Language]) -> Callable[Parameters, Language]:
    """Keep results by their (positional, hashable) arguments, the least recently used dropped at `CACHE_BYTES`."""
    results: OrderedDict[Hashable, Language] = OrderedDict()
    lock = Lock()
    held = 0

    @wraps(function)
    def remembering(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Language:
        nonlocal held
        key = (args, tuple(sorted(kwargs.items())))
        with lock:
            known = results.get(key)
            if known is not None:
                results.move_to_end(key)
                return known
        result = function(*args, **kwargs)
        with lock:
            if key not in results:
                results[key] = result
                held += _footprint(result)
                while held > CACHE_BYTES:
                    held -= _footprint(results.popitem(last=False)[1])
        return result

    return remembering


def _footprint(language: Language) -> int:
    return 512 + language.transitions.nbytes + language.accepting.nbytes


def assemble(byte_class: bytes, rows: Rows, accepting: Sequence[bool]) -> Language:
    """The language of any automaton given as rows of successors (-1: none) over the columns `byte_class` names.

    Args:
        byte_class: the column of each of the 256 bytes.
        rows: one row for each state, state 0 the start.
        accepting: one entry for each state.
    """
    order = list(dict.fromkeys(byte_class))
    if rows and order != list(range(len(rows[0]))):
        rows = [[row[column] for column in order] for row in rows]
        places = np.zeros(256, dtype=np.uint8)
        places[order] = range(len(order))
        byte_class = byte_class.translate(places.tobytes())
    return frozen(np.frombuffer(byte_class, dtype=np.uint8), minimal(flat(rows, accepting))) if rows else _EMPTY


def frozen(byte_class: npt.NDArray[np.integer], automaton: FlatAutomaton) -> Language:
    """The language of an automaton that is trimmed, numbered breadth first and has its columns in byte order.

    Its rows are used up: columns of the same targets become one. What is equal to a language still in use is that
    language, so whoever has equal ones compares and remembers a single one.
    """
    rows, accepting, states, width = automaton
    if not states:
        return _EMPTY
    column_of, room = np.empty(width, dtype=np.int32), np.empty(2 * width, dtype=np.int32)
    width = unite_columns(rows, states, width, column_of, room)
    own_class = column_of[byte_class].astype(np.uint8)
    flags = accepting[:states].astype(np.bool_)
    rows = rows[: states * width]
    table = rows.reshape(states, width)
    written = _written(own_class, table, flags)
    key = hash(written)
    with _in_use_lock:
        known = _in_use.get(key)
        if known is None or _written(*known.automaton) != written:
            known = _in_use[key] = Language(own_class, table.copy(), flags)
        return known


def _written(*automaton: npt.NDArray[np.uint8] | npt.NDArray[np.int32] | npt.NDArray[np.bool_]) -> bytes:
    """An automaton as bytes: 256 of classes in front, which tell the width, so no two are written alike."""
    return b"".join([array.data for array in automaton])


# By the hash of the automaton as it is written: the latest one, where two hashes are equal by chance.
_in_use: WeakValueDictionary[int, Language] = WeakValueDictionary()
_in_use_lock = Lock()


_EMPTY = Language(np.zeros(256, np.uint8), np.zeros((0, 1), np.int32), np.zeros(0, np.bool_))


def empty() -> Language:
    """The language without any text."""
    return _EMPTY


@remembered
def _words(words: tuple[bytes, ...]) -> Language:
    return frozen(*word_automaton(words)) if words else _EMPTY


def until(marker: bytes) -> Language:
    """All byte strings, UTF-8 or not, that end with the first occurrence of `marker`.

    The automaton of Knuth, Morris and Pratt (1977): state i means that the longest prefix of the marker that is a
    suffix of what was read has i bytes.
    """
    letters = list(dict.fromkeys(marker))
    rows: Rows = []
    fallback = 0
    for place, byte in enumerate(marker):
        row = list(rows[fallback]) if rows else [0] * (len(letters) + 1)
        if rows:
            fallback = rows[fallback][letters.index(byte)]
        row[letters.index(byte)] = place + 1
        rows.append(row)
    rows.append([-1] * (len(letters) + 1))
    byte_class = bytes(letters.index(byte) if byte in letters else len(letters) for byte in range(256))
    return assemble(byte_class, rows, [False] * len(marker) + [True])


# Which bytes may follow which in UTF-8 (RFC 3629, section 4): column ranges, then a row for each thing awaited.
_UTF8_COLUMNS = (
    ((0x00, 0x7F), 0),
    ((0x80, 0x8F), 1),
    ((0x90, 0x9F), 2),
    ((0xA0, 0xBF), 3),
    ((0xC0, 0xC1), 4),
    ((0xC2, 0xDF), 5),
    ((0xE0, 0xE0), 6),
    ((0xE1, 0xEC), 7),
    ((0xED, 0xED), 8),
    ((0xEE, 0xEF), 7),
    ((0xF0, 0xF0), 9),
    ((0xF1, 0xF3), 10),
    ((0xF4, 0xF4), 11),
    ((0xF5, 0xFF), 4),
)
_UTF8_ROWS = [
    [0, -1, -1, -1, -1, 1, 4, 2, 5, 6, 3, 7],
    [-1, 0, 0, 0] + [-1] * 8,
    [-1, 1, 1, 1] + [-1] * 8,
    [-1, 2, 2, 2] + [-1] * 8,
    [-1, -1, -1, 1] + [-1] * 8,
    [-1, 1, 1, -1] + [-1] * 8,
    [-1, -1, 2, 2] + [-1] * 8,
    [-1, 2, -1, -1] + [-1] * 8,
]


@cache
def any_text() -> Language:
    """All valid UTF-8 texts."""
    byte_class = bytes(column for (low, high), column in _UTF8_COLUMNS for _ in range(low, high + 1))
    return assemble(byte_class, _UTF8_ROWS, [True] + [False] * 7)


@remembered
def intersection(a: Language, b: Language) -> Language:
    """The texts of both."""
    if a.is_empty or b.is_empty:
        return _EMPTY
    return _combined(a, b, Combination.INTERSECTION)


@remembered
def union(a: Language, b: Language) -> Language:
    """The texts of either."""
    if a.is_empty or b.is_empty:
        return b if a.is_empty else a
    return _combined(a, b, Combination.UNION)


def union_of(languages: Iterable[Language]) -> Language:
    """The texts of any of them: united pair by pair, so that small ones do not meet what has grown large."""
    parts = list(dict.fromkeys(languages)) or [_EMPTY]
    while len(parts) > 1:
        left_over = parts[len(parts) // 2 * 2 :]
        parts = [union(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)] + left_over
    return parts[0]


@remembered
def difference(a: Language, b: Language) -> Language:
    """The texts of `a` that are not in `b`."""
    if not overlap(a, b):
        return a
    return _combined(a, b, Combination.DIFFERENCE)


def overlap(a: Language, b: Language) -> bool:
    """Whether some text is in both."""
    return not (a.is_empty or b.is_empty) and have_common_text(a.automaton, b.automaton)


def complement_in_text(a: Language) -> Language:
    """The valid UTF-8 texts that are not in `a`, whose texts are valid themselves."""
    return _complement_of_few(a) if 0 < number_of_texts(a) < MANY else difference(any_text(), a)


@remembered
def _complement_of_few(a: Language) -> Language:
    """The complement of finitely many texts, whose automaton is minimal.

    Then the product is, too. After prefixes of one state of `any_text`, states of `a` that differ leave different texts
    out; after those of different ones endlessly many texts differ, and finitely many left out do not change that.
    """
    return frozen(*product(any_text().automaton, a.automaton, Combination.DIFFERENCE))


def _combined(a: Language, b: Language, combination: Combination) -> Language:
    byte_class, pairs = product(a.automaton, b.automaton, combination)
    return frozen(byte_class, minimal(pairs))


def equivalent(a: Language, b: Language) -> bool:
    """Whether both hold the same texts."""
    if (
        np.array_equal(a.byte_class, b.byte_class)
        and np.array_equal(a.transitions, b.transitions)
        and np.array_equal(a.accepting, b.accepting)
    ):
        return True
    return difference(a, b).is_empty and difference(b, a).is_empty


def shortest(language: Language) -> bytes:
    """The first in byte order of the shortest texts.

    Raises:
        ValueError: the language is empty.
    """
    if language.is_empty:
        raise ValueError("the empty language has no shortest text")
    rows = language.transitions.tolist()
    # The entry behind the last state is that of the dead target, -1.
    distance = [*distances(rows, language.accepting.tolist()), -1]
    column = language.byte_class.tolist()
    text = bytearray()
    state = 0
    while distance[state]:
        closer = (byte for byte in range(256) if distance[rows[state][column[byte]]] == distance[state] - 1)
        text.append(next(closer))
        state = rows[state][column[text[-1]]]
    return bytes(text)


def texts_of(language: Language, most: int) -> tuple[bytes, ...] | None:
    """All texts, in byte order; None if they are more than `most`, or at least `text_counts.MANY`.

    Found once for every `Language` object.
    """
    if language.is_empty:
        return ()
    texts = _texts.get(language)
    if texts is None:
        if number_of_texts(language) >= min(most + 1, MANY):
            return None
        texts = _texts[language] = _listed(language)
    return texts if len(texts) <= most else None


_texts: WeakKeyDictionary[Language, tuple[bytes, ...]] = WeakKeyDictionary()


def _listed(language: Language) -> tuple[bytes, ...]:
    """All texts of a finite language, in byte order."""
    letters: list[list[bytes]] = [[] for _ in range(language.transitions.shape[1])]
    for byte, column in enumerate(language.byte_class.tolist()):
        letters[column].append(bytes((byte,)))
    rows, accepting = language.transitions.tolist(), language.accepting.tolist()
    texts: list[bytes] = []
    waiting = [(0, b"")]
    while waiting:
        state, text = waiting.pop()
        if accepting[state]:
            texts.append(text)
        for target, each in zip(rows[state], letters, strict=True):
            if target >= 0:
                waiting += [(target, text + letter) for letter in each]
    return tuple(sorted(texts))
