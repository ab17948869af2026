"""The dialect of JSON Schema: ECMA-262 regular expressions with the u flag (section 22.2.1).

Lenient where Annex B is and schemas in use rely on it: a lone {, } or ], and escaped punctuation that needs no escape.
"""

from __future__ import annotations

from dataclasses import replace

from tokamask.grammar.regular_expression.character_classes import (
    ASCII_DIGITS,
    ASCII_WORD,
    ECMA_SPACE,
    LINE_TERMINATORS,
    binary_property,
    category,
)
from tokamask.grammar.regular_expression.code_points import ANY, CodePoints, complement
from tokamask.grammar.regular_expression.reader import (
    COUNT_DIGITS,
    DECIMAL,
    FLAG_NAMES,
    HEXADECIMAL,
    Bounds,
    Reader,
    no_word_boundary,
    word_boundary,
)
from tokamask.grammar.regular_expression.syntax import TEXT_END, TEXT_START, Characters, Neighbour, Node

_CLASSES = {"d": ASCII_DIGITS, "w": ASCII_WORD, "s": ECMA_SPACE}
_CONTROLS = {"f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09, "v": 0x0B}
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class EcmaReader(Reader):
    def counts(self) -> Bounds | None:
        low = self.take_number()
        if low is None:
            return None
        if self.take("}"):
            return Bounds(low, low)
        if not self.take(","):
            return None
        high = self.take_number()
        return Bounds(low, high) if self.take("}") else None

    def quantifier_suffix(self) -> None:
        self.take("?")

    def any_character(self) -> CodePoints:
        return ANY if self.flags.dot_all else complement(LINE_TERMINATORS)

    def line_start(self) -> Node:
        return Neighbour(True, LINE_TERMINATORS, True) if self.flags.multi_line else TEXT_START

    def line_end(self) -> Node:
        return Neighbour(False, LINE_TERMINATORS, True) if self.flags.multi_line else TEXT_END

    def escape(self) -> Node:
        start = self.offset - 1
        if self.take("b"):
            return word_boundary(ASCII_WORD)
        if self.take("B"):
            return no_word_boundary(ASCII_WORD)
        if self.next and self.next in "123456789":
            return self.reference(int(self.take_while(DECIMAL, COUNT_DIGITS)), start)
        if self.take("k"):
            if not self.take("<"):
                self.fail(r"\k needs the name of a group in angle brackets", start)
            return self.reference(self.take_until(">", r"\k<"), start)
        item = self.either_escape(start)
        return self.literal(item) if isinstance(item, int) else Characters(item)

    def class_escape(self) -> int | CodePoints:
        start = self.offset - 1
        return 0x08 if self.take("b") else self.either_escape(start)

    def either_escape(self, start: int) -> int | CodePoints:
        """An escape that means the same inside and outside of classes."""
        letter = self.next
        if not letter:
            self.fail("a \\ at the end", start)
        self.offset += 1
        if letter.lower() in _CLASSES:
            code_points = _CLASSES[letter.lower()]
            return code_points if letter.islower() else complement(code_points)
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        match letter:
            case "p" | "P":
                code_points = self.property(start)
                return code_points if letter == "p" else complement(code_points)
            case "c":
                if not self.next or self.next not in _LETTERS:
                    self.fail(r"\c needs a letter", start)
                self.offset += 1
                return ord(self.source[self.offset - 1]) % 32
            case "x":
                return self.hexadecimal(2, r"\x")
            case "u":
                return self.unicode_escape(start)
            case "0":
                if self.next and self.next in DECIMAL:
                    self.fail("an octal escape; write \\xHH", start)
                return 0
        if letter in _LETTERS or letter in DECIMAL:
            self.fail(f"\\{letter} has no meaning in ECMA-262", start)
        return ord(letter)

    def unicode_escape(self, start: int) -> int:
        r"""\uXXXX, two of them for a surrogate pair, or \u{X...}; behind the u."""
        if self.take("{"):
            digits = self.take_while(HEXADECIMAL, len(self.source))
            if not digits or not self.take("}") or int(digits, 16) > 0x10FFFF:
                self.fail(r"\u{...} needs the hexadecimal number of a code point", start)
            return int(digits, 16)
        unit = self.hexadecimal(4, r"\u")
        place = self.offset
        if 0xD800 <= unit < 0xDC00 and self.take("\\u"):
            digits = self.take_while(HEXADECIMAL, 4)
            if len(digits) == 4 and 0xDC00 <= int(digits, 16) < 0xE000:
                return 0x10000 + (unit - 0xD800 << 10) + int(digits, 16) - 0xDC00
            self.offset = place
        return unit

    def property(self, start: int) -> CodePoints:
        r"""What stands in the braces of \p{...}: a General_Category or a binary property."""
        if not self.take("{"):
            self.fail(r"\p needs a property in braces", start)
        name, _, value = self.take_until("}", r"\p{").partition("=")
        if name in ("Script", "sc", "Script_Extensions", "scx"):
            self.refuse(f"the property {name}={value}", start)
        if value and name not in ("General_Category", "gc"):
            self.fail(f"there is no property {name}", start)
        code_points = category(value or name)
        if code_points is None and not value:
            code_points = binary_property(name)
        if code_points is None:
            self.refuse(f"the property {value or name}", start)
        return code_points

    def closes_class(self, first: bool) -> bool:
        return self.take("]")

    def class_as_range_end(self, place: int) -> None:
        """Annex B reads the hyphen as itself: [\\w-.] is in wide use. Not so where it would be a set operation."""
        if "--" in self.source[place : self.offset]:
            self.refuse("a difference of classes", place)

    def class_item(self, start: int) -> int | CodePoints:
        if self.source.startswith(("&&[", "&&\\"), self.offset):
            self.refuse("an intersection of classes", self.offset)
        return super().class_item(start)

    def group(self, start: int) -> Node:
        if self.take("?="):
            return self.look(start, behind=False, negative=False)
        if self.take("?!"):
            return self.look(start, behind=False, negative=True)
        if self.take("?<="):
            return self.look(start, behind=True, negative=False)
        if self.take("?<!"):
            return self.look(start, behind=True, negative=True)
        if self.take("?<"):
            name = self.take_until(">", "the name of a group")
            if not name.replace("$", "_").isidentifier():
                self.fail(f"{name!r} is not the name of a group", start)
            return self.captured(start, name)
        if not self.take("?"):
            return self.captured(start)
        if not self.take(":"):
            self.modifiers(start)
        node = self.alternation()
        self.close(start)
        return node

    def modifiers(self, start: int) -> None:
        """(?ims-ims: ...): flags for one group."""
        on = self.take_while("ims", 3)
        off = self.take_while("ims", 3) if self.take("-") else ""
        if not (on or off) or not self.take(":") or len(set(on + off)) < len(on + off):
            self.fail("(? must go on with one of : = ! <= <! <name>", start)
        if "i" in on:
            self.refuse("(?i:...)", start)
        self.flags = replace(self.flags, **{FLAG_NAMES[flag]: flag in on for flag in on + off})
