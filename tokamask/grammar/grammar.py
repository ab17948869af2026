"""`Grammar`: what may be generated, before any vocabulary is known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from tokamask.errors import CompileBudgetExceeded, GrammarError
from tokamask.grammar.assembly import assemble
from tokamask.grammar.budget import held_to_a_budget
from tokamask.grammar.json_schema.reports import KeywordReport, KeywordStatus
from tokamask.grammar.language import Language, until
from tokamask.grammar.program import Program
from tokamask.grammar.rules import JsonValue, Reference, RuleSet, Sequence, Terminal

if TYPE_CHECKING:
    from tokamask.grammar.json_schema.reading import JsonSchemaReading
    from tokamask.grammar.recogniser import Recogniser

__all__ = ["CheckResult", "Grammar", "KeywordReport", "KeywordStatus"]


@dataclass(frozen=True)
class CheckResult:
    """Whether a text belongs to a grammar, and where it leaves it.

    Attributes:
        ok: it belongs.
        offset: characters (bytes for bytes) that some text of the grammar begins with; the length of the text when
            only its end comes too early.
        pointer: for JSON Schema grammars, the JSON pointer of the value at that place; None otherwise, and where the
            marker before the document is missing.
        expected: what could stand there: single characters in quotes, ranges, "end of text".
    """

    ok: bool
    offset: int
    pointer: str | None = None
    expected: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Grammar:
    """An immutable language of texts, as rules over regular terminals. Made by one of the `from_` methods.

    Attributes:
        rules: the rules that the recogniser will follow.
        source: the JSON Schema it was made from, as it was given; None for other grammars.
        is_exact: False when keywords of the schema were left out on the user's word (`on_unsupported="warn"`).
    """

    # Pages of automata, so not shown.
    rules: RuleSet = field(repr=False)
    source: Mapping[str, Any] | bool | str | None = None
    is_exact: bool = True
    _reading: JsonSchemaReading | None = field(default=None, repr=False)
    _markers: tuple[bytes, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.rules, RuleSet):
            kind = type(self.rules).__name__
            raise TypeError(f"Grammar is made by its from_ methods, such as from_json_schema, not of a {kind}")

    @classmethod
    @held_to_a_budget
    def from_json_schema(
        cls,
        schema: Mapping[str, Any] | bool | str,
        draft: str | None = None,
        property_order: Literal["schema", "any"] = "schema",
        whitespace: str | int = "flexible",
        numbers: Literal["plain", "full"] = "plain",
        escapes: str = "json",
        formats: Literal["assert", "annotate"] = "assert",
        registry: Any = None,
        on_unsupported: Literal["refuse", "warn"] = "refuse",
    ) -> Grammar:
        """The JSON texts of the values that a schema describes.

        Args:
            schema: a dict (which must not change afterwards), a boolean schema, or JSON text.
            draft: "4", "6", "7", "2019-09" or "2020-12"; "openapi-3.0": draft 4 with `nullable`; default: what
                `$schema` says, else 2020-12.
            property_order: "schema": declared properties in their order, then others; "any": any order.
            whitespace: what may stand between JSON tokens. "flexible": nothing, one blank, or a newline with an
                indent; "none"; "one-space"; "any"; a number: a newline with a multiple of so many blanks.
            numbers: "plain": integers without fraction and exponent; "full": JSON Schema's value semantics, by which
                1.0, 1e2 and 10e-1 are integers (not in draft 4). Then any number of digits may stand before and behind
                the point, and an exponent behind a mantissa as `tokamask.grammar.exponents` has it: behind 0, or one to
                three digits and at most 16 decimals. (Lists of more than 100 numbers, and multiples of a step that
                leaves more than 9 remainders, have no exponents.)
            escapes: "json": raw UTF-8 and every escape of RFC 8259; "minimal": characters are escaped only where they
                cannot stand for themselves, as json.dumps(..., ensure_ascii=False) does.
            formats: whether `format` is asserted or an annotation.
            registry: documents that references lead to: {uri: schema} or a `referencing.Registry`.
            on_unsupported: "refuse" keywords that cannot be enforced, or "warn": leave them out and say so in
                `is_exact` and `explain()`.

        Raises:
            GrammarSyntaxError: malformed JSON or a malformed pattern.
            UnsupportedFeature: a keyword that cannot be enforced exactly.
            UnsatisfiableSchema: no value satisfies the schema.
            GrammarError: an invalid schema. All of them carry the JSON pointer.
        """
        from tokamask.grammar.json_schema.reading import read_json_schema

        reading = read_json_schema(
            schema,
            draft=draft,
            property_order=property_order,
            whitespace=whitespace,
            numbers=numbers,
            escapes=escapes,
            formats=formats,
            registry=registry,
            on_unsupported=on_unsupported,
        )
        rules = RuleSet({"document": JsonValue(reading.shapes)}, "document")
        return cls(rules, schema, reading.is_exact, reading)

    @classmethod
    @held_to_a_budget
    def from_regex(cls, pattern: str, dialect: Literal["python", "ecma"] = "python") -> Grammar:
        """The texts that a regular expression matches as a whole.

        Raises:
            GrammarSyntaxError: a malformed pattern.
            UnsupportedFeature: something that is not regular, such as a back-reference.
            GrammarError: no text matches; there is no such dialect.
        """
        from tokamask.grammar.regular_expression import pattern_language

        _expect_text(pattern, "a pattern")
        if dialect not in ("python", "ecma"):
            raise GrammarError(f"dialect must be one of python, ecma, not {dialect!r}")
        return cls.from_language(pattern_language(pattern, dialect, search=False), f"the pattern {pattern!r}")

    @classmethod
    @held_to_a_budget
    def from_choices(cls, choices: Iterable[str]) -> Grammar:
        """Exactly one of the given texts.

        Raises:
            GrammarError: there are none, or one has a lone surrogate.
        """
        if isinstance(choices, str | bytes) or not isinstance(choices, Iterable):
            raise TypeError(f"choices must be several texts, not one {type(choices).__name__}; write [text]")
        texts = []
        for choice in choices:
            _expect_text(choice, "a choice")
            try:
                texts.append(choice.encode())
            except UnicodeEncodeError:
                raise GrammarError(f"the choice {choice!r} has a lone surrogate, which no UTF-8 text has") from None
        if not texts:
            raise GrammarError("choices are empty; give at least one text")
        return cls.from_language(Language.words(texts), "choices")

    @classmethod
    @held_to_a_budget
    def from_lark(cls, text: str, start: str = "start") -> Grammar:
        """The language of a Lark grammar, as Lark's Earley parser with the dynamic_complete lexer sees it.

        Raises:
            GrammarSyntaxError: malformed Lark text.
            UnsupportedFeature: a construct that cannot be enforced exactly, such as %declare.
            GrammarError: an unknown rule; no text is derivable.
        """
        from tokamask.grammar.lark import read_lark

        _expect_text(text, "a Lark grammar")
        _expect_text(start, "start")
        return cls(read_lark(text, start))

    @classmethod
    @held_to_a_budget
    def from_gbnf(cls, text: str, start: str | None = None) -> Grammar:
        """The language of a GBNF grammar (llama.cpp's notation) from rule `start`, by default `root`.

        Raises:
            GrammarSyntaxError: malformed GBNF text.
            UnsupportedFeature: token terminals.
            GrammarError: an unknown rule; no text is derivable.
        """
        from tokamask.grammar.gbnf import read_gbnf

        _expect_text(text, "a GBNF grammar")
        return cls(read_gbnf(text, start))

    @classmethod
    def from_language(cls, language: Language, name: str = "the language") -> Grammar:
        """The texts of a regular language."""
        if language.is_empty:
            raise GrammarError(f"{name} matches no text at all")
        return cls(RuleSet({"text": Terminal(language)}, "text"))

    def after_marker(self, marker: bytes) -> Grammar:
        """Free text up to and including the first `marker`, then this grammar."""
        fresh = "after"
        while fresh in self.rules.rules:
            fresh += "_"
        free = Terminal(until(marker), "free text")
        rules = {**self.rules.rules, fresh: Sequence((free, Reference(self.rules.start)))}
        return Grammar(RuleSet(rules, fresh), self.source, self.is_exact, self._reading, (marker, *self._markers))

    @cached_property
    def schema(self) -> Any:
        """The JSON Schema it was made from; None for other grammars."""
        return json.loads(self.source) if isinstance(self.source, str) else self.source

    def explain(self) -> list[KeywordReport]:
        """What became of each keyword of the schema; [] for other grammars.

        Raises CompileBudgetExceeded when the places of the keywords are too much text, as in a schema that contains
        itself.
        """
        return [] if self._reading is None else list(self._reading.reports)

    def check(self, text: str | bytes) -> CheckResult:
        """Whether a text belongs to the grammar, and if not, where it leaves it and what could stand there.

        Raises CompileBudgetExceeded, with the place, when looking ahead takes too much (see `arena.grown`).
        """
        from tokamask.grammar.json_place import end_in_words, pointer_at

        if not isinstance(text, str | bytes):
            raise TypeError(f"check takes a text, str or bytes, not {type(text).__name__}; json.dumps writes values")
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        recogniser = self._recogniser
        configuration = recogniser.start()
        offset = 0
        try:
            while offset < len(data) and (target := recogniser.move(configuration, data[offset])):
                configuration = target
                offset += 1
            if offset == len(data) and recogniser.is_accepting(configuration):
                return CheckResult(True, len(text))
            expected = _expected(recogniser, configuration)
        except CompileBudgetExceeded as error:
            end = end_in_words(data[:offset], self.source is not None)
            raise CompileBudgetExceeded(f"{error.message} ({end})") from None
        # A byte inside a character: the place is the character.
        characters = len(data[:offset].decode("utf-8", "ignore"))
        place = characters if isinstance(text, str) else offset
        document = self._document_start(data)
        pointer = None
        if self.source is not None and document is not None and document <= offset:
            within = len(data[document:offset].decode("utf-8", "ignore"))
            pointer = pointer_at(data[document:].decode("utf-8", "replace"), within)
        return CheckResult(False, place, pointer, expected)

    def _document_start(self, data: bytes) -> int | None:
        """Where the document begins, behind its markers; None when one is missing."""
        start = 0
        for marker in self._markers:
            place = data.find(marker, start)
            if place < 0:
                return None
            start = place + len(marker)
        return start

    @cached_property
    def program(self) -> Program:
        """What the recogniser interprets; assembled on first use."""
        return assemble(self.rules)

    @cached_property
    def _recogniser(self) -> Recogniser:
        from tokamask.grammar.recogniser import Recogniser

        return Recogniser(self.program)


def _expect_text(value: object, name: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")


def _expected(recogniser: Recogniser, configuration: int) -> tuple[str, ...]:
    """The next bytes in words: runs of ASCII characters as ranges, everything beyond ASCII as one."""
    following = recogniser.next_bytes(configuration)
    words: list[str] = []
    plain = [byte for byte in following if byte < 0x80]
    at = 0
    while at < len(plain):
        end = at
        while end + 1 < len(plain) and plain[end + 1] == plain[end] + 1:
            end += 1
        if end - at >= 2:
            words.append(f"{chr(plain[at])!r} to {chr(plain[end])!r}")
        else:
            words.extend(repr(chr(byte)) for byte in plain[at : end + 1])
        at = end + 1
    if following and following[-1] >= 0x80:
        words.append("other characters")
    if recogniser.is_accepting(configuration):
        words.append("end of text")
    return tuple(words)
