"""Rows on a device: the same masks as without them, whatever is there already. The device here is the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tokamask.masking.bitmask import bitmask_words
from tokamask.runtime import device_rows
from tokamask.runtime.device_rows import DeviceRows

CPU = torch.device("cpu")
SIZE = 70
ROW_BYTES = 4 * bitmask_words(SIZE)
NAME_BYTES = 4
PLACE_BYTES = 8
"""Where a new row goes is told beside it."""


def rows_within(rows: int, size: int = SIZE) -> DeviceRows:
    """A table of at most so many rows."""
    return DeviceRows(size, CPU, most_bytes=rows * 4 * bitmask_words(size))


def some_rows(count: int, size: int = SIZE) -> npt.NDArray[np.int32]:
    """Different rows, with bits beyond the vocabulary too."""
    return np.random.default_rng(size).integers(-(2**31), 2**31, (count, bitmask_words(size)), dtype=np.int32)


def bits(bitmask: npt.NDArray[np.int32], size: int = SIZE) -> list[list[bool]]:
    """Token i is bit `i & 31` of word `i >> 5`."""
    return [[bool(int(row[i >> 5]) >> (i & 31) & 1) for i in range(size)] for row in bitmask]


def look(rows: DeviceRows, bitmask: npt.NDArray[np.int32], names: Sequence[str | None]) -> int:
    """Ask for masks, see to it that they are right; the bytes that were copied for them."""
    before = rows.bytes_copied
    assert rows.allowed(bitmask, names).tolist() == bits(bitmask)
    return rows.bytes_copied - before


@pytest.mark.parametrize("size", [1, 8, 31, 32, 33, 100])
def test_bits_are_those_of_the_words(size: int) -> None:
    bitmask = some_rows(5, size)
    for most_rows in (0, 5):  # copied as they are; by way of the table
        allowed = rows_within(most_rows, size).allowed(bitmask, [None] * 5)
        assert allowed.dtype == torch.bool
        assert allowed.tolist() == bits(bitmask, size)


def test_a_step_may_have_no_rows() -> None:
    for rows in (rows_within(0), rows_within(5)):
        assert rows.allowed(some_rows(0), []).shape == (0, SIZE)
        assert rows.bytes_copied == 0


def test_a_row_is_copied_once_and_named_ever_after() -> None:
    rows, bitmask = rows_within(8), some_rows(3)
    names = ["a", "b", None]
    assert look(rows, bitmask, names) == 3 * (NAME_BYTES + PLACE_BYTES + ROW_BYTES)
    assert look(rows, bitmask, names) == 3 * NAME_BYTES
    assert look(rows, bitmask[[2, 0, 2, 1]], [None, "a", "another name", "b"]) == 4 * NAME_BYTES


def test_equal_rows_of_one_step_are_copied_once() -> None:
    bitmask = some_rows(1)[[0, 0, 0]]
    assert look(rows_within(8), bitmask, ["a", "b", None]) == 3 * NAME_BYTES + PLACE_BYTES + ROW_BYTES


def test_what_was_not_used_for_longest_makes_room() -> None:
    rows, bitmask = rows_within(2), some_rows(3)
    for number, is_new in [(0, True), (1, True), (0, False), (2, True), (0, False), (1, True), (2, True), (0, True)]:
        expected = NAME_BYTES + is_new * (PLACE_BYTES + ROW_BYTES)
        assert look(rows, bitmask[[number]], [str(number)]) == expected


def test_rows_of_a_step_do_not_make_room_for_each_other() -> None:
    rows, bitmask = rows_within(3), some_rows(5)
    for places in ([0, 1, 2], [3, 0, 4], [1, 2, 1], [4, 4, 3], [0, 1, 2]):
        look(rows, bitmask[places], [str(place) for place in places])


def test_a_step_too_large_for_the_table_is_copied_and_leaves_the_table_alone() -> None:
    rows, bitmask = rows_within(3), some_rows(4)
    names = list("abcd")
    look(rows, bitmask[:3], names[:3])
    assert look(rows, bitmask, names) == 4 * ROW_BYTES
    assert look(rows, bitmask[:3], names[:3]) == 3 * NAME_BYTES


@pytest.mark.parametrize("most_rows", [4, 17, 40, 1000])
def test_any_order_of_rows_gives_their_masks(most_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Growth, replacement, and more names than are remembered."""
    monkeypatch.setattr(device_rows, "MOST_NAMES", 7)
    rows, bitmask = rows_within(most_rows), some_rows(60)
    generator = np.random.default_rng(most_rows)
    copied = 0
    for _ in range(200):
        places = generator.integers(0, 60, int(generator.integers(1, 6))).tolist()
        copied += look(rows, bitmask[places], [f"{place}" if place % 3 else None for place in places])
    if most_rows == 1000:
        assert copied < 60 * (PLACE_BYTES + ROW_BYTES) + 1000 * NAME_BYTES


def test_only_another_device_than_the_cpu_has_rows() -> None:
    assert device_rows.device_rows(SIZE, CPU) is None
    assert isinstance(device_rows.device_rows(SIZE, torch.device("meta")), DeviceRows)
