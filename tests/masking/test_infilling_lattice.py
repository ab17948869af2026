"""Lattices: canvases of JSON against all documents, token classes, budgets, refusals."""

from __future__ import annotations

import itertools
import json
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tokamask.errors import CompileBudgetExceeded, UnsatisfiableSchema, VocabularyMismatch
from tokamask.grammar.grammar import Grammar
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.infilling import Infilling
from tokamask.masking.infilling_canvas import OPEN, Mask, Piece, read_canvas
from tokamask.masking.infilling_graph import InfillingBudget, TokenGraph
from tokamask.masking.vocabulary import Vocabulary

SLOTS = 6
STOP = 8
JSON = Vocabulary([b"{", b"}", b"[", b"]", b",", b":", b'"a"', b"1", None], [STOP])


@cache
def json_graph() -> TokenGraph:
    return TokenGraph(GrammarCompiler(JSON).compile(Grammar.from_json_schema({})))


@cache
def json_canvases() -> npt.NDArray[np.int32]:
    """int32 (n, 6): all documents of at most six tokens, filled up with stop tokens."""
    texts = [text.decode() for text in JSON.token_bytes[:STOP] if text is not None]
    found = []
    for length in range(1, SLOTS + 1):
        for tokens in itertools.product(range(STOP), repeat=length):
            if _is_json("".join(texts[token] for token in tokens)):
                found.append((*tokens, *[STOP] * (SLOTS - length)))
    return np.array(found, dtype=np.int32)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def random_canvas(generator: np.random.Generator, number: int) -> npt.NDArray[np.int32]:
    """Half of them uniform tokens at half masks; half a document with a token replaced, at six tenths."""
    if number % 2:
        tokens = generator.integers(0, STOP + 1, size=SLOTS)
        is_open = generator.random(SLOTS) < 0.5
    else:
        tokens = json_canvases()[generator.integers(len(json_canvases()))].copy()
        tokens[generator.integers(SLOTS)] = generator.integers(0, STOP + 1)
        is_open = generator.random(SLOTS) < 0.6
    if not is_open.any():
        is_open[generator.integers(SLOTS)] = True
    return np.where(is_open, OPEN, tokens).astype(np.int32)


def test_no_dead_end_and_no_refusal_on_json_canvases() -> None:
    """3,000 canvases: refused exactly where no document fits; elsewhere random commits always end in a document."""
    generator = np.random.default_rng(11)
    documents = json_canvases()
    every = set(map(tuple, documents.tolist()))
    refused = dead_ends = 0
    for number in range(3000):
        slots = random_canvas(generator, number)
        fits = ((documents == slots) | (slots == OPEN)).all(axis=1)
        pieces: list[Piece] = [Mask(1) if token == OPEN else int(token) for token in slots]
        canvas = read_canvas(pieces, JSON)
        try:
            infilling = Infilling(json_graph(), canvas)
        except UnsatisfiableSchema:
            refused += 1
            assert not fits.any(), slots
            continue
        assert fits.any(), slots
        tokens = canvas.tokens.copy()
        while (tokens == OPEN).any():
            open_positions = np.flatnonzero(tokens == OPEN)
            # An adversary: most of the mass on openers and stop tokens, or anywhere.
            scores = generator.normal(size=(len(open_positions), JSON.size)) * 5
            scores[:, [0, 2, STOP]] += generator.choice([0.0, 12.0])
            proposal = infilling.draw(tokens, scores, generator.random((2, SLOTS)))
            kept = generator.permutation(open_positions)[: generator.integers(1, len(open_positions) + 1)]
            tokens[kept] = proposal.tokens[kept]
        dead_ends += tuple(tokens.tolist()) not in every
    assert dead_ends == 0
    assert 500 < refused < 2500, "both kinds of canvases are well represented"


@pytest.mark.parametrize("pieces", [[Mask(6)], [Mask(2), 6, Mask(3)], [2, Mask(3, least=1), 3]])
def test_an_answer_does_not_depend_on_what_the_graph_has_learned(pieces: list[Any]) -> None:
    vocabulary = Vocabulary([*JSON.token_bytes, None], [STOP])
    padding = [9]
    grammar = Grammar.from_json_schema({})
    canvas = read_canvas(pieces, vocabulary)
    fresh = TokenGraph(GrammarCompiler(vocabulary).compile(grammar))
    used = TokenGraph(GrammarCompiler(vocabulary).compile(grammar))
    others: list[list[Piece]] = [[2, 7, 4, Mask(4)], [0, 6, Mask(4)], [Mask(9)]]
    for other in others:
        Infilling(used, read_canvas(other, vocabulary), padding)
    generator = np.random.default_rng(5)
    one, two = Infilling(fresh, canvas, padding), Infilling(used, canvas, padding)
    assert one.lattice.class_of.tolist() == two.lattice.class_of.tolist()
    for _ in range(20):
        scores = generator.integers(0, 2, size=((canvas.tokens == OPEN).sum(), vocabulary.size)).astype(float)
        uniforms = generator.random((2, len(canvas)))
        best = [each.most_probable(canvas.tokens, scores).tokens.tolist() for each in (one, two)]
        drawn = [each.draw(canvas.tokens, scores, uniforms).tokens.tolist() for each in (one, two)]
        assert best[0] == best[1]
        assert drawn[0] == drawn[1]


def test_tokens_with_one_behaviour_are_one_class() -> None:
    letters = [bytes([65 + k]) for k in range(20)]
    vocabulary = Vocabulary([*letters, *[letter * 2 for letter in letters], b"1", b"22", b"333", b"A1", None], [44])
    graph = TokenGraph(GrammarCompiler(vocabulary).compile(Grammar.from_regex(r"[A-Z]{3}\d\d")))
    lattice = Infilling(graph, read_canvas([Mask(5)], vocabulary)).lattice
    # One letter, two letters, one digit, two digits, "A1", the stop token, and what never stands anywhere ("333").
    assert lattice.classes == 7
    assert lattice.class_of[:20].tolist() == [lattice.class_of[0]] * 20
    assert lattice.class_of[20:40].tolist() == [lattice.class_of[20]] * 20
    assert lattice.class_of[42] == 0


def test_a_conflict_is_told_with_its_place() -> None:
    with pytest.raises(UnsatisfiableSchema, match=r"token 5 \(b':'\) is given at position 2 of the canvas"):
        Infilling(json_graph(), read_canvas([2, Mask(1), 5, Mask(3)], JSON))


def test_a_canvas_that_is_too_short_is_told_with_what_is_needed() -> None:
    grammar = Grammar.from_choices(["[1,1,1]"])
    graph = TokenGraph(GrammarCompiler(JSON).compile(grammar))
    with pytest.raises(UnsatisfiableSchema, match="needs 7 tokens and the canvas has 6"):
        Infilling(graph, read_canvas([Mask(6)], JSON))
    assert Infilling(graph, read_canvas([Mask(7)], JSON)).lattice.configurations == 8


@pytest.mark.parametrize(
    "budget", [InfillingBudget(configurations=20), InfillingBudget(tokens=50), InfillingBudget(edges=50)]
)
def test_budgets(budget: InfillingBudget) -> None:
    graph = TokenGraph(json_graph().compiled, budget)
    Infilling(graph, read_canvas([Mask(2)], JSON))
    for _ in range(2):  # refused again: known or not, what is met counts
        with pytest.raises(CompileBudgetExceeded, match="InfillingBudget"):
            Infilling(graph, read_canvas([Mask(6)], JSON))
    Infilling(graph, read_canvas([Mask(2)], JSON))


def test_a_table_of_classes_beyond_the_budget_is_refused() -> None:
    graph = TokenGraph(json_graph().compiled, InfillingBudget(table=8))
    with pytest.raises(CompileBudgetExceeded, match="token classes"):
        Infilling(graph, read_canvas([Mask(4)], JSON))


def test_padding_must_not_be_text_and_must_be_there_when_needed() -> None:
    with pytest.raises(VocabularyMismatch, match="token 3 must be"):
        Infilling(json_graph(), read_canvas([Mask(3)], JSON), padding=[3])
    with pytest.raises(VocabularyMismatch, match="no padding token"):
        Infilling(json_graph(), read_canvas([Mask(3, least=1)], JSON))


def test_stop_tokens_in_place_of_the_vocabulary_s() -> None:
    vocabulary = Vocabulary([b"1", None, None], [1])
    graph = TokenGraph(GrammarCompiler(vocabulary).compile(Grammar.from_regex("1")))
    canvas = read_canvas([Mask(3)], vocabulary)
    for stop in (1, 2):
        proposal = Infilling(graph, canvas, stop_token_ids=[stop]).most_probable(canvas.tokens, np.zeros((3, 3)))
        assert proposal.tokens.tolist() == [0, stop, stop]


def test_a_document_may_be_over_before_the_first_open_position() -> None:
    canvas = read_canvas([7, STOP, Mask(2)], JSON)
    proposal = Infilling(json_graph(), canvas).most_probable(canvas.tokens, np.zeros((2, JSON.size)))
    assert proposal.tokens.tolist() == [7, STOP, STOP, STOP]
