"""maskforge: properties in any order, formats not asserted, as they are by default."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from bench.engines.engine import Engine, EngineMaker, RefusedSchema, Session, Start
from bench.vocabularies import NamedVocabulary

__all__ = ["ENGINES"]


class MaskForge(Engine):
    def __init__(self, vocabulary: NamedVocabulary) -> None:
        import maskforge

        self._error: type[Exception] = maskforge.MaskforgeError
        # Without its memory of schemas, which would answer for a schema that it has seen; what it keeps of the
        # vocabulary stays.
        self._compiler: Any = maskforge.Compiler(executable_cache_bytes=0)
        given = vocabulary.vocabulary
        (end, *_) = given.stop_token_ids
        self._vocabulary = maskforge.Vocabulary.from_id_ordered_tokens(given.token_bytes, end, given.size)
        self._buffer = bytearray(4 * ((given.size + 31) // 32))
        self.row = np.frombuffer(self._buffer, dtype=np.int32)

    def compile(self, schema: str) -> Start:
        refusal = self._error
        try:
            bound = self._compiler.compile(schema).bind(self._vocabulary)
        except refusal as error:
            raise RefusedSchema(_kind(error), str(error)) from error

        def start() -> Session:
            session = bound.start_session()
            advance = session.advance

            def commit(token: int) -> bool:
                try:
                    advance(token)
                except refusal:
                    return False
                return True

            return Session(partial(session.write_mask, self._buffer), commit, lambda: session.is_accepting)

        return start


def _kind(error: Any) -> str:
    """Its code for the error, and the keyword where it names one."""
    return f"{error.code}: {error.keyword}" if error.keyword else str(error.code)


ENGINES = {"maskforge": EngineMaker("maskforge", "properties in any order; formats are not asserted", MaskForge)}
