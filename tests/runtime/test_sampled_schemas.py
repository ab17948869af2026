"""Ten schemas of MaskBench on the demo model: every document is valid and complete within its budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.sampled import PROMPT, read_schemas, verdict
from tokamask import Grammar, GrammarError, Sampling, generate, load_demo

pytestmark = pytest.mark.model

ARCHIVE = Path("../shared/data/maskbench.tar.xz")
MAX_TOKENS = 120


@pytest.mark.skipif(not ARCHIVE.exists(), reason=f"{ARCHIVE} is not there")
def test_ten_schemas() -> None:
    schemas = []
    for name, schema in read_schemas(ARCHIVE, seed=7):
        try:
            Grammar.from_json_schema(schema)
        except GrammarError:
            continue
        schemas.append((name, schema))
        if len(schemas) == 10:
            break
    model, tokenizer = load_demo()
    generations = generate(
        model,
        [PROMPT] * len(schemas),
        schema=[schema for _, schema in schemas],
        tokenizer=tokenizer,
        max_tokens=MAX_TOKENS,
        sampling=Sampling(temperature=0.8),
        seed=3,
    )
    said = {name: verdict(schema, one, MAX_TOKENS) for (name, schema), one in zip(schemas, generations, strict=True)}
    assert set(said.values()) == {"valid"}, said
