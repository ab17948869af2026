"""The JSON-Schema-Test-Suite, judged: `python -m tests.grammar.json_schema.official_suite [--refusals]` prints tables.

The recogniser answers, on the values as `json.dumps` writes them: properties in any order, numbers in any spelling. The
suite's parts are read as it asks: `format` is an annotation, but in optional/format it is asserted.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from tests.grammar.json_schema.archives import archived
from tokamask.errors import CompileBudgetExceeded, GrammarError, UnsatisfiableSchema, UnsupportedFeature
from tokamask.grammar.grammar import Grammar

__all__ = ["FOLDERS", "PARTS", "Outcome", "judged"]

# Our drafts by the names of their folders.
FOLDERS = {"draft2020-12": "2020-12", "draft2019-09": "2019-09", "draft7": "7", "draft6": "6", "draft4": "4"}
# The parts of each: its folder within the draft's, and what becomes of `format` there.
PARTS = {"": "annotate", "optional": "annotate", "optional/format": "assert"}
_ROOT = PurePosixPath("json-schema-test-suite")


@dataclass
class Outcome:
    """What became of the tests of one part.

    Attributes:
        right: right answers.
        wrong: file, group and test of wrong ones.
        refused: tests by file, group and the reason why their schema is refused.
    """

    right: int = 0
    wrong: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


@cache
def _suite() -> Mapping[PurePosixPath, str]:
    return {PurePosixPath(path): text for path, text in archived("json-schema-test-suite.tar.xz")}


def _remotes() -> dict[str, Any]:
    """The documents the suite refers to."""
    others = {"draft3", "v1"}
    remotes = _ROOT / "remotes"
    return {
        f"http://localhost:1234/{path.relative_to(remotes)}": json.loads(text)
        for path, text in _suite().items()
        if path.is_relative_to(remotes) and path.relative_to(remotes).parts[0] not in others
    }


def _groups(folder: str, part: str) -> Iterator[tuple[str, Any]]:
    """The groups of tests of one part, with the name of their file."""
    for path, text in _suite().items():
        if path.parent == _ROOT / "tests" / folder / part:
            for group in json.loads(text):
                yield path.name, group


@cache
def judged(folder: str, part: str) -> Outcome:
    """The answers to all tests of a part of a draft; skips the test when the suite is not there."""
    outcome = Outcome()
    options: dict[str, Any] = {
        "registry": _remotes(),
        "formats": PARTS[part],
        "property_order": "any",
        "numbers": "full",
    }
    for name, group in _groups(folder, part):
        schema = group["schema"]
        names_dialect = isinstance(schema, dict) and "$schema" in schema
        draft = None if names_dialect else FOLDERS[folder]
        title = f"{name}: {group['description']}"
        try:
            grammar = Grammar.from_json_schema(json.dumps(schema), draft=draft, **options)
        except UnsatisfiableSchema:
            grammar = None
        except (UnsupportedFeature, CompileBudgetExceeded, GrammarError) as refusal:
            outcome.refused[f"{title}: {refusal}"] += len(group["tests"])
            continue
        for case in group["tests"]:
            text = json.dumps(case["data"], ensure_ascii=False).encode("utf-8", "surrogatepass")
            answer = grammar is not None and grammar.check(text).ok
            if answer == case["valid"]:
                outcome.right += 1
            else:
                outcome.wrong.append(f"{title}: {case['description']}")
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--refusals", action="store_true", help="list what is refused and why")
    arguments = parser.parse_args()
    print("| draft | part | tests | right | wrong | refused |")
    print("|---|---|---:|---:|---:|---:|")
    for folder, draft in FOLDERS.items():
        for part in PARTS:
            outcome = judged(folder, part)
            refused = sum(outcome.refused.values())
            counts = (outcome.right + len(outcome.wrong) + refused, outcome.right, len(outcome.wrong), refused)
            print(f"| {draft} | {part or 'required'} | {' | '.join(map(str, counts))} |")
    for folder, draft in FOLDERS.items():
        for part in PARTS:
            for sentence in judged(folder, part).wrong:
                print(f"wrong, {draft} {part}: {sentence}")
            for reason, count in judged(folder, part).refused.items() if arguments.refusals else ():
                print(f"refused, {draft} {part}, {count} tests: {reason}")


if __name__ == "__main__":
    main()
