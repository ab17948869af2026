"""The parts of vLLM 0.32 that tokamask touches, small enough to test against without vLLM."""

from __future__ import annotations

import enum
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

__all__ = ["Manager", "SamplingParams", "StructuredOutputs", "modules"]


class Kind(enum.Enum):
    JSON = 1
    JSON_OBJECT = 2
    REGEX = 3
    GRAMMAR = 4
    CHOICE = 5
    STRUCTURAL_TAG = 6


class StructuredOutputGrammar(ABC):
    @abstractmethod
    def accept_tokens(self, request_id: str, tokens: list[int]) -> bool: ...
    @abstractmethod
    def validate_tokens(self, tokens: list[int]) -> list[int]: ...
    @abstractmethod
    def rollback(self, num_tokens: int) -> None: ...
    @abstractmethod
    def fill_bitmask(self, bitmask: torch.Tensor, batch_index: int) -> None: ...
    @abstractmethod
    def is_terminated(self) -> bool: ...
    @abstractmethod
    def reset(self) -> None: ...


@dataclass
class StructuredOutputBackend(ABC):
    vllm_config: Any
    tokenizer: Any
    vocab_size: int

    @abstractmethod
    def compile_grammar(
        self, request_type: Kind, grammar_spec: str, stop_token_ids: set[int] | None = None
    ) -> StructuredOutputGrammar: ...
    @abstractmethod
    def allocate_token_bitmask(self, max_num_seqs: int) -> torch.Tensor: ...
    @abstractmethod
    def destroy(self) -> None: ...


@dataclass
class StructuredOutputs:
    json: str | dict[str, Any] | None = None
    regex: str | None = None
    choice: list[Any] | None = None
    grammar: str | None = None
    json_object: bool | None = None
    structural_tag: str | None = None
    disable_any_whitespace: bool = False
    disable_additional_properties: bool = False
    whitespace_pattern: str | None = None


@dataclass
class SamplingParams:
    structured_outputs: StructuredOutputs | None = None
    extra_args: dict[str, Any] | None = None
    max_tokens: int | None = 16
    all_stop_token_ids: set[int] = field(default_factory=set)


class VLLMValidationError(Exception):
    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


def get_structured_output_key(wanted: StructuredOutputs) -> tuple[Kind, str]:
    if wanted.json is not None:
        return Kind.JSON, wanted.json if isinstance(wanted.json, str) else json.dumps(wanted.json)
    if wanted.json_object:
        return Kind.JSON_OBJECT, ""
    if wanted.choice is not None:
        return Kind.CHOICE, json.dumps(wanted.choice)
    for kind in (Kind.REGEX, Kind.GRAMMAR, Kind.STRUCTURAL_TAG):
        text = getattr(wanted, kind.name.lower())
        if text is not None:
            return kind, text
    raise ValueError("none")


@dataclass
class Manager:
    """Of structured outputs; makes a backend of vLLM's own when a request comes and there is none yet."""

    tokenizer: Any
    backend: Any = None


class AsyncScheduler:
    def __init__(self, vllm_config: Any, kv_cache_config: Any, structured_output_manager: Any, block_size: int) -> None:
        self.started_with = (vllm_config, kv_cache_config, structured_output_manager, block_size)


class AdapterLogitsProcessor(ABC):
    """Keeps one processor per row of the batch, with the live list of the row's tokens."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self.rows: dict[int, Any] = {}

    @abstractmethod
    def new_req_logits_processor(self, params: SamplingParams) -> Any: ...

    def add(self, row: int, params: SamplingParams, output_ids: list[int]) -> None:
        processor = self.new_req_logits_processor(params)
        if processor:
            self.rows[row] = partial(processor, output_ids)

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        for row, processor in self.rows.items():
            masked = processor(logits[row])
            if masked is not logits[row]:
                logits[row] = masked
        return logits


def modules(folder: Path, tokenizer: Any) -> dict[str, ModuleType]:
    """The modules by name. `folder` becomes the package's place on disk, with the file of its outlines backend."""
    place = folder / "vllm" / "v1" / "structured_output" / "backend_outlines.py"
    place.parent.mkdir(parents=True)
    place.touch()
    contents: dict[str, dict[str, Any]] = {
        "vllm": {"envs": SimpleNamespace(VLLM_PLUGINS=["tokamask"])},
        "vllm.exceptions": {"VLLMValidationError": VLLMValidationError},
        "vllm.tokenizers": {"cached_tokenizer_from_config": lambda config: tokenizer},
        "vllm.v1": {},
        "vllm.v1.structured_output": {},
        "vllm.v1.structured_output.backend_types": {
            "StructuredOutputBackend": StructuredOutputBackend,
            "StructuredOutputGrammar": StructuredOutputGrammar,
        },
        "vllm.v1.structured_output.request": {"get_structured_output_key": get_structured_output_key},
        "vllm.v1.core": {},
        "vllm.v1.core.sched": {},
        "vllm.v1.core.sched.async_scheduler": {"AsyncScheduler": AsyncScheduler},
        "vllm.v1.sample": {},
        "vllm.v1.sample.logits_processor": {"AdapterLogitsProcessor": AdapterLogitsProcessor},
    }
    made = {}
    for name, attributes in contents.items():
        module = made[name] = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None, is_package=True)
        module.__path__ = [str(folder.joinpath(*name.split(".")))]
        vars(module).update(attributes)
    return made
