"""outlines-core: a schema becomes one regular expression, and that an index of every state's tokens."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Any

import numpy as np

from bench.engines.engine import Engine, EngineMaker, RefusedSchema, Session, Start
from bench.vocabularies import NamedVocabulary

__all__ = ["ENGINES"]


class OutlinesCore(Engine):
    toys = 1

    def __init__(self, vocabulary: NamedVocabulary) -> None:
        import outlines_core
        from outlines_core.json_schema import build_regex_from_schema

        self._outlines_core: Any = outlines_core
        self._pattern: Any = build_regex_from_schema
        tokens: defaultdict[bytes, list[int]] = defaultdict(list)
        for token, text in enumerate(vocabulary.vocabulary.token_bytes):
            if text:
                tokens[text].append(token)
        (end, *_) = vocabulary.vocabulary.stop_token_ids
        self._vocabulary = outlines_core.Vocabulary(end, dict(tokens))
        self.row = np.zeros((vocabulary.vocabulary.size + 31) // 32, dtype=np.int32)

    def compile(self, schema: str) -> Start:
        try:
            index = self._outlines_core.Index(self._pattern(schema), self._vocabulary)
        except ValueError as error:
            raise RefusedSchema(_kind(str(error)), str(error)) from error

        def start() -> Session:
            guide = self._outlines_core.Guide(index)
            row = self.row

            def commit(token: int) -> bool:
                try:
                    guide.advance(token, return_tokens=False)
                except ValueError:
                    return False
                return True

            fill = partial(guide.write_mask_into, row.ctypes.data, row.size, row.itemsize)
            return Session(fill, commit, guide.is_finished)

        return start


def _kind(error: str) -> str:
    """The beginning of its sentence; the rest is one schema's."""
    return " ".join(error.partition("{")[0].split()[:6])


ENGINES = {
    "outlines-core": EngineMaker(
        "outlines_core", "default options: at most one blank between tokens; declared order", OutlinesCore
    )
}
