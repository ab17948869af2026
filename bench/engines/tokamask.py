"""tokamask, in both property orders and both readings of "compile": alone, and after other schemas."""

from __future__ import annotations

from functools import partial
from typing import Literal

from bench.engines.engine import Engine, EngineMaker, RefusedSchema, Session, Start
from bench.engines.language_memory import LanguageMemory
from bench.vocabularies import NamedVocabulary
from tokamask.errors import GrammarError, TokenRejected, UnsupportedFeature
from tokamask.grammar.grammar import Grammar

__all__ = ["ENGINES"]

PropertyOrder = Literal["schema", "any"]


class Tokamask(Engine):
    def __init__(self, vocabulary: NamedVocabulary, property_order: PropertyOrder, is_cold: bool) -> None:
        from tokamask.masking.bitmask import allocate_bitmask

        self.is_cold = is_cold
        self._property_order = property_order
        self._vocabulary = vocabulary.vocabulary
        self._bitmask = allocate_bitmask(1, self._vocabulary.size)
        self.row = self._bitmask[0]
        self._memory: LanguageMemory | None = None
        self.forget()

    def warmed_up(self) -> None:
        self._memory = LanguageMemory()
        self.forget()

    def forget(self) -> None:
        from tokamask.masking.compiler import GrammarCompiler

        self._compiler = GrammarCompiler(self._vocabulary)
        if self._memory is not None:
            self._memory.restore()

    def compile(self, schema: str) -> Start:
        try:
            grammar = Grammar.from_json_schema(schema, property_order=self._property_order)
            compiled = self._compiler.compile(grammar)
        except GrammarError as error:
            raise RefusedSchema(_kind(error), str(error)) from error

        def start() -> Session:
            matcher = compiled.matcher()
            accept_token = matcher.accept_token

            def commit(token: int) -> bool:
                try:
                    accept_token(token)
                except TokenRejected:
                    return False
                return True

            return Session(partial(matcher.fill_bitmask, self._bitmask, 0), commit, lambda: matcher.is_accepting)

        return start


def _kind(error: GrammarError) -> str:
    """The class of the error; of a feature that is not supported also the keyword, which its pointer ends with."""
    name = type(error).__name__
    if isinstance(error, UnsupportedFeature) and error.pointer is not None:
        return f"{name}: {error.pointer.rpartition('/')[2]}"
    return name


def _maker(property_order: PropertyOrder, is_cold: bool) -> EngineMaker:
    order = "properties in any order" if property_order == "any" else "properties in the schema's order"
    reading = "nothing remembered of other schemas" if is_cold else "one compiler for all schemas"
    return EngineMaker(
        "tokamask",
        f"{order}, formats asserted; {reading}",
        partial(Tokamask, property_order=property_order, is_cold=is_cold),
    )


ENGINES = {
    "tokamask": _maker("any", True),
    "tokamask-shared": _maker("any", False),
    "tokamask-schema": _maker("schema", True),
    "tokamask-schema-shared": _maker("schema", False),
}
