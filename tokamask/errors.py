"""Every error tokamask raises on purpose.

Each message says what is wrong, where, and what to do. The class says whose business it is: a grammar that cannot be
compiled, a token that cannot follow, a budget that cannot hold the shortest document, a model that misbehaves.
"""

from __future__ import annotations

__all__ = [
    "BudgetTooSmall",
    "CheckerError",
    "CompileBudgetExceeded",
    "GenerationInterrupted",
    "GrammarError",
    "GrammarSyntaxError",
    "InvalidLogits",
    "MatcherError",
    "MatcherTerminated",
    "ModelError",
    "RollbackTooFar",
    "TokamaskError",
    "TokenRejected",
    "UnsatisfiableSchema",
    "UnsupportedFeature",
    "VocabularyMismatch",
]


class TokamaskError(Exception):
    """Base of all errors raised on purpose by tokamask."""


class GrammarError(TokamaskError, ValueError):
    """The text of a grammar cannot be compiled.

    `pointer` is a JSON pointer into the schema (``"#/properties/tags"``), or None for grammars that are not JSON.
    """

    def __init__(self, message: str, *, pointer: str | None = None) -> None:
        self.message = message
        self.pointer = pointer
        super().__init__(message if pointer is None else f"{message}, at {pointer!r}")


class GrammarSyntaxError(GrammarError):
    """Malformed JSON, regular expression, Lark or GBNF text; shows the line and a caret under the place.

    `line` and `column` count from 1; `offset` counts characters from 0; `reason` is the message without the place.
    """

    def __init__(self, message: str, *, source: str, offset: int, pointer: str | None = None) -> None:
        offset = max(0, min(offset, len(source)))
        start = source.rfind("\n", 0, offset) + 1
        end = source.find("\n", offset)
        text = source[start:] if end < 0 else source[start:end]
        self.reason = message
        self.source = source
        self.offset = offset
        self.line = source.count("\n", 0, offset) + 1
        self.column = offset - start + 1
        # A long line is cut around the caret: the place matters, not the rest.
        left = max(0, self.column - 61)
        shown, caret = text[left : left + 120], self.column - 1 - left
        place = f"line {self.line}, column {self.column}"
        super().__init__(f"{message} ({place})\n    {shown}\n    {' ' * caret}^", pointer=pointer)


class UnsupportedFeature(GrammarError):
    """A known keyword or construct that tokamask cannot enforce exactly; it is refused rather than ignored."""


class UnsatisfiableSchema(GrammarError):
    """No value can satisfy the schema, so there is nothing to generate."""


class CompileBudgetExceeded(GrammarError):
    """Compiling would take more time, nodes or states than `Budget` allows."""


class MatcherError(TokamaskError):
    """A matcher was asked for something its state does not allow; the state is unchanged."""


class TokenRejected(MatcherError, ValueError):
    """The token (or bytes) cannot follow what was accepted so far."""


class MatcherTerminated(TokenRejected):
    """A stop token was accepted; only stop tokens may follow until a rollback."""


class RollbackTooFar(MatcherError, ValueError):
    """More tokens were to be undone than were accepted."""


class BudgetTooSmall(TokamaskError, ValueError):
    """The shortest document needs more tokens than the budget holds; `minimum` is what it needs."""

    def __init__(self, minimum: int, budget: int) -> None:
        self.minimum = minimum
        self.budget = budget
        super().__init__(
            f"the shortest document of this constraint needs {minimum} tokens, stop token included, "
            f"but max_tokens is {budget}; raise max_tokens to at least {minimum}"
        )


class VocabularyMismatch(TokamaskError, ValueError):
    """Token ids, logits or a saved grammar belong to another vocabulary than the one in use."""


class InvalidLogits(TokamaskError, ValueError):
    """A model returned logits that cannot be sampled: NaN, +inf, or nothing left under the mask."""


class ModelError(TokamaskError):
    """A model or tokenizer cannot be loaded or driven; the message says what was tried."""


class CheckerError(TokamaskError):
    """A checker raised, or answered what no checker may; the message names it."""


class GenerationInterrupted(KeyboardInterrupt):
    """Ctrl-C in the middle of a batch; `finished` holds the results of the rows that were done (None elsewhere)."""

    def __init__(self, finished: list[object]) -> None:
        self.finished = finished
        done = sum(result is not None for result in finished)
        super().__init__(f"interrupted; {done} of {len(finished)} rows were finished and are in .finished")
