"""The alphabet of one regular expression: cells of code points that it never tells apart, and their UTF-8 spelling.

A *cell* is a set of code points that lie in exactly the same sets of the expression. Automata are built over cells,
a handful of columns, and only then spelled out in bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tokamask.grammar.budget import check_time
from tokamask.grammar.regular_expression.code_points import ANY, CodePoints

# Consecutive code points (first, last, cell).
Segments = tuple[tuple[int, int, int], ...]
# What follows a byte: nothing, the end of a code point of cell c (c), or inner node i (INNER - i).
NOTHING = -1
INNER = -2


@dataclass(frozen=True)
class Alphabet:
    """Attributes:
    masks: for each set of the expression the cells in it, as a bitset.
    size: the number of cells.
    byte_class: the column of each of the 256 bytes, in the order of first bytes.
    lead: int32, what follows each column at the start of a code point: NOTHING, a cell, or an inner node.
    inner: int32 (nodes * columns,), what follows each column at the inner nodes, children before their parents.
    """

    masks: dict[CodePoints, int]
    size: int
    byte_class: bytes
    lead: npt.NDArray[np.int32]
    inner: npt.NDArray[np.int32]


def bits(bitset: int) -> Iterator[int]:
    """The members of a bitset, ascending."""
    while bitset:
        lowest = bitset & -bitset
        yield lowest.bit_length() - 1
        bitset ^= lowest


@lru_cache(maxsize=1024)
def alphabet_of(sets: frozenset[CodePoints]) -> Alphabet:
    """The coarsest alphabet that can tell the sets apart."""
    ordered = sorted(sets)
    flips: dict[int, int] = {}
    for number, ranges in enumerate([*ordered, ANY]):
        bit = 1 << number
        for low, high in ranges:
            flips[low] = flips.get(low, 0) ^ bit
            flips[high + 1] = flips.get(high + 1, 0) ^ bit
    inside = 1 << len(ordered)
    spans: list[tuple[int, int, int]] = []
    places = sorted(flips)
    membership = 0
    for place, following in pairwise(places):
        membership ^= flips[place]
        if membership & inside:
            spans.append((place, following - 1, membership))
    # Cells beyond ASCII get the first numbers: most expressions then share their multi-byte part.
    cells: dict[int, int] = {}
    for _, high, membership in spans:
        if high >= 0x80:
            cells.setdefault(membership, len(cells))
    for _, _, membership in spans:
        cells.setdefault(membership, len(cells))
    members = [0] * (len(ordered) + 1)
    for membership, cell in cells.items():
        check_time()
        for number in bits(membership):
            members[number] |= 1 << cell
    masks = dict(zip(ordered, members, strict=False))
    ascii_cells: list[int] = []
    beyond: list[tuple[int, int, int]] = []
    for low, high, membership in spans:
        cell = cells[membership]
        ascii_cells += [cell] * (min(high, 0x7F) - low + 1)
        if high >= 0x80:
            low = max(low, 0x80)
            if beyond and beyond[-1][1] + 1 == low and beyond[-1][2] == cell:
                low = beyond.pop()[0]
            beyond.append((low, high, cell))
    high_class, high_lead, inner = _multibyte(tuple(beyond))
    columns = {cell: column for column, cell in enumerate(dict.fromkeys(ascii_cells))}
    byte_class = bytes([columns[cell] for cell in ascii_cells]) + bytes(len(columns) + c for c in high_class)
    lead = np.array((*columns, *high_lead), dtype=np.int32)
    padded = np.full((len(inner), len(lead)), NOTHING, dtype=np.int32)
    padded[:, len(columns) :] = inner
    return Alphabet(masks, len(cells), byte_class, lead, padded.reshape(-1))


@lru_cache(maxsize=256)
def _multibyte(segments: Segments) -> tuple[bytes, tuple[int, ...], npt.NDArray[np.int32]]:
    """Columns of the bytes from 0x80, what follows them at the start of a code point, and at the inner nodes (2-D)."""
    ends = [high for _, high, _ in segments]
    known: dict[tuple[int, ...], int] = {}
    even: dict[tuple[int, int], int] = {}

    def filled(depth: int, cell: int) -> int:
        """All continuations of `depth` bytes, in one cell."""
        if depth == 0:
            return cell
        if (depth, cell) not in even:
            even[depth, cell] = intern((filled(depth - 1, cell),) * 64)
        return even[depth, cell]

    def intern(children: tuple[int, ...]) -> int:
        if all(child == NOTHING for child in children):
            return NOTHING
        return INNER - known.setdefault(children, len(known))

    def node(depth: int, first: int, floor: int) -> int:
        """What follows once only `depth` bytes are missing: the code points from `first`, none below `floor`."""
        last = first + (1 << 6 * depth) - 1
        place = bisect_right(ends, first - 1)
        if last < floor or place == len(segments) or segments[place][0] > last:
            return NOTHING
        low, high, cell = segments[place]
        if low <= first and last <= high:
            return filled(depth, cell)
        step = 1 << 6 * (depth - 1)
        return intern(tuple([node(depth - 1, first + i * step, floor) for i in range(64)]))

    lead = [NOTHING] * 128
    for byte in range(0xC2, 0xF5):
        depth = 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
        # The shortest spelling is the only one: each length begins where the one before ends (RFC 3629, section 3).
        payload = byte & (0x1F, 0x0F, 0x07)[depth - 1]
        lead[byte - 0x80] = node(depth, payload << 6 * depth, (0x80, 0x800, 0x10000)[depth - 1])
    signatures = [(lead[i], *(row[i] if i < 64 else NOTHING for row in known)) for i in range(128)]
    columns = {signature: column for column, signature in enumerate(dict.fromkeys(signatures))}
    by_column = list(columns)
    lead_of, *inner = zip(*by_column, strict=True)
    rows = np.array(inner, dtype=np.int32).reshape(len(known), len(by_column))
    return bytes([columns[signature] for signature in signatures]), lead_of, rows
