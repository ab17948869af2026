"""Random schemas down to the masks: walks end in valid documents, and masks of finite languages are exact."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.grammar.json_schema.fuzzing.judging import Case, cases
from tests.grammar.json_schema.fuzzing.oracles import Oracles
from tests.grammar.json_schema.fuzzing.schemas import DRAFTS
from tests.grammar.json_schema.fuzzing.texts import plain, random_spelling
from tests.masking.laws import check_budget, check_state, walk
from tests.reference import FiniteTexts, character_spellings, minimal_spellings, spellings, token_distances
from tests.strategies import NASTY, random_vocabulary
from tokamask.errors import CompileBudgetExceeded, UnsatisfiableSchema, UnsupportedFeature
from tokamask.grammar.grammar import Grammar
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary

SCHEMAS = 20
WALKS = 5
# What the oracles need not be bothered with: numbers of more digits than any computer holds.
ENDLESS_EXPONENT = re.compile(rb"[0-9][eE][+-]?[0-9]{4}")

ZERO = re.compile(r"(?<![0-9])0")


def readable(
    drawn: Iterator[Case], order: Literal["schema", "any"], escapes: str, whitespace: str = "flexible"
) -> Iterator[tuple[Case, Grammar]]:
    """The cases whose schemas are not refused and have a value."""
    for case in drawn:
        try:
            yield (
                case,
                Grammar.from_json_schema(
                    plain(case.schema), case.draft, property_order=order, escapes=escapes, whitespace=whitespace
                ),
            )
        except (CompileBudgetExceeded, UnsatisfiableSchema, UnsupportedFeature):
            continue


@pytest.mark.parametrize(("order", "escapes"), [("schema", "minimal"), ("any", "json")])
@pytest.mark.parametrize("draft", DRAFTS)
def test_walks_end_in_valid_documents(
    draft: str, order: Literal["schema", "any"], escapes: str, tmp_path: Path
) -> None:
    ended = 0
    for case, grammar in islice(readable(cases(7, (draft,)), order, escapes), SCHEMAS):
        generator = random.Random(f"{order} {plain(case.schema)}")
        texts = [random_spelling(generator).text(value).encode() for value in case.values]
        pieces = [text[at : at + generator.randint(2, 6)] for text in texts for at in range(0, len(text), 5)]
        tokens = [*(bytes([byte]) for byte in range(256)), *NASTY, *generator.sample(pieces, min(60, len(pieces)))]
        vocabulary = Vocabulary([*tokens, None], [len(tokens)])
        matcher = GrammarCompiler(vocabulary, tmp_path).compile(grammar).matcher()
        oracles = Oracles(case.draft, case.schema)
        minimum = matcher.min_tokens_left()
        for _ in range(WALKS):
            matcher.reset()
            text = walk(matcher, minimum + generator.choice((0, 0, 1, 2, 5, 10, 20)), generator)
            if not ENDLESS_EXPONENT.search(text):
                value = json.loads(text, parse_float=Decimal)
                assert oracles.verdicts(value) <= {True}, f"{plain(case.schema)} has the text {text!r}"
                ended += 1
    assert ended > SCHEMAS * WALKS / 2


def texts_of(oracles: Oracles, values: list[Any], is_ordered: bool, escapes: str) -> FiniteTexts:
    """Every compact text of the values that the oracles find valid."""
    spell = {"json": character_spellings, "minimal": minimal_spellings}[escapes]
    valid = [value for value in values if True in oracles.verdicts(value)]
    return FiniteTexts(text.encode() for value in valid for text in spellings(value, ("",), is_ordered, spell))


def few_spellings(value: Any, is_ordered: bool) -> bool:
    """Whether a value may be written in a few hundred ways at most.

    Zero is also -0. Other integers are also written with a fraction, 1.0, but not in a vocabulary without "." and ".0".
    """
    text = plain(value)
    if len(text) > 24 or "." in text or ZERO.search(text) or (is_ordered and "," in text):
        return False
    return len(list(islice(spellings(value, is_ordered=is_ordered), 301))) <= 300


@pytest.mark.parametrize(("order", "escapes"), [("schema", "minimal"), ("any", "json")])
@pytest.mark.parametrize("draft", DRAFTS)
def test_masks_of_finite_languages_are_exact(
    draft: str, order: Literal["schema", "any"], escapes: str, tmp_path: Path
) -> None:
    """With an enumeration beside all else, what is left are the valid ones of a few values."""
    checked = 0
    for case in islice(cases(8, (draft,)), 50):
        values = [value for value in case.values if few_spellings(value, order == "schema")][:8]
        schema = {**case.schema, "enum": values}
        oracles = Oracles(draft, schema)
        # Up to draft 7, $ref is alone.
        if not values or "$ref" in schema or not all(map(oracles.verdicts, values)):
            continue
        language = texts_of(oracles, values, order == "schema", escapes)
        finite = Case(draft, schema, ())
        found = list(readable(iter([finite]), order, escapes, "none"))
        if not found:
            continue
        assert language.texts, f"{plain(schema)} has no value"
        generator = random.Random(f"{order} {plain(schema)}")
        texts = sorted(language.texts)
        vocabulary = random_vocabulary(generator, generator.sample(texts, min(12, len(texts))))
        compiled = GrammarCompiler(vocabulary, tmp_path).compile(found[0][1])
        prefixes = sorted(language.prefixes)
        prefixes = [b"", *generator.sample(prefixes, min(6, len(prefixes)))]
        distances = token_distances(language, vocabulary, prefixes)
        for prefix in prefixes:
            matcher = compiled.matcher()
            matcher.accept_bytes(prefix)
            check_state(matcher, language, prefix)
            check_budget(matcher, language, prefix, distances, {0, 1, 3})
            checked += 1
    assert checked > 60
