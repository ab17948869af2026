"""Schemas and values against the oracles: the same values must be valid, however they are spelled."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.grammar.json_schema.fuzzing.oracles import Oracles
from tests.grammar.json_schema.fuzzing.schemas import DRAFTS, SchemaWriter
from tests.grammar.json_schema.fuzzing.texts import contorted_spelling, plain, random_spelling
from tests.grammar.json_schema.fuzzing.values import ValueWriter
from tests.grammar.json_schema.membership import describes
from tokamask.errors import CompileBudgetExceeded, UnsatisfiableSchema, UnsupportedFeature
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.json_schema.shapes import JsonShapes
from tokamask.grammar.rules import JsonValue

__all__ = ["Case", "Finding", "Judgement", "Tally", "cases", "judge", "shapes_of"]

VALUES_PER_SCHEMA = 25


@dataclass(frozen=True)
class Case:
    """A schema of a draft, and values near its boundary."""

    draft: str
    schema: Any
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Finding:
    """A pair on which someone is wrong: we (`what` says how a valid value was refused or an invalid one taken), or one
    of the oracles."""

    draft: str
    schema: Any
    value: Any
    what: str

    def __str__(self) -> str:
        return f"draft {self.draft}: {plain(self.schema)} with {plain(self.value)}: {self.what}"


@dataclass
class Tally:
    """What came out.

    Attributes:
        pairs: (schema, value) pairs judged, those of refused schemas left out; of them `valid` are valid.
        schemas: schemas read; of them `unsatisfiable` have no value.
        refusals: refused schemas by the keyword that is not supported there.
        splits: pairs on which the oracles differ.
        mistakes: pairs on which they agree, against us.
    """

    pairs: int = 0
    valid: int = 0
    schemas: int = 0
    unsatisfiable: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    splits: list[Finding] = field(default_factory=list)
    mistakes: list[Finding] = field(default_factory=list)


def cases(seed: int, drafts: tuple[str, ...] = DRAFTS) -> Iterator[Case]:
    """Cases without end, draft after draft."""
    number = 0
    while True:
        for draft in drafts:
            generator = random.Random(f"{seed} {draft} {number}")
            schema = SchemaWriter(generator, draft).schema()
            yield Case(draft, schema, tuple(ValueWriter(generator, schema).values(VALUES_PER_SCHEMA)))
        number += 1


def shapes_of(grammar: Grammar) -> JsonShapes:
    rule = grammar.rules.rules[grammar.rules.start]
    assert isinstance(rule, JsonValue)
    return rule.shapes


class Judgement:
    """One schema before the oracles and the grammar.

    Attributes:
        refused_for: the keyword that cannot be enforced exactly, if there is one. The grammar is then one that leaves
            it out, and must take every valid value still.
        grammar: None when the schema has no value.

    Raises CompileBudgetExceeded.
    """

    def __init__(self, draft: str, schema: Any) -> None:
        self._draft = draft
        self._schema = schema
        self._oracles = Oracles(draft, schema)
        self.refused_for: str | None = None
        try:
            self.grammar = self._read("refuse")
        except UnsupportedFeature as refusal:
            self.refused_for = refusal.message.partition(" ")[0]
            self.grammar = self._read("warn")

    def _read(self, on_unsupported: Literal["refuse", "warn"]) -> Grammar | None:
        try:
            return Grammar.from_json_schema(
                plain(self._schema), draft=self._draft, property_order="any", on_unsupported=on_unsupported
            )
        except UnsatisfiableSchema:
            return None

    def is_valid(self, value: Any) -> bool | None:
        """What the oracles say; None where they differ or none is to be trusted."""
        verdicts = self._oracles.verdicts(value)
        return next(iter(verdicts)) if len(verdicts) == 1 else None

    def split(self, value: Any) -> Finding | None:
        """That the oracles do not agree."""
        return self._finding(value, "the oracles differ") if len(self._oracles.verdicts(value)) > 1 else None

    def mistake(self, value: Any) -> Finding | None:
        """That the grammar and the oracles do not agree."""
        is_valid = self.is_valid(value)
        if is_valid is None or (self.refused_for and not is_valid):
            return None
        for what, answer in self._answers(value, is_valid):
            if answer != is_valid:
                return self._finding(value, f"{what} should be {'valid' if is_valid else 'invalid'}")
        return None

    def _finding(self, value: Any, what: str) -> Finding:
        return Finding(self._draft, self._schema, value, what)

    def _answers(self, value: Any, is_valid: bool) -> Iterator[tuple[str, bool]]:
        """The grammar's answers about the value and about texts of it."""
        if self.grammar is None:
            yield "no value satisfies the schema, so it", False
            return
        yield "it", describes(shapes_of(self.grammar), value)
        generator = random.Random(plain(value))
        texts = [plain(value), random_spelling(generator).text(value)]
        if not is_valid:
            texts.append(contorted_spelling(generator).text(value))
        for text in texts:
            yield f"the text {text}", self.grammar.check(text).ok


def judge(case: Case, tally: Tally) -> None:
    """Adds to the tally what becomes of a case."""
    tally.schemas += 1
    try:
        judgement = Judgement(case.draft, case.schema)
    except CompileBudgetExceeded:
        tally.refusals["(the budget)"] += 1
        return
    if judgement.refused_for:
        tally.refusals[judgement.refused_for] += 1
    tally.unsatisfiable += judgement.grammar is None
    for value in case.values:
        if split := judgement.split(value):
            tally.splits.append(split)
        if mistake := judgement.mistake(value):
            tally.mistakes.append(mistake)
        is_valid = judgement.is_valid(value)
        if is_valid is not None and not judgement.refused_for:
            tally.pairs += 1
            tally.valid += is_valid
