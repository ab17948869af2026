"""All checkers of one call as one judge, which names them when they refuse or fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from tokamask.errors import CheckerError
from tokamask.runtime.checkers.checker import Checker
from tokamask.runtime.checkers.predicates import DocumentPredicate

__all__ = ["Panel", "States", "checker_name", "read_checkers"]

States = tuple[Hashable, ...]
"""One state per checker."""


class Panel:
    """Accepts what all its checkers accept, and weighs by the product of their factors.

    Whatever a checker raises comes out as `CheckerError` with the checker's name and the end of the text.
    """

    def __init__(self, checkers: Sequence[Checker[Any]] = ()) -> None:
        self._checkers = tuple(checkers)

    def __bool__(self) -> bool:
        """Whether there is anybody to ask."""
        return bool(self._checkers)

    def start(self, prompt: bytes) -> States:
        return tuple(_ask(checker, checker.start, prompt) for checker in self._checkers)

    def advance(self, states: States, data: bytes) -> States | None:
        """The states after more bytes; None as soon as one checker refuses."""
        after = []
        for checker, state in zip(self._checkers, states, strict=True):
            state = _ask(checker, checker.advance, state, data)
            if state is None:
                return None
            after.append(state)
        return tuple(after)

    def may_end(self, states: States) -> bool:
        pairs = zip(self._checkers, states, strict=True)
        return all(_ask(checker, checker.may_end, state) for checker, state in pairs)

    def allowed(self, states: States, words: int) -> tuple[npt.NDArray[np.int32] | None, bool]:
        """What the checkers that can say allow in common, int32 (words,), and whether all of them could.

        None when no checker could.
        """
        rows = []
        for checker, state in zip(self._checkers, states, strict=True):
            row = _ask(checker, checker.allowed, state)
            if row is not None and (row.shape != (words,) or row.dtype != np.int32):
                raise CheckerError(
                    f"{checker_name(checker)}.allowed() is {row.dtype} {row.shape}, but a row of this vocabulary's "
                    f"bitmask is int32 ({words},); make the checker with the model's vocabulary"
                )
            rows.append(row)
        known = [row for row in rows if row is not None]
        return (reduce(np.bitwise_and, known) if known else None), len(known) == len(rows)

    def log_weight(self, states: States) -> float:
        """The log of the product of the factors; -inf where one of them is 0."""
        total = 0.0
        for checker, state in zip(self._checkers, states, strict=True):
            log_factor = _ask(checker, checker.log_weight, state)
            if math.isnan(log_factor) or log_factor == math.inf:
                raise CheckerError(
                    f"{checker_name(checker)}.log_weight() is {log_factor}; it must be the log of a factor, or -inf"
                )
            total += log_factor
        return total

    def refuser(self, states: States, data: bytes, *, ends: bool) -> str | None:
        """The name of the first checker that refuses the bytes (and, with `ends`, the end after them)."""
        for checker, state in zip(self._checkers, states, strict=True):
            after = _ask(checker, checker.advance, state, data)
            if after is None or (ends and not _ask(checker, checker.may_end, after)):
                return checker_name(checker)
        return None


def read_checkers(checkers: Sequence[Any]) -> Panel:
    """The checkers of a call; a function stands for the `DocumentPredicate` that it makes.

    Raises:
        TypeError: something else.
    """
    if callable(checkers) or isinstance(checkers, Checker):
        raise TypeError("checkers is a list of checkers; put the one you have into a list")
    return Panel([_read_checker(checker) for checker in checkers])


def checker_name(checker: Checker[Any]) -> str:
    """What to call a checker in a message: its `name`, if it has one, or its type's."""
    return str(getattr(checker, "name", None) or type(checker).__name__)


def _read_checker(checker: Any) -> Checker[Any]:
    if not isinstance(checker, type):
        if isinstance(checker, Checker):
            return checker
        if callable(checker):
            return DocumentPredicate(checker)
    found = f"the class {checker.__name__}" if isinstance(checker, type) else f"a {type(checker).__name__}"
    raise TypeError(f"checkers holds {found}; it takes Checker objects and functions from the complete text to bool")


def _ask(checker: Checker[Any], question: Callable[..., Any], *about: Any) -> Any:
    try:
        return question(*about)
    except Exception as error:
        place = f" at {about[0]!r:.120}" if about else ""
        raise CheckerError(
            f"checker {checker_name(checker)} raised {type(error).__name__} in {question.__name__}(){place}: {error}"
        ) from error
