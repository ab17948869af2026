"""Whether a value is valid, by two validators that know nothing of each other: `jsonschema` and `jsonschema-rs`.

Both are asked about exact numbers: the one computes with fractions, the other reads decimals.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from types import FrameType
from typing import Any

import jsonschema
import jsonschema_rs

from tests.grammar.json_schema.fuzzing.schemas import keys

__all__ = ["Oracles"]

_DOUBLE_DIGITS = 15
_PATIENCE = 20.0
"""Seconds: `jsonschema` matches patterns with `re`, which can take for ever."""

_PYTHON: Mapping[str, Any] = {
    "4": jsonschema.Draft4Validator,
    "6": jsonschema.Draft6Validator,
    "7": jsonschema.Draft7Validator,
    "2019-09": jsonschema.Draft201909Validator,
    "2020-12": jsonschema.Draft202012Validator,
}
_RUST: Mapping[str, Any] = {
    "4": jsonschema_rs.Draft4Validator,
    "6": jsonschema_rs.Draft6Validator,
    "7": jsonschema_rs.Draft7Validator,
    "2019-09": jsonschema_rs.Draft201909Validator,
    "2020-12": jsonschema_rs.Draft202012Validator,
}


def _computable(value: Any) -> Any:
    """A JSON value or schema with fractions for decimals."""
    match value:
        case Decimal():
            exact = Fraction(value)
            return exact.numerator if exact.denominator == 1 else exact
        case list():
            return [_computable(item) for item in value]
        case dict():
            return {name: _computable(item) for name, item in value.items()}
    return value


def _for_jsonschema(schema: Any) -> Any:
    """The same schema without booleans for `items` beside `additionalItems`, which `jsonschema` takes for lists."""
    match schema:
        case {"items": bool(is_anything), "additionalItems": _, **rest}:
            return _for_jsonschema({**rest, "items": {} if is_anything else {"not": {}}})
        case dict():
            return {name: _for_jsonschema(item) for name, item in schema.items()}
        case list():
            return [_for_jsonschema(item) for item in schema]
    return schema


def _has_long_number(value: Any) -> bool:
    match value:
        case list():
            return any(map(_has_long_number, value))
        case dict():
            return any(map(_has_long_number, value.values()))
        case Decimal():
            return len(value.as_tuple().digits) > _DOUBLE_DIGITS
    return False


@contextlib.contextmanager
def _with_patience() -> Iterator[None]:
    """TimeoutError inside after a while, where there are signals."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Oracles:
    """Both validators of one schema, formats asserted. They agree, but for what each is known to get wrong:

    - `jsonschema`, draft 2019-09: `unevaluatedProperties` takes the keywords of a schema under `additionalProperties`
      for names that it evaluates. So with `unevaluated` keywords of that draft only the other one is asked.
    - `jsonschema` ignores `dependencies` from 2019-09 on, when it became deprecated; the optional tests of the official
      suite expect it to be enforced.
    - both, draft 2019-09: `contains` evaluates items. It does so from 2020-12 on (core, section 11.2); in 2019-09 only
      `items`, `additionalItems` and `unevaluatedItems` do (core, section 9.3.1.3).
    - `jsonschema-rs`: `multipleOf` computes with doubles.
    """

    def __init__(self, draft: str, schema: Any) -> None:
        keywords = set(keys(schema))
        unevaluated = keywords & {"unevaluatedItems", "unevaluatedProperties"}
        is_deprecated = draft in ("2019-09", "2020-12") and "dependencies" in keywords
        self._trusts_python = not is_deprecated and not (draft == "2019-09" and unevaluated)
        self._trusts_any = not (draft == "2019-09" and keywords >= {"contains", "unevaluatedItems"})
        self._has_multiples = "multipleOf" in keywords
        self._python = _PYTHON[draft](_for_jsonschema(_computable(schema)), format_checker=jsonschema.FormatChecker())
        self._rust = _RUST[draft](schema, validate_formats=True)

    def verdicts(self, value: Any) -> frozenset[bool]:
        """What the trusted ones say: one answer; two if they differ, none if none can be trusted here."""
        answers = []
        if self._trusts_any and self._trusts_python:
            with contextlib.suppress(TimeoutError), _with_patience():
                answers.append(bool(self._python.is_valid(_computable(value))))
        if self._trusts_any and not (self._has_multiples and _has_long_number(value)):
            answers.append(bool(self._rust.is_valid(value)))
        return frozenset(answers)
