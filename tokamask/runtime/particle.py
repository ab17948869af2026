"""A particle: one sequence being written under a constraint and checkers, with its importance weight.

It is to the samplers of `smc` what `Row` is to the decoding loop, and says the same in the same words; what it adds is
the checkers' states, a weight, and that it can be copied.

Checkers judge the document: the text after `think_until`, without the bytes that heal the prompt.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tokamask.errors import CheckerError, TokenRejected
from tokamask.masking.bitmask import allocate_bitmask, bitmask_words, unpack_row
from tokamask.runtime.checkers.panel import Panel, States
from tokamask.runtime.decode import Request, whole_characters
from tokamask.runtime.draw import Draw
from tokamask.runtime.healing import Healing
from tokamask.runtime.noise import noise_key

if TYPE_CHECKING:
    from tokamask.masking.matcher import Matcher
    from tokamask.masking.vocabulary import Vocabulary

__all__ = ["Figures", "Particle"]

SHOWN = 60
"""Bytes of the text's end that an error shows."""


@dataclass
class Figures:
    """What was spent in one place of a population, by whatever particles lived there; see `Draw`."""

    started: float = field(default_factory=time.perf_counter)
    evaluations: int = 0
    forward_passes: int = 0
    masks: int = 0
    mask_seconds: float = 0.0
    near_ties: int = 0
    wall_seconds: float = 0.0


class Particle:
    """One sequence.

    Args:
        request: its matcher is advanced by this particle.
        panel: the checkers.
        must_end: whether free text counts only if it ends within max_tokens. With stop tokens the last token is then
            one; without, the checkers judge the text that has reached max_tokens. A constrained document ends anyway.
    """

    def __init__(self, request: Request, panel: Panel, *, must_end: bool) -> None:
        self.request = request
        self.sample = request.sample
        self.token_ids: tuple[int, ...] = ()
        self.logprobs: tuple[float, ...] = ()
        self.text = b""
        self.log_weight = 0.0
        self.error: str | None = None
        self.is_finished = False
        self.last_token = -1
        self.figures = Figures()
        self._panel = panel
        self._must_end = must_end
        self._stops = frozenset(request.vocabulary.stop_token_ids)
        self._matcher = request.matcher
        self._lost = request.prompt.lost  # bytes of the prompt that are still to be spelled again
        self._document_start = 0 if request.think_until is None else None
        self._log_twist = 0.0  # the checkers' factor at this text, which the weight holds until the next
        self._steps = 0
        texts = request.vocabulary.token_bytes
        self._states = panel.start(b"".join(texts[token] or b"" for token in request.prompt.token_ids) + self._lost)
        self._judged: dict[int, States | None] = {}

    @property
    def tokens_left(self) -> int:
        return self.request.max_tokens - len(self.token_ids)

    @property
    def is_healing(self) -> bool:
        """Whether the prompt's end is still being spelled; then a token may not count as output."""
        return bool(self._lost)

    @property
    def noise_key(self) -> int:
        return noise_key(self.request.seed, self.sample, self.request.attempt, self._steps)

    # What may come next.

    def possible(self) -> npt.NDArray[np.bool_] | None:
        """bool (V,): the tokens that agree with the prompt's end; None once it is spelled."""
        return self._healing().candidates() if self._lost else None

    def allowed(self) -> npt.NDArray[np.bool_] | None:
        """bool (V,): what the constraint allows within the budget; None when that is everything."""
        size = self.request.vocabulary.size
        if self._matcher is None:
            if not self._must_end or not self._stops or self.tokens_left > 1:
                return None
            only_stops = np.zeros(size, dtype=np.bool_)
            only_stops[list(self._stops)] = True
            return only_stops
        start = time.perf_counter()
        if self._lost:
            allowed = self._healing().allowed(self.tokens_left)
        else:
            bitmask = allocate_bitmask(1, size)
            self._matcher.fill_bitmask(bitmask, 0, self.tokens_left)
            allowed = unpack_row(bitmask[0], size)
        self._count_mask(start)
        return allowed

    def fits(self, token: int) -> bool:
        """Whether the constraint allows a token within the budget: its bit in `allowed`, found without the mask.

        Not to be asked while healing.
        """
        matcher = self._matcher
        assert matcher is not None, "everything fits free text"
        start = time.perf_counter()
        fits = matcher.is_allowed(token)
        if fits:
            ahead = matcher.fork()
            ahead.accept_token(token)
            try:
                fits = ahead.min_tokens_left() <= self.tokens_left - 1
            except TokenRejected:  # no spelling of any completion
                fits = False
        self.figures.mask_seconds += time.perf_counter() - start
        self.figures.evaluations += 1
        return fits

    def checked(self) -> tuple[npt.NDArray[np.bool_] | None, bool]:
        """bool (V,), what those checkers allow that can say so for all tokens, and whether those are all checkers.

        None when no checker can say.
        """
        if not self._panel:
            return None, True
        # Where it depends on the token whether its text is judged, or whether it ends the text, tokens are judged one
        # by one.
        if self._lost or self._document_start is None or not self._stops:
            return None, False
        vocabulary = self.request.vocabulary
        start = time.perf_counter()
        row, is_complete = self._panel.allowed(self._states, bitmask_words(vocabulary.size))
        if row is None:
            return None, False
        allowed = unpack_row(row, vocabulary.size)
        allowed |= _not_text(vocabulary)
        allowed[list(self._stops)] = self._panel.may_end(self._states)
        self._count_mask(start)
        return allowed, is_complete

    def judge(self, token: int) -> bool:
        """Whether all checkers accept the text after a token, and its end if the token ends it."""
        if token not in self._judged:
            self._judged[token] = self._states_after(token)
            self.figures.evaluations += 1
        return self._judged[token] is not None

    # Moving.

    def accept(self, token: int, logprob: float, log_mass: float) -> None:
        """Take a token that was judged; `log_mass` is the log of the weight of its choice."""
        states = self._judged.get(token) or self._states_after(token)
        if states is None:
            raise CheckerError(f"{self._refusal([token])}: its allowed() and its advance() contradict each other")
        new = self._new_text(token)
        was_healing = self.is_healing
        start = time.perf_counter()
        if self._matcher is not None:
            self._advance(self._matcher, token)
            self.figures.mask_seconds += time.perf_counter() - start
        self._document_start = self._document_start_after(token, new)
        self._lost = self._lost[len(self.request.vocabulary.token_bytes[token] or b"") :]
        self._states = states
        self._judged = {}
        self._steps += 1
        self.last_token = token
        log_twist = self._panel.log_weight(states)
        # Where the factor is 0 it stays so: nothing divides it out again.
        self.log_weight += log_mass - self._log_twist + log_twist
        self._log_twist = log_twist
        if not was_healing or new:
            self.token_ids += (token,)
            self.logprobs += (logprob,)
            self.text += new
            self.is_finished = self._is_end(token, self._matcher, self.tokens_left)
        if log_twist == -math.inf:
            self._give_up("the checkers give the text a weight of 0")
        self.figures.wall_seconds = time.perf_counter() - self.figures.started

    def reject(self, wanted: list[int]) -> None:
        """End where the checkers accept no token that the constraint allows; `wanted` are some that it does."""
        self._give_up(f"{self._refusal(wanted)}; nothing that the constraint allows here is accepted")
        self.figures.wall_seconds = time.perf_counter() - self.figures.started

    def fork(self, sample: int, figures: Figures) -> Particle:
        """A copy in another place of the population, whose figures go on there."""
        twin = copy.copy(self)
        twin.sample = sample
        twin.figures = figures
        twin._matcher = None if self._matcher is None else self._matcher.fork()
        twin._judged = {}
        return twin

    # Reading.

    def certain_text(self) -> str:
        """The text so far, in whole characters."""
        return whole_characters(self.text)

    def document(self) -> str | None:
        """What the checkers judge of it; None while the document has not begun."""
        return None if self._document_start is None else whole_characters(self.text[self._document_start :])

    def draw(self) -> Draw:
        """The finished particle."""
        figures = self.figures
        return Draw(
            token_ids=self.token_ids,
            logprobs=self.logprobs,
            text=self.text,
            log_weight=self.log_weight,
            evaluations=figures.evaluations,
            forward_passes=figures.forward_passes,
            masks=figures.masks,
            mask_seconds=figures.mask_seconds,
            wall_seconds=figures.wall_seconds,
            error=self.error,
            near_ties=figures.near_ties,
            log_factor=self._log_twist,
        )

    # Inside.

    def _healing(self) -> Healing:
        request = self.request
        return Healing(self._lost, request.vocabulary, self._matcher, request.think_until)

    def _count_mask(self, start: float) -> None:
        self.figures.mask_seconds += time.perf_counter() - start
        self.figures.masks += 1
        self.figures.evaluations += 1

    def _new_text(self, token: int) -> bytes:
        return (self.request.vocabulary.token_bytes[token] or b"")[len(self._lost) :]

    def _advance(self, matcher: Matcher, token: int) -> None:
        """Move a matcher on by a token: inside the prompt's end by none of it, across the end by its new text."""
        if not self._lost:
            matcher.accept_token(token)
        elif new := self._new_text(token):
            matcher.accept_bytes(new)

    def _document_start_after(self, token: int, new: bytes) -> int | None:
        """Where in the text the document begins, once a token has come."""
        marker = self.request.think_until
        if self._document_start is not None:
            return self._document_start
        if isinstance(marker, bytes):
            place = (self.text + new).find(marker, max(0, len(self.text) - len(marker) + 1))
            return place + len(marker) if place >= 0 else None
        return len(self.text) + len(new) if token == marker else None

    def _new_document(self, token: int) -> bytes:
        """What a token adds to the document."""
        new = self._new_text(token)
        start = self._document_start_after(token, new)
        return b"" if start is None else new[max(0, start - len(self.text)) :]

    def _states_after(self, token: int) -> States | None:
        data = self._new_document(token)
        states = self._panel.advance(self._states, data) if data else self._states
        if states is None or (self._ends(token) and not self._panel.may_end(states)):
            return None
        return states

    def _ends(self, token: int) -> bool:
        """Whether a token ends a complete document. Free text that is only cut at max_tokens is not complete."""
        if self._stops or not self._panel:
            return token in self._stops
        if self._matcher is None:
            return self._must_end and self.tokens_left == 1
        if self._lost and not self._new_text(token):
            return False
        ahead = self._matcher.fork()
        self._advance(ahead, token)
        return self._is_end(token, ahead, self.tokens_left - 1)

    def _is_end(self, token: int, matcher: Matcher | None, tokens_left: int) -> bool:
        """Whether nothing follows a token, after which the matcher stands as it does."""
        if matcher is None:
            return token in self._stops or tokens_left == 0
        if matcher.is_terminated:
            return True
        # Without stop tokens a complete document may have to end for want of tokens.
        return not self._stops and matcher.is_accepting and self._nothing_fits(matcher, tokens_left)

    def _nothing_fits(self, matcher: Matcher, tokens_left: int) -> bool:
        bitmask = allocate_bitmask(1, self.request.vocabulary.size)
        matcher.fill_bitmask(bitmask, 0, tokens_left)
        return not bitmask.any()

    def _give_up(self, reason: str) -> None:
        self.is_finished = True
        self.log_weight = -math.inf
        self.error = f"after {len(self.text)} bytes ({self.text[-SHOWN:]!r}): {reason}"

    def _refusal(self, wanted: list[int]) -> str:
        """Who refuses these tokens, which the checkers were asked about in vain."""
        names: dict[str, list[bytes]] = {}
        for token in wanted:
            ends = self._ends(token)
            name = self._panel.refuser(self._states, self._new_document(token), ends=ends)
            if name is not None:
                names.setdefault(name, []).append(b"<the end>" if ends else self._new_document(token))
        parts = [f"{name} refuses {b' '.join(texts).decode(errors='replace')!r:.80}" for name, texts in names.items()]
        return "; ".join(parts) or "the checkers allow no token"


@lru_cache(maxsize=8)
def _not_text(vocabulary: Vocabulary) -> npt.NDArray[np.bool_]:
    """bool (V,), shared and not to be written to: the tokens that add nothing to a text."""
    texts = vocabulary.token_bytes
    return np.fromiter((text is None for text in texts), dtype=np.bool_, count=len(texts))
