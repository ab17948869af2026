"""Sets of Unicode scalar values, as sorted tuples of disjoint, non-adjacent inclusive ranges. Never surrogates."""

from __future__ import annotations

from collections.abc import Iterable

CodePoints = tuple[tuple[int, int], ...]

HIGHEST = 0x10FFFF
SURROGATES = (0xD800, 0xDFFF)
ANY: CodePoints = ((0, 0xD7FF), (0xE000, HIGHEST))
NONE: CodePoints = ()


def single(code_point: int) -> CodePoints:
    """The set of one code point; empty for a surrogate, which no text holds."""
    if SURROGATES[0] <= code_point <= SURROGATES[1]:
        return NONE
    return ((code_point, code_point),)


def from_ranges(ranges: Iterable[tuple[int, int]]) -> CodePoints:
    """The union of inclusive ranges in any order, overlapping or not; surrogates drop out."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    if merged and merged[-1][1] >= SURROGATES[0]:
        return intersection(tuple(merged), ANY)
    return tuple(merged)


def union(*sets: CodePoints) -> CodePoints:
    return from_ranges(pair for each in sets for pair in each)


def intersection(a: CodePoints, b: CodePoints) -> CodePoints:
    shared = []
    i = j = 0
    while i < len(a) and j < len(b):
        low, high = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if low <= high:
            shared.append((low, high))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return tuple(shared)


def complement(a: CodePoints) -> CodePoints:
    gaps = []
    start = 0
    for low, high in a:
        if low > start:
            gaps.append((start, low - 1))
        start = high + 1
    if start <= HIGHEST:
        gaps.append((start, HIGHEST))
    return intersection(tuple(gaps), ANY)


def difference(a: CodePoints, b: CodePoints) -> CodePoints:
    return intersection(a, complement(b))


def from_text(characters: str) -> CodePoints:
    """The characters of a string."""
    return from_ranges((ord(character), ord(character)) for character in characters)
