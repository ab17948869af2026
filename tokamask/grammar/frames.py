"""Frames: lists of words, interned, so that a thread holds each as one integer.

They are what an object has so far (`properties`), and the nodes and values of what is remembered (`memory`). The first
word of a frame is the number of words behind it. Equal lists have equal indices.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tokamask.grammar.arena import (
    FRAME_CAPACITY,
    FRAME_COUNT,
    FRAME_HASH,
    FRAME_HASH_SIZE,
    FRAME_USED,
    FRAMES,
    FRAMES_FULL,
    OVERFLOW,
    list_hash,
)
from tokamask.grammar.jit import jit

Words = npt.NDArray[np.int32]


@jit
def _slot(M: Words) -> int:
    """Where in the hash table the frame written at the end of the frames table is found, or has its place."""
    at = M[FRAMES] + M[FRAME_USED]
    count = M[at] + 1
    size = M[FRAME_HASH_SIZE] - 1
    slot = list_hash(M, at, count) & size
    while True:
        frame = M[M[FRAME_HASH] + slot]
        if frame == 0:
            break
        same = True
        for i in range(count):
            if M[M[FRAMES] + frame + i] != M[at + i]:
                same = False
                break
        if same:
            break
        slot = (slot + 1) & size
    return M[FRAME_HASH] + slot


@jit
def known_frame(M: Words) -> int:
    """The index of the frame written at the end of the frames table if it was interned before; else 0."""
    return M[_slot(M)]


@jit
def intern_frame(M: Words) -> int:
    """The index of the frame written at the end of the frames table."""
    slot = _slot(M)
    if M[slot] == 0:
        start = M[FRAME_USED]
        M[slot] = start
        M[FRAME_COUNT] += 1
        M[FRAME_USED] = start + M[M[FRAMES] + start] + 1
    return M[slot]


@jit
def has_room_for_frame(M: Words, length: int) -> bool:
    """Objects of thousands of properties, and long numbers, have frames longer than the head room of a step."""
    if M[FRAME_USED] + length + 1 > M[FRAME_CAPACITY]:
        M[OVERFLOW] = FRAMES_FULL
        return False
    return True


@jit
def copied_frame(M: Words, frame: int) -> int:
    """Write a copy of a frame at the end of the frames table, not interned yet; returns its address, 0 on overflow."""
    source = M[FRAMES] + frame
    if not has_room_for_frame(M, M[source]):
        return 0
    at = M[FRAMES] + M[FRAME_USED]
    for i in range(M[source] + 1):
        M[at + i] = M[source + i]
    return at


@jit
def frame_word(M: Words, frame: int, word: int) -> int:
    return M[M[FRAMES] + frame + word]
