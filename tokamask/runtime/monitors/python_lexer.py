"""A lexer for Python that reads bytes one at a time and can stop anywhere: where is code, and where a dereference?

It knows just enough of Python's lexical analysis (docs.python.org/3/reference/lexical_analysis.html) to tell the dot of
`receiver.name` from every other dot: those of comments, strings, numbers, `...` and import statements. Its states are
values.

It is not a parser, and reads code that is broken or unfinished like any other. Where it cannot be sure it sees no
dereference: the replacement fields of f-strings are followed to their end (PEP 701), but no dot in them counts.
"""

from __future__ import annotations

import enum
import keyword
from typing import NamedTuple

__all__ = ["IDENTIFIER_BYTES", "Lexer", "Mode", "Preceding", "closing_brackets", "read", "step", "unmatched_closers"]

IDENTIFIER_BYTES = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_" + bytes(range(0x80, 0x100))
)
"""What an identifier goes on with. Beyond ASCII, letters are not told from other characters."""

_QUOTES = frozenset(b"\"'")
_BLANKS = frozenset(b" \t\f\r")
_OPENERS = frozenset(b"([{")
_OPENER_OF = dict(zip(b")]}", b"([{", strict=True))
_CLOSER_OF = dict(zip(b"([{", b")]}", strict=True))
_DOT, _NEWLINE, _BACKSLASH, _OPEN_BRACE, _CLOSE_BRACE = b".\n\\{}"

_FORMATTED_PREFIXES = frozenset({b"f", b"fr", b"rf", b"t", b"tr", b"rt"})
_STRING_PREFIXES = _FORMATTED_PREFIXES | {b"r", b"u", b"b", b"br", b"rb"}
_IMPORT_WORDS = frozenset({b"from", b"import"})
# An expression can end with None, True and False, and with no other keyword; nor with less than the dots of `...`.
_OPERATOR_WORDS = frozenset({*(word.encode() for word in keyword.kwlist), b".", b".."}) - {b"None", b"True", b"False"}


class Mode(enum.IntEnum):
    """What the next byte is part of."""

    CODE = 0
    BACKSLASH = 1
    """Code, after a backslash."""
    COMMENT = 2
    FIRST_QUOTE = 3
    """One quote was read: it opens a string, or is the first of two or three."""
    SECOND_QUOTE = 4
    """Two were: the empty string, unless a third follows."""
    STRING = 5
    ESCAPE = 6
    """A string, after a backslash. Raw strings too: there as well, a quote after a backslash does not end it."""
    ONE_OF_THREE = 7
    """A triple-quoted string, after a quote that may be the first of the three that end it."""
    TWO_OF_THREE = 8
    BRACE = 9
    """The text of an f-string, after a brace that opens a replacement field unless a second one follows."""


class Preceding(enum.IntEnum):
    """What stands before the next byte of code, blanks left out."""

    STATEMENT = 0
    """Nothing: a statement begins."""
    OPERATOR = 1
    OPERAND = 2
    """An expression can end there, so a dot is a dereference."""
    DOT = 3
    """The dot of a dereference, and not even a blank after it."""


class _Field(NamedTuple):
    """How the f-string around a replacement field goes on after it."""

    quote: bytes
    is_specification: bool
    brackets: bytes


class Lexer(NamedTuple):
    """The state of the lexer; `Lexer()` stands at the beginning of a file.

    Attributes:
        word: the identifier, keyword or number under way.
        is_import: in an import statement.
        brackets: the open brackets, innermost last; within a replacement field those that were opened in it.
        quote: what ends the string: one quote or three.
        is_formatted: the string is an f-string.
        is_specification: in its format specification, where a closing brace ends the replacement field.
        fields: the replacement fields around, innermost last.
    """

    mode: Mode = Mode.CODE
    word: bytes = b""
    preceding: Preceding = Preceding.STATEMENT
    is_import: bool = False
    brackets: bytes = b""
    quote: bytes = b""
    is_formatted: bool = False
    is_specification: bool = False
    fields: tuple[_Field, ...] = ()

    @property
    def is_after_dot(self) -> bool:
        """The last byte was the dot of a dereference."""
        return self.preceding is Preceding.DOT and not self.word


def step(lexer: Lexer, byte: int) -> Lexer:
    """The state after one more byte."""
    return _READERS[lexer.mode](lexer, byte)


def read(lexer: Lexer, data: bytes) -> Lexer:
    """The state after some bytes."""
    for byte in data:
        lexer = _READERS[lexer.mode](lexer, byte)
    return lexer


def closing_brackets(brackets: bytes) -> bytes:
    """What closes some open brackets."""
    return bytes(_CLOSER_OF[bracket] for bracket in reversed(brackets))


def unmatched_closers(text: bytes) -> bytes:
    """The brackets that close what was opened before a text."""
    lexer, unmatched = Lexer(preceding=Preceding.OPERAND), []
    for byte in text:
        after = step(lexer, byte)
        is_closer = lexer.mode is Mode.CODE and not lexer.fields and byte in _OPENER_OF
        if is_closer and after.brackets == lexer.brackets:
            unmatched.append(byte)
        lexer = after
    return bytes(unmatched)


def _code(lexer: Lexer, byte: int) -> Lexer:
    if byte in IDENTIFIER_BYTES or (byte == _DOT and _goes_on_with_dot(lexer.word)):
        return lexer._replace(word=lexer.word + bytes((byte,)))
    if byte in _QUOTES:
        prefix = lexer.word.lower()
        if prefix not in _STRING_PREFIXES:
            lexer = _after_word(lexer)
        return lexer._replace(
            mode=Mode.FIRST_QUOTE,
            word=b"",
            preceding=Preceding.OPERATOR,
            quote=bytes((byte,)),
            is_formatted=prefix in _FORMATTED_PREFIXES,
            is_specification=False,
        )
    lexer = _after_word(lexer)
    if byte == _DOT:
        return _dot(lexer)
    if byte in _BLANKS:
        return _after_blank(lexer)
    if byte == _NEWLINE:
        return _after_blank(lexer) if lexer.brackets or lexer.fields else _new_statement(lexer)
    if byte == ord("#"):
        return _after_blank(lexer)._replace(mode=Mode.COMMENT)
    if byte == _BACKSLASH:
        return _after_blank(lexer)._replace(mode=Mode.BACKSLASH)
    if byte in _OPENERS:
        return lexer._replace(preceding=Preceding.OPERATOR, brackets=lexer.brackets + bytes((byte,)))
    if byte in _OPENER_OF:
        return _closing_bracket(lexer, byte)
    if byte in b":;" and not lexer.brackets:
        if not lexer.fields:
            return _new_statement(lexer)
        if byte == ord(":"):
            return lexer._replace(
                mode=Mode.STRING, quote=lexer.fields[-1].quote, is_formatted=True, is_specification=True
            )
    return lexer._replace(preceding=Preceding.OPERATOR)


def _goes_on_with_dot(word: bytes) -> bool:
    """Whether a dot belongs to the word: `1.`, and the `.` and `..` of an ellipsis."""
    return word in (b".", b"..") or (word[:1].isdigit() and word.replace(b"_", b"").isdigit())


def _after_word(lexer: Lexer) -> Lexer:
    """The state where a word has ended; the same where none was under way."""
    if not lexer.word:
        return lexer
    if lexer.preceding is not Preceding.DOT and lexer.word in _OPERATOR_WORDS:
        begins_import = lexer.preceding is Preceding.STATEMENT and lexer.word in _IMPORT_WORDS
        return lexer._replace(word=b"", preceding=Preceding.OPERATOR, is_import=lexer.is_import or begins_import)
    return lexer._replace(word=b"", preceding=Preceding.OPERAND)


def _after_blank(lexer: Lexer) -> Lexer:
    """Nothing changes, but that a name no longer follows the dot immediately."""
    return lexer._replace(preceding=Preceding.OPERATOR) if lexer.preceding is Preceding.DOT else lexer


def _new_statement(lexer: Lexer) -> Lexer:
    return lexer._replace(preceding=Preceding.STATEMENT, is_import=False)


def _dot(lexer: Lexer) -> Lexer:
    if lexer.preceding is not Preceding.OPERAND:
        return lexer._replace(word=b".", preceding=Preceding.OPERATOR)
    counts = not (lexer.is_import or lexer.fields)
    return lexer._replace(preceding=Preceding.DOT if counts else Preceding.OPERATOR)


def _closing_bracket(lexer: Lexer, byte: int) -> Lexer:
    if byte == _CLOSE_BRACE and lexer.fields and not lexer.brackets:
        return _after_field(lexer)
    # A bracket that closes nothing is ignored, as if it had not been written.
    matches = lexer.brackets[-1:] == bytes((_OPENER_OF[byte],))
    return lexer._replace(preceding=Preceding.OPERAND, brackets=lexer.brackets[:-1] if matches else lexer.brackets)


def _after_field(lexer: Lexer) -> Lexer:
    """Back in the text of the f-string around the innermost field."""
    field = lexer.fields[-1]
    return lexer._replace(
        mode=Mode.STRING,
        quote=field.quote,
        is_formatted=True,
        is_specification=field.is_specification,
        brackets=field.brackets,
        fields=lexer.fields[:-1],
    )


def _backslash(lexer: Lexer, byte: int) -> Lexer:
    if byte == ord("\r"):
        return lexer
    lexer = lexer._replace(mode=Mode.CODE)
    return lexer if byte == _NEWLINE else _code(lexer, byte)


def _comment(lexer: Lexer, byte: int) -> Lexer:
    return _code(lexer._replace(mode=Mode.CODE), byte) if byte == _NEWLINE else lexer


def _first_quote(lexer: Lexer, byte: int) -> Lexer:
    if byte == lexer.quote[0]:
        return lexer._replace(mode=Mode.SECOND_QUOTE)
    return _string(lexer._replace(mode=Mode.STRING), byte)


def _second_quote(lexer: Lexer, byte: int) -> Lexer:
    if byte == lexer.quote[0]:
        return lexer._replace(mode=Mode.STRING, quote=3 * lexer.quote)
    return _code(_after_string(lexer), byte)


def _string(lexer: Lexer, byte: int) -> Lexer:
    if byte == lexer.quote[0]:
        return _after_string(lexer) if len(lexer.quote) == 1 else lexer._replace(mode=Mode.ONE_OF_THREE)
    if byte == _NEWLINE and len(lexer.quote) == 1:  # nobody closed it
        return _code(_after_string(lexer), byte)
    if byte == _BACKSLASH:
        return lexer._replace(mode=Mode.ESCAPE)
    if byte == _OPEN_BRACE and lexer.is_formatted:
        return lexer._replace(mode=Mode.BRACE)
    if byte == _CLOSE_BRACE and lexer.is_specification:
        return _after_field(lexer)
    return lexer._replace(mode=Mode.STRING)


def _after_string(lexer: Lexer) -> Lexer:
    while lexer.is_specification:  # the string ends in the middle of its fields
        lexer = _after_field(lexer)
    return lexer._replace(mode=Mode.CODE, preceding=Preceding.OPERAND, quote=b"", is_formatted=False)


def _escape(lexer: Lexer, byte: int) -> Lexer:
    # A backslash does not keep a brace from opening a field.
    opens = byte == _OPEN_BRACE and lexer.is_formatted
    return lexer._replace(mode=Mode.BRACE if opens else Mode.STRING)


def _one_of_three(lexer: Lexer, byte: int) -> Lexer:
    return lexer._replace(mode=Mode.TWO_OF_THREE) if byte == lexer.quote[0] else _string(lexer, byte)


def _two_of_three(lexer: Lexer, byte: int) -> Lexer:
    return _after_string(lexer) if byte == lexer.quote[0] else _string(lexer, byte)


def _brace(lexer: Lexer, byte: int) -> Lexer:
    if byte == _OPEN_BRACE and not lexer.is_specification:
        return lexer._replace(mode=Mode.STRING)
    field = _Field(lexer.quote, lexer.is_specification, lexer.brackets)
    inside = lexer._replace(
        mode=Mode.CODE,
        preceding=Preceding.OPERATOR,
        brackets=b"",
        quote=b"",
        is_formatted=False,
        is_specification=False,
        fields=(*lexer.fields, field),
    )
    return _code(inside, byte)


_READERS = (
    _code,
    _backslash,
    _comment,
    _first_quote,
    _second_quote,
    _string,
    _escape,
    _one_of_three,
    _two_of_three,
    _brace,
)
"""By mode."""
