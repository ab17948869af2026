"""llguidance through its LLMatcher, with its default options."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np

from bench.engines.engine import Engine, EngineMaker, RefusedSchema, Session, Start
from bench.llguidance_tokenizer import llguidance_tokenizer
from bench.vocabularies import NamedVocabulary

__all__ = ["ENGINES"]

# Its errors are sentences; what follows the first colon or full stop is about one schema, but for lists of keywords.
KIND = re.compile(r'Unimplemented keys: \["[^"]*"|[^:.\n]*')


class LLGuidance(Engine):
    def __init__(self, vocabulary: NamedVocabulary) -> None:
        from llguidance import LLMatcher

        self._matcher_class: Any = LLMatcher
        self._tokenizer = llguidance_tokenizer(vocabulary)
        self.row = np.zeros((vocabulary.vocabulary.size + 31) // 32, dtype=np.int32)

    def compile(self, schema: str) -> Start:
        grammar = self._matcher_class.grammar_from_json_schema(schema)
        compiled = self._matcher_class(self._tokenizer, grammar, log_level=0)
        if error := compiled.get_error():
            raise RefusedSchema(_kind(error), error)

        def start() -> Session:
            matcher = compiled.deep_copy()  # a few microseconds, where compiling once more would be hundreds
            fill = partial(matcher.unsafe_compute_mask_ptr, self.row.ctypes.data, self.row.nbytes)
            return Session(fill, matcher.consume_token, matcher.is_accepting)

        return start


def _kind(error: str) -> str:
    found = KIND.match(error)
    return "error" if found is None else found.group().replace("[", "").strip()


ENGINES = {"llguidance": EngineMaker("llguidance", "default options", LLGuidance)}
