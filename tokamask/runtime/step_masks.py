"""The masks of one step of a batch: filled where the matchers are, and applied where the logits are."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from tokamask.masking.bitmask import allocate_bitmask, pack_row
from tokamask.runtime.device_rows import device_rows

if TYPE_CHECKING:
    from tokamask.masking.matcher import Matcher

__all__ = ["StepMasks", "unpack_bitmask"]

# The name of a row that allows everything.
_FREE = "free"


class StepMasks:
    """One mask for every place of a step; a step after the other.

    Attributes:
        bitmask: int32 (places, ceil(V / 32)): the masks, to be read; `fill`, `write` and `free` write them.
        device: where the logits are.
    """

    def __init__(self, places: int, vocabulary_size: int, device: torch.device) -> None:
        self.device = device
        self._size = vocabulary_size
        self._rows = device_rows(vocabulary_size, device)
        self.provide(places)

    def provide(self, places: int) -> None:
        """Begin anew with that many places, of which nothing is known."""
        self.bitmask = allocate_bitmask(places, self._size)
        self._names: list[Hashable] = [None] * places

    def fill(self, place: int, matcher: Matcher, tokens_left: int | None) -> None:
        """What a matcher allows; see `Matcher.fill_bitmask`."""
        self._names[place] = None
        matcher.fill_bitmask(self.bitmask, place, tokens_left)
        if self._rows is not None:
            self._names[place] = matcher.mask_name(tokens_left)

    def write(self, place: int, allowed: npt.NDArray[np.bool_]) -> None:
        """A mask given as bool (V,)."""
        self._names[place] = None
        self.bitmask[place] = pack_row(allowed)

    def free(self, place: int) -> None:
        """Everything is allowed."""
        self._names[place] = _FREE
        self.bitmask[place] = -1

    def allowed(self, places: Sequence[int]) -> torch.Tensor:
        """bool (len(places), V) on the device of the logits."""
        masks = self.bitmask[list(places)]
        if self._rows is None:
            return torch.from_numpy(unpack_bitmask(masks, self._size))
        return self._rows.allowed(masks, [self._names[place] for place in places])


def unpack_bitmask(bitmask: npt.NDArray[np.int32], size: int) -> npt.NDArray[np.bool_]:
    """bool (rows, size) of an int32 (rows, ceil(size / 32)) bitmask."""
    octets = np.ascontiguousarray(bitmask, dtype="<i4").view(np.uint8)
    return np.unpackbits(octets, axis=1, count=size, bitorder="little").view(np.bool_)
