"""What counts as one prompt and what as a batch, and the tokens that come of it."""

from typing import Any

import pytest

from tests.runtime.tiny_models import tiny_llama, tiny_tokenizer
from tokamask.errors import ModelError
from tokamask.runtime.model_loader import load_model
from tokamask.runtime.prompts import is_batch, read_prompt

CHAT = [{"role": "user", "content": "the sea"}]


@pytest.mark.parametrize(
    ("prompt", "batch"),
    [(None, False), ("text", False), ("", False), (CHAT, False), (["a"], True), ([CHAT, "b"], True), ((CHAT,), True)],
)
def test_text_and_a_list_of_messages_are_one_prompt(prompt: Any, batch: bool) -> None:
    assert is_batch(prompt) is batch


@pytest.mark.parametrize("prompt", [[], (), [CHAT, []]])
def test_empty_lists_are_refused(prompt: Any) -> None:
    with pytest.raises(ValueError, match="empty"):
        is_batch(prompt)


@pytest.mark.parametrize("prompt", [7, b"bytes", {"role": "user"}, ["a", 7], ["a", {"role": "user"}]])
def test_other_things_are_no_prompts(prompt: Any) -> None:
    with pytest.raises(TypeError, match="prompt"):
        is_batch(prompt)


def test_a_chat_is_read_through_its_template_and_not_healed() -> None:
    model = load_model(tiny_llama(), tiny_tokenizer())
    prompt = read_prompt(model, CHAT)
    assert tiny_tokenizer().decode(list(prompt.token_ids)) == "<s>user: the sea\n<s>assistant:"
    assert prompt.lost == b""


def test_an_empty_text_begins_where_texts_begin() -> None:
    model = load_model(tiny_llama(), tiny_tokenizer())
    assert read_prompt(model, "").token_ids == (tiny_tokenizer().bos_token_id,)


def test_without_a_template_a_chat_is_refused() -> None:
    tokenizer = tiny_tokenizer().__class__(tokenizer_object=tiny_tokenizer().backend_tokenizer)
    model = load_model(tiny_llama(), tokenizer)
    with pytest.raises(ModelError, match="no chat template"):
        read_prompt(model, CHAT)
    with pytest.raises(ModelError, match="no tokens"):
        read_prompt(model, "")


@pytest.mark.parametrize("message", [{"role": "user"}, {"role": "user", "content": 3}])
def test_messages_that_the_template_cannot_show(message: Any) -> None:
    tokenizer = tiny_tokenizer().__class__(tokenizer_object=tiny_tokenizer().backend_tokenizer)
    tokenizer.chat_template = "{% for message in messages %}{{ message.role + ': ' + message.content }}{% endfor %}"
    with pytest.raises(ValueError, match=r"cannot show these messages \((UndefinedError|TypeError): .*other roles"):
        read_prompt(load_model(tiny_llama(), tokenizer), [message])
