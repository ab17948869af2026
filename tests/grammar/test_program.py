"""Programs: automaton blocks, name tables, required properties, and what cannot be assembled."""

from __future__ import annotations

import random
from typing import Literal

import numpy as np
import pytest

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.blocks import automaton_block
from tokamask.grammar.body_states import NORMAL
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.language import Language
from tokamask.grammar.lexemes import automaton_flags, automaton_move, automaton_read, string_reads_any
from tokamask.grammar.name_table import OFF, code_point_at, complete_name, declared_index, name_move, next_candidate
from tokamask.grammar.program import (
    ACCEPTING,
    AUTOMATON_CLASS_BYTES,
    AUTOMATON_CLASS_OF,
    AUTOMATON_CLASS_START,
    AUTOMATON_CLASSES,
    AUTOMATON_ROWS,
    AUTOMATON_STATES,
    DEPTH_BITS,
    LIVE,
    OBJECT_NAMES,
    OBJECT_NEXT_REQUIRED,
    OBJECT_OPEN,
    STRING,
)
from tokamask.grammar.rules import Repeat, RuleSet, Sequence, Terminal

PATTERNS = ["a", "(ab|é)*c?", "[^a]{2}", "\U0001f600|￿", "", "[a-z]+[0-9]"]


def language_of(pattern: str) -> Language:
    (terminal,) = Grammar.from_regex(pattern).rules.rules.values()
    assert isinstance(terminal, Terminal)
    return terminal.language


@pytest.mark.parametrize("pattern", PATTERNS)
def test_an_automaton_block_is_the_automaton(pattern: str) -> None:
    language = language_of(pattern)
    block = automaton_block(language)
    assert automaton_block(language) is block
    states, classes = block[AUTOMATON_STATES], block[AUTOMATON_CLASSES]
    assert (states, classes) == language.transitions.shape
    starts = block[block[AUTOMATON_CLASS_START] : block[AUTOMATON_CLASS_START] + classes + 1]
    members = block[block[AUTOMATON_CLASS_BYTES] : block[AUTOMATON_CLASS_BYTES] + 256]
    for column in range(classes):
        expected = [byte for byte in range(256) if language.byte_class[byte] == column]
        assert members[starts[column] : starts[column + 1]].tolist() == expected
        assert all(block[AUTOMATON_CLASS_OF + byte] == column for byte in expected)
    assert len(block) == block[AUTOMATON_ROWS] + states * (classes + 1)
    for state in range(states):
        moves = [int(language.transitions[state, language.byte_class[byte]]) for byte in range(256)]
        assert [automaton_move(block, 0, state, byte) for byte in range(256)] == moves
        flags = automaton_flags(block, 0, state)
        assert bool(flags & ACCEPTING) == bool(language.accepting[state])
        assert bool(flags & LIVE) == any(target >= 0 for target in moves)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_reading_code_points(pattern: str) -> None:
    language = language_of(pattern)
    block = automaton_block(language)
    record = [STRING, 0, -1, 7, NORMAL, 0, 0]
    program = np.concatenate((np.array(record, dtype=np.int32), block))
    generator = random.Random(pattern)
    edges = [0, 0x61, 0x62, 0x7F, 0x80, 0xE9, 0x7FF, 0x800, 0xFFF, 0x1000, 0xD7FF, 0xE000, 0xFFFE, 0xFFFF, 0x10000]
    edges += [0x1F600, 0x3FFFF, 0x40000, 0x10FFFF]
    for state in range(language.transitions.shape[0]):
        readable = set()
        for code_point in edges:
            target = state
            for byte in chr(code_point).encode():
                target = automaton_move(block, 0, target, byte) if target >= 0 else -1
            assert automaton_read(block, 0, state, code_point) == target
            if target >= 0:
                readable.add(code_point)
        for _ in range(30):
            low, high = sorted(generator.sample(edges, 2))
            found = string_reads_any(program, 0, 0, state, low, high)
            if any(low <= code_point <= high for code_point in readable):
                assert found
            if high - low < 3000:
                assert found == any(
                    automaton_read(block, 0, state, each) >= 0
                    for each in range(low, high + 1)
                    if not 0xD800 <= each <= 0xDFFF
                )


@pytest.mark.parametrize(
    "names", [["a"], ["", "a", "ab", "aba", "b"], ["é", "ê", "e", "\U0001f600", '"', "x" * 4095], []]
)
def test_name_tables_find_what_starts_with_a_prefix(names: list[str]) -> None:
    properties = dict.fromkeys(random.Random(0).sample(names, len(names)), True)
    program = Grammar.from_json_schema({"type": "object", "properties": properties}).program
    declared = [name.encode() for name in properties]
    P = program.words
    tables = [int(P[pc + OBJECT_NAMES]) for pc in program.records if P[pc] == OBJECT_OPEN]
    table = next(table for table in tables if P[table] == len(names))
    prefixes = {name[:end] for name in declared for end in range(min(len(name), 9) + 1)}
    prefixes |= {*declared, b"z", b"\xc3\xff"}
    for prefix in prefixes:
        place = 0
        for byte in prefix:
            place = name_move(P, table, place, byte)
        candidates = sorted(name for name in declared if name.startswith(prefix))
        assert complete_name(P, table, place) == (declared.index(prefix) if prefix in declared else -1)
        if prefix:
            assert (place == OFF) == (not candidates)
        if not candidates:
            continue
        entry, depth = place >> DEPTH_BITS, place & ((1 << DEPTH_BITS) - 1)
        assert depth == len(prefix)
        found = []
        while entry < P[table]:
            found.append(declared[declared_index(P, table, entry)])
            if is_boundary(found[-1], depth):
                rest = found[-1][depth:].decode()
                assert code_point_at(P, table, entry, depth) == (ord(rest[0]) if rest else -1)
            entry = next_candidate(P, table, entry, depth)
        assert found == candidates


def is_boundary(name: bytes, at: int) -> bool:
    return at == len(name) or name[at] & 0xC0 != 0x80


@pytest.mark.parametrize("count", [0, 1, 2, 7, 40])
@pytest.mark.parametrize("order", ["schema", "any"])
def test_the_first_required_property_from_each_position_on(count: int, order: Literal["schema", "any"]) -> None:
    """A position is the first declared property that may still come, one past their number behind another one."""
    names = [f"p{number}" for number in range(count)]
    for required in (names, [], names[::3], random.Random(count).sample(names, count // 2)):
        schema = {
            "type": "object",
            "properties": {name: {"type": "null"} for name in names},
            "required": required,
            "additionalProperties": False,
        }
        program = Grammar.from_json_schema(schema, property_order=order).program
        P = program.words
        (column,) = [int(P[pc + OBJECT_NEXT_REQUIRED]) for pc in program.records if P[pc] == OBJECT_OPEN]
        for position in range(count + 2):
            expected = min((place for place in range(position, count) if names[place] in required), default=count)
            assert P[column + position] == expected


def test_records_are_ascending_and_start_with_an_operation() -> None:
    program = Grammar.from_json_schema({"items": {"properties": {"a": {"$ref": "#"}}}}).program
    assert program.words.dtype == np.int32
    assert (np.diff(program.records) > 0).all()
    assert program.start in program.records


def test_expressions_nested_too_deeply() -> None:
    expression = Terminal(Language.literal(b"a"))
    nested: Repeat | Sequence | Terminal = expression
    for _ in range(100_000):
        nested = Sequence((nested, expression))
    with pytest.raises(CompileBudgetExceeded, match="nested too deeply"):
        Grammar(RuleSet({"s": nested}, "s")).check(b"")
