"""What became of each keyword of a schema."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class KeywordStatus(Enum):
    ENFORCED = "enforced"
    ANNOTATION = "annotation"
    REFUSED = "refused"


class KeywordReport(NamedTuple):
    """One place of one keyword. `pointer` is the JSON pointer of the keyword itself ("#/properties/a/minLength")."""

    pointer: str
    keyword: str
    status: KeywordStatus
    reason: str = ""


class Refusal(NamedTuple):
    """A keyword that is known but cannot be enforced exactly; a compile that needs it fails."""

    pointer: str
    keyword: str
    reason: str

    @property
    def message(self) -> str:
        return f"{self.keyword} is not supported here: {self.reason}"
