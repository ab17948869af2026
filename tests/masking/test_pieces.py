"""The precomputed pieces of a vocabulary against a walk over every token with Python's own decoders."""

from __future__ import annotations

import codecs
import json
import random
import re

import numpy as np
import pytest

from tests.strategies import NASTY, random_vocabulary
from tokamask.grammar.body_states import BODY_STATES, MINIMAL, NORMAL
from tokamask.masking import character_units, pieces
from tokamask.masking.vocabulary import Vocabulary

# One text that leads from between two characters into each body state.
INTO = {
    NORMAL: b"", 1: b"\\", 2: b"\\u", 3: b"\\u0", 4: b"\\ud", 5: b"\\u00", 6: b"\\u006", 7: b"\\ud8", 8: b"\\ud83",
    9: b"\\ud83d", 10: b"\\ud83d\\", 11: b"\\ud83d\\u", 12: b"\\ud83d\\ud", 13: b"\\ud83d\\ude", 14: b"\\ud83d\\ude0",
    15: b"\xc3", 16: b"\xe3", 17: b"\xf1", 18: b"\xe0", 19: b"\xed", 20: b"\xf0", 21: b"\xf4",
    MINIMAL: b"", 23: b"\\", 24: b"\\u", 25: b"\\u0", 26: b"\\u00", 27: b"\\u000", 28: b"\\u001",
    29: b"\xc3", 30: b"\xe3", 31: b"\xf1", 32: b"\xe0", 33: b"\xed", 34: b"\xf0", 35: b"\xf4",
}  # fmt: skip
HOMES = (NORMAL, MINIMAL)
# What finishes a character in each of those places, shortest first.
ENDINGS = [b"", b"n", b"0", b"00", b"000", b"0000", b"\x80", b"\x80\x80", b"\xa0\x80", b"\x80\x80\x80", b"\x90\x80\x80",
           b"c00", b"dc00", b"udc00", b"\\udc00", b"0\\udc00", b"00\\udc00"]  # fmt: skip


def decoded(body: bytes, is_minimal: bool) -> str | None:
    """The string with this body; None if it is none, has a lone surrogate or, where that matters, a needless escape."""
    try:
        value = str(json.loads((b'"' + body + b'"').decode()))
        value.encode()
    except ValueError:
        return None
    shortest = json.dumps(value, ensure_ascii=False)[1:-1]
    spelled = re.sub(r"\\(u....|.)", lambda match: match.group().lower(), body.decode())
    return None if is_minimal and spelled != shortest else value


def begun(state: int, text: bytes) -> int | None:
    """How many characters `text` begins after what led into a body state; None where it leaves the string."""
    for ending in ENDINGS:
        value = decoded(INTO[state] + text + ending, state >= MINIMAL)
        if value is not None:
            return len(value) - (state not in HOMES)
    return None


def bits(row: np.ndarray[tuple[int], np.dtype[np.int32]]) -> set[int]:
    return set(np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little")).tolist())


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    tokens = [
        *NASTY,
        b"\xa9abcdefghi",
        b"\\udc00aaaa",
        b"\\udc00",
        b"a\xf4",
        b"\xf4\x90",
        b"\xed\xa0",
        b"\xe0\x80",
        b"u12",
    ]
    return Vocabulary([*tokens, b'ab"', None, b"", b'"stop"'], [len(tokens) + 3])


@pytest.mark.parametrize("state", range(BODY_STATES))
def test_rows_of_the_tokens_that_stay_inside_a_string(vocabulary: Vocabulary, state: int) -> None:
    V = pieces.build_pieces(vocabulary)
    words = V[pieces.ROW_WORDS]
    start = V[pieces.BODY_ROWS] + state * words
    expected = {token for token, text in enumerate(vocabulary.token_bytes) if text and begun(state, text) is not None}
    assert bits(V[start : start + words]) == expected


def test_rows_of_short_tokens(vocabulary: Vocabulary) -> None:
    V = pieces.build_pieces(vocabulary)
    words = V[pieces.ROW_WORDS]
    for number, (home, count) in enumerate((home, count) for home in HOMES for count in range(V[pieces.LENGTH_COUNT])):
        start = V[pieces.LENGTH_ROWS] + number * words
        expected = {
            token
            for token, text in enumerate(vocabulary.token_bytes)
            if text and (characters := begun(home, text)) is not None and characters <= count
        }
        assert bits(V[start : start + words]) == expected, count
    # No token, from whatever state, begins more characters than there are rows.
    assert V[pieces.LENGTH_COUNT] - 1 >= len("abcdefghi")


def test_rows_of_text_by_how_it_ends(vocabulary: Vocabulary) -> None:
    """What a decoder of UTF-8 still waits for: nothing, one to three bytes of any kind, or of one of four kinds."""
    firsts = {0xE0: 4, 0xED: 5, 0xF0: 6, 0xF4: 7}
    expected: dict[int, set[int]] = {ending: set() for ending in range(8)}
    classes = set()
    for token, text in enumerate(vocabulary.token_bytes):
        if not text or b"\\" in text or begun(NORMAL, text) is None:
            continue
        decoder = codecs.getincrementaldecoder("utf-8")()
        characters = len(decoder.decode(text))
        rest = decoder.getstate()[0]
        ending = 0
        if rest:
            whole = 2 if rest[0] < 0xE0 else 3 if rest[0] < 0xF0 else 4
            ending = firsts.get(rest[0], whole - 1) if len(rest) == 1 else whole - len(rest)
        expected[ending].add(token)
        classes.add((ending, characters + (ending > 0)))
    V = pieces.build_pieces(vocabulary)
    words = V[pieces.ROW_WORDS]
    start = V[pieces.TEXT_ROWS]
    assert {ending: bits(V[start + ending * words : start + (ending + 1) * words]) for ending in expected} == expected
    first, count = V[pieces.TEXT_CLASSES], V[pieces.TEXT_CLASS_COUNT]
    found = V[first : first + 2 * count].reshape(-1, 2).tolist()
    assert [(ending, characters) for ending, characters in found] == sorted(classes)
    assert len({ending for ending, _ in classes}) >= 4


@pytest.mark.parametrize("seed", range(3))
def test_exits_are_the_tokens_that_close_the_string(seed: int) -> None:
    vocabulary = random_vocabulary(random.Random(seed), [b'"a\\u0061"', b'aab":', 'é"'.encode(), b'\\ud83d\\ude00"}'])
    V = pieces.build_pieces(vocabulary)
    for state in range(BODY_STATES):
        entry = V[pieces.EXITS] + state * pieces.EXIT_WORDS
        first, count = V[entry + pieces.EXIT_FIRST_GROUP], V[entry + pieces.EXIT_GROUP_COUNT]
        found = {}
        for group in range(V[pieces.GROUPS] + first * pieces.GROUP_WORDS,
                           V[pieces.GROUPS] + (first + count) * pieces.GROUP_WORDS, pieces.GROUP_WORDS):  # fmt: skip
            at, length = V[group + pieces.GROUP_TEXT], V[group + pieces.GROUP_LENGTH]
            before = bytes(V[at : at + length].tolist())
            tokens = _tokens_of(V, V[group + pieces.GROUP_NODES], V[group + pieces.GROUP_TOKENS])
            assert all((vocabulary.token_bytes[token] or b"").startswith(before + b'"') for token in tokens)
            found.update(dict.fromkeys(tokens, int(V[group + pieces.GROUP_CHARACTERS])))
        expected = {}
        for token, text in enumerate(vocabulary.token_bytes):
            for at in (each.start() for each in re.finditer(b'"', text or b"")):
                before = (text or b"")[:at]
                value = decoded(INTO[state] + before, state >= MINIMAL)
                if value is not None:
                    expected[token] = len(value) - (state not in HOMES)
                    break
        assert found == expected
        assert V[entry + pieces.EXIT_CHARACTERS] == max(expected.values(), default=0)
        if expected:
            assert set(_tokens_of(V, V[entry + pieces.EXIT_NODES], V[entry + pieces.EXIT_TOKENS])) == set(expected)
        later = {token for token in expected if not (vocabulary.token_bytes[token] or b"").startswith(b'"')}
        if later:
            assert set(_tokens_of(V, V[entry + pieces.EXIT_LATER_NODES], V[entry + pieces.EXIT_LATER_TOKENS])) == later
        else:
            assert V[entry + pieces.EXIT_LATER_NODES] == 0


WITHIN = [
    *(b'"', b'":', b'" : ', b'":1', b'":-12.5e', b'":nul', b'":true', b'":"', b'":""', b'":"a,}', b'":"\\"}'),
    *(b'":{', b'":{}', b'":[[],"]', b'":{"a":[{}]', b'":[ ]', b'a":{"}', b'","', b'", 1,', b'"} :1,', b'a', b'":[","]'),
]
BEYOND = [
    *(b'":1,', b'": null ', b'":\n-1}', b'" :"",', b'":"\\"",', b'":"\\\\"}', b'":{},', b'":[[],[]]\n', b'a":{"}":1}}'),
    *(b'":"""', b'ab":true]', b'\\u0061":[]"'),
]


def test_tokens_that_go_on_behind_a_value() -> None:
    V = pieces.build_pieces(Vocabulary([*WITHIN, *BEYOND], []))
    entry = V[pieces.EXITS] + NORMAL * pieces.EXIT_WORDS
    found = _tokens_of(V, V[entry + pieces.EXIT_BEYOND_NODES], V[entry + pieces.EXIT_BEYOND_TOKENS])
    assert sorted(found) == list(range(len(WITHIN), len(WITHIN) + len(BEYOND)))
    V = pieces.build_pieces(Vocabulary(WITHIN, []))
    assert V[V[pieces.EXITS] + NORMAL * pieces.EXIT_WORDS + pieces.EXIT_BEYOND_NODES] == 0


OPENING = [
    *(b" ", b"  ", b"\n", b"\n\n\t", b" x", b"\n  ]", b" ]", b'\r\n"', b' "', b' "a', b' "a', b' "a\xc3', b' "a"b'),
    *(b'"\x01', b'"a\n"', b' "\\', b' "ab\\n', b'"\xc3"', b'""', b'"b', b'a "c', b'\x0b"', b"", None),
]


@pytest.mark.parametrize("tokens", [OPENING, [b" ", b"\n ", b"\n \t"], [b"a", b'"a'], [None]])
def test_ends_of_blanks(tokens: list[bytes | None]) -> None:
    vocabulary = Vocabulary(tokens, [])
    V = pieces.build_pieces(vocabulary)
    found, inside, later = set(), {}, {}
    for number in range(V[pieces.BLANK_END_COUNT]):
        entry = V[pieces.BLANK_ENDS] + number * pieces.BLANK_END_WORDS
        node, text, length, first, count, nodes, in_trie = V[entry : entry + pieces.BLANK_END_WORDS].tolist()
        blanks = bytes(V[text : text + length].tolist())
        assert blanks not in found
        found.add(blanks)
        beginning = {token for token, data in enumerate(tokens) if data and data.startswith(blanks)}
        assert set(_tokens_of(V, V[pieces.NODES], V[pieces.TOKENS], node)) == beginning
        inside[blanks] = sorted(V[first : first + count].tolist())
        later[blanks] = set(_tokens_of(V, nodes, in_trie)) if nodes else set()
    texts = [(token, data, data.lstrip(b" \t\n\r")) for token, data in enumerate(tokens) if data]
    assert found == {data[: len(data) - len(rest)] for _, data, rest in texts if rest}
    for blanks in found:
        opening = [(t, rest[1:]) for t, data, rest in texts if data == blanks + rest and rest[:1] == b'"' and rest[1:]]
        assert inside[blanks] == [t for t, rest in opening if b"\\" not in rest and begun(NORMAL, rest) is not None]
        # All that may be something else in a string: text before a quote, or before an escape.
        assert later[blanks] == {
            token
            for token, rest in opening
            for before in [re.split(rb'["\\]', rest)[0]]
            if before != rest and decoded(before, False) is not None
        }


WHOLE = [
    *(b"1,", b" 1,", b"12 ", b"-0.5e+3}", b"true]", b"null\n", b'"a",', b' "a\\"]"]', b'"a" "', b"[]]"),
    *(b"[1,[2]],3", b"{}\r", b'{"a": {"b": 1}}}', b"\n  {}\n", b'"\xc3\xa9",', b"1,2", b"1, ", b" 1]"),
]
PARTIAL = [
    *(b"1", b"1a", b"[1", b"[1,", b'"a', b'"a"', b'"a":', b"{}a", b",", b" 1", b"}", b"a,", b"tru,", b" ,", b"", None),
]


@pytest.mark.parametrize("tokens", [WHOLE + PARTIAL, PARTIAL, [None]])
def test_ends_of_values(tokens: list[bytes | None]) -> None:
    V = pieces.build_pieces(Vocabulary(tokens, []))
    found = set()
    for number in range(V[pieces.VALUE_END_COUNT]):
        entry = V[pieces.VALUE_ENDS] + number * pieces.VALUE_END_WORDS
        node, text, length = V[entry : entry + pieces.VALUE_END_WORDS].tolist()
        before = bytes(V[text : text + length].tolist())
        assert before not in found
        found.add(before)
        beginning = {token for token, data in enumerate(tokens) if data and data.startswith(before)}
        assert set(_tokens_of(V, V[pieces.NODES], V[pieces.TOKENS], node)) == beginning
    expected = set()
    for data in (data for data in tokens if data in WHOLE):
        text = data.decode()
        end = json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip()))[1]
        expected.add(text[:end].encode())
    assert found == expected


def _tokens_of(V: np.ndarray[tuple[int], np.dtype[np.int32]], nodes: int, tokens: int, top: int = 0) -> list[int]:
    """All tokens of a trie inside V, or of the subtree at the address `top`."""
    found, pending = [], [top or nodes]
    while pending:
        node = pending.pop()
        first = tokens + V[node + 2]
        found += V[first : first + (V[node] >> 17)].tolist()
        pending += [nodes + 4 * (V[node + 1] + i) for i in range(V[node] >> 8 & 0x1FF)]
    return found


@pytest.mark.parametrize("copies", [1, 600, 5000])
def test_entries_of_units(copies: int) -> None:
    """Of each unit the tokens that contain it: in a trie unless there are very many, in a row if there are many."""
    words = ["a", "Ab", "b-", "é", "née", "あ", "あい", "。", "a😀", "\\n", "\\\\", "\\u00e9", "7", " ", 'a"', "\n"]
    tokens = [word.encode() for word in words] + [b"c"] * copies + [b"\xe3", b"\xe3\x81", b"\xa9", b"\xc3"]
    vocabulary = Vocabulary([*tokens, None], [len(tokens)])
    V = pieces.build_pieces(vocabulary)
    containing: dict[int, set[int]] = {}
    for token, text in enumerate(tokens):
        if begun(NORMAL, text) is not None:
            for unit in character_units.units_of(text):
                containing.setdefault(unit, set()).add(token)
    words_of_row = V[pieces.ROW_WORDS]
    kinds: dict[int, set[int]] = {}
    found = []
    for number in range(V[pieces.UNIT_ENTRIES]):
        unit, count, nodes, in_trie, row, kind = V[V[pieces.UNITS] + number * character_units.UNIT_WORDS :][:6].tolist()
        found.append(unit)
        kinds.setdefault(kind, set()).update(containing[unit])
        assert count == len(containing[unit])
        assert (nodes == 0) == (count > 4096)
        assert nodes == 0 or set(_tokens_of(V, nodes, in_trie)) == containing[unit]
        assert (row == 0) == (count < 512)
        assert row == 0 or bits(V[row : row + words_of_row]) == containing[unit]
    assert found == sorted(containing)
    assert V[pieces.ASCII_ENTRIES] == sum(unit <= character_units.ESCAPES for unit in found)
    for kind in range(character_units.KINDS):
        start = V[pieces.KIND_ROWS] + kind * words_of_row
        assert bits(V[start : start + words_of_row]) == kinds.get(kind, set())


def test_a_vocabulary_without_text() -> None:
    V = pieces.build_pieces(Vocabulary([None, b"", None], [2]))
    assert V[pieces.SIZE] == 3
    assert not V[V[pieces.BODY_ROWS] : V[pieces.BODY_ROWS] + BODY_STATES].any()
