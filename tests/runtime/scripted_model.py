"""A `Model` without torch layers: it wants to write a given text, byte by byte, whatever it has read.

Its vocabulary is the 256 bytes and a stop token, so a test says what the model would like and sees what it may do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from tokamask.masking.vocabulary import Vocabulary

STOP = 256
BYTES = Vocabulary([*(bytes([byte]) for byte in range(256)), None], stop_token_ids=[STOP])


def not_called(rows: Sequence[int]) -> None:
    """For `on_step`: what is refused is refused before the model runs."""
    raise AssertionError("the model was called")


class ScriptedModel:
    """Prefers the next byte of its script by `eagerness` logits over all others, and the stop token at its end.

    Args:
        script: the text to write, or prompt -> text.
        on_step: called before every forward pass with the number of tokens that each row has read.
    """

    def __init__(
        self,
        script: str | Mapping[str, str],
        *,
        eagerness: float = 30.0,
        on_step: Callable[[Sequence[int]], None] | None = None,
        context_length: int | None = None,
    ) -> None:
        self.script = script
        self.eagerness = eagerness
        self.on_step = on_step
        self.vocabulary = BYTES
        self.context_length = context_length

    def encode_text(self, text: str) -> list[int]:
        return list(text.encode()) or [0]

    def encode_chat(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        return self.encode_text("\n".join(message["content"] for message in messages))

    def new_context(self) -> ScriptedContext:
        return ScriptedContext(self)


class ScriptedContext:
    def __init__(self, model: ScriptedModel) -> None:
        self.model = model
        self.rows: list[tuple[bytes, list[int]]] = []  # the script of each row, and what followed its prompt

    def extend(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        if not self.rows:
            scripts = self.model.script
            texts = [bytes(row).decode() for row in tokens]
            self.rows = [((scripts if isinstance(scripts, str) else scripts[text]).encode(), []) for text in texts]
        else:
            for (_, written), new in zip(self.rows, tokens, strict=True):
                written.extend(new)
        if self.model.on_step is not None:
            self.model.on_step([len(written) for _, written in self.rows])
        logits = torch.zeros(len(self.rows), BYTES.size, dtype=torch.float64)
        for row, (script, written) in enumerate(self.rows):
            logits[row, script[len(written)] if len(written) < len(script) else STOP] = self.model.eagerness
        return logits

    def select(self, rows: Sequence[int]) -> None:
        self.rows = [(self.rows[row][0], list(self.rows[row][1])) for row in rows]
