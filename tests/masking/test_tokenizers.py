"""Vocabularies read from the tokenizers of every library.

They are checked against the libraries themselves: a text that a tokenizer encodes must come back as the bytes of its
tokens, and llguidance, which reads tokenizers by code of its own, must see the same bytes.
"""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from tokamask.errors import ModelError, VocabularyMismatch
from tokamask.masking.disk_cache import default_cache_directory
from tokamask.masking.token_trie import vocabulary_trie
from tokamask.masking.vocabulary import Vocabulary

# Texts ---------------------------------------------------------------------------------------------------------------

EMOJI = ["\U0001f642", "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f3f3\ufe0f\u200d\U0001f308", "\u2764\ufe0f"]
WORDS = ["the", " Hello", "na\u00efve", "nai\u0308ve", "\u65e5\u672c\u8a9e", "  ", "\r\n", "\u00a0", *EMOJI]
MARKUP = ["<s>", "</s>", "[INST]", "<|im_end|>", "<0x41>", "<unk>", "\u0120x", "\u0109", "\\u00e9", "\x00\x1f"]
TEXTS = st.text(max_size=20) | st.lists(st.sampled_from(WORDS + MARKUP), max_size=6).map("".join)


def some_text(rng: random.Random) -> str:
    """Text of one of six kinds: any characters, early Unicode, ASCII with controls, words, markup, JSON."""
    length = rng.randrange(30)
    match rng.randrange(6):
        case 0:
            return "".join(
                chr(rng.choice([rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)])) for _ in range(length)
            )
        case 1:
            return "".join(chr(rng.randrange(0x300)) for _ in range(length))
        case 2:
            return "".join(chr(rng.randrange(0x80)) for _ in range(length))
        case 3:
            return "".join(rng.choice(WORDS) for _ in range(length))
        case 4:
            return rng.choice(["", " "]).join(rng.choice(WORDS + MARKUP) for _ in range(length))
        case _:
            keys = ["".join(rng.choices(string.printable + "\u00e9\u20ac", k=5)) for _ in range(3)]
            value = {key: [rng.random(), rng.randrange(10**9), "x  y\n\t", None] for key in keys}
            return json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1, 4]))


def spelled(vocabulary: Vocabulary, ids: Sequence[int]) -> bytes:
    """The bytes of some tokens, all of which must be text."""
    texts = [vocabulary.token_bytes[token] for token in ids]
    assert None not in texts
    return b"".join(text for text in texts if text is not None)


def check_spelling(vocabulary: Vocabulary, encode: Callable[[str], Sequence[int]], prefix: str = "") -> None:
    """On 3,000 texts: the tokenizer's tokens spell what it was given, and so do those of the vocabulary.

    Args:
        encode: the tokenizer itself; it may put `prefix` before a text.
    """
    rng = random.Random(20)
    single = {data[0] for data in vocabulary.token_bytes if data is not None and len(data) == 1}
    for _ in range(3000):
        text = some_text(rng)
        data, ids = text.encode(), vocabulary.encode(text.encode())
        if single.issuperset(data):
            assert spelled(vocabulary, ids) == data
            if data:
                assert spelled(vocabulary, encode(text)) == prefix.encode() + data
        else:  # a byte without a token: SmolLM2 was trained without 21 of them
            assert ids == [] or spelled(vocabulary, ids) == data
    assert vocabulary.encode(b"") == []
    assert vocabulary.encode(b"ab\xc3") == []


def check_against_llguidance(vocabulary: Vocabulary, fast_tokenizer: Any) -> None:
    """llguidance's own reading of a fast transformers tokenizer has the same bytes."""
    theirs = pytest.importorskip("llguidance.hf").from_tokenizer(fast_tokenizer, vocabulary.size)
    for token, data in enumerate(vocabulary.token_bytes):
        if data is None:
            assert theirs.is_special_token(token) or theirs.decode_bytes([token]) == b"", token
        elif data != b"\xff":  # its marker of special tokens, so that token is empty there
            assert theirs.decode_bytes([token]) == data, token


# Made here with `tokenizers` -----------------------------------------------------------------------------------------

CORPUS = [
    'hello world {"a": 1}',
    "structured json output 123",
    "na\u00efve h\u00e9llo \u65e5\u672c",
    "a  b\n\n\tc",
] * 20


def byte_level_tokenizer() -> tokenizers.Tokenizer:
    """A byte-level BPE with a special token at each end, as GPT-2 and its heirs have it."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|start|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens(["<|end|>"])
    return tokenizer


def byte_fallback_tokenizer() -> tokenizers.Tokenizer:
    """A SentencePiece-like BPE as conversions write it: byte pieces, U+2581 for spaces, one put before the text."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["\u2581", "a", "b", "e", "h", "l", "o", "\u00e9", "he", "ll", "\u2581he", "ab", "A", "\u2581\u2581"]
    merges = [("h", "e"), ("l", "l"), ("\u2581", "he"), ("a", "b"), ("\u2581", "\u2581")]
    vocab = {piece: token for token, piece in enumerate(pieces)}
    model = models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<s>", "</s>"])
    return tokenizer


def id_of(tokenizer: tokenizers.Tokenizer, piece: str) -> int:
    token = tokenizer.token_to_id(piece)
    assert token is not None
    return token


def fast(tokenizer: tokenizers.Tokenizer, **special: str) -> Any:
    """The tokenizer as a fast one of transformers."""
    return pytest.importorskip("transformers").PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


@cache
def byte_level() -> tuple[tokenizers.Tokenizer, Vocabulary]:
    return byte_level_tokenizer(), Vocabulary.from_tokenizer(byte_level_tokenizer())


@cache
def byte_fallback() -> tuple[tokenizers.Tokenizer, Vocabulary]:
    return byte_fallback_tokenizer(), Vocabulary.from_tokenizer(byte_fallback_tokenizer())


@settings(max_examples=300)
@given(TEXTS)
def test_byte_level(text: str) -> None:
    tokenizer, vocabulary = byte_level()
    ids = tokenizer.encode(text).ids
    assert spelled(vocabulary, ids) == text.encode()
    assert vocabulary.encode(text.encode()) == ids


@settings(max_examples=300)
@given(TEXTS)
def test_byte_fallback(text: str) -> None:
    tokenizer, vocabulary = byte_fallback()
    if text and "<s>" not in text and "</s>" not in text:  # those become special tokens
        # The mark itself reads as a space: SentencePiece cannot tell them apart.
        assert spelled(vocabulary, tokenizer.encode(text).ids) == f" {text}".replace("\u2581", " ").encode()
    # A text that goes on has no space before it, and special tokens in it are spelled like any other text.
    assert spelled(vocabulary, vocabulary.encode(text.encode())) == ("" if "\u2581" in text else text).encode()


def test_bytes_of_byte_level_pieces() -> None:
    tokenizer, vocabulary = byte_level()
    texts = vocabulary.token_bytes
    assert {texts[id_of(tokenizer, piece)] for piece in pre_tokenizers.ByteLevel.alphabet()} == {
        bytes([byte]) for byte in range(256)
    }
    assert texts[id_of(tokenizer, "\u0120world")] == b" world"
    assert texts[id_of(tokenizer, "\u0120h\u00c3")] == b" h\xc3"  # half of a character
    assert texts[id_of(tokenizer, "<|start|>")] is None
    assert texts[id_of(tokenizer, "<|end|>")] is None
    check_against_llguidance(vocabulary, fast(tokenizer))


def test_bytes_of_byte_fallback_pieces() -> None:
    tokenizer, vocabulary = byte_fallback()
    texts = vocabulary.token_bytes
    assert texts[:3] == (None, None, None)  # unknown, although no added token; start; end
    assert texts[3:259] == tuple(bytes([byte]) for byte in range(256))
    assert [texts[id_of(tokenizer, piece)] for piece in ("\u2581he", "\u2581\u2581", "\u00e9")] == [
        b" he",
        b"  ",
        b"\xc3\xa9",
    ]
    assert texts.count(b"A") == 2
    check_against_llguidance(vocabulary, fast(tokenizer, unk_token="<unk>"))


def test_conversions_with_the_wrong_decoder_are_read_by_their_pieces() -> None:
    tokenizer = byte_fallback_tokenizer()
    for decoder in (decoders.ByteLevel(), decoders.Metaspace(), decoders.Fuse()):
        tokenizer.decoder = decoder
        assert Vocabulary.from_tokenizer(tokenizer).token_bytes == byte_fallback()[1].token_bytes
    tokenizer = byte_level_tokenizer()
    tokenizer.decoder = decoders.Metaspace()
    assert Vocabulary.from_tokenizer(tokenizer).token_bytes == byte_level()[1].token_bytes


def test_byte_level_vocabulary_that_lacks_bytes() -> None:
    description = json.loads(byte_level_tokenizer().to_str())
    vocab = description["model"]["vocab"]
    lost = vocab["qqq"] = vocab.pop("\u00ff")
    vocabulary = Vocabulary.from_tokenizer(tokenizers.Tokenizer.from_str(json.dumps(description)))
    complete = byte_level()[1]
    assert vocabulary.token_bytes == (*complete.token_bytes[:lost], b"qqq", *complete.token_bytes[lost + 1 :])
    assert vocabulary.encode(b"hello world") == complete.encode(b"hello world")


def test_another_mark_for_spaces() -> None:
    description = byte_fallback_tokenizer().to_str().replace("\u2581", "_")
    tokenizer = tokenizers.Tokenizer.from_str(description)
    assert Vocabulary.from_tokenizer(tokenizer).token_bytes == byte_fallback()[1].token_bytes


def test_added_tokens_are_plain_text() -> None:
    tokenizer = byte_level_tokenizer()
    size = tokenizer.get_vocab_size()
    tokenizer.add_tokens(["   ", "<tool>", "\u65e5\u672c"])
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert vocabulary.token_bytes[size:] == (b"   ", b"<tool>", "\u65e5\u672c".encode())
    assert vocabulary.token_bytes[:size] == byte_level()[1].token_bytes
    assert vocabulary.encode(b"a<tool>b")[1] == size + 1
    check_against_llguidance(vocabulary, fast(tokenizer))
    # Written with characters of the byte-level alphabet, it is still looked for in the text as it stands.
    tokenizer.add_tokens(["\u0120caf\u00e9"])
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert spelled(vocabulary, tokenizer.encode("\u0120caf\u00e9").ids) == "\u0120caf\u00e9".encode()
    assert tokenizer.encode("\u0120caf\u00e9").ids == [size + 3]


def test_added_token_that_is_a_piece_stays_that_piece() -> None:
    tokenizer = byte_level_tokenizer()
    token = id_of(tokenizer, "\u0120world")
    tokenizer.add_tokens(["\u0120world"])
    assert id_of(tokenizer, "\u0120world") == token
    assert Vocabulary.from_tokenizer(tokenizer).token_bytes[token] == b" world"


def test_piece_outside_of_the_byte_level_alphabet_is_plain_text() -> None:
    description = json.loads(byte_level_tokenizer().to_str())
    size = len(description["model"]["vocab"])
    for text in ("a b", "\u00a0", "\u00ad\u00e9", "\u65e5"):
        description["model"]["vocab"] |= {text: size}
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(description))
        assert tokenizer.decode([size]) == text
        assert Vocabulary.from_tokenizer(tokenizer).token_bytes[size] == text.encode()
        del description["model"]["vocab"][text]


def test_ids_that_are_missing_or_empty() -> None:
    description = json.loads(byte_level_tokenizer().to_str())
    size = len(description["model"]["vocab"])
    description["model"]["vocab"] |= {"": size + 5, "late": size + 9}
    description["added_tokens"] = [entry for entry in description["added_tokens"] if entry["content"] != "<|end|>"]
    vocabulary = Vocabulary.from_tokenizer(tokenizers.Tokenizer.from_str(json.dumps(description)))
    assert vocabulary.token_bytes[size:] == (*[None] * 9, b"late")


def test_the_spelling_is_not_touched_by_settings_of_the_tokenizer() -> None:
    tokenizer = byte_level_tokenizer()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=40)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.ByteLevel(add_prefix_space=True)])
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing("<|start|> $A", None, [("<|start|>", 0)])
    tokenizer.model.dropout = 0.9
    data = b"hello world <|end|> structured"
    assert Vocabulary.from_tokenizer(tokenizer).encode(data) == byte_level()[1].encode(data)
    assert len(byte_level()[1].encode(data)) < len(data)
    assert tokenizer.truncation is not None
    assert tokenizer.encode("hello world").ids[0] == 0


def test_the_spelling_has_no_space_before_its_first_word() -> None:
    tokenizer = byte_fallback_tokenizer()
    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert spelled(vocabulary, tokenizer.encode("hello").ids) == b" hello"
    for text in (b"hello", b" hello", b"  hello a"):
        assert spelled(vocabulary, vocabulary.encode(text)) == text


def test_normalised_text_has_no_spelling() -> None:
    tokenizer = byte_level_tokenizer()
    tokenizer.normalizer = normalizers.NFC()
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert spelled(vocabulary, vocabulary.encode("na\u00efve".encode())) == "na\u00efve".encode()
    assert vocabulary.encode("nai\u0308ve".encode()) == []


# Refused -------------------------------------------------------------------------------------------------------------


def word_piece() -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    tokenizer.train_from_iterator(CORPUS, trainers.WordPieceTrainer(special_tokens=["[UNK]"], show_progress=False))
    return tokenizer


def unigram() -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=99, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def word_level() -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer(models.WordLevel({"hello": 0, "world": 1, "[UNK]": 2}, unk_token="[UNK]"))


def end_of_word() -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.BPE({"a": 0, "b</w>": 1}, [], end_of_word_suffix="</w>"))
    tokenizer.decoder = decoders.BPEDecoder()
    return tokenizer


def rewriting_decoder() -> tokenizers.Tokenizer:
    tokenizer = byte_fallback_tokenizer()
    tokenizer.decoder = decoders.Sequence([decoders.Replace("a", "b"), decoders.ByteFallback()])
    return tokenizer


def byte_level_in_name_only() -> tokenizers.Tokenizer:
    tokenizer = unigram()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (word_piece, "this WordPiece tokenizer cannot be masked exactly: its tokens do not keep the spaces"),
        (unigram, "this Unigram tokenizer .*: it has neither byte-level pieces nor byte fallback"),
        (word_level, "this WordLevel tokenizer .*: it has neither byte-level pieces nor byte fallback"),
        (end_of_word, "this BPE tokenizer .*: its tokens mark where words begin or end"),
        (rewriting_decoder, "its decoder has a step 'Replace' that rewrites the text of tokens"),
        (byte_level_in_name_only, "it has neither byte-level pieces nor byte fallback"),
    ],
)
def test_lossy_families_are_refused(make: Callable[[], tokenizers.Tokenizer], reason: str) -> None:
    with pytest.raises(VocabularyMismatch, match=reason + r".*Vocabulary\(token_bytes, stop_token_ids\)"):
        Vocabulary.from_tokenizer(make())


def test_parts_without_description_are_refused() -> None:
    tokenizer = byte_level_tokenizer()
    tokenizer.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(object())
    with pytest.raises(VocabularyMismatch, match=r"parts without a description: .*[Cc]ustom"):
        Vocabulary.from_tokenizer(tokenizer)


@pytest.mark.parametrize("wrong", [None, "gpt2", object(), {"a": 1}])
def test_what_is_no_tokenizer_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match=f"{type(wrong).__name__} is not a tokenizer of a known library"):
        Vocabulary.from_tokenizer(wrong)


# Sizes and stop tokens -----------------------------------------------------------------------------------------------


def test_fast_tokenizer_of_transformers() -> None:
    tokenizer, vocabulary = byte_level()
    end = id_of(tokenizer, "<|end|>")
    wrapped = fast(byte_level_tokenizer(), eos_token="<|end|>")
    assert Vocabulary.from_tokenizer(wrapped).stop_token_ids == (end,)
    assert Vocabulary.from_tokenizer(wrapped).token_bytes == vocabulary.token_bytes
    assert Vocabulary.from_tokenizer(wrapped).encode(b"hello world") == vocabulary.encode(b"hello world")
    assert Vocabulary.from_tokenizer(SimpleNamespace(tokenizer=wrapped, images=None)).stop_token_ids == (end,)
    # What only transformers takes for special: a piece of the model that was chosen for padding.
    assert vocabulary.token_bytes[id_of(tokenizer, "!")] == b"!"
    wrapped.pad_token = "!"
    assert Vocabulary.from_tokenizer(wrapped).token_bytes[id_of(tokenizer, "!")] is None


def test_stop_tokens_are_those_of_the_tokenizer_and_the_callers() -> None:
    tokenizer, plain = byte_level()
    end = id_of(tokenizer, "<|end|>")
    wrapped = fast(byte_level_tokenizer(), eos_token="<|end|>")
    vocabulary = Vocabulary.from_tokenizer(wrapped, stop_token_ids=[7, 0, end])
    assert vocabulary.stop_token_ids == (0, 7, end)
    assert plain.token_bytes[7] is not None
    assert vocabulary.token_bytes[7] is None
    assert Vocabulary.from_tokenizer(tokenizer).stop_token_ids == ()


def test_model_larger_than_the_tokenizer() -> None:
    tokenizer, plain = byte_level()
    vocabulary = Vocabulary.from_tokenizer(tokenizer, size=512, stop_token_ids=[511])
    assert vocabulary.size == 512
    assert vocabulary.token_bytes == plain.token_bytes + (None,) * (512 - plain.size)
    assert vocabulary.stop_token_ids == (511,)


def test_model_smaller_than_the_tokenizer() -> None:
    tokenizer, plain = byte_level()
    wrapped = fast(byte_level_tokenizer(), eos_token="<|end|>")
    end = id_of(tokenizer, "<|end|>")
    vocabulary = Vocabulary.from_tokenizer(wrapped, size=end)
    assert vocabulary.token_bytes == plain.token_bytes[:end]
    assert vocabulary.stop_token_ids == ()
    with pytest.raises(VocabularyMismatch, match=f"stop token id {end} is outside the vocabulary"):
        Vocabulary.from_tokenizer(wrapped, size=end, stop_token_ids=[end])
    # A spelling with tokens that the model lacks is none.
    (last,) = plain.encode(b" world")
    assert Vocabulary.from_tokenizer(tokenizer, size=last + 1).encode(b" world") == [last]
    assert Vocabulary.from_tokenizer(tokenizer, size=last).encode(b" world") == []


@pytest.mark.parametrize(
    ("size", "error"), [(0, VocabularyMismatch), (-1, VocabularyMismatch), (2**30, VocabularyMismatch)]
)
def test_sizes_that_no_model_has(size: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"size is {size}; it must be 1 to"):
        Vocabulary.from_tokenizer(byte_level()[0], size=size)


@pytest.mark.parametrize("size", [49152.0, "49152", True])
def test_sizes_that_are_no_integers(size: Any) -> None:
    with pytest.raises(TypeError, match="size must be an integer or None"):
        Vocabulary.from_tokenizer(byte_level()[0], size=size)


# Slow tokenizers of transformers -------------------------------------------------------------------------------------


class SlowTokenizer:
    """The public face of a tokenizer written in Python, over one of the above."""

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        self.inner = inner
        self.eos_token_id = 509
        self.all_special_ids = [0, 509]
        self.added_tokens_decoder = {
            0: SimpleNamespace(content="<|start|>", special=True),
            509: SimpleNamespace(content="<|end|>", special=True),
            508: SimpleNamespace(content="<\u0120>", special=False),
        }

    def get_vocab(self) -> dict[str, int]:
        return {**self.inner.get_vocab(), "<|end|>": 509, "<\u0120>": 508}

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        return list(self.inner.encode(text).ids)


def test_slow_byte_level_tokenizer() -> None:
    tokenizer, plain = byte_level()
    vocabulary = Vocabulary.from_tokenizer(SlowTokenizer(tokenizer))
    gap = (None,) * (508 - plain.size)
    assert vocabulary.token_bytes == (*plain.token_bytes, *gap, "<\u0120>".encode(), None)
    assert vocabulary.stop_token_ids == (509,)
    assert vocabulary.encode(b"hello world") == plain.encode(b"hello world") != []
    with pytest.raises(VocabularyMismatch, match="the slow tokenizer SlowTokenizer cannot be masked exactly"):
        Vocabulary.from_tokenizer(SlowTokenizer(unigram()))


# Real tokenizers -----------------------------------------------------------------------------------------------------


def mistral_data() -> Path:
    return Path(pytest.importorskip("mistral_common").__file__).parent / "data"


def test_tekken() -> None:
    tekken = pytest.importorskip("mistral_common.tokens.tokenizers.tekken")
    tokenizer = tekken.Tekkenizer.from_file(mistral_data() / "tekken_240911.json")
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert vocabulary.size == 131_072
    assert vocabulary.stop_token_ids == (2,)
    assert vocabulary.token_bytes[:1000] == (None,) * 1000
    assert vocabulary.token_bytes[1000:1256] == tuple(bytes([byte]) for byte in range(256))
    assert None not in vocabulary.token_bytes[1000:]
    check_spelling(vocabulary, lambda text: tokenizer.encode(text, bos=False, eos=False))
    # An independent count of its nodes, root included.
    prefixes = {data[:end] for data in vocabulary.token_bytes if data is not None for end in range(len(data) + 1)}
    assert len(vocabulary_trie(vocabulary).nodes) == len(prefixes)


def test_tiktoken() -> None:
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"he": 256, b" w": 257, b"\xc3\xa9": 258, b"ll": 260}
    special = {"<|endoftext|>": 300, "<|start|>": 301, "<|call|>": 303}
    encoding = tiktoken.Encoding(
        "made here", pat_str=r"\s?\w+|\s+|[^\s\w]+", mergeable_ranks=ranks, special_tokens=special
    )
    vocabulary = Vocabulary.from_tokenizer(encoding, stop_token_ids=[303])
    assert vocabulary.size == 304
    assert vocabulary.stop_token_ids == (300, 303)
    for token, data in enumerate(vocabulary.token_bytes):
        assert data == next((text for text, rank in ranks.items() if rank == token), None)
    check_spelling(vocabulary, encoding.encode_ordinary)
    assert spelled(vocabulary, vocabulary.encode(b"a<|endoftext|>")) == b"a<|endoftext|>"


SENTENCEPIECE_FILES = ["tokenizer.model.v1", "mistral_instruct_tokenizer_240323.model.v3"]


@pytest.mark.parametrize("file", SENTENCEPIECE_FILES)
def test_sentencepiece(file: str) -> None:
    spm = pytest.importorskip("sentencepiece")
    processor = spm.SentencePieceProcessor(model_file=str(mistral_data() / file))
    vocabulary = Vocabulary.from_tokenizer(processor)
    assert vocabulary.size == processor.vocab_size()
    assert vocabulary.stop_token_ids == (2,)
    assert vocabulary.token_bytes[:3] == (None, None, None)
    assert vocabulary.token_bytes.count(b"A") == 2  # the byte and the letter
    check_spelling(vocabulary, processor.encode, prefix=" ")


@pytest.mark.parametrize("file", SENTENCEPIECE_FILES)
def test_wrappers_of_sentencepiece(file: str) -> None:
    spm = pytest.importorskip("sentencepiece")
    mistral = pytest.importorskip("mistral_common.tokens.tokenizers.mistral")
    transformers = pytest.importorskip("transformers")
    path = str(mistral_data() / file)
    expected = Vocabulary.from_tokenizer(spm.SentencePieceProcessor(model_file=path))
    chat = mistral.MistralTokenizer.from_file(path)
    slow = transformers.SentencePieceBackend(vocab_file=path, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    for tokenizer in (chat, chat.instruct_tokenizer.tokenizer, slow, transformers.MistralCommonBackend(path)):
        vocabulary = Vocabulary.from_tokenizer(tokenizer)
        assert vocabulary.token_bytes == expected.token_bytes
        assert vocabulary.stop_token_ids == expected.stop_token_ids
        for data in (b'{"a": 1}', b" hello  w", "\u65e5\u672c\U0001f642".encode()):
            assert vocabulary.encode(data) == expected.encode(data) != []


def test_sentencepiece_without_bytes_is_refused() -> None:
    processor = SimpleNamespace(
        serialized_model_proto=bytes, id_to_piece=str, get_piece_size=lambda: 5, is_byte=lambda token: False
    )
    with pytest.raises(VocabularyMismatch, match="without byte fallback it loses characters"):
        Vocabulary.from_tokenizer(processor)


def test_model_file_that_is_gone(tmp_path: Path) -> None:
    tokenizer = SimpleNamespace(file_path=tmp_path / "gone.model", id_to_piece=str, n_words=3)
    with pytest.raises(ModelError, match=r"gone\.model', which is no longer a file"):
        Vocabulary.from_tokenizer(tokenizer)


@pytest.mark.model
def test_smollm2() -> None:
    folders = sorted((default_cache_directory() / "models").glob("SmolLM2-135M-Instruct-transformers-*"))
    if not folders:
        pytest.skip("the demo model has not been fetched")
    tokenizer = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(folders[-1], local_files_only=True)
    vocabulary = Vocabulary.from_tokenizer(tokenizer, size=49_152)
    assert vocabulary.stop_token_ids == (2,)
    assert vocabulary.token_bytes.count(None) == 17
    check_spelling(vocabulary, lambda text: tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))
    check_against_llguidance(vocabulary, tokenizer)
