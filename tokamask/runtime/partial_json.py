"""The part of a JSON value that is certain while its text is still being written."""

from __future__ import annotations

import re
from typing import Any

from pydantic_core import from_json

__all__ = ["partial_json"]

_NUMBER_AT_END = re.compile(r"[0-9][0-9+\-.eE]*\Z")  # it may still grow, so it is not complete


def partial_json(text: str) -> Any:
    """The complete members of an unfinished JSON text; None while there is none.

    A string, number or literal appears when it is complete, a key together with its value, an array or object with its
    complete members so far. What was shown once therefore never changes: later values only hold more.
    """
    # (Cutting inside a string loses nothing: an unfinished string is left out anyway.)
    certain = _NUMBER_AT_END.sub("", text)
    try:
        return from_json(certain, allow_partial=True)
    except ValueError:  # nothing but whitespace, or an unfinished scalar
        return None
