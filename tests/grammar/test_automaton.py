"""Minimal automata against the residuals of their languages: what may still follow after each text, found by trying."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tokamask.grammar import automaton
from tokamask.grammar.automaton import Rows, minimal
from tokamask.grammar.language import Language

WIDTH = 2
LARGEST = 8


@st.composite
def automata(draw: st.DrawFn) -> tuple[Rows, list[bool]]:
    size = draw(st.integers(1, LARGEST))
    targets = st.integers(-1, size - 1)
    rows = draw(st.lists(st.lists(targets, min_size=WIDTH, max_size=WIDTH), min_size=size, max_size=size))
    return rows, draw(st.lists(st.booleans(), min_size=size, max_size=size))


def accepted_from(rows: Rows, accepting: list[bool], state: int) -> frozenset[tuple[int, ...]]:
    """The words that lead from a state to acceptance; these lengths tell any two states of LARGEST apart."""
    accepted = set()
    for length in range(LARGEST):
        for word in product(range(WIDTH), repeat=length):
            place = state
            for column in word:
                place = rows[place][column] if place >= 0 else -1
            if place >= 0 and accepting[place]:
                accepted.add(word)
    return frozenset(accepted)


def reached(rows: Rows) -> list[int]:
    order = [0]
    for state in order:
        order += [target for target in dict.fromkeys(rows[state]) if target >= 0 and target not in order]
    return order


@settings(max_examples=150)
@given(automata())
# A chain into a cycle, and two cycles of different lengths that accept alike: split late, and not at all.
@example(([[1, 1], [2, 2], [3, 3], [4, 1], [1, 4], [0, 0]], [False, False, False, False, True, True]))
@example(([[1, 4], [2, 2], [3, 3], [1, 1], [5, 5], [4, 4]], [False, True, True, True, True, True]))
def test_a_minimal_automaton_has_one_state_for_each_residual(case: tuple[Rows, list[bool]]) -> None:
    rows, accepting = case
    table, flags = minimal(rows, accepting)
    languages = {accepted_from(rows, accepting, state) for state in reached(rows)} - {frozenset()}
    if not accepted_from(rows, accepting, 0):
        assert len(table) == len(flags) == 0
        return
    kept, kept_accepting = table.tolist(), flags.tolist()
    assert len(kept) == len(languages)
    assert accepted_from(kept, kept_accepting, 0) == accepted_from(rows, accepting, 0)
    assert reached(kept) == list(range(len(kept))), "the numbers are not breadth first"


def test_refinement_that_would_cost_too_much_leaves_states_unmerged(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, accepting = [[1, 2], [0, 3], [0, 3], [0, 0]], [True, False, False, False]
    assert len(minimal(rows, accepting)[0]) == 3
    monkeypatch.setattr(automaton, "REFINEMENT_BUDGET", 0)
    table, flags = minimal(rows, accepting)
    assert table.tolist() == rows
    assert flags.tolist() == accepting


@settings(max_examples=100)
@given(st.sets(st.binary(max_size=4).map(lambda text: bytes(byte % 3 + 97 for byte in text)), max_size=12))
@example({b"", b"a"})
@example({bytes((byte,)) for byte in range(256)})
@example({b"\x00x", b"\x00y", b"\xffx", b"\xffy"})
def test_words_become_one_state_for_each_residual(words: set[bytes]) -> None:
    language = Language.words(sorted(words, reverse=True))
    residuals = {
        frozenset(word[cut:] for word in words if word.startswith(prefix))
        for each in words
        for cut in range(len(each) + 1)
        for prefix in [each[:cut]]
    }
    assert len(language.accepting) == len(residuals)
    assert all(language.matches(word) for word in words)
    near = {word[:-1] for word in words} | {word + b"a" for word in words} | {b"~" + word[1:] for word in words}
    assert not any(language.matches(word) for word in near - words)
    # Columns are distinct, and numbered by their first byte.
    assert len({tuple(column) for column in language.transitions.T.tolist()}) == language.transitions.shape[1]
    firsts = np.unique(language.byte_class, return_index=True)[1]
    assert firsts.tolist() == sorted(firsts.tolist())
