"""Regular expressions: text of a dialect -> syntax tree -> position automaton -> `Language`.

Everything works on code points; bytes appear in the last step. Nothing is approximated: what is not regular, or not
done exactly, is refused.
"""

from __future__ import annotations

from typing import Literal

from tokamask.errors import CompileBudgetExceeded, UnsupportedFeature
from tokamask.grammar.language import Language, difference, intersection, remembered
from tokamask.grammar.regular_expression.determinisation import full_match, somewhere
from tokamask.grammar.regular_expression.ecma import EcmaReader
from tokamask.grammar.regular_expression.opening_lookaheads import opening_of
from tokamask.grammar.regular_expression.python import PythonReader
from tokamask.grammar.regular_expression.reader import FLAG_NAMES, Flags
from tokamask.grammar.regular_expression.spelling import spelled_out
from tokamask.grammar.regular_expression.syntax import Node

__all__ = ["Dialect", "pattern_language", "read_pattern"]

Dialect = Literal["python", "ecma"]


def read_pattern(pattern: str, dialect: Dialect, flags: str = "") -> Node:
    """The syntax tree of a pattern of Python's `re` ("python") or of JSON Schema ("ecma", ECMA-262 with the u flag).

    `flags` are letters of "imsxa" for Python and "ms" for ECMAScript, in force from the beginning.

    Raises:
        GrammarSyntaxError: the pattern is malformed.
        UnsupportedFeature: it has something that cannot be enforced exactly, such as a back-reference.
        CompileBudgetExceeded: its groups are nested too deeply.
    """
    allowed = "imsxa" if dialect == "python" else "ms"
    unknown = set(flags) - set(allowed)
    if unknown:
        names = "".join(sorted(unknown))
        raise UnsupportedFeature(f"the flags {names!r} of a regular expression; use some of {allowed!r}")
    reader = PythonReader if dialect == "python" else EcmaReader
    return reader(pattern, Flags(**{FLAG_NAMES[flag]: True for flag in flags})).read()


@remembered
def pattern_language(pattern: str, dialect: Dialect, *, search: bool, flags: str = "") -> Language:
    """The texts, in UTF-8, that a pattern matches as a whole or, with `search`, somewhere.

    Raises:
        GrammarSyntaxError, UnsupportedFeature: see `read_pattern`.
        CompileBudgetExceeded: the pattern needs too many states or too much time.
    """
    try:
        required, forbidden, rest = opening_of(read_pattern(pattern, dialect, flags), at_start=not search)
        language = spelled_out(somewhere(rest) if search else full_match(rest))
        for node in required:
            language = intersection(language, spelled_out(somewhere(node)))
        for node in forbidden:
            language = difference(language, spelled_out(somewhere(node)))
    except RecursionError:
        raise CompileBudgetExceeded("the regular expression nests too many groups") from None
    return language
