"""generate() on real weights: SmolLM2-135M-Instruct."""

from typing import Any, Literal

import pytest
import torch
from pydantic import BaseModel, Field

from tokamask.runtime.generate import generate, stream
from tokamask.runtime.model_loader import load_model
from tokamask.runtime.results import FinishReason
from tokamask.runtime.sampling import Sampling

pytestmark = pytest.mark.model

GREEDY = Sampling(temperature=0)
ASK = [{"role": "user", "content": "Describe the book Moby Dick as JSON."}]


class Book(BaseModel):
    title: str = Field(max_length=40)
    author: str = Field(max_length=40)
    year: int = Field(ge=1400, le=2100)
    kind: Literal["novel", "poem"]


@pytest.fixture(scope="module")
def demo() -> Any:
    """The transformers model and its tokenizer."""
    from tokamask.runtime.demo import load_demo

    return load_demo()


def test_free_text_is_that_of_transformers(demo: Any) -> None:
    model, tokenizer = demo
    result = generate(model, ASK, tokenizer=tokenizer, sampling=GREEDY, max_tokens=24)
    inputs = tokenizer.apply_chat_template(ASK, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        expected = model.generate(**inputs, do_sample=False, max_new_tokens=24)
    assert list(result.token_ids) == expected[0, inputs["input_ids"].shape[1] :].tolist()


def test_a_streamed_book_is_a_book(demo: Any) -> None:
    parts = stream(demo[0], ASK, tokenizer=demo[1], schema=Book, sampling=GREEDY, max_tokens=120)
    values = [part.value for part in parts]
    assert values[-1].keys() == {"title", "author", "year", "kind"}
    book = parts.result.value
    assert isinstance(book, Book)
    assert "Moby" in book.title
    assert 0 < parts.result.stats.tokens <= 120


def test_a_batch_with_its_own_constraints_is_the_rows_alone(demo: Any) -> None:
    prompts: list[Any] = ["The capital of France is", ASK, "One, two, three,"]
    options: dict[str, Any] = {
        "tokenizer": demo[1],
        "sampling": Sampling(temperature=0.7),
        "seed": 11,
        "max_tokens": 40,
    }
    constraints: list[dict[str, Any]] = [{"regex": " [A-Z][a-z]{2,9}\\."}, {"schema": Book}, {}]
    together = generate(
        demo[0],
        prompts,
        regex=[row.get("regex") for row in constraints],
        schema=[row.get("schema") for row in constraints],
        **options,
    )
    for row, prompt, constraint in zip(together, prompts, constraints, strict=True):
        alone = generate(demo[0], prompt, **constraint, **options)
        assert row.token_ids == alone.token_ids or row.stats.near_ties + alone.stats.near_ties > 0
    assert [row.finish_reason for row in together[:2]] == [FinishReason.STOP, FinishReason.STOP]


def test_the_document_fits_every_budget(demo: Any) -> None:
    loaded = load_model(*demo)
    assert loaded.vocabulary.size == 49152
    for budget in (40, 50, 70):
        result = generate(demo[0], ASK, tokenizer=demo[1], schema=Book, seed=budget, max_tokens=budget)
        assert isinstance(result.value, Book)
        assert result.stats.tokens <= budget


def test_the_demo_goes_by_its_name() -> None:
    result = generate("demo", "Is water wet? Answer:", choices=[" yes", " no"], sampling=GREEDY)
    assert result.value in (" yes", " no")
