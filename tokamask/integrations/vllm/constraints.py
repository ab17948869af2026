"""What a request asks for, as a grammar."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from tokamask.errors import GrammarError, UnsupportedFeature
from tokamask.grammar.grammar import Grammar
from tokamask.runtime.constraints import RECENT_GRAMMARS, Specification, read_constraint

__all__ = ["EXTRA_ARGUMENTS", "read_extra_arguments", "read_structured_output"]

EXTRA_ARGUMENTS = ("tokamask_schema", "tokamask_regex", "tokamask_grammar", "tokamask_choices")
"""Keys of `SamplingParams.extra_args` (over HTTP: `vllm_xargs`) that the logits processor reads."""


# Requests that repeat a constraint share one grammar, and so what the compiler has learned about it.
@lru_cache(maxsize=RECENT_GRAMMARS)
def read_structured_output(kind: str, text: str, whitespace: str = "flexible") -> Grammar:
    """The grammar of a structured-output request, as vLLM hands it to backends.

    Args:
        kind: the name of a member of vLLM's StructuredOutputOptions.
        text: a JSON Schema, nothing (JSON_OBJECT), a pattern, a Lark or GBNF grammar, or a JSON array of choices.
        whitespace: of JSON, as for `Grammar.from_json_schema`.

    Raises:
        GrammarError: it cannot be compiled; UnsupportedFeature also for structural tags.
    """
    if kind == "JSON":
        grammar = Grammar.from_json_schema(text, whitespace=whitespace, escapes="minimal")
    elif kind == "JSON_OBJECT":
        grammar = Grammar.from_json_schema({"type": "object"}, whitespace=whitespace, escapes="minimal")
    elif kind == "REGEX":
        grammar = Grammar.from_regex(text)
    elif kind == "CHOICE":
        choices = json.loads(text)
        if not all(isinstance(choice, str) for choice in choices):
            raise GrammarError("choices must be texts; for other values use a JSON Schema with enum")
        grammar = Grammar.from_choices(choices)
    elif kind == "GRAMMAR":
        grammar = _grammar_of(Specification(grammar=text))
    else:
        raise UnsupportedFeature(
            f"tokamask does not know structured outputs of the kind {kind.lower()}; "
            "use json, json_object, regex, choice or grammar"
        )
    _ = grammar.program  # what cannot be assembled is refused here, too
    return grammar


def read_extra_arguments(extra: Mapping[str, Any] | None) -> Grammar | None:
    """The grammar that a request asks for in its extra arguments; None for free text.

    Raises:
        GrammarError: it cannot be compiled.
        ValueError: more than one constraint, one of the wrong type, or an argument that does not exist.
    """
    given = {name: value for name, value in (extra or {}).items() if name.startswith("tokamask")}
    if not given:
        return None
    for name in given:
        if name not in EXTRA_ARGUMENTS:
            raise ValueError(f"there is no extra argument {name!r}; there are {', '.join(EXTRA_ARGUMENTS)}")
    if len(given) > 1:
        raise ValueError(f"at most one constraint can hold for a request, but {' and '.join(given)} are given")
    ((name, value),) = given.items()
    try:
        grammar = _grammar_of(Specification(**{name.removeprefix("tokamask_"): value}))
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error
    _ = grammar.program
    return grammar


def _grammar_of(specification: Specification) -> Grammar:
    constraint = read_constraint(specification, None)
    if constraint is None:
        raise ValueError("the constraint is null; leave it out for free text")
    return constraint.grammar
