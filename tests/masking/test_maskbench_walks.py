"""Random walks under budgeted masks: 2,000 over 200 MaskBench schemas, each closed in time and valid by jsonschema."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from tests.grammar.json_schema.archives import archived
from tokamask.errors import CompileBudgetExceeded, UnsatisfiableSchema, UnsupportedFeature
from tokamask.grammar.grammar import Grammar
from tokamask.masking.bitmask import allocate_bitmask
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.matcher import Matcher
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


def walk(matcher: Matcher, budget: int, generator: random.Random) -> bytes:
    """A text of at most `budget` tokens, stop token included. It puts off its end as long as the masks allow."""
    vocabulary = matcher.compiled.vocabulary
    bitmask = allocate_bitmask(1, vocabulary.size)
    text = b""
    for tokens_left in range(budget, 0, -1):
        matcher.fill_bitmask(bitmask, 0, tokens_left)
        allowed = np.flatnonzero(np.unpackbits(bitmask.view(np.uint8), bitorder="little"))
        token = int(allowed[generator.randrange(len(allowed))])
        if token in matcher.stop_token_ids and len(allowed) > 1 and generator.random() < 0.9:
            token = int(allowed[allowed != token][generator.randrange(len(allowed) - 1)])
        matcher.accept_token(token)
        if matcher.is_terminated:
            return text
        text += vocabulary.token_bytes[token] or b""
    raise AssertionError(f"not closed within {budget} tokens: {text!r}")


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
