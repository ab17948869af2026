"""Ways to spell a JSON value with numbers in exact decimals: blanks, the order of keys, escapes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from typing import Any

__all__ = ["Spelling", "contorted_spelling", "plain", "random_spelling"]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _decimal(number: float | Decimal) -> str:
    return str(number) if isinstance(number, int) else format(number, "f")


@dataclass(frozen=True)
class Spelling:
    """How to write a value: the separators, the order of keys, strings, numbers."""

    comma: str = ","
    colon: str = ":"
    order: Callable[[list[Any]], list[Any]] = list
    quote: Callable[[str], str] = _quoted
    number: Callable[[Any], str] = _decimal

    def text(self, value: Any) -> str:
        match value:
            case None | bool():
                return json.dumps(value)
            case str():
                return self.quote(value)
            case list():
                return "[" + self.comma.join(map(self.text, value)) + "]"
            case dict():
                members = [self.quote(name) + self.colon + self.text(item) for name, item in value.items()]
                return "{" + self.comma.join(self.order(members)) + "}"
            case _:
                return self.number(value)


def plain(value: Any) -> str:
    """A value as compact text."""
    return Spelling().text(value)


def random_spelling(generator: random.Random) -> Spelling:
    """Some spelling that a grammar takes by default, in any order of keys."""

    def shuffled(members: list[Any]) -> list[Any]:
        return generator.sample(members, len(members))

    def escaped(text: str) -> str:
        return '"' + "".join(generator.choice(_character(character)) for character in text) + '"'

    def padded(number: float | Decimal) -> str:
        # Integers are written without a fraction.
        return _decimal(number) + ("0" * generator.randrange(3) if isinstance(number, Decimal) else "")

    comma = generator.choice((",", ", ", ",\n", ",\n  "))
    colon = generator.choice((":", ": "))
    return Spelling(comma, colon, shuffled, escaped, padded)


def contorted_spelling(generator: random.Random) -> Spelling:
    """Some spelling of RFC 8259 that a grammar may not take by default: an invalid value is invalid in it, too."""

    def shifted(number: float | Decimal) -> str:
        exponent = generator.choice((-2, -1, 0, 1, 2))
        with localcontext(prec=100):
            text = _decimal(Decimal(number).scaleb(-exponent))
        return text + ("0" if "." in text else ".0") + generator.choice((f"e{exponent}", f"E{exponent:+03}"))

    return replace(random_spelling(generator), number=shifted)


def _character(character: str) -> list[str]:
    """Itself or its short escape, and escapes of its UTF-16 in both cases."""
    data = character.encode("utf-16-be")
    units = [data[at : at + 2].hex() for at in range(0, len(data), 2)]
    ways = [json.dumps(character, ensure_ascii=False)[1:-1], json.dumps(character)[1:-1]]
    ways += ["".join(f"\\u{unit}" for unit in units), "".join(f"\\u{unit.upper()}" for unit in units)]
    return [*ways, "\\/"] if character == "/" else ways
