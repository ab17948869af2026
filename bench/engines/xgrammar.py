"""xgrammar, as near to the schema's meaning as its options take it, and with its defaults.

Its option for properties in any order is left out: with it, required properties may be missing.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from bench.engines.engine import Engine, EngineMaker, RefusedSchema, Session, Start
from bench.vocabularies import NamedVocabulary
from tokamask.masking.bitmask import allocate_bitmask

__all__ = ["ENGINES"]

# Its refusals begin with a time and a place in its sources; what follows the first colon or number is one schema's.
KIND = re.compile(r"(?:\[[^\]]*\] [^ ]*: )?([^:\n\d\"]*)")


class XGrammar(Engine):
    """One configuration; `options` are those of its `compile_json_schema`."""

    def __init__(self, vocabulary: NamedVocabulary, options: dict[str, bool]) -> None:
        import xgrammar

        given = vocabulary.vocabulary
        texts = [text or b"" for text in given.token_bytes]
        tokenizer = xgrammar.TokenizerInfo(texts, vocab_size=given.size, stop_token_ids=list(given.stop_token_ids))
        # Its cache would answer for a schema that it has seen, and breaks an assertion of 0.2.8's own on some schemas.
        self._compiler: Any = xgrammar.GrammarCompiler(tokenizer, max_threads=1, cache_enabled=False)
        self._options = options
        self._matcher: Any = xgrammar.GrammarMatcher
        self._bitmask = allocate_bitmask(1, given.size)
        self.row = self._bitmask[0]

    def compile(self, schema: str) -> Start:
        try:
            compiled = self._compiler.compile_json_schema(schema, **self._options)
        except RuntimeError as error:
            raise RefusedSchema(_kind(str(error)), str(error)) from error

        def start() -> Session:
            matcher = self._matcher(compiled)
            fill = partial(matcher.fill_next_token_bitmask, self._bitmask, 0)
            return Session(fill, matcher.accept_token, matcher.is_completed)

        return start


def _kind(error: str) -> str:
    found = KIND.match(error)
    return (found.group(1) if found else "").strip() or "error"


ENGINES = {
    "xgrammar": EngineMaker(
        "xgrammar",
        "strict_mode=False, so that properties which a schema does not name are allowed; any white space; declared "
        "order; its cache off",
        partial(XGrammar, options={"strict_mode": False}),
    ),
    "xgrammar-strict": EngineMaker(
        "xgrammar",
        "strict_mode=True and any_whitespace=False, its fastest: no properties but those that a schema names; declared "
        "order; its cache off",
        partial(XGrammar, options={"strict_mode": True, "any_whitespace": False}),
    ),
}
