"""What the rows of a step read and choose: turns, and who makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tokamask.runtime.drafts import Drafter
from tokamask.runtime.pace import Pace
from tokamask.runtime.speculation import Draft, Speculation, draft_for
from tokamask.runtime.step_masks import StepMasks

if TYPE_CHECKING:
    import torch

    from tokamask.runtime.decode import Row

__all__ = ["Planner", "Turn"]


@dataclass(eq=False)
class Turn:
    """One row's part in one step.

    Attributes:
        mask: which of the step's masks is that of its first choice, if it has a constraint; those of the choices
            behind its draft follow.
        draft: the tokens that it may write.
        width: how many of them it reads.
        written: what it wrote: the guesses that came true and one token more, unless it ended before.
    """

    row: Row
    mask: int
    draft: Draft = field(default_factory=Draft)
    width: int = 0
    written: list[int] = field(default_factory=list)

    @property
    def tokens(self) -> list[int]:
        """What the row reads."""
        return [self.row.last_token, *self.draft.tokens[: self.width]]


class Planner:
    """Makes the turns of every step: who drafts what, and the masks of all choices."""

    def __init__(self, rows: Sequence[Row], speculation: Speculation | None, device: torch.device) -> None:
        self._pace: Pace | None = None
        self._drafters: dict[Row, Drafter] = {}
        if speculation is not None:
            self._pace = speculation.pace
            self._drafters = {row: speculation.new_drafter(row.request.prompt, row.request.vocabulary) for row in rows}
        self.masks = StepMasks(len(rows), rows[0].request.vocabulary.size, device)

    def longest_draft(self, rows: int) -> int:
        return 0 if self._pace is None else self._pace.limit(rows)

    def plan(self, rows: Sequence[Row], longest_draft: int) -> list[Turn]:
        choices = len(rows) * (1 + longest_draft)
        if len(self.masks.bitmask) < choices:
            self.masks.provide(choices)
        turns = []
        for index, row in enumerate(rows):
            turn = Turn(row, mask=index * (1 + longest_draft))
            if row.request.matcher is not None:
                row.fill(self.masks, turn.mask)
            if self._pace is not None and longest_draft and not row.is_healing:
                turn.draft = draft_for(row, self._drafters[row], self._pace, longest_draft, self.masks, turn.mask)
            turns.append(turn)
        if self._pace is not None and any(turn.draft.tokens for turn in turns):
            width = self._pace.width([turn.draft.kinds for turn in turns])
            for turn in turns:
                turn.width = min(width, len(turn.draft.tokens))
        return turns

    def observe_choices(self, turns: Sequence[Turn]) -> None:
        """Tell the drafters what was written, and the pace which guesses came true, even if nobody read them."""
        if self._pace is None:
            return
        for turn in turns:
            for token in turn.written:
                self._drafters[turn.row].observe(token)
            for guess, kind, token in zip(turn.draft.tokens, turn.draft.kinds, turn.written, strict=False):
                self._pace.observe_guess(kind, came_true=guess == token)
                if guess != token:
                    break

    def observe_time(self, turns: Sequence[Turn], seconds: float) -> None:
        if self._pace is not None:
            self._pace.observe_step(len(turns) * (1 + max(turn.width for turn in turns)), seconds)
