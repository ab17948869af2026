"""How many tokens to draft: what pays, by the costs and the luck that were measured so far.

A step reads one token of every row, and its draft on top. It writes one token and as much of the draft as comes true.
Drafts pay where a few more tokens cost a model little, which no constant can know: it depends on the model, the
machine, the batch and what is written. So the width with the most tokens per second is chosen anew in every step, from
two learned facts ("goodput", as in SmartSpec: Liu et al., "Optimizing speculative decoding for serving large language
models using goodput", 2024):

- what a step costs, by how many tokens it reads;
- how often guesses of each kind come true.

Only the speed depends on it: what is written does not.
"""

from __future__ import annotations

import math
import operator
import statistics
from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol

import numpy as np

__all__ = ["MeasuredPace", "Pace"]

WIDTHS = (0, 1, 2, 3, 5, 7, 10, 15)
"""Where drafts are cut: few enough that each is soon measured, and dense enough to lose little."""

MOST_READ = 64
"""Tokens that all rows together may read in one step; their scores and noise take memory, each as wide as the
vocabulary. A batch of more rows drafts nothing: its steps are busy already."""

TRUSTED_STEPS = 2
"""Steps of one size that make a measurement: the first of a size may load kernels."""

REMEMBERED_STEPS = 8
"""Steps of one size that are remembered; the lower median counts, as some may have met a busy machine."""

FORGOTTEN_AFTER = 512
"""Steps until a size that was not used is measured anew: contexts grow and machines change."""

FIRST_CHANCE = 0.6
"""How often a guess comes true, before anything is known of its kind: about what is measured of all kinds together."""

FIRST_WEIGHT = 2.0
"""How many observations that is worth."""

KEPT = 0.98
"""What is left of an observation's weight after the next one: about the last 50 count."""

SMALL_CHANCE = 0.05
"""A draft ends where so little is hoped for."""


class Pace(Protocol):
    """Decides how long drafts are. One pace is for one model."""

    def limit(self, rows: int) -> int:
        """The longest draft of any row, when there are so many rows."""
        ...

    def is_hopeful(self, kinds: Sequence[str]) -> bool:
        """Whether it may pay to draft one more token after guesses of these kinds."""
        ...

    def width(self, drafts: Sequence[Sequence[str]]) -> int:
        """Where to cut all drafts; each is given by the kinds of its tokens. 0: read none of them."""
        ...

    def observe_step(self, tokens_read: int, seconds: float) -> None:
        """A step took so long that read so many tokens, padding included."""
        ...

    def observe_guess(self, kind: str, came_true: bool) -> None:
        """A guess of this kind met a token that was written, or did not. All guesses before it came true."""
        ...


class MeasuredPace:
    """The width with the most tokens per second, from what was measured.

    What a step costs is interpolated between the sizes that were measured. A larger one than any is taken to cost no
    more than the largest, so it is tried where it would pay at that price, and then it is known. Threads may share a
    pace; where their measurements disturb each other, that costs speed only.
    """

    def __init__(self) -> None:
        self._seconds: dict[int, deque[float]] = {}  # tokens read -> the latest steps
        self._last_use: dict[int, int] = {}
        self._steps = 0
        self._came_true: dict[str, tuple[float, float]] = {}  # kind -> weight of the true guesses, of all guesses

    def limit(self, rows: int) -> int:
        """As long as would pay if all of it came true; a draft of one is always made, to be compared."""
        widths = [width for width in WIDTHS if rows * (1 + width) <= MOST_READ]
        if len(widths) < 2:
            return 0
        seconds = self._step_seconds(rows, widths)
        if seconds is None:
            return 1
        would_pay = [width for width, one in zip(widths, seconds, strict=True) if 1 + width > one / seconds[0]]
        return max([1, *would_pay])

    def is_hopeful(self, kinds: Sequence[str]) -> bool:
        # A first guess costs next to nothing when it is only compared, and shows when a kind has become better.
        return len(kinds) == 1 or math.prod(map(self._chance, kinds)) >= SMALL_CHANCE

    def width(self, drafts: Sequence[Sequence[str]]) -> int:
        rows = len(drafts)
        widths = [width for width in WIDTHS if width <= max(map(len, drafts))]
        seconds = self._step_seconds(rows, widths)
        if seconds is None:
            return 0
        gained = [0.0] * widths[-1]  # by place: the tokens expected of all drafts there
        for kinds in drafts:
            chances = accumulate(map(self._chance, kinds[: widths[-1]]), operator.mul)
            for place, chance in enumerate(chances):
                gained[place] += chance
        expected = list(accumulate(gained, initial=float(rows)))
        return max(zip(widths, seconds, strict=True), key=lambda one: expected[one[0]] / one[1])[0]

    def observe_step(self, tokens_read: int, seconds: float) -> None:
        self._seconds.setdefault(tokens_read, deque(maxlen=REMEMBERED_STEPS)).append(seconds)
        self._steps += 1
        self._last_use[tokens_read] = self._steps
        if self._steps % FORGOTTEN_AFTER == 0:
            for size in [size for size, use in list(self._last_use.items()) if use <= self._steps - FORGOTTEN_AFTER]:
                self._seconds.pop(size, None)
                self._last_use.pop(size, None)

    def observe_guess(self, kind: str, came_true: bool) -> None:
        hits, guesses = self._came_true.get(kind, (0.0, 0.0))
        self._came_true[kind] = (KEPT * hits + came_true, KEPT * guesses + 1)

    def _chance(self, kind: str) -> float:
        hits, guesses = self._came_true.get(kind, (0.0, 0.0))
        return (hits + FIRST_CHANCE * FIRST_WEIGHT) / (guesses + FIRST_WEIGHT)

    def _step_seconds(self, rows: int, widths: Sequence[int]) -> list[float] | None:
        """What steps of these widths take; None while it is not known what they take without drafts."""
        known = {size: times for size, times in sorted(self._seconds.items()) if len(times) >= TRUSTED_STEPS}
        if not known or not min(known) <= rows <= max(known):
            return None
        sizes = [rows * (1 + width) for width in widths]
        seconds: list[float] = np.interp(sizes, list(known), list(map(statistics.median_low, known.values()))).tolist()
        return seconds
