"""What a measurement asks of an engine.

The calls that are timed (`compile`, `start`, `fill`, `commit`) are the engine's own, with as little around them as its
interface allows: adapters hand out bound methods instead of wrapping them where they can.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.vocabularies import NamedVocabulary

__all__ = ["Engine", "EngineMaker", "RefusedSchema", "Session", "Start"]


class RefusedSchema(Exception):
    """The engine says that it cannot compile a schema.

    Attributes:
        kind: what about it, in few words; the tables count by it.
    """

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Session:
    """One text under a schema.

    Attributes:
        fill: writes the mask of the next token to `Engine.row`.
        commit: takes a token; False when it cannot follow (then nothing more is asked of the session).
        is_accepting: whether the text may end here.
    """

    fill: Callable[[], object]
    commit: Callable[[int], bool]
    is_accepting: Callable[[], bool]


Start = Callable[[], Session]


class Engine(ABC):
    """One configuration of an engine, on one vocabulary.

    Attributes:
        row: the mask, int32 words of shape (ceil(V / 32),); token i is bit `i & 31` of word `i >> 5`, 1 = allowed.
        is_cold: whether it must `forget` before every schema.
        toys: how many of the warm-up's toys it follows before it is measured; None: all. For an engine that would take
            minutes for them, and compiles nothing of itself while it runs.
    """

    row: npt.NDArray[np.int32]
    is_cold: bool = False
    toys: int | None = None

    @abstractmethod
    def compile(self, schema: str) -> Start:
        """What starts a session under a schema, given as JSON text.

        Raises:
            RefusedSchema: the engine cannot compile it.
        """

    def warmed_up(self) -> None:  # noqa: B027 (most engines keep nothing between schemas)
        """Called once, between the warm-up and the first file: what is loaded now stays, and `forget` leads here."""

    def forget(self) -> None:  # noqa: B027
        """Drop whatever schemas have taught since `warmed_up`. Not timed."""


@dataclass(frozen=True)
class EngineMaker:
    """How to make an engine.

    Attributes:
        package: what must be installed, and whose version the results carry.
        about: the configuration, in one line for the reports.
    """

    package: str
    about: str
    make: Callable[[NamedVocabulary], Engine]
