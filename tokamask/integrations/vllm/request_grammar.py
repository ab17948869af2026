"""One request's place in its grammar, in the form in which vLLM's engine asks about it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import takewhile

import numpy as np
import numpy.typing as npt
import torch
from vllm.v1.structured_output.backend_types import StructuredOutputGrammar

from tokamask.errors import CompileBudgetExceeded, TokenRejected
from tokamask.masking.bitmask import set_tokens
from tokamask.masking.matcher import Matcher

__all__ = ["RequestGrammar"]

logger = logging.getLogger(__name__)


class RequestGrammar(StructuredOutputGrammar):  # type: ignore[misc]  # vLLM need not be installed
    """A matcher that does what vLLM expects of one after the end, and that never raises into the engine's loop.

    vLLM shows a request every token it generates, in blocks. Those after the stop token count for nothing but
    `rollback`. An engine does not survive an exception while masks are filled; so a grammar that outgrows its memory
    there lets the request go on to a stop token and refuses that, which ends this request with an error and no other.
    """

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._ignored = 0  # tokens that came after the end
        self._failure: CompileBudgetExceeded | None = None
        self._tensor: torch.Tensor | None = None
        self._bitmask: npt.NDArray[np.int32] | None = None

    def accept_tokens(self, request_id: str, tokens: Sequence[int]) -> bool:
        """Advance by all of the tokens; False and nothing changed if one cannot follow."""
        if self._failure is not None:
            return False
        for taken, token in enumerate(tokens):
            if self._matcher.is_terminated:
                self._ignored += 1
                continue
            try:
                self._matcher.accept_token(token)
            except (TokenRejected, CompileBudgetExceeded) as error:
                logger.warning("request %s ends with an error: %s", request_id, error)
                self._matcher.rollback(taken)
                return False
        return True

    def validate_tokens(self, tokens: Sequence[int]) -> list[int]:
        """The longest prefix of drafted tokens that can follow, up to the stop token; the state does not change."""
        if self._failure is not None or self._matcher.is_terminated:
            return []
        try:
            valid = tokens[: self._matcher.count_accepted(tokens)]
        except CompileBudgetExceeded as error:
            self._fail(error)
            return []
        stops = self._matcher.stop_token_ids
        text = list(takewhile(lambda token: token not in stops, valid))
        return list(valid[: len(text) + 1])

    def rollback(self, num_tokens: int) -> None:
        """Undo the last tokens, those after the end included.

        Raises:
            RollbackTooFar: fewer were accepted.
        """
        ignored = min(num_tokens, self._ignored)
        self._matcher.rollback(num_tokens - ignored)
        self._ignored -= ignored

    def fill_bitmask(self, bitmask: torch.Tensor, batch_index: int) -> None:
        """Write the allowed tokens to a row of the engine's bitmask, int32 (rows, words): all, after the end."""
        if self._bitmask is None or bitmask is not self._tensor:
            self._tensor, self._bitmask = bitmask, bitmask.numpy()
        if self._matcher.is_terminated:
            self._bitmask[batch_index] = -1
            return
        if self._failure is None:
            try:
                self._matcher.fill_bitmask(self._bitmask, batch_index)
            except CompileBudgetExceeded as error:
                self._fail(error)
        if self._failure is not None:
            self._bitmask[batch_index] = 0
            set_tokens(self._bitmask[batch_index], self._matcher.stop_token_ids)

    def is_terminated(self) -> bool:
        return self._matcher.is_terminated

    def reset(self) -> None:
        self._matcher.reset()
        self._ignored = 0

    def _fail(self, error: CompileBudgetExceeded) -> None:
        logger.warning("a request cannot be masked any further and will end with an error: %s", error)
        self._failure = error
