"""Infilling against enumeration: accepted canvases, log Z, the most probable canvas, the law of draws."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
import pytest

from tests.masking.infilling_oracle import Enumeration, all_canvases
from tokamask.errors import InvalidLogits, TokenRejected, UnsatisfiableSchema
from tokamask.grammar.grammar import Grammar
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.infilling import Infilling
from tokamask.masking.infilling_canvas import OPEN, Canvas, Mask, Piece, read_canvas
from tokamask.masking.infilling_graph import TokenGraph
from tokamask.masking.vocabulary import Vocabulary

# The last three ids: a stop token that is also padding, padding alone, and one that is never text.
SPECIAL = (None, None, None)


@dataclass(frozen=True)
class Language:
    name: str
    grammar: Callable[[], Grammar]
    is_document: Callable[[bytes], bool]
    tokens: tuple[bytes, ...]


def of_pattern(pattern: str, *tokens: str) -> Language:
    compiled = re.compile(pattern.encode())
    return Language(
        f"regex {pattern}",
        lambda: Grammar.from_regex(pattern),
        lambda text: compiled.fullmatch(text) is not None,
        tuple(token.encode() for token in tokens),
    )


def of_schema(schema: Any, *tokens: str) -> Language:
    validator = jsonschema.Draft202012Validator(schema)

    def is_document(text: bytes) -> bool:
        try:
            value = json.loads(text)
        except ValueError:
            return False
        # The grammar's spelling: no whitespace among these tokens, names in their declared order.
        return validator.is_valid(value) and json.dumps(value, separators=(",", ":")).encode() == text

    return Language(
        f"schema {json.dumps(schema)}",
        lambda: Grammar.from_json_schema(schema),
        is_document,
        tuple(token.encode() for token in tokens),
    )


LANGUAGES = [
    of_pattern("a*b", "a", "b", "aa", "ab"),
    of_pattern("(ab|a)*", "a", "b", "ab", "ba"),
    of_pattern("(a|bb){1,3}", "a", "b", "bb", "ab"),
    of_pattern("x?(yx)*y?", "x", "y", "xy", "yx", "yy"),
    of_pattern("[ab]{0,4}c", "a", "b", "c", "bc", "aab"),
    of_schema({"type": "array", "items": {"enum": [1, 2]}}, "[", "]", "1", "2", ",", "[1", ",2"),
    of_schema({"type": "string", "maxLength": 2}, '"', "a", 'a"', '"a', "aa"),
    of_schema(
        {
            "type": "object",
            "properties": {"a": {"type": "boolean"}, "b": {"const": 1}},
            "required": ["a"],
            "additionalProperties": False,
        },
        '{"a":',
        "true",
        ",",
        '"b":1',
        "}",
        "true}",
    ),
    of_schema({"type": ["array", "integer"], "items": {"$ref": "#"}}, "[", "]", ",", "1", "[]"),
]

CANVASES: list[list[Piece]] = [
    [Mask(1)],
    [Mask(2)],
    [Mask(5)],
    [Mask(3, least=0)],
    [Mask(4, least=2), Mask(1)],
    [Mask(2, least=1), Mask(2, least=0)],
    [Mask(2), 0, Mask(1)],
    [0, Mask(2, least=0), 1, Mask(2, least=0)],
    [1, Mask(3)],
    [Mask(2), 2, Mask(2)],
    [Mask(2), Mask(2, least=0)],
    [Mask(2), Mask(2, least=1), Mask(1)],
]


def with_specials(language: Language, has_stop: bool) -> tuple[Vocabulary, frozenset[int]]:
    texts: tuple[bytes | None, ...] = (*language.tokens, *SPECIAL)
    both, padding = len(language.tokens), len(language.tokens) + 1
    return Vocabulary(texts, [both] if has_stop else []), frozenset([both, padding])


def random_logprobs(generator: np.random.Generator, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Normalised; some exactly zero, some far apart."""
    scores: npt.NDArray[np.float64] = generator.normal(size=shape) * generator.choice([0.0, 1.0, 8.0])
    scores[generator.random(shape) < 0.1] = -math.inf
    scores[:, 0] = np.maximum(scores[:, 0], -3.0)
    scores -= np.logaddexp.reduce(scores, axis=1)[:, None]
    return scores


def some_set(generator: np.random.Generator, canvas: Canvas, accepted: list[tuple[int, ...]]) -> npt.NDArray[np.int32]:
    """The canvas with some positions set as in one of the accepted ones."""
    witness = np.array(accepted[generator.integers(len(accepted))], dtype=np.int32)
    is_set = generator.random(len(canvas)) < generator.choice([0.0, 0.4])
    return np.where(is_set, witness, canvas.tokens).astype(np.int32)


CASES = [
    pytest.param(language, pieces, has_stop, id=f"{language.name} {pieces} {'stop' if has_stop else 'no stop'}")
    for language, pieces, has_stop in itertools.product(LANGUAGES, CANVASES, (True, False))
]


@pytest.mark.parametrize(("language", "pieces", "has_stop"), CASES)
def test_enumeration(language: Language, pieces: list[Piece], has_stop: bool) -> None:
    """Accepted canvases, log Z, the most probable one, marginals and entropies are those of the enumeration."""
    vocabulary, padding = with_specials(language, has_stop)
    graph = TokenGraph(GrammarCompiler(vocabulary).compile(language.grammar()))
    canvas = read_canvas(pieces, vocabulary)
    accepted = all_canvases(canvas, vocabulary, padding, language.is_document)
    if not accepted:
        with pytest.raises(UnsatisfiableSchema):
            Infilling(graph, canvas, padding)
        return
    infilling = Infilling(graph, canvas, padding)
    assert accepted_by(infilling, canvas, vocabulary.size) == set(accepted)

    generator = np.random.default_rng(len(accepted))
    for _ in range(4):
        logprobs = random_logprobs(generator, (len(canvas), vocabulary.size))
        tokens = some_set(generator, canvas, accepted)
        law = Enumeration(accepted, tokens, logprobs)
        weights, rows = law.weights(), logprobs[tokens == OPEN] + 7.0  # any constant will do
        if not weights:
            with pytest.raises(InvalidLogits):
                infilling.most_probable(tokens, rows)
            continue
        marginals = law.marginals()
        best = infilling.most_probable(tokens, rows)
        assert weights[tuple(best.tokens.tolist())] == pytest.approx(max(weights.values()), abs=1e-9)
        draws = [infilling.draw(tokens, rows, generator.random((2, len(canvas)))) for _ in range(5)]
        for proposal in [best, *draws]:
            proposed = tuple(proposal.tokens.tolist())
            assert proposed in weights
            assert proposal.log_z == pytest.approx(law.log_z(), abs=1e-9)
            assert proposal.logprobs.sum() == pytest.approx(weights[proposed], abs=1e-9)
            chosen = marginals[np.arange(len(canvas)), proposal.tokens]
            np.testing.assert_allclose(proposal.confidences, chosen, atol=1e-9)
            logs = np.log(marginals, out=np.zeros(marginals.shape), where=marginals > 0)
            np.testing.assert_allclose(proposal.entropies, -(marginals * logs).sum(axis=1), atol=1e-9)


def test_draws_have_their_exact_law() -> None:
    """20,000 draws against the enumerated law: chi-squared, and nothing outside of the language."""
    language = LANGUAGES[3]
    vocabulary, padding = with_specials(language, has_stop=True)
    graph = TokenGraph(GrammarCompiler(vocabulary).compile(language.grammar()))
    canvas = read_canvas([Mask(3), Mask(2, least=0)], vocabulary)
    generator = np.random.default_rng(7)
    logprobs = generator.normal(size=(len(canvas), vocabulary.size))
    logprobs -= np.logaddexp.reduce(logprobs, axis=1)[:, None]
    law = Enumeration(all_canvases(canvas, vocabulary, padding, language.is_document), canvas.tokens, logprobs)
    expected = {tokens: 10_000 * math.exp(weight - law.log_z()) for tokens, weight in law.weights().items()}
    infilling = Infilling(graph, canvas, padding)
    seen = dict.fromkeys(expected, 0)
    for _ in range(10_000):
        seen[tuple(infilling.draw(canvas.tokens, logprobs, generator.random((2, 5))).tokens.tolist())] += 1
    large = [tokens for tokens, count in expected.items() if count >= 5]
    rest = 10_000 - sum(expected[tokens] for tokens in large)
    statistic = sum((seen[tokens] - expected[tokens]) ** 2 / expected[tokens] for tokens in large)
    if rest > 0:
        statistic += (sum(seen.values()) - sum(seen[tokens] for tokens in large) - rest) ** 2 / rest
    freedom = len(large)
    assert freedom > 30
    assert abs(statistic - freedom) < 4 * math.sqrt(2 * freedom)  # four standard deviations of chi-squared


@pytest.fixture(scope="module")
def ab() -> tuple[Infilling, Canvas]:
    """a*b in three tokens of a, b, ab and a stop token."""
    vocabulary = Vocabulary([b"a", b"b", b"ab", None], [3])
    canvas = read_canvas([Mask(3)], vocabulary)
    return Infilling(TokenGraph(GrammarCompiler(vocabulary).compile(Grammar.from_regex("a*b"))), canvas), canvas


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_scores_that_are_no_scores(ab: tuple[Infilling, Canvas], wrong: float) -> None:
    scores = np.zeros((3, 4))
    scores[1, 2] = wrong
    with pytest.raises(InvalidLogits, match=r"(NaN|\+inf) at position 1"):
        ab[0].most_probable(ab[1].tokens, scores)
    with pytest.raises(InvalidLogits, match="-inf everywhere at position 0"):
        ab[0].most_probable(ab[1].tokens, np.full((3, 4), -math.inf))


def test_a_model_that_excludes_everything_valid(ab: tuple[Infilling, Canvas]) -> None:
    scores = np.zeros((3, 4))
    scores[2, [1, 2, 3]] = -math.inf  # only a, which ends nothing
    with pytest.raises(InvalidLogits, match="a probability of 0"):
        ab[0].draw(ab[1].tokens, scores, np.zeros((2, 3)))


def test_scores_far_apart_lose_nothing(ab: tuple[Infilling, Canvas]) -> None:
    """What the constraint needs may be e^2000 times less probable than what the model wants."""
    scores = np.zeros((3, 4), dtype=np.float32)
    scores[:, 0] = 2000.0
    proposal = ab[0].draw(ab[1].tokens, scores, np.full((2, 3), 0.5))
    assert proposal.tokens.tolist() in ([0, 0, 1], [0, 0, 2])
    assert proposal.log_z == pytest.approx(-2000 + math.log(2))
    assert proposal.confidences[2] == pytest.approx(0.5)


@pytest.mark.parametrize("token", [-2, 4, 3])
def test_a_token_that_cannot_stand_there(ab: tuple[Infilling, Canvas], token: int) -> None:
    with pytest.raises((TokenRejected, InvalidLogits)):
        ab[0].most_probable(np.array([token, OPEN, OPEN], dtype=np.int32), np.zeros((2, 4)))


def test_shapes_are_checked(ab: tuple[Infilling, Canvas]) -> None:
    with pytest.raises(ValueError, match=r"scores of shape \(2, 4\)"):
        ab[0].most_probable(ab[1].tokens, np.zeros((2, 4)))


def accepted_by(infilling: Infilling, canvas: Canvas, size: int) -> set[tuple[int, ...]]:
    """The canvases that the lattice's paths stand for, read off its arrays."""
    lattice = infilling.lattice
    members = [np.flatnonzero(lattice.class_of == kind).tolist() for kind in range(lattice.classes)]
    ways: dict[int, list[tuple[int, ...]]] = {0: [()]}
    for layer in range(len(canvas)):
        longer: dict[int, list[tuple[int, ...]]] = {}
        for node in range(lattice.layers[layer], lattice.layers[layer + 1]):
            for edge in range(lattice.first_edge[node], lattice.first_edge[node + 1]):
                given = int(canvas.tokens[layer])
                tokens = members[lattice.edge_class[edge]] if given == OPEN else [given]
                for way in ways[node]:
                    longer.setdefault(int(lattice.edge_target[edge]), []).extend((*way, token) for token in tokens)
        ways = longer
    found = [way for many in ways.values() for way in many]
    assert len(found) == len(set(found)), "one path per canvas"
    return set(found)
