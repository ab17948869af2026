"""The measurement on schemas that a model is shown: everything but the model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import MEASUREMENTS
from bench.errors import CannotMeasure
from bench.jsonschemabench import (
    CONSTRAINED,
    FREE,
    SHOT_LENGTH,
    Outcome,
    add_options,
    choose,
    inside_fence,
    is_valid,
    prompt,
    report,
)

INTEGER = {"type": "integer"}


def file(schema: Any, *tests: tuple[Any, bool]) -> str:
    return json.dumps({"schema": schema, "tests": [{"data": data, "valid": valid} for data, valid in tests]})


TEXTS = {
    **{f"Easy---{place}": file({"const": place}, ("no", False), (place, True)) for place in range(8)},
    "Easy---long": file({"const": "x" * SHOT_LENGTH}, ("x" * SHOT_LENGTH, True)),
    "Easy---none": file({"const": 9}, ("no", False)),
    "Hard---0": file(INTEGER, (3, True)),
}


def test_schemas_of_a_split_and_examples_beside_them() -> None:
    chosen, examples = choose(TEXTS, "Easy", 3, 4, seed=1)
    assert choose(TEXTS, "Easy", 3, 4, seed=1) == (chosen, examples)
    assert len(chosen) == 3
    assert all(name.startswith("Easy") and json.loads(TEXTS[name])["schema"] == chosen[name] for name in chosen)
    assert len(examples) == 4
    for schema, instance in examples:
        assert schema == {"const": instance}
        assert schema not in chosen.values()
        assert isinstance(instance, int), "neither a long one nor one without a valid instance"
    assert len({tuple(choose(TEXTS, "Easy", 3, 0, seed)[0]) for seed in range(5)}) > 1


@pytest.mark.parametrize(
    ("split", "count", "shots"), [("Easy", 11, 0), ("None", 1, 0), ("Easy", 0, 0), ("Easy", 1, -1)]
)
def test_splits_that_are_not_there(split: str, count: int, shots: int) -> None:
    with pytest.raises(CannotMeasure, match=r"Easy \(10\), Hard \(1\)"):
        choose(TEXTS, split, count, shots, seed=1)


def test_too_few_examples() -> None:
    with pytest.raises(CannotMeasure, match="fewer than 1"):
        choose(TEXTS, "Hard", 1, 1, seed=1)


def test_the_conversation() -> None:
    roles = [message["role"] for message in prompt(INTEGER, [({"const": "é"}, "é")])]
    assert roles == ["system", "user", "assistant", "user"]
    assert json.loads(prompt(INTEGER, [])[-1]["content"]) == INTEGER


@pytest.mark.parametrize(
    ("text", "schema", "expected"),
    [
        ("3", INTEGER, True),
        (" 3\n", INTEGER, True),
        ("3.5", INTEGER, False),
        ("It is 3", INTEGER, False),
        ('"2024-02-30"', {"format": "date"}, False),
        ('"2024-02-29"', {"format": "date"}, True),
        ("3", {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 3, "exclusiveMinimum": True}, False),
        ("3", {"$ref": "https://example.invalid/schema"}, None),
        ("3", {"type": 3}, None),
        ('"a"', {"pattern": "("}, None),
    ],
)
def test_the_judge(text: str, schema: Any, expected: bool | None) -> None:
    assert is_valid(text, schema) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Here:\n```json\n{}\n```\nand ```json\n[]\n```", "{}\n"),
        ("```\n{}", "{}"),
        ("{}", "{}"),
    ],
)
def test_fences(text: str, expected: str) -> None:
    assert inside_fence(text) == expected


def test_what_the_report_adds_up() -> None:
    free = [
        Outcome("a", is_valid=False, is_valid_inside=True, is_cut=True, tokens=10, wall_seconds=1.0),
        Outcome("b", is_valid=True, is_valid_inside=True, tokens=20, wall_seconds=2.0),
        Outcome("c", is_valid=None, is_valid_inside=None, tokens=0),
        Outcome("d", "too long"),
    ]
    ours = [
        Outcome("a", is_valid=True, is_valid_inside=True, tokens=30, mask_seconds=0.003, compile_seconds=0.002),
        Outcome("b", is_valid=False, is_valid_inside=False, tokens=10, mask_seconds=0.001, wall_seconds=5.0),
        Outcome("c", "UnsupportedFeature: why", is_covered=False),
        Outcome("d", "max_tokens", compile_seconds=9.0),
    ]
    text = report({FREE: free, CONSTRAINED: ours}, "Easy", "the command")
    assert "| no constraint | 4 | 4 of 4 (100 %) | 1 of 2 (50 %) | 2 of 2 (100 %) | 1 of 4 (25 %) | 1 |" in text
    assert "| tokamask | 4 | 3 of 4 (75 %) | 1 of 2 (50 %) | 1 of 2 (50 %) | 1 of 4 (25 %) | 0 |" in text
    assert "| no constraint | 30 | - | - | - | 10.0 |" in text
    assert "| tokamask | 40 | 100 | 1.00 | 3.00 | 8.00 |" in text
    for note in ("tokamask, b: not valid", "no constraint, c: not judged", "tokamask, c: UnsupportedFeature: why"):
        assert f"- {note}\n" in text
    assert "no constraint, a: not valid" not in text, "that is what is measured, not news"


def test_as_a_command(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    options = parser.parse_args([])
    assert (options.split, options.n, options.max_tokens, options.temperature) == ("Github_easy", 20, 256, 0.0)
    with pytest.raises(CannotMeasure, match="--data"):
        MEASUREMENTS["jsonschemabench"].run(parser.parse_args(["--data", str(tmp_path)]))
