"""From what the user passes as `prompt` to the tokens that the model reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from tokamask.runtime.healing import lost_bytes
from tokamask.runtime.model import Message, Model

__all__ = ["Conversation", "Prompt", "is_batch", "read_prompt"]

Conversation = Sequence[Message]


@dataclass(frozen=True)
class Prompt:
    """Tokens for the model to read, and the bytes of a last token that was taken back (b"" when none was)."""

    token_ids: tuple[int, ...]
    lost: bytes = b""


def is_batch(
    prompt: str | Conversation | Sequence[str | Conversation] | None,
) -> TypeGuard[Sequence[str | Conversation]]:
    """Whether `prompt` is a list of prompts: a text and a list of chat messages are one prompt.

    Raises:
        ValueError: the list is empty.
        TypeError: neither a prompt nor a list of prompts.
    """
    if prompt is None or isinstance(prompt, str):
        return False
    if isinstance(prompt, Mapping | bytes) or not isinstance(prompt, Sequence):
        raise TypeError(f"prompt must be text, a list of chat messages or a list of those, not {type(prompt).__name__}")
    if not prompt:
        raise ValueError("the prompt list is empty: pass at least one prompt, or one list of chat messages")
    if all(isinstance(item, Mapping) for item in prompt):
        return False
    for item in prompt:
        if not isinstance(item, str) and (isinstance(item, Mapping | bytes) or not isinstance(item, Sequence)):
            raise TypeError(
                f"a batch of prompts holds texts and lists of chat messages, but one item is a {type(item).__name__}"
            )
        if not isinstance(item, str) and not item:
            raise ValueError("one prompt of the batch is an empty list of chat messages")
    return True


def read_prompt(model: Model, prompt: str | Conversation) -> Prompt:
    """One prompt's tokens. Text is healed at its end; a chat template ends where the model expects to begin."""
    if not isinstance(prompt, str):
        return Prompt(tuple(model.encode_chat(prompt)))
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise ValueError("the prompt has a lone surrogate, which no UTF-8 text has") from None
    token_ids = tuple(model.encode_text(prompt))
    lost = lost_bytes(token_ids, model.vocabulary)
    return Prompt(token_ids[:-1], lost) if lost else Prompt(token_ids)
