"""Masks inside patterned strings: every token on its own, and the automata of another library."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import interegular
import numpy as np
import pytest

from tests.masking.laws import mask_of
from tests.reference import Recognised, allowed_tokens
from tests.strategies import NASTY
from tokamask.grammar.arena import ROW_COUNT, ROWS, grown, new_arena
from tokamask.grammar.blocks import automaton_block
from tokamask.grammar.body_states import MINIMAL, NORMAL
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.regular_expression import pattern_language
from tokamask.grammar.string_body import BODY
from tokamask.masking.character_units import ESCAPES, UNIT_NUMBER, units_of
from tokamask.masking.compiler import CompiledGrammar, GrammarCompiler
from tokamask.masking.matcher import Matcher
from tokamask.masking.pattern_kernels import PLAIN_WALK, exception, write_safe_tokens
from tokamask.masking.patterned_strings import FEW_VISITS
from tokamask.masking.pieces import build_pieces
from tokamask.masking.vocabulary import Vocabulary

# Characters and classes that patterns are made of; beyond ASCII whole pages, parts of pages and single characters.
ATOMS = (
    *("[a-z]", "[A-Z]", "[a-zA-Z0-9]", "[a-f0-9]", "[0-9]", r"\w", r"[\w-]", r"\S", ".", "[^/]", "[^a]", "[^\n]"),
    *("-", "/", "_", r"\.", " ", "a", "ab", "é", "[à-ü]", "[^é]", "[ж-яё]", "[\u3040-\u309f]", "[^\u3000-\u303f]"),
    *('[^"\\\\]', r"[\x00-\x1fa]", "[😀-😎]", "(?:a|-)", "(?:[a-z]+|[A-Z][0-9])", r"(?:\S|\n)"),
)
# Two ways of equal length, and between them a loop of characters beyond ASCII.
LOOP_BESIDE_EQUAL_LENGTHS = "(aa|a?[À-ÿ]+a)-"
LONGEST_TOKEN = 60  # of `vocabulary_of`
HARD = (f"^{LOOP_BESIDE_EQUAL_LENGTHS}$", *(f"^a{{{LONGEST_TOKEN + more}}}-$" for more in (-2, -1, 0, 1)))
COUNTS = ("", "", "", "*", "+", "+", "?", "{3}", "{1,4}", "{2,}")

WORDS = (
    *("a", "ab", "abc", "zebra", "Zebra", "ABC", "Ab", "e", "f00d", "dead", "aaaaaaaaaa", "a1", "12", "1234", "x-1"),
    *("ab-cd", "a-", "-a", "--", "a_b", "_", "a/b", "//", "/", ".", "a.b", ".com", " a", " the", "a b", "[", "(a)"),
    *("é", "éüé", "née", "ü", "à-ü", "я", "мир", "мир-1", "あ", "いう", "。", "あ。", "—", "😀", "a😀", "😎b", "\x7f"),
    *("\U0010ffff", "\ud7ff", "\ue000", "\ufeff", "\u2028", "a\u2029", "\u3000", "\xa0", "\u1680a"),
)
ESCAPED = (r"\n", r"\n\n", r"a\nb", r"\"", r"a\"", r"\\", r"\/", r"\u00e9", r"\u0000", r"\u00e9a", r"-\n", r"\u3042")
BROKEN = (b"\xe3", b"\xe3\x81", b"a\xe3", b"\xe2\x80", b"\x80", b"\x80a", b"\xf0\x9f", b"\xf0\x9f\x98", b"\xc3")


def random_pattern(generator: random.Random) -> str:
    parts = [generator.choice(ATOMS) + generator.choice(COUNTS) for _ in range(generator.choice((1, 1, 2, 2, 3, 4)))]
    pattern = "".join(parts)
    if generator.random() < 0.2:
        pattern = f"(?:{pattern}|{generator.choice(ATOMS)}*)"
    if generator.random() < 0.2:
        pattern = f"(?:{pattern})*"
    return f"^{pattern}$" if generator.random() < 0.85 else pattern


def vocabulary_of(generator: random.Random) -> Vocabulary:
    """A few hundred tokens in any order, some of them twice."""
    words = [word.encode() for word in WORDS]
    joined = [generator.choice(words) + generator.choice(words) for _ in range(150)]
    tokens = [
        *words,
        *joined,
        *(text.encode() for text in ESCAPED),
        *BROKEN,
        *NASTY,
        *generator.choices(words, k=5),
        b"a" * LONGEST_TOKEN,
    ]
    generator.shuffle(tokens)
    return Vocabulary([*tokens, None], [len(tokens)])


def stays_inside(text: bytes, home: int) -> bool:
    state = home
    for byte in text:
        state = int(BODY[state, byte])
        if state < 0:
            return False
    return True


# Units.


def test_units_of_characters() -> None:
    points = [*range(0x20, 0xD800), *range(0xE000, 0x12000), *range(0x12000, 0x110000, 61)]
    characters = [chr(point) for point in points if chr(point) != "\\"]
    by_unit: dict[int, set[bytes]] = {}
    for character in characters:
        data = character.encode()
        (unit,) = units_of(data)
        # What a unit's characters have in common: two bytes of three, the first one otherwise.
        by_unit.setdefault(unit, set()).add(data[: 2 if len(data) == 3 else 1])
    assert all(len(beginnings) == 1 for beginnings in by_unit.values())
    assert len(set().union(*by_unit.values())) == len(by_unit)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"aab", {0x61, 0x62}),
        (b"a\\nb", {0x61, 0x62, ESCAPES}),
        (b"\\\\", {ESCAPES}),
        (b"\\", {ESCAPES}),
        ("é-".encode(), {0xC3, 0x2D}),
        (b"\xe3", {0xE3}),
        (b"\xe3\x81", units_of("あ".encode())),
        (b"a\xf0\x9f", {0x61, 0xF0}),
    ],
)
def test_units_of_texts(text: bytes, expected: set[int]) -> None:
    assert units_of(text) == expected


# Safe tokens and exceptions, as the kernel answers.


def test_safe_tokens_and_exceptions() -> None:
    """A safe token can be read to its end; one that can be read and is not safe contains an exception."""
    generator = random.Random(5)
    answered = bounded = excepted = 0
    for number in range(250):
        if number % 50 == 0:
            vocabulary = vocabulary_of(generator)
            V = build_pieces(vocabulary)
        pattern = HARD[number] if number < len(HARD) else random_pattern(generator)
        language = pattern_language(pattern, "ecma", search=True)
        P = automaton_block(language)
        words = (vocabulary.size + 31) // 32
        for state in {0, *generator.sample(range(len(language.accepting)), min(5, len(language.accepting)))}:
            home = generator.choice((NORMAL, MINIMAL))
            if not is_between_characters(language.transitions, language.byte_class, state):
                continue
            M = grown(new_arena(), words)
            row = M[M[ROWS] : M[ROWS] + words]
            row[:] = 0
            count = write_safe_tokens(P, M, V, 0, state, home)
            safe = set(np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little")).tolist())
            assert M[ROW_COUNT] == 0
            if count == PLAIN_WALK:
                assert not safe
                continue
            exceptions = {int(V[exception(M, i) + UNIT_NUMBER]) for i in range(count)}
            for token, text in enumerate(vocabulary.token_bytes):
                if text is None or not stays_inside(text, home):
                    assert token not in safe
                elif units_of(text) & exceptions:
                    assert token not in safe, (pattern, text)
                elif b"\\" not in text:
                    assert (token in safe) == reads(language, state, text), (pattern, text)
                elif token in safe:
                    assert spells_what_is_read(language, state, text), (pattern, text)
            answered += 1
            excepted += count > 0
            bounded += any(b"a" * n in texts_of(vocabulary, safe) for n in (1, 2)) and b"a" * 10 not in texts_of(
                vocabulary, safe
            )
    # None of this is a test of patterns that happen to be walked as a whole.
    assert answered > 300
    assert excepted > 150
    assert bounded > 20


def texts_of(vocabulary: Vocabulary, tokens: set[int]) -> set[bytes]:
    return {vocabulary.token_bytes[token] or b"" for token in tokens}


def reads(language: Any, state: int, text: bytes) -> bool:
    for byte in text:
        state = int(language.transitions[state, language.byte_class[byte]])
        if state < 0:
            return False
    return True


def spells_what_is_read(language: Any, state: int, text: bytes) -> bool:
    """Whether the characters that a text with escapes spells can be read; an unfinished one can be any."""
    try:
        return reads(language, state, json.loads(b'"' + text + b'"').encode())
    except ValueError:
        return reads(language, state, text.partition(b"\\")[0])


def is_between_characters(transitions: Any, byte_class: Any, state: int) -> bool:
    """Whether no continuation byte can follow, and something else can."""
    following = transitions[state][byte_class]
    return bool((following[0x80:0xC0] < 0).all() and (following >= 0).any())


# Whole masks.


@pytest.mark.parametrize("escapes", ["json", "minimal"])
@pytest.mark.parametrize("seed", range(12))
def test_masks_of_random_patterns(seed: int, escapes: Any, tmp_path: Path) -> None:
    """At random places of a random text, including those inside characters and escapes."""
    generator = random.Random(seed)
    vocabulary = vocabulary_of(generator)
    compiler = GrammarCompiler(vocabulary, tmp_path)
    for _ in range(8):
        pattern = random_pattern(generator)
        grammar = Grammar.from_json_schema({"type": "string", "pattern": pattern}, escapes=escapes)
        compiled = compiler.compile(grammar)
        language = Recognised(grammar)
        state, before = language.step(language.start(), b'"'), b'"'
        assert state is not None
        for _ in range(4):
            matcher = compiled.matcher()
            matcher.accept_bytes(before)
            expected = allowed_tokens(language, state, vocabulary, vocabulary.stop_token_ids)
            assert mask_of(matcher) == expected, (pattern, before)
            assert mask_of(matcher) == expected, "warm"
            inside = [token for token in expected if b'"' not in (vocabulary.token_bytes[token] or b'"')]
            if not inside:
                break
            text = vocabulary.token_bytes[generator.choice(inside)] or b""
            before, state = before + text, language.step(state, text)
            assert state is not None


@pytest.mark.parametrize(
    ("pattern", "befores"),
    [
        ("[a-z]+(-[a-z]+)*", ["", "ab", "ab-"]),
        ("[A-Za-z0-9]{8}-[a-f0-9]{4}", ["", "a", "abcdefg", "abcdefgh", "abcdefgh-"]),
        (r"[^/]+/[^/]{2,}", ["", "a", "a/", "é/a"]),
        (r".*\.ya?ml", ["", "a.", "a.ya", ".yaml.yaml"]),
        (r"\S+:\S+", ["", "a", "a:"]),
        ("[a-z]*[A-Z]?", ["", "a"]),
        ("[ж-яё]+[a-z]*", ["", "м", "мz"]),
        ("(a|b)*", ["", "ab"]),
        (LOOP_BESIDE_EQUAL_LENGTHS, ["", "a", "é"]),
    ],
)
def test_masks_by_another_automaton(pattern: str, befores: list[str], tmp_path: Path) -> None:
    """The oracle works on characters: whether `interegular` can go on to an accepting state."""
    vocabulary = vocabulary_of(random.Random(pattern))
    schema = {"type": "string", "pattern": f"^(?:{pattern})$"}
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(Grammar.from_json_schema(schema))
    # What neither the dot nor \S of ECMAScript matches.
    spaces = "\t-\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
    spelled = pattern.replace(".*", "[^\n\r\u2028\u2029]*").replace(r"\S", f"[^{spaces}]")
    automaton: Any = interegular.parse_pattern(spelled).to_fsm()
    for before in befores:
        matcher = compiled.matcher()
        matcher.accept_bytes(f'"{before}'.encode())
        mask = mask_of(matcher)
        compared = 0
        for token, text in enumerate(vocabulary.token_bytes):
            try:
                characters = (text or b'"').decode()
            except UnicodeDecodeError:
                continue
            if not any(character in '"\\' or character < " " for character in characters):
                state = automaton.initial
                for character in before + characters:
                    state = None if state is None else automaton.map[state].get(automaton.alphabet[character])
                follows = state is not None and automaton.islive(state)
                assert (token in mask) == follows, (pattern, before, characters)
                compared += 1
        assert compared > 150


# A real vocabulary.


@cache
def tekken() -> GrammarCompiler:
    mistral_common = pytest.importorskip("mistral_common", reason="needs the tekken vocabulary inside mistral_common")
    tekkenizer = pytest.importorskip("mistral_common.tokens.tokenizers.tekken")
    path = Path(mistral_common.__file__).parent / "data" / "tekken_240911.json"
    return GrammarCompiler(Vocabulary.from_tokenizer(tekkenizer.Tekkenizer.from_file(str(path))))


def cold(schema: dict[str, Any], before: bytes) -> tuple[CompiledGrammar, Matcher, int]:
    """A matcher after `before`, and how many trie nodes the first mask there visits."""
    compiled = tekken().compile(Grammar.from_json_schema(schema))
    matcher = compiled.matcher()
    matcher.accept_bytes(before)
    visits = compiled.visits
    mask_of(matcher)
    return compiled, matcher, compiled.visits - visits


@pytest.mark.parametrize(
    ("schema", "before", "most"),
    [
        ({"pattern": "/api/v1/users/[0-9]+/items"}, b'"/api', FEW_VISITS + 200),
        ({"pattern": "^[a-z0-9-]+$"}, b'"ab', FEW_VISITS + 200),
        ({"pattern": r"^[\w/-]*$"}, b'"', FEW_VISITS + 200),
        ({"pattern": "^[0-9A-Za-z]{8}-[0-9A-Za-z]{4}-[0-9A-Za-z]{12}$"}, b'"', FEW_VISITS + 200),
        ({"pattern": "^[a-z]{1,40}$"}, b'"', FEW_VISITS + 200),
        ({"pattern": r"^.*\.yaml$"}, b'"conf', 3000),
        ({"pattern": r"^[^:\s]+:[^:\s]+$"}, b'"', 3500),
        ({"pattern": "^[^/]+/[^/]+$"}, b'"a', 3000),
        ({"format": "email"}, b'"john', 6000),
        ({"format": "hostname"}, b'"example', 9000),
        ({"format": "uri"}, b'"http://ex', 3000),
        ({"pattern": r"^[\w.\- ]+$", "maxLength": 32}, b'"my', FEW_VISITS + 200),
        ({"pattern": "^....-..-..T"}, b'"', 5000),
        ({"pattern": r"^(?:\S+\s+){0,49}\S+$"}, b'"Experience', 20_000),
        ({"pattern": r"^(K_\w+=\S+)*(\sK_\w+=\S+)*$"}, b'"K_A=debug', 14_000),
        ({"not": {"pattern": "[0-9a-f]{32}"}}, b'"0123456789', 14_000),
        ({"pattern": r"^[\w-]+(\s[\w-]+)*$", "maxLength": 64}, b'"John', 30_000),
    ],
    ids=str,
)
def test_a_cold_mask_visits_few_nodes_of_a_large_trie(schema: dict[str, Any], before: bytes, most: int) -> None:
    """Of 262,000 nodes; walked as a whole, these would visit 38,000 to 262,000. The first FEW_VISITS are a try."""
    _, _, visits = cold({"type": "string", **schema}, before)
    assert visits <= most


@pytest.mark.parametrize(
    ("pattern", "before"),
    [
        (r"^[^:\s]+:[^:\s]+$", "ab"),
        ("^[0-9A-Za-z]{8}-[0-9A-Za-z]{4}$", "abc"),
        (r"^.*\.ya?ml$", "é."),
        (r"^[\w.-]+@[\w-]+$", "a"),
        (r"^(?:\S+\s+){0,2}\S+$", "A"),
        (r"^(?:[^a]|a[^b]|ab[^c])*$", "x"),
    ],
)
def test_all_tokens_of_a_real_vocabulary(pattern: str, before: str) -> None:
    compiled, matcher, _ = cold({"type": "string", "pattern": pattern}, f'"{before}'.encode())
    language = Recognised(Grammar.from_json_schema({"type": "string", "pattern": pattern}))
    state = language.step(language.start(), f'"{before}'.encode())
    assert mask_of(matcher) == allowed_tokens(language, state, compiled.vocabulary, ())
