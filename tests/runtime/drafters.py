"""Drafters that try to do harm, one that knows the future, and a pace that always drafts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.drafts import Drafter, GrammarDrafter, Guess, Place
from tokamask.runtime.prompts import Prompt
from tokamask.runtime.speculation import Speculation


class FixedPace:
    """Always reads the whole of drafts of up to `longest` tokens."""

    def __init__(self, longest: int = 7) -> None:
        self.longest = longest
        self.guesses: list[tuple[str, bool]] = []

    def limit(self, rows: int) -> int:
        return self.longest

    def is_hopeful(self, kinds: Sequence[str]) -> bool:
        return True

    def width(self, drafts: Sequence[Sequence[str]]) -> int:
        return self.longest

    def observe_step(self, tokens_read: int, seconds: float) -> None:
        assert tokens_read > 0
        assert seconds > 0

    def observe_guess(self, kind: str, came_true: bool) -> None:
        self.guesses.append((kind, came_true))


class FunctionDrafter:
    """Guesses what a function of (tokens written so far, draft) says."""

    def __init__(self, guess: Callable[[Sequence[int], Sequence[int]], Sequence[int]]) -> None:
        self.guess = guess
        self.written: list[int] = []

    def observe(self, token: int) -> None:
        self.written.append(token)

    def guesses(self, place: Place) -> Iterator[Guess]:
        yield Guess(self.guess(self.written, place.draft), "function")


NewDrafter = Callable[[Prompt, Vocabulary], Drafter]


def adversaries(vocabulary_size: int, stops: Sequence[int]) -> dict[str, NewDrafter]:
    """Name -> a maker of drafters."""
    stop = stops[0] if stops else 0

    def noisy(seed: int, low: int = 0, high: int = vocabulary_size - 1) -> NewDrafter:
        def make(prompt: Prompt, vocabulary: Vocabulary) -> Drafter:
            randomness = random.Random(seed)
            return FunctionDrafter(lambda _, __: [randomness.randint(low, high) for _ in range(3)])

        return make

    def always(*guess: int) -> NewDrafter:
        return lambda *_: FunctionDrafter(lambda _, __: guess)

    return {
        "grammar": GrammarDrafter,
        "random": noisy(1),
        "no such ids": always(vocabulary_size, -1, 1 << 40),
        "ids of any size": noisy(3, -5, 2 * vocabulary_size),
        "stop at once": always(stop, 1, 2),
        "same token": always(3, 3, 3),
        "empty": always(),
        "endless": lambda *_: FunctionDrafter(lambda _, draft: range(len(draft) % 7, vocabulary_size)),
        "stop in the middle": lambda *_: FunctionDrafter(
            lambda written, draft: [stop if (len(written) + len(draft)) % 3 == 2 else token for token in range(5)]
        ),
    }


def knowing(answers: Mapping[Any, Sequence[int]], wrong_every: int = 0) -> NewDrafter:
    """A maker of drafters that know what each prompt will get; every `wrong_every`-th guess is wrong (0: none)."""

    def make(prompt: Prompt, vocabulary: Vocabulary) -> Drafter:
        answer = answers[prompt.token_ids]

        def guess(written: Sequence[int], draft: Sequence[int]) -> Sequence[int]:
            start = len(written) + len(draft)
            return [
                token ^ 1 if wrong_every and place % wrong_every == wrong_every - 1 else token
                for place, token in enumerate(answer[start:], start)
            ]

        return FunctionDrafter(guess)

    return make


def always_drafting(new_drafter: NewDrafter = GrammarDrafter, longest: int = 7) -> Speculation:
    return Speculation(FixedPace(longest), new_drafter)
