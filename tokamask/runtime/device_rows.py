"""Rows of bitmasks where the logits are: a step names its masks by four bytes each instead of copying them there.

Most masks of a batch have been there before: the same places of a grammar come again in every row and document. So a
device keeps the rows that it was sent. A row is recognised by the name that its matcher has for it (see
`Matcher.mask_name`), and where it has none, or a new one, by its content; equal masks of any grammars are one row.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tokamask.masking.bitmask import bitmask_words

__all__ = ["DeviceRows", "device_rows"]

MOST_BYTES = 1 << 26
"""Device memory for rows: 4,096 of them with a vocabulary of 131k."""

FIRST_ROWS = 16

MOST_NAMES = 1 << 16
"""So many names are remembered; then all are forgotten, and rows recognised by their content again."""


class DeviceRows:
    """At most `most_bytes` of rows on one device; those not used for longest make room for new ones.

    Attributes:
        bytes_copied: what has gone to the device so far.
    """

    def __init__(self, vocabulary_size: int, device: torch.device, most_bytes: int = MOST_BYTES) -> None:
        octets = 4 * bitmask_words(vocabulary_size)
        self.bytes_copied = 0
        self._size = vocabulary_size
        self._device = device
        self._most_rows = most_bytes // octets
        self._table = torch.empty((0, octets), dtype=torch.uint8, device=device)
        self._places: OrderedDict[bytes, int] = OrderedDict()  # by digest, those not used for longest first
        self._digests: dict[Hashable, bytes] = {}  # by name
        self._bits = torch.tensor([1 << bit for bit in range(8)], dtype=torch.uint8, device=device)

    def allowed(self, bitmask: npt.NDArray[np.int32], names: Sequence[Hashable]) -> torch.Tensor:
        """bool (rows, V), on the device: the rows of a bitmask (rows, words).

        Args:
            names: one per row; rows with equal names are equal, today and later. None: the row has no name.
        """
        if len(bitmask) > self._most_rows:
            octets = self._copy(_octets(bitmask))
        else:
            places = self._find(bitmask, names)
            octets = self._table.index_select(0, self._copy(np.array(places, dtype=np.int32)))
        return octets.unsqueeze(-1).bitwise_and(self._bits).ne(0).flatten(1)[:, : self._size]

    def _find(self, bitmask: npt.NDArray[np.int32], names: Sequence[Hashable]) -> list[int]:
        """Where in the table the rows are; those that are not are put there."""
        places = []
        new: dict[int, int] = {}
        for number, name in enumerate(names):
            digest = self._digest(bitmask[number], name)
            place = self._places.get(digest)
            if place is None:
                # The table has a place for every row of this step, so what makes room is none of them.
                is_full = len(self._places) == self._most_rows
                place = self._places.popitem(last=False)[1] if is_full else len(self._places)
                self._places[digest] = place
                new[place] = number
            else:
                self._places.move_to_end(digest)
            places.append(place)
        if new:
            self._grow()
            rows = self._copy(_octets(bitmask[list(new.values())]))
            self._table.index_copy_(0, self._copy(np.array(list(new), dtype=np.int64)), rows)
        return places

    def _digest(self, row: npt.NDArray[np.int32], name: Hashable) -> bytes:
        digest = self._digests.get(name)
        if digest is None:
            digest = sha256(row.tobytes()).digest()
            if name is not None:
                if len(self._digests) >= MOST_NAMES:
                    self._digests.clear()
                self._digests[name] = digest
        return digest

    def _grow(self) -> None:
        """Make the table as large as what is to lie in it, or more."""
        used = len(self._table)
        if used < len(self._places):
            capacity = min(max(2 * used, len(self._places), FIRST_ROWS), self._most_rows)
            table = torch.empty((capacity, self._table.shape[1]), dtype=torch.uint8, device=self._device)
            table[:used] = self._table
            self._table = table

    def _copy(self, array: npt.NDArray[Any]) -> torch.Tensor:
        self.bytes_copied += array.nbytes
        return torch.from_numpy(array).to(self._device)


def device_rows(vocabulary_size: int, device: torch.device) -> DeviceRows | None:
    """Rows on a device; None on the CPU, where the bitmask itself is at hand."""
    return None if device.type == "cpu" else DeviceRows(vocabulary_size, device)


def _octets(bitmask: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    """Token i is bit `i & 7` of octet `i >> 3`."""
    return np.ascontiguousarray(bitmask, dtype="<i4").view(np.uint8)
