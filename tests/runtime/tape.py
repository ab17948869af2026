"""All paths of a random program: its random numbers are choices on a tape, and every tape is played.

A program that takes its randomness from `Tape.choose` alone can be run once per outcome, each with its probability, so
an expectation is a finite sum and an unbiased estimator is one to the last digit.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tokamask.runtime.resampling import multinomial, stratified, systematic

Result = TypeVar("Result")


class Tape:
    """Replays the choices it is given, and takes the first possible option from there on."""

    def __init__(self, replayed: Sequence[int]) -> None:
        self.probability = 1.0
        self.choices: list[int] = []
        self.options: list[Sequence[float]] = []
        self._replayed = replayed

    def choose(self, probabilities: Sequence[float]) -> int:
        place = len(self.choices)
        chosen = self._replayed[place] if place < len(self._replayed) else _next_possible(probabilities, 0)
        assert chosen is not None, "some option must be possible"
        self.choices.append(chosen)
        self.options.append(probabilities)
        self.probability *= probabilities[chosen]
        return chosen


def every_path(run: Callable[[Tape], Result]) -> Iterator[tuple[float, Result]]:
    """What `run` returns on every tape, with the tape's probability."""
    replayed: list[int] | None = []
    while replayed is not None:
        tape = Tape(replayed)
        result = run(tape)
        yield tape.probability, result
        replayed = _after(tape)


def _after(tape: Tape) -> list[int] | None:
    """The tape that differs in the last choice that has another option."""
    for place in range(len(tape.choices) - 1, -1, -1):
        following = _next_possible(tape.options[place], tape.choices[place] + 1)
        if following is not None:
            return [*tape.choices[:place], following]
    return None


def _next_possible(probabilities: Sequence[float], first: int) -> int | None:
    return next((option for option in range(first, len(probabilities)) if probabilities[option] > 0), None)


class TapeChance:
    """A `Chance` whose draws are choices on a tape.

    Args:
        scheme: how ancestors are drawn: "systematic", "stratified" or "multinomial".
    """

    def __init__(self, tape: Tape, scheme: str = "systematic") -> None:
        self.tape = tape
        self.scheme = scheme
        self.resamplings = 0

    def race(self, log_law: npt.NDArray[np.float64], key: int) -> npt.NDArray[np.float64]:
        """Keys in an order that is drawn token by token without replacement."""
        law = np.exp(log_law)
        keys = np.full(len(law), -math.inf)
        rest = law.copy()
        for rank in range(int((law > 0).sum())):
            token = self.tape.choose((rest / rest.sum()).tolist())
            keys[token] = -float(rank)
            rest[token] = 0.0
        return keys

    def ancestors(self, log_weights: Sequence[float], key: int) -> list[int]:
        self.resamplings += 1
        count = len(log_weights)
        weights = np.exp(np.array(log_weights) - max(log_weights))
        ends = [float(end) for end in np.cumsum(weights)[:-1] / weights.sum()]
        if self.scheme == "systematic":
            return systematic(log_weights, self._uniform([end * count % 1 for end in ends]))
        if self.scheme == "multinomial":
            return multinomial(log_weights, [self._uniform(ends) for _ in range(count)])
        places = [[end * count - place for end in ends] for place in range(count)]
        return stratified(log_weights, [self._uniform(own) for own in places])

    def _uniform(self, breaks: Sequence[float]) -> float:
        """A number from [0, 1): the middle of one of the intervals between places where the outcome changes."""
        edges = [0.0, *sorted(edge for edge in breaks if 0 < edge < 1), 1.0]
        interval = self.tape.choose([right - left for left, right in pairwise(edges)])
        return (edges[interval] + edges[interval + 1]) / 2
