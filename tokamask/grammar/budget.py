"""What reading and compiling a grammar may cost, and the one place that says "too much".

Whoever reads grammars opens an account (`Budget.enforced`); the loops that may run long, or unfold without end, look at
it. The account is a context variable, each thread has its own: the readers recurse through a hundred functions, of
which a handful count anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

from tokamask.errors import CompileBudgetExceeded

__all__ = ["Budget", "charge", "check_time", "held_to_a_budget", "present_budget", "uncounted"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

MOST_PARTS = 5_000_000
"""Names, items and alternatives, of some 250 bytes at most, that are copied to combine what one grammar asks for.
Schemas of thousands of lines take tens of thousands."""


@dataclass(frozen=True)
class Budget:
    """What grammars may cost; beyond it CompileBudgetExceeded, but for `cache_bytes`, which costs time only.

    Attributes:
        compile_seconds: wall time of reading one grammar, and of compiling it (not that of the engine's own kernels,
            where they are not in the cache yet).
        nodes: of one JSON Schema, when everything that it refers to and combines is unfolded.
        states: of one automaton, before equivalent ones are merged.
        cache_bytes: memory of everything that a compiler has learned about all its grammars. Beyond it what was not
            used lately is forgotten, and learned again when it is needed. Below what the texts under way need, that
            takes a multiple of the time.
    """

    compile_seconds: float = 30.0
    nodes: int = 50_000
    states: int = 100_000
    cache_bytes: int = 1 << 28

    def __post_init__(self) -> None:
        for name in ("compile_seconds", "nodes", "states", "cache_bytes"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not value >= 0:
                raise ValueError(f"{name} must be a number of at least 0, not {value!r}")

    @contextmanager
    def enforced(self) -> Iterator[None]:
        """Hold to this budget what is read and compiled inside of the block, by this thread.

        The time counts for the block as a whole, and within blocks around it their time does as well.
        """
        outer = _account.get()
        deadline = _now() + self.compile_seconds
        token = _account.set(_Account(self, deadline if outer is None else min(deadline, outer.deadline)))
        try:
            yield
            check_time()
        except _TimeIsUp:
            raise CompileBudgetExceeded(
                f"the grammar takes longer than compile_seconds={self.compile_seconds}; simplify it or raise "
                "Budget.compile_seconds"
            ) from None
        finally:
            _account.reset(token)


class _TimeIsUp(Exception):
    """No CompileBudgetExceeded before it leaves the block: readers that have another way where one costs too much, or
    may leave out what costs too much, would catch it and go on."""


@dataclass(slots=True)
class _Account:
    budget: Budget
    deadline: float
    parts: int = 0


_DEFAULT = Budget()
_account: ContextVar[_Account | None] = ContextVar("account", default=None)
_uncounted_seconds: ContextVar[float] = ContextVar("uncounted_seconds", default=0.0)


@contextmanager
def uncounted() -> Iterator[None]:
    """What is done inside of the block costs a grammar no time: a process does it once, whatever the grammar."""
    begin = time.monotonic()
    try:
        yield
    finally:
        _uncounted_seconds.set(_uncounted_seconds.get() + time.monotonic() - begin)


def _now() -> float:
    """Seconds that count."""
    return time.monotonic() - _uncounted_seconds.get()


def present_budget() -> Budget:
    """The budget of the innermost block, the default one outside of any."""
    account = _account.get()
    return _DEFAULT if account is None else account.budget


def check_time() -> None:
    """To be called by every loop that a small grammar can make long: when the time is up, leaves the block."""
    account = _account.get()
    if account is not None and _now() >= account.deadline:
        raise _TimeIsUp


def charge(parts: int) -> None:
    """To be called by whatever makes copies, of so many parts, that a small grammar can make many of.

    Raises CompileBudgetExceeded, without a pointer, when they fill the memory; looks at the time as well.
    """
    check_time()
    account = _account.get()
    if account is not None:
        account.parts += parts
        if account.parts > MOST_PARTS:
            raise CompileBudgetExceeded(f"combining what the grammar asks for takes more than {MOST_PARTS} parts")


def held_to_a_budget(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A function that runs under the budget around it, and under the default one when there is none."""

    @wraps(function)
    def held(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        if _account.get() is not None:
            return function(*arguments, **options)
        with _DEFAULT.enforced():
            return function(*arguments, **options)

    return held
