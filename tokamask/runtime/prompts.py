"""From what the user passes as `prompt` to the tokens that the model reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

from tokamask.errors import ModelError
from tokamask.runtime.healing import lost_bytes
from tokamask.runtime.model import Context, Message, Model

if TYPE_CHECKING:
    import torch

__all__ = [
    "Conversation",
    "Prompt",
    "chat_tokens",
    "check_prompt",
    "check_text",
    "is_batch",
    "read_by_rows",
    "read_prompt",
]

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
    check_prompt(prompt)
    if not isinstance(prompt, str):
        return Prompt(tuple(model.encode_chat(prompt)))
    token_ids = tuple(model.encode_text(prompt))
    lost = lost_bytes(token_ids, model.vocabulary)
    return Prompt(token_ids[:-1], lost) if lost else Prompt(token_ids)


def read_by_rows(model: Model, prompts: Sequence[Prompt]) -> tuple[Context, torch.Tensor]:
    """Have the model read a prompt for each row, one that several rows share only once.

    Returns:
        The context of the rows, and the logits behind their prompts: float (rows, V).
    """
    distinct = list({id(prompt): prompt for prompt in prompts}.values())
    context = model.new_context()
    logits = context.extend([prompt.token_ids for prompt in distinct])
    if len(distinct) < len(prompts):
        place = {id(prompt): index for index, prompt in enumerate(distinct)}
        rows = [place[id(prompt)] for prompt in prompts]
        context.select(rows)
        logits = logits[rows]
    return context, logits


def chat_tokens(tokenizer: Any, messages: Conversation) -> list[int]:
    """The tokens of a conversation up to where the assistant writes, by a transformers tokenizer's chat template.

    One that ends with the assistant's own words is for the model to continue.

    Raises:
        ModelError: the tokenizer has no template.
        ValueError: the template refuses the messages.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise ModelError("the prompt is a list of chat messages, but the tokenizer has no chat template; pass text")
    continues = messages[-1].get("role") == "assistant"
    try:
        encoded = tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            add_generation_prompt=not continues,
            continue_final_message=continues,
            return_dict=True,
        )
    except Exception as error:  # a template is a program, and raises what it comes to
        raise ValueError(
            f"the model's chat template cannot show these messages ({type(error).__name__}: {error}); "
            "it may know other roles, or ask for another order or content"
        ) from error
    return list(encoded["input_ids"])


def check_prompt(prompt: str | Conversation) -> None:
    """Raises TypeError for what is no chat message, ValueError for text that has no UTF-8."""
    if isinstance(prompt, str):
        check_text(prompt, "the prompt")
        return
    for message in prompt:
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise TypeError(f"a chat message is {{'role': ..., 'content': ...}}, not {message!r:.60}")
        for name, value in message.items():
            if isinstance(value, str):
                check_text(value, f"the {name} of a chat message")


def check_text(text: str, name: str) -> None:
    """Raises ValueError for text that has no UTF-8; so Python carries bytes along that it could not decode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} has a lone surrogate, which no UTF-8 text has") from None
