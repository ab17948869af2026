"""Every tenth MaskBench schema that is read must tell its valid instances from its invalid ones."""

from __future__ import annotations

import json
from collections import Counter

from tests.grammar.json_schema.archives import archived
from tests.grammar.json_schema.membership import describes
from tokamask.errors import CompileBudgetExceeded, UnsatisfiableSchema, UnsupportedFeature
from tokamask.grammar.json_schema.reading import read_json_schema

EVERY = 10


def test_instances() -> None:
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for position, (path, text) in enumerate(sorted(archived("maskbench.tar.xz"))):
        if position % EVERY:
            continue
        file = json.loads(text)
        try:
            shapes = read_json_schema(json.dumps(file["schema"]), property_order="any").shapes
        except (UnsupportedFeature, CompileBudgetExceeded):
            counts["refused"] += 1
            continue
        except UnsatisfiableSchema:
            shapes = None
        counts["read"] += 1
        for number, case in enumerate(file["tests"]):
            if (shapes is not None and describes(shapes, case["data"])) != case["valid"]:
                wrong.append(f"{path}: instance {number} should be {'valid' if case['valid'] else 'invalid'}")
    assert wrong == []
    assert counts["read"] > 60 * counts["refused"]
