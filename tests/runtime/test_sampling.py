"""Truncations keep what transformers' own warpers keep."""

import math
from typing import Any

import pytest
import torch
from transformers import MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from tokamask.runtime.sampling import Sampling, truncate


def random_scores(seed: int) -> torch.Tensor:
    """float64 (4, 50) with a masked part, as after a constraint."""
    generator = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn(4, 50, generator=generator, dtype=torch.float64)
    return scores.masked_fill(torch.rand(4, 50, generator=generator) < 0.3, -math.inf)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    ("sampling", "warper"),
    [
        (Sampling(top_k=1), TopKLogitsWarper(1)),
        (Sampling(top_k=7), TopKLogitsWarper(7)),
        (Sampling(top_k=49), TopKLogitsWarper(49)),
        (Sampling(top_p=0.9), TopPLogitsWarper(0.9)),
        (Sampling(top_p=0.5), TopPLogitsWarper(0.5)),
        (Sampling(top_p=1e-9), TopPLogitsWarper(1e-9)),
        (Sampling(min_p=0.1), MinPLogitsWarper(0.1)),
        (Sampling(min_p=1.0), MinPLogitsWarper(1.0)),
    ],
)
def test_each_truncation_keeps_what_its_warper_keeps(sampling: Sampling, warper: object, seed: int) -> None:
    scores = random_scores(seed)
    assert torch.equal(truncate(scores, sampling), warper(None, scores.clone()))  # type: ignore[operator]


def test_truncations_follow_each_other_in_order() -> None:
    scores = random_scores(99)
    expected = MinPLogitsWarper(0.05)(None, TopPLogitsWarper(0.8)(None, TopKLogitsWarper(20)(None, scores)))  # type: ignore[arg-type]
    assert torch.equal(truncate(scores, Sampling(top_k=20, top_p=0.8, min_p=0.05)), expected)


def test_without_truncation_scores_pass_unchanged() -> None:
    scores = random_scores(1)
    assert torch.equal(truncate(scores, Sampling()), scores)
    assert torch.equal(truncate(scores, Sampling(top_k=50)), scores)


def test_what_ties_with_the_last_of_top_k_stays() -> None:
    scores = torch.tensor([[1.0, 3.0, 2.0, 2.0, 0.0]])
    assert truncate(scores, Sampling(top_k=2)).isfinite().tolist() == [[False, True, True, True, False]]


@pytest.mark.parametrize("options", [{"temperature": "1"}, {"top_k": 1.5}, {"top_p": None}, {"min_p": [0.1]}])
def test_options_of_another_type_are_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(TypeError, match=f"{name} must be a"):
        Sampling(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -1.0},
        {"temperature": math.inf},
        {"temperature": math.nan},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": -0.1},
        {"min_p": 2.0},
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=name):
        Sampling(**options)  # type: ignore[arg-type]
