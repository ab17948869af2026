"""The byte-level recogniser against jsonschema, `json` and Lark: spellings, refusals, growth, ambiguity, depth."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import jsonschema
import lark
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import character_spellings
from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar import arena as arena_module
from tokamask.grammar import recogniser as recogniser_module
from tokamask.grammar.arena import CONFIGURATION_COUNT, LIST_USED, THREAD_COUNT, grown
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.language import Language
from tokamask.grammar.recogniser import Recogniser
from tokamask.grammar.rules import Choice, Reference, RuleSet, Sequence, Terminal

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "a": {"type": "string", "maxLength": 3},
        "é/": {"type": "array", "items": {"enum": ["x", "\n", "😀", True, None, 7]}, "minItems": 1, "maxItems": 3},
        '"': {"type": "string", "pattern": '^[é"\\\\/\x01😀]*z?$'},
        "b": {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False},
    },
    "required": ["é/"],
    "additionalProperties": {"type": "string", "minLength": 2},
}
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
CHARACTERS = 'az"\\/é\n\x01\x7f😀\U0010ffff\ud7ff￿'
BLANKS = ["", "", "", " ", "\n", "\n   ", "\r\n\t", "\n" + " " * 64]


def spelled(value: Any, generator: random.Random, names: list[str] | None = None) -> str:
    """A random spelling of a JSON value; with `names` these keys come first and in this order."""

    def blank() -> str:
        return generator.choice(BLANKS)

    match value:
        case str():
            written = (generator.choice(character_spellings(c)) if generator.random() < 0.5 else None for c in value)
            pairs = zip(written, value, strict=True)
            return '"' + "".join(each or json.dumps(c, ensure_ascii=False)[1:-1] for each, c in pairs) + '"'
        case list():
            inside = ",".join(blank() + spelled(item, generator) + blank() for item in value)
            return "[" + (inside or blank()) + "]"
        case dict():
            order = (
                sorted(value, key=lambda name: names.index(name) if name in names else len(names))
                if names
                else [*value]
            )
            nested = {"b": ["a"]}
            inside = ",".join(
                f"{blank()}{spelled(name, generator)}{blank()}:{blank()}"
                f"{spelled(value[name], generator, nested.get(name))}{blank()}"
                for name in order
            )
            return "{" + (inside or blank()) + "}"
        case _:
            return json.dumps(value)


TEXTS = st.text(st.sampled_from(CHARACTERS), max_size=4)
DOCUMENTS = st.fixed_dictionaries(
    {"é/": st.lists(st.sampled_from(["x", "\n", "😀", True, None, 7, "y", False]), max_size=4)},
    optional={
        "a": TEXTS,
        '"': TEXTS,
        "b": st.dictionaries(st.sampled_from(["a", "c"]), st.integers(-12, 12), max_size=2),
        "x": TEXTS,
        "aa": TEXTS | st.integers(0, 3),
        "": TEXTS,
    },
)


@settings(max_examples=300)
@given(DOCUMENTS, st.randoms(use_true_random=False), st.booleans())
def test_any_spelling_of_a_valid_document_is_accepted(document: Any, generator: random.Random, is_any: bool) -> None:
    grammar = ANY_ORDER if is_any else IN_ORDER
    if is_any:
        document = dict(generator.sample(list(document.items()), len(document)))
    text = spelled(document, generator, None if is_any else [*SCHEMA["properties"]])
    assert json.loads(text) == document, "the test spells what it means"
    result = grammar.check(text)
    assert result.ok == VALIDATOR.is_valid(document), (text, result)
    if result.ok:
        assert grammar.check(text.encode()).ok


IN_ORDER = Grammar.from_json_schema(SCHEMA)
ANY_ORDER = Grammar.from_json_schema(SCHEMA, property_order="any")

OPEN = Grammar.from_json_schema(
    {"type": "object", "properties": {"ab": {"type": "null"}, "é": True}}, property_order="any"
)


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        (b'{"ab":null,"ab":null}', 14),
        (b'{"ab":null,"\\u0061b":null}', 19),
        (b'{"ab":null,"a\\u0062":null}', 19),
        ('{"é":1,"\\u00E9":1}'.encode(), 15),
        (b'{"\\u0061b":1}', 11),
        (b'{"\\ud800":1}', 8),
        (b'{"\\udc00":1}', 5),
        (b'{"\\ud800\\u0061":1}', 10),
        (b'{"x":"\\ud83d"}', 12),
        (b'{"x":"\\ud83d\\ud83d"}', 15),
        (b'{"x":"a\nb"}', 7),
        (b'{"x\x1f":1}', 3),
        (b'{"x":"\xff"}', 6),
        (b'{"x":"\xc0\x80"}', 6),
        (b'{"x":"\xe0\x80\x80"}', 7),
        (b'{"x":"\xed\xa0\x80"}', 7),
        (b'{"x":"\xf4\x90\x80\x80"}', 7),
        (b'{"x":"\xc3"}', 7),
        (b'{"x":"\\x41"}', 7),
        (b'{"x":"\\u00g1"}', 10),
        (b'{"x":01}', 6),
        (b"{'x':1}", 1),
        (b'{"x":1,}', 7),
        (b'{"x" 1}', 5),
        (b'{,"x":1}', 1),
        (b'{"x":[1,]}', 8),
        (b'{"x":[,1]}', 6),
        (b'{"x":1  }', 7),
        (b'{"x":1}}', 7),
        (b'\xef\xbb\xbf{}', 0),
        (b'{"x":1', 6),
    ],
)  # fmt: skip
def test_where_an_invalid_document_is_left(text: bytes, offset: int) -> None:
    result = OPEN.check(text)
    assert (result.ok, result.offset) == (False, offset)


@settings(max_examples=300)
@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_mutated_documents(document: Any, generator: random.Random) -> None:
    """One byte changed, lost or doubled: accepted only if `json` reads a valid value without repeated names."""
    data = bytearray(spelled(document, generator).encode())
    at = generator.randrange(len(data))
    match generator.randrange(3):
        case 0:
            data[at] = generator.choice(b'"\\{}[],:aux10 \n\x80\xc3')
        case 1:
            del data[at]
        case _:
            data.insert(at, data[at])
    if not ANY_ORDER.check(bytes(data)).ok:
        return
    repeated: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in found]
        repeated.extend(name for name in names if names.count(name) > 1 and name in SCHEMA["properties"])
        return dict(found)

    value = json.loads(bytes(data).decode(), object_pairs_hook=pairs)
    assert VALIDATOR.is_valid(value)
    assert not repeated
    json.dumps(value, ensure_ascii=False).encode()  # no lone surrogate


def expression_texts(generator: random.Random) -> str:
    return "".join(generator.choice("ab+*()[], ") for _ in range(generator.randrange(1, 9)))


LARKS = [
    'start: e\ne: e "+" e | e "*" e | "(" e ")" | "a" | "ab"',
    'start: s\ns: s s | "a" | "ab" "b"?',
    'start: x*\nx: "[" [x ("," x)*] "]" | A\nA: /a+/ | /ab*/',
    'start: (A | B)+ "b"\nA: /a{1,3}/\nB: /[ab]b?/',
    'start: "a" start "b" | "a" start | ',
]


@pytest.mark.parametrize("text", LARKS)
def test_ambiguous_grammars_against_lark(text: str) -> None:
    parser = lark.Lark(text, parser="earley", lexer="dynamic_complete")
    grammar = Grammar.from_lark(text)
    generator = random.Random(text)
    alphabet = sorted(set(re.sub(r"\w+:|start|[A-Z]", "", text)) & set("ab+*()[],"))
    verdicts = set()
    for _ in range(250):
        written = "".join(generator.choice(alphabet) for _ in range(generator.randrange(8)))
        try:
            parser.parse(written)
            expected = True
        except lark.exceptions.LarkError:
            expected = False
        assert grammar.check(written).ok == expected, written
        verdicts.add(expected)
    assert verdicts == {True, False}


@pytest.mark.parametrize("text", LARKS)
def test_growth_changes_nothing(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    grammar = Grammar.from_lark(text)
    generator = random.Random(text)
    texts = [expression_texts(generator).encode() for _ in range(60)]
    calm = Recogniser(grammar.program)
    grows = 0

    def growing(arena: Any, row_words: int) -> Any:
        nonlocal grows
        grows += 1
        return grown(arena, row_words)

    monkeypatch.setattr(recogniser_module, "grown", growing)
    restless = Recogniser(grammar.program)
    for written in texts:
        here, there = calm.start(), restless.start()
        for byte in written:
            here, there = calm.move(here, byte), restless.move(there, byte)
            assert here == there
            if not here:
                break
            assert calm.next_bytes(here) == restless.next_bytes(there)
            assert calm.is_accepting(here) == restless.is_accepting(there)
            # Grown between any two steps, everything stays where it is.
            if restless._arena.nbytes < 1 << 24:
                restless._arena = grown(restless._arena, 0)


def used(recogniser: Recogniser) -> tuple[int, int, int]:
    arena = recogniser._arena
    return int(arena[CONFIGURATION_COUNT]), int(arena[THREAD_COUNT]), int(arena[LIST_USED])


@pytest.mark.parametrize(
    "text",
    [
        'start: s\ns: s s | "a"',
        'start: s\ns: s s s | s s | "a" |',
        'start: e\ne: e "a" e | e "aa" e | "a"',
        'start: (x | y | z)*\nx: "a"\ny: "a" "a"?\nz: ("a" | "aa" | "aaa")+',
        'start: s\ns: "a" s | "a" s "b" | "a"',
        'start: ((("a"?)*)?)* "b"?',
    ],
)
def test_ambiguity_stays_polynomial(text: str) -> None:
    """What is learned from n letters grows at most like the square of n (lists: the cube)."""
    recogniser = Recogniser(Grammar.from_lark(text).program)
    state = recogniser.start()
    sizes = {}
    for length in range(1, 121):
        state = recogniser.move(state, ord("a"))
        assert state
        sizes[length] = used(recogniser)
    for at in (0, 1):
        assert sizes[120][at] <= 4.5 * sizes[60][at]
    assert sizes[120][2] <= 9 * sizes[60][2]
    assert sizes[120][0] < 120 * 120


def test_a_step_of_too_many_threads_is_refused_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena_module, "MAXIMUM_SCRATCH", 1024)
    choices = tuple(
        Sequence((Terminal(Language.literal(b"a%d" % i)), Terminal(Language.literal(b"q")))) for i in range(1100)
    )
    many = Sequence((Terminal(Language.literal(b"x")), Reference("many")))
    one = Terminal(Language.literal(b"yz"))
    grammar = Grammar(RuleSet({"s": Choice((many, one)), "many": Choice(choices)}, "s"))
    recogniser = Recogniser(grammar.program)
    start = recogniser.start()
    for _ in range(2):
        with pytest.raises(CompileBudgetExceeded, match="too ambiguous"):
            recogniser.move(start, ord("x"))
    middle = recogniser.move(start, ord("y"))
    assert recogniser.next_bytes(middle) == b"z"


def test_deep_nesting() -> None:
    grammar = Grammar.from_json_schema({"type": "array", "items": {"$ref": "#"}})
    depth = 5000
    assert grammar.check("[" * depth + "]" * depth).ok
    result = grammar.check("[" * depth + "]" * (depth - 1))
    assert (result.ok, result.offset) == (False, 2 * depth - 1)
    assert grammar.check("[" * depth + "]" * (depth + 1)).offset == 2 * depth


def test_large_schemas() -> None:
    names = [f"property {number} é" for number in range(587)]
    for order in ("schema", "any"):
        grammar = Grammar.from_json_schema(
            {"properties": {name: {"type": "integer"} for name in names}, "required": names[::7], "type": "object",
             "additionalProperties": False}, property_order=order)  # fmt: skip
        shown = names if order == "schema" else random.Random(1).sample(names, 587)
        text = json.dumps(dict.fromkeys(shown, 5))
        assert grammar.check(text).ok
        assert not grammar.check(text[:-1] + f', "{shown[0]}": 1}}').ok
        assert not grammar.check(json.dumps({name: 1 for name in names if name != names[7]})).ok
        ascii_only = json.dumps(dict.fromkeys(shown, 5), ensure_ascii=True)
        assert grammar.check(ascii_only).ok
    words = [f"{number:x}-{number * number}" for number in range(5000)]
    enum = Grammar.from_json_schema({"enum": words})
    assert all(enum.check(json.dumps(word)).ok for word in words)
    assert not enum.check('"1388-25000000"').ok
    long = Grammar.from_json_schema({"type": "string", "maxLength": 1_000_000})
    assert long.check('"' + "é" * 20_000 + '"').ok
    many = Grammar.from_json_schema({"type": "array", "maxItems": 10_000, "items": {"type": "null"}}, whitespace="none")
    assert many.check("[" + ",".join(["null"] * 10_000) + "]").ok
    assert not many.check("[" + ",".join(["null"] * 10_001) + "]").ok


@pytest.mark.parametrize("bound", [(1 << 31) - 1, 1 << 31, 1 << 53, 10**30])
def test_bounds_beyond_any_text(bound: int) -> None:
    """Such bounds stand in real schemas. A lower one can never be met, an upper one never be passed."""
    for keywords in ({"type": "string", "minLength": bound}, {"type": "array", "minItems": bound}):
        with pytest.raises(CompileBudgetExceeded, match=str(bound)):
            Grammar.from_json_schema(keywords).check("")
    string = Grammar.from_json_schema({"type": "string", "maxLength": bound})
    assert string.check('"abc"').ok
    array = Grammar.from_json_schema({"type": "array", "maxItems": bound})
    assert array.check("[1,2]").ok


def test_frames_of_very_many_properties() -> None:
    """Objects in any order keep a bit per property; tens of thousands must neither overflow nor mix up."""
    count = 54_304
    schema = {
        "type": "object",
        "properties": {f"{number:05}": {"$ref": "#/$defs/null"} for number in range(count)},
        "additionalProperties": False,
        "$defs": {"null": {"type": "null"}},
    }
    grammar = Grammar.from_json_schema(schema, property_order="any", whitespace="none")
    chosen = [*range(count - 12, count), 0, 1, 2]
    text = "{" + ",".join(f'"{number:05}":null' for number in chosen)
    assert grammar.check(text + "}").ok
    for number in chosen:
        assert not grammar.check(f'{text},"{number:05}":null}}').ok
    assert grammar.check(f'{text},"00003":null}}').ok
