"""GBNF text, the grammar notation of llama.cpp (grammars/README.md there), to rules.

    grammar     = { name "::=" alternatives }
    alternatives = sequence { "|" sequence }
    sequence    = { element { "*" | "+" | "?" | "{" m [ "," [ n ] ] "}" } }
    element     = name | literal | class | "." | "(" alternatives ")"

Rules may run over several lines: one ends where the next `name ::=` begins. Names may also hold underscores, and a
literal may be empty, as in the dialects of other readers. `#` starts a comment. Escapes stand for code points, which
are matched in UTF-8. Tokens (`<think>`, `<[1000]>`) are refused: a grammar knows no vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tokamask.errors import CompileBudgetExceeded, GrammarError, GrammarSyntaxError, UnsupportedFeature
from tokamask.grammar.budget import check_time
from tokamask.grammar.expression_algebra import choice, repeat, sequence
from tokamask.grammar.language import Language
from tokamask.grammar.normalise import normalise
from tokamask.grammar.regular_expression import pattern_language
from tokamask.grammar.rules import Expression, Reference, RuleSet, Terminal

__all__ = ["read_gbnf"]

BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
NAME = re.compile(r"[A-Za-z0-9_-]+")
BOUNDS = re.compile(r"\{[ \t]*([0-9]+)[ \t]*(,[ \t]*([0-9]+)?)?[ \t]*\}")
HEXADECIMAL = {"x": 2, "u": 4, "U": 8}
CONTROL = {"n": "\n", "r": "\r", "t": "\t"}

# The recogniser counts repetitions in 32 bits.
REPETITION_LIMIT = 2**31 - 1
NESTING_LIMIT = 100


def read_gbnf(text: str, start: str | None = None) -> RuleSet:
    """The language of a GBNF grammar from the rule `start` (None: `root`).

    Raises:
        GrammarSyntaxError: the text is not GBNF, mentions a rule that it does not define, or defines one twice.
        GrammarError: there is no rule `start`, or it produces no text.
        UnsupportedFeature: it uses tokens.
        CompileBudgetExceeded: the grammar is too large or nests too deeply.
    """
    rules = _Reader(text).grammar()
    name = "root" if start is None else start
    if name not in rules:
        shown = ", ".join(list(rules)[:10]) + (f" and {len(rules) - 10} more" if len(rules) > 10 else "")
        raise GrammarError(f"there is no rule {name!r} to start from; the grammar has {shown or 'no rules'}")
    return normalise(rules, name)


class _Reader:
    """A recursive-descent reader; every method reads what its docstring says, and the blanks after it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._offset = 0
        self._depth = 0
        self._mentioned: dict[str, int] = {}

    def grammar(self) -> dict[str, Expression]:
        """{ name "::=" alternatives }"""
        rules: dict[str, Expression] = {}
        self._skip_blank()
        while self._offset < len(self._text):
            offset = self._offset
            name = self._definition()
            if name is None:
                raise self._error("expected a rule, such as: name ::= ...", offset)
            if name in rules:
                raise self._error(f"rule {name!r} is defined twice; join the definitions with |", offset)
            rules[name] = self._alternatives()
        for name, offset in self._mentioned.items():
            if name not in rules:
                raise self._error(f"rule {name!r} is used but not defined", offset)
        return rules

    def _definition(self) -> str | None:
        """name "::=", or nothing if that is not what follows"""
        name = NAME.match(self._text, self._offset)
        if name is None:
            return None
        place = BLANK.match(self._text, name.end())
        assert place is not None, "a blank may be empty"
        if not self._text.startswith("::=", place.end()):
            return None
        self._offset = place.end() + 3
        self._skip_blank()
        return name[0]

    def _at_definition(self) -> bool:
        offset = self._offset
        found = self._definition() is not None
        self._offset = offset
        return found

    def _alternatives(self) -> Expression:
        """sequence { "|" sequence }"""
        alternatives = [self._sequence()]
        while self._take("|"):
            alternatives.append(self._sequence())
        return choice(alternatives)

    def _sequence(self) -> Expression:
        """{ element { repetition } }"""
        parts: list[Expression] = []
        while self._offset < len(self._text) and self._text[self._offset] not in "|)" and not self._at_definition():
            check_time()
            part = self._element()
            while self._offset < len(self._text) and self._text[self._offset] in "*+?{":
                part = self._repetition(part)
            parts.append(part)
        return sequence(parts)

    def _element(self) -> Expression:
        """name | literal | class | "." | "(" alternatives ")" """
        offset = self._offset
        if name := NAME.match(self._text, offset):
            self._offset = name.end()
            self._skip_blank()
            self._mentioned.setdefault(name[0], offset)
            return Reference(name[0])
        match self._text[offset]:
            case '"':
                return self._literal()
            case "[":
                return self._class()
            case ".":
                self._take(".")
                return Terminal(pattern_language("(?s:.)", "python", search=False), ".")
            case "(":
                return self._group()
            case "<" | "!":
                raise UnsupportedFeature(
                    f"{self._error('a token of the vocabulary stands here', offset)}\n"
                    f"a grammar describes text: write the text of the token as a literal"
                )
            case character:
                raise self._error(f"unexpected {character!r} in a rule", offset)

    def _group(self) -> Expression:
        """ "(" alternatives ")" """
        offset = self._offset
        self._take("(")
        self._depth += 1
        if self._depth > NESTING_LIMIT:
            raise CompileBudgetExceeded(f"groups nest deeper than {NESTING_LIMIT}; give some rules of their own")
        expression = self._alternatives()
        self._depth -= 1
        if not self._take(")"):
            raise self._error("this group is not closed", offset)
        return expression

    def _repetition(self, part: Expression) -> Expression:
        """ "*" | "+" | "?" | "{" m [ "," [ n ] ] "}" """
        offset = self._offset
        for operator, minimum, maximum in (("*", 0, None), ("+", 1, None), ("?", 0, 1)):
            if self._take(operator):
                return repeat(part, minimum, maximum)
        bounds = BOUNDS.match(self._text, offset)
        if bounds is None:
            raise self._error("expected a count: {m}, {m,} or {m,n}", offset)
        least = _count(bounds[1])
        most = least if bounds[2] is None else None if bounds[3] is None else _count(bounds[3])
        if least > REPETITION_LIMIT or (most is not None and not least <= most <= REPETITION_LIMIT):
            raise self._error(f"counts go up from 0 to {REPETITION_LIMIT}", offset)
        self._offset = bounds.end()
        self._skip_blank()
        return repeat(part, least, most)

    def _literal(self) -> Expression:
        """characters and escapes between double quotes"""
        offset = self._offset
        self._offset += 1
        characters = []
        while not self._text.startswith('"', self._offset):
            characters.append(self._character("this literal is not closed", offset))
        self._take('"')
        if not characters:
            return sequence(())
        name = self._text[offset : self._offset].rstrip()
        return Terminal(Language.literal("".join(characters).encode()), name)

    def _class(self) -> Expression:
        """ "[" [ "^" ] { character [ "-" character ] } "]" """
        offset = self._offset
        self._offset += 1
        negated = self._text.startswith("^", self._offset)
        self._offset += negated
        ranges = []
        while not self._text.startswith("]", self._offset):
            place = self._offset
            low = high = self._character("this character class is not closed", offset)
            if self._text.startswith("-", self._offset) and not self._text.startswith("]", self._offset + 1):
                self._offset += 1
                high = self._character("this character class is not closed", offset)
            if high < low:
                raise self._error("the end of this range comes before its beginning", place)
            ranges.append((low, high))
        if not ranges:
            raise self._error("this character class is empty; any character is written .", offset)
        self._take("]")
        return Terminal(_class_language(ranges, negated), self._text[offset : self._offset].rstrip())

    def _character(self, unclosed: str, opened: int) -> str:
        """One character of a literal or class, escaped or not. `unclosed` is what to say at the end of the text."""
        offset = self._offset
        character = self._text[offset : offset + 1]
        if not character:
            raise self._error(unclosed, opened)
        self._offset += 1
        if character != "\\":
            return self._scalar(character, offset)
        letter = self._text[offset + 1 : offset + 2]
        self._offset += 1
        if letter in HEXADECIMAL:
            digits = self._text[offset + 2 : offset + 2 + HEXADECIMAL[letter]]
            if not re.fullmatch(f"[0-9A-Fa-f]{{{HEXADECIMAL[letter]}}}", digits) or int(digits, 16) > 0x10FFFF:
                raise self._error(f"\\{letter} needs {HEXADECIMAL[letter]} hexadecimal digits of a code point", offset)
            self._offset += len(digits)
            return self._scalar(chr(int(digits, 16)), offset)
        if letter in CONTROL:
            return CONTROL[letter]
        if letter in ("", "\n") or letter.isalnum():
            known = r"\n, \r, \t, \xHH, \uHHHH, \UHHHHHHHH"
            raise self._error(f"unknown escape \\{letter.rstrip()}; there are {known}", offset)
        return letter

    def _scalar(self, character: str, offset: int) -> str:
        if "\ud800" <= character <= "\udfff":
            raise self._error("a lone surrogate, which no UTF-8 text has", offset)
        return character

    def _take(self, character: str) -> bool:
        """Step over `character` and blanks if it is next."""
        if not self._text.startswith(character, self._offset):
            return False
        self._offset += 1
        self._skip_blank()
        return True

    def _skip_blank(self) -> None:
        blank = BLANK.match(self._text, self._offset)
        assert blank is not None, "a blank may be empty"
        self._offset = blank.end()

    def _error(self, message: str, offset: int) -> GrammarSyntaxError:
        return GrammarSyntaxError(message, source=self._text, offset=offset)


def _count(digits: str) -> int:
    """The number, or one past the limit: Python reads no numbers of thousands of digits."""
    significant = digits.lstrip("0") or "0"
    return int(significant) if len(significant) <= len(str(REPETITION_LIMIT)) else REPETITION_LIMIT + 1


def _class_language(ranges: Iterable[tuple[str, str]], negated: bool) -> Language:
    """The characters in (or, `negated`, outside) the inclusive ranges."""
    inside = "".join(f"\\U{ord(low):08X}-\\U{ord(high):08X}" for low, high in ranges)
    return pattern_language(f"[{'^' if negated else ''}{inside}]", "python", search=False)
