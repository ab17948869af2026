"""Lengths of the texts of a language, in code points: what they can be from each state, and bounds on them.

Code points are counted where they begin, at bytes that do not continue a UTF-8 sequence. Languages are ones of valid
UTF-8, so every cycle of their automata begins some.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tokamask.grammar.automaton import Rows, too_many_states
from tokamask.grammar.budget import present_budget
from tokamask.grammar.language import Language, empty, intersection, remembered
from tokamask.grammar.text_counts import MANY, measure_texts, number_of_texts

UNBOUNDED = -1

_Edges = dict[tuple[int, int], int]

MOST_WORK = 50_000
"""Sums after which `fewest_texts` is content with what it has found."""

_known: weakref.WeakKeyDictionary[Language, npt.NDArray[np.int32]] = weakref.WeakKeyDictionary()


def remaining_lengths(language: Language) -> npt.NDArray[np.int32]:
    """int32 (states, 2): the fewest and the most code points from each state to acceptance (most: or UNBOUNDED).

    Found once for every `Language` object.
    """
    table = _known.get(language)
    if table is None:
        states, width = language.transitions.shape
        flat = np.zeros(2 * states, dtype=np.int32)
        room = np.empty(2 * width + 4 * states + 1 + states * width, dtype=np.int32)
        measure_texts(*language.automaton, UNBOUNDED, flat, room)
        table = flat.reshape(states, 2)
        table.flags.writeable = False
        _known[language] = table
    return table


def lengths(language: Language) -> tuple[int, int | None]:
    """The least and the greatest number of code points of a text (None: unbounded); (0, 0) for the empty language."""
    if language.is_empty:
        return 0, 0
    fewest, most = remaining_lengths(language)[0].tolist()
    return fewest, None if most == UNBOUNDED else most


def is_finite(language: Language) -> bool:
    """Whether there are only finitely many texts."""
    return lengths(language)[1] is not None


def leave_endless(languages: Sequence[Language]) -> bool:
    """Whether endlessly many texts are plainly in none of these: the repetitions of one character.

    Mostly so where anything is left, and seen sooner than by building it.
    """
    return any(not any(_repeats(language, byte) for language in languages) for byte in _REPEATED)


# Patterns that say which characters there may be rarely name the first ones, those that say which not the last.
_REPEATED = b"\x01~a0"


def _repeats(language: Language, byte: int) -> bool:
    """Whether the texts of nothing but one byte, repeated, are endlessly many."""
    if language.is_empty:
        return False
    state = 0
    # After as many steps as there are states, the way goes round a circle.
    following = language.transitions[:, language.byte_class[byte]].tolist()
    for _ in following:
        state = following[state]
        if state < 0:
            return False
    circle = set()
    while state not in circle:
        circle.add(state)
        state = following[state]
    return any(language.accepting[state] for state in circle)


def binding_bounds(language: Language, minimum: int, maximum: int | None) -> tuple[int, int | None]:
    """The same bounds as far as they exclude a text: 0 and None where every text meets them."""
    if minimum == 0 and maximum is None:
        return 0, None
    fewest, most = lengths(language)
    return (
        minimum if minimum > fewest else 0,
        None if maximum is not None and most is not None and most <= maximum else maximum,
    )


def is_countable(language: Language, minimum: int, maximum: int | None) -> bool:
    """Whether `remaining_lengths` tells from where a text within (binding) bounds can be reached.

    After n code points it can if some number from minimum - n to maximum - n is a possible remaining length. The fewest
    and the most tell that of one bound alone; of both where possible lengths never leave out as many numbers in a row
    as this window has: /^(ab)*$/ has only even ones, which a window of two cannot miss.

    The possible lengths from a state are those behind its edges, longer by what the edges count, and 0 where it
    accepts. So it is necessary that from no state the intervals in their place leave out so many, and by induction on
    the length it is enough.
    """
    if minimum == 0 or maximum is None:
        return True
    table = remaining_lengths(language).tolist()
    for targets, accepts in zip(_edges(language), language.accepting.tolist(), strict=True):
        intervals = [(0, 0)] if accepts else []
        for target, weight in targets:
            fewest, most = table[target]
            intervals.append((fewest + weight, -1 if most == UNBOUNDED else most + weight))
        intervals.sort()
        reach = intervals[0][0]
        for least, greatest in intervals:
            if least > reach + 1 + maximum - minimum:
                return False
            if greatest < 0:
                break
            reach = max(reach, greatest)
    return True


def with_length(language: Language, minimum: int, maximum: int | None) -> Language:
    """The texts of `language` that have at least `minimum` and at most `maximum` code points (None: no upper end).

    Raises:
        CompileBudgetExceeded: counting as far as needed takes too many states.
    """
    if language.is_empty or (maximum is not None and maximum < minimum):
        return empty()
    minimum, maximum = binding_bounds(language, minimum, maximum)
    if minimum == 0 and maximum is None:
        return language
    longest = lengths(language)[1]
    if longest is not None and longest < minimum:
        return empty()
    return intersection(language, _counted(minimum, maximum))


@remembered
def _counted(minimum: int, maximum: int | None) -> Language:
    """The byte strings, UTF-8 or not, in which so many code points begin; state n has seen n of them begin."""
    # Without an upper end nothing needs to be counted beyond the lower one.
    top = minimum if maximum is None else maximum
    most = present_budget().states
    if top >= most:
        raise too_many_states(most)
    counts = np.arange(top + 1)
    after = np.append(counts[1:], top if maximum is None else -1)
    return Language((np.arange(256) & 0xC0) == 0x80, np.stack((after, counts), axis=1), counts >= minimum)


def _columns(language: Language) -> tuple[bytes, Rows, list[int]]:
    """Columns that tell apart the bytes that continue a code point, the rows, and 1 for columns that start one."""
    continues = (np.arange(256) & 0xC0) == 0x80
    joint, byte_class = np.unique(language.byte_class * np.int32(2) + continues, return_inverse=True)
    rows = language.transitions[:, joint >> 1].tolist()
    return byte_class.astype(np.uint8).tobytes(), rows, (1 - (joint & 1)).tolist()


def _edges(language: Language) -> list[_Edges]:
    """From each state: (target, code points begun) -> bytes that lead there."""
    byte_class, rows, starts = _columns(language)
    sizes = np.bincount(np.frombuffer(byte_class, dtype=np.uint8), minlength=len(starts)).tolist()
    edges: list[_Edges] = []
    for row in rows:
        targets: _Edges = {}
        for target, begun, size in zip(row, starts, sizes, strict=True):
            if target >= 0:
                targets[target, begun] = targets.get((target, begun), 0) + size
        edges.append(targets)
    return edges


def fewest_texts(language: Language, minimum: int, maximum: int | None) -> int:
    """At least how many texts have `minimum` to `maximum` code points (None: no upper end); MANY stands for more.

    Exact but for texts so long that counting them takes more than `MOST_WORK`. The language is one of valid UTF-8.
    """
    if language.is_empty:
        return 0
    if maximum is None and not is_finite(language):
        return MANY
    if minimum == 0 and maximum is None:
        return number_of_texts(language)
    edges = _edges(language)
    is_inside = [any(begun == 0 for _, begun in targets) for targets in edges]
    accepts = language.accepting.tolist()
    texts, work, length = 0, 0, 0
    ends: Counter[int] = Counter({0: 1})  # of the texts of this length, by the state that they lead to
    while ends and texts < MANY and work < MOST_WORK:
        if length >= minimum:
            texts += sum(number for state, number in ends.items() if accepts[state])
        if length == maximum:
            break
        reached = _reached(ends, edges, 1)
        work += 1 + len(reached)
        ends = Counter()
        for _ in range(4):  # bytes of a code point
            ends.update({state: number for state, number in reached.items() if not is_inside[state]})
            reached = _reached(reached, edges, 0)
        length += 1
    return min(MANY, texts)


def _reached(prefixes: Counter[int], edges: list[_Edges], beginning: int) -> Counter[int]:
    """Texts of one byte more, by the state that they lead to; the byte begins a code point (1) or goes on with one."""
    reached: Counter[int] = Counter()
    for state, number in prefixes.items():
        for (target, begun), size in edges[state].items():
            if begun == beginning:
                reached[target] = min(MANY, reached[target] + number * size)
    return reached
