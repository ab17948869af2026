"""Minimal automata against the residuals of their languages: what may still follow after each text, found by trying."""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar import minimisation
from tokamask.grammar.automaton import Rows, flat
from tokamask.grammar.budget import Budget
from tokamask.grammar.language import Language
from tokamask.grammar.minimisation import ROUNDS, minimal

WIDTH = 2
LARGEST = 8


@st.composite
def automata(draw: st.DrawFn) -> tuple[Rows, list[bool]]:
    size = draw(st.integers(1, LARGEST))
    targets = st.integers(-1, size - 1)
    rows = draw(st.lists(st.lists(targets, min_size=WIDTH, max_size=WIDTH), min_size=size, max_size=size))
    return rows, draw(st.lists(st.booleans(), min_size=size, max_size=size))


def minimised(rows: Rows, accepting: list[bool]) -> tuple[Rows, list[bool]]:
    table, flags, states, width = minimal(flat(rows, accepting))
    return table[: states * width].reshape(states, width).tolist(), flags[:states].astype(np.bool_).tolist()


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
    kept, kept_accepting = minimised(rows, accepting)
    languages = {accepted_from(rows, accepting, state) for state in reached(rows)} - {frozenset()}
    if not accepted_from(rows, accepting, 0):
        assert not kept
        assert not kept_accepting
        return
    assert len(kept) == len(languages)
    assert accepted_from(kept, kept_accepting, 0) == accepted_from(rows, accepting, 0)
    assert reached(kept) == list(range(len(kept))), "the numbers are not breadth first"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(automata(), st.integers(1, 3))
def test_both_ways_of_telling_states_apart_agree(case: tuple[Rows, list[bool]], chain: int) -> None:
    """States that differ late are told apart by partition refinement, the others by a few rounds of comparing."""
    rows, accepting = case
    longer = behind_a_chain(chain * 2 * ROUNDS, rows)
    flags = [False] * (len(longer) - len(rows)) + accepting
    kept = minimised(longer, flags)
    assert kept == residual_automaton(longer, flags)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minimisation, "MOST_MARKED", 1)  # interrupted as often as can be, to look at the clock
        assert minimised(longer, flags) == kept


def behind_a_chain(length: int, rows: Rows) -> Rows:
    """In front of an automaton a chain too long to be settled by comparing, with an exit into it at each step."""
    longer = [[state + 1, length] if state < length - 1 else [length, 0] for state in range(length)]
    return longer + [[target + length if target >= 0 else -1 for target in row] for row in rows]


def test_refinement_looks_at_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minimisation, "MOST_MARKED", 1)
    done: list[bool] = []
    with pytest.raises(CompileBudgetExceeded):
        in_no_time(behind_a_chain(4 * ROUNDS, [[0, 0]]), done)
    assert done == []


def test_many_states_that_differ_early_are_told_apart_by_comparing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests of 32 bits would be equal by chance for some of so many; refinement would look at the clock."""
    monkeypatch.setattr(minimisation, "MOST_MARKED", 1)
    monkeypatch.setattr(minimisation, "check_time", partial(pytest.fail, "they are refined"))
    random = np.random.default_rng(0)
    rows = random.integers(200_000, size=(200_000, WIDTH), dtype=np.int32)
    accepting = random.integers(2, size=len(rows), dtype=np.int32)
    alive = np.zeros(len(rows), dtype=np.bool_)
    reached = np.array([0])
    while len(reached):
        alive[reached] = True
        following = np.unique(rows[reached])
        reached = following[~alive[following]]
    assert minimal(flat(rows, accepting)).states == alive.sum()


def in_no_time(rows: Rows, done: list[bool]) -> None:
    with Budget(compile_seconds=0.0).enforced():
        minimised(rows, [False] * (len(rows) - 1) + [True])
        done.append(True)


def residual_automaton(rows: Rows, accepting: list[bool]) -> tuple[Rows, list[bool]]:
    """By splitting all states until nothing changes, each round from scratch."""
    alive = {state for state, accepts in enumerate(accepting) if accepts}
    while grown := {state for state, row in enumerate(rows) if state not in alive and alive.intersection(row)}:
        alive |= grown
    if 0 not in alive:
        return [], []
    block = {state: int(accepting[state]) for state in alive}
    while True:
        numbers: dict[tuple[int | None, ...], int] = {}
        keys = {state: (block[state], *(block.get(target) for target in rows[state])) for state in sorted(alive)}
        finer = {state: numbers.setdefault(key, len(numbers)) for state, key in keys.items()}
        if len(numbers) == len(set(block.values())):
            break
        block = finer
    order = [0]
    for state in order:
        known = {block[other] for other in order}
        for target in rows[state]:
            if target in alive and block[target] not in known:
                known.add(block[target])
                order.append(target)
    number = {block[state]: place for place, state in enumerate(order)}
    table = [[number[block[target]] if target in alive else -1 for target in rows[state]] for state in order]
    return table, [accepting[state] for state in order]


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
