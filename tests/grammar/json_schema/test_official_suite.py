"""The required tests of the JSON-Schema-Test-Suite: no wrong answer, and no fewer right ones than there were."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from typing import Any

import pytest

from tests.grammar.json_schema.archives import archived
from tests.grammar.json_schema.membership import accepts
from tokamask.errors import CompileBudgetExceeded, UnsupportedFeature

# Draft, folder, and how many of its required tests have the right answer (the others are refused).
DRAFTS = [
    ("2020-12", "draft2020-12", 1252),
    ("2019-09", "draft2019-09", 1208),
    ("7", "draft7", 879),
    ("6", "draft6", 791),
    ("4", "draft4", 570),
]
FOLDERS = {folder for _, folder, _ in DRAFTS} | {"draft3", "v1"}


@cache
def suite() -> dict[str, str]:
    return dict(archived("json-schema-test-suite.tar.xz"))


def remotes(folder: str) -> dict[str, Any]:
    """The documents the suite refers to, without those that belong to other drafts."""
    prefix = "json-schema-test-suite/remotes/"
    return {
        f"http://localhost:1234/{path.removeprefix(prefix)}": json.loads(text)
        for path, text in suite().items()
        if path.startswith(prefix) and path.removeprefix(prefix).partition("/")[0] not in FOLDERS - {folder}
    }


@pytest.mark.parametrize(("draft", "folder", "expected_right"), DRAFTS)
def test_required_tests(draft: str, folder: str, expected_right: int) -> None:
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    registry = remotes(folder)
    for path, text in suite().items():
        directory, _, name = path.rpartition("/")
        if directory != f"json-schema-test-suite/tests/{folder}":
            continue
        for group in json.loads(text):
            options = {"registry": registry, "formats": "annotate", "property_order": "any"}
            if "$schema" not in (group["schema"] if isinstance(group["schema"], dict) else {}):
                options["draft"] = draft
            for case in group["tests"]:
                try:
                    is_right = accepts(json.dumps(group["schema"]), case["data"], **options) == case["valid"]
                except (UnsupportedFeature, CompileBudgetExceeded):
                    counts["refused"] += 1
                    continue
                counts["right"] += is_right
                if not is_right:
                    wrong.append(f"{name}: {group['description']}: {case['description']}")
    assert wrong == []
    assert counts["right"] >= expected_right
