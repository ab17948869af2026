"""A checker that keeps a model from writing attributes which do not exist (monitor-guided decoding).

A. Agrawal et al., "Monitor-Guided Decoding of Code LMs with Static Analysis of Repository Context", NeurIPS 2023. Here
the automaton reads bytes, so a token that holds a dot and a name (`.get`, `).items(`) is followed through both; its
states are values; and what the engine is not sure of forbids nothing.

    code --the dot of a dereference--> after the dot --next byte: the engine is asked--> in a name --boundary--> code

In a name, only the beginnings of names that the engine answered live on, and a boundary (any byte that no identifier
has) only after a whole one. Without an exhaustive answer everything lives on; with a partial one, a name outside of it
costs `penalty`.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from tokamask.masking.bitmask import clear_tokens
from tokamask.runtime.monitors.engine_process import EngineProcess
from tokamask.runtime.monitors.python_lexer import (
    IDENTIFIER_BYTES,
    Lexer,
    Preceding,
    closing_brackets,
    read,
    step,
    unmatched_closers,
)
from tokamask.runtime.monitors.suggestions import Suggestions

if TYPE_CHECKING:
    from tokamask.masking.vocabulary import Vocabulary
    from tokamask.runtime.monitors.name_masks import NameMasks

__all__ = ["Engine", "Place", "PythonDereferences"]

RECENT_ANSWERS = 4096
"""Answers that are remembered: those of all places that the samples of a few requests come by."""

DOTS_PER_MASK = 1
"""Further dereferences, inside of tokens, that a mask asks the engine about. With more of them it is cheaper to ask
`advance` about the few tokens that a model wants."""


class Engine(Protocol):
    """What knows which names may stand between two texts, the first of which ends in a dot."""

    def start(self) -> None:
        """Make ready; does not wait."""
        ...

    def ask(self, before: str, after: str) -> Suggestions: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands.

    Attributes:
        prompt: the code before the output.
        output: what was written since.
        suggestions: the answer that the name under way is held against; None outside of such names.
        misses: names so far that were outside of answers that are not exhaustive.
    """

    prompt: bytes
    output: bytes
    lexer: Lexer
    suggestions: Suggestions | None = None
    misses: int = 0


class PythonDereferences:
    """A checker for Python code: the name after a dot is one that the receiver has, as far as jedi can tell.

    The output is read as Python from its first byte on, as the continuation of the prompt, or of `prefix`.

    Args:
        project: the folder from which modules can be imported, beside the installed ones.
        path: the file that the code belongs to, absolute or within the project; for relative imports.
        prefix: the code before the output, where the prompt is something else (instructions, a chat).
        suffix: the code after the output, if it is known. The engine reads it too and is surer of its answers.
        vocabulary: of the model; with it, masks can be computed. Without, tokens are judged one by one.
        when_unsure: "soft": where the engine names some attributes and there may be others, those others cost
            `penalty`; "free": they cost nothing.
        penalty: nats by which a text's log weight falls for each.
        time_limit: seconds to wait for one answer. What is not answered in time is not constrained.
        engine: another engine than jedi on this interpreter's installed packages; it is closed with the checker.

    Raises:
        ImportError: jedi is not installed.
    """

    is_exhaustive: bool = False

    def __init__(
        self,
        *,
        project: str | Path | None = None,
        path: str | Path | None = None,
        prefix: str | None = None,
        suffix: str = "",
        vocabulary: Vocabulary | None = None,
        when_unsure: Literal["soft", "free"] = "soft",
        penalty: float = 4.0,
        time_limit: float = 2.0,
        engine: Engine | None = None,
    ) -> None:
        if when_unsure not in ("soft", "free"):
            raise ValueError(f"when_unsure is {when_unsure!r}; it must be 'soft' or 'free'")
        if not 0 <= penalty < float("inf"):
            raise ValueError(f"penalty is {penalty}; it must be a number of nats, 0 or more")
        self._engine = _jedi(project, path, time_limit) if engine is None else engine
        self._prefix = None if prefix is None else prefix.encode()
        self._suffix = suffix
        self._closed_by_suffix = len(unmatched_closers(suffix.encode()))
        self._when_unsure = when_unsure
        self._penalty = penalty
        self._masks = None if vocabulary is None else _masks(vocabulary)
        self._answers: OrderedDict[bytes, Suggestions] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, prompt: bytes) -> Place:
        """The place after the prompt, which may end inside a name; a name that it began wrongly is not judged."""
        self._engine.start()
        code = prompt if self._prefix is None else self._prefix
        lexer = read(Lexer(), code)
        if lexer.preceding is not Preceding.DOT or not lexer.word:
            return Place(code, b"", lexer)
        suggestions = self._binding(self._ask(code[: -len(lexer.word)], lexer.brackets))
        begins = suggestions is not None and suggestions.begins_name(lexer.word)
        return Place(code, b"", lexer, suggestions if begins else None)

    def advance(self, state: Place, data: bytes) -> Place | None:
        """The place after more code; None where an attribute that does not exist was written."""
        lexer, suggestions, misses = state.lexer, state.suggestions, state.misses
        for at, byte in enumerate(data):
            if lexer.is_after_dot:
                suggestions = self._binding(self._ask(state.prompt + state.output + data[:at], lexer.brackets))
            before, lexer = lexer, step(lexer, byte)
            if suggestions is None:
                continue
            is_name = byte in IDENTIFIER_BYTES
            if not (suggestions.begins_name(lexer.word) if is_name else before.word in suggestions.names):
                if suggestions.is_exhaustive:
                    return None
                misses += 1
                suggestions = None
            elif not is_name:
                suggestions = None
        return Place(state.prompt, state.output + data, lexer, suggestions, misses)

    def may_end(self, state: Place) -> bool:
        """Not in the middle of a name that must be another one."""
        suggestions = self.suggestions(state)
        return suggestions is None or not suggestions.is_exhaustive or state.lexer.word in suggestions.names

    def allowed(self, state: Place) -> npt.NDArray[np.int32] | None:
        """The tokens that go on writing a name; None where nothing certain is known about the next token.

        Also None where the fate of tokens depends on too many further dereferences, as after a whole name: there any
        token that begins with a dot goes on to an attribute of the attribute.
        """
        suggestions = self.suggestions(state)
        if self._masks is None or suggestions is None or not suggestions.is_exhaustive:
            return None
        continuations = self._masks.continuations(suggestions.names, state.lexer.word)
        texts = self._masks.vocabulary.token_bytes
        undecided: dict[int, bytes] = {}  # token -> its bytes up to the first dereference
        for token in continuations.beyond:
            text = texts[token] or b""
            if (dot := _first_dereference(state.lexer, text)) is not None:
                undecided[token] = text[: dot + 1]
        if not undecided:
            return continuations.row
        if len(set(undecided.values())) > DOTS_PER_MASK:
            return None
        row = continuations.row.copy()
        clear_tokens(row, [token for token in undecided if self.advance(state, texts[token] or b"") is None])
        row.flags.writeable = False
        return row

    def log_weight(self, state: Place) -> float:
        """-penalty for every name that was outside of a partial answer."""
        return -self._penalty * state.misses

    def suggestions(self, state: Place) -> Suggestions | None:
        """What the next bytes are held against: asks the engine right after a dot. None where nothing is."""
        if state.lexer.is_after_dot:
            return self._binding(self._ask(state.prompt + state.output, state.lexer.brackets))
        return state.suggestions

    def close(self) -> None:
        """End the engine's process. Answers that are known stay; new places are not constrained."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _binding(self, answer: Suggestions) -> Suggestions | None:
        """The answer, if it makes any difference."""
        is_free = answer.is_unknown or (not answer.is_exhaustive and self._when_unsure == "free")
        return None if is_free else answer

    def _ask(self, before: bytes, brackets: bytes) -> Suggestions:
        """The engine's answer for the dot at the end of `before`, where these brackets are open; the same every time.

        Brackets that the suffix does not close are closed before the engine sees them: the code around an unclosed
        bracket is hard to read for parsers too.
        """
        key = hashlib.sha256(before).digest()
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]
        open_here = brackets[self._closed_by_suffix :]
        after = closing_brackets(open_here).decode() + self._suffix
        answer = self._engine.ask(before.decode("utf-8", errors="replace"), after)
        with self._lock:
            answer = self._answers.setdefault(key, answer)  # another thread may have been first
            if len(self._answers) > RECENT_ANSWERS:
                self._answers.popitem(last=False)
            return answer


def _first_dereference(lexer: Lexer, text: bytes) -> int | None:
    """The first dot of a dereference in a text that goes on after it."""
    for at, byte in enumerate(text[:-1]):
        lexer = step(lexer, byte)
        if lexer.is_after_dot:
            return at
    return None


def _masks(vocabulary: Vocabulary) -> NameMasks:
    from tokamask.runtime.monitors.name_masks import NameMasks

    return NameMasks(vocabulary)


def _jedi(project: str | Path | None, path: str | Path | None, time_limit: float) -> EngineProcess:
    """jedi on the packages of this interpreter."""
    if find_spec("jedi") is None:
        raise ImportError(
            "PythonDereferences asks jedi about code, and jedi is not installed; install it with: "
            "pip install 'tokamask[monitor]'"
        )
    # -P: modules of the current folder do not take the place of those that the engine itself needs.
    command = [sys.executable, "-P", str(Path(__file__).with_name("jedi_engine.py"))]
    if project is not None:
        command += ["--project", str(Path(project).absolute())]
    if path is not None:
        command += ["--path", str(Path(project or ".", path).absolute())]
    return EngineProcess(command, "jedi", time_limit)
