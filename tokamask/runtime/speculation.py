"""Speculation: several tokens of a row written in one step of the model, and the same ones as without it.

A row drafts tokens that it may write next, the model reads them all at once, and behind every one of them a token is
chosen exactly as if the row had come there by itself: by the logits, the mask and the noise of that position (see
`tokamask.runtime.noise`). While a choice equals the draft, the choice behind it counts; the first that differs is
written too, and the rest of the draft is taken back. So nothing about a draft can change what is written, at any
temperature: where it came from, how it was pruned, or how long it is. (For drafts that are sampled with the same noise
this is the coupling of Daliri, Musco, Suresh: "Coupling without communication and drafter-invariant speculative
decoding", 2024.)

Rules that test a draft against a ratio of probabilities are biased as soon as a guess is dropped because of what it is.
This one is not, which is why drafts may be pruned by the constraint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from tokamask.errors import UnsupportedFeature
from tokamask.runtime.drafts import Drafter, GrammarDrafter, Place
from tokamask.runtime.model import Model
from tokamask.runtime.pace import MeasuredPace, Pace
from tokamask.runtime.transformers_model import TransformersModel

if TYPE_CHECKING:
    from tokamask.masking.vocabulary import Vocabulary
    from tokamask.runtime.decode import Row
    from tokamask.runtime.prompts import Prompt
    from tokamask.runtime.step_masks import StepMasks

__all__ = ["Draft", "Speculation", "check_speculation", "draft_for", "read_speculation"]

# What is learned about the speed of a model is kept for as long as it lives.
_PACES: WeakKeyDictionary[Any, MeasuredPace] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Speculation:
    """How drafts are made.

    Attributes:
        pace: how long they are.
        new_drafter: what guesses the tokens of one row, given its prompt and vocabulary.
    """

    pace: Pace
    new_drafter: Callable[[Prompt, Vocabulary], Drafter] = GrammarDrafter


@dataclass(frozen=True)
class Draft:
    """Guesses at the next tokens of a row, each of which the constraint allows after those before it.

    Attributes:
        tokens: the guesses.
        kinds: one per token, see `Guess`.
    """

    tokens: list[int] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.tokens)


def check_speculation(wish: Any) -> None:
    """Raise `UnsupportedFeature` for anything but "auto", None and a `Speculation`."""
    if wish is not None and wish != "auto" and not isinstance(wish, Speculation):
        raise UnsupportedFeature(
            f"speculation={wish!r} is not available; pass 'auto', None for no drafts, or a Speculation that makes them"
        )


def read_speculation(model: Model, wish: Any) -> Speculation | None:
    """What `speculation=` of `generate` stands for; all calls with a model share what "auto" learns of its speed."""
    check_speculation(wish)
    if wish is None or isinstance(wish, Speculation):
        return wish
    owner = model.transformers_model if isinstance(model, TransformersModel) else model
    return Speculation(_PACES.setdefault(owner, MeasuredPace()))


def draft_for(row: Row, drafter: Drafter, pace: Pace, limit: int, masks: StepMasks, place: int) -> Draft:
    """Guess at most `limit` tokens of a row.

    The masks of the choices behind them are written after that of the row's next choice, which is there already: at
    `place`. Tokens that would end the row are not guessed, as nothing is read behind them.
    """
    draft = Draft()
    limit = min(limit, row.tokens_left - 1)
    stops = row.request.vocabulary.stop_token_ids
    size = row.request.vocabulary.size
    ahead = None if row.request.matcher is None else row.request.matcher.fork()
    bitmask = masks.bitmask

    def follows(token: int, kind: str) -> bool:
        if not 0 <= token < size or token in stops or not pace.is_hopeful([*draft.kinds, kind]):
            return False
        return ahead is None or bool(bitmask[place + len(draft), token >> 5] >> (token & 31) & 1)

    grown = -1
    while grown < len(draft) < limit:
        grown = len(draft)
        mask = None if ahead is None else bitmask[place + grown]
        if mask is not None:
            mask.flags.writeable = False
        for guess in drafter.guesses(Place(tuple(draft.tokens), ahead, mask)):
            for token in guess.tokens:
                if len(draft) >= limit or not follows(token, guess.kind):
                    break
                if ahead is not None:
                    row.fill_ahead(ahead, token, len(draft) + 1, masks, place + len(draft) + 1)
                    if not bitmask[place + len(draft) + 1].any():
                        return draft
                draft.tokens.append(token)
                draft.kinds.append(guess.kind)
            if len(draft) > grown:
                break
    return draft
