"""The JSON-Schema-Test-Suite: no wrong answer to its required tests, and no fewer right ones than there were."""

from __future__ import annotations

import pytest

from tests.grammar.json_schema.official_suite import judged

# Draft, folder, and how many of its required tests have the right answer (the others are refused).
DRAFTS = [
    ("2020-12", "draft2020-12", 1298),
    ("2019-09", "draft2019-09", 1258),
    ("7", "draft7", 926),
    ("6", "draft6", 838),
    ("4", "draft4", 617),
]
# Folder, part, how many tests have the right answer at least, and how many a wrong one at most.
OPTIONAL = [
    ("draft2020-12", "optional", 160, 2),
    ("draft2020-12", "optional/format", 631, 23),
    ("draft2019-09", "optional", 158, 0),
    ("draft2019-09", "optional/format", 624, 23),
    ("draft7", "optional", 114, 4),
    ("draft7", "optional/format", 544, 23),
    ("draft6", "optional", 106, 0),
    ("draft6", "optional/format", 325, 0),
    ("draft4", "optional", 100, 0),
    ("draft4", "optional/format", 219, 0),
]
# Files with tests that are answered otherwise than they ask.
KNOWN = {
    "hostname.json",  # What A-labels (xn--...) decode to is not looked at.
    "content.json",  # contentEncoding and contentMediaType are annotations, as draft 7 leaves open.
    "format-assertion.json",  # formats="annotate" has the last word, also where a metaschema wants them asserted.
}


@pytest.mark.parametrize(("draft", "folder", "expected_right"), DRAFTS)
def test_required_tests(draft: str, folder: str, expected_right: int) -> None:
    outcome = judged(folder, "")
    assert outcome.wrong == []
    assert outcome.right >= expected_right


@pytest.mark.parametrize(("folder", "part", "expected_right", "most_wrong"), OPTIONAL)
def test_optional_tests(folder: str, part: str, expected_right: int, most_wrong: int) -> None:
    outcome = judged(folder, part)
    assert [title for title in outcome.wrong if title.partition(":")[0] not in KNOWN] == []
    assert len(outcome.wrong) <= most_wrong
    assert outcome.right >= expected_right


@pytest.mark.parametrize("folder", [folder for _, folder, _ in DRAFTS])
def test_refusals_name_a_keyword_and_a_place(folder: str) -> None:
    for refusal in judged(folder, "").refused:
        assert "is not supported here" in refusal
        assert ", at '" in refusal
