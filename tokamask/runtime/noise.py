"""Random numbers that are a function of where they are used, not of when they were drawn.

A token is sampled as argmax(score + Gumbel noise), which has exactly the softmax law (the Gumbel-max trick). The noise
of a token is read off a counter: `gumbel_noise` is the SplitMix64 generator (Steele, Lea, Flood: "Fast splittable
pseudorandom number generators", OOPSLA 2014) seeded with a key, and token v has its (v + 1)-th output. The key is mixed
from the seed, the sample's index, the attempt and the position, so neither the batch nor a rejected draft can shift
what a position will draw: the output is a function of (prompt, constraint, seed, sampling) alone.

Integer arithmetic wraps modulo 2^64 alike on every device, so all devices agree on the bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["SEED_LIMIT", "check_seed", "gumbel_noise", "noise_key"]

SEED_LIMIT = 1 << 64
"""Seeds are 0 <= seed < SEED_LIMIT."""

_WORD = SEED_LIMIT - 1
# The constants of SplitMix64: 2^64 divided by the golden ratio, and Stafford's variant 13 of the 64-bit finaliser.
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


def check_seed(seed: int | None) -> None:
    """Raises TypeError or ValueError for what is neither a seed nor None."""
    if seed is None:
        return
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise TypeError(f"seed must be None or a whole number, not {type(seed).__name__}")
    if not 0 <= seed < SEED_LIMIT:
        raise ValueError(f"seed is {seed}; it must be None or a number from 0 to 2**64 - 1")


def noise_key(seed: int, sample: int, attempt: int, position: int) -> int:
    """The 64-bit key of one position of one sample; each number is absorbed by one round of SplitMix64."""
    key = seed
    for number in (sample, attempt, position):
        key = _mix((key + _GOLDEN) & _WORD) ^ number
    return _mix((key + _GOLDEN) & _WORD)


def gumbel_noise(keys: Sequence[int], size: int, device: torch.device) -> torch.Tensor:
    """Standard Gumbel noise, float64 (len(keys), size): one row per key, one column per token."""
    start = torch.tensor([_signed(key) for key in keys], dtype=torch.int64, device=device)
    counter = torch.arange(1, size + 1, dtype=torch.int64, device=device) * _signed(_GOLDEN)
    word = start[:, None] + counter
    word = (word ^ _shift(word, 30)) * _signed(_MIX_1)
    word = (word ^ _shift(word, 27)) * _signed(_MIX_2)
    word = word ^ _shift(word, 31)
    # 52 bits and a half: strictly inside (0, 1) and exact in float64, so that both logarithms are finite.
    uniform = (_shift(word, 12).double() + 0.5) * 2.0**-52
    return uniform.log_().neg_().log_().neg_()


def _mix(word: int) -> int:
    word = ((word ^ (word >> 30)) * _MIX_1) & _WORD
    word = ((word ^ (word >> 27)) * _MIX_2) & _WORD
    return word ^ (word >> 31)


def _shift(word: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical right shift: torch's own carries the sign of int64 along."""
    return (word >> bits) & ((1 << (64 - bits)) - 1)


def _signed(word: int) -> int:
    """The same 64 bits read as two's complement, the only 64-bit integer torch computes with."""
    return word - SEED_LIMIT if word >= SEED_LIMIT >> 1 else word
