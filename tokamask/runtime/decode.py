"""The decoding loop: a batch of rows, one token per row and step or more, until every row is finished.

A row's output depends on its own request alone. Its random numbers are keyed by (seed, sample, attempt, position), its
mask by what it accepted and what is left of its budget; rows only share the model's forward pass. A finished row leaves
the batch, and its keys and values with it.

With speculation a row reads the tokens it may write next together with its last one, and takes its own choices behind
them for as long as they agree: see `tokamask.runtime.speculation`.
"""

from __future__ import annotations

import codecs
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from tokamask.masking.bitmask import allocate_bitmask
from tokamask.runtime.choice import choose, choosing_device
from tokamask.runtime.healing import Healing
from tokamask.runtime.model import Context, CroppableContext, Model
from tokamask.runtime.noise import noise_key
from tokamask.runtime.prompts import Prompt, read_by_rows
from tokamask.runtime.results import FinishReason
from tokamask.runtime.sampling import Sampling
from tokamask.runtime.speculation import Speculation
from tokamask.runtime.turns import Planner, Turn

if TYPE_CHECKING:
    from tokamask.masking.matcher import Matcher
    from tokamask.masking.vocabulary import Vocabulary
    from tokamask.runtime.step_masks import StepMasks

__all__ = ["NEAR_TIE", "Request", "Row", "decode", "whole_characters"]

NEAR_TIE = 1e-3
"""Logits closer than this may change places when the batch has another shape (float32 matrix products)."""


@dataclass(frozen=True, eq=False)
class Request:
    """What one row is to write.

    Attributes:
        prompt: what it goes on from; rows with the same `Prompt` object share its keys and values.
        vocabulary: the model's, with the stop tokens of this row.
        matcher: its constraint, at the beginning and with the same stop tokens; None for free text.
        max_tokens: at most so many tokens, stop token included; a constraint's shortest document fits.
        seed, sample, attempt: what its random numbers are keyed by, besides the position.
        stop_strings: texts that end free text, as bytes.
        think_until: the text or token after whose first occurrence the document begins; None: at once.
    """

    prompt: Prompt
    vocabulary: Vocabulary
    matcher: Matcher | None
    max_tokens: int
    seed: int
    sample: int = 0
    attempt: int = 0
    stop_strings: tuple[bytes, ...] = ()
    think_until: bytes | int | None = None


class Row:
    """One sequence being written, and what was observed on the way; see `Stats` for the figures."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._healing: Healing | None = None
        if request.prompt.lost:
            self._healing = Healing(request.prompt.lost, request.vocabulary, request.matcher, request.think_until)
        self.token_ids: list[int] = []
        self.logprobs: list[float] = []
        self.text = bytearray()
        self._document_start = 0 if request.think_until is None else None
        self.log_weight = 0.0
        self.finish_reason: FinishReason | None = None
        self.last_token = -1
        self.steps = 0
        self.forward_passes = 0
        self.drafted = 0
        self.drafts_accepted = 0
        self.near_ties = 0
        self.masks = 0
        self.mask_seconds = 0.0
        self.started = time.perf_counter()
        self.wall_seconds = 0.0

    @property
    def tokens_left(self) -> int:
        return self.request.max_tokens - len(self.token_ids)

    @property
    def is_healing(self) -> bool:
        """Whether the end of the prompt is still being spelled."""
        return self._healing is not None

    def noise_key(self, ahead: int) -> int:
        """The key of the token that is chosen after `ahead` more."""
        return noise_key(self.request.seed, self.request.sample, self.request.attempt, self.steps + ahead)

    def possible(self) -> npt.NDArray[np.bool_] | None:
        """bool (V,): the tokens that agree with the prompt's end; None once it is spelled."""
        return None if self._healing is None else self._healing.candidates()

    def fill(self, masks: StepMasks, place: int) -> None:
        """Write to `place` what the constraint allows within the budget."""
        matcher = self.request.matcher
        assert matcher is not None, "free text has no mask"
        start = time.perf_counter()
        if self._healing is None:
            masks.fill(place, matcher, self.tokens_left)
        else:
            masks.write(place, self._healing.allowed(self.tokens_left))
        self.mask_seconds += time.perf_counter() - start
        self.masks += 1

    def fill_ahead(self, matcher: Matcher, token: int, ahead: int, masks: StepMasks, place: int) -> None:
        """Move a fork of the row's matcher on by the last of `ahead` drafted tokens, and write the mask behind it."""
        start = time.perf_counter()
        matcher.accept_token(token)
        masks.fill(place, matcher, self.tokens_left - ahead)
        self.mask_seconds += time.perf_counter() - start
        self.masks += 1

    def accept(self, token: int, logprob: float, log_mass: float, gap: float) -> None:
        """Take the chosen token, and see whether it ends the row."""
        self.last_token = token
        self.steps += 1
        self.log_weight += log_mass
        self.near_ties += gap < NEAR_TIE
        start = time.perf_counter()
        if self._healing is None:
            new_text = self.request.vocabulary.token_bytes[token] or b""  # stop and special tokens are no text
            if self.request.matcher is not None:
                self.request.matcher.accept_token(token)
        else:
            crossing = self._healing.accept(token)
            if self._healing.is_over:
                self._healing = None
            if crossing is None:
                return  # still the prompt: neither output nor counted
            new_text = crossing
        if self.request.matcher is not None:
            self.mask_seconds += time.perf_counter() - start
        self.token_ids.append(token)
        self.logprobs.append(logprob)
        self.text += new_text
        if self._document_start is None:
            self._document_start = self._end_of_thoughts(token, len(new_text))
        self._see_whether_finished(token, len(new_text))
        if self.finish_reason is not None:
            self.wall_seconds = time.perf_counter() - self.started

    def cancel(self) -> None:
        """End the row where it stands."""
        self.finish_reason = FinishReason.CANCELLED
        self.wall_seconds = time.perf_counter() - self.started

    def certain_text(self) -> str:
        """The text so far without what may still change: half a character, or the beginning of a stop string."""
        certain = bytes(self.text)
        if self.finish_reason is None:
            held_back = [
                length
                for stop in self.request.stop_strings
                for length in range(1, len(stop))
                if certain.endswith(stop[:length])
            ]
            certain = certain[: len(certain) - max(held_back, default=0)]
        return whole_characters(certain)

    def document(self) -> str | None:
        """The text so far, in whole characters, from where the document begins; None while it has not begun."""
        if self._document_start is None:
            return None
        return whole_characters(self.text[self._document_start :])

    def _end_of_thoughts(self, token: int, new_length: int) -> int | None:
        """Where in the text the document begins, if the marker has just come."""
        marker = self.request.think_until
        if isinstance(marker, bytes):
            place = self.text.find(marker, max(0, len(self.text) - new_length - len(marker) + 1))
            return place + len(marker) if place >= 0 else None
        return len(self.text) if token == marker else None

    def _see_whether_finished(self, token: int, new_length: int) -> None:
        if self.request.matcher is not None:
            if self.request.matcher.is_terminated or self._nothing_fits(self.request.matcher):
                self.finish_reason = FinishReason.STOP
        elif token in self.request.vocabulary.stop_token_ids or self._cut_at_stop_string(new_length):
            self.finish_reason = FinishReason.STOP
        elif not self.tokens_left:
            self.finish_reason = FinishReason.LENGTH

    def _nothing_fits(self, matcher: Matcher) -> bool:
        """Whether a complete document must end here for want of tokens: a stop token would fit, but there is none."""
        if self.request.vocabulary.stop_token_ids or not matcher.is_accepting:
            return False
        bitmask = allocate_bitmask(1, self.request.vocabulary.size)
        matcher.fill_bitmask(bitmask, 0, self.tokens_left)
        return not bitmask.any()

    def _cut_at_stop_string(self, new_length: int) -> bool:
        """Cut the text before the stop string that begins first; only its last `new_length` bytes are new."""
        found = [
            place
            for stop in self.request.stop_strings
            if (place := self.text.find(stop, max(0, len(self.text) - new_length - len(stop) + 1))) >= 0
        ]
        if found:
            del self.text[min(found) :]
        return bool(found)


def decode(
    model: Model, requests: Sequence[Request], sampling: Sampling, speculation: Speculation | None = None
) -> Iterator[Sequence[Row]]:
    """Write all rows side by side; yields, after every step, the rows that took part in it.

    Without `speculation`, or where the model's context cannot take tokens back, a step is one token of every row.

    Raises:
        InvalidLogits: see `Choices.check`.
    """
    rows = [Row(request) for request in requests]
    context, logits = read_by_rows(model, [row.request.prompt for row in rows])
    if not (isinstance(context, CroppableContext) and context.can_crop):
        speculation = None
    planner = Planner(rows, speculation, choosing_device(logits))
    turns = planner.plan(rows, longest_draft=0)
    _choose(turns, logits, sampling, planner.masks)
    planner.observe_choices(turns)
    yield rows
    while going_on := [index for index, row in enumerate(rows) if row.finish_reason is None]:
        started = time.perf_counter()
        if len(going_on) < len(rows):
            context.select(going_on)
            rows = [rows[index] for index in going_on]
        _take_back(context, [turns[index] for index in going_on])
        turns = planner.plan(rows, planner.longest_draft(len(rows)))
        logits = _read(context, turns)
        _choose(turns, logits, sampling, planner.masks)
        planner.observe_choices(turns)
        planner.observe_time(turns, time.perf_counter() - started)
        yield rows


def _take_back(context: Context, turns: Sequence[Turn]) -> None:
    """Take back the guesses that did not come true. The last token written was not read, so it is not among them."""
    wrong = [turn.width - (len(turn.written) - 1) for turn in turns]
    if any(wrong):
        assert isinstance(context, CroppableContext), "only what can take tokens back drafts"
        context.crop(wrong)


def _read(context: Context, turns: Sequence[Turn]) -> torch.Tensor:
    """float (choices, V): the logits of all choices, turn by turn."""
    tokens = [turn.tokens for turn in turns]
    if all(turn.width == 0 for turn in turns):
        return context.extend(tokens)
    assert isinstance(context, CroppableContext), "only what can take tokens back drafts"
    return context.extend_all(tokens)


def _choose(turns: Sequence[Turn], logits: torch.Tensor, sampling: Sampling, masks: StepMasks) -> None:
    """One token for every row, and one more for every guess that comes true."""
    places = [(turn, ahead) for turn in turns for ahead in range(1 + turn.width)]
    masked = [place for place, (turn, _) in enumerate(places) if turn.row.request.matcher is not None]
    filled = [turn.mask + ahead for turn, ahead in places if turn.row.request.matcher is not None]
    choices = choose(
        logits,
        sampling,
        keys=[] if sampling.is_greedy else [turn.row.noise_key(ahead) for turn, ahead in places],
        possible={
            place: tokens for place, (turn, _) in enumerate(places) if (tokens := turn.row.possible()) is not None
        },
        masked=masked,
        allowed=masks.allowed(filled),
    )
    place = 0
    for number, turn in enumerate(turns):
        row = turn.row
        row.forward_passes += 1
        row.drafted += turn.width
        for ahead in range(1 + turn.width):
            choices.check(place + ahead, number)
            token = choices.tokens[place + ahead]
            row.accept(
                token, choices.logprobs[place + ahead], choices.log_masses[place + ahead], choices.gaps[place + ahead]
            )
            turn.written.append(token)
            came_true = ahead < turn.width and token == turn.draft.tokens[ahead]
            row.drafts_accepted += came_true
            if not came_true or row.finish_reason is not None:
                break
        place += 1 + turn.width


def whole_characters(data: bytes | bytearray) -> str:
    """The text of `data` without a character that is still incomplete at its end."""
    return codecs.getincrementaldecoder("utf-8")(errors="replace").decode(data)
