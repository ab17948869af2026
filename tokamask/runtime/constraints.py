"""From what the user passes as schema=, regex=, grammar= or choices= to a grammar and a reader of its values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tokamask.errors import GrammarError, GrammarSyntaxError
from tokamask.grammar.grammar import Grammar
from tokamask.runtime.typed_values import JSON_VALUE, TEXT_VALUE, ValueReader, typed_value

__all__ = ["Constraint", "Specification", "read_constraint"]

RECENT_GRAMMARS = 64
"""Grammars of each kind that are kept between calls, with all that compilers have learned about them."""

_GBNF_RULE = re.compile(r"^\s*[A-Za-z][\w-]*\s*::=", re.MULTILINE)


@dataclass(frozen=True)
class Specification:
    """The four constraint arguments of one row; at most one is given."""

    schema: Any = None
    regex: str | None = None
    grammar: Grammar | str | None = None
    choices: Sequence[str] | None = None

    @property
    def identity(self) -> tuple[int, ...]:
        """Equal for rows that were given the very same objects."""
        return (id(self.schema), id(self.regex), id(self.grammar), id(self.choices))

    def given(self) -> dict[str, Any]:
        arguments = {"schema": self.schema, "regex": self.regex, "grammar": self.grammar, "choices": self.choices}
        return {name: value for name, value in arguments.items() if value is not None}


@dataclass(frozen=True, eq=False)
class Constraint:
    """A grammar, and how its documents become values.

    Attributes:
        grammar: with a text marker (`think_until`), free text up to it and then the document.
        validate: the check of a finished document that the grammar could not make itself: raises ValueError. None where
            the grammar is exact.
    """

    grammar: Grammar
    reader: ValueReader
    validate: Callable[[str], None] | None = None

    def value(self, document: str) -> Any:
        """The value of a complete document; raises when validation or the type refuses it."""
        if self.validate is not None:
            self.validate(document)
        return self.reader.read(document)


def read_constraint(specification: Specification, think_until: str | None) -> Constraint | None:
    """The constraint of one row, which begins after the text `think_until`; None for free text.

    Raises:
        TypeError: more than one of the four arguments, or one of the wrong type.
        GrammarError: the argument cannot be compiled.
    """
    given = specification.given()
    if len(given) > 1:
        raise TypeError(f"at most one constraint can hold for a prompt, but {' and '.join(given)} are given")
    if not given:
        return None
    ((name, value),) = given.items()
    grammar, reader = _READERS[name](value)
    validate = None if grammar.is_exact else _validator(grammar.schema)
    if think_until is None:
        return Constraint(grammar, reader, validate)
    if not think_until:
        raise ValueError("think_until is an empty text; leave it out when the document begins at once")
    return Constraint(_after_marker(grammar, think_until), reader, validate)


# A compiler learns about `Grammar` objects. Calls that repeat a schema or a text therefore share one object, and start
# where the last call stopped.


@lru_cache(maxsize=RECENT_GRAMMARS)
def _after_marker(grammar: Grammar, marker: str) -> Grammar:
    return grammar.after_marker(marker.encode())


def _read_schema(schema: Any) -> tuple[Grammar, ValueReader]:
    """A JSON Schema as dict, boolean or JSON text is data; everything else is a Python type."""
    if isinstance(schema, dict | bool):
        return _json_grammar(_json_text(schema)), JSON_VALUE
    if isinstance(schema, str):
        return _json_grammar(schema), JSON_VALUE
    if isinstance(schema, Grammar):
        raise TypeError("schema= is a Grammar; pass it as grammar=")
    own_schema, reader = typed_value(schema)
    return _json_grammar(json.dumps(own_schema)), reader


def _json_text(schema: Any) -> str:
    try:
        return json.dumps(schema)
    except (TypeError, ValueError, RecursionError) as error:
        raise GrammarError(f"schema= is not JSON: {error}; a Grammar of its own can go to grammar=") from error


@lru_cache(maxsize=RECENT_GRAMMARS)
def _json_grammar(schema: str) -> Grammar:
    """What is written needs one spelling, not all of them: needless escapes only tempt small models."""
    return Grammar.from_json_schema(schema, escapes="minimal")


def _read_regex(pattern: Any) -> tuple[Grammar, ValueReader]:
    if not isinstance(pattern, str):
        raise TypeError(f"regex must be a pattern as text, not {type(pattern).__name__}")
    return _regex_grammar(pattern), TEXT_VALUE


@lru_cache(maxsize=RECENT_GRAMMARS)
def _regex_grammar(pattern: str) -> Grammar:
    return Grammar.from_regex(pattern)


def _read_grammar(grammar: Any) -> tuple[Grammar, ValueReader]:
    if isinstance(grammar, Grammar):
        return grammar, TEXT_VALUE if grammar.schema is None else JSON_VALUE
    if not isinstance(grammar, str):
        raise TypeError(f"grammar must be a Grammar, or Lark or GBNF text, not {type(grammar).__name__}")
    return _text_grammar(grammar), TEXT_VALUE


@lru_cache(maxsize=RECENT_GRAMMARS)
def _text_grammar(text: str) -> Grammar:
    """GBNF where a rule is written with `::=`, and Lark otherwise."""
    if _GBNF_RULE.search(text):
        return Grammar.from_gbnf(text)
    try:
        return Grammar.from_lark(text)
    except GrammarSyntaxError as error:
        said = f"{error.reason}, read as Lark (a rule of GBNF is written with ::=)"
        raise GrammarSyntaxError(said, source=error.source, offset=error.offset) from None


def _read_choices(choices: Any) -> tuple[Grammar, ValueReader]:
    texts = tuple(choices) if isinstance(choices, Iterable) and not isinstance(choices, str) else (None,)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("choices must be several texts; for other values use schema=Literal[...] or an Enum")
    return _choices_grammar(texts), TEXT_VALUE


@lru_cache(maxsize=RECENT_GRAMMARS)
def _choices_grammar(choices: tuple[str, ...]) -> Grammar:
    return Grammar.from_choices(choices)


_READERS: dict[str, Callable[[Any], tuple[Grammar, ValueReader]]] = {
    "schema": _read_schema,
    "regex": _read_regex,
    "grammar": _read_grammar,
    "choices": _read_choices,
}


def _validator(schema: Any) -> Callable[[str], None]:
    """The independent check of a document against the whole schema, for grammars that had to leave parts of it out."""
    import jsonschema

    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    validator = kind(schema, format_checker=kind.FORMAT_CHECKER)

    def validate(document: str) -> None:
        validator.validate(json.loads(document))

    return validate
