"""glrmask, in both ways it has to find masks.

White space and the order of properties are fixed and formats are ignored; it has no options for them.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np

from bench.engines.engine import Engine, EngineMaker, RefusedSchema, Session, Start
from bench.vocabularies import NamedVocabulary

__all__ = ["ENGINES"]

# Its refusals are "kind of error: pointer into the schema: what is not supported: details".
KIND = re.compile(r"(?:[a-z ]+ error: )?(?:#[^:]*: )?([^:;]*(?:: [^:;]*)?)")


class GLRMask(Engine):
    """One configuration; `strategy` is the name of a `glrmask.MaskStrategy`."""

    def __init__(self, vocabulary: NamedVocabulary, strategy: str) -> None:
        import glrmask

        self._glrmask: Any = glrmask
        self._strategy = getattr(glrmask.MaskStrategy, strategy)
        texts = vocabulary.vocabulary.token_bytes
        self._vocabulary = glrmask.Vocab.from_id_to_bytes({token: text for token, text in enumerate(texts) if text})
        (self._stop_token, *_) = vocabulary.vocabulary.stop_token_ids
        self._stop = glrmask.TokenSet(vocabulary.vocabulary.stop_token_ids)
        self.row = np.zeros((vocabulary.vocabulary.size + 31) // 32, dtype=np.int32)

    def compile(self, schema: str) -> Start:
        glrmask = self._glrmask
        try:
            document = glrmask.Grammar.from_json_schema(schema)
            # Left to itself it never allows a stop token; put behind the document it costs nothing that we could see.
            grammar = glrmask.Grammar.from_expr(glrmask.Expr.sequence(document, self._stop))
            constraint = grammar.compile(self._vocabulary, mask_strategy=self._strategy)
        except ValueError as error:
            raise RefusedSchema(_kind(str(error)), str(error)) from error

        def start() -> Session:
            state = constraint.start()
            return Session(
                partial(state.fill_mask, self.row),
                state.commit_token,
                lambda: state.copy().commit_token(self._stop_token),
            )

        return start


def _kind(error: str) -> str:
    found = KIND.match(error)
    return (found.group(1) if found else "").strip() or "error"


ENGINES = {
    "glrmask": EngineMaker(
        "glrmask", "its default strategy, made for fast masks; declared order", partial(GLRMask, strategy="AUTO")
    ),
    "glrmask-trie": EngineMaker(
        "glrmask", "its strategy made for fast compiling; declared order", partial(GLRMask, strategy="TOKEN_TRIE")
    ),
}
