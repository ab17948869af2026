"""What a matcher has accepted: a persistent linked list, so that forks share it and a failed call has nothing to undo.

An entry is (what came before, configuration, step): the token or bytes that were accepted, and where they led. The
first has no step. A negative configuration is one that a stop token has ended; its absolute value is where a rollback
returns to.
"""

from __future__ import annotations

from typing import Any

from tokamask.errors import RollbackTooFar
from tokamask.masking.vocabulary import Vocabulary

__all__ = ["THINKING", "History", "begun", "rolled_back", "steps", "text"]

History = tuple[Any, int, Any]

THINKING = 0
"""In place of a configuration: the text is still free, the token that begins the constraint has not come."""


def begun(configuration: int) -> History:
    """Nothing is accepted yet."""
    return None, configuration, None


def rolled_back(history: History, count: int) -> History:
    """Without the last `count` steps.

    Raises:
        RollbackTooFar: there are fewer.
    """
    kept = history
    for _ in range(count):
        kept = kept[0]
        if kept is None:
            break
    if kept is None or count < 0:
        raise RollbackTooFar(f"cannot undo {count} steps, {len(steps(history))} were accepted")
    return kept


def steps(history: History) -> list[int | bytes]:
    """What was accepted, in order."""
    found = []
    while history[0] is not None:
        found.append(history[2])
        history = history[0]
    found.reverse()
    return found


def text(history: History, vocabulary: Vocabulary) -> bytes:
    """What was accepted as text: stop tokens, and the one that ends free text, have none."""
    pieces: list[bytes] = []
    while history[0] is not None:
        step = history[2]
        if isinstance(step, int):
            step = b"" if history[1] < 0 else vocabulary.token_bytes[step]
        pieces.append(step or b"")
        history = history[0]
    pieces.reverse()
    return b"".join(pieces)
