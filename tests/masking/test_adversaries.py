"""Grammars and texts made to exhaust time or memory: each is followed or refused, in a process of little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MOST_MEMORY = 3 << 30
"""Bytes of address space; numba and its compiled kernels alone reserve one of these gigabytes."""

PROGRAM = f"""
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({MOST_MEMORY}, {MOST_MEMORY}))
from tests.masking.test_adversaries import follow
for line in sys.stdin:
    print(follow(*json.loads(line)), flush=True)
"""


def deep(levels: int) -> dict[str, object]:
    schema: dict[str, object] = {"type": "integer"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def references(count: int) -> dict[str, object]:
    chain: dict[str, object] = {f"d{number}": {"$ref": f"#/$defs/d{number + 1}"} for number in range(count)}
    return {"$ref": "#/$defs/d0", "$defs": {**chain, f"d{count}": {"type": "integer"}}}


NESTED = {"type": "array", "items": {"$ref": "#"}}
OVERLAPPING = [{"type": "object", "required": [f"p{number}"]} for number in range(300)]
PATTERNS = [{"pattern": f"a{{{number}}}b?"} for number in range(9_000)]
ANY_OF = [{"anyOf": [{"properties": {f"a{i}": {"const": j}}} for j in range(3)]} for i in range(30)]
TOO_MUCH = "CompileBudgetExceeded"

# What it is, the front end, what it reads, a text (or a piece and how often), what becomes of it.
CASES: list[tuple[str, str, object, str, int, str]] = [
    ("words", "regex", r"(?:\S+\s+){0,49}\S+", "word ", 20, "followed"),
    ("words in a string", "schema", {"type": "string", "pattern": r"^(?:\S+\s+){0,49}\S+$"}, '"', 1, "followed"),
    ("a schema as deep as a text can be", "schema", '{"items":' * 10_000 + "{}" + "}" * 10_000, "", 0, TOO_MUCH),
    ("a deep schema", "schema", deep(700), "[", 300, "followed"),
    ("a deeper schema", "deep", 10_000, "", 0, "followed"),
    ("a deep document", "schema", NESTED, "[", 10_000, "followed"),
    ("many values", "schema", {"enum": [f"value {7919 * i % 100_003}" for i in range(5_383)]}, '"', 1, "followed"),
    ("ambiguous rules", "lark", 'start: s\ns: s s | "a"', "a", 3_000, "followed"),
    ("ambiguous empty rules", "gbnf", 'root ::= s\ns ::= s s | "a" | ""', "a", 3_000, "followed"),
    ("ambiguous repetition", "regex", "(a|aa)*", "a", 10_000, "followed"),
    ("nested repetition", "regex", "(x+x+)+y", "x", 10_000, "followed"),
    ("counted repetition", "regex", "(a{1,1000}){1,1000}", "", 0, TOO_MUCH),
    ("counted repetition in GBNF", "gbnf", 'root ::= (("a"{0,1000}){0,1000}){0,1000}', "", 0, "not completed"),
    ("what is n letters back", "regex", ".*a.{18}", "", 0, TOO_MUCH),
    ("references", "schema", references(3_000), "", 0, TOO_MUCH),
    ("allOf", "schema", {"allOf": [{"properties": {f"p{i}": {}}} for i in range(1_000)]}, "{", 1, "followed"),
    ("allOf of anyOf", "schema", {"allOf": ANY_OF}, "", 0, TOO_MUCH),
    ("oneOf", "schema", {"oneOf": OVERLAPPING}, "", 0, "UnsupportedFeature"),
    ("a number of many digits", "schema", '{"maximum": ' + "9" * 100_000 + "}", "", 0, TOO_MUCH),
    ("a number of a large exponent", "schema", '{"minimum": 1e400000}', "", 0, TOO_MUCH),
    ("a large divisor", "schema", {"type": "integer", "multipleOf": 1_234_567_891}, "", 0, "UnsupportedFeature"),
    ("a long string", "schema", {"type": "string", "minLength": 70_000}, '"' + "x" * 69_000, 1, "followed"),
    ("a longer one", "schema", {"type": "string", "minLength": 10**9}, "", 0, "not completed"),
    ("many items", "schema", {"type": "array", "minItems": 10**6, "items": {}}, "[1,", 1, "not completed"),
    ("time", "hurried schema", {"type": "string", "allOf": PATTERNS}, "", 0, TOO_MUCH),
]


def follow(kind: str, grammar: object, piece: str, count: int) -> str:
    """What becomes of a text: "followed" by its mask and a shortest completion, or why not."""
    from tests.strategies import byte_vocabulary
    from tokamask.errors import CompileBudgetExceeded, GrammarError
    from tokamask.grammar.grammar import Grammar
    from tokamask.masking.bitmask import allocate_bitmask
    from tokamask.masking.compiler import Budget, GrammarCompiler

    vocabulary = byte_vocabulary()
    readers = {
        "schema": Grammar.from_json_schema,
        "hurried schema": Grammar.from_json_schema,
        "deep": lambda levels: Grammar.from_json_schema(deep(levels)),
        "regex": Grammar.from_regex,
        "lark": Grammar.from_lark,
        "gbnf": Grammar.from_gbnf,
    }
    # What is too much is so on every machine, however slow, but for the one case that has no time.
    budget = Budget(compile_seconds=1 if kind == "hurried schema" else 600)
    try:
        with budget.enforced():
            read = readers[kind](grammar)
        matcher = GrammarCompiler(vocabulary, budget=budget).compile(read).matcher()
    except GrammarError as error:
        return type(error).__name__
    matcher.accept_bytes(piece.encode() * count)
    bitmask = allocate_bitmask(1, vocabulary.size)
    matcher.fill_bitmask(bitmask, 0)
    try:
        left = matcher.min_tokens_left()
    except CompileBudgetExceeded:
        return "not completed"
    matcher.fill_bitmask(bitmask, 0, left)
    for token in matcher.shortest_completion():
        matcher.accept_token(token)
    return "followed" if matcher.is_terminated else "not terminated"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to an address space")
def test_adversaries() -> None:
    root = Path(__file__).parent.parent.parent
    lines = "".join(json.dumps(case[1:5]) + "\n" for case in CASES)
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=lines, capture_output=True, text=True, cwd=root, check=False
    )
    found = dict(zip([case[0] for case in CASES], process.stdout.splitlines(), strict=False))
    assert found == {case[0]: case[-1] for case in CASES}, process.stderr[-2_000:]
