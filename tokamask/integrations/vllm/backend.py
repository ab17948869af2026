"""Constraints compiled for the vocabulary of vLLM's engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from vllm.v1.structured_output.backend_types import StructuredOutputBackend

from tokamask.integrations.vllm.constraints import read_structured_output
from tokamask.integrations.vllm.request_grammar import RequestGrammar
from tokamask.integrations.vllm.vocabulary import engine_compiler
from tokamask.masking.bitmask import allocate_bitmask

__all__ = ["Backend"]


@dataclass
class Backend(StructuredOutputBackend):  # type: ignore[misc]  # vLLM need not be installed
    """A structured-output backend of vLLM. Its pool compiles in several threads, which share one compiler.

    Raises:
        VocabularyMismatch: the model's tokens have no exact bytes.
        ValueError: an option of vLLM's other backends that tokamask would have to ignore.
    """

    def __post_init__(self) -> None:
        options = self.vllm_config.structured_outputs_config
        if options.disable_additional_properties:
            raise ValueError(
                "tokamask follows additionalProperties as the schema says; write it there instead of setting "
                "disable_additional_properties"
            )
        self._whitespace = "none" if options.disable_any_whitespace else "flexible"
        self._compiler = engine_compiler(self.tokenizer, self.vocab_size)

    def compile_grammar(
        self, request_type: Any, grammar_spec: str, stop_token_ids: set[int] | None = None
    ) -> RequestGrammar:
        """The grammar of one request.

        Args:
            request_type: a member of StructuredOutputOptions.
            grammar_spec: see `read_structured_output`.
            stop_token_ids: the request's end and stop tokens; None: the tokenizer's.

        Raises:
            GrammarError: it cannot be compiled.
        """
        compiled = self._compiler.compile(read_structured_output(request_type.name, grammar_spec, self._whitespace))
        if stop_token_ids is not None:  # models without a logit for a stop token cannot choose it
            stop_token_ids = {token for token in stop_token_ids if token < self.vocab_size}
        return RequestGrammar(compiled.matcher(stop_token_ids))

    def allocate_token_bitmask(self, max_num_seqs: int) -> torch.Tensor:
        """int32 (max_num_seqs, words), every token allowed."""
        return torch.from_numpy(allocate_bitmask(max_num_seqs, self.vocab_size))

    def destroy(self) -> None:
        """Nothing is held that would not go by itself."""
