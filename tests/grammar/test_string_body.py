"""The automaton of JSON string bodies and the decoding of escapes, against `json` and `bytes.decode`."""

from __future__ import annotations

import itertools
import json
import random

import pytest

from tests.reference import character_spellings, minimal_spellings
from tokamask.grammar.body_states import BACKSLASH, CLOSED, COMPLETE, DEAD, ESCAPE, MINIMAL, NORMAL
from tokamask.grammar.string_body import (
    BODY,
    advance_escape,
    escape_high,
    escape_low,
    is_escape_state,
    may_become,
    utf8_byte,
    utf8_length,
)

CODE_POINTS = [0, 9, 0x1F, 0x22, 0x2F, 0x5C, 0x7F, 0x80, 0x7FF, 0x800, 0xABC, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x1F600,
               0x10FFFF, 0xDCBA0, 0x103FF, 0xD000]  # fmt: skip


def state_after(text: bytes) -> int:
    state = NORMAL
    for byte in text:
        if state < 0:
            return DEAD
        state = int(BODY[state, byte])
    return state


def is_string(text: bytes) -> bool:
    try:
        value = json.loads((b'"' + text + b'"').decode())
        value.encode()
    except ValueError:
        return False
    return True


def test_bodies_of_few_bytes() -> None:
    """Every text of these bytes that closes exactly at its end is one that `json` reads (without lone surrogates)."""
    letters = [
        b"\\",
        b'"',
        b"u",
        b"n",
        b"a",
        b"\x1f",
        b"\x7f",
        b"\xc3",
        b"\xa9",
        b"\xe2\x82",
        b"\xac",
        b"\xff",
        b"\\u00",
        b"41",
    ]
    for length in range(4):
        for parts in itertools.product(letters, repeat=length):
            text = b"".join(parts)
            assert (state_after(text + b'"') == CLOSED) == is_string(text), text


def test_utf8_is_what_python_decodes() -> None:
    edges = [0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0]
    edges += [0xF1, 0xF3, 0xF4, 0xF5, 0xFF, 0x41]
    for length in range(1, 5):
        for text in map(bytes, itertools.product(edges, repeat=length)) if length < 4 else four_bytes(edges):
            try:
                text.decode()
                expected = True
            except UnicodeDecodeError:
                expected = False
            assert (state_after(text) == NORMAL) == expected, text


def four_bytes(edges: list[int]) -> list[bytes]:
    leads = [edge for edge in edges if edge >= 0xEF]
    return [
        bytes([lead, *rest])
        for lead in leads
        for rest in itertools.product([0x7F, 0x80, 0x8F, 0x90, 0xBF, 0xC0], repeat=3)
    ]


def test_surrogates_only_in_pairs() -> None:
    generator = random.Random(4)
    for _ in range(4000):
        units = [generator.choice([0x41, 0xD7FF, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xE000, 0xFFFF]) for _ in range(3)]
        text = "".join(generator.choice(["\\u{:04x}", "\\u{:04X}"]).format(unit) for unit in units).encode()
        assert (state_after(text) == NORMAL) == is_string(text), text


@pytest.mark.parametrize("code_point", CODE_POINTS)
def test_escapes_are_decoded(code_point: int) -> None:
    for spelling in character_spellings(chr(code_point)):
        if not spelling.startswith("\\"):
            continue
        packed = ESCAPE
        for byte in spelling.encode()[1:]:
            assert is_escape_state(packed & 255)
            assert packed == ESCAPE or escape_low(packed) <= code_point
            assert code_point <= escape_high(packed) or (packed & 255 == 4 and code_point >= 0x10000)
            packed = advance_escape(packed, byte)
        assert (packed & 255, packed >> 8) == (COMPLETE, code_point)


def test_ranges_of_unfinished_escapes_are_tight() -> None:
    """Both ends of the range can be reached, for every prefix of every kind of escape."""
    for prefix in ("u", "u0", "u0a", "uD7", "ud7f", "ue", "uFf", "ud8", "ud83", "ud83d", "ud83d\\",
                   "ud83d\\u", "ud83d\\ud",
                   "ud83d\\udE", "ud83d\\udE0", "uDBFF\\uDf"):  # fmt: skip
        packed = ESCAPE
        for byte in prefix.encode():
            packed = advance_escape(packed, byte)
            assert packed != DEAD
        for end in (escape_low(packed), escape_high(packed)):
            starts = [each for each in character_spellings(chr(end)) if each.lower().startswith("\\" + prefix.lower())]
            assert starts, (prefix, hex(end))
    for prefix in ("x", "u0g", "ud800\\n", "udc", "ud83d\\u0", "ud83d\\ud8"):
        packed = ESCAPE
        for byte in prefix.encode():
            packed = advance_escape(packed, byte) if packed != DEAD else DEAD
        assert packed == DEAD, prefix


@pytest.mark.parametrize("code_point", CODE_POINTS)
def test_utf8_bytes(code_point: int) -> None:
    expected = chr(code_point).encode()
    assert utf8_length(code_point) == len(expected)
    assert bytes(utf8_byte(code_point, len(expected), i) for i in range(len(expected))) == expected


CHARACTERS = [*map(chr, range(0x80)), "é", "\u2028", "\uffff", "😀"]
MINIMAL_SPELLINGS = {character: set(minimal_spellings(character)) for character in CHARACTERS}


@pytest.mark.parametrize("character", MINIMAL_SPELLINGS)
def test_minimal_escapes(character: str) -> None:
    """Where escapes are minimal, each spelling is read or not, and decoded; `json.dumps` writes one that is read."""
    allowed = MINIMAL_SPELLINGS[character]
    assert json.dumps(character, ensure_ascii=False)[1:-1] in allowed
    for spelling in character_spellings(character):
        state, packed = MINIMAL, DEAD
        for byte in spelling.encode():
            if state >= 0 and is_escape_state(state):
                packed = advance_escape(state if packed == DEAD else packed, byte)
                unfinished = packed != DEAD and packed & 255 != COMPLETE
                assert not unfinished or may_become(packed, ord(character)) == (spelling in allowed)
            state = int(BODY[state, byte]) if state >= 0 else DEAD
        assert (state == MINIMAL) == (spelling in allowed), spelling
        if spelling in allowed and spelling != character:
            assert packed == COMPLETE | ord(character) << 8


def test_what_minimal_escapes_may_become() -> None:
    """From every unfinished escape: exactly the characters that some way of finishing it decodes to."""
    finished: dict[int, set[int]] = {}
    for character, spellings in MINIMAL_SPELLINGS.items():
        for spelling in spellings - {character}:
            packed = int(BODY[MINIMAL, BACKSLASH])
            for byte in spelling[1:].encode():
                finished.setdefault(packed, set()).add(ord(character))
                packed = advance_escape(packed, byte)
    for packed, characters in finished.items():
        assert {code_point for code_point in range(-1, 0x200) if may_become(packed, code_point)} == characters
