"""Speculation on the demo model: the same documents, but for near ties."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from tests.runtime.drafters import always_drafting
from tokamask import Grammar, Sampling, load_demo
from tokamask.masking.bitmask import allocate_bitmask
from tokamask.runtime.choice import choose
from tokamask.runtime.decode import NEAR_TIE, Request, Row, decode
from tokamask.runtime.model import Model
from tokamask.runtime.model_loader import load_model, shared_compiler
from tokamask.runtime.noise import noise_key
from tokamask.runtime.pace import MeasuredPace
from tokamask.runtime.prompts import Prompt
from tokamask.runtime.sampling import Sampling as SamplingOptions
from tokamask.runtime.speculation import Speculation
from tokamask.runtime.step_masks import unpack_bitmask

pytestmark = pytest.mark.model

ITEM = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "price": {"type": "number"}}}
TASKS = [
    (
        "Write an invoice as JSON.",
        Grammar.from_json_schema(
            {
                "type": "object",
                "properties": {"customer": {"type": "string"}, "items": {"type": "array", "items": ITEM}},
                "required": ["customer", "items"],
                "additionalProperties": False,
            }
        ),
    ),
    ("Count to six, and then to six again.", Grammar.from_regex("([a-z0-9]+,? ?)+[.]")),
    (
        "Copy: Bilbo, Frodo, Samwise, Bilbo, Frodo, Samwise.",
        Grammar.from_json_schema({"type": "array", "items": {"enum": ["Bilbo", "Frodo", "Samwise"]}, "minItems": 6}),
    ),
]


@pytest.fixture(scope="module")
def demo() -> Model:
    return load_model(*load_demo())


def requests(model: Model) -> list[Request]:
    compiler = shared_compiler(model)
    return [
        Request(
            prompt=Prompt(tuple(model.encode_chat([{"role": "user", "content": text}]))),
            vocabulary=model.vocabulary,
            matcher=compiler.compile(grammar).matcher(),
            max_tokens=40,
            seed=5,
        )
        for text, grammar in TASKS
    ]


def gap_behind(model: Model, request: Request, prefix: Sequence[int], sampling: SamplingOptions) -> float:
    """How far ahead the best token is of the second behind some tokens of a row."""
    assert request.matcher is not None
    for token in prefix:
        request.matcher.accept_token(token)
    bitmask = allocate_bitmask(1, model.vocabulary.size)
    request.matcher.fill_bitmask(bitmask, 0, request.max_tokens - len(prefix))
    choices = choose(
        model.new_context().extend([[*request.prompt.token_ids, *prefix]]),
        sampling,
        keys=[noise_key(request.seed, request.sample, request.attempt, len(prefix))],
        possible={},
        masked=[0],
        allowed=torch.from_numpy(unpack_bitmask(bitmask, model.vocabulary.size)),
    )
    return choices.gaps[0]


@pytest.mark.parametrize("sampling", [Sampling(0), Sampling(0.7)], ids=str)
@pytest.mark.parametrize("is_measured", [False, True])
def test_three_documents_are_the_same(is_measured: bool, sampling: SamplingOptions, demo: Model) -> None:
    def finish(speculation: Speculation | None) -> list[Row]:
        rows: dict[int, Row] = {}
        for number, request in enumerate(requests(demo)):  # one by one: batches have near ties of their own
            for (row,) in decode(demo, [request], sampling, speculation):
                rows[number] = row
        return list(rows.values())

    plain = finish(None)
    drafted = finish(Speculation(MeasuredPace()) if is_measured else always_drafting())
    for one, other, request in zip(plain, drafted, requests(demo), strict=True):
        if one.token_ids != other.token_ids:
            same = next(n for n, (a, b) in enumerate(zip(one.token_ids, other.token_ids, strict=False)) if a != b)
            assert gap_behind(demo, request, one.token_ids[:same], sampling) < NEAR_TIE
        else:
            assert other.logprobs == pytest.approx(one.logprobs, abs=1e-2)
    if not is_measured:
        assert sum(row.drafts_accepted for row in drafted) > 20
        assert sum(row.forward_passes for row in drafted) < 0.8 * sum(row.steps for row in drafted)
