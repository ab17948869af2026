"""The adapters to vLLM against small stand-ins of its classes; `make test-vllm` runs the real one."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tests.integrations.stand_in_vllm as host
from tests.runtime.tiny_models import tiny_tokenizer
from tokamask.errors import GrammarError, RollbackTooFar, UnsupportedFeature
from tokamask.grammar.grammar import Grammar
from tokamask.masking import engine
from tokamask.masking.bitmask import unpack_row
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary

PLACE = "vllm.v1.structured_output.backend_outlines"
PADDED = 11
"""Logits past the end of the tokenizer."""

POINT = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 99}, "minItems": 2, "maxItems": 3}
TEXTS = ["a", "ab", "abc", "ba", "bab"]


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ModuleType]]:
    """The stand-ins, in place of vLLM; our modules were not imported before and are forgotten afterwards."""
    modules = host.modules(tmp_path_factory.mktemp("site"), tiny_tokenizer())
    with pytest.MonkeyPatch.context() as patch:
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        yield modules
    for name in [name for name in sys.modules if name.startswith("tokamask.integrations.vllm.")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def size() -> int:
    return len(tiny_tokenizer()) + PADDED


def configuration(size: int, **options: bool) -> Any:
    structured = {"disable_any_whitespace": False, "disable_additional_properties": False, **options}
    model = SimpleNamespace(get_vocab_size=lambda: size, skip_tokenizer_init=False)
    return SimpleNamespace(structured_outputs_config=SimpleNamespace(**structured), model_config=model)


@pytest.fixture(scope="module")
def backend(vllm: object, size: int) -> Any:
    from tokamask.integrations.vllm import Backend

    return Backend(configuration(size), tiny_tokenizer(), size)


def ids(text: str) -> list[int]:
    spelled: list[int] = tiny_tokenizer().encode(text, add_special_tokens=False)
    return spelled


def is_document(grammar: Any, text: str) -> bool:
    """Whether the engine could generate the text, followed by the stop token."""
    accepted = grammar.accept_tokens("request", [*ids(text), tiny_tokenizer().eos_token_id])
    grammar.reset()
    return bool(accepted)


# The backend.


@pytest.mark.parametrize(
    ("kind", "spec", "good", "bad"),
    [
        (host.Kind.JSON, json.dumps(POINT), ["[1, 2]", "[7,8,99]"], ["[1]", "[1, 100]", '["a", 1]', "[1, 2"]),
        (host.Kind.JSON_OBJECT, "", ["{}", '{"a": [null, 1.5]}'], ["[]", "3", '{"a"}']),
        (host.Kind.REGEX, "(ab|c)+d?", ["ab", "cabd", "ccc"], ["", "d", "aab", "abdd"]),
        (host.Kind.CHOICE, json.dumps(["yes", "no", "yes, sure"]), ["yes", "no", "yes, sure"], ["ye", "yes,", "maybe"]),
        (host.Kind.GRAMMAR, 'start: "(" start ")" | "x"', ["x", "((x))"], ["", "(x", "x)", "()"]),
        (host.Kind.GRAMMAR, 'root ::= "(" root ")" | [xy]', ["x", "((y))"], ["", "(x", "x)", "()"]),
    ],
    ids=["json", "json_object", "regex", "choice", "Lark", "GBNF"],
)
def test_every_kind_of_request(backend: Any, kind: host.Kind, spec: str, good: list[str], bad: list[str]) -> None:
    grammar = backend.compile_grammar(kind, spec, {tiny_tokenizer().eos_token_id})
    assert [text for text in [*good, *bad] if is_document(grammar, text)] == good


def test_structural_tags_are_refused(backend: Any) -> None:
    with pytest.raises(UnsupportedFeature, match="structural_tag; use json"):
        backend.compile_grammar(host.Kind.STRUCTURAL_TAG, "{}", None)


def test_choices_that_are_no_texts_are_refused(backend: Any) -> None:
    with pytest.raises(GrammarError, match="choices must be texts"):
        backend.compile_grammar(host.Kind.CHOICE, "[1, 2]", None)


def test_stop_tokens_are_those_of_the_request(backend: Any, size: int) -> None:
    """They end the document and are never text; ids without a logit do not count."""
    (a,), end = ids("a"), tiny_tokenizer().eos_token_id

    def allowed(stops: set[int] | None) -> set[int]:
        grammar = backend.compile_grammar(host.Kind.REGEX, "b[ab]?", stops)
        assert grammar.accept_tokens("", ids("b"))
        return mask(backend, grammar)

    assert allowed(None) & {a, end} == {a, end}
    assert allowed({end, size + 3}) & {a, end} == {a, end}
    assert allowed({a}) & {a, end} == {a}
    grammar = backend.compile_grammar(host.Kind.REGEX, "b[ab]?", {a})
    assert grammar.accept_tokens("", [*ids("b"), a])
    assert grammar.is_terminated(), "the stop token ended it, and was not taken as text"


def mask(backend: Any, grammar: Any) -> set[int]:
    """The ids that a grammar allows, written into a row between two others."""
    bitmask = backend.allocate_token_bitmask(3)
    grammar.fill_bitmask(bitmask, 1)
    assert (bitmask[0] == -1).all()
    assert (bitmask[2] == -1).all()
    return set(np.flatnonzero(unpack_row(bitmask[1].numpy(), backend.vocab_size)).tolist())


def test_bitmasks_are_as_wide_as_the_padded_vocabulary(backend: Any, size: int) -> None:
    bitmask = backend.allocate_token_bitmask(4)
    assert bitmask.dtype == torch.int32
    assert bitmask.shape == (4, -(-size // 32))
    assert (bitmask == -1).all()
    anything = mask(backend, backend.compile_grammar(host.Kind.REGEX, "(?s).*", None))
    assert set(ids("the whale")) <= anything <= set(range(len(tiny_tokenizer())))


def test_whitespace_is_left_out_where_the_engine_is_told_so(vllm: object, size: int) -> None:
    from tokamask.integrations.vllm import Backend

    compact = Backend(configuration(size, disable_any_whitespace=True), tiny_tokenizer(), size)
    grammar = compact.compile_grammar(host.Kind.JSON, json.dumps(POINT), None)
    assert is_document(grammar, "[1,2]")
    assert not is_document(grammar, "[1, 2]")


def test_an_option_of_another_backend_is_refused(vllm: object, size: int) -> None:
    from tokamask.integrations.vllm import Backend

    with pytest.raises(ValueError, match="disable_additional_properties"):
        Backend(configuration(size, disable_additional_properties=True), tiny_tokenizer(), size)


def test_threads_of_the_pool_share_a_compiler(backend: Any) -> None:
    patterns = [f"a{{{n}}}b|c{{{n}}}" for n in range(1, 9)]

    def work(pattern: str) -> list[set[int]]:
        grammar = backend.compile_grammar(host.Kind.REGEX, pattern, None)
        masks = [mask(backend, grammar)]
        for token in ids("c"):
            assert grammar.accept_tokens("", [token])
            masks.append(mask(backend, grammar))
        return masks

    alone = [work(pattern) for pattern in patterns]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, patterns * 3)) == alone * 3


# One request, against a model that keeps the list of its tokens and tries every text.

STOP = 5
WORDS: list[bytes | None] = [b"a", b"b", b"ab", b"c", None, None, b"x"]


def allowed_by_hand(tokens: list[int]) -> set[int]:
    """The ids that may follow these, which do not end with the stop token."""
    text = b"".join(WORDS[token] or b"?" for token in tokens).decode()
    following = {
        token
        for token, word in enumerate(WORDS)
        if word is not None and any(choice.startswith(text + word.decode()) for choice in TEXTS)
    }
    return following | ({STOP} if text in TEXTS else set())


class Followed:
    """What `RequestGrammar` should do, in the slow and obvious way."""

    def __init__(self) -> None:
        self.tokens: list[int] = []

    @property
    def is_terminated(self) -> bool:
        return STOP in self.tokens

    def could_take(self, tokens: list[int]) -> bool:
        taken = list(self.tokens)
        for token in tokens:
            if STOP not in taken and token not in allowed_by_hand(taken):
                return False
            taken.append(token)
        return True

    def valid(self, tokens: list[int]) -> list[int]:
        """The prefix that could be taken, up to the stop token."""
        if self.is_terminated:
            return []
        count = 0
        while count < len(tokens) and self.could_take(tokens[: count + 1]) and STOP not in tokens[:count]:
            count += 1
        return tokens[:count]


@pytest.fixture(scope="module")
def words() -> Any:
    return GrammarCompiler(Vocabulary(WORDS, [STOP])).compile(Grammar.from_choices(TEXTS))


token_lists = st.lists(st.sampled_from([-1, *range(len(WORDS)), len(WORDS)]), max_size=4)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), token_lists),
        st.tuples(st.just("accept some that may follow"), st.lists(st.integers(0, 3), max_size=4)),
        st.tuples(st.just("rollback"), st.integers(0, 6)),
        st.tuples(st.just("reset"), st.none()),
    ),
    max_size=12,
)


@given(steps, token_lists)
def test_a_request_follows_its_tokens(vllm: object, words: Any, steps: list[Any], drafts: list[int]) -> None:
    from tokamask.integrations.vllm.request_grammar import RequestGrammar

    grammar, model = RequestGrammar(words.matcher()), Followed()
    for kind, value in steps:
        if kind == "reset":
            grammar.reset()
            model.tokens = []
        elif kind == "rollback":
            if value <= len(model.tokens):
                grammar.rollback(value)
                model.tokens = model.tokens[: len(model.tokens) - value]
            else:
                with pytest.raises(RollbackTooFar):
                    grammar.rollback(value)
        else:
            tokens = value if kind == "accept" else chosen(model, value)
            could = model.could_take(tokens)
            assert grammar.accept_tokens("request", tokens) == could
            model.tokens += tokens if could else []
        assert grammar.is_terminated() == model.is_terminated
        assert grammar.validate_tokens(drafts) == model.valid(drafts)
        bitmask = torch.zeros((2, 1), dtype=torch.int32)
        grammar.fill_bitmask(bitmask, 1)
        if model.is_terminated:
            assert bitmask.tolist() == [[0], [-1]]
        else:
            assert bitmask.tolist() == [[0], [sum(1 << token for token in allowed_by_hand(model.tokens))]]


def chosen(model: Followed, picks: list[int]) -> list[int]:
    """A block of tokens each of which may follow; anything after the end."""
    tokens: list[int] = []
    for pick in picks:
        taken = model.tokens + tokens
        following = list(range(len(WORDS))) if STOP in taken else sorted(allowed_by_hand(taken))
        tokens.append(following[pick % len(following)])
    return tokens


def test_drafts_as_the_engine_judges_them(vllm: object, words: Any) -> None:
    """One row for each draft and one more, then everything is undone; the sampled block comes afterwards."""
    from tokamask.integrations.vllm.request_grammar import RequestGrammar

    grammar = RequestGrammar(words.matcher())
    drafts = grammar.validate_tokens([1, 0, 1, STOP, STOP, 6])
    assert drafts == [1, 0, 1, STOP]
    bitmask = torch.zeros((len(drafts) + 1, 1), dtype=torch.int32)
    for row, token in enumerate(drafts):
        assert not grammar.is_terminated()
        grammar.fill_bitmask(bitmask, row)
        assert grammar.accept_tokens("request", [token])
    grammar.fill_bitmask(bitmask, len(drafts))
    grammar.rollback(len(drafts))
    rows = [sum(1 << token for token in allowed_by_hand(drafts[:count])) for count in range(len(drafts))]
    assert bitmask[:, 0].tolist() == [*rows, -1]
    assert grammar.accept_tokens("request", [1, 0, STOP, 6, 6]), "a block goes on after the end"
    assert grammar.is_terminated()


def test_a_text_that_outgrows_the_memory_ends_its_request_only(
    vllm: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tokamask.integrations.vllm.request_grammar import RequestGrammar

    deep = 3
    vocabulary = Vocabulary([b"[", b"]", b"x", b"[" * 2_000, None], [4])
    monkeypatch.setattr(engine, "MOST_BYTES", 1)
    compiler = GrammarCompiler(vocabulary, tmp_path)
    nested = compiler.compile(Grammar.from_lark('start: "x" | "[" start "]"'))
    drafted, masked = RequestGrammar(nested.matcher()), RequestGrammar(nested.matcher())
    assert drafted.accept_tokens("", [0])
    assert not drafted.accept_tokens("", [2, 1, deep])
    assert drafted.validate_tokens([deep]) == []

    bitmask = torch.full((1, 1), -1, dtype=torch.int32)
    masked.fill_bitmask(bitmask, 0)
    assert bitmask.tolist() == [[1 << 4]], "nothing but the stop token"
    assert masked.validate_tokens([0]) == []
    assert not masked.accept_tokens("", [4]), "which ends the request with an error"
    other = RequestGrammar(compiler.compile(Grammar.from_choices(["[]"])).matcher())
    assert other.accept_tokens("", [0, 1, 4])


# The scheduler and the plug-in.


def test_the_scheduler_brings_the_backend(vllm: object, size: int) -> None:
    from tokamask.integrations.vllm import Backend, Scheduler

    manager, settings = host.Manager(tiny_tokenizer()), configuration(size)
    scheduler = Scheduler(settings, "cache", structured_output_manager=manager, block_size=16)
    assert scheduler.started_with == (settings, "cache", manager, 16)
    assert isinstance(manager.backend, Backend)
    grammar = manager.backend.compile_grammar(host.Kind.REGEX, "ab", None)
    assert is_document(grammar, "ab")


def test_the_scheduler_of_an_engine_without_a_tokenizer(vllm: object, size: int) -> None:
    from tokamask.integrations.vllm import Scheduler

    manager, settings = host.Manager(None), configuration(size)
    settings.model_config.skip_tokenizer_init = True
    Scheduler(settings, "cache", structured_output_manager=manager, block_size=16)
    assert manager.backend is None


@pytest.fixture
def vacant(vllm: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The place of the backend outlines, which nothing has loaded yet."""
    monkeypatch.setitem(sys.modules, PLACE, ModuleType(PLACE))
    del sys.modules[PLACE]
    return vllm


def test_the_plug_in_takes_the_place_when_it_is_named(vacant: object) -> None:
    from tokamask.integrations.vllm import Backend, outlines_place
    from tokamask.integrations.vllm.plugin import register

    register()
    register()  # vLLM may load plug-ins more than once
    assert sys.modules[PLACE] is outlines_place
    assert outlines_place.OutlinesBackend is Backend
    with pytest.raises(AttributeError, match="OutlinesGrammar"):
        _ = outlines_place.OutlinesGrammar


@pytest.mark.parametrize("named", [None, [], ["another"]])
def test_an_installed_plug_in_does_nothing_by_itself(
    named: Any, vacant: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tokamask.integrations.vllm.plugin import register

    monkeypatch.setattr(vacant["vllm"], "envs", SimpleNamespace(VLLM_PLUGINS=named))
    register()
    assert PLACE not in sys.modules


def test_the_plug_in_does_not_come_too_late(vacant: object) -> None:
    from tokamask.integrations.vllm.plugin import register

    sys.modules[PLACE] = ModuleType(PLACE)
    with pytest.raises(ImportError, match="already loaded its outlines"):
        register()


def test_the_plug_in_needs_the_place(
    vacant: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tokamask.integrations.vllm.plugin import register

    monkeypatch.setattr(vacant["vllm"], "__path__", [str(tmp_path)])
    with pytest.raises(ImportError, match=r"needs vLLM 0\.32: this one has no module vllm\.v1"):
        register()
    assert PLACE not in sys.modules


def test_other_versions_of_vllm_are_named_in_the_error(vllm: object, monkeypatch: pytest.MonkeyPatch) -> None:
    import tokamask.integrations.vllm as package

    monkeypatch.delitem(sys.modules, "tokamask.integrations.vllm.backend", raising=False)
    monkeypatch.setitem(sys.modules, "vllm.v1.structured_output.backend_types", None)
    with pytest.raises(ImportError, match=r"Backend needs vLLM 0\.32, but "):
        _ = package.Backend
    with pytest.raises(AttributeError, match="Backends"):
        _ = package.Backends


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"json": {"type": "text"}}, "'text', at '#/type'"),
        ({"json": "{"}, "line 1"),
        ({"json": {"type": {1, 2}}}, "not JSON serializable"),
        ({"json": {"allOf": [{"type": "string"}, {"type": "null"}]}}, "no value"),
        ({"regex": "(a"}, "line 1, column"),
        ({"choice": ["a", 1]}, "choices must be texts"),
        ({"grammar": "start: nothing"}, "nothing"),
        ({"structural_tag": "{}"}, "structural_tag"),
        ({"regex": "a", "whitespace_pattern": " "}, "whitespace_pattern"),
        ({"json": {}, "disable_any_whitespace": True}, "disable_any_whitespace"),
        ({"json": {}, "disable_additional_properties": True}, "disable_additional_properties"),
    ],
    ids=str,
)
def test_bad_requests_are_refused_by_the_front_end(vllm: object, wanted: dict[str, Any], message: str) -> None:
    from tokamask.integrations.vllm.outlines_place import validate_structured_output_request_outlines

    with pytest.raises(host.VLLMValidationError, match=re.escape(message)) as caught:
        validate_structured_output_request_outlines(host.SamplingParams(host.StructuredOutputs(**wanted)))
    assert caught.value.parameter == "structured_outputs"


def test_good_requests_pass_the_front_end(vllm: object) -> None:
    from tokamask.integrations.vllm.outlines_place import validate_structured_output_request_outlines

    wanted: list[dict[str, Any]] = [
        {"json": POINT},
        {"json": json.dumps(POINT)},
        {"json_object": True},
        {"regex": "[0-9]+"},
        {"choice": TEXTS},
        {"grammar": 'start: "a"'},
        {"grammar": 'root ::= "a"'},
    ]
    validate_structured_output_request_outlines(host.SamplingParams(None))
    for each in wanted:
        validate_structured_output_request_outlines(host.SamplingParams(host.StructuredOutputs(**each)))


# The logits processor.


@pytest.fixture(scope="module")
def processor(vllm: object, size: int) -> Any:
    from tokamask.integrations.vllm import GrammarLogitsProcessor

    return GrammarLogitsProcessor


def decode(processor: Any, requests: list[host.SamplingParams], size: int, seed: int) -> list[list[int]]:
    """What a model that knows nothing generates for a batch, greedily."""
    batch = processor(configuration(size), torch.device("cpu"), False)
    outputs: list[list[int]] = [[] for _ in requests]
    for row, params in enumerate(requests):
        batch.add(row, params, outputs[row])
    running = set(range(len(requests)))
    noise = torch.Generator().manual_seed(seed)
    while running:
        logits = batch.apply(torch.randn((len(requests), size), generator=noise))
        for row in sorted(running):
            token = int(logits[row].argmax())
            outputs[row].append(token)
            if token in requests[row].all_stop_token_ids or len(outputs[row]) == requests[row].max_tokens:
                running.remove(row)
    return outputs


def params(max_tokens: int = 40, **extra: Any) -> host.SamplingParams:
    return host.SamplingParams(None, extra, max_tokens, {tiny_tokenizer().eos_token_id})


def test_documents_of_a_batch_end_within_max_tokens(processor: Any, size: int) -> None:
    end = tiny_tokenizer().eos_token_id
    nested = 'start: "x" | "(" start "," start ")"'
    for seed in range(4):
        requests = [
            params(tokamask_schema=POINT, max_tokens=12),
            params(),
            params(tokamask_grammar=nested, max_tokens=20),
            params(tokamask_regex="[a-z]{3,}", max_tokens=9),
            params(tokamask_choices=["yes", "no"], max_tokens=5),
            params(tokamask_schema=json.dumps(POINT), max_tokens=30),
        ]
        outputs = decode(processor, requests, size, seed)
        texts = [str(tiny_tokenizer().decode(output, skip_special_tokens=True)) for output in outputs]
        for row in (0, 2, 3, 4, 5):
            assert outputs[row][-1] == end
            assert len(outputs[row]) <= (requests[row].max_tokens or 0)
        for row in (0, 5):
            jsonschema.validate(json.loads(texts[row]), POINT)
        while "(x,x)" in texts[2]:
            texts[2] = texts[2].replace("(x,x)", "x")
        assert texts[2] == "x"
        assert re.fullmatch("[a-z]{3,}", texts[3])
        assert texts[4] in ("yes", "no")
        assert len(outputs[1]) == 40 or outputs[1][-1] == end


def test_free_rows_keep_their_logits(processor: Any, size: int) -> None:
    batch = processor(configuration(size), torch.device("cpu"), False)
    assert not batch.is_argmax_invariant()
    batch.add(0, params(), [])
    batch.add(1, host.SamplingParams(None, {"another": "argument"}, 5, set()), [])
    batch.add(2, params(tokamask_regex="ab"), [])
    logits = torch.randn(3, size)
    masked = batch.apply(logits.clone())
    assert torch.equal(masked[:2], logits[:2])
    kept = masked[2] > -torch.inf
    assert torch.equal(masked[2][kept], logits[2][kept])
    following = [tiny_tokenizer().convert_tokens_to_ids(token) for token in ("a", "ab")]
    assert set(kept.nonzero().flatten().tolist()) == {token for token in following if token is not None}


def test_rows_after_the_end_are_left_alone(processor: Any, size: int) -> None:
    batch = processor(configuration(size), torch.device("cpu"), False)
    output = [*ids("ab"), tiny_tokenizer().eos_token_id]
    batch.add(0, params(tokamask_regex="ab"), output)
    logits = torch.randn(1, size)
    assert torch.equal(batch.apply(logits.clone()), logits)
    output.append(7)
    assert torch.equal(batch.apply(logits.clone()), logits)


@pytest.mark.parametrize("token", [-1, "b"], ids=["a placeholder", "a token of another's choice"])
def test_a_request_whose_tokens_are_not_the_allowed_ones_is_ended(processor: Any, size: int, token: Any) -> None:
    batch = processor(configuration(size), torch.device("cpu"), False)
    output: list[int] = []
    batch.add(0, params(tokamask_regex="ac"), output)
    batch.apply(torch.randn(1, size))
    output += ids(token) if isinstance(token, str) else [token]
    for _ in range(2):
        logits = torch.randn(1, size)
        masked = batch.apply(logits.clone())
        end = tiny_tokenizer().eos_token_id
        assert (masked[0] > -torch.inf).nonzero().flatten().tolist() == [end]
        assert masked[0, end] == logits[0, end]


def test_a_request_that_cannot_be_compiled_for_the_vocabulary_is_ended(
    processor: Any, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tokamask.integrations.vllm import logits_processor

    letters = GrammarCompiler(Vocabulary([*([b"a"] * (size - 1)), None], [size - 1]))
    monkeypatch.setattr(logits_processor, "engine_compiler", lambda *_: letters)
    batch = processor(configuration(size), torch.device("cpu"), False)
    wanted = host.SamplingParams(None, {"tokamask_regex": "b"}, 9, {size - 1})
    batch.add(0, wanted, [])
    masked = batch.apply(torch.randn(1, size))
    assert (masked[0] > -torch.inf).nonzero().flatten().tolist() == [size - 1]


def test_a_budget_below_the_shortest_document_cuts_it_off(processor: Any, size: int) -> None:
    (output,) = decode(processor, [params(tokamask_regex="z{9}", max_tokens=4)], size, 0)
    assert set(tiny_tokenizer().decode(output)) == {"z"}
    assert len(output) == 4


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"tokamask_schema": {"type": "text"}}, "'text'"),
        ({"tokamask_regex": "("}, "line 1"),
        ({"tokamask_regex": 5}, "tokamask_regex: regex must be a pattern"),
        ({"tokamask_choices": "yes"}, "tokamask_choices: choices must be several"),
        ({"tokamask_regex": None}, "null"),
        ({"tokamask_shema": "{}"}, "there is no extra argument 'tokamask_shema'"),
        ({"tokamask_regex": "a", "tokamask_choices": ["a"]}, "at most one"),
    ],
    ids=str,
)
def test_bad_extra_arguments_are_refused_at_admission(processor: Any, extra: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        processor.validate_params(params(**extra))


def test_good_extra_arguments_are_admitted(processor: Any) -> None:
    processor.validate_params(host.SamplingParams())
    processor.validate_params(params(another="argument"))
    processor.validate_params(params(tokamask_schema=POINT))
