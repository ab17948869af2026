"""Tokenizers of other libraries -> the exact bytes of their tokens.

One file per library; each reads public attributes only and imports nothing of the library. What has no exact bytes is
refused: a guess would make masks that forbid valid texts or let invalid ones pass.
"""

from tokamask.masking.tokenizers.detection import read_tokenizer
from tokamask.masking.tokenizers.reading import TokenizerReading

__all__ = ["TokenizerReading", "read_tokenizer"]
