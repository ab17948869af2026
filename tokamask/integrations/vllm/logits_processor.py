"""A logits processor for vLLM, whose documents end within `max_tokens`.

`LLM(logits_processors=["tokamask.integrations.vllm:GrammarLogitsProcessor"])`, or the same as `--logits-processors`.
vLLM hands requests' parameters to its processors, so here, unlike in a backend, the budget of tokens is known.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from tokamask.errors import CompileBudgetExceeded, TokenRejected
from tokamask.integrations.vllm.constraints import read_extra_arguments
from tokamask.integrations.vllm.vocabulary import engine_compiler
from tokamask.masking.bitmask import allocate_bitmask, unpack_row
from tokamask.masking.matcher import Matcher

__all__ = ["GrammarLogitsProcessor"]

logger = logging.getLogger(__name__)


class GrammarLogitsProcessor(AdapterLogitsProcessor):  # type: ignore[misc]  # vLLM need not be installed
    """Sets the logits of tokens to -inf that a request's constraint does not allow.

    A request brings its constraint in `SamplingParams.extra_args`, over HTTP in `vllm_xargs`: one of
    `tokamask_schema` (JSON text, or a dict where Python is spoken), `tokamask_regex`, `tokamask_grammar` (Lark or GBNF)
    and `tokamask_choices`. Requests without one are left alone.
    """

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        super().__init__(vllm_config, device, is_pin_memory)
        from vllm.tokenizers import cached_tokenizer_from_config

        model = vllm_config.model_config
        self._compiler = engine_compiler(cached_tokenizer_from_config(model), model.get_vocab_size())

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """vLLM's front end asks this of every request, and answers with what it raises; over HTTP with status 400.

        Raises:
            ValueError: a constraint that cannot be compiled, or several.
        """
        read_extra_arguments(sampling_params.extra_args)

    def is_argmax_invariant(self) -> bool:
        return False

    def new_req_logits_processor(self, params: Any) -> Callable[[list[int], torch.Tensor], torch.Tensor] | None:
        """What masks the logits of one request; None for those without a constraint."""
        grammar = read_extra_arguments(params.extra_args)
        if grammar is None:
            return None
        stops = sorted(token for token in params.all_stop_token_ids if token < self._compiler.vocabulary.size)
        try:
            return _RequestProcessor(self._compiler.compile(grammar).matcher(stops), params.max_tokens)
        except (TokenRejected, CompileBudgetExceeded) as error:
            logger.error("a request is ended without a document: %s", error)
            return partial(_only_stops, stops)


class _RequestProcessor:
    """Masks the logits of one request.

    Nothing here may raise: that would end the engine with all its requests. A request whose tokens are not among those
    that were allowed (another processor had the last word), or whose grammar outgrows its memory, is ended instead.
    """

    def __init__(self, matcher: Matcher, max_tokens: int | None) -> None:
        self._matcher = matcher
        self._max_tokens = max_tokens
        self._taken = 0
        self._is_lost = False
        self._bitmask = allocate_bitmask(1, matcher.compiled.vocabulary.size)
        shortest = matcher.min_tokens_left()
        if max_tokens is not None and shortest > max_tokens:
            logger.warning("max_tokens=%d cannot hold the shortest document of %d tokens", max_tokens, shortest)
            self._max_tokens = None

    def __call__(self, output_ids: list[int], logits: torch.Tensor) -> torch.Tensor:
        """The masked logits (V,), in place, after all of the request's tokens so far."""
        if not self._is_lost:
            try:
                self._follow(output_ids)
            except (TokenRejected, CompileBudgetExceeded) as error:
                logger.error("a request is ended without a document: %s", error)
                self._is_lost = True
        if self._is_lost:
            return _only_stops(self._matcher.stop_token_ids, output_ids, logits)
        if self._matcher.is_terminated:
            return logits
        allowed = torch.from_numpy(unpack_row(self._bitmask[0], len(logits)))
        return logits.masked_fill_(~allowed.to(logits.device), -math.inf)

    def _follow(self, output_ids: list[int]) -> None:
        """Take the new tokens and write the mask after them."""
        for token in output_ids[self._taken :]:
            if self._matcher.is_terminated:
                return
            self._matcher.accept_token(token)
            self._taken += 1
        tokens_left = None if self._max_tokens is None else self._max_tokens - self._taken
        self._matcher.fill_bitmask(self._bitmask, 0, tokens_left)


def _only_stops(stop_token_ids: Sequence[int], output_ids: list[int], logits: torch.Tensor) -> torch.Tensor:
    """The logits with nothing but stop tokens left, in place."""
    stops = list(stop_token_ids)
    kept = logits[stops]
    logits.fill_(-math.inf)
    logits[stops] = kept
    return logits
