"""Each engine that is installed, through its adapter: its masks say what its commits say, and both what is true."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bench.engines import ENGINES, checked_engines, glrmask, installed_engines, maskforge, outlines_core, xgrammar
from bench.engines.engine import Engine, RefusedSchema, Session, Start
from bench.errors import CannotMeasure
from bench.vocabularies import NamedVocabulary, load_vocabulary

pytest.importorskip("mistral_common", reason="the vocabulary comes with mistral_common")

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 6},
        "size": {"type": "integer"},
        "kind": {"enum": ["one", "two"]},
    },
    "required": ["name", "size", "kind"],
    "additionalProperties": False,
}
DOCUMENTS: tuple[Any, ...] = (
    {"name": "Ada", "size": -12, "kind": "two"},
    {"name": "", "size": 0, "kind": "one"},
    {"name": "Ada", "size": 1.5, "kind": "one"},
    {"name": "too long by far", "size": 1, "kind": "one"},
    {"name": "Ada", "size": 1, "kind": "three"},
    {"name": "Ada", "size": 1},
    {"name": "Ada", "size": 1, "kind": "one", "other": 1},
    [],
)
PROBES = 60
"""Tokens that are asked about in each state: whether the mask allows them, and whether a commit takes them."""


@pytest.fixture(scope="module")
def vocabulary() -> NamedVocabulary:
    return load_vocabulary("tekken-32k")


@pytest.fixture(scope="module", params=list(ENGINES))
def engine(request: pytest.FixtureRequest, vocabulary: NamedVocabulary) -> Engine:
    if request.param not in installed_engines():
        pytest.skip(f"{ENGINES[request.param].package} is not installed (pip install -e '.[bench]')")
    return ENGINES[request.param].make(vocabulary)


def after(start: Start, tokens: list[int]) -> Session:
    session = start()
    assert all(session.commit(token) for token in tokens)
    return session


def allowed(engine: Engine, session: Session) -> set[int]:
    session.fill()
    words = [(32 * place, word) for place, word in enumerate(engine.row.tolist()) if word]
    return {first + bit for first, word in words for bit in range(32) if word >> bit & 1}


@pytest.mark.parametrize("document", DOCUMENTS, ids=json.dumps)
def test_documents_are_judged_as_jsonschema_judges_them(
    engine: Engine, vocabulary: NamedVocabulary, document: Any
) -> None:
    start = engine.compile(json.dumps(SCHEMA))
    session = start()
    (stop,) = vocabulary.stop_token_ids
    is_taken = True
    for token in vocabulary.vocabulary.encode(json.dumps(document).encode()):
        is_allowed = token in allowed(engine, session)
        is_taken = session.commit(token)
        assert is_allowed == is_taken
        if not is_taken:
            break
    is_accepted = is_taken and session.is_accepting()
    if is_taken:
        assert (stop in allowed(engine, session)) == is_accepted
    assert is_accepted == Draft202012Validator(SCHEMA).is_valid(document)


def test_masks_allow_what_commits_take(engine: Engine, vocabulary: NamedVocabulary) -> None:
    start = engine.compile(json.dumps(SCHEMA))
    spelled = vocabulary.vocabulary.encode(json.dumps(DOCUMENTS[0]).encode())
    rng = random.Random(1)
    texts = [token for token, data in enumerate(vocabulary.vocabulary.token_bytes) if data is not None]
    taken = refused = 0
    for length in range(len(spelled)):
        mask = allowed(engine, after(start, spelled[:length]))
        assert mask, "a text that is not complete can go on"
        assert max(mask) < vocabulary.size
        # Half of them from the mask, which is small in most states.
        probes = rng.sample(texts, PROBES) + rng.sample(sorted(mask), min(PROBES, len(mask)))
        for token in probes:
            is_taken = after(start, spelled[:length]).commit(token)
            assert is_taken == (token in mask), (length, vocabulary.vocabulary.token_bytes[token])
            taken, refused = taken + is_taken, refused + (not is_taken)
    assert taken > PROBES < refused


def test_sessions_of_one_schema_are_independent(engine: Engine, vocabulary: NamedVocabulary) -> None:
    start = engine.compile(json.dumps(SCHEMA))
    spelled = vocabulary.vocabulary.encode(json.dumps(DOCUMENTS[0]).encode())
    first, second = start(), after(start, spelled[:5])
    expected = allowed(engine, start())
    assert allowed(engine, first) == expected != allowed(engine, second)
    assert first.commit(spelled[0])


def test_what_cannot_be_compiled_is_refused(engine: Engine) -> None:
    with pytest.raises(RefusedSchema) as refused:
        engine.compile('{"type": "strin"}')
    assert refused.value.kind
    assert len(refused.value.kind) < 80


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (
            glrmask._kind("grammar error: #/not: unsupported assertion: general negation; only boolean and primitive"),
            "unsupported assertion: general negation",
        ),
        (
            xgrammar._kind("[10:20:14] /project/cpp/converter.cc:4944: minItems is greater than maxItems: 3"),
            "minItems is greater than maxItems",
        ),
        (
            outlines_core._kind('Unsupported JSON Schema structure {"not":{"type":"string"}} \nMake sure'),
            "Unsupported JSON Schema structure",
        ),
    ],
)
def test_refusals_are_counted_by_what_is_not_about_one_schema(found: str, kind: str) -> None:
    assert found == kind


def test_a_keyword_that_maskforge_names_is_part_of_the_kind() -> None:
    class Error(Exception):
        code = "Unsupported"
        keyword: str | None = "items"

    error = Error()
    assert maskforge._kind(error) == "Unsupported: items"
    error.keyword = None
    assert maskforge._kind(error) == "Unsupported"


def test_a_missing_peer_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.engines.find_spec", lambda name: None if name == "glrmask" else object())
    with pytest.raises(CannotMeasure, match=r"glrmask needs the package glrmask; install the peers .*\.\[bench\]"):
        checked_engines("tokamask,glrmask")
