"""`sentencepiece.SentencePieceProcessor`, which mistral_common and the slow tokenizers of transformers wrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tokamask.errors import ModelError
from tokamask.masking.tokenizers.pieces import sentencepiece_family
from tokamask.masking.tokenizers.reading import TokenizerReading, refusal

__all__ = ["encoder_without_prefix", "read_model_file", "read_processor"]

# ModelProto.normalizer_spec (field 3) with NormalizerSpec.add_dummy_prefix (field 3) false, in protobuf's wire format.
# A message field that occurs again is merged into the first, scalar by scalar, so appending these bytes to a serialized
# model switches that one setting. Source: protobuf.dev "Encoding", "Last One Wins"; sentencepiece_model.proto.
NO_DUMMY_PREFIX = b"\x1a\x02\x18\x00"


def read_processor(processor: Any) -> TokenizerReading:
    """A `SentencePieceProcessor`.

    Raises:
        VocabularyMismatch: the model has no byte fallback, so it cannot spell every text.
    """
    ids = range(processor.get_piece_size())
    if not any(map(processor.is_byte, ids)):
        raise refusal("this SentencePiece model", "without byte fallback it loses characters outside of its pieces")
    family = sentencepiece_family()

    def text(token: int) -> bytes | None:
        if processor.is_control(token) or processor.is_unknown(token) or processor.is_unused(token):
            return None
        piece: str = processor.id_to_piece(token)
        return (family.of_piece if processor.is_byte(token) else family.of_added)(piece)

    return TokenizerReading(
        token_bytes=tuple(map(text, ids)),
        stop_token_ids=tuple(token for token in (processor.eos_id(),) if token >= 0),
        encode=encoder_without_prefix(processor),
    )


def read_model_file(path: Path) -> TokenizerReading:
    """The model file of a tokenizer that keeps its processor private, such as mistral_common's."""
    from sentencepiece import SentencePieceProcessor

    if not path.is_file():
        raise ModelError(f"the tokenizer was loaded from {str(path)!r}, which is no longer a file; load it again")
    return read_processor(SentencePieceProcessor(model_file=str(path)))


def encoder_without_prefix(processor: Any) -> Callable[[bytes], Sequence[int]]:
    """How a processor spells a text that goes on from another: without the space that it puts before a first word."""

    @cache
    def continuing() -> Any:
        return type(processor)(model_proto=processor.serialized_model_proto() + NO_DUMMY_PREFIX)

    return lambda data: continuing().encode(data.decode())
