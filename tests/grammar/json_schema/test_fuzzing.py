"""A fixed share of the random schemas; `python -m tests.grammar.json_schema.fuzzing` judges as many as you like."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest

from tests.grammar.json_schema.fuzzing.judging import Tally, cases, judge
from tests.grammar.json_schema.fuzzing.reduction import reduced
from tests.grammar.json_schema.fuzzing.schemas import DRAFTS, keys
from tests.grammar.json_schema.fuzzing.texts import plain
from tokamask.errors import CompileBudgetExceeded, UnsatisfiableSchema, UnsupportedFeature
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.json_schema.drafts import draft_named
from tokamask.grammar.json_schema.keywords import KEYWORDS
from tokamask.grammar.json_schema.reading import explain_json_schema
from tokamask.grammar.json_schema.reports import KeywordStatus

SCHEMAS = 200


@pytest.mark.parametrize("draft", DRAFTS)
def test_same_answers(draft: str) -> None:
    tally = Tally()
    for case in islice(cases(1, (draft,)), SCHEMAS):
        judge(case, tally)
    assert [str(reduced(finding, False)) for finding in tally.mistakes[:3]] == []
    assert [str(reduced(finding, True)) for finding in tally.splits[:3]] == []
    # The values must be near the boundary: neither nearly all valid nor nearly all invalid.
    assert 0.2 < tally.valid / tally.pairs < 0.6
    assert tally.unsatisfiable < SCHEMAS / 3
    assert sum(tally.refusals.values()) < SCHEMAS / 8


@pytest.mark.parametrize("draft", DRAFTS)
def test_every_keyword_of_a_draft_comes_up(draft: str) -> None:
    seen = {key for case in islice(cases(2, (draft,)), 400) for key in keys(case.schema)}
    assert set(KEYWORDS[draft_named(draft)]) <= seen


@pytest.mark.parametrize("draft", DRAFTS)
def test_explain_lists_what_is_refused_and_nothing_else(draft: str) -> None:
    """Half of the schemas have a pattern that is not regular, which matters unless no string is valid."""
    refused = 0
    for number, case in enumerate(islice(cases(4, (draft,)), 100)):
        schema = plain({**case.schema, "pattern": "^(a*)\\1"} if number % 2 else case.schema)
        is_refused = False
        try:
            Grammar.from_json_schema(schema, draft=draft)
        except UnsupportedFeature:
            is_refused = True
        except UnsatisfiableSchema:
            pass
        except CompileBudgetExceeded:
            continue
        reports = explain_json_schema(schema, draft=draft)
        assert is_refused == any(report.status is KeywordStatus.REFUSED for report in reports), schema
        refused += is_refused
    assert 5 < refused < 60


def without(schema: Any, keyword: str) -> Any:
    if isinstance(schema, dict):
        return {name: without(part, keyword) for name, part in schema.items() if name != keyword}
    return [without(part, keyword) for part in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize("keyword", sorted(set(KEYWORDS[draft_named("2020-12")]) - {"$ref", "$dynamicRef"}))
def test_a_keyword_that_is_not_enforced_is_noticed(keyword: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any one of them left out leads to a finding, which says little more than that keyword."""
    read = Grammar.from_json_schema

    def read_in_part(schema: str, **options: Any) -> Grammar:
        return read(plain(without(json.loads(schema, parse_float=Decimal), keyword)), **options)

    monkeypatch.setattr(Grammar, "from_json_schema", read_in_part)
    tally = Tally()
    for case in islice((case for case in cases(3, ("2020-12",)) if keyword in keys(case.schema)), 100):
        judge(case, tally)
        if tally.mistakes:
            break
    assert tally.mistakes
    smallest = set(keys(reduced(tally.mistakes[0], False).schema))
    assert keyword in smallest
    assert len(smallest) <= 8, smallest
