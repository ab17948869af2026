"""The account of what reading and compiling may cost."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import pytest
from numba import types

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar import budget as accounts
from tokamask.grammar.budget import Budget, check_time, present_budget
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.json_schema import alternatives, references
from tokamask.grammar.json_schema.demands import ArrayDemand
from tokamask.grammar.json_schema.drafts import Draft
from tokamask.grammar.json_schema.negation import failing
from tokamask.grammar.json_schema.obligations import NOTHING
from tokamask.grammar.json_schema.values import Kind
from tokamask.grammar.kernel_parts import Kernel
from tokamask.grammar.regular_expression import read_pattern
from tokamask.grammar.regular_expression.alphabet import alphabet_of

PATTERNS = {"type": "string", "allOf": [{"pattern": f"a{{{count}}}b?"} for count in range(1_000)]}

COUNTS = [{"contains": {"minimum": i}, "maxContains": 2} for i in range(10)]
CLASSES = frozenset(((0x100 + i, 0x300 + i),) for i in range(90))
CHOICES = [{"anyOf": [{"properties": {f"a{i}": {"const": j}}} for j in range(3)]} for i in range(6)]


def shared(levels: int, level: Callable[[object], object]) -> object:
    """A value that is no tree: `level` refers to the one below more than once, so it has 2 ** levels leaves."""
    value: object = 1
    for _ in range(levels):
        value = level(value)
    return value


def doubled(levels: int, level: Callable[[dict[str, object]], dict[str, object]]) -> dict[str, object]:
    """Schemas each of which refers to the next one, by `level`, more than once."""
    definitions: dict[str, object] = {str(i): level({"$ref": f"#/$defs/{i + 1}"}) for i in range(levels)}
    last = {"type": "object", "required": ["a"], "minProperties": 1}
    return {"$ref": "#/$defs/0", "$defs": {**definitions, str(levels): last}}


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """A clock that is a second later each time it is looked at; says how often it was."""
    clock = itertools.count()
    seen = [0]

    def tick() -> float:
        seen[0] = next(clock)
        return float(seen[0])

    monkeypatch.setattr(time, "monotonic", tick)
    return lambda: seen[0]


@pytest.mark.parametrize(
    "read",
    [
        lambda: Grammar.from_regex("[ab]{0,300}c"),
        lambda: Grammar.from_json_schema({"type": "string", "pattern": "[ab]{0,300}c"}, on_unsupported="warn"),
        lambda: Grammar.from_json_schema(PATTERNS, on_unsupported="warn"),
        lambda: Grammar.from_json_schema({"multipleOf": 4 * 9_973}),
        lambda: Grammar.from_json_schema({"items": [{"minItems": count} for count in range(200)]}, draft="7"),
        lambda: Grammar.from_json_schema({"allOf": CHOICES}),
        lambda: Grammar.from_lark("start: /[ab]{0,300}c/"),
        lambda: Grammar.from_gbnf('root ::= [ab]{0,300} "c"').program,
        lambda: Grammar.from_json_schema({"anyOf": [{"minLength": count} for count in range(200)]}),
        lambda: Grammar.from_json_schema({"allOf": COUNTS}),
        lambda: Grammar.from_json_schema({"const": shared(10, lambda value: [value, value])}),
        lambda: list(failing(Kind.ARRAY, ArrayDemand((NOTHING,) * 200))),
        lambda: alphabet_of(CLASSES),
        lambda: Grammar.from_regex("a" * 200 + "("),
        lambda: Grammar.from_gbnf("root ::= " + '"a" ' * 200 + '"'),
        lambda: read_pattern(r"([a-z])\1\1\1", "ecma"),
    ],
)
def test_time_is_looked_at_while_a_grammar_is_read(read: Callable[[], object], ticks: Callable[[], int]) -> None:
    """The error comes with the first look after the deadline, whatever could be left out or read in another way."""
    with pytest.raises(CompileBudgetExceeded, match="compile_seconds=100"), Budget(compile_seconds=100).enforced():
        read()
    assert 100 <= ticks() < 110


def test_time_is_looked_at_outside_of_a_block_too(ticks: Callable[[], int]) -> None:
    with pytest.raises(CompileBudgetExceeded, match=r"compile_seconds=30\.0"):
        Grammar.from_regex("[ab]{0,300}c")
    assert ticks() < 40


def test_a_block_ends_when_the_one_around_it_does(ticks: Callable[[], int]) -> None:
    inner = Budget(compile_seconds=1_000, states=7)

    def wait() -> None:
        with Budget(compile_seconds=20, states=9).enforced():
            with inner.enforced():
                assert present_budget() is inner
            assert present_budget().states == 9
            with inner.enforced():
                while True:
                    check_time()

    with pytest.raises(CompileBudgetExceeded, match="takes longer"):
        wait()
    assert ticks() < 30
    assert present_budget() == Budget()


def test_states() -> None:
    with Budget(states=100).enforced():
        Grammar.from_regex("[0-9]{90}")
        with pytest.raises(CompileBudgetExceeded, match="more than 100 states"):
            Grammar.from_regex("[0-9]{110}")
        with pytest.raises(CompileBudgetExceeded, match="more than 100 states in UTF-8"):
            Grammar.from_regex("[à-ÿ]{60}")
    Grammar.from_regex("[0-9]{110}")


def test_nodes() -> None:
    schema = {"type": "array", "prefixItems": [{"minimum": number} for number in range(50)]}
    Grammar.from_json_schema(schema)
    with pytest.raises(CompileBudgetExceeded, match="more than 40 nodes"), Budget(nodes=40).enforced():
        Grammar.from_json_schema(schema)


def test_threads_have_accounts_of_their_own() -> None:
    found = []
    with Budget(states=1).enforced():
        thread = threading.Thread(target=lambda: found.append(present_budget()))
        thread.start()
        thread.join()
        with pytest.raises(CompileBudgetExceeded):
            Grammar.from_regex("abc")
    assert found == [Budget()]


def test_schemas_that_are_no_trees() -> None:
    """Python values may share their parts, contain themselves, and be deeper than any text.

    They are read all the same; keywords are listed as far as their places are text.
    """
    shared: object = {"minimum": 1}
    for _ in range(60):
        shared = {"anyOf": [shared, shared]}
    Grammar.from_json_schema({"const": 1, "examples": shared})
    deep: dict[str, object] = {}
    for _ in range(700):
        deep = {"items": deep}
    assert len(Grammar.from_json_schema(deep).explain()) == 700
    for _ in range(9_300):
        deep = {"items": deep}
    nested: dict[str, object] = {"type": "array"}
    nested["items"] = nested
    for schema, text in ((deep, "[[1]]"), ({"$defs": {"a": shared}}, "1"), (nested, "[[], [[]]]")):
        grammar = Grammar.from_json_schema(schema)
        assert grammar.check(text).ok
        with pytest.raises(CompileBudgetExceeded, match="nested too deeply"):
            grammar.explain()


def test_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is combined is counted by what is copied, as there may be little of it and all of it large."""
    schema = {
        "properties": {f"p{i}": {} for i in range(100)},
        "anyOf": [{"required": [f"p{i}"]} for i in range(100)],
    }
    Grammar.from_json_schema(schema)
    monkeypatch.setattr(accounts, "MOST_PARTS", 9_000)
    with pytest.raises(CompileBudgetExceeded, match="more than 9000 parts, at '#'"):
        Grammar.from_json_schema(schema)
    with pytest.raises(CompileBudgetExceeded, match="more than 9000 parts, at '#/enum'"):
        Grammar.from_json_schema({"enum": [shared(13, lambda value: {"a": value, "b": value})]})


@pytest.mark.parametrize(
    "level",
    [
        lambda below: {"anyOf": [below, below]},
        lambda below: {"allOf": [below, below]},
        lambda below: {"allOf": [below, {"allOf": [below]}], "minProperties": 1},
        lambda below: {"if": {"type": "object"}, "then": below, "else": below},
        lambda below: {"not": {"not": {"anyOf": [below, below]}}},
        lambda below: {"anyOf": [below, {"not": {"not": below}}]},
    ],
)
def test_what_is_referred_to_twice_is_combined_once(
    level: Callable[[dict[str, object]], dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = doubled(12, level)
    monkeypatch.setattr(alternatives, "MAXIMUM_UNITED", 100)
    monkeypatch.setattr(accounts, "MOST_PARTS", 2_000)
    grammar = Grammar.from_json_schema(schema)
    assert grammar.check('{"a": 1}').ok
    assert not grammar.check("{}").ok


@pytest.mark.parametrize(
    "schema",
    [
        doubled(12, lambda below: {"anyOf": [below, {"allOf": [below], "minProperties": 2}]}),
        {"anyOf": [{"properties": {f"a{i}": {}}} for i in range(8)], "unevaluatedProperties": False},
    ],
)
def test_unions(schema: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alternatives, "MAXIMUM_UNITED", 100)
    with pytest.raises(CompileBudgetExceeded, match="more than 100 for one type, at '#"):
        Grammar.from_json_schema(schema)


def test_identifiers_are_looked_for_in_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere that could take without end; each dynamic anchor is found once all the same."""
    anchored = {"$anchor": "x", "$dynamicAnchor": "x", "type": "null"}
    dag = {"anyOf": [shared(10, lambda schema: {"anyOf": [schema, schema]})], "$defs": {"x": anchored}}
    dag["prefixItems"] = [dag["anyOf"], anchored, anchored]
    assert len(list(references.dynamic_anchors(dag, Draft.DRAFT_2020_12))) == 1
    monkeypatch.setattr(references, "MOST_PARTS", 100)
    for schema, registry in (
        ({"items": {"$ref": "#x"}, "default": dag}, None),
        ({"items": {"$ref": "a:b"}}, {"a:b": dag}),
    ):
        with pytest.raises(CompileBudgetExceeded, match=r"more than 100 parts.* at '#/items/\$ref'"):
            Grammar.from_json_schema(schema, registry=registry)


@pytest.mark.parametrize("name", ["compile_seconds", "nodes", "states", "cache_bytes"])
def test_what_is_no_budget(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Budget(**{name: -1})
    with pytest.raises(ValueError, match=name):
        Budget(**{name: float("nan")})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=name):
        Budget(**{name: "5"})  # type: ignore[arg-type]


def test_kernels_cost_a_grammar_no_time(ticks: Callable[[], int]) -> None:
    """They are compiled by whatever needs them first, and that grammar is not to blame."""

    def kernel(number: int) -> int:
        for _ in range(20):
            time.monotonic()
        return number

    class SlowToCompile:
        def compile(self, _: object) -> int:
            return kernel(7)

    compiled = Kernel(kernel, (types.int64,), {}, SlowToCompile())
    compiled._insert = lambda *_: None
    with Budget(compile_seconds=5).enforced():
        assert compiled.compile() == 7
        check_time()
    assert ticks() > 20
    with pytest.raises(CompileBudgetExceeded), Budget(compile_seconds=5).enforced():
        kernel(7)
