"""Random walks under budgeted masks: 2,000 over 200 MaskBench schemas, each closed in time and valid by jsonschema."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.grammar.json_schema.archives import archived
from tests.masking.laws import walk
from tokamask.errors import CompileBudgetExceeded, UnsatisfiableSchema, UnsupportedFeature
from tokamask.grammar.grammar import Grammar
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary

SCHEMAS = 200
WALKS = 10
PARTS = 10  # test cases, so that a failure names a part and not the whole


@cache
def tekken() -> GrammarCompiler:
    """Compiles for a real vocabulary of 131,072 tokens."""
    mistral_common = pytest.importorskip("mistral_common")
    tekkenizer = pytest.importorskip("mistral_common.tokens.tokenizers.tekken")
    path = Path(mistral_common.__file__).parent / "data" / "tekken_240911.json"
    return GrammarCompiler(Vocabulary.from_tokenizer(tekkenizer.Tekkenizer.from_file(str(path))))


@cache
def schemas() -> list[tuple[str, Any, Grammar]]:
    """The first SCHEMAS schemas that compile, of all in an order that mixes their sources."""
    files = sorted(archived("maskbench.tar.xz"))
    random.Random(20).shuffle(files)
    compiled = []
    for path, text in files:
        schema = json.loads(text)["schema"]
        try:
            compiled.append((path, schema, Grammar.from_json_schema(schema)))
        except (CompileBudgetExceeded, UnsatisfiableSchema, UnsupportedFeature):
            continue
        if len(compiled) == SCHEMAS:
            break
    return compiled


@pytest.mark.parametrize("part", range(PARTS))
def test_walks_end_in_valid_documents(part: int) -> None:
    wrong = []
    for path, schema, grammar in schemas()[part::PARTS]:
        matcher = tekken().compile(grammar).matcher()
        minimum = matcher.min_tokens_left()
        validator = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
        judge = validator(schema, format_checker=validator.FORMAT_CHECKER)
        for number in range(WALKS):
            generator = random.Random(f"{path} {number}")
            matcher.reset()
            text = walk(matcher, minimum + generator.choice((0, 0, 1, 2, 5, 10, 20, 40)), generator)
            try:
                is_valid = judge.is_valid(json.loads(text))
            except ValueError:
                is_valid = False
            if not is_valid:
                wrong.append(f"{path} walk {number}: {text!r}")
    assert wrong == []
